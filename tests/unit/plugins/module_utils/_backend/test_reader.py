# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader over a scripted transport: what it sends, and what it makes of answers that are odd, torn, partial or endless."""

from __future__ import annotations

import struct
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import backoff
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, handles, marshal, nv, pcr, templates

RETRY = 0x922


def answer(body: bytes = b"", code: int = 0, tag: int = 0x8001) -> bytes:
    return struct.pack(">HII", tag, 10 + len(body), code) + body


class Script:
    """A transport that answers from a list and notes what it was sent; at the end of the list the test fails."""

    def __init__(self, *responses: bytes) -> None:
        self.responses = list(responses)
        self.sent: list[bytes] = []

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        assert len(self.sent) <= 200, "the reader does not come to an end"
        assert self.responses, f"one command too many: {command.hex()}"
        return self.responses.pop(0)

    @property
    def codes(self) -> list[int]:
        return [int.from_bytes(command[6:10], "big") for command in self.sent]


class Endless(Script):
    """Gives the last answer for ever."""

    def transmit(self, command: bytes) -> bytes:
        if len(self.responses) == 1:
            self.responses *= 2
        return super().transmit(command)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(backoff.time, "sleep", slept.append)
    return slept


def properties(more: bool, *pairs: tuple[int, int]) -> bytes:
    return answer(struct.pack(">BII", more, 6, len(pairs)) + b"".join(struct.pack(">II", *pair) for pair in pairs))


def handle_list(more: bool, *listed: int) -> bytes:
    return answer(struct.pack(">BII", more, 1, len(listed)) + struct.pack(f">{len(listed)}I", *listed))


# -- properties and lists


def test_properties_take_one_command_and_are_asked_once() -> None:
    script = Script(properties(False, (0x200, 1), (0x20E, 2)))
    reader = Reader(script)
    assert reader.properties() == reader.properties(constants.PT_VAR) == {0x200: 1, 0x20E: 2}
    assert script.sent == [bytes.fromhex("8001 00000016 0000017a 00000006 00000200 000000fe")]


def test_the_groups_are_separate() -> None:
    script = Script(properties(False, (0x100, 1), (0x12C, 1024), (0x200, 7)), properties(False, (0x20E, 3)))
    reader = Reader(script)
    assert reader.properties(constants.PT_FIXED) == {0x100: 1, 0x12C: 1024}
    assert reader.properties(constants.PT_VAR) == {0x20E: 3}


def test_lists_are_paged() -> None:
    script = Script(handle_list(True, 0x81000001, 0x81000200), handle_list(True, 0x81010001), handle_list(False, 0x81020001))
    assert Reader(script).handles(0x81000000) == [0x81000001, 0x81000200, 0x81010001, 0x81020001]
    assert [command[14:18].hex() for command in script.sent] == ["81000000", "81000201", "81010002"]


def test_handles_of_another_type_are_left_out() -> None:
    assert Reader(Script(handle_list(False, 0x81000001, 0x40000001))).handles(0x81000000) == [0x81000001]


@pytest.mark.parametrize("last", [handle_list(True), handle_list(True, 0x81000001)], ids=["empty", "the_same"])
def test_a_list_that_does_not_go_on_ends(last: bytes) -> None:
    assert Reader(Endless(handle_list(True, 0x81000001), last)).handles(0x81000000) == [0x81000001]


class Growing:
    """Has one more handle whenever it is asked."""

    def transmit(self, command: bytes) -> bytes:
        return handle_list(True, int.from_bytes(command[14:18], "big"))


def test_a_list_that_grows_for_ever_is_refused() -> None:
    with pytest.raises(errors.TpmError, match="its list does not end"):
        Reader(Growing()).handles(0x81000000)


@pytest.mark.parametrize("last", [0xFFFFFFFF, 0x810000FF])
def test_after_the_largest_number_there_is_no_more(last: int) -> None:
    script = Script(handle_list(True, last), handle_list(False))
    assert Reader(script).handles(0x81000000) == ([last] if last >> 24 == 0x81 else [])
    assert len(script.sent) == (1 if last == 0xFFFFFFFF else 2)


