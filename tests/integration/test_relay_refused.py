# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices and controllers on which changes from the controller cannot be made, each with its sentence; and some on which they can, though little works.

One playbook run over all of them from a controller with tpm2-pytss, and one from each that cannot.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import typing as t

import pytest
import yaml
from support import places, secrets
from support.controller import Controller, Host, cores, said
from support.faults import assert_one_sentence
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

AUTH = secrets.made_up("refused")
TASK = {
    "name": "Change",
    "edgefleet.tpm2.tpm2_hierarchy": {
        "tcti": "{{ tcti }}",
        "hierarchy": "{{ hierarchy | default('endorsement') }}",
        "auth": AUTH,
        "current_auth": "",
        "execution": "{{ execution | default('controller') }}",
        "relay": "python",
    },
    "become": "{{ becoming | default(false) }}",
    "environment": "{{ variables | default({}) }}",
    "ignore_errors": True,
    "ignore_unreachable": True,
    "register": "found",
}
KEEP = {
    "name": "Keep what it said",
    "ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": "{{ told }}/{{ inventory_hostname }}", "mode": "0600"},
    "delegate_to": "localhost",
    "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}", "ansible_connection": "local"},
}
# A connection plugin of somebody's own, which runs programs and says nothing on how.
ODD = """
from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = '''
    name: odd
    short_description: runs programs
    description: As local does.
    options:
      pipelining: {default: true, type: bool, description: As ever.}
'''


class Connection(Local):
    transport = "odd"
"""
Told = dict[str, dict[str, t.Any]]


def play(folder: pathlib.Path, program: str, hosts: dict[str, Host], **settings: str) -> Told:
    """The result of the task on each host."""
    told = folder / "told"
    (folder / "connection_plugins").mkdir(parents=True)
    told.mkdir()
    (folder / "connection_plugins" / "odd.py").write_text(ODD)
    run = Controller(folder, program, str(places.SYSTEM_PYTHON))
    # Without sudo's usual -n it would ask on a terminal.
    run.settings |= {"ANSIBLE_BECOME_ALLOW_SAME_USER": "true", **settings}
    plays = [{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": [TASK, KEEP]}]
    (folder / "play.yml").write_text(yaml.safe_dump(plays))
    done = run(str(folder / "play.yml"), hosts, "-e", f"told={told}")
    assert "Traceback" not in said(done) and secrets.in_text(done.stdout + done.stderr, {"auth": AUTH.encode()}) == []
    return {path.name: json.loads(path.read_text()) for path in told.iterdir()}


def script(path: pathlib.Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path) -> t.Iterator[tuple[Told, Proxy]]:
    folder = tmp_path_factory.mktemp("refused")
    with contextlib.ExitStack() as stack:
        tpm = stack.enter_context(contextlib.closing(Swtpm(folder / "tpm")))
        tpm.restore(blank_state)
        proxy = stack.enter_context(Proxy(tpm))
        python, scripts = str(places.SYSTEM_PYTHON), folder / "scripts"
        mine: Host = {"tcti": proxy.tcti, "ansible_python_interpreter": python}
        nobody = "exec setpriv --reuid=65534 --regid=65534 --clear-groups sudo"
        # The one exchange works, and the channel does not: whatever serves does not come as a module.
        later = f'for one; do case $one in *edgefleet*) {{}} ;; esac; done; exec {python} "$@"'
        sudo: Host = {**mine, "becoming": True}
        hosts: dict[str, Host] = {
            "no-python": {**mine, "ansible_python_interpreter": "/nowhere/python3"},
            "old-python": {**mine, "ansible_python_interpreter": script(scripts / "old", "echo 'SyntaxError: invalid syntax' >&2; exit 1")},
            "no-python-later": {**mine, "ansible_python_interpreter": script(scripts / "gone", later.format("exec /nowhere/python3"))},
            "chatter": {**mine, "ansible_python_interpreter": script(scripts / "chat", later.format("yes | tr -d '\\n'"))},
            "liar": {**mine, "ansible_python_interpreter": script(scripts / "liar", later.format("echo '{\"ready\": true}'; exec cat"))},
            "no-folder": {**mine, "hierarchy": "owner", "ansible_remote_tmp": "/proc/nowhere", "variables": {"TMPDIR": "/proc/nowhere"}},
            "no-terminal": {
                **sudo,
                "ansible_become_exe": script(scripts / "tty", "echo 'sudo: sorry, you must have a tty to run sudo' >&2; exit 1"),
            },
            "no-password": {**sudo, "ansible_become_exe": script(scripts / "sudo1", f'{nobody} "$@"')},
            "wrong-password": {
                **sudo,
                "ansible_become_exe": script(scripts / "sudo2", f'{nobody} "$@"'),
                "ansible_become_password": "wrong",
            },
            "su": {
                **sudo,
                "ansible_become_method": "ansible.builtin.su",
                "ansible_become_password": "x",
                "ansible_become_exe": "/bin/true",
            },
            "odd": {**mine, "ansible_connection": "odd"},
            "odd-by-itself": {**mine, "ansible_connection": "odd", "execution": "auto"},
            "odd-as-told": {**mine, "ansible_connection": "odd", "execution": "device"},
            "library": {**mine, "tcti": "tabrmd:bus_name=com.example.none"},
            "no-tpm": {**mine, "tcti": f"device:{folder}/tpmrm0"},
        }
        yield play(folder / "desk", str(places.venv() / "bin" / "ansible-playbook"), hosts, ANSIBLE_FORKS="20"), proxy


# By host: the word, and what the sentence has.
REFUSED: dict[str, tuple[str, tuple[str, ...]]] = {
    "no-python": ("input", ("tpm2_hierarchy from the controller", "/nowhere/python3", "Python 3.6 or newer", "ansible_python_interpreter")),
    "old-python": ("input", ("SyntaxError: invalid syntax", "Python 3.6 or newer", "ansible_python_interpreter")),
    "no-python-later": ("no_relay", ("Could not start the relay", "status 127", "/nowhere/python3", "ansible_python_interpreter")),
    "chatter": ("malformed_answer", ("it is too long",)),
    "liar": ("malformed_answer", ("nothing of it was believed",)),
    "odd": ("input", ("its connection plugin odd is not one of ssh, local, docker, podman",)),
    "odd-by-itself": ("untold", ("its connection plugin odd", "no auth value or secret was sent", "tpm2_profile_execution", "to device")),
    "library": ("input", ("reached through a library on the device",)),
    "no-tpm": ("no_tpm", ("tpmrm0: there is no such TPM",)),
}


@pytest.mark.parametrize("host", REFUSED)
def test_a_device_from_which_nothing_can_be_had(told: tuple[Told, Proxy], host: str) -> None:
    found, (reason, says) = told[0][host], REFUSED[host]
    assert found["failed"] and not found["changed"] and found["reason"] == reason, found
    assert_one_sentence(found["msg"])
    assert all(one in found["msg"] for one in says), found["msg"]


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no-terminal", "you must have a tty"),
        ("no-password", "a password is required"),
        ("wrong-password", "try again"),
        ("su", "su"),
    ],
)
def test_a_become_that_is_refused(told: tuple[Told, Proxy], host: str, says: str) -> None:
    """Often Ansible itself says so, in its own words, before anything of ours."""
    found = told[0][host]
    assert (found.get("failed") or found.get("unreachable")) and not found.get("changed")
    assert says.lower() in " ".join(found["msg"].split()).lower(), found["msg"]


