# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that makes resources of a registered device's certificates; it is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import CERTIFICATE_KINDS


def certificate_resources(device: t.Any, folder: t.Any, indices: t.Any = None) -> list[dict[str, t.Any]]:
    """A file for each certificate of a device, and an NV index with its DER if one is declared. Raises AnsibleFilterError.

    Args:
        device: as `tpm2_registry_info` returns it; empty if there is none.
        folder: where the device keeps the files.
        indices: NV indices, by kind of certificate.
    """
    if not isinstance(device or {}, t.Mapping) or not isinstance(indices or {}, t.Mapping):
        raise AnsibleFilterError("Could not list certificates: the filter takes what tpm2_registry_info returns as device; give it that.")
    held = (device or {}).get("certificates") or {}
    found: list[dict[str, t.Any]] = []
    for kind in CERTIFICATE_KINDS:
        if kind not in held:
            continue
        pem = held[kind]["pem"]
        found.append({"certificate": {"path": f"{folder}/{kind}.cert.pem", "content": pem}})
        if kind in (indices or {}):
            found.append({"nv_index": _index(str(indices[kind]), pem)})
    return found


def _index(index: str, pem: str) -> dict[str, t.Any]:
    return {
        "index": index,
        "content_b64": pem.split("-----")[2].replace("\n", ""),
        "attributes": ["ownerwrite", "ownerread", "authread"],
        "allow_foreign_range": True,
        "on_mismatch": "replace",
    }


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"certificate_resources": certificate_resources}
