# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The policies of the endorsement and identity keys of the TCG's templates, as assertions with which a session satisfies them.

Sources: EK Credential Profile v2.5, section B.6 (PolicyA, PolicyB, PolicyC and their NV indices); TPM 2.0 Keys for Device Identity and
Attestation v1.00, sections 7.3.5 and 7.3.6. A test compares the resulting digests with those of the specifications.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, names, nv, policy
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.attributes import NV, OBJECT, word
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import StateError

# For EKs, IDevIDs and IAKs: the NV index that holds a replacement policy, by nameAlg of the key.
_INDICES = {
    "ek": {alg.SHA256: 0x01C07F01, alg.SHA384: 0x01C07F02, alg.SHA512: 0x01C07F03},
    "idevid": {alg.SHA256: 0x01C90010, alg.SHA384: 0x01C90011, alg.SHA512: 0x01C90012},
    "iak": {alg.SHA256: 0x01C90018, alg.SHA384: 0x01C90019, alg.SHA512: 0x01C9001A},
}
_NV_ATTRIBUTES = word(
    ("policywrite", "writeall", "ppread", "ownerread", "authread", "policyread", "no_da", "written"),
    NV,
)


def _extend(hash_alg: int, old: bytes, code: int, *parts: bytes) -> bytes:
    return alg.digest(hash_alg, old + struct.pack(">I", code) + b"".join(parts))


def _zero(hash_alg: int) -> bytes:
    return bytes(len(alg.digest(hash_alg, b"")))


def secret(hash_alg: int) -> bytes:
    """PolicyA: PolicySecret with the endorsement hierarchy's auth and an empty policyRef."""
    first = _extend(hash_alg, _zero(hash_alg), constants.CC_POLICY_SECRET, names.hierarchy_name(handles.RH_ENDORSEMENT))
    return alg.digest(hash_alg, first)


def _authorize_nv(kind: str, hash_alg: int) -> bytes:
    """PolicyAuthorizeNV over the index of ``kind``: PolicyC of an EK."""
    index = nv.NvPublic(_INDICES[kind][hash_alg], hash_alg, _NV_ATTRIBUTES, secret(hash_alg), 2 + len(_zero(hash_alg)))
    return _extend(hash_alg, _zero(hash_alg), constants.CC_POLICY_AUTHORIZE_NV, index.name)


def branches(kind: str, hash_alg: int) -> tuple[bytes, ...]:
    """The branches of the PolicyOR of ``kind``: ek (high range), idevid or iak. Raises KeyError for a hash that no template uses."""
    first = secret(hash_alg)
    commands: list[bytes] = []
    if kind != "ek":
        codes = (constants.CC_CERTIFY, constants.CC_ACTIVATE_CREDENTIAL)
        commands = [_extend(hash_alg, first, constants.CC_POLICY_COMMAND_CODE, struct.pack(">I", code)) for code in codes]
    return (first, *commands, _authorize_nv(kind, hash_alg))


def either(kind: str, hash_alg: int) -> bytes:
    """The digest of that PolicyOR: the authPolicy of the template."""
    return _extend(hash_alg, _zero(hash_alg), constants.CC_POLICY_OR, *branches(kind, hash_alg))


def in_high_range(public: names.Public) -> bool:
    """Whether an EK is of the high range; such an EK may also be used with its own auth (EK Credential Profile, section B.4)."""
    return bool(public.attributes & OBJECT["userwithauth"])


def steps(public: names.Public, code: int, what: str) -> list[t.Any]:
    """The assertions by which a session may use a key of a TCG template for the command ``code``.

    An EK is used in the role USER. A key that is certified or activated is used in the role ADMIN, for which the policy must contain the
    command's code (Part 1, section 19.2). Raises StateError for a key whose policy is not that of a template.
    """
    by_owner, hash_alg = policy.Secret(handles.RH_ENDORSEMENT), public.name_alg
    if hash_alg in _INDICES["ek"]:
        if public.auth_policy == secret(hash_alg):
            return [by_owner]
        for kind in _INDICES:
            if public.auth_policy == either(kind, hash_alg):
                chosen = [] if kind == "ek" else [policy.CommandCode(code)]
                return [by_owner, *chosen, policy.Offer(branches(kind, hash_alg))]
    raise StateError(
        f"Could not use {what}: its policy ({public.auth_policy.hex() or 'empty'}) is not that of a TCG template; "
        "make the key from a template of this collection (tpm2_primary_key)."
    )


__all__ = ("branches", "either", "in_high_range", "secret", "steps")
