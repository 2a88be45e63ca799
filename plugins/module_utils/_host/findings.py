# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a finding is, and how a catalogue of findings is compared with the facts: functions of the facts alone, without I/O."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]
ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)


class View:
    """Safe access to all facts by path: a fact that could not be read is None.

    The roots: ``host`` as ``observe`` gives it; ``tpm``, the subsets of tpm2_info, empty if no TPM was reached; ``place``, the TCTI that
    was tried; ``error``, why the TPM could not be read (a dict with kind, reason, rc, message) or None; ``advisories``, verdicts.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def at(self, path: str) -> t.Any:
        """The fact at a dotted path."""
        found: t.Any = self._facts
        for part in path.split("."):
            if not isinstance(found, dict) or part not in found:
                return None
            found = found[part]
        return found

    def rows(self, path: str) -> list[t.Any]:
        """The list at a dotted path; empty if it is missing."""
        found = self.at(path)
        return list(found) if isinstance(found, (list, tuple)) else []

    def number(self, path: str, missing: int = 0) -> int:
        """The number at a dotted path; ``missing`` if it is not known."""
        found = self.at(path)
        return int(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else missing

    @property
    def asks_abrmd(self) -> bool:
        """Whether any program is configured to reach the TPM through tpm2-abrmd."""
        values = (self.at("host.tcti") or {}).values()
        return self.at("place.name") == "tabrmd" or any(str(value).startswith("tabrmd") for value in values)

    @property
    def by_device(self) -> bool:
        """Whether the TPM was tried through a device node of this host."""
        return bool(self.at("place.name") == "device")

    def failed(self, *kinds: str) -> bool:
        """Whether the TPM could not be reached for one of these reasons (errors.TransportError)."""
        return str(self.at("error.kind")) in kinds

    def rc(self, *codes: int) -> bool:
        """Whether the TPM refused to be read with one of these response codes."""
        return self.at("error.rc") in codes


class Seen(t.NamedTuple):
    """A kind of finding that applies: its object and the evidence. Severity and remedy only if they differ from those of the kind."""

    object: str
    evidence: str
    severity: str | None = None
    remedy: str | None = None


class Kind(t.NamedTuple):
    """One kind of finding. Its name never changes, because dashboards and exceptions refer to it."""

    name: str
    severity: str
    remedy: str
    look: t.Callable[[View], t.Iterable[Seen]]


def when(condition: object, obj: str, evidence: str) -> list[Seen]:
    """A list with one item if the condition is true, otherwise an empty list."""
    return [Seen(obj, evidence)] if condition else []


def seen_in(obj: str, sentence: str) -> Seen:
    """Split a sentence "what is wrong; what to do." into evidence and remedy."""
    reason, semicolon, cure = sentence.rpartition("; ")
    return Seen(obj, reason, None, cure[:1].upper() + cure[1:]) if semicolon else Seen(obj, sentence.rstrip("."))


def judge(view: View, kinds: t.Iterable[Kind]) -> list[dict[str, str]]:
    """All findings, the most severe first; within a severity, in the catalogue's order."""
    found = [
        {
            "name": kind.name,
            "severity": seen.severity or kind.severity,
            "object": seen.object,
            "evidence": seen.evidence,
            "remedy": seen.remedy or kind.remedy,
        }
        for kind in kinds
        for seen in kind.look(view)
    ]
    return sorted(found, key=lambda one: SEVERITIES.index(one["severity"]))


__all__ = ("ERROR", "INFO", "SEVERITIES", "WARNING", "Kind", "Seen", "View", "judge", "seen_in", "when")
