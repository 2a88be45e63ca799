# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Event logs: parsed, replayed, compared; broken at every byte; and against tpm2_eventlog on the same bytes."""

from __future__ import annotations

import itertools
import json
import pathlib
import re
import struct
import subprocess
import typing as t

import pytest
import yaml
from support import event_log as made
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import event_log
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.event_log import EventLogError

BANKS = ("sha1", "sha256", "sha384")
LOGS = {
    "agile": made.agile(),
    "one bank": made.agile(("sha256",)),
    "three banks": made.agile(BANKS),
    "locality 3": made.agile(start=3),
    "locality 4": made.agile(start=4),
    "legacy": made.legacy(),
}
each_log = pytest.mark.parametrize("data", LOGS.values(), ids=LOGS)
SENTENCE = re.compile(r"Could not read the event log: [^;]+; [^;]+\.")


def theirs(data: bytes, folder: pathlib.Path) -> dict[str, dict[int, bytes]]:
    """What tpm2_eventlog (tpm2-tools) replays: {bank: {pcr: value}}."""
    path = folder / "log"
    path.write_bytes(data)
    done = subprocess.run(["tpm2_eventlog", str(path)], capture_output=True, check=True, timeout=60)
    banks: dict[str, dict[t.Any, t.Any]] = yaml.safe_load(done.stdout)["pcrs"]
    # The program writes the digests unquoted, so that YAML takes them for numbers.
    return {
        bank: {int(pcr): int(value).to_bytes(made.ALGORITHMS[bank][1], "big") for pcr, value in values.items()}
        for bank, values in banks.items()
    }


def values_of(data: bytes) -> dict[str, dict[int, bytes]]:
    """The PCRs of a TPM whose firmware wrote this log: the replay, all others of the first 24 zero."""
    replayed = event_log.replay(event_log.parse(data))
    return {bank: {pcr: values.get(pcr, bytes(made.ALGORITHMS[bank][1])) for pcr in range(24)} for bank, values in replayed.items()}


@each_log
def test_the_replay_is_that_of_tpm2_eventlog(data: bytes, tmp_path: pathlib.Path) -> None:
    replayed, other = event_log.replay(event_log.parse(data)), theirs(data, tmp_path)
    for bank in other:
        if event_log.parse(data).locality:
            # Version 5.4 starts PCR 0 at zero all the same; a TPM does not, see the next test.
            del replayed[bank][0], other[bank][0]
    assert replayed == other


@pytest.mark.parametrize("number", [0, 3])
def test_a_tpm_that_measures_what_is_logged_has_the_values_of_the_replay(number: int, tmp_path: pathlib.Path) -> None:
    banks = ("sha1", "sha256")
    log = event_log.parse(made.agile(banks, start=number))
    with Swtpm(tmp_path / "state") as tpm:
        control = ["swtpm_ioctl", "--tcp", f"127.0.0.1:{tpm.ports.control}"]
        subprocess.run([*control, "-i"], check=True, timeout=60)
        subprocess.run([*control, "-l", str(number)], check=True, timeout=60)
        with tpm.raw() as raw:
            # Not by a tool: its TCTI would set the locality back first.
            raw.transmit(bytes.fromhex("80010000000c000001440000"))
        tools = Tools(tpm.tcti)
        for one in (one for one in log.events if one.extends):
            tools.run("pcrextend", f"{one.pcr}:" + ",".join(f"{bank}={digest.hex()}" for bank, digest in one.digests.items()))
        seen = tools.yaml("pcrread", "sha1:all+sha256:all")
    values = {bank: {pcr: value.to_bytes(made.ALGORITHMS[bank][1], "big") for pcr, value in seen[bank].items()} for bank in banks}
    replayed = event_log.replay(log)
    assert {bank: {pcr: values[bank][pcr] for pcr in replayed[bank]} for bank in banks} == replayed
    assert event_log.compare(log, values) == event_log.Comparison("matches", {}, {}, banks)


def test_a_firmware_and_the_tpm_that_it_measured_into_match(tmp_path: pathlib.Path) -> None:
    seen = json.loads((pathlib.Path(__file__).resolve().parents[3] / "fixtures/event_log_ovmf.json").read_text(encoding="utf-8"))
    data = bytes.fromhex(seen["log"])
    log = event_log.parse(data)
    values = {bank: {int(pcr): bytes.fromhex(value) for pcr, value in row.items()} for bank, row in seen["pcrs"].items()}
    assert event_log.compare(log, values) == event_log.Comparison("matches", {}, {}, ("sha1", "sha256"))
    assert event_log.replay(log) == theirs(data, tmp_path)
    assert not [one.type for one in log.events if one.type.startswith("0x")]
    values["sha256"][7] = bytes(32)
    assert event_log.compare(log, values).differs == {"sha256": [7]}


