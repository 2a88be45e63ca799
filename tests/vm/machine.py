# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One virtual machine: QEMU without KVM, with a swtpm behind the TPM interface that the guest's kernel drives, reached over SSH."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import typing as t

from support.ports import PortPair

from vm.monitor import Monitor
from vm.process import Timed, end, spawn, wait_until

Finished = subprocess.CompletedProcess[str]
# Kernel messages go to the serial log as far as they are errors: each character costs an emulated processor much. So do page tables that
# are changed at every system call.
CMDLINE = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet mitigations=off"
SSH_OPTIONS = (
    *("-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"),
    *("-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=30", "-o", "ServerAliveCountMax=10", "-o", "KexAlgorithms=curve25519-sha256"),
)


@dataclasses.dataclass(frozen=True)
class Firmware:
    """How a machine starts: the arguments of QEMU for it, and the interface of its TPM."""

    arguments: tuple[str, ...]
    machine: str = "q35"
    tpm: str | None = "tpm-tis"


def direct(disk: pathlib.Path, *, knows_tpm: bool = True, tpm: str | None = "tpm-tis") -> Firmware:
    """SeaBIOS, and the kernel given to QEMU: the quickest. The small build of SeaBIOS knows no TPM, and leaves it as it comes."""
    small = () if knows_tpm else ("-bios", "bios.bin")
    return Firmware(("-kernel", str(disk / "vmlinuz"), "-initrd", str(disk / "initrd"), "-append", CMDLINE, *small), tpm=tpm)


