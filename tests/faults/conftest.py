# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the fault tests."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import faults, places
from support.proxy import Proxy
from support.swtpm import Swtpm

# Every position of each profile is tried with one of the device's Pythons in one half of the faults, with the other in the other half.
_ONE_HALF = {"reference": "system", "hardened": "venv"}
_OTHER_HALF = {"reference": "venv", "hardened": "system"}
MakeDevice = t.Callable[..., faults.Device]


@pytest.fixture(scope="session")
def python_of(system_python: str, venv_python: str) -> dict[str, str]:
    """The interpreter by profile, for one half of the faults."""
    return _by_variant(_ONE_HALF, system_python, venv_python)


@pytest.fixture(scope="session")
def other_python_of(system_python: str, venv_python: str) -> dict[str, str]:
    """The interpreter by profile, for the other half of the faults."""
    return _by_variant(_OTHER_HALF, system_python, venv_python)


def _by_variant(kinds: dict[str, str], system: str, venv: str) -> dict[str, str]:
    chosen = {variant: {"system": system, "venv": venv}[kind] for variant, kind in kinds.items()}
    return {**chosen, "controller": places.FromController(system)}


@pytest.fixture
def new_device(new_swtpm: t.Callable[..., Swtpm], tmp_path: pathlib.Path) -> t.Iterator[MakeDevice]:
    """A maker of devices: ``new_device(variant, python)``; the TPM is blank unless `state` is given."""
    made: list[faults.Device] = []

    def make(variant: str, python: str, state: pathlib.Path | None = None) -> faults.Device:
        swtpm = new_swtpm(state)
        folder = tmp_path / f"device{len(made)}"
        folder.mkdir(mode=0o700)
        device = faults.Device(variant, swtpm, Proxy(swtpm), folder, python)
        made.append(device)
        return device

    yield make
    for device in made:
        device.proxy.close()


_CLEAN: dict[tuple[str, str], faults.CleanRun] = {}


@pytest.fixture
def clean(new_device: MakeDevice) -> t.Callable[[str, str], faults.CleanRun]:
    """``clean(variant, python)``: an undisturbed first run, made once per worker."""

    def get(variant: str, python: str) -> faults.CleanRun:
        if (variant, python) not in _CLEAN:
            _CLEAN[variant, python] = faults.clean_run(new_device(variant, python))
        return _CLEAN[variant, python]

    return get
