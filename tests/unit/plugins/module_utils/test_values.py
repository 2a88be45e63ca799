# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What YAML made of a value that is to be text is found wherever it lies, and never shown."""

from __future__ import annotations

import datetime
import json
import typing as t

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.filter.serial_number import serial_number
from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds, _values
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import names

# As somebody writes it without quotes, and what it is then.
UNQUOTED = {
    "0012345": "a number",
    "12:34:56": "a number",
    "52:54:00": "a number",
    "1.10": "a number",
    "0x1f": "a number",
    "1_000": "a number",
    ".inf": "a number",
    "yes": "a truth value",
    "No": "a truth value",
    "2026-01-01": "a date",
    "2026-01-01 10:00:00": "a date",
    "!!binary QQ==": "binary data",
    "{a: 1}": "a mapping",
    "{{ x }}": "a mapping",
    "[a]": "a list",
    "!!set {a}": "a list",
}
PROFILE = _kinds.profile()


@pytest.mark.parametrize(("written", "kind"), UNQUOTED.items())
def test_what_is_no_text_any_more(written: str, kind: str) -> None:
    if written == "{{ x }}":
        value: t.Any = {"x": None}  # PyYAML cannot hash it; Ansible says so itself
    else:
        value = yaml.safe_load(f"content: {written}")["content"]
    assert _values.kind(value) == kind
    options = {"index": "0x01800010", "content": value}
    said = _values.misread(options, _argspec.nv_index())
    assert said.startswith("Could not read content: ") and kind in said and str(value) not in said
    inside = {"resources": [{"da_lockout": {"max_tries": 5}}, {"nv_index": options}]}
    assert _values.misread(inside, PROFILE).startswith("Could not read content (item 2 of resources, nv_index): ")


def test_what_cannot_be_encoded() -> None:
    """Text that was read from bytes in another encoding."""
    torn = b"caf\xe9".decode("utf-8", "surrogateescape")
    said = _values.misread({"index": "0x01800010", "content": torn}, _argspec.nv_index())
    assert said.startswith("Could not read content: it is not Unicode text") and said.isascii() and "caf" not in said
    assert _values.misread({"index": "0x01800010", "content": "caf\u00e9 \U0001f511"}, _argspec.nv_index()) == ""


class Vaulted:
    """As ansible-core 2.18 keeps a value of a vault."""

    __ENCRYPTED__ = True


@pytest.mark.parametrize("value", [None, "", "0012345", "yes", Vaulted()])
def test_text_is_text(value: t.Any) -> None:
    assert _values.kind(value) == "" == _values.misread({"content": value, "auth": value}, _argspec.nv_index())


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"index": 0x01800010, "size": 8, "write_once": True, "content": "x", "state": "present"}, _argspec.nv_index()),
        ({"handle": 0x81000001, "parent": 0x81000001, "no_da": False}, _argspec.key()),
        ({"path": "/x", "mode": 0o600, "owner": 0, "group": 0, "pcrs": {"indices": [7], "values": {7: "00"}}}, _argspec.sealed_blob()),
        ({"serial": "EF-1", "ek": 0x81010001, "ldevid": {"handle": 0x81000220, "lifetime": 90}, "timeout": 5}, _argspec_identity.enroll()),
        ("no mapping", PROFILE),
        ({"resources": "no list"}, PROFILE),
        ({"resources": [None, 7, "text", {"nv_index": None}, {"nv_index": 7}, {"unknown": {"content": 7}}]}, PROFILE),
    ],
)
def test_numbers_by_nature_and_what_others_refuse_are_left_alone(options: t.Any, spec: _argspec.Spec) -> None:
    assert _values.misread(options, spec) == ""


