# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A Raspberry Pi's config.txt: which TPM overlays it loads, and which lines contradict them."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import system
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
# Overlays of the Raspberry Pi kernel that leave no second chip select on SPI0, where tpm-slb9670 is (CE1).
TAKES_CE1 = re.compile(r"^(spi0-(0|1)cs|spi0-cs|mcp251x\w*|mcp2515-can1|enc28j60|w5500|ads7846|piscreen|pitft\w*|tpm-spi)\b")


def config_txt(tree: Tree, path: str | None) -> Facts:
    """The overlays for a TPM, and clauses about the lines that contradict them."""
    found: Facts = {"path": path, "overlays": [], "spi": None, "read_only": False, "contradictions": []}
    if path is None:
        return found
    overlays: list[tuple[str, str]] = []
    section = "all"
    for line in (one.partition("#")[0].strip() for one in tree.lines(path)):
        if re.fullmatch(r"\[.*\]", line):
            section = line[1:-1].strip()
        name, _equals, value = (part.strip() for part in line.partition("="))
        if name == "dtoverlay":
            overlays.append((value, section))
        elif name == "dtparam" and value.startswith("spi="):
            found["spi"] = value == "spi=on"
    found["overlays"] = [value for value, _section in overlays if "tpm" in value]
    writable = os.access(tree.path(path), os.W_OK)
    found["read_only"] = not writable or system.read_only(tree, os.path.dirname(path))
    found["contradictions"] = list(_contradictions(found, overlays))
    return found


def _contradictions(found: Facts, overlays: t.Sequence[tuple[str, str]]) -> t.Iterator[str]:
    names = sorted({value.partition(",")[0] for value in found["overlays"]})
    if len(names) > 1:
        yield f"more than one TPM overlay: {', '.join(names)}"
    if "tpm-slb9670" in names:
        if found["spi"] is False:
            yield "dtparam=spi=off, and tpm-slb9670 is on SPI"
        for value, _section in overlays:
            if TAKES_CE1.match(value) and "tpm" not in value:
                yield f"dtoverlay={value} takes the chip select CE1 that tpm-slb9670 uses"
    for value, section in overlays:
        if "tpm" in value and section not in ("all", ""):
            yield f"dtoverlay={value} is under [{section}], which other boards do not read"


__all__ = ("config_txt",)
