# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in virtual machines share. Tests of one machine are run by one worker."""

from __future__ import annotations

import typing as t

import pytest
from support import places
from xdist.scheduler import LoadScopeScheduling

from vm import images, measurements
from vm.story import Story


def pytest_configure(config: pytest.Config) -> None:
    """The part that continuous integration runs where all would take too long."""
    config.addinivalue_line("markers", "core: the most telling tests in virtual machines (scripts/vm ci)")


@pytest.fixture(scope="session", autouse=True)
def collection_tree() -> None:
    """The collection where Ansible finds it."""
    places.python_path()


class OneWorkerPerMachine(LoadScopeScheduling):
    """Gives all tests of one machine to one worker. (The marks `xdist_group` do not reach xdist 3.8 from pytest 9.2.)"""

    def _split_scope(self, nodeid: str) -> str:
        return next((suite for suite in images.SUITES if f"[{suite}" in nodeid), "uefi")


def pytest_xdist_make_scheduler(config: pytest.Config, log: t.Any) -> OneWorkerPerMachine:
    """What `-n` uses to hand out the tests."""
    return OneWorkerPerMachine(config, log)


@pytest.fixture(scope="session", params=images.SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """A Debian release, by its code name."""
    return str(request.param)


@pytest.fixture(scope="session")
def story(suite: str) -> t.Iterator[Story]:
    """A bare host of the suite that the roles, and then day_zero, have been run over, each twice; what was seen on the way is in it."""
    with images.new_machine(suite, suite) as machine:
        told = Story(suite, machine)
        told.tell()
        yield told
        measurements.write(told)
