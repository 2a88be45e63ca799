# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""First runs over SSH, from the controller and by the module on the device; a section of docs/benchmarks.md."""

from __future__ import annotations

import os
import pathlib
import shutil
import statistics
import typing as t

import report
from fleet import TELEMETRY_KEY, Sample, Variant, play, python
from ssh import Sshd
from support import profile
from support.proxy import Proxy
from support.recorder import Recorder
from support.swtpm import Swtpm

VARIANT = Variant("first", "", ok=1, changed=1)
WAYS = {"controller": "from the controller (`execution: controller`)", "device": "by the module on the device (`execution: device`)"}
Say = t.Callable[[str], None]


class Blanks:
    """Devices with blank software TPMs, which are blank again before each run."""

    def __init__(self, folder: pathlib.Path, count: int, sshd: Sshd) -> None:
        self.folder, self._sshd = folder, sshd
        self._blank = folder / "blank"
        with Swtpm(self._blank) as tpm:
            tpm.stop()
        self.devices = [Swtpm(folder / f"tpm{number}") for number in range(count)]

    def close(self) -> None:
        """End the TPMs."""
        for device in self.devices:
            device.close()

    def _reset(self) -> None:
        for number, device in enumerate(self.devices):
            shutil.rmtree(self._files(number), ignore_errors=True)
            self._files(number).mkdir()
            device.restore(self._blank, measured_boot=False).extend_pcr(7)

    def _files(self, number: int) -> pathlib.Path:
        return self.folder / f"files{number}"

    def play(self, way: str, tctis: t.Sequence[str] | None = None, device_python: str = "") -> Sample:
        """Run all devices for the first time, or the first ones through these TCTIs and with this Python."""
        self._reset()
        hosts = {
            f"device{number}": {
                **self._sshd.host(number),
                "ansible_python_interpreter": device_python or python(),
                "tcti": tcti,
                "execution": way,
                "resources": profile.quick(profile.reference(profile.SERIAL, TELEMETRY_KEY, self._files(number))),
            }
            for number, tcti in enumerate(tctis or [device.tcti for device in self.devices])
        }
        return play(VARIANT, hosts, self.folder, self._sshd.settings)

    def count(self, way: str) -> report.Count:
        """What one device sees of a first run."""
        recorder = Recorder(self.folder / f"python-{way}", python())
        with Proxy(self.devices[0]) as proxy:
            self.play(way, [proxy.tcti], str(recorder.python))
            return report.count(proxy, recorder)


def section(folder: pathlib.Path, devices: int, rounds: int, *, busy: bool, say: Say) -> str:
    """The section, measured. ``busy``: the machine had other work when it began."""
    with Sshd(folder / "ssh", devices) as sshd:
        blanks = Blanks(folder, devices, sshd)
        try:
            counts = {way: blanks.count(way) for way in WAYS}
            # Opens the connections.
            blanks.play("controller")
            samples: dict[str, list[Sample]] = {way: [] for way in WAYS}
            for number in range(rounds):
                for way in list(WAYS)[:: 1 if number % 2 else -1]:
                    samples[way].append(blanks.play(way))
                    say(f"round {number + 1} of {rounds}: first run, {way:10} {samples[way][-1].wall:6.2f} s")
        finally:
            blanks.close()
    rows = [_row(way, report.walls(samples, way), counts[way]) for way in WAYS]
    values = {
        "devices": str(devices),
        "rounds": str(rounds),
        "cores": str(os.cpu_count()),
        "load": "yes" if busy else "no",
        "rows": "\n".join(rows),
        "ratio": f"{report.ratio(report.walls(samples, 'controller'), report.walls(samples, 'device')):.2f}",
    }
    return report.filled("first.md", values)


def _row(way: str, found: t.Sequence[float], count: report.Count) -> str:
    span = f"{statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f}"
    return f"| {WAYS[way]} | {span} | {count.commands} | {count.programs} | {count.sent:,} |"


__all__ = ("section",)
