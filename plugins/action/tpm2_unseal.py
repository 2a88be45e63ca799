# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._device_action import DeviceAction


class ActionModule(DeviceAction):
    """Runs the module of this name on the device, and keeps the part of its answer that the module documents."""
