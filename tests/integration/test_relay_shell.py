# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device without Python, on which there is BusyBox and nothing else, as Ansible brings it into a state over the relay in shell: one playbook run."""

from __future__ import annotations

import base64
import dataclasses
import grp
import itertools
import pathlib
import shlex
import subprocess
import typing as t

import pytest
import yaml
from support import places, profile, secrets
from support.busybox import BusyBoxDevice
from support.controller import Controller, said, totals
from support.factory import Line, Vendor
from support.node import NodeTpm
from support.swtpm import copy_state

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import changes, channel, comparison, live, shell

AUTHS = {f"{name}_auth": secrets.awkward(f"shell {name}") for name in ("owner", "endorsement", "lockout")}
KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
SECRETS = {**{name: value.encode() for name, value in AUTHS.items()}, "telemetry key": profile.TELEMETRY_KEY}
FOLDER = "/var/lib/tpm2"
RESOURCES = profile.quick(profile.hardened(profile.SERIAL, KEY, FOLDER, **AUTHS))
WHOLE: t.Any = {"tpm2_profile": {"resources": RESOURCES}}
BLOB = {"path": f"{FOLDER}/telemetry.key.pem", "content_b64": KEY, "pcrs": {"bank": "sha256", "indices": [7]}, "parent": "0x81000001"}
# What the play does, in this order: a name, a module with its options, and how it is run.
TASKS: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "predicted": (WHOLE, {"check_mode": True}),
    "provisioned": (WHOLE, {}),
    "again": (WHOLE, {}),
    "found out": ({"tpm2_profile": {"resources": RESOURCES, "relay": "auto"}}, {}),
    "found out by Ansible": ({"tpm2_da_lockout": {"max_tries": 32, "relay": "auto"}}, {"vars": {"ansible_python_interpreter": "auto"}}),
    "facts": ({"tpm2_info": {"gather": ["identity", "da_lockout"]}}, {}),
    "facts of no TPM": ({"tpm2_info": {"gather": ["identity"], "tcti": "device:/dev/tpm9"}}, {}),
    "host": ({"tpm2_info": {"gather": ["host"]}}, {}),
    "unsealed": ({"tpm2_unseal": {"path": f"{FOLDER}/telemetry.key.pem", "pcrs": {"bank": "sha256", "indices": [7]}}}, {"no_log": True}),
    "given away": ({"tpm2_sealed_blob": {**BLOB, "owner": "daemon", "group": "1", "mode": "u=r,g=r"}}, {}),
    "given away again": ({"tpm2_sealed_blob": {**BLOB, "owner": "daemon", "group": "1", "mode": "0440"}}, {}),
    "nobody": ({"tpm2_sealed_blob": {**BLOB, "owner": "nobody-here"}}, {}),
    "removed": ({"tpm2_persistent_handle": {"handle": "0x81000210", "state": "absent"}}, {}),
    "python": ({"tpm2_profile": {"resources": RESOURCES, "relay": "python", "execution": "controller"}}, {}),
    "no node": ({"tpm2_da_lockout": {"max_tries": 9, "tcti": "device:/dev/tpm9"}}, {}),
    "no device": ({"tpm2_da_lockout": {"max_tries": 9, "tcti": "device:/etc/passwd"}}, {}),
    "socket": ({"tpm2_da_lockout": {"max_tries": 9, "tcti": "swtpm:port=1"}}, {}),
    "option": ({"tpm2_persistent_handle": {"state": "absent"}}, {}),
    "value": ({"tpm2_nv_index": {"index": "0x81000001", "size": 8}}, {}),
}


def warm(folder: pathlib.Path) -> Controller:
    """A controller with tpm2-pytss, forked from a Python that has imported Ansible; devices have no Python."""
    controller = Controller(folder, str(places.venv() / "bin" / "ansible-playbook"), "/usr/bin/python3.99")
    controller.cold = False
    return controller


