# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs external programs to their end."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

from .settings import DemoError


def run(what: str, *command: object, environment: t.Mapping[str, str] | None = None) -> str:
    """Run a command and return its standard output. ``what``: its purpose, a verb with its object, for the error.

    Raises:
        DemoError: it failed; the sentence has its last line of output.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise DemoError(f"Could not {what}: {words[0]} does not run ({exc.strerror}): run `scripts/setup demo`.") from exc
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise DemoError(f"Could not {what}: {pathlib.Path(words[0]).name} says: {said}")
    return done.stdout
