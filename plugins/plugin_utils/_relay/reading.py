# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Read a TPM's facts from the controller: those that tpm2_info gathers without looking at the host around the TPM."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import tpm_facts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.remote import Carry, ElsewhereError, Remote

MODULE = "tpm2_info"


def read(options: t.Mapping[str, t.Any], *, carry: Carry) -> comparison.Compared:
    """The module's result, or why only the module on the device can give it: it looks at the host, or says best what is wrong."""
    return comparison.attempt(MODULE, options, carry, _look)


def _look(params: dict[str, t.Any], remote: Remote) -> dict[str, t.Any]:
    """The module's result. Raises ElsewhereError, TpmError."""
    if set(params["gather"]) & set(tpm_facts.BESIDE):
        raise ElsewhereError("host")
    if params["pcrs"]:
        # Refuses numbers that no PCR has, before the device is asked anything.
        pcr.selection("sha256", params["pcrs"])
    return {"changed": False, **_facts(remote, params["gather"], params["pcrs"])}


def _facts(remote: Remote, gather: t.Sequence[str], pcrs: t.Sequence[int] | None) -> dict[str, t.Any]:
    """Facts that wait are fetched together: each subset goes as far as it can, until all have been read."""
    subsets = [name for name in tpm_facts.SUBSETS if name in gather or "all" in gather]
    while True:
        found: dict[str, t.Any] = {}
        complete = True
        for name in subsets:
            with remote.connect(remote.place) as reader:
                try:
                    found.update(tpm_facts.read(reader, remote.place, [name], pcrs))
                except base.Waiting:
                    complete = False
        if complete:
            return {**found, "tcti": remote.place.text, "resource_manager": remote.place.resource_manager}
        remote.fetch()


__all__ = ("MODULE", "read")
