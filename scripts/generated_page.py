# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command line of the scripts that write a page of docs/ from the code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path


def main(about: str | None, target: Path, render: Callable[[], str]) -> int:
    """Write the page, or with --check compare it. Exits with 1 if it is stale."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the page is stale")
    parser.add_argument("--output", type=Path, default=target, help=f"the page (default: docs/{target.name})")
    options = parser.parse_args()
    page = render()
    if options.check:
        if options.output.is_file() and options.output.read_text(encoding="utf-8") == page:
            return 0
        sys.stderr.write(f"{options.output.name} is stale: run scripts/{Path(sys.argv[0]).name}\n")
        return 1
    options.output.write_text(page, encoding="utf-8")
    return 0
