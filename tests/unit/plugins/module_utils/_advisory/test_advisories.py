# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advisories: every rule with a firmware that has the fault, one that has not, and one of which nobody says."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import advisories, advisory_rules, software_rules, verdicts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.verdicts import AFFECTED, ANY, NOT_AFFECTED, UNKNOWN, Rule
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.vendors import VENDORS

RULES = advisory_rules.RULES
Case = tuple[str, dict[str, t.Any]]
ZEN3: dict[str, t.Any] = {"cpu": (0x19, 0x50)}
AWAKE: dict[str, t.Any] = {"suspend": False}


def fw(*versions: str) -> list[Case]:
    return [(version, {}) for version in versions]


ZEN_2_AND_3 = ((0x17, 0x30), (0x17, 0x4F), (0x17, 0x71), (0x17, 0x91), (0x17, 0xAF), (0x19, 0x00), (0x19, 0x0F), (0x19, 0x5F))
OTHERS = (None, (0x17, 0x01), (0x17, 0x2F), (0x17, 0x50), (0x17, 0x92), (0x19, 0x10), (0x19, 0x61), (0x1A, 0x44), (6, 0x9E))

# By rule (name and vendor) and verdict: firmware as tpm2_info reports it, and what else is known. A rule that never says one of the
# three has an empty list and a reason; a rule that is not here fails the first test.
NOTHING_PUBLISHED: dict[str, list[Case]] = {AFFECTED: [], NOT_AFFECTED: [], UNKNOWN: fw("1.2.3.4", "0.0.0.0", "")}
CASES: dict[tuple[str, str], dict[str, list[Case]]] = {
    ("CVE-2017-15361", "IFX"): {
        # The build of an Infineon is the second word without its last byte: 7.40.8.12800 is 7.40.2098.
        AFFECTED: fw(
            "7.40.8.12800", "7.61.10.57600", "7.0.0.1", "5.61.0.1", "5.0.0.1", "4.33.0.1", "4.40.0.1", "4.42.0.1", "6.42.0.1", "133.32.0.1"
        ),
        NOT_AFFECTED: fw(
            "7.62.0.1",
            "7.85.17.51968",
            "5.62.0.1",
            "4.34.0.1",
            "4.39.0.1",
            "4.43.0.1",
            "6.43.0.1",
            "133.33.0.1",
            "13.11.0.1",
            "15.23.69.0",
            "26.13.69.27136",
        ),
        UNKNOWN: fw("3.1.0.1", "8.0.0.1", "99.0.0.1", "0.0.0.0", "", "7.40", "seven"),
    },
    ("CVE-2019-16863", "STM"): {
        AFFECTED: fw(*(f"{one}.17568.5511" for one in ("71.0", "71.4", "71.12", "73.0", "73.4", "73.8", "73.5", "73.9")))
        + fw(*(f"{one}.17568.5511" for one in ("74.0", "74.4", "74.8", "74.16", "74.5", "74.9"))),
        NOT_AFFECTED: fw(
            "71.16.0.1",
            "73.20.0.1",
            "73.64.0.1",
            "73.21.0.1",
            "73.65.0.1",
            "74.20.0.1",
            "74.64.0.1",
            "74.21.0.1",
            "74.65.0.1",
            "73.1.0.1",
            "74.17.0.0",
        ),
        UNKNOWN: fw("1.257.0.0", "72.0.0.1", "75.0.0.1", "0.0.0.0"),
    },
    ("CVE-2019-11090", "INTC"): {
        AFFECTED: fw(
            "11.8.50.3426",
            "11.8.64.9",
            "11.11.64.1",
            "11.22.64.1",
            "12.0.34.1",
            "13.0.1200.9",
            "14.0.9.1",
            "3.1.64.1",
            "4.0.4.100",
            "4.0.14.1",
            "4.1.4.82",
        ),
        NOT_AFFECTED: fw("11.8.70.1", "11.8.92.4222", "11.11.70.0", "11.22.70.0", "12.0.45.0", "3.1.70.0"),
        # Between the two published bounds; branches that the advisory does not name; the new numbering; a number of two products.
        UNKNOWN: fw("11.8.65.0", "11.8.69.9", "11.11.65.1", "11.22.69.0", "12.0.35.0", "12.0.44.9", "13.0.1201.1", "14.0.10.0", "3.1.65.0")
        + fw("403.1.0.0", "600.18.20.0", "4.0.4.101", "4.0.15.0", "4.1.4.83", "15.0.0.1", "11.9.0.0", "0.0.0.0"),
    },
    ("CVE-2020-25082", "NTC"): {
        AFFECTED: fw("7.2.0.1", "7.2.0.2", "7.2.1.0"),
        NOT_AFFECTED: fw("7.2.2.0", "7.2.3.1", "7.2.4.0"),
        UNKNOWN: fw("1.3.2.8", "7.1.0.0", "7.3.0.0", "0.0.0.0"),
    },
    ("CVE-2026-6923", "NTC"): {
        AFFECTED: fw("7.2.0.1", "7.2.3.1", "7.1.0.0"),
        NOT_AFFECTED: fw("7.2.4.0", "7.3.0.0"),
        UNKNOWN: fw("1.3.2.8", "8.0.0.0", "0.0.0.0"),
    },
    ("CVE-2023-1017", "NTC"): {
        AFFECTED: fw("1.3.0.1", "1.3.1.0", "1.3.2.8"),
        NOT_AFFECTED: fw("1.3.2.20", "7.2.0.1"),
        UNKNOWN: fw("1.3.2.9", "1.2.0.0", "1.4.0.0", "0.0.0.0"),
    },
    ("CVE-2025-2884", "IFX"): {
        AFFECTED: fw("15.21.64.0", "15.22.0.1", "15.20.0.0"),
        NOT_AFFECTED: fw("15.23.69.0", "15.24.0.0"),
        UNKNOWN: fw("7.85.17.51968", "16.13.0.1", "26.13.69.27136", "0.0.0.0"),
    },
    ("CVE-2025-2884", "NTC"): {
        AFFECTED: [],  # which versions are is not published
        NOT_AFFECTED: fw("7.2.4.1", "7.2.5.0"),
        UNKNOWN: fw("7.2.3.1", "7.2.4.0", "7.2.4.2", "7.2.5.1", "7.3.0.0", "1.3.2.8", "0.0.0.0"),
    },
    ("faulTPM", "AMD"): {
        AFFECTED: [("3.92.0.5", {"cpu": cpu}) for cpu in ZEN_2_AND_3],
        NOT_AFFECTED: [],  # the paper clears nobody
        UNKNOWN: [("3.92.0.5", {"cpu": cpu}) for cpu in OTHERS],
    },
    ("amd-ftpm-attestation", "AMD"): {
        AFFECTED: fw("3.92.0.5", "3.0.0.1", "3.46.0.0"),
        NOT_AFFECTED: fw("3.92.2.5", "6.24.0.6", "6.0.2.1"),
        UNKNOWN: fw("3.92.1.5", "5.0.0.1", "7.0.0.0", "0.0.0.0"),
    },
    ("slb9670-policysecret", "IFX"): {
        AFFECTED: fw("7.40.8.12800", "7.40.8.13055"),
        NOT_AFFECTED: fw("7.83.0.1", "7.85.17.51968"),
        UNKNOWN: fw("7.40.8.13056", "7.40.8.12799", "7.62.0.1", "0.0.0.0"),
    },
    ("CVE-2018-6622", ANY): {
        AFFECTED: [],
        NOT_AFFECTED: [("1.2.3.4", AWAKE), ("", AWAKE)],
        UNKNOWN: [("1.2.3.4", {"suspend": True}), ("1.2.3.4", {})],
    },
    ("slb9672-resume", "IFX"): {
        AFFECTED: [],
        NOT_AFFECTED: [("15.23.69.0", AWAKE)],
        UNKNOWN: [("15.23.69.0", {"suspend": True}), ("15.23.69.0", {})],
    },
    # What is published names no firmware: these never claim anything.
    ("CVE-2023-1017", ANY): NOTHING_PUBLISHED,
    ("CVE-2025-2884", ANY): NOTHING_PUBLISHED,
    ("CVE-2025-2884", "AMD"): NOTHING_PUBLISHED,
    ("CVE-2026-6726", ANY): NOTHING_PUBLISHED,
    ("CVE-2026-6726", "AMD"): NOTHING_PUBLISHED,
    ("CVE-2026-6726", "INTC"): NOTHING_PUBLISHED,
    ("CVE-2025-49133", "IBM"): NOTHING_PUBLISHED,
}
ALL = [(rule, verdict, *case) for rule in RULES for verdict, cases in CASES.get((rule.name, rule.vendor), {}).items() for case in cases]


