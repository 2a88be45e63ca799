# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Filter a device's answer: keep the keys that our modules return, check the types of their values, and drop everything else."""

from __future__ import annotations

import dataclasses
import math
import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

Answer = dict[str, t.Any]
# Limits that our results never reach: bytes of JSON, number of values, levels of nesting, length of a text and of a key, size of a number.
MOST_BYTES = 4 << 20
_MOST_VALUES, _MOST_LEVELS, _LONGEST_TEXT, _LONGEST_KEY, _LARGEST = 50_000, 16, 1 << 16, 256, 1 << 64
# PEM, base64, hex and paths are kept as they are: these characters do nothing to a terminal.
_RAW = re.compile(r"[\x20-\x7e\n]*")
# Prefixes of Ansible's internal keys, dropped at any depth, because Ansible acts on some of them.
_INTERNAL = ("__ansible", "_ansible")


class MalformedError(TpmError):
    """An answer that our modules never give; the message is a clause for a sentence."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """The type of a value: its word in RETURN, the function that checks and cleans a value, and the kinds of its fields or elements."""

    word: str
    take: t.Callable[[t.Any, str], t.Any]
    parts: t.Any = None


def _no(where: str, what: str) -> MalformedError:
    return MalformedError(f"its {_text.shown(where, 80)} is {what}")


def _text_of(longest: int) -> t.Callable[[t.Any, str], str]:
    def take(value: t.Any, where: str) -> str:
        if not isinstance(value, str):
            raise _no(where, "no text")
        return _text.shown(value, longest)

    return take


def _raw(value: t.Any, where: str) -> str:
    if not isinstance(value, str) or not _RAW.fullmatch(value):
        raise _no(where, "no plain text")
    return str(value)


def _lines(value: t.Any, where: str) -> str:
    """Lines that Ansible prints as they are, each made printable."""
    if not isinstance(value, str):
        raise _no(where, "no text")
    return "".join(f"{_text.shown(line)}\n" for line in value.splitlines())


def _integer(value: t.Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _no(where, "no whole number")
    return int(value)


def _truth(value: t.Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise _no(where, "neither true nor false")
    return value


def _tree(lines: bool) -> t.Callable[[t.Any, str], t.Any]:
    """Any value, with its texts made printable. With `lines`, PEM and the like keep their lines."""

    def take(value: t.Any, where: str) -> t.Any:
        if isinstance(value, dict):
            return {_text.shown(key, _LONGEST_KEY): take(one, where) for key, one in value.items() if not key.startswith(_INTERNAL)}
        if isinstance(value, list):
            return [take(one, where) for one in value]
        if isinstance(value, str):
            return str(value) if lines and _RAW.fullmatch(value) else _text.shown(value, _LONGEST_TEXT)
        return value

    return take


def _mapping(take: t.Callable[[t.Any, str], t.Any]) -> t.Callable[[t.Any, str], t.Any]:
    def checked(value: t.Any, where: str) -> t.Any:
        if not isinstance(value, dict):
            raise _no(where, "no mapping")
        return take(value, where)

    return checked


TEXT = Kind("str", _text_of(_LONGEST_TEXT))
SENTENCE = Kind("str", _text_of(_text.LONGEST))
RAW = Kind("str", _raw)
INT = Kind("int", _integer)
BOOL = Kind("bool", _truth)
TREE = Kind("dict", _mapping(_tree(lines=False)))
# For callers that check the value themselves: any type is accepted.
LOOSE = Kind("raw", _tree(lines=True))
TREE_OF_LINES = Kind("dict", _mapping(_tree(lines=True)))
DIFF = Kind(
    "dict",
    _mapping(
        lambda value, where: {
            name: (_lines if name == "prepared" else TREE_OF_LINES.take)(value[name], name)
            for name in ("before", "after", "prepared")
            if name in value
        }
    ),
)


def fields(table: t.Mapping[str, Kind]) -> Kind:
    """A mapping with these keys; other keys are dropped, and null stays null."""

    def take(value: t.Any, where: str) -> Answer:
        return {
            name: None if value[name] is None else kind.take(value[name], f"{where}.{name}".lstrip("."))
            for name, kind in table.items()
            if name in value
        }

    return Kind("dict", _mapping(take), dict(table))


def listed(kind: Kind) -> Kind:
    """A list whose elements are all of one kind."""

    def take(value: t.Any, where: str) -> list[t.Any]:
        if not isinstance(value, list):
            raise _no(where, "no list")
        return [kind.take(one, where) for one in value]

    return Kind("list", take, kind)


def bounded(answer: t.Any) -> None:
    """Raises MalformedError for too many, too deeply nested, too long or too large values. It does not recurse."""
    waiting, count = [(answer, 1)], 0
    while waiting:
        value, level = waiting.pop()
        count += 1
        if count > _MOST_VALUES or level > _MOST_LEVELS:
            raise MalformedError("it has too many values" if count > _MOST_VALUES else "it is nested too deep")
        if isinstance(value, dict):
            waiting += [(one, level + 1) for one in value.values()]
            if any(len(key) > _LONGEST_KEY for key in value):
                raise MalformedError("one of its keys is too long")
        elif isinstance(value, list):
            waiting += [(one, level + 1) for one in value]
        elif isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise MalformedError("one of its texts is too long")
        elif isinstance(value, (int, float)) and not (math.isfinite(value) and abs(value) < _LARGEST):
            raise MalformedError("one of its numbers is too large")


def taken(table: Kind, answer: t.Any) -> Answer:
    """The part of an answer that the table describes. Raises MalformedError."""
    bounded(answer)
    return t.cast("Answer", table.take(answer, ""))


__all__ = (
    "BOOL",
    "DIFF",
    "INT",
    "LOOSE",
    "MOST_BYTES",
    "RAW",
    "SENTENCE",
    "TEXT",
    "TREE",
    "TREE_OF_LINES",
    "Answer",
    "Kind",
    "MalformedError",
    "bounded",
    "fields",
    "listed",
    "taken",
)
