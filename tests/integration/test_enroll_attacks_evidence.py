# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on enrolment with what is signed: the serial number, the PCRs, the IDevID, the proof, certificate requests. All on real TPMs."""

from __future__ import annotations

import functools
import pathlib
import struct
import typing as t

import pytest
from support import module
from support.enroll import (
    AK,
    EK,
    INDEX,
    ONE,
    OTHER,
    SERIAL,
    SRK,
    Bench,
    Between,
    Desk,
    Device,
    Exchange,
    Json,
    altered,
    b64,
    local_key,
    unb64,
    without,
)
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import enrolment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import TIME_LIMIT, Challenge

MakeSwtpm = t.Callable[..., Swtpm]
WRITE_ONCE = "policywrite|authread|ownerread|no_da"


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


# -- the serial number


def redefine(tpm: Swtpm, content: bytes, attributes: str, *, size: int | None = None) -> None:
    """The owner undefines the index of the serial number and defines another in its place."""
    tools, folder = Tools(tpm.tcti), tpm.state_dir.parent
    (folder / "content").write_bytes(content)
    tools.run("nvundefine", "-C", "o", INDEX)
    tools.run("nvdefine", "-Q", "-C", "o", "-s", str(size or len(content)), INDEX, "-a", attributes)
    tools.run("nvwrite", "-Q", "-C", "o", "-i", folder / "content", INDEX)


def write_once(tpm: Swtpm, bench: Bench, content: str) -> None:
    """The same with the attributes and policy that it must have."""
    Tools(tpm.tcti).run("nvundefine", "-C", "o", INDEX)
    module.run("tpm2_nv_index", {"tcti": tpm.tcti, "index": INDEX, "content": content, "write_once": True}, python=bench.python).expect_ok()


def test_serial_in_nv_is_another_one(desk: Desk, device: Device, tpm: Swtpm, bench: Bench) -> None:
    write_once(tpm, bench, SERIAL[:-1] + "2")
    desk.refused(device, "wrong_content", "the 12 bytes in the index are not the 12 expected")


def test_serial_in_nv_is_a_longer_one(desk: Desk, device: Device, tpm: Swtpm, bench: Bench) -> None:
    """It begins as the certificate's does; the size is in the Name of the index."""
    write_once(tpm, bench, SERIAL + "-B")
    desk.refused(device, "wrong_index", "it is the index with the Name")


def test_serial_in_nv_is_a_shorter_one(desk: Desk, device: Device, tpm: Swtpm, bench: Bench) -> None:
    write_once(tpm, bench, SERIAL[:-1])
    desk.failed(device, "Could not certify the content of NV index 0x01800010")


def test_serial_undefined_and_defined_anew_by_the_owner(desk: Desk, device: Device, tpm: Swtpm) -> None:
    """The content is right, but the owner can write it again whenever he likes."""
    redefine(tpm, SERIAL.encode(), "ownerwrite|authread|ownerread|no_da")
    desk.refused(device, "wrong_index", "it is the index with the Name")


def test_serial_undefined(desk: Desk, device: Device, tpm: Swtpm) -> None:
    Tools(tpm.tcti).run("nvundefine", "-C", "o", INDEX)
    desk.failed(device, "Could not certify the content of NV index 0x01800010")


def test_serial_certified_by_the_ak_of_another_tpm(desk: Desk, device: Device, other: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        return {**honest(question), "nv_certify": other(question)["nv_certify"]}

    desk.refused(Between(device, attack), "bad_signature", "what the AK attests with NV_Certify: the signature over it is not the AK's")


def test_serial_not_certified(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, without("nv_certify")), "no_serial", "the serial number without an attestation")


# -- attestations: what any of them may have wrong


def test_attestation_of_an_earlier_run(desk: Desk, device: Device) -> None:
    assert not desk.enroll(device, check=True).device
    old = device(
        {"collect": {"nonce": "11" * 32, "ek": EK, "ak": AK, "certificates": False, "serial_index": INDEX, "serial_size": len(SERIAL)}}
    )
    attack = altered(nv_certify=old["nv_certify"])
    desk.refused(Between(device, attack), "wrong_nonce", "it was not made for this nonce, so it may be an old one")


