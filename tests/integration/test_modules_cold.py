# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every module of the device in a process of its own, as users run it, beside the same run in a forked one, as most tests run it (support/warm.py)."""

from __future__ import annotations

import shutil
import typing as t

import pytest
from conftest import Provisioned
from support import module, places, profile
from support.proxy import Proxy

FOLDER = "the device's folder"
RUNS: dict[str, dict[str, t.Any]] = {
    "tpm2_access": {"allowed": ["root"]},
    "tpm2_da_lockout": {"max_tries": 12, "recovery_time": 500, "lockout_recovery": 500},
    "tpm2_evidence": {"collect": {"nonce": "ab" * 32, "pcrs": {"bank": "sha256", "indices": [7]}}},
    "tpm2_hierarchy": {"hierarchy": "owner", "auth": "a new value of some length"},
    "tpm2_info": {},
    "tpm2_key": {"path": f"{FOLDER}/made.pem", "parent": "0x81000001", "algorithm": "ecc_p256"},
    "tpm2_nv_index": {"index": "0x01800100", "content": "EF-0815"},
    "tpm2_persistent_handle": {"handle": f"{profile.MQTT_KEY:#010x}", "state": "absent"},
    "tpm2_primary_key": {"template": "srk_ecc_p256", "handle": "0x81000002", "allow_foreign_range": True},
    "tpm2_profile": {"resources": [{"hierarchy": {"hierarchy": "endorsement", "auth": "another value of some length"}}]},
    "tpm2_sealed_blob": {"path": f"{FOLDER}/made.pem", "parent": "0x81000001", "content": "a password", "auth": "its value"},
    "tpm2_unseal": {"path": f"{FOLDER}/telemetry.key.pem", "dest": f"{FOLDER}/opened", "pcrs": {"bank": "sha256", "indices": [7]}},
}
# They run on the controller, by an action plugin of the same name.
NOT_OF_THE_DEVICE = {"tpm2_auth_generation", "tpm2_enroll", "tpm2_registry_info"}


@pytest.fixture(scope="session", params=["system", "venv"])
def device_python(request: pytest.FixtureRequest) -> str:
    """Both Pythons with modules on them; from the controller there is nothing here to look at."""
    return places.require_python(request.param)


def test_each_module_is_here() -> None:
    assert {path.stem for path in (places.ROOT / "plugins/modules").glob("tpm2_*.py")} == RUNS.keys() | NOT_OF_THE_DEVICE


@pytest.mark.parametrize("name", RUNS)
def test_cold_and_warm_do_the_same(name: str, provisioned: Provisioned) -> None:
    """Same commands, same files, the same answer but for what is drawn at random and for when it was."""
    did = []
    before = provisioned.swtpm.state_dir.with_name("before")
    provisioned.swtpm.stop()
    provisioned.swtpm.snapshot(before)
    shutil.copytree(provisioned.device_dir, before.with_name("files"))
    for cold in (True, False):
        shutil.copytree(before.with_name("files"), provisioned.device_dir, dirs_exist_ok=True)
        with Proxy(provisioned.swtpm.restore(before)) as proxy:
            arguments = {key: _with_folder(value, provisioned) for key, value in RUNS[name].items()}
            done = module.run(name, {"tcti": proxy.tcti, **arguments}, python=provisioned.python, diff=True, cold=cold)
            assert done.expect_ok() and done.stderr == ""
            did.append((_shape(done.json), proxy.codes(), sorted(path.name for path in provisioned.device_dir.iterdir())))
        if (made := provisioned.device_dir / "made.pem").exists():
            made.unlink()
        (provisioned.device_dir / "opened").unlink(missing_ok=True)
    assert did[0] == did[1]


def _with_folder(value: t.Any, provisioned: Provisioned) -> t.Any:
    return value.replace(FOLDER, str(provisioned.device_dir)) if isinstance(value, str) else value


def _shape(value: t.Any) -> t.Any:
    """An answer without its values, but for the short words: they are decisions, not bytes or numbers of one run."""
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return value if isinstance(value, bool) or isinstance(value, str) and len(value) < 24 and "swtpm" not in value else type(value).__name__
