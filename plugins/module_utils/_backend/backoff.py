# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Back-off for the response codes by which a TPM says that it has done nothing and wants the command again.

TPM 2.0 Library Part 2, section 6.6.3: RETRY, YIELDED, TESTING, NV_RATE, NV_UNAVAILABLE. After any other code no command is ever
sent twice: after an I/O error nobody knows whether the TPM carried it out.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import RETRYABLE, is_rc

FIRST_WAIT = 0.01
LONGEST_WAIT = 2.0
# The sum of all waits for one command; after that the code is reported.
TOTAL_WAIT = 20.0

Result = t.TypeVar("Result")


def repeat(attempt: t.Callable[[], tuple[int, Result]]) -> tuple[int, Result]:
    """Call ``attempt`` again and again until the response code is not one that asks for another call.

    ``attempt`` returns a response code and a result. Waits 10 ms, then twice as long each time up to 2 s, 20 s in all. Returns what the last
    call returned.
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
