# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Password authorisation: the value crosses the bus unencrypted and the response proves nothing.

So it is used only with the empty value, which is not a secret, and only for commands that change nothing or whose effect a later command
proves (see ``go_unproven`` in ``_backend/base.py``).
"""

from __future__ import annotations

import typing as t


class Password:
    """The empty auth value (TPM 2.0 Library Part 1, section 19.4)."""

    value = b""

    def open(self, sessions: t.Any) -> t.Any:
        """The session token for one command."""
        return sessions.password()


__all__ = ("Password",)
