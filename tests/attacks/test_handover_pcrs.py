# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PCRs that are honest while they are quoted, and others once a secret is to be sealed: it opens in the quoted state, and in no other."""

from __future__ import annotations

import threading

import pytest
from support import profile
from support.commands import Record
from support.controller import said, totals
from support.factory import Line, Unit
from support.proxy import Proxy
from support.scene import KEY
from support.tools import ToolError, Tools

FALSE = bytes([0x5A]) * 32


def _lies(proxy: Proxy, _unit: Unit) -> None:
    """The TPM's answers to all later PCR_Read are exchanged for another value."""

    def lie(record: Record) -> None:
        record.response = record.response[:-32] + FALSE
        proxy.after(None, lie, code="TPM2_PCR_Read")

    proxy.after(None, lie, code="TPM2_PCR_Read")


def _extends(_proxy: Proxy, unit: Unit) -> None:
    """The device is brought into another state, until its next boot."""

    def extend() -> None:
        with unit.swtpm.raw() as tpm:
            tpm.pcr_event(7, b"another system was started")

    # A TPM has one client at a time: this one waits for the end of the second exchange, and is before the next module.
    threading.Thread(target=extend).start()


ATTACKS = {"lies": _lies, "extends": _extends}


@pytest.mark.parametrize("attack", ATTACKS)
def test_sealed_to_what_was_quoted(line: Line, attack: str) -> None:
    unit = line.put("edge-01")
    blob = unit.folder / "telemetry.key.pem"
    host = {**line.variables, **unit.host, "tpm2_become": False, "tpm2_profile_telemetry_key": KEY}
    with Proxy(unit.swtpm) as proxy:
        # The quote, and the values that are sent with it, are true.
        proxy.after(None, lambda _record: ATTACKS[attack](proxy, unit), code="TPM2_ActivateCredential")
        done = line.controller("edgefleet.tpm2.day_zero", {"edge-01": {**host, "tpm2_profile_tcti": proxy.tcti}})
        # The last look at the device finds other PCRs.
        assert done.returncode != 0 and "PCRs may have changed since it was sealed" in said(done), said(done)
    tools = Tools(unit.swtpm.tcti)
    if attack == "extends":
        with pytest.raises(ToolError):
            tools.load_unseal(blob)
        unit.swtpm.restart()
    assert tools.load_unseal(blob) == profile.TELEMETRY_KEY
    again = line.controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert again.returncode == 0 and totals(again)["edge-01"]["changed"] == 0, said(again)
