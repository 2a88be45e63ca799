# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of refusals: a module gets bad input, says one clear sentence, and changes nothing on the device."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import struct
import typing as t

from support import module, raw
from support.module import Result
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools, leftovers

_OWNER, _OWNERREAD, _AUTHREAD, _NO_DA, _WRITTEN = 0x40000001, 1 << 17, 1 << 18, 1 << 25, 1 << 29
_EMPTY_PASSWORD = struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
_INNARDS = (
    "Traceback",
    "Errno",
    "Error(",
    "<class",
    "<function",
    " b'",
    "None",
    "NoneType",
    "ESYS_TR",
    "TSS2_Exception",
    "struct.",
    "  ",
    "..",
    ";;",
)
# Words that show that a sentence says what to do: after a semicolon, or within the fault, as in "the port must be a number".
_CURES = ("; ", " must ", " needs ", " takes ", " take no argument")
LONGEST = 620


def assert_sentence(message: str, *says: str) -> None:
    """Check a sentence for an operator: what was attempted, why it failed, what to do, and every text of `says`."""
    assert message.startswith("Could not "), message
    assert message.endswith(".") and "\n" not in message and len(message) < LONGEST, message
    assert [innards for innards in _INNARDS if innards in message] == [], message
    # One sentence: full stops only in names and numbers, and at the end.
    assert re.search(r"\.\s", message) is None, message
    assert any(cure in message for cure in _CURES), f"no cure: {message}"
    assert [word for word in says if word not in message] == [], message


def tpm_view(swtpm: Swtpm) -> dict[str, t.Any]:
    """Everything that can be read from a TPM without changing it: variable properties, objects, NV with content, PCRs, what is loaded."""
    with swtpm.raw() as tpm:
        (count,) = struct.unpack(">I", (body := tpm.call(0x17A, struct.pack(">III", 6, 0x200, 254)))[5:9])
        pairs = struct.unpack(f">{2 * count}I", body[9 : 9 + 8 * count])
        properties = dict(zip(pairs[::2], pairs[1::2], strict=True))
        owner_is_open = not properties[raw.PT_PERMANENT] & 1
        view: dict[str, t.Any] = {"properties": {f"{number:#x}": value for number, value in properties.items() if number & ~0xFF == 0x200}}
        view["objects"] = {f"{handle:#x}": _object(tpm, handle) for handle in tpm.handles(raw.PERSISTENT)}
        view["nv"] = {f"{index:#x}": _nv(tpm, index, owner_is_open) for index in tpm.handles(raw.NV_INDEX)}
        banks = tpm.call(0x17A, struct.pack(">III", 5, 0, 1))
        sha256 = struct.pack(">IHB", 1, 0x000B, 3)
        view["pcrs"] = [banks.hex()] + [tpm.call(0x17E, sha256 + bitmap)[4:].hex() for bitmap in (b"\xff\0\0", b"\0\xff\0", b"\0\0\xff")]
    view["loaded"] = leftovers(swtpm)
    return view


def _object(tpm: raw.RawTpm, handle: int) -> str:
    try:
        return tpm.call(0x173, struct.pack(">I", handle)).hex()
    except raw.RawError as hidden:  # the object is listed, but its hierarchy is disabled
        return str(hidden)


def _nv(tpm: raw.RawTpm, index: int, owner_is_open: bool) -> tuple[str, str | None]:
    public = tpm.call(0x169, struct.pack(">I", index))
    attributes, policy = struct.unpack(">IH", public[8:14])
    size = struct.unpack(">H", public[14 + policy : 16 + policy])[0]
    reader = _OWNER if attributes & _OWNERREAD and owner_is_open else index
    open_to_us = reader == _OWNER or attributes & _AUTHREAD and attributes & _NO_DA
    if not open_to_us or not attributes & _WRITTEN:
        return public.hex(), None
    try:
        command = struct.pack(">II", reader, index) + _EMPTY_PASSWORD + struct.pack(">HH", min(size, 1024), 0)
        return public.hex(), tpm.call(0x14E, command, tag=0x8002)[4:].hex()
    except raw.RawError as refused:
        return public.hex(), str(refused)


def files_view(folder: pathlib.Path) -> dict[str, t.Any]:
    """Everything in a folder: name, mode, content."""
    found: dict[str, t.Any] = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        found[str(path.relative_to(folder))] = (stat.S_IMODE(mode), path.read_bytes() if stat.S_ISREG(mode) else "")
    return found


def interpreter(folder: pathlib.Path, command: str) -> str:
    """A device's Python as a script in `folder` that starts `command` with the given arguments."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o755)
    return str(script)


def without_override(folder: pathlib.Path, python: str) -> str:
    """A Python to which files' modes apply even if the tests run as root."""
    if os.geteuid() != 0:
        return python
    return interpreter(folder, f"setpriv --bounding-set=-dac_override,-dac_read_search -- {python}")


class Bench:
    """A TPM, a folder on its device, and the interpreter that modules run on."""

    def __init__(self, swtpm: Swtpm, folder: pathlib.Path, python: str) -> None:
        self.swtpm, self.folder, self.python = swtpm, folder, python
        self.tools = Tools(swtpm.tcti)

    def path(self, name: str) -> str:
        """A file on the device."""
        return str(self.folder / name)

    def run(self, name: str, /, *, check: bool = False, **options: t.Any) -> Result:
        """Run a module on the TPM (or on another `tcti`)."""
        return module.run(name, {"tcti": self.swtpm.tcti, **options}, python=self.python, check=check)

    def made(self, name: str, /, **options: t.Any) -> dict[str, t.Any]:
        """Run a module that has to succeed and change something."""
        result = self.run(name, **options).expect_ok()
        assert result["changed"], result
        return result

    def view(self) -> dict[str, t.Any]:
        """Everything that a refused run must not change."""
        return {**tpm_view(self.swtpm), "files": files_view(self.folder)}

    def refused(self, name: str, /, *says: str, predicted: bool = True, **options: t.Any) -> str:
        """Run a module that must refuse, also in check mode with the same message if that can be `predicted`; return the message."""
        return self.refuses(name, options, *says, predicted=predicted)

    def refuses(self, name: str, options: dict[str, t.Any], /, *says: str, predicted: bool = True) -> str:
        """As `refused`, with the options as a mapping, so that they may have any name."""
        before, messages = self.view(), set()
        for check in (True, False) if predicted else (False,):
            result = self.run(name, check=check, **options)
            messages.add(result.expect_failed())
            assert result.json is not None
            assert not result.json.get("changed") and not result.json.get("steps_done"), result.json
            assert self.view() == before
        assert len(messages) == 1, messages
        message = messages.pop()
        assert_sentence(message, *says)
        return message

    def stops(self, name: str, /, *says: str, done: int, **options: t.Any) -> Result:
        """Run a module that must stop after `done` steps, report them, and leave nothing loaded."""
        result = self.run(name, **options)
        message = result.expect_failed()
        assert_sentence(message, *says)
        assert result.json is not None
        assert result.json["steps_done"] == done and result.json["changed"] == (done > 0), result.json
        # Planned states that were not reached must not be in the result.
        assert len(result.json["steps"]) == done and len(result.json["resources"]) <= done, result.json
        assert f"(step {done + 1} of " in message
        assert leftovers(self.swtpm) == []
        return result


def untouched(proxy: Proxy) -> bool:
    """Whether only reads went through the proxy: no session, no object loaded, nothing written."""
    return not (proxy.sessions() or proxy.loads() or proxy.writes())
