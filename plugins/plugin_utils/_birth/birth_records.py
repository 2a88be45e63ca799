# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The birth record: one signed JSON document per device, which says what was proven when it was enrolled.

``envelope.py`` has the envelope, ``schema.py`` the payload's schema; docs/birth-record.md explains both and shows how to verify a record
with only openssl and jq.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain, keys, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.authority import Signer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import record_checks, schema
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.envelope import PAYLOAD_TYPE, decode, document, encode, pae, parse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.schema import BirthRecordError, refuse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps, der, path
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import extension, label, moment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import hashes, x509

# id-kp-documentSigning (RFC 9336). A certificate that is not a CA's may sign records only with this, so a device's cannot.
DOCUMENT_SIGNING = "1.3.6.1.5.5.7.3.36"
_CLOCK_SKEW = datetime.timedelta(minutes=5)
_ATTESTATIONS = ("certify", "certify_ldevid", "nv_certify", "quote")


class Activation(t.NamedTuple):
    """The credential activation: what was sent to the device, and when. It does not contain the secret."""

    time: datetime.datetime
    credential_blob: bytes
    encrypted_secret: bytes
    result: str = record_checks.ACTIVATED


class RecordFields(t.NamedTuple):
    """The data for a record. Public areas are TPMT_PUBLIC; the EK's certificates are DER, the device's PEM by kind.

    ``device``: serial, and if known host, mac, site, model. ``verdict``: rung, reason, and if known detail, revocation, notes,
    bundle_sha256, manufacturer. ``tpm``: manufacturer, firmware, and if known model, advisories. ``attestations``: certify,
    certify_ldevid, nv_certify, quote. ``versions``: of the collection, ansible-core and Python packages, by name. Times are aware.
    """

    time: datetime.datetime
    device: t.Mapping[str, str | None]
    tpm: t.Mapping[str, t.Any]
    ek_public: bytes
    verdict: t.Mapping[str, t.Any]
    ak_public: bytes
    activation: Activation
    attestations: t.Mapping[str, Attestation]
    certificates: t.Mapping[str, str]
    versions: t.Mapping[str, str]
    ek_certificate: bytes | None = None
    ek_chain: t.Sequence[bytes] = ()
    idevid_public: bytes | None = None
    ldevid_public: bytes | None = None


def build(fields: RecordFields) -> dict[str, t.Any]:
    """The payload of a record. Raises BirthRecordError if ``verify`` would refuse it, so that no such record is ever signed."""
    _keys.require()
    unknown = sorted(set(fields.attestations) - set(_ATTESTATIONS))
    if unknown:
        raise BirthRecordError(f"Could not make a birth record: it has no place for the attestation {unknown[0]}; leave it out.")
    ek, ak = _key(fields.ek_public), _key(fields.ak_public)
    spki = _keys.spki(names.parse_public(fields.ek_public))
    verdict = {"detail": None, "revocation": None, "notes": [], "bundle_sha256": None, "manufacturer": None, **fields.verdict}
    payload: dict[str, t.Any] = {
        "schema": schema.SCHEMA,
        "version": schema.VERSION,
        "time": moment(fields.time),
        "device": {"host": None, "mac": None, "site": None, "model": None, **fields.device},
        "tpm": {"model": None, "advisories": [], **fields.tpm},
        "ek": {
            **ek,
            "spki_sha256": hashlib.sha256(spki).hexdigest(),
            "certificate": der.pem("CERTIFICATE", fields.ek_certificate) if fields.ek_certificate else None,
            "chain": [der.pem("CERTIFICATE", one) for one in fields.ek_chain],
            "verdict": verdict,
        },
        "ak": ak,
        "idevid": _key(fields.idevid_public) if fields.idevid_public else None,
        "ldevid": _key(fields.ldevid_public) if fields.ldevid_public else None,
        "activation": {
            "time": moment(fields.activation.time),
            "ek_name": ek["name"],
            "ak_name": ak["name"],
            "credential_blob_sha256": hashlib.sha256(fields.activation.credential_blob).hexdigest(),
            "encrypted_secret_sha256": hashlib.sha256(fields.activation.encrypted_secret).hexdigest(),
            "result": fields.activation.result,
        },
        **{what: _attestation(fields.attestations.get(what), what) for what in _ATTESTATIONS},
        "certificates": dict(fields.certificates),
        "versions": dict(fields.versions),
    }
    return _checked(payload)


