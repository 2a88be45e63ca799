# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A birth record of a real (software) TPM, verified by the filters and by the commands of docs/birth-record.md, which are not our code."""

from __future__ import annotations

import base64
import datetime
import json
import os
import pathlib
import re
import subprocess
import types
import typing as t

import pytest
import tpm2_pytss as tss
import yaml
from cryptography.hazmat.primitives import serialization
from support import birth, lab_ca, places
from support.controller import Controller, said
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, names, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation

SERIAL = "SN-0001"
NONCE = bytes(range(1, 33))
PAGE = places.ROOT / "docs/birth-record.md"


class Device:
    """Keys and attestations of a TPM, through tpm2-pytss."""

    def __init__(self, tpm: Swtpm) -> None:
        self._esys = tss.ESAPI(tpm.tcti)

    def close(self) -> None:
        self._esys.close()

    def primary(self, template: str, unique: bytes = b"") -> tuple[t.Any, names.Public]:
        """A primary in the endorsement hierarchy. Certifying wants the ADMIN role, for which the template's policy would be needed."""
        raw = templates.primary(template, unique).raw
        if template.startswith("idevid"):
            word = int.from_bytes(raw[4:8], "big") & ~attributes.OBJECT["adminwithpolicy"]
            raw = raw[:4] + word.to_bytes(4, "big") + raw[8:]
        area, _left = tss.TPMT_PUBLIC.unmarshal(raw)
        handle, public, *_rest = self._esys.create_primary(None, tss.TPM2B_PUBLIC(publicArea=area), tss.ESYS_TR.ENDORSEMENT)
        return handle, names.parse_public(public.publicArea.marshal())

    def serial_index(self, content: bytes) -> t.Any:
        """An NV index that everybody reads."""
        public = tss.TPMS_NV_PUBLIC(
            nvIndex=0x01800010,
            nameAlg=tss.TPM2_ALG.SHA256,
            attributes=tss.TPMA_NV.OWNERWRITE | tss.TPMA_NV.AUTHREAD | tss.TPMA_NV.OWNERREAD | tss.TPMA_NV.NO_DA,
            dataSize=len(content),
        )
        index = self._esys.nv_define_space(None, tss.TPM2B_NV_PUBLIC(nvPublic=public), tss.ESYS_TR.OWNER)
        self._esys.nv_write(index, content, auth_handle=tss.ESYS_TR.OWNER)
        return index

    def certify(self, key: t.Any, ak: t.Any) -> Attestation:
        attest, signature = self._esys.certify(key, ak, NONCE, tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.NULL))
        return Attestation(bytes(attest), signature.marshal(), NONCE)

    def nv_certify(self, index: t.Any, size: int, ak: t.Any) -> Attestation:
        null = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.NULL)
        attest, signature = self._esys.nv_certify(ak, index, NONCE, null, size, 0, auth_handle=tss.ESYS_TR.OWNER)
        return Attestation(bytes(attest), signature.marshal(), NONCE)

    def quote(self, ak: t.Any) -> Attestation:
        attest, signature = self._esys.quote(ak, "sha256:0,7", NONCE, tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.NULL))
        _counter, _selection, values = self._esys.pcr_read("sha256:0,7")
        pcrs = [{"bank": "sha256", "index": index, "digest": bytes(value).hex()} for index, value in zip((0, 7), values, strict=True)]
        return Attestation(bytes(attest), signature.marshal(), NONCE, pcrs)


class Born(t.NamedTuple):
    """A record in a file, and who signs it."""

    files: lab_ca.Files
    ca: authority.Authority
    payload: dict[str, t.Any]
    path: pathlib.Path

    @property
    def root(self) -> pathlib.Path:
        return self.files.root_path


