# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of the documentation and of the modules is one that a module takes."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from docs.documents import EXAMPLES, PREFIX, ROLES, ROOT, YAML_BLOCKS, Block
from support import places

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

SPECS = {name: getattr(part, name) for part in (_argspec, _argspec_identity) for name in part.__all__} | {"profile": _kinds.profile}
# Their modules take nothing that a TPM would need.
ASK_THE_REGISTRY = ("auth_generation", "registry_info")
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_VARIABLE = re.compile("(" + "|".join(["tpm2", *(folder.name for folder in ROOT.glob("roles/*"))]) + ")_")


def filled_in(value: t.Any, spec: dict[str, t.Any], option: str = "") -> t.Any:
    """The value with something in the place of each template; `spec` is what the argument spec says of it."""
    if isinstance(value, dict):
        return {key: filled_in(item, spec.get("options", {}).get(key, {}), key) for key, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, {**spec, "type": spec.get("elements")}, option) for item in value]
    if isinstance(value, str):
        if spec.get("type") == "dict" and _TEMPLATE.fullmatch(value):
            return {}
        return _TEMPLATE.sub("QUJD" if option.endswith("_b64") else "000b" if option == "name" else "text", value)
    return value


def objections(task: dict[str, t.Any]) -> list[str]:
    """What a module would object to in a task before it looks at a TPM. Tasks of other collections pass."""
    for key, options in task.items():
        if not key.startswith(PREFIX):
            continue
        noun = key.removeprefix(PREFIX + "tpm2_")
        if not (ROOT / f"plugins/modules/tpm2_{noun}.py").exists():
            return [f"there is no module {key}"]
        spec = {**({} if noun in ASK_THE_REGISTRY else _argspec.connection()), **SPECS[noun]()}
        result = ArgumentSpecValidator(spec).validate(filled_in(options or {}, {"options": spec}))
        if result.error_messages:
            return list(result.error_messages)
        valid = result.validated_parameters
        try:
            if noun == "profile":
                _kinds.build(valid["resources"])
            elif noun in _kinds.KINDS:
                _kinds.build([{noun: valid}])
        except InputError as error:
            return [error.message]
    return []


def test_there_are_examples() -> None:
    assert len(YAML_BLOCKS) >= 6
    assert sum(len(block.tasks) for block in EXAMPLES) >= 2 * len(EXAMPLES) - 2


@pytest.mark.parametrize("block", [block for block in YAML_BLOCKS + EXAMPLES if block.tasks], ids=lambda block: block.where)
def test_a_module_takes_the_example(block: Block) -> None:
    assert [f"{task.get('name')}: {why}" for task in block.tasks for why in objections(task)] == []
    assert [task for task in block.tasks if "name" not in task] == []


def test_the_examples_show_what_is_asked_for_most() -> None:
    """How something is taken away, of each module that can; policies; and another way to the TPM."""
    of = {
        block.where.partition(":")[0]: [task for task in block.tasks if any(key.startswith(PREFIX) for key in task)] for block in EXAMPLES
    }
    shown = {name: [options for task in tasks for key, options in task.items() if key.startswith(PREFIX)] for name, tasks in of.items()}
    for noun, spec in ((name, SPECS[name]()) for name in SPECS):
        options = shown.get(f"plugins/modules/tpm2_{noun}.py")
        if options is None:  # a resource of a profile, and no module
            continue
        if "absent" in spec.get("state", {}).get("choices", []):
            assert any(one.get("state") == "absent" for one in options), noun
        if "policy" in spec and noun != "hierarchy":
            assert any("policy" in one for one in options), noun
    assert sum("tcti" in one for options in shown.values() for one in options) >= 3


@pytest.mark.parametrize(
    ("options", "objection"),
    [
        ({"tpm2_nv_index": {"index": "0x01800010", "indx": 1}}, "indx. Supported parameters"),
        ({"tpm2_nv_index": {"index": "0x01800010", "size": "many"}}, "argument 'size'"),
        ({"tpm2_nv_index": {"index": "0x01800010", "content": "a", "content_b64": "{{ b }}"}}, "give one of them"),
        ({"tpm2_profile": {"resources": [{"primary_key": {"template": "srk"}}]}}, "value of template must be one of"),
        ({"tpm2_profile": {"resources": [{}]}}, "give exactly one of"),
        ({"tpm2_nothing": {}}, "there is no module"),
        ({"tpm2_registry_info": {"registry": "r", "tcti": "device"}}, "tcti. Supported parameters"),
        ({"tpm2_enroll": {"serial": "{{ serial }}", "registry": "r", "trust": "{{ trust }}", "observed": "seen"}}, "argument 'observed'"),
    ],
)
def test_a_wrong_example_is_noticed(options: dict[str, t.Any], objection: str) -> None:
    found = objections({PREFIX + key: value for key, value in options.items()})
    assert len(found) == 1
    assert objection in found[0]


# What ansible-galaxy and ansible-builder read has no variables; tests/integration/test_install.py has the first read.
VARIABLES = [block for block in YAML_BLOCKS if not block.tasks and not any(key in block.data for key in ("collections", "dependencies"))]


@pytest.mark.parametrize("block", VARIABLES, ids=lambda block: block.where)
def test_variables_are_those_of_the_role(block: Block) -> None:
    def variables(value: t.Any) -> t.Iterator[str]:
        items = value.items() if isinstance(value, dict) else [("", one) for one in value] if isinstance(value, list) else []
        for key, item in items:
            yield key
            yield from variables(item)

    named = {key for key in variables(block.data) if _VARIABLE.match(key)}
    assert named
    assert named - set(ROLES) == set()
    resources = [
        block.data[name] for name in ("tpm2_profile_more", "tpm2_profile_resources") if isinstance(block.data, dict) and name in block.data
    ]
    for listed in resources:
        assert isinstance(listed, str) or objections({f"{PREFIX}tpm2_profile": {"resources": listed}}) == []


def syntax_check(playbooks: dict[str, str], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Have ansible-playbook check playbooks, by name and text."""
    folder.joinpath("inventory").write_text("edge-01\n")
    for name, text in playbooks.items():
        folder.joinpath(name).write_text(text)
    command = [str(places.venv() / "bin/ansible-playbook"), "--syntax-check", "-i", "inventory", *playbooks]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS), "ANSIBLE_HOME": str(folder / "ansible")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def as_playbook(block: Block) -> str:
    """The block itself, or a playbook around its tasks."""
    if block.is_playbook:
        return block.text
    return yaml.safe_dump([{"name": block.where, "hosts": "all", "gather_facts": False, "tasks": block.tasks}], sort_keys=False)


def test_playbooks_pass_the_syntax_check(tmp_path: pathlib.Path) -> None:
    places.python_path()
    whole = {
        re.sub(r"\W", "_", block.where) + ".yml": as_playbook(block) for block in YAML_BLOCKS + EXAMPLES if block.tasks or block.is_playbook
    }
    done = syntax_check(whole, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"playbook: {name}" in done.stdout for name in whole)


def test_a_wrong_playbook_is_noticed(tmp_path: pathlib.Path) -> None:
    places.python_path()
    task = {"name": "Wrong", "edgefleet.tpm2.tpm2_nothing": {}}
    assert syntax_check({"wrong.yml": yaml.safe_dump([{"hosts": "all", "tasks": [task]}])}, tmp_path).returncode != 0
