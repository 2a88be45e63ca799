# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What a finding is, and how a catalogue of them is held against the facts: pure functions of (host, TPM)."""

from __future__ import annotations

import typing as t

Facts = t.Mapping[str, t.Any]
ERROR, WARNING, INFO = "error", "warning", "info"
SEVERITIES = (ERROR, WARNING, INFO)


class View:
    """All facts behind one safe way in: what is missing, because nobody could tell, is None.

    The roots: ``host`` as ``observe`` gives it; ``tpm``, the subsets of tpm2_info, empty where no TPM was reached; ``place``, the TCTI that
    was tried; ``error``, why the TPM could not be read (kind, reason, rc, message) or None; ``advisories``, verdicts.
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
        """The list at a dotted path, empty where it is missing."""
        found = self.at(path)
        return list(found) if isinstance(found, (list, tuple)) else []

    def number(self, path: str, missing: int = 0) -> int:
        """The number at a dotted path, ``missing`` where nobody can tell."""
        found = self.at(path)
        return int(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else missing

    @property
    def asks_abrmd(self) -> bool:
        """Whether somebody is told to reach the TPM through tpm2-abrmd."""
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
    """A kind that applies: to what, and why we say so. Severity and remedy only where they hang on the case."""

    object: str
    evidence: str
    severity: str | None = None
    remedy: str | None = None


class Kind(t.NamedTuple):
    """One kind of finding. The name stays for ever: dashboards and exceptions are built on it."""

    name: str
    severity: str
    remedy: str
    look: t.Callable[[View], t.Iterable[Seen]]


def when(condition: object, obj: str, evidence: str) -> list[Seen]:
    """Once, if it is so."""
    return [Seen(obj, evidence)] if condition else []


def seen_in(obj: str, sentence: str) -> Seen:
    """Of a sentence "what is wrong; what to do." both halves, each where it belongs."""
    reason, semicolon, cure = sentence.rpartition("; ")
    return Seen(obj, reason, None, cure[:1].upper() + cure[1:]) if semicolon else Seen(obj, sentence.rstrip("."))


def judge(view: View, kinds: t.Iterable[Kind]) -> list[dict[str, str]]:
    """All findings, the gravest first; within a severity in the catalogue's order."""
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
