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
IDEVID_TEMPLATES = tuple(name for name in templates.PRIMARY_NAMES if name.startswith("idevid_"))


def connection() -> Spec:
    """Where the TPM is, and the auth values that hold before the run."""
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


def _pcrs() -> Spec:
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
        template=dict(type="str", choices=list(templates.PRIMARY_NAMES), default="srk_ecc_p256"),
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
        **_pcrs(),
        **_file(),
        **_state(),
        **_mismatch(),
    )


def certificate() -> Spec:
    """Options of the noun certificate."""
    return dict(
        path=dict(type="path", required=True),
        content=dict(type="str"),
        **_file(),
        **_state(),
        **_mismatch(),
    )


def _signer() -> Spec:
    token = dict(
        module=dict(type="path", required=True),
        token=dict(type="str", required=True, no_log=False),
        label=dict(type="str"),
        id=dict(type="str"),
        pin=dict(type="str", required=True, no_log=True),
    )
    return dict(
        certificate=dict(type="path", required=True),
        chain=dict(type="path"),
        key=dict(type="path", no_log=False),
        password=dict(type="str", no_log=True),
        allow_unencrypted=dict(type="bool", default=False),
        pkcs11=dict(type="dict", options=token),
    )


def _registry() -> Spec:
    return dict(registry=dict(type="str", required=True), timeout=dict(type="int", default=30))


def enroll() -> Spec:
    """Options of tpm2_enroll."""
    trust = dict(
        bundle=dict(type="path"),
        sha256=dict(type="str"),
        manufacturers=dict(type="list", elements="str"),
        crls=dict(type="list", elements="path"),
        allow_expired=dict(type="bool", default=False),
    )
    external = dict(
        folder=dict(type="path", required=True),
        authorities=dict(type="list", elements="path", required=True),
        tcg_csr=dict(type="str", choices=["attestz", "flightctl", "trusted_platform"]),
    )
    ldevid = dict(
        handle=dict(type="str", default="0x81000220"),
        algorithm=dict(type="str", choices=list(templates.KEY_SHAPES), default="ecc_p256"),
        parent=dict(type="str", default="0x81000001"),
        lifetime=dict(type="float", default=90),
        renew_before=dict(type="float", default=30),
        server_auth=dict(type="bool", default=False),
        dns_names=dict(type="list", elements="str"),
    )
    device = {name: dict(type="str") for name in ("host", "mac", "site", "model", "organization", "ek_sha256")}
    return dict(
        serial=dict(type="str", required=True),
        **device,
        **_registry(),
        trust=dict(type="dict", options=trust),
        authority=dict(type="dict", options=_signer()),
        external_authority=dict(type="dict", options=external),
        record_signer=dict(type="dict", options=_signer()),
        record_dir=dict(type="path"),
        ldevid=dict(type="dict", options=ldevid),
        ek=dict(type="str", default="0x81010001"),
        ak=dict(type="str", default="0x81020001"),
        idevid=dict(type="str", default="0x81020000"),
        idevid_template=dict(type="str", choices=list(IDEVID_TEMPLATES), default="idevid_ecc_p256"),
        serial_index=dict(type="str", default="0x01800010"),
        observed=dict(type="dict"),
        facts=dict(type="dict"),
        **_pcrs(),
    )


def registry_info() -> Spec:
    """Options of tpm2_registry_info."""
    return dict(
        serial=dict(type="str"),
        host=dict(type="str"),
        ek_name=dict(type="str"),
        escrow=dict(type="dict", options=_escrow()),
        **_registry(),
    )


def _escrow() -> Spec:
    return dict(
        mode=dict(type="str", choices=["derived", "random"], default="derived"),
        master=dict(type="str", required=True, no_log=True),
        recovery_key=dict(type="path", no_log=False),
    )


def auth_generation() -> Spec:
    """Options of tpm2_auth_generation."""
    return dict(
        serial=dict(type="str"),
        ek_name=dict(type="str"),
        state=dict(type="str", choices=["begun", "finished"], required=True),
        escrow=dict(type="dict", options=_escrow(), required=True),
        **_registry(),
    )


def evidence() -> Spec:
    """Options of tpm2_evidence."""
    key = dict(handle=dict(type="str", required=True), public=dict(type="str", required=True))
    identity = dict(
        template=dict(type="str", choices=list(IDEVID_TEMPLATES), default="idevid_ecc_p256"),
        handle=dict(type="str"),
    )
    local = dict(
        algorithm=dict(type="str", choices=list(templates.KEY_SHAPES), default="ecc_p256"),
        handle=dict(type="str", required=True),
        parent=dict(type="str", default="0x81000001"),
    )
    collect = dict(
        nonce=dict(type="str", required=True),
        ek=dict(type="str", default="0x81010001"),
        ak=dict(type="str", default="0x81020001"),
        idevid=dict(type="dict", options=identity),
        ldevid=dict(type="dict", options=local),
        certificates=dict(type="bool", default=True),
        issuers=dict(type="list", elements="str"),
        certify=dict(type="list", elements="str"),
        certify_idevid=dict(type="bool", default=False),
        serial_index=dict(type="str", default="0x01800010"),
        serial_size=dict(type="int"),
        reads=dict(type="dict"),
        **_pcrs(),
    )
    activate = dict(
        nonce=dict(type="str", required=True),
        ek=dict(type="dict", options=key, required=True, no_log=False),
        ak=dict(type="dict", options=key, required=True, no_log=False),
        idevid=dict(type="dict", options=key, no_log=False),
        id_object=dict(type="str", required=True),
        encrypted_secret=dict(type="str", required=True, no_log=False),
    )
    sign = dict(key, digest=dict(type="str", required=True))
    return dict(
        collect=dict(type="dict", options=collect),
        activate=dict(type="dict", options=activate),
        sign=dict(type="list", elements="dict", options=sign),
    )


def unseal() -> Spec:
    """Options of tpm2_unseal."""
    return dict(
        path=dict(type="path", required=True),
        dest=dict(type="path"),
        auth=dict(type="str", no_log=True),
        **_policy(),
        **_pcrs(),
        **_file(),
    )


def profile() -> Spec:
    """Options of tpm2_profile: every noun with its own options."""
    nouns = (certificate, da_lockout, hierarchy, key, nv_index, persistent_handle, primary_key, sealed_blob)
    options = {noun.__name__: dict(type="dict", options=noun(), no_log=False) for noun in nouns}
    salt = dict(handle=dict(type="str", default="0x81010001"), name=dict(type="str", required=True))
    return dict(
        resources=dict(type="list", elements="dict", required=True, options=options),
        return_reads=dict(type="bool", default=False),
        session_key=dict(type="dict", options=salt, no_log=False),
    )


def info() -> Spec:
    """Options of tpm2_info."""
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.info import BESIDE, SUBSETS

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
    "auth_generation",
    "certificate",
    "connection",
    "da_lockout",
    "enroll",
    "evidence",
    "hierarchy",
    "info",
    "key",
    "nv_index",
    "persistent_handle",
    "primary_key",
    "profile",
    "registry_info",
    "sealed_blob",
    "unseal",
)
