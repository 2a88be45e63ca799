# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not run of the pages as it is written: few blocks, each with its reason."""

from __future__ import annotations

import pytest
from guide.page import PAGES, blocks, marked

BOUNDS = {"not run:": 5, "value": 7, "gives": 1}


@pytest.mark.parametrize("word", BOUNDS)
def test_little_is_not_run_as_it_is_written(word: str) -> None:
    assert len(marked(word)) <= BOUNDS[word], marked(word)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_blocks(page: str) -> None:
    assert len(blocks(page)) > 5
