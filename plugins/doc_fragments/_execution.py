# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where a module compares. Must be kept in sync with C(module_utils/_argspec.py:execution)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  execution:
    description:
      - Where the device is compared with what the task declares.
      - With V(auto), on the controller. The device only gets a small program that passes bytes between the controller and its TPM and reads
        the files that the task names. If nothing is to be done, the task ends there, and the device has been sent no auth value and no secret,
        only handles and paths. Otherwise the module itself is sent, with its options, and does the work on the device.
      - With V(device), everything is done by the module on the device, as with C(ansible-pull).
      - V(auto) does the same as V(device) if the TPM can be reached only through a library on the device, for example with a O(tcti) of
        C(tabrmd), and if a comparison needs a session, or a file on the device that holds a secret (the C(src) of a sealed blob).
    type: str
    choices: [auto, device]
    default: auto
  known_answers:
    description:
      - What the controller has just read from this TPM. The controller's part of this module gives it to the part on the device, which then
        need not read it again. Leave it out.
    type: list
    elements: str
"""
