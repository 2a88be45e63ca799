# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Policies as a playbook gives them: a list of assertions, each a name or a mapping of one name to its arguments."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import handles, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.policy import (
    COMMAND_CODES,
    AuthValue,
    CommandCode,
    NvWritten,
    Or,
    Pcr,
    Policy,
    Secret,
)

MAX_BRANCHES = 8
MAX_DEPTH = 4
# A policyRef is a TPM2B_NONCE (Part 2, section 10.4.4): no longer than the largest digest.
MAX_REF = 64


def _bad(message: str) -> InputError:
    return InputError(f"Could not read the policy: {message}.")


def _read_pcr(value: t.Any, depth: int) -> Pcr:
    if not isinstance(value, dict) or not set(value) <= {"bank", "indices", "values"} or "indices" not in value:
        raise _bad("pcr needs 'indices' and may have 'bank' and 'values', for example {bank: sha256, indices: [7]}")
    indices = value["indices"]
    if not isinstance(indices, list) or not all(isinstance(index, int) and not isinstance(index, bool) for index in indices):
        raise _bad("pcr indices must be a list of integers")
    chosen = pcr.selection(str(value.get("bank") or "sha256"), indices)
    return Pcr(chosen, _read_values(value.get("values"), chosen))


def _read_values(given: t.Any, chosen: pcr.Selection) -> dict[int, bytes] | None:
    if given is None:
        return None
    size = alg.digest_size(alg.IDS[chosen.bank])
    try:
        values = {int(index): bytes.fromhex(str(text)) for index, text in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise _bad("pcr values must map each index to a digest in hex") from None
    if sorted(values) != list(chosen.indices) or any(len(value) != size for value in values.values()):
        raise _bad(f"pcr values must give one digest of {size} bytes for each of the indices {list(chosen.indices)}")
    return values


def _read_command_code(value: t.Any, depth: int) -> CommandCode:
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 < value <= 0xFFFFFFFF:
            raise _bad(f"{value} is no command code; give a name or a number of 32 bits")
        return CommandCode(value)
    name = str(value or "nothing")
    for prefix in ("TPM2_CC_", "TPM2_"):
        name = name[len(prefix) :] if name.startswith(prefix) else name
    if name not in COMMAND_CODES:
        raise _bad(f"'{name}' is no command code that we know; take one of {', '.join(COMMAND_CODES)}")
    return CommandCode(COMMAND_CODES[name])


def _read_nv_written(value: t.Any, depth: int) -> NvWritten:
    if not isinstance(value, bool):
        raise _bad("nv_written takes true or false")
    return NvWritten(value)


def _read_auth_value(value: t.Any, depth: int) -> AuthValue:
    if value not in (None, True):
        raise _bad("auth_value and password take no argument")
    return AuthValue()


def _read_secret(value: t.Any, depth: int) -> Secret:
    if not isinstance(value, dict) or not set(value) <= {"hierarchy", "ref"}:
        raise _bad("secret needs 'hierarchy' and may have 'ref' (hex)")
    name = value.get("hierarchy")
    if name not in ("owner", "endorsement", "platform"):
        raise _bad("secret works with the hierarchy owner, endorsement or platform; a wrong lockout auth would block the TPM")
    try:
        ref = bytes.fromhex(str(value.get("ref") or ""))
    except ValueError:
        raise _bad("the ref of a secret must be hex") from None
    if len(ref) > MAX_REF:
        raise _bad(f"the ref of a secret has {len(ref)} bytes and may have {MAX_REF}; shorten it")
    return Secret(handles.HIERARCHIES[name], ref)


def _read_or(value: t.Any, depth: int) -> Or:
    if not isinstance(value, list) or not 2 <= len(value) <= MAX_BRANCHES or not all(isinstance(one, list) and one for one in value):
        raise _bad(f"or needs 2 to {MAX_BRANCHES} branches, each a list of assertions; nest them for more")
    return Or(tuple(_read(branch, depth + 1) for branch in value))


_READERS: dict[str, t.Callable[[t.Any, int], t.Any]] = {
    "auth_value": _read_auth_value,
    "command_code": _read_command_code,
    "nv_written": _read_nv_written,
    "or": _read_or,
    "password": _read_auth_value,
    "pcr": _read_pcr,
    "secret": _read_secret,
}


def _shown(item: t.Any) -> str:
    """An entry that is no assertion, in a few words: its arguments may be secret."""
    if isinstance(item, dict):
        return f"an entry with {' and '.join(repr(str(key)) for key in item) or 'nothing'} in it"
    return repr(item) if isinstance(item, (str, int)) else "an entry that is neither a name nor a mapping"


def _read(items: t.Any, depth: int) -> Policy:
    if depth > MAX_DEPTH:
        raise _bad(f"or is nested more than {MAX_DEPTH} deep; make two objects of it")
    if not isinstance(items, list):
        raise _bad("a policy is a list of assertions")
    found = []
    for item in items:
        pair = (item, None) if isinstance(item, str) else None
        if isinstance(item, dict) and len(item) == 1:
            pair = next(iter(item.items()))
        if pair is None or pair[0] not in _READERS:
            raise _bad(
                f"{_shown(item)} is no assertion that we know; take {', '.join(sorted(_READERS))}, each an entry of its own in the list"
            )
        found.append(_READERS[pair[0]](pair[1], depth))
    return tuple(found)


def read(items: t.Any) -> Policy:
    """Read a policy as a playbook gives it. Raises InputError with what is wrong and what would be right."""
    return _read(items or [], 0)


__all__ = ("read",)