def test_nothing_was_changed_but_where_no_folder_is_needed(told: tuple[Told, Proxy]) -> None:
    """The relay writes no file of its own: a folder for temporary files that is full, read-only or noexec does not matter."""
    results, proxy = told
    assert results["no-folder"]["changed"] and not results["no-folder"].get("failed"), results["no-folder"]
    # As the user has said so, the module has done it for one more; of the other hierarchy.
    assert results["odd-as-told"]["changed"] and not results["odd-as-told"].get("failed"), results["odd-as-told"]
    assert [record.name for record in proxy.writes()] == ["TPM2_HierarchyChangeAuth"] * 2
    Tools(proxy.swtpm.tcti).run("changeauth", "-Q", "-c", "o", "-p", AUTH, AUTH)


WITHOUT = "import sys\n\nsys.modules['tpm2_pytss'] = None\n"
OLD = {"tpm2_pytss/__init__.py": "__version__ = '1.2.0'\n", "tpm2_pytss/TCTI.py": "class TCTI: pass\n"}


@pytest.mark.parametrize(
    ("files", "says"),
    [({"sitecustomize.py": WITHOUT}, "it has no tpm2-pytss; install tpm2-pytss >= 2.0"), (OLD, "tpm2-pytss is too old")],
    ids=["none", "old"],
)
def test_a_controller_that_cannot(tmp_path: pathlib.Path, files: dict[str, str], says: str) -> None:
    """A Python without tpm2-pytss; and one with that of Debian 12, in which no TCTI can be written (before 2.0)."""
    for name, content in files.items():
        (tmp_path / "python" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "python" / name).write_text(content)
    with contextlib.closing(Swtpm(tmp_path / "tpm")) as tpm:
        tpm.start()
        device = script(tmp_path / "device", f'unset PYTHONPATH; exec {places.SYSTEM_PYTHON} "$@"')
        mine: Host = {"tcti": tpm.tcti, "ansible_python_interpreter": device}
        hosts: dict[str, Host] = {
            "told": mine,
            "elsewhere": {**mine, "ansible_connection": "odd", "execution": "auto"},
            "itself": {**mine, "execution": "auto"},
        }
        found = play(tmp_path / "desk", cores()[0]["ansible_playbook"], hosts, PYTHONPATH=str(tmp_path / "python"))
    for host, reason in {"told": "input", "elsewhere": "untold"}.items():
        assert found[host]["failed"] and found[host]["reason"] == reason, found
        assert_one_sentence(found[host]["msg"])
        assert says in found[host]["msg"] and "install" in found[host]["msg"], found[host]["msg"]
    # A host that provisions itself, as with ansible-pull, sends nothing to anybody.
    assert found["itself"]["changed"] and not found["itself"].get("failed"), found["itself"]
