# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Programs and libraries with published holes, and whether a version has them.

Bounds are upstream's versions. A distribution may carry a fix back and keep its version number, so a package with a distribution's revision
(``4.0.1-7+deb12u1``) that is below the bound is *unknown*: look at the distribution's security tracker. A version at or above a bound has
the fix in every build.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.software_rules import HOLES, OTHERS, PROJECTS, Hole
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.verdicts import (
    AFFECTED,
    NOT_AFFECTED,
    UNKNOWN,
    AdvisoryVerdict,
    severity_of,
)


class Upstream(t.NamedTuple):
    """A version in pieces: the numbers, whether it is ahead of its release, and whether a distribution has built it."""

    numbers: tuple[int, ...]
    release: bool
    distribution: bool

    @property
    def key(self) -> tuple[tuple[int, ...], bool]:
        """A sort key: 4.1 and 4.1.0 are equal, a release candidate comes before its release."""
        return (*self.numbers, *(0 for _each in range(4 - len(self.numbers)))), self.release


_VERSION = re.compile(
    r"(?:\d+:)?v?(\d{1,9}(?:\.\d{1,9}){0,3})((?:[-~_.+]?(?:rc|alpha|beta|dev|pre)[\d.]*)?)((?!\d).*)", re.ASCII | re.DOTALL
)


def parse(version: str) -> Upstream | None:
    """Upstream's part of a version as dpkg, rpm, pacman, apk or the program itself writes it; None where the text is not a version."""
    match = _VERSION.fullmatch(version.strip())
    if not match:
        return None
    return Upstream(tuple(int(part) for part in match[1].split(".")), not match[2], bool(match[3]))


def project_of(package: str) -> str | None:
    """The project that a package belongs to, for example ``tpm2-tss`` for ``libtss2-esys-3.0.2-0``; None for a package of no known project."""
    name = package.lower()
    if name.startswith(OTHERS):
        return None
    return next((project for project, starts in PROJECTS.items() if name.startswith(starts)), None)


def _is_fixed(have: Upstream, fixed_in: t.Sequence[str]) -> bool:
    """Whether a version has the fix: it is at or above the last bound, or at or above another bound of its own branch (the first two numbers)."""
    bounds = [bound for bound in map(parse, fixed_in) if bound]
    if have.key >= bounds[-1].key:
        return True
    return any(have.key >= bound.key and have.key[0][:2] == bound.key[0][:2] for bound in bounds[:-1])


def _decide(hole: Hole, have: Upstream | None) -> tuple[str, str]:
    if have is None:
        return UNKNOWN, "its version cannot be read"
    since, low, high = parse(hole.since), parse(hole.unclear[0]), parse(hole.unclear[1])
    if since and have.key[0] < since.key[0]:
        return NOT_AFFECTED, f"only versions from {hole.since} on have the hole"
    if _is_fixed(have, hole.fixed_in):
        return NOT_AFFECTED, f"fixed in {' and '.join(hole.fixed_in)}"
    if low and high and low.key <= have.key < high.key:
        return UNKNOWN, f"the published sources do not say whether it is fixed from {hole.unclear[0]} on"
    if have.distribution:
        return UNKNOWN, f"below {hole.fixed_in[-1]}, but the distribution may have carried the fix back; look at its security tracker"
    return AFFECTED, f"fixed in {' and '.join(hole.fixed_in)}"


def judge(package: str, version: str) -> list[AdvisoryVerdict]:
    """One verdict for each known hole of a package in this version; an empty list for a package of no known project."""
    project = project_of(package)
    found = []
    for hole in (hole for hole in HOLES if hole.project == project):
        verdict, evidence = _decide(hole, parse(version))
        update = f"update {package} to {' or '.join(hole.fixed_in)}"
        found.append(
            AdvisoryVerdict(
                name=hole.name,
                verdict=verdict,
                severity=severity_of(verdict, hole.severity),
                object=f"{package} {version}".strip(),
                evidence=evidence,
                means=f"{hole.title}: {hole.means}",
                remedy={AFFECTED: update, UNKNOWN: f"see whether your distribution has fixed it; if not, {update}"}.get(verdict, ""),
                fixed_in=", ".join(hole.fixed_in),
                source=hole.source,
                checked=hole.checked,
                also=hole.also,
            )
        )
    return found


__all__ = ("HOLES", "PROJECTS", "Hole", "Upstream", "judge", "parse", "project_of")
