# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_registry_info. Must be kept in sync with C(module_utils/_argspec.py:registry_info)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  serial:
    description:
      - The serial number of the device.
    type: str
  host:
    description:
      - Its host name, where the serial number is not known.
    type: str
  ek_name:
    description:
      - The Name of its EK, where neither is known.
    type: str
  record_roots:
    description:
      - Files on the controller with the certificates of those whose birth records count, the CA or who signs in its place. The first
        certificate of each file counts. After a change of the CA, name the former one too.
      - Without it no device is proven, and no auth value is derived.
    type: list
    elements: path
  escrow:
    description:
      - Where the auth values of the hierarchies come from.
    type: dict
    suboptions:
      mode:
        description:
          - How auth values come to be.
          - V(derived) works them out of O(escrow.master), the EK, the hierarchy and the generation; no value is stored.
          - V(random) makes random ones, which the registry keeps encrypted.
        type: str
        choices: [derived, random]
        default: derived
      master:
        description:
          - The master secret of the fleet, from a vault. 32 random bytes or more, in hex or base64, as C(openssl rand -hex 32) makes them.
        type: str
        required: true
      former_master:
        description:
          - The master secret before that one. It opens the values that were made with it, and makes none, so that C(edgefleet.tpm2.rotate_auth) can go
            from one to the other. Leave it out afterwards.
        type: str
      recovery_key:
        description:
          - With V(random), a PEM file with the RSA public key to which every value is encrypted once more, for the day when the master is lost.
        type: path
  registry:
    description:
      - Where the registry is. The path of an SQLite file, or a URL such as V(postgresql+psycopg://factory@db.example.org/tpm2).
      - It is made when it is not there.
    type: str
    required: true
  timeout:
    description:
      - How long to wait for a registry that others use, in seconds.
    type: int
    default: 30
"""
