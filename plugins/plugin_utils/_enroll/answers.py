# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read a device's answers to ``tpm2_evidence``, which are not trusted, and make parts of the questions."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der, names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.evidence_checks import EvidenceError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, ladder
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import subject_der

Answer = t.Mapping[str, t.Any]
# The fields of an answer with certificates, their name in errors, and the most that there can be: the profile's number of NV indices.
_CERTIFICATES = (("certificates", "EK certificate", 16), ("chain", "EK certificate chain", 256))


class Shown(t.NamedTuple):
    """What a device shows of its EK, and its AK if it has one. Certificates are DER or padded DER."""

    ek: names.Public
    ak: names.Public | None
    certificates: tuple[bytes, ...]
    chain: tuple[bytes, ...]
    identity: t.Mapping[str, str]

    def own_certificate(self) -> bytes | None:
        """The certificate whose key is the EK's, or None."""
        for one in self.certificates:
            try:
                if certificate.read(one).spki == _keys.spki(self.ek):
                    return one
            except (TrustError, _keys.KeyMaterialError):
                continue
        return None

    def ek_certificate(self) -> bytes | None:
        """The certificate whose key is the EK's; else the first one, so that the error can say what is wrong with it; else None."""
        return self.own_certificate() or (self.certificates[0] if self.certificates else None)


class Collected(t.NamedTuple):
    """The first answer. ``values``: the quoted PCRs' values by index."""

    ek: names.Public
    ak: names.Public
    idevid: names.Public | None
    ldevid: names.Public | None
    certificates: tuple[bytes, ...]
    chain: tuple[bytes, ...]
    identity: t.Mapping[str, str]
    nv_certify: Attestation | None
    quote: Attestation | None
    values: t.Mapping[int, bytes]
    certify: t.Mapping[str, Attestation]

    @property
    def shown(self) -> Shown:
        """The part of the answer that decides whether we trust the EK."""
        return Shown(self.ek, self.ak, self.certificates, self.chain, self.identity)


def _broken(what: str) -> EvidenceError:
    return EvidenceError(
        f"Could not read the device's answer: {what}; keep the device out, and see that it runs this version of the collection.",
        "malformed_answer",
    )


def missing(what: str, reason: str) -> EvidenceError:
    """The error if a device omits what it was asked for."""
    return EvidenceError(f"Could not accept {what}: the device omitted it; keep it out.", reason)


def octets(value: t.Any, what: str) -> bytes:
    """The bytes of a base64 text in an answer. Raises EvidenceError."""
    try:
        return base64.b64decode(_text(value, what), validate=True)
    except (binascii.Error, ValueError):
        raise _broken(f"its {what} is no base64") from None


def hexadecimal(value: t.Any, what: str) -> bytes:
    """The bytes of a hex text in an answer. Raises EvidenceError."""
    try:
        return bytes.fromhex(_text(value, what))
    except ValueError:
        raise _broken(f"its {what} is no hex") from None


def word(value: t.Any) -> str:
    """The reason that a device gives if it is a single word; else an empty text."""
    return value if isinstance(value, str) and re.fullmatch("[A-Za-z0-9_]{1,64}", value) else ""


def _text(value: t.Any, what: str) -> str:
    if not isinstance(value, str):
        raise _broken(f"its {what} is missing")
    return value


def _mapping(value: t.Any, what: str) -> Answer:
    if not isinstance(value, dict):
        raise _broken(f"its {what} is missing")
    return value


def listed(value: t.Any, what: str, most: int) -> list[t.Any]:
    """A list in an answer, empty if the answer has none. Raises EvidenceError."""
    found = [] if value is None else value
    if not isinstance(found, list):
        raise _broken(f"its {what} is no list")
    if len(found) > most:
        raise _broken(f"its {what} has {len(found)} entries, more than the {most} that there can be")
    return found


def signed(value: t.Any, what: str) -> Attestation:
    """An attestation in an answer. Raises EvidenceError."""
    found = _mapping(value, what)
    return Attestation(octets(found.get("attest"), what), octets(found.get("signature"), what))


def _public(keys: Answer, handle: str, what: str) -> names.Public:
    raw = hexadecimal(keys.get(handle), what)
    try:
        found = names.parse_public(raw)
        _name = found.name  # raises an error for a public area without a Name
    except TpmError:
        raise _broken(f"its {what} is no public area") from None
    return found


def _pcrs(quote: Answer) -> dict[int, bytes]:
    values = _mapping(quote.get("pcrs"), "PCRs")
    if not all(re.fullmatch("[0-9]{1,2}", str(index)) for index in values):
        raise _broken("its PCR indices are not numbers")
    return {int(index): hexadecimal(value, "PCRs") for index, value in values.items()}


