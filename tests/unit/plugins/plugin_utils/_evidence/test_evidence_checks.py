# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of evidence against a lying device: every rule broken alone, by an AK in software that signs whatever the test asks."""

from __future__ import annotations

import hashlib
import struct
import typing as t

import pytest
from support import ek_lab
from support.ek_lab import signed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, attributes, names, nv, pcr, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.evidence_checks import EvidenceError

NONCE = b"sixteen bytes !!"
FIRMWARE = 0x0007_0055_11CB_0000


class Ak:
    """An AK in software: what a TPM would sign, and what it never would."""

    def __init__(self, template: str = "iak_ecc_p256") -> None:
        self.key: ek_lab.PrivateKey = ek_lab.ecc_key() if "_ecc_" in template else ek_lab.rsa_key()
        self.public = ek_lab.area(templates.primary(template), self.key.public_key())

    def attest(self, kind: int, body: bytes, *, nonce: bytes = NONCE, magic: int = attest.MAGIC) -> tuple[bytes, bytes]:
        raw = struct.pack(">IH", magic, kind) + sized(self.public.name) + sized(nonce) + struct.pack(">QIIBQ", 5, 1, 0, 1, FIRMWARE) + body
        return raw, self.sign(raw)

    def sign(self, raw: bytes) -> bytes:
        return signed(self.key, raw, int.from_bytes(self.public.scheme[:2], "big"))

    def certify(self, name: bytes, **options: t.Any) -> tuple[bytes, bytes]:
        return self.attest(0x8017, sized(name) + sized(name), **options)

    def nv_certify(self, name: bytes, content: bytes, offset: int = 0, **options: t.Any) -> tuple[bytes, bytes]:
        return self.attest(0x8014, sized(name) + struct.pack(">H", offset) + sized(content), **options)

    def quote(self, chosen: t.Sequence[pcr.Selection], digest: bytes, **options: t.Any) -> tuple[bytes, bytes]:
        return self.attest(0x8018, pcr.marshal(chosen) + sized(digest), **options)


@pytest.fixture(params=["iak_ecc_p256", "iak_rsa_2048"])
def ak(request: pytest.FixtureRequest) -> Ak:
    return Ak(request.param)


def refused(reason: str, telling: str, check: t.Callable[..., object], *arguments: t.Any, **options: t.Any) -> None:
    with pytest.raises(EvidenceError) as caught:
        check(*arguments, **options)
    assert (caught.value.reason, telling in caught.value.message) == (reason, True), caught.value.message
    assert caught.value.message.endswith(".") and caught.value.message.isprintable()


CHECKS: dict[str, t.Callable[[names.Public], None]] = {
    "ak": evidence_checks.check_ak,
    "idevid": evidence_checks.check_idevid,
    "ldevid": evidence_checks.check_ldevid,
}


def good(kind: str, algorithm: str = "ecc_p256") -> names.Public:
    template = {"ak": "iak", "idevid": "idevid", "ldevid": "idevid"}[kind]
    key = ek_lab.ecc_key() if algorithm == "ecc_p256" else ek_lab.rsa_key()
    return ek_lab.area(templates.primary(f"{template}_{algorithm}"), key.public_key())


@pytest.mark.parametrize("algorithm", ["ecc_p256", "rsa_2048"])
@pytest.mark.parametrize("kind", CHECKS)
def test_keys_of_the_profile(kind: str, algorithm: str) -> None:
    CHECKS[kind](good(kind, algorithm))


def test_ordinary_keys() -> None:
    ecc, rsa = ek_lab.ecc_key().public_key(), ek_lab.rsa_key().public_key()
    evidence_checks.check_ak(ek_lab.area(templates.key("restricted_sign", "ecc_p256"), ecc))
    evidence_checks.check_ak(ek_lab.area(templates.key("restricted_sign", "rsa_2048"), rsa))
    evidence_checks.check_ldevid(ek_lab.area(templates.key("sign", "rsa_2048"), rsa))
    evidence_checks.check_ldevid(ek_lab.area(templates.key("sign", "ecc_p256"), ecc))


def without(kind: str, name: str) -> dict[str, t.Any]:
    return {"attributes": good(kind).attributes & ~attributes.OBJECT[name]}


def also(kind: str, name: str) -> dict[str, t.Any]:
    return {"attributes": good(kind).attributes | attributes.OBJECT[name]}


def scheme(number: int, digest: int) -> dict[str, t.Any]:
    return {"scheme": struct.pack(">HH", number, digest)}


