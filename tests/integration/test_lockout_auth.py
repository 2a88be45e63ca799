# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lockout auth is not tried where the TPM itself says that another one holds: as after a registry was restored from before a rotation."""

from __future__ import annotations

import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy
from support.tools import lockout_counter

OLD, NEW, OTHER = "the old lockout auth", "the new lockout auth", "an even newer lockout auth"
Options = dict[str, t.Any]
SPENDING: dict[str, tuple[str, Options]] = {
    "parameters": ("tpm2_da_lockout", {"max_tries": 9}),
    "clear_disabled": ("tpm2_hierarchy", {"hierarchy": "lockout", "clear_disabled": True}),
    "emptied": ("tpm2_hierarchy", {"hierarchy": "lockout", "auth": ""}),
    "a policy": ("tpm2_hierarchy", {"hierarchy": "lockout", "policy": [{"command_code": "NV_Write"}]}),
    "no policy": ("tpm2_hierarchy", {"hierarchy": "lockout", "policy": []}),
    "a profile": ("tpm2_profile", {"resources": [{"da_lockout": {"max_tries": 9}}, {"hierarchy": {"hierarchy": "lockout", "auth": OLD}}]}),
}


@pytest.fixture
def rotated(proxied: Proxy, device_python: str) -> Bench:
    """A TPM whose lockout auth was replaced."""
    made = Bench(proxied, device_python)
    made.ok("tpm2_hierarchy", hierarchy="lockout", auth=OLD)
    made.ok("tpm2_hierarchy", hierarchy="lockout", auth=NEW, current_auth=OLD)
    return made


def _usable(bench: Bench, auth: str) -> None:
    bench.tools.run("dictionarylockout", "-s", "-n", "7", "-t", "70", "-l", "70", "-p", f"str:{auth}")


def _policies_read(bench: Bench) -> int:
    return sum(record.request[10:14] == bytes.fromhex("00000009") for record in bench.proxy.records if record.name == "TPM2_GetCapability")


@pytest.mark.parametrize("what", SPENDING)
def test_the_value_from_before_is_refused(rotated: Bench, what: str) -> None:
    name, options = SPENDING[what]
    message = rotated.failed(name, lockout_auth=OLD, **options)
    assert "shows that its auth is another value than the one given" in message and "restored backup of the registry" in message
    assert rotated.proxy.sessions() == []
    assert (rotated.run(name, lockout_auth=OLD, **options).json or {})["reason"] == "auth_other"
    assert lockout_counter(rotated.proxy.swtpm) == 0
    _usable(rotated, NEW)


def test_a_counter_is_not_reset_with_it(rotated: Bench) -> None:
    tools = rotated.tools
    tools.run("nvdefine", "-Q", "-C", "o", "0x01800020", "-s", "4", "-a", "authread|ownerwrite", "-p", "right")
    with pytest.raises(Exception, match="nvread"):
        tools.run("nvread", "-C", "0x01800020", "-P", "wrong", "0x01800020")
    assert "another value" in rotated.failed("tpm2_da_lockout", lockout_auth=OLD, reset=True)
    assert lockout_counter(rotated.proxy.swtpm) == 1
    assert rotated.ok("tpm2_da_lockout", lockout_auth=NEW, reset=True)["changed"]
    assert lockout_counter(rotated.proxy.swtpm) == 0


def test_the_value_that_holds_is_taken(rotated: Bench) -> None:
    assert rotated.ok("tpm2_da_lockout", lockout_auth=NEW, max_tries=9)["changed"]
    assert _policies_read(rotated) == 1
    assert rotated.tools.da()[0] == 9


def test_what_changes_nothing_does_not_ask(rotated: Bench) -> None:
    rotated.ok("tpm2_da_lockout", lockout_auth=NEW, max_tries=9)
    for value in (OLD, NEW):
        rotated.idle("tpm2_da_lockout", lockout_auth=value, max_tries=9)
        rotated.idle("tpm2_hierarchy", hierarchy="lockout", auth=value)
        assert _policies_read(rotated) == 0


