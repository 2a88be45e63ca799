# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The kernel's character device (Linux drivers/char/tpm/tpm-dev-common.c): one write sends one command, one read returns its response."""

from __future__ import annotations

import errno
import os
import stat
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

MAX_RESPONSE = 4096
SYSFS = "/sys/class/tpm"


def explain_open(path: str, number: int, exists: t.Callable[[str], bool] = os.path.exists) -> errors.TransportError:
    """Why a device node could not be opened, and what to do: no TPM, no permission, busy, no resource manager. ``exists``: on that device."""
    folder, node = os.path.split(path)
    if number == errno.EISDIR:
        return not_a_device(path)
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        direct = os.path.join(folder, node.replace("tpmrm", "tpm"))
        if direct != path and exists(direct):
            return errors.TransportError(
                f"Could not open {path}: there is no resource manager, though {direct} exists; use a kernel of at least 4.12, "
                f"tpm2-abrmd (tcti tabrmd:) or tcti device:{direct}.",
                errors.ABSENT,
            )
        return errors.TransportError(
            f"Could not open {path}: there is no such TPM; switch the TPM on in the firmware, load its driver "
            f"(look at {SYSFS} and dmesg), or name another tcti.",
            errors.ABSENT,
        )
    if number in (errno.EACCES, errno.EPERM):
        cure = f"run with become or put the user into the group that owns {node} (tss)"
        return errors.TransportError(f"Could not open {path}: no permission; {cure}.", errors.PERMISSION)
    if number == errno.EBUSY:
        cure = "use the resource manager /dev/tpmrm0 or stop that process"
        return errors.TransportError(f"Could not open {path}: another process holds it; {cure}.", errors.BUSY)
    return errors.TransportError(f"Could not open {path}: {os.strerror(number)}; look at dmesg for what the driver says.", errors.OTHER)


def not_a_device(path: str) -> errors.TransportError:
    """The error for a file or folder that the tcti names as a TPM."""
    return errors.TransportError(
        f"Could not use {path} as a TPM: it is not a character device; name the node of a TPM, for example device:/dev/tpmrm0.",
        errors.NOT_A_TPM,
    )


def explain_use(path: str, number: int) -> errors.TransportError:
    """Why a command could not be sent to an open device node, and what to do."""
    return errors.TransportError(
        f"Could not talk to {path}: {os.strerror(number)}; look at dmesg for what the driver says, then run again.", errors.BROKEN
    )


class DeviceNode:
    """A TPM behind a device node. Raises TransportError on opening and on each command."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise explain_open(path, error.errno or 0) from None
        # A command written to an ordinary file would destroy what it holds.
        if not stat.S_ISCHR(os.fstat(self._file).st_mode):
            self.close()
            raise not_a_device(path)

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response."""
        try:
            os.write(self._file, command)
            return self._read()
        except OSError as error:
            raise explain_use(self._path, error.errno or 0) from None

    def _read(self) -> bytes:
        # Kernels since 4.20 may return a response in pieces; older ones return it whole in one read.
        data = os.read(self._file, MAX_RESPONSE)
        while len(data) >= 6 and len(data) < int.from_bytes(data[2:6], "big"):
            more = os.read(self._file, MAX_RESPONSE)
            if not more:
                break
            data += more
        if len(data) < 10:
            raise errors.TransportError(
                f"Could not talk to {self._path}: it does not speak TPM 2.0; name the tcti of a TPM 2.0.", errors.NOT_A_TPM
            )
        return data

    def close(self) -> None:
        """Close the node; the kernel's resource manager flushes what was left loaded."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


__all__ = ("DeviceNode", "explain_open", "explain_use", "not_a_device")
