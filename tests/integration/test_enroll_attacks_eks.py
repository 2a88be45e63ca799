# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One TPM as two devices, by its RSA and by its ECC endorsement key; and who would have another device refused by a copied certificate."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from support import ek_lab, module, registry, secrets
from support.enroll import ONE, SERIAL, WHERE, Bench, Desk, Device, Exchange, Json
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, names, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import ShownEk
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate

MakeSwtpm = t.Callable[..., Swtpm]
ECC = "0x81010002"
BY_ECC = WHERE._replace(ek=ECC, ek_template="ek_ecc_p384")
STRANGER = registry.identity(7, serial="EF-STRANGER", host="edge-77")


@pytest.fixture
def device(bench: Bench, new_swtpm: MakeSwtpm) -> Device:
    """A device with two EKs at their handles, and the certificates of both in NV."""
    tpm = new_swtpm(bench.state(ONE))
    key = {"template": "ek_ecc_p384", "handle": ECC}
    module.run("tpm2_primary_key", {"tcti": tpm.tcti, **key}, python=bench.python).expect_ok()
    return Device(tpm.tcti, bench.python)


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path) -> Desk:
    return bench.desk(tmp_path / "desk")


def spki(public: bytes) -> str:
    return hashlib.sha256(_keys.spki(names.parse_public(public))).hexdigest()


def ek_at(device: Device, handle: str) -> str:
    """SHA-256 of the key of an EK, as the device shows it."""
    asked = {"nonce": "00" * 32, "ek": handle, "ak": WHERE.ak, "certificates": False}
    return spki(bytes.fromhex(device({"collect": asked})["publics"][handle]))


def stranger(desk: Desk, *shown: ShownEk) -> None:
    """Another device, that was enrolled with these EKs."""
    with desk.registry() as one:
        one.enroll(STRANGER, registry.PINNED, [], shown=shown)


def eks(desk: Desk) -> list[ShownEk]:
    with desk.registry() as one:
        found = one.find(serial=SERIAL)
        assert found is not None
        return one.eks(found.ek_name)


@pytest.mark.parametrize("where", [WHERE._replace(ek=ECC), WHERE._replace(ek_template="ek_ecc_p384")], ids=["ecc", "rsa"])
def test_the_declared_template_decides_whatever_is_at_the_handle(desk: Desk, device: Device, where: t.Any) -> None:
    desk.refused(device, "ek_template", f"it is not made from the template {where.ek_template} that is declared", where=where)


def test_a_pin_does_not_make_up_for_another_template(desk: Desk, device: Device) -> None:
    desk.refused(device, "ek_template", "ek_rsa_2048", where=WHERE._replace(ek=ECC), pinned=ek_at(device, ECC))


def test_every_certificate_that_the_tpm_shows_is_registered(desk: Desk, device: Device) -> None:
    """swtpm_setup leaves one for each EK; whose key is not the EK of this enrolment is written down as a claim."""
    assert desk.enroll(device, where=BY_ECC).did == ("enroll",)
    ecc, rsa = ek_at(device, ECC), ek_at(device, WHERE.ek)
    found = eks(desk)
    assert [(one.spki_sha256, one.own, bool(one.sha256)) for one in found] == [(ecc, True, False), (ecc, True, True), (rsa, False, True)]
    assert all("swtpm" in one.issuer and int(one.serial_number, 16) for one in found[1:])


def test_a_tpm_that_is_enrolled_by_its_rsa_ek_shows_itself_by_its_ecc_ek(desk: Desk, device: Device) -> None:
    stranger(desk, ShownEk("", "", "", ek_at(device, WHERE.ek), True))
    desk.refused(device, "tpm_under_other_serial", "its TPM shows the EK of serial EF-STRANGER (host edge-77", where=BY_ECC)


def test_a_tpm_that_is_enrolled_by_its_ecc_ek_shows_itself_by_its_rsa_ek(desk: Desk, device: Device) -> None:
    """It has shown the RSA EK's certificate then, so that it is asked for all of them now."""
    ecc, rsa = ek_at(device, ECC), ek_at(device, WHERE.ek)
    stranger(desk, ShownEk("", "", "", ecc, True), ShownEk("aa" * 32, "CN=x", "1", rsa, False))
    desk.refused(device, "tpm_under_other_serial", "its TPM shows the EK of serial EF-STRANGER")


@pytest.mark.parametrize("where", [WHERE, BY_ECC], ids=["rsa", "ecc"])
def test_a_copied_certificate_keeps_nobody_out(desk: Desk, device: Device, where: t.Any) -> None:
    """A hostile device has shown all certificates of this one. That is noted where people look, and no more."""
    copied = [ShownEk(f"{number:064x}", "CN=x", "1", ek_at(device, one), False) for number, one in enumerate((WHERE.ek, ECC))]
    stranger(desk, ShownEk("", "", "", "99" * 32, True), *copied)
    outcome = desk.enroll(device, where=where)
    assert outcome.did == ("enroll",) and outcome.device is not None and outcome.device.verdict is not None
    assert "A certificate of this EK was also shown by serial EF-STRANGER" in outcome.device.verdict.detail
    with desk.registry() as one:
        assert one.incidents() == [] and "EF-STRANGER" in (one.birth_record(outcome.device.ek_name) and outcome.device.verdict.detail)


