# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TSS2 key files: round trips, what others write, and everything that is no whole key file."""

from __future__ import annotations

import base64
import random
import subprocess

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import keyfile, names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError

SEALED = keyfile.KeyFile(True, True, 0x81000001, templates.sealed(b"\1" * 32, False), bytes(range(160)), b"\0\x0b" + b"\2" * 32)
LOADABLE = keyfile.KeyFile(False, False, 0x81000001, templates.key("sign", "ecc_p256"), b"private", None)
HUGE = SEALED._replace(private=b"\5" * 40000)


def der(tag: int, *content: bytes) -> bytes:
    """One DER element, written independently of the code under test."""
    body = b"".join(content)
    length = (
        bytes([len(body)])
        if len(body) < 128
        else b"\x81" + bytes([len(body)])
        if len(body) < 256
        else b"\x82" + len(body).to_bytes(2, "big")
    )
    return bytes([tag]) + length + body


def pem(body: bytes, label: str = "TSS2 PRIVATE KEY") -> bytes:
    return f"-----BEGIN {label}-----\n{base64.encodebytes(body).decode()}-----END {label}-----\n".encode()


OID = {kind: der(0x06, bytes.fromhex("6781050a01" + kind)) for kind in ("03", "04", "05")}
PARENT = der(0x02, bytes.fromhex("0081000001"))
PUBLIC = der(0x04, names.to_2b(SEALED.public))
PRIVATE = der(0x04, len(SEALED.private).to_bytes(2, "big") + SEALED.private)
EMPTY_AUTH = der(0xA0, b"\1\1\xff")
WHOLE = der(0x30, OID["05"], EMPTY_AUTH, PARENT, PUBLIC, PRIVATE)


@pytest.mark.parametrize("key", [SEALED, LOADABLE, HUGE], ids=["sealed", "loadable", "huge"])
def test_round_trip(key: keyfile.KeyFile) -> None:
    assert keyfile.read(keyfile.write(key).encode(), "key.pem") == key


def test_what_is_written() -> None:
    text = keyfile.write(SEALED)
    head, begin, rest = text.partition("-----BEGIN TSS2 PRIVATE KEY-----\n")
    assert begin and head.splitlines() == ["Sealed data of a TPM 2.0", "Parent: 0x81000001", f"Parent-Name: 000b{'02' * 32}"]
    assert base64.b64decode(rest.partition("-----END")[0]) == WHOLE
    assert rest.endswith("-----END TSS2 PRIVATE KEY-----\n") and max(map(len, rest.splitlines())) == 64


def test_openssl_reads_the_der(system_python: str) -> None:
    shown = subprocess.run(["openssl", "asn1parse"], input=keyfile.write(SEALED).encode(), capture_output=True, check=True).stdout.decode()
    assert [word for word in ("2.23.133.10.1.5", "BOOLEAN           :255", "INTEGER           :81000001") if word not in shown] == []


@pytest.mark.parametrize(
    ("body", "empty_auth"),
    [
        (der(0x30, OID["05"], PARENT, PUBLIC, PRIVATE), False),
        (der(0x30, OID["03"], EMPTY_AUTH, PARENT, PUBLIC, PRIVATE), True),
        # tpm2_encodeobject gives sealed data the OID of a loadable key; tpm2-tss-engine and others write TRUE as 01.
        (der(0x30, OID["03"], der(0xA0, b"\1\1\1"), PARENT, PUBLIC, PRIVATE), True),
        (der(0x30, OID["03"], der(0xA0, b"\1\1\0"), PARENT, PUBLIC, PRIVATE), False),
        (der(0x30, OID["03"], der(0xA0), PARENT, PUBLIC, PRIVATE), False),
        # policy, secret, description: not for us, and no reason to refuse the file.
        (
            der(
                0x30,
                OID["05"],
                EMPTY_AUTH,
                der(0xA1, der(0x30, der(0x30, der(0xA0, der(2, b"\x7f"))))),
                der(0xA4, b"x"),
                PARENT,
                PUBLIC,
                PRIVATE,
            ),
            True,
        ),
        (der(0x30, OID["05"], der(0xA1, der(0x30)), EMPTY_AUTH, PARENT, PUBLIC, PRIVATE), True),
    ],
    ids=["no_empty_auth", "tpm2_encodeobject", "true_as_01", "false", "empty_empty_auth", "policy", "policy_first"],
)
def test_what_other_programs_write(body: bytes, empty_auth: bool) -> None:
    assert keyfile.read(pem(body), "key.pem") == SEALED._replace(empty_auth=empty_auth, parent_name=None)


