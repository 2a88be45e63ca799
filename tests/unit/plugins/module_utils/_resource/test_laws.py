# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The design's laws on made-up devices: whatever a device is like and whatever is asked of it.

Check mode predicts; a run leaves nothing to do; nothing wrong is ever tried against what counts; no secret crosses in clear; nothing is
left loaded; and where the power fails between any two commands, the next run finishes. `unit.bed` checks most of it in every run.
"""

from __future__ import annotations

import pathlib
import random
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import Index, Loaded, with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, names, nv, templates

Item = dict[str, dict[str, t.Any]]
AUTHS = {"owner": b"owner auth", "endorsement": b"endorsement auth", "lockout": b"lockout auth"}
PCR7: list[t.Any] = [{"pcr": {"indices": [7]}}]


def put(bed: Bed, handle: int, template: names.Public, parent: bytes, chance: random.Random) -> None:
    public = with_unique(template, chance.randbytes(8))
    bed.tpm.objects[handle] = Loaded(public, names.qualified_name(parent, public), handle)


def device(bed: Bed, chance: random.Random) -> None:
    """Make the TPM one that somebody has used before."""
    for name, value in AUTHS.items():
        if chance.random() < 0.3:
            bed.tpm.auths[handles.HIERARCHIES[name]] = value
    if chance.random() < 0.3:
        bed.tpm.auths[handles.RH_PLATFORM] = b"platform auth"
    for handle in (handles.SRK, 0x81010002):
        if chance.random() < 0.35:
            kinds = [templates.primary("srk_ecc_p256"), templates.primary("srk_rsa_2048"), templates.key("sign", "ecc_p256")]
            hierarchy = chance.choice([handles.RH_OWNER, handles.RH_ENDORSEMENT])
            put(bed, handle, chance.choice(kinds), names.hierarchy_name(hierarchy), chance)
    if handles.SRK in bed.tpm.objects and chance.random() < 0.5:
        parent = chance.choice([bed.tpm.objects[handles.SRK].qualified, b"another parent"])
        put(bed, 0x81000210, templates.key("sign", "ecc_p256"), parent, chance)
    for number in (0x01800010, 0x01800011, 0x01800012):
        if chance.random() < 0.25:
            word = chance.choice([0x2060002, 0x2060008, 0x60002, 0x2060012, 0x40002])
            size = 8 if word & 0x10 else chance.choice([4, 9])
            policy = nv.WRITE_ONCE_POLICY if word & 8 else b""
            data = chance.choice([None, b"x" * size])
            auth = chance.choice([b"", b"unknown"]) if data else b""
            bed.tpm.indices[number] = Index(nv.NvPublic(number, 0x000B, word, policy, size), auth, data)
    bed.tpm.lockout[1] = chance.choice([3, 32])


def nouns(bed: Bed, chance: random.Random) -> list[Item]:
    """Everything that may be asked for, with a chance in its options."""
    replace = {"on_mismatch": "replace"} if chance.random() < 0.6 else {}
    auth = {"auth": "an object's auth"} if chance.random() < 0.5 else {}
    absent = {"state": "absent"} if chance.random() < 0.2 else {}
    write = chance.choice([{}, {"write_once": True}, {"attributes": ["ownerwrite", "ownerread"]}, {"no_da": False, "auth": ""}])
    sealed = chance.choice([{"pcrs": {"indices": [7]}}, {"auth": "blob"}, {"policy": [{"or": [PCR7, ["auth_value"]]}], "auth": "blob"}])
    found: list[Item] = [
        {"primary_key": {**replace, **({"public_path": bed.path("srk.pem")} if chance.random() < 0.5 else {})}},
        {"primary_key": {"template": "ek_ecc_p256", **replace, **absent}},
        {"key": {"handle": "0x81000210", **replace, **auth, **absent}},
        {"key": {"path": bed.path("key.pem"), "usage": "decrypt", **replace, **auth}},
        {"key": {"handle": "0x81000211", "path": bed.path("both.pem"), "policy": PCR7}},
        {"nv_index": {"index": "0x01800010", "content": "EDGE-0001", **write, **replace}},
        {"nv_index": {"index": "0x01800011", "nv_type": "counter", **replace}},
        {"nv_index": {"index": "0x01800012", "content": "secret", "attributes": ["authwrite", "authread"], **auth, **replace, **absent}},
        {"sealed_blob": {"path": bed.path("blob.pem"), "content": "secret", **sealed, **replace}},
        {"da_lockout": {"max_tries": 32, "reset": chance.random() < 0.5}},
        *({"hierarchy": {"hierarchy": name, "auth": value.decode()}} for name, value in AUTHS.items()),
        {"hierarchy": {"hierarchy": "platform", "auth": "platform auth"}},
    ]
    chosen = chance.sample(found, chance.randrange(1, len(found)))
    return chosen


def attempt(bed: Bed, items: list[Item], *, check: bool, given: dict[str, bytes]) -> str | list[str]:
    """The sentences of a run's steps, or the message with which it ends."""
    try:
        return [step["sentence"] for step in bed.run(*items, check=check, **given).steps]
    except errors.TpmError as failed:
        return failed.message


CASES = range(200)


def scene(bed: Bed, number: int) -> tuple[random.Random, list[Item], dict[str, bytes]]:
    chance = random.Random(number)
    device(bed, chance)
    given = {name: value for name, value in {**AUTHS, "platform": b"platform auth"}.items() if chance.random() < 0.7}
    return chance, nouns(bed, chance), given


@pytest.mark.parametrize("number", CASES)
def test_predicted_done_and_nothing_left(bed: Bed, number: int) -> None:
    _chance, items, given = scene(bed, number)
    predicted = attempt(bed, items, check=True, given=given)
    before = (dict(bed.tpm.objects), dict(bed.tpm.indices), dict(bed.tpm.auths), sorted(bed.folder.iterdir()))
    done = attempt(bed, items, check=False, given=given)
    assert done == predicted
    assert bed.tpm.lockout[0] == 0, "a wrong auth was tried"
    if isinstance(done, str):
        assert (dict(bed.tpm.objects), dict(bed.tpm.indices), dict(bed.tpm.auths), sorted(bed.folder.iterdir())) == before
    else:
        assert attempt(bed, items, check=False, given={**given, **AUTHS}) == []


@pytest.mark.parametrize("number", CASES)
def test_interrupted_anywhere_the_next_run_finishes(bed: Bed, number: int) -> None:
    chance, items, given = scene(bed, number)
    bed.tpm.commands_left = chance.randrange(0, 12)
    first = attempt(bed, items, check=False, given=given)
    interrupted = "the power failed" in first if isinstance(first, str) else False
    bed.tpm.commands_left = None
    if interrupted:
        assert isinstance(attempt(bed, items, check=False, given={**given, **AUTHS}), list)
        assert attempt(bed, items, check=False, given={**given, **AUTHS}) == []
    assert bed.tpm.lockout[0] == 0


def test_the_scenes_are_worth_it(tmp_path: pathlib.Path, bed: Bed) -> None:
    """Enough of them end well, end badly, and have something to do."""
    ends = []
    for number in CASES:
        fresh = Bed(tmp_path / str(number))
        fresh.folder.mkdir()
        bed.tpm, bed.folder = fresh.tpm, fresh.folder
        _chance, items, given = scene(bed, number)
        ends.append(attempt(bed, items, check=True, given=given))
    assert sum(isinstance(end, list) and len(end) > 3 for end in ends) > 40
    assert sum(isinstance(end, str) for end in ends) > 40
    assert len({str(end).partition(":")[0] for end in ends if isinstance(end, str)}) > 8