def left(tools: Tools, path: pathlib.Path, index: int, data: bytes) -> None:
    """What a manufacturer has left in NV, in place of what was there."""
    path.write_bytes(data)
    if index in tools.handles("nv-index"):
        tools.run("nvundefine", "-C", "p", f"{index:#x}")
    flags = "ppwrite|ppread|ownerread|authread|no_da|platformcreate"
    tools.run("nvdefine", f"{index:#x}", "-C", "p", "-s", str(len(data)), "-a", flags)
    tools.run("nvwrite", f"{index:#x}", "-C", "p", "-i", path)


@pytest.fixture
def own(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> Device:
    """A device whose EK is made by a template of its TPM's own; the certificate in NV is still for the usual EK."""
    tpm = new_swtpm(bench.state(ONE))
    tools = Tools(tpm.tcti)
    tools.run("evictcontrol", "-C", "o", "-c", WHERE.ek)
    usual = templates.primary("ek_rsa_2048").raw
    left(tools, tmp_path / "template", 0x01C00004, usual.replace(b"\x00\x06\x00\x80\x00\x43", b"\x00\x06\x01\x00\x00\x43"))
    module.run("tpm2_primary_key", {"tcti": tpm.tcti, "template": "ek_rsa_2048"}, python=bench.python).expect_ok()
    return Device(tpm.tcti, bench.python)


def test_an_ek_by_the_tpms_own_template_needs_its_own_certificate(bench: Bench, desk: Desk, own: Device, tmp_path: pathlib.Path) -> None:
    desk.refused(own, "key_mismatch", "it is for another key than this TPM's EK")
    tools = Tools(own.tcti)
    key = t.cast("ek_lab.PublicKey", serialization.load_pem_public_key(tools.readpublic(WHERE.ek).pem.encode()))
    late = ek_lab.NOW + 100 * ek_lab.YEAR
    vendor = ek_lab.root(end=late)
    left(tools, tmp_path / "certificate", 0x01C00002, vendor.ek(key, end=late))
    bundle, sha256 = ek_lab.write_bundle(tmp_path / "vendors.pem", vendor)
    another = bench.desk(tmp_path / "another", bundle=bundle, sha256=sha256)
    outcome = another.enroll(own)
    assert outcome.did == ("enroll",) and outcome.verdict is not None and outcome.verdict.rung == "certificate"
    # It shows the certificates of its other EKs too, as it could be a device of theirs.
    assert len(eks(another)) > 2
    another.refused(own, "ek_template", "that is declared", where=WHERE._replace(ek_template="ek_ecc_p256"), serial="EF-LINE-0002")


def test_a_tpm_that_is_enrolled_shows_itself_by_an_ek_of_its_own_template(desk: Desk, own: Device) -> None:
    tools = Tools(own.tcti)
    stranger(desk, ShownEk("", "", "", spki_of_certificate(tools.nvread(0x01C00002)), True))
    desk.refused(own, "tpm_under_other_serial", "its TPM shows the EK of serial EF-STRANGER", pinned=ek_at(own, WHERE.ek))


def as_if_by_an_own_template(device: Exchange) -> Exchange:
    """Root's program: it shows an EK of the profile with one attribute more, of which no certificate tells, and has its TPM use the true one."""
    true: dict[str, str] = {}

    def exchange(question: t.Mapping[str, t.Any]) -> Json:
        if "activate" in question:
            return device({**question, "activate": {**question["activate"], "ek": {"handle": ECC, "public": true[ECC]}}})
        told = dict(question["collect"])
        told["reads"] = {**told["reads"], "public": {}}
        answer = dict(device({**question, "collect": told}))
        true[ECC] = answer["publics"][ECC]
        public = names.parse_public(bytes.fromhex(true[ECC]))
        word = (public.attributes | attributes.OBJECT["noda"]).to_bytes(4, "big")
        return {**answer, "publics": {**answer["publics"], ECC: (public.raw[:4] + word + public.raw[8:]).hex()}}

    return exchange


def test_an_ek_of_another_size_does_not_pass_as_one_of_the_tpms_own_template(desk: Desk, device: Device) -> None:
    """One TPM as two devices: its other EK has a certificate too, and is shown with an attribute that is in no template of the profile."""
    where = BY_ECC._replace(ek_template="ek_ecc_p256")
    rogue = as_if_by_an_own_template(device)
    desk.refused(rogue, "ek_template", "it is not made from the template ek_ecc_p256 that is declared", where=where)


def spki_of_certificate(data: bytes) -> str:
    return hashlib.sha256(certificate.read(data).spki).hexdigest()


def test_an_ek_of_the_high_range_where_the_endorsement_auth_is_set(desk: Desk, bench: Bench, device: Device) -> None:
    """Enrolment needs that auth for the policies of IAK and IDevID, and tries nothing without it; a key under such an EK needs it not."""
    tools, auth = Tools(device.tcti), secrets.made_up("endorsement", 32)
    tools.run("changeauth", "-c", "e", auth)
    assert "endorsement" in desk.failed(device, "endorsement_auth", where=BY_ECC).message
    assert tools.getcap("properties-variable")["TPM2_PT_LOCKOUT_COUNTER"] == 0
    assert desk.enroll(Device(device.tcti, bench.python, endorsement_auth=auth), where=BY_ECC).did == ("enroll",)
    key = {"parent": ECC, "usage": "sign", "algorithm": "ecc_p256", "handle": "0x81000211"}
    module.run("tpm2_key", {"tcti": device.tcti, **key}, python=bench.python).expect_ok()
    assert 0x81000211 in tools.handles()
    assert tools.getcap("properties-variable")["TPM2_PT_LOCKOUT_COUNTER"] == 0
