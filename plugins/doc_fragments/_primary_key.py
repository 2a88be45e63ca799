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
      - The TCG template. An SRK has an empty unique field, as systemd makes it.
      - Another storage key that is already at 0x81000001 is accepted in place of an SRK and named in the result, unless
        C(on_mismatch=replace); what is sealed under it would be lost.
      - V(ek_any) takes the EK that is at the handle, of whichever TCG template it is, and names it in the result; where there is none, it makes
        V(ek_rsa_2048). systemd from version 262 on keeps an EK at 0x81010001, of the best template that the TPM has a certificate for.
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
      - The hierarchy; owner for an SRK and endorsement for all others where it is not given.
    type: str
    choices: [owner, endorsement, platform]
  unique:
    description:
      - Text for the unique field, where not the template's own.
    type: str
  handle:
    description:
      - The persistent handle, as V(0x81000001) or an integer. SRK, EK RSA-2048, EK P-256, IDevID and IAK have their usual one.
    type: str
  public_path:
    description:
      - Write the public key to this file, as PEM. Another public key in it is overwritten; a file that holds anything else only with
        C(on_mismatch=replace). A symbolic link is refused.
    type: path
""",
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
