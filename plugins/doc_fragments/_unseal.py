# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_unseal. Must be kept in sync with C(module_utils/_argspec.py:unseal)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _files, _pcrs, _policy


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  path:
    description:
      - The TSS2 PEM file on the device.
    type: path
    required: true
  dest:
    description:
      - Write the content to this file on the device, rather than returning it. Where no C(mode) is given, it has V(0600), also where an old file
        had another. A symbolic link is refused.
    type: path
  auth:
    description:
      - The blob's auth value, where it has one.
      - A blob that counts wrong tries (it lacks noDA) and that an auth opens is refused without it, before anything is tried. Give an empty text
        where you know that the auth is empty.
    type: str
  on_mismatch:
    description:
      - What to do where C(dest) holds a key file of a TPM, a private key, a public key or a certificate, and the content is none of that kind.
        V(fail) leaves it, V(replace) overwrites it. Any other content is overwritten.
    type: str
    choices: [fail, replace]
    default: fail
""",
        _policy.ModuleDocFragment.DOCUMENTATION,
        _pcrs.ModuleDocFragment.DOCUMENTATION,
        _files.ModuleDocFragment.DOCUMENTATION,
    )
