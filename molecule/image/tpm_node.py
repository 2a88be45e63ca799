# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the kernel's TPM driver and for udev, in containers, which have neither: /dev/tpm0 and /dev/tpmrm0 of one software TPM.

`tpm_node.py serve` makes a pseudo terminal for each node, gives it the node's name, and carries what a client writes there to a
swtpm and the answer back. So the nodes are character devices with owner, group and mode, and the TCTI `device` and tpm2-abrmd use
them as on a host. What it does not have: one client at a time per node is all it serves, /dev/tpm0 can be opened twice, and
/dev/tpmrm0 swaps nothing, but forgets a client's objects and sessions when it closes. The VM tests have the real driver.

`tpm_node.py rights` does what udev does at `udevadm trigger`: owner, group and mode by the installed rules, root:root 0600 without.
"""

from __future__ import annotations

import errno
import fnmatch
import hashlib
import os
import pathlib
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import termios
import tty

NODES = ("tpm0", "tpmrm0")
DEV = pathlib.Path("/dev")
# As udev reads them: a file in /etc replaces one of the same name in /usr/lib.
RULES = (pathlib.Path("/usr/lib/udev/rules.d"), pathlib.Path("/etc/udev/rules.d"))
HEADER = struct.Struct(">HII")  # tag, size, command or response code: TPM 2.0 Part 1, 18
NO_SESSIONS = 0x8001
WITH_SESSIONS = 0x8002
GET_CAPABILITY, FLUSH_CONTEXT, PCR_EXTEND = 0x17A, 0x165, 0x182
EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
SHA256 = 0x000B
CAP_HANDLES = 1
FLEETING = (0x80000000, 0x02000000, 0x03000000)  # transient objects, HMAC and policy sessions


class Tpm:
    """One swtpm, at the other end of a socket."""

    def __init__(self, state: str) -> None:
        """Start swtpm with its state in the folder `state`."""
        self.socket, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--fd", str(theirs.fileno())]
                + ["--tpmstate", f"dir={state}", "--flags", "not-need-init,startup-clear"],
                pass_fds=[theirs.fileno()],
            )

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes of a response."""
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise SystemExit("swtpm has ended")
            data += part
        return data

    def transmit(self, command: bytes) -> bytes:
        """Send one command and return its response."""
        self.socket.sendall(command)
        header = self.read(HEADER.size)
        return header + self.read(HEADER.unpack(header)[1] - HEADER.size)

    def call(self, code: int, *words: int) -> bytes:
        """Send a command without sessions whose parameters are 32 bit words."""
        return self.transmit(HEADER.pack(NO_SESSIONS, HEADER.size + 4 * len(words), code) + struct.pack(f">{len(words)}I", *words))

    def measure(self, pcr: int, digest: bytes) -> None:
        """Extend a PCR of bank sha256, as firmware does while it boots: without, nothing can be sealed to a PCR."""
        body = struct.pack(">I", pcr) + EMPTY_PASSWORD + struct.pack(">IH", 1, SHA256) + digest
        self.transmit(HEADER.pack(WITH_SESSIONS, HEADER.size + len(body), PCR_EXTEND) + body)

    def forget(self) -> None:
        """Flush every transient object and every loaded session, as the kernel does for a client that closes /dev/tpmrm0."""
        for first in FLEETING:
            answer = self.call(GET_CAPABILITY, CAP_HANDLES, first, 64)[HEADER.size + 9 :]  # 9: more data, capability, count
            for (handle,) in struct.iter_unpack(">I", answer):
                self.call(FLUSH_CONTEXT, handle)


