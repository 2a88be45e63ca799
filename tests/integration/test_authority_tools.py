# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Device certificates and requests before programs that are not ours: openssl, a public linter, a TPM that signs."""

from __future__ import annotations

import json
import pathlib
import subprocess
import typing as t

import pytest
from cryptography import x509
from support import lab_ca, places
from support.lab_ca import NOW
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile, request

SUBJECT = profile.DeviceSubject("SN-0001", b"49424D00:0011AABB:77", organization="Edge Fleet")
ATTIME = ["-attime", str(int(NOW.timestamp()) + 60)]
# What pkilint says at NOTICE and above although the TCG's profile wants it so: {finding: reason}. Nothing.
ACCEPTED_FINDINGS: dict[str, str] = {}


def run(*command: str | pathlib.Path, stdin: bytes | None = None) -> str:
    done = subprocess.run([str(one) for one in command], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()


def certify(files: lab_ca.Files, kind: str, key: lab_ca.Key, **options: t.Any) -> pathlib.Path:
    """A certificate in a file, with its chain."""
    ca = authority.load_authority(files.options, now=NOW)
    lifetime = 90 * lab_ca.DAY if kind == "ldevid" else None
    path = files.folder / f"{kind}.pem"
    path.write_text(ca.issue(kind, lab_ca.public_pem(key), SUBJECT, now=NOW, lifetime=lifetime, **options).pem)
    return path


@pytest.fixture(scope="module", params=["ecc_p256", "ecc_p384", "rsa_2048"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> lab_ca.Files:
    top = lab_ca.root()
    middle = top.below("Middle CA")
    made = lab_ca.write(tmp_path_factory.mktemp("ca"), above=top, below=middle.below("Device CA", request.param))
    (made.folder / "root.pem").write_text(lab_ca.pem(middle.certificate) + lab_ca.pem(top.certificate))
    (made.folder / "anchor.pem").write_text(lab_ca.pem(top.certificate))
    return made


each_kind = pytest.mark.parametrize("kind", profile.KINDS)
each_key = pytest.mark.parametrize("key", ["ecc_p256", "ecc_p384", "rsa_2048"])


@each_kind
@each_key
def test_openssl_verifies_leaf_and_chain_up_to_the_root(files: lab_ca.Files, kind: str, key: str) -> None:
    leaf = certify(files, kind, lab_ca.new_key(key))
    anchor = files.folder / "anchor.pem"
    said = run("openssl", "verify", "-x509_strict", *ATTIME, "-show_chain", "-CAfile", anchor, "-untrusted", leaf, leaf)
    assert said.count("depth=") == 4
    if kind != "iak":
        # What a TLS server asks of a client's certificate.
        run("openssl", "verify", "-purpose", "sslclient", *ATTIME, "-CAfile", anchor, "-untrusted", leaf, leaf)


def test_openssl_knows_which_certificates_may_serve(files: lab_ca.Files) -> None:
    anchor = files.folder / "anchor.pem"
    plain = certify(files, "ldevid", lab_ca.new_key())
    command = ["openssl", "verify", "-purpose", "sslserver", *ATTIME, "-CAfile", str(anchor), "-untrusted"]
    done = subprocess.run([*command, str(plain), str(plain)], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "unsuitable certificate purpose" in done.stderr + done.stdout
    serving = certify(files, "ldevid", lab_ca.new_key(), server_auth=True, dns_names=["edge-1.example.org"])
    run(*command, serving, "-verify_hostname", "edge-1.example.org", serving)


def findings(path: pathlib.Path) -> set[str]:
    """What pkilint finds at NOTICE and above in the first certificate of a file."""
    first = path.with_suffix(".first")
    first.write_text(path.read_text().partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    command = [str(places.venv() / "bin/lint_pkix_cert"), "lint", "-s", "NOTICE", "-f", "JSON", str(first)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    return {one["code"] for result in said["results"] for one in result["finding_descriptions"]}


@each_kind
@each_key
def test_a_public_linter_finds_nothing_to_complain_of(files: lab_ca.Files, kind: str, key: str) -> None:
    options = {"server_auth": True, "dns_names": ["edge-1.example.org"]} if kind == "ldevid" else {}
    assert findings(certify(files, kind, lab_ca.new_key(key), **options)) - set(ACCEPTED_FINDINGS) == set()


def test_the_linter_finds_what_is_wrong(tmp_path: pathlib.Path) -> None:
    # No subject and no alternative name, and one policy twice.
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.133.11.1.1"), None)
    extra = [(x509.CertificatePolicies([policy, policy]), False)]
    path = tmp_path / "wrong.pem"
    path.write_text(lab_ca.pem(lab_ca.certify("", lab_ca.new_key(), issuer=lab_ca.root(), ca=False, extra=extra)))
    assert findings(path)


def test_a_ca_that_openssl_made(tmp_path: pathlib.Path) -> None:
    key, certificate, leaf = tmp_path / "ca.key", tmp_path / "ca.pem", tmp_path / "leaf.pem"
    protected = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-passout", f"pass:{lab_ca.PASSWORD}"]
    extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    run(
        "openssl",
        "req",
        "-x509",
        *protected,
        "-subj",
        "/O=Factory/CN=Factory CA",
        *extensions,
        "-days",
        "30",
        "-keyout",
        key,
        "-out",
        certificate,
    )
    ca = authority.load_authority({"certificate": str(certificate), "key": str(key), "password": lab_ca.PASSWORD})
    now = ca.certificate.not_valid_before_utc
    leaf.write_text(ca.issue("idevid", lab_ca.public_pem(lab_ca.new_key()), SUBJECT, now=now).pem)
    run("openssl", "verify", "-x509_strict", "-CAfile", certificate, leaf)


@pytest.mark.parametrize("algorithm", ["ecc256", "rsa2048"])
def test_a_tpm_signs_a_request_and_openssl_verifies_it(tools: Tools, tmp_path: pathlib.Path, algorithm: str) -> None:
    context, public, data, signature = (tmp_path / name for name in ("key.ctx", "key.pem", "tbs", "signature"))
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    tools.run("createprimary", "-Q", "-C", "o", "-G", algorithm, "-a", attributes, "-c", context)
    tools.run("readpublic", "-Q", "-c", context, "-f", "pem", "-o", public)
    data.write_bytes(request.to_be_signed(public.read_text(), SUBJECT))
    scheme = "ecdsa" if algorithm.startswith("ecc") else "rsassa"
    digest = request.digest_name(public.read_text())
    tools.run("sign", "-Q", "-c", context, "-g", digest, "-s", scheme, "-f", "plain", "-o", signature, data)
    csr = tmp_path / "device.csr"
    csr.write_text(request.assemble(data.read_bytes(), signature.read_bytes()))
    run("openssl", "req", "-verify", "-in", csr, "-noout")
    assert request.verify(csr.read_text(), public_key=public.read_text(), serial="SN-0001").subject.startswith("2.5.4.5=SN-0001")
