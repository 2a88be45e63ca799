# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Argument specifications. Each function has a documentation fragment of the same name; a test compares the two."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import handles, templates

Spec = dict[str, dict[str, t.Any]]


def connection() -> Spec:
    """Options that say where the TPM is, and which auth values it has before the run."""
    auths = {f"{name}_auth": dict(type="str", no_log=True) for name in ("owner", "endorsement", "lockout", "platform")}
    return dict(tcti=dict(type="str"), **auths)


def _state() -> Spec:
    return dict(state=dict(type="str", choices=["present", "absent"], default="present"))


def _mismatch() -> Spec:
    return dict(on_mismatch=dict(type="str", choices=["fail", "replace"], default="fail"))


def _range() -> Spec:
    return dict(allow_foreign_range=dict(type="bool", default=False))


def _policy() -> Spec:
    return dict(policy=dict(type="list", elements="raw"))


def pcrs() -> Spec:
    """The option that chooses PCRs."""
    options = dict(
        bank=dict(type="str", default="sha256"),
        indices=dict(type="list", elements="int", required=True),
        values=dict(type="dict"),
    )
    return dict(pcrs=dict(type="dict", options=options))


def _file() -> Spec:
    return dict(mode=dict(type="raw"), owner=dict(type="str"), group=dict(type="str"))


def hierarchy() -> Spec:
    """Options of tpm2_hierarchy."""
    return dict(
        hierarchy=dict(type="str", choices=list(handles.HIERARCHIES), required=True),
        auth=dict(type="str", no_log=True),
        current_auth=dict(type="str", no_log=True),
        enabled=dict(type="bool"),
        clear_disabled=dict(type="bool"),
        refuse_empty_auth=dict(type="bool", default=False),
        **_policy(),
    )


def da_lockout() -> Spec:
    """Options of tpm2_da_lockout."""
    return dict(
        max_tries=dict(type="int"),
        recovery_time=dict(type="int"),
        lockout_recovery=dict(type="int"),
        reset=dict(type="bool", default=False),
    )


def primary_key() -> Spec:
    """Options of tpm2_primary_key."""
    return dict(
        template=dict(type="str", choices=[*templates.PRIMARY_NAMES, templates.EK_ANY], default="srk_ecc_p256"),
        hierarchy=dict(type="str", choices=["owner", "endorsement", "platform"]),
        unique=dict(type="str"),
        handle=dict(type="str"),
        public_path=dict(type="path"),
        **_state(),
        **_mismatch(),
        **_range(),
    )


def key() -> Spec:
    """Options of tpm2_key."""
    return dict(
        parent=dict(type="str", default="0x81000001"),
        usage=dict(type="str", choices=list(templates.USAGES), default="sign"),
        algorithm=dict(type="str", choices=list(templates.KEY_SHAPES), default="ecc_p256"),
        auth=dict(type="str", no_log=True),
        no_da=dict(type="bool", default=True),
        path=dict(type="path"),
        verify=dict(type="str", choices=["public", "load"], default="public"),
        handle=dict(type="str"),
        public_path=dict(type="path"),
        allow_unmeasured=dict(type="bool", default=False),
        **_policy(),
        **_state(),
        **_mismatch(),
        **_range(),
    )


def persistent_handle() -> Spec:
    """Options of tpm2_persistent_handle."""
    return dict(
        handle=dict(type="str", required=True),
        path=dict(type="path"),
        name=dict(type="str"),
        **_state(),
        **_mismatch(),
        **_range(),
    )


def nv_index() -> Spec:
    """Options of tpm2_nv_index."""
    return dict(
        index=dict(type="str", required=True),
        size=dict(type="int"),
        nv_type=dict(type="str", choices=["ordinary", "counter"], default="ordinary"),
        attributes=dict(type="list", elements="str"),
        auth=dict(type="str", no_log=True),
        content=dict(type="str"),
        content_b64=dict(type="str"),
        write_once=dict(type="bool", default=False),
        no_da=dict(type="bool", default=True),
        allow_unmeasured=dict(type="bool", default=False),
        **_policy(),
        **_state(),
        **_mismatch(),
        **_range(),
    )


def sealed_blob() -> Spec:
    """Options of tpm2_sealed_blob."""
    return dict(
        path=dict(type="path", required=True),
        parent=dict(type="str", default="0x81000001"),
        content=dict(type="str", no_log=True),
        content_b64=dict(type="str", no_log=True),
        src=dict(type="path"),
        auth=dict(type="str", no_log=True),
        verify=dict(type="str", choices=["policy", "unseal"], default="policy"),
        allow_unmeasured=dict(type="bool", default=False),
        **_policy(),
        **pcrs(),
        **_file(),
        **_state(),
        **_mismatch(),
    )


def certificate() -> Spec:
    """Options of a resource of the kind certificate."""
    return dict(
        path=dict(type="path", required=True),
        content=dict(type="str"),
        **_file(),
        **_state(),
        **_mismatch(),
    )


def unseal() -> Spec:
    """Options of tpm2_unseal."""
    return dict(
        path=dict(type="path", required=True),
        dest=dict(type="path"),
        auth=dict(type="str", no_log=True),
        **_policy(),
        **pcrs(),
        **_file(),
        **_mismatch(),
    )


def session_key() -> Spec:
    """The only key that sessions may be salted to, for every module that sends a secret or an auth value."""
    options = dict(handle=dict(type="str", default="0x81010001"), name=dict(type="str", required=True))
    return dict(session_key=dict(type="dict", options=options, no_log=False))


def execution() -> Spec:
    """Where a module compares, for every module that ensures something."""
    return dict(
        execution=dict(type="str", choices=["auto", "controller", "device"], default="auto"),
        relay=dict(type="str", choices=["auto", "python", "shell"], default="auto"),
    )


def known_answers() -> Spec:
    """What the controller has read of a TPM, for the modules that go on from there."""
    return dict(known_answers=dict(type="list", elements="str", no_log=False))


def info() -> Spec:
    """Options of tpm2_info."""
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.tpm_facts import BESIDE, SUBSETS

    return dict(
        gather=dict(type="list", elements="str", choices=["all", *SUBSETS, *BESIDE], default=["all"]),
        pcrs=dict(type="list", elements="int"),
    )


def access() -> Spec:
    """Options of tpm2_access."""
    return dict(
        allowed=dict(type="list", elements="str", default=[]),
        refused=dict(type="list", elements="str", default=[]),
        timeout=dict(type="int", default=30),
    )


__all__ = (
    "access",
    "certificate",
    "connection",
    "da_lockout",
    "execution",
    "hierarchy",
    "info",
    "key",
    "known_answers",
    "nv_index",
    "pcrs",
    "persistent_handle",
    "primary_key",
    "sealed_blob",
    "session_key",
    "unseal",
)
