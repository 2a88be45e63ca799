# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the attacks share: a device that was hardened and enrolled honestly, on the newest core."""

from __future__ import annotations

import fcntl
import json
import pathlib
import typing as t

import pytest
from support.controller import Controller, cores
from support.factory import Line, Vendor
from support.scene import Scene

NewScene = t.Callable[..., Scene]


@pytest.fixture
def new_scene(tmp_path: pathlib.Path, vendor: Vendor, system_python: str) -> t.Iterator[NewScene]:
    """A maker of scenes: `new_scene(name)`, with `past` a device that was there before, with `core` another ansible-core; all end with the test."""
    made: list[Scene] = []

    def make(name: str, *, past: pathlib.Path | None = None, core: int = -1) -> Scene:
        made.append(Scene(tmp_path / name, vendor, cores()[core]["ansible_playbook"], system_python, past))
        return made[-1]

    yield make
    for scene in made:
        scene.line.close()


@pytest.fixture
def line(tmp_path: pathlib.Path, vendor: Vendor, system_python: str) -> t.Iterator[Line]:
    """An empty factory line with a registry in SQLite, on the newest core."""
    made = Line(tmp_path / "line", vendor, Controller(tmp_path, cores()[-1]["ansible_playbook"], system_python))
    yield made
    made.close()


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor, system_python: str) -> pathlib.Path:
    """What is left of an honest day zero: made once for all workers of the session."""
    shared = tmp_path_factory.getbasetemp()
    folder = (shared.parent if shared.name.startswith("popen-") else shared) / "scene"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "past").exists():
            # Anew where an earlier try has failed.
            with Scene(tmp_path_factory.mktemp("honest") / "first", vendor, cores()[-1]["ansible_playbook"], system_python) as scene:
                done = scene.play("day_zero")
                assert done.returncode == 0, done.stdout + done.stderr
                looks = json.dumps(scene.looks(), default=bytes.hex, sort_keys=True)
                scene.keep(folder / "past")
                (folder / "past" / "looks.json").write_text(looks)
    return folder / "past"
