# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damages valid bytes and valid JSON at random: a fixed number of times from a fixed seed, or for some time (`make fuzz`)."""

from __future__ import annotations

import random
import struct
import time
import typing as t

import pytest

ROUNDS = 600


class Rounds:
    """A random generator for each round. With ``--fuzz-seconds``, rounds go on for that time, from a new random seed."""

    def __init__(self, config: pytest.Config) -> None:
        self._seconds = float(config.getoption("--fuzz-seconds"))

    def __call__(self, name: str, times: int = 1) -> t.Iterator[random.Random]:
        """`times` ROUNDS for what is called `name`, at least."""
        dice, ends = random.Random(name if not self._seconds else None), time.monotonic() + self._seconds
        for _round in range(times * ROUNDS):
            yield dice
        while time.monotonic() < ends:
            yield dice


def spoilt(good: bytes, dice: random.Random) -> bytes:
    """The bytes with up to four faults: changed, cut, doubled, removed or inserted bytes, and wrong lengths."""
    data = bytearray(good)
    for _fault in range(dice.randint(1, 4)):
        at, size = dice.randrange(len(data) + 1), dice.choice((1, 1, 2, 4, 16))
        kind = dice.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([dice.randrange(256)])
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at:at] = data[at : at + size * 8]
        elif kind == 3:
            del data[at : at + size]
        elif kind == 4:
            data[at : at + 2] = struct.pack(">H", dice.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF)))
        else:
            data[at:at] = dice.randbytes(size)
    return bytes(data)


ODD: tuple[t.Any, ...] = (
    None,
    True,
    -1,
    1.5,
    float("nan"),
    1 << 40,
    1 << 200,
    "",
    "0x",
    "é\x00\ud800",
    "=" * 99,
    [],
    [[]],
    [None],
    {},
    {"": None},
    {"a": {"a": {}}},
)


def odd(value: t.Any, dice: random.Random) -> t.Any:
    """JSON with one value replaced; a text is sometimes only damaged."""
    if isinstance(value, dict) and value and dice.random() < 0.85:
        name = dice.choice(sorted(value))
        return {**value, name: odd(value[name], dice)}
    if isinstance(value, list) and value and dice.random() < 0.85:
        at = dice.randrange(len(value))
        return [odd(one, dice) if at == number else one for number, one in enumerate(value)]
    if isinstance(value, str) and dice.random() < 0.5:
        return spoilt(value.encode("utf-8", "surrogatepass"), dice).decode("latin-1")
    return dice.choice(ODD)


def damaged(answer: dict[str, t.Any], dice: random.Random) -> dict[str, t.Any]:
    """An answer with one field replaced; it stays a mapping, because Ansible passes on nothing else."""
    name = dice.choice(sorted(answer))
    return {**answer, name: odd(answer[name], dice)}
