# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The path from an EK certificate to a root of the trust bundle, found by ``_x509.path``, and what to do if there is none."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.bundle import Bundle
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate

_CURES = {
    path.EXPIRED: "ask the vendor, or allow expired certificates if that is your policy",
    path.NOT_YET_VALID: "see that the clock of the controller is right",
    path.WRONG_USAGE: "keep the device out, and ask the vendor about its certificates",
    path.UNKNOWN_ROOT: "add the vendor's root to the trust bundle if you trust it",
    path.BAD_SIGNATURE: "keep the device out, and see where it comes from",
    path.UNKNOWN_ISSUER: "add the vendor's intermediate CA to the trust bundle",
}


class ChainOutcome(t.NamedTuple):
    """The certificates above the EK's, as in ``_x509.path.Way``, and what is wrong with the path; None if nothing is."""

    above: tuple[Certificate, ...]
    problem: TrustError | None


def build(leaf: Certificate, extra: t.Sequence[Certificate], bundle: Bundle, at: datetime.datetime) -> ChainOutcome:
    """Find the path from an EK certificate over the bundle's CAs and ``extra`` ones to a root of the bundle, valid at ``at`` (aware)."""
    way = path.find(leaf, extra, path.Anchors(bundle.roots, bundle.by_subject, "in the trust bundle"), at, certificate.UNNAMED)
    problem = way.problem
    return ChainOutcome(way.above, problem and certificate.refuse(*problem, _CURES[problem.reason]))


__all__ = ("ChainOutcome", "build")
