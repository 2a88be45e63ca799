# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ansible callback of the tests: one line of JSON for every result of a task, in the file VM_RECORD."""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):
    """Writes what ran, as a program reads it."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "vm_record"

    def _write(self, status: str, result: t.Any) -> None:
        data = result.result
        record = {
            "time": time.time(),
            "host": result.host.get_name(),
            "task": result.task_name,
            # Of a task's role there is no public accessor.
            "role": str(result.task._role or ""),
            "action": result.task.action,
            "status": status,
            "changed": bool(data.get("changed")),
            "result": {key: value for key, value in data.items() if not key.startswith("_ansible")},
        }
        with open(os.environ["VM_RECORD"], "a", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str) + "\n")

    def v2_runner_on_ok(self, result: t.Any) -> None:
        """A task that was executed."""
        self._write("ok", result)

    def v2_runner_on_failed(self, result: t.Any, ignore_errors: bool = False) -> None:
        """A task that failed."""
        self._write("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: t.Any) -> None:
        """A host that could not be reached."""
        self._write("unreachable", result)

    def v2_runner_retry(self, result: t.Any) -> None:
        """A task that will be tried again."""
        self._write("retry", result)

    def v2_runner_on_skipped(self, result: t.Any) -> None:
        """A task that had nothing to do."""
        self._write("skipped", result)
