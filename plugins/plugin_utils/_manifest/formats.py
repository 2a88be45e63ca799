# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The two formats of a manifest as records of texts, each with its line: CSV (RFC 4180, one record a line) and YAML 1.1."""

from __future__ import annotations

import csv
import io
import typing as t

import yaml  # ansible-core itself requires it, so it is there

COLUMNS = ("serial", "host", "mac", "ek_sha256", "site", "model")

_KNOWN = "known are " + ", ".join(COLUMNS)
_LOADER: t.Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset(_TAG + kind for kind in ("str", "merge", "value"))
# YAML reads these scalars as other types, but we take their text as written; most MAC addresses without letters need this. A serial number
# must be in quotes all the same, because an inventory's variables would read the same line as another value.
_KEPT = {_TAG + "int": "a number", _TAG + "float": "a number", _TAG + "timestamp": "a date"}


class Unreadable(Exception):
    """The rest of the file, from this line on, cannot be read; the caller makes a ManifestError of it."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


class Record(t.NamedTuple):
    """A row of the file; None in place of a value that has been complained of."""

    line: int
    fields: dict[str, str | None]


Complain = t.Callable[[int, str], None]


def shown(value: str) -> str:
    """A value for a message: quoted, without control characters, at most 80 characters of it."""
    return repr(value if len(value) <= 80 else value[:77] + "...")


def csv_records(text: str, complain: Complain) -> t.Iterator[Record]:
    """Records of a CSV text.

    Each line is read by itself, so that an open quote spoils only its own line. The delimiter is a semicolon if the header line has one, else
    a comma; no column's name contains either, so unlike csv.Sniffer this cannot guess wrong.
    """
    columns: list[str] = []
    delimiter = ","
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        if line.lstrip().startswith("#"):
            continue
        if not columns:
            delimiter = ";" if ";" in line else ","
        try:
            values = _fields(line.rstrip("\n"), delimiter)
        except csv.Error as error:
            reason = "it is no CSV: " + ("a quote is not closed" if "end of data" in str(error) else str(error))
            if not columns:
                raise Unreadable(number, reason) from None
            complain(number, reason)
            continue
        if not any(values):
            continue
        if not columns:
            columns = _header(number, values, complain)
        elif len(values) > len(columns):
            complain(number, f"it has {len(values)} fields, the header has {len(columns)}")
        else:
            yield Record(number, dict(zip(columns, values)))


def _fields(line: str, delimiter: str) -> list[str]:
    """The fields of one line. Raises csv.Error."""
    return [value.strip() for row in csv.reader([line], delimiter=delimiter, skipinitialspace=True, strict=True) for value in row]


def _header(number: int, values: list[str], complain: Complain) -> list[str]:
    """The names of the columns. Raises Unreadable if a required column is missing."""
    columns = [value.lower() for value in values]
    unknown = [shown(given) for given, name in zip(values, columns) if name not in COLUMNS]
    if unknown:
        complain(number, f"unknown {'column' if len(unknown) == 1 else 'columns'} {', '.join(unknown)} ({_KNOWN})")
    twice = sorted({name for name in columns if name in COLUMNS and columns.count(name) > 1})
    if twice:
        complain(number, f"the column {', '.join(twice)} is there twice")
    if "serial" not in columns:
        raise Unreadable(number, f"the header has no column serial ({_KNOWN})")
    if "host" not in columns and "mac" not in columns:
        raise Unreadable(number, f"the header has neither a column host nor a column mac ({_KNOWN})")
    return columns


def yaml_records(text: str, complain: Complain) -> t.Iterator[Record]:
    """Records of a YAML text: a list of mappings, or that list under the key ``devices``.

    We read the parser's events one by one and build nothing but records of texts. So aliases, deep nesting and Python tags do no harm, and
    we have each scalar's original text and each record's line.
    """
    try:
        loader = _LOADER(text)
        try:
            yield from _YamlManifest(loader, complain).records()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, f"it is no YAML: {error.problem or error.context}") from None
    except yaml.reader.ReaderError as error:
        line = text.encode().count(b"\n", 0, error.position) + 1  # libyaml counts bytes
        raise Unreadable(line, f"it is no YAML: {error.reason}") from None


class _YamlManifest:
    """Reads a YAML manifest from the events of PyYAML's parser."""

    def __init__(self, loader: t.Any, complain: Complain) -> None:
        self.loader, self.complain = loader, complain

    def records(self) -> t.Iterator[Record]:
        """The records. Raises Unreadable if the text is not a YAML manifest."""
        first = self.next(yaml.StreamStartEvent, yaml.DocumentStartEvent)
        if isinstance(first, yaml.StreamEndEvent):
            return
        if isinstance(first, yaml.MappingStartEvent):
            while not isinstance(event := self.next(), yaml.MappingEndEvent):
                key, value = self.scalar(event)[0], self.next()
                if key == "devices":
                    yield from self.devices(value)
                else:
                    self.complain(_line(event), f"unknown key {shown(key)} beside devices")
                    self.skip(value)
        else:
            yield from self.devices(first)
        if not isinstance(event := self.next(yaml.DocumentEndEvent), yaml.StreamEndEvent):
            raise Unreadable(_line(event), "a second YAML document begins; put all devices into one list")

    def devices(self, event: t.Any) -> t.Iterator[Record]:
        """The records of the list that begins with ``event``."""
        if isinstance(event, yaml.ScalarEvent) and self.scalar(event) == ("", ""):
            return
        if not isinstance(event, yaml.SequenceStartEvent):
            raise Unreadable(_line(event), "it is no list of devices; write a list of mappings, or one under the key devices")
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            if isinstance(event, yaml.MappingStartEvent):
                yield self.record(event)
            else:
                self.complain(_line(event), "it is no mapping of columns and values")
                self.skip(event)

    def record(self, start: t.Any) -> Record:
        """The record of the mapping that begins with ``start``."""
        record = Record(_line(start), {})
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            name = self.scalar(event)[0]
            column, (value, kind) = name.lower(), self.scalar(self.next())
            wrong = "" if kind in _KEPT.values() and column != "serial" else kind
            if column not in COLUMNS:
                self.complain(record.line, f"unknown column {shown(name)} ({_KNOWN})")
            elif column in record.fields:
                self.complain(record.line, f"the column {column} is there twice")
            elif wrong:
                self.complain(record.line, f"{column} is {wrong} and no text; put it into quotes if it is meant as one")
            # Blanks and line breaks in quotes or in a block are kept, so that the check of serial numbers can complain of them.
            record.fields.setdefault(column, None if wrong else value if column == "serial" else value.strip())
        return record

    def scalar(self, event: t.Any) -> tuple[str, str]:
        """The text of a scalar, and the type as which YAML reads it, if that is not text."""
        if not isinstance(event, yaml.ScalarEvent):
            self.skip(event)
            return "", "a list" if isinstance(event, yaml.SequenceStartEvent) else "a mapping"
        tag = str(event.tag if event.tag not in (None, "!") else self.loader.resolve(yaml.ScalarNode, event.value, event.implicit))
        if tag == _TAG + "null":
            return "", ""
        return event.value, "" if tag in _TEXTS else _KEPT.get(tag, tag.replace(_TAG, "!!"))

    def skip(self, event: t.Any) -> None:
        """Skip to the end of the node that ``event`` begins, however deep it is nested."""
        depth = 0
        while True:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth == 0:
                return
            event = self.next()

    def next(self, *passed_over: type) -> t.Any:
        """The next event that is of none of these types. Raises Unreadable for an alias, and yaml.YAMLError."""
        event = self.loader.get_event()
        while isinstance(event, passed_over):
            event = self.loader.get_event()
        if isinstance(event, yaml.AliasEvent):
            raise Unreadable(_line(event), f"a YAML alias (*{event.anchor}), which a manifest may not have; write the values out")
        return event


def _line(event: t.Any) -> int:
    return t.cast(int, event.start_mark.line) + 1


READERS: dict[str, t.Callable[[str, Complain], t.Iterator[Record]]] = {".csv": csv_records, ".yml": yaml_records, ".yaml": yaml_records}

__all__ = ("COLUMNS", "READERS", "Complain", "Record", "Unreadable", "shown")
