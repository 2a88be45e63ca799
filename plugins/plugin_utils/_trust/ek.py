# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether a public area is that of an EK, and whether its key can be broken.

TCG EK Credential Profile for TPM 2.0 v2.x, Annex B (templates). An object with other attributes could be a key that a program holds:
only a restricted key that is fixed to its TPM and was made there protects what is encrypted to it.
"""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import roca
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, own_ek, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError

MIN_RSA_BITS = 2048


def check_strength(public: names.Public) -> None:
    """Refuse an RSA key below 2048 bits, with the ROCA fingerprint (CVE-2017-15361) or with impossible numbers. Raises TrustError, weak_key."""
    if public.type != alg.RSA:
        return
    what = roca.weakness(int.from_bytes(Cursor(public.unique).sized(), "big"), MIN_RSA_BITS)
    if what:
        raise TrustError(f"Could not trust the EK: its RSA key {what}; replace the TPM, or use its ECC EK.", verdict.WEAK_KEY)


def check_ek(public: names.Public) -> None:
    """Check that a public area is that of an EK, and holds a key. Raises TrustError, ``not_an_ek``.

    Without ``unique`` it must match one of the profile's templates, or be within the bounds of a template that a TPM has in NV.
    """
    made = [names.differences(templates.primary(name), public) for name in templates.PRIMARY_NAMES if templates.PRIMARIES[name][0] == "ek"]
    nearest = min(made, key=len)
    what = f"its public area is that of no EK template ({', '.join(nearest)})" if nearest and own_ek.fault(public) else ""
    try:
        if not what:
            _keys.public_key(public)
    except _keys.KeyMaterialError:
        what = "its public area holds no key that can exist"
    if what:
        raise TrustError(f"Could not trust the EK: {what}; have the device make its EK from the profile's template.", verdict.NOT_AN_EK)


def check_template(public: names.Public, template: str) -> None:
    """Check that an EK was made from the declared template; ``unique`` is not compared. Raises TrustError, ``ek_template``.

    A TPM has one EK for each template, each with its own certificate, but only the declared one counts. An EK made from a template in the
    TPM's NV also counts if its key has the declared template's type and size, and it matches no other template of the profile.
    """
    declared = templates.primary(template)
    odd = names.differences(declared, public)
    if odd and not (by_own_template(public) and own_ek.same_kind(public, declared)):
        raise TrustError(
            f"Could not accept the EK: it is not made from the template {template} that is declared ({', '.join(odd)}); see which template "
            "the profile declares at that handle, and whether somebody has put another EK there.",
            verdict.EK_TEMPLATE,
        )


def by_own_template(public: names.Public) -> bool:
    """Whether only a template in the TPM's NV can have made this EK."""
    return templates.ek_template(public) is None and not own_ek.fault(public)


__all__ = ("by_own_template", "check_ek", "check_strength", "check_template")
