# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices that lack what modules need, on the kernel's resource manager: the controller provisions them all the same, and hardens them."""

from __future__ import annotations

import re
import typing as t

import pytest

from vm import tools
from vm.story import DAY_ZERO, Story, variables

AUDIT = "edgefleet.tpm2.audit"
HARDENED = {
    **variables("kernel"),
    "tpm2_profile_hardened": True,
    **{f"tpm2_profile_{name}_auth": f"the {name} auth of a test" for name in ("owner", "endorsement", "lockout")},
}
_LEFT = ("handles-transient", "handles-loaded-session", "handles-saved-session")


@pytest.mark.core
@pytest.mark.only("trixie")
def test_a_device_without_a_tpm_library(story: Story) -> None:
    story.machine.load("host")
    story.machine.ssh("dpkg --remove --force-all python3-tpm2-pytss")
    assert story.machine.ssh("python3 -c 'import tpm2_pytss'", check=False).returncode != 0
    _provisioned("no library", story, HARDENED)


@pytest.mark.only("bookworm")
def test_a_device_without_python(story: Story) -> None:
    story.machine.load("host")
    story.machine.ssh("chmod a-x /usr/bin/python3*")
    assert story.machine.ssh("python3 -c pass", check=False).returncode != 0
    _provisioned("no Python", story, {**HARDENED, "tpm2_profile_relay": "shell"})


def _provisioned(name: str, story: Story, host: dict[str, t.Any]) -> None:
    assert story.run(f"day_zero, {name}", DAY_ZERO, host).changed
    assert story.run(f"day_zero, {name}, again", DAY_ZERO, host).changed == []
    story.run(f"audit, {name}", AUDIT, host)
    held = tools.handles(story.machine, tools.KERNEL_RM)
    assert {"0x81000001", "0x81000210", "0x81010001", "0x81020001"} <= {handle.lower() for handle in held["handles-persistent"]}
    assert {kind: held[kind] for kind in _LEFT} == {kind: [] for kind in _LEFT}
    said = story.machine.out(f"tpm2_getcap -T {tools.KERNEL_RM} properties-variable")
    assert sorted(re.findall(r"(\w+)AuthSet:\s+1", said)) == ["endorsement", "lockout", "owner"]
    assert story.machine.out("stat -c '%U %a' /var/lib/edgefleet-tpm2/telemetry.key.pem") == "root 600"
