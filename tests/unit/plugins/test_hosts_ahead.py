# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lookup hosts imports before Ansible forks its workers."""

from __future__ import annotations

import subprocess
import sys

from support import places

from ansible_collections.edgefleet.tpm2.plugins.lookup import hosts

# What a play's first template does, in a process of its own; printed are the collection's modules, and whether the roles' options have been read.
PROGRAM = """
import sys
from ansible import context
from ansible.module_utils.common.collections import ImmutableDict
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader, lookup_loader
context.CLIARGS = ImmutableDict()
init_plugin_loader([sys.argv[1]])
lookup_loader.get("edgefleet.tpm2.hosts", loader=DataLoader()).run(["all"], {"groups": {"all": ["edge-01"]}})
ours = "ansible_collections.edgefleet.tpm2.plugins."
print(sys.modules[ours + "plugin_utils._variables"].options.cache_info().currsize)
print(*(name[len(ours):] for name in sys.modules if name.startswith(ours)))
"""


def test_every_filter_is_imported() -> None:
    files = {f"filter.{path.stem}" for path in (places.ROOT / "plugins/filter").glob("*.py")}
    assert set(hosts.AHEAD) == files | {"lookup.unfilled"}


def test_finding_a_plays_hosts_imports_them() -> None:
    """Under the names by which Ansible looks for plugins, so that a worker does not load them again."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(places.COLLECTIONS)], capture_output=True, text=True, check=True)
    read, names = done.stdout.splitlines()
    assert read == "1" and set(hosts.AHEAD) <= set(names.split())
