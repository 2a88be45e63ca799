# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages name exists: files they link to, files, make targets, variables, options and playbooks in code."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import typing as t

import pytest
from docs.documents import PAGES, ROLES, ROOT, blocks, links, name_of, named_tests, spans
from support import places

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds

UTILS = ROOT / "plugins/module_utils"
CONTROLLER_UTILS = ROOT / "plugins/plugin_utils"
TOP = {path.name for path in ROOT.iterdir() if path.is_dir()}
# An underscore word that is no option, no file and no program must occur in the sources as a word.
WORDS = {
    word
    for folder in ("plugins", "roles", "playbooks", "scripts", "tests/support")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yml")
    for word in re.findall(r"\w+", path.read_text())
}


def _options(spec: _argspec.Spec) -> t.Iterator[tuple[str, dict[str, t.Any]]]:
    for name, option in spec.items():
        yield name, option
        yield from _options(option.get("options") or {})


OPTIONS: dict[str, list[dict[str, t.Any]]] = {}
for _name, _option in [
    *(one for part in (_argspec, _argspec_identity) for name in part.__all__ for one in _options(getattr(part, name)())),
    *_options(_kinds.profile()),
    *ROLES.items(),
]:
    OPTIONS.setdefault(_name, []).append(_option)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    broken = []
    for target in links(page):
        path, _hash, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if "://" in target or not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    assert broken == []


def _anchors(page: pathlib.Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_tests_that_are_named_exist(page: pathlib.Path) -> None:
    missing = [
        (file, name) for file, name in named_tests(page) if not re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_line_of_the_security_page_has_its_test() -> None:
    rows = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if line.startswith("| ")]
    assert len(rows) > 30
    assert [row for row in rows if not row.startswith(("| tries |", "| --- |")) and "[test_" not in row.rpartition(" | ")[2]] == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, left = set(), [ROOT / "README.md"]
    while left:
        page = left.pop()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            left += [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
    assert {name_of(page) for page in PAGES if page.is_relative_to(ROOT / "docs")} - {name_of(page) for page in reached} == set()


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def is_pattern(path: str) -> bool:
    """Whether it is the name of a file to be made, with a word in capitals to be replaced."""
    return "NOUN" in path or "NUMBER" in path


def missing(text: str) -> list[str]:
    """What a line of shell names and does not exist: make targets and their variables, playbooks, scripts and files of the checkout."""
    found = []
    known = (ROOT / "Makefile").read_text() + (ROOT / "demo/run").read_text() + (ROOT / "tests/bench/bench.py").read_text()
    for line in (line.partition("#")[0] for line in text.splitlines()):
        if match := re.search(r"\bmake ([a-z]+)", line):
            found += [f"make {match[1]}"] if match[1] not in make_targets() else []
            found += [name for name in re.findall(r"\b([A-Z]+)=", line) if not re.search(rf"\b{name}\b", known)]
        found += [
            name for name in re.findall(r"ansible-playbook.* edgefleet\.tpm2\.(\w+)", line) if not (ROOT / f"playbooks/{name}.yml").exists()
        ]
        found += [
            name for name in re.findall(r"ansible-doc edgefleet\.tpm2\.(\w+)", line) if not (ROOT / f"plugins/modules/{name}.py").exists()
        ]
        files = re.findall(r"(?:^|\s)((?:scripts|tests|demo|roles)/[\w./-]+)", line)
        found += [name for name in files if not (ROOT / name).exists() and not is_pattern(name)]
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_commands_name_exists(page: pathlib.Path) -> None:
    assert [name for block in blocks(page, "sh", "console", "bash") for name in missing(block.text)] == []
    assert [name for span in spans(page) for name in missing(span)] == []


@pytest.mark.parametrize(
    "line", ["make coffee", "make demo CUPS=3", "ansible-playbook edgefleet.tpm2.day_one", "ansible-doc edgefleet.tpm2.x", "scripts/x"]
)
def test_a_command_that_is_not_there_is_noticed(line: str) -> None:
    assert len(missing(line)) == 1


def unknown(span: str) -> bool:
    """Whether a code span names an option, a choice, a file or a word of ours that does not exist."""
    if match := re.fullmatch(r"([a-z_0-9]+): (\S+)", span):
        return match[1] not in OPTIONS or not any(_takes(option, match[2]) for option in OPTIONS[match[1]])
    if re.fullmatch(r"[\w.-]+(/[\w.*-]+)+", span) and (span.split("/")[0] in TOP or span.startswith("_")):
        return not any(list(folder.glob(span)) for folder in (ROOT, UTILS, CONTROLLER_UTILS)) and not is_pattern(span)
    if re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)+", span):
        is_program = span.startswith("tpm2_") and shutil.which(span) is not None
        return not is_program and span not in WORDS and not list(UTILS.rglob(f"{span}*"))
    return False


def _takes(option: dict[str, t.Any], value: str) -> bool:
    kind = option.get("type", "str")
    return value in option["choices"] if "choices" in option else value in ("true", "false") if kind == "bool" else True


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "errors.md"], ids=name_of)
def test_options_files_and_words_exist(page: pathlib.Path) -> None:
    assert sorted(span for span in spans(page) if unknown(span)) == []


@pytest.mark.parametrize(
    "span",
    ["on_mismatch: ask", "on_mistake: fail", "no_da: perhaps", "tests/faults/test_nothing.py", "_backend/nothing.py", "no_such_word"],
)
def test_a_span_that_is_wrong_is_noticed(span: str) -> None:
    assert unknown(span)


def plugins() -> list[tuple[str, str]]:
    """Kind and name of everything that ansible-doc has a page of."""
    folders = {"module": "modules", "lookup": "lookup", "filter": "filter", "inventory": "inventory"}
    found = [(kind, path.stem) for kind, folder in folders.items() for path in sorted((ROOT / "plugins" / folder).glob("*.[py]*"))]
    return [(kind, name) for kind, name in found if not (kind == "filter" and (ROOT / f"plugins/filter/{name}.py").exists())]


def test_the_plugins_are_found() -> None:
    assert {kind for kind, _name in plugins()} == {"module", "lookup", "filter", "inventory"}


@pytest.mark.parametrize(("kind", "name"), plugins())
def test_the_plugins_have_pages(kind: str, name: str, tmp_path: pathlib.Path) -> None:
    places.python_path()
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS), "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_NOCOLOR": "1"}
    command = [str(places.venv() / "bin/ansible-doc"), "-t", kind, f"edgefleet.tpm2.{name}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "EXAMPLES" in done.stdout
    if kind == "module":
        assert ("registry" if name in ("tpm2_auth_generation", "tpm2_registry_info") else "tcti") in done.stdout
