# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML and templates make of a value, in playbooks, on the oldest and on the newest core: what is no text is never written into a TPM."""

from __future__ import annotations

import typing as t

from support.controller import Controller, Host, said
from support.swtpm import Swtpm
from support.tools import Tools

# Each value without quotes, and what a sentence calls it. Beside a literal, a variable and an item of a list are tried.
VALUES = {
    "octal": ("0012345", "a number"),
    "mac": ("12:34:56:11:22:33", "a number"),
    "yes": ("yes", "a truth value"),
    "time": ("2026-01-01 10:00:00", "a date"),
    "mapping": ("{a: 1}", "a mapping"),
}
HEAD = """
- hosts: all
  gather_facts: false
  module_defaults: {group/edgefleet.tpm2.tpm2: {tcti: "{{ tpm2_profile_tcti }}"}}
  tasks:
"""
TASK = """
    - vars: {{value: {written}}}
      ignore_errors: true
      name: {name}
      {task}
"""
USES = {
    "literal": 'edgefleet.tpm2.tpm2_nv_index: {{index: "0x01800010", content: {written}}}',
    "variable": 'edgefleet.tpm2.tpm2_nv_index: {index: "0x01800010", content: "{{ value }}"}',
    "profile": 'edgefleet.tpm2.tpm2_profile: {resources: [{nv_index: {index: "0x01800010", content: "{{ value }}"}}]}',
    "auth": 'edgefleet.tpm2.tpm2_hierarchy: {hierarchy: owner, auth: "{{ value }}"}',
    "enroll": 'edgefleet.tpm2.tpm2_enroll: {registry: /nowhere/r.sqlite, serial: "{{ value }}"}',
    "info": 'edgefleet.tpm2.tpm2_registry_info: {registry: /nowhere/r.sqlite, serial: "{{ value }}"}',
    "lookup": "ansible.builtin.debug: {msg: \"{{ lookup('edgefleet.tpm2.device', registry='/nowhere/r.sqlite', serial=value) }}\"}",
}


def play(controller: Controller, tasks: str, host: Host, *arguments: str) -> t.Any:
    path = controller.folder / "play.yml"
    path.write_text(HEAD + tasks)
    return controller(str(path), {"edge-01": host}, *arguments)


def test_what_is_no_text_is_written_nowhere(each_controller: Controller, swtpm: Swtpm, tools: Tools) -> None:
    tasks = ""
    # A template of the oldest core makes text of a date, and the one that was written.
    cases = [(name, use) for name in VALUES for use in USES if name != "time" or use == "literal"]
    for name, use in cases:
        written, task = VALUES[name][0], USES[use]
        tasks += TASK.format(written=written, name=f"{name} {use}", task=task.format(written=written) if use == "literal" else task)
    done = play(each_controller, tasks, {"tpm2_profile_tcti": swtpm.tcti})
    heard = said(done).replace("''", "'")
    for name, use in cases:
        told = heard.partition(f"TASK [{name} {use}]")[2].partition("TASK [")[0]
        assert "Could not read " in told and VALUES[name][1] in told, f"{name} {use}: {told}"
    assert tools.handles("nv-index") == []


def test_text_in_quotes_is_written_as_it_is(each_controller: Controller, swtpm: Swtpm, tools: Tools) -> None:
    tasks = "".join(
        TASK.format(
            written=repr(written),
            name=name,
            task=f'edgefleet.tpm2.tpm2_nv_index: {{index: "{0x01800010 + number:#x}", content: "{{{{ value }}}}"}}',
        )
        for number, (name, (written, _kind)) in enumerate(VALUES.items())
        if name != "mapping"
    )
    done = play(each_controller, tasks, {"tpm2_profile_tcti": swtpm.tcti})
    assert done.returncode == 0, said(done)
    for number, (written, _kind) in enumerate(VALUES.values()):
        if not written.startswith("{"):
            assert tools.nvread(0x01800010 + number) == written.encode()


ROLE = """
    - name: Provision
      ansible.builtin.import_role: {name: edgefleet.tpm2.provision}
"""


def test_a_serial_number_that_is_none_is_refused_by_the_role(each_controller: Controller, swtpm: Swtpm, tools: Tools) -> None:
    hosts: dict[str, t.Any] = {"number": 5349, "blank": "EF-1 ", "line": "EF-1\n", "underscore": "EF_1"}
    for name, serial in hosts.items():
        done = play(each_controller, ROLE, {"tpm2_profile_tcti": swtpm.tcti, "tpm2_profile_serial": serial})
        assert done.returncode != 0
        assert (
            "Could not read tpm2_profile_serial: YAML has made a number of it" if name == "number" else "Could not use the serial number"
        ) in said(done), said(done)
    assert tools.handles("nv-index") == []