def enroll(tpm: Swtpm, folder: pathlib.Path, family: str) -> Born:
    """What enrolling leaves behind, without its exchanges."""
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    top = lab_ca.root(not_before=now - lab_ca.DAY)
    files = lab_ca.write(folder / "ca", above=top, below=top.below("Device CA", not_before=now - lab_ca.DAY))
    ca = authority.load_authority(files.options, now=now)
    size = {"ecc": "ecc_p256", "rsa": "rsa_2048"}[family]
    device = Device(tpm)
    try:
        _ek, ek = device.primary(f"ek_{size}")
        device._esys.flush_context(_ek)
        ak, ak_public = device.primary(f"iak_{size}")
        idevid, idevid_public = device.primary(f"idevid_{size}")
        attestations = {"certify": device.certify(idevid, ak)}
        device._esys.flush_context(idevid)
        ldevid, ldevid_public = device.primary(f"idevid_{size}", b"LDEVID")
        attestations["certify_ldevid"] = device.certify(ldevid, ak)
        attestations["nv_certify"] = device.nv_certify(device.serial_index(SERIAL.encode()), len(SERIAL), ak)
        attestations["quote"] = device.quote(ak)
    finally:
        device.close()
    ek_key = _keys.public_key(ek)
    holder = types.SimpleNamespace(public_key=lambda: ek_key)
    certificate = lab_ca.root("Vendor").certify("EK", holder, ca=False)
    subject = profile.DeviceSubject(SERIAL, profile.hardware_serial("49424d00", certificate, ek_key))
    kinds = {"iak": ak_public, "idevid": idevid_public, "ldevid": ldevid_public}
    certificates = {
        kind: ca.issue(kind, _keys.public_key(public), subject, now=now, lifetime=90 * lab_ca.DAY if kind == "ldevid" else None).pem
        for kind, public in kinds.items()
    }
    fields = birth_records.RecordFields(
        time=now,
        device={"serial": SERIAL, "host": "edge-1"},
        tpm={"manufacturer": "IBM", "firmware": "1.2.3.4"},
        ek_public=ek.raw,
        ek_certificate=certificate.public_bytes(serialization.Encoding.DER),
        verdict={"rung": "certificate", "reason": "trusted", "revocation": "not checked"},
        ak_public=ak_public.raw,
        idevid_public=idevid_public.raw,
        ldevid_public=ldevid_public.raw,
        activation=birth_records.Activation(now, b"blob", b"secret"),
        attestations=attestations,
        certificates=certificates,
        versions={"edgefleet.tpm2": "0.1.0"},
    )
    payload = birth_records.build(fields)
    path = folder / "record.json"
    path.write_text(birth_records.sign(payload, ca))
    return Born(files, ca, payload, path)


@pytest.fixture
def born(swtpm: Swtpm, tmp_path: pathlib.Path) -> Born:
    return enroll(swtpm, tmp_path, "ecc")


# The commands of the page ------------------------------------------------------------------------------------------------------------


def commands() -> str:
    """The one bash block of the page."""
    (block,) = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return t.cast(str, block)


