# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one module of the collection in this Python, without AnsiballZ: ``run_module.py MODULE``, arguments as JSON on standard input.

Never in argv: arguments hold secrets. This file runs on the device's Python and imports nothing else of the test bed.
"""

from __future__ import annotations

import json
import os
import runpy
import sys


def main() -> None:
    """Hand the arguments to AnsibleModule as the wrapper of ansible-core would, and run the module as `__main__`."""
    module, arguments = sys.argv[1], json.load(sys.stdin)
    # This folder would shadow modules of the standard library for the module under test (`profile`).
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    sys.argv = [module]
    runpy.run_module(f"ansible_collections.edgefleet.tpm2.plugins.modules.{module}", run_name="__main__")


if __name__ == "__main__":
    main()