def _checked(payload: dict[str, t.Any]) -> dict[str, t.Any]:
    try:
        found = schema.fault(payload, schema.PAYLOAD)
        if found:
            raise refuse(found)
        record_checks.check(payload)
    except BirthRecordError as error:
        serial = payload["device"].get("serial")
        raise BirthRecordError(f"Could not make the birth record of {serial}: {error.clause}; enroll the device again.") from None
    return payload


def _key(public: bytes) -> dict[str, str]:
    parsed = names.parse_public(public)
    return {"name": parsed.name.hex(), "public": public.hex(), "public_key": der.pem("PUBLIC KEY", _keys.spki(parsed))}


def _attestation(found: Attestation | None, what: str) -> dict[str, t.Any] | None:
    if found is None:
        return None
    signature = attest.parse_signature(found.signature)
    told: dict[str, t.Any] = {
        "attest": base64.b64encode(found.attest).decode("ascii"),
        "signature": base64.b64encode(_keys.openssl_signature(found.signature)).decode("ascii"),
        "scheme": alg.alg_name(signature.scheme),
        "hash": alg.alg_name(signature.hash_alg),
        "nonce": found.nonce.hex(),
        **record_checks.summary(attest.parse_attest(found.attest)),
    }
    if what == "quote":
        told["pcrs"] = [dict(one) for one in found.pcrs]
    return told


def sign(payload: t.Mapping[str, t.Any], signer: Signer) -> str:
    """The record's text: the envelope with the signature of ``signer``, an Authority or a Signer that may sign documents.

    Raises BirthRecordError if ``verify`` would refuse that signer.
    """
    return seal(encode(payload), signer)


def seal(body: bytes, signer: Signer, payload_type: str = PAYLOAD_TYPE) -> str:
    """The signed envelope of a document. Raises BirthRecordError if ``verify`` would refuse that signer."""
    check_signer(signer)
    envelope = {
        "payloadType": payload_type,
        "payload": base64.b64encode(body).decode("ascii"),
        "signatures": [{"keyid": signer.key_id, "sig": base64.b64encode(signer.sign(pae(body, payload_type))).decode("ascii")}],
        "certificate": signer.chain_pem,
    }
    return json.dumps(envelope, indent=2) + "\n"


def check_signer(signer: Signer) -> None:
    """Raises BirthRecordError for a signer whose records ``verify`` would refuse."""
    reason = _no_signer(signer.certificate)
    if reason:
        raise BirthRecordError(f"Could not sign a birth record with the key of {label(signer.certificate)}: {reason}.")


def _no_signer(certificate: t.Any) -> str | None:
    if profile.is_device(certificate):
        return "its certificate is a device's, which vouches for nobody else"
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    documents = purposes is not None and any(one.dotted_string == DOCUMENT_SIGNING for one in purposes)
    if not documents and path.not_a_ca(certificate) is not None:
        return f"its certificate is neither that of a CA nor made for signing documents (extendedKeyUsage {DOCUMENT_SIGNING})"
    return None


def verify(text: str | bytes, *, roots: t.Sequence[str | bytes], now: datetime.datetime | None = None) -> dict[str, t.Any]:
    """Verify a record offline and return its payload, with ``signer`` and ``root`` (distinguished names) added.

    This checks the signature; that the signing certificate may sign records and leads to one of ``roots`` (PEM texts), all valid at the time
    of the record; the schema; and that the record is consistent (``record_checks.py``). Its time must not be later than ``now`` (default: the
    clock). Raises BirthRecordError or CertificateError with what is wrong.
    """
    body, certificates = unseal(text)
    payload = document(body)
    way = signed_by(certificates, roots, payload["time"], now)
    record_checks.check(payload)
    return {**payload, "signer": label(way[0]), "root": label(way[-1])}