def test_every_rule_has_cases_and_every_case_a_rule() -> None:
    assert len(RULES) == len({(rule.name, rule.vendor) for rule in RULES})
    assert {(rule.name, rule.vendor) for rule in RULES} == set(CASES)
    for rule in RULES:
        cases = CASES[rule.name, rule.vendor]
        assert set(cases) == set(verdicts.VERDICTS) and cases[UNKNOWN]
        # A verdict that the data can give has a case.
        can = (
            {one.verdict for one in rule.firmware}
            | ({AFFECTED} if rule.cpus else set())
            | ({NOT_AFFECTED} if rule.needs_suspend else set())
        )
        assert {verdict for verdict in (AFFECTED, NOT_AFFECTED) if cases[verdict]} == can


@pytest.mark.parametrize(
    ("rule", "verdict", "firmware", "known"), ALL, ids=[f"{one[0].name}-{one[0].vendor}-{one[1]}-{one[2]}" for one in ALL]
)
def test_the_verdict_of_a_rule(rule: Rule, verdict: str, firmware: str, known: dict[str, t.Any]) -> None:
    vendor = "XYZ" if rule.vendor == ANY else rule.vendor
    (found,) = [one for one in advisories.judge(vendor, firmware, rule.model, **known) if one.name == rule.name]
    assert found.verdict == verdict
    assert (found.severity == rule.severity) if verdict == AFFECTED else found.severity in ("info", "warning")
    assert bool(found.remedy) == (verdict != NOT_AFFECTED)
    if verdict == UNKNOWN:
        assert f"look at {rule.look_at}" in found.evidence


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.name}-{rule.vendor}")
def test_a_rule_says_all_that_an_operator_needs(rule: Rule) -> None:
    assert rule.vendor == ANY or rule.vendor in VENDORS
    assert rule.severity in (verdicts.ERROR, verdicts.WARNING, verdicts.INFO)
    assert all((rule.name, rule.title, rule.means, rule.remedy, rule.source, rule.look_at))
    assert datetime.date(2020, 1, 1) < datetime.date.fromisoformat(rule.checked) <= datetime.datetime.now(tz=datetime.UTC).date()
    assert "/work/" not in repr(rule) and "\n" not in repr(rule)
    for one in rule.firmware:
        assert one.verdict in (AFFECTED, NOT_AFFECTED), "what is unknown needs no range"
        assert bool(one.parts) != bool(one.first) and (one.parts or one.first < (one.below or (1 << 16,)))


