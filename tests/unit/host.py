# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of files: what a Debian with a discrete TPM looks like, and the TPM's own facts; both to be spoilt by tests."""

from __future__ import annotations

import datetime
import os
import pathlib
import pty
import shutil
import socket
import tempfile
import typing as t

from support import event_log

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import catalogue, findings, observe
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

Facts = dict[str, t.Any]
NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC)
RELEASE = "6.12.48-amd64"
SRK_ATTRIBUTES = ["fixedtpm", "fixedparent", "sensitivedataorigin", "userwithauth", "noda", "restricted", "decrypt"]
ABRMD = "tpm2-abrmd.service"
UNIT = f"/usr/lib/systemd/system/{ABRMD}"
CONFIG_TXT = "/boot/firmware/config.txt"
DEVICE = "/sys/class/tpm/tpm0"
SPI_DEVICE = "/sys/bus/spi/devices/spi0.1"
RULES = 'KERNEL=="tpm[0-9]*", MODE="0660", OWNER="tss"\nKERNEL=="tpmrm[0-9]*", TAG+="systemd", MODE="0660", OWNER="tss", GROUP="tss"\n'

FILES = {
    "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n',
    "/usr/bin/apt-get": "",
    "/run/systemd/system/.keep": "",
    "/proc/self/mounts": "/dev/sda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n",
    "/proc/1/comm": "systemd\n",
    "/proc/1/environ": "",
    "/proc/sys/kernel/osrelease": f"{RELEASE}\n",
    "/proc/uptime": "5000.00 9000.00\n",
    "/proc/modules": "tpm_tis_spi 20480 0 - Live 0x0\ntpm_tis_core 40960 1 tpm_tis_spi, Live 0x0\nspi_bcm2835 24576 0 - Live 0x0\n",
    "/sys/power/state": "freeze\n",
    "/sys/class/dmi/id/sys_vendor": "Acme\n",
    "/sys/class/dmi/id/product_name": "Edge 1\n",
    "/sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
    "/var/lib/systemd/timesync/clock": "",
    "/etc/group": "tss:x:{gid}:app\napp:x:1000:\n",
    "/etc/passwd": "tss:x:{gid}:{gid}::/:/bin/false\napp:x:1000:1000::/:/bin/sh\n",
    "/etc/systemd/system.conf.d/edgefleet-tpm2.conf": "[Manager]\nDefaultEnvironment=TPM2TOOLS_TCTI=device:/dev/tpmrm0\n",
    "/usr/lib/udev/rules.d/60-tpm-udev.rules": RULES,
    f"{DEVICE}/tpm_version_major": "2\n",
    "/dev/kmsg": "6,1,1,-;Linux version 6.12\n6,2,2,-;tpm_tis_spi spi0.1: 2.0 TPM (device-id 0x1B, rev-id 22)\n",
}
LINKS = {
    f"{DEVICE}/device": "../../../bus/spi/devices/spi0.1",
    f"{SPI_DEVICE}/driver": "../../drivers/tpm_tis_spi",
    f"{SPI_DEVICE}/subsystem": "../../../spi",
    "/sys/class/tpmrm/tpmrm0": "../tpm/tpm0",
}
MORE_FILES = {f"{SPI_DEVICE}/modalias": "spi:slb9670\n", "/sys/bus/spi/drivers/tpm_tis_spi/bind": ""}
PACKAGES = "libtss2-esys-3.0.2-0t64\t4.2.0-1\tinstalled\npython3-tpm2-pytss\t2.3.0-1\tinstalled\nsystemd\t257.9-1\tinstalled\n"


