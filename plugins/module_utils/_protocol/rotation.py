# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Replacing the lockout auth without ever trying one: the lockout hierarchy's policy says how far a replacement has come.

A wrong lockout auth blocks the lockout hierarchy, so after an interruption it must not be tried which of two values holds. The policy
of a hierarchy can be read by everybody (TPM_CAP_AUTH_POLICIES), survives resets, and authorises beside the auth value:

1. authorised by the old auth, the policy becomes ``bridge``: whoever knows both values may set the auth, whatever it is now;
2. by that policy, the auth becomes the new one, as often as it takes;
3. authorised by the new auth, the policy becomes ``marker`` of the new value, which no session can ever reach.

Whoever reads a policy learns nothing: both are hashes that need the new value, which therefore has to be one that cannot be guessed.
TPM 2.0 Library Part 3, sections 23.4 (PolicySecret), 24.3 (SetPrimaryPolicy), 24.8 (HierarchyChangeAuth).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, constants, names, policy
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized

# A value shorter than that could be found by trying, with the policy that anybody can read.
SHORTEST = 16
NOT_BEGUN, BEGUN, DONE, UNKNOWN = "not begun", "begun", "done", "unknown"
_LABEL = b"edgefleet.tpm2 lockout auth "


class ExternalSecret(t.NamedTuple):
    """TPM2_PolicySecret with the auth of an object that is loaded for it: its public area, the marshalled TPMT_SENSITIVE, its auth."""

    public: names.Public
    sensitive: bytes
    value: bytes

    def assert_in(self, verbs: t.Any, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        """Make it in a policy session."""
        verbs.policy_external_secret(session, self)


def _derived(purpose: bytes, *values: bytes) -> bytes:
    return hmac.new(values[-1], _LABEL + purpose + b"".join(sized(value) for value in values[:-1]), hashlib.sha256).digest()


def marker(value: bytes) -> bytes:
    """The policy of a lockout hierarchy whose auth is ``value``, 32 bytes."""
    return _derived(b"holds", value)


def _secret(old: bytes, new: bytes) -> ExternalSecret:
    value, seed, data = (_derived(purpose, old, new) for purpose in (b"auth", b"seed", b"data"))
    flags = attributes.word(("userwithauth", "noda"), attributes.OBJECT)
    unique = hashlib.sha256(seed + data).digest()
    raw = struct.pack(">HHI", alg.KEYEDHASH, alg.SHA256, flags) + sized(b"") + struct.pack(">H", alg.NULL) + sized(unique)
    sensitive = struct.pack(">H", alg.KEYEDHASH) + sized(value) + sized(seed) + sized(data)
    return ExternalSecret(names.parse_public(raw), sensitive, value)


def steps(old: bytes, new: bytes) -> list[t.Any]:
    """What a session asserts to set the lockout auth while the policy is ``bridge``."""
    return [_secret(old, new), policy.CommandCode(constants.CC_HIERARCHY_CHANGE_AUTH)]


def bridge(old: bytes, new: bytes) -> bytes:
    """The digest of those assertions."""
    first = alg.digest(alg.SHA256, bytes(32) + struct.pack(">I", constants.CC_POLICY_SECRET) + _secret(old, new).public.name)
    return policy.digest((policy.CommandCode(constants.CC_HIERARCHY_CHANGE_AUTH),), {}, alg.digest(alg.SHA256, first))


def progress(found: bytes, old: bytes, new: bytes) -> str:
    """How far the replacement of ``old`` by ``new`` has come, by the policy that the TPM tells: one of the constants above."""
    known = {b"": NOT_BEGUN, marker(old): NOT_BEGUN, bridge(old, new): BEGUN, marker(new): DONE}
    return known.get(found, UNKNOWN)


__all__ = ("BEGUN", "DONE", "NOT_BEGUN", "SHORTEST", "UNKNOWN", "ExternalSecret", "bridge", "marker", "progress", "steps")
