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
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import canonical, deps
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path as paths
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import (
    Certificate,
    extension,
    is_self_signed,
    overlooked,
    shown,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import NameOID, x509

MAX_SIZE = 16 << 20
_SHA256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_OTHER_LABEL = re.compile(rb"^-----BEGIN (?!CERTIFICATE-|X509 CRL-)([A-Z0-9 ]+)-----", re.MULTILINE)


class BundleError(TpmError):
    """A trust bundle or a CRL cannot be used."""


# Why a certificate of a bundle is not used; words are stable. The other word is `malformed`.
NOT_A_CA = "not_a_ca"
MAX_TOLD = 50  # certificates of a bundle that a result lists


class NotedCertificate(t.NamedTuple):
    """A certificate of a bundle that the result reports: its number in the file (from 1; 0 for a block of another label), and its owner's
    names as far as they can be read.

    `words` say why it was left out (`malformed` or `not_a_ca`), or which faults in it were overlooked (`canonical.RULES`).
    """

    number: int
    subject: str
    vendor: str
    words: tuple[str, ...]
    detail: str


class Bundle(t.NamedTuple):
    """The CA certificates of one file. `roots` are the self-signed ones, `total` is the number of certificates in the file.

    `left_out` are not used; `lenient` are used although cryptography refuses them as they are.
    """

    path: str
    sha256: str
    certificates: tuple[Certificate, ...]
    roots: frozenset[bytes]  # DER
    by_subject: t.Mapping[x509.Name, t.Sequence[Certificate]]
    total: int
    left_out: tuple[NotedCertificate, ...]
    lenient: tuple[NotedCertificate, ...]

    def rooted(self) -> frozenset[x509.Name]:
        """The subjects of the CAs from which issuer names lead to a root of the bundle."""
        rooted = {one.subject for one in self.certificates if one.subject == one.issuer}
        # A CA whose issuer leads to a root leads there too. The CAs come in any order, so the loop runs until it finds no more.
        while more := {one.subject for one in self.certificates if one.issuer in rooted} - rooted:
            rooted |= more
        return frozenset(rooted)

    def warning(self) -> str:
        """One sentence on all certificates that were left out; empty if none were."""
        if not self.left_out:
            return ""
        each: dict[tuple[str, str], int] = {}
        for one in self.left_out:
            key = one.vendor or one.subject or "one without a readable name", one.words[0]
            each[key] = each.get(key, 0) + 1
        told = [f"{count} of {vendor} ({word})" for (vendor, word), count in sorted(each.items())]
        more = f" and {len(told) - 10} more" if len(told) > 10 else ""
        lost = (
            "was left out, and no EK is trusted through it"
            if len(self.left_out) == 1
            else "were left out, and no EK is trusted through them"
        )
        return (
            f"Of the {self.total} certificates of the trust bundle {self.path}, {len(self.left_out)} {lost}: {', '.join(told[:10])}{more}. "
            "The result lists each in trust_bundle.left_out."
        )

    def describe(self) -> dict[str, t.Any]:
        """For a result: what was read, left out and overlooked."""
        return {
            "path": self.path,
            "sha256": self.sha256,
            "certificates": self.total,
            "left_out": [row(one, "reason", one.words[0]) for one in self.left_out[:MAX_TOLD]],
            "left_out_count": len(self.left_out),
            "lenient": [row(one, "rules", list(one.words)) for one in self.lenient[:MAX_TOLD]],
            "lenient_count": len(self.lenient),
        }


def row(one: NotedCertificate, name: str, words: t.Any) -> dict[str, t.Any]:
    """A certificate for a result; its `words` are under the key `name`."""
    return {"number": one.number, "subject": one.subject, "vendor": one.vendor, name: words, "detail": one.detail}


def content(path: str, what: str) -> bytes:
    """The content of a file with certificates or CRLs, at most `MAX_SIZE` bytes; errors call it `what`. Raises BundleError."""
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
    """Number and DER of each PEM block with that label; None in place of DER if it is not base64 (RFC 7468, section 2).

    A block begins and ends with lines of its own, as for OpenSSL: a comment is a comment, whatever it says. Other mentions of its beginning
    come last, as number 0 without DER, so that no certificate is lost in silence. The time that this takes grows only as the data does.
    """
    begin = f"-----BEGIN {label}-----".encode()
    marker = rb"(?:^|\A\xef\xbb\xbf)-----(BEGIN|END) %b-----[ \t\r]*$" % label.encode()
    number, start = 0, -1
    for one in re.finditer(marker, data, re.MULTILINE):
        if one[1] == b"BEGIN":
            start = one.end()
        elif start >= 0:
            number += 1
            yield number, _from_base64(data[start : one.start()])
            start = -1
    yield from ((0, None) for _each in range(data.count(begin) - number))


def _from_base64(block: bytes) -> bytes | None:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except ValueError:
        return None


def vendor_of(one: Certificate) -> str:
    """The name of the CA's owner from its subject, fit to be shown; empty if the subject names none."""
    found = one.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return _text.shown(found[0].value, 80) if found else ""


def _known(number: int, one: Certificate, words: tuple[str, ...], detail: str) -> NotedCertificate:
    return NotedCertificate(number, shown(one.subject), vendor_of(one), words, detail)


def _unreadable(number: int, der: bytes | None, why: str) -> NotedCertificate:
    """The report on a certificate that cannot be read, with those names that can."""
    named = canonical.subject_texts(der or b"")
    vendor = next((text for kind, text in named if kind == canonical.ORGANIZATION), "")
    return NotedCertificate(
        number, _text.shown(", ".join(text for _kind, text in named), 120), _text.shown(vendor, 80), (verdict.MALFORMED,), why
    )


class _Reading:
    """The certificates of a file, sorted into those that are used, those that are not, and those read leniently."""

    def __init__(self) -> None:
        self.found: dict[bytes, Certificate] = {}
        self.left_out: list[NotedCertificate] = []
        self.lenient: list[NotedCertificate] = []
        self.total = 0

    def take(self, number: int, der: bytes | None) -> None:
        """Take in one block."""
        self.total += 1
        try:
            if der is None:
                raise ValueError("it is not base64 between -----BEGIN and -----END, each on a line of its own")
            one = certificate.parse(der)
            basic = extension(one, x509.BasicConstraints)
        except ValueError as error:
            self.left_out.append(_unreadable(number, der, str(error)))
            return
        if basic is None or not basic.ca:
            self.left_out.append(_known(number, one, (NOT_A_CA,), "it is not a CA's certificate"))
            return
        if der not in self.found and overlooked(one):
            why = " and ".join(canonical.RULES[rule] for rule in overlooked(one))
            self.lenient.append(_known(number, one, overlooked(one), why))
        self.found[der] = one


def load_bundle(path: str, sha256: str) -> Bundle:
    """Read a PEM file of CA certificates whose SHA-256 is `sha256` (hex, any case). The bundle says what was left out, and why.

    Raises BundleError if path or hash is not given, or the file is missing, not readable, has another hash or holds no CA certificate;
    DependencyError without `cryptography`.
    """
    check_given(path, sha256)
    return read_bundle(content(path, "trust bundle"), path, sha256)


def check_given(path: str, sha256: str) -> None:
    """Check that path and hash of a bundle are given. Raises BundleError."""
    if not path or not sha256:
        raise BundleError(
            f"Could not use a trust bundle: {'its SHA-256' if path else 'its path'} is not given; give both, so that nobody can exchange it."
        )
    if not _SHA256.fullmatch(sha256):
        raise BundleError(f"Could not use the trust bundle {path}: '{sha256}' is no SHA-256; give the 64 hex digits of sha256sum.")


def read_bundle(data: bytes, path: str, sha256: str) -> Bundle:
    """Read the content of a bundle's file; `path` is its name in errors. Raises as `load_bundle`."""
    _keys.require()
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256.lower():
        raise BundleError(
            f"Could not use the trust bundle {path}: its SHA-256 is {actual}, not {sha256.lower()}; "
            "see who has changed it before you give the new hash."
        )
    read = _Reading()
    for number, der in _blocks(data, "CERTIFICATE"):
        read.take(number, der)
    for label in _OTHER_LABEL.findall(data):
        read.total += 1
        read.left_out.append(_unreadable(0, None, f"it is a PEM block of {label.decode('ascii')}; write it as one of CERTIFICATE"))
    found = read.found
    if not found:
        raise BundleError(f"Could not use the trust bundle {path}: there is no CA certificate in it; give a PEM file of TPM vendors' CAs.")
    by_subject = paths.anchors(found.values()).by_subject
    roots = frozenset(der for der, one in found.items() if is_self_signed(one))
    return Bundle(path, actual, tuple(found.values()), roots, by_subject, read.total, tuple(read.left_out), tuple(read.lenient))


def load_crls(paths: t.Iterable[str]) -> tuple[x509.CertificateRevocationList, ...]:
    """Read CRLs, each file DER or PEM with one or more. Their signatures are checked later, by `crl`.

    Raises BundleError naming a file that is missing, not readable or not a CRL; DependencyError without `cryptography`.
    """
    _keys.require()
    found = []
    for path in paths:
        data = content(path, "CRL")
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


__all__ = (
    "MAX_SIZE",
    "MAX_TOLD",
    "NOT_A_CA",
    "Bundle",
    "BundleError",
    "NotedCertificate",
    "check_given",
    "content",
    "load_bundle",
    "load_crls",
    "read_bundle",
    "row",
    "vendor_of",
)