def test_a_key_is_no_sealed_data() -> None:
    key = templates.key("sign", "ecc_p256")
    found = keyfile.read(pem(der(0x30, OID["03"], EMPTY_AUTH, PARENT, der(0x04, names.to_2b(key)), PRIVATE)), "x")
    assert (found.sealed, found.public) == (False, key)


@pytest.mark.parametrize("parent", ["81000001", "0081000001", "000081000001"])
def test_the_sign_byte_of_the_parent_may_be_missing(parent: str) -> None:
    # A 32-bit `long` in ASN1_INTEGER_set makes it negative.
    assert keyfile.read(pem(der(0x30, OID["05"], der(0x02, bytes.fromhex(parent)), PUBLIC, PRIVATE)), "x").parent == 0x81000001


def test_a_parent_in_the_owner_hierarchy_is_read() -> None:
    assert keyfile.read(pem(der(0x30, OID["03"], der(0x02, bytes.fromhex("40000001")), PUBLIC, PRIVATE)), "x").parent == 0x40000001


def test_parent_zero_stands_for_the_owner_hierarchy() -> None:
    found = keyfile.read(pem(der(0x30, OID["03"], der(0x02, b"\0"), PUBLIC, PRIVATE)), "x")
    assert (found.parent, found.in_hierarchy) == (0x40000001, True)


@pytest.mark.parametrize(
    ("parent", "inside"), [("40000001", True), ("40000007", True), ("4000000b", True), ("4000000c", True), ("4000000a", False)]
)
def test_hierarchies_that_have_primary_keys(parent: str, inside: bool) -> None:
    assert keyfile.read(pem(der(0x30, OID["03"], der(0x02, bytes.fromhex(parent)), PUBLIC, PRIVATE)), "x").in_hierarchy is inside


def test_a_parent_of_rsa_is_said_by_the_file() -> None:
    body = der(0x30, OID["03"], EMPTY_AUTH, der(0xA5, b"\1\1\xff"), der(0x02, bytes.fromhex("40000001")), PUBLIC, PRIVATE)
    found = keyfile.read(pem(body), "x")
    assert found.rsa_parent
    assert keyfile.read(keyfile.write(found).encode(), "x") == found


def test_windows_line_ends_and_text_around_the_block() -> None:
    text = keyfile.write(SEALED).replace("\n", "\r\n")
    assert keyfile.read(f"some words\r\n{text}more words\r\n".encode(), "x") == SEALED


BAD = {
    "empty": (b"", "no whole"),
    "binary": (bytes(range(256)), "no whole"),
    "another_label": (pem(WHOLE, "PRIVATE KEY"), "but a 'PRIVATE KEY'"),
    "old_form": (pem(WHOLE, "TSS2 KEY BLOB"), "older form 'TSS2 KEY BLOB'"),
    "another_end": (pem(WHOLE).replace(b"END TSS2", b"END TSS9"), "no whole"),
    "no_content": (pem(b""), "restore"),
    "not_base64": (pem(WHOLE).replace(b"MI", b"M=", 1), "restore"),
    "trailing_bytes": (pem(WHOLE + b"\0"), "restore"),
    "trailing_element": (pem(der(0x30, OID["05"], PARENT, PUBLIC, PRIVATE, der(0x04, b"x"))), "followed by something else"),
    "not_a_sequence": (pem(der(0x31, OID["05"], PARENT, PUBLIC, PRIVATE)), "restore"),
    "importable": (pem(der(0x30, OID["04"], PARENT, PUBLIC, PRIVATE)), "importable key"),
    "foreign_oid": (pem(der(0x30, der(0x06, b"\x2a\x03"), PARENT, PUBLIC, PRIVATE)), "neither a loadable key"),
    "oid_of_another_type": (pem(der(0x30, der(0x04, OID["05"][2:]), PARENT, PUBLIC, PRIVATE)), "neither a loadable key"),
    "pkcs8": (pem(der(0x30, der(2, b"\0"), der(0x30), der(4, b"x"))), "neither a loadable key"),
    "no_private": (pem(der(0x30, OID["05"], PARENT, PUBLIC)), "restore"),
    "swapped": (pem(der(0x30, OID["05"], PUBLIC, PARENT, PRIVATE)), "missing"),
    "indefinite_length": (pem(b"\x30\x80" + OID["05"] + PARENT + PUBLIC + PRIVATE + b"\0\0"), "restore"),
    "absurd_length": (pem(b"\x30\x84\xff\xff\xff\xff"), "restore"),
    "length_of_length": (pem(b"\x30\x89" + b"\1" * 9), "restore"),
    "no_parent": (pem(der(0x30, OID["05"], der(0x02), PUBLIC, PRIVATE)), "not a handle"),
    "parent_too_large": (pem(der(0x30, OID["05"], der(0x02, b"\1" + bytes(8)), PUBLIC, PRIVATE)), "not a handle"),
    "public_torn": (pem(der(0x30, OID["05"], PARENT, der(0x04, names.to_2b(SEALED.public)[:-1]), PRIVATE)), "restore"),
    "public_surplus": (pem(der(0x30, OID["05"], PARENT, der(0x04, names.to_2b(SEALED.public) + b"\0"), PRIVATE)), "left over"),
    "public_foreign": (pem(der(0x30, OID["05"], PARENT, der(0x04, b"\0\4\x77\x77\0\x0b"), PRIVATE)), "restore"),
    "private_empty": (pem(der(0x30, OID["03"], PARENT, PUBLIC, der(0x04, b"\0\0"))), "private part is empty"),
    "private_surplus": (pem(der(0x30, OID["05"], PARENT, PUBLIC, der(0x04, b"\0\1xy"))), "left over"),
    "odd_parent_name": (b"Parent-Name: 00b\n" + pem(WHOLE), "restore"),
}


