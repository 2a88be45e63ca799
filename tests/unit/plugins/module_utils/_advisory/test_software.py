# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Software with published holes: every one with a version that has it, one that has not, and one of which we cannot know."""

from __future__ import annotations

import datetime
import itertools
import subprocess

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import software
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.software import Hole
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.verdicts import (
    AFFECTED,
    ERROR,
    NOT_AFFECTED,
    UNKNOWN,
    VERDICTS,
    WARNING,
)

# By hole: versions of each verdict. A hole that is not here fails the first test.
CASES: dict[str, dict[str, list[str]]] = {
    "GHSA-q759-vqg7-8rc5": {
        AFFECTED: ["4.1.3", "4.0.2", "4.0.9", "3.2.1", "2.4.6", "4.2.0-rc1", "4.1"],
        NOT_AFFECTED: ["4.1.4", "4.1.5", "4.2.0", "4.2", "5.0", "4.1.4-1", "1:4.2.0-1.fc44", "4.1.4-1~bpo13+1", "4.2.0-r0"],
        UNKNOWN: ["4.1.3-1.2", "3.2.1-3", "4.0.1-7+deb12u1", "4.1.3+git20260701", "", "git", "unknown", "4.2.0rc1-1"],
    },
    "CVE-2024-29040": {
        AFFECTED: ["4.0.1", "3.2.3", "4.1.0-rc0", "4.1.0~rc1"],
        NOT_AFFECTED: ["4.0.2", "4.1.0", "4.1.3", "4.0.2-1", "4.2.0"],
        UNKNOWN: ["4.0.1-7.1", "3.2.3-1.el9", ""],
    },
    "CVE-2023-22745": {
        AFFECTED: ["3.2.1", "4.0.0", "2.4.6"],
        NOT_AFFECTED: ["4.0.1", "4.1.0", "4.0.1-1"],
        UNKNOWN: ["3.2.2", "3.2.3", "3.2.1-3"],
    },
    "CVE-2020-24455": {
        AFFECTED: ["3.0.0", "2.4.2"],
        NOT_AFFECTED: ["2.4.3", "3.1.0", "3.2.1-3"],
        UNKNOWN: ["3.0.1", "3.0.3-2", "2.3.2-5.el8"],
    },
    "GHSA-v7w4-4gc9-qcgv": {
        AFFECTED: ["5.7", "5.6.1", "5.4"],
        NOT_AFFECTED: ["5.7.1", "5.8", "5.8-1"],
        UNKNOWN: ["5.4-1", "5.7-1.fc43", "x"],
    },
    "CVE-2024-29038": {
        AFFECTED: ["5.6", "5.5.1", "5.4", "4.3.2"],
        NOT_AFFECTED: ["5.6.1", "5.7", "5.7-2build1"],
        UNKNOWN: ["5.4-1", "5.6-1build4"],
    },
    "CVE-2021-3565": {
        AFFECTED: ["5.1", "5.0", "4.3.1", "4.1.3"],
        NOT_AFFECTED: ["4.3.2", "5.1.1", "5.2", "5.4-1"],
        UNKNOWN: ["4.2-2", "5.0-8.el9"],
    },
    "abrmd-open-bus": {AFFECTED: ["2.4.1", "2.3.3"], NOT_AFFECTED: ["3.0.0", "3.0.0-1"], UNKNOWN: ["2.3.3-1+b1", "2.4.0-1build1"]},
    "CVE-2026-21444": {
        AFFECTED: ["0.10.0", "0.10.1", "0.10.0~rc1"],
        NOT_AFFECTED: ["0.9.2", "0.9.7", "0.10.2", "0.11.0", "0.9.2-3.1+deb12u1"],
        UNKNOWN: ["0.10.0-1", "0.10.1-1.fc42", ""],
    },
    "CVE-2025-49133": {
        AFFECTED: ["0.10.0", "0.9.6", "0.8.9", "0.7.3"],
        NOT_AFFECTED: ["0.7.12", "0.8.10", "0.9.7", "0.10.1", "0.10.2-1"],
        UNKNOWN: ["0.9.2-3.1+deb12u1", "0.9.6-3"],
    },
    "CVE-2023-1017": {
        AFFECTED: ["0.9.5", "0.9.0", "0.6.0"],
        NOT_AFFECTED: ["0.9.6", "0.10.0", "0.9.6-1"],
        UNKNOWN: ["0.8.9", "0.7.12", "0.9.2-3.1+deb12u1"],
    },
    "CVE-2026-1709": {
        AFFECTED: ["7.12.0", "7.12.1", "7.13.0"],
        NOT_AFFECTED: ["7.11.0", "7.12.2", "7.12.3", "7.13.1", "7.14.0", "6.3.2-1"],
        UNKNOWN: ["7.12.1-1.fc43", ""],
    },
    "CVE-2025-13609": {
        AFFECTED: ["7.12.1", "7.11.0", "6.5.3"],
        NOT_AFFECTED: ["7.13.0", "7.14.1-1"],
        UNKNOWN: ["7.12.2", "7.12.5", "7.12.1-4"],
    },
}
ALL = [
    (hole, verdict, version) for hole in software.HOLES for verdict, versions in CASES.get(hole.name, {}).items() for version in versions
]


def test_every_hole_has_cases_and_every_case_a_hole() -> None:
    assert sorted(hole.name for hole in software.HOLES) == sorted(CASES)
    assert all(set(cases) == set(VERDICTS) and all(cases.values()) for cases in CASES.values())


