# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A first run from the controller, over a relay that dies or alters what it carries, at any command: one sentence, and a re-run finishes the job."""

from __future__ import annotations

import json
import os
import pathlib
import random
import time
import typing as t

import pytest
from support import faults, fuzz, module, places, profile, relay, secrets
from support.commands import Record
from support.proxy import Drop, Proxy
from support.state import auth_opens
from support.tools import Tools, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, remote

MakeDevice = t.Callable[..., faults.Device]
Clean = t.Callable[[str, str], faults.CleanRun]
COUNT = faults.POSITIONS["controller"]
CHANGES = range(faults.FIRST_CHANGE, COUNT)


@pytest.fixture(scope="session")
def controller(system_python: str) -> str:
    """The device's Python, for the relay alone."""
    return places.FromController(system_python)


def run_through(device: faults.Device, through: relay.Through) -> module.Result:
    """The profile from the controller, with something between it and its channel; no secret may be in what comes out."""
    found = relay.task("tpm2_profile", device.arguments, python=device.python, check=False, diff=True, through=through)
    assert found is not None
    text = json.dumps(found)
    assert secrets.in_text(text, faults.SECRETS) == []
    return module.Result(int(bool(found.get("failed"))), found, text, "")


def again(device: faults.Device, clean: faults.CleanRun, counter: int) -> None:
    """The next run finishes the job, and no try was counted."""
    loaded = faults.loaded_now(device)
    faults.assert_converges(device, clean, generated=len(device.proxy.key_generations()), loaded=loaded)
    assert faults.counter_now(device) == counter
    for kind in ("-l", "-t"):
        Tools(device.swtpm.tcti).run("flushcontext", kind)  # tpm2-tools need room
    assert all(auth_opens(device.swtpm, name, auth) for name, auth in faults.AUTHS.items())  # type: ignore[arg-type]


@pytest.mark.parametrize("position", CHANGES[::2])
def test_the_relay_is_killed(new_device: MakeDevice, clean: Clean, controller: str, position: int) -> None:
    """At every second command, before it or after it in turns. For the controller it is as if the TPM died, which happens at every one elsewhere."""
    expected, device = clean("controller", controller), new_device("controller", controller)
    counter, serving = faults.counter_now(device), list[channel.Channel]()

    def strike(_record: Record) -> None:
        serving[0]._process.kill()
        serving[0]._process.wait()
        raise Drop

    (device.proxy.before if position % 4 else device.proxy.after)(position, strike)

    def through(opened: channel.Channel) -> remote.Carry:
        serving.append(opened)
        return opened.ask

    result = run_through(device, through)
    if position < expected.count:
        assert device.proxy.codes()[: position + 1] == list(expected.codes[: position + 1])
        assert len(device.proxy.records) == position + 1, "something was sent after the relay had died"
    if result.ok:
        assert position > max(expected.writes) and result.changed
    else:
        faults.assert_one_sentence(result.expect_failed())
        assert (result.json or {})["reason"] == "connection_lost"
    again(device, expected, counter)


# What an answer of the TPM becomes on its way. Without the session's keys nobody can do this unseen.
ALTERED: dict[str, t.Callable[[bytes, list[bytes]], bytes]] = {
    "one bit of the end": lambda response, _before: response[:-1] + bytes([response[-1] ^ 1]),
    "one bit of the beginning": lambda response, _before: (
        response[:10] + bytes([response[10] ^ 1]) + response[11:] if response[10:] else response
    ),
    "the answer before": lambda _response, before: before[-1] if before else _response,
}


@pytest.mark.parametrize("position", CHANGES)
def test_an_altered_answer(new_device: MakeDevice, clean: Clean, controller: str, position: int) -> None:
    """In turns: one bit at its end, one behind its header, and the answer to the command before."""
    expected, device = clean("controller", controller), new_device("controller", controller)
    alter = list(ALTERED.values())[position % 3]
    counter, before = faults.counter_now(device), list[bytes]()

    def changed(record: Record) -> None:
        before.extend(one.response for one in device.proxy.records[:-1])
        record.response = alter(record.response, before)

    device.proxy.after(position, changed)
    result = run_through(device, lambda opened: opened.ask)
    assert device.proxy.errors == []
    if not result.ok:
        faults.assert_one_sentence(result.expect_failed())
    elif position in expected.writes:
        # What the answer of a write says is proven, so an altered one is never a success.
        assert device.proxy.records[position].name == "TPM2_FlushContext"
    again(device, expected, counter)


