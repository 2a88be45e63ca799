# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The registry's history: when it was last written, and which EKs TPMs have shown."""

from __future__ import annotations

import datetime

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ek_rows, records, rows
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.documents import Opened


class History(Opened):
    """A part of ``store.Registry``."""

    def newest(self) -> datetime.datetime | None:
        """When the last event was written, by the clock of the controller that wrote it; None if there is no event."""
        return self._read("look for the last event", rows.newest, None)

    def eks(self, ek_name: str) -> list[records.ShownEk]:
        """The EKs that a device's TPM showed when it was enrolled."""
        return self._read(f"list the EKs of the device {ek_name}", lambda connection: ek_rows.of_device(connection, ek_name), [])

    def claimed_by(self, ek_name: str, spki_sha256: str) -> list[str]:
        """The serials of other devices that have shown a certificate of this EK. That is no reason to refuse any of them."""
        attempt = f"look who has shown the EK {ek_name}"
        return self._read(attempt, lambda connection: ek_rows.claimed_by(connection, ek_name, spki_sha256), [])


__all__ = ("History",)
