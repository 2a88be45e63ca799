# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Files on the device: key files, sealed blobs, public keys. Written whole or not at all.

``Files`` is how a run looks at them; ``LOCAL`` looks at this machine's own, and a controller has one that asks a device.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import file_errors


class Files(t.Protocol):
    """How a run looks at the device's files, and changes them."""

    def read(self, path: str) -> bytes | None:
        """Content of a file; None if it does not exist. Raises InputError if it cannot be read, is not an ordinary file, or is too large."""

    def names(self, path: str) -> set[tuple[t.Any, ...]]:
        """A set of keys for a path. Two paths that lead to one file (through ``.``, ``..``, links of either kind, or a bind mount) share a key."""

    def leads_to(self, path: str) -> str:
        """Where a symbolic link leads in the end; "" if the path is not one."""

    def check_writable(self, path: str) -> None:
        """Raises InputError if ``path``, which has been read, cannot be written; called before the TPM is changed."""

    def write(self, path: str, data: bytes, mode: int = 0o600, keep: bool = True) -> None:
        """Replace a file as a whole or not at all. ``keep``: keep an old file's mode. Raises TpmError; then the old file is unchanged."""

    def remove(self, path: str) -> None:
        """Remove a file. Raises TpmError."""


def read(path: str) -> bytes | None:
    """Content of a file; None if it does not exist. Raises InputError if it cannot be read, is not an ordinary file, or is too large."""
    file_errors.check_path(path)
    try:
        kind = os.stat(path).st_mode
        if not stat.S_ISREG(kind):
            # Reading a pipe could wait for ever.
            raise file_errors.unreadable(path, errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL)
        with open(path, "rb") as file:
            data = file.read(file_errors.MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_errors.unreadable(path, error.errno or 0) from None
    if len(data) > file_errors.MAX_SIZE:
        raise file_errors.unreadable(path, errno.EFBIG)
    return data


def check_writable(path: str) -> None:
    """Raises InputError if ``path``, which has been read, cannot be written; called before the TPM is changed.

    Missing folders count as writable if the nearest existing one is.
    """
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise file_errors.unwritable(path, folder, errno.ENOTDIR)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise file_errors.unwritable(path, folder, errno.EACCES)


def write(path: str, data: bytes, mode: int = 0o600, keep: bool = True) -> None:
    """Replace a file atomically: write a temporary file in its folder, fsync, rename, fsync of the folder. ``keep``: keep an old file's mode.

    Missing folders are made readable by all, because the file has a mode of its own.

    Raises TpmError with the system's reason; then the old file is unchanged.
    """
    folder = os.path.dirname(path)
    if os.path.islink(path):
        raise file_errors.failed("write", path, errno.ELOOP)
    temporary = None
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        if keep and os.path.exists(path):
            mode = os.stat(path).st_mode & 0o777
        number, temporary = tempfile.mkstemp(prefix=".edgefleet-", dir=folder)
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(data)
            file.flush()
            os.fsync(number)
        os.replace(temporary, path)
        temporary = None
        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(entry)
        finally:
            os.close(entry)
    except OSError as error:
        raise file_errors.failed("write", path, error.errno or 0) from None
    finally:
        if temporary is not None:
            os.unlink(temporary)


def remove(path: str) -> None:
    """Remove a file. Raises TpmError with the system's reason."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise file_errors.failed("remove", path, error.errno or 0) from None


def names(path: str) -> set[tuple[t.Any, ...]]:
    """The keys for a path: the real path; device and inode of the file, if it exists; and those of its folder together with the file's name."""
    if not os.path.isabs(path) or "\0" in path:
        return {("path", path)}  # read() refuses such a path
    real = os.path.realpath(path)
    folder, name = os.path.split(real)
    found: set[tuple[t.Any, ...]] = {("path", real)}
    for where, rest in ((real, ""), (folder, name)):
        try:
            there = os.stat(where)
        except OSError:
            continue
        found.add(("inode", there.st_dev, there.st_ino, rest))
    return found


class _Local:
    """This machine's own files."""

    read, names, check_writable = staticmethod(read), staticmethod(names), staticmethod(check_writable)
    write, remove = staticmethod(write), staticmethod(remove)

    def leads_to(self, path: str) -> str:
        return os.path.realpath(path) if os.path.islink(path) else ""


LOCAL = _Local()

__all__ = (
    "LOCAL",
    "Files",
    "check_writable",
    "names",
    "read",
    "remove",
    "write",
)
