# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller and its devices: systemd containers with a real sshd each, which share one network of their own that leads nowhere.

The network is the loopback of the controller's namespace: each device's address is put there, and its sshd listens on it. So the addresses of
the pages are those of the devices, and nothing of it is seen outside.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pathlib
import runpy
import subprocess
import typing as t

from support import places

from guide.terminal import Terminal

USER = "factory"
ADDRESS = "https://github.com/edgefleet/edgefleet.tpm2.git"
HOME = f"/home/{USER}"
# What the pages have the user install with pip, beside ansible-core; Debian 12 has Python 3.11.
LIBRARIES = ("cryptography", "SQLAlchemy", "alembic", "psycopg[binary]", "python-pkcs11")
PYTHON = "3.11"
_LABEL = "edgefleet-tpm2-guide-" + hashlib.sha256(str(places.ROOT).encode()).hexdigest()[:8]
_OWNER = "edgefleet-tpm2-owner"  # the process of pytest, for several may run at once
# Always podman, and images from scripts/root: another engine has no namespace to put addresses in, another image no packages of its own.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TPM2_IMAGE"} | {
    "TPM2_CONTAINER_ENGINE": "podman",
    "CONTAINERS_CONF": str(places.ROOT / "molecule/shared/containers.conf"),
}
# Also the bus may not answer yet.
_UP = "until [ running = $(systemctl is-system-running --wait 2>/dev/null || echo no) ]; do sleep 0.2; done"
_HERE = pathlib.Path(__file__).parent


def engine(*arguments: str, check: bool = True, text: str | None = None) -> str:
    """Run podman; return what it printed. Raises AssertionError with all of it where it failed and `check` is true."""
    # Not as text, in which Python makes line ends of the other bytes that may be one: a random key has them.
    given = None if text is None else text.encode(errors="surrogateescape")
    done = subprocess.run(["podman", *arguments], input=given, check=False, timeout=300, env=_ENVIRONMENT, capture_output=True)
    said, wrong = (one.decode(errors="surrogateescape") for one in (done.stdout, done.stderr))
    assert done.returncode == 0 or not check, f"podman {' '.join(arguments)}\n{said}\n{wrong}"
    return said


def image(suite: str, folder: pathlib.Path | None = None) -> str:
    """The name of a container image, which is made where it is missing: that of the devices, or the one of a folder."""
    command = [str(places.ROOT / "molecule/image/build"), suite, *([str(folder)] if folder else [])]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_ENVIRONMENT).stdout.strip()


