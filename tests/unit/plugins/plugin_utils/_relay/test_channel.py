# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel to a relay that is an attacker's, or none: whatever it sends, or does not, ends in one sentence with a word, and in no process left."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support.faults import assert_one_sentence

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, exchange

Started = list["subprocess.Popen[bytes]"]
READY = "echo '{\"ready\": true}';"
# Reads the whole program, so that what is read next is what is asked.
READ = "while read -r line; do case $line in *'# end') break;; esac; done;"
PROGRAM = "# end\n"
ASKED: dict[str, t.Any] = {"environment": False, "places": [], "steps": []}
LOOK = {"environment": False, "places": [["node", "/dev/null"]], "steps": [["look", "/", 1]]}
SERVE = channel.python("", "", exchange.program().replace(exchange.MARKER, '{"serve": true}'))
ANSWER = '{"answers": [], "stopped": null, "used": 0}'
SHORT = 0.4


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Started]:
    """The processes that the channel has started: all have ended when the test is over. Nobody waits longer than `SHORT`."""
    found: Started = []
    start = subprocess.Popen

    def noted(*arguments: t.Any, **options: t.Any) -> subprocess.Popen[bytes]:
        found.append(start(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    monkeypatch.setattr(channel, "_ENDING", 0.2)
    yield found
    assert found and all(one.poll() is not None for one in found)


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "START", SHORT)
    monkeypatch.setattr(channel, "PATIENCE", SHORT)


def opened(device: str, program: str = PROGRAM) -> channel.Channel:
    return channel.Channel(["sh", "-c", device], channel.python("", "", program))


def refused(call: t.Callable[[], t.Any], reason: str, *says: str) -> str:
    with pytest.raises(errors.TransportError) as error:
        call()
    assert error.value.reason == reason, error.value.message
    assert_one_sentence(error.value.message)
    assert all(one in error.value.message for one in says), error.value.message
    return error.value.message


# -- until it is ready

NEVER_READY: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "no Python": ("exec /nowhere/python9 -c x", "no_relay", ("status 127", "/nowhere/python9", "ansible_python_interpreter")),
    "no program": ("exec /dev/null", "no_relay", ("status 126", "ansible_python_interpreter")),
    "an older Python": (f"{READ} echo 'SyntaxError: invalid syntax' >&2; exit 1", "no_relay", ("('SyntaxError: invalid syntax')", "3.6")),
    "no connection": ("echo 'ssh: no route to host' >&2; exit 255", "no_relay", ("('ssh: no route to host')", "ansible.builtin.ping")),
    "sudo wants a terminal": (
        "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1",
        "no_relay",
        ("must have a tty", "become works there without a terminal"),
    ),
    "it ends without a word": ("exit 0", "no_relay", ("the exit status 0 before",)),
    "it is killed": ("kill -9 $$", "no_relay", ("the exit status -9 before",)),
    "its words are an attacker's": ("printf '\\033[2Jno\\rTASK\\n' >&2; exit 1", "no_relay", ("\\x1b[2Jno\\x0dTASK",)),
    "it says megabytes": ("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", "no_relay", ("xxx...",)),
    "it says it was ready, in part": ("printf '{\"ready\": true}'", "no_relay", ("before it was ready",)),
    "it is silent": ("sleep 20", "no_relay", ("it was not ready within",)),
    "it prints lines and lines": ("yes", "no_relay", ("it was not ready within",)),
    "it prints one line without end": ("yes | tr -d '\\n'", "malformed_answer", ("it is too long",)),
    "it complains without end": ("yes >&2", "no_relay", ("it was not ready within", "('y')")),
    "it answers at once": (
        f"printf '%s\\n%s\\n' '{{\"ready\": true}}' '{ANSWER}'; sleep 20",
        "malformed_answer",
        ("it came without being asked for",),
    ),
}


