# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""How a fragment takes in others, so that there is one text for each option."""

from __future__ import annotations

import textwrap


def options(*documentations: str) -> str:
    """The documentation with all options of several, in their order."""
    return "\noptions:\n" + nested(2, *documentations)


def nested(indent: int, *documentations: str) -> str:
    """The options of several documentations as lines indented by so many columns, for C(suboptions)."""
    found = "".join(one.partition("options:\n")[2].rstrip() + "\n" for one in documentations)
    return textwrap.indent(textwrap.dedent(found), " " * indent)


__all__ = ("nested", "options")
