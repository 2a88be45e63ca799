# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What each device module returns, as its RETURN says. A test compares the two."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._answer import (
    BOOL,
    DIFF,
    INT,
    LOOSE,
    RAW,
    SENTENCE,
    TEXT,
    TREE,
    TREE_OF_LINES,
    Kind,
    fields,
    listed,
)

# What Ansible's module code adds to every result.
COMMON = {
    "changed": BOOL,
    "failed": BOOL,
    "msg": SENTENCE,
    "reason": TEXT,
    "object": TEXT,
    "warnings": listed(SENTENCE),
    "diff": DIFF,
    "rc": INT,
    "module_stdout": SENTENCE,
    "module_stderr": SENTENCE,
}
# More keys, if a module that changes a TPM fails.
FAILURE = {"steps_done": INT}
_RESOURCE = fields({"kind": TEXT, "object": TEXT, "state": TEXT, "name": TEXT, "accepted": TEXT})
_STEP = fields({"kind": TEXT, "object": TEXT, "action": TEXT, "sentence": SENTENCE, "cost": TREE, "reversible": BOOL})
_CHANGES = {"resources": listed(_RESOURCE), "steps": listed(_STEP)}
_USER = {"user": TEXT, "uid": INT, "groups": listed(TEXT), "allowed": BOOL, "reason": TEXT, "detail": SENTENCE}
_FINDING = {"name": TEXT, "severity": TEXT, "object": TEXT, "evidence": SENTENCE, "remedy": SENTENCE}
_ADVISORY = dict.fromkeys(
    ("name", "verdict", "severity", "object", "evidence", "means", "remedy", "fixed_in", "source", "checked"), SENTENCE
)
_HOST = {
    **dict.fromkeys(("os", "kernel", "clock", "machine", "config_txt", "modules", "resource_manager", "dbus", "group"), TREE),
    **dict.fromkeys(("devices", "nodes", "holders", "udev_rules"), listed(TREE)),
    **dict.fromkeys(("kernel_log", "software", "disk", "tcti"), TREE),
    "tpm": fields({"state": TEXT, "sentence": SENTENCE}),
    "boot": fields({"event_log": TEXT, "replay": TEXT, "detail": SENTENCE, "separated": TREE, "extended": TREE, "measured_os": BOOL}),
}
_INFO = {
    **dict.fromkeys(("tcti", "resource_manager", "family", "revision", "manufacturer", "model", "firmware"), TEXT),
    **dict.fromkeys(("da_lockout", "hierarchies", "capacity", "post_quantum"), TREE),
    **dict.fromkeys(("persistent_handles", "nv_indices"), listed(TREE)),
    **dict.fromkeys(("algorithms", "curves", "commands", "pcr_banks"), listed(TEXT)),
    "pcrs": listed(fields({"bank": TEXT, "index": INT, "digest": TEXT})),
    "reachable": BOOL,
    "findings": listed(fields(_FINDING)),
    "advisories": listed(fields({**_ADVISORY, "also": listed(TEXT)})),
    "advisories_checked": fields({"oldest": TEXT, "newest": TEXT}),
    "host": fields(_HOST),
}
_EVIDENCE = {
    **dict.fromkeys(("publics", "identity", "nv_certify", "quote", "certify", "certify_idevid"), TREE),
    **dict.fromkeys(("certificates", "chain", "signatures"), listed(RAW)),
    "proof": RAW,
}
MODULES: dict[str, dict[str, Kind]] = {
    "tpm2_access": {"tcti": TEXT, "users": listed(fields(_USER))},
    **dict.fromkeys(
        (
            "tpm2_da_lockout",
            "tpm2_hierarchy",
            "tpm2_key",
            "tpm2_nv_index",
            "tpm2_persistent_handle",
            "tpm2_primary_key",
            "tpm2_sealed_blob",
        ),
        _CHANGES,
    ),
    "tpm2_evidence": _EVIDENCE,
    "tpm2_info": _INFO,
    "tpm2_profile": {**_CHANGES, "reads": TREE_OF_LINES},
    "tpm2_unseal": {"content_b64": RAW, "dest": TEXT},
}
TABLES = {name: fields({**COMMON, **FAILURE, **_CHANGES, **keys}) for name, keys in MODULES.items()}
# For enrolment, which checks every part of the evidence itself, and quarantines a device whose evidence is malformed.
EVIDENCE = fields({**COMMON, **FAILURE, **_CHANGES, **dict.fromkeys(_EVIDENCE, LOOSE)})

__all__ = ("COMMON", "EVIDENCE", "FAILURE", "MODULES", "TABLES")
