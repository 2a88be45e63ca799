# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device with an attacker's Python, which runs every module and changes its answer."""

from __future__ import annotations

import json
import pathlib
import typing as t

_PROGRAM = """#!{python}
import json, pathlib, subprocess, sys
here = pathlib.Path(__file__).parent
done = subprocess.run([{python!r}, *sys.argv[1:]], capture_output=True, check=False)
said, extra = done.stdout, json.loads((here / "extra.json").read_text())
try:
    answer = json.loads(said)
except ValueError:
    answer = None
if isinstance(answer, dict):
    (here / "answers").open("a").write(json.dumps(answer) + chr(10))
    answer.update(extra)
    said = json.dumps(answer).encode()
raw = here / "raw"
if isinstance(answer, dict) and raw.exists():
    said = raw.read_bytes()
sys.stdout.buffer.write(said)
sys.stderr.buffer.write(done.stderr)
sys.exit(done.returncode)
"""


class Rogue:
    """A Python for `ansible_python_interpreter` that adds `extra` to every result, or answers `raw` in its place."""

    def __init__(self, folder: pathlib.Path, python: str) -> None:
        folder.mkdir()
        self._folder, self.real = folder, python
        self.python = folder / "python3"
        self.python.write_text(_PROGRAM.format(python=python))
        self.python.chmod(0o755)
        self.answer({})

    def answer(self, extra: dict[str, t.Any], raw: bytes | None = None) -> None:
        """Set what it adds or answers from now on."""
        (self._folder / "extra.json").write_text(json.dumps(extra))
        (self._folder / "raw").unlink(missing_ok=True)
        if raw is not None:
            (self._folder / "raw").write_bytes(raw)

    @property
    def answers(self) -> list[dict[str, t.Any]]:
        """The honest results of the modules that it ran."""
        record = self._folder / "answers"
        return [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