BROKEN = [
    (lambda kind: {"type": alg.KEYEDHASH}, "type", "neither an RSA nor an ECC key"),
    (lambda kind: without(kind, "fixedtpm"), "not_fixed", "may exist elsewhere"),
    (lambda kind: without(kind, "fixedparent"), "not_fixed", "may exist elsewhere"),
    (lambda kind: without(kind, "sensitivedataorigin"), "not_generated_in_tpm", "was not made by the TPM"),
    (lambda kind: also(kind, "decrypt"), "decrypts", "may decrypt"),
    (lambda kind: without(kind, "sign"), "no_signing", "may not sign"),
    (lambda kind: scheme(alg.ECDSA, alg.SHA1), "scheme", "ecdsa-sha1"),
    (lambda kind: scheme(alg.RSASSA, alg.SHA256), "scheme", "rsassa-sha256"),
    (lambda kind: {"scheme": struct.pack(">HHH", alg.ECDAA, alg.SHA256, 0)}, "scheme", "ecdaa"),
    (lambda kind: {"name_alg": alg.SHA1}, "name_alg", "is made with sha1"),
    (lambda kind: {"name_alg": alg.NULL}, "name_alg", "is made with null"),
    (lambda kind: {"unique": sized(b"\x01") * 2}, "weak_key", "can be broken, or is not a valid key"),
    (lambda kind: {"detail": b"\x00\x01\x00\x10"}, "weak_key", "can be broken, or is not a valid key"),
]


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize(("change", "word", "telling"), BROKEN, ids=[f"{at}-{one[1]}" for at, one in enumerate(BROKEN)])
def test_a_rule_that_is_broken(kind: str, change: t.Callable[[str], dict[str, t.Any]], word: str, telling: str) -> None:
    refused(f"{kind}_{word}", telling, CHECKS[kind], good(kind)._replace(**change(kind)))


def test_restricted_or_not() -> None:
    refused("ak_not_restricted", "signs data that anybody can choose", evidence_checks.check_ak, good("idevid"))
    refused("idevid_restricted", "cannot sign for TLS", evidence_checks.check_idevid, good("ak"))
    refused("ldevid_restricted", "cannot sign for TLS", evidence_checks.check_ldevid, good("ak"))


def test_an_ak_has_a_scheme_of_its_own() -> None:
    null = good("ak", "rsa_2048")._replace(scheme=templates.NO_SCHEME)
    refused("ak_scheme", "signs with null", evidence_checks.check_ak, null)
    evidence_checks.check_idevid(good("idevid", "rsa_2048"))  # whose template leaves it open


def test_an_ak_of_1024_bits() -> None:
    key = ek_lab.rsa_key(1024).public_key()
    template = templates.primary("iak_rsa_2048")
    raw = template.raw[: -len(template.unique)].replace(b"\x08\x00\0\0\0\0", b"\x04\x00\0\0\0\0") + ek_lab.unique(key)
    refused("ak_weak_key", "can be broken", evidence_checks.check_ak, names.parse_public(raw))


def test_an_ak_that_can_be_factored() -> None:
    cracked = good("ak", "rsa_2048")._replace(unique=sized(ek_lab.roca_modulus().to_bytes(256, "big")))
    refused("ak_weak_key", "can be broken", evidence_checks.check_ak, cracked)


