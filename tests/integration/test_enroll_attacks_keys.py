# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on enrolment with keys: wrong ones, ones in software, ones of another TPM, ones that were exchanged in mid-run. All on real TPMs."""

from __future__ import annotations

import pathlib
import struct
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support import birth, ek_lab
from support.enroll import AK, EK, IDEVID, ONE, OTHER, SRK, Bench, Between, Desk, Device, Exchange, Json, altered, b64, unb64, without
from support.swtpm import Swtpm
from support.tools import ToolError, Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import ExchangeError

MakeSwtpm = t.Callable[..., Swtpm]
SIGNS = "userwithauth|sign|sensitivedataorigin"
FIXED = f"fixedtpm|fixedparent|{SIGNS}"


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path) -> Desk:
    return bench.desk(tmp_path / "desk")


@pytest.fixture
def tpm(bench: Bench, new_swtpm: MakeSwtpm) -> Swtpm:
    return new_swtpm(bench.state(ONE))


@pytest.fixture
def device(bench: Bench, tpm: Swtpm) -> Device:
    return Device(tpm.tcti, bench.python)


@pytest.fixture
def other(bench: Bench, new_swtpm: MakeSwtpm) -> Device:
    """A second genuine TPM of the same vendor, provisioned with the same serial number."""
    return Device(new_swtpm(bench.state(OTHER)).tcti, bench.python)


def put(tpm: Swtpm, handle: str, *options: str, parent: str | None = None) -> None:
    """Replace the key at a handle by another one of the same TPM: a primary of the endorsement hierarchy, or a child."""
    tools = Tools(tpm.tcti)
    folder = tpm.state_dir.parent
    context, public, private = (folder / f"key.{end}" for end in ("ctx", "pub", "priv"))
    if parent:
        tools.run("create", "-Q", "-C", parent, "-u", public, "-r", private, *options)
        tools.run("load", "-Q", "-C", parent, "-u", public, "-r", private, "-c", context)
    else:
        tools.run("createprimary", "-Q", "-C", "e", "-c", context, *options)
    if int(handle, 16) in tools.handles():
        tools.run("evictcontrol", "-Q", "-C", "o", "-c", handle)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", context, handle)
    tools.flush_transient()


# -- the AK and the IDevID are not what they must be


def test_ak_that_is_not_restricted(desk: Desk, tpm: Swtpm, device: Device) -> None:
    put(tpm, AK, "-G", "ecc256:ecdsa-sha256:null", "-a", FIXED)
    desk.refused(device, "ak_not_restricted", "the AK: it is not restricted, so it signs data that anybody can choose")


