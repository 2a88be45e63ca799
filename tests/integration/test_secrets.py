# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret leaves a run of ansible-playbook -vvvv --diff: not in its output or log, not in the device's log, not in a process' arguments or
environment, not in files."""

from __future__ import annotations

import base64
import hashlib
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import typing as t

import pytest
import yaml
from support import module, places, profile, secrets
from support.controller import cores
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.syslog import Syslog
from support.tools import Tools, as_text

NAMES = (
    "owner",
    "endorsement",
    "lockout",
    "new owner",
    "index auth",
    "index content",
    "bytes",
    "policy content",
    "key auth",
    "sealed",
    "pin",
)
NAMES += ("refused",)
# Of this process alone: other tests run at the same time, and this one sees their processes too.
VALUES = {name: secrets.awkward(f"sentinel {name} {os.getpid()}") for name in NAMES}
KEY = hashlib.sha256(f"telemetry key {os.getpid()}".encode()).digest()
SECRETS = {**{name: value.encode() for name, value in VALUES.items()}, "telemetry key": KEY}
INDEX, OTHER, READ_BY_POLICY = "0x01800030", "0x01800031", "0x01800034"
# Modules that belong to the controller, which refuse to run on a device.
CONTROLLERS = ("tpm2_auth_generation", "tpm2_enroll", "tpm2_registry_info")


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _read(path: str) -> bytes:
    # Without buffers and objects of paths: this is done thousands of times a second.
    with open(path, "rb", buffering=0) as file:
        return file.readall()


class Watch(threading.Thread):
    """Looks at all processes' arguments and environments, and at all files below a folder, as often as it can."""

    def __init__(self, folder: pathlib.Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.done = folder, threading.Event()
        self.processes: set[bytes] = set()
        self.files: set[str] = set()
        self._looked_into: dict[pathlib.Path, tuple[int, ...]] = {}

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.done.set()
        self.join()

    def run(self) -> None:
        known: dict[str, bytes] = {}
        while not self.done.is_set():
            for process in filter(str.isdigit, os.listdir("/proc")):
                try:
                    arguments = _read(f"/proc/{process}/cmdline")
                    if known.get(process) != arguments:
                        self.processes |= {arguments, _read(f"/proc/{process}/environ")}
                        known[process] = arguments
                except OSError:
                    continue  # ended meanwhile
            for folder, _folders, names in os.walk(self.folder):
                for name in names:
                    self._look_into(pathlib.Path(folder, name))
            time.sleep(0.01)

    def _look_into(self, path: pathlib.Path) -> None:
        try:
            looked, status = time.time_ns(), path.stat()
            seen = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            if self._looked_into.get(path) == seen:
                return  # the log is long, and most of the time nothing is written
            found = secrets.in_text(_read(str(path)).decode("latin-1"), SECRETS)
        except OSError:
            return  # gone meanwhile
        # Times advance by ticks of the kernel: what is written in the tick of this look has the same.
        if looked - status.st_ctime_ns > 50_000_000:
            self._looked_into[path] = seen
        self.files.update(f"{path.name}: {name}" for name in found)

    def leaks(self) -> list[str]:
        """The secrets that occurred in arguments or environments."""
        return secrets.in_text(b"\n".join(self.processes).decode("latin-1"), SECRETS)


class Controller:
    """ansible-playbook with a folder of its own for everything that it writes; the device's log (`syslog`) is the test's."""

    def __init__(self, folder: pathlib.Path, tcti: str, python: str, core: dict[str, str]) -> None:
        self.folder, self.temporary, self.log, self.program = folder, folder / "tmp", folder / "ansible.log", core["ansible_playbook"]
        self.temporary.mkdir()
        places.python_path()  # makes the collection's tree
        variables = {"ansible_connection": "local", "ansible_python_interpreter": python, "tcti": tcti}
        (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": {"edge-1": variables}}}))

    def play(self, tasks: list[dict[str, t.Any]], *arguments: str, pipelining: bool = True) -> tuple[str, Watch, str]:
        """Run tasks, all with -vvvv --diff; returns output and log together, what the watch saw, and the device's log.

        Values come as the vault gives them.
        """
        vault = {self._variable(name): value for name, value in VALUES.items()}
        # Another's module, whose arguments are no secret: it shows that the device's log is heard.
        tasks = [{"ansible.builtin.ping": {"data": "heard"}}, *self._named(tasks)]
        (self.folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
        (self.folder / "vault.yml").write_text(yaml.safe_dump(vault))
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHON"))}
        environment |= {
            "ANSIBLE_CONFIG": str(places.USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_HOME": str(self.temporary / "home"),
            "ANSIBLE_REMOTE_TMP": str(self.temporary / "remote"),
            "ANSIBLE_LOCAL_TEMP": str(self.temporary / "local"),
            "TMPDIR": str(self.temporary),
            "ANSIBLE_LOG_PATH": str(self.log),
            "ANSIBLE_PIPELINING": str(pipelining),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [self.program, "-vvvv", "--diff", "-i", str(self.folder / "inventory.yml")]
        command += ["-e", f"@{self.folder}/vault.yml", *arguments, str(self.folder / "play.yml")]
        with Watch(self.temporary) as watch, Syslog() as syslog:
            command = syslog.command(*command)
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output + self.log.read_text(), watch, syslog.text

    def _named(self, value: t.Any) -> t.Any:
        """Tasks with the names of variables in place of secrets."""
        if isinstance(value, dict):
            return {key: self._named(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._named(item) for item in value]
        for name, secret in VALUES.items():
            value = value.replace(secret, f"{{{{ {self._variable(name)} }}}}") if isinstance(value, str) else value
        return value

    @staticmethod
    def _variable(name: str) -> str:
        return f"vault_{name.replace(' ', '_')}"


def task(name: str, **options: t.Any) -> dict[str, t.Any]:
    return {"name": f"Run {name}", f"edgefleet.tpm2.{name}": {"tcti": "{{ tcti }}", **options}}


def provision(folder: pathlib.Path) -> list[dict[str, t.Any]]:
    """A profile that is full of secrets, and then each module that takes one."""
    auths = {f"{name}_auth": VALUES[name] for name in ("owner", "endorsement", "lockout")}
    resources = profile.quick(profile.hardened(profile.SERIAL, b64(KEY), folder, **auths))
    resources += [
        {"nv_index": {"index": INDEX, "content": VALUES["index content"], "auth": VALUES["index auth"]}},
        {"nv_index": {"index": OTHER, "content_b64": b64(VALUES["bytes"].encode()), "attributes": ["ownerread", "ownerwrite"]}},
        {
            "nv_index": {
                "index": READ_BY_POLICY,
                "content": VALUES["policy content"],
                "attributes": ["ownerwrite", "policyread"],
                "policy": [{"command_code": "NV_Read"}],
            }
        },
        {"key": {"handle": "0x81000220", "path": f"{folder}/key.pem", "auth": VALUES["key auth"]}},
    ]
    owner = {"owner_auth": VALUES["owner"]}
    return [
        task("tpm2_profile", resources=resources),
        task("tpm2_nv_index", index="0x01800032", content=VALUES["index content"], auth=VALUES["index auth"], **owner),
        task("tpm2_key", handle="0x81000221", auth=VALUES["key auth"], **owner),
        task("tpm2_sealed_blob", path=f"{folder}/pin.pem", content=VALUES["sealed"], auth=VALUES["pin"], verify="unseal"),
        task("tpm2_unseal", path=f"{folder}/pin.pem", auth=VALUES["pin"], dest=f"{folder}/opened"),
        task("tpm2_da_lockout", max_tries=31, lockout_auth=VALUES["lockout"]),
        {**task("tpm2_unseal", path=f"{folder}/pin.pem", auth=VALUES["pin"]), "no_log": True, "register": "opened"},
        {"ansible.builtin.assert": {"that": "opened.content_b64 | b64decode | length == 32 - 1"}},
    ]


def refused(folder: pathlib.Path) -> list[dict[str, t.Any]]:
    """Tasks that fail, each with a secret in its hands: in the plan, in the options, and in the options' types."""
    secret = {"index": "0x01800033", "content": VALUES["refused"], "auth": VALUES["index auth"]}
    owner = {"owner_auth": VALUES["owner"]}
    tasks = [
        task("tpm2_nv_index", **{**secret, "index": INDEX, "write_once": True}, **owner),
        task("tpm2_nv_index", **secret, size=3, **owner),
        task("tpm2_nv_index", **secret, size="large", **owner),
        task("tpm2_nv_index", **secret, nosuchoption=1, **owner),
        task("tpm2_profile", resources=[{"nv_index": secret}, {"key": {}}], **owner),
        task("tpm2_profile", resources=[{"hierarchy": {"hierarchy": "owner", "auth": VALUES["refused"]}}, "oops"], **owner),
        task("tpm2_profile", resources=[{"nv_index": secret}, {"da_lockout": {"max_tries": "many"}}], **owner),
        task("tpm2_sealed_blob", path=f"{folder}/pin.pem", content=VALUES["refused"] * 8, auth=VALUES["pin"]),
        task("tpm2_sealed_blob", path=f"{folder}/pin.pem", content=VALUES["refused"], auth=VALUES["pin"], verify="unseal"),
        task("tpm2_hierarchy", hierarchy="lockout", auth=VALUES["refused"], current_auth=VALUES["lockout"], policy=[]),
        task("tpm2_hierarchy", hierarchy="owner", auth=VALUES["refused"], current_auth=VALUES["pin"]),
        task("tpm2_unseal", path=f"{folder}/pin.pem", auth=VALUES["refused"]),
        # A secret in an option's place where none is looked for, and in one that does not exist.
        task("tpm2_hierarchy", hierarchy="owner", auth={"value": VALUES["refused"]}, enabled="many"),
        task("tpm2_nv_index", index="0x01800033", contents=VALUES["refused"], content_b64=[VALUES["refused"]]),
        task("tpm2_profile", resources={"hierarchy": [{"hierarchy": "owner", "auth": VALUES["refused"]}]}, **owner),
        task("tpm2_profile", resources=[{"sealed_blobs": {"path": "/x", "content": VALUES["refused"]}}], **owner),
        # Every module of the device with an auth value, and with one under a wrong name.
        *(
            task(path.stem, owner_auth=VALUES["refused"], owner_auht=VALUES["refused"])
            for path in sorted((places.ROOT / "plugins" / "modules").glob("tpm2_*.py"))
            if path.stem not in CONTROLLERS
        ),
    ]
    return [
        step
        for number, one in enumerate(tasks)
        for step in (
            {**one, "register": f"try{number}", "ignore_errors": True},
            {"ansible.builtin.assert": {"that": f"try{number} is failed"}},
        )
    ]


@pytest.fixture(scope="session", params=["system", "venv"])
def device_python(request: pytest.FixtureRequest) -> str:
    """Both Pythons with modules on them; from the controller there is nothing here to look at."""
    return places.require_python(request.param)


@pytest.fixture
def controller(swtpm: Swtpm, device_python: str) -> t.Iterator[Controller]:
    """The oldest core and a device with the distribution's Python, then the newest core and one with PyPI's tpm2-pytss."""
    # A short path: newer cores put a socket into the temporary folder.
    with tempfile.TemporaryDirectory(prefix="secrets-") as folder:
        yield Controller(pathlib.Path(folder), swtpm.tcti, device_python, cores()[0 if device_python == str(places.SYSTEM_PYTHON) else -1])


def test_no_secret_leaves_a_playbook(controller: Controller, swtpm: Swtpm, device_dir: pathlib.Path) -> None:
    tasks = provision(device_dir)
    rotate = task("tpm2_hierarchy", hierarchy="owner", auth=VALUES["new owner"], current_auth=VALUES["owner"])
    again = {**tasks[0], "register": "again", "failed_when": "again is changed"}
    runs = [controller.play(tasks[:1], "--check"), controller.play([*tasks[:5], again, *tasks[5:], *refused(device_dir), rotate])]
    for output, watch, logged in runs:
        assert len(output) > 5000 and "tpm2_profile" in output
        assert secrets.in_text(output, SECRETS) == []
        assert secrets.in_text(logged, SECRETS) == []
        assert "Invoked with data=heard" in logged and "tpm2_" not in logged
        assert watch.leaks() == [] and watch.files == set()
        assert any(b"ansible-playbook" in process for process in watch.processes)
    assert secrets.in_files(controller.temporary, SECRETS) == []
    # What was to hold secrets holds them, and nothing else does.
    assert (device_dir / "opened").read_bytes() == VALUES["sealed"].encode()
    assert secrets.in_files(device_dir, SECRETS) == [f"{device_dir}/opened: sealed"]
    tools = Tools(swtpm.tcti)
    assert tools.nvread(INDEX, "-C", INDEX, "-P", as_text(VALUES["index auth"])) == VALUES["index content"].encode()
    assert tools.nvread(OTHER, "-C", "o", "-P", as_text(VALUES["new owner"])) == VALUES["bytes"].encode()
    assert tools.lockout_counter() == 0


def to_the_device(one: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A task that the device itself is to do."""
    return {key: {**value, "execution": "device"} if key.startswith("edgefleet.tpm2.") else value for key, value in one.items()}


def test_without_pipelining_no_secret_is_sent(controller: Controller, swtpm: Swtpm, device_dir: pathlib.Path) -> None:
    """Ansible would put the module with its arguments into a file of its temporary folder, and leave it there where the run dies."""
    refused_ones = [{**to_the_device(one), "register": "tried", "ignore_errors": True} for one in provision(device_dir)[:5]]
    told = {"ansible.builtin.assert": {"that": ["tried is failed", "tried.reason == 'no_pipelining'"]}}
    output, watch, logged = controller.play([step for one in refused_ones for step in (one, told)], pipelining=False)
    assert secrets.in_text(output + logged, SECRETS) == [] == watch.leaks() and watch.files == set()
    assert Tools(swtpm.tcti).handles() == []


def test_the_watch_would_see_a_secret(tmp_path: pathlib.Path) -> None:
    """In arguments, in the environment, and in a file that is there for a moment only."""
    with Watch(tmp_path) as watch:
        for command, environment in (
            (["sh", "-c", "sleep 0.3; :", VALUES["owner"]], {}),
            (["sleep", "0.3"], {"AUTH": VALUES["lockout"]}),
        ):
            (tmp_path / "file").write_text(f"auth: {VALUES['pin']}")
            child = subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.DEVNULL)
            time.sleep(0.25)
            child.terminate()
            child.wait()
            (tmp_path / "file").unlink()
    assert {"owner", "lockout"} <= set(watch.leaks())
    assert watch.files == {"file: pin"}
    with Syslog() as syslog:
        subprocess.run(
            syslog.command(sys.executable, "-c", "import syslog, sys; syslog.syslog(sys.stdin.read())"),
            input=VALUES["pin"],
            text=True,
            check=True,
        )
    assert secrets.in_text(syslog.text, SECRETS) == ["pin"]


@pytest.mark.parametrize("verbose", ["", "all+trace"])
def test_the_module_itself(swtpm: Swtpm, device_dir: pathlib.Path, device_python: str, verbose: str, tmp_path: pathlib.Path) -> None:
    """Its arguments come on standard input; its process, seen all the time while the TPM is slow, shows none. Nor does the TSS's own log."""
    resources = provision(device_dir)[0]["edgefleet.tpm2.tpm2_profile"]["resources"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Proxy(swtpm) as proxy, Watch(temporary) as watch:
        proxy.delay = 0.02
        environment = {"TMPDIR": str(temporary), "TSS2_LOG": verbose, "TSS2_LOGFILE": str(temporary / "tss.log")}
        result = module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": resources}, python=device_python, diff=True, env=environment)
        result.expect_ok()
        assert secrets.on_the_wire(proxy.wire(), SECRETS) == []
    assert any(b"run_module.py" in process for process in watch.processes)
    assert secrets.in_text(result.stdout + result.stderr, SECRETS) == [] == watch.leaks()
    assert watch.files == set()
