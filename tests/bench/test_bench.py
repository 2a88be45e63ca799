# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark compares is comparable: each way finds the state that the other made, and the page says what was measured."""

from __future__ import annotations

import os
import pathlib
import subprocess

from bench.fleet import TELEMETRY_KEY, Sample, Variant, device_variables, play
from bench.report import NOT_MEASURED, Count, section, table, with_section
from support import module, places, profile
from support.swtpm import Swtpm


def test_the_29_tasks_make_what_tpm2_profile_declares(swtpm: Swtpm, device_dir: pathlib.Path, tmp_path: pathlib.Path) -> None:
    hosts = {"device": device_variables(swtpm.tcti, device_dir)}
    play(Variant("seeds", "", ok=29, changed=19), hosts, tmp_path)
    play(Variant("seeds", "", ok=10, skipped=19), hosts, tmp_path)

    resources = profile.reference(profile.SERIAL, TELEMETRY_KEY, device_dir)
    result = module.run("tpm2_profile", {"tcti": swtpm.tcti, "resources": resources}, python=places.require_python("venv")).expect_ok()
    assert [(one["object"], one["state"]) for one in result["resources"] if one["state"] != "ok"] == []
    assert result["changed"] is False


def bench(page: pathlib.Path, *parts: str) -> str:
    environment = {**os.environ, "ROUNDS": "1", "DEVICES": "2", "OUTPUT": str(page)}
    done = subprocess.run([str(places.ROOT / "tests/bench/run"), *parts], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "@" not in page.read_text().replace("@edgefleet", "")
    return done.stdout


def test_a_whole_benchmark_over_two_devices(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "benchmarks.md"
    said = bench(page, "no-op")
    text = page.read_text()
    assert section(text) == NOT_MEASURED
    row = next(line for line in text.splitlines() if line.startswith("| `tpm2_profile`"))
    assert [cell.strip() for cell in row.split("|")][-4:-1] == ["8", "0", "1"]
    assert row in said


def test_what_enrolling_costs_is_written_into_its_part_of_the_page(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((places.ROOT / "docs/benchmarks.md").read_text())
    before = page.read_text()
    said = bench(page, "enrolment")
    text = page.read_text()
    assert with_section(text, "") == with_section(before, "") and section(text).strip() == said.strip()
    assert "Enrolling adds 20 (at most 20 are allowed)." in text and "An LDevID adds 9:" in text
    assert "On a device that is enrolled, enrolling adds 0:" in text


def test_the_ratios_are_those_of_each_round() -> None:
    variants = [Variant(name, name, ok=1) for name in ("seeds", "fine", "profile", "ping", "empty")]
    samples = {
        "seeds": [Sample(80, 60), Sample(160, 60), Sample(90, 60)],
        "fine": [Sample(50, 60), Sample(50, 60), Sample(50, 60)],
        "profile": [Sample(10, 12), Sample(20, 12), Sample(10, 12)],
        "ping": [Sample(5, 6), Sample(5, 6), Sample(5, 6)],
        "empty": [Sample(1, 2), Sample(1, 2), Sample(1, 2)],
    }
    text = table(variants, samples, {"profile": Count(8, 0, 1)}, devices=10)
    assert "| wall time, 29 tasks : `tpm2_profile` | at least 7 | 8.0 |" in text
    assert "| CPU a device over the empty play, `tpm2_profile` : one `ping` | at most 1.1 | 2.50 |" in text
    assert "| profile | 10.00 | 10.00 to 20.00 | 12.00 | 1.00 | 8 | 0 | 1 |" in text