@dataclasses.dataclass
class Played:
    """How it went, and what the device was given."""

    done: subprocess.CompletedProcess[str]
    node: NodeTpm
    device: BusyBoxDevice

    def told(self, task: str) -> str:
        """Outcome, reason, number of steps and message of a task."""
        return said(self.done).replace("''", "'").partition(f"<{task}> ")[2].partition(" </>")[0]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Played]:
    folder = tmp_path_factory.mktemp("shell")
    tasks: list[dict[str, t.Any]] = []
    for name, (module, how) in TASKS.items():
        ((action, options),) = module.items()
        tasks.append({"name": name, f"edgefleet.tpm2.{action}": options, "register": "found", "ignore_errors": True, **how})
        tell = "{{ 'failed' if found is failed else 'changed' if found is changed else 'ok' }} {{ found.reason | default('-') }}"
        tell += " {{ found.steps | default([]) | length }} {{ found.msg | default('') }}"
        tasks.append({"name": "Tell", "ansible.builtin.debug": {"msg": f"<{name}> {tell} </>"}})
    defaults = {"group/edgefleet.tpm2.tpm2": {**AUTHS, "relay": "shell"}}
    run = warm(folder)
    (folder / "play.yml").write_text(
        yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}])
    )
    with NodeTpm(folder / "tpm") as node:
        (folder / "boot").write_bytes(b"firmware")
        node.tools.run("pcrevent", "7", folder / "boot")
        device = BusyBoxDevice(folder / "device", node.path)
        host = {"ansible_connection": "ssh", "ansible_ssh_executable": str(device.ssh)}
        done = run(str(folder / "play.yml"), {"device": host}, "-vvv")
        assert done.returncode == 0, said(done)
        yield Played(done, node, device)


def test_the_reference_profile(played: Played) -> None:
    predicted, provisioned = played.told("predicted"), played.told("provisioned")
    assert provisioned.startswith("changed - ") and provisioned == predicted
    assert played.told("found out by Ansible") == "ok - 0"
    assert played.told("facts").startswith("ok -") and played.told("unsealed").startswith("ok -")
    assert played.told("again") == played.told("found out") == "ok - 0"
    tools = played.node.tools
    assert tools.handles() == [profile.SRK, profile.EK, profile.AK]
    assert tools.nvread(profile.SERIAL_INDEX).decode() == profile.SERIAL
    assert tools.da() == (32, 600, 86400) and all(tools.auth_is_set().values()) and tools.lockout_counter() == 0
    assert tools.readpublic(profile.AK).pem == (played.device.root / FOLDER[1:] / "ak.pub.pem").read_text()
    assert tools.load_unseal(played.device.root / FOLDER[1:] / "telemetry.key.pem") == profile.TELEMETRY_KEY
    assert not tools.transients() and not tools.saved_sessions()


def test_files_on_the_device(played: Played) -> None:
    assert played.told("given away").startswith("changed -") and played.told("given away again").startswith("ok -")
    status = (played.device.root / BLOB["path"][1:]).stat()
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o440, 1, 1)
    assert played.told("nobody").startswith("failed ") and "nobody-here" in played.told("nobody")
    # Nothing is left of the files' making.
    assert sorted(path.name for path in (played.device.root / FOLDER[1:]).iterdir()) == ["ak.pub.pem", "mqtt.pub.pem", "telemetry.key.pem"]


def test_a_handle_is_made_free(played: Played) -> None:
    assert played.told("removed").startswith("changed - 1")


REFUSALS = {
    "python": ("input", "the relay did not run"),
    "no node": ("", "/dev/tpm9"),
    "no device": ("", "not a character device"),
    "socket": ("input", "device node only"),
    "facts of no TPM": ("no_tpm", "/dev/tpm9"),
    "host": ("input", "it looks at the host around the TPM"),
    "option": ("input", "missing required arguments: handle"),
    "value": ("input", "0x81000001"),
}


