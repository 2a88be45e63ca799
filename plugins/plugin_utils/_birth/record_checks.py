# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check that a birth record is consistent: Names match public areas, and the AK signed the attestations.

This needs only the record. Sources: TPM 2.0 Library Part 1, section 16 (Names); Part 2, section 10.12 (attestations).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain, keys, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.schema import BirthRecordError, parse_time, refuse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, serialization, utils

Payload = t.Mapping[str, t.Any]
_PEM = re.compile(r"-----BEGIN [A-Z0-9 ]+-----([A-Za-z0-9+/=\s]+)-----END [A-Z0-9 ]+-----")
ACTIVATED = "activated"
_MAX_SIZED = 0xFFFF  # bytes in a TPM2B


def check(payload: Payload) -> None:
    """Raise BirthRecordError if a payload with the right schema contradicts itself."""
    try:
        publics = {kind: _public(payload, kind) for kind in ("ek", "ak", "idevid", "ldevid") if payload[kind] is not None}
        _check_ek(payload, publics["ek"])
        evidence_checks.check_ak(publics["ak"])
        for kind, rule in (("idevid", evidence_checks.check_idevid), ("ldevid", evidence_checks.check_ldevid)):
            if kind in publics:
                rule(publics[kind])
        _check_activation(payload)
        for what, kind in (("certify", "idevid"), ("certify_ldevid", "ldevid")):
            if payload[what] is not None:
                _check_certify(payload, what, publics["ak"], publics.get(kind))
        if payload["nv_certify"] is not None:
            _check_nv(payload, publics["ak"])
        if payload["quote"] is not None:
            _check_quote(payload, publics["ak"])
        _check_certificates(payload)
    except BirthRecordError:
        raise
    except TpmError as error:
        # A parser's error: its sentence becomes part of ours.
        raise refuse(str(error).rstrip(".")) from None


def _public(payload: Payload, kind: str) -> names.Public:
    found = payload[kind]
    public = names.parse_public(bytes.fromhex(found["public"]))
    if public.name.hex() != found["name"]:
        raise refuse(f"the Name of the {kind} is not that of its public area")
    if keys.spki(keys.public_key(found["public_key"], f"the public key of the {kind}")) != _keys.spki(public):
        raise refuse(f"the PEM key of the {kind} is not the one in its public area")
    return public


def _check_ek(payload: Payload, public: names.Public) -> None:
    found = payload["ek"]
    if hashlib.sha256(_keys.spki(public)).hexdigest() != found["spki_sha256"]:
        raise refuse("the SHA-256 of the EK's public key is not that of its public area")
    if found["verdict"]["rung"] == "certificate" and found["certificate"] is None:
        raise refuse("the verdict relies on an EK certificate, but the record has none")
    if found["certificate"] is not None and _bare(public) not in pem_der(found["certificate"]):
        raise refuse("the EK certificate is for another key")


def _bare(public: names.Public) -> bytes:
    # The key's bytes as they are in a certificate, without the algorithm's OID: some vendors write id-RSAES-OAEP, which cryptography refuses.
    key = _keys.public_key(public)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)


def pem_der(text: str) -> bytes:
    """The DER in a PEM text. Raises BirthRecordError."""
    found = _PEM.fullmatch(text.strip())
    try:
        return base64.b64decode("".join(found[1].split()), validate=True) if found else b""
    except binascii.Error:
        raise refuse("a PEM text in it is not base64") from None


def _check_activation(payload: Payload) -> None:
    found = payload["activation"]
    if (found["ek_name"], found["ak_name"]) != (payload["ek"]["name"], payload["ak"]["name"]):
        raise refuse("the activation was of another EK or AK")
    if found["result"] != ACTIVATED:
        raise refuse(f"the activation ended with {found['result']}, not {ACTIVATED}")
    started, made = parse_time(found["time"]), parse_time(payload["time"])
    if started is None or made is None or started > made:
        raise refuse("the activation is later than the record")


