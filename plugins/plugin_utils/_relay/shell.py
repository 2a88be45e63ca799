# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!
"""The relay for a device without Python: a question becomes a short script for the device's shell, and the line that it prints the relay's answer.

The script goes to standard input, never to the arguments, which everybody on the device sees. Only device nodes can be reached by it.
"""

from __future__ import annotations

import base64
import errno
import os
import pathlib
import re
import shlex
import stat
import typing as t
import zlib

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, remote

Asked = t.Mapping[str, t.Any]
_BEGINS = "edgefleet-relay"
_BLOCK = 4096
# Reads lines up to the mark, as the loader of the other relay does; then the shell reads what follows.
_LOADER = f'while IFS= read -r line && [ "$line" != {channel.MARK} ]; do :; done; exec /bin/sh'
_READY = "printf '{\"ready\": true}\\n'\n"
# What ls -l shows of a file (POSIX).
_MODES = re.compile(r"[-dcbpsl]([r-][w-][xsS-]){2}[r-][w-][xtT-]")
_TYPES = dict(zip("-dcbpsl", (stat.S_IFREG, stat.S_IFDIR, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFLNK)))
_OCTAL = [chr(byte) if chr(byte).isalnum() and byte < 128 else f"\\{byte:03o}" for byte in range(256)]
# How C libraries and shells say what failed, where that differs from this system's words.
_OTHER_WORDS = {
    "No such file": errno.ENOENT,
    "Directory nonexistent": errno.ENOENT,
    "Resource busy": errno.EBUSY,
    "Operation timed out": errno.ETIMEDOUT,
    "I/O error": errno.EIO,
}
_NUMBERS = {**{os.strerror(number): number for number in errno.errorcode}, **_OTHER_WORDS}


def speech(environment: str) -> channel.Speech:
    """How a channel is opened to this relay and used. ``environment``: assignments for a shell, or ""."""
    return channel.Speech(command(environment), _program() + _READY, question, answer, "a POSIX shell at /bin/sh", {})


def command(environment: str) -> str:
    """The command that a connection has to run, which reads ``alone`` or what a channel writes."""
    return f"{environment} /bin/sh -c {shlex.quote(_LOADER)}".strip()


def alone(asked: Asked) -> str:
    """What the command reads for one exchange. Raises ElsewhereError."""
    return f"{channel.MARK}\n{_program()}{question(asked)}"


def told(asked: Asked, printed: str) -> dict[str, t.Any]:
    """The relay's answer, of the kind ``remote.ANSWER``, in what a device has printed for one exchange. Raises ElsewhereError."""
    lines = [line for line in printed.splitlines() if line.startswith(_BEGINS)]
    if len(lines) != 1 or len(printed) > _answer.MOST_BYTES:
        raise remote.ElsewhereError("malformed" if lines else "no_relay")
    try:
        return _answer.taken(remote.ANSWER, answer(asked, lines[0]))
    except (ValueError, _answer.MalformedError):
        raise remote.ElsewhereError("malformed") from None


def _program() -> str:
    """The functions that a script calls, without comments and indentation."""
    text = pathlib.Path(__file__).with_name("program.sh").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("#"))


# -- a question


def question(asked: Asked) -> str:
    """The script for one exchange. Raises ElsewhereError for a socket, and for a path that no shell can be given."""
    places, steps = asked["places"], asked["steps"]
    if any(place[0] != "node" for place in places):
        raise remote.ElsewhereError("no_shell_socket")
    awaited = {step[2] for step in steps if step[0] == "send" and len(step) > 2}
    lines = [" ".join(["begin", "1" if asked["environment"] else "0", *(_quoted(place[1]) for place in places)])]
    for number, step in enumerate(steps):
        line = _CALLS[step[0]](*step[1:])
        if number in awaited:
            line = f"got='' && {line} && answer{number}=$got"
        lines.append(line)
    return "{ " + " &&\n".join([*lines, ":"]) + "; }; finish\n"


def _send(command: str, *condition: t.Any) -> str:
    line = f"send '{_octal(bytes.fromhex(command))}'"
    if not condition:
        return line
    number, at, digits = condition
    return f"case $answer{number} in {'?' * at}{digits}*) {line} ;; *) say skipped ;; esac"


def _write(path: str, data: str, mode: int, keep: bool) -> str:
    content = base64.b64decode(data)
    pieces = [content[at : at + _BLOCK] for at in range(0, len(content), _BLOCK)]
    printed = "".join(f"printf '{_octal(piece)}'; " for piece in pieces)
    return f"{{ {printed}:; }} | put {_quoted(path)} {mode:o} {int(keep)} {len(content)}"


def _own(path: str | None, mode: int | None, owner: str | None, group: str | None) -> str:
    given = ("" if one is None else one for one in (path, None if mode is None else f"{mode:o}", owner, group))
    return " ".join(["own", *map(_quoted, given)])


_CALLS: dict[str, t.Callable[..., str]] = {
    "send": _send,
    "look": lambda path, most: f"look {_quoted(path)} {most // _BLOCK + 1}",
    "writable": lambda path: f"writable {_quoted(path)}",
    "write": _write,
    "remove": lambda path: f"remove {_quoted(path)}",
    "own": _own,
}


def _octal(data: bytes) -> str:
    """Bytes as a format of printf that has no percent sign."""
    return "".join(_OCTAL[byte] for byte in data)


