# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text


def shown(value: t.Any) -> t.Any:
    """Make every text of a value fit for a screen."""
    return _text.throughout(value, _text.shown)


def markdown(value: t.Any) -> t.Any:
    """Make every text of a value fit for a page of Markdown."""
    return _text.throughout(value, _text.markdown)


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"shown": shown, "markdown": markdown}