@pytest.mark.parametrize(
    ("options", "spec", "where"),
    [
        ({"lockout_auth": 1234}, _argspec.connection(), "lockout_auth"),
        ({"resources": [{"hierarchy": {"hierarchy": "owner", "auth": 1234}}]}, PROFILE, "auth (item 1 of resources, hierarchy)"),
        ({"resources": [json.dumps({"hierarchy": {"auth": 1234}})]}, PROFILE, "auth (item 1 of resources, hierarchy)"),
        ({"resources": [repr({"hierarchy": {"auth": 1234}})]}, PROFILE, "auth (item 1 of resources, hierarchy)"),
        ({"resources": [{"hierarchy": json.dumps({"auth": 1234})}]}, PROFILE, "auth (item 1 of resources, hierarchy)"),
        ({"serial": 1234}, _argspec_identity.enroll(), "serial"),
        ({"serial": "x", "mac": 190208}, _argspec_identity.enroll(), "mac"),
        ({"authority": {"pkcs11": {"pin": 1234}}}, _argspec_identity.enroll(), "pin (authority, pkcs11)"),
        ({"escrow": {"master": 1234}}, _argspec_identity.registry_info(), "master (escrow)"),
        ({"session_key": {"handle": 1, "name": 1234}}, _argspec.session_key(), "name (session_key)"),
        ({"content": datetime.datetime(2026, 1, 1)}, _argspec.nv_index(), "content"),
    ],
)
def test_what_is_no_text_is_found_wherever_it_lies(options: t.Any, spec: _argspec.Spec, where: str) -> None:
    said = _values.misread(options, spec)
    assert said.startswith(f"Could not read {where}: ") and "1234" not in said


@pytest.mark.parametrize(
    ("options", "spec", "where"),
    [
        ({"max_tries": True}, _argspec.da_lockout(), "max_tries"),
        ({"index": "0x01800010", "size": False}, _argspec.nv_index(), "size"),
        ({"pcrs": {"indices": [7, True]}}, _argspec.sealed_blob(), "indices (pcrs)"),
        ({"pcrs": [False]}, _argspec.info(), "pcrs"),
        ({"resources": [{"da_lockout": {"recovery_time": True}}]}, PROFILE, "recovery_time (item 1 of resources, da_lockout)"),
        ({"crl_max_age": True}, _argspec_identity._trust(), "crl_max_age"),
    ],
)
def test_a_truth_value_is_no_number(options: t.Any, spec: _argspec.Spec, where: str) -> None:
    assert _values.misread(options, spec) == f"Could not read {where}: it is a truth value, not a number; write the number."


# -- serial numbers

GOOD = ["EF-1", "0012345", "a", "A" * 64, "with blanks (2)", "A/B:C"]
BAD = {
    "": "is empty",
    " EF-1": "begins or ends with a blank",
    "EF-1 ": "begins or ends with a blank",
    "EF-1\n": "begins or ends with a blank",
    "\tEF-1": "begins or ends with a blank",
    "\u00a0EF-1": "begins or ends with a blank",
    " ": "begins or ends with a blank",
    "EF\n1": "has the character '\\n'",
    "EF_1": "has the character '_'",
    "EF-ä": "has the character 'ä'",
    "A" * 65: "has 65 characters, more than 64",
}


@pytest.mark.parametrize("serial", GOOD)
def test_a_serial_number(serial: str) -> None:
    assert names.check_serial(serial) == serial == serial_number(serial) and names.serial_fault(serial) == ""


@pytest.mark.parametrize(("serial", "reason"), BAD.items())
def test_what_is_no_serial_number(serial: str, reason: str) -> None:
    assert names.serial_fault(serial).startswith(reason)
    with pytest.raises(InputError, match="^Could not use the serial number '"):
        names.check_serial(serial)
    with pytest.raises(AnsibleFilterError, match="correct tpm2_profile_serial"):
        serial_number(serial)


@pytest.mark.parametrize("serial", [5349, True, 1.5, datetime.date(2026, 1, 1), ["EF-1"], {"EF": 1}])
def test_a_serial_number_is_text(serial: t.Any) -> None:
    with pytest.raises(InputError, match="^Could not read serial: "):
        names.check_serial(serial)
    with pytest.raises(AnsibleFilterError, match="^Could not read tpm2_profile_serial: "):
        serial_number(serial)
