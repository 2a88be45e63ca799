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
  - Looks at the variables of all hosts, and says what is wrong with them, a sentence each. It asks no device and changes nothing.
  - For the hosts of the play a misspelt variable of this collection is a fault, and a C(tpm2_hosts) that is set in the inventory, where no play
    reads it. With O(serials) a host without serial number is one, and one whose serial number another host of the inventory has. With
    O(registry) a registry (C(tpm2_identity_registry)) that is not there is one, unless C(tpm2_identity_new_registry) is true for a host.
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
    - One mapping, of C(all), a list with a sentence for each fault of the whole run, and C(hosts), a mapping with a sentence for each host
      that must not go on.
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleError
from ansible.plugins.lookup import LookupBase
from ansible.utils.vars import load_extra_vars

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _configuration, _text, _variables
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import is_there, missing

_IN_VAIN = (
    "The inventory sets tpm2_hosts, and no play reads it there, so this run would go to other hosts; give it on the command line (-e tpm2_hosts=...) "
    "and take it out of the inventory."
)


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """Return one mapping."""
        self.set_options(var_options=variables, direct=kwargs)
        given = variables or {}
        every, play = given["groups"]["all"], list(given.get("ansible_play_hosts_all") or [])
        wanted = every if self.get_option("serials") else play
        # As the inventory has them: their templates are not filled in.
        raw = {host: given["hostvars"].raw_get(host) for host in dict.fromkeys([*wanted, *play])}
        ours = {host: raw[host] for host in play}
        try:
            _configuration.refuse_injection()
            faults = _variables.misspelt(ours)
            if any("tpm2_hosts" in one for one in ours.values()) and "tpm2_hosts" not in load_extra_vars(self._loader):
                faults.append(_IN_VAIN)
            if self.get_option("registry") and not faults:
                faults.extend(self._registries(ours))
        except TpmError as error:
            faults.append(_text.shown(error.message))
        return [{"all": faults, "hosts": self._serials(raw, play) if self.get_option("serials") else {}}]

    def _serials(self, hosts: _variables.Hosts, play: t.Sequence[str]) -> dict[str, str]:
        """A sentence for each host of the play that cannot be told apart by its serial number."""
        serials, unfilled = {}, {}
        for host, one in hosts.items():
            try:
                serials[host] = self._value(one, "tpm2_profile_serial")
            except AnsibleError as error:
                unfilled[host] = f"Could not fill in tpm2_profile_serial of {_text.shown(host)}: {_text.shown(error)}; correct it in the inventory."
        faults = _variables.serial_faults(serials, [host for host in play if host not in unfilled])
        return {**faults, **{host: unfilled[host] for host in play if host in unfilled}}

    def _registries(self, hosts: _variables.Hosts) -> list[str]:
        """A sentence for each registry that is not there. Raises RegistryError, InputError, DependencyError."""
        seen: dict[str, bool] = {}
        for one in hosts.values():
            if one.get("tpm2_identity_registry"):
                new = self._filled(one, "tpm2_identity_new_registry").lower() in ("true", "yes", "on", "1")
                address = self._filled(one, "tpm2_identity_registry")
                seen[address] = seen.get(address, False) or new
        return [_text.shown(missing(address)) for address, new in seen.items() if address and not new and not is_there(address)]

    def _filled(self, variables: t.Mapping[str, t.Any], name: str) -> str:
        """A variable of a host as text; empty where it has none, or where its template cannot be filled in, of which the host's own tasks tell."""
        try:
            value = self._value(variables, name)
        except AnsibleError:
            return ""
        return "" if value is None else str(value).strip()

    def _value(self, variables: t.Mapping[str, t.Any], name: str) -> t.Any:
        """A variable of a host with its template filled in; None where it has none. Raises AnsibleError where that cannot be done."""
        value = variables.get(name)
        if not (isinstance(value, str) and "{" in value):
            return value
        before = self._templar.available_variables
        self._templar.available_variables = variables
        try:
            return self._templar.template(value)
        finally:
            self._templar.available_variables = before