def _certified(answer: Answer) -> dict[str, Attestation]:
    """The AK's attestations of keys, by handle, and of the IDevID, as ``idevid``."""
    found = {} if answer.get("certify") is None else dict(_mapping(answer["certify"], "certified keys"))
    if answer.get("certify_idevid") is not None:
        found["idevid"] = answer["certify_idevid"]
    return {str(name): signed(one, "certified key") for name, one in found.items()}


def shown(answer: Answer, where: settings.Handles) -> Shown:
    """Parse what an answer shows of the EK. Raises EvidenceError, malformed_answer."""
    keys, identity = _mapping(answer.get("publics"), "keys"), answer.get("identity")
    certificates, chain = (tuple(octets(one, what) for one in listed(answer.get(field), what, most)) for field, what, most in _CERTIFICATES)
    return Shown(
        ek=_public(keys, where.ek, "EK"),
        ak=_public(keys, where.ak, "AK") if where.ak in keys else None,
        certificates=certificates,
        chain=chain,
        # Made printable, because a TPM may call itself anything, and we store it.
        identity={str(name): records.clean(value) for name, value in identity.items()} if isinstance(identity, dict) else {},
    )


def collected(answer: Answer, where: settings.Handles, ldevid: str | None, with_idevid: bool) -> Collected:
    """Parse the first answer. Raises EvidenceError, malformed_answer."""
    keys, told = _mapping(answer.get("publics"), "keys"), shown(answer, where)
    quote, serial = answer.get("quote"), answer.get("nv_certify")
    return Collected(
        ek=told.ek,
        ak=told.ak or _public(keys, where.ak, "AK"),
        idevid=_public(keys, where.idevid, "IDevID") if with_idevid else None,
        ldevid=_public(keys, ldevid, "LDevID") if ldevid else None,
        certificates=told.certificates,
        chain=told.chain,
        identity=told.identity,
        nv_certify=None if serial is None else signed(serial, "certified serial number"),
        quote=None if quote is None else signed(quote, "quote"),
        values={} if quote is None else _pcrs(quote),
        certify=_certified(answer),
    )


def shown_names(answer: Answer, handles: t.Iterable[str]) -> dict[str, str]:
    """The Names (hex) of the public areas in an answer, by handle. Raises EvidenceError, malformed_answer."""
    keys = _mapping(answer.get("publics"), "keys")
    return {handle: _public(keys, handle, f"key at {handle}").name.hex() for handle in handles if handle in keys}


def known_issuers(policy: ladder.Policy) -> list[str]:
    """Name hashes of the issuers whose certificates we have. A device need not read its certificate chain in NV for these."""
    found = policy.bundle
    if found is None:
        return []
    rooted = found.rooted()
    return sorted({der.name_hash(subject_der(one)) for one in found.certificates if one.subject in rooted})


def _rows(observed: t.Any, what: str) -> list[Answer]:
    rows = observed.get(what) if isinstance(observed, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def observed_names(observed: t.Any, handles: t.Iterable[str]) -> dict[str, str]:
    """The Names (hex) that a run of ``tpm2_profile`` found, by handle; without the handles of which the run says nothing."""
    found: dict[str, str] = {}
    for row in _rows(observed, "resources"):
        if row.get("name"):
            found.update({handle: str(row["name"]) for handle in handles if settings.same_handle(str(row.get("object")), handle)})
    return found


def yet_to_be_made(observed: t.Any, handles: t.Iterable[str]) -> frozenset[str]:
    """The handles at which ``tpm2_profile``, in check mode, reported that it would make a primary key."""
    steps = [row for row in _rows(observed, "steps") if row.get("kind") == "primary_key" and row.get("action") == "create_primary"]
    made = [str(row.get("object")) for row in steps]
    return frozenset(handle for handle in handles if any(settings.same_handle(one, handle) for one in made))


def selection(chosen: pcr.Selection | None) -> dict[str, t.Any] | None:
    """A PCR selection in the form that ``tpm2_evidence`` takes."""
    return None if chosen is None else {"bank": chosen.bank, "indices": list(chosen.indices)}


def digest(data: bytes, name: str) -> str:
    """The digest of ``data`` with the hash ``name``, hex, in the form that ``tpm2_evidence`` takes for signing."""
    return hashlib.new(name, data).hexdigest()


__all__ = (
    "Answer",
    "Collected",
    "Shown",
    "collected",
    "digest",
    "hexadecimal",
    "known_issuers",
    "listed",
    "missing",
    "observed_names",
    "octets",
    "selection",
    "shown",
    "shown_names",
    "signed",
    "word",
    "yet_to_be_made",
)
