# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The event log, in which firmware and boot loader list what they have measured: parse it, replay it, compare the replay with a TPM's PCRs.

TCG PC Client Platform Firmware Profile 1.05/1.06, section 10 (structures) and 10.4 (event types); all integers are little-endian.
Linux serves the log as ``/sys/kernel/security/tpm0/binary_bios_measurements``. It comes from outside, so nothing in it is
trusted: memory of a given size is used only after that many bytes are known to be there.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.pcr import COUNT

MAX_SIZE = 16 << 20
MAX_BANKS = 16  # HASH_COUNT of the library specification leaves no room for more
MAX_EVENTS = 100_000

EV_NO_ACTION = 0x03
SPEC_ID = b"Spec ID Event03\0"
LOCALITY = b"StartupLocality\0"
SHA1_SIZE = 20

# The PCRs that only the firmware extends. Boot loader, kernel and user space extend the higher ones after the log has ended
# (IMA 10, systemd 11 to 13 and 15, applications 16 and 23), so a different value there does not contradict the log.
FIRMWARE_PCRS = range(8)
# From version 261 on, systemd extends this word into PCRs 0 to 7, 9 and 12 to 14 before it leaves the initrd, and logs it elsewhere
# (units/systemd-pcrosseparator.service.in, src/pcrextend/pcrextend.c). The word is measured as it is, without a NUL at its end.
OS_SEPARATOR = b"os-separator"

TYPES = {
    0x00: "EV_PREBOOT_CERT",
    0x01: "EV_POST_CODE",
    0x02: "EV_UNUSED",
    0x03: "EV_NO_ACTION",
    0x04: "EV_SEPARATOR",
    0x05: "EV_ACTION",
    0x06: "EV_EVENT_TAG",
    0x07: "EV_S_CRTM_CONTENTS",
    0x08: "EV_S_CRTM_VERSION",
    0x09: "EV_CPU_MICROCODE",
    0x0A: "EV_PLATFORM_CONFIG_FLAGS",
    0x0B: "EV_TABLE_OF_DEVICES",
    0x0C: "EV_COMPACT_HASH",
    0x0D: "EV_IPL",
    0x0E: "EV_IPL_PARTITION_DATA",
    0x0F: "EV_NONHOST_CODE",
    0x10: "EV_NONHOST_CONFIG",
    0x11: "EV_NONHOST_INFO",
    0x12: "EV_OMIT_BOOT_DEVICE_EVENTS",
    0x13: "EV_POST_CODE2",
    0x80000001: "EV_EFI_VARIABLE_DRIVER_CONFIG",
    0x80000002: "EV_EFI_VARIABLE_BOOT",
    0x80000003: "EV_EFI_BOOT_SERVICES_APPLICATION",
    0x80000004: "EV_EFI_BOOT_SERVICES_DRIVER",
    0x80000005: "EV_EFI_RUNTIME_SERVICES_DRIVER",
    0x80000006: "EV_EFI_GPT_EVENT",
    0x80000007: "EV_EFI_ACTION",
    0x80000008: "EV_EFI_PLATFORM_FIRMWARE_BLOB",
    0x80000009: "EV_EFI_HANDOFF_TABLES",
    0x8000000A: "EV_EFI_PLATFORM_FIRMWARE_BLOB2",
    0x8000000B: "EV_EFI_HANDOFF_TABLES2",
    0x8000000C: "EV_EFI_VARIABLE_BOOT2",
    0x8000000D: "EV_EFI_GPT_EVENT2",
    0x80000010: "EV_EFI_HCRTM_EVENT",
    0x800000E0: "EV_EFI_VARIABLE_AUTHORITY",
    0x800000E1: "EV_EFI_SPDM_FIRMWARE_BLOB",
    0x800000E2: "EV_EFI_SPDM_FIRMWARE_CONFIG",
    0x800000E3: "EV_EFI_SPDM_DEVICE_POLICY",
    0x800000E4: "EV_EFI_SPDM_DEVICE_AUTHORITY",
}

MATCHES = "matches"
DIFFERS = "differs"
UNKNOWN = "unknown"
Values = dict[str, dict[int, bytes]]  # by bank and PCR


class EventLogError(TpmError):
    """The bytes are not an event log, or end too early."""


class LoggedEvent(t.NamedTuple):
    """One entry: its PCR, its type, and the digest in each bank with which the PCR was extended."""

    pcr: int
    number: int
    type: str
    digests: dict[str, bytes]
    data: bytes

    @property
    def extends(self) -> bool:
        """Whether the PCR was extended; EV_NO_ACTION only informs."""
        return self.number != EV_NO_ACTION


