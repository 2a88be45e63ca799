# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Policy authorisation: a session in which a policy's assertions are made (TPM 2.0 Library Part 1, section 19.7)."""

from __future__ import annotations

import typing as t


class PolicySession:
    """A policy session in which the assertions from ``_tpm.policy.steps`` are made; it ends with the command that it authorises.

    The session is salted, so that the response's HMAC proves that this TPM carried the command out. ``value`` is the object's auth value
    for an auth_value assertion; ``secret``: the session encrypts parameters; ``auths`` are the auth values of the hierarchies that a secret assertion may name.
    """

    def __init__(
        self, steps: t.Sequence[t.Any], value: bytes = b"", secret: bool = False, auths: t.Mapping[int, bytes] | None = None
    ) -> None:
        self.steps = tuple(steps)
        self.value = value
        self.secret = secret
        self.auths = dict(auths or {})

    def open(self, sessions: t.Any) -> t.Any:
        """The session token for one command."""
        return sessions.policy_session(self.steps, self.secret, self.auths)


__all__ = ("PolicySession",)
