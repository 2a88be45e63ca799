# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read policies as a playbook gives them: a list of assertions, each a name or a mapping of one name to its arguments."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy import ASSERTIONS, Policy
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy_base import bad

MAX_DEPTH = 4
# The classes of assertions by their names in a playbook.
READERS = {name: one for one in ASSERTIONS for name in one.names}


def _shown(item: t.Any) -> str:
    """An entry that is not an assertion, in a few words and without its arguments, which may be secret."""
    if isinstance(item, dict):
        return f"an entry with {' and '.join(repr(str(key)) for key in item) or 'nothing'} in it"
    return repr(item) if isinstance(item, (str, int)) else "an entry that is neither a name nor a mapping"


def _read(items: t.Any, depth: int) -> Policy:
    if depth > MAX_DEPTH:
        raise bad(f"or is nested more than {MAX_DEPTH} deep; make two objects of it")
    if not isinstance(items, list):
        raise bad("a policy is a list of assertions")
    found = []
    for item in items:
        pair = (item, None) if isinstance(item, str) else None
        if isinstance(item, dict) and len(item) == 1:
            pair = next(iter(item.items()))
        if pair is None or pair[0] not in READERS:
            raise bad(f"{_shown(item)} is not a known assertion; take {', '.join(sorted(READERS))}, each an entry of its own in the list")
        found.append(READERS[pair[0]].read(pair[1], lambda branch: _read(branch, depth + 1)))
    return tuple(found)


def read(items: t.Any) -> Policy:
    """Read a policy as a playbook gives it. Raises InputError that says what is wrong and what would be right."""
    return _read(items or [], 0)


__all__ = ("read",)
