# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Whether an EK's public area is one: what it must look like, and whether its key can be broken.

TCG EK Credential Profile for TPM 2.0 v2.x, Annex B (templates). A key with an EK's key but other attributes could belong to a
program: only what is restricted, fixed and made in a TPM protects what is encrypted to it.
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
    """Refuse an RSA key below 2048 bits, with the ROCA fingerprint (CVE-2017-15361) or that can be none. Raises TrustError, C(weak_key)."""
    if public.type != alg.RSA:
        return
    what = roca.weakness(int.from_bytes(Cursor(public.unique).sized(), "big"), MIN_RSA_BITS)
    if what:
        raise TrustError(f"Could not trust the EK: its RSA key {what}; replace the TPM, or use its ECC EK.", verdict.WEAK_KEY)


def check_ek(public: names.Public) -> None:
    """Check that a public area is that of an EK, and holds a key. Raises TrustError, C(not_an_ek).

    It matches one of the profile's templates, C(unique) left aside, or is in the bounds of a template that a TPM brings in NV.
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
    """Check that an EK is made from the template that is declared, C(unique) left aside. Raises TrustError, C(ek_template).

    A TPM has an EK for each template, each with a certificate of its own: whatever is at a handle, only one of them counts. One that is made
    by a template in its TPM's NV counts in the place of the declared one, if it is of that one's type and of no other template of the profile.
    """
    declared = templates.primary(template)
    odd = names.differences(declared, public)
    if odd and not (by_own_template(public) and public.type == declared.type):
        raise TrustError(
            f"Could not accept the EK: it is not made from the template {template} that is declared ({', '.join(odd)}); see which template "
            "the profile declares at that handle, and whether somebody has put another EK there.",
            verdict.EK_TEMPLATE,
        )


def by_own_template(public: names.Public) -> bool:
    """Whether an EK can only have been made by a template that its TPM brings in NV."""
    return templates.ek_template(public) is None and not own_ek.fault(public)


__all__ = ("by_own_template", "check_ek", "check_strength", "check_template")
