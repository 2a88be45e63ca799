# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that end with whoever started them, and waiting for what is to come."""

from __future__ import annotations

import ctypes
import os
import pathlib
import signal
import subprocess
import time
import typing as t

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
PROGRESS = "EDGEFLEET_VM_PROGRESS"
_BEGUN = time.monotonic()


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command: list[str], output: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start a program whose output goes to a file. The kernel ends it with this process, whatever ends this one."""
    with output.open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509


def end(process: subprocess.Popen[bytes] | None) -> None:
    """End one process by its id, and wait for it."""
    if process is not None:
        if process.poll() is None:
            process.kill()
        process.wait()


def wait_until(what: str, probe: t.Callable[[], bool], *, alive: subprocess.Popen[t.Any] | None = None, seconds: float = 900) -> None:
    """Ask `probe` until it is true. The deadline is generous: a machine without KVM that shares its cores is slow.

    Raises RuntimeError after the deadline, or when the process `alive` has ended.
    """
    deadline = time.monotonic() + seconds
    while not probe():
        if alive is not None and alive.poll() is not None:
            raise RuntimeError(f"{what}: its process ended with status {alive.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not after {seconds:.0f} s")
        time.sleep(0.2)


def progress(text: str) -> None:
    """Tell who waits: one line, where `scripts/vm` shows it."""
    target = os.environ.get(PROGRESS)
    line = f"[{time.monotonic() - _BEGUN:4.0f} s] {text}\n"
    if target:
        with open(target, "a", encoding="utf-8") as file:
            file.write(line)


class Timed:
    """Says what has begun, and after it how long it took."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.seconds = 0.0

    def __enter__(self) -> Timed:
        self._begun = time.monotonic()
        return self

    def __exit__(self, kind: object, *_exc: object) -> None:
        self.seconds = time.monotonic() - self._begun
        progress(f"{self._text}: {'failed after ' if kind else ''}{self.seconds:.1f} s")
