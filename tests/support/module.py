# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module of the collection in its own process on a chosen Python, and read its answer.

That process is forked from a warm Python (support/warm.py), unless it is itself what a test looks at: with an environment or an interpreter of the
test's own, or `cold`, it is started for it.
"""

from __future__ import annotations

import dataclasses
import functools
import json as _json
import os
import pathlib
import subprocess
import sys
import tempfile
import typing as t

from support import places, warm
from support.places import python_path
from support.proxy import Drop, Proxy

_RUNNER = pathlib.Path(__file__).with_name("run_module.py")
TIMEOUT_SECONDS = 180.0
Streams = tuple[t.IO[bytes], t.IO[bytes], t.IO[bytes]]
Start = t.Callable[[str, str, Streams], "subprocess.Popen[bytes] | warm.Child"]


@dataclasses.dataclass
class Result:
    """The result of a module's process: return code (-9 if it was killed), its JSON (None if there is none), its output."""

    rc: int
    json: dict[str, t.Any] | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether the module succeeded."""
        return self.rc == 0 and self.json is not None and not self.json.get("failed")

    @property
    def changed(self) -> bool:
        """Whether the module says that it changed something."""
        return bool(self.json and self.json.get("changed"))

    @property
    def msg(self) -> str:
        """The module's message, or "" ."""
        return str((self.json or {}).get("msg", ""))

    def expect_ok(self) -> dict[str, t.Any]:
        """Return the JSON; raise AssertionError with all output if the module did not succeed."""
        if not self.ok or self.json is None:
            raise AssertionError(f"the module failed (rc {self.rc}): {self.msg}\nstdout: {self.stdout}\nstderr: {self.stderr}")
        return self.json

    def expect_failed(self) -> str:
        """Return the message of a clean failure: JSON, `failed`, one message, no traceback. Raises AssertionError."""
        if self.json is None or not self.json.get("failed"):
            raise AssertionError(f"no clean failure (rc {self.rc})\nstdout: {self.stdout}\nstderr: {self.stderr}")
        if "Traceback" in self.stdout + self.stderr or not self.msg:
            raise AssertionError(f"a traceback or no message\nstdout: {self.stdout}\nstderr: {self.stderr}")
        return self.msg


class Running:
    """A running module's process."""

    def __init__(self, module_name: str, python: str, arguments: dict[str, t.Any], process: Start) -> None:
        # Files, not pipes, which somebody would have to read until the process ends.
        self._stdout, self._stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        with tempfile.TemporaryFile() as stdin:
            stdin.write(_json.dumps(arguments).encode())
            stdin.seek(0)
            self._process = process(module_name, python, (stdin, self._stdout, self._stderr))

    def kill(self) -> None:
        """SIGKILL only this process, and wait until it is gone."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def wait(self, timeout: float = TIMEOUT_SECONDS) -> Result:
        """Wait for its end. Raises AssertionError for a process that does not end, after killing it."""
        try:
            rc = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the module did not end within {timeout} s\n{self._read(self._stderr)}") from None
        stdout, stderr = self._read(self._stdout), self._read(self._stderr)
        return Result(rc, _parse(stdout), stdout, stderr)

    @staticmethod
    def _read(file: t.IO[bytes]) -> str:
        file.seek(0)
        return file.read().decode(errors="replace")


def _cold(module_name: str, python: str, streams: Streams, *, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    stdin, stdout, stderr = streams
    return subprocess.Popen([python, str(_RUNNER), module_name], stdin=stdin, stdout=stdout, stderr=stderr, env=environment)


def _warm(module_name: str, python: str, streams: Streams, *, environment: dict[str, str], bounds: t.Mapping[str, float]) -> warm.Child:
    server = warm.server(str(_RUNNER), python, environment)
    return server.start([stream.fileno() for stream in streams], environment, module=module_name, bounds=dict(bounds))


def _controller(module_name: str, python: str, streams: Streams) -> warm.Child:
    """The controller's part of a module; `python` is the device's, for the relay."""
    path = os.pathsep.join([python_path(), str(_RUNNER.parents[1])])
    environment = {**os.environ, "PYTHONPATH": path}
    server = warm.server(str(_RUNNER.with_name("run_task.py")), sys.executable, environment)
    return server.start([stream.fileno() for stream in streams], environment, module=module_name, python=str(python))


def _parse(stdout: str) -> dict[str, t.Any] | None:
    try:
        answer = _json.loads(stdout)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def start(
    module_name: str,
    args: dict[str, t.Any],
    *,
    python: str,
    check: bool = False,
    diff: bool = False,
    env: dict[str, str] | None = None,
    cold: bool = False,
    bounds: t.Mapping[str, float] | None = None,
) -> Running:
    """Start `module_name` with `args` on the interpreter `python`; with `env` or `cold` that is started for it too, as on a device.

    `bounds` are constants of module_utils that this run has instead of the shipped ones: ``{"_backend.backoff.TOTAL_WAIT": 2}``.
    """
    arguments = dict(args, _ansible_check_mode=check, _ansible_diff=diff, _ansible_remote_tmp=tempfile.gettempdir())
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment.update(env or {}, PYTHONPATH=python_path())
    if cold or env is not None or python not in map(str, places.device_pythons()):
        process: Start = functools.partial(_cold, environment=environment)
    else:
        process = functools.partial(_warm, environment=environment, bounds=bounds or {})
    return Running(module_name, python, arguments, process)


def run(
    module_name: str,
    args: dict[str, t.Any],
    *,
    python: str,
    check: bool = False,
    diff: bool = False,
    env: dict[str, str] | None = None,
    cold: bool = False,
    bounds: t.Mapping[str, float] | None = None,
) -> Result:
    """Run `module_name` with `args` on the interpreter `python` to its end; from the controller, where the interpreter is for the relay alone."""
    if isinstance(python, places.FromController) and not (cold or env or bounds):
        from support import relay

        found = relay.task(module_name, args, python=python, check=check, diff=diff)
        if found is not None:
            return Result(int(bool(found.get("failed"))), found, _json.dumps(found), "")
    return start(module_name, args, python=python, check=check, diff=diff, env=env, cold=cold, bounds=bounds).wait()


def killed_run(
    proxy: Proxy,
    position: int,
    module_name: str,
    args: dict[str, t.Any],
    *,
    python: str,
    when: t.Literal["before", "after"] = "before",
    cold: bool = False,
) -> Result:
    """Run a module, or from the controller its task, through `proxy` and SIGKILL it just before the TPM gets command `position`, or just after that.

    `rc` is -9 if it was killed; a run with fewer commands ends by itself.
    """
    running: list[Running] = []

    def strike(_record: object) -> None:
        running[0].kill()
        raise Drop

    (proxy.before if when == "before" else proxy.after)(position, strike)
    if isinstance(python, places.FromController):
        running.append(Running(module_name, python, args, _controller))
    else:
        running.append(start(module_name, args, python=python, cold=cold))
    return running[0].wait()
