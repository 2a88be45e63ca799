# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The relay: the program that a controller runs on a device to reach its TPM and its files. It gets no secret, and knows nothing about TPMs.

It opens one place (a device node or a socket), carries out a list of steps in their order, prints the answers as JSON, and ends:

- ``["send", HEX]``: one command, one response.
- ``["send", HEX, N, HEX]``: the same, but only if step N was answered by exactly these bytes.
- ``["look", PATH, MOST]``: what is at a path, and the content of a file of at most MOST bytes.

It runs on Python 3.6 and newer, with the standard library alone. From the first import on, this text is what is sent; Ansible replaces the
marker in it by the arguments, as it does for modules that do not use AnsiballZ.
"""

import base64
import errno
import json
import os
import socket
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

ASKED = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
HEADER = 10  # bytes: a tag, in bytes 2 to 5 the size of the whole, and a code
MOST = 1 << 16  # bytes of a response
PATIENCE = 30.0  # seconds, for a socket


class Failed(Exception):
    """Why the relay stops, as a word for the controller."""


class Node:
    """A character device."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        # A command that is written to an ordinary file would destroy its content.
        if not stat.S_ISCHR(os.fstat(self.file).st_mode):
            raise Failed("no_device")

    def send(self, command: bytes) -> bytes:
        """One command, and its response, which may come in pieces."""
        os.write(self.file, command)
        data = os.read(self.file, MOST)
        while HEADER <= len(data) < int.from_bytes(data[2:6], "big") <= MOST:
            more = os.read(self.file, MOST)
            if not more:
                break
            data += more
        return data


class Stream:
    """A stream that carries commands and responses without framing."""

    def __init__(self, place: "list[t.Any]") -> None:
        if place[0] == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(place[1])
        else:
            self.socket = socket.create_connection((place[1], place[2]), PATIENCE)

    def send(self, command: bytes) -> bytes:
        """One command, and its response."""
        self.socket.sendall(command)
        head = self.take(HEADER)
        size = int.from_bytes(head[2:6], "big")
        if not HEADER <= size <= MOST:
            raise Failed("garbage")
        return head + self.take(size - HEADER)

    def take(self, size: int) -> bytes:
        """This many bytes."""
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise Failed("closed")
            data += piece
        return data


def reach(places: "list[list[t.Any]]") -> "Node | Stream":
    """Open the first place that exists; the first one of all if none does."""
    there = [place for place in places if place[0] != "node" or os.path.exists(place[1])]
    place = (there or places)[0]
    return Node(place[1]) if place[0] == "node" else Stream(place)


def names(owner: int, group: int) -> "list[str | None]":
    """The names of an owner and a group; None for a number without a name."""
    import grp
    import pwd

    found = []  # type: list[str | None]
    for find, number in ((pwd.getpwuid, owner), (grp.getgrgid, group)):
        try:
            found.append(find(number)[0])
        except KeyError:
            found.append(None)
    return found


def look(path: str, most: int) -> "dict[str, t.Any]":
    """What is at a path. ``same``: device, inode and rest of a path, in which two names of one file agree. ``error``: why there is no content."""
    real = os.path.realpath(path)
    folder, last = os.path.split(real)
    found = {"real": real, "link": os.path.islink(path), "same": []}  # type: dict[str, t.Any]
    try:
        there = os.stat(folder)
        found["same"].append([there.st_dev, there.st_ino, last])
        there = os.stat(real)
        found["same"].append([there.st_dev, there.st_ino, ""])
        found["mode"] = stat.S_IMODE(there.st_mode)
        found["ids"] = [there.st_uid, there.st_gid]
        found["names"] = names(there.st_uid, there.st_gid)
        if not stat.S_ISREG(there.st_mode):
            raise OSError(errno.EISDIR, "")
        with open(real, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, "")
        found["data"] = base64.b64encode(data).decode()
    except OSError as error:
        found["error"] = error.errno
    return found


def work(asked: "dict[str, t.Any]") -> "dict[str, t.Any]":
    """Carry out the steps. Returns the answers up to the step that failed, and the reason as a word and the system's number of the error."""
    answers = []  # type: list[t.Any]
    told = {"changed": False, "answers": answers, "stopped": None}  # type: dict[str, t.Any]
    variable = os.environ.get("TPM2TOOLS_TCTI") if asked["environment"] else None
    if variable:
        # The controller reads it, and asks again.
        return dict(told, stopped=["environment", 0], variable=variable[:1000])
    tpm = None
    try:
        for step in asked["steps"]:
            if step[0] == "look":
                answers.append(look(step[1], step[2]))
            elif len(step) > 2 and answers[step[2]] != step[3]:
                answers.append(None)
            else:
                tpm = tpm or reach(asked["places"])
                answers.append(tpm.send(bytes.fromhex(step[1])).hex())
    except Failed as failed:
        told["stopped"] = [str(failed), 0]
    except socket.timeout:
        told["stopped"] = ["silent", 0]
    except OSError as error:
        told["stopped"] = ["broken" if tpm else "unreachable", error.errno or 0]
    return told


if __name__ == "__main__":
    os.write(1, json.dumps(work(json.loads(ASKED))).encode())
