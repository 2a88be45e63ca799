# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Choose how to prove an auth value to the TPM, so that the TPM's answer proves that it carried the command out."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.hmac import Hmac
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.password import Password
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

# The digest size of SHA-256: every TPM 2.0 accepts auth values of this size for hierarchies (TPM_PT_CONTEXT_HASH) and for our objects (nameAlg).
MAX_AUTH = 32
# The prefixes of an auth that tpm2-tools knows besides hex: and str: (tpm2_util_auth_util_from_optarg).
PLACES = ("file:", "session:", "pcr:")


class Auth(t.Protocol):
    """One of Password, Hmac, PolicySession."""

    value: bytes

    def open(self, sessions: t.Any) -> t.Any:
        """The session token for one command."""


def for_value(value: bytes, secret: bool = False) -> Auth:
    """The authorisation with a known auth value; ``secret``: the command's parameters or its response must be encrypted."""
    return Hmac(value, secret)


def for_use(value: bytes) -> Auth:
    """The same for a command that changes nothing, or whose effect a later command proves: then an empty value needs no session."""
    return Hmac(value) if value else Password()


def read(text: str | None, option: str) -> bytes | None:
    """The bytes of an auth value as a playbook gives it: text, or ``hex:…`` and ``str:…`` as in tpm2-tools. None for None.

    Raises InputError for a value longer than 32 bytes or with a trailing zero byte, which the TPM would cut off; and for ``file:…``,
    ``session:…`` and ``pcr:…``, which in tpm2-tools name the place of a value.
    """
    if text is None:
        return None
    place = next((word for word in PLACES if text.startswith(word)), "")
    if place:
        raise InputError(
            f"Could not use {option}: it begins with '{place}', by which tpm2-tools names the place of a value, and would be taken as the value "
            f"itself; give the value, or write 'str:' before it if its text begins with '{place}'."
        )
    try:
        value = bytes.fromhex(text[4:]) if text.startswith("hex:") else text[4 if text.startswith("str:") else 0 :].encode()
    except ValueError:
        raise InputError(f"Could not read {option}: what follows 'hex:' is not hexadecimal; give pairs of hex digits.") from None
    if len(value) > MAX_AUTH:
        raise InputError(f"Could not use {option}: it has {len(value)} bytes and a TPM takes at most {MAX_AUTH}; give a shorter value.")
    if value.endswith(b"\0"):
        raise InputError(f"Could not use {option}: it ends in a zero byte, which the TPM cuts off; give a value that ends in another byte.")
    return value


__all__ = ("Auth", "MAX_AUTH", "for_use", "for_value", "read")