@pytest.mark.parametrize(("data", "phrase"), BAD.values(), ids=BAD)
def test_what_is_no_key_file_is_refused_with_the_path_and_a_cure(data: bytes, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase) as refused:
        keyfile.read(data, "/etc/some.pem")
    assert refused.value.message.startswith("Could not read /etc/some.pem: ")
    assert "; " in refused.value.message
    assert not any(word in refused.value.message for word in ("remove", "anew", "again")), "it may be a good file of another kind"


@pytest.mark.parametrize("key", [SEALED, LOADABLE], ids=["sealed", "loadable"])
def test_every_truncated_file_is_an_input_error(key: keyfile.KeyFile) -> None:
    data = keyfile.write(key).encode()
    for size in range(len(data) - len("-----\n")):
        with pytest.raises(InputError, match="no whole"):
            keyfile.read(data[:size], "x")


def test_every_truncation_of_the_content_is_an_input_error() -> None:
    for size in range(len(WHOLE)):
        with pytest.raises(InputError):
            keyfile.read(pem(WHOLE[:size]), "x")


def test_whatever_byte_is_flipped_the_file_is_read_or_refused() -> None:
    refused = 0
    for at in range(len(WHOLE)):
        for flip in (0x01, 0x80, 0xFF):
            try:
                keyfile.read(pem(WHOLE[:at] + bytes([WHOLE[at] ^ flip]) + WHOLE[at + 1 :]), "x")
            except InputError:
                refused += 1
    assert refused > 50


def test_noise_is_read_or_refused() -> None:
    noise = random.Random(20)
    for _each in range(2000):
        body = bytearray(WHOLE)
        for _flip in range(noise.randrange(1, 6)):
            body[noise.randrange(len(body))] = noise.randrange(256)
        try:
            keyfile.read(pem(bytes(body)), "x")
        except InputError as error:
            assert error.message.startswith("Could not read x: ")


def test_a_large_foreign_file_is_refused_in_linear_time() -> None:
    # Quadratic, the expression would take hours over this.
    with pytest.raises(InputError, match="no whole"):
        keyfile.read(b"-----BEGIN TSS2 PRIVATE KEY-----" + b" " * (1 << 20), "x")


def test_no_pem_of_what_is_no_asymmetric_key() -> None:
    with pytest.raises(TpmError, match="keyedhash"):
        keyfile.public_pem(SEALED.public)


def test_coordinates_without_their_leading_zeros() -> None:
    public = templates.primary("srk_ecc_p256")._replace(unique=b"\0\1\5\0\1\6")
    der_of = base64.b64decode("".join(keyfile.public_pem(public).splitlines()[1:-1]))
    assert der_of.endswith(b"\x04" + bytes(31) + b"\5" + bytes(31) + b"\6")
