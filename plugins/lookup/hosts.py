# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: hosts
short_description: Return a pattern of hosts, or fail if it matches no host
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Returns the pattern that it was given, for C(hosts) of a play, and fails if the pattern matches no host. Without this lookup such a
    play does nothing and succeeds, so an audit that looks at no device would report that all is well.
  - Each part of the pattern has to match a host, so that one misspelt name in a list is found too.
  - It also fails if C(--limit) leaves no host of the pattern and a playbook of this collection is run by itself.
  - It refuses nothing if the playbook is not run (C(--syntax-check), C(--list-hosts), C(--list-tasks) and C(--list-tags)).
options:
  _terms:
    description:
      - The pattern, as C(hosts) of a play and C(--limit) take it.
    type: str
    required: true
  may_be_empty:
    description:
      - Whether a group that exists may have no hosts.
    type: bool
    default: false
seealso:
  - plugin: edgefleet.tpm2.inventory_faults
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: A play that must not succeed without hosts
  hosts: "{{ lookup('edgefleet.tpm2.hosts', tpm2_hosts | default('all')) }}"
  gather_facts: false
  tasks: []
"""

RETURN = r"""
_raw:
  description:
    - The pattern.
  type: list
  elements: str
"""

import importlib
import typing as t

from ansible import context
from ansible.errors import AnsibleLookupError
from ansible.inventory.manager import InventoryManager, split_host_pattern
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _tags, _text, _variables

# What templates of our roles use. Where one filter of a collection is used, Ansible loads them all.
AHEAD: tuple[str, ...] = (
    "filter.birth_record",
    "filter.certificate_resources",
    "filter.left_out",
    "filter.sealed_to",
    "filter.serial_number",
    "filter.text",
)
AHEAD += ("filter.without_secrets", "lookup.unfilled")
_READING = ("syntax", "listhosts", "listtasks", "listtags")


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return the pattern. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        pattern = ",".join(str(part) for term in terms for part in (term if isinstance(term, (list, tuple)) else [term]))
        groups = (variables or {}).get("groups") or {}
        if not any(context.CLIARGS.get(name) for name in _READING):
            known = _inventory(self._loader, groups)
            for part in _parts(pattern):
                if not (known.get_hosts(pattern=part) or (self.get_option("may_be_empty") and part in groups)):
                    number = len(groups.get("all") or ())
                    raise AnsibleLookupError(
                        f"Could not begin: {_text.shown(part)} matches none of the {number} hosts of the inventory; is it the right inventory (-i), and "
                        "the right pattern (-e tpm2_hosts=...)?"
                    )
            limit = context.CLIARGS.get("subset")
            if limit and not self.get_option("may_be_empty") and _tags.is_ours(context.CLIARGS.get("args") or ()):
                known.subset(limit)
                if not known.get_hosts(pattern=pattern):
                    raise AnsibleLookupError(
                        f"Could not begin: --limit {_text.shown(limit)} leaves none of {_text.shown(pattern)}; correct --limit, or leave it out."
                    )
            _ahead()
        return [pattern]


def _ahead() -> None:
    """Import what each task of each device would compile anew: a play's hosts are looked up before Ansible forks its workers."""
    for name in AHEAD:
        importlib.import_module(f"ansible_collections.edgefleet.tpm2.plugins.{name}")
    _variables.options()  # keeps what it has read


def _parts(pattern: str) -> list[str]:
    """The parts of a pattern that add hosts. Parts that exclude (!) or intersect (&) may match no host."""
    return [part for part in split_host_pattern(pattern) if not part.startswith(("!", "&"))] or [pattern]


def _inventory(loader: t.Any, groups: t.Mapping[str, t.Sequence[str]]) -> InventoryManager:
    """An inventory with the hosts in their groups, made as ansible.builtin.inventory_hostnames does."""
    manager = InventoryManager(loader, parse=False)
    for group, hosts in groups.items():
        manager.add_group(group)
        for host in hosts:
            manager.add_host(host, group=group)
    return manager
