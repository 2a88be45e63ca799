# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Open the connection to a TPM by its TCTI string: a device node, a socket or a TCTI library."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti, Transport


def open_transport(place: Tcti) -> Transport:
    """Open the connection to the TPM at ``place``, importing only the code for its TCTI. Raises TransportError."""
    if place.name == "device":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device

        return device.DeviceNode(place.conf)
    if place.name == "swtpm":
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import stream

        return stream.Socket(place)
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tss

    return tss.Loaded(place)


__all__ = ("open_transport",)
