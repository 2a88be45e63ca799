# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, authorization: wrong and missing auth values, lockout, disabled hierarchies, and what belongs to the platform."""

from __future__ import annotations

import pathlib
import struct
import typing as t

import pytest
from support.profile import SRK
from support.raw import PT_PERMANENT
from support.refused import Bench, assert_sentence
from support.secrets import made_up
from support.swtpm import Swtpm
from support.tools import ToolError, leftovers, lockout_counter

NV, KEY, PRIMARY, SEAL, HIERARCHY, DA, PROFILE = (
    "tpm2_nv_index",
    "tpm2_key",
    "tpm2_primary_key",
    "tpm2_sealed_blob",
    "tpm2_hierarchy",
    "tpm2_da_lockout",
    "tpm2_profile",
)
RIGHT, WRONG = made_up("right"), made_up("wrong")
NOT_COUNTED = "nothing was counted towards the TPM's lockout"
SERIAL: dict[str, t.Any] = {"index": "0x01800010", "content": "EF-2026-000001"}
IN_LOCKOUT = 1 << 9


@pytest.fixture
def bench(swtpm: Swtpm, device_dir: pathlib.Path, device_python: str) -> Bench:
    """A blank TPM; both Pythons, for what the TPM refuses comes through tpm2-pytss."""
    return Bench(swtpm, device_dir, device_python)


@pytest.fixture
def planned(swtpm: Swtpm, device_dir: pathlib.Path, system_python: str) -> Bench:
    """A blank TPM; one Python, for what is refused before tpm2-pytss is asked."""
    return Bench(swtpm, device_dir, system_python)


def set_auth(bench: Bench, hierarchy: str, auth: str = RIGHT) -> None:
    bench.tools.run("changeauth", "-Q", "-c", hierarchy, auth)


# Wrong auth values


def test_wrong_owner_auth(bench: Bench) -> None:
    bench.made(PRIMARY)
    set_auth(bench, "o")
    says = ("TPM_RC_BAD_AUTH (0x9a2, session 1)", "give the right owner_auth", NOT_COUNTED)
    bench.refused(NV, "define NV index 0x01800010", "step 1 of 2", *says, predicted=False, owner_auth=WRONG, **SERIAL)
    bench.refused(KEY, "0x81000210", *says, predicted=False, owner_auth=WRONG, handle="0x81000210")
    bench.refused(PRIMARY, "0x81000202", *says, predicted=False, owner_auth=WRONG, handle="0x81000202")
    bench.refused(HIERARCHY, "set the auth of the owner", *says, predicted=False, hierarchy="owner", auth="", current_auth=WRONG)
    assert bench.run(NV, owner_auth=RIGHT, **SERIAL).expect_ok()["changed"]
    undefine = {"index": SERIAL["index"], "state": "absent"}
    bench.refused(NV, "undefine", "0x01800010", *says, predicted=False, owner_auth=WRONG, **undefine)


def test_wrong_endorsement_auth_after_what_needs_none(bench: Bench) -> None:
    """What was done before is said, and the next run goes on from there."""
    set_auth(bench, "e")
    resources = [{"primary_key": {}}, {"primary_key": {"template": "ek_ecc_p256"}}, {"nv_index": SERIAL}]
    says = ("endorsement hierarchy", "TPM_RC_BAD_AUTH (0x9a2, session 1)", "give the right endorsement_auth", "step 2 of 4")
    failed = bench.stops(PROFILE, *says, done=1, resources=resources, endorsement_auth=WRONG)
    assert failed.json is not None
    assert [step["action"] for step in failed.json["steps"]] == ["create_primary"]
    assert bench.tools.handles("persistent") == [SRK] and bench.tools.handles("nv-index") == []
    assert lockout_counter(bench.swtpm) == 0
    rest = bench.made(PROFILE, resources=resources, endorsement_auth=RIGHT)
    assert [step["action"] for step in rest["steps"]] == ["create_primary", "nv_define_space", "nv_write"]
    assert bench.tools.nvread(0x01800010) == b"EF-2026-000001"


def test_wrong_auth_in_the_middle_of_a_step_is_no_loss(bench: Bench) -> None:
    """The key is in its file already: that is a change, and the next run takes it from there."""
    bench.made(PRIMARY)
    set_auth(bench, "o")
    key = {"path": bench.path("key.pem"), "handle": "0x81000210"}
    failed = bench.run(KEY, owner_auth=WRONG, **key)
    assert_sentence(failed.expect_failed(), "0x81000210", "TPM_RC_BAD_AUTH", "step 1 of 1")
    assert failed.json is not None and failed.json["changed"] and failed.json["steps_done"] == 0
    written = pathlib.Path(key["path"]).read_bytes()
    assert leftovers(bench.swtpm) == [] and bench.tools.handles("persistent") == [SRK]
    done = bench.made(KEY, owner_auth=RIGHT, **key)
    assert [step["cost"]["key_generations"] for step in done["steps"]] == [0]
    assert pathlib.Path(key["path"]).read_bytes() == written and bench.tools.handles("persistent") == [SRK, 0x81000210]