def check(born: Born, record: pathlib.Path | None = None, root: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
    script = born.path.with_name("verify.sh")
    script.write_text(commands())
    # No Python, no Ansible, nothing of ours on the path; and where the file is does not matter.
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": os.environ.get("LC_ALL", "C.UTF-8")}
    command = ["bash", str(script), str(record or born.path), str(root or born.root)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


def refused(born: Born, payload: dict[str, t.Any] | None = None, signer: authority.Signer | None = None, **change: t.Any) -> str:
    """What the commands say to a record that is signed rightly and wrong otherwise, or has another envelope."""
    body = birth_records.encode(payload or born.payload)
    by = signer or born.ca
    envelope = {
        "payloadType": birth_records.PAYLOAD_TYPE,
        "payload": base64.b64encode(body).decode(),
        "signatures": [{"sig": base64.b64encode(by.sign(birth_records.pae(body))).decode()}],
        "certificate": by.chain_pem,
        **change,
    }
    path = born.path.with_name("wrong.json")
    path.write_text(json.dumps(envelope))
    done = check(born, path)
    assert done.returncode != 0 and "valid:" not in done.stdout, done.stdout
    return done.stderr


@pytest.mark.parametrize("family", ["ecc", "rsa"])
def test_the_commands_accept_a_right_record(swtpm: Swtpm, tmp_path: pathlib.Path, family: str) -> None:
    born = enroll(swtpm, tmp_path, family)
    assert birth_records.verify(born.path.read_text(), roots=[born.root.read_text()])["device"]["serial"] == SERIAL
    done = check(born)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"valid: {SERIAL}, edge-1, made ") and "CN = Device CA" in done.stdout and done.stderr == ""


def test_the_commands_refuse_a_record_that_was_altered(born: Born) -> None:
    body = birth_records.encode(born.payload)
    other = body.replace(b'"serial":"SN-0001"', b'"serial":"SN-0002"')
    assert other != body
    signature = base64.b64encode(born.ca.sign(birth_records.pae(body))).decode()
    told = refused(born, payload=json.loads(other), signatures=[{"sig": signature}])
    assert "the signature is wrong" in told


def test_the_commands_refuse_another_root(born: Born, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(lab_ca.pem(lab_ca.root().certificate))
    done = check(born, root=other)
    assert done.returncode != 0 and "the signer is unknown" in done.stderr


def test_the_commands_refuse_a_device_as_signer(born: Born) -> None:
    key = lab_ca.new_key()
    leaf = born.files.ca.certify("device", key, ca=False, not_before=born.ca.certificate.not_valid_before_utc)
    assert "the signer may not sign documents" in refused(born, signer=authority.Signer(leaf, [born.ca.certificate], key))


def altered(born: Born, path: str, value: t.Any) -> dict[str, t.Any]:
    payload = json.loads(json.dumps(born.payload))
    place = payload
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value(payload) if callable(value) else value
    return t.cast("dict[str, t.Any]", payload)


def shifted(pcrs: list[dict[str, t.Any]]) -> list[dict[str, t.Any]]:
    """Two PCRs whose values have the same bytes end to end, and another boundary."""
    first, second = pcrs
    return [{**first, "digest": first["digest"] + second["digest"][:2]}, {**second, "digest": second["digest"][2:]}]


INNER: list[tuple[str, t.Any, str]] = [
    ("version", 2, "another schema"),
    ("time", "2999-01-01T00:00:00Z", "it is from the future"),
    ("ek.name", "000b" + "00" * 32, "the Name of the ek"),
    ("ak.public_key", lambda p: p["idevid"]["public_key"], "the public key of the ak"),
    ("ak", lambda p: p["idevid"], "the attributes of the ak"),
    ("activation.ak_name", "000b" + "00" * 32, "the activation"),
    ("activation.result", "failed", "the activation"),
    ("certify.signature", lambda p: p["quote"]["signature"], "the signature of certify"),
    ("certify.nonce", "00" * 32, "type or nonce of certify"),
    ("quote", lambda p: {**p["certify"], "pcrs": p["quote"]["pcrs"]}, "type or nonce of quote"),
    ("certify", lambda p: p["certify_ldevid"], "the content of certify"),
    ("device.serial", "SN-0002", "the content of nv_certify"),
    ("quote.pcrs", lambda p: p["quote"]["pcrs"][:1], "the content of quote"),
    ("quote.pcrs", lambda p: shifted(p["quote"]["pcrs"]), "the length of a PCR value"),
    ("certificates.iak", lambda p: p["certificates"]["idevid"], "the key of the iak certificate"),
    ("certificates.idevid", lab_ca.pem(lab_ca.root().certificate), "the idevid certificate"),
]


@pytest.mark.parametrize(("path", "value", "told"), INNER, ids=[f"{one[0]}-{number}" for number, one in enumerate(INNER)])
def test_the_commands_refuse_what_contradicts_itself(born: Born, path: str, value: t.Any, told: str) -> None:
    assert f"NOT VALID: {told}" in refused(born, payload=altered(born, path, value))


def test_the_commands_refuse_a_certificate_of_another_serial_number(born: Born) -> None:
    payload = json.loads(json.dumps(born.payload))
    payload["nv_certify"], payload["device"]["serial"] = None, "SN-0002"
    assert "the serial of iak" in refused(born, payload=payload)


# The filters -------------------------------------------------------------------------------------------------------------------------


def play(controller: Controller, folder: pathlib.Path, *tasks: dict[str, t.Any]) -> subprocess.CompletedProcess[str]:
    playbook = folder / "play.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": list(tasks)}]))
    return controller(str(playbook), {"one": {}}, "-v")


