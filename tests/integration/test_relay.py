# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison from the controller as Ansible carries it out, on devices whose Python records everything that it gets.

One playbook run a core: its hosts are one device that has the hardened reference profile already, reached and asked in different ways.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml
from support import controller, module, places, profile, secrets
from support.controller import Controller, Host, said
from support.proxy import Proxy
from support.recorder import Recorder
from support.swtpm import Swtpm
from support.tools import Tools

AUTHS = {f"{name}_auth": secrets.awkward(f"relay {name}") for name in ("owner", "endorsement", "lockout")}
KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
SECRETS = {**{name: value.encode() for name, value in AUTHS.items()}, "telemetry key": profile.TELEMETRY_KEY}
PROFILE = {
    "name": "Keep",
    "edgefleet.tpm2.tpm2_profile": {
        "tcti": "{{ tcti | default(omit) }}",
        "execution": "{{ execution | default(omit) }}",
        "known_answers": "{{ known | default(omit) }}",
        "resources": "{{ resources }}",
    },
    "become": "{{ becoming | default(false) }}",
    "environment": "{{ variables | default({}) }}",
    "delegate_to": "{{ to | default(inventory_hostname) }}",
    "ignore_errors": True,
    "register": "found",
}
TELL = {
    "name": "Tell",
    "ansible.builtin.debug": {
        "msg": "{{ inventory_hostname }} is {{ 'failed' if found is failed else 'changed' if found is changed else 'ok' }}"
        " for {{ found.reason | default('nothing') }}."
    },
}


@dataclasses.dataclass
class Played:
    """How it went: the run, the playbook audit, what each host was given, what was written to the TPM, and all that crossed to it."""

    done: subprocess.CompletedProcess[str]
    audit: subprocess.CompletedProcess[str]
    recorders: dict[str, Recorder]
    writes: list[str]
    wire: bytes

    def told(self, host: str) -> str:
        """Outcome and reason."""
        return said(self.done).partition(f"{host} is ")[2].partition(".")[0]

    def runs(self, host: str) -> tuple[int, int]:
        """How often relay and modules ran."""
        return self.recorders[host].exchanges, self.recorders[host].modules

    def text(self, host: str) -> str:
        """Everything that it was given."""
        return "\n".join(run.text for run in self.recorders[host].runs)


def resources(folder: pathlib.Path) -> profile.Resources:
    """The hardened reference profile, with keys that are made fast."""
    return profile.quick(profile.hardened(profile.SERIAL, KEY, folder, **AUTHS))


def audited_host(folder: pathlib.Path, proxy: Proxy) -> Host:
    """The same device as the playbooks know it, with all its auth values and its secret."""
    return {
        **{f"tpm2_profile_{name}": value for name, value in AUTHS.items()},
        "tpm2_profile_tcti": proxy.tcti,
        "tpm2_profile_serial": profile.SERIAL,
        "tpm2_profile_dir": str(folder),
        "tpm2_profile_telemetry_key": KEY,
        "tpm2_profile_resources": resources(folder),
    }


@pytest.fixture(scope="module", params=controller.each_core("relay"))
def played(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, system_python: str
) -> t.Iterator[Played]:
    folder = tmp_path_factory.mktemp("relay")
    device = folder / "device"
    device.mkdir()
    run = Controller(folder, request.param["ansible_playbook"], system_python)
    # Else Ansible becomes nobody but whom it is.
    run.settings["ANSIBLE_BECOME_ALLOW_SAME_USER"] = "true"
    python = controller.interpreter(system_python, request.param["ansible_playbook"])
    wanted = resources(device)
    at_home = yaml.safe_load(yaml.safe_dump(wanted).replace(str(device), "~"))
    templated = [{"da_lockout": {**one["da_lockout"], "max_tries": "{{ 30 + 2 }}"}} if "da_lockout" in one else one for one in wanted]
    with contextlib.ExitStack() as stack:
        tpm = stack.enter_context(contextlib.closing(Swtpm(folder / "tpm")))
        tpm.restore(blank_state)
        tpm.extend_pcr(7)
        module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": wanted}, python=system_python).expect_ok()
        proxy = stack.enter_context(Proxy(tpm))
        mine: Host = {"tcti": proxy.tcti, "resources": wanted}
        hosts: dict[str, Host] = {
            "plain": {**mine, "resources": templated},
            "device": {**mine, "execution": "device"},
            "becoming": {**mine, "becoming": True},
            "piped": {**mine, "ansible_pipelining": False},
            "variable": {"resources": wanted, "variables": {"TPM2TOOLS_TCTI": proxy.tcti}},
            "home": {**mine, "resources": at_home, "variables": {"HOME": str(device)}},
            "library": {**mine, "tcti": "tabrmd:bus_name=com.example.none"},
            "known": {**mine, "known": ["8001 8001"]},
            "delegating": {**mine, "to": "delegate"},
            "delegate": {**mine},
        }
        recorders = {name: Recorder(folder / "python" / name, python) for name in hosts}
        for name, host in hosts.items():
            host["ansible_python_interpreter"] = str(recorders[name].python)
        tasks = [{**PROFILE, "when": "inventory_hostname != 'delegate'"}, {**TELL, "when": "inventory_hostname != 'delegate'"}]
        defaults = {"group/edgefleet.tpm2.tpm2": AUTHS}
        (folder / "play.yml").write_text(
            yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}])
        )
        done = run(str(folder / "play.yml"), hosts, "--forks", "1", "-vvv")
        assert done.returncode == 0, said(done)
        audited = audited_host(device, proxy)
        recorders["audited"] = Recorder(folder / "python" / "audited", python)
        audited["ansible_python_interpreter"] = str(recorders["audited"].python)
        audit = run("edgefleet.tpm2.audit", {"audited": audited}, "-vvv")
        yield Played(done, audit, recorders, [record.name for record in proxy.writes()], proxy.wire())


