# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark: a no-op over a fleet, written five ways, interleaved in one window; and what enrolling costs. Prints and writes docs/benchmarks.md.

Without an argument both; with "no-op" or "enrolment" that alone, and what the page says of the other one stays.
"""

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
    chosen = sys.argv[1:] or ["no-op", "enrolment"]
    if not set(chosen) <= {"no-op", "enrolment"}:
        sys.exit("usage: tests/bench/run [no-op] [enrolment]")
    output = pathlib.Path(os.environ.get("OUTPUT") or places.ROOT / "docs/benchmarks.md")
    places.python_path()
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        if "no-op" in chosen:
            _no_op(pathlib.Path(folder) / "no-op", output)
        if "enrolment" in chosen:
            _enrolment(pathlib.Path(folder) / "enrolment", output)
    _say(f"written to {output}")


def _no_op(folder: pathlib.Path, output: pathlib.Path) -> None:
    rounds, devices = int(os.environ.get("ROUNDS") or 5), int(os.environ.get("DEVICES") or 10)
    busy = os.getloadavg()[0] > (os.cpu_count() or 1) / 2
    _say(f"starting {devices} software TPMs with the reference profile")
    folder.mkdir()
    fleet = Fleet(folder, devices)
    try:
        counts = {variant.name: _count(fleet, variant) for variant in VARIANTS if variant.name not in ("ping", "empty")}
        samples = _measure(fleet, rounds)
    finally:
        fleet.close()
    text = report.table(VARIANTS, samples, counts, devices)
    print(text)
    before = report.section(output.read_text()) if output.exists() else report.NOT_MEASURED
    output.write_text(report.with_section(report.page(text, rounds, devices, busy=busy), before))


def _enrolment(folder: pathlib.Path, output: pathlib.Path) -> None:
    sys.path.insert(0, str(places.COLLECTIONS))
    import enrolment  # only this needs the collection itself

    rounds, devices = int(os.environ.get("ROUNDS") or 3), int(os.environ.get("DEVICES") or 10)
    _say(f"enrolling {devices} software TPMs")
    folder.mkdir()
    text = enrolment.section(folder, devices, rounds)
    print(text)
    output.write_text(report.with_section(output.read_text(), text))


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
