# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text of a stranger on a screen or page: nothing in it is obeyed, and it can be seen."""

from __future__ import annotations

import html
import re
import sys
import unicodedata

import markdown_it
import pytest

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text


def test_nothing_but_what_prints_as_itself_is_left() -> None:
    # Some at a time, as there are more than a million.
    for number in range(0, sys.maxunicode + 1, 256):
        told = _text.shown("".join(map(chr, range(number, number + 256))))
        assert all(one == " " or unicodedata.category(one)[0] not in "CZ" for one in set(told)), hex(number)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Ünïcode 电 ok", "Ünïcode 电 ok"),
        ("\x1b]0;x\x07", "\\x1b]0;x\\x07"),
        ("a\r\nTASK [b] ***", "a TASK [b] ***"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202eevil\u2066", "\\u202eevil\\u2066"),
        ("a\u200bb\ufeff\u2028\u2800\ufe0f", "a\\u200bb\\ufeff\\u2028\\u2800\\ufe0f"),
        ("\udce9\U000e0041", "\\udce9\\U000e0041"),
    ],
)
def test_the_rest_becomes_visible(text: str, told: str) -> None:
    assert _text.shown(text) == told


def test_its_length_is_bounded_also_where_escapes_make_it_longer() -> None:
    assert _text.shown("x" * 50, 50) == "x" * 50
    assert _text.shown("x" * 51, 50) == "x" * 47 + "..."
    assert len(_text.shown("\x00" * 50, 50)) == 50


def test_markdown_means_nothing() -> None:
    told = _text.markdown("<script>a</script> [x](http://y) ![i](u) `c` | # - * _ ~ https://z www.a.b a@b.c &lt;")
    assert not set(told) & set("<>[]`|*_~@") and "://" not in told and "www." not in told
    assert told.startswith("&#60;script&#62;a")
    assert _text.markdown("platform_hierarchy_open: /dev/tpm0 is 0666, 1.59") == "platform_hierarchy_open: /dev/tpm0 is 0666, 1.59"


@pytest.mark.parametrize(
    "text", ["<script>x()</script>", "[x](javascript:y)", "![x](y)", "`x`", "# x", "- x", "1. x", "12) x", "+ x", "> x", "```x", "~~~x"]
)
@pytest.mark.parametrize(
    "text_after", ["", "https://x.y", "www.x.y", "x@y.z", "*x*", "__x__", "<https://x>", "&lt;b&gt;", "|a|b|", "~~x~~", "\\"]
)
def test_a_renderer_makes_nothing_of_it(text: str, text_after: str) -> None:
    renderer = markdown_it.MarkdownIt("gfm-like", {"html": True, "linkify": False}).enable("strikethrough")
    raw = f"{text} {text_after}"
    page = renderer.render(f"- {_text.markdown(raw)}\n")
    lines = re.sub("<[/]?(ul|li)>", "", page).strip()
    assert "<" not in lines and html.unescape(lines) == raw.strip()
