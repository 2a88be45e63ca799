# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What tpm2_evidence is asked, read: bad input is one sentence before the TPM is asked anything."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, errors, names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr as pcr_

# What a UINT16 tells the size of; and how much a TPM takes into an attestation (TPM2B_DATA, Part 2, section 10.4.3).
MAX_OCTETS, MAX_NONCE = 0xFFFF, 64
Options = t.Mapping[str, t.Any]


class AskedReads(t.NamedTuple):
    """What has been read already: public areas by handle, properties, whether the identity is known, the size of the NV buffer."""

    public: dict[int, names.Public]
    seen: observation.Observation
    identity: bool
    nv_buffer: int | None


class AskedKey(t.NamedTuple):
    """A key of the second exchange: where it is, and its public area as the first exchange showed it."""

    handle: int
    public: names.Public


class AskedActivation(t.NamedTuple):
    """What ``activate`` says."""

    nonce: bytes
    ek: AskedKey
    ak: AskedKey
    idevid: AskedKey | None
    id_object: bytes
    secret: bytes


class Signing(t.NamedTuple):
    """One of ``sign``."""

    handle: int
    public: names.Public
    digest: bytes


def octets(text: t.Any, option: str, most: int = MAX_OCTETS) -> bytes:
    try:
        found = bytes.fromhex(str(text))
    except ValueError:
        raise errors.InputError(f"Could not read {option}: it is not hexadecimal; give pairs of hex digits.") from None
    if not 0 < len(found) <= most:
        raise errors.InputError(f"Could not read {option}: it has {len(found)} bytes; give 1 to {most}.")
    return found


def area(text: t.Any, option: str) -> names.Public:
    """A public area as ``publics`` gave it. Raises InputError."""
    raw = octets(text, option)
    try:
        found = names.parse_public(raw)
        _name = found.name  # not every one has a Name
    except errors.TpmError:
        raise errors.InputError(f"Could not read {option}: it is no TPMT_PUBLIC; give what publics of collect told of this key.") from None
    return found


def nonce(options: Options) -> bytes:
    """The nonce. Raises InputError."""
    return octets(options["nonce"], "nonce", MAX_NONCE)


def serial_size(options: Options) -> int | None:
    """The size of the serial number's index, None where it is not to be certified. Raises InputError."""
    size = options.get("serial_size")
    if size is not None and not 0 < size <= MAX_OCTETS:
        raise errors.InputError(f"Could not read serial_size {size}: no NV index has so many bytes; give the size of the serial number.")
    return t.cast("int | None", size)


def pcrs(options: Options) -> pcr_.Selection | None:
    """The PCRs to be quoted, if any. Raises InputError."""
    chosen = options.get("pcrs")
    return pcr_.selection(str(chosen.get("bank") or "sha256"), chosen["indices"]) if chosen else None


def reads(options: Options) -> AskedReads:
    """The option of that name. Raises InputError."""
    told, seen = options.get("reads") or {}, observation.Observation()
    try:
        public = {common.handle(handle, "reads.public"): area(text, "reads.public") for handle, text in (told.get("public") or {}).items()}
        if told.get("properties"):
            seen["properties", None] = {int(str(number), 0): int(value) for number, value in told["properties"].items()}
        buffer = told.get("nv_buffer_max")
        return AskedReads(public, seen, bool(told.get("identity")), int(buffer) if buffer else None)
    except (AttributeError, TypeError, ValueError):
        raise errors.InputError("Could not read reads: it is not as tpm2_profile returned it; pass that on, or leave it out.") from None


def key(options: Options, name: str) -> AskedKey:
    """A key by handle and public area. Raises InputError."""
    return AskedKey(common.handle(options["handle"], f"{name}.handle"), area(options["public"], f"{name}.public"))


def activation(options: Options) -> AskedActivation:
    """The option ``activate``. Raises InputError."""
    ek, ak = key(options["ek"], "ek"), key(options["ak"], "ak")
    idevid = key(options["idevid"], "idevid") if options.get("idevid") else None
    credential = [octets(options[name], name) for name in ("id_object", "encrypted_secret")]
    return AskedActivation(nonce(options), ek, ak, idevid, *credential)


def signing(requests: t.Sequence[Options]) -> list[Signing]:
    """The option ``sign``. Raises InputError."""
    found = [Signing(*key(one, "sign"), octets(one["digest"], "sign.digest")) for one in requests]
    for one in found:
        algorithms.hash_to_sign(one.digest)
    return found


__all__ = ("AskedActivation", "AskedKey", "AskedReads", "Signing", "activation", "key", "nonce", "pcrs", "reads", "serial_size", "signing")
