#!/usr/bin/python

# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tpm2_info
short_description: Facts about a TPM 2.0 and the host around it
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Reads what a TPM tells about itself. It opens no session, loads no object, changes nothing, and needs nothing but Python on the
    device.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.info
  - edgefleet.tpm2._connection
  - edgefleet.tpm2._execution
options:
  gather:
    description:
      - Which facts to read.
      - V(all) is everything that the TPM tells. It does not include V(host), V(advisories) and V(findings); name these in addition if you
        want them.
      - V(host) is what the host around the TPM tells. It opens no TPM, and does not fail if there is none.
      - V(advisories) is what is published about faults of the TPM's firmware and of the TPM software of the host.
      - V(findings) is everything about host and TPM that is wrong or worth knowing. If the TPM is absent, busy, locked or broken, that is
        a finding, and the module does not fail; other facts of the TPM are then missing from the result.
    type: list
    elements: str
    choices: [all, identity, da_lockout, hierarchies, capacity, persistent_handles, nv_indices, algorithms, pcrs, host, advisories, findings]
    default: [all]
  pcrs:
    description:
      - Which PCRs to read, from every allocated bank. The default is all of them.
    type: list
    elements: int
seealso:
  - module: edgefleet.tpm2.tpm2_profile
"""

EXAMPLES = r"""
---
- name: Who is it, and is it locked?
  edgefleet.tpm2.tpm2_info:
    gather: [identity, da_lockout]
  register: tpm

- name: What is wrong with this device?
  edgefleet.tpm2.tpm2_info:
    gather: [findings, identity]
  register: device

- name: Stop where the TPM cannot be used
  ansible.builtin.assert:
    that: device.findings | selectattr('severity', 'eq', 'error') | list | length == 0

- name: Refuse a TPM in lockout
  ansible.builtin.assert:
    that: not tpm.da_lockout.in_lockout

- name: What is in the second TPM of a board
  edgefleet.tpm2.tpm2_info:
    tcti: device:/dev/tpmrm1
    gather: [identity, capacity]
  register: second
"""

RETURN = r"""
tcti:
  description: Where the TPM is.
  returned: always
  type: str
  sample: device:/dev/tpmrm0
resource_manager:
  description: The resource manager through which this TPM is reached, V(kernel), V(abrmd) or V(none).
  returned: always
  type: str
  sample: kernel
family:
  description: The family of the TPM's specification.
  returned: with identity
  type: str
  sample: "2.0"
revision:
  description: The revision of the specification.
  returned: with identity
  type: str
  sample: "1.59"
manufacturer:
  description: The manufacturer's registered name.
  returned: with identity
  type: str
  sample: IFX
model:
  description: What the manufacturer calls it.
  returned: with identity
  type: str
firmware:
  description: The firmware version as four numbers.
  returned: with identity
  type: str
  sample: 7.85.17.51968
da_lockout:
  description: The dictionary attack parameters and the counter of wrong tries. Times are in seconds.
  returned: with da_lockout
  type: dict
hierarchies:
  description: For each hierarchy, whether its auth is set and whether it is enabled. V(null) means that the TPM does not tell.
  returned: with hierarchies
  type: dict
capacity:
  description: How much of the TPM's room is used and left, as far as the TPM tells.
  returned: with capacity
  type: dict
persistent_handles:
  description: The persistent objects, each with its Name, the template from which it was made, and the program or standard that usually
    uses the handle.
  returned: with persistent_handles
  type: list
  elements: dict
nv_indices:
  description: The NV indices, each with its type, attributes, size, and the program or standard that usually uses the index.
  returned: with nv_indices
  type: list
  elements: dict
algorithms:
  description: The algorithms that the TPM implements, by name.
  returned: with algorithms
  type: list
  elements: str
post_quantum:
  description:
    - Whether the TPM has the post-quantum algorithms of library version 1.85, each C(yes), C(no) or C(unknown). They are C(ml_kem), C(ml_dsa) and
      C(hash_ml_dsa), and the parameter sets C(ml_kem_512), C(ml_kem_768), C(ml_kem_1024), C(ml_dsa_44), C(ml_dsa_65) and C(ml_dsa_87).
    - A TPM lists all algorithms that it implements, so one that is missing from its list is C(no). C(unknown) is what the TPM does not tell.
  returned: with algorithms
  type: dict
  sample: {ml_kem: "no", ml_dsa: "no", hash_ml_dsa: "no", ml_kem_768: "no", ml_dsa_65: "no"}
curves:
  description: The elliptic curves that the TPM implements, by name.
  returned: with algorithms
  type: list
  elements: str
commands:
  description: The commands that the TPM implements, by their codes.
  returned: with algorithms
  type: list
  elements: str
pcr_banks:
  description: The PCR banks that the TPM has allocated.
  returned: with pcrs
  type: list
  elements: str
pcrs:
  description: The values of the PCRs.
  returned: with pcrs
  type: list
  elements: dict
  contains:
    bank:
      description: The hash algorithm of the bank.
      type: str
      returned: always
    index:
      description: The PCR.
      type: int
      returned: always
    digest:
      description: Its value in hex.
      type: str
      returned: always
reachable:
  description: Whether the TPM could be read, at least in part.
  returned: with findings
  type: bool
findings:
  description: Problems and remarks, the most severe first.
  returned: with findings
  type: list
  elements: dict
  contains:
    name:
      description: The kind of finding; it does not change between versions.
      type: str
      returned: always
      sample: platform_hierarchy_open
    severity:
      description: V(error) means that the device cannot or must not be used as it is, V(warning) that something should be changed, V(info)
        that it is worth knowing.
      type: str
      returned: always
    object:
      description: What it is about.
      type: str
      returned: always
    evidence:
      description: What the finding is based on.
      type: str
      returned: always
    remedy:
      description: What to do.
      type: str
      returned: always