def test_another_run_in_between(new_device: MakeDevice, clean: Clean, controller: str) -> None:
    """A second controller does all the work after the first has looked, and before it begins: nothing is made twice, and no try is counted."""
    expected, device = clean("controller", controller), new_device("controller", controller)
    counter = faults.counter_now(device)

    def through(opened: channel.Channel) -> remote.Carry:
        device.run().expect_ok()
        device.proxy.reset()
        return opened.ask

    result = run_through(device, through)
    faults.assert_one_sentence(result.expect_failed())
    assert not result.changed and device.proxy.writes() == []
    assert device.state() == expected.state and faults.counter_now(device) == counter
    faults.assert_nothing_to_do(device)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_responses(proxied: Proxy, controller: str, tmp_path: pathlib.Path, seed: int) -> None:
    """At random, from some command on: the TSS and the engine get what no TPM says, and say so; then an honest run does all that is left."""
    dice, secret = random.Random(seed), secrets.made_up("damaged")
    options: dict[str, t.Any] = {"tcti": proxied.tcti, "resources": small_profile(tmp_path, secret)}

    def through(opened: channel.Channel) -> remote.Carry:
        honest = dice.randrange(24)

        def ask(asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
            nonlocal honest
            told, honest = opened.ask(asked), honest - 1
            if honest >= 0 or asked["steps"][0][0] != "send" or not told["answers"] or dice.randrange(2):
                return told
            data = bytearray(fuzz.spoilt(bytes.fromhex(told["answers"][0]), dice))
            if dice.randrange(4):
                data[2:6] = len(data).to_bytes(4, "big")  # else it would not even be looked at
            return {**told, "answers": [data.hex()]}

        return ask

    def run(between: relay.Through) -> dict[str, t.Any]:
        found = relay.task("tpm2_profile", options, python=controller, check=False, diff=True, through=between)
        assert found is not None and secrets.in_text(json.dumps(found), {"secret": secret.encode()}) == []
        for kind in ("-l", "-t"):
            Tools(proxied.swtpm.tcti).run("flushcontext", kind)
        return found

    for _round in range(6):
        found = run(through)
        if found.get("failed"):
            faults.assert_one_sentence(found["msg"])
    assert not run(lambda opened: opened.ask).get("failed")
    assert not run(lambda opened: opened.ask)["changed"]
    assert lockout_counter(proxied.swtpm) == 0


def small_profile(folder: pathlib.Path, secret: str) -> profile.Resources:
    """One resource of most kinds, each made in little time."""
    return [
        {"primary_key": {"template": "srk_ecc_p256"}},
        {"key": {"path": str(folder / "key.pem"), "usage": "sign", "algorithm": "ecc_p256"}},
        {"nv_index": {"index": "0x01800011", "content": "open", "attributes": ["ownerread", "ownerwrite", "authread"]}},
        {"sealed_blob": {"path": str(folder / "blob.pem"), "content": secret, "pcrs": {"indices": [7]}}},
        {"da_lockout": {"max_tries": 7}},
        {"hierarchy": {"hierarchy": "endorsement", "auth": secret}},
    ]


def test_the_relay_ends_with_its_controller(new_device: MakeDevice, tmp_path: pathlib.Path, system_python: str) -> None:
    """Nothing stays on the device that holds the TPM."""
    pids, python = tmp_path / "pids", tmp_path / "python3"
    python.write_text(f'#!/bin/sh\necho $$ >> {pids}\nexec {system_python} "$@"\n')
    python.chmod(0o755)
    device = new_device("controller", places.FromController(python))
    assert device.killed_run(faults.FIRST_CHANGE + 2, "after").rc == -9
    *_comparison, relays = pids.read_text().split()
    until = time.monotonic() + 30
    while _alive(int(relays)):
        assert time.monotonic() < until, "the relay goes on"
        time.sleep(0.02)


def _alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    # Nobody may have waited for it, who has been killed.
    return state != "Z" and os.path.exists(f"/proc/{pid}")
