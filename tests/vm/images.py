# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks and snapshots that are dear to make: kept in the cache folder until what they are made of changes.

A suite has two images, each made when it is first wanted:

- ``bare``, with a snapshot of that name: a Debian host that has just booted, with no TPM software;
- ``packages``, a disk to boot from: the same with the packages of the TPM stack as the distribution configures them, and none of our roles.
"""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import pathlib
import shutil
import subprocess

from support import places

from vm import machine
from vm.machine import Machine, direct
from vm.process import Timed, progress

SUITES = ("bookworm", "trixie")
PACKAGES = "tpm2-tools tpm2-abrmd tpm-udev libtss2-tcti-tabrmd0 tpm2-openssl python3-tpm2-pytss python3-cryptography"
WORK = places.WORK / "vm"


def disk(suite: str) -> pathlib.Path:
    """The folder with the suite's disk, kernel and key; made where it is missing. Raises RuntimeError where that fails."""
    done = subprocess.run([str(places.ROOT / "scripts" / "vm-disk"), suite], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"scripts/vm-disk {suite} ended with status {done.returncode}")
    return pathlib.Path(done.stdout.strip())


def _version(program: str) -> bytes:
    return subprocess.run([program, "--version"], capture_output=True, check=True).stdout


def _stamp() -> str:
    """What an image depends on beside the disk: the emulators, and the machine that they emulate."""
    described = "".join(inspect.getsource(one) for one in (Machine.__init__, Machine.qemu_command, direct, _bare, _packages)) + PACKAGES
    parts = [_version("qemu-system-x86_64"), _version("swtpm"), described.encode(), machine.CMDLINE.encode()]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def image(suite: str, kind: str) -> pathlib.Path:
    """The suite's cached image `bare` or `packages`, made where it is missing."""
    folder = disk(suite)
    kept = folder / f"{kind}-{_stamp()}.qcow2"
    with (folder / f"lock.{kind}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            made = _bare(suite, folder) if kind == "bare" else _packages(suite)
            for old in folder.glob(f"{kind}-*"):
                old.unlink()
            shutil.move(made, kept)
    return kept


def _bare(suite: str, folder: pathlib.Path) -> pathlib.Path:
    progress(f"{suite}: making the snapshot of a bare host, once")
    with Machine(suite, _fresh(f"making-{suite}-bare"), folder, direct(folder)) as vm:
        vm.start()
        vm.out("true", user="nobody")
        vm.save("bare")
    return vm.image


def _packages(suite: str) -> pathlib.Path:
    progress(f"{suite}: making the disk with the packages, once")
    with new_machine(suite, f"making-{suite}-packages") as vm:
        vm.load("bare")
        with Timed(f"{suite}: packages"):
            vm.ssh(f"DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends {PACKAGES} >/dev/null")
            # Whatever their installation has started is at rest.
            vm.ssh("systemctl is-system-running --wait || true; sync")
        vm.shut_down()
    subprocess.run(["qemu-img", "snapshot", "-d", "bare", str(vm.image)], check=True)
    return vm.image


def new_machine(suite: str, name: str) -> Machine:
    """A machine on a copy of the cached image, not started: `load` its snapshot `bare`."""
    kept = image(suite, "bare")
    made = Machine(name, _fresh(name), kept.parent, direct(kept.parent))
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", str(kept), str(made.image)], check=True)
    return made


def with_packages(suite: str, name: str, firmware: machine.Firmware) -> Machine:
    """A machine to boot by any firmware, whose disk has the packages; not started, its TPM blank."""
    kept = image(suite, "packages")
    made = Machine(name, _fresh(name), kept.parent, firmware)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(kept), str(made.image)], check=True)
    return made


def _fresh(name: str) -> pathlib.Path:
    folder = WORK / name
    shutil.rmtree(folder, ignore_errors=True)
    return folder