def test_wrong_auth_of_an_index_without_dictionary_attack_protection(bench: Bench) -> None:
    index = {**SERIAL, "attributes": ["authread", "authwrite"]}
    bench.made(NV, auth=RIGHT, **index)
    says = ("NV index 0x01800010", "TPM_RC_BAD_AUTH (0x9a2, session 1)", "the object's auth")
    bench.refused(NV, *says, auth=WRONG, **index)


def test_wrong_auth_of_a_sealed_blob(bench: Bench) -> None:
    bench.made(PRIMARY)
    path, secret = bench.path("blob.pem"), made_up("what is sealed")
    bench.made(SEAL, path=path, content=secret, auth=RIGHT)
    says = (f"unseal {path}", "TPM_RC_BAD_AUTH (0x9a2, session 1)", "the object's auth")
    bench.refused("tpm2_unseal", *says, path=path, auth=WRONG)
    bench.refused("tpm2_unseal", *says, path=path)
    bench.refused(SEAL, *says, path=path, content=secret, auth=WRONG, verify="unseal")
    assert bench.tools.load_unseal(path, pcrs=None, auth=RIGHT).decode() == secret


def test_a_parent_with_an_auth_of_its_own(bench: Bench) -> None:
    """We have no option for it: the sentence says so, and nothing is left behind."""
    context = bench.folder.parent / "srk.ctx"
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
    bench.tools.run("createprimary", "-Q", "-c", context, "-G", "ecc", "-p", RIGHT, "-a", attributes)
    bench.tools.run("evictcontrol", "-Q", "-c", context, "0x81000001")
    bench.tools.flush_all()
    says = ("its parent", "TPM_RC_BAD_AUTH (0x9a2, session 1)", "name a parent without one", "parent 0x81000001", "step 1 of 1")
    bench.refused(KEY, *says, predicted=False, path=bench.path("key.pem"))
    blob = {"path": bench.path("blob.pem"), "content": made_up("what is sealed"), "pcrs": {"indices": [7]}}
    bench.refuses(SEAL, blob, "TPM_RC_BAD_AUTH", "under 0x81000001", blob["path"], predicted=False)


def test_wrong_lockout_auth_is_tried_once(bench: Bench) -> None:
    """Nobody can know that it is wrong; but it is tried once, last, and the sentence says that this was enough."""
    set_auth(bench, "l")
    resources = [{"da_lockout": {"max_tries": 10}}, {"nv_index": SERIAL}, {"hierarchy": {"hierarchy": "lockout", "clear_disabled": True}}]
    says = ("dictionary attack parameters", "TPM_RC_AUTH_FAIL (0x98e, session 1)", "for lockout_auth this one was enough")
    bench.stops(PROFILE, *says, done=2, resources=resources, lockout_auth=WRONG)
    assert bench.tools.nvread(0x01800010) == b"EF-2026-000001"
    bench.refused(PROFILE, "TPM_RC_LOCKOUT (0x921)", "wait for the recovery time", predicted=False, resources=resources, lockout_auth=RIGHT)


# Missing auth values: known from what the TPM tells, so that nothing is tried


@pytest.mark.parametrize(("hierarchy", "letter"), [("owner", "o"), ("endorsement", "e"), ("lockout", "l")])
def test_auth_set_and_none_given(planned: Bench, hierarchy: str, letter: str) -> None:
    set_auth(planned, letter)
    asked: dict[str, tuple[str, dict[str, t.Any]]] = {
        "owner": (NV, SERIAL),
        "endorsement": (PRIMARY, {"template": "ek_ecc_p256"}),
        "lockout": (DA, {"max_tries": 10}),
    }
    name, options = asked[hierarchy]
    says = (f"Could not act as {hierarchy}", "its auth is set and none was given", f"give {hierarchy}_auth")
    message = planned.refuses(name, options, *says)
    assert ("never guessed" in message) == (hierarchy == "lockout")
    planned.refused(HIERARCHY, *says, hierarchy=hierarchy, auth="")


def test_lockout_auth_missing_stops_a_whole_profile_before_it_starts(planned: Bench) -> None:
    set_auth(planned, "l")
    resources = [{"primary_key": {}}, {"nv_index": SERIAL}, {"da_lockout": {"max_tries": 32}}]
    planned.refused(PROFILE, "give lockout_auth", "never guessed", resources=resources)


