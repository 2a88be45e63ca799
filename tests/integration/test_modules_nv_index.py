# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_nv_index against a TPM: every kind of index made, changed, replaced and removed, and seen with tpm2-tools."""

from __future__ import annotations

import base64
import hashlib
import typing as t

import pytest
from support.cycle import Bench, text
from support.proxy import Proxy
from support.tools import ToolError

INDEX, NUMBER = "0x01800020", 0x01800020
MODULE = "tpm2_nv_index"
WRITE_ONCE = "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return Bench(proxied, device_python)


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python)


def attributes(bench: Bench) -> set[str]:
    """The attributes that tpm2-tools prints, without "written"."""
    return set(bench.tools.nvreadpublic(NUMBER)["attributes"]["friendly"].split("|")) - {"written"}


def actions(answer: dict[str, t.Any]) -> list[str]:
    return [step["action"] for step in answer["steps"]]


def test_ordinary_index(both: Bench) -> None:
    done = both.cycle(MODULE, index=INDEX, content="EDGE-0001")
    assert actions(done) == ["nv_define_space", "nv_write"]
    assert done["steps"][0]["cost"] == {"nv_bytes": 9, "nv_indices": 1, "nv_counters": 0, "persistent_slots": 0, "key_generations": 0}
    assert done["diff"]["before"] == {INDEX: None}
    shown = done["diff"]["after"][INDEX]
    assert shown["content"] == "EDGE-0001"
    assert set(shown["attributes"]) == {"ownerwrite", "ownerread", "authread", "no_da", "written"}
    assert both.tools.nvread(NUMBER) == b"EDGE-0001"
    assert attributes(both) == {"ownerwrite", "ownerread", "authread", "no_da"}
    assert both.idle(MODULE, index=INDEX, content="EDGE-0001")["resources"][0]["name"] == both.tools.nvreadpublic(NUMBER)["name"]


def test_write_once_index(both: Bench) -> None:
    done = both.cycle(MODULE, index=INDEX, content="EDGE-0002", write_once=True)
    assert [step["reversible"] for step in done["steps"]] == [True, False]
    area = both.tools.nvreadpublic(NUMBER)
    assert area["authorization policy"].lower() == WRITE_ONCE == done["diff"]["after"][INDEX]["policy"]
    assert attributes(both) == {"policywrite", "ownerread", "authread", "no_da"}
    assert both.tools.nvread(NUMBER) == b"EDGE-0002"
    message = both.failed(MODULE, index=INDEX, content="EDGE-0003", write_once=True)
    assert "written once and for all" in message and "EDGE-0002" in message


def test_content_is_updated(both: Bench) -> None:
    both.ok(MODULE, index=INDEX, content="one")
    done = both.cycle(MODULE, index=INDEX, content="two")
    assert actions(done) == ["nv_write"]
    assert (done["diff"]["before"][INDEX]["content"], done["diff"]["after"][INDEX]["content"]) == ("one", "two")
    assert both.tools.nvread(NUMBER) == b"two"


def test_bytes_and_numbers(bench: Bench) -> None:
    """An index as a decimal number; content that is no text is shown as its digest."""
    content = bytes(range(200, 240))
    done = bench.cycle(MODULE, index=str(NUMBER), content_b64=base64.b64encode(content).decode())
    assert done["diff"]["after"][INDEX]["content"] == f"sha256 {hashlib.sha256(content).hexdigest()}"
    assert bench.tools.nvread(NUMBER) == content


def test_a_large_index_takes_several_writes(bench: Bench) -> None:
    content = "0123456789abcdef" * 128
    bench.cycle(MODULE, index=INDEX, content=content, commands=5)
    assert bench.tools.nvread(NUMBER) == content.encode()


def test_an_index_with_auth_keeps_its_content_secret(both: Bench) -> None:
    auth, content = both.secret("index auth"), both.secret("content")
    done = both.cycle(MODULE, index=INDEX, content=content, auth=auth, reads=True)
    assert done["diff"]["after"][INDEX]["content"] == f"{len(content)} bytes, not shown"
    assert both.tools.nvread(NUMBER, "-C", INDEX, "-P", auth) == content.encode()
    with pytest.raises(ToolError, match="0x9A2"):
        both.tools.nvread(NUMBER, "-C", INDEX)
    other = both.secret("other content")
    done = both.cycle(MODULE, index=INDEX, content=other, auth=auth, reads=True)
    assert actions(done) == ["nv_write"]
    assert both.tools.nvread(NUMBER, "-C", INDEX, "-P", auth) == other.encode()


def test_an_index_that_only_its_auth_opens(bench: Bench) -> None:
    auth, content = bench.secret("index auth"), bench.secret("content")
    options = {"index": INDEX, "content": content, "auth": auth, "attributes": ["authread", "authwrite"]}
    bench.cycle(MODULE, **options, reads=True)
    assert attributes(bench) == {"authread", "authwrite", "no_da"}
    assert bench.tools.nvread(NUMBER, "-C", INDEX, "-P", auth) == content.encode()