@pytest.mark.parametrize(("hole", "verdict", "version"), ALL, ids=[f"{hole.name}-{verdict}-{version}" for hole, verdict, version in ALL])
def test_the_verdict_on_a_version(hole: Hole, verdict: str, version: str) -> None:
    (found,) = [one for one in software.judge(hole.project, version) if one.name == hole.name]
    assert found.verdict == verdict, found.evidence
    assert found.object == f"{hole.project} {version}".strip()
    if verdict == NOT_AFFECTED:
        assert not found.remedy
    else:
        assert hole.fixed_in[-1] in found.remedy
    if verdict == AFFECTED:
        assert found.severity == hole.severity


def test_a_package_of_a_distribution_is_never_called_affected() -> None:
    for hole, (_verdict, version) in itertools.product(
        software.HOLES, [(one, two) for one in CASES.values() for two in sum(one.values(), [])]
    ):
        for revision in ("-1", "-3.1+deb12u1", "-0ubuntu1.22.04.1", "-7.el9_4", "-r0"):
            found = software.judge(hole.project, version + revision)
            assert AFFECTED not in {one.verdict for one in found}


def test_the_sentence_for_a_distribution_names_its_tracker() -> None:
    found = {one.name: one for one in software.judge("libtss2-esys-3.0.2-0", "3.2.1-3")}
    assert found["CVE-2024-29040"].verdict == UNKNOWN
    assert "security tracker" in found["CVE-2024-29040"].evidence
    assert found["CVE-2024-29040"].remedy.startswith("see whether your distribution has fixed it")


def test_where_the_sources_differ_the_sentence_says_from_where() -> None:
    (found,) = [one for one in software.judge("keylime", "7.12.3") if one.name == "CVE-2025-13609"]
    assert found.verdict == UNKNOWN and "do not say whether it is fixed from 7.12.2 on" in found.evidence


@pytest.mark.parametrize("hole", software.HOLES, ids=lambda hole: hole.name)
def test_a_hole_says_all_that_an_operator_needs(hole: Hole) -> None:
    assert hole.project in software.PROJECTS and hole.severity in (WARNING, ERROR)
    assert all((hole.title, hole.means, hole.source))
    assert datetime.date(2020, 1, 1) < datetime.date.fromisoformat(hole.checked) <= datetime.datetime.now(tz=datetime.UTC).date()
    bounds = [software.parse(version) for version in hole.fixed_in]
    assert bounds and all(bound is not None and bound.release and not bound.distribution for bound in bounds)
    keys = [bound.key for bound in bounds if bound]
    assert keys == sorted(set(keys))


@pytest.mark.parametrize(
    ("package", "project"),
    [
        ("tpm2-tss", "tpm2-tss"),
        ("libtss2-esys-3.0.2-0", "tpm2-tss"),
        ("libtss2-tcti-device0t64", "tpm2-tss"),
        ("tpm2-tss-devel", "tpm2-tss"),
        ("tpm2-tss-engine", None),
        ("libtss2-tcti-tabrmd0", None),
        ("tpm2-tools", "tpm2-tools"),
        ("tpm2.0-tools", "tpm2-tools"),
        ("tpm2-abrmd", "tpm2-abrmd"),
        ("libtpms0", "libtpms"),
        ("python3-keylime", "keylime"),
        ("keylime-agent-rust", None),
        ("swtpm", None),
        ("bash", None),
        ("", None),
    ],
)
def test_packages_belong_to_projects(package: str, project: str | None) -> None:
    assert software.project_of(package) == project
    assert bool(software.judge(package, "0.1")) == (project is not None)


# As dpkg orders them. Only upstream's part counts for us, so each is another upstream version.
ORDER = [
    "0.9.6",
    "0.10.0~rc1",
    "0.10.0",
    "0.10.1",
    "1.2",
    "1.2.1",
    "2.4.6",
    "3.0.0",
    "3.2.1",
    "4.0.2",
    "4.1.0~rc1",
    "4.1.0",
    "4.1.10",
    "10.0",
]


def test_versions_are_ordered_as_dpkg_orders_them() -> None:
    for one, other in itertools.pairwise(ORDER):
        subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=True)
        first, second = software.parse(one), software.parse(other)
        assert first is not None and second is not None and first.key < second.key


@pytest.mark.parametrize(
    ("text", "numbers", "release", "distribution"),
    [
        ("4.1.3", (4, 1, 3), True, False),
        (" v4.1.3\n", (4, 1, 3), True, False),
        ("4.1.0-rc0", (4, 1, 0), False, False),
        ("4.1.0rc1-1", (4, 1, 0), False, True),
        ("4.1.0~rc1-1ubuntu2", (4, 1, 0), False, True),
        ("1:4.1.3-1.2", (4, 1, 3), True, True),
        ("5.4-43-g123abc", (5, 4), True, True),
        ("0.9.2-3.1+deb12u1", (0, 9, 2), True, True),
        ("4.0.1+dfsg", (4, 0, 1), True, True),
        ("5.6.1.2.3", (5, 6, 1, 2), True, True),
    ],
)
def test_a_version_is_taken_apart(text: str, numbers: tuple[int, ...], release: bool, distribution: bool) -> None:
    assert software.parse(text) == software.Upstream(numbers, release, distribution)


@pytest.mark.parametrize("text", ["", "git", "-1", "~", "unknown", "1" * 5000, "٣.1"])
def test_what_is_no_version_is_none(text: str) -> None:
    assert software.parse(text) is None