@pytest.mark.parametrize("name", NEVER_READY)
def test_a_relay_that_is_not_ready(started: Started, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    device, reason, says = NEVER_READY[name]
    # The fault is found in time, and not because time is up, where something is wrong that can be seen at once.
    if any("within" in one for one in says):
        impatient(monkeypatch)
    refused(lambda: opened(device).ask(ASKED), reason, *says)


def test_a_controller_that_cannot_start_a_program(tmp_path: pathlib.Path) -> None:
    for program, folder in (str(tmp_path / "ssh"), None), ("true", str(tmp_path / "gone")):
        start = functools.partial(channel.Channel, [program], SERVE, folder=folder)
        refused(start, "no_relay", "this controller could not start a program (No such file or directory)")


def test_a_device_that_does_not_read_the_program(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient(monkeypatch)
    refused(lambda: opened("sleep 20", "x" * (1 << 20)), "no_relay", "it was not ready within")


def ours() -> str:
    return f"exec {sys.executable} -I {SERVE.command}"


def test_the_relay_serves_and_ends(started: Started) -> None:
    serving = channel.Channel(ours(), SERVE)
    for _each in range(2):
        told = serving.ask(LOOK)
        assert told["stopped"] is None and told["answers"][0]["real"] == "/"
    assert serving.close() == serving.close() == 0


def test_what_comes_before_is_skipped(started: Started, tmp_path: pathlib.Path) -> None:
    """A shell's greeting, and a password that nobody asked for."""
    serving = channel.Channel(f"echo Welcome; printf '\\033[2J{{\\n'; {ours()}", SERVE, password="of sudo", folder=str(tmp_path))
    assert serving.ask(LOOK)["stopped"] is None
    # The program is in no argument: everybody on the device sees those.
    arguments = pathlib.Path(f"/proc/{started[0].pid}/cmdline").read_bytes()
    assert b"class Relay" not in arguments and b"of sudo" not in arguments
    assert serving.close() == 0


def test_a_relay_that_has_gone(started: Started) -> None:
    serving = channel.Channel(ours(), SERVE)
    started[0].kill()
    started[0].wait()
    for _each in range(2):
        refused(lambda: serving.ask(LOOK), "connection_lost")
    assert serving.close() == -9


# -- answers

LIES: dict[str, tuple[str, str, str]] = {
    "two for one": (f"printf '%s\\n%s\\n' '{ANSWER}' '{ANSWER}'", "malformed_answer", "it came without being asked for"),
    "half a line more": (f"printf '%s\\n{{' '{ANSWER}'", "malformed_answer", "it came without being asked for"),
    "no JSON": ("echo ready", "malformed_answer", "not of the kind"),
    "no text": ("printf '\\377\\376\\n'", "malformed_answer", "not of the kind"),
    "an empty line": ("echo", "malformed_answer", "not of the kind"),
    "a list": ("echo '[]'", "malformed_answer", "not of the kind"),
    "null": ("echo null", "malformed_answer", "not of the kind"),
    "a number": ("echo 7", "malformed_answer", "not of the kind"),
    "a huge number": ("echo '{\"used\": 1'$(head -c 5000 /dev/zero | tr '\\0' 0)'}'", "malformed_answer", "not of the kind"),
    "not a number": ("echo '{\"used\": NaN}'", "malformed_answer", "not of the kind"),
    "answers of another type": ('echo \'{"answers": "8001"}\'', "malformed_answer", "not of the kind"),
    "nested": ("head -c 300000 /dev/zero | tr '\\0' '['; echo", "malformed_answer", "not of the kind"),
    "a line without end": ("yes | tr -d '\\n'", "malformed_answer", "it is too long"),
    "half a line, and the end": (
        'printf \'{"answers": [\'; echo "Connection reset" >&2; exit 1',
        "connection_lost",
        "('Connection reset')",
    ),
    "the end": ("exit 0", "connection_lost", "ended in mid-work"),
    "it is killed": ("kill -9 $$", "connection_lost", "ended in mid-work"),
    "nothing": ("sleep 20", "no_answer", "was silent for too long"),
    "half a line": ("printf '{'; sleep 20", "no_answer", "was silent for too long"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_relay_that_lies(started: Started, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lie, reason, says = LIES[name]
    serving = opened(f"{READ} {READY} read -r asked; {lie}; sleep 20")
    if reason == "no_answer":
        impatient(monkeypatch)
    refused(lambda: [serving.ask(ASKED) for _twice in range(2)], reason, says)
    # What is asked afterwards, to flush what is loaded, ends at once and in the same way.
    refused(lambda: serving.ask(ASKED), "connection_lost")


def test_a_device_that_reads_no_more(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    serving = opened(f"{READ} {READY} sleep 20")
    impatient(monkeypatch)
    refused(lambda: serving.ask({**ASKED, "steps": ["x" * (1 << 20)]}), "no_answer", "was silent for too long")


def test_a_device_that_complains_all_the_time_is_heard(started: Started) -> None:
    """More than a pipe holds, which would stop it if nobody listened."""
    noise = "head -c 200000 /dev/zero | tr '\\0' x >&2"
    serving = opened(f"{noise}; {READ} {READY} for n in 1 2 3; do read -r asked; {noise}; echo '{ANSWER}'; done")
    assert [serving.ask(ASKED)["used"] for _each in range(3)] == [0, 0, 0]
    assert serving.close() == 0


def test_the_longest_answer(started: Started) -> None:
    texts = f'["{"a" * 60_000}"]'
    serving = opened(f"{READ} {READY} read -r asked; printf '{{\"answers\": '; printf %s '{texts}'; echo '}}'; read -r more")
    assert serving.ask(ASKED)["answers"] == ["a" * 60_000] and len(texts) < _answer.MOST_BYTES
    assert serving.close() in (0, 1)
