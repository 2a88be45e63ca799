# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reader who follows a page to the letter: runs its commands, writes its files, compares what it shows."""

from __future__ import annotations

import re
import shlex
import typing as t

import yaml

from guide.lab import HOME, Lab
from guide.page import Block, blocks

Check = t.Callable[[str], None]
_EDITOR = '#!/bin/sh\ncat /tmp/edited >"$1"\n'
_PASSWORD = "the factory's password of the vault"
# What this reader answers to questions, beside the passwords that a page tells of.
ANSWERS = {r"(New v|Confirm new v|V)ault password \(factory\): ": _PASSWORD}


def recap(said: str, *devices: str) -> dict[str, dict[str, int]]:
    """What Ansible counted for each device; raises AssertionError unless these devices had a part in it, and none failed."""
    lines = re.findall(r"^(\S+) +: (ok=.*)$", said, re.MULTILINE)
    found = {name: {word: int(count) for word, count in re.findall(r"(\w+)=(\d+)", counts)} for name, counts in lines}
    assert sorted(found) == sorted(devices), said
    assert all(one["failed"] == one["unreachable"] == 0 for one in found.values()), said
    return found


class Reader:
    """Executes the blocks of a page in order; `answers` are those to questions that only this page brings about, as the terminal takes them."""

    def __init__(self, lab: Lab, page: str, answers: t.Mapping[str, str] | None = None) -> None:
        self.lab, self.blocks = lab, blocks(page)
        self._answers = {**ANSWERS, **(answers or {})}
        self.terminal = lab.terminal(self._answers)
        lab.controller.run(f"printf %s {shlex.quote(_EDITOR)} >/tmp/editor && chmod 755 /tmp/editor")
        lab.controller.run("cat >/tmp/vault-pass && chmod 644 /tmp/vault-pass", text=_PASSWORD)

    def follow(self, checks: t.Mapping[str, Check]) -> None:
        """Execute all blocks. Each check has the text, on a line of its own, that only one block has, and is given what that block has printed."""
        for line in checks:
            assert sum(line in block.text.splitlines() for block in self.blocks) == 1, f"not in just one block: {line}"
        for number, block in enumerate(self.blocks):
            print(block.where, *(" ".join(mark) for mark in block.marks), sep="  ", flush=True)
            if block.mark("not run:") is None and block.mark("editor") is None:
                following = self.blocks[number + 1] if number + 1 < len(self.blocks) else None
                said = self.execute(block, following if following and following.mark("editor") is not None else None)
                for line in block.text.splitlines():
                    if line in checks:
                        checks[line](said)
        self.terminal.close()

    def execute(self, block: Block, editor: Block | None = None) -> str:
        """Execute one block, with what is written in the editor that it opens; return what it printed."""
        if block.mark("shows") is not None:
            assert self.filled(block) in self.there(f"cat {block.mark('shows')}"), block.where
        elif block.mark("decrypts") is not None:
            kept = self.there(f"ansible-vault view --vault-id factory@/tmp/vault-pass {block.mark('decrypts')}")
            assert yaml.safe_load(kept).keys() == yaml.safe_load(block.text).keys(), block.where
        elif block.file:
            self.write(block.file, self.filled(block), re.findall(r"\A# .*, without (\w+)$", block.text, re.MULTILINE))
        elif block.mark("tasks") is not None:
            play = [{"name": "Play", "hosts": "edge-01", "gather_facts": False, "tasks": yaml.safe_load(block.text)}]
            self.write("play.yml", yaml.safe_dump(play))
        else:
            assert block.language == "sh", f"{block.where}: what is to be done with this block?"
            return self.type(block, editor)
        return ""

    def type(self, block: Block, editor: Block | None) -> str:
        """Run the lines of a block where they are to be run; return what they printed."""
        if editor:
            self.there("cat >/tmp/edited", self.filled(editor))
        self.lab.controller.run("cat >/tmp/block && chmod 644 /tmp/block", text=self.filled(block))
        if (host := block.mark("on")) is not None:
            said = self.lab.devices[host].run(self.filled(block))
        elif (user := block.mark("as")) is not None:
            said = self.lab.terminal(self._answers, user).run(". /tmp/block")
        else:
            said = self.terminal.run(". /tmp/block")
        if (given := block.mark("gives")) is not None:
            text, _in, name = given.partition(" in ")
            old = self.there(f"cat {name}")
            assert text in old, f"{block.where}: {text}"
            self.there(f"cat >{name}", old.replace(text, said.split()[0]))
        return said

    def again(self, line: str) -> str:
        """Execute once more the block that has a line; return what it printed."""
        (block,) = [one for one in self.blocks if line in one.text.splitlines()]
        return self.execute(block)

    def there(self, script: str, text: str | None = None) -> str:
        """Run lines of shell in the folder in which the terminal is; return what they printed."""
        return self.lab.user(f"cd {self.terminal.run('pwd').strip() or HOME} && {script}", text)

    def filled(self, block: Block) -> str:
        """The text of a block, with what only the user knows."""
        text = block.text
        for placeholder, command in block.values:
            assert placeholder in text, f"{block.where}: {placeholder}"
            text = text.replace(placeholder, self.there(command).strip())
        return text

    def write(self, name: str, text: str, without: t.Collection[str] = ()) -> None:
        """Write a file; of the variables that it has, those in `text` are replaced and those in `without` removed, as somebody does in an editor."""
        old = self.there(f"cat {name} 2>/dev/null || true")
        if old and isinstance(new := yaml.safe_load(text) or {}, dict):
            parts = re.split(r"^(?=\S)", old, flags=re.MULTILINE)
            old = "".join(part for part in parts if part.partition(":")[0] not in (*new, *without))
        self.there(f"mkdir -p $(dirname {name}) && cat >{name}", old + text)
