# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attribute sets, held against a TPM: what it refuses is refused when the run is planned, and what passes check mode is then done.

In one process: thousands of definitions go raw over one connection, and the engine runs without a module's process around it.
"""

from __future__ import annotations

import itertools
import json
import struct
import typing as t

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from support.raw import RawError, RawTpm
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import engine, key, model, nv_index, nv_options, primary_key
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, errors, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

OWNER, PLATFORM = 0x40000001, 0x4000000C
PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
INDEX = 0x01800020
BASES = ((), ("ownerwrite", "authread"), ("authwrite", "ownerread"), ("policywrite", "ownerread"), ("ppwrite", "ppread"))


def define(tpm: RawTpm, word: int, index: int) -> bool:
    """Whether the TPM defines an index with these attributes; one that it refuses for another reason is an error."""
    authority = PLATFORM if word & attributes.NV["platformcreate"] else OWNER
    public = nv.NvPublic(index, 0x000B, word, b"", 8).raw
    try:
        tpm.call(0x12A, struct.pack(">I", authority) + PASSWORD + struct.pack(">HH", 0, len(public)) + public, tag=0x8002)
    except RawError as refused:
        assert refused.rc == 0x2C2, f"{word:#x}: {refused}"
        return False
    return True


def undefine(tpm: RawTpm, word: int, index: int) -> None:
    authority = PLATFORM if word & attributes.NV["platformcreate"] else OWNER
    tpm.call(0x122, struct.pack(">II", authority, index) + PASSWORD, tag=0x8002)


def words() -> t.Iterator[int]:
    """All sets of up to three attributes, alone and beside those that let the owner read and write."""
    usual = attributes.word(("ownerwrite", "ownerread"), attributes.NV)
    found = set()
    for count in range(4):
        for chosen in itertools.combinations(nv_options.SETTABLE, count):
            word = attributes.word(chosen, attributes.NV)
            found |= {word | more | kind << attributes.NV_TYPE_SHIFT for more in (0, usual) for kind in (0, 1)}
    return iter(sorted(found))


def test_a_tpm_refuses_exactly_the_attributes_that_the_rules_refuse(swtpm: Swtpm) -> None:
    both, other, wrong, tried = attributes.word(("policydelete", "platformcreate"), attributes.NV), 0x01810000, [], 0
    with swtpm.raw() as tpm:
        for word in words():
            stays = word & both == both  # only a policy removes it
            other += stays
            taken = define(tpm, word, other if stays else INDEX)
            if taken and not stays:
                undefine(tpm, word, INDEX)
            if taken is not (nv.refused(word) is None):
                wrong.append((attributes.names(word, attributes.NV), attributes.nv_type(word), taken))
            tried += 1
    assert wrong == []
    assert tried > 3000


class Warm:
    """A TPM with its SRK, and the engine on it, in this process."""

    def __init__(self, swtpm: Swtpm) -> None:
        self.kept = 0
        self._place = tcti.resolve(swtpm.tcti)
        self._specs = {
            nv_index.NvIndex: ArgumentSpecValidator(_argspec.nv_index()),
            key.Key: ArgumentSpecValidator(_argspec.key()),
            primary_key.PrimaryKey: ArgumentSpecValidator(_argspec.primary_key()),
        }

    def run(self, noun: type[t.Any], options: dict[str, t.Any], check: bool = False) -> str | int:
        """How many steps a run has, or why it fails."""
        found = self._specs[noun].validate(json.loads(json.dumps(options)))
        assert not found.error_messages, found.error_messages
        outcome = engine.Outcome()
        try:
            engine.Engine(self._place, {}).run([t.cast(model.Resource, noun(found.validated_parameters))], check, outcome)
        except errors.TpmError as failed:
            return failed.message
        return len(outcome.steps)

    def broken_promise(self, noun: type[t.Any], options: dict[str, t.Any]) -> str | None:
        """Where check mode promises something: what the run did not keep, and what the second run finds undone."""
        promised = self.run(noun, options, check=True)
        if isinstance(promised, str):
            return None
        done, again = self.run(noun, options), self.run(noun, options)
        assert self.run(noun, {**options, "state": "absent"}) == 1
        self.kept += 1
        return None if done == promised and again == 0 else f"promised {promised}, done {done}, again {again}"


@pytest.fixture
def warm(swtpm: Swtpm) -> Warm:
    made = Warm(swtpm)
    assert made.run(primary_key.PrimaryKey, {}) == 1
    return made


def indices() -> t.Iterator[dict[str, t.Any]]:
    seen = set()
    for base, more, kind in itertools.product(BASES, ((), *((one,) for one in nv_options.SETTABLE)), ("ordinary", "counter")):
        chosen = sorted({*base, *more})
        options: dict[str, t.Any] = {"index": hex(INDEX), "attributes": chosen, "nv_type": kind}
        options.update({"content": "8 bytes."} if kind == "ordinary" else {})
        if any(name.startswith("policy") for name in chosen):
            options.update(policy=[{"pcr": {"indices": [16]}}], allow_unmeasured=True)
        if json.dumps(options) not in seen:
            seen.add(json.dumps(options))
            yield options


def test_an_index_that_passes_check_mode_is_made_written_and_read(warm: Warm) -> None:
    broken = {json.dumps(options): found for options in indices() if (found := warm.broken_promise(nv_index.NvIndex, options))}
    assert broken == {}
    assert warm.kept > 100


def test_an_index_that_only_its_policy_removes(warm: Warm) -> None:
    """It stays, so that it comes once only."""
    options = {"index": hex(INDEX), "attributes": ["ppwrite", "authread", "platformcreate", "policydelete"], "content": "8 bytes."}
    assert "nobody could ever remove it" in str(warm.run(nv_index.NvIndex, options, check=True))
    removable = {**options, "policy": [{"command_code": "NV_UndefineSpaceSpecial"}]}
    assert [warm.run(nv_index.NvIndex, removable, check) for check in (True, False, True)] == [2, 2, 0]
    assert "only its policy removes it" in str(warm.run(nv_index.NvIndex, {**removable, "state": "absent"}))


def test_writeall_and_more_bytes_than_one_command_takes(warm: Warm) -> None:
    large = {"index": hex(INDEX), "attributes": ["ownerwrite", "authread", "writeall"], "size": 2000}
    assert "with writeall it is written in one command" in str(warm.run(nv_index.NvIndex, large, check=True))
    assert warm.run(nv_index.NvIndex, {**large, "size": 600}) == 1


def test_keys_that_pass_check_mode_are_made(warm: Warm) -> None:
    """Parents of both hashes; a storage key has the algorithms of its parent."""
    assert warm.run(primary_key.PrimaryKey, {"template": "ek_ecc_p384", "handle": "0x81010016"}) == 1
    broken, refused = {}, 0
    uses, flags = ("sign", "decrypt", "restricted_sign", "storage"), ({}, {"no_da": False}, {"policy": ["auth_value"], "auth": "x"})
    for parent, usage, algorithm, more in itertools.product(("0x81000001", "0x81010016"), uses, ("ecc_p256", "ecc_p384"), flags):
        options = {"parent": parent, "usage": usage, "algorithm": algorithm, "handle": "0x81000210", **more}
        refused += isinstance(warm.run(key.Key, options, check=True), str)
        found = warm.broken_promise(key.Key, options)
        if found:
            broken[json.dumps(options)] = found
    assert broken == {}
    assert 0 < refused < 20
