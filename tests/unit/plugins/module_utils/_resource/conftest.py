# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A profile's bed: the engine on a TPM of Python."""

from __future__ import annotations

import pathlib
import sys
import types

import pytest
from unit.bed import Bed
from unit.fakes import FakeTpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _backend
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import engine
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti


@pytest.fixture
def bed(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> Bed:
    """A blank TPM with PCR 7 measured, and an empty folder."""
    made = Bed(tmp_path)

    def opened(_tcti: Tcti, _buffer: int) -> FakeTpm:
        made.tpm.opened += 1
        return made.tpm

    fake = types.SimpleNamespace(Esapi=opened, require_library=lambda: None)
    monkeypatch.setitem(sys.modules, f"{_backend.__name__}.esapi", fake)
    monkeypatch.setattr(_backend, "esapi", fake, raising=False)
    monkeypatch.setattr(engine.transport, "connect", lambda _tcti: types.SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(engine, "Reader", lambda _connection: made.tpm)
    return made
