# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that removes secrets from a list of resources; it is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _kinds, _secret


def without_secrets(resources: t.Any) -> list[t.Any]:
    """The resources of a profile without those that hold secrets, for a TPM that is not verified yet. Raises AnsibleFilterError."""
    if not isinstance(resources, (list, tuple)):
        raise AnsibleFilterError("Could not keep secrets back: the filter takes a list of resources; give a list.")
    kinds = _kinds.profile()["resources"]["options"]
    for number, item in enumerate(resources, 1):
        wrong = _secret.misfit(item, kinds)
        if wrong:
            raise AnsibleFilterError(
                f"Could not read item {number} of the resources: {wrong}; write each item as one of {', '.join(kinds)} and its options."
            )
    return [item for item in resources if not _secret.is_secret(item, kinds)]


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"without_secrets": without_secrets}
