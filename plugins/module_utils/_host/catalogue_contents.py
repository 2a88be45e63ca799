# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Findings on a TPM's content and make: objects, indices, room, measurements, algorithms, firmware, software. One entry for each kind."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import ERROR, INFO, WARNING, Kind, Seen, View, when
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles

FEW_SLOTS, FEW_SESSIONS = 2, 4
# The NV index in which the reference profile keeps the serial number.
SERIAL_INDEX = "0x01800010"
OURS = (0x81000200, 0x810002FF)
FIRMWARE_PCRS = range(8)
PARENT = {"restricted", "decrypt", "fixedtpm", "fixedparent"}
EK_CERTIFICATES = [handles.text(index) for index in constants.EK_INDEX.values()]
POLICY_AUTHORIZE_NV = f"{constants.CC_POLICY_AUTHORIZE_NV:#x}"


def _object(view: View, handle: int) -> t.Any:
    return next((one for one in view.rows("tpm.persistent_handles") if one["handle"] == handles.text(handle)), None)


def _attributes(row: t.Any) -> set[str]:
    return {str(one).lower() for one in row["attributes"]}


def _foreign_srk(view: View) -> list[Seen]:
    found = _object(view, handles.SRK)
    foreign = found is not None and not _attributes(found) >= PARENT
    return when(foreign, handles.text(handles.SRK), f"a {found['algorithm']} that is not a storage parent is there" if found else "")


def _srk(view: View) -> t.Any:
    found = _object(view, handles.SRK)
    return found if found is not None and _attributes(found) >= PARENT else None


def _ours(row: t.Mapping[str, t.Any]) -> bool:
    return OURS[0] <= int(row["handle"], 16) <= OURS[1]


def _counted_parent(row: t.Mapping[str, t.Any]) -> bool:
    """A storage parent that its auth authorises and that counts wrong tries. The SRK and this collection's own keys have other findings."""
    found = _attributes(row)
    elsewhere = row["handle"] != handles.text(handles.SRK) and not _ours(row)
    return elsewhere and found >= PARENT | {"userwithauth"} and not found & {"noda", "adminwithpolicy"}


def _counted_indices(view: View) -> list[Seen]:
    return [
        Seen(one["index"], "wrong or interrupted uses of its auth count towards lockout")
        for one in view.rows("tpm.nv_indices")
        if one["index"].startswith("0x018") and "no_da" not in _attributes(one)
    ]


def _serial(view: View) -> list[Seen]:
    found = next((one for one in view.rows("tpm.nv_indices") if one["index"] == SERIAL_INDEX), None)
    clash = found is not None and "policywrite" not in _attributes(found)
    return when(clash, SERIAL_INDEX, "the index for the serial number has another definition: it is not write-once")


def _bank(view: View, bank: str) -> dict[int, str]:
    return {one["index"]: one["digest"] for one in view.rows("tpm.pcrs") if one["bank"] == bank}


def _unmeasured(view: View) -> list[Seen]:
    values = [digest for index, digest in _bank(view, "sha256").items() if index in FIRMWARE_PCRS]
    empty = values and all(not digest.strip("0") or not digest.strip("f") for digest in values)
    return when(empty, "PCRs 0 to 7 (sha256)", "all are empty: this board's firmware measures nothing")


def _sentence(clause: str) -> str | None:
    return clause[:1].upper() + clause[1:].rstrip(".") + "." if clause else None


def _known(root: str) -> t.Callable[[View], list[Seen]]:
    """Known faults, each with its rule's own severity and remedy."""

    def look(view: View) -> list[Seen]:
        rows = [one for one in view.rows(f"advisories.{root}") if one["verdict"] == "affected"]
        return [
            Seen(
                one["object"],
                f"{', '.join((one['name'], *one['also']))}: {one['means']}; {one['evidence']}",
                one["severity"],
                _sentence(one["remedy"]),
            )
            for one in rows
        ]

    return look


def _unknown(root: str) -> t.Callable[[View], list[Seen]]:
    """The faults of which it is unknown whether they apply, in one finding for each firmware or package."""

    def look(view: View) -> list[Seen]:
        rows: dict[str, list[t.Any]] = {}
        for one in view.rows(f"advisories.{root}"):
            if one["verdict"] == "unknown":
                rows.setdefault(one["object"], []).append(one)
        worst = {name: WARNING if any(one["severity"] == WARNING for one in listed) else INFO for name, listed in rows.items()}
        return [
            Seen(name, f"{', '.join(one['name'] for one in listed)}: {listed[0]['evidence']}", worst[name]) for name, listed in rows.items()
        ]

    return look


_UPDATE_LATER = "Ask the board vendor; if no rule covers a version, its safety is unknown."

