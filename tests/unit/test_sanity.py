# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/sanity runs ansible-test once for the same files, and again for any others."""

from __future__ import annotations

import os
import pathlib
import runpy
import shutil
import subprocess
import sys
import typing as t

import pytest
from support.places import ROOT

# Takes the place of ansible-test: counts its runs, and fails if a file says so.
ANSIBLE_TEST = """\
import pathlib, sys
with open({ran!r}, "a") as ran:
    ran.write("x")
print('Running sanity test "import"')
print("WARNING: Skipping sanity test 'pslint' because pwsh is missing.")
sys.exit("bad" in pathlib.Path("plugins/one.py").read_text())
"""


class Checkout:
    """A small checkout, with a core whose ansible-test is the one above."""

    def __init__(self, folder: pathlib.Path, cache: pathlib.Path) -> None:
        self.root, self._cache, self._ran = folder, cache, cache / "ran"
        shutil.copytree(ROOT / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in {
            "plugins/one.py": "# one\n",
            "plugins/two.py": "# two\n",
            "ignored": "x",
            ".gitignore": "/.work/\nignored\n",
        }.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        (folder / "link").symlink_to("plugins")
        (folder / ".work/log").mkdir(parents=True)
        subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
        program = folder / ".work/ansible-test"
        program.write_text(ANSIBLE_TEST.format(ran=str(self._ran)))
        self.core = {"core": "2.18.19", "python": "3.11", "bin": str(pathlib.Path(sys.executable).parent), "ansible_test": str(program)}

    def failed(self, *arguments: str, path: str = os.defpath) -> list[str]:
        """Run sanity; return the cores with which it failed."""
        check = runpy.run_path(str(self.root / "scripts/sanity.py"))["check"]
        check.__globals__.update(CACHE=self._cache, prepare=lambda core: None)
        return t.cast("list[str]", check([self.core], list(arguments), path))

    def runs(self) -> int:
        """How often ansible-test has run, in all checkouts with this cache."""
        return self._ran.stat().st_size if self._ran.exists() else 0


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> Checkout:
    """A checkout whose files have passed."""
    (tmp_path / "cache").mkdir()
    made = Checkout(tmp_path / "checkout", tmp_path / "cache")
    assert made.failed() == [] and made.runs() == 1
    return made


def test_the_same_files_are_clean_in_every_checkout(checkout: Checkout, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout.root / "ignored").write_text("another")
    os.utime(checkout.root / "plugins/one.py", (1, 1))
    for one in (checkout, Checkout(tmp_path / "clone", tmp_path / "cache")):
        capsys.readouterr()
        assert one.failed() == [] and one.runs() == 1
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(
            "core 2.18.19: clean already; these files have passed 1 sanity tests. not run: 'pslint' because pwsh is missing. "
        )


def test_what_failed_runs_again(checkout: Checkout) -> None:
    (checkout.root / "plugins/one.py").write_text("# bad\n")
    assert [checkout.failed(), checkout.failed()] == [["2.18.19"], ["2.18.19"]] and checkout.runs() == 3


CHANGES: dict[str, t.Callable[[pathlib.Path], object]] = {
    "another byte": lambda root: (root / "plugins/one.py").write_text("# One\n"),
    "other ends of lines": lambda root: (root / "plugins/one.py").write_bytes(b"# one\r\n"),
    "a new file": lambda root: (root / "plugins/three.py").touch(),
    "a file less": lambda root: (root / "plugins/two.py").unlink(),
    "another name": lambda root: (root / "plugins/two.py").rename(root / "plugins/three.py"),
    "contents exchanged": lambda root: [
        (root / f"plugins/{name}.py").write_text(f"# {other}\n") for name, other in (("one", "two"), ("two", "one"))
    ],
    "a right to be executed": lambda root: (root / "plugins/one.py").chmod(0o755),
    "a link elsewhere": lambda root: [(root / "link").unlink(), (root / "link").symlink_to("scripts")],
    "a file in place of a link": lambda root: [(root / "link").unlink(), (root / "link").write_text("plugins")],
    "a file that was ignored": lambda root: (root / ".gitignore").write_text("/.work/\n"),
    "another script": lambda root: (root / "scripts/copy").write_text((root / "scripts/copy").read_text() + "# more\n"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_files_run_again(checkout: Checkout, change: str) -> None:
    CHANGES[change](checkout.root)
    assert [checkout.failed(), checkout.failed()] == [[], []] and checkout.runs() == 2


@pytest.mark.parametrize(("key", "value"), [("core", "2.18.20"), ("python", "3.12")])
def test_another_core_runs(checkout: Checkout, key: str, value: str) -> None:
    checkout.core[key] = value
    assert checkout.failed() == [] and checkout.runs() == 2


def test_other_arguments_and_another_python_run(checkout: Checkout, tmp_path: pathlib.Path) -> None:
    assert checkout.failed("--test", "import") == [] and checkout.runs() == 2
    python = tmp_path / "bin/python3.14"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho Python 3.14.99\n")
    python.chmod(0o755)
    assert checkout.failed(path=f"{python.parent}:{os.defpath}") == [] and checkout.runs() == 3


def test_files_that_were_exchanged_in_the_meantime_are_not_taken_as_clean(checkout: Checkout) -> None:
    program = pathlib.Path(checkout.core["ansible_test"])
    program.write_text(program.read_text().replace("sys.exit", "pathlib.Path('plugins/two.py').write_text('# another')\nsys.exit"))
    (checkout.root / "plugins/one.py").write_text("# new\n")
    assert [checkout.failed(), checkout.failed()] == [[], []] and checkout.runs() == 3
