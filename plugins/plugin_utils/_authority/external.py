# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An external certificate authority: we write requests to files, and read its certificates from files.

In the folder of requests each device has a folder named after its serial number. In it we write ``request.json`` (the evidence, which
is all that a CA needs), ``KIND.csr`` where the device has signed a PKCS#10 request, and ``idevid.FLAVOUR.tcgcsr`` where the options ask
for it. We write ``request.json`` last: once it is there, the other files are too. The CA puts ``KIND.pem`` (or .crt, .cer, .der) there,
by renaming a finished file.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import pathlib
import typing as t
import urllib.parse

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _files
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain, keys, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import der
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import extension, is_self_issued, moment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509

FORMAT = "edgefleet.tpm2/evidence-request"
VERSION = 1
SUFFIXES = (".pem", ".crt", ".cer", ".der")
_MAXIMUM = 1 << 20  # bytes of a certificate file: chains have a few thousand


class ExternalError(TpmError):
    """A request cannot be written, or a certificate that the external CA left is refused."""


class Evidence(t.NamedTuple):
    """What the CA learns about a device. Public areas are TPMT_PUBLIC, certificates DER. ``publics`` and ``requests`` have the kind as key
    (``iak``, ``idevid``, ``ldevid``); ``tcg_csr`` is a flavour and its bytes; ``device`` has host, mac, site, model and the like."""

    subject: profile.DeviceSubject
    ek_public: bytes
    ek_certificate: bytes | None
    ek_chain: t.Sequence[bytes]
    publics: t.Mapping[str, bytes]
    attestations: t.Mapping[str, Attestation]
    requests: t.Mapping[str, str] = {}
    tcg_csr: tuple[str, bytes] | None = None
    device: t.Mapping[str, str] = {}


def folder_of(folder: str | os.PathLike[str], serial: str) -> pathlib.Path:
    """The folder of a device. Characters that mean something in paths, and a leading dot, are percent-encoded."""
    name = urllib.parse.quote(serial, safe=" +,=:()'")
    if not serial:
        raise InputError("Could not name a folder for the requests of a device: its serial number is empty.")
    return pathlib.Path(folder).expanduser() / (f"%2E{name[1:]}" if name.startswith(".") else name)


