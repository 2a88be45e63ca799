# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One step after the other over a relay that answers what it likes: an error with one sentence and a word, and never another exception."""

from __future__ import annotations

import errno
import socket
import typing as t

import pytest
from support.faults import assert_one_sentence

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import live, remote

COMMAND, PATH = bytes.fromhex("80010000000a0000017b"), "/var/lib/edgefleet/key.pem"
FILE: dict[str, t.Any] = {
    "real": PATH,
    "link": False,
    "same": [[1, 2, ""]],
    "mode": 0o600,
    "ids": [0, 0],
    "names": ["root", "root"],
    "data": "QQ==",
}
DEVICE, SOCKET = "device:/dev/tpmrm0", "swtpm:path=/run/tpm"
Answers = t.Callable[[t.Any], t.Any]


def device(told: t.Any, tcti: str = DEVICE) -> live.Live:
    def carry(_asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        return _answer.taken(remote.ANSWER, told)

    return live.Live(remote.Remote(tcti, carry), carry)


STEPS: dict[str, Answers] = {
    "send": lambda one: one.transmit(COMMAND),
    "read": lambda one: one.read(PATH),
    "names": lambda one: one.names(PATH),
    "leads_to": lambda one: one.leads_to(PATH),
    "writable": lambda one: one.check_writable(PATH),
    "write": lambda one: one.write(PATH, b"x"),
    "remove": lambda one: one.remove(PATH),
    "own": lambda one: one.own(PATH, 0o600, "root", 0),
}
LIES: dict[str, t.Any] = {
    "no answer": [],
    "two answers": [FILE, FILE],
    "null": [None],
    "true": [True],
    "a number": [7],
    "a text": ["xyz"],
    "half a byte": ["800"],
    "nothing": [""],
    "a list": [[]],
    "nothing of it": [{}],
    "an error of another type": [{"error": "0", "real": 7}],
    "an error that is true": [{"error": True, "real": None}],
    "an error that is null": [{"error": None, "real": PATH}],
    "an error below zero": [{"error": -1, "real": PATH, "link": False, "same": []}],
    "an error larger than a C integer": [{"error": 1 << 40, "real": PATH, "link": False, "same": []}],
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("step", STEPS)
def test_an_answer_of_another_kind(step: str, lie: str) -> None:
    with pytest.raises(errors.TransportError) as refused:
        STEPS[step](device({"answers": LIES[lie], "stopped": None, "used": 0}))
    assert refused.value.reason in ("malformed_answer", "not_a_tpm")
    assert_one_sentence(refused.value.message)


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_for_another_request(step: str) -> None:
    """A file for a command, a response for a file."""
    answers = [FILE] if step == "send" else ["80010000000a00000000"]
    with pytest.raises(errors.TransportError) as refused:
        STEPS[step](device({"answers": answers}))
    assert refused.value.reason == "malformed_answer"


RESPONSES = {
    "no header": "8001",
    "a longer size": "80010000000b00000000",
    "a shorter size": "80010000000900000000",
    "more than its size": "80010000000a0000000000",
    "more than a TPM sends": "8001" + f"{5000:08x}" + "00" * 4994,
    "more than a text": "80" * (1 << 14),
}


@pytest.mark.parametrize("name", RESPONSES)
def test_a_response_that_no_tpm_sends_does_not_reach_the_tss(name: str) -> None:
    with pytest.raises(errors.TransportError) as refused:
        device({"answers": [RESPONSES[name]]}).transmit(COMMAND)
    assert refused.value.reason == "not_a_tpm" and "does not speak TPM 2.0" in refused.value.message


STOPPED: list[tuple[str, list[t.Any], str, str]] = [
    (DEVICE, ["unreachable", errno.ENOENT], "no_tpm", "there is no such TPM"),
    (DEVICE, ["unreachable", errno.ENODEV], "no_tpm", "there is no such TPM"),
    (DEVICE, ["unreachable", errno.EACCES], "no_permission", "run with become"),
    (DEVICE, ["unreachable", errno.EBUSY], "busy", "another process holds it"),
    (DEVICE, ["unreachable", errno.EIO], "transport", "Input/output error"),
    (DEVICE, ["unreachable", errno.EISDIR], "not_a_tpm", "not a character device"),
    (DEVICE, ["no_device", 0], "not_a_tpm", "not a character device"),
    (DEVICE, ["broken", errno.EIO], "connection_lost", "Input/output error; look at dmesg"),
    (DEVICE, ["broken", errno.ENODEV], "connection_lost", "No such device"),
    (DEVICE, ["garbage", 0], "not_a_tpm", "does not speak TPM 2.0"),
    (SOCKET, ["unreachable", errno.ECONNREFUSED], "no_answer", "Connection refused; start it"),
    (SOCKET, ["unreachable", errno.EACCES], "no_permission", "no permission"),
    (SOCKET, ["unreachable", 0], "no_answer", "no host can have this name"),
    (SOCKET, ["unreachable", socket.EAI_NONAME], "no_answer", "Name or service not known"),
    (SOCKET, ["closed", 0], "connection_lost", "closed the connection in mid-command"),
    (SOCKET, ["silent", 0], "no_answer", "did not answer"),
    (SOCKET, ["broken", errno.ECONNRESET], "connection_lost", "Connection reset by peer"),
    *((place, one, "", "") for place in (DEVICE, SOCKET) for one in (
        ["unreachable"], ["unreachable", "2"], ["unreachable", []], ["unreachable", {}],
        ["unreachable", True], ["unreachable", -1], ["unreachable", 1 << 40], ["broken", None], ["environment", 0], [7], [None], [[]],
        [{"a": 1}], ["\x1b[2J\n", 0], ["x" * 5000, 5],
    )),
]  # fmt: skip


@pytest.mark.parametrize(("place", "stopped", "reason", "says"), STOPPED, ids=[f"{number}" for number in range(len(STOPPED))])
def test_a_relay_that_stops(place: str, stopped: list[t.Any], reason: str, says: str) -> None:
    """The sentences are those of the module on the device, and what an attacker says instead does nothing."""
    with pytest.raises(errors.TransportError) as refused:
        device({"answers": [], "stopped": stopped}, place).transmit(COMMAND)
    assert refused.value.reason == reason or not reason
    assert says in refused.value.message
    assert_one_sentence(refused.value.message)


def test_a_file_that_grows_in_mid_run_does_not_hand_the_task_over() -> None:
    """Else the module on the device, and with it the task's secrets, would be sent for when a part has been done."""
    large = {**FILE, "error": errno.EFBIG}
    del large["data"]
    one = device({"answers": [large]})
    with pytest.raises(remote.ElsewhereError):
        one.read(PATH)
    one.begun = True
    with pytest.raises(errors.TransportError) as refused:
        one.read(PATH)
    assert refused.value.reason == "malformed_answer"


@pytest.mark.parametrize("step", ["write", "remove", "own"])
def test_a_change_of_a_file_is_a_beginning(step: str) -> None:
    one = device({"answers": [{"error": 0}]})
    assert not one.begun
    STEPS[step](one)
    assert one.begun
