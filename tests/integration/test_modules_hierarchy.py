# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_hierarchy and tpm2_da_lockout against a TPM, seen with tpm2-tools. The lockout counter is untouched by all of them."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy
from support.state import auth_opens
from support.tools import ToolError

MODULE = "tpm2_hierarchy"
OWN = ["owner", "endorsement", "lockout"]


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return Bench(proxied, device_python)


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python)


@pytest.mark.parametrize("hierarchy", OWN)
def test_set_rotate_and_empty(both: Bench, hierarchy: t.Literal["owner", "endorsement", "lockout"]) -> None:
    first, second = both.secret("first"), both.secret("second")
    swtpm = both.proxy.swtpm
    done = both.cycle(MODULE, hierarchy=hierarchy, auth=first)
    assert [step["action"] for step in done["steps"]] == ["hierarchy_change_auth"]
    assert done["diff"]["before"][hierarchy]["auth_set"] is False and done["diff"]["after"][hierarchy]["auth_set"] is True
    assert both.tools.auth_is_set() == {name: name == hierarchy for name in OWN}
    assert auth_opens(swtpm, hierarchy, first)
    # Which of two values holds is asked of owner and endorsement; of lockout its policy tells, without a gamble.
    done = both.cycle(MODULE, hierarchy=hierarchy, auth=second, current_auth=first, reads=hierarchy != "lockout")
    assert len(done["steps"]) == 1
    assert done["diff"]["before"][hierarchy]["auth"] != done["diff"]["after"][hierarchy]["auth"]
    assert both.tools.lockout_counter() == 0
    assert auth_opens(swtpm, hierarchy, second)
    assert hierarchy == "lockout" or not auth_opens(swtpm, hierarchy, first)
    both.cycle(MODULE, hierarchy=hierarchy, auth="", **{f"{hierarchy}_auth": second})
    assert both.tools.auth_is_set() == dict.fromkeys(OWN, False)
    both.idle(MODULE, hierarchy=hierarchy, auth="", commands=1)
    assert both.tools.lockout_counter() == 0


def test_a_policy_of_somebody_else_makes_a_rotation_of_lockout_a_gamble(both: Bench, tmp_path: pathlib.Path) -> None:
    first, second = both.secret("first"), both.secret("second")
    both.ok(MODULE, hierarchy="lockout", auth=first)
    (tmp_path / "policy").write_bytes(b"\x01" * 32)
    both.tools.run("setprimarypolicy", "-C", "l", "-P", first, "-L", tmp_path / "policy", "-g", "sha256")
    message = both.failed(MODULE, hierarchy="lockout", auth=second, current_auth=first)
    assert "could lock the TPM" in message and "01" * 32 in message and "give only the current one" in message
    assert both.tools.lockout_counter() == 0


def test_a_new_lockout_auth_that_could_be_guessed_is_refused(both: Bench) -> None:
    first = both.secret("first")
    both.ok(MODULE, hierarchy="lockout", auth=first)
    message = both.failed(MODULE, hierarchy="lockout", auth=both.secret("short", 15), current_auth=first)
    assert "the new one has 15 bytes, and less than 16 can be guessed" in message
    both.cycle(MODULE, hierarchy="lockout", auth=both.secret("long enough", 16), current_auth=first)


def test_a_policy_cannot_be_declared_while_the_lockout_auth_is_replaced(both: Bench) -> None:
    first = both.secret("first")
    both.ok(MODULE, hierarchy="lockout", auth=first)
    message = both.failed(MODULE, hierarchy="lockout", auth=both.secret("second"), current_auth=first, policy=[])
    assert "its policy is needed while its auth is replaced; leave policy out" in message


def test_a_set_auth_that_nobody_gave(both: Bench) -> None:
    """It is said, never guessed: no command but reads, no try counted."""
    for hierarchy in OWN:
        both.ok(MODULE, hierarchy=hierarchy, auth=both.secret(hierarchy))
    for hierarchy in OWN:
        message = both.failed(MODULE, hierarchy=hierarchy, auth="")
        assert f"give {hierarchy}_auth" in message
        assert both.proxy.count() == 1
    assert both.tools.lockout_counter() == 0


