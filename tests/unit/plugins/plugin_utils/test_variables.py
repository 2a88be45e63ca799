# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with the variables of an inventory: misspelt names, serial numbers that are missing or used twice."""

from __future__ import annotations

import pytest
import yaml

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tpm2_profile_hardend", "tpm2_profile_hardened"),
        ("tpm2_profil_hardened", "tpm2_profile_hardened"),
        ("tpm2_hardened", "tpm2_profile_hardened"),
        ("tpm2_serial", "tpm2_profile_serial"),
        ("tpm2_host", "tpm2_hosts"),
        ("tpm2_identity_registery", "tpm2_identity_registry"),
        ("TPM2_profile_hardened", "tpm2_profile_hardened"),
        ("tmp2_profile_serial", "tpm2_profile_serial"),
        ("tpm_stack_overlays", "tpm_stack_overlay"),
        ("tpm2_profile_zzzzzzzz", ""),
        ("tpm2_profile_serial", None),
        ("tpm2_unproven_reason", None),
        ("tpm2_asset_tag", None),
        ("tpm_of_the_month", None),
        ("asset_tag", None),
    ],
)
def test_a_misspelt_name_and_the_right_one(name: str, meant: str | None) -> None:
    assert _variables.meant(name) == meant


def test_every_known_name_is_let_pass() -> None:
    everything = dict.fromkeys(_variables.options() | _variables.RESULTS, 1)
    assert _variables.misspelt({"edge-01": everything}) == []


def test_one_sentence_for_a_name_on_many_hosts() -> None:
    (sentence,) = _variables.misspelt({f"edge-{number}": {"tpm2_profile_hardend": True} for number in range(1, 8)})
    assert sentence == (
        "Nobody here knows the variable tpm2_profile_hardend of edge-1, edge-2, edge-3, edge-4, edge-5 and 2 more; did you mean tpm2_profile_hardened?"
    )


def test_a_name_of_the_users_own_beside_the_right_one_is_no_slip() -> None:
    assert _variables.misspelt({"edge-01": {"tpm2_serial": "A", "tpm2_profile_serial": "{{ tpm2_serial }}"}}) == []
    assert _variables.misspelt({"edge-01": {"tpm2_profile_hardend": True, "tpm2_profile_hardened": True}}) != []


def test_each_host_that_cannot_be_told_apart_has_its_sentence() -> None:
    serials = {"edge-01": "A", "edge-02": "A", "edge-03": "", "edge-04": "D", "other": "D", "camera": ""}
    found = _variables.serial_faults(serials, ["edge-01", "edge-02", "edge-03", "edge-04"])
    assert found.keys() == {"edge-01", "edge-02", "edge-03", "edge-04"}
    assert found["edge-01"].startswith("edge-01 has the serial number A, and so has edge-02;")
    assert found["edge-03"].startswith("edge-03 has no serial number;")
    assert found["edge-04"].startswith("edge-04 has the serial number D, and so has other;")
    assert _variables.serial_faults({"edge-01": "A", "edge-02": "B"}, ["edge-01"]) == {}


@pytest.mark.parametrize(
    ("serial", "reason"),
    [
        (0o12345, "Could not read tpm2_profile_serial: YAML has made a number of it"),
        (True, "Could not read tpm2_profile_serial: YAML has made a truth value of it"),
        (0, "Could not read tpm2_profile_serial: YAML has made a number of it"),
        (" EF-7", "Could not use the serial number ' EF-7': it begins or ends with a blank"),
        ("EF_7", "Could not use the serial number 'EF_7': it has the character '_'"),
    ],
    ids=["octal", "truth", "zero", "blank", "underscore"],
)
def test_a_serial_number_that_is_none_is_refused_with_its_host(serial: object, reason: str) -> None:
    found = _variables.serial_faults({"edge-01": serial, "edge-02": "EF-7"}, ["edge-01"])
    assert found["edge-01"].startswith(f"edge-01: {reason}")


def test_a_host_gives_no_command_to_the_screen() -> None:
    odd = "edge\x1b[2J"
    found = [_variables.serial_faults({odd: serial, "edge-02": "EF-7"}, [odd])[odd] for serial in ("", 7, "EF-7")]
    found += _variables.serial_faults({odd: "EF-7", "edge-02": "EF-7"}, ["edge-02"]).values()
    found += [_variables.tcti_fault(odd, RAW, KERNEL, ""), *_variables.misspelt({odd: {"tpm2_profile_serail": "EF-7"}})]
    assert all("edge\\x1b[2J" in one and one.isprintable() for one in found), found


def test_one_that_is_none_is_shared_all_the_same() -> None:
    assert "and so has edge-01;" in _variables.serial_faults({"edge-01": 5349, "edge-02": "5349"}, ["edge-02"])["edge-02"]


KERNEL, RAW, ABRMD = "device:/dev/tpmrm0", "device:/dev/tpm0", _variables.ABRMD


@pytest.mark.parametrize(
    ("profile", "platform", "manager", "means"),
    [
        ("", "", "", ""),
        (KERNEL, "", "abrmd", ""),
        ("", RAW, "kernel", ""),
        (KERNEL, KERNEL, "", ""),
        ("", ABRMD, "abrmd", ""),
        (KERNEL, RAW, "", f"tpm2_profile_tcti means {KERNEL}"),
        ("", RAW, "abrmd", f"tpm2_resource_manager: abrmd means {ABRMD}"),
    ],
)
def test_two_ways_to_one_tpm(profile: str, platform: str, manager: str, means: str) -> None:
    found = _variables.tcti_fault("edge-01", profile, platform, manager)
    assert found == (
        f"edge-01: platform_hierarchy_tcti is {platform}, and {means}; leave platform_hierarchy_tcti out, so that all roles use the same TPM."
        if means
        else ""
    )


def test_the_way_through_the_resource_manager_is_that_of_the_roles() -> None:
    variables = yaml.safe_load((_variables.ROLES / "controller/vars/main.yml").read_text())
    assert f"'{_variables.ABRMD}' if tpm2_resource_manager" in variables["__controller_tcti"]


def test_what_a_resource_of_a_list_is_called() -> None:
    items = [
        {"nv_index": {"index": "0x01800011", "content": "{{ asset_tag }}"}},
        {"key": {"handle": "{{ mine }}", "path": "/x.pem"}},
        {"da_lockout": None},
        "{{ one }}",
        {"a": 1, "b": 2},
    ]
    assert [where for where, _item in _variables.resources("more", items)] == [
        "item 1 of more (nv_index 0x01800011)",
        "item 2 of more (key /x.pem)",
        "item 3 of more (da_lockout)",
        "item 4 of more",
        "item 5 of more",
    ]