def test_two_lockout_auths_are_not_tried_one_after_the_other(planned: Bench, tmp_path: pathlib.Path) -> None:
    """A policy that is neither's means that somebody else has been at work: then nobody knows which value holds."""
    set_auth(planned, "l")
    somebodys = tmp_path / "policy"
    somebodys.write_bytes(bytes(range(32)))
    planned.tools.run("setprimarypolicy", "-C", "l", "-P", RIGHT, "-g", "sha256", "-L", somebodys)
    says = ("Could not choose between two auth values for lockout", "trying one could lock the TPM", "give only the current one")
    planned.refused(HIERARCHY, *says, hierarchy="lockout", auth=made_up("new"), lockout_auth=RIGHT)


def test_a_lockout_auth_that_could_be_guessed_replaces_none(planned: Bench) -> None:
    set_auth(planned, "l")
    says = ("Could not replace the auth of the lockout hierarchy", "15 bytes", "can be guessed", "give a longer, random one")
    planned.refused(HIERARCHY, *says, hierarchy="lockout", auth="fifteen-bytes-x", lockout_auth=RIGHT)
    says = ("its policy is needed while its auth is replaced", "leave policy out")
    planned.refused(HIERARCHY, *says, hierarchy="lockout", auth=made_up("new"), lockout_auth=RIGHT, policy=[])


def test_platform_auth_missing(bench: Bench) -> None:
    set_auth(bench, "p")
    bench.refused(HIERARCHY, "Could not act as platform", "give platform_auth", hierarchy="platform", enabled=False)
    wrong = ("platform hierarchy", "TPM_RC_BAD_AUTH", "give the right platform_auth", NOT_COUNTED)
    bench.refused(HIERARCHY, *wrong, predicted=False, hierarchy="platform", enabled=False, platform_auth=WRONG)
    index = {"index": "0x01800020", "size": 8, "attributes": ["platformcreate", "ppwrite", "ppread", "authread"]}
    says = ("0x01800020", "TPM_RC_BAD_AUTH", "it is set and none was given, so give platform_auth", NOT_COUNTED)
    bench.refuses(NV, index, *says, predicted=False)
    assert bench.run(NV, platform_auth=RIGHT, **index).expect_ok()["changed"]


def test_empty_auth_where_that_is_refused(planned: Bench) -> None:
    planned.refused(HIERARCHY, "owner", "its auth is empty", "set auth", hierarchy="owner", refuse_empty_auth=True)


# Lockout


def fill_lockout(bench: Bench) -> None:
    """Wrong tries against a DA-protected object of somebody else's, until the TPM locks itself."""
    bench.tools.run("nvdefine", "-Q", "0x01800050", "-s", "8", "-p", RIGHT, "-a", "authread|authwrite")
    for _each in range(bench.tools.da()[0]):
        with pytest.raises(ToolError):
            bench.tools.run("nvread", "0x01800050", "-P", WRONG)
    with bench.swtpm.raw() as tpm:
        assert tpm.tpm_property(PT_PERMANENT) & IN_LOCKOUT


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (NV, SERIAL),
        (NV, {"index": "0x01800050", "state": "absent"}),
        (KEY, {"handle": "0x81000210"}),
        (PRIMARY, {"template": "ek_ecc_p256"}),
        (HIERARCHY, {"hierarchy": "lockout", "auth": RIGHT}),
        (DA, {"max_tries": 32}),
        (PROFILE, {"resources": [{"nv_index": SERIAL}, {"key": {"handle": "0x81000210"}}]}),
    ],
    ids=["nv_index", "nv_index_absent", "key", "primary_key", "hierarchy", "da_lockout", "profile"],
)
def test_in_lockout(planned: Bench, name: str, options: dict[str, t.Any]) -> None:
    planned.made(PRIMARY)
    fill_lockout(planned)
    says = ("the TPM is in dictionary attack lockout", "3 failed tries of 3", "every 1000 s", "tpm2_da_lockout", "nothing was changed")
    planned.refuses(name, options, *says)
    assert planned.run("tpm2_info").expect_ok()["da_lockout"]["in_lockout"] is True


def test_the_cure_for_lockout_is_one(planned: Bench) -> None:
    set_auth(planned, "l")
    fill_lockout(planned)
    planned.refused(DA, "give lockout_auth", "never guessed", reset=True)
    planned.made(DA, reset=True, lockout_auth=RIGHT)
    assert lockout_counter(planned.swtpm) == 0
    planned.made(NV, **SERIAL)


