# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of playbooks share: controllers that run them by name, with the shipped ansible.cfg."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import enroll
from support.controller import Controller, cores
from support.factory import Line, Vendor
from support.hand import Hand
from support.tools import Tools


@pytest.fixture(params=cores(), ids=lambda entry: f"core-{entry['core']}")
def each_controller(request: pytest.FixtureRequest, tmp_path: pathlib.Path, system_python: str) -> Controller:
    """A controller on the oldest, then on the newest core; devices have the distribution's Python."""
    return Controller(tmp_path, request.param["ansible_playbook"], system_python)


@pytest.fixture
def controller(tmp_path: pathlib.Path, system_python: str) -> Controller:
    """A controller on the newest core, for what does not hang on Ansible's version."""
    return Controller(tmp_path, cores()[-1]["ansible_playbook"], system_python)


@pytest.fixture
def hand(tools: Tools, tmp_path: pathlib.Path) -> Hand:
    """Objects made by hand, with tpm2-tools."""
    folder = tmp_path / "hand"
    folder.mkdir()
    return Hand(tools, folder)


@pytest.fixture
def line(tmp_path: pathlib.Path, vendor: Vendor, controller: Controller) -> t.Iterator[Line]:
    """An empty factory line with a registry in SQLite, on the newest core."""
    made = Line(tmp_path / "line", vendor, controller)
    yield made
    made.close()


@pytest.fixture
def each_line(tmp_path: pathlib.Path, vendor: Vendor, each_controller: Controller) -> t.Iterator[Line]:
    """The same, on the oldest and on the newest core."""
    made = Line(tmp_path / "line", vendor, each_controller)
    yield made
    made.close()


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor, system_python: str) -> enroll.Bench:
    """What the tests of enrolment share, one for all workers of the session."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if shared.name.startswith("popen-") else shared) / "bench"
    folder.mkdir(exist_ok=True)
    return enroll.Bench(folder, system_python, vendor)
