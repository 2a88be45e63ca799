# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark: a no-op over a fleet, written six ways, interleaved in one window; first runs over SSH; what enrolling costs; and many devices.

Prints and writes docs/benchmarks.md. Without an argument all but "scale", which takes half an hour; with names of parts those alone, and what the
page says of the others stays.
"""

from __future__ import annotations

import os
import pathlib
import sys
import tempfile
import typing as t

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import report
from fleet import Fleet, Sample, Variant, python
from support import places
from support.proxy import Proxy
from support.recorder import Recorder

VARIANTS = [
    Variant("seeds", "29 command and shell tasks with tpm2-tools", ok=10, skipped=19),
    Variant("fine", "ten modules, one resource each", ok=10),
    Variant("profile", "`tpm2_profile`, one task", ok=1),
    Variant("device", "the same with `execution: device`", ok=1, file="profile", arguments=("-e", "execution=device")),
    Variant("ping", "one `ansible.builtin.ping`", ok=1),
    Variant("empty", "an empty play", ok=0),
]


def main() -> None:
    """Measure, print, write."""
    chosen = sys.argv[1:] or [name for name in PARTS if name != "scale"]
    if not set(chosen) <= PARTS.keys():
        sys.exit(f"usage: tests/bench/run {' '.join(f'[{name}]' for name in PARTS)}")
    output = pathlib.Path(os.environ.get("OUTPUT") or places.ROOT / "docs/benchmarks.md")
    places.python_path()
    with tempfile.TemporaryDirectory(prefix="edgefleet-bench-") as folder:
        for name in PARTS:
            if name in chosen:
                made = pathlib.Path(folder) / name
                made.mkdir()
                PARTS[name](made, output)
    _say(f"written to {output}")


def _number(name: str, default: int) -> int:
    return int(os.environ.get(name) or default)


def _busy() -> bool:
    return os.getloadavg()[0] > (os.cpu_count() or 1) / 2


def _no_op(folder: pathlib.Path, output: pathlib.Path) -> None:
    rounds, devices, busy = _number("ROUNDS", 5), _number("DEVICES", 10), _busy()
    _say(f"starting {devices} software TPMs with the reference profile")
    fleet = Fleet(folder, devices)
    try:
        counts = {variant.name: _count(fleet, variant) for variant in VARIANTS if variant.name != "empty"}
        samples = _measure(fleet, rounds)
    finally:
        fleet.close()
    text = report.table(VARIANTS, samples, counts, devices)
    print(text)
    before = output.read_text() if output.exists() else ""
    output.write_text(report.with_sections(report.page(text, rounds, devices, busy=busy), before))


def _first_run(folder: pathlib.Path, output: pathlib.Path) -> None:
    import first

    rounds, devices, busy = _number("ROUNDS", 5), _number("DEVICES", 10), _busy()
    _write(output, "first-run", first.section(folder, devices, rounds, busy=busy, say=_say))


def _scale(folder: pathlib.Path, output: pathlib.Path) -> None:
    import scale

    numbers = [int(word) for word in (os.environ.get("DEVICES") or "1000").split()]
    numbers = numbers if len(numbers) == len(scale.RUNS) else numbers[:1] * len(scale.RUNS)
    _write(output, "scale", scale.section(folder, numbers, busy=_busy(), say=_say))


def _enrolment(folder: pathlib.Path, output: pathlib.Path) -> None:
    sys.path.insert(0, str(places.COLLECTIONS))
    import enrolment  # only this needs the collection itself

    rounds, devices = _number("ROUNDS", 3), _number("DEVICES", 10)
    _say(f"enrolling {devices} software TPMs")
    _write(output, "enrolment", enrolment.section(folder, devices, rounds))


def _write(output: pathlib.Path, name: str, text: str) -> None:
    print(text)
    output.write_text(report.with_section(output.read_text(), name, text))


PARTS: dict[str, t.Callable[[pathlib.Path, pathlib.Path], None]] = {
    "no-op": _no_op,
    "first-run": _first_run,
    "enrolment": _enrolment,
    "scale": _scale,
}


def _count(fleet: Fleet, variant: Variant) -> report.Count:
    """What one device sees of a no-op; also a warm-up that fills caches."""
    recorder = Recorder(fleet.folder / f"python-{variant.name}", python())
    with Proxy(fleet.devices[0]) as proxy:
        fleet.play(variant, [proxy.tcti], ansible_python_interpreter=str(recorder.python))
        return report.count(proxy, recorder)


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
