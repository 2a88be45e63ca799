# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_primary_key. Must be kept in sync with C(module_utils/_argspec.py:primary_key)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _mismatch, _range, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  template:
    description:
      - The template from which the key is made, as the TCG publishes it. The templates of the storage root key (SRK) have an empty unique
        field, like the key that systemd makes.
      - If another storage key is already at 0x81000001, it is accepted as the SRK, and the result names it, because everything that is
        sealed under it would be lost with it. Only C(on_mismatch=replace) replaces it.
      - The manufacturer of a TPM may have left a template or a nonce for an endorsement key (EK) in NV (0x01C00004 and 0x01C00003 for
        V(ek_rsa_2048), 0x01C0000C and 0x01C0000B for V(ek_ecc_p256), 0x01C00013 to 0x01C0001F for the others). An EK is then made with
        them, because only this EK matches its certificate. A template that is not one of an EK is refused. With C(unique) neither is
        used.
      - V(ek_any) accepts any endorsement key (EK) of a TCG template that is at the handle, and the result names it. If there is none,
        V(ek_rsa_2048) is made. Use it where systemd, from version 262 on, keeps an EK at 0x81010001, of the best template for which the
        TPM has a certificate.
    type: str
    choices:
      - srk_ecc_p256
      - srk_rsa_2048
      - ek_rsa_2048
      - ek_ecc_p256
      - iak_ecc_p256
      - iak_ecc_p384
      - iak_rsa_2048
      - idevid_ecc_p256
      - idevid_ecc_p384
      - idevid_rsa_2048
      - ek_rsa_3072
      - ek_rsa_4096
      - ek_ecc_p384
      - ek_ecc_p521
      - ek_high_rsa_2048
      - ek_high_ecc_p256
      - ek_any
    default: srk_ecc_p256
  hierarchy:
    description:
      - The hierarchy in which the key is made. The default is owner for an SRK, and endorsement for all other templates.
    type: str
    choices: [owner, endorsement, platform]
  unique:
    description:
      - Text for the template's unique field. Another text gives another key. The default is what the template says.
    type: str
  handle:
    description:
      - The persistent handle, as V(0x81000001) or an integer. SRK, EK RSA-2048, EK P-256, IDevID and IAK have a default; it is required
        for the others.
    type: str
  public_path:
    description:
      - Write the public key to this file on the device, as PEM. Another public key in it is overwritten; anything else only with
        C(on_mismatch=replace). A symbolic link is refused.
    type: path
""",
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