class Machine:
    """A machine in a folder of its own; `close` ends all of it. Not started by its making."""

    def __init__(self, name: str, folder: pathlib.Path, disk: pathlib.Path, firmware: Firmware, *, memory: int = 768) -> None:
        self.name, self.folder, self.disk, self.firmware = name, folder, disk, firmware
        self._memory = memory
        folder.mkdir(parents=True, exist_ok=True)
        self.image, self.serial = folder / "disk.qcow2", folder / "serial.log"
        self.tpm_state = folder / "tpm"
        self._ports = PortPair()
        # The path of a UNIX socket may have 108 characters: a checkout may lie deeper than that.
        self._run = pathlib.Path(tempfile.mkdtemp(prefix="tpm2-vm-"))
        self.monitor = Monitor(self._run / "monitor")
        self._qemu: subprocess.Popen[bytes] | None = None
        self._swtpm: subprocess.Popen[bytes] | None = None
        self._generation = 0

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def make_image(self) -> None:
        """Give it an image that holds what it writes; the disk itself is only read."""
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(self.disk / "disk.raw"), str(self.image)]
        subprocess.run(command, check=True)

    # --- Power -----------------------------------------------------------------------------------------------------

    def start(self, snapshot: str | None = None, *, settled: bool = True) -> None:
        """Power on (from a snapshot: continue it), and wait for SSH; and, if `settled`, until nothing is about to start any more."""
        with Timed(f"{self.name}: {'snapshot ' + snapshot if snapshot else 'boot'}"):
            self.power_on(snapshot)
            self.wait_for_ssh(settled=settled)

    def power_on(self, snapshot: str | None = None) -> None:
        """Power on and wait for nothing."""
        if not self.image.exists():
            self.make_image()
        self.tpm_state.mkdir(exist_ok=True)
        control = self._run / "swtpm"
        command = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.tpm_state.absolute()}", "--ctrl", f"type=unixio,path={control}"]
        self._swtpm = spawn(command, self.folder / "swtpm.log")
        wait_until(f"{self.name}: swtpm", control.exists, alive=self._swtpm, seconds=60)
        extra = ["-loadvm", snapshot] if snapshot else []
        self._qemu = spawn([*self.qemu_command(control), *extra], self.folder / "qemu.log")
        self.monitor.connect(self._qemu)

    def qemu_command(self, control: pathlib.Path) -> list[str]:
        """How QEMU is started. `control` is swtpm's socket."""
        forward = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self._ports.data}-:22"
        return [
            *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-accel", "tcg"),
            # One core, as two machines share two real ones, and no vector units to emulate. cmpxchg16b of QEMU 7.2 spoils the flags register:
            # the kernel of Debian 13 panics by it.
            *("-cpu", "Nehalem-v1,-cx16", "-smp", "1", "-machine", self.firmware.machine, "-m", str(self._memory)),
            *("-serial", f"file:{self.serial}", "-monitor", f"unix:{self.monitor.path},server,nowait"),
            *("-drive", f"file={self.image},if=none,id=root,format=qcow2,cache=unsafe", "-device", "virtio-blk-pci,drive=root,addr=0x4"),
            *("-netdev", forward, "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
            *("-chardev", f"socket,id=swtpm,path={control}", "-tpmdev", "emulator,id=tpm,chardev=swtpm"),
            *(("-device", f"{self.firmware.tpm},tpmdev=tpm") if self.firmware.tpm else ()),
            *self.firmware.arguments,
        ]

    def power_off(self) -> None:
        """Cut the power: nothing is written that the guest has not written."""
        self._forget_connections()
        end(self._qemu)
        end(self._swtpm)
        self._qemu = self._swtpm = None
        self.monitor.close()
        for left in ("monitor", "swtpm"):
            (self._run / left).unlink(missing_ok=True)

    def shut_down(self) -> None:
        """Have the guest shut down, in order."""
        assert self._qemu is not None
        running = self._qemu
        with Timed(f"{self.name}: orderly shutdown"):
            self.ssh("systemctl --no-block poweroff", check=False)
            wait_until(f"{self.name}: shutdown", lambda: running.poll() is not None)
        self.power_off()

    def reboot(self) -> None:
        """Have the guest boot again, in order, and wait until it is up. Firmware and TPM start anew; the processes stay."""
        with Timed(f"{self.name}: reboot"):
            before = self.boot_id()
            self.ssh("systemctl --no-block reboot", check=False)
            self._wait_for_other_boot(before)

    def reset(self) -> None:
        """Press the reset button: the guest has no say."""
        with Timed(f"{self.name}: reset"):
            before = self.boot_id()
            self.monitor.command("system_reset")
            self._wait_for_other_boot(before)

    def _wait_for_other_boot(self, before: str) -> None:
        self._forget_connections()

        def other() -> bool:
            if not self._answers():
                return False
            probe = self._ssh_once("cat /proc/sys/kernel/random/boot_id")
            if probe.returncode != 0 or probe.stdout.strip() == before:
                self._forget_connections()
                return False
            return True

        wait_until(f"{self.name}: another boot", other, alive=self._qemu)
        self.wait_for_ssh()

    def boot_id(self) -> str:
        """The kernel's name of this boot."""
        return self.ssh("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def save(self, name: str) -> None:
        """Keep memory, disk and TPM as they are now, under a name."""
        with Timed(f"{self.name}: snapshot {name} made"):
            # No connection may wait in it for a client that will be gone.
            self._forget_connections()
            self.monitor.command(f"savevm {name}")

    def load(self, name: str) -> None:
        """Go back to a snapshot, running or not."""
        if self._qemu is None:
            self.start(name)
            return
        with Timed(f"{self.name}: back to {name}"):
            self._forget_connections()
            self.monitor.command(f"loadvm {name}")
            self.wait_for_ssh()

    def close(self) -> None:
        """End it, and give its ports back; the folder stays, with its logs."""
        self.power_off()
        self._ports.release()
        shutil.rmtree(self._run, ignore_errors=True)

    # --- Access ----------------------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 behind which its SSH server is."""
        return self._ports.data

    def ssh_arguments(self) -> list[str]:
        """The options with which ssh reaches it; one connection is shared until the machine is started anew."""
        shared = ["-o", "ControlMaster=auto", "-o", "ControlPersist=600", "-o", f"ControlPath={self.connections / 'own'}"]
        return [*SSH_OPTIONS, *shared, "-i", str(self.disk / "id_ed25519"), "-p", str(self.port)]

    @property
    def connections(self) -> pathlib.Path:
        """The folder of the sockets of shared connections, ours and Ansible's; another one after every start, for those are dead."""
        folder = self._run / f"ssh{self._generation}"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    def _forget_connections(self) -> None:
        for path in self.connections.iterdir():
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={path}", "vm"], capture_output=True, check=False)
        self._generation += 1

    def _ssh_once(self, command: str, *, data: str | None = None, seconds: float = 900) -> Finished:
        whole = ["ssh", *self.ssh_arguments(), "root@127.0.0.1", command]
        # ssh's master would keep the pipes of the first command open: it logs to a file.
        return subprocess.run(whole, input=data if data is not None else "", capture_output=True, text=True, timeout=seconds, check=False)

    def ssh(self, command: str, *, user: str = "root", check: bool = True, data: str | None = None) -> Finished:
        """Run a shell command there as `user`; raises RuntimeError where it fails, unless `check` is false."""
        if user != "root":
            command = f"runuser -u {shlex.quote(user)} -- sh -c {shlex.quote(command)}"
        done = self._ssh_once(command, data=data)
        if check and done.returncode != 0:
            raise RuntimeError(f"{self.name}: `{command}` ended with status {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def out(self, command: str, *, user: str = "root") -> str:
        """What a shell command there prints."""
        return self.ssh(command, user=user).stdout.strip()

    def write(self, path: str, content: str, mode: str = "0644") -> None:
        """Write a file there."""
        self.ssh(f"cat > {shlex.quote(path)} && chmod {mode} {shlex.quote(path)}", data=content)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                return probe.recv(4) == b"SSH-"
        except OSError:
            return False

    def wait_for_ssh(self, *, settled: bool = True) -> None:
        """Wait until it takes commands, and its clock is right (a snapshot's has stood still)."""
        wait_until(f"{self.name}: SSH", self._answers, alive=self._qemu)
        self.ssh(f"date -s @{int(time.time())} >/dev/null")
        if settled:
            self.ssh("systemctl is-system-running --wait >/dev/null || true")

    def inventory(self) -> dict[str, t.Any]:
        """Its variables for Ansible."""
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": "root",
            "ansible_python_interpreter": "/usr/bin/python3",
            "ansible_ssh_common_args": shlex.join([*SSH_OPTIONS, "-i", str(self.disk / "id_ed25519")]),
        }
