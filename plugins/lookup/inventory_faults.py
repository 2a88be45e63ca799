# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: inventory_faults
short_description: What is wrong with an inventory before a play over it begins
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Looks at the variables of all hosts and returns one sentence for each thing that is wrong. It contacts no device and changes nothing.
  - It always reports misspelt variables of this collection on the hosts of the play, C(tpm2_hosts) in the inventory, where no play
    reads it, and a host whose C(platform_hierarchy_tcti) is not its C(tpm2_profile_tcti).
  - With O(serials) it reports a host that has no serial number, the same one as another host of the inventory, or one that is not text.
  - With O(registry) it reports a registry (C(tpm2_identity_registry)) that is not there, unless C(tpm2_identity_new_registry) is true for
    a host, and one that is not the registry of the inventory plugin P(edgefleet.tpm2.registry#inventory).
  - With O(tags) it reports a tag of the command line that the playbook does not have, and tags that leave nothing to do.
  - The role P(edgefleet.tpm2.controller#role) uses it, with C(tasks_from=inventory).
options:
  serials:
    description:
      - Whether each host of the play must have a serial number of its own.
    type: bool
    default: true
  registry:
    description:
      - Whether to look for the registry.
    type: bool
    default: true
  registry_needed:
    description:
      - Whether at least one host of the play must have a registry. Use it for a play that does nothing without a registry, so that it
        fails and does not succeed.
    type: bool
    default: false
  tags:
    description:
      - The tags of the playbook. They are compared with C(--tags) and C(--skip-tags) if the command line names a single playbook of this
        collection. If another playbook imports it, the tags may be meant for something else. By default tags are not checked.
    type: list
    elements: str
seealso:
  - plugin: edgefleet.tpm2.hosts
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Refuse an inventory with faults
  ansible.builtin.assert:
    that: not (faults.all or faults.hosts)
    fail_msg: "{{ faults.all + (faults.hosts.values() | list) }}"
  vars:
    faults: "{{ lookup('edgefleet.tpm2.inventory_faults') }}"
  run_once: true
"""

RETURN = r"""
_raw:
  description:
    - One mapping. C(all) is a list with a sentence for each fault that must end the whole run. C(hosts) has a sentence for each host that
      must not go on.
  type: list
  elements: dict
"""

import typing as t

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _configuration, _tags, _text, _variables
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import another, is_there, missing

_IN_VAIN = (
    "The inventory sets tpm2_hosts, and no play reads it there, so this run would go to other hosts; give it on the command line (-e tpm2_hosts=...) "
    "and take it out of the inventory."
)
_NONE = "Could not begin: no host has tpm2_identity_registry, so none would be known as enrolled; give the registry's path or URL in the inventory."


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """Return one mapping."""
        self.set_options(var_options=variables, direct=kwargs)
        given = variables or {}
        every, play = given["groups"]["all"], list(given.get("ansible_play_hosts_all") or [])
        wanted = every if self.get_option("serials") else play
        # The inventory's variables, with templates not filled in.
        raw = {host: given["hostvars"].raw_get(host) for host in dict.fromkeys([*wanted, *play])}
        ours = {host: raw[host] for host in play}
        try:
            _configuration.refuse_injection()
            faults = self._tags(given) + _variables.misspelt(ours)
            if any("tpm2_hosts" in one for one in ours.values()) and "tpm2_hosts" not in load_extra_vars(self._loader):
                faults.append(_IN_VAIN)
            if self.get_option("registry") and not faults:
                faults.extend(self._registries(ours))
        except TpmError as error:
            faults.append(_text.shown(error.message))
        hosts = self._serials(raw, play) if self.get_option("serials") else {}
        for host, one in ours.items():
            ways = (self._filled(one, name) for name in ("tpm2_profile_tcti", "platform_hierarchy_tcti", "tpm2_resource_manager"))
            if two := _variables.tcti_fault(host, *ways):
                hosts[host] = f"{hosts[host]} {two}" if host in hosts else two
        return [{"all": faults, "hosts": hosts}]

    def _tags(self, given: t.Mapping[str, t.Any]) -> list[str]:
        """A sentence for each tag that the playbook does not have."""
        known = self.get_option("tags")
        if known is None or not _tags.is_ours(context.CLIARGS.get("args") or ()):
            return []
        return _tags.faults(given.get("ansible_run_tags") or ["all"], given.get("ansible_skip_tags") or (), known)

    def _serials(self, hosts: _variables.Hosts, play: t.Sequence[str]) -> dict[str, str]:
        """A sentence for each host of the play that its serial number does not identify."""
        serials, unfilled = {}, {}
        for host, one in hosts.items():
            try:
                serials[host] = self._value(one, "tpm2_profile_serial")
            except AnsibleError as error:
                unfilled[host] = (
                    f"Could not fill in tpm2_profile_serial of {_text.shown(host)}: {_text.shown(error)}; correct it in the inventory."
                )
        faults = _variables.serial_faults(serials, [host for host in play if host not in unfilled])
        return {**faults, **{host: unfilled[host] for host in play if host in unfilled}}

    def _registries(self, hosts: _variables.Hosts) -> list[str]:
        """A sentence for each registry that does not exist, or is not the inventory's. Raises RegistryError, InputError, DependencyError."""
        seen: dict[str, bool] = {}
        pairs: dict[tuple[str, str], None] = {}
        for one in hosts.values():
            if one.get("tpm2_identity_registry"):
                new = self._filled(one, "tpm2_identity_new_registry").lower() in ("true", "yes", "on", "1")
                address = self._filled(one, "tpm2_identity_registry")
                seen[address] = seen.get(address, False) or new
                pairs[(self._filled(one, _variables.INVENTORY_REGISTRY), address)] = None
        if self.get_option("registry_needed") and not any(seen):
            return [_NONE]
        others = [other for inventory, address in pairs if inventory and address and (other := another(inventory, address))]
        gone = [missing(address) for address, new in seen.items() if address and not new and not is_there(address)]
        return [_text.shown(one) for one in others + gone]

    def _filled(self, variables: t.Mapping[str, t.Any], name: str) -> str:
        """A host's variable as text; empty if it has none, or its template cannot be filled in, which the host's own tasks report."""
        try:
            value = self._value(variables, name)
        except AnsibleError:
            return ""
        return "" if value is None else str(value).strip()

    def _value(self, variables: t.Mapping[str, t.Any], name: str) -> t.Any:
        """A host's variable with its template filled in. Raises AnsibleError if that fails."""
        return _variables.filled(self._templar, variables, name)
