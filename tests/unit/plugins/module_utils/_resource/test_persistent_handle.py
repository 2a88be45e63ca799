# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Persistent handles: an object of a known Name, or of a file, or nothing."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from unit.bed import Bed
from unit.fakes import Loaded, with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, keyfile, templates

SRK: dict[str, dict[str, t.Any]] = {"primary_key": {"template": "srk_ecc_p256"}}
HANDLE = 0x81000220


def persistent(**options: t.Any) -> dict[str, dict[str, t.Any]]:
    return {"persistent_handle": {"handle": "0x81000220", **options}}


@pytest.fixture
def rooted(bed: Bed) -> Bed:
    """A TPM with its SRK and a key in the file key.pem."""
    bed.run(SRK, {"key": {"path": bed.path("key.pem")}})
    bed.tpm.calls.clear()
    return bed


def name_of(bed: Bed) -> str:
    return keyfile.read(pathlib.Path(bed.path("key.pem")).read_bytes(), "key.pem").public.name.hex()


def test_a_file_is_loaded_and_kept(rooted: Bed) -> None:
    assert rooted.converge(persistent(path=rooted.path("key.pem"))) == ["load", "load", "evict_control"]
    assert rooted.tpm.objects[HANDLE].public.name.hex() == name_of(rooted)
    assert rooted.plan(persistent(name=name_of(rooted).upper())) == []
    assert rooted.plan(persistent(name=name_of(rooted), path=rooted.path("key.pem"))) == []


def test_another_object_is_there(rooted: Bed) -> None:
    rooted.run({"key": {"handle": "0x81000220"}})
    there = rooted.tpm.objects[HANDLE].public.name.hex()
    with pytest.raises(errors.MismatchError, match=f"{there}, not {name_of(rooted)}.*on_mismatch: replace"):
        rooted.run(persistent(path=rooted.path("key.pem")))
    assert rooted.converge(persistent(path=rooted.path("key.pem"), on_mismatch="replace")) == [
        "load",
        "load",
        "evict_control",
        "evict_control",
    ]


def test_nothing_to_put_there(rooted: Bed) -> None:
    with pytest.raises(errors.StateError, match="no path is given"):
        rooted.run(persistent(name=name_of(rooted)))
    with pytest.raises(errors.StateError, match="other.pem does not exist"):
        rooted.run(persistent(path=rooted.path("other.pem")))
    with pytest.raises(errors.InputError, match=f"Name {name_of(rooted)}, not 000b00"):
        rooted.run(persistent(path=rooted.path("key.pem"), name="000b00"))


def test_an_object_that_cannot_be_compared(rooted: Bed) -> None:
    rooted.run(persistent(path=rooted.path("key.pem")))
    with pytest.raises(errors.StateError, match="other.pem does not exist"):
        rooted.run(persistent(path=rooted.path("other.pem")))


def test_a_file_of_another_tpm_is_not_tried(rooted: Bed) -> None:
    rooted.run({"primary_key": {"unique": "another", "on_mismatch": "replace"}})
    rooted.run({"primary_key": {"state": "absent", "on_mismatch": "replace"}})
    with pytest.raises(errors.StateError, match="its parent 0x81000001 does not.*make the parent first"):
        rooted.run(persistent(path=rooted.path("key.pem")))
    rooted.run({"primary_key": {"unique": "another"}})
    rooted.tpm.calls.clear()
    with pytest.raises(errors.StateError, match="another TPM"):
        rooted.run(persistent(path=rooted.path("key.pem")))
    assert rooted.tpm.calls == []


def test_absent(rooted: Bed) -> None:
    assert rooted.converge(persistent(state="absent")) == []
    rooted.run(persistent(path=rooted.path("key.pem")))
    with pytest.raises(errors.MismatchError, match="0x81000220"):
        rooted.run(persistent(state="absent", name="000b00"))
    assert rooted.converge(persistent(state="absent", name=name_of(rooted))) == ["evict_control"]
    rooted.run(persistent(path=rooted.path("key.pem")))
    assert rooted.converge(persistent(state="absent")) == ["evict_control"]


def test_a_strangers_handle_takes_its_name_or_consent(rooted: Bed) -> None:
    public = with_unique(templates.key("sign", "ecc_p256"), b"x")
    rooted.tpm.objects[0x81000100] = Loaded(public, b"q", 0x81000100)
    absent = {"handle": "0x81000100", "state": "absent"}
    with pytest.raises(errors.InputError, match="Azure.*allow_foreign_range"):
        rooted.run({"persistent_handle": absent})
    assert len(rooted.plan({"persistent_handle": {**absent, "name": public.name.hex()}})) == 1
    assert rooted.converge({"persistent_handle": {**absent, "allow_foreign_range": True}}) == ["evict_control"]


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ({}, "neither path nor name"),
        ({"name": "xyz"}, "not hexadecimal"),
        ({"name": "000"}, "not hexadecimal"),
        ({"handle": "0x01800010", "name": "00"}, "0x81000000-0x81ffffff"),
        ({"handle": "", "name": "00"}, "handle"),
    ],
)
def test_what_makes_no_sense(bed: Bed, options: dict[str, t.Any], phrase: str) -> None:
    with pytest.raises(errors.InputError, match=phrase):
        bed.plan(persistent(**options))


def test_the_platforms_range_takes_the_platforms_auth(rooted: Bed) -> None:
    rooted.tpm.auths[handles.RH_PLATFORM] = b"platform"
    item = {"persistent_handle": {"handle": "0x81800010", "path": rooted.path("key.pem"), "allow_foreign_range": True}}
    rooted.converge(item, platform=b"platform")
