# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Why a file of the device could not be read, written or removed, and what to do about it."""

from __future__ import annotations

import errno
import os

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError

MAX_SIZE = 1 << 20


def check_path(path: str) -> None:
    """Raises InputError if a path is not absolute."""
    if not os.path.isabs(path) or "\0" in path:
        raise InputError(
            f"Could not use {path!r}: it is not an absolute path, and a relative one depends on how the module was started; write the path from / on.",
            object=path,
        )


def unreadable(path: str, number: int) -> InputError:
    """Why a file cannot be read, by the system's number of the error; EISDIR: it is a folder, EINVAL: no ordinary file, EFBIG: too large."""
    attempt, cure = f"read {path}", "name a file that can be read"
    if number in (errno.EISDIR, errno.EINVAL):
        attempt, cure = f"use {path}", "name a file"
        why = "it is a folder" if number == errno.EISDIR else "it is not an ordinary file"
    elif number == errno.EFBIG:
        attempt, why, cure = f"use {path}", f"it is larger than {MAX_SIZE} bytes", "name the right file"
    elif number == errno.EACCES:
        why, cure = "no permission", "run with become, or name another file"
    else:
        why = os.strerror(number)
    return InputError(f"Could not {attempt}: {why}; {cure}.", object=path)


def unwritable(path: str, folder: str, number: int) -> InputError:
    """Why a file cannot be written: ``folder`` is the nearest folder there is; ENOTDIR: it is none, else there is no permission in it."""
    if number == errno.ENOTDIR:
        return InputError(f"Could not write {path}: {folder} is not a folder; name another path.", object=path)
    return InputError(f"Could not write {path}: no permission in {folder}; run with become, or name another folder.", object=path)


def failed(verb: str, path: str, number: int) -> TpmError:
    """Why a file could not be written or removed after all; ELOOP: it has become a symbolic link."""
    if number == errno.ELOOP:
        why = "it has become a symbolic link, and a link is not replaced by a file; find out who made it"
    else:
        why = f"{os.strerror(number)}; {'make room or ' if verb == 'write' else ''}mend the file system, then run again"
    return TpmError(f"Could not {verb} {path}: {why}.", reason="file", object=path)


__all__ = ("MAX_SIZE", "check_path", "failed", "unreadable", "unwritable")
