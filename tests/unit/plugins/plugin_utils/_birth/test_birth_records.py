# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The birth record: made, signed, verified; each way in which it can be wrong by its own sentence."""

from __future__ import annotations

import base64
import copy
import datetime
import json
import pathlib
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import utils
from support import birth, lab_ca
from support.lab_ca import DAY, NOW

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.chain import CertificateError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records, record_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.birth_records import BirthRecordError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation

LATER = NOW + DAY


class World(t.NamedTuple):
    """A CA, a device and its right record."""

    files: lab_ca.Files
    ca: authority.Authority
    tpm: birth.SoftTpm
    fields: birth_records.RecordFields
    payload: dict[str, t.Any]

    @property
    def roots(self) -> list[str]:
        return [self.files.root_path.read_text()]

    def verify(self, payload: dict[str, t.Any], now: datetime.datetime = LATER) -> dict[str, t.Any]:
        return birth_records.verify(birth_records.sign(payload, self.ca), roots=self.roots, now=now)


def make(folder: pathlib.Path, kind: str = "ecc", of_ca: str = "ecc_p256") -> World:
    files = lab_ca.write(folder, of_ca)
    ca = authority.load_authority(files.options, now=NOW)
    tpm = birth.soft_tpm(kind=kind)
    fields = birth.fields(tpm, ca)
    return World(files, ca, tpm, fields, birth_records.build(fields))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize(("kind", "of_ca"), [("ecc", "ecc_p256"), ("ecc", "ecc_p384"), ("rsa", "rsa_2048")])
def test_a_right_record(tmp_path: pathlib.Path, kind: str, of_ca: str) -> None:
    world = make(tmp_path, kind, of_ca)
    found = world.verify(world.payload)
    assert found == {**world.payload, "signer": "CN=Lab Device CA", "root": "CN=Lab Root"}
    assert found["ek"]["name"] == world.tpm.ek_public.name.hex() and found["quote"]["pcrs"] == birth.PCRS


def test_it_is_sorted_and_nothing_in_it_is_secret(world: World) -> None:
    text = birth_records.sign(world.payload, world.ca)
    body = base64.b64decode(json.loads(text)["payload"])
    assert body == json.dumps(json.loads(body), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert b"credential blob" not in body and b"encrypted secret" not in body and b"PRIVATE" not in body
    assert json.loads(text)["signatures"][0]["keyid"] == world.ca.key_id


def test_what_need_not_be_there(world: World) -> None:
    certificates = {"iak": world.fields.certificates["iak"]}
    fields = world.fields._replace(
        idevid_public=None, ldevid_public=None, attestations={}, certificates=certificates, ek_certificate=None, ek_chain=()
    )
    payload = birth_records.build(fields._replace(verdict={"rung": "pinned", "reason": "the manifest says so"}))
    assert world.verify(payload)["certify"] is None


def test_the_root_itself_may_sign(tmp_path: pathlib.Path) -> None:
    top = lab_ca.root()
    files = lab_ca.write(tmp_path, above=top, below=top)
    ca = authority.load_authority(files.options, now=NOW)
    payload = birth_records.build(birth.fields(birth.soft_tpm(), ca))
    found = birth_records.verify(birth_records.sign(payload, ca), roots=[lab_ca.pem(top.certificate)], now=LATER)
    assert found["signer"] == found["root"] == "CN=Lab Root"


def test_it_verifies_long_after_the_ca_has_expired(world: World) -> None:
    assert world.verify(world.payload, NOW + 20000 * DAY)["version"] == 1


# The envelope ----------------------------------------------------------------------------------------------------------------------


def envelope(world: World, **change: t.Any) -> str:
    return json.dumps({**json.loads(birth_records.sign(world.payload, world.ca)), **change})


def refused(world: World, text: str | bytes, roots: list[str] | None = None, now: datetime.datetime = LATER) -> str:
    with pytest.raises((BirthRecordError, CertificateError)) as caught:
        birth_records.verify(text, roots=world.roots if roots is None else roots, now=now)
    return str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"payloadType": "application/json"}, "its payload type is application/json"),
        ({"payload": None}, "it is no DSSE envelope"),
        ({"payload": "!!"}, "its payload is not base64"),
        ({"certificate": None}, "it is no DSSE envelope"),
        ({"certificate": "none"}, "holds no well-formed certificate"),
        ({"signatures": []}, "it has no signature"),
        ({"signatures": "x"}, "it has no signature"),
        ({"signatures": [{"sig": "!!"}]}, "its signature is not base64"),
        ({"signatures": [{"sig": None}]}, "its signature is not base64"),
        ({"signatures": [{"sig": "AAAA"}]}, "its signature is not that of the certificate's key over its payload: it was altered"),
    ],
)
def test_an_envelope_that_is_wrong(world: World, change: dict[str, t.Any], told: str) -> None:
    assert told in refused(world, envelope(world, **change))