class Node:
    """One node: a pseudo terminal whose client side has the node's name."""

    def __init__(self, name: str) -> None:
        """Make the pseudo terminal and the link `/dev/NAME` to it."""
        self.name = name
        self.master, client = os.openpty()
        tty.setraw(client)
        self.path = os.ttyname(client)
        os.close(client)
        os.set_blocking(self.master, False)
        (DEV / name).unlink(missing_ok=True)
        (DEV / name).symlink_to(self.path)
        self.pending = b""
        self.used = False

    def commands(self) -> list[bytes]:
        """Return the whole commands that have arrived."""
        try:
            while True:
                self.pending += os.read(self.master, 65536)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EIO}:  # nothing more for now; nobody has the node open
                raise
        found = []
        while len(self.pending) >= HEADER.size:
            size = max(HEADER.unpack_from(self.pending)[1], HEADER.size)
            if len(self.pending) < size:
                break
            found.append(self.pending[:size])
            self.pending = self.pending[size:]
        return found

    def is_open(self) -> bool:
        """Whether a client has the node open at this moment."""
        poll = select.poll()
        poll.register(self.master, 0)
        return not poll.poll(0)

    def drop_unread(self) -> None:
        """Throw away a response that its client has not read, lest the next client reads it."""
        self.pending = b""
        client = os.open(self.path, os.O_RDWR | os.O_NOCTTY)
        termios.tcflush(client, termios.TCIFLUSH)
        os.close(client)


def serve(state: str) -> None:
    """Serve both nodes until swtpm or this program is ended."""
    tpm = Tpm(state)
    for pcr in range(8):
        tpm.measure(pcr, hashlib.sha256(b"the firmware of a stand-in").digest())
    nodes = {node.master: node for node in map(Node, NODES)}
    set_rights()
    poll = select.epoll()
    for master in nodes:
        # By edge: a terminal that nobody has open hangs up all the time.
        poll.register(master, select.EPOLLIN | select.EPOLLET)
    notify_systemd()
    while tpm.process.poll() is None:
        for master, _events in poll.poll():
            node = nodes[master]
            for command in node.commands():
                node.used = True
                os.write(master, tpm.transmit(command))
            # Not the event's word for it: another client may have come since, whose response must not be lost.
            if node.used and not node.is_open():
                node.used = False
                node.drop_unread()
                if node.name == "tpmrm0" and not any(other.used for other in nodes.values()):
                    tpm.forget()
    raise SystemExit("swtpm has ended")


def notify_systemd() -> None:
    """Tell systemd that the nodes are there (sd_notify)."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.sendto(b"READY=1", "\0" + address[1:] if address.startswith("@") else address)


def rule_lines() -> list[str]:
    """Return the lines of all udev rules in udev's order: by file name, whatever the folder."""
    files = {path.name: path for folder in RULES if folder.is_dir() for path in folder.glob("*.rules")}
    return [line for name in sorted(files) for line in files[name].read_text().replace("\\\n", "").splitlines()]


def rule_matches(line: str, name: str) -> bool:
    """Whether a rule's line is about the node NAME; a key that this program does not know matches nothing."""
    known = {"KERNEL": name, "SUBSYSTEM": name.rstrip("0123456789"), "ACTION": "add"}
    keys = re.findall(r'\b([A-Z]+(?:\{[^}]*\})?)\s*(==|!=)\s*"([^"]*)"', line)
    return bool(keys) and all(
        key in known and any(fnmatch.fnmatchcase(known[key], part) for part in pattern.split("|")) == (sign == "==")
        for key, sign, pattern in keys
    )


def wanted_rights(name: str) -> dict[str, str]:
    """Return the OWNER, GROUP and MODE of a node by the installed rules: a later rule wins, except over an assignment with `:=`."""
    rights = {"OWNER": "root", "GROUP": "root", "MODE": "0600"}
    final = set()
    for line in rule_lines():
        if not line.lstrip().startswith("#") and rule_matches(line, name):
            for key, sign, value in re.findall(r'\b(OWNER|GROUP|MODE)\s*(:?=)\s*"([^"]+)"', line):
                if key not in final:
                    rights[key] = value
                if sign == ":=":
                    final.add(key)
    return rights


def chown(path: pathlib.Path, what: str, name: str) -> None:
    """Change the `user` or `group` of a node; to root where nobody has that name, as udev does."""
    try:
        shutil.chown(path, **{what: name})
    except LookupError:
        sys.stderr.write(f"unknown {what} '{name}' in a udev rule, ignored\n")
        shutil.chown(path, **{what: "root"})


def set_rights() -> None:
    """Give every node the owner, group and mode of the installed udev rules."""
    for path in [DEV / name for name in NODES if (DEV / name).exists()]:
        rights = wanted_rights(path.name)
        chown(path, "user", rights["OWNER"])
        chown(path, "group", rights["GROUP"])
        path.chmod(int(rights["MODE"], 8))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        set_rights()
