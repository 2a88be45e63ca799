# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in virtual machines share. Tests of one machine are run by one worker."""

from __future__ import annotations

import typing as t

import pytest
from support import places

from vm import images, measurements
from vm.story import Story


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much is to be run."""
    parser.addoption("--every", action="store_true", help="run every test on every release (scripts/vm every)")


def pytest_configure(config: pytest.Config) -> None:
    """Parts of the tests, for those who have less time than all of them take."""
    config.addinivalue_line("markers", "core: the most telling tests in virtual machines (scripts/vm ci)")
    config.addinivalue_line(
        "markers", "only(suite): on this release alone, on none without a name, unless every test is to run on every one"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `only` says: all of it on both releases takes twice the time, and finds what the containers find."""
    left_out = [] if config.getoption("--every") else [item for item in items if not _on_this(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _on_this(item: pytest.Item) -> bool:
    named = item.get_closest_marker("only")
    return named is None or item.callspec.params["suite"] in named.args


@pytest.fixture(scope="session", autouse=True)
def collection_tree() -> None:
    """The collection where Ansible finds it."""
    places.python_path()


@pytest.fixture(scope="session", params=[pytest.param(suite, marks=pytest.mark.xdist_group(suite)) for suite in images.SUITES])
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