def test_half_a_surrogate_pair_is_refused_wherever_it_stands(world: World) -> None:
    told = "has half a surrogate pair where a character should be"
    assert f"it {told}" in refused(world, envelope(world, certificate="\ud800"))
    assert f"it {told}" in refused(world, envelope(world, payloadType="\udfff"))
    for path in ("device.serial", "device.host", "ak.public_key", "certificates.iak"):
        body = json.dumps(changed(world, path, "-----BEGIN \ud800")).encode()
        payload = base64.b64encode(body).decode()
        signature = base64.b64encode(world.ca.sign(birth_records.pae(body))).decode()
        assert f"its payload {told}" in refused(world, envelope(world, payload=payload, signatures=[{"sig": signature}]))


def test_a_record_that_is_made_of_half_a_surrogate_pair(world: World) -> None:
    with pytest.raises(BirthRecordError, match="Could not make the birth record of .*are not the 3 expected"):
        birth_records.build(world.fields._replace(device={"serial": "\ud800"}))


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100000, b"\xff\xfe"])
def test_what_is_no_record(world: World, text: str | bytes) -> None:
    assert "it is no JSON" in refused(world, text) or "it is no DSSE envelope" in refused(world, text)


def test_a_record_that_is_too_large(world: World) -> None:
    assert "larger than" in refused(world, " " * ((1 << 20) + 1))


def test_another_payload_under_the_same_signature(world: World) -> None:
    altered = base64.b64encode(birth_records.encode({**world.payload, "device": {**world.payload["device"], "host": "other"}})).decode()
    assert "it was altered" in refused(world, envelope(world, payload=altered))


def test_the_signature_is_over_the_type_too(world: World) -> None:
    body = birth_records.encode(world.payload)
    assert birth_records.pae(body, "a b").startswith(b"DSSEv1 3 a b %d {" % len(body))
    signature = base64.b64encode(world.ca.sign(birth_records.pae(body, "application/json"))).decode()
    assert "it was altered" in refused(world, envelope(world, signatures=[{"sig": signature}]))


def test_a_signer_below_another_root(world: World) -> None:
    assert "is not known" in refused(world, envelope(world), roots=[lab_ca.pem(lab_ca.root().certificate)])
    assert "no root is given" in refused(world, envelope(world), roots=[])


def test_a_record_from_the_future(world: World) -> None:
    assert "it is of 2026-06-01T12:01:00Z, which is in the future by this controller's clock" in refused(
        world, envelope(world), now=NOW - DAY
    )
    # The ends of the calendar.
    last = datetime.datetime.max.replace(tzinfo=datetime.UTC)
    assert birth_records.verify(envelope(world), roots=world.roots, now=last)["version"] == 1
    assert "in the future" in refused(world, envelope(world), now=datetime.datetime.min.replace(tzinfo=datetime.UTC))


def test_a_signer_whose_certificate_was_not_valid_then(world: World) -> None:
    early = birth_records.build(birth.fields(world.tpm, world.ca, NOW - 1000 * DAY))
    assert "CN=Lab Device CA is valid only from 2025-06-01 on" in refused(world, birth_records.sign(early, world.ca))


def clerk(world: World, extra: list[tuple[x509.ExtensionType, bool]]) -> authority.Signer:
    key = lab_ca.new_key()
    certificate = world.files.ca.certify("Clerk", key, ca=False, extra=extra)
    return authority.Signer(certificate, [world.files.ca.certificate], key)


def forged(world: World, signer: authority.Signer) -> str:
    """Signed by whoever, with everything that our own sign() would have refused."""
    body = birth_records.encode(world.payload)
    signature = base64.b64encode(signer.sign(birth_records.pae(body))).decode()
    return envelope(world, signatures=[{"sig": signature}], certificate=signer.chain_pem)


def test_a_clerk_may_sign(world: World) -> None:
    signer = clerk(world, [(x509.ExtendedKeyUsage([x509.ObjectIdentifier(birth_records.DOCUMENT_SIGNING)]), False)])
    found = birth_records.verify(birth_records.sign(world.payload, signer), roots=world.roots, now=LATER)
    assert (found["signer"], found["root"]) == ("CN=Clerk", "CN=Lab Root")


