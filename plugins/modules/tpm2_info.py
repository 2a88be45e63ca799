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
  - Reads what a TPM tells about itself. It opens no session, loads no object and changes nothing, and needs Python alone on the device.
extends_documentation_fragment:
  - edgefleet.tpm2._attributes.info
  - edgefleet.tpm2._connection
options:
  gather:
    description:
      - Which facts to read.
      - V(all) is everything that the TPM tells. Host, advisories and findings are gathered only when requested by name.
      - V(host) is what the host tells. It opens no TPM, needs none, and does not fail for want of one.
      - V(advisories) is what is published about the TPM's firmware and the TPM software of the host.
      - V(findings) is all that is wrong or worth knowing, of host and TPM. A TPM that is absent, busy, locked or broken is a finding and no
        failure; what else of the TPM was asked for is then missing.
    type: list
    elements: str
    choices: [all, identity, da_lockout, hierarchies, capacity, persistent_handles, nv_indices, algorithms, pcrs, host, advisories, findings]
    default: [all]
  pcrs:
    description:
      - Which PCRs to read, of every allocated bank; all of them where it is not given.
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
  description: The resource manager on this path, which swaps sessions and objects.
  returned: always
  type: str
  sample: kernel
family:
  description: The library family.
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
  description: Dictionary attack protection; times in seconds.
  returned: with da_lockout
  type: dict
hierarchies:
  description: For each hierarchy whether its auth is set and whether it is enabled; V(null) where the TPM does not tell.
  returned: with hierarchies
  type: dict
capacity:
  description: What is used and left, as far as the TPM tells.
  returned: with capacity
  type: dict
persistent_handles:
  description: Persistent objects with Name, template and registered user of the handle.
  returned: with persistent_handles
  type: list
  elements: dict
nv_indices:
  description: NV indices with type, attributes, size and registered user.
  returned: with nv_indices
  type: list
  elements: dict
algorithms:
  description: Algorithms by name.
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
  description: Elliptic curves by name.
  returned: with algorithms
  type: list
  elements: str
commands:
  description: Implemented commands by code.
  returned: with algorithms
  type: list
  elements: str
pcr_banks:
  description: Allocated PCR banks.
  returned: with pcrs
  type: list
  elements: str
pcrs:
  description: PCR values.
  returned: with pcrs
  type: list
  elements: dict
  contains:
    bank:
      description: The hash of the bank.
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
      description: V(error) where the device cannot or must not be used as it is, V(warning) where it should be changed, else V(info).
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
    - How old the rules behind RV(advisories) are, by the days on which they were compared with their sources. Each verdict has its own in C(checked).
    - They travel with the collection and learn nothing by themselves, so keep the collection recent.
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
    Every published fault that we know of this firmware's vendor and of the installed TPM software, with the verdict. Unknown is not safe.
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
      description: Why this verdict.
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
      description: The day on which that was last read.
      type: str
      returned: always
    also:
      description: Other names of the same fault.
      type: list
      elements: str
      returned: always
host:
  description:
    - The host around the TPM; whatever cannot be told is V(null).
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
      description: What this host has.
      type: dict
      returned: always
      contains:
        state:
          description: >-
            One of V(ready), V(absent), V(tpm12), V(driver_failed), V(no_permission), V(starting), V(node_missing).
          type: str
          returned: always
        sentence:
          description: The same in words, and what to look at next.
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
      description: Kernel modules that the TPM needs, those that are loaded, those that are built in.
      type: dict
      returned: always
    resource_manager:
      description: Who swaps sessions and objects, and the state of tpm2-abrmd with a sentence on why it does not serve.
      type: dict
      returned: always
    dbus:
      description: Whether the system bus takes connections.
      type: dict
      returned: always
    holders:
      description: Who has a TPM node open; process, unit, state, and whether it hangs. Complete for root only.
      type: list
      elements: dict
      returned: always
    udev_rules:
      description: The rules that set the mode of a TPM node, in udev's order, and for which nodes each has the last word.
      type: list
      elements: dict
      returned: always
    group:
      description: The group C(tss) and its members.
      type: dict
      returned: always
    boot:
      description: Measured boot.
      type: dict
      returned: always
      contains:
        event_log:
          description: The firmware's log, V(null) where it hands over none.
          type: str
          returned: always
        replay:
          description: >-
            Whether the log, replayed, gives the PCRs of the firmware. One of V(matches), V(differs), V(no_log), V(unknown).
          type: str
          returned: always
        detail:
          description: Which PCRs differ, or why nobody can tell.
          type: str
          returned: always
        separated:
          description: >-
            For each bank the PCRs of the firmware that systemd (from version 261 on) has extended with its separator since; V(null) where nobody
            can tell. Such a PCR does not differ.
          type: dict
          returned: always
        measured_os:
          description: >-
            Whether systemd measures the system beyond the firmware, because systemd-stub has measured the kernel or the kernel's command line
            says so; V(null) where nobody can tell.
          type: bool
          returned: always
        extended:
          description: For each bank the PCRs that hold a measurement.
          type: dict
          returned: always
    kernel_log:
      description: What the kernel has said of the TPM, its bus, heat and power.
      type: dict
      returned: always
    software:
      description: Versions of the installed TPM software by upstream's name.
      type: dict
      returned: always
    disk:
      description: Free bytes of C(/var) and C(/etc); 0 also where the inodes are used up.
      type: dict
      returned: always
    tcti:
      description: Where each consumer of the host looks for the TPM.
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
