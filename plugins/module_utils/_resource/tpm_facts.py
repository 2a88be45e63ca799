# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read facts of a TPM and give them names; nothing is changed."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Waiting
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader, connect
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import AUTH_SET
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import (
    algorithms,
    constants,
    handles,
    names,
    nv,
    pcr,
    post_quantum,
    templates,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

Facts = dict[str, t.Any]
Found = t.TypeVar("Found")


def _text(word: int) -> str:
    return word.to_bytes(4, "big").rstrip(b"\0 ").decode("ascii", "replace")


def _firmware(properties: t.Mapping[int, int]) -> str:
    first, second = properties.get(constants.PT_FIRMWARE_VERSION_1, 0), properties.get(constants.PT_FIRMWARE_VERSION_2, 0)
    return f"{first >> 16}.{first & 0xFFFF}.{second >> 16}.{second & 0xFFFF}"


def identity(reader: Reader) -> Facts:
    """Family, revision, manufacturer, model, firmware (TPM_PT 0x100 to 0x10C)."""
    found = reader.properties(constants.PT_FIXED)
    return {
        "family": _text(found.get(constants.PT_FAMILY_INDICATOR, 0)),
        "revision": f"{found.get(constants.PT_REVISION, 0) / 100:.2f}",
        "manufacturer": _text(found.get(constants.PT_MANUFACTURER, 0)),
        "model": "".join(
            _text(found.get(number, 0)) for number in range(constants.PT_VENDOR_STRING_1, constants.PT_VENDOR_STRING_4 + 1)
        ).strip(),
        "firmware": _firmware(found),
    }


def da(reader: Reader) -> Facts:
    """Dictionary attack protection; times in seconds."""
    found = reader.properties()
    state = {
        "counter": found.get(constants.PT_LOCKOUT_COUNTER),
        "max_tries": found.get(constants.PT_MAX_AUTH_FAIL),
        "recovery_time": found.get(constants.PT_LOCKOUT_INTERVAL),
        "lockout_recovery": found.get(constants.PT_LOCKOUT_RECOVERY),
        "in_lockout": bool(found.get(constants.PT_PERMANENT, 0) & constants.PERMANENT_IN_LOCKOUT),
    }
    return {"da_lockout": state}


def hierarchies(reader: Reader) -> Facts:
    """Which auth values are set, which hierarchies are enabled, whether TPM2_Clear is forbidden."""
    # First, so that it is asked for together with what other subsets ask for first.
    empty = reader.platform_auth_is_empty()
    permanent = reader.properties().get(constants.PT_PERMANENT, 0)
    startup = reader.properties().get(constants.PT_STARTUP_CLEAR, 0)
    state: Facts = {
        name: {"auth_set": bool(permanent & AUTH_SET[number])} for name, number in handles.HIERARCHIES.items() if number in AUTH_SET
    }
    state["platform"] = {"auth_set": None if empty is None else not empty}
    for at, name in enumerate(("platform", "owner", "endorsement")):
        state[name]["enabled"] = bool(startup >> at & 1)
    state["lockout"]["clear_disabled"] = bool(permanent & constants.PERMANENT_DISABLE_CLEAR)
    return {"hierarchies": state}


def capacity(reader: Reader) -> Facts:
    """The room that is left, as far as the TPM tells."""
    found = {**reader.properties(), **reader.properties(constants.PT_FIXED)}
    numbers = {
        "persistent_slots_left": constants.PT_HR_PERSISTENT_AVAIL,
        "persistent_slots_used": constants.PT_HR_PERSISTENT,
        "nv_indices_used": constants.PT_HR_NV_INDEX,
        "nv_counters_left": constants.PT_NV_COUNTERS_AVAIL,
        "nv_index_max": constants.PT_NV_INDEX_MAX,
        "nv_buffer_max": constants.PT_NV_BUFFER_MAX,
        "transient_slots_left": constants.PT_HR_TRANSIENT_AVAIL,
        "sessions_left": constants.PT_HR_ACTIVE_AVAIL,
    }
    return {"capacity": {name: found.get(number) for name, number in numbers.items()}}


def _each(numbers: t.Iterable[int], read: t.Callable[[int], Found]) -> list[tuple[int, Found]]:
    """Read something of each. Raises Waiting only when all have been asked for, so that all are fetched together."""
    found: list[tuple[int, Found]] = []
    waiting: Waiting | None = None
    for number in numbers:
        try:
            found.append((number, read(number)))
        except Waiting as one:
            waiting = one
    if waiting is not None:
        raise waiting
    return found


def objects(reader: Reader) -> Facts:
    """Persistent objects with Name, template and registered user."""
    listed = []
    for handle, found in _each(reader.handles(handles.FIRST_PERSISTENT), reader.read_public):
        if found is not None:
            row = {"handle": handles.text(handle), "name": found[0].name.hex(), "qualified_name": found[1].hex()}
            listed.append({**row, **names.describe(found[0]), "template": _template(found[0]), "user": handles.owner_of(handle)})
    return {"persistent_handles": listed}


def _template(public: names.Public) -> str | None:
    """The TCG template that an object was made from, as far as its public area tells."""
    return next((name for name in templates.PRIMARY_NAMES if not names.differences(templates.primary(name), public)), None)


def indices(reader: Reader) -> Facts:
    """NV indices with type, attributes, size and registered user."""
    listed = []
    for index, found in _each(reader.handles(handles.FIRST_NV), reader.nv_read_public):
        if found is not None:
            row = {"index": handles.text(index), "name": found.name.hex()}
            listed.append({**row, **nv.describe(found), "user": handles.owner_of(index)})
    return {"nv_indices": listed}


def algorithm_lists(reader: Reader) -> Facts:
    """Algorithms and curves by name, commands by code; and which post-quantum algorithms of library version 1.85 the TPM has."""
    listed = reader.numbers(constants.CAP_ALGS, 6)
    return {
        "post_quantum": post_quantum.readiness(listed, reader.properties(constants.PT_FIXED)),
        "algorithms": [algorithms.alg_name(number) for number in listed],
        "curves": [algorithms.CURVE_NAMES.get(number, f"{number:#06x}") for number in reader.numbers(constants.CAP_ECC_CURVES, 2)],
        "commands": [f"{number:#x}" for number in reader.numbers(constants.CAP_COMMANDS, 4)],
    }


def pcr_values(reader: Reader, wanted: t.Sequence[int] | None) -> Facts:
    """Allocated banks and the values of PCRs: of those that were asked for, or else of all."""
    banks = reader.banks()
    chosen = [pcr.Selection(one.bank, tuple(index for index in one.indices if wanted is None or index in wanted)) for one in banks]
    values = reader.pcr_read([one for one in chosen if one.indices])
    listed = [{"bank": one.bank, "index": index, "digest": values[one.bank][index].hex()} for one in chosen for index in one.indices]
    return {"pcr_banks": [one.bank for one in banks], "pcrs": listed}


SUBSETS: dict[str, t.Callable[[Reader], Facts]] = {
    "identity": identity,
    "da_lockout": da,
    "hierarchies": hierarchies,
    "capacity": capacity,
    "persistent_handles": objects,
    "nv_indices": indices,
    "algorithms": algorithm_lists,
    "pcrs": lambda reader: pcr_values(reader, None),
}
# Subsets that are not facts of the TPM. They have to be requested by name and are not part of "all", so that nobody who wants the TPM's facts waits for them.
BESIDE = ("host", "advisories", "findings")


def ask(place: tcti.Tcti, subsets: t.Sequence[str], pcrs: t.Sequence[int] | None) -> Facts:
    """All facts of the subsets, and ``notes`` for the user. Raises TransportError, TpmResponseError, InputError."""
    with connect(place) as reader:
        return {**read(reader, place, subsets, pcrs), "notes": reader.flushed}


def read(reader: Reader, place: tcti.Tcti, subsets: t.Sequence[str], pcrs: t.Sequence[int] | None) -> Facts:
    """The facts as ``ask`` returns them, read over an open reader, without the notes."""
    found: Facts = {"tcti": place.text, "resource_manager": place.resource_manager}
    for name, function in SUBSETS.items():
        if name in subsets or "all" in subsets:
            found.update(pcr_values(reader, pcrs) if name == "pcrs" else function(reader))
    return found


__all__ = ("BESIDE", "SUBSETS", "ask", "read")
