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
      - Where the device is compared with what the task declares, and from where it is changed.
      - With V(controller), all of this is done on the controller. The device only gets a small program, the relay, that passes bytes between the
        controller and the TPM, and reads and writes the files that the task names. Auth values and secrets go into the TPM in encrypted
        sessions between the controller and the TPM. The operating system of the device never has them. The controller needs tpm2-pytss 2.0 or newer,
        the device only Python 3.6 or newer, or a shell (see O(relay)).
      - With V(device), the module is sent to the device with all its options, auth values and secrets among them, and does everything there. The device
        needs tpm2-pytss.
      - With V(auto), the comparison is done on the controller. If nothing is to be done, the task ends there. Otherwise it goes on as with
        V(controller) if the controller has tpm2-pytss and the connection allows it (C(ssh) without a password, C(local), C(docker), C(podman); C(su)
        without a password). If not, the module is sent to the device, but only without auth values and secrets. A task that has any fails then
        (with the reason C(untold)). Use V(device) if the operating system of the device may have them.
      - The same holds for a TPM that is reached through a library on the device, such as a O(tcti) of C(tabrmd), and for a device on which the relay does
        not run, or does not answer as a relay does.
      - A C(local) connection sends nothing to anybody else. If the controller has no tpm2-pytss, or the O(tcti) is of a library, V(auto) runs the module
        there as V(device) does.
    type: str
    choices: [auto, controller, device]
    default: auto
  relay:
    description:
      - The language of the relay, which the controller sends to the device. It does not matter with O(execution=device).
      - V(python) needs Python 3.6 or newer on the device.
      - V(shell) needs a POSIX shell at C(/bin/sh) with a C(printf) of its own, and C(dd), C(tr), C(od) or C(hexdump), C(readlink) and
        C(mktemp). BusyBox has all of them. It reaches the kernel's device nodes only, not the socket of a software TPM. As the module cannot run
        on a device without Python, the task is then always done as with O(execution=controller), and fails where that is not possible.
      - With V(auto), the relay is V(python). If the device does not have the interpreter that Ansible uses, it is V(shell). That costs two more
        exchanges for each task, so name V(shell) for devices without Python.
    type: str
    choices: [auto, python, shell]
    default: auto
"""
