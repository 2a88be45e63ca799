# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` with two devices on the oldest and the newest ansible-core, and what tpm2-tools and OpenSSL then see on a device."""

from __future__ import annotations

import base64
import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import typing as t

import pytest
import yaml
from support import places
from support.controller import cores, each_core
from support.profile import AK, EK, MQTT_KEY, SERIAL_INDEX, SRK
from support.tools import ToolError, Tools

sys.path.insert(0, str(places.ROOT / "demo"))
from lab.authority import prepare
from lab.device import Device

WRITE_ONCE_POLICY = "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"
NAMES = ("edge-01", "edge-02")


@dataclasses.dataclass
class Lab:
    """One demo in its own folder."""

    root: pathlib.Path
    ansible_playbook: str
    first: subprocess.CompletedProcess[str] | None = None

    def _environment(self) -> dict[str, str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2"))}
        return environment | {"DEMO_DIR": str(self.root), "DEVICES": "2", "EDGEFLEET_ANSIBLE_PLAYBOOK": self.ansible_playbook}

    def demo(self, program: str = "run", *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run demo/run or demo/clean to its end."""
        command = [str(places.ROOT / "demo" / program), *arguments]
        return subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False, timeout=600)

    def playbook(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the collection over the lab's inventory, as an operator would."""
        environment = self._environment() | {
            "ANSIBLE_CONFIG": str(places.ROOT / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_HOME": str(self.root / "ansible"),
        }
        command = [self.ansible_playbook, "-i", str(self.root / "inventory.yml"), f"edgefleet.tpm2.{name}", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)

    def device(self, name: str) -> Device:
        """One device of the lab."""
        return Device(name, self.root / "devices" / name)

    def tools(self, name: str = "edge-01") -> Tools:
        """tpm2-tools on one device's TPM."""
        return Tools(self.device(name).tcti)

    def telemetry_key(self, name: str = "edge-01") -> bytes:
        """The device's telemetry key, as its vault has it."""
        return base64.b64decode(yaml.safe_load(self.device(name).secrets.read_text())["tpm2_profile_telemetry_key"])


def output(done: subprocess.CompletedProcess[str]) -> str:
    """All that a program said."""
    return f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module", params=each_core("demo"))
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


def test_the_first_run_provisions_and_shows_it(lab: Lab) -> None:
    assert lab.first is not None
    assert lab.first.returncode == 0, output(lab.first)
    said = lab.first.stdout
    assert "2 new and blank" in said
    assert "changed=0 on 2 of 2 devices" in said
    assert "2 of 2 devices as declared" in said
    for name, serial in zip(NAMES, ("EF-2026-000001", "EF-2026-000002"), strict=True):
        row = next(line for line in said.splitlines() if line.lstrip().startswith(name) and serial in line)
        assert "32/600/86400" in row
        for handle in (EK, SRK, AK) if name == "edge-01" else ():  # edge-02 is replaced by another test
            assert lab.tools(name).readpublic(handle).name[4:12] in row


def test_a_second_make_demo_continues_with_the_same_devices(lab: Lab) -> None:
    before = {name: (lab.device(name).pid(), lab.tools(name).readpublic(MQTT_KEY).name) for name in NAMES}
    again = lab.demo()
    assert again.returncode == 0, output(again)
    assert "0 new and blank, 2 as the last run left them" in again.stdout
    assert "Nothing had to change" in again.stdout
    assert {name: (lab.device(name).pid(), lab.tools(name).readpublic(MQTT_KEY).name) for name in NAMES} == before


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
    drifted = lab.tools("edge-02")
    drifted.run("dictionarylockout", "--setup-parameters", "--max-tries=5", "--recovery-time=600", "--lockout-recovery-time=86400")
    audit = lab.playbook("audit")
    assert audit.returncode != 0, output(audit)
    assert "edge-02 is not as declared" in audit.stdout + audit.stderr
    assert "edge-01 is not as declared" not in audit.stdout + audit.stderr
    assert drifted.da() == (5, 600, 86400)
    healed = lab.playbook("day_zero")
    assert healed.returncode == 0, output(healed)
    assert drifted.da() == (32, 600, 86400)
    audit = lab.playbook("audit")
    assert audit.returncode == 0, output(audit)


def test_one_device_is_replaced_alone(lab: Lab) -> None:
    before = {name: lab.tools(name).readpublic(EK).name for name in NAMES}
    pid = lab.device("edge-01").pid()
    fresh = lab.demo("run", "--fresh", "edge-02")
    assert fresh.returncode == 0, output(fresh)
    assert "1 new and blank, 1 as the last run left them" in fresh.stdout
    after = {name: lab.tools(name).readpublic(EK).name for name in NAMES}
    assert after["edge-01"] == before["edge-01"] and after["edge-02"] != before["edge-02"]
    assert lab.device("edge-01").pid() == pid
    assert lab.tools("edge-02").nvread(SERIAL_INDEX) == b"EF-2026-000002"


def test_no_secret_is_in_what_the_demo_writes(lab: Lab) -> None:
    key = lab.telemetry_key()
    forms = (key, key.hex().encode(), base64.b64encode(key))
    leaks = [
        path
        for path in lab.root.rglob("*")
        if path.is_file() and path.name != "secrets.yml" and any(form in path.read_bytes() for form in forms)
    ]
    assert leaks == []
    assert lab.device("edge-01").secrets.stat().st_mode & 0o777 == 0o600


def test_a_device_name_that_is_not_there_is_refused(lab: Lab) -> None:
    done = lab.demo("run", "--fresh", "edge-77")
    assert done.returncode == 1
    assert "There is no device 'edge-77': name one of edge-01 to edge-02." in done.stderr


def test_clean_ends_the_swtpms_and_removes_the_folder(tmp_path: pathlib.Path) -> None:
    lab = Lab(tmp_path / "lab", cores()[0]["ansible_playbook"])
    try:
        device = lab.device("edge-01")
        device.make(prepare(lab.root))
        device.start()
        pid = device.pid()
        assert pid is not None
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