NOTHING_TO_DO = ("plain", "becoming", "piped", "variable", "delegating")


@pytest.mark.parametrize("host", NOTHING_TO_DO)
def test_a_run_with_nothing_to_do_sends_no_secret(played: Played, host: str) -> None:
    where = "delegate" if host == "delegating" else host
    assert played.told(host) == "ok for nothing"
    assert played.runs(where) == (2 if host == "variable" else 1, 0)
    given = played.text(where)
    assert secrets.in_text(given, SECRETS) == []
    assert "telemetry.key.pem" in given and "81010001" in given


def test_nothing_was_changed(played: Played) -> None:
    assert played.writes == []


def test_an_audit_of_a_device_that_is_as_declared_sends_no_secret(played: Played) -> None:
    assert played.audit.returncode == 0, said(played.audit)
    assert secrets.in_text(played.text("audited"), SECRETS) == []
    assert played.recorders["audited"].exchanges == 1 and "telemetry.key.pem" in played.text("audited")


def test_the_recording_finds_the_secrets_that_a_module_gets(played: Played) -> None:
    assert played.told("device") == "ok for nothing" and played.runs("device") == (0, 1)
    assert sorted(secrets.in_text(played.text("device"), SECRETS)) == sorted(SECRETS)


def test_what_is_sent_is_small_and_comes_on_standard_input(played: Played) -> None:
    (run,) = played.recorders["plain"].runs
    assert len(run.stdin.encode()) <= 12 << 10 and run.files == [] and run.argv in ([], ["-"])
    assert not [name for name in run.environment if "TPM" in name]


def test_without_pipelining_the_file_on_the_device_has_no_secret(played: Played) -> None:
    (run,) = played.recorders["piped"].runs
    assert len(run.files) == 1 and run.stdin == "" and not pathlib.Path(run.argv[0]).exists()


def test_what_only_the_device_knows_goes_on_there(played: Played) -> None:
    # Its own home, and a TPM that only a library on the device reaches.
    assert played.told("home") == "ok for nothing" and played.runs("home") == (0, 1)
    assert played.told("library").startswith("failed for ") and played.runs("library") == (0, 1)
    assert "tabrmd" in said(played.done)


def test_known_answers_are_the_controllers_own(played: Played) -> None:
    assert played.told("known") == "failed for input" and played.runs("known") == (0, 0)


def test_become_is_used(played: Played) -> None:
    assert "SUDO_UID" in played.recorders["becoming"].runs[0].environment
    assert "SUDO_UID" not in played.recorders["plain"].runs[0].environment


def test_who_delegates_gets_nothing(played: Played) -> None:
    assert played.runs("delegating") == (0, 0)


def test_no_secret_is_shown(played: Played) -> None:
    for run in (played.done, played.audit):
        assert secrets.in_text(run.stdout + run.stderr, SECRETS) == []
        assert "Traceback" not in run.stdout + run.stderr


# -- from the controller

