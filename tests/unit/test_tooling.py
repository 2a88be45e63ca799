# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that the README's commands stand on."""

from __future__ import annotations

import ast
import collections
import pathlib
import re
import runpy
import shutil
import subprocess

import pytest
import yaml
from ansiblelint.config import Options

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_make_alone_prints_every_target_with_a_sentence() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    printed = subprocess.run(["make", "--no-print-directory", "-C", str(ROOT)], capture_output=True, text=True, check=True).stdout
    shown = dict(re.findall(r"^  (\w+) +([A-Z].*\.)$", printed, re.MULTILINE))
    assert sorted(shown) == sorted(phony.split())
    assert {"help", "demo", "test", "lint", "bench", "clean"} <= set(shown)


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    """A small checkout at a path with a space in it."""
    folder = tmp_path / "some where"
    shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "plugins").mkdir()
    (folder / "plugins/one.py").write_text("# one\n")
    (folder / "galaxy.yml").write_text("---\n")
    (folder / ".gitignore").write_text("/.work/\nignored\n")
    return folder


def run(script: pathlib.Path, *arguments: str | pathlib.Path) -> str:
    done = subprocess.run([str(script), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_tree_follows_the_checkout(checkout: pathlib.Path) -> None:
    tree = checkout / ".work/collections/ansible_collections/edgefleet/tpm2"
    run(checkout / "scripts/tree")
    assert (tree / "plugins/one.py").read_text() == "# one\n"
    assert sorted(path.name for path in tree.iterdir()) == [".gitignore", "galaxy.yml", "plugins", "scripts"]

    (checkout / "plugins/one.py").write_text("# edited\n")
    (checkout / "galaxy.yml").rename(checkout / "other.yml")
    moved = checkout.rename(checkout.with_name("moved"))
    tree = moved / ".work/collections/ansible_collections/edgefleet/tpm2"
    assert (tree / "plugins/one.py").read_text() == "# edited\n"
    run(moved / "scripts/tree")
    assert sorted(path.name for path in tree.iterdir()) == [".gitignore", "other.yml", "plugins", "scripts"]


def test_a_copy_holds_what_git_would_hold(checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "add", "--all"], check=True)
    (checkout / "plugins/new.py").write_text("# new\n")
    (checkout / "galaxy.yml").unlink()
    (checkout / "ignored").write_text("x")
    run(checkout / "scripts/copy", tmp_path / "copies")
    copy = tmp_path / "copies/ansible_collections/edgefleet/tpm2"
    assert sorted(path.name for path in copy.iterdir()) == [".git", ".gitignore", "plugins", "scripts"]
    assert sorted(path.name for path in (copy / "plugins").iterdir()) == ["new.py", "one.py"]
    listed = subprocess.run(["git", "-C", str(copy), "ls-files"], capture_output=True, text=True, check=True).stdout.split()
    assert "plugins/new.py" in listed


def test_setup_says_what_stages_it_knows(checkout: pathlib.Path) -> None:
    done = subprocess.run([str(checkout / "scripts/setup"), "everything"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "setup: say 'demo', 'test', 'molecule' or 'vm', not 'everything'\n"


def test_the_oldest_core_is_the_one_that_the_collection_promises() -> None:
    floor = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    cores = runpy.run_path(str(ROOT / "scripts/cores.py"))["CORES"]
    assert floor == ">=" + ".".join(next(iter(cores)).split(".")[:2]) + ".0"


def test_the_floor_is_one_that_the_checker_of_certification_takes() -> None:
    floor = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["requires_ansible"]
    found = re.fullmatch(r">=(2\.\d+\.)0", floor)
    assert found and found[1] in Options().supported_ansible
    assert found[1] != "2.19."  # a technology preview in Automation Platform


def test_the_workflow_runs_what_can_be_run_anywhere_with_pinned_actions() -> None:
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    (job,) = yaml.safe_load(text)["jobs"].values()
    assert job["steps"][-1]["run"] == ".ci/run"
    used = re.findall(r"\buses: (\S+) # v\d", text)
    assert used and len(used) == text.count("uses:") and all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", one) for one in used)
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def folders_of(target: str) -> list[str]:
    """The folders of tests/ that a target gives to pytest: in its recipe, in a script that it calls, or in a session of nox that these name."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe, target
    noxfile = (ROOT / "noxfile.py").read_text()
    (folders,) = re.findall(r"^FOLDERS = (\{.*?^\})", noxfile, re.MULTILINE | re.DOTALL)
    texts = [recipe[1], *((ROOT / name).read_text() for name in re.findall(r"scripts/\w+", recipe[1]))]
    for names in re.findall(r'(?:\$\(NOX\)|"\$nox") -e ([\w -]+)', "\n".join(texts)):
        texts += [body for name in names.split() for body in re.findall(rf"^def {name}\(.*\n((?:    .*\n|\n)+)", noxfile, re.MULTILINE)]
    words = " ".join(line for text in texts for line in text.splitlines() if "pytest" in line)
    named = [folder for name in re.findall(r'FOLDERS\["(\w+)"\]', words) for folder in ast.literal_eval(folders)[name]]
    return named + re.findall(r"(?<![=/\w])tests/\w+", words)


def test_every_folder_of_tests_is_run_once_by_continuous_integration() -> None:
    targets = re.findall(r"^make (\w+)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    # `make coverage` measures what it runs; that it passes is for the others to show.
    run = collections.Counter(folder for target in targets if target != "coverage" for folder in folders_of(target))
    assert run == {str(folder.relative_to(ROOT)): 1 for folder in (ROOT / "tests").iterdir() if any(folder.rglob("test_*.py"))}
    assert list((ROOT / "tests").glob("test_*.py")) == []


def test_no_sanity_finding_is_ignored() -> None:
    entries = [path for path in (ROOT / "tests/sanity").glob("ignore-*.txt") if path.read_text().strip()]
    assert entries == []


def test_every_requirement_is_pinned() -> None:
    for path in (ROOT / "scripts").glob("*.txt"):
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert lines and all(re.match(r"^[\w.-]+(\[[\w,-]+\])?==[\w.]+(;.*)?$", line) for line in lines), path


def test_changelog_fragments_have_no_markup_of_ansible() -> None:
    """They become Markdown, which has double backquotes for literals and shows C(...) as it is written."""
    found = {path.name: re.findall(r"\b[BCEILMOPRUV]\(.*", path.read_text()) for path in (ROOT / "changelogs/fragments").glob("*.yml")}
    assert {name: lines for name, lines in found.items() if lines} == {}
