# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Numbers of the specification that several files need (TPM 2.0 Library Part 2)."""

from __future__ import annotations

# TPM properties (Part 2, section 6.13).
PT_NV_COUNTERS_MAX = 0x116
PT_NV_INDEX_MAX = 0x117
PT_NV_BUFFER_MAX = 0x12C
PT_PERMANENT = 0x200
PT_STARTUP_CLEAR = 0x201
PT_HR_PERSISTENT_AVAIL = 0x209
PT_NV_COUNTERS_AVAIL = 0x20B
PT_LOCKOUT_COUNTER = 0x20E
PT_MAX_AUTH_FAIL = 0x20F
PT_LOCKOUT_INTERVAL = 0x210
PT_LOCKOUT_RECOVERY = 0x211
PERMANENT_DISABLE_CLEAR = 1 << 8
PERMANENT_IN_LOCKOUT = 1 << 9
