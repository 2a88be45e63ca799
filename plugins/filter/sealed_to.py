# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters for resources that are bound to PCR values that were verified; each is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr

Options = t.Mapping[str, t.Any]


class _UnprovenError(Exception):
    """PCRs are asked for that were not verified; its text is the sentence."""


def sealed_to(resources: t.Any, pcrs: t.Any) -> list[t.Any]:
    """The resources of a profile, each ``{kind: options}``, with ``values`` added to each PCR assertion on the current values.

    ``pcrs``: ``{bank: sha256, values: {index: hex}}``, as `tpm2_enroll` returns it; empty if nothing was verified. Raises AnsibleFilterError,
    also for an assertion on the current values of PCRs that were not verified.
    """
    _checked(resources, pcrs)
    try:
        return _all_bound(resources, pcrs) if pcrs else list(resources)
    except _UnprovenError as unproven:
        raise AnsibleFilterError(str(unproven)) from None


def unproven_pcrs(resources: t.Any, pcrs: t.Any) -> str:
    """The sentence with which `sealed_to` fails because PCRs were not verified; "" if it does not. Raises AnsibleFilterError for anything else."""
    _checked(resources, pcrs)
    try:
        if pcrs:
            _all_bound(resources, pcrs)
    except _UnprovenError as unproven:
        return str(unproven)
    return ""


def _checked(resources: t.Any, pcrs: t.Any) -> None:
    if not isinstance(resources, (list, tuple)) or not all(isinstance(item, t.Mapping) for item in resources):
        raise AnsibleFilterError("Could not bind resources to PCR values: the filter takes a list of resources; give a list.")
    if pcrs and (not isinstance(pcrs, t.Mapping) or set(pcrs) != {"bank", "values"} or not isinstance(pcrs["values"], t.Mapping)):
        raise AnsibleFilterError(
            "Could not bind resources to PCR values: the filter takes 'bank' and 'values'; give it what tpm2_enroll returns as pcrs."
        )


def _all_bound(resources: t.Sequence[t.Mapping[str, t.Any]], pcrs: Options) -> list[t.Any]:
    """Raises _UnprovenError."""
    values = {str(index): str(value) for index, value in pcrs["values"].items()}
    return [{kind: _bound(options, str(pcrs["bank"]), values) for kind, options in item.items()} for item in resources]


def _bound(options: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """The options of one resource, with its PCR assertions filled in; everything else stays as it is, for the module to check."""
    if not isinstance(options, t.Mapping):
        return options
    found = dict(options)
    if "pcrs" in found:
        found["pcrs"] = _assertion(found["pcrs"], bank, values)
    if "policy" in found:
        found["policy"] = _policy(found["policy"], bank, values)
    return found


def _policy(policy: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """A policy with its PCR assertions filled in, also in branches of ``or``."""
    if isinstance(policy, (list, tuple)):
        return [_policy(one, bank, values) for one in policy]
    if not isinstance(policy, t.Mapping):
        return policy
    change = {"pcr": _assertion, "or": _policy}
    return {name: change[name](value, bank, values) if name in change else value for name, value in policy.items()}


def _assertion(given: t.Any, bank: str, values: t.Mapping[str, str]) -> t.Any:
    """One selection of PCRs, with the verified values added if it has none. Raises _UnprovenError if not all of them are verified."""
    if not isinstance(given, t.Mapping) or given.get("values"):
        return given
    try:
        # Read exactly as the module does: a form that only the module accepts would be sealed to unverified values.
        chosen = [str(index) for index in pcr.numbers(given.get("indices"))]
    except ValueError:
        return given
    if not chosen:
        return given
    of = str(given.get("bank") or "sha256")
    unproven = [index for index in chosen if of != bank or index not in values]
    if unproven:
        raise _UnprovenError(
            f"Could not bind resources to PCR values: enrolment does not quote {', '.join(unproven)} of the bank {of}, so nobody has proven them; name them in "
            "tpm2_identity_pcrs (pcrs of tpm2_enroll), all in one bank, or give the values that you expect."
        )
    return {**given, "values": {index: values[index] for index in chosen}}


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"sealed_to": sealed_to, "unproven_pcrs": unproven_pcrs}
