# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Certificates that we or an external CA issued: read them from files, and find the path to a CA that we trust (``_x509.path``)."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import certificates, deps, path
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import x509

_CURES = {
    path.EXPIRED: "have it renewed",
    path.NOT_YET_VALID: "see that the clock of the controller is right",
    path.WRONG_USAGE: "have it issued by a CA that may issue it",
    path.UNKNOWN_ROOT: "give the CA's certificate and all intermediate ones",
    path.BAD_SIGNATURE: "see where it comes from, and have it issued anew",
    path.UNKNOWN_ISSUER: "give the CA's certificate and all intermediate ones, and no others",
}


class CertificateError(ReasonedError):
    """A certificate or chain is refused; ``reason`` is a word of ``_x509.path``, or ``malformed``."""


def load(data: str | bytes, what: str) -> list[x509.Certificate]:
    """All certificates of a PEM text, or the one of DER bytes. Raises CertificateError if there is no certificate, or one is malformed."""
    deps.require(f"read {what}")
    try:
        raw = data.encode() if isinstance(data, str) else data
        pem = b"-----BEGIN CERTIFICATE-----" in raw
        ders = [certificates.der_of(one) for one in x509.load_pem_x509_certificates(raw)] if pem else [raw]
        found = [certificates.parse(der) for der in ders]
        for one in found:
            one.public_key()
    except deps.malformed():
        raise CertificateError(
            f"Could not read {what}: it holds no well-formed certificate in PEM or DER form; export it again.", "malformed"
        ) from None
    return found


def follow(
    leaf: x509.Certificate, pool: t.Sequence[x509.Certificate], anchors: t.Sequence[x509.Certificate], at: datetime.datetime, what: str
) -> list[x509.Certificate]:
    """The path from ``leaf`` to one of ``anchors``, both included; ``pool`` may hold the certificates between them, in any order.

    The anchors need not be roots, but like all others they must be CAs and valid at ``at``. Raises CertificateError for the most telling fault.
    """
    if any(certificates.same(leaf, one) for one in anchors):
        problem = path.unknown_critical(leaf) or path.out_of_time(leaf, at)
        above: tuple[certificates.Certificate, ...] = ()
    else:
        above, problem = path.find(leaf, pool, path.anchors(anchors), at)
    if problem:
        raise CertificateError(f"Could not accept {what}: {problem.clause}; {_CURES[problem.reason]}.", problem.reason)
    # They come from the pool and the anchors; neither holds a vendor's certificate.
    return [leaf, *t.cast("tuple[x509.Certificate, ...]", above)]


def broken_link(chain: t.Sequence[x509.Certificate], at: datetime.datetime, *, issues: bool) -> path.Problem | None:
    """What is wrong with a chain (in order, the lowest first), so that ``follow`` would refuse what the lowest signs; None if nothing is.

    ``issues``: the lowest certificate is a CA's and will issue others.
    """
    lowest = chain[0]
    found = path.unknown_critical(lowest) or path.out_of_time(lowest, at) or (path.not_a_ca(lowest) if issues else None)
    below = [lowest] if issues else []
    for number, issuer in enumerate(chain[1:], 1):
        found = found or path.link(issuer, [*below, *chain[:number]]) or path.out_of_time(issuer, at)
    return found


__all__ = ("CertificateError", "broken_link", "follow", "load")
