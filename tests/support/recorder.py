# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device whose Python records everything that it is given, and then runs the real one."""

from __future__ import annotations

import dataclasses
import json
import pathlib

_PROGRAM = """#!/usr/bin/python3 -I
import json, os, subprocess, sys, tempfile
number, name = tempfile.mkstemp(dir={folder!r}, suffix=".making")
files = [open(one, encoding="utf-8").read() for one in sys.argv[1:] if os.path.isfile(one)]
child = subprocess.Popen([{python!r}, *sys.argv[1:]], stdin=subprocess.PIPE)
heard = b""
while True:
    piece = os.read(0, 65536)
    if not piece:
        break
    heard += piece
    try:
        child.stdin.write(piece)
        child.stdin.flush()
    except BrokenPipeError:
        break
lie = os.path.join({folder!r}, "lie")
if b"class Relay" in heard and os.path.exists(lie):
    child.kill()
    sys.stdout.write(open(lie, encoding="utf-8").read())
try:
    child.stdin.close()
except BrokenPipeError:
    pass
code = child.wait()
run = dict(argv=sys.argv[1:], environment=dict(os.environ), stdin=heard.decode(), files=files)
with os.fdopen(number, "w") as file:
    json.dump(run, file)
os.rename(name, os.path.join({folder!r}, "%020d.run" % os.stat(name).st_mtime_ns))
sys.exit(code)
"""


@dataclasses.dataclass
class Run:
    """One start of the device's Python: its arguments, its environment, its standard input, and the files that its arguments name."""

    argv: list[str]
    environment: dict[str, str]
    stdin: str
    files: list[str]

    @property
    def program(self) -> str:
        """The program that it ran."""
        return "".join(self.files) or self.stdin

    @property
    def relay(self) -> bool:
        """Whether that was the relay, and not a module."""
        return "class Relay" in self.program

    @property
    def text(self) -> str:
        """All of it, to look for something in it. Variables are each a line of its own."""
        return "\n".join([*self.argv, *(f"{name}={value}" for name, value in self.environment.items()), self.stdin, *self.files])


class Recorder:
    """A Python for `ansible_python_interpreter`, in place of `python`."""

    def __init__(self, folder: pathlib.Path, python: str) -> None:
        folder.mkdir(parents=True)
        # Also for a user that one becomes.
        folder.chmod(0o777)
        self._folder = folder
        self.python = folder / "python3"
        self.python.write_text(_PROGRAM.format(folder=str(folder), python=python))
        self.python.chmod(0o755)

    def lie(self, answer: str) -> None:
        """From now on this is the answer of a relay that is sent."""
        (self._folder / "lie").write_text(answer)

    @property
    def runs(self) -> list[Run]:
        """What it has run since the last `reset`, in the order in which the runs ended."""
        return [Run(**json.loads(path.read_text())) for path in sorted(self._folder.glob("*.run"))]

    def reset(self) -> None:
        """Forget all runs."""
        for path in self._folder.glob("*.run"):
            path.unlink()

    @property
    def exchanges(self) -> int:
        """How often it ran the relay."""
        return sum(run.relay for run in self.runs)

    @property
    def modules(self) -> int:
        """How often it ran something else."""
        return sum(not run.relay for run in self.runs)
