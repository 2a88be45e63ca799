# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The output for a person: progress while playbooks run, a table afterwards, one sentence when something failed."""

from __future__ import annotations

import typing as t

from .device import IMPOSTOR, Device
from .playbook import PROFILE, Event, Run
from .settings import DemoError

ENROLLED, QUARANTINED = "enrolled", "quarantined"
_KEYS = {"EK": "0x81010001", "SRK": "0x81000001", "AK": "0x81020001"}
_SERIAL_INDEX = "0x01800010"
_WORDS = {_SERIAL_INDEX: "serial number", "0x81000210": "MQTT key", "lockout": "DA lockout"} | {
    handle: name for name, handle in _KEYS.items()
}
_BELIEVED = {"certificate": "EK certificate", "pinned": "pinned EK"}
_CERTIFICATE, _HIERARCHY, _BLOB = "certificate", "hierarchy", "sealed_blob"
_NOTHING = "-"


class Progress:
    """Prints a line for each device as soon as it was read back as declared, or has failed."""

    def __init__(self, devices: int, *, again: bool = False) -> None:
        self._devices, self._again = devices, again
        self._done: set[str] = set()
        self._run = Run()

    def show(self, event: Event) -> None:
        """Take one event of the run."""
        self._run.take(event)
        host = event["host"]
        if event["event"] != "task" or host in self._done:
            return
        if event["status"] in ("failed", "unreachable"):
            self._say(host, self._failure(host))
        elif event["action"] == PROFILE and event["check_mode"]:
            self._say(host, summary(self._run, host) or "nothing to change")

    def _failure(self, host: str) -> str:
        if _state(self._run, host) != QUARANTINED:
            return f"FAILED: {self._run.failures[host]}"
        return "still in quarantine" if self._again else self._run.failures[host]

    def _say(self, host: str, text: str) -> None:
        self._done.add(host)
        print(f"  [{len(self._done)}/{self._devices}] {host}  {text}", flush=True)


def summary(run: Run, host: str) -> str:
    """What a run did to a device, as text; "" if nothing."""
    told, changed = run.enrolments.get(host, {}), changes(run, host)
    did = [f"enrolled by its {_believed(run, host)}" if one == "enroll" else one for one in told.get("did", [])]
    return "; ".join(did + ([f"{len(changed)} changed: {', '.join(changed)}"] if changed else []))


def changes(run: Run, host: str) -> list[str]:
    """What the profiles of a run changed on a device, in order and without repetition, in everyday words; all certificates are one entry."""
    resources = [one for result in run.profiles.get(host, []) for one in result.get("resources", [])]
    return list(dict.fromkeys(_word(one) for one in resources if one["state"] == "changed"))


def require(run: Run, devices: t.Sequence[Device], failure: str) -> None:
    """Check that a run succeeded on every device, except that the impostor, if it is among them, was quarantined.

    Raises:
        DemoError: it did not; the sentence names the devices and the log.
    """
    believed = [device.name for device in devices if device.is_impostor and _state(run, device.name) != QUARANTINED]
    wrong = [device.name for device in devices if device.name not in run.totals or (device.name in run.failures and not device.is_impostor)]
    expected = any(device.is_impostor for device in devices)
    if wrong or (run.exit_status != 0 and not expected):
        said = "".join(f"\n  {name}: {run.failures[name]}" for name in wrong if name in run.failures)
        cure = f"`make demo FRESH={wrong[0]}` gives that device a new board" if wrong else "run it again"
        raise DemoError(f"{failure}{' on ' + ', '.join(wrong) if wrong else ''}: {cure}; all that Ansible said is in {run.log}.{said}")
    if believed:
        told = run.failures.get(believed[0], "")
        raise DemoError(f"{believed[0]} was not quarantined: that is a defect, report it with {run.log}.{' ' + told if told else ''}")


def table(devices: t.Sequence[Device], run: Run) -> str:
    """The table of what each device holds, as the playbook read it back, and whether it is trusted, and why."""
    head = ["device", "serial", "state", "because of", *_KEYS, "DA tries/s/s", "auths", "certs", "sealed", "changed"]
    rows = [head]
    for device in devices:
        name = device.name
        state, last = _state(run, name), run.profiles[name][-1]
        seen = last["diff"]["before"] if state == ENROLLED else last["diff"]["after"]
        rows.append([name, device.serial, state, _believed(run, name), *_row(last, seen), str(len(changes(run, name)))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join("  " + line for line in [lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def legend(*, impostor: bool) -> str:
    """The explanation of the table's columns, and of why the impostor's TPM, if there is one, was written to."""
    lines = [
        "because of: why the device is believed, or is not",
        "EK, SRK, AK: the keys in the TPM at " + ", ".join(_KEYS.values()) + ", by the first eight digits of their Names' hashes",
        "DA tries/s/s: wrong tries until the TPM locks; seconds until one is forgotten; seconds that a wrong lockout auth locks",
        "auths: hierarchies with an auth (owner, endorsement, lockout); certs: certificates handed over; sealed: what opens with PCR 7 only",
        "changed: the things in the TPM, and the files beside it, that this run changed",
    ]
    if impostor:
        lines += [
            f"{IMPOSTOR} has keys and a serial number all the same: they are made first, as a TPM proves who it is with its keys. None of",
            "that is a secret. Auths, certificates and what is sealed come after the proof, which it failed: it got none of them.",
        ]
    return "\n".join("  " + line for line in lines)


def _row(last: Event, seen: Event) -> list[str]:
    """One TPM's cells of the table: Names, DA, number of auths and certificates, blob. From a profile's resources and the diff of its audit."""
    names = {resource["object"]: resource.get("name", "") for resource in last["resources"]}
    da = seen["lockout"]
    blobs = [_word(one) for one in last["resources"] if one["kind"] == _BLOB]
    certificates = [one for one in last["resources"] if one["kind"] == _CERTIFICATE]
    # Without the platform hierarchy, which firmware has closed with its own auth.
    auths = [name for name in ("owner", "endorsement", "lockout") if seen.get(name, {}).get("auth_set")]
    return [
        *(names[handle][4:12] for handle in _KEYS.values()),  # without the hash algorithm; eight digits are enough to compare by eye
        f"{da['max_tries']}/{da['recovery_time']}/{da['lockout_recovery']}",
        str(len(auths)),
        str(len(certificates)),
        ", ".join(blobs),
    ]


def _state(run: Run, host: str) -> str:
    return str(run.enrolments.get(host, {}).get("state", _NOTHING))


def _believed(run: Run, host: str) -> str:
    """Why a device is trusted, or not."""
    told = run.enrolments.get(host, {})
    rung = (told.get("verdict") or {}).get("rung", "")
    return _BELIEVED.get(rung, rung) or str(told.get("reason") or _NOTHING)


def _word(resource: Event) -> str:
    """The everyday name of a resource of the reference profile; for a file, the last part of its path."""
    kind, thing = resource["kind"], str(resource["object"])
    if kind == _HIERARCHY:
        return f"{thing} auth"
    return "certificates" if kind == _CERTIFICATE else _WORDS.get(thing, thing.rpartition("/")[2])
