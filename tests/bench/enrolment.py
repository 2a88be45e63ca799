# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What enrolling costs: the TPM's commands, the controller's CPU time by what it is spent on, and Ansible's own; a section of docs/benchmarks.md."""

from __future__ import annotations

import collections
import contextlib
import pathlib
import resource
import statistics
import time
import typing as t

import report
from support import enroll, enrolling, lab_ca, places
from support.controller import Controller, said, totals
from support.factory import Line, Vendor
from support.proxy import Proxy
from support.swtpm import Swtpm, copy_state

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import Challenge
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import ladder

HERE = pathlib.Path(__file__).parent
TITLES = {
    "facts": "facts (`tpm2_info`)",
    "profile": "profile (`tpm2_profile`)",
    "collect": "enrolling, first exchange",
    "activate": "enrolling, second exchange",
    "handover": "what is sealed, handed over (`tpm2_profile` with `session_key`)",
}
# What the controller spends its time on: where that is in the code.
PARTS: dict[str, list[tuple[t.Any, str]]] = {
    "CA key and trust bundle read": [(settings, "trust_policy"), (settings, "issuer")],
    "the device's answers taken apart": [(answers, "collected"), (answers, "signed")],
    "verdict over the EK and its certificate": [(ladder, "judge")],
    "MakeCredential": [(Challenge, "__init__")],
    "checks of keys, attestations and proof": [
        (Challenge, "check"),
        *((evidence_checks, name) for name in vars(evidence_checks) if name.startswith("check_")),
    ],
    "certificates": [(certify, "subject"), (certify, "issue")],
    "birth record": [(certify, "birth_record")],
    "registry opened": [(enroll, "open_registry")],
    "registry read and written": [(Registry, name) for name in ("find", "check", "enroll", "close_incidents")],
}
EXCHANGES = "exchanges"


class Clock:
    """CPU time of this process by part; what is inside another part counts for the outer one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = collections.defaultdict(float)
        self._inside = False

    def timed(self, part: str, work: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
        """The same function, whose time is kept."""

        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            if self._inside:
                return work(*arguments, **options)
            self._inside, began = True, time.process_time()
            try:
                return work(*arguments, **options)
            finally:
                self.spent[part] += time.process_time() - began
                self._inside = False

        return call

    @contextlib.contextmanager
    def watching(self) -> t.Iterator[None]:
        """Keep the time of all parts meanwhile."""
        before = [(owner, name, getattr(owner, name)) for rows in PARTS.values() for owner, name in rows]
        for part, rows in PARTS.items():
            for owner, name in rows:
                setattr(owner, name, self.timed(part, getattr(owner, name)))
        try:
            yield
        finally:
            for owner, name, work in before:
                setattr(owner, name, work)


def commands(folder: pathlib.Path, vendor: Vendor) -> dict[str, str]:
    """The TPM commands of a first run, without and with an LDevID, and of a second one."""
    walk, again = _walk(folder / "plain", vendor)
    local, _again = _walk(folder / "ldevid", vendor, local=enroll.local_key())
    rows = [f"| {title} | {len(_once(walk, step))} | {_named(_once(walk, step))} |" for step, title in TITLES.items()]
    more = collections.Counter(local.added) - collections.Counter(walk.added)
    asked = f"The TPM asked for {_named(walk.repeated)} again, which is not counted: swtpm does so for its first ECDSA signature after power-on."
    return {
        "commands": "\n".join(rows),
        "added": str(len(walk.added)),
        "repeated": asked if walk.repeated else "The TPM asked for none again.",
        "ldevid": str(sum(more.values())),
        "ldevid_commands": ", ".join(f"{count} {name[5:]}" if count > 1 else name[5:] for name, count in sorted(more.items())),
        "noop": str(again),
    }


def _walk(folder: pathlib.Path, vendor: Vendor, **changes: t.Any) -> tuple[enrolling.Walk, int]:
    """A device enrolled; and how many commands it takes to find that it is."""
    (folder / "files").mkdir(parents=True)
    with contextlib.closing(_tpm(folder, vendor)) as tpm, Proxy(tpm) as proxy:
        walk = enrolling.Walk(proxy, places.require_python("venv"), enrolling.desk(folder, vendor))
        walk.provision(enrolling.reference(folder / "files"))
        walk.enroll(**changes)
        walk.hand_over(enrolling.secret(folder / "files"))
        proxy.reset()
        walk_again = walk.enroll(**changes)
        assert not walk_again.changed
        return walk, proxy.count()


def _tpm(folder: pathlib.Path, vendor: Vendor, name: str = "bench") -> Swtpm:
    tpm = Swtpm(folder / "tpm")
    copy_state(vendor.make(name), tpm.state_dir)
    tpm.start().extend_pcr(7)
    return tpm


def _once(walk: enrolling.Walk, step: str) -> list[str]:
    return [record.name for record in walk.steps[step] if record.rc not in enrolling.ASK_AGAIN]


def _named(names: t.Sequence[str]) -> str:
    """The names in order, without what all begin with; equal neighbours once, with their number."""
    rows: list[list[t.Any]] = []
    for name in names:
        if rows and rows[-1][0] == name:
            rows[-1][1] += 1
        else:
            rows.append([name, 1])
    return ", ".join(name.removeprefix("TPM2_") + (f" ({count})" if count > 1 else "") for name, count in rows)


def parts(folder: pathlib.Path, vendor: Vendor, devices: int) -> dict[str, str]:
    """The controller's CPU time within tpm2_enroll, in this process, by what it is spent on."""
    samples: list[dict[str, float]] = []
    files = lab_ca.write(folder / "ca")
    for number in range(devices + 1):
        here = folder / f"device{number}"
        (here / "files").mkdir(parents=True)
        with contextlib.closing(_tpm(here, vendor)) as tpm, Proxy(tpm) as proxy:
            walk = enrolling.Walk(proxy, places.require_python("venv"), enrolling.desk(here, vendor))
            walk.provision(enrolling.reference(here / "files"))
            samples.append(_sample(walk, vendor, files))
    spent = {
        part: statistics.median(sample[part] for sample in samples[1:]) for part in samples[0]
    }  # the first one imports and makes tables
    rows = [f"| {part} | {1000 * value:.1f} |" for part, value in spent.items()]
    return {"parts": "\n".join([*rows, f"| all | {1000 * sum(spent.values()):.1f} |"]), "issuing": f"{1000 * spent['certificates']:.1f}"}


