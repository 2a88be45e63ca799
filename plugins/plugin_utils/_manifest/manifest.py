# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The factory's list of devices: the serial numbers and host names that we expect.

If anything in a manifest is wrong, all of it is refused, and the error lists every fault with its line.
"""

from __future__ import annotations

import ipaddress
import os
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest import formats
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.names import serial_fault

MAX_BYTES = 64 * 1024 * 1024
MAX_HOST = 253  # RFC 1035 section 2.3.4, as text without the last dot
MAX_TEXT = 128

# A host name as Ansible defines it (ansible.parsing.utils.addresses), without ranges and in ASCII.
_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_-]*(?<![_-])"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_HASH = re.compile(r"[0-9a-f]{64}")
_MAC = re.compile(r"[0-9a-f]{2}([:-]?)[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}")


class Row(t.NamedTuple):
    """One device of the manifest; None for what the manifest does not have."""

    serial: str
    host: str | None
    mac: str | None  # aa:bb:cc:dd:ee:ff
    ek_sha256: str | None  # pinned: lowercase hex SHA-256 of the EK's DER SubjectPublicKeyInfo
    site: str | None
    model: str | None
    line: int  # where the row begins, counted from 1

    @property
    def name(self) -> str:
        """The device's name in the inventory: its host name, else its serial number."""
        return self.host or self.serial


class ManifestError(TpmError):
    """A manifest is refused; ``problems`` has a phrase for each fault, in the order of the lines."""

    def __init__(self, path: str, problems: t.Sequence[str], cure: str = "correct it") -> None:
        super().__init__(f"Could not read the manifest {path}: {'; '.join(problems)}; {cure}.")
        self.problems = list(problems)


def load(path: str | os.PathLike[str]) -> list[Row]:
    """Return the devices of a manifest in the order of its lines; the file's extension tells CSV from YAML.

    Raises ManifestError, which names every fault.
    """
    path = os.fspath(path)
    reader = formats.READERS.get(os.path.splitext(path)[1].lower())
    if reader is None:
        raise ManifestError(path, ["its name ends neither in .csv nor in .yml or .yaml"], "rename it after what it is")
    text = _text(path)
    problems: list[tuple[int, str]] = []
    rows: list[Row] = []
    checker = _Checker(lambda line, reason: problems.append((line, reason)))
    try:
        rows.extend(checker.row(record) for record in reader(text, checker.complain))
    except formats.Unreadable as error:
        problems.append((error.line, error.reason))
    if problems:
        # Sorted by line only, so that the faults of one line stay in the order in which they were found.
        raise ManifestError(path, [f"line {line}: {reason}" for line, reason in sorted(problems, key=lambda one: one[0])])
    if not rows:
        raise ManifestError(path, ["it names no device"], "give each device a row")
    return rows


def _text(path: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ManifestError(path, ["there is no such file"], "give the path of the factory's list of devices") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ManifestError(path, [reason], "name a file that may be read") from None
    if len(data) > MAX_BYTES:
        raise ManifestError(
            path, [f"it has more than {MAX_BYTES // 1024 // 1024} MiB"], "split it, and use one inventory source for each part"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError(path, [f"line {line}: byte 0x{data[error.start]:02x} is not UTF-8"], "save it as UTF-8") from None


def is_host_name(name: str) -> bool:
    """Whether a text can be a host's name in an inventory: a DNS name (underscores allowed) or an address, but not a pattern."""
    if len(name) <= MAX_HOST and _HOST.fullmatch(name):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return "%" not in name


def is_reserved(name: str) -> bool:
    """Whether a name is that of a group. No host may have it, because Ansible would give the host's variables to the group."""
    return name.lower() in ("all", "ungrouped") or name.lower().startswith("tpm2_")


class _Checker:
    """Checks records one by one, each also against those before it."""

    def __init__(self, complain: formats.Complain) -> None:
        self.complain = complain
        self._seen: dict[tuple[str, str], int] = {}

    def row(self, record: formats.Record) -> Row:
        """The row from a record; faulty values are complained of and left out."""
        line, fields = record
        serial, host = self._serial(line, fields.get("serial", "")), self._host(line, fields.get("host", ""))
        row = Row(
            serial=serial or "",
            host=host,
            mac=self._mac(line, fields.get("mac", "")),
            ek_sha256=self._hash(line, fields.get("ek_sha256", "")),
            site=self._plain(line, "site", fields.get("site", "")),
            model=self._plain(line, "model", fields.get("model", "")),
            line=line,
        )
        # None is a value that was complained of, so it is not missing.
        if fields.get("host", "") == "" == fields.get("mac", ""):
            self.complain(line, "it has neither a host nor a mac")
        elif serial and fields.get("host", "") == "":
            self._named_by_serial(line, serial)
        return row

    def _once(self, line: int, column: str, value: str, key: str | None = None) -> bool:
        first = self._seen.setdefault((column, key or value), line)
        if first != line:
            self.complain(line, f"{column} {formats.shown(value)} is already in line {first}")
        return first == line

    def _serial(self, line: int, value: str | None) -> str | None:
        if value is None:
            return None
        if not value:
            self.complain(line, "it has no serial")
        elif fault := serial_fault(value):
            self.complain(line, f"serial {formats.shown(value)} {fault}")
        elif self._once(line, "serial", value):
            return value
        return None

    def _host(self, line: int, value: str | None) -> str | None:
        if not value:
            return None
        if not is_host_name(value):
            self.complain(line, f"host {formats.shown(value)} is no host name")
        elif is_reserved(value):
            self.complain(line, f"host {formats.shown(value)} is the name of a group")
        elif self._once(line, "host", value, value.lower()):  # DNS names differ by more than case (RFC 4343)
            return value
        return None

    def _named_by_serial(self, line: int, serial: str) -> None:
        if not is_host_name(serial) or is_reserved(serial):
            self.complain(line, f"it has no host, and serial {formats.shown(serial)} cannot serve as one; give it a host")
        else:
            self._once(line, "host", serial, serial.lower())

    def _mac(self, line: int, value: str | None) -> str | None:
        if not value:
            return None
        text = value.lower()
        if not _MAC.fullmatch(text):
            self.complain(line, f"mac {formats.shown(value)} is no MAC address (aa:bb:cc:dd:ee:ff)")
            return None
        digits = re.sub("[^0-9a-f]", "", text)
        mac = ":".join(digits[at : at + 2] for at in range(0, 12, 2))
        if int(digits, 16) == 0 or int(digits[:2], 16) & 1:  # the group bit, IEEE 802-2014 section 8.2.2
            self.complain(line, f"mac {mac} is the address of no single device")
        elif self._once(line, "mac", mac):
            return mac
        return None

    def _hash(self, line: int, value: str | None) -> str | None:
        if not value:
            return None
        pinned = value.lower()
        if not _HASH.fullmatch(pinned):
            self.complain(line, f"ek_sha256 {formats.shown(value)} is no SHA-256 (64 hex digits)")
        elif self._once(line, "ek_sha256", pinned):
            return pinned
        return None

    def _plain(self, line: int, column: str, value: str | None) -> str | None:
        if not value:
            return None
        if not value.isprintable():
            self.complain(line, f"{column} {formats.shown(value)} has a character that cannot be printed")
        elif len(value) > MAX_TEXT:
            self.complain(line, f"{column} {formats.shown(value)} has {len(value)} characters, more than {MAX_TEXT}")
        return value


__all__ = ("MAX_BYTES", "ManifestError", "Row", "is_host_name", "is_reserved", "load")
