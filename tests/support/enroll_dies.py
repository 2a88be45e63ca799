# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller that is killed in mid-enrolment: the program of `enroll.Desk.die`, which runs in a process of its own."""

from __future__ import annotations

import os
import pathlib
import signal
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import enrolment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import rows, store
from support.enroll import Desk, Device, Json, local_key

# Before and after each exchange; when all is verified; when the requests for an external CA are written; before and after the commit of
# the transaction; at the end.
STAGES = ("asked", "answered", "asked again", "answered again", "checked", "published", "written", "committed", "done")


def run(told: Json) -> None:
    """The program of the process that is killed at a stage."""

    def come_to(stage: str) -> None:
        if stage == told["stage"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: t.Any, name: str, before: str = "", after: str = "") -> None:
        function = getattr(owner, name)

        def call(*arguments: t.Any, **options: t.Any) -> t.Any:
            come_to(before)
            found = function(*arguments, **options)
            come_to(after)
            return found

        setattr(owner, name, call)

    desk = Desk(pathlib.Path(told["folder"]), told["trust"], told["ca"])
    device = Device(told["tcti"], told["python"])
    names = iter(STAGES)

    def exchange(question: t.Mapping[str, t.Any]) -> Json:
        come_to(next(names))
        answer = device(question)
        come_to(next(names))
        return answer

    around(enrolment.certify, "birth_record" if not told["external"] else "publish", before="checked")
    around(enrolment.certify, "publish", after="published")
    around(rows, "note", after="written")
    around(store.Registry, "enroll", after="committed")
    desk.enroll(exchange, local=local_key(), **(desk.external() if told["external"] else {}))
    come_to("done")
