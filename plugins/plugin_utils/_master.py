# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The fleet's master secret: which values are accepted, and the keys that are derived from it.

Anybody who has a copy of the registry can try masters on its rows. So a master must be 32 random bytes or more, in hex or base64, and each
try costs about 50 to 100 ms and 16 MiB (scrypt, RFC 7914). Our process computes it once for all rows with the same salt.
"""

from __future__ import annotations

import base64
import functools
import re

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

try:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

BYTES = 32
# scrypt's parameters as bytes in a row: the binary logarithm of N, then r and p. Rows with other parameters are refused.
COST = bytes([14, 8, 1])
SALT_BYTES = 16
# Of 32 random bytes about 30 differ; fewer than 20 differ, or none is above 127, in about one case of 10^9.
_FEWEST_DIFFERENT = 20
_HEX = re.compile(r"[0-9A-Fa-f]{64,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{43,}={0,2}")


def check(master: bytes) -> None:
    """Raises InputError for a master that could be guessed."""
    why = _weakness(master)
    if why:
        raise InputError(
            f"Could not open the escrow: the master secret {why}; make one with 'openssl rand -hex 32' and keep it in a vault; where TPMs have "
            "auth values of the present one, give that as former_master beside the new one and run the playbook edgefleet.tpm2.rotate_auth.",
            reason="weak_master",
        )


def _weakness(master: bytes) -> str:
    text = master.decode("ascii", errors="replace").strip()
    if _HEX.fullmatch(text):
        raw = bytes.fromhex(text[: len(text) // 2 * 2])
    elif _BASE64.fullmatch(text):
        if text == text.lower() or text == text.upper():
            return "is not random: it has letters of one case alone"
        plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        raw = base64.b64decode(plain[: len(plain) // 4 * 4] + (plain[len(plain) // 4 * 4 :] + "A" * 4)[:4])
    else:
        return f"is not {BYTES} random bytes in hex or base64"
    if len(set(raw)) < _FEWEST_DIFFERENT or max(raw) < 128:
        return "is not random: it repeats itself, or is text"
    return ""


def hkdf(master: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869)."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(master)


@functools.lru_cache(maxsize=16)
def stretched(master: bytes, salt: bytes) -> bytes:
    """A key of 32 bytes, by scrypt with ``COST``; a process computes it once for each master and salt."""
    return Scrypt(salt=salt, length=32, n=1 << COST[0], r=COST[1], p=COST[2]).derive(master)


__all__ = ("BYTES", "COST", "IMPORT_ERROR", "SALT_BYTES", "check", "hkdf", "stretched")