def test_a_wrong_owner_auth_costs_nothing(bench: Bench) -> None:
    bench.ok(MODULE, hierarchy="owner", auth=bench.secret("right"))
    message = bench.run(MODULE, hierarchy="owner", auth=bench.secret("new"), current_auth=bench.secret("wrong")).expect_failed()
    assert "owner" in message
    assert bench.tools.lockout_counter() == 0


def test_lockout_comes_last_in_a_profile(bench: Bench) -> None:
    """Whatever the order of the list, the lockout auth is set after everything that needs it, and everything else."""
    resources = [
        {"hierarchy": {"hierarchy": "lockout", "auth": bench.secret("lockout"), "clear_disabled": True}},
        {"hierarchy": {"hierarchy": "owner", "auth": bench.secret("owner")}},
        {"da_lockout": {"max_tries": 7}},
        {"nv_index": {"index": "0x01800010", "content": "abc"}},
    ]
    done = bench.ok("tpm2_profile", resources=resources)
    order = [(f"{step['kind']} {step['object']}", step["action"]) for step in done["steps"]]
    lockout = order.index(("hierarchy lockout", "hierarchy_change_auth"))
    assert {name for name, _action in order[lockout:]} == {"hierarchy lockout"}
    bench.idle("tpm2_profile", resources=resources, commands=4)


def test_disable_and_enable(both: Bench) -> None:
    platform = both.secret("platform")
    for hierarchy, prefix in (("owner", "sh"), ("endorsement", "eh")):
        auth = both.secret(hierarchy)
        both.ok(MODULE, hierarchy=hierarchy, auth=auth)
        done = both.cycle(MODULE, hierarchy=hierarchy, enabled=False, **{f"{hierarchy}_auth": auth})
        assert done["diff"]["after"][hierarchy]["enabled"] is False
        assert both.tools.getcap("properties-variable")["TPM2_PT_STARTUP_CLEAR"][f"{prefix}Enable"] == 0
        both.cycle(MODULE, hierarchy=hierarchy, enabled=True, platform_auth="")
        assert both.tools.getcap("properties-variable")["TPM2_PT_STARTUP_CLEAR"][f"{prefix}Enable"] == 1
    both.tools.run("changeauth", "-c", "p", platform)
    both.ok(MODULE, hierarchy="owner", enabled=False, owner_auth=both.secret("owner"))
    both.cycle(MODULE, hierarchy="owner", enabled=True, platform_auth=platform)


def test_clear_disabled(both: Bench) -> None:
    lockout = both.secret("lockout")
    both.ok(MODULE, hierarchy="lockout", auth=lockout)
    done = both.cycle(MODULE, hierarchy="lockout", clear_disabled=True, lockout_auth=lockout)
    assert done["diff"]["after"]["lockout"]["clear_disabled"] is True
    with pytest.raises(ToolError, match="0x120"):
        both.tools.run("clear", "-c", "l", lockout)
    both.cycle(MODULE, hierarchy="lockout", clear_disabled=False, lockout_auth=lockout)
    both.tools.run("clear", "-c", "l", lockout)
    assert both.tools.lockout_counter() == 0


@pytest.mark.parametrize("hierarchy", ["owner", "endorsement", "lockout", "platform"])
def test_policy(bench: Bench, hierarchy: str) -> None:
    policy = [{"command_code": "Certify"}]
    digest = hashlib.sha256(bytes(32) + bytes.fromhex("0000016c00000148")).hexdigest()
    # Platform costs one command more, for a TPM does not tell whether its auth is set.
    commands = 3 if hierarchy == "platform" else 2
    done = bench.cycle(MODULE, hierarchy=hierarchy, policy=policy, commands=commands)
    assert [step["action"] for step in done["steps"]] == ["set_primary_policy"]
    assert done["diff"]["after"][hierarchy]["policy"] == digest
    bench.cycle(MODULE, hierarchy=hierarchy, policy=[], commands=commands)


def test_a_policy_lets_others_in(both: Bench, device_dir: pathlib.Path) -> None:
    """A policy session may then do as the owner what the policy says, without the auth value."""
    owner, session = both.secret("owner"), device_dir / "session.ctx"
    both.ok(MODULE, hierarchy="owner", auth=owner)
    both.cycle(MODULE, hierarchy="owner", policy=[{"command_code": 0x12A}], owner_auth=owner)
    both.tools.run("startauthsession", "--policy-session", "-S", session)
    both.tools.run("policycommandcode", "-Q", "-S", session, "TPM2_CC_NV_DefineSpace")
    both.tools.run("nvdefine", "0x01800050", "-C", "o", "-P", f"session:{session}", "-s", "4", "-a", "ownerread|ownerwrite")
    both.tools.flush_all()
    assert both.tools.handles("nv-index") == [0x01800050]


