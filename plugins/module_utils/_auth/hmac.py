# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""HMAC authorisation in the run's one salted, parameter-encrypted session (TPM 2.0 Library Part 1, sections 19.6 and 21)."""

from __future__ import annotations

import typing as t


class Hmac:
    """An auth value, which may be empty. The response's HMAC proves that this TPM carried the command out.

    ``secret``: the command's parameters or its response must be encrypted.
    """

    def __init__(self, value: bytes, secret: bool = False) -> None:
        self.value = value
        self.secret = secret

    def open(self, sessions: t.Any) -> t.Any:
        """The session token for one command."""
        return sessions.secure() if self.value or self.secret else sessions.proving()


__all__ = ("Hmac",)
