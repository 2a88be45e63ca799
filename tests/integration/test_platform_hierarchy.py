# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role platform_hierarchy and the script that it installs, on a TPM behind a device node; tpm2-tools say what became of it.

The script is run by each of the shells that a device may have; the role in copies of this machine with each of the init systems.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import pwd
import shutil
import subprocess
import termios
import threading
import tty
import typing as t

import pytest
from support import places
from support.node import NodeTpm
from support.sandbox import Sandbox
from support.tools import ToolError

ROLE = "platform_hierarchy"
SCRIPT = places.ROOT / "roles" / ROLE / "files" / "platform-hierarchy.sh"
NAME = "edgefleet-platform-hierarchy"
SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}
METHODS = ("disable", "random_auth")
USER = "daemon"
CLOSED = "Closed the platform hierarchy of the TPM at "
ALREADY = " is closed already; there is nothing to do."


@pytest.fixture(autouse=True)
def as_root() -> None:
    """Nodes have owners, and sandboxes are made by root alone."""
    if os.geteuid() != 0:
        pytest.fail("these tests make device nodes and namespaces; run them as root")


@pytest.fixture
def node(tmp_path: pathlib.Path) -> t.Iterator[NodeTpm]:
    """A TPM as firmware leaves it that knows nothing of TPMs: its platform hierarchy is open."""
    with NodeTpm(tmp_path / "tpm") as tpm:
        assert enabled(tpm) and opens(tpm)
        yield tpm


def enabled(tpm: NodeTpm) -> bool:
    """Whether phEnable is set, as tpm2-tools read it."""
    return tpm.tools.getcap("properties-variable")["TPM2_PT_STARTUP_CLEAR"]["phEnable"] == 1


def opens(tpm: NodeTpm) -> bool:
    """Whether an empty platform auth clears the TPM, which is what must not be."""
    try:
        tpm.tools.run("clear", "-c", "p")
    except ToolError as refused:
        assert "0x9a2" in str(refused).lower() or "0x185" in str(refused).lower(), refused
        return False
    return True


# --- The script -------------------------------------------------------------------------------------------------------


class Run(t.NamedTuple):
    """How the script ended and what it said."""

    rc: int
    said: str


