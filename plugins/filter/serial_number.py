# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that checks a device's serial number; it is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.names import check_serial


def serial_number(value: t.Any, name: str = "tpm2_profile_serial") -> str:
    """The serial number, if it is one. Raises AnsibleFilterError."""
    try:
        return check_serial(value, name)
    except InputError as error:
        raise AnsibleFilterError(error.message) from None


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"serial_number": serial_number}
