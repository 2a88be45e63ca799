# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device examined: what is read of a TPM that answers badly or not at all, and what is published about it."""

from __future__ import annotations

import os
import signal
import struct
import tty
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import examination, tpm_facts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

GET_TEST_RESULT = 0x17C


def answer(code: int, body: bytes = b"") -> bytes:
    """A TPM's response."""
    return struct.pack(">HII", 0x8001, 10 + len(body), code) + body


class Failing:
    """A transport to a TPM that answers every command with one response code, but that for its self-test."""

    def __init__(self, code: int) -> None:
        self.code = code

    def transmit(self, command: bytes) -> bytes:
        if int.from_bytes(command[6:10], "big") == GET_TEST_RESULT:
            return answer(0, struct.pack(">HI", 0, errors.RC_FAILURE))
        return answer(self.code)


@pytest.mark.parametrize("code", [errors.RC_FAILURE, errors.RC_INITIALIZE, 0x12D])
def test_a_tpm_that_refuses_to_be_read(code: int) -> None:
    found: dict[str, dict[str, t.Any]] = {}
    error = examination.read(Reader(Failing(code)), found)
    assert error is not None
    assert (error["kind"], error["rc"]) == ("response", code)
    assert error["message"].startswith("Could not read ")
    assert "identity" not in found


def test_every_subset_is_read() -> None:
    assert set(examination.READINGS) == {*tpm_facts.SUBSETS, "condition", "weak_keys"}


@pytest.fixture
def silent() -> t.Iterator[str]:
    """A character device behind which nobody answers."""
    leader, follower = os.openpty()
    tty.setraw(follower)
    yield os.ttyname(follower)
    os.close(leader)
    os.close(follower)


def test_a_tpm_that_is_silent_is_left_after_a_while(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "LIMIT", 1)
    before = signal.getsignal(signal.SIGALRM)
    found, error = examination.examine(tcti.resolve(f"device:{silent}"))
    assert found == {} and error is not None
    assert error["kind"] == errors.NO_ANSWER
    assert "no answer within 1 s" in error["message"]
    assert signal.getsignal(signal.SIGALRM) == before
    assert signal.alarm(0) == 0


def test_a_tpm_whose_user_hangs_is_not_opened(silent: str) -> None:
    holder = {"path": silent, "pid": 7, "process": "stuck", "unit": None, "state": "D", "hung": True}
    found, error = examination.examine(tcti.resolve(f"device:{silent}"), [holder])
    assert found == {} and error is not None
    assert (error["kind"], error["message"]) == (
        errors.BUSY,
        f"Could not open {silent}: stuck (pid 7) holds {silent} and hangs; end it.",
    )


def test_what_is_published_of_firmware_and_packages() -> None:
    facts = {"manufacturer": "IFX", "firmware": "7.40.8.12800", "model": "SLB9670", "weak_keys": ["0x81000001"]}
    machine = {"cpu": None, "suspends": False}
    found = examination.judged(facts, {"tpm2-abrmd": "2.3.1", "systemd": "257"}, machine)
    assert any(one["name"] == "CVE-2017-15361" and one["verdict"] == "affected" for one in found["firmware"])
    assert any("tpm2-abrmd 2.3.1" in one["object"] and one["verdict"] == "affected" for one in found["software"])
    assert found["roca"] == ["0x81000001"]


def test_of_a_tpm_that_was_not_read_nothing_is_published() -> None:
    assert examination.judged({}, {}, {"cpu": None, "suspends": None}) == {"firmware": [], "software": [], "roca": []}
