# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The join of manifest and registry: names, states, groups and variables of hosts."""

from __future__ import annotations

import datetime
import types
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _inventory as inventory
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest.manifest import Row

DAY = datetime.datetime(2026, 3, 1, 12, 0, 0, 250000, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
EK, AK = "000b" + "1" * 64, "000b" + "a" * 64


def row(serial: str, host: str | None = None, **fields: t.Any) -> Row:
    return Row(**{"serial": serial, "host": host, "mac": None, "ek_sha256": None, "site": None, "model": None, "line": 2, **fields})


def device(serial: str, **fields: t.Any) -> t.Any:
    """A stand-in for a registry's device, with a secret that no host may have."""
    empty = dict.fromkeys(("host", "mac", "site", "model", "manufacturer", "firmware"), "")
    known = {"ek_name": EK, "ak_name": AK, "serial": serial, "enrolled_at": DAY, "auth_generation": 1, "sealed": "SENTINEL", **empty}
    return types.SimpleNamespace(**{**known, **fields})


def as_it_is(device: t.Any) -> t.Any:
    """A proof of whatever the row says."""
    return device


def join(rows: t.Any, devices: t.Any, incidents: t.Any, prove: t.Any = as_it_is, **options: t.Any) -> list[inventory.Host]:
    return inventory.join(rows, devices, incidents, prove=prove, **options).hosts


def incident(host: str = "", serial: str = "", *, reason: str = "no_certificate", detail: str = "", day: int = 0) -> t.Any:
    opened = DAY + datetime.timedelta(days=day)
    return types.SimpleNamespace(host=host, serial=serial, ek_name="", reason=reason, detail=detail, opened_at=opened)


def test_a_new_device() -> None:
    (host,) = join([row("A", "a", mac="02:00:00:00:00:01", ek_sha256="0" * 64, site="Plant A", model="m")], [], [])
    assert host.name == "a"
    assert host.groups == ("tpm2_new", "tpm2_site_Plant A", "tpm2_model_m")
    assert host.variables == {
        "tpm2_profile_serial": "A",
        "tpm2_state": "new",
        "tpm2_pinned_ek_sha256": "0" * 64,
        "tpm2_mac": "02:00:00:00:00:01",
        "tpm2_site": "Plant A",
        "tpm2_model": "m",
    }


def test_what_is_not_known_is_not_defined() -> None:
    assert join([row("A", "a")], [], []) == [inventory.Host("a", {"tpm2_profile_serial": "A", "tpm2_state": "new"}, ("tpm2_new",))]


def test_an_enrolled_device() -> None:
    known = device("A", host="old", mac="02:00:00:00:00:09", site="old", model="m", manufacturer="IFX", firmware="7.85", auth_generation=3)
    (host,) = join([row("A", "a", mac="02:00:00:00:00:01", site="s")], [known], [])
    assert host.name == "a"
    assert host.groups == ("tpm2_enrolled", "tpm2_manufacturer_IFX", "tpm2_firmware_7.85", "tpm2_site_s", "tpm2_model_m")
    assert host.variables == {
        "tpm2_profile_serial": "A",
        "tpm2_state": "enrolled",
        "tpm2_mac": "02:00:00:00:00:01",
        "tpm2_site": "s",
        "tpm2_model": "m",
        "tpm2_ek_name": EK,
        "tpm2_ak_name": AK,
        "tpm2_manufacturer": "IFX",
        "tpm2_firmware": "7.85",
        "tpm2_enrolled_at": "2026-03-01T10:00:00Z",
        "tpm2_auth_generation": 3,
    }


@pytest.mark.parametrize("case", [incident(host="a"), incident(host="A"), incident(serial="SN"), incident(host="a", serial="SN")])
@pytest.mark.parametrize("devices", [[], [device("SN")]], ids=["unknown", "registered"])
def test_an_incident_of_host_or_serial_is_quarantine(case: t.Any, devices: list[t.Any]) -> None:
    (host,) = join([row("SN", "a")], devices, [case])
    assert (host.variables["tpm2_state"], host.groups) == ("quarantined", ("tpm2_quarantined",))
    assert host.variables["tpm2_quarantine_reason"] == "no_certificate"
    assert "tpm2_quarantine_detail" not in host.variables
    assert ("tpm2_ek_name" in host.variables) == bool(devices)


@pytest.mark.parametrize("case", [incident(host="b"), incident(serial="sn"), incident(host="SN"), incident(serial="a"), incident()])
def test_an_incident_of_others_is_none_of_ours(case: t.Any) -> None:
    (host,) = join([row("SN", "a")], [], [case])
    assert host.variables["tpm2_state"] == "new"


def test_the_incident_of_a_host_that_is_named_by_its_serial() -> None:
    (host,) = join([row("SN")], [], [incident(host="SN")])
    assert host.variables["tpm2_state"] == "quarantined"


def test_the_oldest_of_several_incidents_gives_the_reason_and_all_the_detail() -> None:
    cases = [
        incident("a", "SN", reason="second", detail="two", day=2),
        incident("a", reason="first", detail="one", day=1),
        incident("", "SN", day=3),
    ]
    (host,) = join([row("SN", "a")], [], cases)
    assert (host.variables["tpm2_quarantine_reason"], host.variables["tpm2_quarantine_detail"]) == ("first", "one; two")


def test_devices_that_the_manifest_does_not_name() -> None:
    devices = [device("Z", host="z"), device("Y", site="s")]
    hosts = join([row("A", "a")], devices, [incident(serial="Z")])
    assert [(host.name, host.groups) for host in hosts] == [
        ("a", ("tpm2_new",)),
        ("Y", ("tpm2_enrolled", "tpm2_site_s", "tpm2_unlisted")),
        ("z", ("tpm2_quarantined", "tpm2_unlisted")),
    ]
    assert [host.name for host in join([row("A", "a")], devices, [], unlisted=False)] == ["a"]


@pytest.mark.parametrize(
    ("host", "serial", "name"),
    [
        ("b", "B", "b"),
        ("a", "B", "B"),  # the manifest has given the name to another device
        ("A", "B", "B"),
        ("a b", "B", "B"),
        ("all", "B", "B"),
        ("tpm2_new", "B", "B"),
        ("", "B", "B"),
        ("a", "B C", f"ek-{EK}"),
        ("", "a", f"ek-{EK}"),
        ("", "ungrouped", f"ek-{EK}"),
    ],
)
def test_the_name_of_an_unlisted_device(host: str, serial: str, name: str) -> None:
    found = join([row("SN", "a")], [device(serial, host=host)], [])
    assert [one.name for one in found] == ["a", name]


def test_two_unlisted_devices_that_were_enrolled_under_one_name() -> None:
    found = join([], [device("B", host="x"), device("A", host="x")], [])
    assert [(one.name, one.variables["tpm2_profile_serial"]) for one in found] == [("x", "A"), ("B", "B")]


def test_an_exchanged_board_does_not_inherit_the_registration_of_the_old_one() -> None:
    # The name stays, the serial number is another: the new board is new, and the old one is still known.
    found = join([row("NEW", "a")], [device("OLD", host="a")], [])
    assert [(one.name, one.variables["tpm2_profile_serial"], one.variables["tpm2_state"]) for one in found] == [
        ("a", "NEW", "new"),
        ("OLD", "OLD", "enrolled"),
    ]


def test_nothing_of_a_device_but_what_is_named_becomes_a_variable() -> None:
    assert "SENTINEL" not in str(join([row("A", "a")], [device("A"), device("B")], []))


FORGED = {"host": "forged", "mac": "02:00:00:00:00:66", "site": "forged", "model": "forged", "manufacturer": "IFX", "firmware": "6.6"}


@pytest.mark.parametrize(
    ("prove", "state"), [(None, "enrolled"), (lambda device: "record_signature", "unproven")], ids=["no roots", "unproven"]
)
def test_a_row_that_nothing_proves_gives_a_listed_device_its_state_alone(prove: t.Any, state: str) -> None:
    (host,) = join([row("A", "a", model="m")], [device("A", **FORGED)], [], prove)
    assert host.groups == (f"tpm2_{state}", "tpm2_model_m")
    told = {"tpm2_unproven_reason": "record_signature"} if prove else {}
    assert host.variables == {"tpm2_profile_serial": "A", "tpm2_model": "m", "tpm2_state": state, **told}


@pytest.mark.parametrize("prove", [None, lambda device: "no_record"], ids=["no roots", "unproven"])
@pytest.mark.parametrize("cases", [[], [incident(serial="B")]], ids=["enrolled", "quarantined"])
def test_a_row_that_nothing_proves_makes_no_host(prove: t.Any, cases: list[t.Any]) -> None:
    found = inventory.join([row("A", "a")], [device("B", **FORGED), device("C")], cases, prove=prove)
    assert ([host.name for host in found.hosts], found.left_out) == (["a"], 2)
    assert inventory.join([row("A", "a")], [device("B")], cases, prove=prove, unlisted=False).left_out == 0


def test_what_is_signed_goes_before_the_row() -> None:
    signed = device("B", host="b", site="north")
    (host,) = join([], [device("B", **FORGED)], [], lambda device: signed)
    assert (host.name, host.groups) == ("b", ("tpm2_enrolled", "tpm2_site_north", "tpm2_unlisted"))
