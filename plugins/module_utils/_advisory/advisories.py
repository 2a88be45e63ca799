# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Judging a TPM by its manufacturer and firmware: which published faults it has, has not, or may have.

Pure: the rules are in ``advisory_rules``, the words for the result in ``verdicts``. A firmware that no range covers is *unknown*,
never safe, and a vendor about which no rule is certain gets a verdict that says so.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import advisory_rules, software_rules, verdicts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.verdicts import (
    AFFECTED,
    ANY,
    NOT_AFFECTED,
    UNKNOWN,
    AdvisoryVerdict,
    Rule,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.vendors import VENDORS

NO_RULE = "no-advisory-rule"
Cpu = tuple[int, int]


def decode(manufacturer: str, firmware: str) -> verdicts.Version | None:
    """The firmware version as its vendor writes it, from ``v1>>16 . v1&0xffff . v2>>16 . v2&0xffff``; None if there is none.

    Infineon: the build is the second word without its last byte (its own updater, TPM_FactoryUpd, prints ``v2 >> 8``), so 7.40.8.12800
    is 7.40.2098. Nuvoton (openbmc), Intel (11.8.50.3426), AMD (3.x.0.x) and the others: the four halves as they are.
    """
    match = re.fullmatch(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})\.(\d{1,5})", firmware.strip(), re.ASCII)
    parts = tuple(int(part) for part in match.groups()) if match else ()
    if not any(parts) or max(parts) > 0xFFFF:
        return None
    if vendor_id(manufacturer) == "IFX":
        return (*parts[:2], (parts[2] << 16 | parts[3]) >> 8)
    return parts


def vendor_id(manufacturer: str) -> str:
    """The manufacturer as the rules name it: without the padding that TPM_PT_MANUFACTURER may carry."""
    return manufacturer.strip("\0 ").upper()


def _fits(one: verdicts.Firmware, version: verdicts.Version) -> bool:
    if one.parts:
        return len(version) >= len(one.parts) and all(want in (None, have) for want, have in zip(one.parts, version))
    return one.first <= version and (not one.below or version < one.below)


def _decide(rule: Rule, version: verdicts.Version | None, cpu: Cpu | None, suspend: bool | None) -> str:
    if rule.needs_suspend and suspend is False:
        return NOT_AFFECTED
    if cpu and any(family == cpu[0] and first <= cpu[1] <= last for family, first, last in rule.cpus):
        return AFFECTED
    return next((one.verdict for one in rule.firmware if version and _fits(one, version)), UNKNOWN)


def _evidence(rule: Rule, verdict: str, version: verdicts.Version | None) -> str:
    if verdict == UNKNOWN:
        why = "the TPM tells no firmware version" if version is None else "no published list that we know covers this version"
        return f"{why if rule.firmware else 'the firmware version does not tell'}; look at {rule.look_at}"
    if rule.needs_suspend:
        return "this machine never suspends to RAM"
    if rule.cpus:
        return "the processor is one of those that were broken"
    return f"according to {rule.source}"


def concerning(manufacturer: str, model: str = "") -> list[Rule]:
    """The rules about this vendor and chip, the most special of each name; a model that is not known might be any."""
    vendor, chip = vendor_id(manufacturer), model.strip("\0 ").upper()
    own = {rule.name for rule in advisory_rules.RULES if rule.vendor == vendor}
    return [
        rule
        for rule in advisory_rules.RULES
        if (rule.vendor == vendor or (rule.vendor == ANY and rule.name not in own and vendor not in rule.not_vendors))
        and (not chip or chip.startswith(rule.model))
    ]


def judge(
    manufacturer: str, firmware: str, model: str = "", *, cpu: Cpu | None = None, suspend: bool | None = None
) -> list[AdvisoryVerdict]:
    """Every rule about this vendor, judged; the arguments are what tpm2_info reports.

    ``cpu`` is family and model of an x86 processor, ``suspend`` whether the machine can suspend to RAM; None is not known.
    Where no rule of the vendor's own is certain about this firmware, one more verdict ``no-advisory-rule`` says so.
    """
    vendor, version = vendor_id(manufacturer), decode(manufacturer, firmware)
    shown = ".".join(str(part) for part in version) if version else "of unknown version"
    subject = f"{VENDORS.get(vendor, vendor or 'unknown vendor')} firmware {shown}"
    found, certain = [], False
    for rule in concerning(manufacturer, model):
        verdict = _decide(rule, version, cpu, suspend)
        certain = certain or (rule.vendor != ANY and verdict != UNKNOWN and bool(rule.firmware))
        found.append(_verdict(rule, verdict, subject, _evidence(rule, verdict, version)))
    return found if certain else [*found, _none(subject)]


def _verdict(rule: Rule, verdict: str, subject: str, evidence: str) -> AdvisoryVerdict:
    return AdvisoryVerdict(
        name=rule.name,
        verdict=verdict,
        severity=verdicts.severity_of(verdict, rule.severity),
        object=subject,
        evidence=evidence,
        means=f"{rule.title}: {rule.means}",
        remedy="" if verdict == NOT_AFFECTED else rule.remedy,
        fixed_in=rule.fixed_in,
        source=rule.source,
        checked=rule.checked,
        also=rule.also,
    )


def _none(subject: str) -> AdvisoryVerdict:
    return AdvisoryVerdict(
        name=NO_RULE,
        verdict=UNKNOWN,
        severity=verdicts.INFO,
        object=subject,
        evidence="no rule of ours knows this firmware; look at the security page of the TPM's vendor and of the board's",
        means="whether it has a published fault is not known, which does not mean that it has none",
        remedy="ask the board vendor for its TPM advisories, and keep its firmware up to date",
        fixed_in="",
        source="",
        checked=max(rule.checked for rule in advisory_rules.RULES),
    )


def checked() -> dict[str, str]:
    """How old the rules about firmware and software are: the days, ISO 8601, on which the first and the last was compared with its source."""
    days = [rule.checked for rule in advisory_rules.RULES] + [hole.checked for hole in software_rules.HOLES]
    return {"oldest": min(days), "newest": max(days)}


def as_facts(found: t.Iterable[AdvisoryVerdict]) -> list[dict[str, t.Any]]:
    """Verdicts as a module returns them: plain mappings with lists in them."""
    return [{**verdict._asdict(), "also": list(verdict.also)} for verdict in found]


__all__ = ("NO_RULE", "as_facts", "checked", "concerning", "decode", "judge", "vendor_id")
