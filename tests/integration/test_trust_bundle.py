# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One command makes a trust bundle of pinned collections; OpenSSL trusts what it should by it."""

from __future__ import annotations

import hashlib
import pathlib
import subprocess
import typing as t

import pytest
from support import ek_lab
from support.controller import Controller, said, totals
from support.https import Server

ROOT, NUVOTON = ek_lab.root(subject=ek_lab.in_one_set(organization_name="Lab Chips", common_name="Lab Chips Root")), ek_lab.nuvoton_root()


def test_one_command_makes_a_bundle(controller: Controller, tmp_path: pathlib.Path) -> None:
    key = ek_lab.ecc_key().public_key()
    leaf = ROOT.ek(key)
    roots, more, dest = (tmp_path / name for name in ("roots.pem", "more.pem", "bundle.pem"))
    roots.write_bytes(ek_lab.pem(ROOT.der))
    more.write_bytes(ek_lab.pem(leaf, NUVOTON.der))
    server = Server(tmp_path / "web")
    server.pages["/roots.pem"] = (200, roots.read_bytes())
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (roots, more)}
    variables = {
        "tpm2_bundle_dest": str(dest),
        "tpm2_bundle_ca_file": server.ca_file,
        "tpm2_bundle_sources": [
            {"src": f"{server.url}/roots.pem", "sha256": hashes["roots.pem"]},
            {"src": str(more), "sha256": hashes["more.pem"]},
        ],
    }
    options = {"localhost": {**variables, "ansible_connection": "local"}}
    try:
        predicted = controller("edgefleet.tpm2.trust_bundle", options, "--check")
        assert predicted.returncode == 0 and totals(predicted)["localhost"]["changed"] == 1 and not dest.exists(), said(predicted)
        for changed in (1, 0):
            done = controller("edgefleet.tpm2.trust_bundle", options)
            assert done.returncode == 0 and totals(done)["localhost"]["changed"] == changed, said(done)
        other = {**variables, "tpm2_bundle_sources": [{"src": str(more), "sha256": hashes["roots.pem"]}]}
        refused = controller("edgefleet.tpm2.trust_bundle", {"localhost": {**other, "ansible_connection": "local"}})
    finally:
        server.close()
    assert refused.returncode != 0 and f"its SHA-256 is {hashes['more.pem']}, not {hashes['roots.pem']}" in said(refused), said(refused)
    assert f"sha256 {hashlib.sha256(dest.read_bytes()).hexdigest()}" in said(done)
    assert "Lab Chips: certificates 1, roots among them 1" in said(done)
    assert "Left out (not_a_ca)" in said(done) and "Certificates: 2, left out: 1" in said(done)
    (tmp_path / "leaf.pem").write_bytes(ek_lab.pem(leaf))
    at = str(int(ek_lab.NOW.timestamp()))
    command = ["openssl", "verify", "-attime", at, "-ignore_critical", "-CAfile", str(dest), str(tmp_path / "leaf.pem")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"src": "/nowhere/roots.pem"}, "Could not read the trust bundle /nowhere/roots.pem: there is no such file; give the path of one"),
        ({"sha256": "0" * 64}, "see who has changed it before you give the new hash."),
        (
            {"sha": ""},
            "Could not make a trust bundle: item 1 of the files with CA certificates is not a mapping of src and sha256 and of nothing",
        ),
    ],
    ids=["no-file", "other-hash", "misspelt"],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(
    each_controller: Controller, tmp_path: pathlib.Path, change: dict[str, t.Any], sentence: str
) -> None:
    """Ansible puts names of variables around the sentence of a lookup that fails, and newer ones show it three times."""
    path = tmp_path / "roots.pem"
    path.write_bytes(ek_lab.pem(ROOT.der))
    source = {"src": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), **change}
    options = {"tpm2_bundle_dest": str(tmp_path / "bundle.pem"), "tpm2_bundle_sources": [source], "ansible_connection": "local"}
    refused = each_controller("edgefleet.tpm2.trust_bundle", {"localhost": options})
    assert refused.returncode != 0 and sentence in said(refused), said(refused)
    assert "Finalization" not in said(refused) and "lookup plugin" not in said(refused), said(refused)


def test_the_bundle_is_not_written_beside_the_playbook(controller: Controller, tmp_path: pathlib.Path) -> None:
    """A relative path is one in the folder of the run, and a folder that is not there is named."""
    path = tmp_path / "roots.pem"
    path.write_bytes(ek_lab.pem(ROOT.der))
    source = {"src": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    options = {"tpm2_bundle_sources": [source], "ansible_connection": "local"}
    refused = controller("edgefleet.tpm2.trust_bundle", {"localhost": {**options, "tpm2_bundle_dest": "no-such-folder/bundle.pem"}})
    assert refused.returncode != 0 and "no-such-folder/bundle.pem: its folder is not there; make it," in said(refused), said(refused)
    assert "edgefleet/tpm2/playbooks/no-such-folder" not in said(refused)
