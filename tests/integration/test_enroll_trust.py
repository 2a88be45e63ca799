# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets what, and when: playbooks with a registry on TPMs that are new, not trusted, moved, or were set up before there was a registry."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import typing as t

import pytest
from support import secrets
from support.controller import said, totals
from support.factory import Line, Unit
from support.swtpm import copy_state
from support.tools import Tools, as_text

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

DAY_ZERO, RENEW, AUDIT = (f"edgefleet.tpm2.{name}" for name in ("day_zero", "renew", "audit"))
MASTER = secrets.made_up("master of another fleet", 64)
OWN = {name: secrets.made_up(f"own {name}", 32) for name in ("owner", "endorsement")}
OWN_OPTIONS = {f"tpm2_profile_{name}_auth": value for name, value in OWN.items()}
SEALED = base64.b64encode(secrets.made_up("sealed", 32).encode()).decode()
HARDENED = {"tpm2_profile_hardened": True, "tpm2_identity_escrow": {"mode": "derived", "master": MASTER}}
PCRS = {"bank": "sha256", "indices": [7]}
AK = 0x81020001
LDEVID = {"lifetime": 30, "renew_before": 10}


# A secret of each kind and each way to be one; all that is sent to a device is searched for them.
HELD = {
    name: secrets.made_up(f"held {name}", 32)
    for name in ("auth of an index", "with an auth", "by policy", "by the owner", "key", "blob auth")
}
SENT = {**HELD, **OWN, "sealed": SEALED}


def own_list(unit: Unit) -> list[t.Any]:
    """A list in the place of the reference profile: what enrolment needs, and every kind of secret."""
    policy = [{"command_code": "NV_Read"}]
    return [
        {"primary_key": {"template": "srk_ecc_p256", "handle": "0x81000001"}},
        {"primary_key": {"template": "ek_rsa_2048", "handle": "0x81010001"}},
        {"primary_key": {"template": "iak_ecc_p256", "handle": "0x81020001"}},
        {"nv_index": {"index": "0x01800010", "content": unit.serial, "write_once": True}},
        {"sealed_blob": {"path": f"{unit.folder}/sealed.pem", "parent": "0x81000001", "content_b64": SEALED, "pcrs": PCRS}},
        {"key": {"parent": "0x81000001", "usage": "decrypt", "algorithm": "ecc_p256", "handle": "0x81000211", "auth": HELD["key"]}},
        {"nv_index": {"index": "0x01800041", "content": HELD["with an auth"], "auth": HELD["auth of an index"]}},
        {"nv_index": {"index": "0x01800042", "content": HELD["by policy"], "attributes": ["ownerwrite", "policyread"], "policy": policy}},
        {"nv_index": {"index": "0x01800043", "content_b64": b64(HELD["by the owner"]), "attributes": ["ownerwrite", "ownerread"]}},
        {"nv_index": {"index": "0x01800044", "content": "for everybody", "attributes": ["ownerwrite", "ownerread", "authread"]}},
        {"sealed_blob": {"path": f"{unit.folder}/pin.pem", "src": f"{unit.folder}/src", "auth": HELD["blob auth"]}},
        {"hierarchy": {"hierarchy": "owner", "auth": OWN["owner"]}},
    ]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Tap:
    """What reaches a device: a Python that keeps what is sent to it, as modules with their arguments come on standard input."""

    def __init__(self, folder: pathlib.Path, python: str) -> None:
        folder.mkdir()
        self.folder, self.python = folder, str(folder / "python")
        pathlib.Path(self.python).write_text(f'#!/bin/sh\ntee "{folder}/sent.$$" | {python} "$@"\n')
        pathlib.Path(self.python).chmod(0o755)

    def secrets(self) -> list[str]:
        """The names of the secrets in what was sent; forgets it."""
        files = list(self.folder.glob("sent.*"))
        assert any(b"edgefleet" in file.read_bytes() for file in files)
        found = {
            name for file in files for name in secrets.in_text(file.read_text("latin-1"), {key: one.encode() for key, one in SENT.items()})
        }
        for file in files:
            file.unlink()
        return sorted(found)


def persistent(unit: Unit) -> list[int]:
    """The handles that tpm2-tools find."""
    return Tools(unit.swtpm.tcti).handles()


