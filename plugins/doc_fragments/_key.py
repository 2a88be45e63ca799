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
      - What the key is for. With V(decrypt) an RSA key accepts OAEP with SHA-256 only. V(restricted_sign) signs only data that the TPM
        itself has made. V(storage) can be the parent of other keys.
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
      - The auth value of the key. It is text of at most 32 bytes, or V(hex:) followed by hex digits. Put V(str:) before a text that
        begins with V(hex:), V(file:), V(session:) or V(pcr:). The auth is set when the key is created, and cannot be compared later.
    type: str
  no_da:
    description:
      - Whether the key has noDA, so that wrong tries of its auth do not count towards the TPM's lockout. Set it to V(false) only if the
        auth is a PIN that people type.
    type: bool
    default: true
  path:
    description:
      - Keep the key in this file on the device, in the format TSS2 PEM, which tpm2-tools and OpenSSL's providers read. A symbolic link is
        refused.
      - An existing file may name a hierarchy (0x40000001) as its parent, as those of OpenSSL's TPM 2.0 provider do. Its parent is then
        the default primary key of that hierarchy, ECC P-256, which the TPM makes again each time when the file is loaded. Leave C(parent)
        at its default for such a file.
    type: path
  verify:
    description:
      - What to compare of a key file that exists already. V(public) compares its public part and its parent, which needs no session. That
        recognises a file of another TPM only if the file names its parent, as files of this collection do.
      - V(load) also loads the key into the TPM, in check mode too. A file that is to be put at C(handle) is always loaded first.
    type: str
    choices: [public, load]
    default: public
  handle:
    description:
      - Keep the key at this persistent handle. Use one from 0x81000200 to 0x810002ff; others are reserved.
    type: str
  public_path:
    description:
      - Write the public key to this file on the device, as PEM. Another public key in it is overwritten; anything else only with
        C(on_mismatch=replace). A symbolic link is refused.
    type: path
""",
        _policy.ModuleDocFragment.UNMEASURED,
        _policy.ModuleDocFragment.DOCUMENTATION,
        _state.ModuleDocFragment.DOCUMENTATION,
        _mismatch.ModuleDocFragment.DOCUMENTATION,
        _range.ModuleDocFragment.DOCUMENTATION,
    )