advisories_checked:
  description:
    - How old the rules behind RV(advisories) are. These are the days on which they were last compared with their sources. C(checked) of
      each verdict is the day of its own rule.
    - The rules are part of the collection, so upgrade it regularly.
  returned: with advisories
  type: dict
  contains:
    oldest:
      description: The oldest of these days.
      type: str
      returned: always
      sample: "2026-11-22"
    newest:
      description: The newest of these days.
      type: str
      returned: always
      sample: "2026-11-30"
advisories:
  description: >-
    Every published fault that we know of this firmware's vendor and of the installed TPM software, with a verdict on it. V(unknown) does not mean safe.
  returned: with advisories
  type: list
  elements: dict
  contains:
    name:
      description: The CVE, or a short name.
      type: str
      returned: always
    verdict:
      description: V(affected), V(not_affected) or V(unknown).
      type: str
      returned: always
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      returned: always
    object:
      description: The firmware or package.
      type: str
      returned: always
    evidence:
      description: Why the verdict is as it is.
      type: str
      returned: always
    means:
      description: What it means for a fleet.
      type: str
      returned: always
    remedy:
      description: What to do; empty if not affected.
      type: str
      returned: always
    fixed_in:
      description: The versions that have the fix.
      type: str
      returned: always
    source:
      description: Where it is published.
      type: str
      returned: always
    checked:
      description: The day on which the source was last read.
      type: str
      returned: always
    also:
      description: Other names of the same fault.
      type: list
      elements: str
      returned: always
host:
  description:
    - The host around the TPM. V(null) means that a value could not be found out.
  returned: with host
  type: dict
  contains:
    os:
      description: Distribution, package manager, init, whether the root file system is read-only, and whether the roles know this distribution.
      type: dict
      returned: always
    kernel:
      description: Release, whether it has a resource manager (4.12 and later), lockdown, Secure Boot, whether it encrypts its own sessions.
      type: dict
      returned: always
    clock:
      description: The time, and whether it can be true.
      type: dict
      returned: always
    machine:
      description: Model, UEFI, Raspberry Pi and where its config.txt is, container.
      type: dict
      returned: always
    config_txt:
      description: The TPM overlays of a Raspberry Pi's config.txt and what contradicts them.
      type: dict
      returned: always
    tpm:
      description: Whether this host has a TPM, and in which state it is.
      type: dict
      returned: always
      contains:
        state:
          description: >-
            One of V(ready), V(absent), V(tpm12), V(driver_failed), V(no_permission), V(starting), V(node_missing).
          type: str
          returned: always
        sentence:
          description: The state as a sentence, and what to look at next.
          type: str
          returned: always
    devices:
      description: The kernel's TPMs with major version, driver, bus and nodes.
      type: list
      elements: dict
      returned: always
    nodes:
      description: The device nodes with mode, owner, group, and whether this user may use them.
      type: list
      elements: dict
      returned: always
    modules:
      description: The kernel modules that the TPM needs, and which of them are loaded or built in.
      type: dict
      returned: always
    resource_manager:
      description: Which resource manager lets programs share the TPM, and the state of tpm2-abrmd, with a sentence on why it does not work.
      type: dict
      returned: always
    dbus:
      description: Whether the system bus takes connections.
      type: dict
      returned: always
    holders:
      description: The processes that have a TPM node open, each with its unit, its state, and whether it hangs. The list is complete only
        if the module runs as root.
      type: list
      elements: dict
      returned: always
    udev_rules:
      description: The rules that set the mode of a TPM node, in the order in which udev reads them, and the nodes whose final mode comes
        from each rule.
      type: list
      elements: dict
      returned: always
    group:
      description: The group C(tss) and its members.
      type: dict
      returned: always
    boot:
      description: What is known of measured boot.
      type: dict
      returned: always
      contains:
        event_log:
          description: The path of the firmware's event log; V(null) if the firmware provides none.
          type: str
          returned: always
        replay:
          description: >-
            Whether the events of the log lead to the present values of the firmware's PCRs. One of V(matches), V(differs), V(no_log), V(unknown).
          type: str
          returned: always
        detail:
          description: Which PCRs differ, or why that cannot be found out.
          type: str
          returned: always
        separated:
          description: >-
            For each bank, the PCRs of the firmware that systemd (from version 261 on) has extended with its separator afterwards. These do not
            count as different. V(null) means that this cannot be found out.
          type: dict
          returned: always
        measured_os:
          description: >-
            Whether systemd measures the system beyond the firmware, because systemd-stub has measured the kernel, or because the kernel's
            command line says so. V(null) means that this cannot be found out.
          type: bool
          returned: always
        extended:
          description: For each bank the PCRs that hold a measurement.
          type: dict
          returned: always
    kernel_log:
      description: What the kernel log says about the TPM, its bus, heat and power.
      type: dict
      returned: always
    software:
      description: The versions of the installed TPM software, by the names that its authors use.
      type: dict
      returned: always
    disk:
      description: The free bytes of C(/var) and C(/etc). It is 0 also if no inodes are left.
      type: dict
      returned: always
    tcti:
      description: Where each kind of program on the host looks for the TPM.
      type: dict
      returned: always
"""

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import info


def main() -> None:
    """Run the module."""
    _module.inform(_argspec.info(), lambda options, place: info.gather(place, options["gather"], options["pcrs"]))


if __name__ == "__main__":
    main()
