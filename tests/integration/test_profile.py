# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference profile and the hardened one, seen from outside: tpm2-tools and OpenSSL find exactly what the profile says."""

from __future__ import annotations

import base64
import pathlib
import subprocess
import typing as t

import pytest
from conftest import Provisioned
from support import module, profile, secrets
from support.proxy import Proxy
from support.state import auth_opens
from support.tools import ToolError, Tools, leftovers

WRITE_ONCE = "b7afecee9bf7bcbd5078f264de85f7e361dc84f745da7efa34e91fdaf200ee9b"
HANDLES = {profile.SRK, profile.EK, profile.AK, profile.MQTT_KEY}
KEY_B64 = base64.b64encode(profile.TELEMETRY_KEY).decode()
AUTHS = {f"{name}_auth": secrets.made_up(f"profile {name}") for name in ("owner", "endorsement", "lockout")}
FIXED = {"fixedtpm", "fixedparent", "sensitivedataorigin"}


@pytest.fixture
def tools(provisioned: Provisioned) -> Tools:
    """tpm2-tools on the provisioned device."""
    return Tools(provisioned.swtpm.tcti)


def run(device: Provisioned, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
    arguments = {"tcti": device.swtpm.tcti, "resources": device.resources, **options}
    return module.run("tpm2_profile", arguments, python=device.python, check=check, diff=True).expect_ok()


def test_keys(provisioned: Provisioned, tools: Tools) -> None:
    publics = {handle: tools.readpublic(handle) for handle in tools.handles()}
    assert set(publics) == HANDLES
    assert publics[profile.SRK].attributes == FIXED | {"userwithauth", "noda", "restricted", "decrypt"}
    assert publics[profile.EK].attributes == FIXED | {"adminwithpolicy", "restricted", "decrypt"}
    assert publics[profile.AK].attributes == FIXED | {"userwithauth", "adminwithpolicy", "restricted", "sign"}
    assert publics[profile.MQTT_KEY].attributes == FIXED | {"userwithauth", "noda", "decrypt"}
    assert (provisioned.device_dir / "ak.pub.pem").read_text() == publics[profile.AK].pem
    assert (provisioned.device_dir / "mqtt.pub.pem").read_text() == publics[profile.MQTT_KEY].pem


def test_the_ek_is_the_one_that_others_make(tools: Tools, tmp_path: pathlib.Path) -> None:
    """tpm2_createek makes the same key: its certificate, where there is one, is for it."""
    tools.run("createek", "-Q", "-c", tmp_path / "ek.ctx", "-G", "rsa", "-u", tmp_path / "ek.pub")
    assert tools.readpublic(str(tmp_path / "ek.ctx")).name == tools.readpublic(profile.EK).name


def test_serial_number(tools: Tools) -> None:
    area = tools.nvreadpublic(profile.SERIAL_INDEX)
    assert area["authorization policy"].lower() == WRITE_ONCE
    assert set(area["attributes"]["friendly"].split("|")) == {"policywrite", "ownerread", "authread", "no_da", "written"}
    assert area["size"] == len(profile.SERIAL)
    assert tools.nvread(profile.SERIAL_INDEX) == tools.nvread(profile.SERIAL_INDEX, "-C", "o") == profile.SERIAL.encode()


def test_the_serial_number_cannot_be_written_again(tools: Tools, tmp_path: pathlib.Path) -> None:
    session = tmp_path / "session.ctx"
    tools.run("startauthsession", "-S", session, "--policy-session")
    tools.run("policycommandcode", "-Q", "-S", session, "TPM2_CC_NV_Write")
    tools.run("policynvwritten", "-Q", "-S", session, "c")
    with pytest.raises(ToolError, match="0x99D"):
        tools.run("nvwrite", hex(profile.SERIAL_INDEX), "-P", f"session:{session}", "-i", "-", stdin=b"X" * len(profile.SERIAL))
    tools.flush_all()
    with pytest.raises(ToolError):
        tools.run("nvwrite", hex(profile.SERIAL_INDEX), "-C", "o", "-i", "-", stdin=b"X" * len(profile.SERIAL))
    assert tools.nvread(profile.SERIAL_INDEX) == profile.SERIAL.encode()


def test_telemetry_key_opens_while_pcr_7_stands(provisioned: Provisioned, tools: Tools) -> None:
    blob = provisioned.device_dir / "telemetry.key.pem"
    assert tools.load_unseal(blob) == profile.TELEMETRY_KEY
    with pytest.raises(ToolError):
        tools.load_unseal(blob, pcrs=None)
    tools.run("pcrextend", f"7:sha256={'ab' * 32}")
    with pytest.raises(ToolError, match="0x99D"):
        tools.load_unseal(blob)
    # Firmware that measures the same again opens it again.
    provisioned.swtpm.restart()
    assert tools.load_unseal(blob) == profile.TELEMETRY_KEY


def test_mqtt_credentials(provisioned: Provisioned, tools: Tools) -> None:
    """The cloud encrypts to the exported key with OpenSSL; only this TPM opens it, and only as OAEP."""
    credentials = b"user:edge-1 password:correct horse"
    command = ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", str(provisioned.device_dir / "mqtt.pub.pem")]
    oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"]
    sealed = subprocess.run([*command, *oaep], input=credentials, capture_output=True, check=True, timeout=60).stdout
    assert tools.rsadecrypt(profile.MQTT_KEY, sealed, "-s", "oaep-sha256") == credentials
    old = subprocess.run(command, input=credentials, capture_output=True, check=True, timeout=60).stdout
    with pytest.raises(ToolError):
        tools.rsadecrypt(profile.MQTT_KEY, old, "-s", "rsaes")


def test_attestation_key_quotes(provisioned: Provisioned, tools: Tools, tmp_path: pathlib.Path) -> None:
    parts = {name: tmp_path / name for name in ("message", "signature", "pcrs")}
    arguments = ("-m", parts["message"], "-s", parts["signature"], "-o", parts["pcrs"])
    tools.run("quote", "-Q", "-c", hex(profile.AK), "-l", "sha256:0,7", "-q", "0badc0de", *arguments)
    check = ["tpm2_checkquote", "-Q", "-u", str(provisioned.device_dir / "ak.pub.pem"), "-m", str(parts["message"])]
    check += ["-s", str(parts["signature"]), "-f", str(parts["pcrs"]), "-q"]
    assert subprocess.run([*check, "0badc0de"], capture_output=True, timeout=60, check=False).returncode == 0
    assert subprocess.run([*check, "0badbeef"], capture_output=True, timeout=60, check=False).returncode != 0


def test_da_and_auth(tools: Tools, provisioned: Provisioned) -> None:
    assert tools.da() == (32, 600, 86400)
    assert tools.auth_is_set() == {"owner": False, "endorsement": False, "lockout": False}
    assert tools.lockout_counter() == 0
    assert leftovers(provisioned.swtpm) == []


def test_what_the_result_tells(provisioned: Provisioned, tools: Tools) -> None:
    found = run(provisioned)
    assert not found["changed"] and found["steps"] == []
    assert found["diff"]["before"] == found["diff"]["after"]
    assert {one["kind"] for one in found["resources"]} == {kind for item in provisioned.resources for kind in item}
    assert {one["state"] for one in found["resources"]} == {"ok"}
    listed = {one["object"]: one.get("name") for one in found["resources"]}
    assert {handle: listed[f"{handle:#010x}"] for handle in HANDLES} == {handle: tools.readpublic(handle).name for handle in HANDLES}
    assert listed["0x01800010"] == tools.nvreadpublic(profile.SERIAL_INDEX)["name"]


def _without(resources: profile.Resources) -> list[tuple[str, dict[str, t.Any]]]:
    return [(kind, options) for item in resources for kind, options in item.items()]


def test_modules_one_by_one_make_the_same(swtpm: t.Any, device_dir: pathlib.Path, device_python: str) -> None:
    """Ten tasks or one: the same engine. What the fine-grained modules made, the profile finds done."""
    resources = profile.quick(profile.reference(profile.SERIAL, KEY_B64, device_dir))
    for kind, options in _without(resources):
        answer = module.run(f"tpm2_{kind}", {"tcti": swtpm.tcti, **options}, python=device_python)
        assert answer.expect_ok()["changed"], kind
    with Proxy(swtpm) as proxy:
        found = module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": resources}, python=device_python).expect_ok()
        assert not found["changed"] and proxy.writes() == []


def test_check_predicts_the_first_run(swtpm: t.Any, device_dir: pathlib.Path, device_python: str) -> None:
    """From a blank TPM to the hardened profile in one run; check mode said so before, and the lockout auth came last."""
    resources = profile.hardened(profile.SERIAL, KEY_B64, device_dir, **AUTHS)
    device = Provisioned(swtpm, device_dir, resources, device_python)
    checked, done = run(device, check=True), run(device)
    assert checked["changed"] is done["changed"] is True
    assert (checked["steps"], checked["diff"]) == (done["steps"], done["diff"])
    assert (done["steps"][-1]["kind"], done["steps"][-1]["object"]) == ("hierarchy", "lockout")
    assert sum(step["cost"]["key_generations"] for step in done["steps"]) == 4
    assert sum(step["cost"]["persistent_slots"] for step in done["steps"]) == 4
    assert leftovers(swtpm) == []
    again = run(device)
    assert not again["changed"] and again["steps"] == []
    assert {one["object"] for one in again["resources"]} == {one["object"] for one in done["resources"]}


def test_hardened_afterwards(provisioned: Provisioned, tools: Tools) -> None:
    """A provisioned device is hardened later: only the auth values are new, and everybody reads what they could read before."""
    names = {handle: tools.readpublic(handle).name for handle in HANDLES}
    resources = profile.hardened(profile.SERIAL, KEY_B64, provisioned.device_dir, **AUTHS)
    done = run(provisioned, resources=resources)
    assert [(step["kind"], step["object"]) for step in done["steps"]] == [
        ("hierarchy", name) for name in ("owner", "endorsement", "lockout")
    ]
    assert tools.auth_is_set() == {"owner": True, "endorsement": True, "lockout": True}
    for name in ("owner", "endorsement", "lockout"):
        assert auth_opens(provisioned.swtpm, t.cast("t.Any", name), AUTHS[f"{name}_auth"])
        assert name == "lockout" or not auth_opens(provisioned.swtpm, t.cast("t.Any", name), "")
    assert names == {handle: tools.readpublic(handle).name for handle in HANDLES}
    assert tools.nvread(profile.SERIAL_INDEX) == profile.SERIAL.encode()
    assert tools.load_unseal(provisioned.device_dir / "telemetry.key.pem") == profile.TELEMETRY_KEY
    with pytest.raises(ToolError):
        tools.run("nvundefine", "-C", "o", hex(profile.SERIAL_INDEX))
    with pytest.raises(ToolError):
        tools.run("evictcontrol", "-C", "o", "-c", hex(profile.SRK))
    assert tools.lockout_counter() == 0


def test_hardened_where_the_platform_hierarchy_is_closed(provisioned: Provisioned, tools: Tools) -> None:
    """A platform hierarchy that firmware or our early-boot unit has disabled is no reason to leave the others without auth."""
    tools.run("hierarchycontrol", "-C", "p", "phEnable", "clear")
    run(provisioned, resources=profile.hardened(profile.SERIAL, KEY_B64, provisioned.device_dir, **AUTHS))
    assert tools.auth_is_set() == {"owner": True, "endorsement": True, "lockout": True}


def test_a_hardened_device_changes_only_with_its_auth(provisioned: Provisioned, tools: Tools) -> None:
    resources = profile.hardened(profile.SERIAL, KEY_B64, provisioned.device_dir, **AUTHS)
    run(provisioned, resources=resources)
    # What reads needs no auth: the plain profile still finds all in order.
    assert not run(provisioned)["changed"]
    tools.run("evictcontrol", "-Q", "-C", "o", "-P", AUTHS["owner_auth"], "-c", hex(profile.MQTT_KEY))
    refused = module.run("tpm2_profile", {"tcti": provisioned.swtpm.tcti, "resources": provisioned.resources}, python=provisioned.python)
    assert "give owner_auth" in refused.expect_failed()
    done = run(provisioned, resources=resources)
    assert [step["action"] for step in done["steps"]] == ["create", "export"]
    assert (provisioned.device_dir / "mqtt.pub.pem").read_text() == tools.readpublic(profile.MQTT_KEY).pem
    # The auth values may also come as those that hold before the run.
    changed = [*provisioned.resources, {"nv_index": {"index": "0x01800011", "content": "site 4"}}]
    assert len(run(provisioned, resources=changed, owner_auth=AUTHS["owner_auth"])["steps"]) == 2
    assert tools.lockout_counter() == 0


def test_hardened_refuses_an_empty_platform_auth(provisioned: Provisioned, tools: Tools) -> None:
    platform = {"hierarchy": {"hierarchy": "platform", "refuse_empty_auth": True}}
    arguments = {"tcti": provisioned.swtpm.tcti, "resources": [*provisioned.resources, platform]}
    assert "its auth is empty" in module.run("tpm2_profile", arguments, python=provisioned.python).expect_failed()
    tools.run("changeauth", "-c", "p", "firmware has closed it")
    assert not module.run("tpm2_profile", arguments, python=provisioned.python).expect_ok()["changed"]


def test_everything_can_be_taken_back(provisioned: Provisioned, tools: Tools) -> None:
    """Absent, all of it: nothing of ours is left in the TPM, and nothing else was touched."""
    tools.run("nvdefine", "-Q", "-C", "o", "0x01800077", "-s", "4", "-a", "ownerread|ownerwrite")
    removable = {"primary_key", "key", "nv_index", "sealed_blob"}
    absent = [{kind: {**options, "state": "absent"}} for kind, options in _without(provisioned.resources) if kind in removable]
    assert len(run(provisioned, resources=absent)["steps"]) == 6
    assert tools.handles() == [] and tools.handles("nv-index") == [0x01800077]
    assert not (provisioned.device_dir / "telemetry.key.pem").exists()
    assert not run(provisioned, resources=absent)["changed"]
