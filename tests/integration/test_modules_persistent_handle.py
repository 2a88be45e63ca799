# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_persistent_handle against a TPM."""

from __future__ import annotations

import pathlib

import pytest
from support.cycle import Bench
from support.proxy import Proxy

MODULE = "tpm2_persistent_handle"
HANDLE, NUMBER = "0x81000220", 0x81000220


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons, with a storage root key."""
    made = Bench(proxied, device_python)
    made.ok("tpm2_primary_key")
    return made


@pytest.fixture
def path(both: Bench, device_dir: pathlib.Path) -> str:
    """The file of a key that is not in the TPM."""
    both.ok("tpm2_key", path=str(device_dir / "key.pem"))
    return str(device_dir / "key.pem")


def test_a_key_file_at_a_handle(both: Bench, path: str) -> None:
    done = both.cycle(MODULE, handle=HANDLE, path=path, loads=True)
    assert done["steps"][0]["cost"]["persistent_slots"] == 1 and done["steps"][0]["cost"]["key_generations"] == 0
    name = both.tools.readpublic(NUMBER).name
    assert done["resources"][0]["name"] == name == done["diff"]["after"][HANDLE]["name"]
    both.idle(MODULE, handle=HANDLE, name=name)
    both.idle(MODULE, handle=HANDLE, name=name.upper(), path=path)
    both.idle("tpm2_key", handle=HANDLE, path=path)


def test_absent(both: Bench, path: str) -> None:
    both.idle(MODULE, handle=HANDLE, state="absent")
    both.ok(MODULE, handle=HANDLE, path=path)
    done = both.cycle(MODULE, handle=HANDLE, state="absent")
    assert [step["action"] for step in done["steps"]] == ["evict_control"]
    assert done["steps"][0]["cost"]["persistent_slots"] == -1
    assert both.tools.handles() == [0x81000001]


def test_absent_by_name(both: Bench, path: str) -> None:
    """The name is what is to go: anything else at the handle stays."""
    both.ok(MODULE, handle=HANDLE, path=path)
    name = both.tools.readpublic(NUMBER).name
    assert f"it has the Name {name}" in both.failed(MODULE, handle=HANDLE, name="000b" + "00" * 32, state="absent")
    both.cycle(MODULE, handle=HANDLE, name=name, state="absent")
    assert both.tools.handles() == [0x81000001]


def test_an_object_out_of_our_range_goes_by_its_name(both: Bench) -> None:
    """A leftover of somebody who followed a guide, once its Name was read and checked."""
    assert "allow_foreign_range" in both.failed(MODULE, handle="0x81000001", state="absent")
    name = both.tools.readpublic(0x81000001).name
    both.cycle(MODULE, handle="0x81000001", name=name, state="absent")
    assert both.tools.handles() == []


def test_another_object_is_replaced_only_when_told(both: Bench, path: str) -> None:
    both.ok("tpm2_key", handle=HANDLE)
    other = both.tools.readpublic(NUMBER).name
    assert f"it has the Name {other}" in both.failed(MODULE, handle=HANDLE, path=path)
    done = both.cycle(MODULE, handle=HANDLE, path=path, on_mismatch="replace", loads=True)
    assert done["steps"][0]["reversible"] is False
    assert both.tools.readpublic(NUMBER).name == done["resources"][0]["name"] != other


def test_nothing_to_put_there(both: Bench, path: str) -> None:
    assert "neither path nor name" in both.failed(MODULE, handle=HANDLE)
    assert "no path is given" in both.failed(MODULE, handle=HANDLE, name="000b" + "00" * 32)
    assert "does not exist" in both.failed(MODULE, handle=HANDLE, path=f"{path}.gone")
    assert "it has the Name" in both.failed(MODULE, handle=HANDLE, path=path, name="000b" + "00" * 32)


def test_with_an_owner_auth(both: Bench, path: str) -> None:
    owner = both.secret("owner")
    both.tools.run("changeauth", "-c", "o", owner)
    assert "give owner_auth" in both.failed(MODULE, handle=HANDLE, path=path)
    both.cycle(MODULE, handle=HANDLE, path=path, owner_auth=owner, loads=True)
    assert "give owner_auth" in both.failed(MODULE, handle=HANDLE, state="absent")
    both.cycle(MODULE, handle=HANDLE, state="absent", owner_auth=owner)
