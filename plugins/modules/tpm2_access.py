#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_access
short_description: Prove who may use a TPM 2.0
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Asks the TPM for eight random bytes as each of the named users, in a process that has this user's rights and groups.
  - Fails if a user in O(allowed) gets no answer, or a user in O(refused) gets one.
  - Only file permissions or D-Bus count as a refusal. If the TPM is missing or silent, nobody was refused, and the module fails for the
    users in O(refused) too.
  - It changes nothing, and does the same in check mode.
notes:
  - Only root can try other users; any other user can try only itself.
  - The users are users of the device, so the module always runs there, and needs Python 3.9. O(execution=controller) is refused. O(relay) has no effect.
  - A TPM behind TCP (V(swtpm:), V(mssim:)) has no access control. Every user who can connect has access.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.info
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._execution
  - edgefleet.tpm2._access
seealso:
  - module: edgefleet.tpm2.tpm2_info
"""

EXAMPLES = r"""
---
- name: The service may use the TPM, a stranger may not
  edgefleet.tpm2.tpm2_access:
    tcti: device:/dev/tpmrm0
    allowed: [edge-agent]
    refused: [nobody]
  become: true
"""

RETURN = r"""
tcti:
  description: Where the TPM is.
  returned: always
  type: str
  sample: device:/dev/tpmrm0
users:
  description: The result of each user's command. It is also returned if the module fails because of it.
  returned: when all users exist
  type: list
  elements: dict
  contains:
    user:
      description: The user's name.
      type: str
      returned: always
    uid:
      description: The user's number (UID).
      type: int
      returned: always
    groups:
      description: The groups that the process had.
      type: list
      elements: str
      returned: always
    allowed:
      description: Whether the TPM answered with random bytes.
      type: bool
      returned: always
    reason:
      description:
        - Why the user got no random bytes; V(null) if they came.
        - One of V(permission_denied), V(dbus_refused), V(no_device), V(busy), V(no_bus), V(no_daemon), V(no_answer), V(broken),
          V(not_a_tpm), V(unsupported), V(tpm_error), V(other).
      type: str
      returned: always
    detail:
      description: The reason as a sentence, and what to do; empty if bytes came.
      type: str
      returned: always
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import access
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors


def main() -> None:
    """Run the module."""
    module = _module.create({**_argspec.execution(), **_argspec.access()})
    allowed, refused = module.params["allowed"], module.params["refused"]
    try:
        place, users = access.visit(module.params["tcti"], [*allowed, *refused], module.params["timeout"])
    except errors.TpmError as failed:
        module.fail_json(msg=failed.message, **failed.words())
    sentence = access.verdict(place, users, allowed, refused)
    if sentence:
        module.fail_json(msg=sentence, reason="access", tcti=place, users=users)
    module.exit_json(changed=False, tcti=place, users=users)


if __name__ == "__main__":
    main()
