# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that finds what a list of resources lacks of what is declared elsewhere; it is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

Options = t.Mapping[str, t.Any]


def left_out(resources: t.Any, certificates: t.Any = (), hardened: bool = False) -> list[str]:
    """A phrase for each thing that the resources of a profile lack, though it is declared elsewhere. Raises AnsibleFilterError.

    Args:
        resources: as `tpm2_profile` takes them; an item that is none of them counts as nothing.
        certificates: resources too, as the filter ``certificate_resources`` makes them.
        hardened: whether the auths of all hierarchies, and the refusal of an open platform hierarchy, are declared.
    """
    if not all(isinstance(one, (list, tuple)) for one in (resources, certificates)):
        raise AnsibleFilterError("Could not compare resources: the filter takes lists of resources; give lists.")
    found = []
    listed = _of(resources, "hierarchy")
    without = [
        name for name in ("owner", "endorsement", "lockout") if not any("auth" in one for one in listed if one.get("hierarchy") == name)
    ]
    if hardened and without:
        found.append(f"the auth of {', '.join(without)} (tpm2_profile_hardened; the list tpm2_profile_hardening has it)")
    if hardened and not any(one.get("refuse_empty_auth") for one in listed if one.get("hierarchy") == "platform"):
        found.append("the refusal of an open platform hierarchy (tpm2_profile_hardened; the list tpm2_profile_hardening has it)")
    texts = [one.get("content") for one in _of(resources, "certificate")]
    indices = [str(one.get("index")) for one in _of(resources, "nv_index")]
    lacking = [str(one.get("path")) for one in _of(certificates, "certificate") if one.get("content") not in texts]
    lacking += [str(one.get("index")) for one in _of(certificates, "nv_index") if str(one.get("index")) not in indices]
    if lacking:
        found.append(f"the certificates {', '.join(lacking)} (the device is enrolled; the list tpm2_profile_certificates has them)")
    return found


def _of(resources: t.Iterable[t.Any], kind: str) -> list[Options]:
    """The options of the resources of one kind."""
    return [item[kind] for item in resources if isinstance(item, t.Mapping) and isinstance(item.get(kind), t.Mapping)]


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"left_out": left_out}
