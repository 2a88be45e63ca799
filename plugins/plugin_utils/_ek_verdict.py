# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The verdict on an EK: one type for the trust ladder, the registry and the birth record."""

from __future__ import annotations

import datetime
import typing as t


class EkVerdict(t.NamedTuple):
    """The verdict on one EK.

    `rung` is one of `_trust.verdict.RUNGS`. `reason` says why it is not the rung `certificate`, as one of `_trust.verdict.REASONS`, and is
    empty if it is; `detail` says it in a sentence. `ek_certificate` is DER without padding, None if there was none that could be read.
    `chain` are the certificates above it that were found, DER, the issuer first and the root last. `revocation` is `good`, `revoked`,
    `stale` (a CA on the path has only an old CRL) or `not checked`. `notes` are sentences for people; they decide nothing. `overlooked` are
    the faults of encoding in the EK certificate and its chain that were overlooked, each a word (`_x509.canonical.RULES`, and those of
    `_trust.certificate`). `time` is when a device was enrolled by this verdict.
    """

    rung: str
    reason: str
    detail: str = ""
    ek_certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    revocation: str = "not checked"
    notes: tuple[str, ...] = ()
    overlooked: tuple[str, ...] = ()
    time: datetime.datetime | None = None

    def registered(self, time: datetime.datetime) -> EkVerdict:
        """The verdict in the registry's form: the notes are appended to the detail."""
        return self._replace(detail=" ".join((self.detail, *self.notes)).strip(), notes=(), overlooked=(), time=time)


__all__ = ("EkVerdict",)