class Shell:
    """One of the shells, with the programs that belong to it."""

    def __init__(self, name: str, folder: pathlib.Path) -> None:
        self.command = SHELLS[name]
        self.path = os.environ["PATH"]
        if shutil.which(self.command[0]) is None:
            pytest.fail(f"{self.command[0]} is not installed; run scripts/setup test")
        if name == "busybox":
            # All that the script may use, and nothing else.
            folder.mkdir()
            for applet in ("dd", "od", "sleep"):
                (folder / applet).symlink_to(str(shutil.which("busybox")))
            (folder / "busybox").symlink_to(str(shutil.which("busybox")))
            self.path = str(folder)

    def __call__(self, method: str, path: str, *, user: str = "root", limit: int = 20) -> Run:
        become = [] if user == "root" else [str(shutil.which("setpriv")), f"--reuid={user}", f"--regid={user}", "--init-groups"]
        command = [*become, str(shutil.which(self.command[0])), *self.command[1:], str(SCRIPT), method, path]
        environment = {"PATH": self.path, "EDGEFLEET_PLATFORM_LIMIT": str(limit)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
        assert done.stderr == "" and done.stdout.count("\n") == 1
        return Run(done.returncode, done.stdout.strip())


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Shell:
    """Each of the shells."""
    return Shell(request.param, tmp_path / "bin")


@pytest.fixture
def dash(tmp_path: pathlib.Path) -> Shell:
    """One of them, for what does not hang on the shell."""
    return Shell("dash", tmp_path / "bin")


@pytest.mark.parametrize("method", METHODS)
def test_an_open_hierarchy_is_closed(node: NodeTpm, shell: Shell, method: str) -> None:
    run = shell(method, node.path)
    assert run.rc == 0 and run.said.startswith(f"{CLOSED}{node.path}: ")
    assert enabled(node) is (method == "random_auth") and not opens(node)
    for again in METHODS:
        assert shell(again, node.path) == Run(0, f"The platform hierarchy of the TPM at {node.path}{ALREADY}")
    # The rest of the TPM is left alone.
    node.tools.run("createprimary", "-Q", "-C", "o", "-c", "/dev/null")


def test_it_is_open_again_after_a_reset(node: NodeTpm, dash: Shell) -> None:
    """Why it takes each boot."""
    for method in METHODS:
        assert dash(method, node.path).said.startswith(CLOSED)
        node.stop()
        node.start()
        assert opens(node)


def test_no_tpm(shell: Shell, tmp_path: pathlib.Path) -> None:
    assert shell("disable", f"{tmp_path}/tpm0") == Run(3, f"There is no TPM at {tmp_path}/tpm0; nothing was closed.")
    (tmp_path / "file").write_text("what somebody needs")
    assert shell("disable", f"{tmp_path}/file").rc == 3
    assert (tmp_path / "file").read_text() == "what somebody needs" and not (tmp_path / "tpm0").exists()


def test_no_such_method(dash: Shell, node: NodeTpm) -> None:
    assert dash("lock", node.path) == Run(1, "Could not close the platform hierarchy: 'lock' is no method; say disable or random_auth.")


def refused(run: Run, path: str, *says: str) -> None:
    """The script failed, and its one sentence says why."""
    assert run.rc == 1 and run.said.startswith(f"Could not close the platform hierarchy of the TPM at {path}: ")
    assert run.said.endswith(".") and all(one in run.said for one in says), run.said


def test_no_permission(shell: Shell, node: NodeTpm) -> None:
    refused(shell("disable", node.path, user=USER), node.path, "no permission", "root")
    assert opens(node)


@contextlib.contextmanager
def held(folder: pathlib.Path) -> t.Iterator[str]:
    """A node that somebody holds, so that whoever is not root finds it busy; yields its path."""
    leader, follower = os.openpty()
    os.chown(os.ttyname(follower), pwd.getpwnam(USER).pw_uid, 0)
    fcntl.ioctl(follower, termios.TIOCEXCL)
    (folder / "tpm0").symlink_to(os.ttyname(follower))
    places.open_to_all(folder)
    try:
        yield f"{folder}/tpm0"
    finally:
        os.close(leader)
        os.close(follower)


def test_a_node_that_is_held(shell: Shell, tmp_path: pathlib.Path) -> None:
    with held(tmp_path) as path:
        refused(shell("disable", path, user=USER), path, "another process holds it")


def test_beside_a_node_that_is_held_is_the_resource_managers(shell: Shell, node: NodeTpm, tmp_path: pathlib.Path) -> None:
    node.give(0o660, pwd.getpwnam(USER).pw_gid)
    (tmp_path / "tpmrm0").symlink_to(node.path)
    with held(tmp_path) as path:
        run = shell("disable", path, user=USER)
    assert run.rc == 0 and run.said.startswith(f"{CLOSED}{tmp_path}/tpmrm0: ")
    assert not opens(node)


def test_a_tpm_that_is_dead(shell: Shell, node: NodeTpm) -> None:
    node.hang()
    refused(shell("disable", node.path, limit=1), node.path, "did not answer within 1 s", "dmesg")
    # Nothing goes on waiting for it.
    assert subprocess.run(["fuser", node.path], capture_output=True, text=True, check=False).stdout.split() == [str(os.getpid())]


class Double:
    """A node whose TPM gives the answers that it is told, one after the other; `got` is what it was asked. A context manager."""

    def __init__(self, *answers: str) -> None:
        self._answers = [bytes.fromhex(answer) for answer in answers]
        self.got: list[bytes] = []
        self._leader, self._follower = os.openpty()
        tty.setraw(self._follower)
        self.path = os.ttyname(self._follower)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        for answer in self._answers:
            self.got.append(os.read(self._leader, 4096))
            os.write(self._leader, answer)

    def __enter__(self) -> Double:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._thread.join(60)
        os.close(self._leader)
        os.close(self._follower)


def answer(code: int) -> str:
    """A response without parameters."""
    return f"80010000000a{code:08x}"


SUCCESS = "80020000001300000000" + "00000000" + "0000010000"


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (answer(0x100), ("has not been started", "0x100")),
        (answer(0x101), ("failure mode", "0x101")),
        (answer(0x143), ("does not have this command", "platform_hierarchy_method")),
        (answer(0x12D), ("response code 0x0000012d", "docs/errors.md")),
        ("485454502f312e3120343030", ("does not speak TPM 2.0",)),
        ("8001", ("does not speak TPM 2.0",)),
    ],
    ids=["no_startup", "failure", "no_command", "other", "http", "short"],
)
def test_a_tpm_that_answers_otherwise(shell: Shell, response: str, says: tuple[str, ...]) -> None:
    with Double(response) as double:
        refused(shell("disable", double.path), double.path, *says)


