# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is made once for all workers of a session of pytest."""

from __future__ import annotations

import fcntl
import pathlib
import shutil
import typing as t

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: t.Callable[[pathlib.Path], object]) -> pathlib.Path:
    """The session's folder of that name, which the first worker that asks fills with `make`; again by the next if that fails."""
    base = factory.getbasetemp()
    folder = (base.parent if base.name.startswith("popen-") else base) / name
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            making = folder.with_name(f"{name}.making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(folder)
    return folder
