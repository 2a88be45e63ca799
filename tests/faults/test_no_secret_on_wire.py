# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No secret of a run is seen on the TPM's bus, in outputs, or in files (design law 7)."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
from support import faults, module, profile, secrets
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

MakeDevice = t.Callable[..., faults.Device]

KEY_AUTH, INDEX_AUTH, BLOB_AUTH = (secrets.made_up(name) for name in ("key", "index", "blob"))
BLOB_CONTENT = secrets.made_up("content", 64)
SECRETS = {
    **faults.SECRETS,
    "key auth": KEY_AUTH.encode(),
    "index auth": INDEX_AUTH.encode(),
    "blob auth": BLOB_AUTH.encode(),
    "blob content": BLOB_CONTENT.encode(),
}


def _extra(device_dir: pathlib.Path) -> profile.Resources:
    """Resources whose own auth values are secrets too."""
    return [
        {"key": {"parent": "0x81000001", "usage": "sign", "algorithm": "ecc_p256", "auth": KEY_AUTH, "handle": "0x81000220"}},
        {"nv_index": {"index": "0x01800020", "content": "in public", "auth": INDEX_AUTH}},
        {"sealed_blob": {"path": f"{device_dir}/second.pem", "parent": "0x81000001", "content": BLOB_CONTENT, "auth": BLOB_AUTH}},
    ]


def _arguments(device: faults.Device) -> dict[str, t.Any]:
    resources = device.arguments["resources"]
    return {"tcti": device.proxy.tcti, "resources": resources[:-3] + _extra(device.device_dir) + resources[-3:]}


def test_secrets_are_nowhere(new_device: MakeDevice, device_python: str, tmp_path: pathlib.Path) -> None:
    device = new_device("hardened", device_python)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    # The worst that an environment can ask of the TSS: it would print every buffer.
    environment = {"TSS2_LOG": "all+trace", "TMPDIR": str(temporary)}
    runs = [
        module.run("tpm2_profile", _arguments(device), python=device_python, check=check, diff=True, env=environment)
        for check in (True, False, True, False)
    ]
    assert [run.expect_ok()["changed"] for run in runs] == [True, True, False, False]
    assert len(device.proxy.wire()) > 5000
    assert secrets.on_the_wire(device.proxy.wire(), SECRETS) == []
    for run in runs:
        assert secrets.in_text(run.stdout + run.stderr, SECRETS) == []
    assert secrets.in_files(device.device_dir, SECRETS) == []
    assert secrets.in_files(temporary, SECRETS) == []


@pytest.mark.parametrize(
    "command",
    [
        "TPM2_Create",
        "TPM2_EvictControl",
        "TPM2_NV_DefineSpace",
        "TPM2_NV_Write",
        "TPM2_HierarchyChangeAuth",
        "TPM2_DictionaryAttackParameters",
    ],
)
def test_a_failed_run_keeps_secrets_too(new_device: MakeDevice, device_python: str, command: str) -> None:
    device = new_device("hardened", device_python)
    device.proxy.inject_rc(0x101, code=command)
    result = module.run("tpm2_profile", _arguments(device), python=device_python, diff=True)
    faults.assert_one_sentence(result.expect_failed())
    assert secrets.in_text(result.stdout + result.stderr, SECRETS) == []
    assert secrets.on_the_wire(device.proxy.wire(), SECRETS) == []


