# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device answers stays an answer: no variable, group, file or screen of the controller follows it."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from support import places
from support.controller import Controller, Host, said
from support.rogue import Rogue
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _configuration

PLAYBOOKS = sorted(path.stem for path in (places.ROOT / "playbooks").glob("*.yml"))
ROLES = sorted(path.name for path in (places.ROOT / "roles").iterdir())
# The entry points that are not main.
OTHERS = {"provision": ["preflight", "handover", "audit"], "identity": ["known"]}
Tasks = list[dict[str, t.Any]]


@pytest.fixture
def rogue(tmp_path: pathlib.Path, system_python: str) -> Rogue:
    return Rogue(tmp_path / "rogue", system_python)


@pytest.fixture
def host(swtpm: Swtpm, rogue: Rogue) -> Host:
    """A device with a TPM, whose Python is the attacker's."""
    return {"ansible_python_interpreter": str(rogue.python), "tpm2_profile_tcti": swtpm.tcti, "tpm2_become": False}


def play(controller: Controller, tasks: Tasks, hosts: dict[str, Host], *arguments: str) -> t.Any:
    """Run tasks over hosts."""
    path = controller.folder / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}], sort_keys=False))
    return controller(str(path), hosts, *arguments)


def heard(done: t.Any) -> str:
    """All that a run said; YAML doubles an apostrophe where it has to quote."""
    return said(done).replace("''", "'")


def injecting(controller: Controller) -> Controller:
    controller.settings["ANSIBLE_INJECT_FACT_VARS"] = "true"
    return controller


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_no_playbook_runs_where_facts_are_variables(controller: Controller, host: Host, rogue: Rogue, playbook: str) -> None:
    done = injecting(controller)(f"edgefleet.tpm2.{playbook}", {"edge-01": host}, "--tags", "anything", "-e", "tpm2_hosts=all")
    assert done.returncode != 0 and _configuration.INJECTION in heard(done)
    assert not rogue.answers


def test_no_role_runs_where_facts_are_variables(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    entries = [(role, entry) for role in ROLES for entry in ["main", *OTHERS.get(role, [])]]
    tasks: Tasks = []
    for number, (role, entry) in enumerate(entries):
        kind = ("import_role", "include_role")[number % 2]
        block = {f"ansible.builtin.{kind}": {"name": f"edgefleet.tpm2.{role}", "tasks_from": entry}, "name": f"{role} {entry}"}
        said_so = {"ansible.builtin.debug": {"msg": f"{role} {entry}: {{{{ ansible_failed_result.msg }}}}"}, "name": "Refused"}
        tasks.append({"name": "One", "block": [block], "rescue": [said_so]})
    required = {"tpm2_profile_serial": "EF-1", "tpm2_identity_registry": "/nowhere"}
    done = play(injecting(each_controller), tasks, {"edge-01": host | required}, "-e", "platform_hierarchy_state=absent")
    for role, entry in entries:
        assert f"{role} {entry}: {_configuration.INJECTION}" in heard(done)
    assert not rogue.answers


DECIDING = {
    "tpm2_registry_info": {"registry": "/nowhere/r.sqlite", "serial": "EF-1"},
    "tpm2_enroll": {"registry": "/nowhere/r.sqlite", "serial": "EF-1"},
    "tpm2_auth_generation": {"registry": "/nowhere/r.sqlite", "serial": "EF-1", "escrow": {"master": "m" * 32}, "state": "begun"},
}
LOOKUPS = {
    "device": "{{ lookup('edgefleet.tpm2.device', registry='/nowhere', serial='EF-1') }}",
    "device_auth": "{{ lookup('edgefleet.tpm2.device_auth', 'owner', registry='/nowhere', serial='EF-1', master='m' * 32) }}",
}


def test_nothing_is_decided_where_facts_are_variables(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    tasks: Tasks = [{"name": name, f"edgefleet.tpm2.{name}": options, "ignore_errors": True} for name, options in DECIDING.items()]
    tasks += [{"name": name, "ansible.builtin.debug": {"msg": text}, "ignore_errors": True} for name, text in LOOKUPS.items()]
    done = play(injecting(each_controller), tasks, {"edge-01": host})
    assert heard(done).count(_configuration.INJECTION) >= len(tasks)
    assert not rogue.answers


@pytest.mark.parametrize("cache", [False, True], ids=["no cache", "fact cache"])
def test_facts_of_a_device_override_no_variable(each_controller: Controller, host: Host, rogue: Rogue, cache: bool) -> None:
    if cache:
        each_controller.settings |= {
            "ANSIBLE_CACHE_PLUGIN": "ansible.builtin.jsonfile",
            "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(each_controller.folder / "facts"),
        }
    mine = {"tpm2_pinned_ek_sha256": "0" * 64, "tpm2_identity_registry": "/var/attacker", "inventory_hostname": "other"}
    rogue.answer({"ansible_facts": mine | {"ansible_local": mine}})
    tell = {
        "ansible.builtin.debug": {"msg": "{{ tpm2_pinned_ek_sha256 }} {{ tpm2_identity_registry }} {{ inventory_hostname }}."},
        "name": "Tell",
    }
    tasks: Tasks = [
        {"name": "Ours", "edgefleet.tpm2.tpm2_info": {"tcti": host["tpm2_profile_tcti"], "gather": ["identity"]}},
        {"name": "Ansible's", "ansible.builtin.ping": {}},
        tell,
    ]
    honest = {"tpm2_pinned_ek_sha256": "f" * 64, "tpm2_identity_registry": "registry.sqlite"}
    for _run in range(2):
        done = play(each_controller, tasks, {"edge-01": honest | host})
        assert done.returncode == 0, said(done)
        assert f"{'f' * 64} registry.sqlite edge-01." in said(done) and len(rogue.answers) >= 2
