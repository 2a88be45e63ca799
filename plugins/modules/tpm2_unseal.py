#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_unseal
short_description: Open a secret sealed to a TPM 2.0
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Opens a blob that M(edgefleet.tpm2.tpm2_sealed_blob) or tpm2-tools made, and returns its content or writes it to a file.
  - The module first computes whether the policy can hold now, and tries nothing that cannot succeed.
  - Opening changes nothing in the TPM, so it is done in check mode too; O(dest) is not written then.
  - Use C(no_log=true) on the task if it returns the content.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._unseal
  - edgefleet.tpm2._session_key
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._known_answers
seealso:
  - module: edgefleet.tpm2.tpm2_sealed_blob
"""

EXAMPLES = r"""
---
- name: Open the telemetry key into a memory file system
  edgefleet.tpm2.tpm2_unseal:
    path: /var/lib/edgefleet-tpm2/telemetry.key.pem
    dest: /run/telemetry.key
    mode: "0600"
    pcrs:
      bank: sha256
      indices: [7]

- name: Open a key that opens with PCR 7 or with a PIN, with the PIN
  edgefleet.tpm2.tpm2_unseal:
    path: /var/lib/edgefleet-tpm2/recovery.key.pem
    auth: "{{ vault_recovery_pin }}"
    policy:
      - or:
          - - pcr: {bank: sha256, indices: [7]}
          - - auth_value
  register: opened
  no_log: true
"""

RETURN = r"""
content_b64:
  description:
    - The content as base64.
  returned: when O(dest) is not given
  type: str
  sample: c2VjcmV0
dest:
  description:
    - The file that holds the content.
  returned: when O(dest) is given
  type: str
  sample: /run/telemetry.key
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.unseal import Unseal


def main() -> None:
    """Run the module."""
    _module.ensure(_argspec.unseal(), lambda options: [Unseal(options)], flat=True)


if __name__ == "__main__":
    main()
