# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A connection of ours as the TCTI of the TSS: on a controller, its commands go to a device over the relay (TSS 2.0 TCTI API; tpm2-pytss >= 2.0)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Transport

IMPORT_ERROR: BaseException | None = None
try:
    from tpm2_pytss.TCTI import PyTCTI
    from tpm2_pytss.TSS2_Exception import TSS2_Exception
except Exception as error:  # noqa: BLE001 - ImportError as a rule; TypeError where an old release meets a newer cryptography
    IMPORT_ERROR = error
    PyTCTI = object

IO_ERROR = 0x000A000A  # TSS2_TCTI_RC_IO_ERROR


def missing() -> str:
    """Why this Python cannot use a connection of ours, in a few words; "" if it can."""
    if IMPORT_ERROR is None:
        return ""
    found = " ".join(str(IMPORT_ERROR).split())
    return f"tpm2-pytss is too old ({found})" if "PyTCTI" in found else found


class OwnTcti(PyTCTI):
    """``transport`` as a TCTI. ``failed``: the error that ended it; the TSS knows it only as a number."""

    def __init__(self, transport: Transport) -> None:
        super().__init__()
        self.transport = transport
        self.failed: errors.TpmError | None = None
        self._command = b""

    def do_transmit(self, command: bytes) -> None:
        """Keep the command: it is sent when the TSS asks for the response."""
        self._command = bytes(command)

    def do_receive(self, timeout: int) -> bytes:
        """Send the command, return its response. Raises TSS2_Exception if the connection fails."""
        try:
            return self.transport.transmit(self._command)
        except errors.TpmError as failed:
            self.failed = failed
            raise TSS2_Exception(IO_ERROR) from None


__all__ = ("OwnTcti", "missing")
