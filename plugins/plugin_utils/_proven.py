# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the registry says of a device, as far as a signature by a key of this controller covers it.

Whoever can write to the registry can say anything in it. So nothing is derived for a device, opened or sent to it, and nobody is told that
it is trusted, before C(prove) has verified its birth record with certificates that the controller was given, never with one out of the
registry, and has compared the registry's row with it.
"""

from __future__ import annotations

import dataclasses
import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _birth, _birth_checks, _place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _birth_schema as schema
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import vendors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import CERTIFICATE
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import pem

Roots = t.Sequence[t.Union[str, bytes]]

# Reasons of UnprovenError.
NO_RECORD = "no_record"  # the device was enrolled without one
NO_ROOTS = "no_record_roots"  # nobody has said whose records to believe
SIGNATURE = "record_signature"  # altered, or signed by somebody else
OTHER_DEVICE = "record_other_device"  # the row says something else of the device, or another device was asked for
OTHER_HOST = "record_other_host"  # the row has the device at another host than the record and the statements after it
PLACE = "place_signature"  # a statement of where the device is was altered, signed by somebody else, or is out of place

_LOOK = "see who can write to the registry, restore it from its backup, and send nothing to that device before"
_ROOTS = "give the certificate of who signed it (record_roots; after a change of the CA the former one's too), or see who wrote it there"


class Papers(t.Protocol):
    """Where the signed documents are: a registry, or what it gave of all devices at once."""

    def birth_record(self, ek_name: str) -> str | None:
        """The signed record of a device's birth, None where none was made."""

    def places(self, ek_name: str) -> list[str]:
        """The signed statements of where a device has moved to, the oldest first."""


class UnprovenError(TpmError):
    """No signature that counts here says of a device what the registry does; C(reason) is one of the constants above."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def load_roots(paths: t.Iterable[str]) -> tuple[str, ...]:
    """The first certificate of each file, in PEM: a CA whose records count, or the certificate of who signs them.

    What else is in such a file is that one's chain, which vouches for others too. Raises InputError, CertificateError.
    """
    found = []
    for path in paths:
        try:
            with open(path, "rb") as file:
                text = file.read()
        except OSError as error:
            raise InputError(
                f"Could not read the certificate {path} of record_roots: {error.strerror}; see its path and who may read it."
            ) from None
        found.append(pem(chain.load(text, f"the certificate {path} of record_roots")[:1]))
    return tuple(found)


def prove(
    registry: Papers,
    device: records.Device,
    roots: Roots,
    *,
    serial: str | None = None,
    ek_name: str | None = None,
    now: datetime.datetime | None = None,
) -> records.Device:
    """The device, with what is signed of why its EK is believed in place of the row's.

    C(serial), C(ek_name): what was looked for, where it was. Raises UnprovenError, RegistryError.
    """
    payload, _where = _proof(registry, device, roots, (serial, ek_name), now)
    return dataclasses.replace(device, verdict=_verdict(payload, device.verdict))


def signed(papers: Papers, device: records.Device, roots: Roots, *, now: datetime.datetime | None = None) -> records.Device:
    """The device with nothing of the row's that is not signed, but for its certificates and the generation of its auth values.

    Manufacturer and firmware are empty where the TPM alone has said them: without a certificate of its EK a device can call itself
    anything. The firmware is what the AK has attested. Raises UnprovenError, RegistryError.
    """
    payload, where = _proof(papers, device, roots, (None, None), now)
    manufacturer, firmware = _made_by(payload)
    return dataclasses.replace(
        device,
        host=where["host"],
        mac=where["mac"],
        site=where["site"],
        model=payload["device"]["model"] or "",
        manufacturer=manufacturer,
        firmware=firmware,
        enrolled_at=schema.parse_time(payload["time"]) or device.enrolled_at,
        tpm_model="",
        verdict=_verdict(payload, device.verdict),
    )


def _made_by(payload: t.Mapping[str, t.Any]) -> tuple[str, str]:
    """Manufacturer by the EK's certificate, and the firmware that such a TPM has attested; each "" where nothing proves it."""
    verdict, certify = payload["ek"]["verdict"], payload["certify"]
    if verdict["rung"] != CERTIFICATE:
        return "", ""
    return vendors.normalise(verdict["manufacturer"] or ""), attest.firmware_text(int(certify["firmware"], 16)) if certify else ""


