# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What an enrolled device gets: certificates from our CA or an external one, and the birth record."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import advisories, verdicts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, external, profile, request, tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.credentials import Credential
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import CERTIFICATE

_HASHES = {name: number for number, name in alg.HASHES.items()}


class Proven(t.NamedTuple):
    """A device that has proved its identity, with the proofs: the data that we certify, record and register."""

    ek: names.Public
    ak: names.Public
    idevid: names.Public
    ldevid: names.Public | None
    verdict: EkVerdict
    tpm: t.Mapping[str, str]
    attestations: t.Mapping[str, Attestation]
    pcrs: t.Sequence[t.Mapping[str, t.Any]]
    credential: Credential
    at: datetime.datetime
    requests: t.Mapping[str, str] = {}
    tcg_csr: bytes | None = None
    eks: t.Sequence[records.ShownEk] = ()

    def publics(self) -> dict[str, names.Public]:
        """The keys that get certificates, by kind."""
        found = {"iak": self.ak, "idevid": self.idevid}
        return found if self.ldevid is None else {**found, "ldevid": self.ldevid}


def subject(serial: str, ek: names.Public, verdict: EkVerdict | None, organization: str | None) -> profile.DeviceSubject:
    """The subject of the certificates. Raises InputError for a serial number that a certificate cannot hold."""
    # A pinned device may have an EK certificate that is not trusted. It must not name the TPM, because it may belong to another TPM.
    found = certificate.read(verdict.ek_certificate) if verdict and verdict.rung == CERTIFICATE and verdict.ek_certificate else None
    vendor = found.manufacturer.removeprefix("id:") if found else ""
    named = found.parsed if found and len(vendor) == 8 else None
    number = profile.hardware_serial(vendor, named, _keys.public_key(ek))
    made = profile.DeviceSubject(serial=serial, hardware_serial=number, organization=organization)
    profile.check(made)
    return made


def own_certificate(ek: names.Public, verdict: EkVerdict) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The EK's certificate and those above it; empty if a pinned device has shown a certificate for another key."""
    if verdict.ek_certificate is None or certificate.read(verdict.ek_certificate).spki != _keys.spki(ek):
        return None, ()
    return verdict.ek_certificate, verdict.chain


def issue(
    ca: authority.Authority,
    kind: str,
    public: names.Public,
    about: profile.DeviceSubject,
    local: settings.LocalKey | None,
    now: datetime.datetime,
) -> Certificate:
    """One certificate from our own CA."""
    extra: dict[str, t.Any] = {}
    if kind == "ldevid" and local is not None:
        extra = {"lifetime": local.lifetime, "server_auth": local.server_auth, "dns_names": local.dns_names}
    return ca.issue(kind, _keys.public_key(public), about, now=now, key_name=public.name.hex(), **extra)


def request_for(public: names.Public, about: profile.DeviceSubject) -> tuple[bytes, str]:
    """The bytes that a TPM key signs for a PKCS#10 request, and the name of the hash."""
    key = _keys.public_key(public)
    return request.to_be_signed(key, about), request.digest_name(key)


def signed_request(public: names.Public, about: profile.DeviceSubject, signature: bytes) -> str:
    """The request with the TPM's signature, verified. Raises RequestError, SignatureError."""
    to_sign, _hash = request_for(public, about)
    _keys.verify(public, signature, to_sign)
    made = request.assemble(to_sign, _keys.openssl_signature(signature))
    return request.verify(made, public_key=_keys.public_key(public), serial=about.serial).pem


def publish(
    ca: settings.External, proven: Proven, about: profile.DeviceSubject, device: t.Mapping[str, str], now: datetime.datetime
) -> bool:
    """Write the requests of a device for the external CA; return whether anything changed. Raises ExternalError."""
    ek_certificate, ek_chain = own_certificate(proven.ek, proven.verdict)
    evidence = external.Evidence(
        subject=about,
        ek_public=proven.ek.raw,
        ek_certificate=ek_certificate,
        ek_chain=ek_chain,
        publics={kind: public.raw for kind, public in proven.publics().items()},
        attestations=proven.attestations,
        requests=proven.requests,
        tcg_csr=(ca.tcg_csr, proven.tcg_csr) if ca.tcg_csr and proven.tcg_csr else None,
        device=device,
    )
    return external.publish(ca.folder, evidence, now=now)


