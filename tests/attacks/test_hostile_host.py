# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook host, most of which is Ansible's own modules, on a host whose Python is the attacker's; in a copy of this machine."""

from __future__ import annotations

import pathlib

from support.controller import Controller, cores, said, totals
from support.hostile import HostileDevice
from support.sandbox import Sandbox


def test_ansibles_own_modules(tmp_path: pathlib.Path, system_python: str) -> None:
    """What they add is no variable, no host, no group and no path: all that is written is the collection's own.

    On the oldest core, which looks at more keys of a result than later ones.
    """
    (tmp_path / "desk").mkdir()
    # No forged lines here: Ansible prints what its own modules warn of as it comes.
    controller = Controller(tmp_path / "desk", cores()[0]["ansible_playbook"], system_python)
    device = HostileDevice(tmp_path / "rogue", system_python, "facts", "keys", says="rogue")
    # This machine has no TPM: the playbook sets everything up, and then says so.
    variables = {"ansible_python_interpreter": device.python, "tpm2_become": False, "tpm_stack_wait": 2, "tpm_stack_users": ["nobody"]}
    command, environment = controller.command("edgefleet.tpm2.host", {"edge-01": variables})
    with Sandbox(tmp_path / "sandbox") as sandbox:
        done = sandbox.run(*command, check=False, env=environment)
        answers = len(sandbox.read(str(tmp_path / "rogue" / "log")).splitlines())
        assert answers >= 10, said(done)
        assert done.returncode == 2 and set(totals(done)) == {"edge-01"} and "Traceback" not in said(done), said(done)
        assert "edge-01: Could not reach the TPM within 2 s: The kernel has no TPM" in said(done)
        assert sandbox.run("grep", "-rl", "rogue", "/etc", check=False).stdout == ""
        assert "TPM2TOOLS_TCTI=device:/dev/tpmrm0\n" in sandbox.read("/etc/environment")
        assert "nobody" in sandbox.run("getent", "group", "tss").stdout
        assert not sandbox.exists(str(device.marker)) and not sandbox.exists("/rogue")