def signed_by_hand(tpm: Swtpm, data: bytes) -> Json:
    """The AK signs what it is given, as a restricted key does for whatever does not begin as an attestation does."""
    tools, folder = Tools(tpm.tcti), tpm.state_dir.parent
    paths = {name: folder / name for name in ("data", "digest", "ticket", "signature")}
    paths["data"].write_bytes(data)
    tools.run("hash", "-Q", "-C", "e", "-g", "sha256", "-o", paths["digest"], "-t", paths["ticket"], paths["data"])
    tools.run("sign", "-Q", "-c", AK, "-g", "sha256", "-d", "-t", paths["ticket"], "-o", paths["signature"], paths["digest"])
    return {"attest": b64(data), "signature": b64(paths["signature"].read_bytes())}


def test_attestation_without_the_magic_of_the_tpm(desk: Desk, device: Device, tpm: Swtpm) -> None:
    """Made up by a program and signed by the real AK: the one thing that it cannot have is the TPM's magic number."""

    def attack(question: Json, honest: Exchange) -> Json:
        answer = honest(question)
        real = unb64(answer["nv_certify"]["attest"])
        return {**answer, "nv_certify": signed_by_hand(tpm, b"\xff\x54\x43\x48" + real[4:])}

    desk.refused(Between(device, attack), "no_magic", "not with the magic number of data that a TPM has made")


def test_attestation_of_the_wrong_type(desk: Desk, device: Device) -> None:
    """A quote, with the right nonce and by the right AK, in the place of the serial number."""

    def attack(question: Json, honest: Exchange) -> Json:
        answer = honest(question)
        return {**answer, "nv_certify": {name: answer["quote"][name] for name in ("attest", "signature")}}

    desk.refused(Between(device, attack), "wrong_type", "it is of the type Quote")


def test_attestation_with_one_bit_changed(desk: Desk, device: Device) -> None:
    def flipped(found: Json) -> Json:
        raw = bytearray(unb64(found["attest"]))
        raw[-1] ^= 1
        return {**found, "attest": b64(bytes(raw))}

    desk.refused(Between(device, altered(nv_certify=flipped)), "bad_signature", "the signature over it is not the AK's")


def test_attestation_from_another_firmware_than_the_facts(desk: Desk, device: Device) -> None:
    told = {"manufacturer": "IBM", "firmware": "9.9.9.9", "model": "SW TPM"}
    desk.refused(device, "wrong_firmware", "but the TPM's properties say 9.9.9.9", tpm=told)


def test_firmware_that_the_device_makes_up(desk: Desk, device: Device) -> None:
    attack = altered(identity=lambda found: {**found, "firmware": "a very good one"})
    desk.refused(Between(device, attack), "wrong_firmware", "a very good one")


# -- the quote


def test_quote_over_other_pcrs(desk: Desk, device: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        question["collect"] = {**question["collect"], "pcrs": {"bank": "sha256", "indices": [0, 8]}}
        return honest(question)

    desk.refused(Between(device, attack), "wrong_selection", "it covers sha256:0,8, not sha256:0,7")


def test_quote_over_no_pcr(desk: Desk, device: Device) -> None:
    """A bank that this TPM has not allocated is quoted all the same, as nothing."""
    desk.refused(device, "empty_selection", "it covers no PCR", quote=pcr.Selection("sha384", (0, 7)))


def test_quote_that_is_not_over_the_values_that_were_sent(desk: Desk, device: Device) -> None:
    attack = altered(quote=lambda found: {**found, "pcrs": {**found["pcrs"], "7": "00" * 32}})
    desk.refused(Between(device, attack), "wrong_digest", "it is not over the PCR values that the device sent")


def test_quote_without_its_values(desk: Desk, device: Device) -> None:
    attack = altered(quote=lambda found: {**found, "pcrs": {"0": found["pcrs"]["0"]}})
    desk.refused(Between(device, attack), "missing_values", "the device sent no value of PCR sha256:7")


def test_quote_missing(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, without("quote")), "no_quote", "the PCRs without a quote")


# -- the activation


def test_wrong_secret(desk: Desk, device: Device) -> None:
    attack = altered(proof="00" * 32)
    desk.refused(Between(device, None, attack), "wrong_secret", "the answer does not prove the secret that was sent")


def test_proof_of_an_earlier_run(desk: Desk, device: Device) -> None:
    old: list[str] = []

    def first(question: Json, honest: Exchange) -> Json:
        old.append(honest(question)["proof"])
        return {"proof": old[0]}

    desk.refused(Between(device, None, first), "no_idevid", "the IDevID without an attestation")
    desk.refused(Between(device, None, altered(proof=lambda _new: old[0])), "wrong_secret", "the answer does not prove the secret")


