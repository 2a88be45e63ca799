# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of devices: what is ours is kept, the rest dropped, what is malformed refused; and the tables are the modules' RETURN."""

from __future__ import annotations

import importlib
import pathlib
import typing as t

import pytest
import yaml

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _secret
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer, _answer_tables
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison

ROOT = pathlib.Path(__file__).resolve().parents[4]
ACTIONS = {path.stem for path in (ROOT / "plugins/action").glob("*.py")}
MODULES = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
CONTROLLERS = {"tpm2_auth_generation", "tpm2_enroll", "tpm2_registry_info"}


def test_every_module_has_an_action_plugin_and_every_device_module_a_table() -> None:
    assert ACTIONS == MODULES
    assert set(_answer_tables.TABLES) == MODULES - CONTROLLERS


def documented(entry: dict[str, t.Any]) -> t.Any:
    """What RETURN says of one key, as `declared` says it of one kind."""
    if entry["type"] == "list":
        return ["list", documented({**entry, "type": entry["elements"]})]
    return {name: documented(one) for name, one in entry["contains"].items()} if "contains" in entry else entry["type"]


def declared(kind: _answer.Kind) -> t.Any:
    if kind.word == "list":
        return ["list", declared(kind.parts)]
    return {name: declared(one) for name, one in kind.parts.items()} if kind.parts else kind.word


@pytest.mark.parametrize("name", sorted(_answer_tables.TABLES))
def test_a_table_is_what_return_documents(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.edgefleet.tpm2.plugins.modules.{name}")
    told = {key: documented(entry) for key, entry in yaml.safe_load(module.RETURN).items()}
    ours = {key: declared(kind) for key, kind in _answer_tables.MODULES[name].items()}
    assert ours == told


@pytest.mark.parametrize("name", sorted(_answer_tables.TABLES))
def test_the_name_of_a_key_is_no_secret(name: str) -> None:
    # Without pipelining a task that pins the session's key, and sends no secret, is not refused.
    options = {"session_key": {"handle": "0x81010001", "name": "000b" + "00" * 32}, "owner_auth": None}
    assert not list(_secret.secret_values(options, comparison.spec(name)))
    assert list(_secret.secret_values({**options, "owner_auth": "one"}, comparison.spec(name))) == ["one"]


OURS = _answer.fields(
    {
        "changed": _answer.BOOL,
        "name": _answer.TEXT,
        "rows": _answer.listed(_answer.fields({"n": _answer.INT})),
        "pem": _answer.RAW,
        "free": _answer.TREE,
    }
)


def test_what_is_not_ours_is_dropped_at_every_level() -> None:
    answer = {
        "changed": True,
        "ansible_facts": {"tpm2_pinned_ek_sha256": "x"},
        "_ansible_no_log": False,
        "add_host": {"host_name": "x"},
        "rows": [{"n": 1, "m": 2}],
        "free": {"a": [{"_ansible_x": 1, "b": "c"}], "__ansible_vault": "x"},
    }
    assert _answer.taken(OURS, answer) == {"changed": True, "rows": [{"n": 1}], "free": {"a": [{"b": "c"}]}}


def test_null_stays_null() -> None:
    assert _answer.taken(OURS, {"name": None, "rows": None}) == {"name": None, "rows": None}


MALFORMED: dict[str, t.Any] = {
    "text for truth": {"changed": "yes"},
    "truth for a number": {"rows": [{"n": True}]},
    "number for text": {"name": 5},
    "mapping for a list": {"rows": {"n": 1}},
    "list for a mapping": {"free": []},
    "text for a mapping": {"rows": ["x"]},
    "terminal control in PEM": {"pem": "\x1b[2J"},
    "a long text": {"name": "x" * 70_000},
    "a long key": {"free": {"k" * 300: 1}},
    "many values": {"rows": [{"n": 1}] * 60_000},
    "a large number": {"rows": [{"n": 1 << 70}]},
    "no number": {"free": {"n": float("nan")}},
}


@pytest.mark.parametrize("case", sorted(MALFORMED))
def test_malformed_answers_are_refused(case: str) -> None:
    with pytest.raises(_answer.MalformedError):
        _answer.taken(OURS, MALFORMED[case])


def test_depth_is_bounded_without_recursion() -> None:
    deep: t.Any = "x"
    for _level in range(100_000):
        deep = [deep]
    with pytest.raises(_answer.MalformedError, match="nested too deep"):
        _answer.taken(OURS, {"free": {"a": deep}})
    while isinstance(deep, list):  # freed level by level, as Python's own way is recursive
        deep = deep.pop()


def test_the_texts_of_an_answer_can_be_shown() -> None:
    found = _answer.taken(OURS, {"name": "a\x1b[31m\nTASK [x]", "free": {"\x9b": "\u202e"}, "pem": "-----BEGIN\nAA==\n"})
    assert found == {"name": "a\\x1b[31m TASK [x]", "free": {"\\x9b": "\\u202e"}, "pem": "-----BEGIN\nAA==\n"}