def test_custom_attributes(bench: Bench) -> None:
    bench.cycle(MODULE, index=INDEX, size=8, attributes=["authwrite", "ownerwrite", "authread", "write_stclear"], no_da=False)
    assert attributes(bench) == {"authwrite", "ownerwrite", "authread", "write_stclear"}
    with pytest.raises(ToolError):
        bench.tools.nvread(NUMBER)


def test_with_an_owner_auth(bench: Bench) -> None:
    owner = bench.secret("owner")
    bench.tools.run("changeauth", "-c", "o", owner)
    assert "owner" in bench.failed(MODULE, index=INDEX, content="abc")
    bench.cycle(MODULE, index=INDEX, content="abc", owner_auth=owner)
    bench.cycle(MODULE, index=INDEX, content="abd", owner_auth=owner)
    bench.cycle(MODULE, index=INDEX, state="absent", owner_auth=owner)


def test_policy_of_a_command_and_a_pcr(both: Bench) -> None:
    policy = [{"command_code": "NV_Write"}, {"pcr": {"bank": "sha256", "indices": [7]}}]
    done = both.cycle(MODULE, index=INDEX, content="measured", policy=policy, commands=3)
    assert attributes(both) == {"policywrite", "ownerread", "authread", "no_da"}
    digest = hashlib.sha256(bytes(32) + bytes.fromhex("0000016c00000137")).digest()
    pcr = hashlib.sha256(bytes.fromhex(both.tools.pcrread(7))).digest()
    digest = hashlib.sha256(digest + bytes.fromhex("0000017f00000001000b03800000") + pcr).digest()
    assert both.tools.nvreadpublic(NUMBER)["authorization policy"].lower() == digest.hex() == done["diff"]["after"][INDEX]["policy"]
    done = both.cycle(MODULE, index=INDEX, content="measurer", policy=policy, commands=3)
    assert actions(done) == ["nv_write"]
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    assert "policy" in both.failed(MODULE, index=INDEX, content="measurer", policy=policy)


def test_policy_for_reading_too(both: Bench) -> None:
    """Only a policy reads and writes: in one branch for writing, in the other, bound to a PCR, for reading."""
    content = both.secret("content")
    branches = [[{"command_code": "NV_Write"}], [{"command_code": "NV_Read"}, {"pcr": {"indices": [7]}}]]
    options = {"index": INDEX, "content": content, "policy": [{"or": branches}], "attributes": ["policyread", "policywrite"]}
    both.cycle(MODULE, **options, reads=True)
    assert attributes(both) == {"policyread", "policywrite", "no_da"}
    for authority in (("-C", "o"), ("-C", INDEX)):
        with pytest.raises(ToolError):
            both.tools.nvread(NUMBER, *authority)


def test_policy_with_the_auth_value(bench: Bench) -> None:
    auth = bench.secret("index auth")
    bench.cycle(MODULE, index=INDEX, content="public", auth=auth, policy=[{"command_code": "NV_Write"}, "auth_value"], reads=True)
    assert bench.tools.nvread(NUMBER, "-C", "o") == b"public"


def test_counter(both: Bench) -> None:
    done = both.cycle(MODULE, index=INDEX, nv_type="counter")
    assert actions(done) == ["nv_define_space", "nv_increment"]
    assert done["steps"][0]["cost"]["nv_counters"] == 1
    assert "nt=0x1" in attributes(both)
    before = both.idle(MODULE, index=INDEX, nv_type="counter")["resources"][0]
    assert before["counter"] == int.from_bytes(both.tools.nvread(NUMBER), "big")
    both.tools.run("nvincrement", "-C", "o", INDEX)
    assert both.idle(MODULE, index=INDEX, nv_type="counter")["resources"][0]["counter"] == before["counter"] + 1
    both.cycle(MODULE, index=INDEX, state="absent")


def test_platform_index(both: Bench) -> None:
    platform = both.secret("platform")
    both.tools.run("changeauth", "-c", "p", platform)
    options = {"index": INDEX, "platform_auth": platform}
    chosen = ["platformcreate", "ppwrite", "ppread", "authread"]
    done = both.cycle(MODULE, **options, content="board 7", attributes=chosen)
    assert set(done["diff"]["after"][INDEX]["attributes"]) >= {"platformcreate", "ppwrite"}
    assert attributes(both) == {*chosen, "no_da"}
    assert both.tools.nvread(NUMBER) == b"board 7"
    with pytest.raises(ToolError):
        both.tools.run("nvundefine", "-C", "o", INDEX)
    both.cycle(MODULE, **options, state="absent")
    assert both.tools.handles("nv-index") == []


