#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_registry_info
short_description: What the factory's registry knows of a device
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Looks a device up in the registry, on the controller. With O(escrow) it also returns the auth values of the device's hierarchies.
  - A device is V(enrolled) only if its signed birth record is verified with O(record_roots), and has the same EK, AK, IDevID key, serial
    number and host as the registry's row. Otherwise it is V(unproven), and none of its auth values is returned.
  - The auth values of a device in quarantine are not returned either, nor those of a device that is signed to be at another host than
    O(host).
  - It does not contact the device.
notes:
  - With O(escrow), what it returns is kept out of logs and callbacks.
  - A random auth value is made and stored when it is first asked for, but never in check mode.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.registry
  - edgefleet.tpm2._attributes.controller
  - edgefleet.tpm2._registry_info
seealso:
  - module: edgefleet.tpm2.tpm2_enroll
  - plugin: edgefleet.tpm2.device
    plugin_type: lookup
"""

EXAMPLES = r"""
---
- name: What is known of the device
  edgefleet.tpm2.tpm2_registry_info:
    serial: "{{ tpm2_profile_serial }}"
    registry: /srv/factory/tpm2-registry.sqlite
    record_roots: [/srv/factory/ca/issuing.pem]
  register: known
"""

RETURN = r"""
reason:
  description: Why the task failed, as one word that does not change between releases. C(docs/identity.md) of the collection lists the words.
  returned: when the task failed, and the failure has such a word
  type: str
device:
  description:
    - C(state) is V(new), V(quarantined), V(enrolled) or V(unproven). A registered device also has C(ek_name), C(ak_name), C(idevid_name),
      C(serial), C(host), C(auth_generation), C(auth_pending) and C(certificates), and C(proven), which says whether its birth record has
      the same keys, serial number and host. If it is proven, C(certificates) are for its own keys. No signature covers
      C(auth_generation), C(auth_pending), C(mac) and C(site).
    - A quarantined or unproven device also has C(reason) and C(detail). The reasons of an unproven one are V(no_record),
      V(no_record_roots), V(record_signature), V(record_other_device), V(record_other_host), V(place_signature), V(certificate_other_key)
      and V(certificate_other_issuer).
  returned: always
  type: dict
registry:
  description:
    - C(where) is the registry's path or URL without its password. C(exists) says whether there is a registry, and C(detail) is a sentence
      if there is none. This module never makes one.
  returned: always
  type: dict
trusted:
  description:
    - Whether auth values and secrets may go to the device, in a session that only its registered endorsement key can open. False if it is not
      enrolled, if its birth record does not prove what the registry says, if it is in quarantine, if it was enrolled as another host, and
      while its auth values are being replaced.
  returned: always
  type: bool
auths:
  description: The current auth value of each hierarchy. Empty if the device is not enrolled and proven.
  returned: with O(escrow)
  type: dict
next_auths:
  description: The auth values of the generation that is being set.
  returned: with O(escrow), while auth values are being replaced
  type: dict
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec_identity, _module


def main() -> None:
    """End with a failure that says to run this on the controller."""
    _module.only_on_the_controller(_argspec_identity.registry_info(), connection=False)


if __name__ == "__main__":
    main()
