# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Open a channel to a device by the task's own connection: what its connection plugin would run for one command is started as a process of ours."""

from __future__ import annotations

import importlib.util
import shlex
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, exchange, shell

Arguments = t.Union[list[str], str]
_SERVE = '{"serve": true}'
# An exit status that sudo, su and shells do not have.
_NO_PYTHON = 77


def unable() -> str:
    """Why this controller cannot change a TPM, as a clause; "" if it can."""
    cure = "install tpm2-pytss >= 2.0 for the Python of ansible-core"
    if importlib.util.find_spec("tpm2_pytss") is None:
        return f"it has no tpm2-pytss; {cure}"
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import own_tcti

    why = own_tcti.missing()
    return f"{why}; {cure}" if why else ""


def obstacle(connection: t.Any) -> str:
    """Why no channel can be opened by a connection, as a clause; "" if one can."""
    if _name(connection) not in _WAYS:
        return f"its connection plugin {_name(connection)} is not one of {', '.join(_WAYS)}"
    if _name(connection) == "ssh" and connection.get_option("password"):
        return "ssh asks for a password, which only a key can replace here"
    become = connection.become
    if become is not None and become.get_option("become_pass") and become.name.rpartition(".")[2] != "sudo":
        return f"{become.name} asks for a password, which only sudo can be given here"
    return ""


def own_host(connection: t.Any) -> bool:
    """Whether a task's device is this host itself, as for ansible-pull: then nothing that is sent to it leaves the controller."""
    return _name(connection) == "local"


def no_relay(printed: t.Mapping[str, t.Any]) -> str:
    """What is wrong with a device that did not run the relay, as a clause with its own words. ``printed``: what Ansible returns for that."""
    words = str(printed.get("module_stderr") or printed.get("msg") or printed.get("module_stdout") or "").strip()
    said = f" ('{_text.shown(words[-160:])}')" if words else ""
    return (
        f"the relay did not run on the device{said}, which takes a Python 3.6 or newer (ansible_python_interpreter) and a become that works"
    )


def by_python(action: t.Any) -> channel.Speech:
    """How the relay in Python is started and asked, by the interpreter that Ansible has used for the action's task."""
    interpreter = str(action._used_interpreter or "").lstrip("#!")
    return channel.python(interpreter, action._compute_environment_string(), exchange.program().replace(exchange.MARKER, _SERVE))


def by_shell(action: t.Any) -> channel.Speech:
    """How the relay in shell is started and asked."""
    return shell.speech(action._compute_environment_string())


def has_python(action: t.Any) -> bool:
    """Whether the device has the interpreter that Ansible has used for the action's task. Also true if a shell does not run to say that it has not."""
    interpreter = str(action._used_interpreter or "").lstrip("#!") or "python3"
    # Something on standard input, or ssh asks for a terminal: a device without /dev/pts has none, and dropbear then refuses to run the command.
    found = action._low_level_execute_command(f"command -v {interpreter} >/dev/null || exit {_NO_PYTHON}", in_data=b" ")
    return int(found["rc"]) != _NO_PYTHON


def asked_shell(action: t.Any, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
    """One exchange with the relay in shell, which is started for it (see ``remote.Carry``)."""
    script = shell.alone(asked).encode("utf-8", "surrogateescape")
    done = action._low_level_execute_command(shell.command(action._compute_environment_string()), in_data=script)
    return shell.told(asked, str(done["stdout"]))


def opened(action: t.Any, speech: channel.Speech) -> channel.Channel:
    """A channel to the device of an action plugin's task. Raises TransportError."""
    connection, started = action._connection, list[channel.Channel]()

    def start(cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> tuple[int, bytes, bytes]:
        become = connection.become
        password = str(become.get_option("become_pass") or "") if become is not None else ""
        folder = getattr(connection, "cwd", None) if _name(connection) == "local" else None
        started.append(channel.Channel(_WAYS[_name(connection)](connection, cmd), speech, password, folder))
        return 0, b"", b""

    # Ansible wraps the command as it does every other (become, shell), and hands it to the connection: to the function above.
    connection.exec_command = start
    try:
        action._low_level_execute_command(speech.command, in_data=b" ")
    finally:
        del connection.exec_command
    if not started:
        raise errors.TransportError("Could not start the relay: the connection has run no command; report this.", errors.OTHER)
    return started[0]


def _name(connection: t.Any) -> str:
    return str(connection.transport).rpartition(".")[2]


def _local(_connection: t.Any, command: str) -> Arguments:
    return command


def _ssh(connection: t.Any, command: str) -> Arguments:
    connection.host = connection.get_option("host") or connection._play_context.remote_addr
    built = connection._build_command(connection.get_option("ssh_executable"), "ssh", connection.host, command)
    return [one.decode() if isinstance(one, bytes) else str(one) for one in built]


def _docker(connection: t.Any, command: str) -> Arguments:
    built = connection._build_exec_cmd([connection._play_context.executable, "-c", command])
    return [one.decode() if isinstance(one, bytes) else str(one) for one in built]


def _podman(connection: t.Any, command: str) -> Arguments:
    user = ["--user", connection.user] if connection.user else []
    extra = shlex.split(connection.get_option("podman_extra_args") or "")
    # Without --interactive, as the plugin itself does it, a program in the container has no standard input.
    began = [connection.get_option("podman_executable"), *extra, "exec", "--interactive", *user, connection._container_id]
    return [*began, *shlex.split(command)]


_WAYS: dict[str, t.Callable[[t.Any, str], Arguments]] = {"ssh": _ssh, "local": _local, "docker": _docker, "podman": _podman}

__all__ = ("asked_shell", "by_python", "by_shell", "has_python", "no_relay", "obstacle", "opened", "own_host", "unable")