@pytest.mark.parametrize(
    ("manufacturer", "firmware", "version"),
    [
        ("IFX", "7.40.8.12800", (7, 40, 2098)),
        ("IFX", "7.85.17.51968", (7, 85, 4555)),
        ("IFX\0", "15.23.69.0", (15, 23, 17664)),
        ("NTC", "7.2.2.0", (7, 2, 2, 0)),
        ("STM ", "73.8.17568.5511", (73, 8, 17568, 5511)),
        ("INTC", "11.8.50.3426", (11, 8, 50, 3426)),
        ("AMD", " 3.92.0.5\n", (3, 92, 0, 5)),
        ("AMD", "0.0.0.1", (0, 0, 0, 1)),
        ("AMD", "65535.0.0.0", (65535, 0, 0, 0)),
        ("AMD", "0.0.0.0", None),
        ("AMD", "65536.0.0.0", None),
        ("AMD", "1.2.3", None),
        ("AMD", "1.2.3.4.5", None),
        ("AMD", "-1.2.3.4", None),
        ("AMD", "١.2.3.4", None),
        ("AMD", "", None),
    ],
)
def test_firmware_versions_are_those_of_the_vendor(manufacturer: str, firmware: str, version: tuple[int, ...] | None) -> None:
    assert advisories.decode(manufacturer, firmware) == version


def none_known(manufacturer: str, firmware: str, **known: t.Any) -> bool:
    return advisories.NO_RULE in {one.name for one in advisories.judge(manufacturer, firmware, **known)}


def test_a_firmware_of_which_nobody_is_certain_gets_a_verdict_that_says_so() -> None:
    assert none_known("XYZ", "1.2.3.4")
    assert none_known("", "")
    assert none_known("IFX", "99.0.0.1")
    assert none_known("IFX", "0.0.0.0")
    assert none_known("INTC", "600.18.20.0")
    assert none_known("IBM", "8217.4131.22.13878")
    # That the processor is broken, or the machine never sleeps, says nothing of the firmware.
    assert none_known("AMD", "5.0.0.1", **ZEN3)
    assert none_known("XYZ", "1.2.3.4", **AWAKE)
    assert none_known("IFX", "99.0.0.1", **AWAKE)
    assert not none_known("IFX", "7.85.17.51968")
    assert not none_known("NTC", "7.2.4.0")
    (found,) = [one for one in advisories.judge("XYZ", "1.2.3.4") if one.name == advisories.NO_RULE]
    assert (found.verdict, found.object) == (UNKNOWN, "XYZ firmware 1.2.3.4")
    assert "look at" in found.evidence and found.remedy
    assert "does not report its firmware version" in advisories.judge("IFX", "0.0.0.0")[0].evidence
    assert "no published list known to this collection covers this version" in advisories.judge("IFX", "99.0.0.1")[0].evidence
    assert "the firmware version does not tell" in advisories.judge("IBM", "1.2.3.4")[0].evidence