def _quoted(text: str) -> str:
    # A shell drops line ends at the end of what a command prints, and some shells cannot have other control characters in a word.
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise remote.ElsewhereError("path")
    return shlex.quote(text)


# -- an answer


def answer(asked: Asked, line: str | bytes) -> dict[str, t.Any]:
    """What the relay in Python would answer. Raises ValueError for a line that the script does not print."""
    words = (line if isinstance(line, str) else line.decode("ascii")).split()
    if len(words) < 2 or words[0] != _BEGINS or words[-1] != "end":
        raise ValueError("no answer")
    found: dict[str, t.Any] = {"answers": [], "stopped": None, "used": None}
    for word in words[1:-1]:
        kind, *parts = word.split(":")
        if found["stopped"]:
            raise ValueError("more than the end")
        if kind == "used":
            (used,) = parts
            found["used"] = int(used)
        elif kind == "variable":
            (variable,) = parts
            found.update(stopped=["environment", 0], variable=_text(variable))
        elif kind == "stopped":
            why, number = parts
            found["stopped"] = [why, _number(number)]
        elif len(found["answers"]) == len(asked["steps"]):
            raise ValueError("more than was asked for")
        else:
            found["answers"].append(_answered(asked["steps"][len(found["answers"])], kind, parts))
    return found


def _answered(step: t.Sequence[t.Any], kind: str, parts: list[str]) -> t.Any:
    """What a step has brought."""
    if step[0] == "send" and kind == "skipped" and len(step) > 2:
        return None
    if kind != {"send": "sent", "look": "look", "writable": "writable"}.get(step[0], "done"):
        raise ValueError("not what was asked for")
    if kind == "look":
        return _looked(step[2], parts)
    if kind == "writable":
        folder, number = parts
        return {"error": _number(number), "folder": _text(folder)}
    (only,) = parts
    return bytes.fromhex(only).hex() if kind == "sent" else {"error": _number(only)}


def _looked(most: int, parts: list[str]) -> dict[str, t.Any]:
    link, named, folder, there, itself, content = parts
    real = _text(named)
    found: dict[str, t.Any] = {"real": real, "link": link == "1", "same": []}
    for status, rest in ((folder, os.path.basename(real)), (there, "")):
        numbers = _status(status)
        if isinstance(numbers, int):
            return {**found, "error": numbers}
        found["same"].append([int(numbers[0]), int(numbers[1]), rest])
    numbers = _status(itself)
    if isinstance(numbers, int):
        return {**found, "error": numbers}
    kind, owner, group = int(numbers[2], 16), int(numbers[3]), int(numbers[4])
    if not 0 <= kind < 1 << 16:
        raise ValueError("no mode of a file")
    names = [None if name == "UNKNOWN" else name for name in numbers[5:]]
    found.update(mode=stat.S_IMODE(kind), ids=[owner, group], names=names)
    if not stat.S_ISREG(kind):
        return {**found, "error": errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL}
    if not content.startswith("s"):
        return {**found, "error": _number(content)}
    data = bytes.fromhex(content[1:])
    return {**found, **({"error": errno.EFBIG} if len(data) > most else {"data": base64.b64encode(data).decode()})}


def _status(part: str) -> list[str] | int:
    """Device, inode, type and mode in hex, owner, group and their names, or the number of an error."""
    if part.startswith("l"):
        return _listed(_text(part[1:]).splitlines())
    if not part.startswith("s"):
        return _number(part)
    numbers = _text(part[1:]).split(" ")
    if len(numbers) != 7:
        raise ValueError("no status")
    return numbers


def _listed(lines: list[str]) -> list[str]:
    """The same from ls -lni, ls -l and df -P, whose last line names a file system and ends with where it is mounted: that stands for the device."""
    if len(lines) < 2:
        raise ValueError("no list")
    inode, modes, _links, owner, group = lines[0].split()[:5]
    _modes, _links, *names = lines[1].split()[:4]
    if not _MODES.fullmatch(modes[:10]) or len(names) != 2:
        raise ValueError("no list")
    system = lines[-1].split(None, 5) if len(lines) > 3 else []
    named = [("UNKNOWN" if name == number else name) for name, number in zip(names, (owner, group))]
    return [
        str(zlib.crc32(" ".join([*system[:1], *system[5:]]).encode(errors="replace"))),
        inode,
        f"{_mode(modes):x}",
        owner,
        group,
        *named,
    ]


def _mode(modes: str) -> int:
    """Type and mode as a number, from drwxr-xr-t and the like."""
    found = _TYPES[modes[0]]
    for at, letter in enumerate(modes[1:10]):
        special = (stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX)[at // 3] if letter in "sStT" else 0
        found |= special | (0o400 >> at if letter in "rwxst" else 0)
    return found


def _text(digits: str) -> str:
    return bytes.fromhex(digits).decode("utf-8", "surrogateescape")


def _number(part: str) -> int:
    """The system's number of an error: as a number, or after an e what a tool has said, which ends with the words of the C library."""
    if not part.startswith("e"):
        return int(part)
    said = _text(part[1:]).splitlines()
    return next((number for line in said for words, number in _NUMBERS.items() if line.endswith(words)), errno.EIO)


__all__ = ("alone", "answer", "command", "question", "speech", "told")
