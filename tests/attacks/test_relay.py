# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host without a TPM of its own, that forwards every TPM command to the genuine TPM of an enrolled device."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import hostile
from support.controller import said
from support.proxy import Proxy
from support.scene import HOST, Scene

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

NewScene = t.Callable[..., Scene]


@pytest.mark.parametrize("ways", [(), ("smooth",)], ids=["plain", "lying"])
def test_relay_of_a_genuine_tpm(new_scene: NewScene, past: pathlib.Path, ways: tuple[str, ...]) -> None:
    """It gets no identity of its own for that TPM, and no auth of the device whose TPM it is; nor does that device lose anything."""
    scene = new_scene("relay", past=past)
    before = hostile.registry(scene.line.registry)
    relay = scene.belongs_to(*ways)
    with Proxy(scene.unit.swtpm) as proxy:
        host = scene.host(tpm2_profile_tcti=proxy.tcti, tpm2_profile_serial="EF-EDGE-02", tpm2_profile_dir=str(scene.folder / "relay"))
        # The liar shows an open platform hierarchy, of which a hardened line would already say enough.
        host["tpm2_profile_hardened"] = False
        host["tpm2_profile_resources"] = "{{ tpm2_profile_reference + __provision_auths }}"
        done = scene.line.controller("edgefleet.tpm2.day_zero", {"edge-02": host}, "-e", "tpm2_hosts=all")
        assert done.returncode != 0 and "Traceback" not in said(done), said(done)
        assert proxy.sessions() == [] and proxy.writes() == [], proxy.codes()
    assert relay.answers and not list(scene.folder.glob("relay/*.cert.pem"))
    assert hostile.registry(scene.line.registry)["devices"] == before["devices"]
    with open_registry(scene.line.registry, create=False) as registry:
        assert registry.find(serial="EF-EDGE-02") is None
        reasons = [one.reason for one in registry.incidents() if one.host == "edge-02"]
    assert reasons == (["wrong_content"] if ways else []), said(done)
    scene.rogue = None
    again = scene.play("audit")
    assert again.returncode == 0 and HOST in again.stdout, said(again)