def test_numbers() -> None:
    body = struct.pack(">BII", 0, 0, 2) + struct.pack(">HIHI", 0x000B, 4, 0x0001, 9)
    assert Reader(Script(answer(body))).numbers(constants.CAP_ALGS, 6) == [1, 0xB]
    assert Reader(Script(answer(struct.pack(">BIIHH", 0, 8, 2, 3, 4)))).numbers(constants.CAP_ECC_CURVES, 2) == [3, 4]
    assert Reader(Script(answer(struct.pack(">BIII", 0, 2, 1, 0x0200_0137)))).numbers(constants.CAP_COMMANDS, 4) == [0x137]


def test_banks_that_are_not_allocated_are_left_out() -> None:
    body = bytes.fromhex("00 00000005 00000003 0004 03 000000 000b 03 ffffff 7777 03 010000")
    assert Reader(Script(answer(body))).banks() == [pcr.Selection("sha256", tuple(range(24))), pcr.Selection("0x7777", (0,))]


# -- hierarchies


def policy_answer(count: int, body: str) -> bytes:
    return answer(struct.pack(">BII", 0, 9, count) + bytes.fromhex(body))


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (policy_answer(1, "40000001 000b" + "aa" * 32), b"\xaa" * 32),
        (policy_answer(1, "40000001 0010"), b""),
        (policy_answer(0, ""), None),
        (policy_answer(1, "4000000b 000b" + "aa" * 32), None),
        (answer(code=0x1C4), None),
    ],
    ids=["set", "none", "not_told", "another", "old_tpm"],
)
def test_the_policy_of_a_hierarchy(response: bytes, found: bytes | None) -> None:
    assert Reader(Script(response)).auth_policy(handles.RH_OWNER) == found


def test_an_unexpected_code_for_the_policy_is_an_error() -> None:
    with pytest.raises(errors.TpmResponseError, match="owner.*TPM_RC_FAILURE"):
        Reader(Script(answer(code=0x101))).auth_policy(handles.RH_OWNER)


@pytest.mark.parametrize(
    ("code", "found"), [(0, True), (0x9A2, False), (0x98E, None), (0x12F, False), (0x185, None), (0x143, None), (0x101, None)]
)
def test_whether_the_platform_auth_is_empty(code: int, found: bool | None) -> None:
    script = Script(answer(code=code))
    if found is None and code != 0x185:
        with pytest.raises(errors.TpmResponseError, match="platform"):
            Reader(script).platform_auth_is_empty()
    else:
        assert Reader(script).platform_auth_is_empty() is found
    # TPM2_ClockRateAdjust by TPM_CLOCK_NO_CHANGE with an empty password: nothing is changed by it.
    assert script.sent == [bytes.fromhex("8002 0000001c 00000130 4000000c 00000009 40000009 0000 00 0000 00")]


# -- objects and indices


@pytest.mark.parametrize("code", [0x18B, 0x184, 0xB018B])
def test_no_object_and_no_index(code: int) -> None:
    assert Reader(Script(answer(code=code))).read_public(0x81000001) is None
    assert Reader(Script(answer(code=code))).nv_read_public(0x01800010) is None


@pytest.mark.parametrize("code", [0x101, 0x921, 0x9A2, 0x143])
def test_any_other_code_is_an_error_that_names_the_object(code: int) -> None:
    with pytest.raises(errors.TpmResponseError, match="0x81000001") as failed:
        Reader(Script(answer(code=code))).read_public(0x81000001)
    assert failed.value.rc == code
    with pytest.raises(errors.TpmResponseError, match="0x01800010"):
        Reader(Script(answer(code=code))).nv_read_public(0x01800010)


PUBLIC = templates.primary("srk_ecc_p256")
READ_PUBLIC = b"".join(marshal.sized(part) for part in (PUBLIC.raw, PUBLIC.name, b"qualified"))
INDEX = nv.NvPublic(0x01800010, 0x000B, 0x22060008, nv.WRITE_ONCE_POLICY, 14)
NV_PUBLIC = marshal.sized(INDEX.raw) + marshal.sized(INDEX.name)


