# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unfilled
short_description: Variables of this collection whose templates name what is not defined
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Fills in the variables of this collection for a host, and returns a sentence for each that names an undefined variable. For a list of
    resources the
    sentence names the resource.
  - Ansible itself says only which variable is undefined, and not where it is used. The role P(edgefleet.tpm2.provision#role) uses this lookup, with
    C(tasks_from=filled).
options:
  _terms:
    description:
      - Not used.
    type: list
    elements: str
seealso:
  - plugin: edgefleet.tpm2.inventory_faults
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Refuse variables that cannot be filled in
  ansible.builtin.assert:
    that: not faults
    fail_msg: "{{ faults | join(' ') }}"
  vars:
    faults: "{{ query('edgefleet.tpm2.unfilled') }}"
"""

RETURN = r"""
_raw:
  description:
    - A sentence for each variable, or resource of a list, that cannot be filled in.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleUndefinedVariable
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text, _variables

# Contains all the others, so it is checked last, and only if they have no fault.
_LAST = "tpm2_profile_resources"
# What it is made of; Jinja's sentence about anything but a list would not name the variable.
_MORE = "tpm2_profile_more"


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the sentences."""
        self.set_options(var_options=variables, direct=kwargs)
        given = variables or {}
        found: list[str] = []
        for name in sorted(_variables.options() & given.keys() - {_LAST}):
            found += self._faults(name, given)
        if not found and _MORE in given and not isinstance(self._templar.template(given[_MORE]), list):
            return [
                f"{given.get('inventory_hostname')}: Could not use {_MORE}: it is no list; begin each resource with a hyphen, or write [] if there is none."
            ]
        return found or (self._faults(_LAST, given) if _LAST in given else [])

    def _faults(self, name: str, given: t.Mapping[str, t.Any]) -> list[str]:
        value, found = given[name], []
        for where, part in _variables.resources(name, value) if isinstance(value, list) else [(name, value)]:
            try:
                self._templar.template(part)
            except AnsibleUndefinedVariable as error:
                found.append(
                    f"{_text.shown(given.get('inventory_hostname'))}: Could not fill in {_text.shown(where)}: {_text.shown(error)}; define it for this "
                    "host, or correct its name."
                )
        return found
