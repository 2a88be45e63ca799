# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests in virtual machines share. Tests of one machine belong to one group: xdist gives a group to one worker."""

from __future__ import annotations

import pytest
from support import places


def pytest_configure(config: pytest.Config) -> None:
    """The part that continuous integration runs where all would take too long."""
    config.addinivalue_line("markers", "core: the most telling tests in virtual machines (scripts/vm ci)")


@pytest.fixture(scope="session", autouse=True)
def collection_tree() -> None:
    """The collection where Ansible finds it."""
    places.python_path()
