# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Make a trust bundle from collections of CA certificates: each a PEM file on the controller or at an HTTPS address, pinned by its hash.

The same collections make the same bundle, byte for byte, so that others can compare its hash.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _https
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.bundle import Bundle, BundleError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate, der_of, shown

HTTPS = "https://"
_NAMELESS = "no organization in its name"


class Source(t.NamedTuple):
    """A collection: a path on the controller or an https address, and the SHA-256 of the file there."""

    src: str
    sha256: str


class Collected(t.NamedTuple):
    """The bundle's text, and the collections that it was made of, parsed."""

    pem: bytes
    bundle: Bundle
    sources: tuple[Bundle, ...]

    def describe(self) -> dict[str, t.Any]:
        """For a result: the text and its hash, the number of certificates by vendor, and those that were left out."""
        rooted = self.bundle.rooted()
        vendors: dict[str, dict[str, t.Any]] = {}
        for one in self.bundle.certificates:
            name = bundle.vendor_of(one) or _NAMELESS
            row = vendors.setdefault(name, {"vendor": name, "certificates": 0, "roots": 0, "without_root": 0})
            row["certificates"] += 1
            row["roots"] += der_of(one) in self.bundle.roots
            row["without_root"] += one.subject not in rooted
        lost = [{"src": one.path, **bundle.row(told, "reason", told.words[0])} for one in self.sources for told in one.left_out]
        return {
            "pem": self.pem.decode(),
            "sha256": self.bundle.sha256,
            "certificates": len(self.bundle.certificates),
            "vendors": [vendors[name] for name in sorted(vendors)],
            "left_out": lost,
        }


def collect(sources: t.Sequence[Source], *, limit: float, authorities: str | None = None) -> Collected:
    """Make a bundle of collections, in their order, each certificate once. `limit`: the seconds in which each must have been fetched.

    Raises BundleError if one has no hash, another hash, or no CA certificate; FetchError; DependencyError.
    """
    if not sources:
        raise BundleError("Could not make a trust bundle: no collection of CA certificates is given; give each with its SHA-256.")
    for one in sources:  # before the first is fetched
        bundle.check_given(one.src, one.sha256)
        if one.src.startswith(HTTPS):
            _https.check_url(one.src, "src")
        elif "://" in one.src:
            raise BundleError(
                f"Could not use the trust bundle {one.src}: it is neither a path nor an address that begins with {HTTPS}; give one."
            )
    read = tuple(bundle.read_bundle(_bytes(one, limit, authorities), one.src, one.sha256) for one in sources)
    found = {der_of(one): one for each in read for one in each.certificates}
    data = b"\n".join(_block(der, one) for der, one in found.items())
    return Collected(data, bundle.read_bundle(data, "made", hashlib.sha256(data).hexdigest()), read)


def _bytes(source: Source, limit: float, authorities: str | None) -> bytes:
    if not source.src.startswith(HTTPS):
        return bundle.content(source.src, "trust bundle")
    found = _https.get(source.src, "the trust bundle", most=bundle.MAX_SIZE, limit=limit, authorities=authorities, follow=True)
    if found is None:
        raise _https.FetchError(
            f"Could not fetch the trust bundle from {source.src}: there is no such file; see whether the address is right."
        )
    return found


def _block(der: bytes, one: Certificate) -> bytes:
    """A certificate in PEM (RFC 7468), with a line before it that names its subject."""
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    # A name that looks like the beginning of a block would count as one that is left out.
    name = shown(one.subject).encode("ascii", "backslashreplace").decode().replace("--", "- -")
    return "\n".join([f"# {name}", "-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()


__all__ = ("Collected", "Source", "collect")
