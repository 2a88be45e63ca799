# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one definition of a secret: it agrees with the argument specification, with diffs and with what roles keep back."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.filter.without_secrets import FilterModule
from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds, _secret

Item = dict[str, dict[str, t.Any]]
VALUE, AUTH = "worth-keeping", "auth-value"
KINDS = _kinds.profile()["resources"]["options"]
SPECS = {name: getattr(part, name)() for part in (_argspec, _argspec_identity) for name in part.__all__} | {"profile": _kinds.profile()}
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"
without_secrets = FilterModule().filters()["without_secrets"]


def nv(**options: t.Any) -> Item:
    return {"nv_index": {"index": "0x01800010", "content": VALUE, **options}}


POLICY = [{"command_code": "NV_Read"}]
# What everybody may see, with the value that is then in it.
PUBLIC: list[Item] = [
    nv(),
    nv(auth=None),
    nv(auth=""),
    nv(write_once=True),
    nv(attributes=["ownerwrite", "authread"]),
    nv(attributes=["ownerwrite", "authread", "policyread"], policy=POLICY),
    nv(attributes="ownerwrite,authread"),
]
SECRET: list[Item] = [
    nv(auth=AUTH),
    nv(auth="hex:00ff"),
    nv(attributes=["ownerwrite", "ownerread"]),
    nv(attributes=["ownerwrite", "policyread"], policy=POLICY),
    nv(attributes=["ppwrite", "ppread", "platformcreate"]),
    nv(auth=AUTH, write_once=True),
    {"nv_index": {"index": "0x01800010", "content_b64": "d29ydGgta2VlcGluZw==", "attributes": ["ownerwrite", "ownerread"]}},
    {"sealed_blob": {"path": "/x", "content": VALUE, "pcrs": {"indices": [7]}}},
    {"sealed_blob": {"path": "/x", "content_b64": "d29ydGgta2VlcGluZw==", "pcrs": {"indices": [7]}}},
    {"sealed_blob": {"path": "/x", "content": CERTIFICATE}},
    {"sealed_blob": {"path": "/x", "src": "/etc/key", "auth": AUTH}},
    {"hierarchy": {"hierarchy": "owner", "auth": AUTH}},
    {"hierarchy": {"hierarchy": "owner", "current_auth": AUTH, "auth": ""}},
    {"key": {"handle": "0x81000200", "auth": AUTH}},
    {"certificate": {"path": "/x", "content": CERTIFICATE + "-----BEGIN PRIVATE KEY-----\n"}},
    {"certificate": {"path": "/x", "content": VALUE}},
]
# No secret is in them, and what they make is worth nothing to another.
HARMLESS: list[Item] = [
    {"da_lockout": {"max_tries": 32}},
    {"primary_key": {"template": "srk_ecc_p256", "unique": "text"}},
    {"key": {"handle": "0x81000200", "policy": [{"password": True}, "auth_value"]}},
    {"persistent_handle": {"handle": "0x81000200", "state": "absent"}},
    {"certificate": {"path": "/x", "content": CERTIFICATE}},
    {"nv_index": {"index": "0x01800010", "size": 8, "attributes": ["ownerwrite", "ownerread"]}},
    {"nv_index": {"index": "0x01800010", "state": "absent", "auth": None}},
]
# There for a secret's sake, with none in it.
PROTECTING: list[Item] = [
    {"hierarchy": {"hierarchy": "platform", "refuse_empty_auth": True}},
    {"sealed_blob": {"path": "/x", "state": "absent"}},
]


def values(item: Item) -> set[str]:
    """What is secret in a secret item, by hand."""
    ((_kind, options),) = item.items()
    return {str(value) for name, value in options.items() if name in ("content", "content_b64", "auth", "current_auth") and value}


def as_module(item: Item) -> list[tuple[dict[str, t.Any], _secret.Spec | None]]:
    """The options as the modules see them, that of the noun and that of profiles; before and after ansible-core has checked them."""
    ((kind, options),) = item.items()
    full = {name: options.get(name, spec.get("default")) for name, spec in KINDS[kind]["options"].items()}
    return [
        (options, KINDS[kind]["options"]),
        (full, None),
        ({"resources": [item]}, None),
        ({"resources": [{kind: full}]}, _kinds.profile()),
    ]