def test_a_tpm_12(shell: Shell) -> None:
    with Double("00c40000000a0000001e") as double:
        run = shell("disable", double.path)
    assert run.rc == 0 and "TPM 1.2" in run.said and "nothing to do" in run.said


@pytest.mark.parametrize("code", [0x908, 0x90A, 0x920, 0x922, 0x923])
def test_a_tpm_that_is_not_ready_is_asked_again(dash: Shell, code: int) -> None:
    with Double(answer(code), SUCCESS) as double:
        run = dash("disable", double.path)
    assert run.rc == 0 and run.said.startswith(CLOSED)
    assert double.got[0] == double.got[1]


def test_the_commands(shell: Shell) -> None:
    """Byte by byte (TPM 2.0 Library Part 3, sections 24.2 and 24.8); the auth is another each time and does not end with a zero."""
    start = "4000000c" + "00000009" + "400000090000000000"
    with Double(SUCCESS) as double:
        shell("disable", double.path)
    assert double.got == [bytes.fromhex("800200000020" + "00000121" + start + "4000000c" + "00")]
    auths = set()
    for _turn in range(3):
        with Double(SUCCESS) as double:
            shell("random_auth", double.path)
        (command,) = double.got
        assert len(command) == 61 and command.startswith(bytes.fromhex("80020000003d" + "00000129" + start + "0020"))
        assert command[-1] != 0 and command[-32:-1].count(0) < 8
        auths.add(command[-32:])
    assert len(auths) == 3


# --- The role ---------------------------------------------------------------------------------------------------------

FOLDERS = {"systemd": ["/run/systemd/system"], "sysv": [], "openrc": ["/run/openrc", "/etc/runlevels/sysinit"]}
DEBS = {
    "systemd": [],
    "sysv": ["initscripts", "insserv", "startpar", "sysv-rc", "sysvinit-utils"],
    "openrc": ["libeinfo1", "librc1", "openrc"],
}
FILES = {
    "systemd": f"/etc/systemd/system/{NAME}.service",
    "sysv": f"/etc/init.d/{NAME}",
    "openrc": f"/etc/init.d/{NAME}",
}
ALL = ["/etc/edgefleet-tpm2/platform-hierarchy.sh", f"/etc/udev/rules.d/60-{NAME}.rules"]


def debs(names: t.Sequence[str]) -> list[pathlib.Path]:
    """Packages of this distribution that are not installed here, downloaded once."""
    folder = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "edgefleet-tpm2" / "debs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name in names:
            if not list(folder.glob(f"{name}_*.deb")):
                for command in (["apt-get", "download", name], ["apt-get", "update"], ["apt-get", "download", name]):
                    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
                    if command[1] == "download" and done.returncode == 0:
                        break
                else:
                    pytest.fail(f"the package {name} cannot be had: {done.stderr}")
    return [next(iter(sorted(folder.glob(f"{name}_*.deb")))) for name in names]


@contextlib.contextmanager
def host(init: str, folder: pathlib.Path) -> t.Iterator[Sandbox]:
    """A copy of this machine with an init system."""
    with Sandbox(folder / "sandbox", packages=debs(DEBS[init]), folders=FOLDERS[init]) as sandbox:
        yield sandbox


