# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The schema of a birth record's payload, version 1 (docs/birth-record.md says what each field means)."""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError

SCHEMA = "edgefleet.tpm2/birth"
VERSION = 1


class BirthRecordError(TpmError):
    """A birth record cannot be made or is not to be trusted; ``clause`` is the part of the sentence that says why, or empty."""

    reason = "birth_record"

    def __init__(self, message: str, clause: str = "") -> None:
        super().__init__(message)
        self.clause = clause


def refuse(clause: str) -> BirthRecordError:
    """The error for a record that was read; ``clause`` says what is wrong."""
    return BirthRecordError(f"Could not accept a birth record: {clause}; get the record anew from where it was made.", clause)


_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


def _text(value: t.Any) -> bool:
    return isinstance(value, str)


def _hexadecimal(value: t.Any) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _bytes(value: t.Any) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return False


def _time(value: t.Any) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None and parse_time(value) is not None


def _pem(value: t.Any) -> bool:
    return isinstance(value, str) and value.startswith("-----BEGIN ")


def _number(value: t.Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def parse_time(value: str) -> datetime.datetime | None:
    """A time in a record, aware; None if it is not a time."""
    try:
        return datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        return None


class Maybe(t.NamedTuple):
    """The rule: null, or what the rule ``of`` accepts."""

    of: t.Any


class Many(t.NamedTuple):
    """The rule: a list of what the rule ``of`` accepts."""

    of: t.Any


class Named(t.NamedTuple):
    """The rule: an object whose keys are in ``names`` (None: any text), with values that the rule ``of`` accepts."""

    of: t.Any
    names: tuple[str, ...] | None


# A dict is the rule for an object with exactly these keys; a function is the rule for a value that it accepts.
KEY = {"name": _hexadecimal, "public": _hexadecimal, "public_key": _pem}
ATTESTATION = {
    "type": _text,
    "attest": _bytes,
    "signature": _bytes,
    "scheme": _text,
    "hash": _text,
    "nonce": _hexadecimal,
    "signer": _hexadecimal,
    "firmware": _hexadecimal,
    "clock": {"clock": _number, "reset_count": _number, "restart_count": _number, "safe": lambda value: isinstance(value, bool)},
}
PCR = {"bank": _text, "index": _number, "digest": _hexadecimal}
KINDS = ("iak", "idevid", "ldevid")
PAYLOAD: dict[str, t.Any] = {
    "schema": lambda value: value == SCHEMA,
    "version": lambda value: value == VERSION,
    "time": _time,
    "device": {"serial": _text, "host": Maybe(_text), "mac": Maybe(_text), "site": Maybe(_text), "model": Maybe(_text)},
    "tpm": {"manufacturer": _text, "model": Maybe(_text), "firmware": _text, "advisories": Many(_text)},
    "ek": {
        **KEY,
        "spki_sha256": _hexadecimal,
        "certificate": Maybe(_pem),
        "chain": Many(_pem),
        "verdict": {
            "rung": _text,
            "reason": _text,
            "detail": Maybe(_text),
            "revocation": Maybe(_text),
            "notes": Many(_text),
            "bundle_sha256": Maybe(_hexadecimal),
            "manufacturer": Maybe(_text),
        },
    },
    "ak": KEY,
    "idevid": Maybe(KEY),
    "ldevid": Maybe(KEY),
    "activation": {
        "time": _time,
        "ek_name": _hexadecimal,
        "ak_name": _hexadecimal,
        "credential_blob_sha256": _hexadecimal,
        "encrypted_secret_sha256": _hexadecimal,
        "result": _text,
    },
    "certify": Maybe({**ATTESTATION, "object_name": _hexadecimal, "object_qualified_name": _hexadecimal}),
    "certify_ldevid": Maybe({**ATTESTATION, "object_name": _hexadecimal, "object_qualified_name": _hexadecimal}),
    "nv_certify": Maybe({**ATTESTATION, "index_name": _hexadecimal, "offset": _number, "contents": _hexadecimal}),
    "quote": Maybe({**ATTESTATION, "pcr_digest": _hexadecimal, "pcrs": Many(PCR)}),
    "certificates": Named(_pem, KINDS),
    "versions": Named(_text, None),
}


def fault(value: t.Any, rule: t.Any, where: str = "") -> str | None:
    """A clause that says where a value breaks a rule; None if it does not."""
    place = where or "the payload"
    if isinstance(rule, Maybe):
        return None if value is None else fault(value, rule.of, where)
    if isinstance(rule, Many):
        if not isinstance(value, list):
            return f"{place} is no list"
        return next((found for at, one in enumerate(value) if (found := fault(one, rule.of, f"{where}[{at}]"))), None)
    if callable(rule):
        return None if rule(value) else f"{place} is missing or malformed"
    if not isinstance(value, dict):
        return f"{place} is no object"
    rules = dict.fromkeys(value, rule.of) if isinstance(rule, Named) else rule
    allowed = rule.names if isinstance(rule, Named) else tuple(rule)
    unknown = sorted(set(value) - set(allowed)) if allowed is not None else []
    if unknown:
        return f"{place} has the unknown field {unknown[0]}"
    for name in sorted(rules):
        inner = f"{where}.{name}" if where else name
        if name not in value:
            return f"{inner} is missing"
        found = fault(value[name], rules[name], inner)
        if found:
            return found
    return None


__all__ = ("KINDS", "PAYLOAD", "SCHEMA", "VERSION", "BirthRecordError", "fault", "parse_time", "refuse")
