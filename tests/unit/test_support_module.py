# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed's runner of modules, cold and warm, and its profiles."""

from __future__ import annotations

import base64
import json
import os
import pathlib
import shutil
import signal
import subprocess
import textwrap
import typing as t

import pytest
from support import module, places, profile, warm
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


STATE = textwrap.dedent(
    """
    import os, random, resource, signal, sys, tempfile, threading
    from ansible.module_utils import basic
    from ansible.module_utils.basic import AnsibleModule
    module = AnsibleModule(argument_spec={"wait": {"type": "bool"}, "path": {"type": "path"}})
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    handlers = [str(signal.getsignal(number)) for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    files = [os.readlink(f"/proc/self/fd/{number}") for number in range(3, 64) if os.path.islink(f"/proc/self/fd/{number}")]
    if module.params["wait"]:
        signal.pause()
    print("said aside", file=sys.stderr)
    module.exit_json(environment=dict(os.environ), cwd=os.getcwd(), umask=status["Umask"].strip(), argv=sys.argv, handlers=handlers,
                     files=files, threads=threading.active_count(), stdin=sys.stdin.read(), path=module.params["path"], name=__name__,
                     module_path=sys.path, limits=resource.getrlimit(resource.RLIMIT_NOFILE), masked=status["SigBlk"].strip(),
                     random=[random.random(), next(tempfile._get_candidate_names()), os.urandom(4).hex()])
    """
)


@pytest.fixture
def probed(tmp_path: pathlib.Path, device_python: str, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Callable[..., module.Running]]:
    """``probed(wait=…, cold=…)``: a module that says what its process is like, in a copy of the collection, from a folder of its own."""
    copied = tmp_path / "ansible_collections/edgefleet/tpm2/plugins"
    shutil.copytree(places.ROOT / "plugins/module_utils", copied / "module_utils")
    (copied / "modules").mkdir()
    (copied / "modules/probe.py").write_text(STATE)
    monkeypatch.setattr(module, "python_path", lambda: os.pathsep.join([str(tmp_path), python_path().split(os.pathsep)[1]]))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGE", "of the test")
    umask = os.umask(0o027)
    yield lambda cold=False, wait=False: module.start("probe", {"path": "/x", "wait": wait}, python=device_python, cold=cold)
    os.umask(umask)
    warm.server(str(module._RUNNER), device_python, {"PYTHONPATH": module.python_path()}).close()


def test_a_warm_process_is_what_a_cold_one_is(probed: t.Callable[..., module.Running]) -> None:
    """Environment, folder, umask, signals, files, streams, search path: nothing of the server's and nothing of the run before."""
    cold, one, other = (probed(cold=which).wait() for which in (True, False, False))
    said = [done.expect_ok() for done in (cold, one, other)]
    drawn = [answer.pop("random") for answer in said]
    assert said[0] == said[1] == said[2]
    assert said[0]["environment"]["EDGE"] == "of the test" and said[0]["umask"] == "0027" and said[0]["argv"] == ["probe"]
    assert cold.stderr == one.stderr == other.stderr == "said aside\n"
    assert all(len(set(values)) == 3 for values in zip(*drawn, strict=True))


@pytest.mark.parametrize("cold", [True, False])
def test_a_module_is_killed_alone(probed: t.Callable[..., module.Running], cold: bool) -> None:
    """Cold or warm, it is gone with SIGKILL and has said nothing; another that runs beside it goes on."""
    killed, kept = probed(cold, wait=True), probed(cold, wait=True)
    killed.kill()
    killed.kill()
    done = killed.wait()
    assert (done.rc, done.json, done.stderr) == (-signal.SIGKILL, None, "")
    assert kept._process.poll() is None
    kept.kill()
    assert probed(cold).wait().expect_ok()["path"] == "/x"


def test_after_a_fork_a_server_of_its_own(probed: t.Callable[..., module.Running]) -> None:
    """A test that becomes another user in a child of its own gets modules of that user."""
    running = probed(wait=True)
    child = os.fork()
    if not child:
        os._exit(probed().wait().rc)
    _pid, status = os.waitpid(child, 0)
    assert status == 0 and running._process.poll() is None
    running.kill()


def test_a_module_that_does_not_end_is_an_error(probed: t.Callable[..., module.Running]) -> None:
    with pytest.raises(AssertionError, match="did not end within"):
        probed(wait=True).wait(0.2)


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
