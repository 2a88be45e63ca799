# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a device answers stays an answer: no variable, group, file or screen of the controller follows it."""

from __future__ import annotations

import html
import json
import pathlib
import re
import typing as t

import markdown_it
import pytest
import yaml
from support import places
from support.controller import Controller, Host, said
from support.rogue import Rogue
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _configuration

PLAYBOOKS = sorted(path.stem for path in (places.ROOT / "playbooks").glob("*.yml"))
ROLES = sorted(path.name for path in (places.ROOT / "roles").iterdir())
# The entry points that are not main.
OTHERS = {"provision": ["preflight", "handover", "audit"], "identity": ["known"]}
Tasks = list[dict[str, t.Any]]


@pytest.fixture
def rogue(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Rogue:
    # Its warm Python has imported what the core of this test's controller sends.
    controller = request.getfixturevalue("each_controller" if "each_controller" in request.fixturenames else "controller")
    return Rogue(tmp_path / "rogue", controller.device_python)


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
    "tpm2_auth_generation": {
        "registry": "/nowhere/r.sqlite",
        "serial": "EF-1",
        "escrow": {"master": "m" * 32},
        "record_roots": ["/nowhere/ca.pem"],
        "state": "begun",
    },
}
LOOKUPS = {
    "device": "{{ lookup('edgefleet.tpm2.device', registry='/nowhere', serial='EF-1') }}",
    "device_auth": "{{ lookup('edgefleet.tpm2.device_auth', 'owner', registry='/nowhere', serial='EF-1', master='m' * 32, record_roots=['/nowhere/ca.pem']) }}",
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


ESC = "\x1b[2J\x9b31m\u202e\nTASK [edgefleet.tpm2.provision : Bring the TPM to its declared state] ***\nok: [edge-02]"
NASTY: dict[str, t.Any] = {
    "ansible_facts": {"tpm2_pinned_ek_sha256": "0" * 64, "discovered_interpreter_python": "/tmp/evil"},
    "_ansible_no_log": False,
    "_ansible_x" + ESC: ESC,
    "add_host": {"host_name": "evil", "groups": ["edge"]},
    "add_group": "evil",
    "ansible_stats": {"data": {"evil": 1}},
    "invocation": {"evil": ESC},
    "exception": ESC,
    "deprecations": [{"msg": ESC, "version": "9"}],
    "warnings": [ESC, {"msg": ESC}, 5],
    "results": [{"evil": 1}],
    "skipped": True,
    "unreachable": True,
    "ansible_job_id": "1",
    "evil" + ESC: ESC,
    "tcti": ESC,
}
KEPT = {"tcti", "resource_manager", "family", "revision", "manufacturer", "model", "firmware", "changed", "failed", "warnings"}
IDENTITY: dict[str, t.Any] = {"name": "Ask", "edgefleet.tpm2.tpm2_info": {}, "register": "seen"}
# This file is about modules on the device, and what becomes of their answers.
BY_MODULE = {"gather": ["identity"], "execution": "device"}


def dump(controller: Controller) -> dict[str, t.Any]:
    """A task that writes what was registered to a file of the controller."""
    return {
        "name": "Dump",
        "ansible.builtin.copy": {"content": "{{ seen | to_json }}", "dest": str(controller.folder / "seen.json"), "mode": "0600"},
        "delegate_to": "localhost",
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
    }


def assert_harmless(done: t.Any) -> None:
    """Nothing of an attacker's on the screen that a terminal obeys, and no line that looks like Ansible's."""
    text = done.stdout + done.stderr
    assert not set(text) & set("\x1b\x9b\u202e"), text
    assert "ok: [edge-02]" not in text.splitlines() and not [
        line for line in text.splitlines() if line.startswith("TASK [edgefleet.tpm2.prov")
    ]


def test_only_what_is_ours_is_left_of_an_answer(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    rogue.answer(NASTY)
    ask = {**IDENTITY, "edgefleet.tpm2.tpm2_info": {**BY_MODULE, "tcti": host["tpm2_profile_tcti"]}}
    done = play(each_controller, [ask], {"edge-01": host}, "-vvv")
    assert done.returncode == 0, said(done)
    assert_harmless(done)
    # Once for a task, and no more.
    assert len(rogue.answers) == 1
    done = play(each_controller, [ask, dump(each_controller)], {"edge-01": host})
    assert done.returncode == 0, said(done)
    seen = json.loads((each_controller.folder / "seen.json").read_text())
    assert set(seen) == KEPT
    assert seen["failed"] is False and seen["manufacturer"] == "IBM" and "\\x1b[2J" in seen["tcti"]


BAD_ANSWERS: dict[str, tuple[dict[str, t.Any], bytes | None]] = {
    "a text for changed": ({"changed": "false"}, None),
    "a mapping for the facts": ({"ansible_facts": [1], "family": {"x": 1}}, None),
    "no text for failed": ({"failed": []}, None),
    "many values": ({"capacity": {"x": [0] * 60_000}}, None),
    "a long text": ({"capacity": {"x": "y" * 100_000}}, None),
    "a long answer": ({}, b'{"family": "' + b"x" * (5 << 20) + b'"}'),
    "deep nesting": ({}, b'{"capacity": {"x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}}"),
}


def test_a_malformed_answer_is_one_sentence(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    hosts = {}
    for number, name in enumerate(sorted(BAD_ANSWERS)):
        other = Rogue(each_controller.folder / f"rogue-{number}", rogue.real)
        other.answer(*BAD_ANSWERS[name])
        hosts[f"edge-{number}"] = host | {"ansible_python_interpreter": str(other.python)}
    ask = {**IDENTITY, "edgefleet.tpm2.tpm2_info": {**BY_MODULE, "tcti": host["tpm2_profile_tcti"]}, "ignore_errors": True}
    tell = {
        "name": "Tell",
        "ansible.builtin.assert": {
            "that": ["seen is failed", "seen.reason == 'malformed_answer'", "seen.msg is match('Could not take the answer')"]
        },
    }
    done = play(each_controller, [ask, tell], hosts)
    assert done.returncode == 0, said(done)
    assert "Traceback" not in said(done)


@pytest.mark.parametrize("junk", [b"{ no JSON ", b' {"msg": "no JSON\t", "ansible_facts": {"tpm2_site": "rogue"}} '])
def test_what_is_no_answer_at_all_is_said_without_its_text_being_obeyed(
    each_controller: Controller, host: Host, rogue: Rogue, junk: bytes
) -> None:
    # The second has a tab in a text, which strict readers refuse and Ansible's takes.
    rogue.answer({}, junk + ESC.encode())
    ask = {**IDENTITY, "edgefleet.tpm2.tpm2_info": {**BY_MODULE, "tcti": host["tpm2_profile_tcti"]}}
    done = play(each_controller, [ask], {"edge-01": host}, "-vv")
    assert done.returncode != 0 and "no JSON" in said(done) and "module_stdout" in said(done)
    assert_harmless(done)


def test_a_task_of_ours_is_as_before(each_controller: Controller, swtpm: Swtpm, tools: Tools) -> None:
    """Check mode, diff, loops, delegation, module defaults by group, a short name and no_log."""
    index = {"index": "{{ item }}", "content": "sentinel-content", "write_once": True}
    tasks: Tasks = [
        {"name": "Predict", "tpm2_nv_index": index, "loop": ["0x01800010"], "check_mode": True, "diff": True, "register": "seen"},
        {
            "name": "Tell",
            "ansible.builtin.assert": {
                "that": ["seen is changed", "seen.results[0].steps | length > 0", "'after' in seen.results[0].diff"]
            },
        },
        {"name": "Make", "tpm2_nv_index": index, "loop": ["0x01800010", "0x01800011"], "register": "seen", "no_log": True},
        {"name": "Again", "tpm2_nv_index": index, "loop": ["0x01800010", "0x01800011"], "register": "seen", "delegate_to": "localhost"},
        {
            "name": "Tell",
            "ansible.builtin.assert": {"that": ["seen is not changed", "seen.results | map(attribute='item') | list | length == 2"]},
        },
        {"name": "Fail", "tpm2_nv_index": {"index": "0x01800010", "content": "other"}, "ignore_errors": True, "register": "seen"},
        {
            "name": "Tell",
            "ansible.builtin.assert": {"that": ["seen is failed", "seen.msg is match('Could not ')", "seen.resources is defined"]},
        },
        {"name": "Later", "tpm2_nv_index": index, "vars": {"item": "0x01800010"}, "async": 10, "ignore_errors": True, "register": "seen"},
        {"name": "Tell", "ansible.builtin.assert": {"that": ["seen is failed", "'async' in seen.msg"]}},
    ]
    path = each_controller.folder / "play.yml"
    defaults = {"group/edgefleet.tpm2.tpm2": {"tcti": swtpm.tcti}}
    book = {"hosts": "all", "gather_facts": False, "collections": ["edgefleet.tpm2"], "module_defaults": defaults, "tasks": tasks}
    path.write_text(yaml.safe_dump([book], sort_keys=False))
    done = each_controller(str(path), {"edge-01": {}}, "-v")
    assert done.returncode == 0, said(done)
    assert tools.nvread(0x01800010) == b"sentinel-content"


PAGE_TEXT = "<script>x()</script> ![i](http://evil) [l](javascript:x) `c` | a |\n# forged\n\n- ok\n\x1b[2J\u202e https://evil www.evil.org x@evil.org <b>"


def hostile(value: t.Any) -> t.Any:
    """The same answer, with the attacker's text in the place of every text that chooses nothing on the page."""
    if isinstance(value, dict):
        chosen = ("severity", "state", "replay", "in_use", "exists")
        more = {"k" + PAGE_TEXT[:30]: "x"} if all(isinstance(one, str) for one in value.values()) else {}
        return {key: one if key in chosen else hostile(one) for key, one in value.items()} | more
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return PAGE_TEXT if isinstance(value, str) else value


def test_a_page_and_a_screen_obey_nothing(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    """The page is rendered, and nothing in it is an element but those of the template."""
    honest = each_controller("edgefleet.tpm2.preflight", {"edge-01": host})
    (page,) = (each_controller.folder / "tpm2-reports").glob("*.md")
    wanted = elements(page.read_text())
    answer = next(one for one in rogue.answers if "findings" in one)
    rogue.answer({key: hostile(value) for key, value in answer.items() if key not in ("changed", "failed", "invocation")})
    done = each_controller("edgefleet.tpm2.preflight", {"edge-01": host})
    text = page.read_text()
    assert "edge-01: errors" in said(done), said(done)
    assert "\\x1b[2J\\u202e" in html.unescape(text) and not set(text) & set("\x1b\u202e\x9b")
    assert elements(text) <= wanted
    assert text.count("\n# ") + text.startswith("# ") == 1
    assert honest.returncode == done.returncode
    assert_harmless(done)
    assert not [one for one in done.stdout.splitlines() if one.strip() in ("# forged", "- ok")]


def elements(text: str) -> set[str]:
    """The elements of a page as it is rendered, with their attributes."""
    renderer = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False})
    return set(re.findall(r"<[a-z][^>]*>", renderer.render(text)))


WRITES_FILES: dict[str, dict[str, t.Any]] = {
    "no pipelining": {"vars": {"ansible_pipelining": False}},
    "su": {"become": True, "become_method": "ansible.builtin.su", "become_user": "root"},
}


def test_no_secret_without_pipelining_and_the_rest_as_ever(each_controller: Controller, host: Host, rogue: Rogue) -> None:
    tcti = host["tpm2_profile_tcti"]
    secret = {"tcti": tcti, "hierarchy": "owner", "auth": "sentinel-auth", "execution": "device"}
    tasks: Tasks = []
    for name, how in WRITES_FILES.items():
        tasks += [
            {"name": name, "edgefleet.tpm2.tpm2_hierarchy": secret, "register": "seen", "ignore_errors": True, **how},
            {
                "name": "Refused",
                "ansible.builtin.assert": {
                    "that": [
                        "seen is failed",
                        "seen.reason == 'no_pipelining'",
                        "seen.msg is match('Could not send the secrets of tpm2_hierarchy')",
                    ]
                },
            },
        ]
    done = play(each_controller, tasks, {"edge-01": host})
    assert done.returncode == 0, said(done)
    assert not _of_modules(rogue)
    # What is no secret is sent as ever.
    info = {"tcti": tcti, **BY_MODULE}
    public = {"name": "Public", "edgefleet.tpm2.tpm2_info": info, "vars": {"ansible_pipelining": False}}
    done = play(each_controller, [public], {"edge-01": host})
    assert done.returncode == 0 and len(_of_modules(rogue)) == 1, said(done)
    each_controller.settings["ANSIBLE_KEEP_REMOTE_FILES"] = "true"
    done = play(each_controller, [{"name": "Keep", "edgefleet.tpm2.tpm2_hierarchy": secret}], {"edge-01": host})
    assert done.returncode != 0 and "Could not send the secrets of tpm2_hierarchy" in said(done) and len(_of_modules(rogue)) == 1


def _of_modules(rogue: Rogue) -> list[t.Any]:
    """The answers of modules; those of the relay, which gets no option of a task, are left out."""
    return [one for one in rogue.answers if "answers" not in one]
