# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An external CA: what goes out, and which of what comes in is accepted."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import stat
import typing as t

import pytest
from support import birth, lab_ca
from support.lab_ca import DAY, NOW

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import chain, external, keys, profile, request, tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.chain import CertificateError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.external import ExternalError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation

SERIAL = "SN-0001"
SUBJECT = profile.DeviceSubject(SERIAL, b"hw")
TPM = birth.soft_tpm()
ROOT = lab_ca.root()
CA = ROOT.below("Their CA")
TRUSTED = [lab_ca.pem(ROOT.certificate)]
KEY_NAME = TPM.idevid_public.name.hex()


def evidence(**change: t.Any) -> external.Evidence:
    certify = TPM.certify(TPM.idevid_public)
    to_sign = request.to_be_signed(TPM.idevid.public_key(), SUBJECT)
    csr = request.assemble(to_sign, keys.sign(TPM.idevid, to_sign, keys.hash_for(TPM.idevid.public_key())))
    found = external.Evidence(
        subject=SUBJECT,
        ek_public=TPM.ek_public.raw,
        ek_certificate=b"\x30\x03\x02\x01\x07",
        ek_chain=[b"\x30\x03\x02\x01\x08"],
        publics={"iak": TPM.ak_public.raw, "idevid": TPM.idevid_public.raw},
        attestations={"certify": Attestation(certify.attest, certify.signature, certify.nonce)},
        requests={"idevid": csr},
        device={"host": "edge-1"},
    )
    return found._replace(**change)


EVIDENCE = evidence()


