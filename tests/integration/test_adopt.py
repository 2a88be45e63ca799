# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TPM that somebody has begun to provision with other tools: one run names everything that differs, and changes nothing. docs/operations.md."""

from __future__ import annotations

import pathlib
import re

import pytest
from docs.documents import ROOT, blocks
from support import module, profile
from support.controller import Controller, said
from support.swtpm import Swtpm
from support.tools import Tools

DAY_ZERO = "edgefleet.tpm2.day_zero"


@pytest.fixture
def begun(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path) -> Swtpm:
    """A storage key as tpm2-tools make it, a key that signs where ours decrypts, another EK, and a serial number in an ordinary index."""
    primary, private, public, child = (tmp_path / name for name in ("primary.ctx", "key.priv", "key.pub", "key.ctx"))
    tools.run("createprimary", "-Q", "-C", "o", "-c", primary)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", primary, f"{profile.SRK:#x}")
    tools.flush_all()
    tools.run("create", "-Q", "-C", f"{profile.SRK:#x}", "-G", "ecc", "-u", public, "-r", private)
    tools.run("load", "-Q", "-C", f"{profile.SRK:#x}", "-u", public, "-r", private, "-c", child)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", child, f"{profile.MQTT_KEY:#x}")
    tools.flush_all()
    tools.run("createprimary", "-Q", "-C", "e", "-G", "ecc", "-c", primary)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", primary, f"{profile.EK:#x}")
    tools.flush_all()
    size = len(profile.SERIAL)
    tools.run("nvdefine", "-Q", f"{profile.SERIAL_INDEX:#x}", "-C", "o", "-s", str(size), "-a", "ownerread|ownerwrite|authread|no_da")
    tools.run("nvwrite", "-Q", f"{profile.SERIAL_INDEX:#x}", "-C", "o", "-i", "-", stdin=b"X" * size)
    return swtpm


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_one_run_names_every_difference_and_changes_nothing(
    begun: Swtpm, tools: Tools, device_dir: pathlib.Path, system_python: str, check: bool
) -> None:
    resources = profile.quick(profile.reference(profile.SERIAL, "dGVsZW1ldHJ5IGtleQ==", device_dir))
    before = {handle: tools.readpublic(handle).name for handle in tools.handles()}
    done = module.run("tpm2_profile", {"tcti": begun.tcti, "resources": resources}, python=system_python, check=check).json
    assert done and done["failed"] and done["reason"] == "mismatch" and not done["changed"] and done["steps_done"] == 0
    numbered = dict(re.findall(r"\((\d)\) Could not .*?(0x[0-9a-f]{8})", done["msg"]))
    assert set(numbered.values()) == {f"{profile.EK:#x}", f"{profile.MQTT_KEY:#x}", f"{profile.SERIAL_INDEX:#010x}"}
    assert done["msg"].startswith("Nothing was changed, as 3 things are in the way. (1) ")
    # The storage key of tpm2-tools serves as well, and everything under it lives on.
    assert f"{profile.SRK:#x}" not in done["object"]
    assert {handle: tools.readpublic(handle).name for handle in tools.handles()} == before


def test_one_difference_is_told_without_a_number(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path, system_python: str) -> None:
    tools.run("createprimary", "-Q", "-C", "e", "-G", "ecc", "-c", tmp_path / "primary.ctx")
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", tmp_path / "primary.ctx", f"{profile.EK:#x}")
    tools.flush_all()
    resources = [{"primary_key": {"template": "srk_ecc_p256"}}, {"primary_key": {"template": "ek_rsa_2048"}}]
    done = module.run("tpm2_profile", {"tcti": swtpm.tcti, "resources": resources}, python=system_python, check=True).json
    assert done and done["reason"] == "mismatch" and done["object"] == f"{profile.EK:#x}"
    assert done["msg"].startswith("Could not ") and "(1)" not in done["msg"]


def block(title: str) -> str:
    """The playbook of docs/operations.md whose first line is this comment."""
    (text,) = [one.text for one in blocks(ROOT / "docs/operations.md", "yaml") if one.text.startswith(f"# {title}\n")]
    return text


def test_the_page_leads_to_a_provisioned_device_and_back_to_an_empty_one(
    begun: Swtpm, tools: Tools, device_dir: pathlib.Path, controller: Controller
) -> None:
    host = {"tpm2_profile_tcti": begun.tcti, "tpm2_profile_serial": profile.SERIAL, "tpm2_profile_dir": str(device_dir)}
    for name in ("leftover.yml", "remove.yml"):
        (controller.folder / name).write_text(block(name).replace("/var/lib/edgefleet-tpm2", str(device_dir)))

    def run(playbook: str, *arguments: str, ok: bool = True) -> str:
        done = controller(playbook, {"edge-07": host}, *arguments)
        assert (done.returncode == 0) is ok, said(done)
        return said(done)

    assert "edge-07: Nothing was changed, as 3 things are in the way. (1) " in run(DAY_ZERO, "--check", "--diff", ok=False)
    run(str(controller.folder / "leftover.yml"))
    run(DAY_ZERO, "-e", "tpm2_profile_on_mismatch=replace")
    assert tools.nvread(profile.SERIAL_INDEX) == profile.SERIAL.encode()
    assert "changed=0" in run(DAY_ZERO)

    remove = str(controller.folder / "remove.yml")
    # The storage key is not of the profile: it was kept, and it is not removed as if it were.
    assert "Could not remove the primary key srk_ecc_p256 at 0x81000001: it is rsa_2048" in run(remove, ok=False)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", f"{profile.SRK:#x}")
    assert "changed=1" in run(remove, "--check", "--diff") and tools.handles()
    run(remove)
    assert tools.handles() == [] and profile.SERIAL_INDEX not in tools.handles("nv-index")
    assert "changed=0" in run(remove)
