# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed's software TPM and its view by tpm2-tools: what the other tests stand on."""

from __future__ import annotations

import hashlib
import os
import pathlib
import typing as t

import pytest
from support import raw
from support.swtpm import MEASURED_BOOT, Swtpm
from support.tools import ToolError, Tools, flush_leftovers, leftovers, lockout_counter

MakeTpm = t.Callable[..., Swtpm]


def _define_and_write(tools: Tools, content: bytes, folder: pathlib.Path) -> None:
    data = folder / "content"
    data.write_bytes(content)
    tools.run("nvdefine", "-Q", "-C", "o", "-s", str(len(content)), "-a", "ownerwrite|ownerread|authread|no_da", "0x01800099")
    tools.run("nvwrite", "-C", "o", "-i", data, "0x01800099")


def test_measured_boot_extends_pcr_7_in_its_bank(swtpm: Swtpm, tools: Tools) -> None:
    digest = hashlib.sha256(MEASURED_BOOT.encode()).digest()
    assert tools.pcrread(7) == hashlib.sha256(bytes(32) + digest).hexdigest()
    assert tools.pcrread(0) == "00" * 32


@pytest.mark.parametrize("power_off", ["stop", "kill"])
def test_nv_survives_power_off_and_pcrs_do_not(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path, power_off: str) -> None:
    _define_and_write(tools, b"kept", tmp_path)
    booted, tcti = tools.pcrread(7), swtpm.tcti
    getattr(swtpm, power_off)()
    assert not swtpm.running
    swtpm.restart(measured_boot=False)
    assert swtpm.tcti == tcti
    assert tools.nvread("0x01800099") == b"kept"
    assert tools.pcrread(7) == "00" * 32
    swtpm.extend_pcr(7)
    assert tools.pcrread(7) == booted


def test_restart_repeats_the_measured_boot(swtpm: Swtpm, tools: Tools) -> None:
    swtpm.extend_pcr(4, "kernel")
    before = tools.pcrread(7), tools.pcrread(4)
    swtpm.kill()
    swtpm.restart()
    assert (tools.pcrread(7), tools.pcrread(4)) == before


def test_kill_ends_this_process_only(new_swtpm: MakeTpm) -> None:
    one, other = new_swtpm(), new_swtpm()
    pid = one.pid
    assert pid is not None
    one.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert one.pid is None
    assert other.running


def test_snapshot_and_restore(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path) -> None:
    _define_and_write(tools, b"one", tmp_path)
    swtpm.stop()
    kept = swtpm.snapshot(tmp_path / "snapshot")
    swtpm.restart()
    tools.run("nvundefine", "-C", "o", "0x01800099")
    assert tools.handles("nv-index") == []
    swtpm.restore(kept)
    assert tools.nvread("0x01800099") == b"one"


def test_blank_tpms_are_one_tpm_and_own_seeds_are_another(new_swtpm: MakeTpm) -> None:
    names = []
    for own_seeds in (False, False, True):
        tpm = new_swtpm(own_seeds=own_seeds)
        tools = Tools(tpm.tcti)
        tools.run("createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", tpm.state_dir / "primary.ctx")
        tools.flush_all()
        tools.run("evictcontrol", "-Q", "-C", "o", "-c", tpm.state_dir / "primary.ctx", "0x81000001")
        tools.flush_all()
        names.append(tools.readpublic(0x81000001).name)
        assert tools.readpublic(0x81000001).pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert names[0] == names[1] != names[2]


def test_leftovers_sees_objects_and_sessions(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path) -> None:
    assert leftovers(swtpm) == []
    with swtpm.raw() as tpm:
        body = bytes.fromhex("4000000740000007") + (16).to_bytes(2, "big") + bytes(16) + bytes.fromhex("0000000010000b")
        tpm.call(0x176, body)
    assert leftovers(swtpm) == ["0x02000000"]
    flush_leftovers(swtpm)
    assert leftovers(swtpm) == []
    tools.run("createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", tmp_path / "primary.ctx")
    found = leftovers(swtpm)
    flush_leftovers(swtpm)
    assert found == ["0x80000000"]
    assert leftovers(swtpm) == []
    assert tools.transients() == tools.loaded_sessions() == tools.saved_sessions() == []


def test_lockout_counter_moves_with_a_wrong_auth(swtpm: Swtpm, tools: Tools) -> None:
    tools.run("nvdefine", "-Q", "-C", "o", "-s", "4", "-p", "right", "-a", "authwrite|authread", "0x01800098")
    assert lockout_counter(swtpm) == tools.lockout_counter() == 0
    with pytest.raises(ToolError, match="0x98E"):
        tools.run("nvwrite", "-C", "0x01800098", "-P", "wrong", "-i", "-", "0x01800098", stdin=b"abcd")
    assert lockout_counter(swtpm) == tools.lockout_counter() == 1
    assert tools.da() == (3, 1000, 1000)


def test_a_tool_that_fails_raises_its_own_words(tools: Tools) -> None:
    with pytest.raises(ToolError, match="0x18B"):
        tools.nvread("0x01800097")


def test_raw_client_reports_the_response_code(swtpm: Swtpm) -> None:
    with swtpm.raw() as tpm, pytest.raises(raw.RawError) as caught:
        tpm.flush(0x80000000)
    assert caught.value.rc == 0x1CB