def test_two_values_from_before(rotated: Bench) -> None:
    message = rotated.failed("tpm2_hierarchy", hierarchy="lockout", auth=OTHER, current_auth=OLD)
    assert "is neither's" in message
    _usable(rotated, NEW)


def test_a_value_that_is_emptied_takes_its_mark_along(rotated: Bench) -> None:
    """Else the mark would speak against the next value."""
    assert rotated.ok("tpm2_hierarchy", hierarchy="lockout", auth="", current_auth=NEW)["changed"]
    assert not rotated.tools.auth_is_set()["lockout"]
    rotated.ok("tpm2_hierarchy", hierarchy="lockout", auth=OTHER)
    assert rotated.ok("tpm2_da_lockout", lockout_auth=OTHER, max_tries=9)["changed"]


def test_a_policy_of_ones_own_says_nothing_of_the_value(proxied: Proxy, device_python: str) -> None:
    bench = Bench(proxied, device_python)
    own: Options = {"hierarchy": {"hierarchy": "lockout", "auth": OLD, "policy": [{"command_code": "NV_Write"}]}}
    bench.ok("tpm2_profile", resources=[own])
    change: Options = {"da_lockout": {"max_tries": 9}}
    assert "declare the policy in the same run" in bench.failed("tpm2_profile", lockout_auth=OLD, resources=[change])
    assert bench.ok("tpm2_profile", lockout_auth=OLD, resources=[change, own])["changed"]


def test_a_new_value_below_the_mark_of_another(rotated: Bench) -> None:
    """Somebody emptied the auth and left the policy: what is set now could not be used."""
    rotated.tools.run("changeauth", "-c", "lockout", "-p", f"str:{NEW}")
    assert "another value" in rotated.failed("tpm2_hierarchy", hierarchy="lockout", auth=OTHER)
    assert rotated.ok("tpm2_hierarchy", hierarchy="lockout", auth=OTHER, policy=[])["changed"]
    assert rotated.ok("tpm2_da_lockout", lockout_auth=OTHER, max_tries=9)["changed"]


@pytest.fixture
def hardened(proxied: Proxy, device_python: str) -> Bench:
    """A TPM whose lockout auth was set once, and never replaced."""
    made = Bench(proxied, device_python)
    made.cycle("tpm2_hierarchy", hierarchy="lockout", auth=NEW)
    return made


@pytest.mark.parametrize("what", SPENDING)
def test_after_a_first_hardening_another_value_is_refused(hardened: Bench, what: str) -> None:
    name, options = SPENDING[what]
    answer = hardened.run(name, lockout_auth=OLD, **options).json or {}
    assert answer["failed"] and answer["reason"] == "auth_other"
    assert hardened.proxy.sessions() == [] and lockout_counter(hardened.proxy.swtpm) == 0
    _usable(hardened, NEW)


def test_after_a_first_hardening_the_value_that_holds_is_taken_and_replaced(hardened: Bench) -> None:
    assert hardened.ok("tpm2_da_lockout", lockout_auth=NEW, max_tries=9)["changed"]
    # Two values of generations that this TPM never had, as a registry whose generation was raised makes them.
    assert "is neither's" in hardened.failed("tpm2_hierarchy", hierarchy="lockout", auth=OTHER, current_auth=OLD)
    assert lockout_counter(hardened.proxy.swtpm) == 0
    assert hardened.ok("tpm2_hierarchy", hierarchy="lockout", auth=OTHER, current_auth=NEW)["changed"]
    _usable(hardened, OTHER)


def test_interrupted_before_the_mark_there_is_none(proxied: Proxy, device_python: str) -> None:
    """Nothing is repeated: the one value given is taken to be right, and a replacement marks the next."""
    bench = Bench(proxied, device_python)
    bench.tools.run("changeauth", "-c", "lockout", NEW)
    bench.idle("tpm2_hierarchy", hierarchy="lockout", auth=NEW)
    assert bench.ok("tpm2_da_lockout", lockout_auth=NEW, max_tries=9)["changed"]
    assert bench.ok("tpm2_hierarchy", hierarchy="lockout", auth=OTHER, current_auth=NEW)["changed"]
    assert "another value" in bench.failed("tpm2_da_lockout", lockout_auth=NEW, max_tries=10)
