# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Versions of the installed TPM software, by upstream's name, with one call of the package manager."""

from __future__ import annotations

import importlib.metadata
import re

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

# By the name of a package: upstream's name of the software in it.
PACKAGES: tuple[tuple[str, str], ...] = (
    (r"libtss2-(esys|sys|mu|rc|fapi|tctildr|tcti-device).*|tpm2-tss(-libs)?|tpm2-0-tss|libtss2-sys1", "tpm2-tss"),
    (r"tpm2-tools|tpm2\.0-tools", "tpm2-tools"),
    (r"tpm2-abrmd|tpm2\.0-abrmd", "tpm2-abrmd"),
    (r"libtpms0.*|libtpms", "libtpms"),
    (r"swtpm", "swtpm"),
    (r"tpm2-openssl", "tpm2-openssl"),
    (r"libtpm2-pkcs11-1.*|tpm2-pkcs11", "tpm2-pkcs11"),
    (r"python3-tpm2-pytss|python-tpm2-pytss|tpm2-pytss", "tpm2-pytss"),
    (r"keylime|python3-keylime", "keylime"),
    (r"clevis", "clevis"),
    (r"systemd", "systemd"),
)
PATTERNS = ("libtss2-*", "tpm2-*", "libtpms*", "swtpm", "libtpm2-pkcs11-*", "python3-tpm2-pytss", "*keylime*", "clevis", "systemd")
CALLS: dict[str, tuple[str, ...]] = {
    "apt": ("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Status}\n", *PATTERNS),
    "dnf": ("rpm", "-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\tinstalled\n", *PATTERNS),
    "zypper": ("rpm", "-qa", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\tinstalled\n", *PATTERNS),
    "pacman": ("pacman", "-Q"),
}


def software(tree: Tree, packages: str) -> dict[str, str]:
    """Versions as the distribution writes them; if tpm2-pytss is not installed as a package, the version that Python finds."""
    text = tree.run(CALLS[packages]) if packages in CALLS else None
    found: dict[str, str] = {}
    for line in (text or "").splitlines():
        # pacman separates with blanks and prints no states; dpkg prints an empty version for a package of which it knows only the name.
        name, version, state = ([*line.split("\t")] if "\t" in line else [*line.split(), "installed"])[:3]
        upstream = next((one for pattern, one in PACKAGES if re.fullmatch(pattern, name)), None)
        if upstream and version and state == "installed":
            found.setdefault(upstream, version)
    try:
        found["tpm2-pytss"] = importlib.metadata.version("tpm2-pytss")
    except importlib.metadata.PackageNotFoundError:
        pass
    return found


__all__ = ("software",)