def test_the_replay_is_what_was_measured() -> None:
    values = event_log.replay(event_log.parse(made.agile(BANKS)))
    assert set(values) == set(BANKS)
    for bank in BANKS:
        assert values[bank][7] == made.extended(bank, b"secure boot policy", bytes(4))
        assert values[bank][2] == made.extended(bank, bytes(4))
        assert set(values[bank]) == {*range(8), 9, 11}


@pytest.mark.parametrize("number", [0, 3, 4])
def test_pcr_0_starts_as_the_locality(number: int) -> None:
    log = event_log.parse(made.agile(("sha256",), start=number))
    assert log.locality == number
    start = bytes(31) + bytes([number])
    assert event_log.replay(log)["sha256"][0] == made.extended("sha256", b"firmware 1\0", b"more firmware", bytes(4), start=start)
    assert event_log.replay(log)["sha256"][1] == made.extended("sha256", b"settings", bytes(4))


def test_a_pcr_of_a_dynamic_launch_starts_as_ones() -> None:
    log = event_log.parse(made.agile(("sha256",), measured=[(pcr, made.ACTION, b"launch") for pcr in (16, 17, 22, 23)]))
    zeros, ones = made.extended("sha256", b"launch"), made.extended("sha256", b"launch", start=b"\xff" * 32)
    assert event_log.replay(log)["sha256"] == {16: zeros, 17: ones, 22: ones, 23: zeros}


def test_the_events_have_names_and_digests() -> None:
    log = event_log.parse(made.agile(("sha256",), measured=[(7, made.DRIVER_CONFIG, b"db"), (5, 0x7777, b"odd")]))
    assert [(one.pcr, one.type, one.extends) for one in log.events] == [
        (0, "EV_NO_ACTION", False),
        (7, "EV_EFI_VARIABLE_DRIVER_CONFIG", True),
        (5, "0x00007777", True),
    ]
    assert log.banks == ("sha256",) and log.events[1].data == b"db"
    assert log.events[1].digests == {"sha256": made.hashlib.sha256(b"db").digest()}


def test_the_types_have_the_names_that_tpm2_eventlog_prints(tmp_path: pathlib.Path) -> None:
    path, younger = tmp_path / "log", set()
    for number, name in event_log.TYPES.items():
        path.write_bytes(made.agile(("sha256",), measured=[(5, number, bytes(8))]))
        # It refuses the data of some, but prints their type before.
        done = subprocess.run(["tpm2_eventlog", str(path)], capture_output=True, check=False, timeout=60, text=True)
        (_header, printed) = re.findall(r"EventType: (\S+)", done.stdout)
        if printed == name:
            continue
        assert printed.startswith(("Unknown", "0x")), (name, printed)
        younger.add(name)
    assert len(younger) <= 7
    assert event_log.TYPES[0x13] == "EV_POST_CODE2" and event_log.TYPES[0x8000000D] == "EV_EFI_GPT_EVENT2"


def test_a_legacy_log_may_have_a_header_of_its_own() -> None:
    # tpm2_eventlog takes every first event without action for the header of a crypto-agile log and refuses this one.
    header = made.sha1_event(0, made.NO_ACTION, b"Spec ID Event00\0" + bytes(12), bytes(20))
    log = event_log.parse(header + made.legacy())
    assert log.banks == ("sha1",) and event_log.replay(log) == event_log.replay(event_log.parse(made.legacy()))


def test_an_event_without_action_is_not_extended() -> None:
    plain = event_log.replay(event_log.parse(made.agile(("sha256",))))
    more = made.agile(("sha256",)) + made.event(0, made.NO_ACTION, b"only informs", ("sha256",))
    assert event_log.replay(event_log.parse(more)) == plain
    # Such an event may name a PCR that does not exist.
    assert event_log.replay(event_log.parse(more + made.event(0xFFFFFFFF, made.NO_ACTION, b"", ("sha256",)))) == plain


