# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""An attestation by a device's AK, the same from the device's answer to the birth record and the request to a CA elsewhere."""

from __future__ import annotations

import typing as t


class Attestation(t.NamedTuple):
    """As the device sent it: the bare TPMS_ATTEST, the TPMT_SIGNATURE over it; and the nonce that was asked with, which it does not send itself.

    A quote has the values of its PCRs, each ``{bank, index, digest}``, in the quote's order.
    """

    attest: bytes
    signature: bytes
    nonce: bytes = b""
    pcrs: t.Sequence[t.Mapping[str, t.Any]] = ()

    @property
    def signed(self) -> tuple[bytes, bytes]:
        """What the checks take: what was signed, and the signature."""
        return self.attest, self.signature


__all__ = ("Attestation",)