def test_whole_second_answer_of_an_earlier_run(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, None, altered(proof="00" * 32)), "wrong_secret", "the answer does not prove the secret")
    old = device.answers[-1]
    desk.refused(Between(device, None, lambda _question, _device: old), "wrong_nonce", "it may be an old one")


def test_second_question_answered_with_the_first_answer(desk: Desk, device: Device) -> None:
    attack = Between(device, None, lambda _question, _device: device.answers[0])
    desk.refused(attack, "no_idevid", "the IDevID without an attestation")


def test_credential_that_was_tampered_with(desk: Desk, device: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        blob = bytearray(bytes.fromhex(question["activate"]["id_object"]))
        blob[-1] ^= 1
        question["activate"] = {**question["activate"], "id_object": bytes(blob).hex()}
        return honest(question)

    desk.refused(
        Between(device, None, attack),
        "not_activated",
        "it was made for another attestation key or another TPM, or one of the keys was exchanged (TPM_RC_INTEGRITY",
    )


def test_late(desk: Desk, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof is right, but came after the time in which a TPM answers and a laboratory does not."""
    times = iter([1000.0, 1000.0 + TIME_LIMIT + 1])
    monkeypatch.setattr(enrolment, "Challenge", functools.partial(Challenge, clock=lambda: next(times)))
    desk.refused(device, "late", f"later than the {TIME_LIMIT:.0f} that are allowed")


def test_the_answer_to_somebody_elses_challenge(desk: Desk, bench: Bench, device: Device, tmp_path: pathlib.Path) -> None:
    """Two controllers ask one device; each is handed the other's right answer."""
    elsewhere = bench.desk(tmp_path / "elsewhere")
    proofs: list[str] = []

    def keep(question: Json, honest: Exchange) -> Json:
        answer = honest(question)
        proofs.append(answer["proof"])
        return answer

    assert elsewhere.enroll(Between(device, None, keep)).did == ("enroll",)
    desk.refused(Between(device, None, altered(proof=proofs[0])), "wrong_secret", "the answer does not prove the secret")


# -- certificate requests and the LDevID


def test_request_signed_by_another_key(desk: Desk, device: Device, other: Device) -> None:
    def attack(question: Json, honest: Exchange) -> Json:
        theirs = other({"collect": {"nonce": "11" * 32, "ek": EK, "ak": AK, "ldevid": ldevid, "certificates": False}})["publics"]
        wanted = [{**one, "public": theirs[one["handle"]]} for one in question["sign"]]
        return {**honest(question), "signatures": other({"sign": wanted})["signatures"]}

    ldevid = {"handle": local_key().handle, "algorithm": "ecc_p256", "parent": SRK}
    said = desk.refused(Between(device, None, attack), "bad_request", "the request for the ldevid certificate", local=local_key())
    assert "is not" in said


def test_request_that_was_tampered_with(desk: Desk, device: Device) -> None:
    """The LDevID signs another subject than the one that its certificate would have."""

    def attack(question: Json, honest: Exchange) -> Json:
        question["sign"] = [{**one, "digest": "5a" * 32} for one in question["sign"]]
        return honest(question)

    desk.refused(Between(device, None, attack), "bad_request", "the request for the ldevid certificate", local=local_key())


def test_request_missing(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, None, without("signatures")), "no_request", "the certificate requests without", local=local_key())


def test_ldevid_not_certified(desk: Desk, device: Device) -> None:
    desk.refused(Between(device, without("certify")), "no_ldevid", "the LDevID without an attestation", local=local_key())


def test_ldevid_of_another_tpm(desk: Desk, device: Device, other: Device) -> None:
    handle = local_key().handle

    def attack(question: Json, honest: Exchange) -> Json:
        mine, theirs = honest(question), other(question)
        return {**mine, "publics": {**mine["publics"], handle: theirs["publics"][handle]}}

    desk.refused(Between(device, attack), "wrong_name", "what the AK certifies: it is the object", local=local_key())


def test_ldevid_in_software(desk: Desk, device: Device) -> None:
    handle = local_key().handle

    def attack(question: Json, honest: Exchange) -> Json:
        answer = honest(question)
        raw = bytes.fromhex(answer["publics"][handle])
        word = int.from_bytes(raw[4:8], "big") & ~0x12  # neither fixedTPM nor fixedParent
        return {**answer, "publics": {**answer["publics"], handle: (raw[:4] + struct.pack(">I", word) + raw[8:]).hex()}}

    desk.refused(Between(device, attack), "ldevid_not_fixed", "the LDevID key: it is not fixed", local=local_key())