def test_a_log_of_banks_that_we_cannot_compute_is_read_but_not_replayed() -> None:
    sm3 = {"sm3_256": (0x12, 32)}
    header = made.spec_id(("sha256",)).replace(struct.pack("<HH", 0x0B, 32), struct.pack("<HH", *sm3["sm3_256"]))
    log = event_log.parse(header + struct.pack("<IIIH", 7, made.ACTION, 1, 0x12) + bytes(32) + struct.pack("<I", 0))
    assert log.banks == ("sm3_256",) and event_log.replay(log) == {}
    assert event_log.compare(log, {"sha256": {7: bytes(32)}}).state == "unknown"


@each_log
def test_a_log_cut_anywhere_is_refused_with_a_sentence(data: bytes) -> None:
    # Between two events a cut cannot be seen from the bytes: there the log is shorter, and its replay is another.
    whole, ends = event_log.parse(data), set()
    for size in range(len(data)):
        try:
            log = event_log.parse(data[:size])
        except EventLogError as error:
            assert SENTENCE.fullmatch(str(error)), error
        else:
            ends.add(size)
            assert log.events == whole.events[: len(log.events)]
            assert event_log.replay(log) != event_log.replay(whole)
    assert len(ends) == len(whole.events) - 1


@pytest.mark.parametrize("data", [made.agile(start=3, measured=made.MEASURED[:4]), made.legacy(made.MEASURED[:4])], ids=["agile", "legacy"])
def test_a_byte_changed_anywhere_gives_a_log_or_a_sentence(data: bytes) -> None:
    for at, value in itertools.product(range(len(data)), (0x00, 0x7F, 0xFF)):
        try:
            log = event_log.parse(data[:at] + bytes([value]) + data[at + 1 :])
            event_log.compare(log, values_of(data))
        except EventLogError as error:
            assert SENTENCE.fullmatch(str(error)), error


HUGE = struct.pack("<I", 0xFFFFFFF0)
BAD = {
    "nothing": (b"", "it is empty"),
    "text": (b"PCR 0: all is well\n" * 5, "is to be|does not exist"),
    "zeros": (bytes(31), "31|size"),
    "a size beyond the end": (made.agile()[:-11] + HUGE, "where"),
    "a first event that is huge": (struct.pack("<II", 0, 3) + bytes(20) + HUGE, "4294967280 bytes"),
    "a PCR that is none": (made.agile(measured=[(24, made.ACTION, b"x")]), "PCR 24, which does not exist"),
    "too many digests": (made.agile() + struct.pack("<III", 0, 5, 0xFFFFFFFF), "4294967295 digests, where the header announces 2"),
    "a bank not announced": (made.agile(("sha1",)) + made.event(0, 5, b"x", ("sha256",)), "not announced"),
    "the same bank twice": (made.agile() + made.event(0, 5, b"x", ("sha256", "sha256")), "twice"),
    "no bank": (made.spec_id(()), "announces 0 banks"),
    "too many banks": (made.spec_id(("sha256",) * 17), "announces 17 banks"),
    "a bank announced twice": (made.spec_id(("sha256", "sha256")), "sha256 twice"),
    "a wrong size": (made.spec_id(("sha256",)).replace(struct.pack("<HH", 0x0B, 32), struct.pack("<HH", 0x0B, 31)), "31 bytes"),
    "a vendor's part that is too long": (made.spec_id(("sha256",))[:-1] + b"\xff", "the vendor's part"),
    "a legacy log that begins as a header": (
        made.sha1_event(0, made.ACTION, b"Spec ID Event03\0") + bytes(5),
        "5 bytes|0 are left|1 are left",
    ),
    "too large": (bytes(event_log.MAX_SIZE + 1), "more than the 16777216"),
}


@pytest.mark.parametrize(("data", "phrase"), BAD.values(), ids=BAD)
def test_what_is_no_log_is_refused_with_a_sentence(data: bytes, phrase: str) -> None:
    with pytest.raises(EventLogError, match=phrase) as caught:
        event_log.parse(data)
    assert SENTENCE.fullmatch(str(caught.value))


def test_more_events_than_a_firmware_writes() -> None:
    one = made.sha1_event(0, 5, b"")
    event_log.parse(one * 1000)
    with pytest.raises(EventLogError, match="more than 100000 events"):
        event_log.parse(one * (event_log.MAX_EVENTS + 1))


