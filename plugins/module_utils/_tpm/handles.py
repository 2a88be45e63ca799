# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The one registry that says which handle and NV index belongs to whom.

Sources: Registry of Reserved TPM 2.0 Handles and Localities; TPM 2.0 Provisioning Guidance; EK Credential Profile; and the source code of
the programs named in the rows.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

RH_OWNER = 0x40000001
RH_NULL = 0x40000007
RH_LOCKOUT = 0x4000000A
RH_ENDORSEMENT = 0x4000000B
RH_PLATFORM = 0x4000000C
HIERARCHIES = {"owner": RH_OWNER, "endorsement": RH_ENDORSEMENT, "lockout": RH_LOCKOUT, "platform": RH_PLATFORM}
HIERARCHY_NAMES = {handle: name for name, handle in HIERARCHIES.items()}

SRK = 0x81000001
FIRST_NV = 0x01000000
FIRST_TRANSIENT = 0x80000000
LOADED_SESSION = 0x02000000
FIRST_PERSISTENT = 0x81000000
LAST_PERSISTENT = 0x81FFFFFF
LAST_OWNER_PERSISTENT = 0x817FFFFF


class Range(t.NamedTuple):
    """An inclusive range of handles, its user, and the roles for which this collection may use it (none: only with allow_foreign_range)."""

    first: int
    last: int
    user: str
    roles: tuple[str, ...] = ()


# The first row that contains a handle decides, so special rows come before general ones.
PERSISTENT = (
    Range(0x81000001, 0x81000001, "the shared storage root key (SRK)", ("srk",)),
    Range(0x81000100, 0x81000100, "Azure IoT Device Provisioning"),
    Range(0x81000200, 0x810002FF, "edgefleet.tpm2", ("srk", "ek", "devid", "key")),
    Range(0x81008F00, 0x81008FFF, "go-tpm-tools attestation keys"),
    Range(0x81000000, 0x8100FFFF, "keys of the owner hierarchy"),
    Range(0x81010001, 0x81010001, "the endorsement key RSA-2048, or of another type where systemd from version 262 on keeps one", ("ek",)),
    Range(0x81010000, 0x8101FFFF, "endorsement keys", ("ek",)),
    Range(0x81020000, 0x81020001, "the device identity keys IDevID and IAK", ("devid",)),
    Range(0x81020002, 0x81020002, "a FIDO Device Onboard key"),
    Range(0x81020000, 0x8102FFFF, "device identity keys", ("devid",)),
    Range(0x81800000, 0x81FFFFFF, "the platform hierarchy"),
)
NV = (
    Range(0x01000000, 0x013FFFFF, "the TPM's manufacturer"),
    Range(0x01400000, 0x017FFFFF, "the platform's manufacturer"),
    Range(0x01801100, 0x01801101, "snapd's full disk encryption"),
    Range(0x01810001, 0x01810001, "snapd's full disk encryption"),
    Range(0x01800000, 0x01BFFFFF, "the owner", ("nv",)),
    Range(0x01C00002, 0x01C0001F, "endorsement key certificates, nonces and templates"),
    Range(0x01C00100, 0x01C001FF, "the endorsement certificate chain"),
    Range(0x01C00000, 0x01C07FFF, "endorsement credentials"),
    Range(0x01C08000, 0x01C0FFFF, "platform certificates"),
    Range(0x01C10000, 0x01C1FFFF, "the PC client platform"),
    Range(0x01C90000, 0x01C9FFFF, "device identity certificates"),
    Range(0x01D10200, 0x01D102FF, "systemd's NvPCRs"),
    Range(0x01D10000, 0x01D1FFFF, "FIDO Device Onboard"),
)


def is_persistent(handle: int) -> bool:
    """Whether a handle is that of a persistent object."""
    return FIRST_PERSISTENT <= handle <= LAST_PERSISTENT


def text(handle: int) -> str:
    """A handle as text, in the form ``0x81000001``."""
    return f"{handle:#010x}"


def owner_of(handle: int) -> str:
    """Who uses a persistent handle or NV index, in a few words."""
    table = PERSISTENT if handle >> 24 == 0x81 else NV
    for row in table:
        if row.first <= handle <= row.last:
            return row.user
    return "no registered user"


def _check(handle: int, role: str, table: t.Sequence[Range], allowed: bool, ours: str) -> None:
    for row in table:
        if row.first <= handle <= row.last:
            if role in row.roles or allowed:
                return
            break
    if not allowed:
        raise InputError(
            f"Could not plan {text(handle)}: it is reserved for {owner_of(handle)}; "
            f"take one of {ours}, or set allow_foreign_range if you mean it."
        )


def check_persistent(handle: int, role: str, allowed: bool = False) -> None:
    """Raises InputError for a persistent handle that is not for ``role`` (srk, ek, devid, key), unless ``allowed``."""
    if not FIRST_PERSISTENT <= handle <= LAST_PERSISTENT:
        raise InputError(
            f"Could not plan {text(handle)}: a persistent handle lies in 0x81000000-0x81ffffff; ours are 0x81000200-0x810002ff."
        )
    _check(handle, role, PERSISTENT, allowed, "0x81000200-0x810002ff")


def check_nv(index: int, allowed: bool = False) -> None:
    """Raises InputError for an NV index outside 0x01800000-0x01bfffff or of another known user, unless ``allowed``."""
    if index >> 24 != 0x01:
        raise InputError(f"Could not plan {text(index)}: an NV index lies in 0x01000000-0x01ffffff; ours are 0x01800000-0x01bfffff.")
    _check(index, "nv", NV, allowed, "0x01800000-0x01bfffff")


__all__ = ("HIERARCHIES", "HIERARCHY_NAMES", "SRK", "Range", "check_nv", "check_persistent", "is_persistent", "owner_of", "text")
