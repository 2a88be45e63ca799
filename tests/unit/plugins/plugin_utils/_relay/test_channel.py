# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel to a relay that stays, with programs of an attacker's at its other end."""

from __future__ import annotations

import pathlib
import shlex
import subprocess
import sys
import types
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, exchange

READY = b'{"ready": true}\n'
SERVE = exchange.program().replace(exchange.MARKER, '{"serve": true}')
LOOK = {"environment": False, "places": [["node", "/dev/null"]], "steps": [["look", "/", 1]]}


def ours(python: str = sys.executable) -> list[str]:
    return [python, "-I", *shlex.split(channel.command("", ""))]


def theirs(said: str, then: str = "pass") -> list[str]:
    """A program that says something at once (a Python expression for bytes), and does something then."""
    return [sys.executable, "-I", "-c", f"import os, sys, time; os.write(1, {said}); {then}"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same bounds, in a hurry."""
    for name in ("START", "PATIENCE", "_ENDING"):
        monkeypatch.setattr(channel, name, 0.3)


def test_the_relay_serves_and_ends() -> None:
    opened = channel.Channel(ours(), SERVE)
    for _each in range(2):
        told = opened.ask(LOOK)
        assert told["stopped"] is None and told["answers"][0]["real"] == "/"
    process = opened._process
    opened.close()
    assert process.returncode == 0


def test_a_password_that_nobody_asked_for_is_skipped(tmp_path: pathlib.Path) -> None:
    opened = channel.Channel(ours(), SERVE, password="of sudo", folder=str(tmp_path))
    assert opened.ask(LOOK)["stopped"] is None
    # The program is in no argument: everybody on the device sees those.
    arguments = pathlib.Path(f"/proc/{opened._process.pid}/cmdline").read_bytes()
    assert b"class Relay" not in arguments and b"sudo" not in arguments
    opened.close()


def test_what_a_shell_says_first_is_skipped() -> None:
    opened = channel.Channel(f"echo Welcome; printf '\\033[2J{{\\n'; exec {shlex.join(ours())}", SERVE)
    assert opened.ask(LOOK)["stopped"] is None
    opened.close()


NEVER_READY = {
    "it ends": theirs("b''"),
    "it says something else and ends": theirs("b'no\\n'"),
    "no end of a line": theirs("b'x' * 100"),
    "it fails": ["/bin/false"],
    "no such program": ["/bin/sh", "-c", "exec /nonexistent"],
}


@pytest.mark.parametrize("name", NEVER_READY)
def test_a_relay_that_does_not_begin(name: str) -> None:
    with pytest.raises(errors.TransportError, match="Could not go on with the device: ") as caught:
        channel.Channel(NEVER_READY[name], SERVE)
    assert caught.value.kind == errors.BROKEN


@pytest.mark.parametrize("said", ["b''", "b'y'", "b'y\\n'"], ids=["nothing", "half a line", "a line"])
@pytest.mark.usefixtures("hasty")
def test_a_relay_that_never_begins_is_ended(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: t.Any, **options: t.Any) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(channel, "subprocess", types.SimpleNamespace(**{**vars(subprocess), "Popen": start}))
    with pytest.raises(errors.TransportError) as caught:
        channel.Channel(theirs(said, "time.sleep(600)"), SERVE)
    assert caught.value.kind == errors.NO_ANSWER and [one.returncode for one in started] == [-9]


LIES: dict[str, str] = {
    "no JSON": "b'hello\\n'",
    "an empty line": "b'\\n'",
    "no mapping": "b'[]\\n'",
    "another type": """b'{"answers": 7}\\n'""",
    "nested": "b'[' * 100000 + b']' * 100000 + b'\\n'",
    "no text": "b'\\xff\\xfe\\n'",
    "no number": """b'{"answers": [NaN]}\\n'""",
    "too much": f"b'x' * {_answer.MOST_BYTES + (1 << 17)}",
    "the end": "b''",
}


@pytest.mark.parametrize("name", LIES)
def test_a_relay_that_lies(name: str) -> None:
    then = f"sys.stdin.buffer.readline(); os.set_blocking(1, True); sys.stdout.buffer.write({LIES[name]}); sys.stdout.buffer.flush()"
    opened = channel.Channel(theirs(repr(READY), then), SERVE)
    with pytest.raises(errors.TransportError) as caught:
        opened.ask(LOOK)
    assert caught.value.kind == errors.BROKEN and caught.value.message.startswith("Could not go on with the device: ")
    opened.close()


@pytest.mark.parametrize("said", ["b''", """b'{"answers": ['"""], ids=["nothing", "half a line"])
def test_silence_ends(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    then = f"sys.stdin.buffer.readline(); sys.stdout.buffer.write({said}); sys.stdout.buffer.flush(); time.sleep(600)"
    opened = channel.Channel(theirs(repr(READY), then), SERVE)
    monkeypatch.setattr(channel, "PATIENCE", 0.3)
    monkeypatch.setattr(channel, "_ENDING", 0.3)
    with pytest.raises(errors.TransportError) as caught:
        opened.ask(LOOK)
    assert caught.value.kind == errors.NO_ANSWER
    process = opened._process
    opened.close()
    assert process.returncode == -9


def test_a_relay_that_has_gone() -> None:
    opened = channel.Channel(ours(), SERVE)
    opened._process.kill()
    opened._process.wait()
    for _each in range(2):
        with pytest.raises(errors.TransportError) as caught:
            opened.ask(LOOK)
        assert caught.value.kind == errors.BROKEN
    opened.close()
    opened.close()
