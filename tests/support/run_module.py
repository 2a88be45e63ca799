# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run modules of the collection in this Python, without AnsiballZ: ``run_module.py MODULE``, arguments as JSON on standard input.

Never in argv: arguments hold secrets. ``run_module.py --serve FD`` imports what modules import, and forks for each module (support/warm.py asks).
This file runs on the device's Python and imports nothing else of the test bed.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import runpy
import sys

import forks

COLLECTION = "ansible_collections.edgefleet.tpm2.plugins"


def main() -> None:
    """Hand the arguments to AnsibleModule as the wrapper of ansible-core would, and run the module as `__main__`."""
    forks.forget_this_folder()
    module = _asked(forks.Server(int(sys.argv[2])).serve(load)) if sys.argv[1] == "--serve" else sys.argv[1]
    arguments = json.load(sys.stdin)
    from ansible.module_utils import basic

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    if hasattr(basic, "_ANSIBLE_PROFILE"):
        basic._ANSIBLE_PROFILE = "legacy"
    sys.argv = [module]
    runpy.run_module(f"{COLLECTION}.modules.{module}", run_name="__main__")


def _asked(request: forks.Request) -> str:
    # `bounds`: constants of module_utils, with values that replace the shipped ones in this child.
    for place, value in request["bounds"].items():
        name, _dot, bound = place.rpartition(".")
        utility = importlib.import_module(f"{COLLECTION}.module_utils.{name}")
        getattr(utility, bound)  # raises AttributeError for a misspelt name
        setattr(utility, bound, value)
    return str(request["module"])


def load() -> None:
    """Import what modules import, but not the modules themselves."""
    for name in ("ansible.module_utils.basic", "ansible.module_utils.common.text.converters", "tpm2_pytss", "grp", "pwd"):
        importlib.import_module(name)
    package = importlib.import_module(f"{COLLECTION}.module_utils")
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(found.name)


if __name__ == "__main__" and sys.argv[1] == "--serve":
    forks.run(main)
elif __name__ == "__main__":
    main()
