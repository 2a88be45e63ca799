# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Make untrusted text safe for a screen or a page."""

from __future__ import annotations

import re
import typing as t

LONGEST = 4096
# Unicode calls these letters or marks, but they are invisible: fillers, a blank Braille cell, variation selectors, a joiner.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0") | frozenset(
    map(chr, range(0xFE00, 0xFE10))
)
# What Markdown, its dialects or HTML interpret within a line, and what begins a block; an underscore within a word does nothing.
_MARKUP = re.compile(
    r"[\\`*\[\]<>|&~@${}]|(?<![^\W_])_|_(?![^\W_])"
    r"|:(?=//)|(?<=[Ww]{3})\.|(?<=mailto):|(?<=xmpp):"
    r"|^[-+#=:]|(?<=^\d)[.)](?=\s|$)|^\d{2,}[.)](?=\s|$)"
)
_LINES = re.compile(r"\r\n|[\n\t]")


def _escaped(one: str) -> str:
    number = ord(one)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def shown(value: t.Any, longest: int = LONGEST) -> str:
    """A text that is safe to show: on one line, with a visible escape in place of each unprintable character.

    A new line or a tab becomes a space, because some of Ansible's messages have several lines. Unprintable are control characters (C0, C1),
    characters that change the direction of text, zero-width characters, separators of lines and paragraphs, half surrogate pairs, private and
    unassigned code points.

    Args:
        value: the text, or what is turned into text.
        longest: the most characters that it may have; the rest is cut off, with three dots in its place.
    """
    text = _LINES.sub(" ", str(value)[: longest + 2])
    told = "".join(one if one.isprintable() and one not in _INVISIBLE else _escaped(one) for one in text)
    return told if len(told) <= longest else told[: longest - 3] + "..."


def markdown(value: t.Any, longest: int = LONGEST) -> str:
    """A text for a page of Markdown or HTML: shown() of it, with no link, image, tag, table, code, list or heading of its own.

    Characters that Markdown would interpret become numeric character references. Do not use this in a block of code, which shows references as
    they are: shown() is enough there.
    """
    return _MARKUP.sub(lambda match: "".join(f"&#{ord(one)};" for one in match[0]), shown(value, longest))


def throughout(value: t.Any, made: t.Callable[[t.Any], str]) -> t.Any:
    """A value in which `made` has been applied to every text, keys included; numbers, truth values and null stay."""
    if isinstance(value, t.Mapping):
        return {made(key): throughout(one, made) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [throughout(one, made) for one in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return made(value)


__all__ = ("LONGEST", "markdown", "shown", "throughout")
