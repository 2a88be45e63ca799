# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Ansible does in tests, demo and molecule is what the shipped ansible.cfg makes it do; and what a host answers decides nothing."""

from __future__ import annotations

import configparser
import pathlib
import re
import typing as t

import pytest
import yaml

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _configuration, _variables
from docs import documents

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "docs/ansible.cfg"
GUARD = "edgefleet.tpm2.controller"
# Folders, colours and counts; nothing that changes what Ansible does with a task, a result or a variable.
HARMLESS = {"CALLBACKS_ENABLED", "CALLBACK_PLUGINS", "CALLBACK_RESULT_FORMAT", "COLLECTIONS_PATH", "CONFIG", "FORKS", "HOME", "INVENTORY"}
HARMLESS |= {"LOCAL_TEMP", "LOG_PATH", "NOCOLOR", "REMOTE_TMP", "SSH_CONTROL_PATH_DIR", "TIMEOUT"}
# Tests of a setting itself, each in one file.
OF_THE_SETTING = {
    "tests/integration/test_inventory.py": {"INVENTORY_ANY_UNPARSED_IS_FAILED"},
    "tests/bench/ssh.py": {"PIPELINING"},
    "tests/integration/test_relay.py": {"BECOME_ALLOW_SAME_USER"},
    "tests/integration/test_relay_refused.py": {"BECOME_ALLOW_SAME_USER"},
    "tests/integration/test_secrets.py": {"PIPELINING"},
    "tests/attacks/test_hostile_device.py": {"CACHE_PLUGIN", "CACHE_PLUGIN_CONNECTION"},
    "tests/integration/test_boundary.py": {"CACHE_PLUGIN", "CACHE_PLUGIN_CONNECTION", "INJECT_FACT_VARS", "KEEP_REMOTE_FILES"},
}
IN_MOLECULE = {("defaults", "forks"), ("defaults", "localhost_warning"), ("inventory", "unparsed_warning")}
Tasks = list[dict[str, t.Any]]


def shipped() -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(SHIPPED)
    return {section: dict(parser[section]) for section in parser.sections()}


def test_the_shipped_configuration_keeps_facts_apart() -> None:
    assert shipped()["defaults"]["inject_facts_as_vars"] == "false"
    assert shipped()["connection"]["pipelining"] == "true"


def test_there_is_one_ansible_cfg() -> None:
    found = [path for path in ROOT.rglob("ansible.cfg") if ".work" not in path.relative_to(ROOT).parts]
    # In the folder of the checkout one would decide where ansible-galaxy installs to.
    assert found == [SHIPPED]


def test_it_leaves_the_places_of_collections_to_the_user() -> None:
    assert "collections_path" not in shipped()["defaults"]


def test_it_keeps_the_output_to_what_happened() -> None:
    assert shipped()["defaults"]["display_skipped_hosts"] == "false"
    assert shipped()["defaults"]["interpreter_python"] == "auto_silent"


def test_the_guide_prints_it() -> None:
    (block,) = documents.blocks(ROOT / "docs/first-fleet.md", "ini")
    _header, _first, settings = SHIPPED.read_text().partition("[defaults]")
    assert block.text == "[defaults]" + settings


