# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's comparison over the relay, without Ansible: the program runs in a process of its own on a device's Python."""

from __future__ import annotations

import functools
import json
import subprocess
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison, exchange, remote

_MARKER = "<<INCLUDE_ANSIBLE_MODULE_JSON_ARGS>>"


def run(python: str, asked: dict[str, t.Any]) -> t.Any:
    """What the program answers on the interpreter `python`; sent as Ansible sends it, on standard input with its arguments in it."""
    sent = exchange.program().replace(_MARKER, json.dumps(asked))
    done = subprocess.run([python, "-I", "-"], input=sent, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(done.stdout)


def carry(python: str, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The same, as an exchange of the controller."""
    return _answer.taken(remote.ANSWER, run(python, asked))


def compare(module: str, options: dict[str, t.Any], *, python: str) -> comparison.Compared:
    """Compare a device with a task's options, as its action plugin does, with a diff."""
    return comparison.compare(module, options, diff=True, carry=functools.partial(carry, python))
