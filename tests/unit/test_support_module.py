# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed's runner of modules and its profiles."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import subprocess
import textwrap

from support import places, profile
from support.places import python_path

PROBE = textwrap.dedent(
    """
    from ansible.module_utils.basic import AnsibleModule
    module = AnsibleModule(argument_spec={"path": {"type": "path"}}, supports_check_mode=True)
    import sys, tpm2_pytss
    import profile as standard_library
    module.exit_json(changed=False, check=module.check_mode, path=module.params["path"], python=sys.executable,
                     pytss=tpm2_pytss.__file__, argv=sys.argv, profile=standard_library.__file__)
    """
)


def test_runner_runs_a_module_on_the_devices_own_python(device_python: str, tmp_path: pathlib.Path) -> None:
    modules = tmp_path / "ansible_collections" / "edgefleet" / "tpm2" / "plugins" / "modules"
    modules.mkdir(parents=True)
    (modules / "probe.py").write_text(PROBE)
    only = python_path().split(os.pathsep)[1]
    done = subprocess.run(
        [device_python, str(places.ROOT / "tests" / "support" / "run_module.py"), "probe"],
        input=json.dumps({"path": "/x", "_ansible_check_mode": True}),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([str(tmp_path), only])},
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(done.stdout)
    assert answer["check"] is True
    assert answer["path"] == "/x"
    assert "site-packages/tpm2_pytss" in answer["pytss"] or device_python.startswith("/usr/bin")
    assert str(places.venv()) not in answer["pytss"] or not device_python.startswith("/usr/bin")
    assert "support" not in answer["profile"]


def test_reference_profile_is_rendered_whole(tmp_path: pathlib.Path) -> None:
    key = base64.b64encode(profile.TELEMETRY_KEY).decode()
    resources = profile.reference(profile.SERIAL, key, tmp_path)
    assert [next(iter(resource)) for resource in resources] == [
        "primary_key",
        "primary_key",
        "primary_key",
        "key",
        "nv_index",
        "da_lockout",
        "sealed_blob",
    ]
    assert resources[4]["nv_index"]["content"] == profile.SERIAL
    assert resources[6]["sealed_blob"]["content_b64"] == key
    assert resources[2]["primary_key"]["public_path"] == f"{tmp_path}/ak.pub.pem"
    assert "{{" not in json.dumps(resources)


def test_variants_of_the_profile(tmp_path: pathlib.Path) -> None:
    plain = profile.reference(profile.SERIAL, "", tmp_path)
    hard = profile.hardened(profile.SERIAL, "", tmp_path, owner_auth="o", endorsement_auth="e", lockout_auth="l")
    assert hard[: len(plain)] == plain
    assert [item["hierarchy"] for item in hard[len(plain) :]] == [
        {"hierarchy": "owner", "auth": "o"},
        {"hierarchy": "endorsement", "auth": "e"},
        {"hierarchy": "lockout", "auth": "l"},
    ]
    assert "rsa" not in json.dumps(profile.quick(plain))
    assert "rsa" in json.dumps(plain)
