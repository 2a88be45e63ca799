# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The attestor over a scripted transport: each command as tpm2-pytss reads it, and what it makes of refusals.

That a TPM does what is asked, and tpm2-tools believe it, is in tests/integration/test_attestor.py.
"""

from __future__ import annotations

import io
import struct
import typing as t

import pytest
from tpm2_pytss import command_parser
from tpm2_pytss.constants import TPM2_ALG, TPM2_CC, TPM2_RH, TPM2_ST
from tpm2_pytss.types import TPML_PCR_SELECTION

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.attestor import Attestor, Signed
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, marshal, pcr, templates

AK, SUBJECT, INDEX = 0x81020001, 0x81020000, 0x01800010
NONCE = b"a nonce of the test"
ATTEST, SIGNATURE = b"what is attested", b"\x00\x18\x00\x0b and so on"
PCRS = pcr.selection("sha384", [0, 7, 23])


class Tpm:
    """A transport that notes commands and answers all of them alike."""

    def __init__(self, body: bytes = b"", code: int = 0) -> None:
        self.sent: list[bytes] = []
        self._answer = struct.pack(">HII", 0x8001, 10, code)
        if not code:
            # An answer to an authorised command: parameter size, parameters, the authorisation area.
            whole = struct.pack(">I", len(body)) + body + struct.pack(">HBH", 0, 1, 0)
            self._answer = struct.pack(">HII", 0x8002, 10 + len(whole), 0) + whole

    def transmit(self, command: bytes) -> bytes:
        self.sent.append(command)
        return self._answer

    @property
    def command(self) -> t.Any:
        """The only command, as tpm2-pytss reads it; every byte of it is read."""
        (sent,) = self.sent
        assert int.from_bytes(sent[2:6], "big") == len(sent)
        return command_parser.read_command(io.BytesIO(sent))


def attestation() -> Tpm:
    return Tpm(marshal.sized(ATTEST) + SIGNATURE)


def check(command: t.Any, code: int, handles: list[int], passwords: int) -> None:
    """What holds for all commands: handles, and empty passwords, one for each handle that needs one."""
    assert (command.tag, command.command_code) == (TPM2_ST.SESSIONS, code)
    assert [int(handle) for handle in command.handles] == handles
    assert [int(session.handle) for session in command.sessions] == [TPM2_RH.PW] * passwords
    assert [bytes(session.authorization) for session in command.sessions] == [b""] * passwords


def test_nv_certify() -> None:
    tpm = attestation()
    assert Attestor(tpm).nv_certify(AK, INDEX, 14, NONCE) == Signed(ATTEST, SIGNATURE)
    check(tpm.command, TPM2_CC.NV_Certify, [AK, INDEX, INDEX], 2)
    nonce, scheme, size, offset = tpm.command.parameters
    assert (bytes(nonce), scheme.scheme, size, offset) == (NONCE, TPM2_ALG.NULL, 14, 0)


def test_quote() -> None:
    tpm = attestation()
    assert Attestor(tpm).quote(AK, PCRS, NONCE) == Signed(ATTEST, SIGNATURE)
    check(tpm.command, TPM2_CC.Quote, [AK], 1)
    nonce, scheme, selection = tpm.command.parameters
    assert (bytes(nonce), scheme.scheme) == (NONCE, TPM2_ALG.NULL)
    assert bytes(selection.marshal()) == bytes(TPML_PCR_SELECTION.parse("sha384:0,7,23").marshal())


def test_certify() -> None:
    tpm = attestation()
    assert Attestor(tpm).certify(SUBJECT, AK, NONCE) == Signed(ATTEST, SIGNATURE)
    check(tpm.command, TPM2_CC.Certify, [SUBJECT, AK], 2)
    nonce, scheme = tpm.command.parameters
    assert (bytes(nonce), scheme.scheme) == (NONCE, TPM2_ALG.NULL)


@pytest.mark.parametrize(
    ("template", "size", "scheme", "hash_alg"),
    [
        ("idevid_ecc_p256", 32, TPM2_ALG.NULL, None),  # it has one scheme, in itself
        ("idevid_ecc_p384", 48, TPM2_ALG.NULL, None),
        ("idevid_rsa_2048", 32, TPM2_ALG.RSASSA, TPM2_ALG.SHA256),
        ("idevid_rsa_2048", 64, TPM2_ALG.RSASSA, TPM2_ALG.SHA512),
    ],
)
def test_sign_by_a_primary_key(template: str, size: int, scheme: int, hash_alg: int | None) -> None:
    tpm = Tpm(SIGNATURE)
    assert Attestor(tpm).sign(SUBJECT, templates.primary(template), b"d" * size) == SIGNATURE
    check(tpm.command, TPM2_CC.Sign, [SUBJECT], 1)
    digest, chosen, ticket = tpm.command.parameters
    assert (bytes(digest), chosen.scheme) == (b"d" * size, scheme)
    assert hash_alg is None or chosen.details.any.hashAlg == hash_alg
    # No restricted key may sign so: the ticket proves nothing.
    assert (ticket.tag, ticket.hierarchy, bytes(ticket.digest)) == (TPM2_ST.HASHCHECK, TPM2_RH.NULL, b"")


@pytest.mark.parametrize(
    ("algorithm", "size", "scheme", "hash_alg"),
    [("ecc_p256", 32, TPM2_ALG.ECDSA, TPM2_ALG.SHA256), ("ecc_p384", 48, TPM2_ALG.ECDSA, TPM2_ALG.SHA384)],
)
def test_sign_by_an_ordinary_key(algorithm: str, size: int, scheme: int, hash_alg: int) -> None:
    tpm = Tpm(SIGNATURE)
    Attestor(tpm).sign(0x81000220, templates.key("sign", algorithm), b"d" * size)
    _digest, chosen, _ticket = tpm.command.parameters
    assert (chosen.scheme, chosen.details.any.hashAlg) == (scheme, hash_alg)


@pytest.mark.parametrize("size", [0, 20, 31, 33])
def test_a_digest_of_no_hash_is_not_sent(size: int) -> None:
    tpm = Tpm(SIGNATURE)
    with pytest.raises(errors.InputError) as caught:
        Attestor(tpm).sign(SUBJECT, templates.primary("idevid_ecc_p256"), bytes(size))
    assert caught.value.message == (
        f"Could not sign a digest of {size} bytes: no supported hash has that length; give a digest of SHA-256, 384 or 512."
    )
    assert tpm.sent == []


Ask = t.Callable[[Attestor], object]
ASKS: dict[str, tuple[Ask, str]] = {
    "nv_certify": (lambda one: one.nv_certify(AK, INDEX, 1, NONCE), "Could not certify the content of NV index 0x01800010: "),
    "quote": (lambda one: one.quote(AK, PCRS, NONCE), "Could not quote PCR sha384:0,7,23: "),
    "certify": (lambda one: one.certify(SUBJECT, AK, NONCE), "Could not certify the key at 0x81020000: "),
    "sign": (
        lambda one: one.sign(SUBJECT, templates.primary("idevid_ecc_p256"), bytes(32)),
        "Could not sign with the key at 0x81020000: ",
    ),
}


@pytest.mark.parametrize("name", ASKS)
def test_a_refusal_is_one_sentence(name: str) -> None:
    ask, begins = ASKS[name]
    with pytest.raises(errors.TpmResponseError) as caught:
        ask(Attestor(Tpm(code=0x101)))
    assert caught.value.message.startswith(begins) and "TPM_RC_FAILURE" in caught.value.message
    assert caught.value.rc == 0x101


@pytest.mark.parametrize("name", ASKS)
@pytest.mark.parametrize("code", [0x98E, 0x9A2, 0xA8E, 0xAA2])
def test_a_key_with_an_auth_value_of_its_own_is_named(name: str, code: int) -> None:
    with pytest.raises(errors.TpmResponseError, match="it has an auth value of its own, with which this collection cannot use it"):
        ASKS[name][0](Attestor(Tpm(code=code)))


@pytest.mark.parametrize("name", ASKS)
def test_a_refused_command_is_not_sent_twice(name: str) -> None:
    tpm = Tpm(code=0x98E)
    with pytest.raises(errors.TpmResponseError):
        ASKS[name][0](Attestor(tpm))
    assert len(tpm.sent) == 1


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x09short"])
def test_a_torn_answer_is_one_sentence(body: bytes) -> None:
    with pytest.raises(errors.TpmError, match="Could not read what the TPM answered"):
        Attestor(Tpm(body)).quote(AK, PCRS, NONCE)


def test_what_is_known_of_the_nv_buffer_is_not_asked() -> None:
    tpm = Tpm()
    assert Attestor(tpm, 1024).properties(0x100) == {constants.PT_NV_BUFFER_MAX: 1024}
    assert tpm.sent == []
