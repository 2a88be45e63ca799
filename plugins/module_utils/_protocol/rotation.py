# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Replace the lockout auth without ever trying a value: the lockout hierarchy's policy shows how far a replacement has come.

A wrong lockout auth blocks the lockout hierarchy. So after an interruption nobody may try which of two values the TPM has. The policy
of a hierarchy can be read without authorisation (TPM_CAP_AUTH_POLICIES), survives resets, and authorises commands as the auth value does:

1. Authorised by the old auth, set the policy to ``bridge``: whoever knows both values can set the auth, whichever of the two it is now.
2. Authorised by that policy, set the auth to the new value; this can be repeated as often as needed.
3. Authorised by the new auth, set the policy to ``marker`` of the new value, which no session can satisfy.

A reader of the policy learns no value: both policies are hashes over the new value, so that value must be too random to be guessed.
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

# In bytes. Anybody can read the policy, and could find a shorter value by trying values against it.
SHORTEST = 16
NOT_BEGUN, BEGUN, DONE, UNKNOWN = "not begun", "begun", "done", "unknown"
_LABEL = b"edgefleet.tpm2 lockout auth "


class ExternalSecret(t.NamedTuple):
    """TPM2_PolicySecret with the auth of an object that is loaded only for this assertion.

    ``public`` is its public area, ``sensitive`` the marshalled TPMT_SENSITIVE, ``value`` its auth.
    """

    public: names.Public
    sensitive: bytes
    value: bytes

    def assert_in(self, verbs: t.Any, session: t.Any, auths: t.Mapping[int, bytes]) -> None:
        """Make the assertion in a policy session."""
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
    """The assertions by which a session sets the lockout auth while the policy is ``bridge``."""
    return [_secret(old, new), policy.CommandCode(constants.CC_HIERARCHY_CHANGE_AUTH)]


def bridge(old: bytes, new: bytes) -> bytes:
    """The digest of those assertions."""
    first = alg.digest(alg.SHA256, bytes(32) + struct.pack(">I", constants.CC_POLICY_SECRET) + _secret(old, new).public.name)
    return policy.digest((policy.CommandCode(constants.CC_HIERARCHY_CHANGE_AUTH),), {}, alg.digest(alg.SHA256, first))


def progress(found: bytes, old: bytes, new: bytes) -> str:
    """How far the replacement of ``old`` by ``new`` has come, judged by the policy that the TPM reports: one of the constants above."""
    known = {b"": NOT_BEGUN, marker(old): NOT_BEGUN, bridge(old, new): BEGUN, marker(new): DONE}
    return known.get(found, UNKNOWN)


__all__ = ("BEGUN", "DONE", "NOT_BEGUN", "SHORTEST", "UNKNOWN", "ExternalSecret", "bridge", "marker", "progress", "steps")
