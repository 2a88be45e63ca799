# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter that binds resources to PCR values that were verified; it is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr

Options = t.Mapping[str, t.Any]


def sealed_to(resources: t.Any, pcrs: t.Any) -> list[t.Any]:
    """The resources of a profile, ``{kind: options}``, with ``values`` in each PCR assertion that means the current ones.

    ``pcrs``: ``{bank: sha256, values: {index: hex}}``, as `tpm2_enroll` returns it; empty where nothing was verified. Raises AnsibleFilterError,
    also for a selection that means the current values of PCRs of which none were verified.
    """
    if not isinstance(resources, (list, tuple)) or not all(isinstance(item, t.Mapping) for item in resources):
        raise AnsibleFilterError("Could not bind resources to PCR values: the filter takes a list of resources; give a list.")
    if not pcrs:
        return list(resources)
    if not isinstance(pcrs, t.Mapping) or set(pcrs) != {"bank", "values"} or not isinstance(pcrs["values"], t.Mapping):
        raise AnsibleFilterError(
            "Could not bind resources to PCR values: the filter takes 'bank' and 'values'; give it what tpm2_enroll returns as pcrs."
        )
    values = {str(index): str(value) for index, value in pcrs["values"].items()}
    return [{kind: _bound(options, str(pcrs["bank"]), values) for kind, options in item.items()} for item in resources]


def _bound(options: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """The options of one resource; what is no PCR assertion stays as it is, for the module to read."""
    if not isinstance(options, t.Mapping):
        return options
    found = dict(options)
    if "pcrs" in found:
        found["pcrs"] = _assertion(found["pcrs"], bank, values)
    if "policy" in found:
        found["policy"] = _policy(found["policy"], bank, values)
    return found


def _policy(policy: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """A policy, also one in a branch of ``or``."""
    if isinstance(policy, (list, tuple)):
        return [_policy(one, bank, values) for one in policy]
    if not isinstance(policy, t.Mapping):
        return policy
    change = {"pcr": _assertion, "or": _policy}
    return {name: change[name](value, bank, values) if name in change else value for name, value in policy.items()}


def _assertion(given: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """One selection of PCRs: with the verified values where it has none, and all of its indices are among them."""
    if not isinstance(given, t.Mapping) or given.get("values"):
        return given
    try:
        # As the module reads them: what it takes and this does not would be sealed to values that nobody has proven.
        chosen = [str(index) for index in pcr.numbers(given.get("indices"))]
    except ValueError:
        return given
    if not chosen:
        return given
    of = str(given.get("bank") or "sha256")
    unproven = [index for index in chosen if of != bank or index not in values]
    if unproven:
        raise AnsibleFilterError(
            f"Could not bind resources to PCR values: enrolment does not quote {', '.join(unproven)} of the bank {of}, so nobody has proven them; name them in "
            "tpm2_identity_pcrs (pcrs of tpm2_enroll), all in one bank, or give the values that you expect."
        )
    return {**given, "values": {index: values[index] for index in chosen}}


class FilterModule:
    """The filter by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"sealed_to": sealed_to}
