# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens to a bare host, once for all tests of its suite: the roles, then day_zero, each twice, with snapshots in between."""

from __future__ import annotations

import dataclasses
import typing as t

from vm import tools
from vm.controller import DEVICE, Controller, Run
from vm.machine import Machine

MEMBER, STRANGER = "edge", "nobody"
HOST_PLAYBOOK, DAY_ZERO, PREFLIGHT = "edgefleet.tpm2.host", "edgefleet.tpm2.day_zero", "edgefleet.tpm2.preflight"
# Their tasks on a host that is right are bounded.
BOUNDED = ("edgefleet.tpm2.tpm_stack", "edgefleet.tpm2.resource_manager")


def variables(manager: str) -> dict[str, t.Any]:
    """The host's variables: who manages the TPM, who may use it, and what day_zero needs to know."""
    return {
        **DEVICE,
        "tpm2_resource_manager": manager,
        "tpm_stack_users": [MEMBER],
        "resource_manager_allowed_user": MEMBER,
        "resource_manager_refused_user": STRANGER,
    }


def looks(tcti: str) -> tuple[tuple[str, str], ...]:
    """The commands of the transcript, and as whom each is run."""
    return (
        ("root", "ls -l /dev/tpm*"),
        ("root", "systemctl status --no-pager --lines=4 tpm2-abrmd"),
        (MEMBER, f"tpm2_getrandom -T {tcti} --hex 8"),
        (STRANGER, f"tpm2_getrandom -T {tcti} --hex 8"),
        ("root", f"tpm2_pcrread -T {tcti} sha256:0,1,2,3,4,5,6,7"),
    )


@dataclasses.dataclass
class Story:
    """One host and what was seen of it. Snapshots: `host` after the roles (kernel), `provisioned` after day_zero."""

    suite: str
    machine: Machine
    runs: dict[str, Run] = dataclasses.field(default_factory=dict)
    nodes: dict[str, str] = dataclasses.field(default_factory=dict)
    transcript: list[str] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = Controller(self.machine, self.machine.folder / "ansible")

    def tell(self) -> None:
        """Run all of it. Raises AssertionError with what Ansible said where a playbook fails."""
        machine = self.machine
        machine.load("bare")
        machine.ssh(f"useradd --create-home {MEMBER}")
        self.nodes = {path: tools.node(machine, path) for path in ("/dev/tpm0", "/dev/tpmrm0")}
        self.look("Before the roles: a bare host", tools.KERNEL_RM)
        pages = {"tpm2_report_dir": str(machine.folder / "pages")}
        self.run("preflight, bare host", PREFLIGHT, {**variables("kernel"), **pages}, may_fail=True)
        self.run("host, first run", HOST_PLAYBOOK, variables("kernel"))
        self.run("host, second run", HOST_PLAYBOOK, variables("kernel"))
        self.look("After the roles, with the kernel's resource manager", tools.KERNEL_RM)
        machine.save("host")
        self.run("preflight", PREFLIGHT, {**variables("kernel"), **pages})
        self.run("day_zero, first run", DAY_ZERO, variables("kernel"))
        self.run("day_zero, second run", DAY_ZERO, variables("kernel"))
        machine.save("provisioned")

    def run(self, name: str, playbook: str, host: dict[str, t.Any], *arguments: str, may_fail: bool = False) -> Run:
        """Run a playbook and keep what it did under a name."""
        done = self.controller.run(playbook, host, *arguments)
        self.runs[name] = done if may_fail else done.expect_ok()
        return done

    def look(self, title: str, tcti: str) -> None:
        """Add to the transcript what an operator sees now."""
        lines = []
        for user, command in looks(tcti):
            done = self.machine.ssh(command, user=user, check=False)
            # The library logs its own calls; what the programs say is the rest.
            said = [
                line for line in (done.stdout + done.stderr).splitlines() if not line.startswith(("WARNING:", "ERROR:tcti", "ERROR:esys"))
            ]
            lines += [f"{user}@edge:~{'#' if user == 'root' else '$'} {command}", *(line.rstrip() for line in said), ""]
        self.transcript += [f"## {title}", "", "```console", *lines[:-1], "```", ""]
