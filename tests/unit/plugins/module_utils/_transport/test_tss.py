# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCTI libraries: one that is missing, one that fails, and silence about what crosses."""

from __future__ import annotations

import ctypes
import os

import pytest
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tss
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What quiet() does to the environment ends with the test."""
    monkeypatch.setenv("TSS2_LOG", "all+trace")
    monkeypatch.setenv("TSS2_LOGFILE", "/proc/none")


def test_the_tss_is_silenced() -> None:
    tss.quiet()
    assert os.environ["TSS2_LOG"] == "all+none"
    assert "TSS2_LOGFILE" not in os.environ


def test_without_the_tss_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> ctypes.CDLL:
        raise OSError("cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(errors.DependencyError, match="tabrmd.*install tpm2-tss"):
        tss.Loaded(Tcti("tabrmd", ""))


def test_a_tcti_that_does_not_exist() -> None:
    with pytest.raises(errors.TpmError, match="Could not open the TPM at nosuch:x"):
        tss.Loaded(Tcti("nosuch", "x"))


def test_the_same_answers_as_over_the_socket(swtpm: Swtpm) -> None:
    connection = tss.Loaded(Tcti(*swtpm.tcti.split(":", 1)))
    assert Reader(connection).properties()[0x20E] == 0
    connection.close()
    connection.close()
