# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The relay: the program that a controller runs on a device to reach its TPM and its files. It gets no secret, and knows nothing about TPMs.

It opens one place (a device node or a socket), carries out a list of steps in their order, and prints the answers as JSON. Then it ends, or, asked
to serve, does so for each line on its standard input until that ends. It opens no port, so nobody but the controller that started it can ask it.

- ``["send", HEX]``: one command, one response.
- ``["send", HEX, N, AT, HEX]``: the same, but only if the answer of step N has these digits from its digit AT on.
- ``["look", PATH, MOST]``: what is at a path, and the content of a file of at most MOST bytes.
- ``["writable", PATH]``, ``["write", PATH, BASE64, MODE, KEEP]``, ``["remove", PATH]``, ``["own", PATH, MODE, OWNER, GROUP]``: see the functions.

It runs on Python 3.6 and newer, with the standard library alone. From the first import on, this text is what is sent; Ansible replaces the
marker in it by the arguments, as it does for modules that do not use AnsiballZ.
"""

import binascii
import errno
import json
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import typing as t

ASKED = r"""<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"""
# Bytes: a tag, in bytes 2 to 5 the size of the whole, and a code.
HEADER = 10
# Bytes of a response.
MOST = 1 << 16
# Seconds, for a socket: to connect, and to read; and to wait for a response to a change, which may be to make an RSA key.
PATIENCE = 30.0
LONG = 540.0


class Failed(Exception):
    """Why the relay stops, as a word for the controller."""


class Node:
    """A character device."""

    def __init__(self, path: str) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        # A command that is written to an ordinary file would destroy its content.
        if not stat.S_ISCHR(os.fstat(self.file).st_mode):
            self.close()
            raise Failed("no_device")

    def close(self) -> None:
        """Close the node: only then can a direct one be opened again."""
        os.close(self.file)

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

    def __init__(self, place: "list[t.Any]", patience: float) -> None:
        # Imported where they are used: socket and tempfile take a device longer than all that a run with nothing to do asks of it.
        import socket

        if place[0] == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(PATIENCE)
            self.socket.connect(place[1])
        else:
            self.socket = socket.create_connection((place[1], place[2]), PATIENCE)
        self.socket.settimeout(patience)

    def close(self) -> None:
        """End the connection."""
        self.socket.close()

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


def reach(places: "list[list[t.Any]]", patience: float) -> "tuple[int, Node | Stream]":
    """Open the first place that exists; the first one of all if none does. Returns its number, and what was opened."""
    there = [number for number, place in enumerate(places) if place[0] != "node" or os.path.exists(place[1])]
    number = (there or [0])[0]
    place = places[number]
    return number, Node(place[1]) if place[0] == "node" else Stream(place, patience)


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
        for place, rest in ((folder, last), (real, "")):
            there = os.stat(place)
            found["same"].append([there.st_dev, there.st_ino, rest])
        # Not the real path, which exists for a path such as missing/../file that cannot be opened.
        there = os.stat(path)
        found["mode"] = stat.S_IMODE(there.st_mode)
        found["ids"] = [there.st_uid, there.st_gid]
        found["names"] = names(there.st_uid, there.st_gid)
        if not stat.S_ISREG(there.st_mode):
            raise OSError(errno.EISDIR if stat.S_ISDIR(there.st_mode) else errno.EINVAL, "")
        with open(path, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise OSError(errno.EFBIG, "")
        found["data"] = binascii.b2a_base64(data, newline=False).decode()
    except OSError as error:
        found["error"] = error.errno
    return found


def writable(path: str) -> "dict[str, t.Any]":
    """Whether a file could be written at a path, whose missing folders would be made: the nearest folder there is, and why not."""
    folder = os.path.dirname(path)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        return {"folder": folder, "error": errno.ENOTDIR}
    return {"folder": folder, "error": 0 if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES}


def write(path: str, data: str, mode: int, keep: bool) -> "dict[str, t.Any]":
    """Replace a file by a new one that is complete, or leave it as it is. ``keep``: keep an old file's mode."""
    import tempfile

    folder = os.path.dirname(path)
    if os.path.islink(path):
        return {"error": errno.ELOOP}
    temporary = None
    try:
        os.makedirs(folder, 0o755, exist_ok=True)
        if keep and os.path.exists(path):
            mode = os.stat(path).st_mode & 0o777
        number, temporary = tempfile.mkstemp(prefix=".edgefleet-", dir=folder)
        with os.fdopen(number, "wb") as file:
            os.fchmod(number, mode)
            file.write(binascii.a2b_base64(data))
            file.flush()
            os.fsync(number)
        os.replace(temporary, path)
        temporary = None
        entry = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(entry)
        os.close(entry)
    except OSError as error:
        return {"error": error.errno}
    finally:
        if temporary:
            os.unlink(temporary)
    return {"error": 0}


