# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What X.520 allows in the serialNumber attribute of a subject, without a library: manifests and certificates keep to the same rule."""

from __future__ import annotations

import re

MAX_SERIAL = 64  # ub-serial-number (RFC 5280, appendix A.1)
# PrintableString, as X.520 wants it for serialNumber.
SERIAL_CHARACTER = r"[A-Za-z0-9 '()+,./:=?-]"
SERIAL = re.compile(rf"{SERIAL_CHARACTER}{{1,{MAX_SERIAL}}}")

__all__ = ("MAX_SERIAL", "SERIAL", "SERIAL_CHARACTER")
