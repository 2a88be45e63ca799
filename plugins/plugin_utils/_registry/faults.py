# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The registry's errors, each with a reason, and the translation of a database's errors into one sentence."""

from __future__ import annotations

import sqlite3
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError

# Reasons of RegistryError.
LOCKED = "locked"  # another process kept it locked for longer than the timeout
UNREACHABLE = "unreachable"  # no such file, folder or server, or the connection ended
FULL = "full"  # the disk is full, or a limit of size is reached
NOT_A_REGISTRY = "not_a_registry"  # the file or database is something else
NEWER = "newer"  # a newer release has upgraded it
OLDER = "older"  # it needs an upgrade, and we may not write
READ_ONLY = "read_only"
PERMISSION = "permission"
DAMAGED = "damaged"
REFUSED = "refused"  # a trigger or constraint of the database refuses the change
NOT_ENROLLED = "not_enrolled"
CLOCK_BEHIND = "clock_behind_registry"  # this controller's clock is behind the last event
AMBIGUOUS = "ambiguous"  # several devices match
DUPLICATE_CERTIFICATE = "duplicate_certificate"
OTHER = "other"

# The first thing that is attempted.
OPEN = "open the device registry"

# Reasons of IdentityConflictError.
SERIAL_TAKEOVER = "serial_takeover"
EK_UNDER_OTHER_SERIAL = "ek_under_other_serial"
TPM_UNDER_OTHER_SERIAL = "tpm_under_other_serial"
DUPLICATE_AK = "duplicate_ak"
AK_REPLACED = "ak_replaced"
DUPLICATE_IDEVID = "duplicate_idevid"
IDEVID_REPLACED = "idevid_replaced"

# By reason: what is wrong, and what to do.
_WORDS: dict[str, tuple[str, str]] = {
    LOCKED: ("it stayed locked by another process", "wait until that has ended, then run again"),
    UNREACHABLE: ("it cannot be reached", "see that it is there and that its address is right, then run again"),
    FULL: ("it is full", "make room for it, then run again; nothing was written"),
    NOT_A_REGISTRY: ("it is no device registry", "name another file or database"),
    READ_ONLY: ("it can only be read", "let this user write to it, or name another"),
    PERMISSION: ("permission is denied", "check who may use it, and as which user this run connects"),
    DAMAGED: ("it is damaged", "restore it from its backup"),
    REFUSED: ("its own rules refuse the change", "nothing was changed; compare the new data with what is registered"),
    OTHER: ("the database reports an error", "see what it says, then run again"),
}

# Primary result codes of SQLite (sqlite.org/rescode.html): PERM, BUSY, LOCKED, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, CONSTRAINT, AUTH, NOTADB.
_SQLITE: dict[int, str] = {
    3: PERMISSION,
    5: LOCKED,
    6: LOCKED,
    8: READ_ONLY,
    10: UNREACHABLE,
    11: DAMAGED,
    13: FULL,
    14: UNREACHABLE,
    19: REFUSED,
    23: PERMISSION,
    26: NOT_A_REGISTRY,
}

# SQLSTATE of PostgreSQL (its appendix A): the whole code, else its class.
_POSTGRES: dict[str, str] = {
    "08": UNREACHABLE,
    "23": REFUSED,
    "25006": READ_ONLY,
    "28": PERMISSION,
    "3D000": UNREACHABLE,
    "3F000": NOT_A_REGISTRY,
    "40001": LOCKED,
    "40P01": LOCKED,
    "42501": PERMISSION,
    "42P01": NOT_A_REGISTRY,
    "42703": NOT_A_REGISTRY,
    "53": FULL,
    "53300": UNREACHABLE,
    "54": FULL,
    "55P03": LOCKED,
    "57P": UNREACHABLE,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
}
# Errors of a server before the session starts, which have no code.
_REFUSALS = ("authentication failed", "no pg_hba.conf entry", "no password supplied", "permission denied", "is not permitted to log in")


class RegistryError(ReasonedError):
    """The registry could not be read or written; ``reason`` is one of the constants above. Nothing was changed."""


class IdentityConflictError(RegistryError):
    """A device claims what the registry has of another device; it belongs in quarantine."""


def reason_of(error: BaseException) -> str:
    """The reason for a driver's error, by its code if it has one."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        if code is None:
            return NOT_A_REGISTRY if "no such table" in str(error) else OTHER
        return _SQLITE.get(code & 0xFF, NOT_A_REGISTRY if "no such" in str(error) else OTHER)
    state = getattr(error, "sqlstate", None)
    if not state:
        return PERMISSION if any(words in str(error) for words in _REFUSALS) else UNREACHABLE
    known = (_POSTGRES.get(state[:length]) for length in (5, 3, 2))
    return next((reason for reason in known if reason), OTHER)


def words_of(error: BaseException) -> str:
    """The text of a driver's error, without the position in the server's source code."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    return str(primary or error)


def registry_error(attempt: str, shown: str, reason: str, said: str = "", hidden: t.Sequence[str] = ()) -> RegistryError:
    """The error as one sentence. ``said``: the database's own text, from which the texts in ``hidden`` are removed."""
    words, cure = _WORDS[reason]
    said = " ".join(said.split()).rstrip(" .;")
    for secret in hidden:
        said = said.replace(secret, "***")
    where = f"{attempt} {shown}" if attempt == OPEN else f"{attempt} in the registry {shown}"
    return RegistryError(f"Could not {where}: {words}{f' ({said})' if said else ''}; {cure}.", reason)


__all__ = (
    "AK_REPLACED",
    "AMBIGUOUS",
    "CLOCK_BEHIND",
    "DAMAGED",
    "DUPLICATE_AK",
    "DUPLICATE_CERTIFICATE",
    "DUPLICATE_IDEVID",
    "EK_UNDER_OTHER_SERIAL",
    "FULL",
    "IDEVID_REPLACED",
    "LOCKED",
    "NEWER",
    "NOT_A_REGISTRY",
    "NOT_ENROLLED",
    "OLDER",
    "OPEN",
    "OTHER",
    "PERMISSION",
    "READ_ONLY",
    "REFUSED",
    "SERIAL_TAKEOVER",
    "TPM_UNDER_OTHER_SERIAL",
    "UNREACHABLE",
    "IdentityConflictError",
    "RegistryError",
    "reason_of",
    "registry_error",
    "words_of",
)