def test_absent(both: Bench) -> None:
    both.idle(MODULE, index=INDEX, state="absent")
    both.ok(MODULE, index=INDEX, content="gone soon")
    both.ok(MODULE, index="0x01800021", content="stays")
    done = both.cycle(MODULE, index=INDEX, state="absent")
    assert actions(done) == ["nv_undefine_space"]
    assert done["steps"][0]["reversible"] is False
    assert done["diff"]["after"] == {INDEX: None}
    assert both.tools.handles("nv-index") == [0x01800021]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"content": "longer than before"}, "its size is 3 bytes, not 18"),
        ({"content": "abc", "no_da": False, "attributes": ["ownerread", "ownerwrite"]}, "it has authread|no_da"),
        ({"content": "abc", "write_once": True}, "it lacks policywrite"),
        ({"nv_type": "counter"}, "it is of type ordinary, not counter"),
    ],
)
def test_something_else_is_replaced_only_when_told(bench: Bench, other: dict[str, t.Any], reason: str) -> None:
    bench.ok(MODULE, index=INDEX, content="abc")
    message = bench.failed(MODULE, index=INDEX, **other)
    assert reason in message and "on_mismatch: replace" in message
    done = bench.cycle(MODULE, index=INDEX, **other, on_mismatch="replace", commands=3, reads="no_da" in other)
    assert actions(done)[:2] == ["nv_undefine_space", "nv_define_space"]
    assert done["steps"][0]["reversible"] is False


def test_a_write_once_index_is_replaced_when_told(bench: Bench) -> None:
    bench.ok(MODULE, index=INDEX, content="EDGE-0001", write_once=True)
    done = bench.cycle(MODULE, index=INDEX, content="EDGE-0002", write_once=True, on_mismatch="replace")
    assert actions(done) == ["nv_undefine_space", "nv_define_space", "nv_write"]
    assert bench.tools.nvread(NUMBER) == b"EDGE-0002"


def test_a_foreign_range_must_be_allowed(bench: Bench) -> None:
    for index in ("0x01000010", "0x01400001", "0x01c00002", "0x01801100"):
        assert "allow_foreign_range" in bench.failed(MODULE, index=index, content="abc")
    bench.cycle(MODULE, index="0x01000010", content="abc", allow_foreign_range=True)
    assert bench.tools.nvread(0x01000010) == b"abc"


def test_defined_but_not_written_is_resumed(both: Bench) -> None:
    """As a run leaves it that was cut off between the two commands."""
    both.ok(MODULE, index=INDEX, size=9, write_once=True)
    assert "written" not in both.tools.nvreadpublic(NUMBER)["attributes"]["friendly"]
    done = both.cycle(MODULE, index=INDEX, content="EDGE-0001", write_once=True)
    assert actions(done) == ["nv_write"]
    assert both.tools.nvread(NUMBER) == b"EDGE-0001"


def test_an_unwritten_counter_is_resumed(bench: Bench) -> None:
    bench.tools.run("nvdefine", INDEX, "-C", "o", "-a", "ownerwrite|authwrite|ownerread|authread|no_da|nt=0x1")
    assert actions(bench.cycle(MODULE, index=INDEX, nv_type="counter")) == ["nv_increment"]


TYPES = {"bits": "0x2", "extend": "0x4", "pinfail": "0x8", "pinpass": "0x9"}


@pytest.mark.parametrize("kind", TYPES)
def test_other_types_are_told_apart(bench: Bench, kind: str) -> None:
    bench.tools.run("nvdefine", INDEX, "-C", "o", "-a", f"ownerwrite|ownerread|authread|no_da|nt={TYPES[kind]}")
    found = bench.ok("tpm2_info", gather=["nv_indices"])["nv_indices"]
    assert [(one["index"], one["type"]) for one in found] == [(INDEX, kind)]
    message = bench.failed(MODULE, index=INDEX, size=found[0]["size"])
    assert f"it is of type {kind}, not ordinary" in message
    assert text(bench.cycle(MODULE, index=INDEX, state="absent")).count(kind) == 1


def test_size_alone_does_not_touch_content(bench: Bench) -> None:
    bench.cycle(MODULE, index=INDEX, size=4)
    bench.tools.run("nvwrite", "-C", "o", "-i", "-", INDEX, stdin=b"data")
    bench.idle(MODULE, index=INDEX, size=4)
    bench.idle(MODULE, index=INDEX)
    assert bench.tools.nvread(NUMBER) == b"data"


def test_what_a_reset_makes_unwritten_is_not_written_once_and_for_all(bench: Bench) -> None:
    """Why write_once refuses clear_stclear: under the same policy the index is written a second time, and the module does not say otherwise."""
    policy = [{"command_code": "NV_Write"}, {"nv_written": False}]
    options = {"index": INDEX, "policy": policy, "attributes": ["policywrite", "ownerread", "authread", "clear_stclear"]}
    done = bench.cycle(MODULE, content="EDGE-0001", **options)
    assert bench.tools.nvreadpublic(NUMBER)["authorization policy"].lower() == WRITE_ONCE
    assert "once and for all" not in done["steps"][1]["sentence"] and done["steps"][1]["reversible"]
    message = bench.failed(MODULE, content="EDGE-0002", **options)
    assert "it is written once until the TPM is reset and holds something else (EDGE-0001); reboot" in message and "replace" not in message
    bench.proxy.swtpm.restart()
    assert actions(bench.ok(MODULE, content="EDGE-0002", **options)) == ["nv_write"]
    assert bench.tools.nvread(NUMBER) == b"EDGE-0002"
