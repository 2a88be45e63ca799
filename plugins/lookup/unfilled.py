# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: unfilled
short_description: Variables of this collection that cannot be filled in, or are not what a role takes
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Fills in the variables of this collection for a host, and returns a sentence for each that names an undefined variable. For a list of
    resources the sentence names the resource.
  - Ansible itself says only which variable is undefined, and not where it is used.
  - With O(roles) it also compares the variables with what these roles take, as Ansible does in a task of its own when a role begins, and returns
    a sentence for each role that would refuse them.
  - The role P(edgefleet.tpm2.controller#role) uses this lookup, with C(tasks_from=inventory).
options:
  _terms:
    description:
      - Not used.
    type: list
    elements: str
  roles:
    description:
      - Names of roles of this collection, without the collection's name.
    type: list
    elements: str
    default: []
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
    - A sentence for each variable, or resource of a list, that cannot be filled in. If there is none, a sentence for each role.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleUndefinedVariable
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
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
        given, self._filled = variables or {}, dict[str, t.Any]()
        host = _text.shown(given.get("inventory_hostname"))
        found: list[str] = []
        for name in sorted(_variables.options() & given.keys() - {_LAST}):
            found += self._faults(name, given[name])
        if not found and not isinstance(self._filled.get(_MORE, []), list):
            found = [f"Could not use {_MORE}: it is no list; begin each resource with a hyphen, or write [] if there is none."]
        if not found and _LAST in given:
            found = self._faults(_LAST, given[_LAST])
        return [f"{host}: {fault}" for fault in found or self._misfits()]

    def _faults(self, name: str, value: t.Any) -> list[str]:
        """A sentence for each part of the variable that cannot be filled in; what can is kept."""
        found, filled = [], []
        for where, part in _variables.resources(name, value) if isinstance(value, list) else [(name, value)]:
            try:
                filled.append(self._templar.template(part))
            except AnsibleUndefinedVariable as error:
                found.append(f"Could not fill in {_text.shown(where)}: {_text.shown(error)}; define it for this host, or correct its name.")
        if not found:
            self._filled[name] = filled if isinstance(value, list) else filled[0]
        return found

    def _misfits(self) -> list[str]:
        """A sentence for each role that does not take the variables as they are."""
        found = []
        for role in self.get_option("roles"):
            spec = _variables.roles()[role]["main"]["options"]
            validated = ArgumentSpecValidator(spec).validate({name: self._filled[name] for name in spec if name in self._filled})
            if validated.error_messages:
                # Ansible's own sentences. They quote values of numbers, switches and choices, none of which is a secret.
                wrong = "; ".join(_text.shown(one) for one in validated.error_messages)
                found.append(f"Could not use the variables of the role {role}: {wrong}; correct them in the inventory.")
        return found
