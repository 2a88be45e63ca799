# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The variables of roles, playbooks and the inventory plugin, and checks of an inventory's variables."""

from __future__ import annotations

import difflib
import functools
import pathlib
import re
import typing as t

import yaml  # ansible-core itself requires it, so it is there

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import names

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"
# Variables of playbooks; docs/playbooks.md says what each is for.
PLAYBOOKS = frozenset(
    "tpm2_become tpm2_bundle_ca_file tpm2_bundle_dest tpm2_bundle_sources tpm2_day_zero_stack tpm2_fleet_records tpm2_fleet_roots tpm2_hosts "
    "tpm2_mac tpm2_model tpm2_pinned_ek_sha256 tpm2_report_dir tpm2_resource_manager tpm2_site".split()
)
# What the inventory plugin sets, and what roles and playbooks set for later plays. Users do not set these.
RESULTS = frozenset(
    "tpm2_ak_name tpm2_auth_generation tpm2_ek_name tpm2_enrolled_at tpm2_examination tpm2_firmware tpm2_identity_known tpm2_identity_result "
    "tpm2_inventory_registry "
    "tpm2_manufacturer tpm2_profile_audit tpm2_profile_certificates tpm2_profile_facts tpm2_profile_hardening tpm2_profile_reference "
    "tpm2_profile_result tpm2_quarantine_detail tpm2_quarantine_reason tpm2_rotate_begun tpm2_state tpm2_unproven_reason".split()
)
# Where the inventory plugin found the registry, without its password.
INVENTORY_REGISTRY = "tpm2_inventory_registry"
# The same value is in roles/controller/vars.
ABRMD = "tabrmd:bus_name=com.intel.tss2.Tabrmd"
# Names with these prefixes belong to the collection alone.
_OURS = ("tpm2_profile_", "tpm2_identity_", "tpm2_fleet_", "tpm2_day_zero_", "tpm2_bundle_")
_LIKE_OURS = re.compile("tpm_?2?_|tmp_?2?_|platform_hierarchy_|resource_manager_", re.IGNORECASE)
# The similarity (difflib's ratio) from which on a name counts as misspelt: with our prefix, and without.
_ALIKE, _VERY_ALIKE = 0.72, 0.88

Hosts = t.Mapping[str, t.Mapping[str, t.Any]]


@functools.cache
def roles() -> t.Mapping[str, t.Mapping[str, t.Any]]:
    """The entry points of each role, by role and name, each with its ``options`` as an argument specification."""
    # libyaml's is ten times as fast, and every play's first task waits for this.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    files = sorted(ROLES.glob("*/meta/argument_specs.yml"))
    return {path.parents[1].name: yaml.load(path.read_text(encoding="utf-8"), Loader=loader)["argument_specs"] for path in files}


@functools.cache
def options() -> frozenset[str]:
    """The names of all variables that roles and playbooks take."""
    return PLAYBOOKS.union(*(point.get("options") or {} for points in roles().values() for point in points.values()))


@functools.cache
def meant(name: str) -> str | None:
    """The variable that an unknown name probably means.

    Args:
        name: the name of a variable.

    Returns:
        None if the name is known, or resembles none of ours; empty if it has a prefix of ours, but resembles none.
    """
    if name in options() or name in RESULTS or not _LIKE_OURS.match(name):
        return None
    ours = name.startswith("tpm2_")
    close = difflib.get_close_matches(name.lower(), sorted(options()), 1, _ALIKE if ours else _VERY_ALIKE)
    # tpm2_serial for tpm2_profile_serial.
    close = close or [one for one in sorted(options()) if ours and one.endswith(name[len("tpm2") :])]
    if close:
        return close[0]
    return "" if name.startswith(_OURS) else None


def misspelt(hosts: Hosts) -> list[str]:
    """A sentence for each name that is a misspelt variable.

    Args:
        hosts: by host name, its variables as the inventory has them.
    """
    found: dict[str, tuple[str, list[str]]] = {}
    for host, variables in hosts.items():
        for name in variables:
            like = meant(str(name))
            # If the similar variable is set too, and the prefix is not only ours, the name is probably the user's own.
            if like is not None and (name.startswith(_OURS) or like not in variables):
                found.setdefault(str(name), (like, []))[1].append(host)
    return [
        f"Nobody here knows the variable {_text.shown(name)} of {_few(named)}; "
        + (f"did you mean {like}?" if like else "ansible-doc -t role, and docs/playbooks.md, list those that there are.")
        for name, (like, named) in sorted(found.items())
    ]


