# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees of the playbook runs: progress while they run, a table afterwards, one sentence when something failed."""

from __future__ import annotations

import typing as t

from .device import Device
from .playbook import Event, Run
from .settings import DemoError

_PROFILE = "edgefleet.tpm2.tpm2_profile"
_KEYS = {"EK": "0x81010001", "SRK": "0x81000001", "AK": "0x81020001"}
_SERIAL_INDEX = "0x01800010"
_WORDS = {_SERIAL_INDEX: "serial number", "0x81000210": "MQTT key", "lockout": "DA lockout"} | {
    handle: name for name, handle in _KEYS.items()
}


class Progress:
    """Prints a line per device as soon as its TPM has its declared state, or cannot get it."""

    def __init__(self, devices: int) -> None:
        self._devices = devices
        self._done = 0

    def show(self, event: Event) -> None:
        """Take one event of the run."""
        if event.get("status") in ("failed", "unreachable"):
            self._say(event["host"], f"FAILED: {event['msg'].removeprefix(event['host'] + ': ')}")
        elif event.get("action") == _PROFILE and not event["check_mode"]:
            changed = changes(event["result"])
            self._say(event["host"], f"{len(changed)} changed: {', '.join(map(_word, changed))}" if changed else "nothing to change")

    def _say(self, host: str, text: str) -> None:
        self._done += 1
        print(f"  [{self._done}/{self._devices}] {host}  {text}", flush=True)


def changes(result: Event) -> list[str]:
    """The objects that the profile changed, each once, in its order."""
    return [str(resource["object"]) for resource in result.get("resources", []) if resource["state"] == "changed"]


def require(run: Run, devices: t.Sequence[Device], failure: str) -> None:
    """Check that a run succeeded on every device.

    Raises:
        DemoError: it did not; the sentence names the devices and the log.
    """
    wrong = [device.name for device in devices if device.name in run.failures or device.name not in run.totals]
    if run.exit_status == 0 and not wrong:
        return
    said = "".join(f"\n  {name}: {run.failures[name]}" for name in wrong if name in run.failures)
    cure = f"`make demo FRESH={wrong[0]}` replaces that device by a blank one" if wrong else "run it again"
    raise DemoError(f"{failure}{' on ' + ', '.join(wrong) if wrong else ''}: {cure}; all that Ansible said is in {run.log}.{said}")


def table(devices: t.Sequence[Device], run: Run) -> str:
    """What each TPM holds, as the playbook read it back."""
    head = ["device", "serial", *_KEYS, "DA tries/s/s", "sealed", "changed"]
    rows = [head]
    for device in devices:
        provisioned, read_back = run.profiles[device.name]
        rows.append([device.name, *_row(read_back), str(len(changes(provisioned)))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join("  " + line for line in [lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _row(read_back: Event) -> list[str]:
    """Serial, Names, DA and blob of one TPM. The last profile of the run was in check mode: its `before` is what is there."""
    there = read_back["diff"]["before"]
    names = {resource["object"]: resource.get("name", "") for resource in read_back["resources"]}
    da = there["lockout"]
    return [
        str(there[_SERIAL_INDEX]["content"]),
        *(_short(names[handle]) for handle in _KEYS.values()),
        f"{da['max_tries']}/{da['recovery_time']}/{da['lockout_recovery']}",
        ", ".join(_word(resource["object"]) for resource in read_back["resources"] if resource["kind"] == "sealed_blob"),
    ]


def _word(thing: str) -> str:
    """What people call an object of the reference profile; a file's name is its last part."""
    return _WORDS.get(thing, thing.rpartition("/")[2])


def _short(name: str) -> str:
    """A Name without its two bytes of hash algorithm, cut to what tells devices apart at a glance."""
    return name[4:12]