@each_log
def test_a_tpm_that_was_extended_as_logged_matches(data: bytes) -> None:
    found = event_log.compare(event_log.parse(data), values_of(data))
    assert (found.state, found.differs, found.later) == ("matches", {}, {})
    assert found.banks == event_log.parse(data).banks


def test_what_user_space_extends_later_does_not_count() -> None:
    data, values = made.agile(), values_of(made.agile())
    for bank in values:
        for pcr in (8, 9, 10, 11, 15):
            values[bank][pcr] = b"\x55" * made.ALGORITHMS[bank][1]
    found = event_log.compare(event_log.parse(data), values)
    # PCR 9 and 11 are in the log and have another value now; the others the log does not cover at all.
    assert (found.state, found.differs, found.later) == ("matches", {}, {"sha1": [9, 11], "sha256": [9, 11]})


@pytest.mark.parametrize("pcr", range(8))
def test_another_value_in_a_pcr_of_the_firmware_differs(pcr: int) -> None:
    values = values_of(made.agile())
    values["sha256"][pcr] = made.extended("sha256", b"something else")
    found = event_log.compare(event_log.parse(made.agile()), values)
    assert (found.state, found.differs) == ("differs", {"sha256": [pcr]})


WORD = b"os-separator"


def _closed(*pcrs: int, times: int = 1) -> dict[str, dict[int, bytes]]:
    """The values of the made log, with systemd's separator in these PCRs."""
    values = values_of(made.agile())
    return {
        bank: {pcr: made.extended(bank, *[WORD] * times, start=value) if pcr in pcrs else value for pcr, value in row.items()}
        for bank, row in values.items()
    }


def test_what_systemd_extends_after_the_firmware_is_no_difference() -> None:
    # The value of a PCR with nothing but the firmware's separator, as published of a machine with systemd 261.3.
    assert made.extended("sha256", bytes(4), WORD).hex().startswith("8d22c738")
    found = event_log.compare(event_log.parse(made.agile()), _closed(*range(8), 9))
    assert (found.state, found.differs) == ("matches", {})
    assert found.separated == dict.fromkeys(("sha1", "sha256"), list(range(8)))


@pytest.mark.parametrize("times", [2, 3])
def test_its_separator_counts_once(times: int) -> None:
    found = event_log.compare(event_log.parse(made.agile()), _closed(7, times=times))
    assert (found.state, found.differs, found.separated) == ("differs", {"sha1": [7], "sha256": [7]}, {})


def test_another_value_beside_it_differs_as_before() -> None:
    values = _closed(0, 7)
    values["sha256"][4] = b"\x01" * 32
    found = event_log.compare(event_log.parse(made.agile()), values)
    assert (found.state, found.differs, found.separated) == ("differs", {"sha256": [4]}, {"sha1": [0, 7], "sha256": [0, 7]})


def test_a_pcr_of_the_firmware_that_is_extended_but_not_logged_differs() -> None:
    silent = made.agile(measured=[one for one in made.MEASURED if one[0] != 3])
    assert event_log.compare(event_log.parse(silent), values_of(made.agile())).differs == {"sha1": [3], "sha256": [3]}


def test_events_in_another_order_differ() -> None:
    first, second, *rest = made.MEASURED
    assert first[0] == second[0] == 0
    swapped = event_log.compare(event_log.parse(made.agile(measured=[second, first, *rest])), values_of(made.agile()))
    assert (swapped.state, swapped.differs) == ("differs", {"sha1": [0], "sha256": [0]})


def test_the_locality_counts() -> None:
    found = event_log.compare(event_log.parse(made.agile(start=0)), values_of(made.agile(start=3)))
    assert found.differs == {"sha1": [0], "sha256": [0]}


def test_what_only_one_side_has_is_not_compared() -> None:
    values, log = values_of(made.agile(("sha256", "sha384"))), event_log.parse(made.agile(("sha1", "sha256")))
    found = event_log.compare(log, values)
    assert (found.state, found.banks) == ("matches", ("sha256",))
    assert event_log.compare(log, {"sha384": values["sha384"]}).state == "unknown"
    assert event_log.compare(log, {"sha256": {}}).state == "unknown"
    # Only PCRs above those of the firmware: they prove nothing.
    assert event_log.compare(log, {"sha256": {11: values["sha256"][11]}}).state == "unknown"
    assert event_log.compare(log, {"sha256": {7: values["sha256"][7]}}).state == "matches"
