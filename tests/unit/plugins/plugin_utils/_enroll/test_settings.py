# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an enrolment is told: every option read, and a sentence for what makes no sense."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

import pytest
from support import lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.authority import Authority
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings

LDEVID = {"handle": "0x81000220", "algorithm": "ecc_p256", "parent": "0x81000001", "lifetime": 90, "renew_before": 30.5}


def test_trust_of_nobody_by_default() -> None:
    for options in (None, {}, {"bundle": None, "manufacturers": None}):
        policy = settings.trust_policy(options)
        assert (policy.bundle, policy.crls, policy.manufacturers, policy.allow_expired) == (None, (), None, False)
        assert (policy.require_crl, policy.crl_max_age) == (False, None)
    assert settings.trust_policy({"manufacturers": []}).manufacturers == frozenset()


def test_trust_needs_the_hash_of_its_bundle(tmp_path: pathlib.Path) -> None:
    lab_ca.write(tmp_path)
    with pytest.raises(TpmError, match="SHA-256"):
        settings.trust_policy({"bundle": str(tmp_path / "root.pem")})


def test_issuer(tmp_path: pathlib.Path) -> None:
    options = lab_ca.write(tmp_path).options
    assert isinstance(settings.issuer({**options, "pkcs11": None, "allow_unencrypted": False}), Authority)
    assert settings.issuer(None) is settings.issuer({}) is settings.issuer({"certificate": None}) is None


def test_record_signer(tmp_path: pathlib.Path) -> None:
    files = lab_ca.write(tmp_path)
    assert settings.record_signer(None) is settings.record_signer({"key": None}) is None
    assert settings.record_signer(files.options) is not None
    (tmp_path / "leaf.pem").write_text(lab_ca.pem(files.root.certify("No signer", files.ca.key, ca=False)))
    with pytest.raises(TpmError, match="neither that of a CA nor made for signing documents"):
        settings.record_signer({**files.options, "certificate": str(tmp_path / "leaf.pem")})


def test_external_ca(tmp_path: pathlib.Path) -> None:
    lab_ca.write(tmp_path)
    options = {"folder": "requests", "authorities": [str(tmp_path / "root.pem")], "tcg_csr": "attestz"}
    found = settings.external_ca(options)
    assert found == settings.External("requests", ((tmp_path / "root.pem").read_bytes(),), "attestz")
    assert settings.external_ca(None) is settings.external_ca({}) is None
    with pytest.raises(InputError, match="flavour 'tcg': name one of attestz, flightctl, trusted_platform"):
        settings.external_ca({**options, "tcg_csr": "tcg"})
    with pytest.raises(InputError, match="Could not read the certificate of the external CA .*none.pem: No such file"):
        settings.external_ca({**options, "authorities": [str(tmp_path / "none.pem")]})
    with pytest.raises(TpmError, match="the certificate of the external CA in .*ca.key: it holds no well-formed certificate"):
        settings.external_ca({**options, "authorities": [str(tmp_path / "ca.key")]})


def test_local_key() -> None:
    found = settings.local_key({**LDEVID, "dns_names": ["a.example"], "server_auth": True})
    assert found == settings.LocalKey(
        "0x81000220", "ecc_p256", "0x81000001", datetime.timedelta(90), datetime.timedelta(30.5), True, ("a.example",)
    )
    assert settings.local_key(None) is settings.local_key({}) is None


def test_handles_of_the_local_key_are_as_devices_answer_with_them() -> None:
    """YAML makes a number of 0x81000220, and Ansible a decimal text of that."""
    found = settings.local_key({**LDEVID, "handle": str(0x81000220), "parent": 0x81000001})
    assert found is not None and (found.handle, found.parent) == ("0x81000220", "0x81000001")


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifetime": 0},
        {"lifetime": -1},
        {"lifetime": "nan"},
        {"lifetime": "inf"},
        {"lifetime": 1e12},
        {"lifetime": 40000},
        {"renew_before": -1},
        {"renew_before": "nan"},
        {"renew_before": 1e300},
    ],
)
def test_local_key_of_no_sensible_life(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(InputError, match="Could not plan the LDevID: its lifetime must be more than 0 days"):
        settings.local_key({**LDEVID, **wrong})


@pytest.mark.parametrize("text", ["0x81010001", "0X81010001", "2164326401", 0x81010001])
def test_handles(text: t.Any) -> None:
    assert settings.handle_text(text, "ek") == "0x81010001"
    assert settings.same_handle(text, "0x81010001") and not settings.same_handle(text, "0x81010002")


@pytest.mark.parametrize("text", ["", "ek", "-1", "0x01800010", "0x80000001", "0x82000000", "0x181000001", None, "81010001"])
def test_what_is_no_handle(text: t.Any) -> None:
    with pytest.raises(InputError, match="Could not read ek .* it is no persistent handle; write one as 0x81010001"):
        settings.handle_text(text, "ek")
    assert not settings.same_handle(text, text) or str(text).startswith("0x") or str(text).isdecimal()


def test_serial_index() -> None:
    found = settings.serial_index("0x01800010", "Gerät-1")
    assert (found.index, found.size, found.written) == (0x01800010, len("Gerät-1".encode()), True)
    # In whatever way the index is written, it is the same; a longer serial number makes another Name of it.
    assert settings.serial_index(str(0x01800010), "Gerät-1").name == found.name != settings.serial_index("0x01800010", "Gerät-10").name


@pytest.mark.parametrize("text", ["", "serial", "-1", "0x81010001", "0x02000000", "0x1"])
def test_what_is_no_serial_index(text: str) -> None:
    with pytest.raises(InputError, match=f"Could not read serial_index '{text}': write an NV index as 0x01800010"):
        settings.serial_index(text, "SN")


def test_quoted() -> None:
    assert settings.quoted(None) is settings.quoted({}) is None
    found = settings.quoted({"bank": None, "indices": [7, 0]})
    assert found is not None and found.text == "sha256:0,7"


def test_nobody_issues() -> None:
    assert "Could not enroll SN-1: neither authority nor external_authority is given" in settings.no_issuer("SN-1").message


@pytest.mark.parametrize("days", [0, -1, "soon", float("inf"), 1e9])
def test_an_age_of_crls_that_makes_no_sense(days: object) -> None:
    with pytest.raises(InputError, match="Could not read crl_max_age: it must be more than 0 days"):
        settings.trust_policy({"crl_max_age": days})


def test_a_crl_cannot_be_required_where_none_is_given() -> None:
    with pytest.raises(InputError, match="Could not require a CRL for each CA: no crls are given"):
        settings.trust_policy({"require_crl": True, "crls": []})
