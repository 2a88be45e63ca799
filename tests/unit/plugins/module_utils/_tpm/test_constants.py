# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The numbers of the specification are those of tpm2-pytss, which generates its own from the TCG's headers."""

from __future__ import annotations

import ast
import pathlib

import pytest
from tpm2_pytss import constants as theirs
from tpm2_pytss.constants import TPM2_CAP, TPM2_PT, TPMA_STARTUP

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants

# Ours are shorter, or say which of several.
OTHERWISE = {
    "PT_FIXED": TPM2_PT.FIXED,
    "PT_VAR": TPM2_PT.VAR,
    "CAP_ALGS": TPM2_CAP.ALGS,
    # Of library version 1.85, which tpm2-pytss does not know: TPM_PT_ML_PARAMETER_SETS.
    "PT_ML_PARAMETER_SETS": 0x131,
    "STARTUP_PLATFORM": TPMA_STARTUP.CLEAR_PHENABLE,
    "STARTUP_OWNER": TPMA_STARTUP.CLEAR_SHENABLE,
    "STARTUP_ENDORSEMENT": TPMA_STARTUP.CLEAR_EHENABLE,
    "STARTUP_PLATFORM_NV": TPMA_STARTUP.CLEAR_PHENABLENV,
    "STARTUP_ORDERLY": TPMA_STARTUP.CLEAR_ORDERLY,
}
# By our prefix: the classes in which tpm2-pytss has them, and what their names add to those of the members.
CLASSES = {"CC_": "TPM2_CC", "CAP_": "TPM2_CAP", "PT_": "TPM2_PT", "PERMANENT_": "TPMA_PERMANENT"}
NUMBERS = [name for name, value in vars(constants).items() if isinstance(value, int)]


def _theirs(name: str) -> int:
    if name in OTHERWISE:
        return int(OTHERWISE[name])
    prefix = next(one for one in CLASSES if name.startswith(one))
    found: dict[str, int] = {}
    for group in (one for one in dir(theirs) if one == CLASSES[prefix] or one.startswith(CLASSES[prefix] + "_")):
        for member, value in vars(getattr(theirs, group)).items():
            if isinstance(value, int):
                found[f"{group.removeprefix(CLASSES[prefix])}{member}".replace("_", "").lower()] = int(value)
    return found[name.removeprefix(prefix).replace("_", "").lower()]


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_the_specifications(name: str) -> None:
    assert getattr(constants, name) == _theirs(name)


def test_each_stands_in_one_place() -> None:
    utils = pathlib.Path(str(constants.__file__)).parents[1]
    twice = []
    for path in sorted(utils.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            named = isinstance(node, ast.Assign) and any(
                ast.unparse(one).lstrip("_").startswith((*CLASSES, "STARTUP_")) for one in node.targets
            )
            if named and path.name != "constants.py":
                twice.append(f"{path.name}: {ast.unparse(node)}")
    assert not twice
