# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook is told of a device is what the pages of its lookup say."""

from __future__ import annotations

import yaml

from ansible_collections.edgefleet.tpm2.plugins.lookup import device
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask


def test_the_lookup_documents_all_that_it_returns() -> None:
    documented = yaml.safe_load(device.RETURN)["_raw"]["contains"]
    assert set(documented) == set(ask.describe(None, None))