def _proof(
    registry: Papers, device: records.Device, roots: Roots, wanted: tuple[str | None, str | None], now: datetime.datetime | None
) -> tuple[dict[str, t.Any], dict[str, str]]:
    """The verified payload of its record, and where it is (host, mac, site). Raises UnprovenError, RegistryError."""
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
    if where["host"] != device.host:
        words = f"its row has it at host {device.host or 'unknown'}, and what is signed at {where['host'] or 'unknown'}"
        raise _unproven(device.serial, words, _LOOK, OTHER_HOST)
    return payload, where


def recorded(path: str, roots: Roots, *, serial: str | None = None, ek_name: str | None = None) -> str:
    """The EK Name of the device whose birth record is in a file. Raises UnprovenError, InputError."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError as error:
        raise InputError(f"Could not read the birth record {path}: {error.strerror}; see its path and who may read it.") from None
    payload = _verified(text, roots, serial or path, None)
    _asked_for(payload, serial, ek_name)
    return str(payload["ek"]["name"])


def _unproven(serial: str, words: str, cure: str, reason: str) -> UnprovenError:
    return UnprovenError(f"Could not trust what the registry says of {serial}: {words}; {cure}.", reason)


def _clause(error: TpmError) -> str:
    clause = error.clause if isinstance(error, _birth.BirthRecordError) else ""
    return (clause or error.message).rstrip(".")


def _verified(text: str, roots: Roots, serial: str, now: datetime.datetime | None) -> dict[str, t.Any]:
    if not roots:
        raise _unproven(
            serial, "nobody has said whose birth records count", "give record_roots, the certificate of who signs them", NO_ROOTS
        )
    try:
        return _birth.verify(text, roots=roots, now=now)
    except TpmError as error:
        raise _unproven(serial, f"its birth record does not verify ({_clause(error)})", _ROOTS, SIGNATURE) from None


def _same_device(payload: t.Mapping[str, t.Any], device: records.Device, serial: str | None, ek_name: str | None) -> None:
    """That the record, whose Names are those of its public areas, is of this row, and of what was looked for."""
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
    """Another registry than the one that we think we ask may answer with any row."""
    for what, wanted, signed in (("serial number", serial, payload["device"]["serial"]), ("EK", ek_name, payload["ek"]["name"])):
        if wanted and wanted != signed:
            raise _unproven(str(wanted), f"its answer is of a device with another {what}", _LOOK, OTHER_DEVICE)


def _verdict(payload: t.Mapping[str, t.Any], row: records.Verdict | None) -> records.Verdict:
    """Why its EK was believed, as it is signed."""
    ek = payload["ek"]
    told = ek["verdict"]
    certificate = _birth_checks.pem_der(ek["certificate"]) if ek["certificate"] else None
    above = tuple(_birth_checks.pem_der(one) for one in ek["chain"])
    return records.Verdict(
        told["rung"],
        told["reason"],
        detail=" ".join((told["detail"] or "", *told["notes"])).strip(),
        ek_certificate=certificate,
        chain=above,
        revocation=told["revocation"] or "",
        time=row.time if row else None,
    )


__all__ = (
    "NO_RECORD",
    "NO_ROOTS",
    "OTHER_DEVICE",
    "OTHER_HOST",
    "PLACE",
    "SIGNATURE",
    "Papers",
    "Roots",
    "UnprovenError",
    "load_roots",
    "prove",
    "recorded",
    "signed",
)
