# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day zero with a registry, on real TPMs: enrolled, recognised, and what OpenSSL then says of the certificates."""

from __future__ import annotations

import subprocess

from support import secrets
from support.controller import said, totals
from support.factory import Line
from support.proxy import Proxy
from support.swtpm import copy_state
from support.tools import Tools, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

MASTER = secrets.made_up("master of the fleet", 64)


def test_a_device_is_enrolled_and_recognised(each_line: Line) -> None:
    line = each_line
    line.put("edge-01")
    first = line.play("edgefleet.tpm2.day_zero")
    assert first.returncode == 0, said(first)
    second = line.play("edgefleet.tpm2.day_zero")
    assert second.returncode == 0 and totals(second)["edge-01"]["changed"] == 0, said(second)
    for kind in ("iak", "idevid"):
        certificate = line.units["edge-01"].folder / f"{kind}.cert.pem"
        checked = subprocess.run(
            ["openssl", "verify", "-CAfile", line.ca.root_path, "-untrusted", certificate, certificate],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr


def test_hardened_day_zero_shows_no_secret_to_anybody(line: Line) -> None:
    """Neither at -vvvv nor on the wire; and an impostor in the place of the device is not sent what only the device may have."""
    unit = line.put("edge-01")
    Tools(unit.swtpm.tcti).close_platform()
    options = {
        **line.variables,
        **unit.host,
        "tpm2_profile_hardened": True,
        "tpm2_identity_escrow": {"mode": "derived", "master": MASTER},
        "tpm2_identity_ldevid": {"lifetime": 30, "renew_before": 10},
    }
    with Proxy(unit.swtpm) as proxy:
        hosts = {"edge-01": {**options, "tpm2_profile_tcti": proxy.tcti}}
        first = line.controller("edgefleet.tpm2.day_zero", hosts, "-vvvv")
        assert first.returncode == 0, said(first)
        second = line.controller("edgefleet.tpm2.day_zero", hosts)
        assert second.returncode == 0 and totals(second)["edge-01"]["changed"] == 0, said(second)
        with open_registry(line.registry) as registry:
            device = registry.find(serial=unit.serial)
            assert device is not None and set(device.certificates) == {"iak", "idevid", "ldevid"}
            auths = Escrow(registry, master=MASTER.encode()).auths(device)
        values = {"master": MASTER.encode(), **{name: value.encode() for name, value in auths.items()}}
        assert len(set(auths.values())) == 3
        assert secrets.on_the_wire(proxy.wire(), values) == []
        # Another TPM is soldered in; it says what the device says, under the same name.
        unit.swtpm.stop()
        copy_state(line.vendor.make("edge-66"), unit.swtpm.state_dir)
        unit.swtpm.start()
        proxy.reset()
        third = line.controller("edgefleet.tpm2.day_zero", hosts, "-vvvv")
        assert third.returncode != 0 and "is quarantined (" in said(third), said(third)
        assert secrets.on_the_wire(proxy.wire(), values) == [] and lockout_counter(unit.swtpm) == 0
    password = {"password of the CA's key": line.ca.options["password"].encode()}
    for done in (first, second, third):
        assert secrets.in_text(done.stdout + done.stderr, {**values, **password}) == []
    assert not Tools(unit.swtpm.tcti).auth_is_set()["lockout"]
    with open_registry(line.registry) as registry:
        assert registry.find(serial=unit.serial) == device
        assert [one.host for one in registry.incidents()] == ["edge-01"]
