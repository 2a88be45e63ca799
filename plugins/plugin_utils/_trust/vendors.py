# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Who made a TPM: one word for all spellings in certificates and TPMs (TCG TPM Vendor ID Registry; EK Credential Profile, 3.1.2)."""

from __future__ import annotations

import re

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.vendors import VENDORS

NAMES = frozenset(VENDORS)
# swtpm's certificates have a number that is not text; the TPM itself says IBM, as libtpms does.
ALIASES = {"00001014": "IBM"}

_ID = re.compile(r"(?:id:|0x)([0-9a-f]{1,8})|([0-9a-f]{8})", re.IGNORECASE | re.ASCII)


def normalise(written: str) -> str:
    """The manufacturer as ``IFX``, from ``id:49465800`` as in a certificate, hexadecimal, or text as TPM_PT_MANUFACTURER gives it.

    An id that we do not know becomes eight hex digits in any case; empty text stays empty.
    """
    text = written.strip("\0 \t\r\n")
    match = _ID.fullmatch(text)
    if match:
        word = bytes.fromhex((match.group(1) or match.group(2)).rjust(8, "0"))
    elif text and len(text) <= 4 and text.isascii():
        word = text.encode("ascii")
    else:
        return text.lower()
    if word.hex() in ALIASES:
        return ALIASES[word.hex()]
    # Some vendors pad short names with zeros, others with blanks.
    word = word.rstrip(b"\0 ")
    name = word.decode("ascii", "replace").upper()
    return name if name in NAMES else word.ljust(4, b"\0").hex()


__all__ = ("ALIASES", "NAMES", "normalise")