class Log(t.NamedTuple):
    """A whole log."""

    banks: tuple[str, ...]  # those whose digests it holds
    events: tuple[LoggedEvent, ...]
    locality: int  # from which the firmware started the TPM: 3 or 4 is the first value of PCR 0


class Comparison(t.NamedTuple):
    """A replay against a TPM's values."""

    state: str  # matches, differs or unknown (no bank and PCR in common)
    differs: dict[str, list[int]]  # the firmware's PCRs whose value differs, by bank
    later: dict[str, list[int]]  # higher PCRs that have been extended after the log ended, or by a program that does not write to this log
    banks: tuple[str, ...]  # compared
    separated: t.Mapping[str, list[int]] = {}  # the firmware's PCRs that systemd has extended with its separator, by bank


class _Reader:
    """Reads little-endian integers and pieces of a log, never beyond its end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int, what: str) -> bytes:
        left = len(self.data) - self.at
        if size > left:
            raise _broken(f"{what} at byte {self.at} is to be {size} bytes long, where {left} are left")
        piece = self.data[self.at : self.at + size]
        self.at += size
        return piece

    def number(self, size: int, what: str) -> int:
        return int.from_bytes(self.take(size, what), "little")

    @property
    def ended(self) -> bool:
        return self.at == len(self.data)


def _broken(reason: str) -> EventLogError:
    return EventLogError(f"Could not read the event log: {reason}; read it again as root, and see whether the firmware has an update.")


def parse(data: bytes) -> Log:
    """Read a log in either format (SHA-1 only, or crypto-agile). Raises EventLogError with one sentence if the bytes are not a log."""
    if not data:
        raise _broken("it is empty")
    if len(data) > MAX_SIZE:
        raise _broken(f"it has {len(data)} bytes, more than the {MAX_SIZE} that a firmware writes")
    reader = _Reader(data)
    first = _sha1_event(reader)
    events, sizes = [first], {alg.SHA1: SHA1_SIZE}
    agile = first.number == EV_NO_ACTION and first.data.startswith(SPEC_ID)
    if agile:
        sizes = _spec_id(first.data)
    while not reader.ended:
        if len(events) >= MAX_EVENTS:
            raise _broken(f"it has more than {MAX_EVENTS} events")
        events.append(_agile_event(reader, sizes) if agile else _sha1_event(reader))
    return Log(tuple(alg.alg_name(number) for number in sizes), tuple(events), _locality(events))


def _event(reader: _Reader, pcr: int, number: int, digests: dict[str, bytes]) -> LoggedEvent:
    data = reader.take(reader.number(4, "the size of an event"), "the data of an event")
    if number != EV_NO_ACTION and pcr >= COUNT:
        raise _broken(f"the event that ends at byte {reader.at} extends PCR {pcr}, which does not exist")
    return LoggedEvent(pcr, number, TYPES.get(number, f"{number:#010x}"), digests, data)


def _sha1_event(reader: _Reader) -> LoggedEvent:
    """A TCG_PCClientPCREvent (10.2.1): the only form up to TPM 1.2, and the first event of every log."""
    pcr, number = reader.number(4, "the PCR of an event"), reader.number(4, "the type of an event")
    return _event(reader, pcr, number, {"sha1": reader.take(SHA1_SIZE, "the SHA-1 digest of an event")})


def _agile_event(reader: _Reader, sizes: t.Mapping[int, int]) -> LoggedEvent:
    """A TCG_PCR_EVENT2 (10.2.2): a digest for each bank that the header has announced."""
    pcr, number = reader.number(4, "the PCR of an event"), reader.number(4, "the type of an event")
    count = reader.number(4, "the number of digests")
    if count > len(sizes):
        raise _broken(f"an event before byte {reader.at} has {count} digests, where the header announces {len(sizes)}")
    digests = {}
    for _each in range(count):
        hash_alg = reader.number(2, "the algorithm of a digest")
        if hash_alg not in sizes or alg.alg_name(hash_alg) in digests:
            raise _broken(f"the digest before byte {reader.at} is of {alg.alg_name(hash_alg)}, twice or not announced by the header")
        digests[alg.alg_name(hash_alg)] = reader.take(sizes[hash_alg], "a digest")
    return _event(reader, pcr, number, digests)


def _spec_id(data: bytes) -> dict[int, int]:
    """Size of a digest by algorithm, of a TCG_EfiSpecIDEvent (10.4.5.1)."""
    reader = _Reader(data)
    # Signature, platform class, version (minor, major, errata), size of UINTN.
    reader.take(len(SPEC_ID) + 4 + 3 + 1, "the head of the specification's event")
    count = reader.number(4, "the number of algorithms")
    if not 1 <= count <= MAX_BANKS:
        raise _broken(f"its header announces {count} banks")
    sizes: dict[int, int] = {}
    for _each in range(count):
        hash_alg, size = reader.number(2, "an algorithm"), reader.number(2, "the size of a digest")
        known = alg.digest_size(hash_alg) if hash_alg in alg.HASHES else size
        if hash_alg in sizes or size != known or not 1 <= size <= 64:
            raise _broken(f"its header announces {alg.alg_name(hash_alg)} twice, or with {size} bytes")
        sizes[hash_alg] = size
    reader.take(reader.number(1, "the size of the vendor's part"), "the vendor's part")
    return sizes


def _locality(events: t.Iterable[LoggedEvent]) -> int:
    """The locality of TPM2_Startup (10.4.5.3); 0 if no event tells."""
    for event in events:
        if event.number == EV_NO_ACTION and event.pcr == 0 and event.data[:-1] == LOCALITY:
            return event.data[-1]
    return 0


def replay(log: Log) -> Values:
    """The values, by bank and PCR, of all PCRs that the events extend; PCRs 17 to 22 start as all ones, the others as zero.

    PCR 0 starts as the locality of TPM2_Startup. A bank whose hash cannot be computed here is left out.
    """
    values: Values = {bank: {} for bank in log.banks if alg.IDS.get(bank) in alg.HASHES}
    for event in log.events:
        if not event.extends:
            continue
        for bank, digest in event.digests.items():
            if bank in values:
                before = values[bank].get(event.pcr, _start(event.pcr, len(digest), log.locality))
                values[bank][event.pcr] = hashlib.new(alg.HASHES[alg.IDS[bank]], before + digest).digest()
    return values


def _start(pcr: int, size: int, locality: int) -> bytes:
    if 17 <= pcr <= 22:
        return b"\xff" * size
    return locality.to_bytes(size, "big") if pcr == 0 else bytes(size)


def compare(log: Log, values: t.Mapping[str, t.Mapping[int, bytes]]) -> Comparison:
    """Compare a replay with a TPM's values; both by bank and PCR.

    Only PCRs 0 to 7 can differ; one of them without an event must still have its initial value. If systemd's separator alone makes the
    difference, the PCR is listed as ``separated``. Any other PCR in the log is listed as ``later`` if its value differs. A PCR that only one
    side has is not compared; if no PCR is left to compare, the verdict is unknown.
    """
    replayed = replay(log)
    differs: dict[str, list[int]] = {}
    later: dict[str, list[int]] = {}
    separated: dict[str, list[int]] = {}
    banks = []
    for bank in replayed:
        measured = values.get(bank, {})
        size = alg.digest_size(alg.IDS[bank])
        expected = {pcr: _start(pcr, size, log.locality) for pcr in FIRMWARE_PCRS}
        expected.update(replayed[bank])
        if not any(pcr in measured for pcr in FIRMWARE_PCRS):
            continue
        banks.append(bank)
        other = [pcr for pcr in sorted(expected) if pcr in measured and measured[pcr] != expected[pcr]]
        closed = [pcr for pcr in other if pcr in FIRMWARE_PCRS and measured[pcr] == _with_separator(bank, expected[pcr])]
        for target, chosen in (
            (separated, closed),
            (differs, [pcr for pcr in other if pcr in FIRMWARE_PCRS and pcr not in closed]),
            (later, [pcr for pcr in other if pcr not in FIRMWARE_PCRS]),
        ):
            if chosen:
                target[bank] = chosen
    state = UNKNOWN if not banks else DIFFERS if differs else MATCHES
    return Comparison(state, differs, later, tuple(banks), separated)


def _with_separator(bank: str, value: bytes) -> bytes:
    """A PCR's value after systemd has extended its separator (TPM2_PCR_Extend: H(value ‖ H(word)))."""
    name = alg.HASHES[alg.IDS[bank]]
    return hashlib.new(name, value + hashlib.new(name, OS_SEPARATOR).digest()).digest()


__all__ = ("Comparison", "LoggedEvent", "EventLogError", "Log", "compare", "parse", "replay")
