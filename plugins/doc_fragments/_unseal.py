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
      - Write the secret to this file on the device, instead of returning it. Without C(mode) the file gets V(0600), even if it existed
        with another mode. A symbolic link is refused.
    type: path
  auth:
    description:
      - The auth value of the blob, if it has one.
      - Some blobs count wrong tries, because they lack the attribute noDA. If such a blob needs an auth and this option is missing, the
        module refuses before it tries anything. Give an empty text if you know that the auth is empty.
    type: str
  on_mismatch:
    description:
      - What to do if C(dest) holds a key file of a TPM, a private key, a public key or a certificate, and the secret is not of the same
        kind. V(fail) leaves the file, V(replace) overwrites it. A file with any other content is always overwritten.
    type: str
    choices: [fail, replace]
    default: fail
""",
        _policy.ModuleDocFragment.DOCUMENTATION,
        _pcrs.ModuleDocFragment.DOCUMENTATION,
        _files.ModuleDocFragment.DOCUMENTATION,
    )
