# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locked NV indices: which lock holds, when it ends, and that an index whose lock ends by itself is not said to need replacing."""

from __future__ import annotations

import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy

INDEX, MODULE = "0x01800020", "tpm2_nv_index"
PLAIN = ["ownerwrite", "authread", "ownerread"]
OLD, NEW = "EDGE-0001", "EDGE-0002"


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python)


def task(*attributes: str, **options: t.Any) -> dict[str, t.Any]:
    return {"index": INDEX, "attributes": [*PLAIN, *attributes], **options}


def lock(bench: Bench, kind: str) -> None:
    """Lock the index, or with globallock all that have that attribute, with tpm2-tools."""
    if kind == "globallock":
        bench.tools.run("nvwritelock", "-Q", "-C", "o", "--global")
    else:
        bench.tools.run("nvreadlock" if kind == "read_stclear" else "nvwritelock", "-C", "o", INDEX)


@pytest.mark.parametrize("kind", ["write_stclear", "globallock"])
def test_a_write_lock_that_a_reset_ends(bench: Bench, kind: str) -> None:
    bench.ok(MODULE, **task(kind, content=OLD))
    lock(bench, kind)
    bench.idle(MODULE, **task(kind, content=OLD))
    refused = bench.run(MODULE, check=True, **task(kind, content=NEW))
    assert f"it is write-locked ({kind}) until the TPM is next reset and holds something else ({OLD}); reboot" in refused.expect_failed()
    assert (refused.json or {})["reason"] == "nv_locked"
    assert "replace" not in bench.failed(MODULE, **task(kind, content=NEW))
    bench.proxy.swtpm.restart()
    bench.cycle(MODULE, **task(kind, content=NEW))


def test_a_write_lock_for_good(bench: Bench) -> None:
    """Only here a replacement is the way, and said."""
    bench.ok(MODULE, **task("writedefine", content=OLD))
    lock(bench, "writedefine")
    bench.proxy.swtpm.restart()
    bench.idle(MODULE, **task("writedefine", content=OLD))
    message = bench.failed(MODULE, **task("writedefine", content=NEW))
    assert f"it is write-locked for good (writedefine) and holds something else ({OLD})" in message and "on_mismatch: replace" in message
    bench.cycle(MODULE, **task("writedefine", content=NEW), on_mismatch="replace")


@pytest.mark.parametrize("kind", ["write_stclear", "writedefine"])
def test_a_write_lock_before_the_first_write(bench: Bench, kind: str) -> None:
    """What was never written is unlocked by a reset, with writedefine too."""
    bench.ok(MODULE, **task(kind, size=len(OLD)))
    lock(bench, kind)
    bench.idle(MODULE, **task(kind, size=len(OLD)))
    message = bench.failed(MODULE, **task(kind, content=OLD))
    assert f"it is write-locked ({kind}) until the TPM is next reset; reboot" in message and "replace" not in message
    bench.proxy.swtpm.restart()
    bench.cycle(MODULE, **task(kind, content=OLD))


def test_a_read_lock(bench: Bench) -> None:
    """The content cannot be compared; that it is defined can."""
    bench.ok(MODULE, **task("read_stclear", content=OLD))
    lock(bench, "read_stclear")
    message = bench.failed(MODULE, **task("read_stclear", content=OLD))
    assert "it is read-locked (read_stclear) until the TPM is next reset; reboot" in message and "replace" not in message
    assert bench.failed(MODULE, **task("read_stclear", content=NEW), on_mismatch="replace") == message
    bench.idle(MODULE, **task("read_stclear", size=len(OLD)))
    bench.proxy.swtpm.restart()
    bench.idle(MODULE, **task("read_stclear", content=OLD))


def test_a_locked_counter(bench: Bench) -> None:
    counter = {"index": INDEX, "nv_type": "counter", "attributes": [*PLAIN, "read_stclear"]}
    assert bench.cycle(MODULE, **counter)
    lock(bench, "read_stclear")
    assert "counter" not in bench.idle(MODULE, **counter)["resources"][0]
