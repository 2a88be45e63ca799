# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Where the TPM is: TCTI strings, and opening a transport for one.

The main method of a transport is ``transmit(bytes) -> bytes``: it takes one whole command and returns one whole response.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

RESOURCE_MANAGED = "/dev/tpmrm0"
DIRECT = "/dev/tpm0"


class Transport(t.Protocol):
    """A connection to a TPM, as the reader needs it."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response. Raises TransportError."""

    def close(self) -> None:
        """End the connection; may be called twice."""


class Tcti(t.NamedTuple):
    """A parsed TCTI string: ``name`` is device, swtpm, tabrmd, …; ``conf`` is the text after the colon."""

    name: str
    conf: str

    @property
    def text(self) -> str:
        """The string as the TSS expects it."""
        return f"{self.name}:{self.conf}" if self.conf else self.name

    @property
    def resource_manager(self) -> str:
        """The resource manager on this path, which swaps sessions and objects: kernel, abrmd, or none."""
        if self.name == "tabrmd":
            return "abrmd"
        return "kernel" if self.name == "device" and "tpmrm" in self.conf else "none"

    @property
    def alone(self) -> bool:
        """Whether there is no resource manager on this path, so that no other program can be using the TPM."""
        return self.resource_manager == "none"


def resolve(given: str | None) -> Tcti:
    """The TCTI to use: ``given``, else the environment's TPM2TOOLS_TCTI, else the kernel's resource manager, else /dev/tpm0.

    The TSS library's own search order is never used, because it can choose a simulator. Raises InputError for a malformed string.
    """
    text = given or os.environ.get("TPM2TOOLS_TCTI") or ""
    if not text:
        text = f"device:{RESOURCE_MANAGED if os.path.exists(RESOURCE_MANAGED) or not os.path.exists(DIRECT) else DIRECT}"
    name, _colon, conf = text.partition(":")
    if not name.replace("-", "").replace("_", "").isalnum() or "/" in name:
        raise InputError(
            f"Could not use the tcti '{text}': it is not a TCTI string; write one as name:options, for example device:/dev/tpmrm0 or "
            "swtpm:host=127.0.0.1,port=2321."
        )
    if name == "device" and not conf:
        conf = RESOURCE_MANAGED
    return Tcti(name, conf)


__all__ = ("Tcti", "Transport", "resolve")
