# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The resource manager tpm2-abrmd in front of a software TPM, on a message bus of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import typing as t

DEADLINE_SECONDS = 30.0
TCTI = "tabrmd:bus_type=session"


@contextlib.contextmanager
def running(tcti: str) -> t.Iterator[dict[str, str]]:
    """Start bus and daemon for the TPM at `tcti`; yields the environment variables with which a client reaches them. Raises RuntimeError."""
    with _process(
        ["dbus-daemon", "--session", "--nofork", "--nopidfile", "--print-address"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as bus:
        assert bus.stdout is not None
        environment = {**os.environ, "DBUS_SESSION_BUS_ADDRESS": bus.stdout.readline().strip(), "TSS2_LOG": "all+none"}
        with _process(["tpm2-abrmd", "--allow-root", "--session", f"--tcti={tcti}"], env=environment):
            _wait(environment)
            yield environment


@contextlib.contextmanager
def _process(command: list[str], **options: t.Any) -> t.Iterator[subprocess.Popen[t.Any]]:
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    except FileNotFoundError:
        raise RuntimeError(f"{command[0]} is not installed; run scripts/setup test") from None
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _wait(environment: dict[str, str]) -> None:
    end = time.monotonic() + DEADLINE_SECONDS
    while subprocess.run(["tpm2_getrandom", "-T", TCTI, "4"], capture_output=True, env=environment, check=False).returncode:
        if time.monotonic() > end:
            raise RuntimeError("tpm2-abrmd did not come up")
        time.sleep(0.1)


__all__ = ("TCTI", "running")