@pytest.fixture
def systemd_host(tmp_path: pathlib.Path) -> t.Iterator[Sandbox]:
    """A host with the most usual one."""
    with host("systemd", tmp_path) as sandbox:
        yield sandbox


def variables(node: NodeTpm, **others: t.Any) -> dict[str, t.Any]:
    """Where the role finds the TPM."""
    return {"platform_hierarchy_tcti": node.tcti, "platform_hierarchy_node": node.path, **others}


def reboot(node: NodeTpm) -> None:
    """The TPM is reset; nothing has closed it yet."""
    node.stop()
    node.start()
    assert enabled(node)


def boot(sandbox: Sandbox, init: str) -> str:
    """Start what the init system would start, as it does. Returns what was said."""
    if init == "systemd":
        (start,) = [line for line in sandbox.read(FILES[init]).splitlines() if line.startswith("ExecStart=")]
        done = sandbox.run(*start.removeprefix("ExecStart=").split())
    elif init == "sysv":
        done = sandbox.run("sh", "-c", f"exec /etc/rcS.d/S*{NAME} start")
    else:
        done = sandbox.run("openrc", "sysinit")
    return done.stdout


@pytest.mark.parametrize("init", FOLDERS)
def test_the_role(node: NodeTpm, tmp_path: pathlib.Path, init: str) -> None:
    with host(init, tmp_path) as sandbox:
        if init == "openrc":
            early_user(sandbox, node)
        told = variables(node)
        if init == "systemd":
            predicted = sandbox.play(ROLE, check=True, **told).expect_ok()
            assert predicted.changed and opens(node) and not sandbox.exists(ALL[0])
        done = sandbox.play(ROLE, **told).expect_ok()
        assert "Close it in the running system" in done.changed and not opens(node)
        assert all(sandbox.exists(path) for path in [*ALL, FILES[init]])
        assert sandbox.play(ROLE, **told).expect_ok().changed == []
        reboot(node)
        assert CLOSED in boot(sandbox, init)
        assert not enabled(node) and not opens(node)
        if init == "openrc":
            assert sandbox.read("/tmp/seen").strip() == "phEnable: 0"
        check_unit(sandbox, init)
        check_rule(sandbox, node)
        sandbox.play(ROLE, platform_hierarchy_state="absent", **told).expect_ok()
        assert sandbox.run("find", "/etc", "-name", "*platform[-_]hierarchy*").stdout == ""
        if init == "systemd":
            assert sandbox.play(ROLE, platform_hierarchy_state="absent", **told).expect_ok().changed == []


def early_user(sandbox: Sandbox, node: NodeTpm) -> None:
    """A service of OpenRC's first runlevel that uses the TPM; by its name it would be first."""
    script = (
        "#!/sbin/openrc-run\nstart() {\n tpm2_getcap properties-variable -T %s | sed -n 's/^ *\\(phEnable:\\) */\\1 /p' >/tmp/seen\n}\n"
    )
    sandbox.run("sh", "-c", 'printf "%s" "$1" >/etc/init.d/aaa && chmod 755 /etc/init.d/aaa', "sh", script % node.tcti)
    sandbox.run("ln", "-s", "/etc/init.d/aaa", "/etc/runlevels/sysinit/aaa")


def check_rule(sandbox: Sandbox, node: NodeTpm) -> None:
    """udev understands the rule, and what the rule runs closes the hierarchy."""
    done = sandbox.run("udevadm", "test", "--action=add", "/sys/class/mem/null", check=False)
    about = [line for line in (done.stdout + done.stderr).splitlines() if ALL[1].rpartition("/")[2] in line]
    assert about and all("Reading rules file" in line for line in about), about
    (program,) = [line for line in sandbox.read(ALL[1]).splitlines() if "PROGRAM==" in line]
    reboot(node)
    assert CLOSED in sandbox.run(*program.partition('PROGRAM=="')[2].rstrip('"').split()).stdout
    assert not opens(node)


