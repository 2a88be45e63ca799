# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody between module and TPM swallows a command and answers that it is done: no change counts as done without the TPM's proof."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import forger, module, profile, secrets
from support.commands import Record
from support.proxy import Proxy
from support.tools import Tools, leftovers, lockout_counter

OWNER_POLICY = [{"command_code": "NV_Write"}]
STALE_NV, STALE_KEY = 0x01800020, 0x81000220


def resources(folder: pathlib.Path) -> profile.Resources:
    """Every kind of change that a first run can make, each with the auth that a blank TPM has."""
    return [
        {"primary_key": {"template": "srk_ecc_p256"}},
        {"primary_key": {"template": "srk_ecc_p256", "unique": "another", "handle": "0x81000211", "allow_foreign_range": True}},
        {"key": {"handle": "0x81000210", "path": str(folder / "key.pem")}},
        {"nv_index": {"index": hex(STALE_NV), "state": "absent"}},
        {"persistent_handle": {"handle": hex(STALE_KEY), "name": _name(folder), "state": "absent"}},
        {"nv_index": {"index": "0x01800010", "content": profile.SERIAL, "write_once": True}},
        {"nv_index": {"index": "0x01800011", "content": "open", "attributes": ["ownerread", "ownerwrite", "authread"]}},
        {"nv_index": {"index": "0x01800012", "nv_type": "counter", "attributes": ["ownerread", "authread", "ownerwrite"]}},
        {"da_lockout": {"max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400}},
        {"hierarchy": {"hierarchy": "owner", "policy": OWNER_POLICY}},
        {"hierarchy": {"hierarchy": "endorsement", "auth": secrets.made_up("swallowed endorsement"), "enabled": False}},
        {"hierarchy": {"hierarchy": "lockout", "auth": secrets.made_up("swallowed lockout"), "clear_disabled": True}},
    ]


def _name(folder: pathlib.Path) -> str:
    return (folder / "stale.name").read_text()


@pytest.fixture
def proxy(proxied: Proxy, device_dir: pathlib.Path) -> Proxy:
    """A TPM with an index and a key that are to go."""
    tools = Tools(proxied.swtpm.tcti)
    tools.run("nvdefine", "-Q", "-C", "o", hex(STALE_NV), "-s", "4", "-a", "ownerread|ownerwrite")
    tools.run(
        "createprimary",
        "-Q",
        "-C",
        "o",
        "-G",
        "ecc",
        "-a",
        "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign",
        "-c",
        device_dir / "stale.ctx",
    )
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", device_dir / "stale.ctx", hex(STALE_KEY))
    tools.flush_transient()
    (device_dir / "stale.name").write_text(tools.readpublic(STALE_KEY).name)
    return proxied


# Every write of such a run, in its order: the command, and the how manyeth of its kind it is.
WRITES = [
    ("NV_UndefineSpace", 1), ("EvictControl", 1),  # what is to go
    ("EvictControl", 2), ("EvictControl", 3), ("EvictControl", 4),  # SRK, another, key
    ("NV_DefineSpace", 1), ("NV_Write", 1), ("NV_DefineSpace", 2), ("NV_Write", 2), ("NV_DefineSpace", 3), ("NV_Increment", 1),
    ("DictionaryAttackParameters", 1),
    ("SetPrimaryPolicy", 1), ("HierarchyChangeAuth", 1), ("HierarchyControl", 1),
    ("HierarchyChangeAuth", 2), ("SetPrimaryPolicy", 2), ("ClearControl", 1),  # lockout: auth, its marker
]  # fmt: skip


def _run(proxy: Proxy, folder: pathlib.Path, python: str, wanted: profile.Resources | None = None) -> module.Result:
    return module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": wanted or resources(folder)}, python=python)


def _nth(number: int, made: t.Callable[[Record], bytes]) -> t.Callable[[Record], bytes]:
    left = [number]

    def choose(record: Record) -> bytes:
        left[0] -= 1
        return made(record) if left[0] == 0 else b""

    return choose


def test_an_honest_run_makes_these_changes(proxy: Proxy, device_dir: pathlib.Path, device_python: str) -> None:
    proxy.reset()
    assert _run(proxy, device_dir, device_python).expect_ok()["changed"]
    seen: list[tuple[str, int]] = []
    for record in proxy.writes():
        name = record.name.removeprefix("TPM2_")
        seen.append((name, 1 + sum(name == other for other, _number in seen)))
    assert seen == WRITES
    assert leftovers(proxy.swtpm) == []
    proxy.reset()
    assert not _run(proxy, device_dir, device_python).expect_ok()["changed"]
    assert proxy.sessions() == []


@pytest.mark.parametrize(("command", "number"), WRITES, ids=str)
def test_a_swallowed_command_is_not_done(proxy: Proxy, device_dir: pathlib.Path, either_python: str, command: str, number: int) -> None:
    proxy.reset()
    proxy.answer(None, _nth(number, forger.success), code=f"TPM2_{command}", times=number)
    message = _run(proxy, device_dir, either_python).expect_failed()
    forged = next(record for record in proxy.records if record.injected)
    # Nothing more was changed.
    assert [record.name for record in proxy.writes() if record.index > forged.index] == []
    assert lockout_counter(proxy.swtpm) == 0 and leftovers(proxy.swtpm) == []
    assert "the response's HMAC does not verify" in message


@pytest.mark.parametrize("session", [True, False])
def test_a_key_for_the_salt_that_was_not_kept(proxied: Proxy, device_python: str, session: bool) -> None:
    """It precedes every session, and nothing follows it in the run; also where the session is made up too."""
    wanted: profile.Resources = [{"primary_key": {"template": "srk_ecc_p256"}}]
    proxied.answer(None, forger.success, code="TPM2_EvictControl")
    if session:
        proxied.answer(None, forger.session_started, code="TPM2_StartAuthSession")
    module.run("tpm2_profile", {"tcti": proxied.tcti, "resources": wanted}, python=device_python).expect_failed()
    assert Tools(proxied.swtpm.tcti).handles() == []
    proxied.reset()
    assert module.run("tpm2_profile", {"tcti": proxied.tcti, "resources": wanted}, python=device_python).expect_ok()["changed"]
    assert proxied.codes()[-4:] == ["TPM2_FlushContext", "TPM2_StartAuthSession", "TPM2_ReadPublic", "TPM2_FlushContext"]


def test_a_counter_that_was_not_reset(proxied: Proxy, device_python: str) -> None:
    tools = Tools(proxied.swtpm.tcti)
    tools.run("nvdefine", "-Q", "-C", "o", "0x01800020", "-s", "4", "-a", "authread|ownerwrite", "-p", "right")
    with pytest.raises(Exception, match="nvread"):
        tools.run("nvread", "-C", "0x01800020", "-P", "wrong", "0x01800020")
    assert lockout_counter(proxied.swtpm) == 1
    proxied.answer(None, forger.success, code="TPM2_DictionaryAttackLockReset")
    refused = module.run("tpm2_da_lockout", {"tcti": proxied.tcti, "reset": True}, python=device_python)
    assert "the response's HMAC does not verify" in refused.expect_failed()
    proxied.reset()
    assert module.run("tpm2_da_lockout", {"tcti": proxied.tcti, "reset": True}, python=device_python).expect_ok()["changed"]
    assert lockout_counter(proxied.swtpm) == 0


def test_an_answer_without_any_session(proxied: Proxy, device_python: str) -> None:
    """The plainest forgery: ten bytes."""
    proxied.answer(None, lambda _record: bytes.fromhex("80010000000a00000000"), code="TPM2_ClearControl")
    wanted: profile.Resources = [{"hierarchy": {"hierarchy": "lockout", "clear_disabled": True}}]
    module.run("tpm2_profile", {"tcti": proxied.tcti, "resources": wanted}, python=device_python).expect_failed()
    assert Tools(proxied.swtpm.tcti).getcap("properties-variable")["TPM2_PT_PERMANENT"]["disableClear"] == 0