def unseal(text: str | bytes, payload_type: str = PAYLOAD_TYPE) -> tuple[bytes, list[t.Any]]:
    """The body of a document and its certificates, of which the first has signed it. ``signed_by`` decides whether to trust them.

    Raises BirthRecordError, CertificateError.
    """
    deps.require("verify a birth record")
    envelope, body = parse(text, payload_type)
    certificates = chain.load(envelope["certificate"], "the signing certificate of a birth record")
    _check_signature(envelope, pae(body, payload_type), certificates[0])
    return body, certificates


def signed_by(
    certificates: t.Sequence[t.Any], roots: t.Sequence[str | bytes], time: str, now: datetime.datetime | None = None
) -> list[t.Any]:
    """The path from the signing certificate to one of ``roots``, valid at ``time``, when the document was made; not later than ``now``.

    Raises BirthRecordError, CertificateError.
    """
    made = t.cast(datetime.datetime, schema.parse_time(time))
    if made - (now or datetime.datetime.now(datetime.timezone.utc)) > _CLOCK_SKEW:
        raise refuse(f"it is of {time}, which is in the future by this controller's clock")
    anchors = [one for root in roots for one in chain.load(root, "the roots for birth records")]
    if not anchors:
        raise BirthRecordError("Could not verify a birth record: no root is given; give the certificate of the CA that signs them.")
    way = chain.follow(certificates[0], certificates, anchors, made, "the signing certificate of a birth record")
    reason = _no_signer(certificates[0])
    if reason:
        raise refuse(f"{label(certificates[0])} may not sign one: {reason}")
    return way


def _check_signature(envelope: t.Mapping[str, t.Any], signed: bytes, certificate: t.Any) -> None:
    entries = envelope.get("signatures")
    found = [one.get("sig") for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
    if not found:
        raise refuse("it has no signature")
    key = keys.public_key(certificate.public_key(), "the key of the signing certificate")
    # keyid is only a hint (DSSE, "the keyid must not be used for security decisions"). One signature by the certificate's key is enough.
    if not any(keys.is_signed(key, decode(one, "signature"), signed, hashes.SHA256()) for one in found):
        raise refuse("its signature is not that of the certificate's key over its payload: it was altered")


def duplicates(records: t.Iterable[str | bytes | t.Mapping[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Find EKs, AKs, IDevIDs, LDevIDs and serial numbers that two devices of a fleet share; no two devices should.

    ``records`` are texts or payloads (``verify``'s results too); signatures are not verified here. Two records of one device (same EK, AK,
    IDevID, serial, host and mac) are not a finding. A finding is a dict: ``field``, ``value``, and ``devices``, each with serial, host, mac.
    """
    seen: dict[tuple[str, str], set[tuple[str | None, ...]]] = {}
    for record in records:
        payload = record if isinstance(record, t.Mapping) else document(parse(record)[1])
        found = schema.fault({name: payload.get(name) for name in schema.PAYLOAD}, schema.PAYLOAD)
        if found:
            raise refuse(f"{found} (schema version {schema.VERSION})")
        device = payload["device"]
        values = {kind: (payload[kind] or {}).get("name") for kind in ("ek", "ak", "idevid", "ldevid")}
        values["serial"] = device["serial"]
        # Without the LDevID, which is renewed; the others never change.
        who = (device["serial"], device["host"], device["mac"], values["ek"], values["ak"], values["idevid"])
        for field, value in values.items():
            if value is not None:
                seen.setdefault((field, value), set()).add(who)
    findings = []
    for (field, value), devices in sorted(seen.items()):
        if len(devices) > 1:
            told = sorted(({"serial": one[0], "host": one[1], "mac": one[2]} for one in devices), key=json.dumps)
            findings.append({"field": field, "value": value, "devices": told})
    return findings


__all__ = (
    "DOCUMENT_SIGNING",
    "PAYLOAD_TYPE",
    "Activation",
    "BirthRecordError",
    "RecordFields",
    "build",
    "duplicates",
    "encode",
    "pae",
    "parse",
    "seal",
    "sign",
    "signed_by",
    "unseal",
    "verify",
)
