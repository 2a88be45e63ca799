# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmark compares is comparable: each way finds the state that the other made, and the page says what was measured."""

from __future__ import annotations

import os
import pathlib
import subprocess

from bench.fleet import TELEMETRY_KEY, Sample, Variant, device_variables, play
from bench.report import NOT_MEASURED, SECTIONS, Count, section, table, with_section
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
    assert [section(text, name) for name in SECTIONS] == [NOT_MEASURED] * len(SECTIONS)
    rows = {
        cells[1]: cells[2:-1]
        for line in said.splitlines()
        if (cells := [cell.strip() for cell in line.split("|")])[0:1] == [""] and len(cells) == 8
    }
    commands, sessions, connections, programs, sent = rows["`tpm2_profile`, one task"]
    assert [commands, sessions, connections, programs] == ["8", "0", "1", "1"] and int(sent.replace(",", "")) <= 12 << 10
    assert rows["the same with `execution: device`"][:4] == ["8", "0", "1", "1"]


def test_first_runs_over_ssh_and_many_devices_are_written_into_their_parts_of_the_page(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((places.ROOT / "docs/benchmarks.md").read_text())
    before = page.read_text()
    bench(page, "first-run", "scale")
    text = page.read_text()
    ways = {line.split("|")[1].strip(): line.split("|")[4:6] for line in section(text, "first-run").splitlines() if "execution: " in line}
    # A first run from the controller takes two exchanges and a relay that stays, and no command more than the module's.
    assert ways == {
        "from the controller (`execution: controller`)": [" 30 ", " 3 "],
        "by the module on the device (`execution: device`)": [" 30 ", " 1 "],
    }
    assert [line.split("|")[2].strip() for line in section(text, "scale").splitlines() if "`, " in line or ".yml" in line] == [
        "2",
        "2",
        "2",
    ]
    for name in SECTIONS:
        text, before = with_section(text, name, ""), with_section(before, name, "")
    assert text == before


def test_what_enrolling_costs_is_written_into_its_part_of_the_page(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text((places.ROOT / "docs/benchmarks.md").read_text())
    before = page.read_text()
    said = bench(page, "enrolment")
    text = page.read_text()
    assert (
        with_section(text, "enrolment", "") == with_section(before, "enrolment", "") and section(text, "enrolment").strip() == said.strip()
    )
    assert "Enrolling adds 20 (at most 20 are allowed)." in text and "An LDevID adds 9:" in text
    assert "On a device that is enrolled, enrolling adds 0:" in text


def test_the_ratios_are_those_of_each_round() -> None:
    variants = [Variant(name, name, ok=1) for name in ("seeds", "fine", "profile", "device", "ping", "empty")]
    samples = {
        "seeds": [Sample(80, 60), Sample(160, 60), Sample(90, 60)],
        "fine": [Sample(50, 60), Sample(50, 60), Sample(50, 60)],
        "profile": [Sample(10, 12), Sample(20, 12), Sample(10, 12)],
        "device": [Sample(30, 22), Sample(30, 22), Sample(30, 22)],
        "ping": [Sample(5, 6), Sample(5, 6), Sample(5, 6)],
        "empty": [Sample(1, 2), Sample(1, 2), Sample(1, 2)],
    }
    text = table(variants, samples, {"profile": Count(8, 0, 1, 1, 9000)}, devices=10)
    assert "| wall time, 29 tasks : `tpm2_profile` | at least 12 | 15 | 8.0 |" in text
    assert "| CPU a device over the empty play, `tpm2_profile` : one `ping` | at most 0.35 | 0.25 | 2.50 |" in text
    assert "| the same, `execution: device` : one `ping` | | | 5.00 |" in text
    assert "| profile | 10.00 | 10.00 to 20.00 | 12.00 | 1.000 |" in text
    assert "| profile | 8 | 0 | 1 | 1 | 9,000 |" in text
