# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that count wrong tries (no noDA): no auth is tried unasked, not even an empty one; a parent of that kind is warned of."""

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from support import module
from support.cycle import Bench
from support.hand import CHILD, SRK, Hand
from support.proxy import Proxy

COUNTED = "fixedtpm|fixedparent|userwithauth"
KEY = b"a secret of a machine"


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python, {"content": KEY})


def opened(bench: Bench, **options: t.Any) -> bytes:
    """What tpm2_unseal returns."""
    answer = module.run("tpm2_unseal", {"tcti": bench.proxy.tcti, **options}, python=bench.python).expect_ok()
    return base64.b64decode(answer["content_b64"])


@pytest.mark.parametrize("auth", ["", "its own auth"])
def test_a_blob_that_counts_is_opened_with_a_given_auth_only(bench: Bench, hand: Hand, auth: str) -> None:
    """Whether its auth is empty does not show before it is tried."""
    hand.primary("0x81000001", "-C", "o", "-G", "ecc256:null:aes128cfb", "-a", SRK)
    path = str(hand.encoded("-a", COUNTED, *(["-p", auth] if auth else []), "-i", "-", stdin=KEY))
    refused = bench.run("tpm2_unseal", check=True, path=path)
    assert refused.expect_failed().startswith(f"Could not unseal {path}: it counts wrong tries")
    assert (refused.json or {})["reason"] == "auth_not_given"
    assert bench.proxy.loads() == bench.proxy.sessions() == []
    bench.failed("tpm2_unseal", path=path)
    assert bench.proxy.loads() == bench.proxy.sessions() == []
    assert opened(bench, path=path, auth=auth) == KEY
    assert bench.tools.lockout_counter() == 0


def test_a_blob_that_counts_and_that_a_policy_opens_needs_no_auth(bench: Bench, hand: Hand) -> None:
    """No auth is tried then: neither the policy's nor another."""
    hand.primary("0x81000001", "-C", "o", "-G", "ecc256:null:aes128cfb", "-a", SRK)
    path = str(hand.encoded("-L", hand.pcr_policy(), "-a", "fixedtpm|fixedparent", "-i", "-", stdin=KEY))
    pcr = {"bank": "sha256", "indices": [7]}
    assert opened(bench, path=path, pcrs=pcr) == KEY
    assert bench.tools.lockout_counter() == 0


def test_a_parent_that_counts_is_warned_of_where_it_is_used(bench: Bench, hand: Hand) -> None:
    hand.primary("0x81000001", "-C", "o", "-G", "ecc")
    warning = "0x81000001 counts wrong tries"
    path = hand.folder / "key.pem"
    for check in (True, False):
        assert warning in json.dumps(bench.ok("tpm2_key", check=check, path=str(path))["warnings"])
    assert not bench.idle("tpm2_key", path=str(path)).get("warnings")
    sealed = {"path": str(hand.folder / "blob.pem"), "auth": bench.secret("auth")}
    assert warning in json.dumps(bench.ok("tpm2_sealed_blob", **sealed, content_b64=base64.b64encode(KEY).decode())["warnings"])
    assert warning in json.dumps(bench.ok("tpm2_unseal", **sealed, dest=str(hand.folder / "opened"))["warnings"])
    assert warning in json.dumps(bench.ok("tpm2_persistent_handle", path=str(path), handle="0x81000210")["warnings"])


def test_an_srk_that_does_not_count_is_not_warned_of(bench: Bench, hand: Hand) -> None:
    hand.primary("0x81000001", "-C", "o", "-G", "ecc256:null:aes128cfb", "-a", SRK)
    assert not bench.ok("tpm2_key", path=str(hand.folder / "key.pem")).get("warnings")
    file = hand.encoded("-G", "ecc256", "-a", f"{CHILD}|sign")
    assert not bench.ok("tpm2_persistent_handle", path=str(file), handle="0x81000210").get("warnings")


@pytest.mark.parametrize("auth", ["", "its own auth"])
def test_an_index_that_counts_is_written_with_a_given_auth_only(bench: Bench, auth: str) -> None:
    """One that is there may have an auth of somebody else."""
    index = "0x01800020"
    attributes = "authwrite|ownerread|authread"
    bench.tools.run("nvdefine", "-Q", index, "-s", "4", "-a", attributes, *(["-p", auth] if auth else []))
    options = {"index": index, "attributes": attributes.split("|"), "no_da": False, "content": "1234"}
    assert "counts wrong tries (no_da: false) and no auth is given" in bench.failed("tpm2_nv_index", **options)
    assert bench.proxy.sessions() == []
    # Of one that the task defines itself the auth is known.
    bench.cycle("tpm2_nv_index", **{**options, "index": "0x01800021"})
    bench.cycle("tpm2_nv_index", **options, auth=auth, reads=True)
    assert bench.tools.lockout_counter() == 0


def test_a_counter_that_counts_wrong_tries_is_read_with_a_given_auth_only(bench: Bench) -> None:
    options = {"index": "0x01800020", "nv_type": "counter", "attributes": ["ownerwrite", "authread"], "no_da": False}
    bench.tools.run("nvdefine", "-Q", "0x01800020", "-s", "8", "-a", "ownerwrite|authread|nt=1", "-p", "its own auth")
    assert "with no_da: false a wrong one counts" in bench.failed("tpm2_nv_index", **options)
    assert bench.tools.lockout_counter() == 0