def files(folder: pathlib.Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# Out -------------------------------------------------------------------------------------------------------------------------------


def test_a_request_holds_the_evidence(tmp_path: pathlib.Path) -> None:
    assert external.publish(tmp_path / "requests", EVIDENCE, now=NOW)
    folder = tmp_path / "requests" / SERIAL
    assert files(folder) == ["idevid.csr", "request.json"]
    found = json.loads((folder / "request.json").read_text())
    assert found == external.read_request(tmp_path / "requests", SERIAL)
    assert (found["format"], found["version"], found["created"]) == ("edgefleet.tpm2/evidence-request", 1, "2026-06-01T12:00:00Z")
    assert (found["serial"], found["subject"]) == (SERIAL, "2.5.4.5=SN-0001,CN=SN-0001")
    assert found["ek"]["name"] == TPM.ek_public.name.hex() and found["ek"]["public"] == TPM.ek_public.raw.hex()
    assert (
        found["ek"]["certificate"] == "-----BEGIN CERTIFICATE-----\nMAMCAQc=\n-----END CERTIFICATE-----\n"
        and len(found["ek"]["chain"]) == 1
    )
    assert found["keys"]["idevid"]["public_key"] == lab_ca.public_pem(TPM.idevid)
    told, sent = found["attestations"]["certify"], EVIDENCE.attestations["certify"]
    assert (base64.b64decode(told["attest"]), base64.b64decode(told["signature"])) == (sent.attest, sent.signature)
    assert bytes.fromhex(told["nonce"]) == sent.nonce
    request.verify((folder / "idevid.csr").read_text(), public_key=TPM.idevid.public_key(), serial=SERIAL)
    assert stat.S_IMODE((folder / "request.json").stat().st_mode) == 0o644


def test_the_same_request_is_written_once(tmp_path: pathlib.Path) -> None:
    assert external.publish(tmp_path, EVIDENCE, now=NOW)
    before = (tmp_path / SERIAL / "request.json").stat()
    assert not external.publish(tmp_path, EVIDENCE, now=NOW + DAY)
    assert (tmp_path / SERIAL / "request.json").stat() == before
    (tmp_path / SERIAL / "idevid.csr").unlink()
    assert external.publish(tmp_path, EVIDENCE, now=NOW + DAY)
    assert external.publish(tmp_path, EVIDENCE._replace(device={}), now=NOW + DAY)
    assert files(tmp_path / SERIAL) == ["idevid.csr", "request.json"]


def test_a_tcg_csr_goes_along(tmp_path: pathlib.Path) -> None:
    fields = tcg_csr.CsrFields("Edge 7", SERIAL, b"ek", b"iak", b"idevid", b"certify", b"signature")
    whole = tcg_csr.attach(tcg_csr.encode(fields, "attestz"), b"s", "attestz")
    assert external.publish(tmp_path, EVIDENCE._replace(tcg_csr=("attestz", whole)), now=NOW)
    assert (tmp_path / SERIAL / "idevid.attestz.tcgcsr").read_bytes() == whole
    assert json.loads((tmp_path / SERIAL / "request.json").read_text())["tcg_csr_flavour"] == "attestz"


@pytest.mark.parametrize("serial", ["../SN", "..", ".", "a/b", "SN 1", ".hidden", "a:b=c,d+e?"])
def test_a_serial_number_cannot_leave_the_folder(tmp_path: pathlib.Path, serial: str) -> None:
    assert external.publish(tmp_path / "requests", EVIDENCE._replace(subject=SUBJECT._replace(serial=serial)), now=NOW)
    assert files(tmp_path) == ["requests"] and len(files(tmp_path / "requests")) == 1
    found = external.read_request(tmp_path / "requests", serial)
    assert found is not None and found["serial"] == serial


def test_different_serial_numbers_have_different_folders(tmp_path: pathlib.Path) -> None:
    serials = [".a", "%2Ea", "a/b", "a%2Fb", "a b", "a+b"]
    assert len({external.folder_of(tmp_path, serial) for serial in serials}) == len(serials)
    with pytest.raises(InputError, match="its serial number is empty"):
        external.folder_of(tmp_path, "")


def test_the_folder_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ExternalError, match="Could not write the certificate request of SN-0001 to .*: Not a directory"):
        external.publish(tmp_path / "file", EVIDENCE, now=NOW)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    external.publish(tmp_path, EVIDENCE, now=NOW)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExternalError, match="No space left on device"):
        external.publish(tmp_path, EVIDENCE._replace(device={}), now=NOW)
    assert files(tmp_path / SERIAL) == ["idevid.csr", "request.json"]
    found = external.read_request(tmp_path, SERIAL)
    assert found is not None and found["device"] == {"host": "edge-1"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x"}', '{"format": "edgefleet.tpm2/evidence-request", "version": 2}'])
def test_what_is_no_request_of_ours(tmp_path: pathlib.Path, text: str) -> None:
    assert external.read_request(tmp_path, SERIAL) is None
    (tmp_path / SERIAL).mkdir()
    (tmp_path / SERIAL / "request.json").write_text(text)
    assert external.read_request(tmp_path, SERIAL) is None
    assert external.publish(tmp_path, EVIDENCE, now=NOW)


# In --------------------------------------------------------------------------------------------------------------------------------


def leave(folder: pathlib.Path, *certificates: t.Any, name: str = "idevid.pem") -> pathlib.Path:
    path = external.folder_of(folder, SERIAL) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lab_ca.pem(one) for one in certificates))
    return path


def right(**options: t.Any) -> t.Any:
    return CA.certify("device", TPM.idevid, **{"ca": False, "serial": SERIAL, **options})


def collect(folder: pathlib.Path, trusted: list[str] | None = None) -> t.Any:
    anchors = TRUSTED if trusted is None else trusted
    return external.collect(folder, SERIAL, "idevid", lab_ca.public_pem(TPM.idevid), anchors, NOW, key_name=KEY_NAME)


def test_nothing_is_there_yet(tmp_path: pathlib.Path) -> None:
    assert collect(tmp_path) is None
    external.publish(tmp_path, EVIDENCE, now=NOW)
    assert collect(tmp_path) is None


@pytest.mark.parametrize("name", ["idevid.pem", "idevid.crt", "idevid.cer"])
def test_a_certificate_comes_in(tmp_path: pathlib.Path, name: str) -> None:
    leaf = right()
    # In any order, and with the root, which devices need not have.
    leave(tmp_path, ROOT.certificate, CA.certificate, leaf, name=name)
    found = collect(tmp_path)
    found.validate()
    assert chain.load(found.pem, "") == [leaf, CA.certificate]
    assert (found.kind, found.key_name, found.issuer) == ("idevid", KEY_NAME, "CN=Their CA")


