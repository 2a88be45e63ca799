# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a list of one's own lacks of what is declared elsewhere; and the resources that bring certificates to a device."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.filter import certificate_resources as certificates
from ansible_collections.edgefleet.tpm2.plugins.filter import left_out as lacking

left_out = lacking.FilterModule().filters()["left_out"]
certificate_resources = certificates.FilterModule().filters()["certificate_resources"]
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\nAA==\n-----END CERTIFICATE-----\n"
DEVICE = {"certificates": {"idevid": {"pem": PEM}, "iak": {"pem": PEM + "\n"}, "other": {"pem": ""}}}
CERTIFICATES = certificate_resources(DEVICE, "/d", {"idevid": 0x01C90000})
AUTHS = [{"hierarchy": {"hierarchy": name, "auth": "a"}} for name in ("owner", "endorsement", "lockout")]
CLOSED = {"hierarchy": {"hierarchy": "platform", "refuse_empty_auth": True}}
OF_THE_AUTHS = "the auth of {} (tpm2_profile_hardened; the list tpm2_profile_hardening has it)"
OF_THE_PLATFORM = "the refusal of an open platform hierarchy (tpm2_profile_hardened; the list tpm2_profile_hardening has it)"
OF_THE_CERTIFICATES = "the certificates {} (the device is enrolled; the list tpm2_profile_certificates has them)"


def test_a_file_for_each_certificate_and_an_index_where_one_is_declared() -> None:
    assert CERTIFICATES == [
        {"certificate": {"path": "/d/iak.cert.pem", "content": PEM + "\n"}},
        {"certificate": {"path": "/d/idevid.cert.pem", "content": PEM}},
        {
            "nv_index": {
                "index": "29949952",
                "content_b64": "MIIBAA==",
                "attributes": ["ownerwrite", "ownerread", "authread"],
                "allow_foreign_range": True,
                "on_mismatch": "replace",
            }
        },
    ]


@pytest.mark.parametrize("device", [None, {}, {"certificates": None}, {"certificates": {}}])
def test_a_device_that_has_none(device: t.Any) -> None:
    assert certificate_resources(device, "/d") == []


def test_what_is_no_device() -> None:
    with pytest.raises(AnsibleFilterError, match="^Could not list certificates: "):
        certificate_resources([DEVICE], "/d")


@pytest.mark.parametrize(
    ("resources", "hardened", "phrases"),
    [
        ([*AUTHS, CLOSED, *CERTIFICATES], True, []),
        (CERTIFICATES, False, []),
        ([*AUTHS[1:], *CERTIFICATES], True, [OF_THE_AUTHS.format("owner"), OF_THE_PLATFORM]),
        ([CLOSED, *CERTIFICATES], True, [OF_THE_AUTHS.format("owner, endorsement, lockout")]),
        ([{"hierarchy": {"hierarchy": "owner", "enabled": True}}, *AUTHS[1:], CLOSED, *CERTIFICATES], True, [OF_THE_AUTHS.format("owner")]),
        (CERTIFICATES[1:], False, [OF_THE_CERTIFICATES.format("/d/iak.cert.pem")]),
        (["none", {"hierarchy": None}], False, [OF_THE_CERTIFICATES.format("/d/iak.cert.pem, /d/idevid.cert.pem, 29949952")]),
    ],
    ids=["all", "not hardened", "owner", "auths", "no auth", "a certificate", "nothing"],
)
def test_a_phrase_for_each_thing_that_is_left_out(resources: t.Any, hardened: bool, phrases: list[str]) -> None:
    assert left_out(resources, CERTIFICATES, hardened) == phrases


def test_what_is_no_list() -> None:
    with pytest.raises(AnsibleFilterError, match="^Could not compare resources: "):
        left_out({"key": {}}, [])
