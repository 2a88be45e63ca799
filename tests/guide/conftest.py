# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that follow the pages."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

import pytest
from support.places import ROOT, WORK

from guide.lab import ADDRESS, HOME, USER, Lab
from guide.page import marked


@pytest.fixture
def lab(tmp_path: pathlib.Path, request: pytest.FixtureRequest) -> t.Iterator[Lab]:
    """A controller with what Git has in the checkout: a line in the user's own Git configuration says where the README's address leads."""
    subprocess.run([str(ROOT / "scripts/copy"), str(tmp_path / "repository")], check=True)
    source = tmp_path / "repository/ansible_collections/edgefleet/tpm2"
    commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=all"]
    subprocess.run(["git", "-C", str(source), *commit], check=True)
    with Lab(WORK / f"log/guide-{request.node.name}.log") as made:
        made.controller.run("mkdir /srv/repository")
        made.controller.put(source, "/srv/repository")
        made.controller.run(f"chown -R {USER} /srv/repository")
        made.user(f'git config --global url."file:///srv/repository".insteadOf {ADDRESS}')
        assert made.user("pwd").strip() == HOME
        yield made


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print which blocks were not run as they are written."""
    terminalreporter.section("not run as it is written")
    for line in (*marked("not run:"), *marked("value"), *marked("gives")):
        terminalreporter.line(line)
