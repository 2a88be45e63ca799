# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where the programs of this host look for the TPM: environment files, systemd's default environment, FAPI's configuration."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
VARIABLES = ("TPM2TOOLS_TCTI", "TPM2OPENSSL_TCTI", "TPM2_PKCS11_TCTI")
SECRETS = ("TPM2OPENSSL_PARENT_AUTH", "TPM2_PKCS11_OWNER_AUTH")
FOLDERS = ("/etc/profile.d", "/usr/lib/environment.d", "/etc/environment.d", "/etc/systemd/system.conf.d")
FILES = ("/etc/environment", "/etc/systemd/system.conf")
FAPI = "/etc/tpm2-tss/fapi-config.json"
_SET = re.compile(r"\b(" + "|".join(VARIABLES) + r")=[\"']?([^\"'\s]+)")


def _settings(tree: Tree) -> t.Iterator[tuple[str, str]]:
    for path in (*FILES, *(f"{folder}/{name}" for folder in FOLDERS for name in tree.names(folder))):
        for line in tree.lines(path):
            if not line.lstrip().startswith("#"):
                yield path, line


def leaks(tree: Tree) -> list[Facts]:
    """Settings that reveal secrets (returned without their values): auth values that every process inherits, and logs of whole commands."""
    found = []
    for path, line in _settings(tree):
        found += [{"path": path, "variable": name, "kind": "secret"} for name in SECRETS if re.search(rf"\b{name}=.", line)]
        if re.search(r"\bTSS2_LOG=\S*\b(debug|trace)\b", line, re.IGNORECASE):
            found.append({"path": path, "variable": "TSS2_LOG", "kind": "log"})
    return found


def consumers(tree: Tree) -> dict[str, str]:
    """The configured TCTIs, by the name that each consumer gives the setting; the last file with a setting decides."""
    found: dict[str, str] = {}
    for _path, line in _settings(tree):
        found.update(dict(_SET.findall(line)))
    try:
        value = json.loads(tree.text(FAPI) or "{}").get("tcti")
    except (ValueError, AttributeError):
        value = None
    # FAPI comes with an empty one, which means the library's own search.
    if value and isinstance(value, str):
        found["fapi"] = value
    return found


__all__ = ("FAPI", "VARIABLES", "consumers", "leaks")
