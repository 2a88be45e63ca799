# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Run a program of the host; only this file of the collection may do that. Never with a shell, always with a time limit."""

from __future__ import annotations

import os
import subprocess
import typing as t

LIMIT = 20.0
FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(argv: t.Sequence[str], limit: float = LIMIT) -> str | None:
    """What a program writes to its standard output; None if it is missing, may not be run or takes longer than ``limit`` seconds.

    The exit status is ignored: the programs that are run here (systemctl, dpkg-query) exit non-zero if only a part of the answer is missing.
    """
    environment = {"PATH": FOLDERS, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": ""}
    environment.update({name: os.environ[name] for name in ("DBUS_SYSTEM_BUS_ADDRESS",) if name in os.environ})
    try:
        # AnsibleModule.run_command has no time limit, and hanging daemons are one of the things to be found.
        # pylint: disable-next=ansible-bad-function
        done = subprocess.run(
            list(argv),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace")


__all__ = ("run",)
