# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""EK certificates that are not on the chip: where a vendor keeps them, and how they are fetched by the controller and kept.

The addresses are those that tpm2-tools and Windows ask: the hash of the public key, as each vendor builds it. What comes back is no more
believed than what lies in NV: it has to be for just this EK, and goes through the same ladder.
"""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import typing as t
import urllib.parse

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _files, _https, _keys, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, vendors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec

MAX_ANSWER = 4 * certificate.MAX_SIZE


class Service(t.NamedTuple):
    """A vendor's service. C(address) makes the last part of the address of an EK, C(unpack) the DER of an answer (ValueError)."""

    name: str
    title: str
    manufacturer: str
    url: str
    address: t.Callable[[names.Public], str]
    unpack: t.Callable[[bytes], bytes]


class Services(t.NamedTuple):
    """What the user allows: services by name, the folder for what they gave, their addresses where they are others (mirrors),
    a PEM file with the CAs of those servers, and how many seconds an answer may take."""

    names: frozenset[str]
    cache: pathlib.Path
    urls: t.Mapping[str, str] = {}
    authorities: str | None = None
    limit: float = 20


class Fetched(t.NamedTuple):
    """A certificate for an EK: DER, the service that gave it, and whether it was kept from an earlier run."""

    certificate: bytes
    service: Service
    kept: bool


class ServiceError(_https.FetchError):
    """A service's answer is no certificate for that EK."""


def _numbers(public: names.Public) -> tuple[bool, bytes, bytes]:
    """Whether a key is an ECC one; its x and y, each as long as its curve, or else modulus and exponent (as short as it can be)."""
    key = _keys.public_key(public)
    if isinstance(key, ec.EllipticCurvePublicKey):
        point, size = key.public_numbers(), (key.key_size + 7) // 8
        return True, point.x.to_bytes(size, "big"), point.y.to_bytes(size, "big")
    numbers = key.public_numbers()
    return False, numbers.n.to_bytes((key.key_size + 7) // 8, "big"), numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8, "big")


def _intel(public: names.Public) -> str:
    """base64url of SHA-256(n ‖ e) or SHA-256(x ‖ y), percent-encoded (tpm2-tools, tpm2_getekcertificate.c)."""
    _ecc, first, second = _numbers(public)
    return urllib.parse.quote(base64.urlsafe_b64encode(hashlib.sha256(first + second).digest()), safe="")


def _amd(public: names.Public) -> str:
    """The first 16 bytes of SHA-256(00002222 ‖ e as four bytes ‖ n) or SHA-256(00004444 ‖ x ‖ y) (the same), in upper-case hex as in the
    addresses that AMD's certificates name."""
    ecc, first, second = _numbers(public)
    hashed = bytes.fromhex("00004444") + first + second if ecc else bytes.fromhex("00002222") + second.rjust(4, b"\0") + first
    return hashlib.sha256(hashed).hexdigest()[:32].upper()


def _json(answer: bytes) -> bytes:
    """The member C(certificate) of an object: base64url, of which the padding may be percent-encoded."""
    try:
        found = json.loads(answer)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    text = found.get("certificate") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise ValueError("it has no certificate")
    text = urllib.parse.unquote(text).rstrip("=")
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars="-_", validate=True)


SERVICES = (
    Service("intel", "Intel", "INTC", "https://ekop.intel.com/ekcertservice/", _intel, _json),
    Service("amd", "AMD", "AMD", "https://ftpm.amd.com/pki/aia/", _amd, bytes),
)


def of(allowed: Services, manufacturer: str) -> Service | None:
    """The service of a manufacturer, as a TPM or a certificate names it, if that one is allowed."""
    wanted = vendors.normalise(manufacturer)
    return next((one for one in SERVICES if one.name in allowed.names and one.manufacturer == wanted), None)


def find(allowed: Services, service: Service, ek: names.Public, *, keep: bool) -> Fetched | None:
    """The certificate of an EK from a service, or from what an earlier run kept of it; None where the service has none.

    C(keep): keep what was fetched. Raises FetchError; TpmError where it cannot be kept, or the EK's key cannot exist.
    """
    path = allowed.cache / f"{service.name}-{_keys.spki_sha256(ek)}.der"
    kept = _kept(path)
    if _fault(kept, ek) == "":
        return Fetched(kept, service, True)
    url = allowed.urls.get(service.name, service.url).rstrip("/") + "/" + service.address(ek)
    answer = _https.get(url, "the EK certificate", most=MAX_ANSWER, limit=allowed.limit, authorities=allowed.authorities)
    if answer is None:
        return None
    der = taken(service, answer, ek, url)
    if keep:
        _files.write(path, der)
    return Fetched(der, service, False)


def taken(service: Service, answer: bytes, ek: names.Public, url: str) -> bytes:
    """The DER of the certificate for an EK in what C(url) answered. Raises ServiceError where there is none."""
    try:
        der = service.unpack(answer)
        fault = _fault(der, ek)
    except ValueError as error:
        der, fault = b"", f"the answer cannot be read ({_text.shown(error, 100)})"
    if fault:
        raise ServiceError(
            f"Could not use what {url} gave as EK certificate: {fault}; see whether the address is right, and run again later."
        )
    return certificate.cut(der)


def _kept(path: pathlib.Path) -> bytes:
    """What was kept in an earlier run; nothing where there is none. Raises TpmError where it cannot be read."""
    return _files.read(str(path), f"the kept EK certificate {path}", certificate.MAX_SIZE) if path.exists() else b""


def _fault(der: bytes, ek: names.Public) -> str:
    """Why these bytes are no certificate for this EK; empty if they are one."""
    try:
        found = certificate.read(der)
    except TrustError as error:
        return f"it is no certificate ({error.reason})"
    return "" if found.spki == _keys.spki(ek) else "it is a certificate for another key"


__all__ = ("SERVICES", "Fetched", "Service", "ServiceError", "Services", "find", "of", "taken")