def settings() -> t.Iterator[tuple[str, str]]:
    """Every ANSIBLE_* variable that a file of tests, demo, scripts or molecule names."""
    for folder in ("tests", "demo", "scripts", "molecule", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix in ("", ".py", ".yml", ".sh") and path != pathlib.Path(__file__):
                for name in re.findall(r"\bANSIBLE_([A-Z][A-Z_]*[A-Z])\b", path.read_text(encoding="utf-8", errors="replace")):
                    yield path.relative_to(ROOT).as_posix(), name


def test_no_environment_changes_what_ansible_does() -> None:
    others = {(path, name) for path, name in settings() if name not in HARMLESS | OF_THE_SETTING.get(path, set())}
    # Names that begin alike, and are no settings.
    others = {(path, name) for path, name in others if name not in ("ALLOWED", "ARGS", "MODULE_ARGS", "PROFILE", "TEST")}
    assert not others


def test_molecule_has_what_is_shipped() -> None:
    molecule = yaml.safe_load((ROOT / ".config/molecule/config.yml").read_text())["ansible"]["cfg"]
    ours = {(section, key): value for section, values in molecule.items() for key, value in values.items()}
    theirs = {(section, key): yaml.safe_load(value) for section, values in shipped().items() for key, value in values.items()}
    assert {key: value for key, value in ours.items() if key not in IN_MOLECULE} == {
        key: theirs[key]
        for key in (
            ("defaults", "gathering"),
            ("defaults", "inject_facts_as_vars"),
            ("defaults", "timeout"),
            ("defaults", "callback_result_format"),
            ("connection", "pipelining"),
        )
    }


PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
ROLES = sorted(path.parent for path in (ROOT / "roles").glob("*/tasks") if path.parent.name != "controller")


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_begins_with_the_guard(path: pathlib.Path) -> None:
    first = yaml.safe_load(path.read_text())[0]["tasks"][0]
    assert first["ansible.builtin.import_role"] == {"name": GUARD}
    assert set(first) - {"run_once"} == {"name", "ansible.builtin.import_role"}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_begins_with_the_guard(role: pathlib.Path) -> None:
    """By its dependency; or each entry point by itself, so that our playbooks, which have asked before, can do without."""
    if yaml.safe_load((role / "meta/main.yml").read_text())["dependencies"] == [{"role": GUARD}]:
        return
    for entry in yaml.safe_load((role / "meta/argument_specs.yml").read_text())["argument_specs"]:
        first = yaml.safe_load((role / f"tasks/{entry}.yml").read_text())[0]
        assert first["ansible.builtin.import_role"] == {"name": GUARD} and len(first) == 2, entry


def test_a_playbook_uses_what_has_no_guard_after_its_own() -> None:
    """The files of roles that are no entry points are for our playbooks, which all begin with the guard."""
    for path in FILES:
        for task in _tasks(yaml.safe_load(path.read_text())) if _holds_tasks(path) else []:
            role = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
            entry = role.get("tasks_from", "main")
            if role and entry not in (*_variables.roles()[role["name"].rpartition(".")[2]], "main"):
                assert path.is_relative_to(ROOT / "playbooks") or (path, entry) == (ROOT / "roles/resource_manager/tasks/main.yml", "tcti")


def test_the_guard_and_the_plugins_say_the_same() -> None:
    (guard,) = yaml.safe_load((ROOT / "roles/controller/tasks/main.yml").read_text())
    assert guard["ansible.builtin.assert"]["fail_msg"].strip() == _configuration.INJECTION
    assert guard["tags"] == ["always"]


def _tasks(items: t.Any) -> t.Iterator[dict[str, t.Any]]:
    for item in items or []:
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from _tasks(item.get(part))
        if "hosts" not in item:
            yield item


PARTS = sorted((ROOT / "playbooks/tasks").glob("*.yml"))
FILES = PLAYBOOKS + PARTS + sorted(path for path in (ROOT / "roles").rglob("*.yml"))
SOURCES = FILES + sorted((ROOT / "playbooks/templates").iterdir()) + sorted((ROOT / "roles").rglob("*.j2"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_of_ours_reads_what_a_host_can_set(path: pathlib.Path) -> None:
    text = re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.MULTILINE)
    for word in ("ansible_local", "hostvars", "cacheable", "include_vars", "vars_files", "group_by", "add_host", "first_found"):
        assert not re.search(rf"\b{word}\b", text), f"{word} in {path}"
    # A fact under its own name; what Ansible itself sets is no fact.
    own = {"ansible_check_mode", "ansible_play_role_names", "ansible_play_hosts", "ansible_play_hosts_all", "ansible_failed_result"}
    assert set(re.findall(r"\bansible_[a-z_]+\b(?!\.)", text)) - own - {"ansible_facts", "ansible_version"} <= {"min_ansible_version"}, path


@pytest.mark.parametrize("path", [*FILES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_host_answered_chooses_no_place(path: pathlib.Path) -> None:
    if not _holds_tasks(path):
        return
    everything = [task for one in FILES for task in (_tasks(yaml.safe_load(one.read_text())) if _holds_tasks(one) else [])]
    registered = {task["register"] for task in everything if "register" in task}
    assert registered
    for task in _tasks(yaml.safe_load(path.read_text())):
        for key in ("delegate_to", "connection", "remote_user", "become_user", "vars_files", "notify"):
            assert not [name for name in registered if name in str(task.get(key, ""))], (task["name"], key)
        for action in ("import_role", "include_role", "import_tasks", "include_tasks", "template", "copy", "script", "include_vars"):
            given = task.get(f"ansible.builtin.{action}") or {}
            source = given if isinstance(given, str) else str({key: given.get(key) for key in ("name", "tasks_from", "src", "file")})
            assert not [name for name in registered if name in source], (task["name"], action)
        if task.get("delegate_to"):
            assert task["delegate_to"] == "localhost"


def _holds_tasks(path: pathlib.Path) -> bool:
    return bool({"tasks", "playbooks"} & {*path.relative_to(ROOT).parts})


def test_whose_birth_records_count_is_said_alike() -> None:
    # A playbook takes no variables out of a role that it does not run, so the role's own expressions stand in it again.
    role = yaml.safe_load((ROOT / "roles/identity/vars/main.yml").read_text())
    _begin, play = yaml.safe_load((ROOT / "playbooks/rotate_auth.yml").read_text())
    for name in ("signer", "record_roots"):
        assert play["vars"][f"__rotate_{name}"] == role[f"__identity_{name}"].replace("__identity_signer", "__rotate_signer")


def test_which_pcrs_are_quoted_is_said_alike() -> None:
    # The role provision refuses other ones before the role identity, whose default it is, has run.
    default = yaml.safe_load((ROOT / "roles/identity/defaults/main.yml").read_text())["tpm2_identity_pcrs"]
    quoting = yaml.safe_load((ROOT / "roles/provision/vars/main.yml").read_text())["__provision_quoting"]
    assert quoting == f"{{{{ tpm2_identity_pcrs | default({default}) }}}}"


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_playbook_begins_with_what_can_be_told_before(path: pathlib.Path) -> None:
    begin, *others = yaml.safe_load(path.read_text())
    (look,) = [task for task in begin["tasks"] if task.get("ansible.builtin.import_role", {}).get("tasks_from") == "inventory"]
    assert look["ansible.builtin.import_role"] == {"name": GUARD, "tasks_from": "inventory", "rolespec_validate": False}
    # What comes before it brings variables alone.
    before = [task["ansible.builtin.import_role"] for task in begin["tasks"][1 : begin["tasks"].index(look)]]
    assert before in ([], [{"name": "edgefleet.tpm2.provision", "tasks_from": "variables"}])
    # The tags that it knows are those of the tasks.
    parts = [yaml.safe_load(part.read_text()) for part in PARTS if path.stem == "day_zero"]
    used = {tag for tasks in [*(play["tasks"] for play in others), *parts] for task in _tasks(tasks) for tag in task.get("tags", [])} - {
        "always"
    }
    assert set(look["vars"]["controller_tags"]) == used
    if path.stem not in ("fleet_check", "trust_bundle"):  # which run on the controller, over files
        assert begin["hosts"].startswith("{{ lookup('edgefleet.tpm2.hosts', ") and begin["strategy"] == "ansible.builtin.linear"


def test_where_the_tpm_is_by_default_is_said_once() -> None:
    said = [path.relative_to(ROOT).as_posix() for path in FILES if _variables.ABRMD in path.read_text()]
    assert said == ["roles/controller/vars/main.yml"]


def test_what_recognises_a_device_is_done_whatever_the_tags_are() -> None:
    _begin, play, _outcome = yaml.safe_load((ROOT / "playbooks/day_zero.yml").read_text())
    tasks = {task["name"]: task for task in _tasks(play["tasks"])}
    assert tasks["Look the device up"]["tags"] == ["always"]
    tasks.update({task["name"]: task for part in PARTS for task in yaml.safe_load(part.read_text())})
    del tasks["Have the variables of the role"]  # and no task
    assert {name: task for name, task in tasks.items() if "block" not in task and not task.get("tags")} == {}


@pytest.mark.parametrize("role", ["controller", "provision"])
def test_the_variables_of_a_role_come_without_a_task(role: str) -> None:
    assert yaml.safe_load((ROOT / "roles" / role / "tasks/variables.yml").read_text()) == []


def test_the_variables_that_the_inventory_is_compared_with() -> None:
    known = _variables.options() | _variables.RESULTS
    text = "".join(path.read_text() for path in FILES)
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    used = set(re.findall(r"(?<![\w.])tpm2_\w+", re.sub(r"edgefleet\.tpm2\.\w+|M\(.*?\)|O\(.*?\)|RV\(.*?\)", "", text))) - modules
    assert used - known - {"tpm2_enrolled", "tpm2_getcap", "tpm2_clear"} == set()
    assert _variables.options() >= _options() and not _variables.options() & _variables.RESULTS
    inventory = (ROOT / "plugins/inventory/registry.py").read_text() + (ROOT / "plugins/plugin_utils/_inventory.py").read_text()
    assert {name for name in re.findall(r"tpm2_[a-z_]+[a-z]", inventory) if name in known} >= {
        "tpm2_state",
        "tpm2_unproven_reason",
        "tpm2_mac",
    }
    page = (ROOT / "docs/playbooks.md").read_text()
    assert set(re.findall(r"^\| `(tpm2_\w+)`", page, re.MULTILINE)) == _variables.PLAYBOOKS


def _options() -> set[str]:
    """Every variable that a user may set for a role."""
    points = [yaml.safe_load(path.read_text())["argument_specs"] for path in (ROOT / "roles").glob("*/meta/argument_specs.yml")]
    return {name for one in points for point in one.values() for name in point.get("options", {})}


@pytest.mark.parametrize("path", [path for path in FILES if _holds_tasks(path)], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_users_variable_is_never_set_over(path: pathlib.Path) -> None:
    # Both outrank the inventory until the run ends: a role's facts have private names, and a result is no option.
    for task in _tasks(yaml.safe_load(path.read_text())):
        assert not [name for name in task.get("ansible.builtin.set_fact", {}) if not name.startswith("__")], task["name"]
        assert task.get("register") not in _options(), task["name"]
