# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a rule about a known fault looks like, and what judging by it gives. ``advisory_rules`` and ``software`` hold the rules."""

from __future__ import annotations

import typing as t

AFFECTED = "affected"
NOT_AFFECTED = "not_affected"
UNKNOWN = "unknown"
VERDICTS = (AFFECTED, NOT_AFFECTED, UNKNOWN)

ERROR = "error"
WARNING = "warning"
INFO = "info"

ANY = "*"  # as vendor: every vendor that no other rule of the same name is about

# TPMs that are a program on the host's processor: no chip of its own, no bus.
FIRMWARE_TPMS = ("AMD", "GOOG", "IBM", "INTC", "MSFT", "QCOM")

Version = tuple[int, ...]


class Firmware(t.NamedTuple):
    """Firmware versions and what holds for them: from ``first`` on and below ``below``, or those whose parts are as in ``parts``."""

    verdict: str
    first: Version = ()
    below: Version = ()
    parts: tuple[int | None, ...] = ()  # None is any number; instead of the two bounds


class Rule(t.NamedTuple):
    """One known fault at one vendor."""

    name: str  # CVE, or a short name that stays
    vendor: str  # as tpm2_info reports the manufacturer, or ANY
    title: str
    severity: str  # if affected
    means: str  # what it means for a fleet
    remedy: str
    source: str  # where it is published
    checked: str  # the day on which somebody last read the source
    firmware: tuple[Firmware, ...] = ()  # the first that fits decides
    fixed_in: str = ""
    look_at: str = ""  # what tells, where the version does not
    also: tuple[str, ...] = ()  # other names of the same fault
    model: str = ""  # the chip's name, or how it begins; other chips of the vendor are not concerned
    not_vendors: tuple[str, ...] = ()  # of an ANY rule: who cannot have it
    cpus: tuple[tuple[int, int, int], ...] = ()  # x86 family, first and last model: decides instead of the firmware
    needs_suspend: bool = False  # nothing happens on a machine that never suspends to RAM


class AdvisoryVerdict(t.NamedTuple):
    """What one rule says of one TPM or package. ``unknown`` is a verdict too, and never a good one."""

    name: str  # the rule's
    verdict: str  # one of VERDICTS
    severity: str  # error, warning or info: the rule's if affected; one that is unknown is never more than a warning
    object: str  # "Infineon firmware 7.40.2098", "tpm2-tss 4.1.3"
    evidence: str  # one clause: why this verdict
    means: str
    remedy: str  # what to do; "" if not affected
    fixed_in: str
    source: str
    checked: str  # ISO date
    also: tuple[str, ...] = ()


def severity_of(verdict: str, severity: str) -> str:
    """How much a verdict by a rule of ``severity`` weighs: whole if affected, a step less if unknown, nothing if not affected."""
    if verdict == AFFECTED:
        return severity
    return WARNING if verdict == UNKNOWN and severity == ERROR else INFO


__all__ = (
    "AFFECTED",
    "ANY",
    "ERROR",
    "FIRMWARE_TPMS",
    "INFO",
    "NOT_AFFECTED",
    "UNKNOWN",
    "VERDICTS",
    "WARNING",
    "Firmware",
    "Rule",
    "AdvisoryVerdict",
    "Version",
    "severity_of",
)