def _sample(walk: enrolling.Walk, vendor: Vendor, files: lab_ca.Files) -> dict[str, float]:
    clock = Clock()
    with walk.desk.registry():
        pass  # its schema is made once in its life
    with clock.watching():
        began = time.process_time()
        policy, ca = settings.trust_policy(vendor.trust), settings.issuer(files.options)
        walk.enroll(timed=lambda exchange: clock.timed(EXCHANGES, exchange), policy=policy, ca=ca)
        whole = time.process_time() - began
    assert walk.outcome is not None and walk.outcome.changed
    known = {part: clock.spent[part] for part in PARTS}
    return {**known, "the rest": whole - clock.spent[EXCHANGES] - sum(known.values())}


class Plays:
    """A line of devices that are provisioned and not enrolled, and plays over it whose CPU time is kept apart: the controller's, the devices'."""

    def __init__(self, folder: pathlib.Path, vendor: Vendor, devices: int) -> None:
        self.log = folder / "times"
        python = folder / "python"
        # What a device's interpreter has used, in the shell's words: one line for itself, one for its children.
        python.write_text(f'#!/bin/bash\n{places.require_python("venv")} "$@"\ncode=$?\ntimes >> {self.log}\nexit $code\n')
        python.chmod(0o755)
        self.line = Line(folder / "line", vendor, Controller(folder, str(places.venv() / "bin/ansible-playbook"), str(python)))
        try:
            for number in range(devices):
                self.line.put(f"device-{number:03}", state=vendor.make(f"bench-{number}"))
        except BaseException:
            self.line.close()
            raise

    def play(self, *arguments: str, registry: str = "") -> tuple[float, float]:
        """CPU seconds of controller and devices, for each device."""
        self.log.write_text("")
        self.line.registry = registry or self.line.registry
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = self.line.play(str(HERE / "enrol.yml"), *arguments)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.returncode == 0 and len(totals(done)) == len(self.line.units), said(done)
        whole = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        device = sum(_seconds(word) for line in self.log.read_text().splitlines()[1::2] for word in line.split())
        return (whole - device) / len(self.line.units), device / len(self.line.units)


def _seconds(word: str) -> float:
    """The shell's 0m0.123s."""
    minutes, _m, seconds = word.rstrip("s").partition("m")
    return 60 * float(minutes) + float(seconds)


def plays(folder: pathlib.Path, vendor: Vendor, devices: int, rounds: int) -> dict[str, str]:
    """By ansible-playbook: what enrolling, and recognising, takes more than the same play without."""
    made = Plays(folder, vendor, devices)
    try:
        made.play("--skip-tags", "enroll")
        samples = []
        for number in range(rounds):
            registry = str(folder / f"{number}.sqlite")
            samples.append((made.play("--skip-tags", "enroll"), made.play(registry=registry), made.play(registry=registry)))
    finally:
        made.line.close()
    rows = [
        _row("facts and profile, no-op", [without for without, _enrolling, _known in samples]),
        _row("enrolling: more by", [_minus(enrolling_, without) for without, enrolling_, _known in samples]),
        # No module runs for it: what is measured on the devices' side is noise.
        _row("an enrolled device recognised: more by", [(known[0] - without[0], 0.0) for without, _enrolling, known in samples]),
    ]
    return {"plays": "\n".join(rows)}


def _minus(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    return one[0] - other[0], one[1] - other[1]


def _row(title: str, samples: t.Sequence[tuple[float, float]]) -> str:
    controller, device = (1000 * statistics.median(sample[at] for sample in samples) for at in (0, 1))
    return f"| {title} | {controller:.0f} | {device:.0f} |"


def section(folder: pathlib.Path, devices: int, rounds: int) -> str:
    """The section, measured."""
    vendor = Vendor(folder / "vendor")
    values = {
        "devices": str(devices),
        "rounds": str(rounds),
        **commands(folder / "commands", vendor),
        **parts(folder / "parts", vendor, devices),
    }
    (folder / "plays").mkdir()
    values.update(plays(folder / "plays", vendor, devices, rounds))
    return report.filled("enrolment.md", values)


__all__ = ("section",)