def tcg_content(
    flavour: str,
    keys: tuple[names.Public, names.Public],
    certified: Attestation,
    ek_certificate: bytes,
    about: tuple[str, str],
    pkcs10: bytes = b"",
) -> tuple[bytes, str]:
    """The bytes that the IDevID signs for a TCG-CSR-IDEVID (TPM 2.0 Keys for Device Identity and Attestation, 13.1), and the hash's name.

    ``keys``: AK and IDevID; ``certified``: the AK's attestation of the IDevID; ``about``: serial and model.
    """
    ak, idevid = keys
    fields = tcg_csr.CsrFields(
        model=about[1],
        serial=about[0],
        ek_certificate=ek_certificate,
        attest_public=ak.raw,
        signing_public=idevid.raw,
        signing_certify=certified.attest,
        signing_certify_signature=certified.signature,
        ca_data=pkcs10,
    )
    hash_name = request.digest_name(_keys.public_key(idevid))
    return tcg_csr.encode(fields, flavour, hash_alg=_HASHES[hash_name]), hash_name


def tcg_request(flavour: str, content: bytes, idevid: names.Public, signature: bytes) -> bytes:
    """The TCG-CSR-IDEVID with the TPM's signature, verified. Raises TcgCsrError, SignatureError."""
    _keys.verify(idevid, signature, content)
    plain = _keys.openssl_signature(signature)
    made = tcg_csr.attach(content, signature if flavour == "attestz" else plain, flavour)
    tcg_csr.verify(tcg_csr.decode(made, flavour), _keys.public_key(idevid), plain)
    return made


def _described(told: t.Mapping[str, str]) -> dict[str, t.Any]:
    """A TPM, with the advisories that certainly apply to it; an advisory that only may apply is left out."""
    tpm = {name: told.get(name, "") for name in ("manufacturer", "firmware", "model")}
    judged = advisories.judge(tpm["manufacturer"], tpm["firmware"], tpm["model"])
    return {**tpm, "advisories": sorted({one.name for one in judged if one.verdict == verdicts.AFFECTED})}


def birth_record(
    signer: authority.Signer,
    proven: Proven,
    device: t.Mapping[str, str | None],
    certificates: t.Sequence[Certificate],
    bundle_sha256: str | None,
    versions: t.Mapping[str, str],
) -> str:
    """The signed record of one device. Raises BirthRecordError."""
    verdict = proven.verdict
    ek_certificate, ek_chain = own_certificate(proven.ek, verdict)
    fields = birth_records.RecordFields(
        time=proven.at,
        device=device,
        tpm=_described(proven.tpm),
        ek_public=proven.ek.raw,
        ek_certificate=ek_certificate,
        ek_chain=ek_chain,
        verdict={
            "rung": verdict.rung,
            "reason": verdict.reason,
            "detail": verdict.detail,
            "revocation": verdict.revocation,
            "notes": list(verdict.notes),
            "bundle_sha256": bundle_sha256,
            "manufacturer": records.clean(certificate.read(ek_certificate).manufacturer) or None if ek_certificate else None,
        },
        ak_public=proven.ak.raw,
        idevid_public=proven.idevid.raw,
        ldevid_public=proven.ldevid.raw if proven.ldevid else None,
        activation=birth_records.Activation(proven.at, proven.credential.id_object, proven.credential.encrypted_secret),
        attestations=proven.attestations,
        certificates={one.kind: one.pem for one in certificates},
        versions=versions,
    )
    return birth_records.sign(birth_records.build(fields), signer)


__all__ = (
    "Proven",
    "birth_record",
    "issue",
    "own_certificate",
    "publish",
    "request_for",
    "signed_request",
    "subject",
    "tcg_content",
    "tcg_request",
)
