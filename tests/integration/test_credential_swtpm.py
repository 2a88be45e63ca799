# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EK trust, activation and attestation on a software TPM: what tpm2-tools and swtpm_setup make, our controller accepts, and the other way round."""

from __future__ import annotations

import datetime
import os
import pathlib
import pwd
import shutil
import struct
import subprocess
import typing as t

import pytest
from support import ek_lab
from support.raw import RawError
from support.swtpm import Swtpm
from support.tools import ToolError, Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, names, nv, pcr, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials, evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, ek, ladder

EK, AK, IDEVID, INDEX = 0x81010001, 0x81020001, 0x81020000, 0x01800010
NONCE = b"a nonce of the test's own"
SERIAL = b"EDGE-0001"
FIXED = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth"


class Device:
    """A software TPM with keys at fixed handles, made by tpm2-tools."""

    def __init__(self, swtpm: Swtpm, folder: pathlib.Path) -> None:
        self.swtpm, self.tools, self.folder = swtpm, Tools(swtpm.tcti), folder

    def primary(self, handle: int, *options: str | pathlib.Path) -> names.Public:
        """Make a primary in the endorsement hierarchy and keep it at a handle."""
        context = self.folder / "primary.ctx"
        self.tools.run("createprimary", "-Q", "-C", "e", "-c", context, *options)
        self.tools.run("evictcontrol", "-Q", "-C", "o", "-c", context, f"{handle:#x}")
        self.tools.flush_transient()
        return self.public(handle)

    def ak(self, key: str = "ecc256:ecdsa-sha256:null") -> names.Public:
        return self.primary(AK, "-G", key, "-a", f"{FIXED}|restricted|sign")

    def ek(self, template: str) -> names.Public:
        """An EK by its template's name: the low range as tpm2_createek makes it, the high range by hand."""
        wanted = templates.primary(template)
        if not wanted.attributes & templates.EK_HIGH_ATTRIBUTES & ~templates.EK_LOW_ATTRIBUTES:
            self.tools.run("createek", "-Q", "-G", "rsa" if "_rsa_" in template else "ecc", "-c", f"{EK:#x}", "-u", self.folder / "ek.pub")
            self.tools.flush_all()
            return self.public(EK)
        (self.folder / "policy").write_bytes(wanted.auth_policy)
        size = {"p256": "ecc256:null:aes128cfb", "p384": "ecc384:null:aes256cfb", "p521": "ecc521:null:aes256cfb"}
        size |= {"2048": "rsa2048:null:aes128cfb", "3072": "rsa3072:null:aes256cfb"}
        hash_name = {0xB: "sha256", 0xC: "sha384", 0xD: "sha512"}[wanted.name_alg]
        attributes = f"{FIXED}|adminwithpolicy|restricted|decrypt"
        return self.primary(EK, "-G", size[template[-4:]], "-g", hash_name, "-a", attributes, "-L", self.folder / "policy")

    def public(self, handle: int) -> names.Public:
        self.tools.run("readpublic", "-Q", "-c", f"{handle:#x}", "-o", self.folder / "public")
        return names.parse_public((self.folder / "public").read_bytes()[2:])

    def activate(self, credential: credentials.Credential, *, low: bool, ak: int = AK) -> bytes:
        """TPM2_ActivateCredential by tpm2-tools; their file is a head of 8 bytes, TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET."""
        parts = b"".join(struct.pack(">H", len(part)) + part for part in credential)
        blob, answer, session = (self.folder / name for name in ("blob", "answer", "session"))
        blob.write_bytes(struct.pack(">II", 0xBADCC0DE, 1) + parts)
        auth: list[str] = []
        if low:  # adminWithPolicy: PolicySecret of the endorsement hierarchy
            self.tools.run("startauthsession", "-Q", "--policy-session", "-S", session)
            self.tools.run("policysecret", "-Q", "-S", session, "-c", "e")
            auth = ["-P", f"session:{session}"]
        try:
            self.tools.run("activatecredential", "-Q", "-c", f"{ak:#x}", "-C", f"{EK:#x}", "-i", blob, "-o", answer, *auth)
        finally:
            self.tools.flush_all()
        return answer.read_bytes()

    def certify(self, subject: int, nonce: bytes) -> tuple[bytes, bytes]:
        """TPM2_Certify sent by hand: tpm2_certify takes no nonce."""
        password = struct.pack(">IHBH", 0x40000009, 0, 0, 0)
        body = struct.pack(">II", subject, AK) + struct.pack(">I", 2 * len(password)) + 2 * password
        body += struct.pack(">H", len(nonce)) + nonce + struct.pack(">H", 0x10)
        with self.swtpm.raw() as tpm:
            try:
                answer = tpm.call(0x148, body, tag=0x8002)
            except RawError as error:  # the first use of a DA protected key is noted in NV first
                assert error.rc == 0x922
                answer = tpm.call(0x148, body, tag=0x8002)
        parameters = answer[4 : 4 + int.from_bytes(answer[:4], "big")]
        size = int.from_bytes(parameters[:2], "big")
        return parameters[2 : 2 + size], parameters[2 + size :]

    def files(self, *names_: str) -> tuple[bytes, ...]:
        return tuple((self.folder / name).read_bytes() for name in names_)

    def firmware(self) -> str:
        fixed = self.tools.getcap("properties-fixed")
        words = [int(fixed[f"TPM2_PT_FIRMWARE_VERSION_{number}"]["raw"]) for number in (1, 2)]
        return ".".join(str(part) for word in words for part in (word >> 16, word & 0xFFFF))


