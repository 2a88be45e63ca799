# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What tpm2_info returns: the TPM's own facts; host, advisories and findings are gathered only when requested by name."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import tpm_facts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

Facts = dict[str, t.Any]


def gather(place: tcti.Tcti, subsets: t.Sequence[str], pcrs: t.Sequence[int] | None) -> Facts:
    """All facts of the subsets, and ``notes`` for the user. Raises TransportError, TpmResponseError, InputError."""
    if pcrs:
        pcr.selection("sha256", pcrs)
    if set(subsets) & set(tpm_facts.BESIDE):
        # Imported here and not at the top: it imports twenty files that the TPM's own facts do not need.
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import examination

        return examination.gather(place, subsets, pcrs)
    return tpm_facts.ask(place, subsets, pcrs)


__all__ = ("gather",)