@pytest.mark.parametrize("item", SECRET, ids=str)
def test_what_is_secret_is_hidden_and_kept_back(item: Item) -> None:
    for options, spec in as_module(item):
        assert values(item) <= set(_secret.secret_values(options, spec)), options
        assert values(item) <= _secret.hidden(options, spec)
    assert _secret.is_secret(item, KINDS) and without_secrets([item]) == []


@pytest.mark.parametrize("item", PUBLIC + HARMLESS, ids=str)
def test_what_is_no_secret_is_shown_and_sent(item: Item) -> None:
    for options, spec in as_module(item):
        assert list(_secret.secret_values(options, spec)) == []
    assert not _secret.is_secret(item, KINDS) and without_secrets([item]) == [item]


@pytest.mark.parametrize("item", PROTECTING, ids=str)
def test_what_protects_is_kept_back_without_a_secret_in_it(item: Item) -> None:
    assert list(_secret.secret_values(item, KINDS)) == [] and without_secrets([item]) == []


@pytest.mark.parametrize("item", [one for one in PUBLIC + SECRET if "nv_index" in one], ids=str)
def test_the_diff_shows_what_is_public_and_nothing_else(item: Item, tmp_path: pathlib.Path) -> None:
    outcome = Bed(tmp_path).run(item, check=True)
    shown = json.dumps(outcome.diff)
    assert (VALUE in shown) is (item in PUBLIC)


def test_a_blob_and_a_key_show_nothing_in_a_diff(tmp_path: pathlib.Path) -> None:
    bed = Bed(tmp_path)
    srk = {"primary_key": {"handle": "0x81000001"}}
    blob = {"sealed_blob": {"path": bed.path("x"), "content": VALUE, "auth": AUTH}}
    key = {"key": {"handle": "0x81000200", "auth": AUTH}}
    owner = {"hierarchy": {"hierarchy": "owner", "auth": AUTH}}
    outcome = bed.run(srk, blob, key, owner, check=True)
    assert len(outcome.steps) == 4
    said = json.dumps([outcome.diff, outcome.steps, [plan.report() for plan in outcome.plans]])
    assert VALUE not in said and AUTH not in said


# -- the argument specifications


def every_option(spec: _secret.Spec, where: str = "", kind: str = "") -> t.Iterator[tuple[str, str, str, t.Mapping[str, t.Any]]]:
    for name, option in spec.items():
        yield where + name, name, kind, option
        yield from every_option(option.get("options", {}), f"{where}{name}.", name)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_the_definition_knows_every_option_that_is_never_logged(name: str) -> None:
    for where, option_name, kind, option in every_option(SPECS[name]):
        known = bool(list(_secret.secret_values({option_name: VALUE}, None, "sealed_blob" if option_name in _secret.CONTENT else kind)))
        says = option.get("no_log") is True
        conditional = option_name in _secret.CONTENT and not says
        assert known == says or conditional, where


def test_content_that_the_specification_leaves_open_is_that_of_two_kinds() -> None:
    open_content = {
        kind for kind, one in KINDS.items() for name in _secret.CONTENT & set(one["options"]) if not one["options"][name].get("no_log")
    }
    assert open_content == {"certificate", "nv_index"}
    assert set(KINDS["certificate"]["options"]) == _secret._CERTIFICATE
    assert set(KINDS) == set(_kinds.KINDS) and _secret.PROTECTING <= set(KINDS)


# -- what is malformed

MALFORMED: list[t.Any] = [
    VALUE,
    None,
    7,
    [VALUE],
    {},
    {"sealed_blobs": {"content": VALUE}},
    {"nv_index": VALUE},
    {"nv_index": [{"content": VALUE}]},
    {"nv_index": None},
    {"nv_index": {"index": "0x01800010", "contents": VALUE}},
    {"key": {"handle": "0x81000200", "auht": VALUE}},
    {"key": {"handle": "0x81000200"}, "da_lockout": {"max_tries": VALUE}},
    {7: {"content": VALUE}},
    {"key": {7: VALUE}},
]


@pytest.mark.parametrize("item", MALFORMED, ids=str)
def test_what_is_no_resource_is_a_secret_and_an_error_that_shows_none(item: t.Any) -> None:
    assert _secret.is_secret(item, KINDS)
    with pytest.raises(AnsibleFilterError, match="^Could not read item 2 of the resources: ") as failed:
        without_secrets([nv(), item])
    assert VALUE not in str(failed.value)


