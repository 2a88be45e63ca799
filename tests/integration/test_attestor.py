# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a TPM attests and signs for us, checked by tpm2-tools; and the digests with which a lockout auth is replaced, worked out by a TPM."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import struct
import subprocess
import typing as t

import pytest
import tpm2_pytss as tss2
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.attestor import Attestor
from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport

AK, SUBJECT, INDEX = 0x81020001, 0x81020000, 0x01800010
NONCE = hashlib.sha256(b"a nonce of the test").digest()
FIXED = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth"
AKS = ["ecc256:ecdsa-sha256:null", "ecc384:ecdsa-sha384:null", "rsa2048:rsapss-sha256:null"]


def offline(tool: str, *arguments: str | pathlib.Path) -> str:
    """Run one of the tools that take no TPM; return what it printed."""
    done = subprocess.run([f"tpm2_{tool}", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Bench:
    """A TPM with keys and an index that tpm2-tools made, the attestor on it, and a folder."""

    def __init__(self, swtpm: Swtpm, folder: pathlib.Path) -> None:
        self.swtpm, self.tools, self.folder = swtpm, Tools(swtpm.tcti), folder

    def key(self, handle: int, kind: str, attributes: str) -> names.Public:
        context = self.folder / "made.ctx"
        self.tools.run("createprimary", "-Q", "-C", "e", "-G", kind, "-a", f"{FIXED}|{attributes}", "-c", context)
        self.tools.run("evictcontrol", "-Q", "-C", "o", "-c", context, f"{handle:#x}")
        self.tools.flush_transient()
        self.tools.run("readpublic", "-Q", "-c", f"{handle:#x}", "-o", self.folder / "public")
        return names.parse_public((self.folder / "public").read_bytes()[2:])

    def ask(self, question: t.Callable[[Attestor], t.Any]) -> t.Any:
        connection = open_transport(tcti.resolve(self.swtpm.tcti))
        try:
            return question(Attestor(connection))
        finally:
            connection.close()

    def verify(self, handle: int, message: bytes, signature: bytes, hash_name: str) -> None:
        """The signature is one over the message, as tpm2_verifysignature sees it."""
        (self.folder / "message").write_bytes(message)
        (self.folder / "signature").write_bytes(signature)
        options = ["-c", f"{handle:#x}", "-g", hash_name, "-m", self.folder / "message", "-s", self.folder / "signature"]
        self.tools.run("verifysignature", "-Q", *options)


@dataclasses.dataclass
class Attested:
    """A TPMS_ATTEST as tpm2-pytss reads it."""

    raw: bytes

    def __post_init__(self) -> None:
        self.whole, size = tss2.TPMS_ATTEST.unmarshal(self.raw)
        assert size == len(self.raw) and bytes(self.whole.extraData) == NONCE

    @property
    def certified(self) -> bytes:
        """The Name of the certified key."""
        return bytes(self.whole.attested.certify.name)


@pytest.fixture
def bench(swtpm: Swtpm, tmp_path: pathlib.Path) -> Bench:
    return Bench(swtpm, tmp_path)


def _hash(kind: str) -> str:
    return kind.split(":")[1].split("-")[1]


@pytest.mark.parametrize("kind", AKS)
def test_a_quote_is_believed(bench: Bench, kind: str) -> None:
    bench.key(AK, kind, "restricted|sign")
    quoted = bench.ask(lambda attestor: attestor.quote(AK, pcr.selection("sha256", [0, 7]), NONCE))
    assert Attested(quoted.attest).whole.type == tss2.TPM2_ST.ATTEST_QUOTE
    composite = b"".join(bytes.fromhex(bench.tools.pcrread(index)) for index in (0, 7))
    bench.verify(AK, quoted.attest, quoted.signature, _hash(kind))
    assert quoted.attest.endswith(hashlib.new(_hash(kind), composite).digest())


def test_check_quote_believes_it(bench: Bench) -> None:
    """tpm2_checkquote with the PCRs from tpm2_quote's own file."""
    bench.key(AK, AKS[0], "restricted|sign")
    quoted = bench.ask(lambda attestor: attestor.quote(AK, pcr.selection("sha256", [0, 7]), NONCE))
    files = {name: bench.folder / name for name in ("attest", "signature", "pcrs", "ak.pem")}
    files["attest"].write_bytes(quoted.attest)
    files["signature"].write_bytes(quoted.signature)
    bench.tools.run("readpublic", "-Q", "-c", f"{AK:#x}", "-f", "pem", "-o", files["ak.pem"])
    bench.tools.run(
        "quote", "-Q", "-c", f"{AK:#x}", "-l", "sha256:0,7", "-o", files["pcrs"], "-m", bench.folder / "m", "-s", bench.folder / "s"
    )
    arguments = ["-u", files["ak.pem"], "-m", files["attest"], "-s", files["signature"], "-f", files["pcrs"], "-g", "sha256"]
    offline("checkquote", "-Q", *arguments, "-q", NONCE.hex())


@pytest.mark.parametrize("kind", AKS)
def test_a_certified_key_and_index_are_believed(bench: Bench, kind: str) -> None:
    bench.key(AK, kind, "restricted|sign")
    subject = bench.key(SUBJECT, "ecc256:ecdsa-sha256:null", "sign")
    certified = bench.ask(lambda attestor: attestor.certify(SUBJECT, AK, NONCE))
    bench.verify(AK, certified.attest, certified.signature, _hash(kind))
    assert Attested(certified.attest).certified == subject.name

    bench.tools.run("nvdefine", "-Q", f"{INDEX:#x}", "-C", "o", "-s", "14", "-a", "ownerwrite|ownerread|authread|no_da")
    bench.tools.run("nvwrite", "-Q", f"{INDEX:#x}", "-C", "o", "-i", "-", stdin=b"EDGE-0001-TEST")
    certified = bench.ask(lambda attestor: attestor.nv_certify(AK, INDEX, 14, NONCE))
    bench.verify(AK, certified.attest, certified.signature, _hash(kind))
    assert Attested(certified.attest).whole.type == tss2.TPM2_ST.ATTEST_NV
    assert certified.attest.endswith(struct.pack(">HH", 0, 14) + b"EDGE-0001-TEST")
    assert bytes.fromhex(bench.tools.nvreadpublic(INDEX)["name"]) in certified.attest


@pytest.mark.parametrize("kind", ["ecc256:ecdsa-sha256:null", "ecc384:ecdsa-sha384:null", "ecc256:null:null", "rsa2048:null:null"])
def test_a_signature_is_believed(bench: Bench, kind: str) -> None:
    public = bench.key(SUBJECT, kind, "sign")
    hash_name = _hash(kind) if "-" in kind else "sha256"
    digest = hashlib.new(hash_name, b"to be signed").digest()
    signature = bench.ask(lambda attestor: attestor.sign(SUBJECT, public, digest))
    bench.verify(SUBJECT, b"to be signed", signature, hash_name)


OLD, NEW = b"the old value of 24 byte", b"the new value of 24 byte"


def _replayed(swtpm: Swtpm, old: bytes, new: bytes) -> bytes:
    """The digest that the TPM works out when the steps are asserted in a trial session."""
    secret, command = rotation.steps(old, new)
    with tss2.ESAPI(swtpm.tcti) as esapi:
        public = tss2.TPM2B_PUBLIC.unmarshal(names.to_2b(secret.public))[0]
        sensitive = tss2.TPM2B_SENSITIVE.unmarshal(len(secret.sensitive).to_bytes(2, "big") + secret.sensitive)[0]
        loaded = esapi.load_external(public, sensitive)
        # The value is the object's: the TPM proves it.
        esapi.tr_set_auth(loaded, secret.value)
        session = esapi.start_auth_session(
            tss2.ESYS_TR.NONE, tss2.ESYS_TR.NONE, tss2.TPM2_SE.TRIAL, tss2.TPMT_SYM_DEF(algorithm=tss2.TPM2_ALG.NULL), tss2.TPM2_ALG.SHA256
        )
        esapi.policy_secret(loaded, session, nonce_tpm=b"", cp_hash_a=b"", policy_ref=b"", expiration=0)
        esapi.policy_command_code(session, command.code)
        digest = bytes(esapi.policy_get_digest(session))
        esapi.flush_context(session)
        esapi.flush_context(loaded)
    return digest


@pytest.mark.parametrize("old", [OLD, b""])
def test_a_tpm_works_out_the_bridge_as_we_do(swtpm: Swtpm, old: bytes) -> None:
    assert _replayed(swtpm, old, NEW) == rotation.bridge(old, NEW)


def test_a_tpm_takes_bridge_and_marker_as_the_policy_of_lockout(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path) -> None:
    for digest in (rotation.bridge(OLD, NEW), rotation.marker(NEW)):
        (tmp_path / "policy").write_bytes(digest)
        tools.run("setprimarypolicy", "-C", "l", "-L", tmp_path / "policy", "-g", "sha256")
    # A policy beside the auth changes nothing for whoever has the auth.
    tools.run("dictionarylockout", "-c")
