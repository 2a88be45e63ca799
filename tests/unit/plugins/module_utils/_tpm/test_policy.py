# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies: digests against known answers, what is refused, which branch a session takes."""

from __future__ import annotations

import hashlib
import struct
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, nv, pcr, policy
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, StateError

A, B = b"\xaa" * 32, b"\xbb" * 32
NOW = {"sha256": {0: A, 7: B}}
WRITE_ONCE = [{"command_code": "NV_Write"}, {"nv_written": False}]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def digest(items: t.Any, now: policy.PcrValues | None = None) -> str:
    return policy.digest(policy_read.read(items), NOW if now is None else now).hex()


# Of `tpm2_startauthsession` (trial), `tpm2_policy… -L` of tpm2-tools 5.4 on swtpm 0.7.1; PolicyPCR of the values in NOW is computed below.
KNOWN = [
    (WRITE_ONCE, "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"),
    ([{"secret": {"hierarchy": "endorsement"}}], "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"),
    (["auth_value"], "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e"),
    (["password"], "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e"),
    ([{"auth_value": None}], "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e"),
]


@pytest.mark.parametrize(("items", "known"), KNOWN)
def test_known_digests(items: t.Any, known: str) -> None:
    assert digest(items) == known


def test_the_write_once_policy_is_the_one_of_the_indices() -> None:
    assert digest(WRITE_ONCE) == nv.WRITE_ONCE_POLICY.hex()


def test_no_policy_has_no_digest() -> None:
    assert policy_read.read(None) == policy_read.read([]) == ()
    assert policy.digest((), {}) == b""


def test_a_pcr_digest_is_made_of_selection_and_values() -> None:
    selection = bytes.fromhex("00000001000b03810000")
    expected = sha(bytes(32), struct.pack(">I", 0x17F), selection, sha(A, B)).hex()
    assert digest([{"pcr": {"indices": [7, 0]}}]) == expected
    for indices in (["0", "7"], [0, "7"], "7,0", (7, 0)):
        assert digest([{"pcr": {"indices": indices}}]) == expected
    assert digest([{"pcr": {"indices": 7}}]) == digest([{"pcr": {"indices": "7"}}]) == digest([{"pcr": {"indices": [7]}}])
    given = {"bank": "sha256", "indices": [0, 7], "values": {"0": A.hex(), 7: B.hex().upper()}}
    assert digest([{"pcr": given}], {}) == expected


def test_a_policy_ref_counts() -> None:
    endorsement = bytes.fromhex("4000000b")
    assert (
        digest([{"secret": {"hierarchy": "endorsement", "ref": "6162"}}])
        == sha(sha(bytes(32), struct.pack(">I", 0x151), endorsement), b"ab").hex()
    )


def test_or_forgets_what_was_before_but_its_branches_do_not() -> None:
    before, one, two = {"nv_written": True}, ["auth_value"], [{"command_code": "Unseal"}]
    branches = [bytes.fromhex(digest([before, *branch])) for branch in (one, two)]
    expected = sha(bytes(32), struct.pack(">I", 0x171), *branches)
    assert digest([before, {"or": [one, two]}]) == expected.hex()
    assert digest([before, {"or": [one, two]}, "auth_value"]) == sha(expected, struct.pack(">I", 0x16B)).hex()


def test_order_and_every_argument_count() -> None:
    policies: list[t.Any] = [
        WRITE_ONCE,
        WRITE_ONCE[::-1],
        [{"command_code": "NV_Write"}, {"nv_written": True}],
        [{"command_code": "Unseal"}],
        [{"secret": {"hierarchy": "owner"}}],
        [{"secret": {"hierarchy": "platform"}}],
        [{"secret": {"hierarchy": "owner", "ref": "00"}}],
        [{"pcr": {"indices": [0]}}],
        [{"pcr": {"indices": [7]}}],
        [{"or": [["auth_value"], WRITE_ONCE]}],
        [{"or": [WRITE_ONCE, ["auth_value"]]}],
        [{"or": [WRITE_ONCE, ["auth_value"], ["auth_value"]]}],
    ]
    assert len({digest(items) for items in policies}) == len(policies)


