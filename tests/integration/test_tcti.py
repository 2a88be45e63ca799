# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCTIs other than swtpm's: tpm2-abrmd on a private message bus, which is loaded through the TSS."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest
from support import module, profile
from support.abrmd import TCTI, running
from support.secrets import made_up
from support.swtpm import Swtpm
from support.tools import Tools, leftovers


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
