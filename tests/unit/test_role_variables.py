# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Role variables by one rule, which stands here in place of ansible-lint's `var-naming[no-role-prefix]`.

What a user sets, and what a role gives back, begins with the words of the role in PUBLIC; all else begins with two underscores and the name of
the role. So no role defines, registers or sets a variable of another role, and nothing that a user has set is set by a role.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())
PUBLIC = {
    "controller": ("controller_",),
    "identity": ("tpm2_identity_",),
    "platform_hierarchy": ("platform_hierarchy_",),
    "provision": ("tpm2_profile_",),
    # One choice, which both roles of the host read.
    "resource_manager": ("resource_manager_", "tpm2_resource_manager"),
    "tpm_stack": ("tpm_stack_", "tpm2_resource_manager"),
}


def _tasks(listed: t.Any) -> t.Iterator[dict[str, t.Any]]:
    for task in listed or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from _tasks(task.get(part))


def _loaded(role: str, *folders: str) -> t.Iterator[tuple[str, t.Any]]:
    for folder in folders:
        for path in sorted((ROOT / "roles" / role / folder).rglob("*.yml")):
            yield path.relative_to(ROOT).as_posix(), yaml.safe_load(path.read_text(encoding="utf-8"))


def variables(role: str) -> t.Iterator[tuple[str, str, str]]:
    """Every variable that a role gives a value: the file, how (`default`, `var`, `register`, `set_fact`), its name."""
    for file, found in _loaded(role, "defaults"):
        yield from ((file, "default", name) for name in found or {})
    for file, found in _loaded(role, "vars"):
        yield from ((file, "var", name) for name in found or {})
    for file, found in _loaded(role, "tasks", "handlers"):
        for task in _tasks(found):
            yield from ((file, "var", name) for name in task.get("vars", {}) if not any("include_role" in key for key in task))
            yield from ((file, "set_fact", name) for name in task.get("ansible.builtin.set_fact", {}) if name != "cacheable")
            if "register" in task:
                yield file, "register", task["register"]


@pytest.mark.parametrize("role", ROLES)
def test_variables_are_those_of_their_role(role: str) -> None:
    own, public = f"__{role}_", PUBLIC[role]
    found = list(variables(role))
    assert found
    for file, how, name in found:
        allowed = {"default": public, "set_fact": (own,)}.get(how, (*public, own))
        assert name.startswith(allowed), f"{file}: {how} {name} is no variable of the role {role}"


def test_no_variable_is_two_roles_own() -> None:
    claimed = [words for role in ROLES for words in PUBLIC[role] if words != "tpm2_resource_manager"]
    assert len(set(claimed)) == len(claimed) and set(PUBLIC) == set(ROLES)
