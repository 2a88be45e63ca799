# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCG-CSR-IDEVID: the bytes that each reader expects, as its source has them, and everything that can be wrong with them."""

from __future__ import annotations

import hashlib
import struct

import pytest
from cryptography.hazmat.primitives import hashes
from support import lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys, tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.tcg_csr import TcgCsrError

FIELDS = tcg_csr.CsrFields(
    model="Edge 7",
    serial="SN-0001",
    ek_certificate=b"\x30\x82ek",
    attest_public=b"\x00\x23attest",
    signing_public=b"\x00\x23signing",
    signing_certify=b"\xffTCG certify",
    signing_certify_signature=b"\x00\x18signature",
    ca_data=b"pkcs10",
)
FLAVOURS = ["attestz", "flightctl", "trusted_platform"]
KEY = lab_ca.new_key()


def make(flavour: str, key: lab_ca.Key = KEY) -> bytes:
    content = tcg_csr.encode(FIELDS, flavour)
    return tcg_csr.attach(content, keys.sign(key, content, hashes.SHA256()), flavour)


def numbers(data: bytes, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f">{count}I", data)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_round_trip(flavour: str) -> None:
    found = tcg_csr.decode(make(flavour), flavour)
    assert found.fields == FIELDS and found.hash_alg == alg.SHA256
    tcg_csr.verify(found, lab_ca.public_pem(KEY))


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("hash_alg", [alg.SHA256, alg.SHA384, alg.SHA512])
def test_other_hashes(flavour: str, hash_alg: int) -> None:
    content = tcg_csr.encode(FIELDS, flavour, hash_alg=hash_alg)
    found = tcg_csr.decode(tcg_csr.attach(content, b"s", flavour), flavour)
    assert (found.hash_alg, found.content, found.signature) == (hash_alg, content, b"s")


def test_what_attestz_reads() -> None:
    # openconfig/attestz, service/biz: structVer, hashAlgoId, hashSize, hash, then the sizes, then the payloads, and nothing left over.
    content = tcg_csr.encode(FIELDS, "attestz")
    assert numbers(content, 3) == (0x100, 0x0B, 32)
    assert content[12:44] == hashlib.sha256(content[44:]).digest()
    sizes = numbers(content[44:], 13)
    assert sizes[:12] == (6, 7, 6, 0, 4, 8, 0, 0, 0, 9, 12, 11)
    payload = content[44 + 52 :]
    assert payload.startswith(b"Edge 7SN-0001pkcs10\x30\x82ek\x00\x23attest\x00\x23signing\xffTCG certify\x00\x18signature")
    assert len(payload) == sum(sizes) and len(content) % 16 == 0
    assert numbers(tcg_csr.attach(content, b"sig", "attestz"), 3) == (0x100, len(content), 3)


def test_what_flightctl_reads() -> None:
    # flightctl/flightctl, internal/tpm/csr.go: the outer version, no hash, TPM2B, the PKCS#10 in prodCaData, no padding.
    whole = make("flightctl")
    version, size, signature_size = numbers(whole, 3)
    assert version == 0x01000100 and len(whole) == 12 + size + signature_size
    content = whole[12 : 12 + size]
    assert numbers(content, 16) == (0x100, 0x0B, 32, 6, 7, 6, 0, 4, 10, 0, 0, 0, 11, 14, 11, 0)
    assert content[64:].startswith(b"Edge 7SN-0001pkcs10\x30\x82ek\x00\x08\x00\x23attest\x00\x09\x00\x23signing\x00\x0c\xffTCG certify")


def test_what_trusted_platform_reads() -> None:
    whole = make("trusted_platform")
    assert numbers(whole, 1) == (0x100,)
    assert numbers(whole[12:], 3) == (0x100, 0x0B, 32) and numbers(whole, 2)[1] % 16 == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_truncation_is_one_sentence(flavour: str) -> None:
    whole = make(flavour)
    for size in range(len(whole)):
        with pytest.raises(TcgCsrError, match=rf"Could not read a TCG-CSR-IDEVID of the flavour {flavour}: it ends within"):
            tcg_csr.decode(whole[:size], flavour)
    with pytest.raises(TcgCsrError, match="1 bytes follow the signature"):
        tcg_csr.decode(whole + b"\0", flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_every_truncation_of_the_content_is_one_sentence(flavour: str) -> None:
    content = tcg_csr.encode(FIELDS, flavour)
    for size in range(len(content)):
        with pytest.raises(TcgCsrError, match="Could not read a TCG-CSR-IDEVID"):
            tcg_csr.decode(tcg_csr.attach(content[:size], b"", flavour), flavour)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_altered_byte_anywhere_in_the_content_is_noticed(flavour: str) -> None:
    whole = make(flavour)
    size = numbers(whole, 2)[1]
    for at in range(12, 12 + size):
        with pytest.raises(TcgCsrError, match="Could not"):
            tcg_csr.verify(tcg_csr.decode(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :], flavour), KEY.public_key())


def test_a_signature_by_another_key_and_one_given_apart() -> None:
    found = tcg_csr.decode(make("attestz", lab_ca.new_key()), "attestz")
    with pytest.raises(TcgCsrError, match="the TCG-CSR-IDEVID of SN-0001: its signature is not the IDevID key's"):
        tcg_csr.verify(found, KEY.public_key())
    tcg_csr.verify(found, KEY.public_key(), keys.sign(KEY, found.content, hashes.SHA256()))


def test_one_flavour_is_not_the_other() -> None:
    with pytest.raises(TcgCsrError, match="its version is 0x01000100, not 0x00000100"):
        tcg_csr.decode(make("flightctl"), "attestz")
    with pytest.raises(TcgCsrError, match="the digest in it is not that of its content"):
        tcg_csr.decode(make("trusted_platform"), "attestz")


def test_what_contradicts_itself() -> None:
    content = tcg_csr.encode(FIELDS, "flightctl")
    wrong = {
        "the content's version is not": struct.pack(">I", 7) + content[4:],
        "its hash sha1 of 32 bytes": content[:4] + struct.pack(">I", alg.SHA1) + content[8:],
        "its hash sha256 of 20 bytes": content[:8] + struct.pack(">I", 20) + content[12:],
        "1 bytes follow the padding": content + b"\0",
        "attest_public is not a TPM2B": content.replace(b"\x00\x08\x00\x23attest", b"\x00\x09\x00\x23attest"),
        "serial is no text": content.replace(b"SN-0001", b"SN-\xff\xff01"),
    }
    for told, data in wrong.items():
        with pytest.raises(TcgCsrError, match=told):
            tcg_csr.decode(tcg_csr.attach(data, b"", "flightctl"), "flightctl")


def test_what_cannot_be_encoded() -> None:
    with pytest.raises(InputError, match="flavour 'tcg': name one of attestz, flightctl, trusted_platform"):
        tcg_csr.encode(FIELDS, "tcg")
    with pytest.raises(InputError, match="SN-0001: ek_certificate is missing; use the JSON request instead"):
        tcg_csr.encode(FIELDS._replace(ek_certificate=b""), "attestz")
    with pytest.raises(InputError, match="boot_event_log is larger than 1048576 bytes"):
        tcg_csr.encode(FIELDS._replace(boot_event_log=bytes((1 << 20) + 1)), "attestz")
    with pytest.raises(InputError, match="sha1 is no hash for it"):
        tcg_csr.encode(FIELDS, "attestz", hash_alg=alg.SHA1)
