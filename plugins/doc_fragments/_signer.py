# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The suboptions of what signs with a key of the controller's: a CA, or a signer of birth records."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  certificate:
    description:
      - The certificate, a PEM file on the controller. The CA certificates above it may follow in the same file.
    type: path
    required: true
  chain:
    description:
      - A PEM file with the CA certificates above it, if they are not in the same file.
    type: path
  key:
    description:
      - The private key, a PEM file on the controller.
    type: path
  password:
    description:
      - The password of the key file. Keep it in a vault.
    type: str
  allow_unencrypted:
    description:
      - Accept a key file without a password.
    type: bool
    default: false
  pkcs11:
    description:
      - The private key on a PKCS#11 token, instead of a file.
    type: dict
    suboptions:
      module:
        description:
          - The PKCS#11 module, a shared library.
        type: path
        required: true
      token:
        description:
          - The label of the token.
        type: str
        required: true
      label:
        description:
          - The label of the key.
        type: str
      id:
        description:
          - The identifier of the key, in hex.
        type: str
      pin:
        description:
          - The PIN, from a vault. It is tried once.
        type: str
        required: true
"""
