# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` with two usual devices on the newest ansible-core, and what tpm2-tools, OpenSSL and SQLite then see."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest
from support import places
from support.controller import cores, each_core
from support.demo import ENROLLED, IMPOSTOR, NAMES, PINNED, USUAL, Lab
from support.profile import AK, EK, MQTT_KEY, SERIAL_INDEX, SRK
from support.tools import ToolError, as_text

sys.path.insert(0, str(places.ROOT / "demo"))
from lab import playbook, report
from lab.authority import prepare
from lab.settings import DemoError

WRITE_ONCE_POLICY = "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"
EK_CERTIFICATE = 0x01C00002
KEYS = {"iak": AK, "idevid": None, "ldevid": 0x81000220}  # the IDevID key is made anew from its template


def run(command: t.Sequence[str | pathlib.Path]) -> str:
    """Run a command to its good end; return what it said."""
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout


def output(done: subprocess.CompletedProcess[str]) -> str:
    """All that a program said."""
    return f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module", params=each_core("demo")[-1:])
def lab(request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    """A lab that `demo/run` has provisioned once."""
    root = pathlib.Path(tempfile.mkdtemp(prefix="test-demo-", dir=places.WORK))
    made = Lab(root, request.param["ansible_playbook"])
    try:
        made.first = made.demo()
        yield made
    finally:
        made.demo("clean")
        shutil.rmtree(root, ignore_errors=True)


def test_the_first_run_enrolls_and_shows_it(lab: Lab) -> None:
    assert lab.first is not None
    assert lab.first.returncode == 0, output(lab.first)
    said = lab.first.stdout
    assert "4 new and blank" in said
    assert "changed=0 on 4 of 4 devices" in said
    assert "3 of 3 devices as declared" in said
    for name, number in zip(NAMES, range(1, 5), strict=True):
        row = next(line for line in said.splitlines() if line.lstrip().startswith(name) and f"EF-2026-{number:06d}  " in line)
        assert "32/600/86400" in row
        assert ("quarantined  key_mismatch" if name == IMPOSTOR else "pinned EK" if name == PINNED else "EK certificate") in row
        for handle in (EK, SRK, AK) if name != "edge-02" else ():  # edge-02 gets a new board in another test
            assert lab.tools(name).readpublic(handle).name[4:12] in row
        verified = f"  {name}  iak, idevid, ldevid: OK; birth record valid: EF-2026-{number:06d}, {name}, made "
        assert (verified in said) == (name != IMPOSTOR)
    assert "EF-2026-000004 is quarantined (key_mismatch): Could not trust the EK certificate: it is for another key" in said
    assert f"  tpm2_enrolled  {', '.join(ENROLLED)}\n  tpm2_quarantined  {IMPOSTOR}\n" in said


def test_the_commands_that_it_shows_run_as_shown(lab: Lab, tmp_path: pathlib.Path) -> None:
    assert lab.first is not None
    said = lab.first.stdout.splitlines()
    exports = [line.strip() for line in said if line.startswith("  export ")]
    commands = [line.removeprefix("  $ ") for line in said if line.startswith("  $ ")]
    assert len(exports) == 3 and len(commands) == 4
    chosen = [command for command in commands if "edgefleet.tpm2.audit" in command or "--graph" in command]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    script = "\n".join([*exports, *chosen])
    done = subprocess.run(["bash", "-euc", script], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, output(done)
    assert "@tpm2_quarantined:" in done.stdout
    assert re.findall(r"^(\S+) +: .* failed=0 ", done.stdout, re.MULTILINE) == sorted(ENROLLED)


def test_each_column_is_explained_and_why_the_impostor_was_written_to(lab: Lab) -> None:
    assert lab.first is not None
    table, _head, legend = lab.first.stdout.partition("  because of: ")
    columns = next(line for line in table.splitlines() if line.lstrip().startswith("device  "))
    explained = {name for line in ("because of: " + legend).splitlines() for name in re.findall(r"(?:^|; )\s*([A-Za-z][\w/, ]*?): ", line)}
    named = {word for name in explained for word in name.split(", ")}
    assert {column.strip() for column in re.split(r"  +", columns.strip())} - {"device", "serial", "state"} <= named
    assert f"{IMPOSTOR} has keys and a serial number all the same" in legend


def test_a_second_make_demo_continues_with_the_same_devices(lab: Lab) -> None:
    before = {name: (lab.device(name).pid(), lab.tools(name).readpublic(MQTT_KEY).name) for name in NAMES}
    again = lab.demo()
    assert again.returncode == 0, output(again)
    assert "0 new and blank, 4 as the last run left them" in again.stdout
    assert "Nothing had to change" in again.stdout
    assert f"{IMPOSTOR}  still in quarantine" in again.stdout
    assert {name: (lab.device(name).pid(), lab.tools(name).readpublic(MQTT_KEY).name) for name in NAMES} == before


def test_the_registry_has_each_device_once_and_the_impostor_in_quarantine(lab: Lab) -> None:
    found = {host: (serial, ek) for host, serial, ek in lab.registry("SELECT host, serial, ek_name FROM devices WHERE host != 'edge-02'")}
    expected = {name: (f"EF-2026-{number:06d}", lab.tools(name).readpublic(EK).name) for name, number in (("edge-01", 1), (PINNED, 3))}
    assert found == expected
    impostor = lab.tools(IMPOSTOR).readpublic(EK).name
    assert lab.registry("SELECT host, serial, ek_name, reason, closed_at FROM quarantine") == [
        (IMPOSTOR, "EF-2026-000004", impostor, "key_mismatch", None)
    ]
    rungs = dict(lab.registry("SELECT host, rung FROM verdicts JOIN devices USING (ek_name)"))
    assert rungs == {"edge-01": "certificate", "edge-02": "certificate", PINNED: "pinned"}


def test_the_pinned_device_has_no_ek_certificate_and_the_manifest_has_its_hash(lab: Lab) -> None:
    assert EK_CERTIFICATE in lab.tools().handles("nv-index") and EK_CERTIFICATE not in lab.tools(PINNED).handles("nv-index")
    pem = lab.tools(PINNED).readpublic(EK).pem.encode()
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem, capture_output=True, check=True).stdout
    rows = lab.factory.manifest.read_text().splitlines()
    assert rows[0] == "serial,host,ek_sha256,site,model"
    assert f"EF-2026-000003,{PINNED},{hashlib.sha256(der).hexdigest()},lab,EF-100" in rows
    assert f"EF-2026-000004,{IMPOSTOR},,lab,EF-100" in rows


def test_the_impostor_shows_the_certificate_of_another_and_was_given_nothing(lab: Lab) -> None:
    shown = lab.tools(IMPOSTOR).nvread(EK_CERTIFICATE)
    assert shown == lab.tools().nvread(EK_CERTIFICATE)
    assert lab.tools(IMPOSTOR).readpublic(EK).name != lab.tools().readpublic(EK).name
    assert list(lab.device(IMPOSTOR).files.glob("*.cert.pem")) == [] and not (lab.factory.records / "EF-2026-000004.birth.json").exists()
    assert set(lab.tools(IMPOSTOR).auth_is_set().values()) == {False}


@pytest.mark.parametrize("name", ENROLLED)
def test_openssl_verifies_every_certificate_and_its_key_is_in_the_tpm(lab: Lab, name: str) -> None:
    for kind, handle in KEYS.items():
        path = lab.device(name).files / f"{kind}.cert.pem"
        run(["openssl", "verify", "-x509_strict", "-CAfile", lab.factory.root_certificate, "-untrusted", path, path])
        told = run(["openssl", "x509", "-in", path, "-noout", "-subject", "-pubkey"])
        assert f"serialNumber={lab.device(name).serial}" in told.replace(" = ", "=")  # as OpenSSL 3.0 and later ones print it
        if handle is not None:
            assert told.endswith(lab.tools(name).readpublic(handle).pem)


def test_the_birth_record_of_another_serial_number_does_not_verify(lab: Lab) -> None:
    script, record = lab.factory.folder / "verify.sh", lab.factory.records / "EF-2026-000001.birth.json"
    assert script.read_text() in (places.ROOT / "docs/birth-record.md").read_text()
    assert run(["bash", script, record, lab.factory.root_certificate]).startswith("valid: EF-2026-000001, edge-01, made ")
    refused = subprocess.run(["bash", script, record, lab.factory.bundle], capture_output=True, text=True, check=False)
    assert refused.returncode != 0 and "NOT VALID: the signer is unknown" in refused.stderr


@pytest.mark.parametrize("name", ENROLLED)
def test_the_hierarchies_are_closed_and_the_escrow_opens_them(lab: Lab, name: str) -> None:
    tools, auths = lab.tools(name), lab.auths(name)
    assert set(tools.auth_is_set().values()) == {True}
    for letter, hierarchy in (("o", "owner"), ("e", "endorsement"), ("l", "lockout")):
        auth = as_text(auths[hierarchy])
        tools.run("changeauth", "-c", letter, "-p", auth, auth)
    with pytest.raises(ToolError, match="0x9A2"):
        tools.run("changeauth", "-c", "p", "mine")


def test_the_serial_number_is_there_and_cannot_be_written_again(lab: Lab, tmp_path: pathlib.Path) -> None:
    tools = lab.tools()
    assert tools.nvread(SERIAL_INDEX) == b"EF-2026-000001"
    public = tools.nvreadpublic(SERIAL_INDEX)
    assert public["authorization policy"].lower() == WRITE_ONCE_POLICY
    assert set(public["attributes"]["friendly"].split("|")) == {"policywrite", "ownerread", "authread", "no_da", "written"}
    assert public["size"] == len("EF-2026-000001")
    other, session = tmp_path / "other", tmp_path / "session"
    other.write_bytes(b"EF-2026-999999")
    tools.run("startauthsession", "-S", session, "--policy-session")
    try:
        tools.run("policycommandcode", "-S", session, "TPM2_CC_NV_Write")
        tools.run("policynvwritten", "-S", session, "c")
        with pytest.raises(ToolError):
            tools.run("nvwrite", f"{SERIAL_INDEX:#010x}", "-C", f"{SERIAL_INDEX:#010x}", "-P", f"session:{session}", "-i", other)
    finally:
        tools.run("flushcontext", session)
    with pytest.raises(ToolError):
        tools.run("nvwrite", f"{SERIAL_INDEX:#010x}", "-C", "o", "-i", other)
    assert tools.nvread(SERIAL_INDEX) == b"EF-2026-000001"


@pytest.mark.parametrize(
    ("handle", "attributes", "kind"),
    [
        (SRK, "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt", "ecc"),
        (EK, "fixedtpm|fixedparent|sensitivedataorigin|adminwithpolicy|restricted|decrypt", "rsa"),
        (AK, "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|sign", "ecc"),
        (MQTT_KEY, "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|decrypt", "rsa"),
    ],
    ids=["SRK", "EK", "AK", "MQTT key"],
)
def test_the_keys_are_what_the_profile_says(lab: Lab, handle: int, attributes: str, kind: str) -> None:
    public = lab.tools().readpublic(handle)
    assert public.attributes == set(attributes.split("|"))
    assert public.area["type"]["value"] == kind


def test_the_ek_is_the_certified_one(lab: Lab) -> None:
    certificate = lab.device("edge-01").state / "ek-rsa2048.crt"
    key = subprocess.run(
        ["openssl", "x509", "-inform", "DER", "-in", str(certificate), "-noout", "-pubkey"], capture_output=True, text=True, check=True
    )
    assert key.stdout == lab.tools().readpublic(EK).pem


def test_the_exported_keys_are_those_in_the_tpm(lab: Lab) -> None:
    for name, handle in (("ak.pub.pem", AK), ("mqtt.pub.pem", MQTT_KEY)):
        assert (lab.device("edge-01").files / name).read_text() == lab.tools().readpublic(handle).pem


def test_the_lockout_settings_are_there(lab: Lab) -> None:
    assert lab.tools().da() == (32, 600, 86400)
    assert lab.tools().lockout_counter() == 0


def test_openssl_encrypts_to_the_mqtt_key_and_the_tpm_opens_it(lab: Lab) -> None:
    command = ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", str(lab.device("edge-01").files / "mqtt.pub.pem")]
    command += ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"]
    sealed = subprocess.run(command, input=b"a broker's password", capture_output=True, check=True).stdout
    assert lab.tools().rsadecrypt(MQTT_KEY, sealed, "-s", "oaep") == b"a broker's password"


def test_the_telemetry_key_opens_while_pcr_7_stands_and_not_after_an_extend(lab: Lab) -> None:
    device, tools = lab.device("edge-01"), lab.tools()
    blob = device.files / "telemetry.key.pem"
    assert tools.load_unseal(blob) == lab.telemetry_key()
    tools.run("pcrextend", "7:sha256=" + "11" * 32)
    try:
        with pytest.raises(ToolError):
            tools.load_unseal(blob)
    finally:
        device.stop()
        device.start()
    assert tools.load_unseal(blob) == lab.telemetry_key()


def test_drift_is_reported_with_the_devices_name_and_day_zero_heals_it(lab: Lab) -> None:
    drifted, auth, enrolled = lab.tools("edge-02"), lab.auths("edge-02")["lockout"], ("--limit", "tpm2_enrolled")
    drifted.run("dictionarylockout", "--setup-parameters", "-n", "5", "-t", "600", "-l", "86400", "-p", as_text(auth))
    audit = lab.playbook("audit", *enrolled)
    assert audit.returncode != 0, output(audit)
    assert "edge-02 is not as declared" in audit.stdout + audit.stderr
    assert "edge-01 is not as declared" not in audit.stdout + audit.stderr
    assert drifted.da() == (5, 600, 86400)
    healed = lab.playbook("day_zero", *enrolled)
    assert healed.returncode == 0, output(healed)
    assert drifted.da() == (32, 600, 86400)
    audit = lab.playbook("audit", *enrolled)
    assert audit.returncode == 0, output(audit)


def test_one_device_gets_a_new_board_alone_and_a_new_serial_number(lab: Lab) -> None:
    before = {name: lab.tools(name).readpublic(EK).name for name in USUAL}
    pid, serial = lab.device("edge-01").pid(), lab.device("edge-02").serial
    fresh = lab.demo("run", "--fresh", "edge-02")
    assert fresh.returncode == 0, output(fresh)
    assert "1 new and blank, 3 as the last run left them" in fresh.stdout
    new = lab.device("edge-02").serial
    assert new > serial and f"edge-02 has a new board with a new serial number, {new}; {serial} stays in the registry" in fresh.stdout
    after = {name: lab.tools(name).readpublic(EK).name for name in USUAL}
    assert after["edge-01"] == before["edge-01"] and after["edge-02"] != before["edge-02"]
    assert lab.device("edge-01").pid() == pid
    assert lab.tools("edge-02").nvread(SERIAL_INDEX) == new.encode()
    boards = lab.registry("SELECT serial, ek_name FROM devices WHERE host = 'edge-02' ORDER BY serial")
    assert boards == [(serial, before["edge-02"]), (new, after["edge-02"])]


def test_no_secret_is_in_what_the_demo_writes(lab: Lab) -> None:
    keepers = {lab.factory.vault, *(lab.device(name).secrets for name in NAMES)}
    inside = {lab.device(name).state for name in NAMES}  # the TPMs themselves
    forms = [value.encode() for value in (*lab.vault().values(), *(auth for name in ENROLLED for auth in lab.auths(name).values()))]
    for name in NAMES:
        key = lab.telemetry_key(name)
        forms += [key, key.hex().encode(), base64.b64encode(key)]
    files = [
        path
        for path in lab.root.rglob("*")
        if path.is_file() and not path.is_symlink() and path not in keepers and path.parent not in inside
    ]
    assert {path.name for path in files} >= {"day_zero.log", "day_zero_again.log", "audit.log", "swtpm.log", "registry.sqlite"}
    assert [path for path in files if any(form in path.read_bytes() for form in forms)] == []


def test_nothing_of_the_factory_is_for_other_users(lab: Lab) -> None:
    factory = lab.factory
    assert [path for path in (factory.folder, lab.root / "devices", lab.root / "ca" / "state") if path.stat().st_mode & 0o077] == []
    private = [factory.vault, factory.ca_key, factory.registry, *lab.root.glob("*.log"), *(lab.device(name).secrets for name in NAMES)]
    assert [path for path in private if path.stat().st_mode & 0o777 != 0o600] == []
    assert "ENCRYPTED PRIVATE KEY" in factory.ca_key.read_text()
    assert sorted(path.name for path in factory.ca_key.parent.iterdir()) == ["ca.key", "ca.pem", "root.pem"]


def test_a_device_name_that_is_not_there_is_refused(lab: Lab) -> None:
    done = lab.demo("run", "--fresh", "edge-77")
    assert done.returncode == 1
    assert "There is no device 'edge-77': name one of edge-01, edge-02, edge-pinned, edge-impostor." in done.stderr


OUTCOMES: list[tuple[dict[str, str], dict[str, str], str]] = [
    ({IMPOSTOR: "enrolled"}, {}, f"{IMPOSTOR} was not quarantined: that is a defect, report it with x.log."),
    ({}, {IMPOSTOR: "no route"}, f"{IMPOSTOR} was not quarantined: that is a defect, report it with x.log. no route"),
    ({IMPOSTOR: "quarantined"}, {"edge-02": "no EK."}, "Day zero failed on edge-02: .* is in x.log.\n  edge-02: no EK."),
]


@pytest.mark.parametrize(("states", "failures", "sentence"), OUTCOMES, ids=["trusted", "lost", "another"])
def test_the_demo_fails_unless_it_is_the_impostor_alone_that_is_quarantined(
    tmp_path: pathlib.Path, states: dict[str, str], failures: dict[str, str], sentence: str
) -> None:
    lab = Lab(tmp_path, "")
    enrolments: dict[str, t.Any] = {name: {"state": state} for name, state in states.items()}
    done = playbook.Run(2, pathlib.Path("x.log"), enrolments=enrolments, failures=failures, totals={name: {} for name in NAMES})
    with pytest.raises(DemoError, match=sentence):
        report.require(done, [lab.device(name) for name in NAMES], "Day zero failed")


def test_clean_ends_the_swtpms_and_removes_the_folder(tmp_path: pathlib.Path) -> None:
    lab = Lab(tmp_path / "lab", cores()[0]["ansible_playbook"])
    try:
        device = lab.device("edge-01")
        device.make(prepare(lab.root))
        device.start()
        pid = device.pid()
        assert pid is not None
        lab.factory.folder.mkdir()
        lab.factory.build()
        bystander = tmp_path / "lab" / "not-ours"
        bystander.write_text("kept")
    finally:
        done = lab.demo("clean")
    assert done.returncode == 0, output(done)
    assert device.pid() is None
    assert f"dir={device.state}" not in _command_line(pid)
    assert [path.name for path in lab.root.iterdir()] == ["not-ours"]


def _command_line(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except OSError:
        return ""
