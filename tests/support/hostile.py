# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that belongs to the attacker, and everything in which a run with it could differ from an honest one."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import re
import sys
import typing as t

import yaml
from cryptography import x509

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from support import hostile_python, places

Json = dict[str, t.Any]
# Ansible's own variables that would send its next task to another place, or give it more rights.
CONNECTION: Json = {
    "ansible_host": "192.0.2.66",
    "ansible_connection": "ssh",
    "ansible_user": "rogue",
    "ansible_port": 1,
    "ansible_become": True,
    "ansible_become_user": "rogue",
    "ansible_become_exe": "/bin/false",
    "ansible_become_method": "su",
    "ansible_python_interpreter": "/bin/false",
    "ansible_shell_executable": "/bin/false",
    "ansible_shell_type": "powershell",
    "ansible_remote_tmp": "/rogue",
    "ansible_pipelining": False,
    "ansible_check_mode": True,
    "ansible_delegated_vars": {"localhost": {"ansible_python_interpreter": "/bin/false"}},
    "discovered_interpreter_python": "/bin/false",
    "inventory_hostname": "edge-99",
    "inventory_dir": "/rogue",
    "playbook_dir": "/rogue",
    "role_path": "/rogue",
    "group_names": ["rogue"],
    "omit": "rogue",
    "hostvars": {},
    "vars": {},
}
# Text with which a device may deceive a reader of a screen or page: a recap, colours, reversed text, HTML, links, other lines.
FORGED = "FORGED-LINE"
MARKS = ("\x1b", "\x9b", "\u202e", "\u2066", "<script>alert", "](http://192.0.2.66")
SAYS = (
    f"\nok: [edge-01] {FORGED}\n\nTASK [{FORGED}] ***\nPLAY RECAP {FORGED}\nedge-01 : ok=99 changed=0 {FORGED}\r{FORGED}"
    "\x1b[2J\x1b[1;1H\x1b]0;rogue\x07\x9b31m\u202erogue\u2066\u2028\x85 <script>alert(1)</script>"
    " [click](http://192.0.2.66/) ![x](http://192.0.2.66/x.png)\n# Rogue\n"
)


@functools.cache
def ours() -> dict[str, t.Any]:
    """Every variable of the collection with a value that would have an effect: the roles' options, and all that playbooks and roles name."""
    found: dict[str, t.Any] = {}
    folders = [places.ROOT / name for name in ("playbooks", "roles")]
    files = [path for folder in folders for path in folder.rglob("*") if path.suffix in {".yml", ".j2"}]
    for path in files:
        found |= dict.fromkeys(
            re.findall(r"(?<![.\w])(?:tpm2|__\w+?|tpm_stack|resource_manager|platform_hierarchy)_\w+", path.read_text()), "rogue"
        )
    for path in (places.ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for point in yaml.safe_load(path.read_text())["argument_specs"].values():
            found |= {name: _other(option) for name, option in point["options"].items()}
    return found


def _other(option: Json) -> t.Any:
    """A value of the right type that is not the default."""
    kind, default = option.get("type", "str"), option.get("default")
    if kind == "bool":
        return default is not True
    if kind == "int":
        return 1 if default != 1 else 2
    return {"list": [], "dict": {}}.get(kind, "/rogue")


def template(marker: pathlib.Path) -> str:
    """Text that makes the file `marker` if it is evaluated as a template."""
    call = f"lookup('ansible.builtin.pipe', 'touch {marker}')"
    return f" {{{{ {call} }}}} {{% set _x = {call} %}} {{% if {call} %}}x{{% endif %}} "


class HostileDevice:
    """The Python of an attacker's device, in a folder of its own. `python` is its path, for ansible_python_interpreter."""

    def __init__(self, folder: pathlib.Path, python: str, *ways: str, facts: Json | None = None, hang: str = "", says: str = SAYS) -> None:
        folder.mkdir(parents=True)
        self.marker, self._log, self.hung, script = (folder / name for name in ("templated", "log", "hung", "python"))
        plan: Json = {"python": python, "log": str(self._log), "ways": ways, "text": says + template(self.marker)}
        plan |= {"hang": hang, "hung": str(self.hung)}
        plan["facts"] = {**ours(), **CONNECTION} if facts is None else facts
        (folder / "plan.json").write_text(json.dumps(plan))
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {hostile_python.__file__} {folder / "plan.json"} "$@"\n')
        script.chmod(0o755)
        self.python = str(script)

    @property
    def answers(self) -> int:
        """The number of answers that it has changed."""
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0


def registry(url: str) -> Json:
    """The registry's contents without times and random values."""
    with open_registry(url) as opened:
        devices = [{**dataclasses.asdict(one), "certificates": _certificates(one)} for one in opened.devices()]
        for one in devices:
            one["verdict"] = one["verdict"] and one["verdict"]._replace(time=None)
            for moment in [name for name, value in one.items() if hasattr(value, "isoformat") or name.startswith("ldevid")]:
                del one[moment]
        return {
            "devices": devices,
            "incidents": [(one.reason, one.host, one.serial) for one in opened.incidents()],
            "events": [(one.kind, one.serial) for one in opened.events()],
            "records": [opened.birth_record(one["ek_name"]) is not None for one in devices],
        }


def _certificates(device: t.Any) -> list[tuple[str, ...]]:
    found = []
    for kind, one in sorted(device.certificates.items()):
        read = x509.load_pem_x509_certificate(one.pem.encode())
        lasts = read.not_valid_after_utc.year - read.not_valid_before_utc.year
        found.append((kind, read.subject.rfc4514_string(), read.issuer.rfc4514_string(), str(lasts)))
    return found
