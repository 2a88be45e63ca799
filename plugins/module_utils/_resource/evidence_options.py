# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read the options of tpm2_evidence, so that bad input fails with one sentence before any command is sent to the TPM."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, observation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, errors, names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr as pcr_

# In bytes: the largest buffer whose size fits a UINT16; and the most that a TPM accepts as a nonce of an attestation (TPM2B_DATA, Part 2, 10.4.3).
MAX_OCTETS, MAX_NONCE = 0xFFFF, 64
Options = t.Mapping[str, t.Any]


class AskedReads(t.NamedTuple):
    """The facts that have been read already: public areas by handle, properties, whether the identity is known, the size of the NV buffer."""

    public: dict[int, names.Public]
    seen: observation.Observation
    identity: bool
    nv_buffer: int | None


class AskedKey(t.NamedTuple):
    """A key of the second exchange: its handle, and its public area from the first exchange."""

    handle: int
    public: names.Public


class AskedActivation(t.NamedTuple):
    """The option ``activate``, parsed."""

    nonce: bytes
    ek: AskedKey
    ak: AskedKey
    idevid: AskedKey | None
    id_object: bytes
    secret: bytes


class Signing(t.NamedTuple):
    """One item of the option ``sign``, parsed."""

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
    """A public area from ``publics`` in the result of the first exchange. Raises InputError."""
    raw = octets(text, option)
    try:
        found = names.parse_public(raw)
        _name = found.name  # raises if its nameAlg is unknown
    except errors.TpmError:
        raise errors.InputError(
            f"Could not read {option}: it is not a TPMT_PUBLIC; give the public area that publics in the result of collect has for this key."
        ) from None
    return found


def nonce(options: Options) -> bytes:
    """The nonce. Raises InputError."""
    return octets(options["nonce"], "nonce", MAX_NONCE)


def serial_size(options: Options) -> int | None:
    """The size of the serial number's index; None if it is not to be certified. Raises InputError."""
    size = options.get("serial_size")
    if size is not None and not 0 < size <= MAX_OCTETS:
        raise errors.InputError(f"Could not read serial_size {size}: no NV index can have that size; give the size of the serial number.")
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
        raise errors.InputError("Could not read reads: it is not what tpm2_profile returned; pass that on, or leave it out.") from None


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
