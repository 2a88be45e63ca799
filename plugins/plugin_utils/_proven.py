# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Prove what the registry says of a device, by signatures of keys that this controller trusts.

Anybody who can write to the registry can put false data there. So before an auth value is derived, opened or sent for a device, and before
it is reported as trusted, ``prove`` verifies its birth record and compares the registry's row with it. The certificates for that come from
the controller's options, never from the registry.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _files, _keys, _place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain, keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records, record_checks, schema
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import vendors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import CERTIFICATE
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path as paths
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import pem, same
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509

Roots = t.Sequence[t.Union[str, bytes]]

# Reasons of UnprovenError.
NO_RECORD = "no_record"  # the device was enrolled without one
NO_ROOTS = "no_record_roots"  # the options do not say whose records count
SIGNATURE = "record_signature"  # altered, or signed by somebody else
OTHER_DEVICE = "record_other_device"  # the record contradicts the row, or is not of the device that the caller wants
OTHER_HOST = "record_other_host"  # the row has another host than the record and the statements after it
PLACE = "place_signature"  # a statement of the device's place was altered, signed by somebody else, or is out of order
OTHER_KEY = "certificate_other_key"  # a certificate in the registry is not for the device's key
OTHER_ISSUER = "certificate_other_issuer"  # no CA that we trust has issued it, and the record does not contain it

_LOOK = "see who can write to the registry, restore it from its backup, and send nothing to that device before"
_ISSUER = "give the certificate of the CA that issued it (record_roots), or see who wrote it there"
_ROOTS = "give the certificate of who signed it (record_roots; after a change of the CA the former one's too), or see who wrote it there"


class PapersLike(t.Protocol):
    """A source of signed documents: a registry, or ``document_rows.Papers``."""

    def birth_record(self, ek_name: str) -> str | None:
        """A device's birth record, or None."""

    def places(self, ek_name: str) -> list[str]:
        """The signed statements of where a device has moved to, the oldest first."""


class UnprovenError(ReasonedError):
    """No signature that we trust proves what the registry says of a device; ``reason`` is one of the constants above."""


def load_roots(paths: t.Iterable[str]) -> tuple[str, ...]:
    """The first certificate of each file, in PEM: a CA whose records count, or the certificate of a signer of records.

    The other certificates of a file are its chain. They are left out, because those CAs issue for others too. Raises InputError,
    CertificateError.
    """
    found = []
    for path in paths:
        what = f"the certificate {path} of record_roots"
        found.append(pem(chain.load(_files.read(path, what), what)[:1]))
    return tuple(found)


def prove(
    registry: PapersLike,
    device: records.Device,
    roots: Roots,
    *,
    serial: str | None = None,
    ek_name: str | None = None,
    now: datetime.datetime | None = None,
    authorities: Roots = (),
) -> records.Device:
    """The device with the signed verdict in place of the row's, and with its certificates checked.

    ``serial``, ``ek_name``: those that the caller looked for, or None. ``authorities``: CAs that issue certificates, but sign no records.
    Raises UnprovenError, RegistryError.
    """
    payload, _where = _proof(registry, device, roots, (serial, ek_name), now)
    held = _Certificates(payload, device, (*roots, *authorities), now or datetime.datetime.now(datetime.timezone.utc)).checked()
    return dataclasses.replace(device, verdict=_verdict(payload, device.verdict), certificates=held)


def signed(papers: PapersLike, device: records.Device, roots: Roots, *, now: datetime.datetime | None = None) -> records.Device:
    """The device with signed values only, except its certificates and the generation of its auth values, which come from the row.

    Manufacturer and firmware are empty unless the EK has a certificate, because otherwise the device could claim any. The firmware is the one
    that the AK has attested. Raises UnprovenError, RegistryError.
    """
    payload, where = _proof(papers, device, roots, (None, None), now)
    manufacturer, firmware = _made_by(payload)
    return dataclasses.replace(
        device,
        **where._asdict(),
        model=payload["device"]["model"] or "",
        manufacturer=manufacturer,
        firmware=firmware,
        enrolled_at=schema.parse_time(payload["time"]) or device.enrolled_at,
        tpm_model="",
        verdict=_verdict(payload, device.verdict),
    )


