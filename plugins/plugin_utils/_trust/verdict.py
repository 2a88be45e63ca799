# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The rungs of the trust ladder, and a word for every reason against an EK. The words never change, because they are stored."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.path import (
    BAD_SIGNATURE,
    EXPIRED,
    NOT_YET_VALID,
    UNKNOWN_ISSUER,
    UNKNOWN_ROOT,
    WRONG_USAGE,
)

# The rungs, the best first.
CERTIFICATE = "certificate"
PINNED = "pinned"
QUARANTINED = "quarantined"
RUNGS = (CERTIFICATE, PINNED, QUARANTINED)

GOOD = "good"
REVOKED = "revoked"
STALE = "stale"
NOT_CHECKED = "not checked"

NO_CERTIFICATE = "no_certificate"
MALFORMED = "malformed"
OVERSIZED = "oversized"
KEY_MISMATCH = "key_mismatch"
NOT_A_LEAF = "not_a_leaf"
MANUFACTURER_NOT_ALLOWED = "manufacturer_not_allowed"
MANUFACTURER_MISMATCH = "manufacturer_mismatch"
WEAK_KEY = "weak_key"
NO_BUNDLE = "no_bundle"
PIN_MISMATCH = "pin_mismatch"
NOT_AN_EK = "not_an_ek"
NO_FRESH_CRL = "no_fresh_crl"
EK_TEMPLATE = "ek_template"  # from `ek.check_template`; a pin does not lift it
REASONS = (
    *(NO_CERTIFICATE, MALFORMED, OVERSIZED, KEY_MISMATCH, EXPIRED, NOT_YET_VALID, UNKNOWN_ISSUER, UNKNOWN_ROOT, BAD_SIGNATURE),
    *(WRONG_USAGE, NOT_A_LEAF, REVOKED, MANUFACTURER_NOT_ALLOWED, MANUFACTURER_MISMATCH, WEAK_KEY, NO_BUNDLE, PIN_MISMATCH, NOT_AN_EK),
    NO_FRESH_CRL,
)
# Reasons that count even if the EK's hash is pinned.
FINAL = (REVOKED, WEAK_KEY, NOT_AN_EK, PIN_MISMATCH)


class TrustError(ReasonedError):
    """An EK or its certificate is not trusted; `reason` is one of `REASONS`, the message is one sentence."""


__all__ = ("FINAL", "REASONS", "RUNGS", "TrustError")
