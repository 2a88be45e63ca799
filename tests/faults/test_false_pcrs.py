# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody between module and TPM lies about PCRs, to choose what a secret is sealed to: nothing is sealed, and nothing is bound to them."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest
from support import module, profile
from support.commands import Record
from support.proxy import Proxy
from support.tools import Tools, leftovers

FALSE = bytes([0x5A]) * 32
SRK: dict[str, t.Any] = {"primary_key": {"template": "srk_ecc_p256"}}
PCRS = {"bank": "sha256", "indices": [0, 7]}
POLICY = [{"pcr": PCRS}]


def resource(kind: str, folder: pathlib.Path) -> dict[str, t.Any]:
    """What is bound to the present PCRs."""
    return {
        "sealed_blob": {"sealed_blob": {"path": str(folder / "secret.pem"), "content": "the secret", "pcrs": PCRS}},
        "key": {"key": {"path": str(folder / "key.pem"), "policy": POLICY}},
        "nv_index": {"nv_index": {"index": "0x01800010", "size": 8, "policy": POLICY, "attributes": ["policywrite", "ownerread"]}},
        "hierarchy": {"hierarchy": {"hierarchy": "owner", "policy": POLICY}},
    }[kind]


KINDS = ("sealed_blob", "key", "nv_index", "hierarchy")


@pytest.fixture
def measured(proxied: Proxy) -> Proxy:
    for index in (0, 7):
        proxied.swtpm.extend_pcr(index)
    return proxied


def lie(record: Record) -> None:
    """Another value of the last PCR, and all the rest as the TPM has answered."""
    assert record.rc == 0
    digests = record.response[: 10 + _parameters(record)]
    at = len(digests) - 32
    record.response = record.response[:at] + FALSE + record.response[at + 32 :]


def _parameters(record: Record) -> int:
    if record.response[:2] == b"\x80\x01":
        return len(record.response) - 10
    return 4 + int.from_bytes(record.response[10:14], "big")


def _run(proxy: Proxy, python: str, kind: str, folder: pathlib.Path) -> module.Result:
    wanted: profile.Resources = [SRK, resource(kind, folder)]
    return module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": wanted}, python=python)


def _nothing_bound(proxy: Proxy, folder: pathlib.Path) -> None:
    assert list(folder.iterdir()) == []
    tools = Tools(proxy.swtpm.tcti)
    assert tools.handles("nv-index") == [] and leftovers(proxy.swtpm) == []
    assert not any(record.name in ("TPM2_Create", "TPM2_NV_DefineSpace", "TPM2_SetPrimaryPolicy") for record in proxy.records)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lie_at_the_first_look(measured: Proxy, device_python: str, device_dir: pathlib.Path, kind: str) -> None:
    measured.after(None, lie, code="TPM2_PCR_Read")
    result = _run(measured, device_python, kind, device_dir)
    assert "PCR sha256:7 was read with another value at first than the one that the TPM proves" in result.expect_failed()
    assert (result.json or {})["reason"] == "pcr_other"
    _nothing_bound(measured, device_dir)


def test_a_lie_at_both(measured: Proxy, device_python: str, device_dir: pathlib.Path) -> None:
    """Then the answers agree, but the HMAC does not."""

    def lie_twice(record: Record) -> None:
        lie(record)
        measured.after(None, lie, code="TPM2_PCR_Read")

    measured.after(None, lie_twice, code="TPM2_PCR_Read")
    assert "the response's HMAC does not verify" in _run(measured, device_python, "sealed_blob", device_dir).expect_failed()
    _nothing_bound(measured, device_dir)


@pytest.mark.parametrize("kind", KINDS)
def test_an_honest_tpm(measured: Proxy, device_python: str, device_dir: pathlib.Path, kind: str) -> None:
    assert _run(measured, device_python, kind, device_dir).expect_ok()["changed"]
    assert measured.codes().count("TPM2_PCR_Read") == 2
    if kind == "sealed_blob":
        assert Tools(measured.swtpm.tcti).load_unseal(device_dir / "secret.pem", pcrs="sha256:0,7") == b"the secret"


def test_more_pcrs_than_one_answer_holds(measured: Proxy, device_python: str, device_dir: pathlib.Path) -> None:
    """And values that the task gives need no proof."""
    for index in (1, 2, 3, 4, 5, 6, 8, 9):
        measured.swtpm.extend_pcr(index)
    many = {"bank": "sha256", "indices": list(range(10))}
    blobs: profile.Resources = [
        SRK,
        {"sealed_blob": {"path": str(device_dir / "many.pem"), "content": "many", "pcrs": many}},
        {"sealed_blob": {"path": str(device_dir / "given.pem"), "content": "given", "pcrs": {"indices": [7], "values": {"7": "ab" * 32}}}},
    ]
    module.run("tpm2_profile", {"tcti": measured.tcti, "resources": blobs}, python=device_python).expect_ok()
    assert measured.codes().count("TPM2_PCR_Read") == 4
    opened = module.run("tpm2_unseal", {"tcti": measured.tcti, "path": str(device_dir / "many.pem"), "pcrs": many}, python=device_python)
    assert base64.b64decode(opened.expect_ok()["content_b64"]) == b"many"