@pytest.mark.parametrize("manufacturer", [*VENDORS, "XYZ", ""])
@pytest.mark.parametrize("firmware", ["0.0.0.0", "", "99.98.97.96", "65535.65535.65535.65535", "nonsense"])
def test_a_firmware_that_nobody_knows_is_never_safe(manufacturer: str, firmware: str) -> None:
    found = advisories.judge(manufacturer, firmware)
    assert found and {one.verdict for one in found} == {UNKNOWN}
    assert len({one.name for one in found}) == len(found)


def test_the_rule_of_the_vendor_comes_before_the_one_for_all() -> None:
    assert [rule.vendor for rule in advisories.concerning("AMD") if rule.name == "CVE-2025-2884"] == ["AMD"]
    assert [rule.vendor for rule in advisories.concerning("STM ") if rule.name == "CVE-2025-2884"] == [ANY]


def test_libtpms_has_not_the_fault_of_the_reference_code() -> None:
    assert "CVE-2026-6726" not in {rule.name for rule in advisories.concerning("IBM")}
    assert [rule.vendor for rule in advisories.concerning("INTC") if rule.name == "CVE-2026-6726"] == ["INTC"]
    assert [rule.vendor for rule in advisories.concerning("IFX") if rule.name == "CVE-2026-6726"] == [ANY]


def test_the_data_say_how_old_they_are() -> None:
    days = {one.checked for one in (*RULES, *software_rules.HOLES)}
    assert advisories.checked() == {"oldest": min(days), "newest": max(days)}
    assert all(datetime.date.fromisoformat(day) for day in advisories.checked().values())


def test_a_rule_for_another_chip_or_a_discrete_one_is_left_out() -> None:
    def names(*about: str) -> set[str]:
        return {rule.name for rule in advisories.concerning(*about)}

    assert "slb9670-policysecret" in names("IFX", "SLB9670") and "slb9670-policysecret" not in names("IFX", "SLB9672")
    assert "slb9672-resume" in names("IFX", "slb9672 ") and "slb9672-resume" not in names("IFX", "SLB9670")
    assert {"slb9670-policysecret", "slb9672-resume"} <= names("IFX", "")
    assert "CVE-2018-6622" in names("IFX") and "CVE-2018-6622" not in names("AMD")


def test_a_verdict_is_plain_data_for_a_module() -> None:
    (first, *_rest) = advisories.as_facts(advisories.judge("IFX", "7.40.8.12800", "SLB9670"))
    assert first["name"] == "CVE-2017-15361" and first["also"] == ["ROCA"]
    assert first["object"] == "Infineon firmware 7.40.2098"
    assert (first["verdict"], first["severity"], first["fixed_in"][:4]) == ("affected", "error", "5.62")
    assert set(first) == set(verdicts.AdvisoryVerdict._fields)


def test_the_page_lists_every_rule() -> None:
    page = (pathlib.Path(__file__).resolve().parents[5] / "docs/advisories.md").read_text(encoding="utf-8")
    rows = set()
    for one in RULES:
        vendor = f"{VENDORS.get(one.vendor, 'every other')} {one.model}".strip()
        rows.add(f"| {', '.join((one.name, *one.also))} | {vendor} | {one.title} |")
    rows |= {f"| {one.name} | {one.project} | {', '.join(one.fixed_in)} | {one.title} |" for one in software_rules.HOLES}
    listed = page.partition("## The rules about firmware")[2].splitlines()
    assert {line for line in listed if line.startswith("| ") and not line.startswith(("| ---", "| rule |"))} == rows


# TCG TPM Vendor ID Registry 1.07, as several programs that check it have it (go-webauthn, smallstep).
REGISTRY = "AMD ANT ATML BRCM CSCO FLYS GOOG HISI HPE HPI IBM IFX INTC LEN MSFT NSG NSM NTC NTZ QCOM ROCC SEAL SECE SMSC SMSN SNS STM TXN WEC".split()


def test_every_vendor_of_the_registry_has_a_name() -> None:
    assert sorted(VENDORS) == REGISTRY
