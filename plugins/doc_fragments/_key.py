# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_key. Must be kept in sync with C(module_utils/_argspec.py:key)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _mismatch, _policy, _range, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  parent:
    description:
      - The persistent handle of the storage key under which the key is created.
    type: str
    default: "0x81000001"
  usage:
    description:
      - What the key is for. An RSA key for V(decrypt) takes OAEP with SHA-256 only.
    type: str
    choices: [sign, decrypt, restricted_sign, storage]
    default: sign
  algorithm:
    description:
      - Key type and size.
    type: str
    choices: [rsa_2048, rsa_3072, ecc_p256, ecc_p384]
    default: ecc_p256
  auth:
    description:
      - The auth value of the key; text of at most 32 bytes, or V(hex:) and hex digits, or V(str:) and text that would
        else be read otherwise (V(hex:), V(file:), V(session:) and V(pcr:) at its beginning are words of tpm2-tools). It is set when the key is created and
        cannot be compared later.
    type: str
  no_da:
    description:
      - Whether wrong tries of the key's auth do not count towards the lockout. Leave it unless the auth is a PIN that people type.
    type: bool
    default: true
  path:
    description:
      - Keep the key in this TSS2 PEM file. A symbolic link is refused.
      - A file that is there and names a hierarchy as its parent (0x40000001), as those of OpenSSL's TPM 2.0 provider do, belongs under the default
        primary key of that hierarchy, ECC P-256. That key is made for the moment where the file is loaded; C(parent) is left at its default then.
    type: path
  verify:
    description:
      - What of a key file that is there is compared. V(public) compares its public part and its parent, which needs no session; it tells a file of
        another TPM only where the file names its parent, as those that we write do.
      - V(load) also loads the key, in check mode too. A file that is to be put at C(handle) is always loaded first.
    type: str
    choices: [public, load]
    default: public
  handle:
    description:
      - Keep the key at this persistent handle; ours are 0x81000200 to 0x810002ff.
    type: str
  public_path:
    description:
      - Write the public key to this file, as PEM. Another public key in it is overwritten; a file that holds anything else only with
        C(on_mismatch=replace). A symbolic link is refused.
    type: path
""",
        _policy.ModuleDocFragment.UNMEASURED,
        _policy.ModuleDocFragment.DOCUMENTATION,
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
