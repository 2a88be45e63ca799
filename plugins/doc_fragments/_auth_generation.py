# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_auth_generation. Must be kept in sync with C(module_utils/_argspec.py:auth_generation)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  serial:
    description:
      - The serial number of the device.
    type: str
  ek_name:
    description:
      - The Name of its EK, in place of the serial number.
    type: str
  host:
    description:
      - The host that claims to be the device. It is refused while it is in quarantine, and where the device was enrolled as another host.
      - The default is the host as which the device was enrolled. Where neither serial number nor EK is given, it names the device.
    type: str
  state:
    description:
      - V(begun) opens the next generation, or finds that it is open, and makes its auth values durable.
      - V(finished) makes it the current one.
    type: str
    required: true
    choices: [begun, finished]
  generation:
    description:
      - With O(state=finished), the generation that the TPM has now; where another one is pending, nothing is changed.
      - The default is the one that is pending.
    type: int
  record_roots:
    description:
      - Files on the controller with the certificates of those whose birth records count, the CA or who signs in its place. The first
        certificate of each file counts. After a change of the CA, name the former one too.
    type: list
    elements: path
    required: true
  escrow:
    description:
      - Where the auth values of the hierarchies come from.
    type: dict
    required: true
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
