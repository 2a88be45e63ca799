# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's comparison over the relay, without Ansible: the program runs in a process of its own on a device's Python."""

from __future__ import annotations

import functools
import json
import os
import shlex
import subprocess
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import changes, channel, comparison, exchange, live, reading, remote

_PATIENCE = "PATIENCE = 30.0"


def sent(asked: dict[str, t.Any], patience: float | None = None) -> str:
    """The program with its arguments, as Ansible sends it; on request with another `patience`, in seconds."""
    text = exchange.program()
    assert text.count(exchange.MARKER) == text.count(_PATIENCE) == 1
    if patience is not None:
        text = text.replace(_PATIENCE, f"PATIENCE = {patience}")
    return text.replace(exchange.MARKER, json.dumps(asked))


def run(
    python: str,
    asked: dict[str, t.Any],
    *,
    patience: float | None = None,
    environment: t.Mapping[str, str] | None = None,
    user: int | None = None,
) -> t.Any:
    """What the program answers on the interpreter `python`, to which it comes on standard input.

    `environment`: variables beside ours. `user`: who runs it.
    """
    done = subprocess.run(
        [python, "-I", "-"],
        input=sent(asked, patience),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, **(environment or {})},
        user=user,
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout)


def carry(python: str, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
    """The same, as an exchange of the controller."""
    return _answer.taken(remote.ANSWER, run(python, asked))


Through = t.Callable[[channel.Channel], remote.Carry]


def task(
    module: str,
    options: dict[str, t.Any],
    *,
    python: str,
    check: bool,
    diff: bool,
    through: Through = lambda serving: serving.ask,
) -> dict[str, t.Any] | None:
    """Do a task from this process, as an action plugin does; None if it is for the module on the device.

    `through`: what is between the channel and the controller.
    """
    if module == reading.MODULE:
        return reading.read(options, carry=functools.partial(carry, python)).result
    if module not in comparison.MODULES | comparison.IN_SESSIONS:
        return None
    compared = comparison.compare(module, options, diff=diff, carry=functools.partial(carry, python))
    if compared.result is not None or compared.remote is None or compared.remote.exchanges == 0:
        return compared.result
    speech = channel.python("", "", exchange.program().replace(exchange.MARKER, '{"serve": true}'))
    serving = channel.Channel([python, "-I", *shlex.split(speech.command)], speech)
    try:
        device = live.Live(compared.remote, through(serving))
        return changes.make(module, options, check=check, diff=diff, device=device)
    except remote.ElsewhereError:
        return None
    finally:
        serving.close()


def compare(module: str, options: dict[str, t.Any], *, python: str) -> comparison.Compared:
    """Compare a device with a task's options, as its action plugin does, with a diff."""
    return comparison.compare(module, options, diff=True, carry=functools.partial(carry, python))
