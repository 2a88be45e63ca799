# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The envelope of a birth record: DSSE (github.com/secure-systems-lab/dsse, protocol 1.0), with the signing certificate beside it."""

from __future__ import annotations

import base64
import binascii
import json
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import schema
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.schema import refuse

PAYLOAD_TYPE = "application/vnd.edgefleet.tpm2.birth+json"
MAX_BYTES = 1 << 20


def encode(payload: t.Mapping[str, t.Any]) -> bytes:
    """The payload's bytes: JSON in UTF-8, with sorted keys and without white space."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def pae(body: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """The bytes that a DSSE signature covers: the pre-authentication encoding of type and payload."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(body), body)


def loads(text: str | bytes, what: str) -> t.Any:
    """Parse a JSON text, which errors call ``what``. Raises BirthRecordError."""
    try:
        found = json.loads(text)
        # JSON can escape half a surrogate pair, which is not a character and cannot be encoded.
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise refuse(f"{what} has half a surrogate pair where a character should be") from None
    except (ValueError, RecursionError):
        raise refuse(f"{what} is no JSON") from None
    return found


def parse(text: str | bytes, payload_type: str = PAYLOAD_TYPE) -> tuple[dict[str, t.Any], bytes]:
    """Envelope and payload bytes of a record. Verifies nothing. Raises BirthRecordError if it is not a DSSE envelope."""
    if len(text) > MAX_BYTES:
        raise refuse(f"it is larger than {MAX_BYTES} bytes")
    envelope = loads(text, "it")
    if not isinstance(envelope, dict) or not isinstance(envelope.get("payload"), str) or not isinstance(envelope.get("certificate"), str):
        raise refuse("it is no DSSE envelope with payload and certificate")
    if envelope.get("payloadType") != payload_type:
        raise refuse(f"its payload type is {envelope.get('payloadType')}, not {payload_type}")
    return envelope, decode(envelope["payload"], "payload")


def decode(value: t.Any, what: str) -> bytes:
    """The bytes of a base64 text. Raises BirthRecordError."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise refuse(f"its {what} is not base64") from None


def document(body: bytes) -> dict[str, t.Any]:
    """Parse the payload and check it against the schema. Raises BirthRecordError."""
    payload = loads(body, "its payload")
    found = schema.fault(payload, schema.PAYLOAD)
    if found:
        raise refuse(f"{found} (schema version {schema.VERSION})")
    return t.cast("dict[str, t.Any]", payload)


__all__ = ("PAYLOAD_TYPE", "decode", "document", "encode", "loads", "pae", "parse")