@pytest.mark.parametrize("name", ["NV_Write", "TPM2_NV_Write", "TPM2_CC_NV_Write", 0x137])
def test_ways_to_name_a_command(name: t.Any) -> None:
    assert policy_read.read([{"command_code": name}]) == (policy.CommandCode(0x137),)


def nested(depth: int) -> list[t.Any]:
    items: list[t.Any] = ["auth_value"]
    for _each in range(depth):
        items = [{"or": [items, [{"nv_written": True}]]}]
    return items


MALFORMED: list[tuple[t.Any, str]] = [
    ("auth_value", "list of assertions"),
    ({"pcr": {"indices": [7]}}, "list of assertions"),
    (7, "list of assertions"),
    (["nosuch"], "auth_value, command_code, nv_written, or, password, pcr, secret, each"),
    ([{"nosuch": 1}], "pcr, secret, each an entry"),
    ([{"auth_value": None, "password": None}], "each an entry of its own"),
    ([{}], "each an entry of its own"),
    ([["auth_value"]], "each an entry of its own"),
    ([None], "each an entry of its own"),
    ([{1: 2}], "pcr, secret, each an entry"),
    (["pcr"], "pcr needs 'indices'"),
    ([{"pcr": [7]}], "pcr needs 'indices'"),
    ([{"pcr": {"bank": "sha256"}}], "pcr needs 'indices'"),
    ([{"pcr": {"indices": [7], "index": 7}}], "pcr needs 'indices'"),
    ([{"pcr": {"indices": True}}], "list of integers"),
    ([{"pcr": {"indices": ["seven"]}}], "list of integers"),
    ([{"pcr": {"indices": [7.0]}}], "list of integers"),
    ([{"pcr": {"indices": {"7": None}}}], "list of integers"),
    ([{"pcr": {"indices": None}}], "list of integers"),
    ([{"pcr": {"indices": [1], "values": {True: A.hex()}}}], "map each index"),
    ([{"pcr": {"indices": [7], "values": {7: int("1" * 64)}}}], "map each index"),
    ([{"pcr": {"indices": [True]}}], "list of integers"),
    ([{"pcr": {"indices": []}}], "empty list"),
    ([{"pcr": {"indices": [24]}}], "PCR 24"),
    ([{"pcr": {"bank": "sha1", "indices": [7]}}], "sha1"),
    ([{"pcr": {"bank": "crc32", "indices": [7]}}], "no such hash"),
    ([{"pcr": {"indices": [7], "values": [A.hex()]}}], "map each index"),
    ([{"pcr": {"indices": [7], "values": {"seven": A.hex()}}}], "map each index"),
    ([{"pcr": {"indices": [7], "values": {None: A.hex()}}}], "map each index"),
    ([{"pcr": {"indices": [7], "values": {7: "no hex"}}}], "map each index"),
    ([{"pcr": {"indices": [7], "values": {7: "aa"}}}], "one digest of 32 bytes for each of the indices \\[7\\]"),
    ([{"pcr": {"indices": [7], "values": {}}}], "one digest of 32 bytes"),
    ([{"pcr": {"indices": [0, 7], "values": {7: A.hex()}}}], "one digest of 32 bytes"),
    ([{"pcr": {"indices": [7], "values": {0: A.hex(), 7: A.hex()}}}], "one digest of 32 bytes"),
    ([{"pcr": {"bank": "sha384", "indices": [7], "values": {7: A.hex()}}}], "one digest of 48 bytes"),
    ([{"command_code": "Nothing"}], "not a (known )?command code"),
    ([{"command_code": None}], "not a (known )?command code"),
    ([{"command_code": True}], "not a (known )?command code"),
    ([{"command_code": -1}], "not a (known )?command code"),
    ([{"command_code": 0}], "not a (known )?command code"),
    ([{"command_code": 1 << 32}], "not a (known )?command code"),
    (["nv_written"], "true or false"),
    ([{"nv_written": "no"}], "true or false"),
    ([{"nv_written": 1}], "true or false"),
    ([{"auth_value": "secret"}], "no argument"),
    ([{"password": "secret"}], "no argument"),
    (["secret"], "secret needs 'hierarchy'"),
    ([{"secret": "owner"}], "secret needs 'hierarchy'"),
    ([{"secret": {"hierarchy": "owner", "auth": "x"}}], "secret needs 'hierarchy'"),
    ([{"secret": {}}], "owner, endorsement or platform"),
    ([{"secret": {"hierarchy": "lockout"}}], "wrong lockout auth would block"),
    ([{"secret": {"hierarchy": ["owner"]}}], "owner, endorsement or platform"),
    ([{"secret": {"hierarchy": "owner", "ref": "xyz"}}], "must be hex"),
    ([{"secret": {"hierarchy": "owner", "ref": "00" * 65}}], "65 bytes"),
    (["or"], "2 to 8 branches"),
    ([{"or": [["auth_value"]]}], "2 to 8 branches"),
    ([{"or": [["auth_value"]] * 9}], "2 to 8 branches"),
    ([{"or": [["auth_value"], []]}], "2 to 8 branches"),
    ([{"or": ["auth_value", "password"]}], "2 to 8 branches"),
    ([{"or": {"a": 1, "b": 2}}], "2 to 8 branches"),
    ([{"or": [["auth_value"], ["nosuch"]]}], "pcr, secret, each an entry"),
    (nested(5), "more than 4 deep"),
    (nested(300), "more than 4 deep"),
]