def test_an_object_and_an_index() -> None:
    script = Script(answer(READ_PUBLIC), answer(NV_PUBLIC))
    reader = Reader(script)
    assert reader.read_public(0x81000001) == (PUBLIC, b"qualified")
    assert reader.nv_read_public(0x01800010) == INDEX
    assert script.codes == [0x173, 0x169]


def torn(whole: bytes) -> t.Iterator[bytes]:
    """All responses that end too early: the header says so or it does not."""
    for size in range(len(whole)):
        yield answer(whole[:size])
        yield answer(whole)[: 10 + size]
    for size in range(10):
        yield answer(whole)[:size]


@pytest.mark.parametrize(
    ("whole", "ask"),
    [
        (READ_PUBLIC, lambda reader: reader.read_public(0x81000001)),
        (NV_PUBLIC[:-36], lambda reader: reader.nv_read_public(0x01800010)),
        (properties(False, (0x200, 1), (0x20E, 2))[10:], lambda reader: reader.properties()),
        (bytes.fromhex("00 00000005 00000001 000b 03 ffffff"), lambda reader: reader.banks()),
        (
            bytes.fromhex("00000001 00000001 000b 03 800000 00000001 0020") + b"\xaa" * 32,
            lambda r: r.pcr_read([pcr.Selection("sha256", (7,))]),
        ),
    ],
    ids=["read_public", "nv_read_public", "properties", "banks", "pcr_read"],
)
def test_torn_responses_are_tpm_errors(whole: bytes, ask: t.Callable[[Reader], object]) -> None:
    seen = 0
    for response in torn(whole):
        with pytest.raises(errors.TpmError):
            ask(Reader(Script(response)))
        seen += 1
    assert seen > len(whole)


def nv_data(data: bytes) -> bytes:
    area = struct.pack(">HBH", 0, 1, 0)
    return answer(struct.pack(">I", 2 + len(data)) + marshal.sized(data) + area, tag=0x8002)


def test_a_small_index_is_read_at_once() -> None:
    script = Script(nv_data(b"EDGE-0001-TEST"))
    assert Reader(script).nv_read(0x01800010, 14, 0x01800010) == b"EDGE-0001-TEST"
    assert script.sent == [bytes.fromhex("8002 00000023 0000014e 01800010 01800010 00000009 40000009 0000 00 0000 000e 0000")]


def test_a_large_index_is_read_in_pieces_of_what_the_tpm_takes() -> None:
    script = Script(properties(False, (0x12C, 1024)), nv_data(b"a" * 1024), nv_data(b"b" * 476))
    assert Reader(script).nv_read(0x01800010, 1500, handles.RH_OWNER) == b"a" * 1024 + b"b" * 476
    assert [command[-4:].hex() for command in script.sent[1:]] == ["04000000", "01dc0400"]


def test_a_tpm_that_does_not_tell_its_buffer_is_read_in_small_pieces() -> None:
    script = Script(properties(False, (0x100, 1)), nv_data(b"a" * 512), nv_data(b"b" * 188))
    assert len(Reader(script).nv_read(0x01800010, 700, handles.RH_OWNER)) == 700


def test_an_index_that_gives_nothing_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(errors.TpmError, match="0x01800010"):
        Reader(Endless(nv_data(b""))).nv_read(0x01800010, 14, 0x01800010)


# -- PCRs


def pcr_values(selection: str, *values: bytes) -> bytes:
    return answer(
        bytes.fromhex("00000001") + bytes.fromhex(selection) + struct.pack(">I", len(values)) + b"".join(map(marshal.sized, values))
    )


ALL_EIGHT = "00000001 000b 03 ff0000"


def test_pcrs_are_read_until_none_is_left() -> None:
    first = [bytes([number]) * 32 for number in range(8)]
    script = Script(pcr_values(ALL_EIGHT, *first), pcr_values("00000001 000b 03 000100", b"\x10" * 32))
    found = Reader(script).pcr_read([pcr.Selection("sha256", (*range(8), 8))])
    assert found == {"sha256": {**dict(enumerate(first)), 8: b"\x10" * 32}}
    assert [command[10:].hex() for command in script.sent] == ["00000001000b03ff0000", "00000001000b03000100"]