@pytest.mark.parametrize("task", REFUSALS)
def test_what_is_refused(played: Played, task: str) -> None:
    reason, words = REFUSALS[task]
    told = played.told(task)
    assert told.startswith(f"failed {reason}") and words in told


def test_the_device_gets_no_secret(played: Played) -> None:
    heard = "\n".join(played.device.heard)
    assert secrets.in_text(heard, SECRETS) == []
    # The recording has what the device was given, and a command's argument is nothing but the loader.
    assert "telemetry.key.pem" in heard and "begin 0" in heard
    assert all(len(one.partition("\n")[0]) < 400 for one in played.device.heard if "edgefleet-relay-begins" in one)
    assert secrets.in_files(played.device.root / "var", SECRETS) == []


def test_no_secret_is_shown(played: Played) -> None:
    assert secrets.in_text(played.done.stdout + played.done.stderr, SECRETS) == []
    assert "Traceback" not in played.done.stdout + played.done.stderr


# -- day zero to audit


@dataclasses.dataclass
class Unit:
    """A device of a factory line."""

    host: dict[str, t.Any]


@pytest.fixture
def factory(tmp_path: pathlib.Path, vendor: Vendor) -> t.Iterator[tuple[Line, NodeTpm, BusyBoxDevice]]:
    """A line with one device, whose TPM has its vendor's EK certificate."""
    line = Line(tmp_path / "line", vendor, warm(tmp_path))
    (tmp_path / "tpm").mkdir()
    copy_state(vendor.make("edge-01"), tmp_path / "tpm")
    (tmp_path / "boot").write_bytes(b"firmware")
    with NodeTpm(tmp_path / "tpm") as node:
        node.tools.run("pcrevent", "7", tmp_path / "boot")
        node.tools.close_platform()
        device = BusyBoxDevice(tmp_path / "device", node.path)
        auths = {f"tpm2_profile_{name}": value for name, value in AUTHS.items()}
        named = {
            "tpm2_profile_serial": "EF-1",
            "tpm2_profile_dir": FOLDER,
            "tpm2_profile_telemetry_key": KEY,
            "tpm2_profile_hardened": True,
        }
        reached = {
            "ansible_connection": "ssh",
            "ansible_ssh_executable": str(device.ssh),
            "tpm2_profile_relay": "shell",
            "tpm2_become": False,
        }
        line.units["edge-01"] = t.cast("t.Any", Unit({**named, **reached, **auths, "tpm2_profile_mqtt_algorithm": "ecc_p256"}))
        yield line, node, device


def test_day_zero_to_audit(factory: tuple[Line, NodeTpm, BusyBoxDevice]) -> None:
    line, node, device = factory
    first, audit = line.play("edgefleet.tpm2.day_zero"), line.play("edgefleet.tpm2.audit")
    assert first.returncode == audit.returncode == 0, said(first) + said(audit)
    assert totals(first)["edge-01"]["changed"] and not totals(audit)["edge-01"]["changed"]
    assert all(node.tools.auth_is_set().values()) and node.tools.lockout_counter() == 0
    assert node.tools.load_unseal(device.root / FOLDER[1:] / "telemetry.key.pem") == profile.TELEMETRY_KEY
    # It is enrolled, and all that it has ever been given is scripts for its shell, in which no secret is.
    assert list(line.records.iterdir())
    assert all("edgefleet-relay-begins" in one for one in device.heard)
    assert secrets.in_text("\n".join(device.heard), SECRETS) == [] and len(device.heard) > 4


