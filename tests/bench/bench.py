# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark: a no-op over a fleet, written five ways, interleaved in one window; prints a table and writes docs/benchmarks.md."""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import report
from fleet import Fleet, Sample, Variant
from support import places
from support.proxy import Proxy

VARIANTS = [
    Variant("seeds", "29 command and shell tasks with tpm2-tools", ok=10, skipped=19),
    Variant("fine", "ten modules, one resource each", ok=10),
    Variant("profile", "`tpm2_profile`, one task", ok=1),
    Variant("ping", "one `ansible.builtin.ping`", ok=1),
    Variant("empty", "an empty play", ok=0),
]


def main() -> None:
    """Measure, print, write."""
    rounds, devices = int(os.environ.get("ROUNDS") or 5), int(os.environ.get("DEVICES") or 10)
    output = pathlib.Path(os.environ.get("OUTPUT") or places.ROOT / "docs/benchmarks.md")
    places.python_path()
    busy = os.getloadavg()[0] > (os.cpu_count() or 1) / 2
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        _say(f"starting {devices} software TPMs with the reference profile")
        fleet = Fleet(pathlib.Path(folder), devices)
        try:
            counts = {variant.name: _count(fleet, variant) for variant in VARIANTS if variant.name not in ("ping", "empty")}
            samples = _measure(fleet, rounds)
        finally:
            fleet.close()
    text = report.table(VARIANTS, samples, counts, devices)
    print(text)
    output.write_text(report.page(text, rounds, devices, busy=busy))
    _say(f"written to {output}")


def _count(fleet: Fleet, variant: Variant) -> report.Count:
    """The TPM commands of one device's no-op; also a warm-up that fills caches."""
    with Proxy(fleet.devices[0]) as proxy:
        fleet.play(variant, [proxy.tcti])
        return report.Count(proxy.count(), len(proxy.sessions()), proxy.connections)


def _measure(fleet: Fleet, rounds: int) -> dict[str, list[Sample]]:
    """Every variant once in each round; each round begins with another one, so that none always follows the same."""
    samples: dict[str, list[Sample]] = {variant.name: [] for variant in VARIANTS}
    for number in range(rounds):
        start = number % len(VARIANTS)
        for variant in VARIANTS[start:] + VARIANTS[:start]:
            sample = fleet.play(variant)
            samples[variant.name].append(sample)
            _say(f"round {number + 1} of {rounds}: {variant.name:8} {sample.wall:6.2f} s, CPU {sample.cpu:6.2f} s")
    return samples


def _say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