def publish(folder: str | os.PathLike[str], evidence: Evidence, *, now: datetime.datetime) -> bool:
    """Write a device's request, each file whole or not at all; return whether anything but the time changed.

    Raises ExternalError if the folder cannot be written to.
    """
    where = folder_of(folder, evidence.subject.serial)
    files = {f"{kind}.csr": text.encode() for kind, text in evidence.requests.items()}
    if evidence.tcg_csr is not None:
        files[f"idevid.{evidence.tcg_csr[0]}.tcgcsr"] = evidence.tcg_csr[1]
    document = describe(evidence, now=now)
    old = read_request(folder, evidence.subject.serial)
    if old is not None and {**old, "created": ""} == {**document, "created": ""}:
        if all(_content(where / name) == data for name, data in files.items()):
            return False
    try:
        where.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            _files.replace(where / name, data)
        _files.replace(where / "request.json", (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())
    except OSError as error:
        raise ExternalError(
            f"Could not write the certificate request of {evidence.subject.serial} to {where}: {error.strerror or error}; "
            "see the folder, who may write there, and its space."
        ) from None
    return True


def read_request(folder: str | os.PathLike[str], serial: str) -> dict[str, t.Any] | None:
    """The evidence request of an earlier run; None if there is none, or its format is another."""
    data = _content(folder_of(folder, serial) / "request.json")
    try:
        found = json.loads(data) if data else None
    except ValueError:
        return None
    return found if isinstance(found, dict) and found.get("format") == FORMAT and found.get("version") == VERSION else None


def describe(evidence: Evidence, *, now: datetime.datetime) -> dict[str, t.Any]:
    """The JSON evidence request as a dict: hex for Names and public areas, base64 for attestations, PEM for keys and certificates."""
    attestations = {
        kind: {
            "attest": base64.b64encode(one.attest).decode("ascii"),
            "signature": base64.b64encode(one.signature).decode("ascii"),
            "nonce": one.nonce.hex(),
        }
        for kind, one in evidence.attestations.items()
    }
    certificate = evidence.ek_certificate
    return {
        "format": FORMAT,
        "version": VERSION,
        "created": moment(now),
        "serial": evidence.subject.serial,
        "subject": profile.name(evidence.subject).rfc4514_string(),
        "hardware_serial": evidence.subject.hardware_serial.hex(),
        "device": dict(evidence.device),
        "ek": {
            **_key(evidence.ek_public),
            "certificate": der.pem("CERTIFICATE", certificate) if certificate else None,
            "chain": [der.pem("CERTIFICATE", one) for one in evidence.ek_chain],
        },
        "keys": {kind: _key(public) for kind, public in evidence.publics.items()},
        "attestations": attestations,
        "requests": dict(evidence.requests),
        "tcg_csr_flavour": evidence.tcg_csr[0] if evidence.tcg_csr else None,
    }


def _key(public: bytes) -> dict[str, str]:
    from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys

    parsed = names.parse_public(public)
    return {"name": parsed.name.hex(), "public": public.hex(), "public_key": der.pem("PUBLIC KEY", _keys.spki(parsed))}


def _content(path: pathlib.Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def collect(
    folder: str | os.PathLike[str],
    serial: str,
    kind: str,
    public_key: t.Any,
    authority_certificates: t.Sequence[str | bytes],
    now: datetime.datetime,
    *,
    key_name: str = "",
) -> Certificate | None:
    """The certificate of a kind that the external CA put there for a device; None if it has not yet.

    ``public_key`` is that of the TPM key, ``authority_certificates`` are the PEM texts of the CAs that may have issued it, roots or not.
    Raises ExternalError or CertificateError: two files, unreadable, malformed, for another key, of a CA, without this device's serial
    number, not valid now, or with a chain that does not lead to those CAs.
    """
    where = folder_of(folder, serial)
    found = [path for path in (where / f"{kind}{suffix}" for suffix in SUFFIXES) if _size(path) is not None]
    if not found:
        return None
    what = f"the {kind} certificate of {serial} in {found[0]}"
    if len(found) > 1:
        raise ExternalError(f"Could not choose {what}: {found[1].name} is there too; remove the one that does not count.")
    if (_size(found[0]) or 0) > _MAXIMUM:
        raise ExternalError(f"Could not read {what}: it is larger than {_MAXIMUM} bytes; put the certificate and its chain there, no more.")
    certificates = chain.load(keys.read(str(found[0]), what), what)
    key = keys.public_key(public_key, f"the public key of the {kind} of {serial}")
    leaf = next((one for one in certificates if _certifies(one, key)), None)
    if leaf is None:
        raise ExternalError(f"Could not accept {what}: it is for another key than the {kind} in the device's TPM; have it issued anew.")
    constraints = extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise ExternalError(f"Could not accept {what}: it makes the device a CA; have it issued with CA:FALSE.")
    named = profile.serial_of(leaf.subject)
    if named != serial:
        raise ExternalError(f"Could not accept {what}: the serial number in its subject is {named or 'missing'}; have it issued anew.")
    anchors = [one for text in authority_certificates for one in chain.load(text, "the certificates of the external CA")]
    path = chain.follow(leaf, certificates, anchors, now, what)
    return authority.record(kind, [one for one in path if one is leaf or not is_self_issued(one)], key_name)


def _size(path: pathlib.Path) -> int | None:
    """The size of a file in bytes, None if there is no such file. Raises ExternalError if the folder cannot be searched."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ExternalError(f"Could not look for {path}: {error.strerror or error}; see the folder and who may read it.") from None


def _certifies(certificate: x509.Certificate, key: keys.PublicKey) -> bool:
    # Compared as bytes, because other certificates in the file may hold keys of any type.
    return keys.spki(t.cast("keys.PublicKey", certificate.public_key())) == keys.spki(key)


__all__ = ("FORMAT", "VERSION", "Evidence", "ExternalError", "collect", "describe", "folder_of", "publish", "read_request")