NEW = {f"{name}_auth": secrets.awkward(f"relay, rotated {name}") for name in ("owner", "endorsement", "lockout")}


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, system_python: str) -> t.Iterator[tuple[Played, Swtpm]]:
    """A first run of the hardened profile, and a rotation of its auth values, from a controller that has tpm2-pytss."""
    folder = tmp_path_factory.mktemp("changed")
    device = folder / "device"
    device.mkdir()
    recorder = Recorder(folder / "python", system_python)
    run = Controller(folder, str(places.venv() / "bin" / "ansible-playbook"), system_python)
    with contextlib.ExitStack() as stack:
        tpm = stack.enter_context(contextlib.closing(Swtpm(folder / "tpm")))
        tpm.restore(blank_state)
        tpm.extend_pcr(7)
        proxy = stack.enter_context(Proxy(tpm))
        rotation = [
            {"hierarchy": {"hierarchy": name.partition("_")[0], "auth": value, "current_auth": AUTHS[name]}} for name, value in NEW.items()
        ]
        host: Host = {
            "tcti": proxy.tcti,
            "execution": "controller",
            "first": resources(device),
            "second": rotation,
            "ansible_python_interpreter": str(recorder.python),
        }
        tasks = [{**PROFILE, "vars": {"resources": f"{{{{ {which} }}}}"}, "ignore_errors": False} for which in ("first", "second")]
        # Devices whose answers would have the module sent: their relay does not run, or answers what no relay does, or they name a library.
        mine: Host = {"first": resources(device), "second": []}
        library = {"TPM2TOOLS_TCTI": "tabrmd:bus_name=com.example.none"}
        lures: dict[str, Host] = {
            "failing": {**mine, "tcti": proxy.tcti},
            "lying": {**mine, "tcti": proxy.tcti},
            "naming": {**mine, "variables": library},
        }
        recorders = {"edge-01": recorder, **{name: Recorder(folder / name, system_python) for name in lures}}
        for name, lured in lures.items():
            lured["ansible_python_interpreter"] = str(recorders[name].python)
        recorders["failing"].lie("Segmentation fault")
        recorders["lying"].lie('{"changed": false, "answers": [7], "stopped": null}')
        rotating = {**tasks[1], "when": "second | length > 0"}
        (folder / "play.yml").write_text(
            yaml.safe_dump(
                [{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": [{**tasks[0], "ignore_errors": True}, TELL, rotating]}]
            )
        )
        done = run(str(folder / "play.yml"), {"edge-01": host, **lures}, "--forks", "1", "-vvv")
        assert done.returncode == 0, said(done)
        yield Played(done, done, recorders, [record.name for record in proxy.writes()], proxy.wire()), tpm


@pytest.mark.parametrize("host", ["failing", "lying", "naming"])
def test_no_device_can_have_secrets_sent_to_it(changed: tuple[Played, Swtpm], host: str) -> None:
    """The controller could do the task, and nobody said that the device gets them; so it is for the user to say, and not for the device."""
    played, _tpm = changed
    assert played.told(host) == "failed for untold"
    assert played.recorders[host].modules == 0 and played.recorders[host].exchanges >= 1
    assert secrets.in_text(played.text(host), SECRETS) == []
    assert "for the playbooks) to device" in said(played.done)


def test_changes_from_the_controller_send_no_secret(changed: tuple[Played, Swtpm]) -> None:
    """Auth values and secrets cross the device in the TPM's own sessions."""
    played, _tpm = changed
    assert played.told("edge-01") == "changed for nothing"
    recorder, given = played.recorders["edge-01"], played.text("edge-01")
    assert recorder.modules == 0 and "class Relay" in given
    every = {**SECRETS, **{f"new {name}": value.encode() for name, value in NEW.items()}}
    assert secrets.in_text(given, every) == []
    assert secrets.in_text(played.done.stdout + played.done.stderr, every) == []
    assert secrets.on_the_wire(played.wire, every) == []
    # What crosses is there: TPM2_HierarchyChangeAuth in hexadecimal digits, with a session.
    assert re.search("8002[0-9a-f]{8}00000129", given)


def test_what_was_changed_from_the_controller_holds(changed: tuple[Played, Swtpm]) -> None:
    played, tpm = changed
    assert played.writes.count("TPM2_HierarchyChangeAuth") == 2 * len(NEW)
    tools = Tools(tpm.tcti)
    assert tools.nvread(profile.SERIAL_INDEX).decode() == profile.SERIAL
    tools.run("nvdefine", "0x01800042", "-C", "o", "-P", f"str:{NEW['owner_auth']}", "-s", "1")
