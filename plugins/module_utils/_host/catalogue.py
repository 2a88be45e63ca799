# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The whole catalogue of findings. Order within a severity: the path to the TPM, who may use it, the TPM, its content, the host, measured boot."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import (
    catalogue_boot,
    catalogue_contents,
    catalogue_host,
    catalogue_path,
    catalogue_rights,
    catalogue_tpm,
)
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.findings import Kind

KINDS: tuple[Kind, ...] = (
    *catalogue_path.KINDS,
    *catalogue_rights.KINDS,
    *catalogue_tpm.KINDS,
    *catalogue_contents.KINDS,
    *catalogue_host.KINDS,
    *catalogue_boot.KINDS,
)

__all__ = ("KINDS",)