KINDS: tuple[Kind, ...] = (
    Kind(
        "foreign_object_at_srk_handle",
        ERROR,
        "Find out which program uses it and move it (tpm2_evictcontrol); this handle is reserved for the storage root key.",
        _foreign_srk,
    ),
    Kind(
        "srk_counts_for_lockout",
        WARNING,
        "Leave it while something is sealed under it; otherwise replace it (tpm2_primary_key, on_mismatch: replace): it was made without noDA.",
        lambda v: when(
            _srk(v) and "noda" not in _attributes(_srk(v)),
            handles.text(handles.SRK),
            "it lacks noDA, so that power cuts after its use count",
        ),
    ),
    Kind(
        "srk_of_another_template",
        INFO,
        "Nothing: it works as a parent; but programs that derive the SRK again instead of reading it get another key.",
        lambda v: when(
            _srk(v) and "noda" in _attributes(_srk(v)) and not _srk(v)["template"],
            handles.text(handles.SRK),
            "it is a storage parent that matches no template of the TCG",
        ),
    ),
    Kind(
        "key_counts_for_lockout",
        WARNING,
        "Make it again with no_da: true; a machine's secrets are too long to guess.",
        lambda v: [
            Seen(one["handle"], "it lacks noDA")
            for one in v.rows("tpm.persistent_handles")
            if _ours(one) and "noda" not in _attributes(one)
        ],
    ),
    Kind(
        "parent_counts_for_lockout",
        WARNING,
        "Put keys and blobs under a parent with noDA, for example the SRK (tpm2_primary_key): only a try shows whether the auth of this one is empty.",
        lambda v: [
            Seen(one["handle"], "a storage parent that lacks noDA") for one in v.rows("tpm.persistent_handles") if _counted_parent(one)
        ],
    ),
    Kind("index_counts_for_lockout", INFO, "Define it with no_da: true if no person types its auth.", _counted_indices),
    Kind("serial_index_taken", WARNING, "Find out who defined it; give the profile another index, or remove this one.", _serial),
    Kind(
        "persistent_slots_few",
        WARNING,
        "Remove persistent objects that nobody needs, or keep keys in files (tpm2_key path).",
        lambda v: when(
            v.at("tpm.capacity.persistent_slots_left") is not None and v.number("tpm.capacity.persistent_slots_left") <= FEW_SLOTS,
            "persistent objects",
            f"room for {v.at('tpm.capacity.persistent_slots_left')} more",
        ),
    ),
    Kind(
        "nv_counters_used_up",
        WARNING,
        "Remove counters that nobody needs; new ones cannot be defined.",
        lambda v: when(
            v.at("tpm.capacity.nv_counters_left") == 0 and v.number("tpm.condition.nv_counters_max"),
            "NV counters",
            "none can be defined any more",
        ),
    ),
    Kind(
        "sessions_used_up",
        WARNING,
        "Find the program that leaves sessions open (tpm2_getcap handles-saved-session) and flush them.",
        lambda v: when(
            v.at("tpm.capacity.sessions_left") is not None and v.number("tpm.capacity.sessions_left") <= FEW_SESSIONS,
            "sessions",
            f"{v.at('tpm.capacity.sessions_left')} are left",
        ),
    ),
    Kind(
        "sha256_bank_missing",
        ERROR,
        "Allocate it in the firmware (tpm2_pcrallocate sha256:all with platform auth) and reboot.",
        lambda v: when(
            v.at("tpm.pcr_banks") is not None and "sha256" not in v.rows("tpm.pcr_banks"),
            "PCR banks",
            f"sha256 is not allocated, {', '.join(v.rows('tpm.pcr_banks')) or 'none'} is",
        ),
    ),
    Kind(
        "sha1_bank_allocated",
        INFO,
        "Deallocate it if no program reads it: SHA-1 collisions can be made, and the bank doubles the work of measuring.",
        lambda v: when("sha1" in v.rows("tpm.pcr_banks"), "PCR banks", "sha1 is allocated"),
    ),
    Kind("pcrs_unmeasured", WARNING, "Do not seal to PCRs here: a policy on empty PCRs protects nothing.", _unmeasured),
    Kind(
        "ecc_missing",
        WARNING,
        "Use the RSA templates (srk_rsa_2048), whose keys take a chip many seconds to make, or update the TPM.",
        lambda v: when(v.rows("tpm.algorithms") and "ecc_p256" not in v.rows("tpm.curves"), "algorithms", "the TPM has no P-256"),
    ),
    Kind(
        "policy_authorize_nv_missing",
        INFO,
        "Use signed policies (authorize) for secrets that have to survive updates.",
        lambda v: when(
            v.rows("tpm.commands") and POLICY_AUTHORIZE_NV not in v.rows("tpm.commands"),
            "commands",
            "TPM2_PolicyAuthorizeNV is not implemented",
        ),
    ),
    Kind(
        "ek_certificate_missing",
        INFO,
        "Let the controller fetch it from the vendor (tpm2_enroll, trust.fetch: Intel, AMD); otherwise pin the EK's fingerprint at the factory.",
        lambda v: when(
            v.at("tpm.nv_indices") is not None and not {one["index"].lower() for one in v.rows("tpm.nv_indices")} & set(EK_CERTIFICATES),
            "endorsement key",
            "the TPM carries no certificate for it",
        ),
    ),
    Kind(
        "roca_key",
        ERROR,
        "Update the firmware, make a new key, and revoke what was signed or encrypted with the old one.",
        lambda v: [Seen(str(one), "its RSA modulus has the ROCA fingerprint: it can be factored") for one in v.rows("advisories.roca")],
    ),
    Kind("firmware_fault", WARNING, _UPDATE_LATER, _known("firmware")),
    Kind("firmware_unknown", INFO, _UPDATE_LATER, _unknown("firmware")),
    Kind("software_fault", WARNING, "Update the package, and the programs that are linked to it.", _known("software")),
    Kind("software_unknown", INFO, "Ask the distribution whether its package has the fix.", _unknown("software")),
)

__all__ = ("KINDS",)
