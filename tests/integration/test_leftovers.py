# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TPM without resource manager that interrupted programs have left full: what only reads flushes them too, and says so."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from support import module
from support.swtpm import Swtpm
from support.tools import Tools, leftovers

AK = {"template": "iak_ecc_p256"}


@pytest.fixture
def full(swtpm: Swtpm, tools: Tools, tmp_path: pathlib.Path, system_python: str) -> t.Callable[[], None]:
    """Fills the TPM: not even a public area can be read then."""
    for options in ({}, AK, {"template": "ek_rsa_2048"}):
        module.run("tpm2_primary_key", {"tcti": swtpm.tcti, **options}, python=system_python).expect_ok()

    def fill() -> None:
        while len(tools.transients()) < 3:
            tools.run("createprimary", "-Q", "-C", "n", "-G", "ecc", "-c", tmp_path / "left.ctx")

    fill()
    return fill


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tpm2_info", {"gather": ["persistent_handles"]}),
        ("tpm2_info", {"gather": ["identity", "persistent_handles", "findings"]}),
        ("tpm2_primary_key", {}),
        ("tpm2_key", {"handle": "0x81000210"}),
        ("tpm2_evidence", {"collect": {"nonce": "00" * 32, "pcrs": {"bank": "sha256", "indices": [7]}}}),
    ],
)
@pytest.mark.parametrize("check", [True, False])
def test_reads_make_room(
    full: t.Callable[[], None], swtpm: Swtpm, system_python: str, name: str, options: dict[str, t.Any], check: bool
) -> None:
    answer = module.run(name, {"tcti": swtpm.tcti, **options}, python=system_python, check=check).expect_ok()
    assert json.dumps(answer["warnings"]).count("flushed 0x80000000, 0x80000001, 0x80000002, which an interrupted program had left") == 1
    assert leftovers(swtpm) == []
    answer = module.run(name, {"tcti": swtpm.tcti, **options}, python=system_python, check=check).expect_ok()
    assert not answer.get("warnings")


def test_behind_a_resource_manager_nothing_is_flushed(full: t.Callable[[], None], swtpm: Swtpm, system_python: str) -> None:
    """Of tcti: tabrmd and the kernel's own the loaded objects of others are none of our business; the reader is told so by its place."""
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors

    with swtpm.raw() as tpm, pytest.raises(errors.TpmResponseError, match="TPM_RC_OBJECT_MEMORY"):
        Reader(tpm).read_public(0x81000001)
    assert len(leftovers(swtpm)) == 3