def controller_image() -> str:
    """The name of the controller's image: its recipe, and ansible-core and the libraries as PyPI has them."""
    core = max(version for version, pythons in runpy.run_path(str(places.ROOT / "scripts/cores.py"))["CORES"].items() if PYTHON in pythons)
    context = places.WORK / "guide/image"
    context.mkdir(parents=True, exist_ok=True)
    with (places.WORK / "guide/lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (context / f"ansible_core-{core}-py3-none-any.whl").exists():
            constraints = ["--constraint", str(places.ROOT / "scripts/constraints.txt")]
            wanted = ["--only-binary=:all:", f"--python-version={PYTHON}", "--dest", str(context), f"ansible-core=={core}", *LIBRARIES]
            subprocess.run([str(places.venv() / "bin/pip"), "download", "--quiet", *constraints, *wanted], check=True)
        # pip compiles it, which the container's archive has no tools for.
        made = subprocess.run(
            [str(places.ROOT / "scripts/pytss_wheel"), str(places.venv() / "bin/python")], check=True, stdout=subprocess.PIPE, text=True
        )
        wheel = pathlib.Path(made.stdout.strip())
        (context / wheel.name).write_bytes(wheel.read_bytes())
        for file in (_HERE / "image").iterdir():
            (context / file.name).write_bytes(file.read_bytes())
        return image("bookworm", context)


class Container:
    """A running container."""

    def __init__(self, name: str, image_name: str, *options: str) -> None:
        self.name = name
        labels = ["--label", _LABEL, "--label", f"{_OWNER}={os.getpid()}"]
        engine("create", "--name", name, *labels, "--hostname", name.rpartition(".")[2], *options, image_name)

    def start(self) -> None:
        """Start it."""
        engine("start", self.name)

    def run(self, script: str, user: str = "root", text: str | None = None) -> str:
        """Run lines of shell in it; return what they printed."""
        return engine("exec", "--interactive", "--user", user, self.name, "bash", "--login", "-euo", "pipefail", "-c", script, text=text)

    def put(self, source: pathlib.Path, target: str) -> None:
        """Copy a file, or what is in a folder, into it."""
        engine("cp", f"{source}/." if source.is_dir() else str(source), f"{self.name}:{target}")


class Lab:
    """A context manager: a controller with a fresh home, and devices that are added with `device`; `log` gets all that is on its terminals."""

    def __init__(self, log: pathlib.Path) -> None:
        self.log = log
        log.unlink(missing_ok=True)
        self._name = f"{_LABEL}-{os.getpid()}"
        self.devices: dict[str, Container] = {}

    def __enter__(self) -> Lab:
        sweep()
        self.controller = Container(f"{self._name}.controller", controller_image(), "--network=none")
        self.controller.start()
        self._pid = engine("inspect", "--format={{.State.Pid}}", self.controller.name).strip()
        self.user("mkdir -p ~/.ssh && ssh-keygen -q -t ed25519 -N '' -f ~/.ssh/id_ed25519")
        return self

    def __exit__(self, *_exc: object) -> None:
        remove(f"{_OWNER}={os.getpid()}")

    def user(self, script: str, text: str | None = None) -> str:
        """What the user of the controller does beside the page; return what it printed."""
        return self.controller.run(f"cd; PATH=~/ansible/bin:$PATH; {script}", USER, text)

    def install(self) -> None:
        """Install the collection from a clone, as the README says; print what is said."""
        print(self.user(f"git clone -q {ADDRESS} && ansible-galaxy collection install --force ./edgefleet.tpm2"))
        print(self.user("pip install --quiet 'tpm2-pytss>=2.0'"))

    def device(self, name: str, address: str, suite: str, tpm: pathlib.Path | None = None) -> Container:
        """Add a device: a bare host with a blank TPM, or with the TPM whose state is in a folder. The controller's user may log in as root."""
        subprocess.run(["nsenter", "--target", self._pid, "--net", "ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
        device = Container(f"{self._name}.{name}", image(suite), f"--network=ns:/proc/{self._pid}/ns/net", "--systemd=always")
        if tpm:
            device.put(tpm, "/var/lib/tpm-node")
        device.start()
        device.run(f"timeout 120 sh -c '{_UP}'")
        device.run("install -d -m 700 ~/.ssh && cat >~/.ssh/authorized_keys", text=self.user("cat .ssh/id_ed25519.pub"))
        device.run(f"ssh-keygen -A && mkdir -p /run/sshd && /usr/sbin/sshd -o ListenAddress={address}")
        self.controller.run(f"echo {address} {name} >>/etc/hosts")
        self.devices[name] = device
        return device

    def terminal(self, answers: t.Mapping[str, str], user: str = USER) -> Terminal:
        """A terminal of a user of the controller."""
        home = self.controller.run("cd; pwd", user).strip()
        command = ["podman", "exec", "--interactive", "--tty", "--user", user, "--workdir", home, self.controller.name]
        return Terminal(
            [*command, "env", f"HOME={home}", f"USER={user}", "TERM=dumb", "EDITOR=/tmp/editor", "bash"], answers, _ENVIRONMENT, self.log
        )


def sweep() -> None:
    """Remove the containers of this checkout that a run has left which was ended."""
    owners = engine("ps", "--all", "--filter", f"label={_LABEL}", f'--format={{{{index .Labels "{_OWNER}"}}}}').split()
    for owner in set(owners):
        if not pathlib.Path(f"/proc/{owner}").exists():
            remove(f"{_OWNER}={owner}")


def remove(label: str) -> None:
    """Remove the containers of this checkout that have a label as well."""
    listed = engine("ps", "--all", "--quiet", "--filter", f"label={_LABEL}", "--filter", f"label={label}").split()
    if listed:
        engine("rm", "--force", "--time", "0", *listed)
