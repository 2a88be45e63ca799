# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run_task.py --serve FD``: a controller in a process of its own that can be killed; it forks for each task (support/warm.py asks).

A task's options come as JSON on standard input, and the device's Python with the request.
"""

from __future__ import annotations

import importlib
import json
import sys

import forks


def main() -> None:
    """Serve; in a child, do one task over the relay, and print its result as the module would."""
    forks.forget_this_folder()
    request = forks.Server(int(sys.argv[2])).serve(load)
    from support import relay

    options = {key: value for key, value in json.load(sys.stdin).items() if not key.startswith("_ansible")}
    print(json.dumps(relay.task(request["module"], options, python=request["python"], check=False, diff=False)))


def load() -> None:
    """Import what a task needs."""
    importlib.import_module("support.relay")


if __name__ == "__main__":
    main()
