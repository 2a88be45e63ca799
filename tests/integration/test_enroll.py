# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Day zero with a registry, on real TPMs: enrolled, recognised, and what OpenSSL then says of the certificates."""

from __future__ import annotations

import subprocess

from support.controller import said, totals
from support.factory import Line


def test_a_device_is_enrolled_and_recognised(line: Line) -> None:
    line.put("edge-01")
    first = line.play("edgefleet.tpm2.day_zero")
    assert first.returncode == 0, said(first)
    second = line.play("edgefleet.tpm2.day_zero")
    assert second.returncode == 0 and totals(second)["edge-01"]["changed"] == 0, said(second)
    for kind in ("iak", "idevid"):
        certificate = line.units["edge-01"].folder / f"{kind}.cert.pem"
        checked = subprocess.run(
            ["openssl", "verify", "-CAfile", line.ca.root_path, "-untrusted", certificate, certificate],
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr
