# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Any TCTI that the TSS can load (tabrmd, cmd, libtpms, mssim, …), through its C interface (TSS 2.0 TCTI API, section 3.2).

libtss2-tctildr is called directly: reads need only transmit and receive, and importing tpm2-pytss for these would cost a small
device 0.2 s of CPU time.
"""

from __future__ import annotations

import ctypes
import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

BLOCK = -1
# What to do if a TCTI cannot be opened, by its name; the TSS has no such advice.
CURES = {"tabrmd": "start tpm2-abrmd (systemctl start tpm2-abrmd), or use device:/dev/tpmrm0"}
MAX_RESPONSE = 4096


class _Common(ctypes.Structure):
    """TSS2_TCTI_CONTEXT_COMMON_V1, up to the last member that is called here."""

    _fields_ = [
        ("magic", ctypes.c_uint64),
        ("version", ctypes.c_uint64),
        ("transmit", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)),
        ("receive", ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t), ctypes.c_char_p, ctypes.c_int32)),
    ]


def quiet() -> None:
    """Silence the TSS: its log levels trace and debug print whole command buffers, secrets included."""
    os.environ["TSS2_LOG"] = "all+none"
    os.environ.pop("TSS2_LOGFILE", None)


def _library(tcti: Tcti) -> t.Any:
    quiet()
    try:
        library = ctypes.CDLL("libtss2-tctildr.so.0")
    except OSError:
        raise errors.DependencyError(
            f"Could not load the TCTI '{tcti.name}': libtss2-tctildr.so.0 is not installed; install tpm2-tss or use a device: or swtpm: tcti."
        ) from None
    library.Tss2_TctiLdr_Initialize.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
    library.Tss2_TctiLdr_Initialize.restype = ctypes.c_uint32
    library.Tss2_TctiLdr_Finalize.argtypes = [ctypes.POINTER(ctypes.c_void_p)]
    library.Tss2_TctiLdr_Finalize.restype = None
    return library


class Loaded:
    """A TPM behind a TCTI library. Raises TransportError on opening and on each command, DependencyError without the TSS."""

    def __init__(self, tcti: Tcti) -> None:
        self._text = tcti.text
        self._library = _library(tcti)
        self._context = ctypes.c_void_p()
        self._check(self._library.Tss2_TctiLdr_Initialize(tcti.text.encode(), ctypes.byref(self._context)), "open")
        self._common = ctypes.cast(self._context, ctypes.POINTER(_Common)).contents

    def _check(self, code: int, attempt: str) -> None:
        if code:
            cure = CURES.get(self._text.partition(":")[0]) if attempt == "open" else None
            raise errors.from_rc(attempt, f"the TPM at {self._text}", code, cure)

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response."""
        self._check(self._common.transmit(self._context, len(command), command), "send a command to")
        buffer = ctypes.create_string_buffer(MAX_RESPONSE)
        size = ctypes.c_size_t(MAX_RESPONSE)
        self._check(
            self._common.receive(self._context, ctypes.byref(size), ctypes.cast(buffer, ctypes.c_char_p), BLOCK), "receive a response from"
        )
        return buffer.raw[: size.value]

    def close(self) -> None:
        """Unload the TCTI."""
        if self._context:
            self._library.Tss2_TctiLdr_Finalize(ctypes.byref(self._context))
            self._context = ctypes.c_void_p()


__all__ = ("Loaded", "quiet")