@pytest.mark.parametrize(("items", "phrase"), MALFORMED)
def test_what_makes_no_sense_is_refused_in_words(items: t.Any, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase):
        policy_read.read(items)


def test_the_widest_and_deepest_that_is_allowed() -> None:
    assert len(digest(nested(4))) == 64
    assert len(digest([{"or": [["auth_value"]] * 8}])) == 64


def test_selections_of_all_branches() -> None:
    read = policy_read.read([{"pcr": {"indices": [0]}}, {"or": [[{"pcr": {"indices": [7]}}], ["auth_value"]]}])
    assert policy.selections(read) == [pcr.Selection("sha256", (0,)), pcr.Selection("sha256", (7,))]


def test_whether_auth_is_asked_for() -> None:
    assert policy.asks_for_auth(policy_read.read(["password"]))
    assert policy.asks_for_auth(policy_read.read([{"or": [[{"nv_written": True}], [{"or": [["auth_value"], [{"nv_written": False}]]}]]}]))
    assert not policy.asks_for_auth(policy_read.read([{"or": [[{"nv_written": True}], [{"pcr": {"indices": [7]}}]]}]))
    assert not policy.asks_for_auth(())


def test_idle_pcrs_are_found_in_every_branch() -> None:
    read = policy_read.read([{"or": [["auth_value"], [{"pcr": {"indices": [7]}}]]}])
    policy.check_measured(read, NOW, False)
    with pytest.raises(StateError, match="nothing has been measured"):
        policy.check_measured(read, {"sha256": {7: bytes(32)}}, False)
    policy.check_measured(read, {"sha256": {7: bytes(32)}}, True)
    with pytest.raises(StateError, match="not allocated"):
        policy.check_measured(read, {}, True)


def test_idle_values_that_are_given_are_refused_too() -> None:
    read = policy_read.read([{"pcr": {"indices": [7], "values": {7: "00" * 32}}}])
    with pytest.raises(StateError, match="nothing has been measured"):
        policy.check_measured(read, NOW, False)


