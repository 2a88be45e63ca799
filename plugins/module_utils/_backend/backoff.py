# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Back-off for the response codes after which a TPM has done nothing and asks to be called again.

TPM 2.0 Library Part 2, section 6.6.3: RETRY, YIELDED, TESTING, NV_RATE, NV_UNAVAILABLE. Nothing else is ever sent twice: after an
I/O error nobody knows whether the TPM acted.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import RETRYABLE, is_rc

FIRST_WAIT = 0.01
LONGEST_WAIT = 2.0
# All waits of one command together; then the code is reported.
TOTAL_WAIT = 20.0

Result = t.TypeVar("Result")


def repeat(attempt: t.Callable[[], tuple[int, Result]]) -> tuple[int, Result]:
    """Call ``attempt``, which returns a response code and a result, until the code is not one of those that pass.

    Waits 10 ms, then twice as long each time up to 2 s, 20 s in all. Returns the last answer.
    """
    wait, waited = FIRST_WAIT, 0.0
    while True:
        code, result = attempt()
        if not code or not is_rc(code, *RETRYABLE) or waited >= TOTAL_WAIT:
            return code, result
        time.sleep(wait)
        waited += wait
        wait = min(wait * 2, LONGEST_WAIT)


__all__ = ("repeat",)