def test_ak_that_is_not_fixed_to_its_tpm(desk: Desk, tpm: Swtpm, device: Device) -> None:
    put(tpm, AK, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{SIGNS}|restricted", parent=SRK)
    desk.refused(device, "ak_not_fixed", "the AK: it is not fixed to its TPM and parent")


def test_idevid_that_is_restricted(desk: Desk, device: Device, tpm: Swtpm) -> None:
    # The module makes the IDevID from its template, so only a device with another module answers with such a key.
    put(tpm, "0x81000230", "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|restricted")
    restricted = Tools(tpm.tcti)
    path = tpm.state_dir.parent / "restricted.pub"
    restricted.run("readpublic", "-Q", "-c", "0x81000230", "-o", path)
    attack = altered(publics=lambda keys: {**keys, IDEVID: path.read_bytes()[2:].hex()})
    desk.refused(Between(device, attack), "idevid_restricted", "the IDevID key: it is restricted")


def test_something_else_is_at_the_handle_of_the_idevid(desk: Desk, device: Device, tpm: Swtpm) -> None:
    put(tpm, IDEVID, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|restricted")
    desk.failed(device, "0x81020000")


# -- keys in software


def soft_answer(question: Json, device: Exchange, tpm: birth.SoftTpm) -> Json:
    """What a program answers that has no TPM but that of somebody else's EK: its own AK has signed everything as a TPM would."""
    collect = question["collect"]
    nonce = bytes.fromhex(collect["nonce"])
    answer = device(question)
    firmware = attest.parse_attest(unb64(answer["nv_certify"]["attest"])).firmware
    index = settings.serial_index(collect["serial_index"], tpm.serial)

    def signed(kind: int, body: bytes) -> Json:
        raw = struct.pack(">IH", attest.MAGIC, kind) + sized(b"\x00\x0b" + bytes(32)) + sized(nonce)
        raw += struct.pack(">QIIBQ", 1, 1, 1, 1, firmware) + body
        return {"attest": b64(raw), "signature": b64(birth.tpmt_signature(tpm.ak, alg.ECDSA, raw))}

    body = sized(index.name) + struct.pack(">H", 0) + sized(tpm.serial.encode())
    quoted = unb64(answer["quote"]["attest"])
    tail = quoted[-(len(quoted) - quoted.index(nonce) - len(nonce) - 25) :]
    return {
        **answer,
        "publics": {EK: answer["publics"][EK], AK: tpm.ak_public.raw.hex(), IDEVID: tpm.idevid_public.raw.hex()},
        "nv_certify": signed(attest.ST_ATTEST_NV, body),
        "quote": {**answer["quote"], **signed(attest.ST_ATTEST_QUOTE, tail)},
    }


def test_software_key_with_a_copied_name(desk: Desk, device: Device) -> None:
    """The public area is the real AK's, and so is its Name; the signatures are a program's."""
    own = ek_lab.ecc_key()

    def attack(question: Json, honest: Exchange) -> Json:
        answer = honest(question)
        raw = unb64(answer["nv_certify"]["attest"])
        return {**answer, "nv_certify": {"attest": b64(raw), "signature": b64(birth.tpmt_signature(own, alg.ECDSA, raw))}}

    desk.refused(Between(device, attack), "bad_signature", "the signature over it is not the AK's")


def test_software_ak_that_claims_to_be_in_a_tpm(desk: Desk, device: Device) -> None:
    """All that a program can say is right; but the TPM of the EK does not have that AK."""
    soft = birth.soft_tpm(serial="EF-LINE-0001")
    attack = Between(device, lambda question, honest: soft_answer(question, honest, soft))
    desk.refused(attack, "not_activated", "Could not activate the credential")
    assert attack.asked == 2


def test_software_ak_whose_program_makes_up_the_rest(desk: Desk, device: Device) -> None:
    soft = birth.soft_tpm(serial="EF-LINE-0001")

    def second(question: Json, _device: Exchange) -> Json:
        nonce = bytes.fromhex(question["activate"]["nonce"])
        body = sized(soft.idevid_public.name) * 2
        raw = birth.attestation(attest.ST_ATTEST_CERTIFY, body, nonce)
        return {"certify": {"attest": b64(raw), "signature": b64(birth.tpmt_signature(soft.ak, alg.ECDSA, raw))}, "proof": "00" * 32}

    attack = Between(device, lambda question, honest: soft_answer(question, honest, soft), second)
    desk.refused(attack, "wrong_secret", "the answer does not prove the secret that was sent, so this AK is not in the TPM of this EK")


def test_a_tpm_opens_no_credential_for_a_key_it_knows_from_outside(desk: Desk, device: Device, tpm: Swtpm) -> None:
    """The program has the TPM of the EK, loads its AK into it from outside, and asks the TPM to open the credential for that."""
    soft = birth.soft_tpm(serial="EF-LINE-0001")
    tools, folder = Tools(tpm.tcti), tpm.state_dir.parent

    def second(question: Json, _device: Exchange) -> Json:
        (folder / "soft.pub").write_bytes(sized(soft.ak_public.raw))
        tools.run("loadexternal", "-Q", "-C", "n", "-u", folder / "soft.pub", "-c", folder / "soft.ctx")
        parts = (bytes.fromhex(question["activate"][name]) for name in ("id_object", "encrypted_secret"))
        (folder / "blob").write_bytes(struct.pack(">II", 0xBADCC0DE, 1) + b"".join(sized(part) for part in parts))
        tools.run("startauthsession", "-Q", "--policy-session", "-S", folder / "session")
        tools.run("policysecret", "-Q", "-S", folder / "session", "-c", "e")
        with pytest.raises(ToolError, match="0x12F|0x92F|authorization|auth"):
            credential = ("-i", folder / "blob", "-o", folder / "secret")
            tools.run("activatecredential", "-Q", "-c", folder / "soft.ctx", "-C", EK, *credential, "-P", f"session:{folder / 'session'}")
        tools.flush_all()
        body = sized(soft.idevid_public.name) * 2
        raw = birth.attestation(attest.ST_ATTEST_CERTIFY, body, bytes.fromhex(question["activate"]["nonce"]))
        return {"certify": {"attest": b64(raw), "signature": b64(birth.tpmt_signature(soft.ak, alg.ECDSA, raw))}, "proof": "11" * 32}

    attack = Between(device, lambda question, honest: soft_answer(question, honest, soft), second)
    desk.refused(attack, "wrong_secret", "this AK is not in the TPM of this EK")


# -- keys of another TPM


def borrowed(other: Device) -> t.Callable[[Json, Exchange], Json]:
    """The first answer of another TPM, with this one's EK and EK certificate."""

    def attack(question: Json, device: Exchange) -> Json:
        mine, theirs = device(question), other(question)
        keys = {**theirs["publics"], EK: mine["publics"][EK]}
        return {**theirs, "publics": keys, "certificates": mine["certificates"], "chain": mine["chain"]}

    return attack


def test_relay_to_the_tpm_of_the_ek(desk: Desk, device: Device, other: Device) -> None:
    """Another TPM's AK passes for one of the EK's TPM, which is asked to activate it: it does not have it."""
    desk.refused(Between(device, borrowed(other)), "not_activated", "Could not activate the credential")


def test_relay_to_the_tpm_of_the_ak(desk: Desk, device: Device, other: Device) -> None:
    """The same, and the TPM with the AK is asked: it cannot open what was encrypted to another EK."""
    attack = Between(device, borrowed(other), lambda question, _device: other(question))
    desk.refused(attack, "not_activated", "the TPM does not hold the endorsement key that was shown to be at 0x81010001")


def test_ek_certificate_of_another_tpm(desk: Desk, device: Device, other: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        return {**honest(question), "certificates": other(question)["certificates"]}

    desk.refused(Between(device, attack), "key_mismatch", "it is for another key than this TPM's EK")


def test_pinned_device_does_not_get_the_name_of_the_tpm_whose_certificate_it_shows(desk: Desk, device: Device, other: Device) -> None:
    """A pin makes up for the wrong certificate; but the hardware serial number in its certificates is not that of another TPM."""
    theirs = other({"collect": {"nonce": "11" * 32, "ek": EK, "ak": AK}})["certificates"]
    mine = names.parse_public(
        bytes.fromhex(device({"collect": {"nonce": "11" * 32, "ek": EK, "ak": AK, "certificates": False}})["publics"][EK])
    )
    pinned = _keys.spki_sha256(mine)
    outcome = desk.enroll(Between(device, altered(certificates=theirs)), pinned=pinned)
    assert outcome.verdict and (outcome.verdict.rung, outcome.verdict.reason) == ("pinned", "key_mismatch")
    assert outcome.device
    for one in outcome.device.certificates.values():
        der = x509.load_pem_x509_certificate(one.pem.encode()).public_bytes(serialization.Encoding.DER)
        assert bytes.fromhex(pinned) in der


def test_the_whole_second_exchange_goes_to_another_tpm(desk: Desk, device: Device, other: Device) -> None:
    attack = Between(device, None, lambda question, _device: other(question))
    desk.refused(attack, "not_activated", "the TPM does not hold the endorsement key")


@pytest.mark.parametrize("said", ["Could not activate the credential: it is so; do that.", "It did not open."])
def test_what_a_device_fails_with_counts_by_its_word(desk: Desk, device: Device, said: str) -> None:
    """Whatever the sentence is: with one word the device is blamed, with another the cable may be loose."""

    def failing(reason: str) -> Between:
        def attack(_question: Json, _honest: Exchange) -> Json:
            raise ExchangeError(said, reason=reason)

        return Between(device, None, attack)

    desk.failed(failing("no_answer"), said)
    desk.failed(failing(""), said)
    desk.refused(failing("not_activated"), "not_activated", said)


# -- keys exchanged between the two exchanges


def test_ak_replaced_between_the_exchanges(desk: Desk, device: Device, tpm: Swtpm) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        put(tpm, AK, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|restricted")
        return honest(question)

    desk.refused(Between(device, None, attack), "not_activated", "Could not activate the credential")


def test_ak_replaced_in_the_question_of_the_second_exchange(desk: Desk, device: Device, tpm: Swtpm) -> None:
    """Somebody in between has a second AK certify and activate; the credential is for the first one."""

    def attack(question: Json, honest: Exchange) -> Json:
        path, policy = (tpm.state_dir.parent / name for name in ("second.pub", "policy"))
        policy.write_bytes(templates.primary("iak_ecc_p256").auth_policy)
        put(tpm, AK, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|restricted|adminwithpolicy", "-L", str(policy))
        Tools(tpm.tcti).run("readpublic", "-Q", "-c", AK, "-o", path)
        question["activate"] = {**question["activate"], "ak": {"handle": AK, "public": path.read_bytes()[2:].hex()}}
        return honest(question)

    desk.refused(Between(device, None, attack), "not_activated", "Could not activate the credential")


def test_idevid_replaced_between_the_exchanges(desk: Desk, device: Device, other: Device, tpm: Swtpm) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        put(tpm, IDEVID, "-G", "ecc256:ecdsa-sha256:null", "-a", FIXED)
        return honest(question)

    desk.refused(Between(device, None, attack), "not_activated", "is not the attestation key or IDevID that was shown")


# -- the IDevID is not certified by the AK


def test_idevid_not_certified(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, None, without("certify")), "no_idevid", "the IDevID without an attestation")


def test_idevid_of_another_tpm(desk: Desk, device: Device, other: Device) -> None:
    """The public area is another TPM's, which the AK of this one cannot certify; it certifies its own in its place."""

    def first(question: Json, honest: Exchange) -> Json:
        mine = honest(question)
        return {**mine, "publics": {**mine["publics"], IDEVID: other(question)["publics"][IDEVID]}}

    own: list[str] = []

    def second(question: Json, honest: Exchange) -> Json:
        question["activate"] = {**question["activate"], "idevid": {"handle": IDEVID, "public": own[0]}}
        return honest(question)

    own.append(device({"collect": {"nonce": "00" * 32, "ek": EK, "ak": IDEVID, "certificates": False}})["publics"][IDEVID])
    desk.refused(Between(device, first, second), "wrong_name", "what the AK certifies: it is the object")


def test_idevid_certified_by_another_ak(desk: Desk, device: Device, other: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        theirs = other({"collect": {"nonce": question["activate"]["nonce"], "ek": EK, "ak": AK, "certificates": False, "certify": [SRK]}})
        return {**honest(question), "certify": theirs["certify"][SRK]}

    desk.refused(Between(device, None, attack), "bad_signature", "the signature over it is not the AK's")
