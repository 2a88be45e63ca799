# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may use a TPM: what a user's answer means. Real users are in tests/integration/test_modules_access.py."""

from __future__ import annotations

import io
import os
import pwd
import signal
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import access
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

PLACE = "device:/dev/tpmrm0"
ME = pwd.getpwuid(os.geteuid()).pw_name


def row(user: str, reason: str | None, detail: str = "because; do") -> dict[str, t.Any]:
    """What the module returns of one user."""
    return dict(user=user, allowed=reason is None, reason=reason, detail=detail)


@pytest.mark.parametrize("reason", access.REFUSALS)
def test_all_as_it_should_be(reason: str) -> None:
    assert access.verdict(PLACE, [row("a", None), row("b", reason)], ["a"], ["b"]) is None


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        (None, "Could not keep user b from the TPM at "),
        ("tpm_error", "Could not keep user b from the TPM at "),
        ("no_device", "Could not tell whether user b is kept from the TPM at "),
        ("no_answer", "Could not tell whether user b is kept from the TPM at "),
        ("busy", "Could not tell whether user b is kept from the TPM at "),
        ("no_daemon", "Could not tell whether user b is kept from the TPM at "),
    ],
)
def test_only_a_refusal_refuses(reason: str | None, says: str) -> None:
    sentence = access.verdict(PLACE, [row("b", reason)], [], ["b"])
    assert sentence is not None and sentence.startswith(says + PLACE) and sentence.endswith(".")


def test_one_who_shall_be_let_in() -> None:
    sentence = access.verdict(PLACE, [row("a", "busy")], ["a"], [])
    assert sentence == f"Could not use the TPM at {PLACE} as user a: because; do."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("GDBus.Error:org.freedesktop.DBus.Error.AccessDenied: Rejected send message", "dbus_refused"),
        ("GDBus.Error:org.freedesktop.DBus.Error.ServiceUnknown: The name was not provided", "no_daemon"),
        ("GDBus.Error:org.freedesktop.DBus.Error.Spawn.ChildExited: Process exited", "no_daemon"),
        ("failed to allocate dbus proxy object: Could not connect: No such file or directory", "no_bus"),
        ("something else", "no_answer"),
    ],
)
def test_what_the_bus_says(text: str, reason: str) -> None:
    answer = access._explain("no_answer", "as before", io.BytesIO(text.encode()))
    assert answer.reason == reason
    assert ("; " in answer.detail) is (reason != "no_answer")


def test_a_child_that_dies_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a TCTI's library crashes."""
    monkeypatch.setattr(access, "_visit", lambda *_all: os.kill(os.getpid(), signal.SIGKILL))
    place, found = access.visit(PLACE, [ME], 30)
    assert (place, found[0]["reason"]) == (PLACE, "other") and "died" in found[0]["detail"]


def test_a_child_that_raises_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never runs on in our place."""

    def fail(*_all: object) -> t.NoReturn:
        raise MemoryError

    before = os.getpid()
    monkeypatch.setattr(access, "_visit", fail)
    assert access.visit(PLACE, [ME], 30)[1][0]["reason"] == "other"
    assert os.getpid() == before


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("800100000014000000000008" + "ab" * 8, None),
        ("80010000000c000000000000", "not_a_tpm"),
        ("80010000000a00000101", "tpm_error"),
        ("00c40000000a0000001e", "not_a_tpm"),
    ],
)
def test_an_answer(monkeypatch: pytest.MonkeyPatch, response: str, reason: str | None) -> None:
    class Double:
        """A connection to a TPM that gives one answer."""

        closed = False

        def transmit(self, command: bytes) -> bytes:
            """The answer, whatever is asked."""
            assert command == bytes.fromhex("80010000000c0000017b0008")
            return bytes.fromhex(response)

        def close(self) -> None:
            """Remember it."""
            self.closed = True

    double = Double()
    monkeypatch.setattr(access, "open_transport", lambda _place: double)
    assert access._ask(tcti.resolve(PLACE)).reason == reason
    assert double.closed


@pytest.mark.parametrize(("names", "seconds"), [([], 30), ([ME], 0)])
def test_nothing_to_try(names: list[str], seconds: int) -> None:
    with pytest.raises(errors.InputError):
        access.visit(PLACE, names, seconds)