@pytest.mark.parametrize("resources", [None, VALUE, {"nv_index": {"content": VALUE}}, 7])
def test_the_filter_takes_a_list(resources: t.Any) -> None:
    with pytest.raises(AnsibleFilterError, match="takes a list") as failed:
        without_secrets(resources)
    assert VALUE not in str(failed.value)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"owner_auth": "one", "lockout_auth": "two", "platform_auth": None, "tcti": "device"}, {"one", "two"}),
        ({"auth": "one", "current_auth": 42, "path": "/x"}, {"one", "42"}),
        ({"auth": True}, {"True"}),
        ({"resources": {"hierarchy": [{"auth": "malformed"}]}}, {"malformed"}),
        ({"auth": {"not": "text", "auth": ["still"]}}, {"text", "still"}),
        ({"index": {"not": "text"}, "content": "x", "attributes": 7}, {"x"}),
        ({"index": "1", "content": "x", "attributes": {"authread": 1}}, {"x"}),
        (
            {"escrow": {"mode": "derived", "master": "m"}, "authority": {"password": "p", "pkcs11": {"pin": 1234, "token": "t"}}},
            {"m", "p", "1234"},
        ),
        ({"auth": ""}, set()),
        (None, set()),
        ("auth", set()),
    ],
)
def test_secrets_are_found_wherever_they_stand(options: t.Any, found: set[str]) -> None:
    assert set(_secret.secret_values(options)) == found


def test_a_name_that_the_specification_does_not_know_holds_a_secret() -> None:
    spec = _argspec.nv_index()
    options = {"index": "0x01800010", "contents": VALUE, "_ansible_verbosity": 3}
    assert list(_secret.secret_values(options, spec)) == [VALUE] and list(_secret.secret_values(options)) == []


AS_JSON = json.dumps({"hierarchy": {"hierarchy": "owner", "auth": AUTH}})


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"resources": [AS_JSON]}, AS_JSON),
        ({"resources": f"[{AS_JSON}]"}, f"[{AS_JSON}]"),
        ({"resources": (AS_JSON,)}, AS_JSON),
        ({"resources": [[AS_JSON]]}, AS_JSON),
        ({"resources": [AS_JSON.encode()]}, AS_JSON),
        ({"resources": [{"hierarchy": f"hierarchy=owner auth={AUTH}"}]}, f"hierarchy=owner auth={AUTH}"),
        ({"resources": [{"hierarchy": repr({"auth": AUTH})}]}, repr({"auth": AUTH})),
        ({"resources": [{"sealed_blob": {"path": "/x", "pcrs": f"auth={AUTH}"}}]}, f"auth={AUTH}"),
    ],
    ids=str,
)
def test_text_in_the_place_of_a_mapping_is_a_secret(options: t.Any, found: str) -> None:
    """Ansible makes a mapping of it."""
    assert set(_secret.secret_values(options, _kinds.profile())) == {found} and found in _secret.hidden(options, _kinds.profile())


@pytest.mark.parametrize("name", ["enroll", "registry_info", "auth_generation"])
def test_text_in_the_place_of_a_mapping_is_a_secret_in_every_module(name: str) -> None:
    mappings = [option for option, known in SPECS[name].items() if known.get("type") == "dict"]
    assert mappings
    for option in mappings:
        assert set(_secret.secret_values({option: f"master={VALUE}"}, SPECS[name])) == {f"master={VALUE}"}, option


def test_a_mapping_in_its_place_is_no_secret_and_neither_is_none() -> None:
    pcrs = {"bank": "sha256", "indices": [7, "8"], "values": {"7": "00"}}
    for given in (pcrs, None, ""):
        options = {"serial": "EDGE-0001", "pcrs": given, "facts": {"site": "north"}}
        assert list(_secret.secret_values(options, _argspec_identity.enroll())) == []
    key = {"key": {"handle": "0x81000200", "policy": ["auth_value", {"pcr": pcrs}]}}
    session_key = {"handle": "0x81010001", "name": "000b"}
    spec = {**_kinds.profile(), **_argspec.session_key()}
    assert list(_secret.secret_values({"resources": [key], "session_key": session_key}, spec)) == []


def test_what_is_hidden_is_hidden_in_every_form() -> None:
    value = "-\"\\'\n\N{LATIN SMALL LETTER E WITH ACUTE}"
    hidden = _secret.hidden({"auth": value})
    assert {value, repr(value)[1:-1], json.dumps(value)[1:-1]} <= hidden
