# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Callback for the demo: one JSON line per task result and per host's totals, to the file descriptor in EDGEFLEET_EVENTS_FD."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.plugins.callback import CallbackBase

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

DOCUMENTATION = r"""
name: edgefleet_events
type: aggregate
short_description: Task results as JSON lines for the demo
description:
  - Writes one JSON object per task result and per host's totals to the file descriptor named in E(EDGEFLEET_EVENTS_FD).
"""


_PROFILE = "edgefleet.tpm2.tpm2_profile"
# The parts of an enrolment's result that the demo shows; none is a secret.
_ENROLL = "edgefleet.tpm2.tpm2_enroll"
_ENROLMENT = ("state", "reason", "did", "verdict")


class CallbackModule(CallbackBase):
    """Only tpm2_profile and tpm2_enroll send their results; those that Ansible censors stay censored."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "edgefleet_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        super().__init__()
        self._out = os.fdopen(int(os.environ["EDGEFLEET_EVENTS_FD"]), "w", encoding="utf-8", closefd=False)

    def _write(self, event: dict[str, t.Any]) -> None:
        print(json.dumps(event, default=str), file=self._out, flush=True)

    def _task(self, status: str, result: t.Any) -> None:
        task, data = result._task, result._result
        self._write(
            {
                "event": "task",
                "status": "changed" if status == "ok" and data.get("changed") else status,
                "host": result._host.get_name(),
                "action": task.action,
                "check_mode": bool(task.check_mode),
                "name": task.name,
                "msg": _text.shown(data.get("msg", "")) if status in ("failed", "unreachable") else "",
                "result": self._shown(task.action, data),
            }
        )

    def _shown(self, action: str, data: dict[str, t.Any]) -> dict[str, t.Any]:
        if action == _ENROLL:
            return {name: data[name] for name in _ENROLMENT if name in data}
        return data if action == _PROFILE else {}

    def v2_runner_on_ok(self, result: t.Any) -> None:
        self._task("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        self._task("ok" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        self._task("unreachable", result)

    def v2_playbook_on_stats(self, stats: t.Any) -> None:
        for host in sorted(stats.processed):
            self._write({"event": "totals", "host": host, **stats.summarize(host)})
