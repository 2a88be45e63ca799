# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A device's answer to a credential (TPM 2.0 Library Part 1, section 24); device and controller both compute it with this file."""

from __future__ import annotations

import hashlib
import hmac

_LABEL = b"edgefleet.tpm2 activation"


def proof(secret: bytes, nonce: bytes) -> bytes:
    """HMAC-SHA256 over the nonce, 32 bytes. Only a device that has opened the credential can compute it, and it does not reveal the secret."""
    return hmac.new(secret, _LABEL + nonce, hashlib.sha256).digest()


__all__ = ("proof",)