@pytest.fixture
def device(swtpm: Swtpm, tmp_path: pathlib.Path) -> Device:
    return Device(swtpm, tmp_path)


EKS = ["ek_rsa_2048", "ek_ecc_p256", "ek_high_rsa_2048", "ek_rsa_3072", "ek_high_ecc_p256", "ek_ecc_p384", "ek_ecc_p521"]


@pytest.mark.parametrize("template", EKS)
def test_the_tpm_activates_our_credential(device: Device, template: str) -> None:
    public, ak = device.ek(template), device.ak()
    ek.check_ek(public)
    evidence_checks.check_ak(ak)
    challenge = credentials.Challenge(public, ak.name)
    answer = device.activate(challenge.credential, low=template in ("ek_rsa_2048", "ek_ecc_p256"))
    assert len(answer) == credentials.SECRET_SIZE
    challenge.check(activation.proof(answer, challenge.nonce))


def test_the_tpm_activates_nothing_for_another_key(device: Device) -> None:
    """Replaced between the two exchanges: another key lies at the AK's handle."""
    public, ak = device.ek("ek_ecc_p256"), device.ak()
    challenge = credentials.Challenge(public, ak.name)
    device.primary(IDEVID, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|sign")
    with pytest.raises(ToolError, match="integrity check failed"):
        device.activate(challenge.credential, low=True, ak=IDEVID)


def test_another_tpm_activates_nothing(device: Device, new_swtpm: t.Callable[..., Swtpm], tmp_path: pathlib.Path) -> None:
    """A relay: the AK of one TPM, the EK of another one."""
    (tmp_path / "other").mkdir()
    other = Device(new_swtpm(own_seeds=True), tmp_path / "other")
    genuine, ak = device.ek("ek_ecc_p256"), other.ak()
    other.ek("ek_ecc_p256")
    challenge = credentials.Challenge(genuine, ak.name)
    with pytest.raises(ToolError, match="integrity check failed"):
        other.activate(challenge.credential, low=True)


def test_the_tools_make_credential_and_ours_are_activated_alike(device: Device) -> None:
    public, ak = device.ek("ek_rsa_2048"), device.ak()
    (device.folder / "secret").write_bytes(b"s" * 32)
    options = ["-u", device.folder / "ek.pub", "-s", device.folder / "secret", "-n", ak.name.hex(), "-o", device.folder / "theirs"]
    device.tools.run("makecredential", "-Q", *options)
    (theirs,) = device.files("theirs")
    size = int.from_bytes(theirs[8:10], "big")
    made = credentials.Credential(theirs[10 : 10 + size], theirs[12 + size :])
    ours = credentials.make_credential(public, ak.name, b"s" * 32)
    assert [len(part) for part in made] == [len(part) for part in ours]
    assert device.activate(made, low=True) == device.activate(ours, low=True) == b"s" * 32


AKS = ["ecc256:ecdsa-sha256:null", "ecc384:ecdsa-sha384:null", "rsa2048:rsassa-sha256:null", "rsa2048:rsapss-sha384:null"]


def _scheme(key: str) -> str:
    return key.split(":")[1].split("-")[0]


def _hash(key: str) -> str:
    return key.split(":")[1].split("-")[1]


each_ak = pytest.mark.parametrize("key", AKS)


@each_ak
def test_certify(device: Device, key: str) -> None:
    ak, subject = device.ak(key), device.primary(IDEVID, "-G", "ecc256:ecdsa-sha256:null", "-a", f"{FIXED}|sign")
    evidence_checks.check_ak(ak)
    evidence_checks.check_idevid(subject)
    raw, signature = device.certify(IDEVID, NONCE)
    found = evidence_checks.check_certify(raw, signature, ak, nonce=NONCE, subject=subject)
    evidence_checks.check_firmware(found, device.firmware())
    assert found.signer == names.qualified_name(names.hierarchy_name(0x4000000B), ak)
    certified = t.cast(attest.Certified, found.attested)
    assert certified.qualified_name == names.qualified_name(names.hierarchy_name(0x4000000B), subject)
    with pytest.raises(evidence_checks.EvidenceError, match="it is the object"):
        evidence_checks.check_certify(raw, signature, ak, nonce=NONCE, subject=ak)


def test_certify_by_the_tools(device: Device) -> None:
    """Which ask with four bytes of their own: read, and refused as proof."""
    ak, subject = device.ak(), device.primary(IDEVID, "-G", "rsa2048:null:null", "-a", f"{FIXED}|sign")
    files = ["-o", device.folder / "attest", "-s", device.folder / "sig"]
    device.tools.run("certify", "-Q", "-c", f"{IDEVID:#x}", "-C", f"{AK:#x}", "-g", "sha256", *files)
    raw, signature = device.files("attest", "sig")
    found = attest.parse_attest(raw)
    assert (found.type, found.extra_data) == (attest.ST_ATTEST_CERTIFY, bytes.fromhex("00ff55aa"))
    assert t.cast(attest.Certified, found.attested).name == subject.name
    with pytest.raises(evidence_checks.EvidenceError) as caught:
        evidence_checks.check_certify(raw, signature, ak, nonce=NONCE, subject=subject)
    assert caught.value.reason == "wrong_nonce"


@each_ak
def test_nv_certify(device: Device, key: str) -> None:
    ak = device.ak(key)
    device.tools.run("nvdefine", "-Q", "-C", "o", "-s", str(len(SERIAL)), "-a", "ownerwrite|authread|ownerread|no_da", f"{INDEX:#x}")
    device.tools.run("nvwrite", "-Q", "-C", "o", "-i", "-", f"{INDEX:#x}", stdin=SERIAL)
    area = device.tools.nvreadpublic(INDEX)
    public = nv.NvPublic(INDEX, 0xB, int(area["attributes"]["value"]), b"", len(SERIAL))
    assert public.name.hex() == area["name"]

    options = ["-C", f"{AK:#x}", "-g", _hash(key), "-s", _scheme(key), "--size", str(len(SERIAL)), "-q", NONCE.hex()]
    files = ["-o", device.folder / "sig", "--attestation", device.folder / "attest"]
    device.tools.run("nvcertify", "-Q", *options, *files, "-c", f"{INDEX:#x}", f"{INDEX:#x}")
    raw, signature = device.files("attest", "sig")
    found = evidence_checks.check_nv_certify(raw, signature, ak, nonce=NONCE, index=public, content=SERIAL)
    evidence_checks.check_firmware(found, device.firmware())
    with pytest.raises(evidence_checks.EvidenceError, match="not the 9 expected"):
        evidence_checks.check_nv_certify(raw, signature, ak, nonce=NONCE, index=public, content=b"EDGE-0002")


@each_ak
def test_quote(device: Device, key: str) -> None:
    ak = device.ak(key)
    raw, signature = _quote(device, "sha256:0,7+sha384:7", key)
    selection = [pcr.selection("sha256", [0, 7]), pcr.selection("sha384", [7])]
    values = {one.bank: {index: bytes.fromhex(device.tools.pcrread(index, one.bank)) for index in one.indices} for one in selection}
    evidence_checks.check_firmware(
        evidence_checks.check_quote(raw, signature, ak, nonce=NONCE, selection=selection, values=values), device.firmware()
    )
    values["sha384"][7] = bytes(48)
    with pytest.raises(evidence_checks.EvidenceError, match="not over the PCR values"):
        evidence_checks.check_quote(raw, signature, ak, nonce=NONCE, selection=selection, values=values)


def _quote(device: Device, pcrs: str, key: str = AKS[0]) -> tuple[bytes, bytes]:
    files = ["-m", device.folder / "attest", "-s", device.folder / "sig"]
    device.tools.run("quote", "-Q", "-c", f"{AK:#x}", "-l", pcrs, "-q", NONCE.hex(), "-g", _hash(key), "--scheme", _scheme(key), *files)
    raw, signature = device.files("attest", "sig")
    return raw, signature


def test_a_quote_of_a_bank_that_is_not_allocated(device: Device) -> None:
    ak = device.ak()
    device.tools.run("pcrallocate", "-Q", "sha384:none")
    device.swtpm.restart()
    raw, signature = _quote(device, "sha384:7")
    with pytest.raises(evidence_checks.EvidenceError) as caught:
        evidence_checks.check_quote(
            raw, signature, ak, nonce=NONCE, selection=[pcr.selection("sha384", [7])], values={"sha384": {7: bytes(48)}}
        )
    assert caught.value.reason == "empty_selection"


class Factory(t.NamedTuple):
    """TPMs as swtpm_setup makes them, with EK certificates of its own CA."""

    folder: pathlib.Path

    def manufacture(self, name: str) -> pathlib.Path:
        state = self.folder / name
        state.mkdir(mode=0o700)
        command = ["swtpm_setup", "--tpm2", "--config", str(self.folder / "setup.conf"), "--tpmstate", str(state), "--vmid", name]
        command += ["--create-ek-cert", "--lock-nvram", "--overwrite"]
        if os.geteuid() == 0:
            command += ["--runas", pwd.getpwuid(0).pw_name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return state

    def bundle(self) -> bundle.Bundle:
        ca = self.folder / "ca"
        data = (ca / "swtpm-localca-rootca-cert.pem").read_bytes() + (ca / "issuercert.pem").read_bytes()
        (self.folder / "bundle.pem").write_bytes(data)
        found = subprocess.run(["sha256sum", self.folder / "bundle.pem"], capture_output=True, check=True, timeout=60).stdout
        return bundle.load_bundle(str(self.folder / "bundle.pem"), found.split()[0].decode())


@pytest.fixture
def factory(tmp_path: pathlib.Path) -> Factory:
    folder = tmp_path / "factory"
    ca = folder / "ca"
    ca.mkdir(parents=True, mode=0o700)
    tool = shutil.which("swtpm_localca")
    (folder / "setup.conf").write_text(
        f"create_certs_tool = {tool}\ncreate_certs_tool_config = {folder}/localca.conf\n"
        f"create_certs_tool_options = {folder}/localca.options\nactive_pcr_banks = sha256\n"
    )
    (folder / "localca.conf").write_text(
        f"statedir = {ca}\nsigningkey = {ca}/signkey.pem\nissuercert = {ca}/issuercert.pem\ncertserial = {ca}/certserial\n"
    )
    (folder / "localca.options").write_text("--platform-manufacturer lab\n--platform-version 1.0\n--platform-model test\n")
    return Factory(folder)


def _judge(device: Device, handle: int, index: int, trusted: bundle.Bundle, **policy: t.Any) -> EkVerdict:
    fixed = device.tools.getcap("properties-fixed")
    what = ladder.EkEvidence(
        ek_public=device.public(handle),
        certificate=device.tools.nvread(index),
        manufacturer=int(fixed["TPM2_PT_MANUFACTURER"]["raw"]).to_bytes(4, "big").decode().rstrip("\0 "),
        firmware=device.firmware(),
    )
    return ladder.judge(what, ladder.Policy(bundle=trusted, **policy), now=datetime.datetime.now(datetime.UTC))


def test_ek_certificates_of_swtpm_setup(factory: Factory, new_swtpm: t.Callable[..., Swtpm], tmp_path: pathlib.Path) -> None:
    device = Device(new_swtpm(factory.manufacture("edge-1")), tmp_path)
    for handle, index in ((0x81010001, 0x01C00002), (0x81010016, 0x01C00016)):
        found = _judge(device, handle, index, factory.bundle(), manufacturers=frozenset({"IBM"}))
        assert (found.rung, found.reason, found.revocation, len(found.notes)) == ("certificate", "", "not checked", 1)
        assert len(found.chain) == 2
        assert found.ek_certificate is not None and found.ek_certificate == device.tools.nvread(index)[: len(found.ek_certificate)]
        (tmp_path / "leaf.pem").write_bytes(ek_lab.pem(found.ek_certificate))
        (tmp_path / "root.pem").write_bytes(ek_lab.pem(found.chain[1]))
        (tmp_path / "middle.pem").write_bytes(ek_lab.pem(found.chain[0]))
        command = ["openssl", "verify", "-CAfile", "root.pem", "-untrusted", "middle.pem", "leaf.pem"]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=60).stdout == b"leaf.pem: OK\n"
    assert _judge(device, 0x81010001, 0x01C00016, factory.bundle()).reason == "key_mismatch"


def test_a_certificate_left_over_from_another_ek(factory: Factory, new_swtpm: t.Callable[..., Swtpm], tmp_path: pathlib.Path) -> None:
    device = Device(new_swtpm(factory.manufacture("edge-1")), tmp_path)
    device.tools.run("changeeps", "-Q")  # new endorsement seed, old certificate
    device.ek("ek_rsa_2048")
    found = _judge(device, EK, 0x01C00002, factory.bundle())
    assert (found.rung, found.reason) == ("quarantined", "key_mismatch")
