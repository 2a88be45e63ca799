# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook and the device's Python as users start them, beside the same runs forked from warm ones, as most tests have them (support/warm.py)."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import typing as t

import yaml
from support import places, profile, warm
from support.controller import Controller
from support.proxy import Proxy
from support.swtpm import Swtpm

Process = dict[str, t.Any]
# What a script on the device is given, and how it ended. What it inherits from the process that started it is in tests/unit/test_support_module.py.
SCRIPT = """
import json, os, sys
print(json.dumps({
    "argv": sys.argv, "path": sorted(sys.path), "umask": os.umask(0o22), "cwd": os.getcwd(), "main": __name__, "flags": list(sys.flags),
    "environment": sorted(set(os.environ) - {"PWD", "OLDPWD", "SHLVL", "_"}), "stdin": sys.stdin.read(),
}))
sys.exit(7)
"""


def test_a_playbook_says_and_does_the_same(each_controller: Controller, swtpm: Swtpm) -> None:
    """All results, differences and sentences of an audit that finds a blank TPM, and the commands that the TPM saw."""
    runs = []
    for cold in (True, False):
        each_controller.cold = cold
        with Proxy(swtpm) as proxy:
            host = {
                "tpm2_profile_tcti": proxy.tcti,
                "tpm2_profile_serial": profile.SERIAL,
                "tpm2_profile_dir": str(each_controller.folder / "none"),
            }
            done = each_controller("edgefleet.tpm2.audit", {"edge-01": host}, "-v", "--diff")
            text = re.sub(r"port=\d+|/\S*/python3?\b", "", done.stdout)
            runs.append((done.returncode, text, done.stderr, proxy.codes()))
    assert runs[0] == runs[1]
    assert runs[0][0] == 2 and "0x01800010" in runs[0][1]


def test_what_stands_beside_a_play_is_found(each_controller: Controller) -> None:
    """Variables of groups and hosts, and plugins: what a server has found before is not taken for all that there is."""
    folder = each_controller.folder
    for name, text in {
        "group_vars/edge.yml": "of_group: from the group\n",
        "host_vars/edge-01.yml": "of_host: from the host\n",
        "filter_plugins/mine.py": "class FilterModule:\n    def filters(self):\n        return {'mine': lambda text: text + ' and filtered'}\n",
    }.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    tasks = [{"name": "Show", "ansible.builtin.debug": {"msg": "{{ (of_group ~ ', ' ~ of_host) | mine }}"}}]
    (folder / "play.yml").write_text(yaml.safe_dump([{"name": "Show", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    for cold in (True, False):
        each_controller.cold = cold
        done = each_controller(str(folder / "play.yml"), {"edge-01": {}})
        assert done.returncode == 0 and "from the group, from the host and filtered" in done.stdout, done.stdout + done.stderr


def test_a_module_of_ansible_and_a_script_find_the_same_process(each_controller: Controller) -> None:
    script = each_controller.folder / "script.py"
    script.write_text(SCRIPT)
    task = {
        "ansible.builtin.command": {"argv": ["{{ ansible_python_interpreter }}", str(script), "word"], "stdin": "text"},
        "register": "said",
    }
    tasks = [
        task | {"name": "Ask", "failed_when": False},
        {"name": "Show", "ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": "{{ to }}", "mode": "0600"}},
    ]
    play = each_controller.folder / "play.yml"
    play.write_text(yaml.safe_dump([{"name": "Ask", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    answers = []
    for cold in (True, False):
        each_controller.cold = cold
        to = each_controller.folder / f"{cold}.json"
        done = each_controller(str(play), {"edge-01": {"to": str(to)}})
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(to.read_text())
        answers.append({"rc": answer["rc"], "stderr": answer["stderr"], **_comparable(json.loads(answer["stdout"]))})
    cold, forked = answers
    assert {name: (cold[name], forked[name]) for name in cold if cold[name] != forked[name]} == {}
    assert cold["rc"] == 7 and cold["argv"] == [str(script), "word"]


def _comparable(said: Process) -> Process:
    # The folder of a script is not on the path where it was read by runpy, and that of the interpreter's program is on none.
    return {**said, "path": [path for path in said["path"] if path.startswith("/usr/lib")]}


def test_another_user_and_another_program_get_the_interpreter_itself(system_python: str, tmp_path: pathlib.Path) -> None:
    support = places.ROOT / "tests" / "support"
    device = warm.interpreter(str(support / "run_interpreter.py"), str(support / "ask_interpreter.py"), system_python, places.python_path())
    assert pathlib.Path(device.python).read_text().count(system_python) >= 1
    for words, out in ((["-c", "print(6 * 7)"], "42"), (["--version"], "Python 3")):
        assert _run([device.python, *words]).startswith(out)
    place = tmp_path / "file.py"
    place.write_text("import os; print(os.getuid(), 'tpm2_pytss' in __import__('sys').modules)")
    assert _run([device.python, str(place)]).split() == ["0", "True"]
    places.open_to_all(tmp_path)
    assert _run(["setpriv", "--reuid=65534", "--clear-groups", device.python, str(place)]).split() == ["65534", "False"]


def _run(command: list[str]) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