def serial_faults(serials: t.Mapping[str, t.Any], concerned: t.Collection[str]) -> dict[str, str]:
    """A sentence for each host that its serial number does not identify, by host.

    Args:
        serials: by host name, the serial number in the inventory, of any type; empty or None if there is none.
        concerned: the hosts of the play. Another host with the same serial number counts as well.
    """
    sharing: dict[str, list[str]] = {}
    for host, serial in serials.items():
        sharing.setdefault(str(serial).strip(), []).append(host)
    return {host: fault for host in concerned if (fault := _serial_fault(host, serials.get(host), sharing))}


def _serial_fault(host: str, serial: t.Any, sharing: t.Mapping[str, t.Sequence[str]]) -> str:
    if serial is None or serial == "":
        return (
            f"{_text.shown(host)} has no serial number; give it the one that is printed on the device, as tpm2_profile_serial in the inventory or as "
            "its row of the manifest."
        )
    try:
        text = names.check_serial(serial, "tpm2_profile_serial")
    except InputError as error:
        return f"{_text.shown(host)}: {error.message}"
    others = [one for one in sharing[text] if one != host]
    if not others:
        return ""
    return (
        f"{_text.shown(host)} has the serial number {_text.shown(text)}, and so has {_few(others)}; a serial number is that of one device: see "
        "which box it is, and correct tpm2_profile_serial of the other, or take out the second name of the same box."
    )


def tcti_fault(host: str, profile: str, platform: str, manager: str) -> str:
    """The sentence for a host whose variables name two different TCTIs; "" if they agree.

    Args:
        host: its name in the inventory.
        profile: tpm2_profile_tcti; empty if it is not set.
        platform: platform_hierarchy_tcti, likewise.
        manager: tpm2_resource_manager, likewise.
    """
    name = "tpm2_profile_tcti" if profile else "tpm2_resource_manager: abrmd"
    way = profile or (ABRMD if manager == "abrmd" else "")
    if not platform or not way or platform == way:
        return ""
    return (
        f"{_text.shown(host)}: platform_hierarchy_tcti is {_text.shown(platform)}, and {name} means {_text.shown(way)}; leave platform_hierarchy_tcti "
        "out, so that all roles use the same TPM."
    )


def filled(templar: t.Any, variables: t.Mapping[str, t.Any], name: str) -> t.Any:
    """A host's variable, with its template filled in from the host's variables only; None if the host does not have it.

    Raises AnsibleError if the template cannot be filled in.

    Args:
        templar: Ansible's; its variables are restored afterwards.
        variables: the host's variables in the inventory.
    """
    value = variables.get(name)
    if not (isinstance(value, str) and "{" in value):
        return value
    before = templar.available_variables
    templar.available_variables = variables
    try:
        return templar.template(value)
    finally:
        templar.available_variables = before


def resources(name: str, items: t.Sequence[t.Any]) -> list[tuple[str, t.Any]]:
    """The items of a list of resources, each with its name for a sentence: the list, its number, its noun and, unless a template, its object.

    Args:
        name: the variable.
        items: its unchecked value; items may be malformed, or templates.
    """
    return [(f"item {number} of {name}{_called(item)}", item) for number, item in enumerate(items, 1)]


def _called(item: t.Any) -> str:
    if not isinstance(item, t.Mapping) or len(item) != 1:
        return ""
    ((noun, options),) = item.items()
    known = (
        [str(options[one]) for one in ("handle", "index", "path", "hierarchy") if one in options] if isinstance(options, t.Mapping) else []
    )
    plain = [one for one in known if "{" not in one]
    return f" ({' '.join([str(noun), *plain[:1]])})"


def _few(hosts: t.Sequence[str], most: int = 5) -> str:
    told = [_text.shown(one) for one in hosts[:most]]
    return ", ".join(told) + (f" and {len(hosts) - most} more" if len(hosts) > most else "")


__all__ = ("INVENTORY_REGISTRY", "Hosts", "filled", "misspelt", "options", "resources", "roles", "serial_faults", "tcti_fault")
