# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which codes are tried again, how long, and that nothing else ever is."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import backoff
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

RETRYABLE = {"RETRY": 0x922, "YIELDED": 0x908, "TESTING": 0x90A, "NV_RATE": 0x920, "NV_UNAVAILABLE": 0x923}
# One of each other kind: success aside, wrong auth, lockout, memory, the TCTI's and the resource manager's own.
FINAL = [0x98E, 0x9A2, 0x921, 0x902, 0x903, 0x101, 0x100, 0x18B, 0x14B, 0xA000A, 0xA0001, 0xB0143]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were slept; nobody really sleeps."""
    slept: list[float] = []
    monkeypatch.setattr(backoff.time, "sleep", slept.append)
    return slept


def answers(*codes: int) -> t.Callable[[], tuple[int, str]]:
    """Calls answer with these codes, then with success."""
    left = list(codes)
    return lambda: (left.pop(0), "nothing") if left else (0, "done")


def test_success_waits_for_nothing(waits: list[float]) -> None:
    assert backoff.repeat(answers()) == (0, "done")
    assert waits == []


@pytest.mark.parametrize("code", RETRYABLE.values(), ids=RETRYABLE)
@pytest.mark.parametrize("layer", [0, 0xB0000], ids=["tpm", "resource_manager"])
def test_what_passes_is_tried_again(code: int, layer: int, waits: list[float]) -> None:
    assert backoff.repeat(answers(*[code | layer] * 3)) == (0, "done")
    assert waits == [0.01, 0.02, 0.04]


def test_the_list_is_the_list() -> None:
    assert frozenset(RETRYABLE.values()) == errors.RETRYABLE


@pytest.mark.parametrize("code", FINAL, ids=hex)
def test_what_does_not_pass_is_reported_at_once(code: int, waits: list[float]) -> None:
    assert backoff.repeat(answers(code)) == (code, "nothing")
    assert waits == []


def test_another_code_ends_the_waiting(waits: list[float]) -> None:
    assert backoff.repeat(answers(0x922, 0x90A, 0x98E)) == (0x98E, "nothing")
    assert len(waits) == 2


@pytest.mark.parametrize("code", RETRYABLE.values(), ids=RETRYABLE)
def test_waiting_is_bounded(code: int, waits: list[float]) -> None:
    calls = [0]

    def never() -> tuple[int, None]:
        calls[0] += 1
        return code, None

    assert backoff.repeat(never) == (code, None)
    assert calls[0] == len(waits) + 1
    assert max(waits) == 2.0
    assert 20.0 <= sum(waits) <= 22.0


def test_an_exception_is_never_tried_again(waits: list[float]) -> None:
    calls = [0]

    def broken() -> tuple[int, None]:
        calls[0] += 1
        raise errors.TransportError("gone", errors.BROKEN)

    with pytest.raises(errors.TransportError):
        backoff.repeat(broken)
    assert (calls[0], waits) == (1, [])
