# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket: nobody there, somebody who is no TPM, silence, and an end in mid-command."""

from __future__ import annotations

import pathlib
import socket
import threading
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import stream
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

COMMAND = bytes.fromhex("8001 0000000a 0000017b")
RESPONSE = bytes.fromhex("8001 00000014 00000000") + b"0123456789"


class Peer:
    """Takes one connection, reads a command, sends some pieces, and hangs up, or does not."""

    def __init__(self, listener: socket.socket, pieces: t.Sequence[bytes], hang_up: bool) -> None:
        self._listener, self._pieces, self._hang_up = listener, pieces, hang_up
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        connection, _address = self._listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(len(COMMAND), socket.MSG_WAITALL)
            for piece in self._pieces:
                connection.sendall(piece)
            if not self._hang_up:
                self._done.wait(60)

    def close(self) -> None:
        self._done.set()
        self._thread.join(10)
        self._listener.close()


@pytest.fixture
def peer() -> t.Iterator[t.Callable[..., Tcti]]:
    """A maker of peers on a free port of loopback; returns where they are."""
    made: list[Peer] = []

    def make(*pieces: bytes, hang_up: bool = False) -> Tcti:
        listener = socket.create_server(("127.0.0.1", 0))
        made.append(Peer(listener, pieces, hang_up))
        return Tcti("swtpm", f"host=127.0.0.1,port={listener.getsockname()[1]}")

    yield make
    for one in made:
        one.close()


def ask(place: Tcti) -> bytes:
    opened = stream.Socket(place)
    try:
        return opened.transmit(COMMAND)
    finally:
        opened.close()


@pytest.mark.parametrize("cuts", [(), (1,), (6, 10), (9, 11, 19)], ids=str)
def test_a_response_may_come_in_pieces(peer: t.Callable[..., Tcti], cuts: tuple[int, ...]) -> None:
    edges = [0, *cuts, len(RESPONSE)]
    assert ask(peer(*[RESPONSE[start:end] for start, end in zip(edges, edges[1:], strict=False)])) == RESPONSE


@pytest.mark.parametrize("size", [0, 1, 9, 10, 19])
def test_an_end_in_mid_command_may_mean_that_it_was_carried_out(peer: t.Callable[..., Tcti], size: int) -> None:
    with pytest.raises(errors.TransportError, match="closed the connection|reset") as failed:
        ask(peer(RESPONSE[:size], hang_up=True))
    assert failed.value.kind == errors.BROKEN


@pytest.mark.parametrize("size", [0, 4, 12])
def test_silence_is_bounded(peer: t.Callable[..., Tcti], size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "TIMEOUT", 0.1)
    place = peer(RESPONSE[:size])
    with pytest.raises(errors.TransportError, match="did not answer") as failed:
        ask(place)
    assert failed.value.kind == errors.NO_ANSWER
    assert place.text in failed.value.message


@pytest.mark.parametrize("banner", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(10), b"\xff" * 10])
def test_somebody_who_is_no_tpm_is_told_at_once(peer: t.Callable[..., Tcti], banner: bytes) -> None:
    with pytest.raises(errors.TransportError, match="does not speak TPM 2.0") as failed:
        ask(peer(banner))
    assert failed.value.kind == errors.NOT_A_TPM


def test_a_connection_that_is_reset(peer: t.Callable[..., Tcti], monkeypatch: pytest.MonkeyPatch) -> None:
    opened = stream.Socket(peer(hang_up=True))

    def reset(_size: int) -> bytes:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr(opened, "_receive", reset)
    with pytest.raises(errors.TransportError, match="Connection reset by peer.*run again") as failed:
        opened.transmit(COMMAND)
    assert failed.value.kind == errors.BROKEN
    opened.close()


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(errors.TransportError, match=f"swtpm:port={port}: Connection refused; start it") as failed:
        stream.Socket(Tcti("swtpm", f"port={port}"))
    assert failed.value.kind == errors.NO_ANSWER


def test_a_unix_socket(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "socket"
    with pytest.raises(errors.TransportError, match="No such file"):
        stream.Socket(Tcti("swtpm", f"path={path}"))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    opened = stream.Socket(Tcti("swtpm", f"path={path}"))
    near, _address = listener.accept()
    with near, listener:
        near.sendall(RESPONSE)
        assert opened.transmit(COMMAND) == RESPONSE
        assert near.recv(64) == COMMAND
    opened.close()


def test_no_permission_has_its_own_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_tcti: Tcti) -> socket.socket:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(stream, "_open", refuse)
    with pytest.raises(errors.TransportError, match="no permission.*become") as failed:
        stream.Socket(Tcti("swtpm", "path=/x"))
    assert failed.value.kind == errors.PERMISSION


@pytest.mark.parametrize(
    ("conf", "phrase"),
    [
        ("prot=2321", "unknown option 'prot'"),
        ("host=127.0.0.1,port=", "port must be a number"),
        ("port=x", "port must be a number"),
        ("port=0", "port must be a number"),
        ("port=65536", "port must be a number"),
        ("port=-1", "port must be a number"),
        ("port=²", "port must be a number"),
        (f"host={'a' * 64}", "no host can have this name"),
        ("host=a..b", "no host can have this name"),
    ],
)
def test_options_that_make_no_sense(conf: str, phrase: str) -> None:
    with pytest.raises(errors.TpmError, match=phrase):
        stream.Socket(Tcti("swtpm", conf))


def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_arguments: object) -> socket.socket:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(stream.socket, "create_connection", unknown)
    with pytest.raises(errors.TransportError, match="host=tpm,port=2321: Name or service not known"):
        stream.Socket(Tcti("swtpm", "host=tpm,port=2321"))
