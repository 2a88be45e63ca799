# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The TPM of Python takes what the real backend and reader take."""

from __future__ import annotations

import ast
import inspect
import pathlib

import pytest
from unit.fakes import FakeTpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base, reader

ESAPI = pathlib.Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_backend" / "esapi.py"
VERBS = sorted(name for name, value in vars(base.Backend).items() if inspect.isfunction(value) and not name.startswith("_"))
# Both have one of that name; the fake's tells them apart by the number of arguments.
READS = ["auth_policy", "pcr_read", "platform_auth_is_empty", "properties", "read_public", "nv_read_public"]


def parameters(function: object) -> list[str]:
    return list(inspect.signature(function).parameters)  # type: ignore[arg-type]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("init", "no_init", "nv_read")])
def test_the_fake_has_the_backends_verbs(verb: str) -> None:
    assert parameters(getattr(FakeTpm, verb)) == parameters(getattr(base.Backend, verb))


def test_both_kinds_of_reading_an_index() -> None:
    assert parameters(FakeTpm.nv_backend_read) == parameters(base.Backend.nv_read)
    assert parameters(FakeTpm.nv_raw_read) == parameters(reader.Reader.nv_read)


@pytest.mark.parametrize("read", READS)
def test_the_fake_has_the_readers_reads(read: str) -> None:
    assert parameters(getattr(FakeTpm, read)) == parameters(getattr(reader.Reader, read))


def test_the_real_backend_has_the_same_verbs() -> None:
    # Read, not imported: the unit tests need no TSS.
    tree = ast.parse(ESAPI.read_text())
    methods = {
        node.name: [argument.arg for argument in node.args.args]
        for cls in tree.body
        if isinstance(cls, ast.ClassDef) and cls.name == "Esapi"
        for node in cls.body
        if isinstance(node, ast.FunctionDef)
    }
    assert {verb: methods.get(verb) for verb in VERBS if not verb.endswith("init")} == {
        verb: parameters(getattr(base.Backend, verb)) for verb in VERBS if not verb.endswith("init")
    }
