# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed's proxy: counts exactly, injects exactly where it is told."""

from __future__ import annotations

import pathlib
import re
import subprocess
import typing as t

import pytest
from support.proxy import FOREVER, Drop, Proxy
from support.raw import RawTpm
from support.swtpm import Swtpm
from support.tools import ToolError, Tools

PROPERTIES = ("getcap", "properties-variable")
INDEX = "0x01800099"


def _define(tools: Tools) -> None:
    tools.run("nvdefine", "-Q", "-C", "o", "-s", "4", "-a", "ownerwrite|ownerread|authread|no_da", INDEX)


def _requests_in_log(log: pathlib.Path) -> list[int]:
    """The command codes that swtpm wrote to its log (level 20)."""
    found = re.findall(r"SWTPM_IO_Read: length \d+\n((?: (?:[0-9A-F]{2} )+\n)+)", log.read_text())
    return [int.from_bytes(bytes.fromhex(block.replace("\n", ""))[6:10], "big") for block in found]


def test_counts_what_the_tpm_itself_logs(new_swtpm: t.Callable[..., Swtpm]) -> None:
    tpm = new_swtpm(measured_boot=False, log_level=20)
    with Proxy(tpm) as proxy:
        tools = Tools(proxy.tcti)
        _define(tools)
        tools.run("nvwrite", "-C", "o", "-i", "-", INDEX, stdin=b"abcd")
        assert tools.nvread(INDEX) == b"abcd"
        tools.run("createprimary", "-Q", "-C", "o", "-G", "ecc")
        tpm.stop()
        logged = _requests_in_log(tpm.log)
        assert logged.pop() == 0x145, "the orderly stop itself, which does not go through the proxy"
        assert [record.code for record in proxy.records] == logged
        assert proxy.count() == len(logged) > 10
        assert [record.name for record in proxy.writes()] == ["TPM2_NV_DefineSpace", "TPM2_NV_Write"]
        assert [record.name for record in proxy.key_generations()] == ["TPM2_CreatePrimary"]
        assert len(proxy.sessions()) == proxy.codes().count("TPM2_StartAuthSession") > 0
        assert all(record.acted and record.answered for record in proxy.records)
        proxy.reset()
        assert proxy.count() == 0


def test_a_sealed_object_is_no_key_generation(proxied: Proxy, tmp_path: pathlib.Path) -> None:
    tools = Tools(proxied.tcti)
    tools.run("createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", tmp_path / "p.ctx")
    tools.flush_all()
    tools.run("create", "-Q", "-C", tmp_path / "p.ctx", "-i", "-", "-u", tmp_path / "u", "-r", tmp_path / "r", stdin=b"secret")
    assert "TPM2_Create" in proxied.codes()
    assert len(proxied.key_generations()) == 1


def test_many_clients_after_one_another(proxied: Proxy) -> None:
    for _turn in range(5):
        with RawTpm(proxied.ports.data) as tpm:
            assert tpm.tpm_property(0x20F) == 3
        assert Tools(proxied.tcti).lockout_counter() == 0
    assert proxied.connections >= 10


@pytest.mark.parametrize("times", [1, 3])
def test_injected_code_is_answered_so_often_and_never_forwarded(new_swtpm: t.Callable[..., Swtpm], times: int) -> None:
    tpm = new_swtpm(measured_boot=False, log_level=20)
    with Proxy(tpm) as proxy:
        proxy.inject_rc(0x922, code="TPM2_GetCapability", times=times)
        # The TSS itself resends after TPM_RC_RETRY.
        Tools(proxy.tcti).run(*PROPERTIES)
        assert [record.rc for record in proxy.records[:times]] == [0x922] * times
        assert all(record.injected and not record.forwarded for record in proxy.records[:times])
        assert len(_requests_in_log(tpm.log)) == proxy.count() - times


def test_injected_at_a_position(proxied: Proxy) -> None:
    proxied.inject_rc(0x98E, at=1)
    with RawTpm(proxied.ports.data) as tpm:
        answers = [tpm.transmit(bytes.fromhex("8001000000160000017a000000060000020e00000001"))[6:10].hex() for _turn in range(3)]
    assert answers == ["00000000", "0000098e", "00000000"]


def test_injected_for_ever(proxied: Proxy) -> None:
    proxied.inject_rc(0x101, code="TPM2_GetCapability", times=FOREVER)
    with pytest.raises(ToolError, match="0x101"):
        Tools(proxied.tcti).run(*PROPERTIES)


def test_lost_request_leaves_the_tpm_as_it_was(proxied: Proxy, tools: Tools) -> None:
    proxied.drop_request(code="TPM2_NV_DefineSpace")
    with pytest.raises(ToolError):
        _define(Tools(proxied.tcti))
    assert proxied.records[-1].name == "TPM2_NV_DefineSpace"
    assert not proxied.records[-1].forwarded
    assert tools.handles("nv-index") == []


def test_lost_response_leaves_the_tpm_changed(proxied: Proxy, tools: Tools) -> None:
    proxied.drop_response(code="TPM2_NV_DefineSpace")
    with pytest.raises(ToolError):
        _define(Tools(proxied.tcti))
    assert proxied.records[-1].acted
    assert not proxied.records[-1].answered
    assert tools.handles("nv-index") == [0x01800099]


def test_before_and_after_hold_the_command(proxied: Proxy, tools: Tools) -> None:
    seen: list[object] = []
    proxied.before(None, lambda _record: seen.append(("before", tools.handles("nv-index"))), code="TPM2_NV_DefineSpace")
    proxied.after(None, lambda record: seen.append(("after", record.rc, record.answered)), code="TPM2_NV_DefineSpace")
    _define(Tools(proxied.tcti))
    assert seen == [("before", []), ("after", 0, False)]


def _killer(client: list[subprocess.Popen[bytes]]) -> t.Callable[[object], None]:
    def kill(_record: object) -> None:
        client[0].kill()
        client[0].wait()
        raise Drop

    return kill


def test_client_killed_before_and_after_a_write(proxied: Proxy, tools: Tools) -> None:
    command = ["tpm2_nvdefine", "-Q", "-C", "o", "-s", "4", "-a", "ownerwrite|ownerread", INDEX, "-T", proxied.tcti]
    for strike, expected in ((proxied.before, []), (proxied.after, [0x01800099])):
        client: list[subprocess.Popen[bytes]] = []
        kill = _killer(client)

        strike(None, kill, code="TPM2_NV_DefineSpace")
        client.append(subprocess.Popen(command))
        assert client[0].wait() == -9
        assert tools.handles("nv-index") == expected


def test_tpm_killed_under_a_client_then_restarted(proxied: Proxy, swtpm: Swtpm, tools: Tools) -> None:
    proxied.before(None, lambda _record: swtpm.kill(), code="TPM2_NV_DefineSpace")
    with pytest.raises(ToolError):
        _define(Tools(proxied.tcti))
    swtpm.restart()
    assert tools.handles("nv-index") == []
    _define(Tools(proxied.tcti))
    assert tools.handles("nv-index") == [0x01800099]


def test_a_failed_callback_reaches_the_test(swtpm: Swtpm) -> None:
    def callback(_record: object) -> None:
        raise ValueError("said by the callback")

    with pytest.raises(ValueError, match="said by the callback"), Proxy(swtpm) as proxy:
        proxy.before(0, callback)
        with pytest.raises(ToolError):
            Tools(proxy.tcti).run(*PROPERTIES)
