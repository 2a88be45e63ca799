# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile's bed: the engine on a TPM of Python."""

from __future__ import annotations

import pathlib

import pytest
from unit.bed import Bed


@pytest.fixture
def bed(tmp_path: pathlib.Path) -> Bed:
    """A blank TPM with PCR 7 measured, and an empty folder."""
    return Bed(tmp_path)
