# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request to the escrow, for several processes at the same time."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry


def auth(url: str, master: bytes, recovery_key: bytes, ek_name: str) -> str:
    """A random owner auth of generation 1."""
    with open_registry(url) as registry:
        return Escrow(registry, mode="random", master=master, recovery_key=recovery_key).auth(ek_name, "owner", 1)