def der(pem: bytes) -> bytes:
    """The first certificate, by OpenSSL."""
    return subprocess.run(["openssl", "x509", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout


def quiet(line: Line, playbook: str, name: str, *arguments: str, **variables: t.Any) -> None:
    """Run it: nothing may be left to do."""
    done = line.play(playbook, *arguments, **variables)
    assert done.returncode == 0 and totals(done)[name]["changed"] == 0, said(done)


def test_a_list_of_ones_own_gives_no_secret_to_an_unverified_tpm(each_line: Line, tmp_path: pathlib.Path) -> None:
    """Neither to its TPM nor to its operating system: before it is enrolled, and in quarantine, where it never was and where it was enrolled."""
    unit, tap = each_line.put("edge-01"), Tap(tmp_path / "tap", each_line.controller.device_python)
    (unit.folder / "src").write_text("made on the device")
    variables = {
        "lab_resources": own_list(unit),
        "tpm2_profile_resources": "{{ lab_resources + tpm2_profile_certificates }}",
        "tpm2_profile_owner_auth": OWN["owner"],
        "ansible_python_interpreter": tap.python,
        # Else its operating system gets no secret at all.
        "tpm2_profile_execution": "device",
    }
    refused = each_line.play(DAY_ZERO, **variables, tpm2_identity_trust={})
    assert refused.returncode != 0 and "is quarantined (" in said(refused), said(refused)
    assert tap.secrets() == []
    assert not list(unit.folder.glob("*.pem")) and 0x81000211 not in persistent(unit)
    tools = Tools(unit.swtpm.tcti)
    assert not tools.auth_is_set()["owner"]
    assert tools.nvread(0x01800044) == b"for everybody"
    assert not {0x01800041, 0x01800042, 0x01800043} & set(tools.handles("nv-index"))
    done = each_line.play(DAY_ZERO, **variables)
    assert done.returncode == 0, said(done)
    assert tap.secrets() == sorted(set(SENT) - {"endorsement"})
    assert {"sealed.pem", "pin.pem"} <= {one.name for one in unit.folder.glob("*.pem")} and 0x81000211 in persistent(unit)
    assert tools.auth_is_set()["owner"]
    assert tools.nvread(0x01800043, "-C", "o", "-P", as_text(OWN["owner"])) == HELD["by the owner"].encode()
    quiet(each_line, DAY_ZERO, "edge-01", **variables)
    assert tap.secrets() == sorted(set(SENT) - {"endorsement"})
    unit.swtpm.stop()
    copy_state(each_line.vendor.make("edge-66"), unit.swtpm.state_dir)
    unit.swtpm.start()
    for found in (sorted(set(SENT) - {"endorsement"}), []):
        # The session is for the key of the TPM that was enrolled; that there is another one shows when it is used, and then it is in quarantine.
        replaced = each_line.play(DAY_ZERO, **variables)
        assert replaced.returncode != 0 and "is quarantined (" in said(replaced), said(replaced)
        assert tap.secrets() == found


def test_a_resource_that_cannot_be_read_is_named_before_anything_is_sent(line: Line, tmp_path: pathlib.Path) -> None:
    """Its author learns of it at once, and what it holds does not go out by an unknown name."""
    unit, tap = line.put("edge-01"), Tap(tmp_path / "tap", line.controller.device_python)
    before = persistent(unit)
    wrong = [*own_list(unit)[:4], {"key": {"handle": "0x81000211", "auht": HELD["key"]}}]
    done = line.play(DAY_ZERO, tpm2_profile_resources=wrong, ansible_python_interpreter=tap.python)
    assert done.returncode != 0 and "Could not read item 5 of the resources: key has no option 'auht'" in said(done), said(done)
    assert "Traceback" not in said(done) and secrets.in_text(said(done), {name: value.encode() for name, value in SENT.items()}) == []
    assert tap.secrets() == [] and persistent(unit) == before


def test_auths_from_before_there_was_a_registry(line: Line) -> None:
    unit = line.put("edge-01")
    for name, value in OWN.items():
        Tools(unit.swtpm.tcti).run("changeauth", "-c", name[0], value)
    refused = line.play(DAY_ZERO, **OWN_OPTIONS)
    assert refused.returncode != 0 and "tpm2_profile_unverified_auths: true" in said(refused), said(refused)
    escrowed = line.play(DAY_ZERO, **OWN_OPTIONS, **HARDENED, tpm2_profile_unverified_auths=True)
    assert escrowed.returncode != 0 and "an escrow can give it values only if none are set" in said(escrowed), said(escrowed)
    assert AK not in persistent(unit)
    done = line.play(DAY_ZERO, **OWN_OPTIONS, tpm2_profile_unverified_auths=True)
    assert done.returncode == 0, said(done)
    quiet(line, DAY_ZERO, "edge-01", **OWN_OPTIONS)
    for play in (refused, escrowed, done):
        assert secrets.in_text(play.stdout + play.stderr, {name: value.encode() for name, value in OWN.items()}) == []


def test_a_new_certificate_is_handed_over_in_the_same_run(line: Line) -> None:
    """To a device that is enrolled already; an LDevID that is due takes the same way as one that is new."""
    unit = line.put("edge-01")
    assert line.play(DAY_ZERO).returncode == 0
    path = unit.folder / "ldevid.cert.pem"
    assert not path.exists()
    done = line.play(DAY_ZERO, tpm2_identity_ldevid=LDEVID)
    assert done.returncode == 0 and path.exists(), said(done)
    quiet(line, DAY_ZERO, "edge-01", tpm2_identity_ldevid=LDEVID)


def test_renew_on_a_hardened_device(line: Line) -> None:
    """The key and the NV index with the certificate take the owner auth; what an interrupted run has left to do is made good."""
    unit = line.put("edge-01")
    Tools(unit.swtpm.tcti).close_platform()
    shared = {**HARDENED, "tpm2_identity_nv_certificates": {"ldevid": "0x01800020"}}
    first = line.play(DAY_ZERO, **shared)
    assert first.returncode == 0, said(first)
    path = unit.folder / "ldevid.cert.pem"
    every = ("-e", "tpm2_hosts=all")
    done = line.play(RENEW, *every, **shared, tpm2_identity_ldevid=LDEVID)
    assert done.returncode == 0, said(done)
    issued = path.read_bytes()
    assert Tools(unit.swtpm.tcti).run("nvread", "0x01800020") == der(issued)
    quiet(line, RENEW, "edge-01", *every, **shared, tpm2_identity_ldevid=LDEVID)
    path.unlink()
    again = line.play(RENEW, *every, **shared, tpm2_identity_ldevid=LDEVID)
    assert again.returncode == 0 and path.read_bytes() == issued, said(again)
    quiet(line, DAY_ZERO, "edge-01", **shared, tpm2_identity_ldevid=LDEVID)


def test_a_dry_run_on_a_blank_device(each_line: Line) -> None:
    unit = each_line.put("edge-01")
    done = each_line.play(DAY_ZERO, "--check")
    assert done.returncode == 0 and totals(done)["edge-01"]["changed"] > 0, said(done)
    assert AK not in persistent(unit) and list(unit.folder.iterdir()) == []


def test_the_next_device_at_a_host_that_was_quarantined(line: Line) -> None:
    """Another board, under a serial number of its own: it gets all that is its, and the incident is over."""
    line.put("edge-01")
    assert line.play(DAY_ZERO).returncode == 0
    known = line.units.pop("edge-01")
    impostor = line.put("slot-1", serial=known.serial)
    refused = line.play(DAY_ZERO)
    assert refused.returncode != 0 and "is quarantined (" in said(refused), said(refused)
    impostor.swtpm.close()
    line.units.pop("slot-1")
    genuine = line.put("slot-2", serial="EF-NEXT")
    line.units["Slot-1"] = line.units.pop("slot-2")
    Tools(genuine.swtpm.tcti).close_platform()
    done = line.play(DAY_ZERO, **HARDENED)
    assert done.returncode == 0, said(done)
    assert Tools(genuine.swtpm.tcti).auth_is_set()["lockout"]
    quiet(line, DAY_ZERO, "Slot-1", **HARDENED)
    with open_registry(line.registry, create=False) as registry:
        assert registry.incidents() == []
    known.swtpm.close()


def test_a_hardened_device_under_another_host_name(line: Line) -> None:
    unit = line.put("edge-01")
    Tools(unit.swtpm.tcti).close_platform()
    assert line.play(DAY_ZERO, **HARDENED).returncode == 0
    line.units["edge-20"] = line.units.pop("edge-01")
    audited = line.play(AUDIT, **HARDENED)
    assert audited.returncode != 0 and "edge-20 is enrolled as edge-01; run edgefleet.tpm2.day_zero" in said(audited), said(audited)
    moved = line.play(DAY_ZERO, **HARDENED)
    assert moved.returncode == 0, said(moved)
    quiet(line, DAY_ZERO, "edge-20", **HARDENED)
    quiet(line, AUDIT, "edge-20", **HARDENED)


@pytest.mark.parametrize("hardened", [True, False])
def test_the_audit_names_a_device_that_was_never_enrolled(line: Line, hardened: bool) -> None:
    line.put("edge-01")
    audited = line.play(AUDIT, **(HARDENED if hardened else {}))
    assert audited.returncode != 0 and "edge-01 is not enrolled; run edgefleet.tpm2.day_zero." in said(audited), said(audited)
