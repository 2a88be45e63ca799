# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""udev's rules for TPM nodes: the mode that each sets, and which one wins (udev(7): files sorted by name, a later rule overrides, ``:=`` is final)."""

from __future__ import annotations

import fnmatch
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
# Folders by priority: a file hides files of the same name in the folders after its own.
FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/local/lib/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
WIDEST = 0o660
NODES = {"/dev/tpm0": ("tpm0", "tpm"), "/dev/tpmrm0": ("tpmrm0", "tpmrm")}
_PART = re.compile(r'(\w+(?:\{[^}]*\})?)\s*(==|!=|\+=|:=|=)\s*"([^"]*)"')


def _files(tree: Tree) -> list[str]:
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for name in tree.names(folder):
            if name.endswith(".rules"):
                found.setdefault(name, f"{folder}/{name}")
    return [found[name] for name in sorted(found)]


def _logical(lines: t.Sequence[str]) -> t.Iterator[tuple[int, str]]:
    """Rules with the number of their first line; a line that ends in a backslash continues on the next one."""
    start, text = 0, ""
    for number, line in enumerate(lines, 1):
        start = start or number
        text += line.strip()
        if text.endswith("\\"):
            text = text[:-1]
            continue
        if text and not text.startswith("#"):
            yield start, text
        start, text = 0, ""


def _matches(parts: t.Sequence[tuple[str, str, str]], kernel: str, subsystem: str) -> bool:
    """Whether a rule is about this node. Conditions that only a running udev can check are taken to be true."""
    named = False
    for key, operator, value in parts:
        if key in ("KERNEL", "SUBSYSTEM") and operator in ("==", "!="):
            hit = any(fnmatch.fnmatchcase(kernel if key == "KERNEL" else subsystem, one) for one in value.split("|"))
            if hit != (operator == "=="):
                return False
            named = named or operator == "=="
    return named


def rules(tree: Tree) -> list[Facts]:
    """All rules that set the mode of a TPM node, in udev's order; ``wins`` names the nodes for which a rule has the last word."""
    listed: list[Facts] = []
    closed: set[str] = set()
    for path in _files(tree):
        for number, text in _logical(tree.lines(path)):
            parts = _PART.findall(text)
            mode = next((value for key, operator, value in parts if key == "MODE" and operator in ("=", ":=")), None)
            nodes = [node for node, names in NODES.items() if _matches(parts, *names)]
            if mode is None or not nodes or not re.fullmatch("[0-7]+", mode):
                continue
            final = ("MODE", ":=", mode) in parts
            row = {"path": path, "line": number, "text": text, "mode": f"{int(mode, 8):04o}", "final": final, "nodes": nodes}
            listed.append({**row, "too_wide": bool(int(mode, 8) & ~WIDEST), "wins": []})
            _take(listed, [node for node in nodes if node not in closed])
            closed |= set(nodes) if final else set()
    return listed


def _take(listed: t.Sequence[Facts], nodes: t.Sequence[str]) -> None:
    """Give the nodes of the last rule in the list to it, and take them from the rules before it."""
    for row in listed[:-1]:
        row["wins"] = [node for node in row["wins"] if node not in nodes]
    listed[-1]["wins"] = list(nodes)


__all__ = ("WIDEST", "rules")
