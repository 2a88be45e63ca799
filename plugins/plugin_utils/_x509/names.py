# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What X.520 allows in a subject's serialNumber; needs no library. Manifests and certificates follow the same rule."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _values
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

MAX_SERIAL = 64  # ub-serial-number (RFC 5280, appendix A.1)
# PrintableString, as X.520 wants it for serialNumber.
SERIAL_CHARACTER = r"[A-Za-z0-9 '()+,./:=?-]"
SERIAL = re.compile(rf"(?! ){SERIAL_CHARACTER}{{1,{MAX_SERIAL}}}(?<! )")


def serial_fault(serial: str) -> str:
    """A clause on what is wrong with a serial number; "" if nothing is. Manifest, inventory and modules all use this rule."""
    if SERIAL.fullmatch(serial):
        return ""
    if not serial:
        return "is empty"
    if serial != serial.strip():
        return "begins or ends with a blank or a line break, which nobody sees"
    strange = re.sub(SERIAL_CHARACTER, "", serial)
    if strange:
        return f"has the character {strange[0]!r}, which no certificate can hold (letters, digits, spaces and '()+,-./:=? are allowed)"
    return f"has {len(serial)} characters, more than {MAX_SERIAL}"


def check_serial(serial: t.Any, where: str = "serial") -> str:
    """Return a serial number as text that manifest, inventory and certificates accept. Raises InputError for any other value."""
    wrong = _values.fault(where, serial)
    if wrong:
        raise InputError(wrong)
    text = str("" if serial is None else serial)
    found = serial_fault(text)
    if found:
        raise InputError(f"Could not use the serial number '{_text.shown(text)}': it {found}; correct {where}.")
    return text


__all__ = ("MAX_SERIAL", "SERIAL", "SERIAL_CHARACTER", "check_serial", "serial_fault")
