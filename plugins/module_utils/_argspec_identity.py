# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Argument specifications of the modules for the identity of devices. As in ``_argspec``, each has a documentation fragment of the same name."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import templates

Spec = _argspec.Spec
EK_TEMPLATES = templates.EK_NAMES
IDEVID_TEMPLATES = tuple(name for name in templates.PRIMARY_NAMES if name.startswith("idevid_"))


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


def _trust() -> Spec:
    fetch = dict(
        vendors=dict(type="list", elements="str", choices=["intel", "amd"], required=True),
        cache=dict(type="path", required=True),
        urls=dict(type="dict"),
        ca_file=dict(type="path"),
        timeout=dict(type="float", default=20),
    )
    return dict(
        bundle=dict(type="path"),
        sha256=dict(type="str"),
        manufacturers=dict(type="list", elements="str"),
        crls=dict(type="list", elements="path"),
        allow_expired=dict(type="bool", default=False),
        require_crl=dict(type="bool", default=False),
        crl_max_age=dict(type="float"),
        fetch=dict(type="dict", options=fetch),
    )


def enroll() -> Spec:
    """Options of tpm2_enroll."""
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
        new_registry=dict(type="bool", default=True),
        trust=dict(type="dict", options=_trust()),
        authority=dict(type="dict", options=_signer()),
        external_authority=dict(type="dict", options=external),
        record_signer=dict(type="dict", options=_signer()),
        record_dir=dict(type="path"),
        record_roots=dict(type="list", elements="path"),
        ldevid=dict(type="dict", options=ldevid),
        ek=dict(type="str", default="0x81010001"),
        ek_template=dict(type="str", choices=list(EK_TEMPLATES), default="ek_rsa_2048"),
        ak=dict(type="str", default="0x81020001"),
        idevid=dict(type="str", default="0x81020000"),
        idevid_template=dict(type="str", choices=list(IDEVID_TEMPLATES), default="idevid_ecc_p256"),
        serial_index=dict(type="str", default="0x01800010"),
        trust_clock=dict(type="bool", default=False),
        observed=dict(type="dict"),
        facts=dict(type="dict"),
        **_argspec.pcrs(),
    )


def registry_info() -> Spec:
    """Options of tpm2_registry_info."""
    return dict(
        serial=dict(type="str"),
        host=dict(type="str"),
        ek_name=dict(type="str"),
        record_roots=dict(type="list", elements="path"),
        escrow=dict(type="dict", options=_escrow()),
        **_registry(),
    )


def _escrow() -> Spec:
    return dict(
        mode=dict(type="str", choices=["derived", "random"], default="derived"),
        master=dict(type="str", required=True, no_log=True),
        former_master=dict(type="str", no_log=True),
        recovery_key=dict(type="path", no_log=False),
    )


def auth_generation() -> Spec:
    """Options of tpm2_auth_generation."""
    return dict(
        serial=dict(type="str"),
        ek_name=dict(type="str"),
        host=dict(type="str"),
        state=dict(type="str", choices=["begun", "finished"], required=True),
        generation=dict(type="int"),
        record_roots=dict(type="list", elements="path", required=True),
        escrow=dict(type="dict", options=_escrow(), required=True),
        **_registry(),
    )


def _known_key() -> Spec:
    return dict(handle=dict(type="str", required=True), public=dict(type="str", required=True))


def evidence() -> Spec:
    """Options of tpm2_evidence."""
    template = dict(type="str", choices=list(IDEVID_TEMPLATES), default="idevid_ecc_p256")
    identity = dict(template=template, handle=dict(type="str"))
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
        all_certificates=dict(type="bool", default=False),
        issuers=dict(type="list", elements="str"),
        certify=dict(type="list", elements="str"),
        certify_idevid=dict(type="bool", default=False),
        serial_index=dict(type="str", default="0x01800010"),
        serial_size=dict(type="int"),
        reads=dict(type="dict"),
        **_argspec.pcrs(),
    )
    activate = dict(
        nonce=dict(type="str", required=True),
        ek=dict(type="dict", options=_known_key(), required=True, no_log=False),
        ak=dict(type="dict", options=_known_key(), required=True, no_log=False),
        idevid=dict(type="dict", options=_known_key(), no_log=False),
        id_object=dict(type="str", required=True),
        encrypted_secret=dict(type="str", required=True, no_log=False),
    )
    sign = dict(_known_key(), digest=dict(type="str", required=True))
    return dict(
        collect=dict(type="dict", options=collect),
        activate=dict(type="dict", options=activate),
        sign=dict(type="list", elements="dict", options=sign),
    )


__all__ = ("auth_generation", "enroll", "evidence", "registry_info")