def steps(items: t.Any, code: int = constants.CC_UNSEAL, now: policy.PcrValues | None = None, written: bool | None = None) -> list[t.Any]:
    return policy.steps(policy_read.read(items), code, NOW if now is None else now, written)


def test_steps_of_a_plain_policy_are_its_assertions() -> None:
    items: t.Any = [{"pcr": {"indices": [7]}}, {"command_code": "Unseal"}, "auth_value", {"secret": {"hierarchy": "owner"}}]
    assert steps(items) == list(policy_read.read(items))
    assert steps([]) == []


PCR_OLD = {"pcr": {"indices": [7], "values": {7: A.hex()}}}
PCR_NOW = {"pcr": {"indices": [7], "values": {7: B.hex()}}}


def test_the_first_branch_that_holds_is_taken_with_the_digests_of_all() -> None:
    items: t.Any = [{"or": [[PCR_OLD], [PCR_NOW], ["auth_value"]]}]
    digests = tuple(bytes.fromhex(digest([one])) for one in (PCR_OLD, PCR_NOW, "auth_value"))
    assert steps(items) == [*policy_read.read([PCR_NOW]), policy.Offer(digests)]
    assert steps(items, now={"sha256": {7: b"\xcc" * 32}}) == [policy.AuthValue(), policy.Offer(digests)]
    assert steps(items, now={}) == [policy.AuthValue(), policy.Offer(digests)]


def test_a_nested_or_offers_from_within_to_without() -> None:
    inner: t.Any = {"or": [[{"command_code": "Sign"}], [{"command_code": "Unseal"}]]}
    items: t.Any = ["auth_value", {"or": [[PCR_OLD, inner], [PCR_NOW, inner]]}, {"nv_written": True}]
    made = steps(items)
    assert [type(one).__name__ for one in made] == ["AuthValue", "Pcr", "CommandCode", "Offer", "Offer", "NvWritten"]
    assert made[2] == policy.CommandCode(constants.CC_UNSEAL)
    assert made[3].digests == tuple(bytes.fromhex(digest(["auth_value", PCR_NOW, {"command_code": code}])) for code in ("Sign", "Unseal"))
    assert made[4].digests == tuple(bytes.fromhex(digest(["auth_value", one, inner])) for one in (PCR_OLD, PCR_NOW))


@pytest.mark.parametrize(
    ("items", "code", "written", "phrases"),
    [
        ([PCR_OLD], constants.CC_UNSEAL, None, ["PCR 7 of bank sha256 has another value now"]),
        ([{"command_code": "Sign"}], constants.CC_UNSEAL, None, ["it allows the command Sign only"]),
        (WRITE_ONCE, constants.CC_NV_WRITE, True, ["the index has been written"]),
        ([{"nv_written": True}], constants.CC_NV_WRITE, False, ["the index has not been written"]),
        ([{"or": [[PCR_OLD], [{"command_code": "Sign"}]]}], constants.CC_UNSEAL, None, ["PCR 7", "Sign"]),
    ],
)
def test_a_policy_that_cannot_hold_says_why(items: t.Any, code: int, written: bool | None, phrases: list[str]) -> None:
    with pytest.raises(StateError, match="Could not satisfy the policy") as refused:
        steps(items, code, written=written)
    assert [phrase for phrase in phrases if phrase not in refused.value.message] == []


def test_a_write_that_the_policy_allows() -> None:
    assert steps(WRITE_ONCE, constants.CC_NV_WRITE, written=False) == list(policy_read.read(WRITE_ONCE))
    assert steps(WRITE_ONCE, constants.CC_NV_WRITE) == list(policy_read.read(WRITE_ONCE))


def test_secret_names_its_hierarchy_by_handle() -> None:
    assert policy_read.read([{"secret": {"hierarchy": "platform", "ref": "0A"}}]) == (policy.Secret(handles.RH_PLATFORM, b"\n"),)