def test_platform(both: Bench) -> None:
    assert "its auth is empty" in both.failed(MODULE, hierarchy="platform", refuse_empty_auth=True)
    auth = both.secret("platform")
    done = both.cycle(MODULE, hierarchy="platform", auth=auth, refuse_empty_auth=True)
    assert "until the next reset" in done["steps"][0]["sentence"]
    both.tools.run("changeauth", "-c", "p", "-p", auth, auth)
    both.idle(MODULE, hierarchy="platform", refuse_empty_auth=True)
    # A reset of the TPM empties it again.
    both.proxy.swtpm.restart()
    assert "its auth is empty" in both.failed(MODULE, hierarchy="platform", refuse_empty_auth=True)


def test_nonsense_is_refused(bench: Bench) -> None:
    assert "cannot be enabled" in bench.failed(MODULE, hierarchy="lockout", enabled=True)
    assert "belongs to lockout or platform" in bench.failed(MODULE, hierarchy="owner", clear_disabled=True)
    assert bench.proxy.count() == 0


def _fail_once(bench: Bench) -> None:
    """One wrong try of an index with dictionary attack protection."""
    bench.tools.run("nvdefine", "0x01800099", "-C", "o", "-s", "4", "-a", "authread|authwrite", "-p", "right")
    with pytest.raises(ToolError):
        bench.tools.run("nvread", "0x01800099", "-C", "0x01800099", "-P", "wrong")


def test_da_parameters(both: Bench) -> None:
    values = {"max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400}
    done = both.cycle("tpm2_da_lockout", **values)
    assert [step["action"] for step in done["steps"]] == ["dictionary_attack_parameters"]
    assert done["diff"]["after"]["lockout"] == {**values, "counter": 0}
    assert both.tools.da() == (32, 600, 86400)
    done = both.cycle("tpm2_da_lockout", recovery_time=601)
    assert "recovery_time 600 -> 601" in done["steps"][0]["sentence"]
    assert both.tools.da() == (32, 601, 86400)
    both.idle("tpm2_da_lockout", commands=1)


def test_da_with_a_lockout_auth(both: Bench) -> None:
    lockout = both.secret("lockout")
    both.ok(MODULE, hierarchy="lockout", auth=lockout)
    assert "give lockout_auth" in both.failed("tpm2_da_lockout", max_tries=9)
    both.cycle("tpm2_da_lockout", max_tries=9, lockout_auth=lockout)
    assert both.tools.da()[0] == 9
    assert both.tools.lockout_counter() == 0


def test_da_reset(both: Bench) -> None:
    both.ok("tpm2_da_lockout", max_tries=32, recovery_time=86400, lockout_recovery=86400)
    both.idle("tpm2_da_lockout", reset=True)
    _fail_once(both)
    assert both.tools.lockout_counter() == 1
    both.idle("tpm2_da_lockout", max_tries=32)
    assert both.tools.lockout_counter() == 1
    done = both.cycle("tpm2_da_lockout", reset=True)
    assert [step["action"] for step in done["steps"]] == ["dictionary_attack_lock_reset"]
    assert (done["diff"]["before"]["lockout"]["counter"], done["diff"]["after"]["lockout"]["counter"]) == (1, 0)
    assert both.tools.lockout_counter() == 0


def test_in_lockout_only_a_reset_helps(bench: Bench) -> None:
    bench.ok("tpm2_da_lockout", max_tries=1, recovery_time=86400, lockout_recovery=86400)
    _fail_once(bench)
    assert bench.ok("tpm2_info", gather=["da_lockout"])["da_lockout"]["in_lockout"] is True
    assert "dictionary attack lockout" in bench.failed("tpm2_nv_index", index="0x01800010", content="abc")
    bench.cycle("tpm2_da_lockout", reset=True)
    bench.cycle("tpm2_nv_index", index="0x01800010", content="abc")
