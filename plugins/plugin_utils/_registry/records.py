# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The values that the registry takes and returns. Times are UTC, Names are lowercase hex (TPM 2.0 Library Part 1, section 16)."""

from __future__ import annotations

import dataclasses
import datetime
import json
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict

HIERARCHIES = ("owner", "endorsement", "lockout")
CERTIFICATE_KINDS = ("iak", "idevid", "ldevid")
RUNGS = ("certificate", "pinned")

# nameAlg and a digest of 20 (SHA-1) to 64 bytes (SHA-512).
_NAME = re.compile(r"(?:[0-9a-f]{2}){22,66}")
_HEX = re.compile(r"[0-9a-f]+")
_LONGEST = 255
LONGEST_DETAIL = 4096


class Place(t.NamedTuple):
    """Where a device is: its host, MAC address and site, each empty where it is not known. All else that a device is stays as it is."""

    host: str = ""
    mac: str = ""
    site: str = ""


@dataclasses.dataclass(frozen=True)
class Identity:
    """Who a device is: its EK, serial number and AK, which never change, and what else was known of it when it was enrolled.

    ``ek_public``, ``ak_public``, ``idevid_public``: marshalled TPMT_PUBLIC. ``manufacturer``, ``firmware``, ``tpm_model``: those of the TPM.
    """

    ek_name: str
    serial: str
    ak_name: str
    idevid_name: str | None = None
    ek_public: bytes = b""
    ak_public: bytes = b""
    idevid_public: bytes = b""
    host: str = ""
    mac: str = ""
    site: str = ""
    model: str = ""
    manufacturer: str = ""
    firmware: str = ""
    tpm_model: str = ""

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.host, self.mac, self.site)

    def validate(self) -> None:
        """Raises InputError for values that must not be registered."""
        name("ek_name", self.ek_name)
        name("ak_name", self.ak_name)
        if self.idevid_name is not None:
            name("idevid_name", self.idevid_name)
        text("serial", self.serial, empty=False)
        for field in ("host", "mac", "site", "model"):
            text(field, getattr(self, field))
        for field in ("ek_public", "ak_public"):
            if not getattr(self, field):
                raise InputError(
                    f"Could not register serial {self.serial}: its {field} is empty; give the marshalled public area that the TPM sent."
                )

    def cleaned(self) -> Identity:
        """A copy with the TPM's own texts made printable, because vendors pad them with spaces and zero bytes."""
        told = {field: clean(getattr(self, field)) for field in ("manufacturer", "firmware", "tpm_model")}
        return dataclasses.replace(self, **t.cast("t.Any", told))


def check_verdict(verdict: EkVerdict) -> None:
    """Raises InputError unless the verdict lets a device in."""
    if verdict.rung not in RUNGS:
        raise InputError(f"Could not record a verdict: its rung is '{verdict.rung}', not one of {', '.join(RUNGS)}; quarantine the device.")


def cleaned_verdict(verdict: EkVerdict) -> EkVerdict:
    """The verdict with its texts made printable, because they may quote a certificate."""
    reason, detail, revocation = (clean(one, longest=LONGEST_DETAIL) for one in (verdict.reason, verdict.detail, verdict.revocation))
    return verdict._replace(reason=reason, detail=detail, revocation=revocation)


@dataclasses.dataclass(frozen=True)
class ShownEk:
    """An EK certificate that a TPM has shown, or the EK itself (then ``sha256`` is empty). Hashes are lowercase hex: ``sha256`` of the
    certificate's DER, ``spki_sha256`` of its key's SubjectPublicKeyInfo (empty if it cannot be read).

    ``own``: the key is the EK that this device has proved to hold. Otherwise the device only claims it, and no other device is refused for it.
    """

    sha256: str
    issuer: str
    serial_number: str
    spki_sha256: str
    own: bool


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A certificate that was issued for a key of a device. ``serial_number`` is lowercase hex, ``key_name`` the subject key's Name,
    ``issuer`` the issuer's distinguished name (RFC 4514)."""

    kind: str
    pem: str
    serial_number: str
    key_name: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    issuer: str
    issued_at: datetime.datetime | None = dataclasses.field(default=None, compare=False)

    def validate(self) -> None:
        """Raises InputError for an unknown kind or malformed values."""
        if self.kind not in CERTIFICATE_KINDS:
            raise InputError(f"Could not record a certificate: its kind is '{self.kind}'; use one of {', '.join(CERTIFICATE_KINDS)}.")
        name("key_name", self.key_name)
        text("issuer", self.issuer, empty=False, longest=4096)
        text("pem", " ".join(self.pem.split()), empty=False, longest=1 << 20)
        if not isinstance(self.serial_number, str) or not _HEX.fullmatch(self.serial_number):
            raise InputError(f"Could not record the {self.kind} certificate: its serial_number is no lowercase hex; write it with '%x'.")
        for field in ("not_before", "not_after"):
            if getattr(self, field).tzinfo is None:
                raise InputError(f"Could not record the {self.kind} certificate: its {field} says no time zone; give a time in UTC.")


