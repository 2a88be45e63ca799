# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""EK certificates that are not on the chip: the controller fetches them from the vendor's service and keeps them.

The addresses are those that tpm2-tools and Windows use: each contains a hash of the public key, computed in the vendor's own way. A
fetched certificate is trusted no more than one in NV: it must be for this EK, and goes through the same ladder.
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
    """A vendor's service. ``address`` makes the last part of an EK's address; ``unpack`` the DER of an answer, or raises ValueError."""

    name: str
    title: str
    manufacturer: str
    url: str
    address: t.Callable[[names.Public], str]
    unpack: t.Callable[[bytes], bytes]


class Services(t.NamedTuple):
    """What the user allows: services by name, the folder in which to keep certificates, addresses of mirrors by service,
    a PEM file with the CAs of those servers, and the seconds that an answer may take."""

    names: frozenset[str]
    cache: pathlib.Path
    urls: t.Mapping[str, str] = {}
    authorities: str | None = None
    limit: float = 20


class Fetched(t.NamedTuple):
    """An EK's certificate: DER, the service that gave it, and whether an earlier run had kept it."""

    certificate: bytes
    service: Service
    kept: bool


class ServiceError(_https.FetchError):
    """A service's answer is not a certificate for that EK."""


def _numbers(public: names.Public) -> tuple[bool, bytes, bytes]:
    """Whether a key is ECC, then its numbers as bytes: x and y, each as long as the curve's size; or modulus and shortest exponent."""
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
    """The DER in the member ``certificate`` of a JSON object: base64url, whose padding may be percent-encoded. Raises ValueError."""
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
    """The service of a manufacturer (in any spelling), or None if there is none that the user allows."""
    wanted = vendors.normalise(manufacturer)
    return next((one for one in SERVICES if one.name in allowed.names and one.manufacturer == wanted), None)


def find(allowed: Services, service: Service, ek: names.Public, *, keep: bool) -> Fetched | None:
    """The certificate of an EK from a service, or the copy that an earlier run kept; None if the service has none.

    ``keep``: keep what was fetched. Raises FetchError; TpmError if it cannot be kept, or the EK's key is malformed.
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
    """The DER of the certificate for an EK in what ``url`` answered. Raises ServiceError if there is none."""
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
    """The DER that an earlier run kept, empty if there is none. Raises TpmError if it cannot be read."""
    what = f"the kept EK certificate {path}"
    return _files.read(str(path), what, certificate.MAX_SIZE) if _files.is_there(path, what) else b""


def _fault(der: bytes, ek: names.Public) -> str:
    """Why these bytes are not a certificate for this EK; empty if they are one."""
    try:
        found = certificate.read(der)
    except TrustError as error:
        return f"it is no certificate ({error.reason})"
    return "" if found.spki == _keys.spki(ek) else "it is a certificate for another key"


__all__ = ("SERVICES", "Fetched", "Service", "ServiceError", "Services", "find", "of", "taken")