@pytest.mark.parametrize("kind", CHECKS)
@pytest.mark.parametrize(
    ("modulus", "bits"), [(1 << 2047, 2048), (1 << 16384 | 1, 16385), (1 << 65527, 65528)], ids=["even", "long", "both"]
)
def test_a_modulus_that_cannot_exist(kind: str, modulus: int, bits: int) -> None:
    key = good(kind, "rsa_2048")
    impossible = {"unique": sized(modulus.to_bytes((bits + 7) // 8, "big")), "detail": struct.pack(">H", bits) + key.detail[2:]}
    refused(f"{kind}_weak_key", "can be broken, or is not a valid key", CHECKS[kind], key._replace(**impossible))


def test_names() -> None:
    public = good("ak")
    evidence_checks.check_name(public, public.name)
    other = public.name[:-1] + bytes([public.name[-1] ^ 1])
    for claimed in (other, b"", public.name[2:], public.name + b"\0"):
        refused("wrong_name", "its Name is not the claimed", evidence_checks.check_name, public, claimed)
    refused("wrong_name", "its Name is not", evidence_checks.check_name, public._replace(name_alg=0x7777), public.name)


SUBJECT = good("idevid")


def check_certify(ak: Ak, evidence: tuple[bytes, bytes], **options: t.Any) -> attest.Attest:
    return evidence_checks.check_certify(*evidence, ak.public, **{"nonce": NONCE, "subject": SUBJECT, **options})


def test_certify(ak: Ak) -> None:
    found = check_certify(ak, ak.certify(SUBJECT.name))
    assert found.firmware == FIRMWARE and found.attested == attest.Certified(SUBJECT.name, SUBJECT.name)


def test_certify_without_the_magic(ak: Ak) -> None:
    refused("no_magic", "magic number", check_certify, ak, ak.certify(SUBJECT.name, magic=0x12345678))


def test_certify_of_another_type(ak: Ak) -> None:
    chosen = [pcr.selection("sha256", [7])]
    refused("wrong_type", "of the type Quote", check_certify, ak, ak.quote(chosen, bytes(32)))
    refused("wrong_type", "of the type NV_Certify", check_certify, ak, ak.nv_certify(SUBJECT.name, b""))
    refused("wrong_type", "of the type GetTime", check_certify, ak, ak.attest(0x8019, sized(SUBJECT.name) * 2))


def test_certify_for_another_nonce(ak: Ak) -> None:
    for nonce in (b"", NONCE[:-1], NONCE + b"\0", NONCE[::-1]):
        refused("wrong_nonce", "not made for this nonce", check_certify, ak, ak.certify(SUBJECT.name, nonce=nonce))


def test_a_nonce_that_proves_nothing(ak: Ak) -> None:
    for nonce in (b"", b"short"):
        refused("wrong_nonce", "proves no freshness", check_certify, ak, ak.certify(SUBJECT.name, nonce=nonce), nonce=nonce)


def test_certify_of_another_key(ak: Ak) -> None:
    refused("wrong_name", "not " + SUBJECT.name.hex(), check_certify, ak, ak.certify(good("idevid").name))
    refused("wrong_name", "it is the object , not", check_certify, ak, ak.certify(b""))


def test_certify_by_another_ak(ak: Ak) -> None:
    other = Ak("iak_ecc_p256")
    refused("bad_signature", "not the AK's", check_certify, ak, other.certify(SUBJECT.name))


def test_certify_tampered_with(ak: Ak) -> None:
    raw, signature = ak.certify(SUBJECT.name)
    for at in (0, 20, len(raw) - 1):
        changed = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        refused("bad_signature", "not the AK's", check_certify, ak, (changed, signature))
    for cut in (b"", signature[:-1], signature + b"\0"):
        refused("bad_signature", "not the AK's", check_certify, ak, (raw, cut))


def test_certify_malformed(ak: Ak) -> None:
    raw, _signature = ak.certify(SUBJECT.name)
    for bad in (raw[:-1], raw + b"\0", b""):
        refused("malformed" if bad else "malformed", "attestation", check_certify, ak, (bad, ak.sign(bad)))


def test_a_key_in_software_with_a_copied_name() -> None:
    """Whoever copies the Name of a genuine AK cannot copy its key: either the Name differs, or the signature does not verify."""
    genuine, fake = Ak(), Ak()
    evidence = fake.certify(SUBJECT.name)
    refused("wrong_name", "its Name is not the claimed", evidence_checks.check_name, fake.public, genuine.public.name)
    refused("bad_signature", "not the AK's", check_certify, genuine, evidence)


def test_a_signature_with_another_hash_or_scheme_than_the_aks() -> None:
    ak = Ak("iak_rsa_2048")
    raw, _signature = ak.certify(SUBJECT.name)
    for number, digest, telling in ((alg.RSASSA, alg.SHA256, "rsassa-sha256"), (alg.RSAPSS, alg.SHA1, "rsapss-sha1")):
        refused("bad_signature", telling, check_certify, ak, (raw, signed(ak.key, raw, number, digest)))


SERIAL = b"EDGE-0001"
INDEX = nv.NvPublic(
    0x01800010,
    alg.SHA256,
    attributes.word(("policywrite", "authread", "ownerread", "no_da", "written"), attributes.NV),
    nv.WRITE_ONCE_POLICY,
    len(SERIAL),
)


def check_nv(ak: Ak, evidence: tuple[bytes, bytes], **options: t.Any) -> attest.Attest:
    return evidence_checks.check_nv_certify(*evidence, ak.public, **{"nonce": NONCE, "index": INDEX, "content": SERIAL, **options})


def test_nv_certify(ak: Ak) -> None:
    check_nv(ak, ak.nv_certify(INDEX.name, SERIAL))
    check_nv(ak, ak.nv_certify(INDEX.name, SERIAL), index=INDEX.name)


def test_nv_certify_of_other_content(ak: Ak) -> None:
    for content in (b"EDGE-0002", b"", SERIAL + b"\xff", SERIAL[:-1]):
        refused("wrong_content", "not the 9 expected", check_nv, ak, ak.nv_certify(INDEX.name, content))


def test_nv_certify_of_another_index(ak: Ak) -> None:
    """Undefined and defined anew by the owner: without the policy anybody may write, and the Name tells."""
    open_ = INDEX._replace(auth_policy=b"", attributes=INDEX.attributes | attributes.NV["ownerwrite"])
    refused("wrong_index", open_.name.hex(), check_nv, ak, ak.nv_certify(open_.name, SERIAL))
    elsewhere = INDEX._replace(index=0x01800011)
    refused("wrong_index", elsewhere.name.hex(), check_nv, ak, ak.nv_certify(elsewhere.name, SERIAL), index=INDEX.name)


def test_nv_certify_of_a_part(ak: Ak) -> None:
    refused("wrong_offset", "begins at byte 3", check_nv, ak, ak.nv_certify(INDEX.name, SERIAL, 3))
    longer = INDEX._replace(size=20)
    refused("wrong_size", "has 20 bytes, not the 9 expected", check_nv, ak, ak.nv_certify(longer.name, SERIAL), index=longer)


def test_nv_certify_of_an_index_that_was_never_written(ak: Ak) -> None:
    blank = INDEX._replace(attributes=INDEX.attributes & ~attributes.NV["written"])
    refused("not_written", "never been written", check_nv, ak, ak.nv_certify(blank.name, SERIAL), index=blank)


def test_nv_certify_otherwise_wrong(ak: Ak) -> None:
    refused("bad_signature", "not the AK's", check_nv, ak, Ak().nv_certify(INDEX.name, SERIAL))
    refused("wrong_nonce", "not made for this nonce", check_nv, ak, ak.nv_certify(INDEX.name, SERIAL, nonce=b"x" * 16))
    refused("wrong_type", "Certify", check_nv, ak, ak.certify(INDEX.name))
    refused("wrong_type", "digest", check_nv, ak, ak.attest(0x801C, sized(INDEX.name) + sized(hashlib.sha256(SERIAL).digest())))
    refused("no_magic", "magic", check_nv, ak, ak.nv_certify(INDEX.name, SERIAL, magic=0))


CHOSEN = [pcr.selection("sha256", [7, 0]), pcr.selection("sha384", [4])]
VALUES = {"sha256": {0: b"\x01" * 32, 7: b"\x02" * 32, 9: b"\x03" * 32}, "sha384": {4: b"\x04" * 48}}
DIGEST = hashlib.sha256(b"\x01" * 32 + b"\x02" * 32 + b"\x04" * 48).digest()


def check_quote(ak: Ak, evidence: tuple[bytes, bytes], **options: t.Any) -> attest.Attest:
    return evidence_checks.check_quote(*evidence, ak.public, **{"nonce": NONCE, "selection": CHOSEN, "values": VALUES, **options})


def test_quote(ak: Ak) -> None:
    check_quote(ak, ak.quote(CHOSEN, DIGEST))


def test_the_digest_is_made_with_the_hash_of_the_signature() -> None:
    key = ek_lab.ecc_key("p384")
    shape = templates.Shape("ecc", 4, alg.SHA256, 128)
    scheme_ = struct.pack(">HH", alg.ECDSA, alg.SHA384)
    public = ek_lab.area(templates.public(shape, templates.IAK_ATTRIBUTES, b"", scheme_, aes=False), key.public_key())
    evidence_checks.check_ak(public)
    values = b"\x01" * 32 + b"\x02" * 32 + b"\x04" * 48
    for digest, right in ((hashlib.sha384(values).digest(), True), (hashlib.sha256(values).digest(), False)):
        body = pcr.marshal(CHOSEN) + sized(digest)
        raw = struct.pack(">IH", attest.MAGIC, 0x8018) + sized(public.name) + sized(NONCE) + bytes(25) + body
        arguments = raw, signed(key, raw, alg.ECDSA, alg.SHA384), public
        options: dict[str, t.Any] = {"nonce": NONCE, "selection": CHOSEN, "values": VALUES}
        if right:
            evidence_checks.check_quote(*arguments, **options)
        else:
            refused("wrong_digest", "not over the PCR values", evidence_checks.check_quote, *arguments, **options)


def test_quote_of_no_pcr(ak: Ak) -> None:
    """What a TPM makes of a bank that is not allocated."""
    nothing = [pcr.Selection("sha256", ()), pcr.Selection("sha384", ())]
    for chosen in (nothing, []):
        refused("empty_selection", "it covers no PCR", check_quote, ak, ak.quote(chosen, hashlib.sha256(b"").digest()))


def test_a_question_that_is_none(ak: Ak) -> None:
    for chosen in ([], [pcr.Selection("sha256", ())], [CHOSEN[0], pcr.Selection("sha384", ())]):
        refused("empty_selection", "no PCR was asked for", check_quote, ak, ak.quote(chosen, DIGEST), selection=chosen)
    sha1 = [pcr.Selection("sha1", (7,))]
    refused("sha1_bank", "anybody can reach", check_quote, ak, ak.quote(sha1, DIGEST), selection=sha1, values={"sha1": {7: bytes(20)}})


@pytest.mark.parametrize(
    "chosen",
    [
        [pcr.selection("sha256", [0]), CHOSEN[1]],
        [pcr.selection("sha256", [0, 7, 9]), CHOSEN[1]],
        [CHOSEN[1], CHOSEN[0]],
        [CHOSEN[0]],
        [pcr.selection("sha384", [0, 7]), CHOSEN[1]],
        [CHOSEN[0], pcr.Selection("sha384", ())],
    ],
    ids=["fewer", "more", "order", "bank missing", "other bank", "bank not allocated"],
)
def test_quote_of_another_selection(ak: Ak, chosen: list[pcr.Selection]) -> None:
    refused("wrong_selection", "not sha256:0,7 sha384:4", check_quote, ak, ak.quote(chosen, DIGEST))


def test_quote_of_other_values(ak: Ak) -> None:
    refused("wrong_digest", "not over the PCR values", check_quote, ak, ak.quote(CHOSEN, bytes(32)))
    changed = {**VALUES, "sha384": {4: bytes(48)}}
    refused("wrong_digest", "not over the PCR values", check_quote, ak, ak.quote(CHOSEN, DIGEST), values=changed)


@pytest.mark.parametrize("size", [0, 20, 31, 33, 64])
def test_quote_with_a_value_of_another_length(ak: Ak, size: int) -> None:
    """The digest is over the values end to end: what one has more, the next may have less."""
    whole = b"\x01" * 32 + b"\x02" * 32 + b"\x04" * 48
    values = {"sha256": {0: whole[:size], 7: whole[size:64]}, "sha384": {4: whole[64:]}}
    refused("wrong_digest", "sha256:0, sha256:7 is not as long as a digest", check_quote, ak, ak.quote(CHOSEN, DIGEST), values=values)
    values = {"sha256": {0: whole[:32], 7: whole[32 : 64 - 1]}, "sha384": {4: whole[64 - 1 :]}}
    refused("wrong_digest", "sha256:7, sha384:4 is not as", check_quote, ak, ak.quote(CHOSEN, DIGEST), values=values)


def test_quote_of_a_bank_whose_digests_we_cannot_compute(ak: Ak) -> None:
    for bank in ("sm3_256", "ecdsa"):
        chosen, value = [pcr.Selection(bank, (7,))], b"\x01" * 32
        evidence = ak.quote(chosen, hashlib.sha256(value).digest())
        refused("wrong_digest", f"{bank}:7 is not as long", check_quote, ak, evidence, selection=chosen, values={bank: {7: value}})


def test_quote_without_values(ak: Ak) -> None:
    refused("missing_values", "sha384:4", check_quote, ak, ak.quote(CHOSEN, DIGEST), values={"sha256": VALUES["sha256"]})
    refused("missing_values", "sha256:7", check_quote, ak, ak.quote(CHOSEN, DIGEST), values={**VALUES, "sha256": {0: b"\x01" * 32}})


def test_quote_otherwise_wrong(ak: Ak) -> None:
    refused("bad_signature", "not the AK's", check_quote, ak, Ak().quote(CHOSEN, DIGEST))
    refused("wrong_nonce", "not made for this nonce", check_quote, ak, ak.quote(CHOSEN, DIGEST, nonce=b"x" * 16))
    refused("wrong_type", "Certify", check_quote, ak, ak.certify(SUBJECT.name))
    refused("no_magic", "magic", check_quote, ak, ak.quote(CHOSEN, DIGEST, magic=0xFF544300))


def test_firmware() -> None:
    ak = Ak()
    found = check_certify(ak, ak.certify(SUBJECT.name))
    evidence_checks.check_firmware(found, "7.85.4555.0")
    refused("wrong_firmware", "comes from firmware 7.85.4555.0", evidence_checks.check_firmware, found, "7.85.4555.1")
    refused("wrong_firmware", "is not four numbers", evidence_checks.check_firmware, found, "7.85")
