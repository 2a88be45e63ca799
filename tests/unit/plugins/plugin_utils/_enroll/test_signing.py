# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keys of a device sign for certificates, and what the certificates are made of: with keys in software in the TPM's place."""

from __future__ import annotations

import base64
import datetime
import pathlib
import subprocess
import typing as t

import pytest
from support import birth, ek_lab, lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile, tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, plan, settings, signing
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import Credential
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.evidence_checks import EvidenceError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import ladder

TPM = birth.soft_tpm()
WHERE = settings.Handles("0x81010001", "0x81020001", "0x81020000", "idevid_ecc_p256")
LOCAL = settings.LocalKey("0x81000220", "ecc_p256", "0x81000001", 90 * settings.DAY, settings.DAY, False, ())
ABOUT = profile.DeviceSubject(TPM.serial, b"hw")
PINNED = EkVerdict("pinned", "no_certificate", "", None, (), "not checked")


def made(flavour: str | None = None, **changes: t.Any) -> plan.EnrolmentPlan:
    """A plan with a CA elsewhere and an LDevID."""
    index = settings.serial_index("0x01800010", TPM.serial)
    external = settings.External("requests", (), flavour)
    return plan.EnrolmentPlan(TPM.serial, WHERE, index, ladder.Policy(), external=external, local=LOCAL, model="gateway")._replace(
        **changes
    )


def found(**changes: t.Any) -> answers.Collected:
    """What the device has answered."""
    one = TPM.certify(TPM.idevid_public)
    two = TPM.certify(TPM.ldevid_public)
    certified = {"idevid": Attestation(one.attest, one.signature), LOCAL.handle: Attestation(two.attest, two.signature)}
    keys = (TPM.ek_public, TPM.ak_public, TPM.idevid_public, TPM.ldevid_public)
    return answers.Collected(*keys, (), (), {}, None, None, {}, certified)._replace(**changes)


def by(key: lab_ca.Key, data: bytes) -> str:
    """A TPMT_SIGNATURE, base64."""
    return base64.b64encode(birth.tpmt_signature(key, alg.ECDSA, data)).decode()


def test_what_is_asked_to_sign() -> None:
    kinds = {
        None: ["idevid", "ldevid"],
        "attestz": ["idevid", "idevid", "ldevid"],
        "trusted_platform": ["idevid", "idevid", "ldevid"],
        "flightctl": ["idevid", "ldevid"],  # which goes around the finished request, and so comes later
    }
    verdict = PINNED._replace(ek_certificate=ek_lab.root().ek(TPM.ek.public_key()))
    for flavour, expected in kinds.items():
        wanted = signing.wanted(made(flavour), found(), ABOUT, verdict)
        assert [one.kind for one in wanted] == expected
        assert [one.flavour for one in wanted if one.flavour] == [flavour] * (len(expected) - 2)
        question = wanted[0].question
        assert question == {
            "handle": WHERE.idevid,
            "public": TPM.idevid_public.raw.hex(),
            "digest": answers.digest(wanted[0].content, "sha256"),
        }
    assert [one.kind for one in signing.wanted(made(external=None), found(), ABOUT, verdict)] == ["ldevid"]
    assert signing.wanted(made(external=None, local=None), found(), ABOUT, verdict) == []


def test_requests_of_all_kinds() -> None:
    verdict = PINNED._replace(ek_certificate=ek_lab.root().ek(TPM.ek.public_key()))
    keys = {"idevid": TPM.idevid, "ldevid": TPM.ldevid}
    for flavour in ("attestz", "trusted_platform"):
        asked = signing.wanted(made(flavour), found(), ABOUT, verdict)
        requests, tcg = signing.requests(asked, {"signatures": [by(keys[one.kind], one.content) for one in asked]}, ABOUT)
        assert set(requests) == {"idevid", "ldevid"} and tcg is not None
        for pem in requests.values():
            command = ["openssl", "req", "-noout", "-verify", "-subject"]
            done = subprocess.run(command, input=pem, capture_output=True, text=True, check=False)
            assert done.returncode == 0 and TPM.serial in done.stdout, done.stderr
        read = tcg_csr.decode(tcg, flavour)
        assert (read.fields.model, read.fields.serial) == ("gateway", TPM.serial)
        # A TPMT_SIGNATURE of ECDSA, or DER.
        assert read.signature[0] == (0x00 if flavour == "attestz" else 0x30)


