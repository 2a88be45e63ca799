# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read and write files on the controller; each is written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import tempfile

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError


def read(path: str, what: str, most: int = -1) -> bytes:
    """The first ``most`` bytes of a file that the user has named. ``what``: its name in errors, with its path. Raises InputError."""
    try:
        with open(path, "rb") as file:
            return file.read(most)
    except OSError as error:
        raise InputError(f"Could not read {what}: {error.strerror}; see its path and who may read it.") from None


def is_there(path: pathlib.Path, what: str) -> bool:
    """Whether there is a regular file; nothing else is opened, as a named pipe would be waited for. ``what``: its name. Raises InputError."""
    try:
        return path.is_file()
    except OSError as error:
        raise InputError(f"Could not look for {what}: {error.strerror}; see its path and who may read its folder.") from None


def replace(path: pathlib.Path, data: bytes, mode: int = 0o644) -> None:
    """Write ``data`` to a file, whole or not at all, even if the machine loses power. Raises OSError, also for a symbolic link."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a symbolic link, which is not replaced by a file")
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(data)
            file.flush()
            os.fsync(number)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write(path: pathlib.Path, data: bytes, mode: int = 0o644) -> bool:
    """``replace`` a file unless it holds ``data`` already; make its folder if necessary. Return whether it changed. Raises TpmError."""
    try:
        if path.is_file() and path.read_bytes() == data:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, data, mode)
    except OSError as error:
        raise TpmError(f"Could not write {path}: {error.strerror or error}; see its folder, who may write there, and its space.") from None
    return True


__all__ = ("is_there", "read", "replace", "write")
