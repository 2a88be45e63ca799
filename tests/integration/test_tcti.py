# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCTIs other than swtpm's, loaded through the TSS: tpm2-abrmd on a private message bus, and a program that leads to another host."""

from __future__ import annotations

import base64
import os
import pathlib
import subprocess
import typing as t

import pytest
from support import module, profile
from support.abrmd import TCTI, running
from support.node import NodeTpm
from support.secrets import made_up
from support.swtpm import Swtpm
from support.tools import Tools, leftovers

from docs import documents


@pytest.fixture
def abrmd(swtpm: Swtpm, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[str]:
    """A resource manager in front of the swtpm, on a session bus of its own; yields its TCTI."""
    with running(swtpm.tcti) as environment:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", environment["DBUS_SESSION_BUS_ADDRESS"])
        yield TCTI


def test_hardened_profile_through_the_resource_manager_daemon(
    abrmd: str, swtpm: Swtpm, device_dir: pathlib.Path, device_python: str
) -> None:
    auths = {f"{name}_auth": made_up(name) for name in ("owner", "endorsement", "lockout")}
    content = base64.b64encode(made_up("content", 32).encode()).decode()
    resources = profile.quick(profile.hardened("EF-2026-000009", content, device_dir, **auths))
    arguments = {"tcti": abrmd, "resources": resources}
    assert module.run("tpm2_profile", arguments, python=device_python).expect_ok()["changed"] is True
    assert module.run("tpm2_profile", arguments, python=device_python).expect_ok()["changed"] is False
    info = module.run("tpm2_info", {"tcti": abrmd, "gather": ["identity"]}, python=device_python).expect_ok()
    assert (info["resource_manager"], info["family"]) == ("abrmd", "2.0")
    assert Tools(abrmd).nvread(0x01800010) == b"EF-2026-000009"


def test_a_stopped_daemon_is_named(swtpm: Swtpm, system_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    message = module.run("tpm2_info", {"tcti": "tabrmd:bus_type=session"}, python=system_python).expect_failed()
    assert message.startswith("Could not open the TPM at tabrmd:bus_type=session: TSS2_TCTI_RC_")
    assert leftovers(swtpm) == []


def test_the_tpm_of_another_host_by_the_program_of_the_page(
    tmp_path: pathlib.Path, system_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/operations.md says, with an ssh that runs its command here, like sshd by a shell, and with the node of a software TPM."""
    page = documents.ROOT / "docs" / "operations.md"
    (made,) = [block.text for block in documents.blocks(page, "bash") if "remote-tpm <<" in block.text]
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\n[ "$1" = gw-17 ] && shift && exec sh -c "$*"\n')
    ssh.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    with NodeTpm(tmp_path / "tpm") as node:
        subprocess.run(["sh", "-euc", made.replace("/dev/tpmrm0", node.path)], check=True, timeout=60)
        tcti = "cmd:./remote-tpm gw-17"
        assert Tools(tcti).run("getrandom", "--hex", "8") != Tools(tcti).run("getrandom", "--hex", "8")
        # A session, and a command and a response of some size.
        Tools(tcti).run("createprimary", "-Q", "-G", "ecc", "-c", f"{tmp_path}/key.ctx")
        info = module.run("tpm2_info", {"tcti": tcti, "gather": ["identity"]}, python=system_python, env={"PATH": os.environ["PATH"]})
        assert info.expect_ok()["family"] == "2.0"
    assert (tmp_path / "remote-tpm").stat().st_mode & 0o777 == 0o700
