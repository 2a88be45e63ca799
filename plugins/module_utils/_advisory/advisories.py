# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Judging a TPM by its manufacturer and firmware: which published faults it has, has not, or may have.

No I/O. The rules are in ``advisory_rules``, the types of the result in ``verdicts``. A firmware version that no range of a rule covers is
*unknown*, never safe; and where no rule of a vendor gives a certain verdict, one more verdict says so.
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
        why = (
            "the TPM does not report its firmware version"
            if version is None
            else "no published list known to this collection covers this version"
        )
        return f"{why if rule.firmware else 'the firmware version does not tell'}; look at {rule.look_at}"
    if rule.needs_suspend:
        return "this machine never suspends to RAM"
    if rule.cpus:
        return "the processor is one of those that were broken"
    return f"according to {rule.source}"


def concerning(manufacturer: str, model: str = "") -> list[Rule]:
    """The rules about this vendor and chip; a rule for any vendor only where the vendor has no rule of that name.

    Where ``model`` is empty (unknown), the rules about every model of the vendor are taken.
    """
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
    """One verdict for each rule about this vendor; the arguments are what tpm2_info reports.

    ``cpu`` is family and model of an x86 processor, ``suspend`` whether the machine can suspend to RAM; None: unknown.
    Where no rule of the vendor's own gives a certain verdict on this firmware, the verdict ``no-advisory-rule`` is added.
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
        evidence="no rule of this collection covers this firmware; look at the security pages of the TPM's vendor and of the board's vendor",
        means="it may have a published fault that this collection does not know",
        remedy="ask the board vendor for its TPM advisories, and keep its firmware up to date",
        fixed_in="",
        source="",
        checked=max(rule.checked for rule in advisory_rules.RULES),
    )


def checked() -> dict[str, str]:
    """How old the rules about firmware and software are: the earliest and the latest day (ISO 8601) on which a rule was compared with its source."""
    days = [rule.checked for rule in advisory_rules.RULES] + [hole.checked for hole in software_rules.HOLES]
    return {"oldest": min(days), "newest": max(days)}


def as_facts(found: t.Iterable[AdvisoryVerdict]) -> list[dict[str, t.Any]]:
    """Verdicts as a module returns them: dicts with the fields of ``AdvisoryVerdict`` as keys, tuples as lists."""
    return [{**verdict._asdict(), "also": list(verdict.also)} for verdict in found]


__all__ = ("NO_RULE", "as_facts", "checked", "concerning", "decode", "judge", "vendor_id")