def test_flightctl_goes_around_the_finished_request() -> None:
    verdict = PINNED._replace(ek_certificate=ek_lab.root().ek(TPM.ek.public_key()))
    last = signing.tcg_csr_of(made("flightctl"), found(), verdict, "-----BEGIN CERTIFICATE REQUEST-----")
    _none, tcg = signing.requests([last], {"signatures": [by(TPM.idevid, last.content)]}, ABOUT)
    assert tcg is not None
    assert tcg_csr.decode(tcg, "flightctl").fields.ca_data == b"-----BEGIN CERTIFICATE REQUEST-----"


def test_hash_of_a_tcg_csr_is_that_of_its_key() -> None:
    """An IDevID on P-384 signs nothing but digests of SHA-384."""
    key = ek_lab.ecc_key("p384")
    public = ek_lab.area(templates.primary("idevid_ecc_p384"), key.public_key())
    one = TPM.certify(public)
    certified = Attestation(one.attest, one.signature)
    content, name = certify.tcg_content("attestz", (TPM.ak_public, public), certified, b"certificate", (TPM.serial, "gateway"))
    assert name == "sha384" and content[4:12] == bytes.fromhex("0000000c00000030")


@pytest.mark.parametrize(
    ("signatures", "reason", "sentence"),
    [
        (None, "no_request", "the certificate requests without their signatures"),
        ([], "no_request", "the certificate requests without their signatures"),
        ("x", "malformed_answer", "its signatures is no list"),
        (["x"], "malformed_answer", "its signature is no base64"),
        (["", ""], "malformed_answer", "its signatures has 2 entries, more than the 1"),
        ([""], "bad_request", "Could not accept the request for the ldevid certificate"),
        ([by(TPM.idevid, b"x")], "bad_request", "Could not accept the request for the ldevid certificate"),
    ],
)
def test_signatures_that_are_none(signatures: t.Any, reason: str, sentence: str) -> None:
    asked = signing.wanted(made(external=None), found(), ABOUT, PINNED)
    with pytest.raises(EvidenceError, match=sentence) as caught:
        signing.requests(asked, {"signatures": signatures}, ABOUT)
    assert caught.value.reason == reason


def test_signature_by_the_right_key_over_another_request() -> None:
    asked = signing.wanted(made(external=None), found(), ABOUT, PINNED)
    other = signing.to_sign("ldevid", LOCAL.handle, TPM.ldevid_public, ABOUT._replace(serial="SN-0002"))
    with pytest.raises(EvidenceError, match="the request for the ldevid certificate") as caught:
        signing.requests(asked, {"signatures": [by(TPM.ldevid, other.content)]}, ABOUT)
    assert caught.value.reason == "bad_request"


def test_ldevid_must_be_certified_by_the_ak() -> None:
    signing.check_local(LOCAL, found(), birth.NONCE)
    wrong = {
        "no_ldevid": found(certify={}),
        "wrong_name": found(ldevid=birth.soft_tpm().ldevid_public),
        "bad_signature": found(ak=birth.soft_tpm().ak_public),
        "ldevid_restricted": found(ldevid=TPM.ak_public),
    }
    for reason, one in wrong.items():
        with pytest.raises(EvidenceError) as caught:
            signing.check_local(LOCAL, one, birth.NONCE)
        assert caught.value.reason == reason
    with pytest.raises(EvidenceError) as caught:
        signing.check_local(LOCAL, found(), b"another nonce, not asked")
    assert caught.value.reason == "wrong_nonce"


