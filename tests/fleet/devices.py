# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many devices of one vendor, and controllers that enroll them, each a process of its own with an inventory of its own."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import resource
import subprocess
import sys
import time
import typing as t

from support import places
from support.controller import Controller, cores
from support.factory import Line, Unit, Vendor
from support.swtpm import Swtpm, copy_state

sys.path.insert(0, str(places.ROOT / "demo"))
from lab import authority

DEVICES = int(os.environ.get("DEVICES") or 100)
FORKS = int(os.environ.get("FORKS") or 10)
PLAYBOOK = str(pathlib.Path(__file__).with_name("enroll.yml"))
# At this level swtpm writes such a line for every command that it is sent, whoever sends it.
LOG_LEVEL, COMMAND = 2, b"SWTPM_IO_Read:"
Done = subprocess.CompletedProcess[str]


class Step:
    """Prints what a part of a test took, for whoever reads it; nothing is held to it."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> Step:
        self._began, self._used = time.monotonic(), _cpu()
        return self

    def __exit__(self, *_exc: object) -> None:
        print(f"==> {self.what}: {time.monotonic() - self._began:.1f} s, CPU of what it started {_cpu() - self._used:.1f} s", flush=True)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def manufacture(vendor: Vendor, names: t.Sequence[str]) -> None:
    """Make TPMs, several at a time: most of it is waiting."""
    vendor.make(names[0])  # makes the vendor's CA too
    with concurrent.futures.ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        list(pool.map(lambda name: _manufacture(vendor, name), names[1:]))


def _manufacture(vendor: Vendor, name: str) -> None:
    state, apart = vendor.folder / "states" / name, vendor.folder / "apart" / name
    if not state.exists():
        # In a folder of its own, for the log beside it.
        authority.manufacture(setup_conf=vendor.folder / "ca/setup.conf", name=name, tpm_dir=apart / name)
        (apart / name).rename(state)


class Fleet(Line):
    """A line whose devices count the commands that their TPMs are sent."""

    def put_all(self, names: t.Iterable[str]) -> None:
        """Put them on the line; their TPMs have been made."""
        for name in names:
            folder = self.folder / name
            (folder / "files").mkdir(parents=True)
            tpm = Swtpm(folder / "tpm", log_level=LOG_LEVEL)
            self.units[name] = Unit(tpm, folder / "files", name, f"EF-{name.upper()}")
            copy_state(self.vendor.folder / "states" / name, tpm.state_dir)
            tpm.start().extend_pcr(7)

    def commands(self) -> dict[str, int]:
        """How many TPM commands each device has been sent since it was started."""
        return {name: unit.swtpm.log.read_bytes().count(COMMAND) for name, unit in self.units.items()}


class Slice(t.NamedTuple):
    """A controller and its part of a line."""

    fleet: Fleet
    controller: Controller
    names: t.Sequence[str]

    def run(self, names: t.Sequence[str] | None = None) -> Done:
        """Enroll the devices."""
        variables = self.fleet.variables
        hosts = {name: {**variables, **self.fleet.units[name].host} for name in (names or self.names)}
        return self.controller(PLAYBOOK, hosts, "--forks", str(FORKS))


def slices(fleet: Fleet, python: str, parts: t.Mapping[str, t.Sequence[str]]) -> list[Slice]:
    """A controller for each part of a line."""
    made = []
    for name, devices in parts.items():
        folder = fleet.folder / name
        folder.mkdir()
        controller = Controller(folder, cores()[-1]["ansible_playbook"], python)
        controller.cold = True
        made.append(Slice(fleet, controller, devices))
    return made


def at_once(work: t.Callable[..., Done], *arguments: t.Sequence[t.Any]) -> list[Done]:
    """Do it with each of the arguments, all at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(arguments[0])) as pool:
        return list(pool.map(work, *arguments))