@dataclasses.dataclass(frozen=True)
class Device(Identity):
    """An enrolled device. ``existed``: it was registered already when ``enroll`` was called."""

    ldevid_name: str | None = None
    ldevid_public: bytes = b""
    auth_generation: int = 1
    auth_pending: int | None = None
    enrolled_at: datetime.datetime = datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
    certificates: t.Mapping[str, Certificate] = dataclasses.field(default_factory=dict, hash=False)
    verdict: EkVerdict | None = None
    existed: bool = dataclasses.field(default=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Incident:
    """An incident, open until ``closed_at`` is set. Unknown values are "". ``existed``: an equal one was open already."""

    host: str
    serial: str
    ek_name: str
    reason: str
    detail: str
    opened_at: datetime.datetime
    closed_at: datetime.datetime | None = None
    existed: bool = dataclasses.field(default=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Event:
    """One event; events are only added, never changed."""

    time: datetime.datetime
    kind: str
    ek_name: str
    serial: str
    host: str
    detail: t.Mapping[str, t.Any] = dataclasses.field(hash=False)


@dataclasses.dataclass(frozen=True)
class StoredAuth:
    """A stored auth value, as sealed bytes only. ``sealed_recovery`` is empty for a derived value."""

    ek_name: str
    hierarchy: str
    generation: int
    mode: str
    sealed_operations: bytes = dataclasses.field(repr=False)
    sealed_recovery: bytes = dataclasses.field(repr=False)


def name(field: str, value: str) -> None:
    """Raises InputError if ``value`` is not a TPM Name in lowercase hex."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InputError(f"Could not read {field} '{value}': it is no TPM Name; write name algorithm and digest in lowercase hex.")


def text(field: str, value: str, *, empty: bool = True, longest: int = _LONGEST) -> None:
    """Raises InputError if ``value`` is not a printable text of at most ``longest`` characters."""
    if not isinstance(value, str) or not (value or empty):
        raise InputError(f"Could not register a device: its {field} is missing; give one.")
    if len(value) > longest or not value.isprintable() or value != value.strip():
        raise InputError(
            f"Could not register {field} {value[:80]!r}: it is longer than {longest} characters, begins or ends with a space, "
            "or has a character that cannot be printed; correct it."
        )


def clean(value: str, *, longest: int = _LONGEST) -> str:
    """``value`` on one line, at most ``longest`` characters, with an escape in place of each unprintable character."""
    return _text.shown(" ".join(str(value).replace("\0", " ").split()), longest).strip()


def detail(value: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
    """Return ``value`` if JSON can represent it. Raises InputError."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"Could not note an event: its detail is no JSON ({error}); give texts, numbers, lists and mappings.") from None
    return value


def auth_key(ek_name: str, hierarchy: str, generation: int) -> None:
    """Raises InputError if the three do not identify an auth value."""
    name("ek_name", ek_name)
    if hierarchy not in HIERARCHIES:
        raise InputError(f"Could not escrow an auth for the hierarchy '{hierarchy}': there is none; use one of {', '.join(HIERARCHIES)}.")
    if isinstance(generation, bool) or not isinstance(generation, int) or not 1 <= generation < 1 << 31:
        raise InputError(f"Could not escrow an auth of generation '{generation}': generations are 1, 2, 3 and so on; give one of them.")


__all__ = (
    "check_verdict",
    "cleaned_verdict",
    "CERTIFICATE_KINDS",
    "HIERARCHIES",
    "LONGEST_DETAIL",
    "RUNGS",
    "Certificate",
    "Device",
    "ShownEk",
    "Event",
    "Identity",
    "Incident",
    "Place",
    "StoredAuth",
    "auth_key",
    "clean",
    "detail",
    "name",
    "text",
)