def test_a_certificate_for_something_else_may_not_sign(world: World) -> None:
    signer = clerk(world, [])
    told = "neither that of a CA nor made for signing documents"
    assert told in refused(world, forged(world, signer))
    with pytest.raises(BirthRecordError, match=told):
        birth_records.sign(world.payload, signer)


def test_a_device_may_not_vouch_for_itself(world: World) -> None:
    leaf, above = chain.load(world.fields.certificates["ldevid"], "")
    signer = authority.Signer(leaf, [above], world.tpm.ldevid)
    assert "its certificate is a device's, which vouches for nobody else" in refused(world, forged(world, signer))
    with pytest.raises(BirthRecordError, match="its certificate is a device's"):
        birth_records.sign(world.payload, signer)


# The schema ------------------------------------------------------------------------------------------------------------------------


def changed(world: World, path: str, value: t.Any) -> dict[str, t.Any]:
    payload = copy.deepcopy(world.payload)
    place = payload
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return payload


SCHEMA: list[tuple[str, t.Any, str]] = [
    ("schema", "another", "schema is missing or malformed"),
    ("version", 2, "version is missing or malformed"),
    ("time", "yesterday", "time is missing or malformed"),
    ("time", "2026-13-01T00:00:00Z", "time is missing or malformed"),
    ("device.serial", KeyError, "device.serial is missing"),
    ("device.secret", "x", "device has the unknown field secret"),
    ("extra", 1, "the payload has the unknown field extra"),
    ("device", [], "device is no object"),
    ("ek.chain", None, "ek.chain is no list"),
    ("ek.chain", [7], r"ek.chain\[0\] is missing or malformed"),
    ("ak.name", "0X", "ak.name is missing or malformed"),
    ("certify.signature", "", "certify.signature is missing or malformed"),
    ("certify.clock.safe", 1, "certify.clock.safe is missing or malformed"),
    ("quote.pcrs", [{"bank": "sha256"}], r"quote.pcrs\[0\].digest is missing"),
    ("certificates.admin", "-----BEGIN ", "certificates has the unknown field admin"),
    ("versions.x", 3, "versions.x is missing or malformed"),
]


@pytest.mark.parametrize(("path", "value", "told"), SCHEMA, ids=[f"{one[0]}-{number}" for number, one in enumerate(SCHEMA)])
def test_a_payload_of_another_schema(world: World, path: str, value: t.Any, told: str) -> None:
    with pytest.raises(BirthRecordError, match=told):
        world.verify(changed(world, path, value))


def test_a_payload_that_is_no_object(world: World) -> None:
    with pytest.raises(BirthRecordError, match="the payload is no object"):
        world.verify(t.cast("dict[str, t.Any]", [1]))


# What it says of itself --------------------------------------------------------------------------------------------------------------

ONE = lab_ca.new_key()
OTHER = birth.soft_tpm("SN-0002")


def told_by(attestation: Attestation, world: World, what: str) -> dict[str, t.Any]:
    fields = world.fields._replace(attestations={what: attestation})
    return t.cast("dict[str, t.Any]", _raw(fields)[what])