def check_unit(sandbox: Sandbox, init: str) -> None:
    """The init system's own programs have nothing to say against it."""
    if init == "systemd":
        for unit in (FILES[init], f"{NAME}-resume.service", "default.target", "suspend.target", "tpm2-abrmd.service"):
            done = sandbox.run("systemd-analyze", "verify", unit)
            assert done.stdout + done.stderr == ""
        for unit, target in ((NAME, "sysinit"), (f"{NAME}-resume", "suspend")):
            assert sandbox.run("systemctl", "is-enabled", f"{unit}.service").stdout == "enabled\n"
            assert sandbox.exists(f"/etc/systemd/system/{target}.target.wants/{unit}.service")
    elif init == "sysv":
        for script in ("mountkernfs.sh", "mountdevsubfs.sh", "hostname.sh", "checkroot.sh"):
            sandbox.run("update-rc.d", script, "defaults")
        order = [link[3:] for link in sandbox.run("ls", "/etc/rcS.d").stdout.split() if link[1:3].isdigit()]
        assert order.index("mountkernfs.sh") < order.index("udev") < order.index(NAME) < order.index("checkroot.sh")
    else:
        assert NAME in sandbox.run("rc-update", "show", "sysinit").stdout


def test_firmware_that_closes_it(node: NodeTpm, systemd_host: Sandbox) -> None:
    """Nothing is installed and nothing changes, whichever way firmware does it."""
    node.tools.run("hierarchycontrol", "-C", "p", "phEnable", "clear")
    assert systemd_host.play(ROLE, **variables(node)).expect_ok().changed == []
    reboot(node)
    node.tools.run("changeauth", "-c", "p", "of-the-firmware")
    assert systemd_host.play(ROLE, **variables(node)).expect_ok().changed == []
    assert not any(systemd_host.exists(path) for path in [*ALL, FILES["systemd"]])


def test_a_random_auth_at_the_next_boot(node: NodeTpm, systemd_host: Sandbox) -> None:
    told = variables(node, platform_hierarchy_method="random_auth", platform_hierarchy_now=False)
    systemd_host.play(ROLE, **told).expect_ok()
    assert enabled(node) and opens(node)
    assert CLOSED in boot(systemd_host, "systemd")
    assert enabled(node) and not opens(node)
    assert systemd_host.play(ROLE, **told).expect_ok().changed == []
    # The other method, from the next boot on.
    told = variables(node)
    assert systemd_host.play(ROLE, **told).expect_ok().changed == ["Install what starts it"]
    reboot(node)
    boot(systemd_host, "systemd")
    assert not enabled(node)


def test_a_node_that_is_not_there(node: NodeTpm, systemd_host: Sandbox) -> None:
    failure = systemd_host.play(ROLE, **variables(node, platform_hierarchy_node="/dev/tpm17")).expect_failed()
    assert "There is no TPM at /dev/tpm17; nothing was closed." in failure


def test_a_read_only_root(node: NodeTpm, systemd_host: Sandbox) -> None:
    systemd_host.run("mkdir", "-p", "/root/.ansible")
    # The checkout may lie in /tmp: these stay as they are, and writable, and only the mount that the root is becomes read-only.
    for folder in ("/tmp", "/root/.ansible"):
        systemd_host.run("mount", "--bind", folder, folder)
    systemd_host.run("mount", "-o", "remount,bind,ro", "/")
    failure = systemd_host.play(ROLE, **variables(node)).expect_failed()
    assert "the root file system is read-only; put the files of this role into the image" in failure
    assert opens(node)


def test_an_init_system_that_is_unknown(node: NodeTpm, tmp_path: pathlib.Path) -> None:
    with Sandbox(tmp_path / "sandbox") as sandbox:
        sandbox.run("mv", "/etc/init.d", "/etc/init.none")
        failure = sandbox.play(ROLE, **variables(node)).expect_failed()
    assert "none of systemd, OpenRC and SysV init" in failure and opens(node)


def test_no_tpm_at_all(systemd_host: Sandbox) -> None:
    failure = systemd_host.play(ROLE, platform_hierarchy_tcti="device:/dev/tpmrm17").expect_failed()
    assert "Could not open /dev/tpmrm17: there is no such TPM" in failure