def _tpmt(found: Payload) -> bytes:
    """The TPMT_SIGNATURE (Part 2, section 11.3) from a signature in OpenSSL's form, which the record has."""
    signature = base64.b64decode(found["signature"])
    scheme, digest = alg.IDS.get(found["scheme"], 0), alg.IDS.get(found["hash"], 0)
    parts = [signature]
    if scheme == alg.ECDSA:
        try:
            parts = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in utils.decode_dss_signature(signature)]
        except ValueError:
            raise refuse("an ECDSA signature in it is no DER") from None
    if any(len(part) > _MAX_SIZED for part in parts):
        raise refuse("a signature in it is longer than any that a TPM makes")
    return scheme.to_bytes(2, "big") + digest.to_bytes(2, "big") + b"".join(map(sized, parts))


def _evidence_of(payload: Payload, what: str) -> tuple[bytes, bytes, bytes]:
    """Attestation, TPMT_SIGNATURE and nonce. Raises BirthRecordError if the record's summary differs from the attestation's bytes."""
    found = payload[what]
    raw = base64.b64decode(found["attest"])
    told = summary(attest.parse_attest(raw))
    if {name: found.get(name) for name in told} != told:
        raise refuse(f"the summary of {what} is not what the attestation says")
    return raw, _tpmt(found), bytes.fromhex(found["nonce"])


def summary(parsed: attest.Attest) -> dict[str, t.Any]:
    """A readable summary of an attestation, made from its bytes alone."""
    found: dict[str, t.Any] = {
        "type": attest.type_name(parsed.type),
        "signer": parsed.signer.hex(),
        "firmware": f"{parsed.firmware:016x}",
        "clock": parsed.clock._asdict(),
    }
    if isinstance(parsed.attested, attest.Certified):
        found |= {"object_name": parsed.attested.name.hex(), "object_qualified_name": parsed.attested.qualified_name.hex()}
    elif isinstance(parsed.attested, attest.NvCertified):
        inner = parsed.attested
        found |= {"index_name": inner.index_name.hex(), "offset": inner.offset, "contents": inner.contents.hex()}
    else:
        found["pcr_digest"] = parsed.attested.digest.hex()
    return found


def _check_certify(payload: Payload, what: str, ak: names.Public, subject: names.Public | None) -> None:
    raw, signature, nonce = _evidence_of(payload, what)
    if subject is None:
        raise refuse(f"{what} is of a key that is not in it")
    evidence_checks.check_certify(raw, signature, ak, nonce=nonce, subject=subject)


def _check_nv(payload: Payload, ak: names.Public) -> None:
    raw, signature, nonce = _evidence_of(payload, "nv_certify")
    index, serial = bytes.fromhex(payload["nv_certify"]["index_name"]), payload["device"]["serial"].encode(errors="surrogatepass")
    evidence_checks.check_nv_certify(raw, signature, ak, nonce=nonce, index=index, content=serial)


def _check_quote(payload: Payload, ak: names.Public) -> None:
    raw, signature, nonce = _evidence_of(payload, "quote")
    values: dict[str, dict[int, bytes]] = {}
    for one in payload["quote"]["pcrs"]:
        values.setdefault(one["bank"], {})[one["index"]] = bytes.fromhex(one["digest"])
    selection = [pcr.Selection(bank, tuple(indices)) for bank, indices in values.items()]
    evidence_checks.check_quote(raw, signature, ak, nonce=nonce, selection=selection, values=values)


def _check_certificates(payload: Payload) -> None:
    serial = payload["device"]["serial"]
    owners = {"iak": "ak", "idevid": "idevid", "ldevid": "ldevid"}
    for kind, text in payload["certificates"].items():
        leaf = chain.load(text, f"the {kind} certificate")[0]
        owner = payload[owners[kind]]
        key = keys.public_key(owner["public_key"], f"the key of the {kind}") if owner is not None else None
        if key is None or keys.spki(t.cast("keys.PublicKey", leaf.public_key())) != keys.spki(key):
            raise refuse(f"the {kind} certificate is for another key")
        if profile.serial_of(leaf.subject) != serial:
            raise refuse(f"the serial number in the {kind} certificate is not {serial}")


__all__ = ("ACTIVATED", "check", "pem_der", "summary")
