# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen and measured, as pages: kept under .work/vm/pages, from where `scripts/vm docs` takes them to docs/."""

from __future__ import annotations

import json
import os
import pathlib
import sys

from vm.images import WORK
from vm.story import BOUNDED, Story

PAGES = WORK / "pages"
NAMES = {"bookworm": "Debian 12", "trixie": "Debian 13"}
_LICENSE = """<!--
Copyright (c) 2026, edgefleet maintainers
GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
SPDX@License-Identifier: GPL-3.0-or-later

Written by `scripts/vm docs`: edit tests/vm instead.
-->
""".replace("SPDX@", "SPDX-")  # a header that would be taken for this file's own


def write(story: Story) -> None:
    """Keep a suite's transcript and numbers."""
    PAGES.mkdir(parents=True, exist_ok=True)
    head = f"# {NAMES[story.suite]}: the TPM as an operator sees it, before and after the roles\n\n"
    about = "A virtual machine with a real kernel; its TPM is a swtpm behind the interface `tpm-tis`. `edge` is a member of group `tss`,\n"
    about += "`nobody` is not.\n\n"
    page = _LICENSE + head + about + "\n".join(story.transcript).rstrip() + "\n"
    (PAGES / f"{NAMES[story.suite].lower().replace(' ', '-')}.md").write_text(page)
    rows = {
        name: {
            "executed": len(run.executed),
            "bounded": sum(event["role"] in BOUNDED for event in run.executed),
            "changed": len(run.changed),
            "seconds": round(run.seconds, 1),
        }
        for name, run in story.runs.items()
    }
    (PAGES / f"{story.suite}.json").write_text(json.dumps(rows, indent=1))


def table() -> str:
    """The page of the measurements of both suites."""
    lines = [
        _LICENSE + "# What the playbooks cost on a host with a real kernel\n",
        "`make vm` measured this over SSH, with pipelining and one connection that stays open. The hosts are virtual machines on an emulated",
        "processor (QEMU without KVM, two cores shared by two machines), ten to twenty times slower than real ones. So the counts are the same",
        f"everywhere, but the seconds can only be compared with each other. The controller had {os.cpu_count()} cores.\n",
        "| host | run | tasks executed | of these stack and resource manager | changed | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for suite, name in NAMES.items():
        rows = json.loads((PAGES / f"{suite}.json").read_text())
        lines += [
            f"| {name} | {run} | {row['executed']} | {row['bounded'] or ''} | {row['changed']} | {row['seconds']} |"
            for run, row in rows.items()
        ]
    return "\n".join(lines) + "\n"


def publish(docs: pathlib.Path) -> None:
    """Write the pages of the last whole run to docs/."""
    (docs / "transcripts").mkdir(exist_ok=True)
    for page in PAGES.glob("debian-*.md"):
        (docs / "transcripts" / page.name).write_text(page.read_text())
    (docs / "host-measurements.md").write_text(table())


if __name__ == "__main__":
    publish(pathlib.Path(sys.argv[1]))
