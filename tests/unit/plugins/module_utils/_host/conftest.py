# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host of files."""

from __future__ import annotations

import types
import typing as t

import pytest
from unit.host import World

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import software, system


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[World]:
    """A healthy host with a healthy TPM. What this machine has must not show in it: its disk, and the libraries of its Python."""
    made = World()

    def missing(name: str) -> str:
        raise software.importlib.metadata.PackageNotFoundError(name)

    def disk(_path: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(f_files=1000, f_favail=made.free_inodes, f_frsize=1, f_bavail=made.free)

    monkeypatch.setattr(software.importlib.metadata, "version", missing)
    monkeypatch.setattr(system.os, "statvfs", disk)
    yield made
    made.close()