def test_only_a_certificate_that_is_believed_names_the_tpm() -> None:
    vendor = ek_lab.root()
    own = vendor.ek(TPM.ek.public_key())
    spki = bytes.fromhex(_keys.spki_sha256(TPM.ek_public))
    believed = certify.subject("SN-1", TPM.ek_public, EkVerdict("certificate", "", "", own, (), ""), "Org")
    assert believed.hardware_serial.startswith(b"00001014:") and believed.organization == "Org"
    for verdict in (None, PINNED, PINNED._replace(reason="expired", ek_certificate=own)):
        assert certify.subject("SN-1", TPM.ek_public, verdict, None).hardware_serial == spki


def test_certificate_of_another_key_is_not_written_down() -> None:
    vendor = ek_lab.root()
    own, other = vendor.ek(TPM.ek.public_key()), vendor.ek(ek_lab.ecc_key().public_key())
    whole = PINNED._replace(ek_certificate=own, chain=(vendor.der,))
    assert certify.own_certificate(TPM.ek_public, whole) == (own, (vendor.der,))
    assert certify.own_certificate(TPM.ek_public, whole._replace(ek_certificate=other)) == (None, ())
    assert certify.own_certificate(TPM.ek_public, PINNED) == (None, ())


@pytest.mark.parametrize(
    ("tpm", "advisories"),
    [
        ({"manufacturer": "IFX", "firmware": "7.40.8.12800", "model": "SLB9670"}, ["CVE-2017-15361"]),
        ({"manufacturer": "IFX", "firmware": "7.85.17.51968", "model": "SLB9670"}, []),
        ({"manufacturer": "XYZ", "firmware": "1.2.3.4"}, []),  # of which nobody knows anything
        ({}, []),
    ],
)
def test_birth_record_names_what_certainly_holds_for_the_tpm(tmp_path: pathlib.Path, tpm: dict[str, str], advisories: list[str]) -> None:
    payload = recorded(tmp_path, tpm, PINNED)
    assert set(advisories) <= set(payload["tpm"]["advisories"]) and bool(advisories) == bool(payload["tpm"]["advisories"])
    assert payload["tpm"]["advisories"] == sorted(payload["tpm"]["advisories"])


def test_birth_record_names_the_manufacturer_of_the_ek_certificate(tmp_path: pathlib.Path) -> None:
    vendor = ek_lab.root()
    own, other = vendor.ek(TPM.ek.public_key()), vendor.ek(ek_lab.ecc_key().public_key())
    for number, (certificate, written) in enumerate(((own, "id:00001014"), (other, None), (None, None))):
        (tmp_path / str(number)).mkdir()
        payload = recorded(tmp_path / str(number), {}, PINNED._replace(ek_certificate=certificate))
        assert payload["ek"]["verdict"]["manufacturer"] == written and (payload["ek"]["certificate"] is not None) == bool(written)


def recorded(folder: pathlib.Path, tpm: dict[str, str], verdict: EkVerdict) -> t.Any:
    """The payload of a birth record, verified."""
    files = lab_ca.write(folder)
    ca = authority.load_authority(files.options)
    credential = Credential(b"id object", b"encrypted secret")
    at = datetime.datetime.now(datetime.UTC)
    proven = certify.Proven(TPM.ek_public, TPM.ak_public, TPM.idevid_public, None, verdict, tpm, {}, (), credential, at)
    record = certify.birth_record(ca, proven, {"serial": TPM.serial}, [], None, {})
    return birth_records.verify(record, roots=[files.root_path.read_text()])


def test_nonces_are_fresh() -> None:
    assert len({plan.nonce() for _each in range(50)}) == 50 and len(plan.nonce()) == plan.NONCE_BYTES == 32


def test_why_a_device_is_not_believed() -> None:
    error = plan.QuarantineError("Could not believe it: so.", "so")
    assert (error.reason, error.message, str(error)) == ("so", "Could not believe it: so.", "Could not believe it: so.")
