# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_profile: made of the nouns' own fragments, so that there is one text for each option."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import (
    _certificate,
    _compose,
    _da_lockout,
    _hierarchy,
    _key,
    _nv_index,
    _persistent_handle,
    _primary_key,
    _sealed_blob,
)

_NOUNS = {
    "certificate": (_certificate.ModuleDocFragment.DOCUMENTATION, "A file with a certificate."),
    "da_lockout": (_da_lockout.ModuleDocFragment.DOCUMENTATION, "The dictionary attack parameters. See M(edgefleet.tpm2.tpm2_da_lockout)."),
    "hierarchy": (
        _hierarchy.ModuleDocFragment.DOCUMENTATION,
        "A hierarchy. See M(edgefleet.tpm2.tpm2_hierarchy). The other resources of the list use the auth that is declared here.",
    ),
    "key": (_key.ModuleDocFragment.DOCUMENTATION, "A key. See M(edgefleet.tpm2.tpm2_key)."),
    "nv_index": (_nv_index.ModuleDocFragment.DOCUMENTATION, "An NV index. See M(edgefleet.tpm2.tpm2_nv_index)."),
    "persistent_handle": (
        _persistent_handle.ModuleDocFragment.DOCUMENTATION,
        "A persistent handle. See M(edgefleet.tpm2.tpm2_persistent_handle).",
    ),
    "primary_key": (_primary_key.ModuleDocFragment.DOCUMENTATION, "A primary key. See M(edgefleet.tpm2.tpm2_primary_key)."),
    "sealed_blob": (_sealed_blob.ModuleDocFragment.DOCUMENTATION, "A sealed blob. See M(edgefleet.tpm2.tpm2_sealed_blob)."),
}


def _nested() -> str:
    parts = []
    for noun, (options, text) in _NOUNS.items():
        parts.append(f"      {noun}:\n        description:\n          - {text}\n        type: dict\n        suboptions:")
        parts.append(_compose.nested(10, options).rstrip("\n"))
    return "\n".join(parts)


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = f"""
options:
  resources:
    description:
      - What the TPM is to hold, a list of resources. Each item has one key, which is the kind of resource. Its value is a mapping with
        the options of the module of that kind, for example those of M(edgefleet.tpm2.tpm2_nv_index) for C(nv_index). There is no module
        for C(certificate).
      - The order of the list does not matter. The module first removes what is to be absent, which frees room, then makes primary keys,
        keys, NV indices and sealed blobs, then sets the dictionary attack parameters and the hierarchies. The lockout auth is set last.
    type: list
    elements: dict
    required: true
    suboptions:
{_nested()}
  return_reads:
    description:
      - Return RV(reads), so that M(edgefleet.tpm2.tpm2_enroll) need not read the same again.
    type: bool
    default: false
  library_to_come:
    description:
      - Whether something installs tpm2-pytss on the device before the real run. Check mode then does not warn that it is missing.
    type: bool
    default: false
"""
