# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the documentation says: its code blocks, code spans and links, and the modules' examples."""

from __future__ import annotations

import ast
import pathlib
import re
import typing as t

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "roles").glob("*/README.md")),
]
# Every role's options, by name.
ROLES: dict[str, dict[str, t.Any]] = {
    name: option
    for specs in sorted(ROOT.glob("roles/*/meta/argument_specs.yml"))
    for point in yaml.safe_load(specs.read_text())["argument_specs"].values()
    for name, option in point["options"].items()
}
MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))
PREFIX = "edgefleet.tpm2."
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")
Tasks = list[dict[str, t.Any]]


class Block(t.NamedTuple):
    """A fenced code block, and where it stands."""

    where: str
    language: str
    text: str

    @property
    def data(self) -> t.Any:
        """The block as YAML. Raises yaml.YAMLError."""
        return yaml.safe_load(self.text)

    @property
    def is_playbook(self) -> bool:
        """Whether it is a list of plays."""
        return isinstance(self.data, list) and all(isinstance(one, dict) and "hosts" in one for one in self.data)

    @property
    def is_tasks(self) -> bool:
        """Whether it is a list of tasks."""
        return isinstance(self.data, list) and not self.is_playbook

    @property
    def tasks(self) -> Tasks:
        """The tasks in it, be it a playbook or a list of tasks."""
        if self.is_playbook:
            return [task for play in self.data for task in play.get("tasks", [])]
        return t.cast(Tasks, self.data) if self.is_tasks else []


def name_of(page: pathlib.Path) -> str:
    """A file as the tests print it."""
    return str(page.relative_to(ROOT))


def blocks(page: pathlib.Path, *languages: str) -> list[Block]:
    """The fenced blocks of these languages."""
    text = page.read_text()
    found = [(match.start(), match[1], match[2]) for match in _BLOCK.finditer(text)]
    return [
        Block(f"{name_of(page)}:{text.count(chr(10), 0, at) + 1}", language, body) for at, language, body in found if language in languages
    ]


def examples(module: pathlib.Path) -> Block:
    """A module's EXAMPLES, as a block."""
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "EXAMPLES":
            return Block(f"{name_of(module)}:EXAMPLES", "yaml", ast.literal_eval(node.value))
    raise AssertionError(f"{module.name} has no EXAMPLES")


def spans(page: pathlib.Path) -> set[str]:
    """The code spans of a page, those in fenced blocks left out."""
    return set(_SPAN.findall(_BLOCK.sub("", page.read_text())))


def named_tests(page: pathlib.Path) -> set[tuple[str, str]]:
    """The tests that a page links to by their names: file and function."""
    found = re.findall(r"\[(test_\w+)\]\(([^)\s]+\.py)\)", page.read_text())
    return {(str((page.parent / file).resolve().relative_to(ROOT)), name) for name, file in found}


def links(page: pathlib.Path) -> list[str]:
    """The targets of all links of a page."""
    return _LINK.findall(_BLOCK.sub("", page.read_text()))


YAML_BLOCKS = [block for page in PAGES for block in blocks(page, "yaml", "yml")]
EXAMPLES = [examples(module) for module in MODULES]
