# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/findings.md is the catalogue, and says when it is not."""

from __future__ import annotations

import pathlib
import subprocess
import sys

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import catalogue

ROOT = pathlib.Path(__file__).resolve().parents[5]


def findings_doc(*arguments: str) -> int:
    command = [sys.executable, "-B", str(ROOT / "scripts" / "findings_doc.py"), *arguments]
    return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode


def test_the_page_is_up_to_date() -> None:
    assert findings_doc("--check") == 0


def test_a_stale_page_is_found(tmp_path: pathlib.Path) -> None:
    page = tmp_path / "findings.md"
    assert findings_doc("--check", "--output", str(page)) == 1
    assert findings_doc("--output", str(page)) == 0
    text = page.read_text()
    assert all(f"| `{kind.name}` | {kind.severity} |" in text for kind in catalogue.KINDS)
    page.write_text(text + "more\n")
    assert findings_doc("--check", "--output", str(page)) == 1