@pytest.mark.parametrize("secret", ["owner", "telemetry key"])
def test_the_search_would_find_a_secret(swtpm: Swtpm, tmp_path: pathlib.Path, secret: str) -> None:
    """A command that sends the secret in plain, as a tool without a session does, is found out."""
    plain = SECRETS[secret]
    with Proxy(swtpm) as proxy:
        tools = Tools(proxy.tcti)
        tools.run("nvdefine", "-Q", "-C", "o", "-s", str(len(plain)), "-a", "ownerwrite|ownerread", "0x01800099")
        assert secrets.on_the_wire(proxy.wire(), SECRETS) == []
        tools.run("nvwrite", "-Q", "-C", "o", "-i", "-", "0x01800099", stdin=plain)
        assert secrets.on_the_wire(proxy.wire(), SECRETS) == [secret]
    folder = tmp_path / "files"
    folder.mkdir()
    for text in (
        json.dumps(plain.decode("latin-1")),
        repr(plain),
        plain.hex(),
        plain.hex().upper(),
        base64.b64encode(b"xy" + plain).decode(),
    ):
        assert secrets.in_text(f"before {text} after", SECRETS) == [secret]
        (folder / "file").write_text(text)
        assert secrets.in_files(folder, SECRETS) == [f"{folder}/file: {secret}"]
    (folder / "file").write_bytes(plain)
    assert secrets.in_files(folder, SECRETS) == [f"{folder}/file: {secret}"]


NV_CONTENT = secrets.made_up("nv content", 48)
NV_KINDS: dict[str, dict[str, t.Any]] = {
    "an auth": {"auth": INDEX_AUTH, "attributes": ["authread", "authwrite"]},
    "an auth, written by the owner": {"auth": INDEX_AUTH, "attributes": ["authread", "ownerwrite"]},
    "a policy": {"policy": [{"secret": {"hierarchy": "owner"}}], "attributes": ["policyread", "policywrite"]},
    "a policy of PCRs": {"policy": [{"pcr": {"bank": "sha256", "indices": [7]}}], "attributes": ["policyread", "policywrite"]},
    "the owner only": {"attributes": ["ownerread", "ownerwrite"]},
}


@pytest.mark.parametrize("owner", ["", faults.SECRETS["owner"].decode()], ids=["owner's auth empty", "owner's auth set"])
@pytest.mark.parametrize("kind", NV_KINDS)
def test_nv_secrets_are_encrypted_to_and_fro(swtpm: Swtpm, system_python: str, kind: str, owner: str) -> None:
    """Written, read to compare, found to be other, and written again."""
    swtpm.extend_pcr(7)
    changed = f"{NV_CONTENT[:-1]}~"
    with Proxy(swtpm) as proxy:
        profile_of = [{"hierarchy": {"hierarchy": "owner", "auth": owner}}] if owner else []
        for content, changes in ((NV_CONTENT, True), (NV_CONTENT, False), (changed, True), (changed, False)):
            resources = [{"nv_index": {"index": "0x01800020", "content": content, **NV_KINDS[kind]}}, *profile_of]
            result = module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": resources}, python=system_python, diff=True)
            assert result.expect_ok()["changed"] is changes
        hidden = {**SECRETS, "nv content": NV_CONTENT.encode(), "changed nv content": changed.encode()}
        assert {"TPM2_NV_Write", "TPM2_NV_Read"} <= set(proxy.codes())
        assert secrets.on_the_wire(proxy.wire(), hidden) == []


@pytest.mark.parametrize("bound", ["auth", "pcrs"])
def test_what_is_unsealed_is_encrypted(swtpm: Swtpm, device_dir: pathlib.Path, system_python: str, bound: str) -> None:
    swtpm.extend_pcr(7)
    path = str(device_dir / "blob.pem")
    lock: dict[str, t.Any] = {"auth": BLOB_AUTH} if bound == "auth" else {"pcrs": {"bank": "sha256", "indices": [7]}}
    with Proxy(swtpm) as proxy:
        wanted = [{"primary_key": {"template": "srk_ecc_p256"}}, {"sealed_blob": {"path": path, "content": BLOB_CONTENT, **lock}}]
        module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": wanted}, python=system_python).expect_ok()
        opened = module.run("tpm2_unseal", {"tcti": proxy.tcti, "path": path, **lock}, python=system_python)
        assert base64.b64decode(opened.expect_ok()["content_b64"]) == BLOB_CONTENT.encode()
        assert secrets.on_the_wire(proxy.wire(), SECRETS) == []
