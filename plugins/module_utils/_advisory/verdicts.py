# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Types: a rule about a known fault, and the verdict of such a rule. ``advisory_rules`` and ``software`` hold the rules."""

from __future__ import annotations

import typing as t

AFFECTED = "affected"
NOT_AFFECTED = "not_affected"
UNKNOWN = "unknown"
VERDICTS = (AFFECTED, NOT_AFFECTED, UNKNOWN)

ERROR = "error"
WARNING = "warning"
INFO = "info"

ANY = "*"  # in Rule.vendor: every vendor that has no rule of its own with the same name

# TPMs that are a program on the host's processor, without a chip or a bus of their own.
FIRMWARE_TPMS = ("AMD", "GOOG", "IBM", "INTC", "MSFT", "QCOM")

Version = tuple[int, ...]


class Firmware(t.NamedTuple):
    """A verdict for a range of firmware versions: from ``first`` on and below ``below``, or those whose numbers equal ``parts``."""

    verdict: str
    first: Version = ()
    below: Version = ()
    parts: tuple[int | None, ...] = ()  # used instead of the two bounds; None matches any number


class Rule(t.NamedTuple):
    """One known fault at one vendor."""

    name: str  # CVE, or a short name that never changes
    vendor: str  # as tpm2_info reports the manufacturer, or ANY
    title: str
    severity: str  # if affected
    means: str  # what it means for a fleet
    remedy: str
    source: str  # where it is published
    checked: str  # the day on which somebody last read the source
    firmware: tuple[Firmware, ...] = ()  # the first range that holds the version decides
    fixed_in: str = ""
    look_at: str = ""  # where to look if the version does not decide
    also: tuple[str, ...] = ()  # other names of the same fault
    model: str = ""  # the beginning of the chip's name; the rule is not about other chips of the vendor
    not_vendors: tuple[str, ...] = ()  # of a rule for ANY vendor: the vendors that cannot have the fault
    cpus: tuple[tuple[int, int, int], ...] = ()  # x86 family, first and last model of affected processors; decides before the firmware
    needs_suspend: bool = False  # a machine that never suspends to RAM is not affected


class AdvisoryVerdict(t.NamedTuple):
    """What one rule says of one TPM or package. The verdict ``unknown`` never means "not affected"."""

    name: str  # the rule's
    verdict: str  # one of VERDICTS
    severity: str  # error, warning or info: the rule's if affected; at most a warning if unknown
    object: str  # "Infineon firmware 7.40.2098", "tpm2-tss 4.1.3"
    evidence: str  # one clause: why this verdict
    means: str
    remedy: str  # what to do; "" if not affected
    fixed_in: str
    source: str
    checked: str  # ISO date
    also: tuple[str, ...] = ()


def severity_of(verdict: str, severity: str) -> str:
    """The severity of a verdict: the rule's own (``severity``) if affected, one step lower if unknown, info if not affected."""
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
