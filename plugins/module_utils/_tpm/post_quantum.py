# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which of the post-quantum algorithms of library version 1.85 a TPM reports to have.

TCG Algorithm Registry 2.0 (TPM_ALG_MLKEM, TPM_ALG_MLDSA, TPM_ALG_HASH_MLDSA); TPM 2.0 Library 1.85 Part 2, section 6.13
(TPM_PT_ML_PARAMETER_SETS) and section 8.13 (TPMA_ML_PARAMETER_SET).
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants

# TPM_PT_REVISION is the version times 100.
REVISION, DEFINED_IN = 0x102, 185
YES, NO, UNKNOWN = "yes", "no", "unknown"

_ALGORITHMS = {"ml_kem": alg.MLKEM, "ml_dsa": alg.MLDSA, "hash_ml_dsa": alg.HASH_MLDSA}
# By name of the parameter set: the algorithms one of which the TPM must have for it, and its bit.
_SETS = {
    "ml_kem_512": (("ml_kem",), 0),
    "ml_kem_768": (("ml_kem",), 1),
    "ml_kem_1024": (("ml_kem",), 2),
    "ml_dsa_44": (("ml_dsa", "hash_ml_dsa"), 3),
    "ml_dsa_65": (("ml_dsa", "hash_ml_dsa"), 4),
    "ml_dsa_87": (("ml_dsa", "hash_ml_dsa"), 5),
}


def readiness(listed: t.Collection[int], properties: t.Mapping[int, int]) -> dict[str, str]:
    """ "yes", "no" or "unknown" for each algorithm and parameter set, judged by the TPM's list of algorithms and its fixed properties.

    A TPM lists all algorithms that it implements, so one that is not in the list is "no". The answer is "unknown" if there is no list; if an
    older TPM, in whose library version the numbers had no meaning, lists one of them; and, for a parameter set, if the TPM does not report its sets.
    """
    current = properties.get(REVISION, 0) >= DEFINED_IN

    def has(number: int) -> str:
        if not listed:
            return UNKNOWN
        return NO if number not in listed else YES if current else UNKNOWN

    found = {name: has(number) for name, number in _ALGORITHMS.items()}
    sets = properties.get(constants.PT_ML_PARAMETER_SETS)
    for name, (needed, bit) in _SETS.items():
        states = {found[one] for one in needed}
        if states == {NO}:
            found[name] = NO
        elif YES in states and sets is not None:
            found[name] = YES if sets >> bit & 1 else NO
        else:
            found[name] = UNKNOWN
    return found


__all__ = ("NO", "UNKNOWN", "YES", "readiness")