def remove(path: str) -> "dict[str, t.Any]":
    """Remove a file, if there is one."""
    try:
        os.unlink(path)
    except OSError as error:
        return {"error": 0 if error.errno == errno.ENOENT else error.errno}
    return {"error": 0}


def own(path: "str | None", mode: "int | None", owner: "str | None", group: "str | None") -> "dict[str, t.Any]":
    """Give a file a mode, an owner and a group (names or numbers); None leaves what is there. Without a path, only see whether there are such names."""
    import grp
    import pwd

    try:
        uid = -1 if owner is None else int(owner) if owner.isdecimal() else pwd.getpwnam(owner).pw_uid
        gid = -1 if group is None else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        if path is not None:
            os.lchown(path, uid, gid)
        if path is not None and mode is not None:
            os.chmod(path, mode)
    except KeyError:
        return {"error": errno.ENOENT}
    except OSError as error:
        return {"error": error.errno}
    return {"error": 0}


FILES = {"look": look, "writable": writable, "write": write, "remove": remove, "own": own}  # type: dict[str, t.Any]


class Relay:
    """The place with the TPM, opened at first and kept open until the end."""

    tpm = None  # type: Node | Stream | None
    used = None  # type: int | None
    patience = PATIENCE

    def work(self, asked: "dict[str, t.Any]") -> "dict[str, t.Any]":
        """Carry out the steps. Returns the answers up to the step that failed, and why, as a word and the system's number of the error."""
        answers = []  # type: list[t.Any]
        told = {"changed": False, "answers": answers, "stopped": None, "used": None}  # type: dict[str, t.Any]
        variable = os.environ.get("TPM2TOOLS_TCTI") if asked["environment"] else None
        if variable:
            # The controller reads it, and asks again.
            return dict(told, stopped=["environment", 0], variable=variable[:1000])
        try:
            # Opened also if only files are looked at: without a TPM, the module that asks would fail as well.
            if self.tpm is None:
                self.used, self.tpm = reach(asked["places"], self.patience)
            for step in asked["steps"]:
                if step[0] != "send":
                    answers.append(FILES[step[0]](*step[1:]))
                elif len(step) > 2 and not (answers[step[2]] or "").startswith(step[4], step[3]):
                    answers.append(None)
                else:
                    answers.append(self.tpm.send(bytes.fromhex(step[1])).hex())
        except Failed as failed:
            told["stopped"] = [str(failed), 0]
        except (OSError, UnicodeError) as error:
            import socket

            late = isinstance(error, socket.timeout)
            word = "unreachable" if self.tpm is None else "silent" if late else "broken"
            told["stopped"] = [word, errno.ETIMEDOUT if late else getattr(error, "errno", 0) or 0]
        if told["stopped"] and self.tpm:
            self.tpm.close()
            self.tpm = None
        told["used"] = self.used
        return told

    def serve(self) -> None:
        """Answer one line after the other until there are no more: the controller has gone, or is done."""
        self.patience = LONG
        say({"ready": True})
        for line in sys.stdin.buffer:
            say(self.work(json.loads(line.decode())))


def say(answer: "dict[str, t.Any]") -> None:
    """Print one line."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    ARGUMENTS = json.loads(ASKED)
    if ARGUMENTS.get("serve"):
        Relay().serve()
    else:
        say(Relay().work(ARGUMENTS))
