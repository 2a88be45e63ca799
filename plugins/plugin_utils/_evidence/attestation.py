# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An attestation by a device's AK: one type for the device's answer, the birth record and the request to an external CA."""

from __future__ import annotations

import typing as t


class Attestation(t.NamedTuple):
    """The bare TPMS_ATTEST and the TPMT_SIGNATURE over it, both from the device; and the nonce, which we sent.

    A quote also has the values of its PCRs, each a dict ``{bank, index, digest}``, in the quote's order.
    """

    attest: bytes
    signature: bytes
    nonce: bytes = b""
    pcrs: t.Sequence[t.Mapping[str, t.Any]] = ()

    @property
    def signed(self) -> tuple[bytes, bytes]:
        """The first two arguments of the checks: attestation and signature."""
        return self.attest, self.signature


__all__ = ("Attestation",)
