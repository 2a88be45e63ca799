# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The versions of the software that makes birth records."""

from __future__ import annotations

import importlib.metadata
import json
import pathlib
import re


def collection() -> str:
    """The collection's own version: from MANIFEST.json if it is installed, from galaxy.yml in a checkout."""
    root = pathlib.Path(__file__).resolve().parents[2]
    manifest, galaxy = root / "MANIFEST.json", root / "galaxy.yml"
    if manifest.is_file():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    found = re.search(r"^version: *(\S+)", galaxy.read_text(encoding="utf-8"), re.MULTILINE) if galaxy.is_file() else None
    return found[1] if found else "unknown"


def all_of_them(ansible: str) -> dict[str, str]:
    """The versions of the collection, ansible-core, and the libraries that are used, by name."""
    found = {"edgefleet.tpm2": collection(), "ansible-core": ansible}
    for package in ("cryptography", "SQLAlchemy"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


__all__ = ("all_of_them", "collection")
