# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The CAs that a user trusts to vouch for EKs: one PEM file with its SHA-256, and their CRLs (RFC 7468; RFC 5280)."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import extension, is_self_signed, shown
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509

MAX_SIZE = 16 << 20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class BundleError(TpmError):
    """A trust bundle or a CRL cannot be used."""


class Bundle(t.NamedTuple):
    """The CA certificates of one file. C(roots) are those that are self-signed; C(notes) say what was left out."""

    path: str
    sha256: str
    certificates: tuple[x509.Certificate, ...]
    roots: frozenset[bytes]  # DER
    by_subject: dict[x509.Name, list[x509.Certificate]]
    notes: tuple[str, ...]


def _content(path: str, what: str) -> bytes:
    try:
        with pathlib.Path(path).open("rb") as stream:
            data = stream.read(MAX_SIZE + 1)
    except FileNotFoundError:
        raise BundleError(f"Could not read the {what} {path}: there is no such file; give the path of one on the controller.") from None
    except OSError as error:
        raise BundleError(f"Could not read the {what} {path}: {error.strerror}; give a file that this user may read.") from None
    if len(data) > MAX_SIZE:
        raise BundleError(f"Could not read the {what} {path}: it has more than {MAX_SIZE >> 20} MiB; give a file of PEM or DER.")
    return data


def _blocks(data: bytes, label: str) -> t.Iterator[tuple[int, bytes | None]]:
    """Number and DER of each PEM block with that label; None where it is no base64 (RFC 7468, section 2)."""
    pattern = rf"-----BEGIN {label}-----(.*?)-----END {label}-----".encode()
    for number, block in enumerate(re.findall(pattern, data, re.DOTALL), 1):
        try:
            yield number, base64.b64decode(b"".join(block.split()), validate=True)
        except ValueError:
            yield number, None


def _certificates(data: bytes) -> tuple[dict[bytes, x509.Certificate], list[str]]:
    found: dict[bytes, x509.Certificate] = {}
    notes = []
    for number, der in _blocks(data, "CERTIFICATE"):
        try:
            one = certificate.parse(der or b"")
            basic = extension(one, x509.BasicConstraints)
        except ValueError:
            notes.append(f"Certificate {number} of the trust bundle was left out: it cannot be read.")
            continue
        if basic is None or not basic.ca:
            notes.append(f"Certificate {number} of the trust bundle ({shown(one.subject)}) was left out: it is not that of a CA.")
        else:
            found[der or b""] = one
    return found, notes


def load_bundle(path: str, sha256: str) -> Bundle:
    """Read a PEM file of CA certificates whose SHA-256 is C(sha256) (hex, any case). Certificates of no CA are left out, with a note.

    Raises BundleError where path or hash is not given, the file is missing, not readable, another one or holds no CA certificate;
    DependencyError without C(cryptography).
    """
    _keys.require()
    if not path or not sha256:
        raise BundleError(
            f"Could not use a trust bundle: {'its SHA-256' if path else 'its path'} is not given; give both, so that nobody can exchange it."
        )
    if not _SHA256.fullmatch(sha256):
        raise BundleError(f"Could not use the trust bundle {path}: '{sha256}' is no SHA-256; give the 64 hex digits of sha256sum.")
    data = _content(path, "trust bundle")
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256.lower():
        raise BundleError(
            f"Could not use the trust bundle {path}: its SHA-256 is {actual}, not {sha256.lower()}; "
            "see who has changed it before you give the new hash."
        )
    found, notes = _certificates(data)
    if not found:
        raise BundleError(f"Could not use the trust bundle {path}: there is no CA certificate in it; give a PEM file of TPM vendors' CAs.")
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for one in found.values():
        by_subject.setdefault(one.subject, []).append(one)
    roots = frozenset(der for der, one in found.items() if is_self_signed(one))
    return Bundle(path, actual, tuple(found.values()), roots, by_subject, tuple(notes))


def load_crls(paths: t.Iterable[str]) -> tuple[x509.CertificateRevocationList, ...]:
    """Read CRLs, each file DER or PEM with one or more. Their signatures are checked where they are used.

    Raises BundleError naming the file that is missing, not readable or no CRL; DependencyError without C(cryptography).
    """
    _keys.require()
    found = []
    for path in paths:
        data = _content(path, "CRL")
        ders = [der for _number, der in _blocks(data, "X509 CRL")] if b"-----BEGIN" in data else [data]
        try:
            parsed = [x509.load_der_x509_crl(der or b"") for der in ders]
            for one in parsed:
                _touched = one.extensions, one.issuer, one.next_update_utc, one.last_update_utc
        except deps.malformed():
            parsed = []
        if not parsed:
            raise BundleError(f"Could not use the CRL {path}: it is neither a DER nor a PEM certificate revocation list; fetch it again.")
        found += parsed
    return tuple(found)


__all__ = ("Bundle", "BundleError", "load_bundle", "load_crls")
