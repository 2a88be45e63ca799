# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in virtual machines share. Tests of one machine belong to one group: xdist gives a group to one worker."""

from __future__ import annotations

import typing as t

import pytest
from support import places

from vm import images, measurements
from vm.story import Story


def pytest_configure(config: pytest.Config) -> None:
    """The part that continuous integration runs where all would take too long."""
    config.addinivalue_line("markers", "core: the most telling tests in virtual machines (scripts/vm ci)")


@pytest.fixture(scope="session", autouse=True)
def collection_tree() -> None:
    """The collection where Ansible finds it."""
    places.python_path()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one machine go to one worker. A mark on the fixture's parameter would be seen by pytest, and not by xdist."""
    for item in items:
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if "suite" in params:
            item.add_marker(pytest.mark.xdist_group(str(params["suite"])))


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
