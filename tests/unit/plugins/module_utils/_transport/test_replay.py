# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Responses that the controller has read: each is given once, and the TPM is reached for by the first command without one."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import replay
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

PLACE = Tcti("device", "/dev/none")
KNOWN = {b"first": b"known 1", b"second": b"known 2"}


class Line:
    """A connection that notes what it is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = 0

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return b"real"

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """The connections that were opened."""
    opened: list[Line] = []

    def open_transport(place: Tcti) -> Line:
        assert place == PLACE
        opened.append(Line())
        return opened[-1]

    monkeypatch.setattr(replay, "open_transport", open_transport)
    monkeypatch.setattr(reader, "open_transport", open_transport)
    return opened


def test_what_is_known_needs_no_connection(lines: list[Line]) -> None:
    connection = replay.Replay(PLACE, KNOWN)
    assert [connection.transmit(one) for one in (b"second", b"first")] == [b"known 2", b"known 1"]
    connection.close()
    connection.close()
    assert lines == []


def test_each_answer_is_given_once_and_one_connection_opened(lines: list[Line]) -> None:
    known = dict(KNOWN)
    connection = replay.Replay(PLACE, known)
    assert [connection.transmit(one) for one in (b"first", b"first", b"other", b"second", b"first")] == [
        b"known 1", b"real", b"real", b"known 2", b"real",
    ]  # fmt: skip
    connection.close()
    assert len(lines) == 1 and lines[0].sent == [b"first", b"other", b"first"] and lines[0].closed == 1
    # What was given is not changed: another run begins with all of it.
    assert known == KNOWN


def test_a_reader_without_known_answers_has_a_connection_at_once(lines: list[Line]) -> None:
    with reader.connect(PLACE, {}), reader.connect(PLACE):
        assert len(lines) == 2
    assert [one.closed for one in lines] == [1, 1]
    with reader.connect(PLACE, KNOWN):
        assert len(lines) == 2


def test_parsing() -> None:
    assert replay.parse(None) == replay.parse([]) == {}
    assert replay.parse(["8001 80C4", " 00\t11 "]) == {b"\x80\x01": b"\x80\xc4", b"\x00": b"\x11"}


@pytest.mark.parametrize("given", ["", "8001", "8001 80 02", "8001 xy", "800 8001", "é é", "8001=8001", 5])
def test_what_is_malformed_is_one_sentence(given: object) -> None:
    with pytest.raises(errors.InputError) as caught:
        replay.parse(["8001 8002", given])  # type: ignore[list-item]
    assert caught.value.reason == "input" and caught.value.message.startswith("Could not read known_answers: ")
    assert caught.value.message.count(". ") == 0