def test_the_filters_in_a_playbook(each_controller: Controller, born: Born, tmp_path: pathlib.Path) -> None:
    text = f"lookup('ansible.builtin.file', '{born.path}')"
    verified = f"({text} | edgefleet.tpm2.verify_birth_record(lookup('ansible.builtin.file', '{born.root}')))"
    record = born.payload
    checks = [
        f"{verified}.valid and {verified}.serial == '{SERIAL}' and {verified}.host == 'edge-1'",
        f"{verified}.ak_name == '{record['ak']['name']}' and {verified}.rung == 'certificate'",
        f"({text} | from_json | edgefleet.tpm2.verify_birth_record([lookup('ansible.builtin.file', '{born.root}')])) == {verified}",
        f"([{text}, {verified}] | edgefleet.tpm2.birth_record_duplicates) == []",
    ]
    done = play(each_controller, tmp_path, {"ansible.builtin.assert": {"that": checks}})
    assert done.returncode == 0, said(done)


WRONG: list[tuple[str, str]] = [
    ("{text} | replace('payloadType', 'type') | edgefleet.tpm2.verify_birth_record({root})", "its payload type is None"),
    ("{text} | edgefleet.tpm2.verify_birth_record([])", "roots must be the PEM text"),
    ("{text} | edgefleet.tpm2.verify_birth_record(['x'])", "holds no well-formed certificate"),
    ("{text} | edgefleet.tpm2.verify_birth_record({root}, at='2001-01-01T00:00:00Z')", "in the future"),
    ("{text} | edgefleet.tpm2.verify_birth_record({root}, at='noon')", "no time; write it as 2026-01-31T12:00:00Z"),
    ("7 | edgefleet.tpm2.verify_birth_record({root})", "it is neither text nor the object"),
    ("{text} | edgefleet.tpm2.verify_birth_record(5)", "roots must be the PEM text"),
    ("{text} | edgefleet.tpm2.verify_birth_record(dict(a='b'))", "roots must be the PEM text"),
    ("dict(a='2026-01-31' | to_datetime('%Y-%m-%d')) | edgefleet.tpm2.verify_birth_record({root})", "JSON cannot hold what is in it"),
    ("'\"\\ud800\"' | edgefleet.tpm2.verify_birth_record({root})", "half a surrogate pair"),
    ("[dict(record=5)] | edgefleet.tpm2.birth_record_duplicates", "it is neither text nor the object"),
    ("[dict(a='2026-01-31' | to_datetime('%Y-%m-%d'))] | edgefleet.tpm2.birth_record_duplicates", "JSON cannot hold what is in it"),
    ("{text} | edgefleet.tpm2.birth_record_duplicates", "the filter takes a list of them"),
    ("['x'] | edgefleet.tpm2.birth_record_duplicates", "it is no JSON"),
]


def test_the_filters_say_what_is_wrong(each_controller: Controller, born: Born, tmp_path: pathlib.Path) -> None:
    names = {"text": f"lookup('ansible.builtin.file', '{born.path}')", "root": f"lookup('ansible.builtin.file', '{born.root}')"}
    tasks = [
        {"ansible.builtin.debug": {"msg": "{{ " + expression.format(**names) + " }}"}, "ignore_errors": True} for expression, _told in WRONG
    ]
    done = play(each_controller, tmp_path, *tasks)
    found = said(done)
    assert [told for _expression, told in WRONG if told not in found] == []
    assert "Traceback" not in found and done.stdout.count("...ignoring") == len(WRONG)