# By SSH server: which relay the device's variables name.
@pytest.mark.parametrize(("server", "relay"), {"sshd": "shell", "dropbear": "auto"}.items())
def test_a_real_server_from_day_zero_to_audit(factory: tuple[Line, NodeTpm, BusyBoxDevice], server: str, relay: str) -> None:
    line, node, device = factory
    with device.served(server) as reached:
        host = {key: value for key, value in line.units["edge-01"].host.items() if key != "ansible_ssh_executable"}
        line.units["edge-01"] = t.cast("t.Any", Unit({**host, **reached, "tpm2_profile_relay": relay}))
        first, audit = line.play("edgefleet.tpm2.day_zero"), line.play("edgefleet.tpm2.audit")
    assert first.returncode == audit.returncode == 0, said(first) + said(audit)
    assert totals(first)["edge-01"]["changed"] and not totals(audit)["edge-01"]["changed"]
    assert all(node.tools.auth_is_set().values()) and node.tools.lockout_counter() == 0
    assert node.tools.load_unseal(device.root / FOLDER[1:] / "telemetry.key.pem") == profile.TELEMETRY_KEY
    assert list(line.records.iterdir()) and secrets.in_files(device.root, SECRETS) == []
    # Nothing of it went through the program that takes ssh's place.
    assert device.heard == []


def test_become_and_the_tasks_environment(tmp_path: pathlib.Path) -> None:
    task = {"edgefleet.tpm2.tpm2_da_lockout": {"max_tries": 9, "relay": "shell"}, "become": True, "become_user": "daemon"}
    tasks = [{"name": "Keep", **task, "environment": {"TPM2TOOLS_TCTI": "{{ node }}"}}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": tasks}]))
    with NodeTpm(tmp_path / "tpm") as node:
        run, hosts = warm(tmp_path), {"here": {"node": node.tcti}}
        refused = run(str(tmp_path / "play.yml"), hosts)
        assert refused.returncode and f"Could not open {node.path}: no permission" in said(refused)
        node.give(0o660, grp.getgrnam("daemon").gr_gid)
        done, again = (run(str(tmp_path / "play.yml"), hosts) for _each in range(2))
        assert [totals(one)["here"]["changed"] for one in (done, again)] == [1, 0]
        assert node.tools.da()[0] == 9


# -- a relay that dies


def run_from_here(
    options: dict[str, t.Any], strike: t.Callable[[int, channel.Channel], None] = lambda _asked, _serving: None
) -> dict[str, t.Any]:
    """The profile from this process. ``strike``: what happens before each exchange over the channel, which is given the number of those before."""
    loader = shlex.split(shell.command(""))

    def carry(asked: dict[str, t.Any]) -> dict[str, t.Any]:
        done = subprocess.run(loader, input=shell.alone(asked), capture_output=True, text=True, check=True)
        return shell.told(asked, done.stdout)

    compared = comparison.compare("tpm2_profile", options, diff=False, carry=carry)
    if compared.result is not None:
        return compared.result
    assert compared.remote is not None
    serving, count = channel.Channel(loader, shell.speech("")), itertools.count()

    def ask(asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        strike(next(count), serving)
        return serving.ask(asked)

    try:
        return changes.make("tpm2_profile", options, check=False, diff=False, device=live.Live(compared.remote, ask))
    finally:
        serving.close()


@pytest.mark.parametrize("position", [2, 8, 14, 20])
def test_a_shell_that_is_killed(tmp_path: pathlib.Path, position: int) -> None:
    def strike(asked: int, serving: channel.Channel) -> None:
        if asked == position:
            serving._process.kill()

    (tmp_path / "boot").write_bytes(b"firmware")
    with NodeTpm(tmp_path / "tpm") as node:
        node.tools.run("pcrevent", "7", tmp_path / "boot")
        options = {"tcti": node.tcti, "resources": profile.quick(profile.hardened(profile.SERIAL, KEY, tmp_path / "files", **AUTHS))}
        failed = run_from_here(options, strike)
        assert failed["failed"] and failed["reason"] == "connection_lost", failed
        # As the kernel's resource manager does when the node is closed.
        node.tools.flush_all()
        done = run_from_here(options)
        assert not done.get("failed") and done["changed"], done
        node.tools.flush_all()
        assert run_from_here(options)["changed"] is False
        assert all(node.tools.auth_is_set().values()) and node.tools.lockout_counter() == 0
        assert node.tools.load_unseal(tmp_path / "files" / "telemetry.key.pem") == profile.TELEMETRY_KEY