def test_in_lockout_an_auth_that_is_protected_is_named(bench: Bench) -> None:
    """Reading it takes its auth, which the TPM does not hear now; nothing more is counted."""
    fill_lockout(bench)
    bench.tools.run("dictionarylockout", "-c")
    index = {"index": "0x01800050", "content": "12345678", "attributes": ["authread", "authwrite"], "no_da": False, "auth": RIGHT}
    bench.made(NV, **index)
    for _each in range(bench.tools.da()[0]):
        with pytest.raises(ToolError):
            bench.tools.run("nvread", "0x01800050", "-P", WRONG)
    bench.refuses(NV, index, "NV index 0x01800050", "TPM_RC_LOCKOUT (0x921)", "do not try further values")


# Disabled hierarchies


@pytest.mark.parametrize(("hierarchy", "switch"), [("owner", "shEnable"), ("endorsement", "ehEnable")])
def test_disabled_hierarchy(planned: Bench, hierarchy: str, switch: str) -> None:
    planned.made(PRIMARY)
    planned.tools.run("hierarchycontrol", "-C", "p", switch, "clear")
    asked: dict[str, list[tuple[str, dict[str, t.Any]]]] = {
        "owner": [
            (PRIMARY, {}),
            (NV, SERIAL),
            (KEY, {"handle": "0x81000210"}),
            (KEY, {"path": planned.path("key.pem")}),
            (SEAL, {"path": planned.path("blob.pem"), "content": made_up("content"), "pcrs": {"indices": [7]}}),
            (PROFILE, {"resources": [{"nv_index": SERIAL}, {"da_lockout": {"max_tries": 32}}]}),
        ],
        "endorsement": [(PRIMARY, {"template": "ek_ecc_p256"}), (HIERARCHY, {"hierarchy": "endorsement", "auth": RIGHT})],
    }
    says = (f"Could not act as {hierarchy}", "the hierarchy is disabled until the TPM is reset", "reboot the device")
    for name, options in asked[hierarchy]:
        planned.refuses(name, options, *says)
    planned.swtpm.restart()
    name, options = asked[hierarchy][-1]
    assert planned.run(name, **options).expect_ok()["changed"]


# What the platform made


def define_as_platform(bench: Bench, attributes: int, policy: bytes = b"") -> None:
    """An NV index 0x01800030 of 8 bytes as firmware defines it; raw, for the tool cannot say platformcreate with policydelete."""
    public = struct.pack(">IHI", 0x01800030, 0x000B, attributes) + struct.pack(">H", len(policy)) + policy + struct.pack(">H", 8)
    password = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
    with bench.swtpm.raw() as tpm:
        tpm.call(0x12A, struct.pack(">I", 0x4000000C) + password + bytes(2) + struct.pack(">H", len(public)) + public, tag=0x8002)


PLATFORM_CREATE, POLICY_DELETE = 1 << 30, 1 << 10
PPWRITE_PPREAD_AUTHREAD_NO_DA = 1 << 0 | 1 << 16 | 1 << 18 | 1 << 25


def test_an_index_of_the_platform(bench: Bench) -> None:
    define_as_platform(bench, PLATFORM_CREATE | PPWRITE_PPREAD_AUTHREAD_NO_DA)
    mine = {"index": "0x01800030", "size": 8}
    bench.refused(NV, "0x01800030", "it has", "platformcreate", "on_mismatch: replace", **mine)
    set_auth(bench, "p")
    says = ("undefine", "0x01800030", "TPM_RC_BAD_AUTH", "give platform_auth", NOT_COUNTED)
    bench.refused(NV, *says, predicted=False, index="0x01800030", state="absent")
    bench.refused(NV, *says, predicted=False, on_mismatch="replace", **mine)
    # What the TPM says to an owner who tries: the module does not.
    with pytest.raises(ToolError, match="0x149"):
        bench.tools.run("nvundefine", "-C", "o", "0x01800030")
    bench.made(NV, on_mismatch="replace", platform_auth=RIGHT, **mine)


def test_an_index_that_only_its_policy_deletes(planned: Bench) -> None:
    define_as_platform(planned, PLATFORM_CREATE | POLICY_DELETE | PPWRITE_PPREAD_AUTHREAD_NO_DA, bytes(32))
    says = ("0x01800030", "policydelete", "only its policy removes it", "name another index")
    planned.refused(NV, *says, index="0x01800030", state="absent")
    planned.refused(NV, *says, index="0x01800030", size=8, on_mismatch="replace")


def test_an_auth_of_one_letter_leaves_every_sentence_whole(planned: Bench) -> None:
    set_auth(planned, "o", "e")
    done = planned.made(NV, owner_auth="e", **SERIAL)
    assert [step["sentence"] for step in done["steps"]][0] == "define the NV index 0x01800010 of 14 bytes"
    assert planned.tools.nvread("0x01800010") == b"EF-2026-000001"
    says = ("Could not make the NV index 0x01800010", "it lacks policywrite", "set on_mismatch: replace")
    planned.refused(NV, *says, owner_auth="e", **{**SERIAL, "write_once": True})