def tpm_facts() -> Facts:
    """What a well set up TPM tells."""
    pcrs = [{"bank": "sha256", "index": index, "digest": "5a" * 32 if index < 8 else "00" * 32} for index in range(24)]
    srk = {"handle": "0x81000001", "algorithm": "ecc_p256", "attributes": list(SRK_ATTRIBUTES), "template": "srk_ecc_p256"}
    return {
        "family": "2.0",
        "revision": "1.59",
        "manufacturer": "IFX",
        "model": "SLB9672",
        "firmware": "16.20.0.1",
        "da_lockout": {"counter": 0, "max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400, "in_lockout": False},
        "hierarchies": {
            "owner": {"auth_set": True, "enabled": True},
            "endorsement": {"auth_set": False, "enabled": True},
            "lockout": {"auth_set": True, "clear_disabled": False},
            "platform": {"auth_set": True, "enabled": True},
        },
        "capacity": {"persistent_slots_left": 7, "persistent_slots_used": 1, "nv_counters_left": 6, "sessions_left": 64},
        "persistent_handles": [srk],
        "nv_indices": [{"index": "0x01c00002", "attributes": ["authread"], "size": 900, "type": "ordinary"}],
        "algorithms": ["rsa", "ecc", "sha256"],
        "curves": ["ecc_p256"],
        "commands": ["0x144", "0x192"],
        "pcr_banks": ["sha256"],
        "pcrs": pcrs,
        "condition": {"orderly": True, "platform_nv": True, "test_result": 0, "nv_counters_max": 8},
        "weak_keys": [],
    }


class World:
    """A host in a folder, a TPM in a dict. `close` ends the stand-ins for the nodes and the bus."""

    def __init__(self) -> None:
        # Not pytest's folder: a socket's path must be short.
        memory = pathlib.Path("/dev/shm")
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="host", dir=memory if os.access(memory, os.W_OK) else None))
        self.tpm: Facts = tpm_facts()
        self.error: Facts | None = None
        self.tcti = "device:/dev/tpmrm0"
        self.advisories: Facts = {"firmware": [], "software": [], "roca": []}
        self.programs: dict[str, str | None] = {"dpkg-query": PACKAGES, "apt-cache": "tpm2-abrmd:\n  Candidate: 3.0.0-1\n"}
        self.now = NOW
        self.free, self.free_inodes = 1 << 30, 1000
        self._open: list[int] = []
        self._sockets: list[socket.socket] = []
        os.makedirs(self.root / "var")
        self._gid = self._node("/dev/tpm0")
        self._node("/dev/tpmrm0")
        for name, content in {**FILES, **MORE_FILES}.items():
            self.write(name, content.replace("{gid}", str(self._gid)))
        # When the host last wrote the time down: of this world too, not of the day on which the test runs.
        written = (NOW - datetime.timedelta(hours=1)).timestamp()
        os.utime(self.root / "var/lib/systemd/timesync/clock", (written, written))
        for name, target in LINKS.items():
            self.link(name, target)

    def _node(self, name: str) -> int:
        """A character device that may be chmodded by whoever made it; returns its group."""
        controller, terminal = pty.openpty()
        self._open += [controller, terminal]
        path = os.ttyname(terminal)
        os.chmod(path, 0o660)
        self.link(name, path)
        return os.stat(path).st_gid

    def write(self, name: str, content: str | bytes) -> None:
        """Make a file, over whatever is there."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            path.unlink()
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def link(self, name: str, target: str) -> None:
        """Make a symbolic link, over whatever is there."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    def remove(self, *names: str) -> None:
        """Remove files, links and folders."""
        for name in names:
            path = self.root / name.lstrip("/")
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def chmod(self, name: str, mode: int) -> None:
        """Change the mode of what a link points to."""
        os.chmod(self.root / name.lstrip("/"), mode)

    def bus(self) -> None:
        """A system bus that takes connections."""
        path = self.root / "run/dbus/system_bus_socket"
        path.parent.mkdir(parents=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        self._sockets.append(listener)

    def abrmd(self, *, owner: bool = False, **properties: str) -> None:
        """tpm2-abrmd installed, with what systemd shows of it, and whether its name has an owner on the bus."""
        self.write("/usr/sbin/tpm2-abrmd", "")
        self.write(UNIT, "")
        self.write("/var/lib/dpkg/info/tpm2-abrmd.list", "")
        shown = {"LoadState": "loaded", "ActiveState": "inactive", "Result": "success", "FragmentPath": UNIT, "UnitFileState": "disabled"}
        self.programs["systemctl"] = "".join(f"{name}={value}\n" for name, value in {**shown, **properties}.items())
        self.programs["busctl"] = f"b {str(owner).lower()}\n"

    def process(self, pid: int, name: str, path: str, *, state: str = "S", unit: str | None = None) -> None:
        """A process that has a file open."""
        self.write(f"/proc/{pid}/comm", f"{name}\n")
        self.write(f"/proc/{pid}/stat", f"{pid} ({name}) {state} 1 1 1\n")
        self.write(f"/proc/{pid}/cgroup", f"0::/system.slice/{unit}\n" if unit else "0::/user.slice/user-0.slice\n")
        self.link(f"/proc/{pid}/fd/4", path)

    def no_device(self) -> None:
        """Take away everything by which the kernel knows a TPM."""
        self.remove("/sys/class/tpm", "/sys/class/tpmrm", "/sys/bus/spi", "/dev/tpm0", "/dev/tpmrm0")
        self.fail("absent")

    def pi(self, config: str | None) -> None:
        """Make it a Raspberry Pi without a TPM yet, with this config.txt."""
        self.no_device()
        self.write("/sys/firmware/devicetree/base/model", "Raspberry Pi 4 Model B Rev 1.5\0")
        if config is not None:
            self.write(CONFIG_TXT, config)

    def measured(self, *, wrong: bool = False, separated: bool = False) -> None:
        """A firmware's event log, and PCRs in sysfs that it gives, or does not, or did before systemd extended its separator."""
        self.write("/sys/kernel/security/tpm0/binary_bios_measurements", event_log.agile(["sha256"]))
        pieces: dict[int, list[bytes]] = {pcr: [] for pcr in range(24)}
        for pcr, _kind, data in event_log.MEASURED:
            pieces[pcr].append(data)
        for pcr in (*range(8), 9, 12, 13, 14) if separated else ():
            pieces[pcr].append(b"os-separator")
        for pcr, data in pieces.items():
            value = event_log.extended("sha256", *data) if pcr not in range(17, 23) else b"\xff" * 32
            self.write(f"{DEVICE}/pcr-sha256/{pcr}", (b"\x01" * 32 if wrong and pcr == 4 else value).hex().upper() + "\n")

    def fail(
        self, kind: str, message: str = "Could not open it: no reason; look at dmesg.", rc: int | None = None, reason: str = ""
    ) -> None:
        """The TPM cannot be read."""
        self.error, self.tpm = {"kind": kind, "reason": reason or kind, "message": message, "rc": rc}, {}

    def tree(self) -> Tree:
        """The host, with its programs."""
        return Tree(self.root, lambda argv: self.programs.get(argv[0]))

    def observe(self) -> Facts:
        """The host's facts."""
        return observe.observe(self.tree(), self.now)

    def findings(self) -> list[Facts]:
        """All findings."""
        name = self.tcti.partition(":")[0]
        manager = {"tabrmd": "abrmd", "device": "kernel" if "rm" in self.tcti else "none"}.get(name, "none")
        place = {"tcti": self.tcti, "name": name, "resource_manager": manager}
        view = {"host": self.observe(), "tpm": self.tpm, "error": self.error, "place": place, "advisories": self.advisories}
        return t.cast("list[Facts]", findings.judge(findings.View(view), catalogue.KINDS))

    def close(self) -> None:
        """Take everything away."""
        for number in self._open:
            os.close(number)
        for listener in self._sockets:
            listener.close()
        shutil.rmtree(self.root)