def test_the_fleet_check_of_the_documentation(each_controller: Controller, tmp_path: pathlib.Path) -> None:
    ca = authority.load_authority(lab_ca.write(tmp_path / "ca").options, now=lab_ca.NOW)
    tpm = birth.soft_tpm()
    records = tmp_path / "records"
    records.mkdir()
    example = yaml.safe_load((places.ROOT / "plugins/filter/birth_record_duplicates.yml").read_text())["EXAMPLES"]
    (task,) = yaml.safe_load(example)
    (records / "one.birth.json").write_text(birth_records.sign(birth_records.build(birth.fields(tpm, ca)), ca))
    done = play(each_controller, tmp_path, task)
    assert done.returncode == 0, said(done)
    tpm.serial = "SN-0002"
    tpm_again = birth.dataclasses.replace(tpm, serial="SN-0002")
    (records / "two.birth.json").write_text(birth_records.sign(birth_records.build(birth.fields(tpm_again, ca)), ca))
    assert play(each_controller, tmp_path, task).returncode != 0


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "Could not begin: tpm2_fleet_records and tpm2_fleet_roots not given; give the folders"),
        ({"tpm2_fleet_records": ["/nowhere"]}, "Could not begin: tpm2_fleet_roots not given; give the folders"),
        (
            {"tpm2_fleet_record": ["/nowhere"]},
            "Nobody here knows the variable tpm2_fleet_record of localhost; did you mean tpm2_fleet_records?",
        ),
        (
            {"tpm2_fleet_records": ["/nowhere"], "tpm2_fleet_roots": ["/nowhere/root.pem"]},
            "Could not read the root certificate /nowhere/root.pem: there is no such file; correct tpm2_fleet_roots.",
        ),
    ],
    ids=["nothing", "no-roots", "misspelt", "no-such-file"],
)
def test_a_fleet_check_of_nothing_says_what_is_missing(controller: Controller, variables: dict[str, t.Any], sentence: str) -> None:
    done = controller("edgefleet.tpm2.fleet_check", {}, "-e", json.dumps(variables))
    assert done.returncode != 0 and sentence in said(done), said(done)
    assert "Find the records" not in done.stdout


def test_a_limit_that_leaves_the_controller_out_does_not_succeed(each_controller: Controller) -> None:
    """Ansible would look at no record, and say that nothing is wrong."""
    variables = json.dumps({"tpm2_fleet_records": ["/nowhere"], "tpm2_fleet_roots": ["/nowhere"]})
    done = each_controller("edgefleet.tpm2.fleet_check", {"edge-01": {}}, "-e", variables, "--limit", "edge-01")
    assert done.returncode != 0 and "Could not begin: --limit edge-01 leaves none of localhost; correct --limit" in said(done), said(done)


def test_the_fleet_check_names_the_records_that_do_not_verify(each_controller: Controller, tmp_path: pathlib.Path) -> None:
    """Each by its file, in a sentence without Ansible's own around it, and the others are verified."""
    tpm, files = birth.soft_tpm(), lab_ca.write(tmp_path / "ca")
    ca = authority.load_authority(files.options, now=lab_ca.NOW)
    right = birth_records.sign(birth_records.build(birth.fields(tpm, ca)), ca)
    (tmp_path / "one.birth.json").write_text(right)
    (tmp_path / "two.birth.json").write_text(right[:-40])
    (tmp_path / "three.birth.json").write_text("{}")
    variables = {"tpm2_fleet_records": [str(tmp_path)], "tpm2_fleet_roots": [str(files.root_path)]}
    done = each_controller("edgefleet.tpm2.fleet_check", {}, "-e", json.dumps(variables))
    assert done.returncode != 0, said(done)
    assert "two.birth.json: Could not" in said(done) and "three.birth.json: Could not" in said(done), said(done)
    assert "one.birth.json: " not in said(done) and "Finalization" not in said(done) and "unhandled exception" not in said(done), said(done)


@pytest.mark.parametrize("name", ["verify_birth_record", "birth_record_duplicates"])
def test_the_filters_have_pages(name: str, tmp_path: pathlib.Path) -> None:
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS), "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    command = [str(places.venv() / "bin/ansible-doc"), "-t", "filter", f"edgefleet.tpm2.{name}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "EXAMPLES" in done.stdout and "RETURN VALUES" in done.stdout
