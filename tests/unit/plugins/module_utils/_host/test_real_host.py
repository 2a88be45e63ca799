# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the host is a real one: programs, processes that hold a node, sockets."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import typing as t

import pytest
from unit.host import World

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import holders, manager, run, software
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree

HOLD = "import os, sys, time; os.open(sys.argv[1], os.O_RDWR); print('open', flush=True); time.sleep(600)"


@pytest.fixture
def holder(world: World) -> t.Iterator[subprocess.Popen[str]]:
    """A process that has the stand-in for /dev/tpm0 open, in a world whose /proc is the real one."""
    world.remove("/proc")
    world.link("/proc", "/proc")
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(world.root / "dev/tpm0")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()


def test_a_process_that_holds_the_node(world: World, holder: subprocess.Popen[str]) -> None:
    found = {one["pid"]: one for one in holders.holders(world.tree(), ["/dev/tpm0"])}
    assert found[holder.pid]["path"] == "/dev/tpm0"
    assert found[holder.pid]["process"] == pathlib.Path(f"/proc/{holder.pid}/comm").read_text().strip()
    assert found[holder.pid]["hung"] is False


def test_a_process_that_is_stopped_holds_for_ever(world: World, holder: subprocess.Popen[str]) -> None:
    os.kill(holder.pid, signal.SIGSTOP)
    os.waitpid(holder.pid, os.WUNTRACED)
    found = {one["pid"]: one for one in holders.holders(world.tree(), ["/dev/tpm0"])}
    assert (found[holder.pid]["state"], found[holder.pid]["hung"]) == ("T", True)


def test_a_program_and_what_it_says() -> None:
    assert run.run(["printf", "a b"]) == "a b"
    assert run.run(["sh", "-c", "echo partly; exit 1"]) == "partly\n"


def test_a_program_that_is_missing_or_too_slow_says_nothing() -> None:
    assert run.run(["no-such-program-here"]) is None
    assert run.run(["sleep", "600"], limit=0.2) is None


def test_the_packages_are_those_of_dpkg() -> None:
    listed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "swtpm"], capture_output=True, text=True, check=True).stdout
    assert software.software(Tree(), "apt")["swtpm"] == listed


def test_a_bus_that_nobody_serves_is_down(world: World) -> None:
    assert manager.bus_runs(world.tree()) is False
    world.write("/run/dbus/system_bus_socket", "")
    assert manager.bus_runs(world.tree()) is False
    world.remove("/run/dbus")
    world.bus()
    assert manager.bus_runs(world.tree()) is True
