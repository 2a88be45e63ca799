# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run_interpreter.py --serve FD``: a device's Python that has imported what modules import, and forks each time Ansible starts that Python.

Ansible starts ask_interpreter.py in its place. This file runs on a device's Python and imports nothing else of the test bed.
"""

from __future__ import annotations

import runpy
import sys
import types

import forks
import run_module


def main() -> None:
    """Serve; in a child, run the program of the request as `__main__`."""
    forks.forget_this_folder()
    path = list(sys.path)
    request = forks.Server(int(sys.argv[2])).serve(run_module.load)
    # A module finds other imports where a device has them, or in the archive that Ansible has sent.
    sys.path[:] = [one for one in path if one not in sys.argv[3].split(":")]
    sys.argv = request["argv"] or [""]
    if request["argv"]:
        runpy.run_path(request["argv"][0], run_name="__main__")
    else:
        program = types.ModuleType("__main__")
        sys.modules["__main__"] = program
        exec(compile(sys.stdin.buffer.read(), "<stdin>", "exec"), program.__dict__)


if __name__ == "__main__":
    forks.run(main)
