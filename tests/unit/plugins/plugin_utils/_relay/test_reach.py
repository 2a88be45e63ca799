# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels by a task's own connection: which connections allow one, and how the command gets to it; with a real relay at the other end."""

from __future__ import annotations

import importlib.util
import pathlib
import subprocess
import sys
import types
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import own_tcti
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import reach


class Plugin:
    """A connection or become plugin with options."""

    def __init__(self, name: str, become: Plugin | None = None, **options: str) -> None:
        self.transport = self.name = name
        self.become, self._options = become, options
        self._play_context = types.SimpleNamespace(remote_addr="gw-17")

    def get_option(self, name: str) -> str | None:
        return self._options.get(name)

    def _build_command(self, *arguments: str) -> list[bytes | str]:
        return [arguments[0].encode(), *arguments[2:]]


class Action:
    """As much of an action plugin as a channel needs: it wraps a command, and hands it to the connection."""

    def __init__(self, connection: Plugin, rc: int = 0) -> None:
        self._connection, self._rc = connection, rc
        self._used_interpreter = f"#!{sys.executable}"
        self.commands: list[str] = []
        self.inputs: list[bytes | None] = []

    def _compute_environment_string(self) -> str:
        return "RELAY_TEST=1"

    def _low_level_execute_command(self, cmd: str, in_data: bytes | None = None) -> dict[str, t.Any]:
        self.commands.append(cmd)
        self.inputs.append(in_data)
        if hasattr(self._connection, "exec_command"):
            self._connection.exec_command(cmd, in_data=in_data)
            return {}
        done = subprocess.run(cmd, shell=True, input=in_data or b"", capture_output=True, check=False)
        return {"rc": self._rc or done.returncode, "stdout": done.stdout.decode()}


@pytest.mark.parametrize(
    ("connection", "telling"),
    [
        (Plugin("ansible.builtin.local"), ""),
        (Plugin("ssh"), ""),
        (Plugin("ssh", password="x"), "ssh asks for a password"),
        (Plugin("containers.podman.podman"), ""),
        (Plugin("community.docker.docker"), ""),
        (Plugin("community.docker.docker_api"), "its connection plugin docker_api is not one of ssh, local, docker, podman"),
        (Plugin("ssh", Plugin("ansible.builtin.sudo", become_pass="x")), ""),
        (Plugin("ssh", Plugin("ansible.builtin.su")), ""),
        (Plugin("ssh", Plugin("ansible.builtin.su", become_pass="x")), "ansible.builtin.su asks for a password"),
    ],
)
def test_which_connections_allow_a_channel(connection: Plugin, telling: str) -> None:
    assert reach.obstacle(connection).startswith(telling) and bool(reach.obstacle(connection)) is bool(telling)


def test_which_controllers_can_change_a_tpm(monkeypatch: pytest.MonkeyPatch) -> None:
    assert reach.unable() == ""
    with monkeypatch.context() as patch:
        patch.setattr(own_tcti, "IMPORT_ERROR", ImportError("cannot import name 'PyTCTI'"))
        assert "too old" in reach.unable() and "install tpm2-pytss >= 2.0" in reach.unable()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    assert reach.unable().startswith("it has no tpm2-pytss")


@pytest.mark.parametrize("speech", [reach.by_python, reach.by_shell])
def test_a_channel_over_the_local_connection(speech: t.Callable[[t.Any], t.Any], tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    action = Action(Plugin("local", Plugin("sudo", become_pass="a password that nobody asks for")))
    relay = reach.opened(action, speech(action))
    try:
        asked = {"environment": False, "places": [["node", "/nonexistent"]], "steps": [["look", f"{tmp_path}/none", 100]]}
        assert relay.ask(asked)["stopped"][0] == "unreachable"
    finally:
        relay.close()
    assert action.commands[0].startswith("RELAY_TEST=1 ") and not hasattr(action._connection, "exec_command")


def test_a_connection_that_runs_nothing() -> None:
    action = Action(Plugin("local"))
    action._low_level_execute_command = lambda *_one, **_more: {}  # type: ignore[method-assign]
    with pytest.raises(errors.TransportError, match="has run no command"):
        reach.opened(action, reach.by_python(action))


def test_ssh_runs_the_command_on_the_host_of_the_task() -> None:
    connection = Plugin("ssh", ssh_executable="echo")
    assert reach._ssh(connection, "command") == ["echo", "gw-17", "command"]
    assert reach._ssh(Plugin("ssh", ssh_executable="echo", host="gw-18"), "command") == ["echo", "gw-18", "command"]


def test_containers_are_entered_with_a_standard_input() -> None:
    connection = Plugin("containers.podman.podman", podman_executable="podman", podman_extra_args="--log-level error")
    connection._container_id, connection.user = "gw-17", "edge"
    began = ["podman", "--log-level", "error", "exec", "--interactive", "--user", "edge", "gw-17"]
    assert reach._podman(connection, "/bin/sh -c 'exec true'") == [*began, "/bin/sh", "-c", "exec true"]
    connection.user = None
    assert "--user" not in reach._podman(connection, "true")
    docker = Plugin("community.docker.docker")
    docker._play_context.executable = "/bin/sh"
    docker._build_exec_cmd = lambda command: ["docker", b"exec", "-i", "gw-17", *command]
    assert reach._docker(docker, "exec true") == ["docker", "exec", "-i", "gw-17", "/bin/sh", "-c", "exec true"]


def test_which_devices_are_the_controller() -> None:
    assert reach.own_host(Plugin("ansible.builtin.local")) and not reach.own_host(Plugin("ssh"))


def test_whether_a_device_has_python() -> None:
    assert reach.has_python(Action(Plugin("local")))
    action = Action(Plugin("local"))
    action._used_interpreter = "#!/no/python"
    assert not reach.has_python(action)
    assert reach.has_python(Action(Plugin("local"), rc=1)), "a shell that does not run says nothing"
    # With nothing on standard input ssh asks for a terminal, and a device may have none to give.
    assert all(action.inputs)


def test_one_exchange_by_the_shell() -> None:
    action = Action(Plugin("local"))
    told = reach.asked_shell(action, {"environment": False, "places": [["node", "/nonexistent"]], "steps": []})
    assert told["stopped"][0] == "unreachable" and told["answers"] == []


@pytest.mark.parametrize("printed", [{"module_stderr": "sh: \x1b[2Jpython3: not found"}, {"msg": "x" * 300}, {}])
def test_what_a_device_says_that_runs_no_relay(printed: dict[str, str]) -> None:
    said = reach.no_relay(printed)
    assert "\x1b" not in said and len(said) < 400 and said.startswith("the relay did not run on the device")
