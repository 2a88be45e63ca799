# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A page as a list of blocks to be executed, in order, with the marks before them, which are HTML comments that a reader does not see.

`<!-- guide: MARK -->`, each on a line of its own right before the block:

- `not run: REASON`: it is not executed.
- `on HOST`: it is run on that device, as root.
- `as USER`: it is run on the controller as that user.
- `tasks`: it is a list of tasks, which run on one device.
- `file NAME`: it is the content of that file, whose name the page gives in its text.
- `shows NAME`: it is what that file holds already.
- `decrypts NAME`: it is what that encrypted file holds already, but for the values.
- `editor`: it is what the user writes in the editor that the block before it opens.
- `value TEXT is COMMAND`: TEXT stands for something that only the user knows, and COMMAND, on the controller, prints it.
- `gives TEXT in NAME`: the first word that it prints is what TEXT stands for in that file.
"""

from __future__ import annotations

import dataclasses
import re

from docs.documents import ROOT

PAGES = ("README.md", "docs/first-fleet.md", "docs/identity.md")
WORDS = ("not run:", "on", "as", "tasks", "file", "shows", "decrypts", "editor", "value", "gives")
_BLOCK = re.compile(r"((?:^<!-- guide: [^\n]* -->\n)*)^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(rf"^<!-- guide: ({'|'.join(WORDS)}) ?(.*) -->$", re.MULTILINE)
_NAME = re.compile(r"# ([\w./-]+\.yml)\b")


@dataclasses.dataclass(frozen=True)
class Block:
    """A fenced block; `marks` are pairs of a word of WORDS and the rest, and `section` is the title that it is under."""

    where: str
    language: str
    text: str
    marks: tuple[tuple[str, str], ...]
    section: str

    def mark(self, word: str) -> str | None:
        """The rest of its mark with that word."""
        return dict(self.marks).get(word)

    @property
    def values(self) -> list[tuple[str, str]]:
        """Its texts that stand for something else, with the commands that print that."""
        return [(text, command) for word, rest in self.marks if word == "value" for text, _is, command in [rest.partition(" is ")]]

    @property
    def file(self) -> str | None:
        """The file whose content it is: as its mark says, or its first line."""
        named = _NAME.match(self.text)
        return self.mark("file") or (named[1] if named and self.language in ("yaml", "ini") else None)


def blocks(name: str) -> list[Block]:
    """All fenced blocks of a page. Raises AssertionError for a mark that nobody knows, and for a file whose name the text before does not give."""
    text = (ROOT / name).read_text()
    found = []
    for match in _BLOCK.finditer(text):
        marks = tuple(_MARK.findall(match[1]))
        assert len(marks) == match[1].count("\n"), f"{name}: {match[1]}"
        above = text[: match.start()]
        title = above.rpartition("\n## ")[2].partition("\n")[0]
        block = Block(f"{name}:{text.count(chr(10), 0, match.start(2)) + 1}", match[2], match[3], marks, title)
        for word in ("file", "shows", "decrypts"):
            assert (block.mark(word) or "") in above[above.index("\n## ") :], f"{block.where}: the text does not name {block.mark(word)}"
        found.append(block)
    return found


def marked(word: str) -> list[str]:
    """Where the pages have a mark with that word, and what it says."""
    return [f"{block.where}: {word} {rest}" for name in PAGES for block in blocks(name) for found, rest in block.marks if found == word]
