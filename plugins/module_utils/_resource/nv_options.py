# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read the options of an NV index, and refuse combinations that make no sense. Raises InputError."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, attributes, constants, errors, nv, policy

NAME_ALG = algorithms.SHA256
# NV attributes that a task may ask for; only the TPM sets the others.
SETTABLE = tuple(name for name in attributes.NV if name not in ("written", "writelocked", "readlocked"))
_ONCE = ("policywrite", "ownerread", "authread")
_PLAIN = ("ownerwrite", "ownerread", "authread")
_COUNTER = ("ownerwrite", "authwrite", "ownerread", "authread")
# With these attributes an index becomes unwritten: at TPM Reset or Restart, or after a shutdown that is not orderly (Part 2, section 13.4).
FORGETFUL = ("clear_stclear", "orderly")
LARGEST = 0xFFFF

Options = t.Mapping[str, t.Any]


def policy_of(options: Options, attempt: str) -> policy.Policy:
    """The policy of an index: the write-once policy, or the policy that the task gives."""
    if options.get("write_once"):
        if options.get("nv_type") == "counter":
            raise errors.InputError(f"Could not {attempt}: a counter is incremented, not written; leave out write_once or nv_type.")
        if options.get("policy"):
            raise errors.InputError(f"Could not {attempt}: write_once brings its own policy; leave policy out, or write_once.")
        return (policy.CommandCode(constants.CC_NV_WRITE), policy.NvWritten(False))
    return policy_read.read(options.get("policy"))


def attributes_of(options: Options, attempt: str) -> int:
    """The TPMA_NV word: the given attributes or the default ones, no_da, and the type."""
    chosen = options.get("attributes")
    if chosen is None:
        chosen = _ONCE if options.get("write_once") else _COUNTER if options.get("nv_type") == "counter" else _PLAIN
        if options.get("policy") and not options.get("write_once"):
            chosen = tuple(name for name in chosen if not name.endswith("write")) + ("policywrite",)
        if options.get("auth") and not options.get("write_once") and not options.get("policy"):
            chosen = (*(name for name in chosen if name != "authwrite"), "authwrite")
    unknown = [name for name in chosen if name not in SETTABLE]
    if unknown:
        raise errors.InputError(
            f"Could not {attempt}: '{unknown[0]}' is not an attribute of an NV index that can be asked for; choose from {', '.join(SETTABLE)}."
        )
    word = attributes.word(chosen, attributes.NV)
    word |= attributes.NV["no_da"] if options.get("no_da", True) else 0
    return word | (1 << attributes.NV_TYPE_SHIFT if options.get("nv_type") == "counter" else 0)


def size_of(options: Options, content: bytes | None, attempt: str) -> int | None:
    """The size in bytes: the given one, or the content's; None if neither is given."""
    size = options.get("size")
    if options.get("nv_type") == "counter":
        if content is not None or size not in (None, nv.COUNTER_SIZE):
            raise errors.InputError(
                f"Could not {attempt}: a counter has {nv.COUNTER_SIZE} bytes and no content of its own; leave size and content out."
            )
        return nv.COUNTER_SIZE
    if content is not None and size is not None and len(content) != size:
        raise errors.InputError(
            f"Could not {attempt}: the content has {len(content)} bytes and does not fill the size of {size} exactly; leave size out, or pad the content."
        )
    if content is not None and not content:
        raise errors.InputError(
            f"Could not {attempt}: the content is empty; give at least one byte, or leave it out to define the index only."
        )
    chosen = len(content) if content is not None else size
    if chosen is not None and not 1 <= chosen <= LARGEST:
        raise errors.InputError(f"Could not {attempt}: a size of {chosen} bytes is not possible; give 1 to {LARGEST}.")
    return chosen


def check(options: Options, word: int, asked: policy.Policy, content: bytes | None, attempt: str) -> None:
    """Refuse an index that could never be read or never be written, or that could be used without its policy."""

    def has(*names: str) -> bool:
        return any(word & attributes.NV[name] for name in names)

    if options.get("nv_type") not in (None, "ordinary", "counter"):
        raise errors.InputError(f"Could not {attempt}: only ordinary indices and counters can be ensured.")
    never = nv.refused(word)
    if never:
        raise errors.InputError(f"Could not {attempt}: {never[0]}; {never[1]}.")
    if has("policywrite", "policyread") != bool(asked) and not has("policydelete"):
        raise errors.InputError(
            f"Could not {attempt}: policywrite or policyread and a policy (or write_once) belong together; give both or neither."
        )
    if options.get("write_once") and has("ownerwrite", "authwrite", "ppwrite"):
        raise errors.InputError(
            f"Could not {attempt}: with write_once no attribute but policywrite may allow writing; leave ownerwrite, authwrite and ppwrite out."
        )
    if options.get("write_once") and has(*FORGETFUL):
        raise errors.InputError(
            f"Could not {attempt}: with clear_stclear a reset of the TPM, and with orderly a loss of power, makes the index unwritten, so that it could "
            "be written again; leave both out, or write_once."
        )
    if has("policydelete") and not asked:
        raise errors.InputError(f"Could not {attempt}: with policydelete and without a policy nobody could ever remove it; leave it out.")
    readers_counted = not has("no_da") and options.get("auth") is None and not has("ownerread")
    if (content is not None or options.get("nv_type") == "counter") and readers_counted:
        raise errors.InputError(
            f"Could not {attempt}: to compare the content its auth would have to be tried, and with no_da: false a wrong one counts towards the lockout; "
            "give auth (it may be empty), add ownerread, or set no_da: true."
        )


def check_counted(options: Options, word: int, auth: choose.Auth, attempt: str) -> None:
    """Raises InputError if no auth is given for an existing index that counts wrong tries: its auth may not be empty."""
    if word & attributes.NV["no_da"] or options.get("auth") is not None:
        return
    if not isinstance(auth, PolicySession) or policy.asks_auth(auth.steps):
        raise common.auth_not_given(attempt, "it exists, counts wrong tries (no_da: false)")


__all__ = ("FORGETFUL", "attributes_of", "check", "check_counted", "policy_of", "size_of")
