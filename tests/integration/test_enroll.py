# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day zero with a registry, on real TPMs: enrolled, recognised, and what OpenSSL then says of the certificates."""

from __future__ import annotations

import subprocess

from docs.documents import YAML_BLOCKS
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


def test_the_roles_in_a_play_of_ones_own(line: Line) -> None:
    """The example of docs/playbooks.md, as it stands there: a device is enrolled, then recognised; and what it needs is refused where it is left out."""
    unit = line.put("edge-01")
    (example,) = [one for one in YAML_BLOCKS if one.text.startswith("# factory.yml")]
    playbook = line.folder / "factory.yml"
    playbook.write_text(example.text)
    hardened = {"tpm2_profile_hardened": True, "tpm2_identity_escrow": {"mode": "derived", "master": MASTER}}
    Tools(unit.swtpm.tcti).close_platform()
    for changed in (True, False):
        done = line.play(str(playbook), **hardened)
        assert done.returncode == 0 and bool(totals(done)["edge-01"]["changed"]) is changed, said(done)
        assert "edge-01 has the keys 0x81000001, 0x81000210, 0x81010001, 0x81020001" in said(done)
    assert (unit.folder / "idevid.cert.pem").exists() and all(Tools(unit.swtpm.tcti).auth_is_set().values())
    # Without a look into the registry the device would count as verified.
    playbook.write_text("\n\n".join(part for part in example.text.split("\n\n") if "edgefleet.tpm2.identity" not in part))
    done = line.play(str(playbook), **hardened)
    assert done.returncode != 0 and "edge-01: tpm2_identity_registry is set, and the device was not looked up in it;" in said(done), said(
        done
    )


def test_what_was_read_before_the_stack_counts_if_it_is_not_read_again(line: Line) -> None:
    """The roles that set up the host are left out by their tags; nothing then asks again which auths a new device has."""
    unit = line.put("edge-01")
    Tools(unit.swtpm.tcti).run("changeauth", "-c", "o", "somebody's")
    done = line.play("edgefleet.tpm2.day_zero", "--tags", "provision,identity", tpm2_day_zero_stack=True, tpm2_become=False)
    assert done.returncode != 0 and done.stdout.count("Read the TPM's facts]") == 1
    assert "edge-01: the TPM has an auth value for owner, and the registry does not know this device." in said(done), said(done)
    assert totals(done)["edge-01"]["changed"] == 0


def test_what_is_added_stays_beside_what_enrolment_brings(line: Line) -> None:
    """The example of the guide, with a second and longer tag, on a hardened device; the registry's answer does not replace it."""
    unit = line.put("edge-01")
    tools = Tools(unit.swtpm.tcti)
    tools.close_platform()
    (example,) = [one for one in YAML_BLOCKS if one.text.startswith("# group_vars/edge/resources.yml")]
    more = example.data["tpm2_profile_more"]
    hardened = {"tpm2_profile_hardened": True, "tpm2_identity_escrow": {"mode": "derived", "master": MASTER}}
    for playbook, tag in (("day_zero", "A-1"), ("day_zero", "A-1234567"), ("renew", "A-1234567")):
        done = line.play(f"edgefleet.tpm2.{playbook}", "-e", "tpm2_hosts=edge", tpm2_profile_more=more, asset_tag=tag, **hardened)
        assert done.returncode == 0, said(done)
        assert tools.nvread(0x01800011) == tag.ljust(32).encode()
    assert (unit.folder / "iak.cert.pem").exists() and (unit.folder / "sign.pub.pem").exists() and all(tools.auth_is_set().values())
    # A list of one's own does not lose what is declared elsewhere without a word.
    own = line.play("edgefleet.tpm2.audit", tpm2_profile_resources="{{ tpm2_profile_reference }}", **hardened)
    assert own.returncode != 0
    assert "edge-01: tpm2_profile_resources is a list of your own, and lacks the auth of owner, endorsement, lockout" in said(own)
    assert "and the refusal of an open platform hierarchy" in said(own) and f"and the certificates {unit.folder}/iak.cert.pem," in said(own)


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
        # The last sentence is the cause, not what was noticed first, and stands there once.
        outcome = " ".join(third.stdout.partition("PLAY [Outcome]")[2].split())
        assert outcome.count("is quarantined (") == 1 and "Could not open a secure session" not in outcome
        assert secrets.on_the_wire(proxy.wire(), values) == [] and lockout_counter(unit.swtpm) == 0
    password = {"password of the CA's key": line.ca.options["password"].encode()}
    for done in (first, second, third):
        assert secrets.in_text(done.stdout + done.stderr, {**values, **password}) == []
    assert not Tools(unit.swtpm.tcti).auth_is_set()["lockout"]
    with open_registry(line.registry) as registry:
        assert registry.find(serial=unit.serial) == device
        assert [one.host for one in registry.incidents()] == ["edge-01"]
