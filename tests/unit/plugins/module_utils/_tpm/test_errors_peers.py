# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Response codes against the peers: tss2's headers (libtss2-dev) have the names, ``tpm2_rc_decode`` (tpm2-tools) takes codes apart.

The program prints no names, so it is joined to ours through the header: code -> name and comment, and the comment is what it prints.
It is only asked about positions up to 7, because version 5.4 prints parameters 8 to 15 as 0 to 7.
"""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, rc_table

HEADERS = Path("/usr/include/tss2")

# Younger than the tss2 headers of a device may be (TPM 2.0 library 1.83 and later).
YOUNG = {0x156, 0xA8, 0xA9, 0xAA, 0xAB, 0xAC, 0xAD, 0xB0, 0xB1}


@cache
def header_codes() -> dict[int, tuple[str, str]]:
    """Return {code: (name, comment)} of tss2_tpm2_types.h."""
    text = (HEADERS / "tss2_tpm2_types.h").read_text(encoding="utf-8")
    bases = {"TPM2_RC_VER1": 0x100, "TPM2_RC_FMT1": 0x080, "TPM2_RC_WARN": 0x900}
    found = re.findall(r"#define TPM2_RC_(\w+)\s+\(\(TPM2_RC\)\s*\((\w+) \+ (0x[0-9A-Fa-f]+)\)\)\s*/\* (.*?) \*/", text)
    return {bases[base] + int(offset, 16): (name, comment) for name, base, offset, comment in found if name != "MAX_FM0"}


@cache
def rc_decode(rc: int) -> str:
    return subprocess.run(["tpm2_rc_decode", hex(rc)], check=True, capture_output=True, text=True).stdout.strip()


def same(text: str, comment: str) -> bool:
    """Return whether a text of the program and a comment of the header begin alike, letters only: one may be longer."""
    one, other = (re.sub(r"[^a-z0-9]", "", words.lower())[:30] for words in (text, comment))
    return one.startswith(other) or other.startswith(one)


def test_names_and_codes_agree_with_the_headers() -> None:
    theirs = {rc: "TPM_RC_" + name for rc, (name, _comment) in header_codes().items()}
    assert len(theirs) > 95
    assert {rc: errors.decode(rc).name for rc in theirs} == theirs
    assert set(rc_table.TPM) - set(theirs) - YOUNG == {0x000, 0x01E}


def test_names_of_the_tss_agree_with_the_headers() -> None:
    text = (HEADERS / "tss2_common.h").read_text(encoding="utf-8")
    base = dict(re.findall(r"#define TSS2_BASE_RC_(\w+)\s+(\d+)U", text))
    assert len(base) > 50
    for name, number in base.items():
        assert rc_table.TSS[int(number)][0] == name
    layers = {"FEATURE": 6, "ESAPI": 7, "SYS": 8, "MU": 9, "TCTI": 10}
    pattern = r"#define (TSS2_\w+?_RC_\w+)\s+\(\(TSS2_RC\)\(TSS2_(\w+)_RC_LAYER \|\s*\\\s*TSS2_BASE_RC_(\w+)\)\)"
    found = re.findall(pattern, text)
    assert len(found) > 90
    for name, layer, number in found:
        code = errors.decode(layers[layer] << 16 | int(base[number]))
        # The header gives a few numbers a second name within one layer.
        if name.rsplit("_RC_", 1)[1] == number:
            assert code.name == name


@pytest.mark.parametrize("rc", [rc for rc in rc_table.TPM if rc >= 0x80 and not rc & 0x80], ids=hex)
def test_plain_codes_agree_with_tpm2_rc_decode(rc: int) -> None:
    theirs = re.fullmatch(r"tpm:(error|warn)\(2\.0\): (.*)", rc_decode(rc))
    if theirs is None:
        assert rc in YOUNG | {0x97F}, rc_decode(rc)  # it does not know these
        return
    assert (theirs[1] == "warn") == errors.decode(rc).warning
    name, comment = header_codes()[rc]
    assert same(theirs[2], comment)
    assert errors.decode(rc).name == "TPM_RC_" + name


@pytest.mark.parametrize("base", [rc for rc in rc_table.TPM if rc & 0x80], ids=hex)
def test_codes_with_a_position_agree_with_tpm2_rc_decode(base: int) -> None:
    # Handle 1, parameter 2, session 1, and nothing named.
    for rc in (base | 0x100, base | 0x240, base | 0x900, base):
        theirs = re.fullmatch(r"tpm:(handle|parameter|session)\((\d|unk)\):(.*)", rc_decode(rc))
        assert theirs is not None, rc_decode(rc)
        assert errors.decode(rc).subject == ("" if theirs[2] == "unk" else f"{theirs[1]} {theirs[2]}")
        if "unknown error" in theirs[3]:
            assert base in YOUNG
            continue
        name, comment = header_codes()[base]
        assert same(theirs[3], comment)
        assert errors.decode(rc).name == "TPM_RC_" + name


@pytest.mark.parametrize("number", range(1, 8))
def test_positions_agree_with_tpm2_rc_decode(number: int) -> None:
    for rc, kind in ((0x084 | number << 8, "handle"), (0x0C4 | number << 8, "parameter"), (0x884 | number << 8, "session")):
        assert f":{kind}({number}):" in rc_decode(rc)
        assert errors.decode(rc).subject == f"{kind} {number}"


def test_layers_agree_with_tpm2_rc_decode() -> None:
    theirs = {"esapi": "esys", "rmt": "rm"}
    for layer in (6, 7, 8, 9, 10, 11):
        rc = layer << 16 | (0x143 if layer == 11 else 1)
        name = rc_decode(rc).split(":")[0]
        assert errors.decode(rc).layer == theirs.get(name, name)
