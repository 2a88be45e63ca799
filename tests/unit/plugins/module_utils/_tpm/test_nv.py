# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NV indices: Names as tpm2_nvreadpublic (tpm2-tools 5.4 on swtpm 0.7.1) printed them, differences, torn structures."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, attributes, nv
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError

ONCE = nv.NvPublic(0x01800010, algorithms.SHA256, 0x2060008, nv.WRITE_ONCE_POLICY, 14)
WRITTEN = attributes.NV["written"]

# tpm2_nvdefine -C o -s 14 -a "ownerwrite|authread|ownerread|no_da" 0x01800020 and so on; the last after tpm2_nvwrite.
SEEN = [
    (
        nv.NvPublic(0x01800020, algorithms.SHA256, 0x2060002, b"", 14),
        "000bfc9702c933791cbdc91f3b506c055ad82b2a5e62ef4da344efcd7f255592b0d1",
    ),
    (ONCE, "000b35d030e759743331c72e1f32c593cd973e22c48fe57ac05cd76197013f94a67e"),
    (nv.NvPublic(0x01800011, algorithms.SHA256, 0x2060012, b"", 8), "000bc08fc2fb5e4dd291e9ca242698fa97dde92a3cefbe39722435b7108407f4ee4e"),
    (
        nv.NvPublic(0x01800012, algorithms.SHA384, 0x40042, b"", 48),
        "000c7b438b452d42c02aeec57e44314d29d311ba5a738df6798a58ffef981a1401b0045f6a637b8d845e7cd778785ccd83e7",
    ),
    (
        nv.NvPublic(0x01800020, algorithms.SHA256, 0x22060002, b"", 14),
        "000b838b334fb5d98df140aae72486414be96295f6524e7725f0a14e8437ce71267f",
    ),
]


@pytest.mark.parametrize(("public", "name"), SEEN, ids=["ordinary", "write_once", "counter", "extend", "written"])
def test_name_is_the_tools_name(public: nv.NvPublic, name: str) -> None:
    assert public.name.hex() == name
    assert nv.parse(public.raw) == public


def test_the_write_once_index_of_the_collection() -> None:
    assert ONCE.attributes == 0x0006_0008 | attributes.NV["no_da"]
    assert nv.WRITE_ONCE_POLICY.hex() == "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"
    assert (ONCE.type, ONCE.written, ONCE.has("policywrite"), ONCE.has("ownerwrite")) == ("ordinary", False, True, False)


def test_the_name_changes_with_the_first_write_but_the_definition_does_not() -> None:
    written = ONCE._replace(attributes=ONCE.attributes | WRITTEN)
    assert written.written and written.name != ONCE.name
    assert nv.differences(ONCE, written) == []
    assert nv.differences(ONCE, written._replace(attributes=written.attributes | attributes.NV_STATE)) == []


def test_names_on_a_tpm(tools: Tools, tmp_path: pathlib.Path) -> None:
    policy = tmp_path / "policy"
    policy.write_bytes(nv.WRITE_ONCE_POLICY)
    tools.run("nvdefine", "-Q", "-C", "o", "-s", "14", "-L", policy, "-a", "policywrite|ownerread|authread|no_da", "0x01800010")
    tools.run("nvdefine", "-Q", "-C", "o", "-s", "14", "-a", "ownerwrite|authread", "0x01800020")
    assert tools.nvreadpublic(0x01800010)["name"] == ONCE.name.hex()
    plain = nv.NvPublic(0x01800020, algorithms.SHA256, 0x40002, b"", 14)
    assert tools.nvreadpublic(0x01800020)["name"] == plain.name.hex()
    tools.run("nvwrite", "-Q", "-C", "o", "-i", "-", "0x01800020", stdin=b"EDGE-0001-TEST")
    assert tools.nvreadpublic(0x01800020)["name"] == plain._replace(attributes=plain.attributes | WRITTEN).name.hex()


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"size": 15}, "its size is 15 bytes, not 14"),
        ({"attributes": 0x2060018}, "it is of type counter, not ordinary"),
        ({"name_alg": algorithms.SHA384}, "its Name algorithm is sha384, not sha256"),
        ({"attributes": 0x60008}, "it lacks no_da"),
        ({"attributes": 0x206000A}, "it has ownerwrite"),
        ({"auth_policy": b""}, f"its policy is empty, not {nv.WRITE_ONCE_POLICY.hex()}"),
    ],
)
def test_each_difference_has_its_phrase(fields: dict[str, t.Any], phrase: str) -> None:
    assert nv.differences(ONCE, ONCE._replace(**fields)) == [phrase]


def test_torn_structures_are_tpm_errors() -> None:
    for size in range(len(ONCE.raw)):
        with pytest.raises(TpmError):
            nv.parse(ONCE.raw[:size])
    with pytest.raises(TpmError, match="left over"):
        nv.parse(ONCE.raw + b"\0")
    with pytest.raises(TpmError, match="0x7777"):
        _name = ONCE._replace(name_alg=0x7777).name


def test_describe() -> None:
    assert nv.describe(ONCE) == {
        "attributes": ["policywrite", "ownerread", "authread", "no_da"],
        "policy": nv.WRITE_ONCE_POLICY.hex(),
        "size": 14,
        "type": "ordinary",
    }
