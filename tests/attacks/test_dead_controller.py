# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that dies while a device works on its secrets: what lies on the disks of both then."""

from __future__ import annotations

import os
import pathlib
import signal
import tempfile
import time
import typing as t

import pytest
from support import profile, secrets
from support.scene import HOST, MASTER, Scene
from support.tools import Tools

NewScene = t.Callable[..., Scene]


def family(pid: int) -> list[int]:
    """A process and all that it has started, and so on."""
    try:
        tasks = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    except FileNotFoundError:
        return []
    return [pid, *(one for text in tasks for child in text.split() for one in family(int(child)))]


@pytest.fixture
def tmpdir() -> t.Iterator[pathlib.Path]:
    """A folder for temporary files of both sides."""
    with tempfile.TemporaryDirectory(prefix="ef") as folder:
        yield pathlib.Path(folder)


def test_a_controller_that_dies_leaves_no_secret(new_scene: NewScene, past: pathlib.Path, tmpdir: pathlib.Path) -> None:
    """It is killed while the module that has got the auths waits for its TPM; its tidying up is never done."""
    scene = new_scene("dying", past=past)
    # The blob is gone: its content is sent once more, beside the auths.
    (scene.unit.folder / "telemetry.key.pem").unlink()
    device, remote = scene.belongs_to(hang="plugins.modules.tpm2_profile"), scene.folder / "remote"
    # Not below the scene: Ansible's own sockets need a short path.
    scene.line.controller.settings["TMPDIR"] = str(tmpdir)
    command = scene.line.controller.start(
        "edgefleet.tpm2.day_zero", {HOST: scene.host(ansible_remote_tmp=str(remote), tpm2_profile_execution="device")}
    )
    try:
        while command.poll() is None and not device.hung.exists():
            time.sleep(0.05)
        assert device.hung.exists(), command.communicate()
    finally:
        for pid in family(command.pid):
            os.kill(pid, signal.SIGKILL)
        command.communicate()
    values = {"master": MASTER.encode(), "telemetry key": profile.TELEMETRY_KEY}
    values |= {name: scene.auth(name, 1).encode() for name in ("owner", "endorsement", "lockout")}
    desk, line = scene.folder / "desk" / "ansible", scene.line
    looked = [tmpdir, remote, scene.folder / "rogue", scene.unit.folder, desk, line.records]
    assert [found for folder in looked if folder.is_dir() for found in secrets.in_files(folder, values)] == []
    del scene.line.controller.settings["TMPDIR"]
    scene.rogue = None
    again = scene.play("day_zero")
    assert again.returncode == 0, again.stdout + again.stderr
    assert Tools(scene.unit.swtpm.tcti).load_unseal(scene.unit.folder / "telemetry.key.pem") == profile.TELEMETRY_KEY