def test_a_part_of_the_pcrs_holds_those_of_several_banks_and_is_read_until_none_is_left() -> None:
    script = Script(
        pcr_values("00000002 000b 03 3f0000 000c 03 000000", *[b"\xaa" * 32] * 6),
        pcr_values("00000001 000c 03 010000", b"\xbb" * 48),
        pcr_values("00000001 000c 03 020000", b"\xbb" * 48),
        pcr_values("00000001 000c 03 040000", b"\xbb" * 48),
    )
    found = Reader(script).pcr_read([pcr.Selection("sha256", tuple(range(6))), pcr.Selection("sha384", (0, 1, 2))])
    assert {bank: len(values) for bank, values in found.items()} == {"sha256": 6, "sha384": 3}
    assert [command[10:].hex() for command in script.sent] == [
        "00000002000b033f0000000c03030000",
        "00000001000c03030000",
        "00000001000c03020000",
        "00000001000c03040000",
    ]


def test_a_bank_that_is_not_allocated_stays_empty() -> None:
    # A TPM answers with the selection's empty bitmap; the other bank comes.
    script = Script(
        pcr_values("00000002 000c 03 000000 000b 03 800000", b"\xaa" * 32),
        pcr_values("00000001 000c 03 000000"),
    )
    found = Reader(script).pcr_read([pcr.Selection("sha384", (7,)), pcr.Selection("sha256", (7,))])
    assert found == {"sha384": {}, "sha256": {7: b"\xaa" * 32}}
    assert script.responses == []


def test_only_a_bank_that_is_not_allocated_takes_one_command() -> None:
    script = Script(pcr_values("00000001 000c 03 000000"))
    assert Reader(script).pcr_read([pcr.Selection("sha384", (7,))]) == {"sha384": {}}


def test_answers_that_nobody_asked_for_end_the_loop() -> None:
    asked = [pcr.Selection("sha256", (7,))]
    assert Reader(Endless(pcr_values("00000001 000b 03 010000", b"\xaa" * 32))).pcr_read(asked)["sha256"].get(7) is None
    assert Reader(Endless(pcr_values("00000001 000c 03 800000", b"\xaa" * 48))).pcr_read(asked)["sha256"].get(7) is None


# -- codes that pass, and TPMs that are none


@pytest.mark.parametrize("code", sorted(errors.RETRYABLE), ids=hex)
def test_a_passing_code_is_waited_for(code: int, waits: list[float]) -> None:
    script = Script(answer(code=code), answer(code=code), answer(READ_PUBLIC))
    assert Reader(script).read_public(0x81000001) == (PUBLIC, b"qualified")
    assert script.sent == script.sent[:1] * 3
    assert waits == [0.01, 0.02]


def test_a_tpm_that_never_gets_ready_is_reported(waits: list[float]) -> None:
    with pytest.raises(errors.TpmResponseError, match="TPM_RC_RETRY"):
        Reader(Endless(answer(code=RETRY))).read_public(0x81000001)
    assert sum(waits) < 25


def test_a_tpm_12_is_told_as_such() -> None:
    # TPM_BADTAG of TPM 1.2, as it answers any TPM 2.0 command.
    with pytest.raises(errors.TransportError, match="TPM 1.2") as failed:
        Reader(Script(bytes.fromhex("00c4 0000000a 0000001e"))).properties()
    assert failed.value.kind == errors.NOT_A_TPM


def test_a_tpm_before_startup_says_what_to_do() -> None:
    with pytest.raises(errors.TpmResponseError, match="TPM_RC_INITIALIZE.*tpm2_startup"):
        Reader(Script(answer(code=0x100))).properties()


def test_a_transport_that_breaks_is_not_tried_again() -> None:
    class Broken(Script):
        def transmit(self, command: bytes) -> bytes:
            self.sent.append(command)
            raise errors.TransportError("gone", errors.BROKEN)

    script = Broken()
    with pytest.raises(errors.TransportError, match="gone"):
        Reader(script).properties()
    assert len(script.sent) == 1