def _raw(fields: birth_records.RecordFields) -> dict[str, t.Any]:
    """A payload as build() makes it, without its checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(birth_records, "_checked", lambda payload: payload)
        return birth_records.build(fields)


LONG = base64.b64encode(bytes(65536)).decode()
LONG_DER = base64.b64encode(utils.encode_dss_signature(1, 1 << 8 * 65535)).decode()


def shifted(digits: int) -> list[dict[str, t.Any]]:
    """The PCRs with as many hex digits of the second value at the end of the first."""
    first, second = birth.PCRS
    moved = second["digest"][:digits]
    return [{**first, "digest": first["digest"] + moved}, {**second, "digest": second["digest"][digits:]}]


INNER: list[tuple[str, t.Callable[[World], t.Any], str]] = [
    ("ek.name", lambda w: "000b" + "00" * 32, "the Name of the ek is not that of its public area"),
    ("ak.name", lambda w: w.payload["idevid"]["name"], "the Name of the ak is not"),
    ("idevid.public", lambda w: "00", "Could not read"),
    ("ldevid.public_key", lambda w: lab_ca.public_pem(ONE), "the PEM key of the ldevid is not the one in its public area"),
    ("ek.spki_sha256", lambda w: "00" * 32, "the SHA-256 of the EK's public key is not"),
    ("ek.certificate", lambda w: None, "the verdict relies on an EK certificate, but the record has none"),
    ("ek.certificate", lambda w: lab_ca.pem(lab_ca.root().certificate), "the EK certificate is for another key"),
    ("ek.certificate", lambda w: "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----", "not base64"),
    ("ak", lambda w: w.payload["idevid"], "it is not restricted"),
    ("idevid", lambda w: w.payload["ak"], "it is restricted, so it cannot sign for TLS"),
    ("activation.ek_name", lambda w: w.payload["ak"]["name"], "the activation was of another EK or AK"),
    ("activation.result", lambda w: "refused", "the activation ended with refused"),
    ("activation.time", lambda w: "2027-01-01T00:00:00Z", "the activation is later than the record"),
    ("certify.signature", lambda w: w.payload["quote"]["signature"], "the signature over it is not the AK's"),
    ("certify.signature", lambda w: "AAAA", "an ECDSA signature in it is no DER"),
    ("certify.signature", lambda w: LONG, "an ECDSA signature in it is no DER"),
    ("certify", lambda w: {**w.payload["certify"], "signature": LONG, "scheme": "rsassa"}, "longer than any that a TPM makes"),
    ("certify.signature", lambda w: LONG_DER, "longer than any that a TPM makes"),
    ("certify.scheme", lambda w: "rsassa", "the signature over it is not the AK's"),
    ("certify.scheme", lambda w: "xor", "not rsassa, rsapss or ecdsa"),
    ("certify.hash", lambda w: "sha384", "the signature over it is not the AK's"),
    ("certify.nonce", lambda w: "00" * 32, "it was not made for this nonce"),
    ("certify.object_name", lambda w: "00" * 34, "the summary of certify is not what the attestation says"),
    ("certify", lambda w: told_by(w.tpm.certify(w.tpm.ldevid_public), w, "certify"), "not " + "[0-9a-f]{68}"),
    ("certify", lambda w: w.payload["certify_ldevid"], "it is the object"),
    ("idevid", lambda w: None, "certify is of a key that is not in it"),
    ("nv_certify", lambda w: told_by(w.tpm.nv_certify(b"SN-0002"), w, "nv_certify"), "are not the 7 expected"),
    ("nv_certify", lambda w: told_by(w.tpm.nv_certify(offset=2), w, "nv_certify"), "it begins at byte 2"),
    ("nv_certify", lambda w: told_by(OTHER.nv_certify(b"SN-0001"), w, "nv_certify"), "the signature over it is not the AK's"),
    ("quote.pcrs", lambda w: [], "no PCR was asked for"),
    ("quote.pcrs", lambda w: birth.PCRS[:1], "it covers sha256:0,7, not sha256:0"),
    ("quote.pcrs", lambda w: [birth.PCRS[0], {**birth.PCRS[1], "digest": "00" * 32}], "it is not over the PCR values"),
    ("quote.pcrs", lambda w: shifted(2), "the value of PCR sha256:0, sha256:7 is not as long as a digest of its bank"),
    ("quote.pcrs", lambda w: [{**one, "bank": "unheard-of"} for one in birth.PCRS], "not unheard-of:0,7"),
    ("certificates.iak", lambda w: w.payload["certificates"]["idevid"], "the iak certificate is for another key"),
    (
        "certificates.idevid",
        lambda w: lab_ca.pem(w.files.ca.certify("x", w.tpm.idevid, ca=False, serial="SN-0009")),
        "the serial number in the idevid certificate is not SN-0001",
    ),
    ("certificates.idevid", lambda w: "-----BEGIN CERTIFICATE-----", "holds no well-formed certificate"),
    ("ldevid", lambda w: None, "certify_ldevid is of a key that is not in it"),
]


@pytest.mark.parametrize(("path", "value", "told"), INNER, ids=[f"{one[0]}-{number}" for number, one in enumerate(INNER)])
def test_a_record_that_contradicts_itself(world: World, path: str, value: t.Callable[[World], t.Any], told: str) -> None:
    with pytest.raises(BirthRecordError, match=f"Could not accept a birth record: .*{told}"):
        world.verify(changed(world, path, value(world)))


def test_an_attestation_that_no_tpm_made(world: World) -> None:
    raw = birth.attestation(attest.ST_ATTEST_CERTIFY, b"", magic=0x41424344)
    signed = Attestation(raw, birth.tpmt_signature(world.tpm.ak, 0x18, raw), birth.NONCE)
    with pytest.raises(TpmError, match="it begins with 0x41424344"):
        birth_records.build(world.fields._replace(attestations={"certify": signed}))


def test_an_attestation_of_another_type(world: World) -> None:
    quote = {**world.payload["quote"]}
    del quote["pcr_digest"], quote["pcrs"]
    names = {"object_name": "00", "object_qualified_name": "00"}
    with pytest.raises(BirthRecordError, match="the summary of certify is not what the attestation says"):
        world.verify(changed(world, "certify", {**quote, **names}))


# Making ----------------------------------------------------------------------------------------------------------------------------


def test_a_record_that_would_be_refused_is_not_made(world: World) -> None:
    with pytest.raises(BirthRecordError, match="Could not make the birth record of SN-0001: .* enroll the device again"):
        birth_records.build(world.fields._replace(attestations={"nv_certify": world.tpm.nv_certify(b"SN-0002")}))
    with pytest.raises(BirthRecordError, match="no place for the attestation gossip"):
        birth_records.build(world.fields._replace(attestations={"gossip": world.tpm.quote()}))
    with pytest.raises(BirthRecordError, match="device has the unknown field password"):
        birth_records.build(world.fields._replace(device={"serial": "SN-0001", "password": "x"}))


# A fleet ---------------------------------------------------------------------------------------------------------------------------


def member(world: World, serial: str, tpm: birth.SoftTpm | None = None, **device: str) -> dict[str, t.Any]:
    made = tpm or birth.soft_tpm(serial)
    made = birth.dataclasses.replace(made, serial=serial)
    fields = birth.fields(made, world.ca)
    return birth_records.build(fields._replace(device={**fields.device, **device}))


def test_a_fleet_of_different_devices(world: World) -> None:
    fleet = [member(world, f"SN-{number}") for number in range(3)]
    assert birth_records.duplicates([*fleet, birth_records.sign(fleet[0], world.ca), fleet[1]]) == []
    assert birth_records.duplicates([]) == []


def test_two_devices_with_one_tpm(world: World) -> None:
    tpm = birth.soft_tpm()
    found = birth_records.duplicates([member(world, "SN-1", tpm), member(world, "SN-2", tpm), member(world, "SN-3")])
    assert [one["field"] for one in found] == ["ak", "ek", "idevid", "ldevid"]
    assert found[1] == {
        "field": "ek",
        "value": tpm.ek_public.name.hex(),
        "devices": [{"serial": "SN-1", "host": "edge-sn-1", "mac": None}, {"serial": "SN-2", "host": "edge-sn-2", "mac": None}],
    }


def test_one_serial_number_on_two_tpms(world: World) -> None:
    found = birth_records.duplicates([member(world, "SN-1"), birth_records.sign(member(world, "SN-1"), world.ca)])
    assert [(one["field"], one["value"], len(one["devices"])) for one in found] == [("serial", "SN-1", 2)]


def test_a_cloned_device_on_another_host(world: World) -> None:
    tpm = birth.soft_tpm()
    found = birth_records.duplicates([member(world, "SN-1", tpm), member(world, "SN-1", tpm, host="clone")])
    assert [one["field"] for one in found] == ["ak", "ek", "idevid", "ldevid", "serial"]


def test_a_renewed_ldevid_is_no_other_device(world: World) -> None:
    tpm = birth.soft_tpm()
    renewed = birth.dataclasses.replace(tpm, ldevid=(other := birth.soft_tpm()).ldevid, ldevid_public=other.ldevid_public)
    assert birth_records.duplicates([member(world, "SN-1", tpm), member(world, "SN-1", renewed)]) == []


def test_what_cannot_be_compared(world: World) -> None:
    with pytest.raises(BirthRecordError, match="it is no JSON"):
        birth_records.duplicates(["text"])
    with pytest.raises(BirthRecordError, match="activation is no object"):
        birth_records.duplicates([{"device": {"serial": "x"}}])


def test_a_record_below_a_weak_intermediate_ca(world: World) -> None:
    """Whoever factors 1024 bits makes a CA, and with it the birth of any device; openssl and cryptography let it pass."""
    weak = world.files.root.below("Weak", "rsa_1024")
    issuing = weak.below("Issuing")
    signer = authority.Signer(issuing.certificate, [weak.certificate], issuing.key)
    text = forged(world, signer)
    with pytest.raises(CertificateError) as caught:
        birth_records.verify(text, roots=world.roots, now=LATER)
    assert caught.value.reason == "bad_signature" and "the RSA key of 1024 bits that made it can be broken" in caught.value.message


def test_a_refusal_has_one_word_and_says_why_beside_it(tmp_path: pathlib.Path) -> None:
    for made in (BirthRecordError("Could not."), birth_records.refuse("it is torn")):
        assert made.words() == {"reason": "birth_record"}
    assert birth_records.refuse("it is torn").clause == "it is torn"


def test_a_pem_text_of_blanks_keeps_nobody_busy() -> None:
    """A search that began anew at each blank took minutes for this."""
    assert record_checks.pem_der("-----BEGIN PUBLIC KEY-----" + " " * 200_000 + "!") == b""
