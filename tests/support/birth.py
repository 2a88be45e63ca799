# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Birth records of devices with software keys in place of a TPM: quick to make, and with any fault that a test asks for."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import struct
import typing as t

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names, pcr, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from support import ek_lab, lab_ca

NONCE = bytes(range(32))
MINUTE = datetime.timedelta(minutes=1)
PCRS = [{"bank": "sha256", "index": index, "digest": hashlib.sha256(bytes([index])).hexdigest()} for index in (0, 7)]


def tpmt_signature(key: lab_ca.Key, scheme: int, data: bytes) -> bytes:
    """A TPMT_SIGNATURE with SHA-256, in the form in which a TPM makes it."""
    head = struct.pack(">HH", scheme, alg.SHA256)
    if isinstance(key, rsa.RSAPrivateKey):
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return head + sized(key.sign(data, pss if scheme == alg.RSAPSS else padding.PKCS1v15(), hashes.SHA256()))
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return head + sized(r.to_bytes(32, "big")) + sized(s.to_bytes(32, "big"))


def attestation(kind: int, body: bytes, nonce: bytes = NONCE, magic: int = attest.MAGIC) -> bytes:
    """A TPMS_ATTEST."""
    head = struct.pack(">IH", magic, kind) + sized(b"\x00\x0b" + bytes(32)) + sized(nonce)
    return head + struct.pack(">QIIBQ", 12345, 3, 1, 1, 0x0001000200030004) + body


@dataclasses.dataclass
class SoftTpm:
    """The keys of a device."""

    serial: str
    ek: lab_ca.Key
    ak: lab_ca.Key
    idevid: lab_ca.Key
    ldevid: lab_ca.Key
    ek_public: names.Public
    ak_public: names.Public
    idevid_public: names.Public
    ldevid_public: names.Public

    def attested(self, kind: int, body: bytes, nonce: bytes = NONCE, **others: t.Any) -> Attestation:
        """An attestation by the AK."""
        raw = attestation(kind, body, nonce)
        scheme = int.from_bytes(self.ak_public.scheme[:2], "big")
        return Attestation(raw, tpmt_signature(self.ak, scheme, raw), nonce, **others)

    def certify(self, public: names.Public) -> Attestation:
        """TPM2_Certify."""
        return self.attested(attest.ST_ATTEST_CERTIFY, sized(public.name) + sized(public.name))

    def nv_certify(self, content: bytes | None = None, offset: int = 0) -> Attestation:
        """TPM2_NV_Certify of the serial number."""
        body = sized(b"\x00\x0b" + bytes(32)) + struct.pack(">H", offset) + sized(self.serial.encode() if content is None else content)
        return self.attested(attest.ST_ATTEST_NV, body)

    def quote(self, pcrs: t.Sequence[dict[str, t.Any]] = PCRS) -> Attestation:
        """TPM2_Quote."""
        digest = hashlib.sha256(b"".join(bytes.fromhex(one["digest"]) for one in pcrs)).digest()
        selection = pcr.marshal([pcr.Selection("sha256", tuple(one["index"] for one in pcrs))])
        return self.attested(attest.ST_ATTEST_QUOTE, selection + sized(digest), pcrs=pcrs)


def soft_tpm(serial: str = "SN-0001", kind: str = "ecc") -> SoftTpm:
    """A device with fresh keys."""
    made = {"ecc": ("ecc_p256", ek_lab.ecc_key), "rsa": ("rsa_2048", lambda: lab_ca.new_key("rsa_2048"))}
    template, new = made[kind]
    ek, ak, idevid, ldevid = new(), new(), new(), new()
    return SoftTpm(
        serial,
        ek,
        ak,
        idevid,
        ldevid,
        ek_lab.ek_area(f"ek_{template}", ek.public_key()),
        ek_lab.area(templates.primary(f"iak_{template}"), ak.public_key()),
        ek_lab.area(templates.primary(f"idevid_{template}"), idevid.public_key()),
        ek_lab.area(templates.primary(f"idevid_{template}", b"LDEVID"), ldevid.public_key()),
    )


def fields(tpm: SoftTpm, ca: authority.Authority, now: datetime.datetime = lab_ca.NOW) -> birth_records.RecordFields:
    """The fields of a valid record of a device."""
    vendor = lab_ca.root("Vendor")
    subject = profile.DeviceSubject(tpm.serial, b"hw")
    keys = {"iak": tpm.ak, "idevid": tpm.idevid, "ldevid": tpm.ldevid}
    certificates = {
        kind: ca.issue(kind, key.public_key(), subject, now=now, lifetime=90 * lab_ca.DAY if kind == "ldevid" else None).pem
        for kind, key in keys.items()
    }
    der = serialization.Encoding.DER
    return birth_records.RecordFields(
        time=now + MINUTE,
        device={"serial": tpm.serial, "host": f"edge-{tpm.serial.lower()}", "site": "north"},
        tpm={"manufacturer": "IBM", "firmware": "1.2.3.4", "advisories": []},
        ek_public=tpm.ek_public.raw,
        ek_certificate=vendor.certify("EK", tpm.ek, ca=False).public_bytes(der),
        ek_chain=[vendor.certificate.public_bytes(der)],
        verdict={"rung": "certificate", "reason": "trusted", "revocation": "not checked", "notes": ["lab"], "bundle_sha256": "ab" * 32},
        ak_public=tpm.ak_public.raw,
        idevid_public=tpm.idevid_public.raw,
        ldevid_public=tpm.ldevid_public.raw,
        activation=birth_records.Activation(now, b"credential blob", b"encrypted secret"),
        attestations={
            "certify": tpm.certify(tpm.idevid_public),
            "certify_ldevid": tpm.certify(tpm.ldevid_public),
            "nv_certify": tpm.nv_certify(),
            "quote": tpm.quote(),
        },
        certificates=certificates,
        versions={"edgefleet.tpm2": "0.1.0", "ansible-core": "2.19.0"},
    )