def test_a_certificate_in_der_form_and_a_ca_that_is_trusted_itself(tmp_path: pathlib.Path) -> None:
    path = leave(tmp_path, name="idevid.der")
    path.write_bytes(right().public_bytes(lab_ca.serialization.Encoding.DER))
    found = collect(tmp_path, [lab_ca.pem(CA.certificate)])
    assert found.pem.count("BEGIN CERTIFICATE") == 2
    both = collect(tmp_path, [lab_ca.pem(ROOT.certificate), lab_ca.pem(CA.certificate)])
    assert both == found


REFUSED: list[tuple[str, t.Callable[[], list[t.Any]], str]] = [
    ("another_key", lambda: [CA.certify("x", lab_ca.new_key(), ca=False, serial=SERIAL)], "it is for another key than the idevid"),
    ("another_key_of_the_device", lambda: [CA.certify("x", TPM.ak, ca=False, serial=SERIAL)], "it is for another key than the idevid"),
    ("another_serial", lambda: [right(serial="SN-0002"), CA.certificate], "the serial number in its subject is SN-0002"),
    ("no_serial", lambda: [right(serial=None), CA.certificate], "the serial number in its subject is missing"),
    ("a_ca", lambda: [right(ca=True), CA.certificate], "it makes the device a CA"),
    ("a_ca_that_may_not_sign", lambda: [right(ca=True, cert_sign=False), CA.certificate], "it makes the device a CA"),
    ("expired", lambda: [right(not_after=NOW - DAY), CA.certificate], "the certificate of .* expired on 2026-05-31"),
    ("early", lambda: [right(not_before=NOW + DAY), CA.certificate], "the certificate of .* is valid only from 2026-06-02"),
    ("chain_incomplete", lambda: [right()], ".*, who issued the certificate of .*, is not known"),
    (
        "another_ca",
        lambda: [(other := lab_ca.root("Their CA")).certify("x", TPM.idevid, ca=False, serial=SERIAL), other.certificate],
        "its root CN=Their CA is not among the CAs that are trusted here",
    ),
    (
        "self_signed",
        lambda: [lab_ca.certify("x", TPM.idevid, issuer=None, ca=False, serial=SERIAL)],
        ".*, who issued the certificate of .*, is not known",
    ),
]


@pytest.mark.parametrize(("certificates", "told"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
def test_a_certificate_that_is_refused(tmp_path: pathlib.Path, certificates: t.Callable[[], list[t.Any]], told: str) -> None:
    leave(tmp_path, *certificates())
    with pytest.raises(TpmError, match=f"Could not accept the idevid certificate of SN-0001 in .*idevid.pem: {told}"):
        collect(tmp_path)


@pytest.mark.parametrize("data", [b"", b"soon", b"-----BEGIN CERTIFICATE-----\nMIIB"])
def test_a_file_that_is_no_certificate(tmp_path: pathlib.Path, data: bytes) -> None:
    leave(tmp_path).write_bytes(data)
    with pytest.raises(CertificateError, match="holds no well-formed certificate"):
        collect(tmp_path)


def test_two_files_for_one_certificate(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, right())
    leave(tmp_path, right(), name="idevid.crt")
    with pytest.raises(ExternalError, match="idevid.crt is there too; remove the one that does not count"):
        collect(tmp_path)


def test_a_file_that_is_too_large(tmp_path: pathlib.Path) -> None:
    leave(tmp_path).write_bytes(bytes((1 << 20) + 1))
    with pytest.raises(ExternalError, match="it is larger than 1048576 bytes"):
        collect(tmp_path)


def test_no_authority_is_configured(tmp_path: pathlib.Path) -> None:
    leave(tmp_path, right(), CA.certificate)
    with pytest.raises(CertificateError, match="who issued the certificate of .*, is not known"):
        collect(tmp_path, [])


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_folder_that_cannot_be_looked_into_is_not_an_empty_one(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def fail(_path: pathlib.Path, **_options: t.Any) -> t.Any:
        raise error

    monkeypatch.setattr(pathlib.Path, "stat", fail)
    with pytest.raises(ExternalError, match=f"^Could not look for .*/SN-0001/idevid.pem: {error.strerror}; see the folder and who may"):
        collect(tmp_path)


def test_a_file_in_place_of_the_folder_holds_no_certificate(tmp_path: pathlib.Path) -> None:
    (tmp_path / SERIAL).write_text("")
    assert collect(tmp_path) is None