def _made_by(payload: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """The manufacturer in the EK's certificate, and the firmware in the AK's attestation; each "" if nothing proves it."""
    verdict, certify = payload["ek"]["verdict"], payload["certify"]
    if verdict["rung"] != CERTIFICATE:
        return "", ""
    return vendors.normalise(verdict["manufacturer"] or ""), attest.firmware_text(int(certify["firmware"], 16)) if certify else ""


def _proof(
    registry: PapersLike, device: records.Device, roots: Roots, wanted: tuple[str | None, str | None], now: datetime.datetime | None
) -> tuple[dict[str, t.Any], records.Place]:
    """The verified payload of a device's record, and its place. Raises UnprovenError, RegistryError."""
    text = registry.birth_record(device.ek_name)
    if text is None:
        raise UnprovenError(
            f"Could not trust what the registry says of {device.serial}: it has no birth record, so nobody has signed it; give record_signer (or "
            "authority) and run the playbook edgefleet.tpm2.day_zero, which verifies the device anew and signs one.",
            NO_RECORD,
        )
    payload = _verified(text, roots, device.serial, now)
    _same_device(payload, device, *wanted)
    try:
        where = _place.last(text, registry.places(device.ek_name), roots=roots, now=now)
    except TpmError as error:
        raise _unproven(device.serial, f"a statement of where it is does not verify ({_clause(error)})", _ROOTS, PLACE) from None
    if where.host != device.host:
        words = f"its row has it at host {device.host or 'unknown'}, and the signed records at {where.host or 'unknown'}"
        raise _unproven(device.serial, words, _LOOK, OTHER_HOST)
    return payload, where


def recorded(path: str, roots: Roots, *, serial: str | None = None, ek_name: str | None = None) -> str:
    """The EK Name of the device whose birth record is in a file. Raises UnprovenError, InputError."""
    text = _files.read(path, f"the birth record {path}").decode("utf-8", "replace")
    payload = _verified(text, roots, serial or path, None)
    _asked_for(payload, serial, ek_name)
    return str(payload["ek"]["name"])


def _unproven(serial: str, words: str, cure: str, reason: str) -> UnprovenError:
    return UnprovenError(f"Could not trust what the registry says of {serial}: {words}; {cure}.", reason)


def _clause(error: TpmError) -> str:
    clause = error.clause if isinstance(error, birth_records.BirthRecordError) else ""
    return (clause or error.message).rstrip(".")


def _verified(text: str, roots: Roots, serial: str, now: datetime.datetime | None) -> dict[str, t.Any]:
    if not roots:
        raise _unproven(
            serial, "nobody has said whose birth records count", "give record_roots, the certificate of who signs them", NO_ROOTS
        )
    try:
        return birth_records.verify(text, roots=roots, now=now)
    except TpmError as error:
        raise _unproven(serial, f"its birth record does not verify ({_clause(error)})", _ROOTS, SIGNATURE) from None


def _same_device(payload: t.Mapping[str, t.Any], device: records.Device, serial: str | None, ek_name: str | None) -> None:
    """Check that the record is of this row's device, and of the one that the caller looked for. Raises UnprovenError."""
    idevid = payload["idevid"] or {"name": None, "public": ""}
    said = payload["device"]["serial"]
    pairs = {
        "EK": ((payload["ek"]["name"], payload["ek"]["public"]), (device.ek_name, device.ek_public.hex())),
        "AK": ((payload["ak"]["name"], payload["ak"]["public"]), (device.ak_name, device.ak_public.hex())),
        "IDevID key": ((idevid["name"], idevid["public"]), (device.idevid_name, device.idevid_public.hex())),
        "serial number": (said, device.serial),
    }
    for what, (signed, row) in pairs.items():
        if signed != row:
            raise _unproven(device.serial, f"its birth record is of another {what} than its row", _LOOK, OTHER_DEVICE)
    _asked_for(payload, serial, ek_name)


def _asked_for(payload: t.Mapping[str, t.Any], serial: str | None, ek_name: str | None) -> None:
    """Check that the record is of the device that the caller looked for, because a false registry may return any row."""
    for what, wanted, signed in (("serial number", serial, payload["device"]["serial"]), ("EK", ek_name, payload["ek"]["name"])):
        if wanted and wanted != signed:
            raise _unproven(str(wanted), f"its answer is of a device with another {what}", _LOOK, OTHER_DEVICE)


def _verdict(payload: t.Mapping[str, t.Any], row: EkVerdict | None) -> EkVerdict:
    """The signed verdict on its EK."""
    ek = payload["ek"]
    told = ek["verdict"]
    certificate = record_checks.pem_der(ek["certificate"]) if ek["certificate"] else None
    above = tuple(record_checks.pem_der(one) for one in ek["chain"])
    return EkVerdict(
        told["rung"],
        told["reason"],
        detail=" ".join((told["detail"] or "", *told["notes"])).strip(),
        ek_certificate=certificate,
        chain=above,
        revocation=told["revocation"] or "",
        time=row.time if row else None,
    )


class _Certificates:
    """Checks the certificates that the registry has of a device. Only their PEM texts are used; the other columns are not signed."""

    def __init__(self, payload: t.Mapping[str, t.Any], device: records.Device, cas: Roots, now: datetime.datetime) -> None:
        self._payload, self._device, self._cas, self._now = payload, device, cas, now
        # The certificates in the record were compared with its keys when it was verified.
        self._signed = {kind: chain.load(text, f"the {kind} certificate") for kind, text in payload["certificates"].items()}

    def checked(self) -> dict[str, records.Certificate]:
        """The certificates by kind. Raises UnprovenError."""
        held = self._device.certificates
        return {kind: self._one(kind, str(held[kind].pem)) for kind in records.CERTIFICATE_KINDS if kind in held}

    def _one(self, kind: str, text: str) -> records.Certificate:
        serial = self._device.serial
        try:
            found, key = chain.load(text, f"the {kind} certificate"), self._key(kind)
        except TpmError:
            raise _unproven(serial, f"its {kind} certificate there cannot be read", _LOOK, OTHER_KEY) from None
        if key is None or keys.spki(t.cast("keys.PublicKey", found[0].public_key())) != _keys.spki(key):
            raise _unproven(serial, f"its {kind} certificate there is for a key that it does not have", _LOOK, OTHER_KEY)
        born = self._signed.get(kind)
        if born is not None and same(found[0], born[0]):
            found = born
        elif not self._is_signed_for(kind, key) and not self._is_ours(found):
            raise _unproven(serial, f"no CA that is trusted here has issued its {kind} certificate", _ISSUER, OTHER_ISSUER)
        return authority.record(kind, found, key.name.hex())

    def _key(self, kind: str) -> names.Public | None:
        """The device's key of that kind, or None. The LDevID comes from the row, because it is replaced from time to time."""
        device, signed = self._device, self._payload["ldevid"] or {"public": ""}
        publics = {
            "iak": device.ak_public,
            "idevid": device.idevid_public,
            "ldevid": device.ldevid_public or bytes.fromhex(signed["public"]),
        }
        return names.parse_public(publics[kind]) if publics[kind] else None

    def _is_signed_for(self, kind: str, key: names.Public) -> bool:
        """Whether the signed key is enough, so that any CA may have issued the certificate: an IAK's or IDevID's that the record does not have
        yet, or one for the LDevID in the record."""
        if kind == "ldevid":
            return bool(self._payload["ldevid"]) and self._payload["ldevid"]["name"] == key.name.hex()
        return kind not in self._signed

    def _is_ours(self, found: t.Sequence[x509.Certificate]) -> bool:
        """Whether a trusted CA has issued it: one from the options, or one in the chains of the record. Its dates are not checked."""
        cas = [one for text in self._cas for one in chain.load(text, "the CAs of devices")]
        cas += [one for born in self._signed.values() for one in born[1:]]
        problem = paths.find(found[0], found[1:], paths.anchors(cas), self._now).problem
        return problem is None or problem.reason in paths.TIME


__all__ = (
    "NO_RECORD",
    "NO_ROOTS",
    "OTHER_DEVICE",
    "OTHER_HOST",
    "OTHER_ISSUER",
    "OTHER_KEY",
    "PLACE",
    "SIGNATURE",
    "PapersLike",
    "Roots",
    "UnprovenError",
    "load_roots",
    "prove",
    "recorded",
    "signed",
)
