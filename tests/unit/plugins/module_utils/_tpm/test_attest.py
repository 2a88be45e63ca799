# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attestations and signatures, taken apart; what tpm2-tools' TPM makes is read in tests/integration/test_credential_swtpm.py."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.attest import AttestError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized

SIGNER, NONCE = b"\x00\x0b" + b"\x01" * 32, b"nonce of the test"
CLOCK = struct.pack(">QIIB", 123456789, 7, 2, 1)
FIRMWARE = 0x2019_1023_0016_3636


def made(kind: int, body: bytes, *, magic: int = attest.MAGIC, clock: bytes = CLOCK) -> bytes:
    return struct.pack(">IH", magic, kind) + sized(SIGNER) + sized(NONCE) + clock + struct.pack(">Q", FIRMWARE) + body


CERTIFY = made(0x8017, sized(b"name") + sized(b"qualified"))
QUOTE = made(0x8018, pcr.marshal([pcr.selection("sha256", [0, 7]), pcr.selection("sha384", [1])]) + sized(b"\x02" * 32))
NV = made(0x8014, sized(b"index") + struct.pack(">H", 5) + sized(b"content"))


def test_the_head() -> None:
    for raw in (CERTIFY, QUOTE, NV):
        found = attest.parse_attest(raw)
        assert (found.signer, found.extra_data, found.firmware) == (SIGNER, NONCE, FIRMWARE)
        assert found.clock == attest.ClockInfo(123456789, 7, 2, True)
    assert attest.parse_attest(made(0x8017, bytes(4), clock=struct.pack(">QIIB", 1, 2, 3, 0))).clock.safe is False


def test_what_is_attested() -> None:
    assert attest.parse_attest(CERTIFY).attested == attest.Certified(b"name", b"qualified")
    selection = (pcr.Selection("sha256", (0, 7)), pcr.Selection("sha384", (1,)))
    assert attest.parse_attest(QUOTE).attested == attest.Quoted(selection, b"\x02" * 32)
    assert attest.parse_attest(NV).attested == attest.NvCertified(b"index", 5, b"content")


def refused(raw: bytes, reason: str, telling: str) -> None:
    with pytest.raises(AttestError, match=telling) as caught:
        attest.parse_attest(raw)
    assert caught.value.reason == reason


def test_without_the_magic() -> None:
    refused(made(0x8017, bytes(4), magic=0xFF544348), "no_magic", "begins with 0xff544348")
    refused(b"\x00" + CERTIFY[1:], "no_magic", "not with the magic number")


@pytest.mark.parametrize("kind", [0x8015, 0x8016, 0x8019, 0x801A, 0x801C, 0x8002, 0])
def test_other_types(kind: int) -> None:
    refused(made(kind, bytes(4)), "wrong_type", attest.type_name(kind))


@pytest.mark.parametrize("raw", [CERTIFY, QUOTE, NV])
def test_every_truncation_and_every_surplus_byte(raw: bytes) -> None:
    for size in range(len(raw)):
        refused(raw[:size], "malformed", f"ends within a field, after {size} bytes")
    refused(raw + b"\0", "malformed", "followed by 1 bytes")


def test_a_clock_that_is_neither_safe_nor_unsafe() -> None:
    refused(made(0x8017, bytes(4), clock=CLOCK[:-1] + b"\x02"), "malformed", "neither safe nor unsafe but 2")


def test_a_selection_of_four_billion_banks() -> None:
    refused(made(0x8018, b"\xff\xff\xff\xff"), "malformed", "ends within a field")


RSA = struct.pack(">HH", alg.RSASSA, alg.SHA256) + sized(b"\x01" * 256)
ECC = struct.pack(">HH", alg.ECDSA, alg.SHA384) + sized(b"r") + sized(b"s")


def test_signatures() -> None:
    assert attest.parse_signature(RSA) == attest.Signature(alg.RSASSA, alg.SHA256, (b"\x01" * 256,))
    assert attest.parse_signature(ECC) == attest.Signature(alg.ECDSA, alg.SHA384, (b"r", b"s"))


@pytest.mark.parametrize("raw", [RSA, ECC])
def test_every_truncation_and_every_surplus_byte_of_a_signature(raw: bytes) -> None:
    for size in range(len(raw)):
        with pytest.raises(AttestError, match=f"after {size} bytes"):
            attest.parse_signature(raw[:size])
    with pytest.raises(AttestError, match="followed by 2 bytes"):
        attest.parse_signature(raw + b"\0\0")


@pytest.mark.parametrize("scheme", [alg.NULL, alg.HMAC, alg.ECDAA, alg.RSAES])
def test_schemes_that_identify_nobody(scheme: int) -> None:
    with pytest.raises(AttestError, match=f"its scheme is {alg.alg_name(scheme)}") as caught:
        attest.parse_signature(struct.pack(">HH", scheme, alg.SHA256) + sized(b"x"))
    assert caught.value.reason == "malformed"


def test_firmware_as_number_and_as_text() -> None:
    assert attest.firmware_number("8217.4131.22.13878") == FIRMWARE
    assert attest.firmware_text(FIRMWARE) == "8217.4131.22.13878"
    assert attest.firmware_number(attest.firmware_text(0)) == 0


@pytest.mark.parametrize(
    "text", ["", "7.85", "7.85.1.2.3", "7.85.a.2", "7.85.65536.2", "7.85.-1.2", "7.85..2", "7.85.\u0661.2", "7.85.1.000002"]
)
def test_what_is_no_firmware_version(text: str) -> None:
    with pytest.raises(TpmError, match="is not four numbers"):
        attest.firmware_number(text)
