# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a playbook can say is what is documented, and what an error sentence names is what a playbook can say."""

from __future__ import annotations

import ast
import functools
import importlib
import pathlib
import re
import shutil
import typing as t

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _argspec_identity, _kinds
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import policy_read
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, templates

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.edgefleet.tpm2.plugins"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("tpm2_*.py"))
SPECS = {name: getattr(part, name) for part in (_argspec, _argspec_identity) for name in part.__all__} | {"profile": _kinds.profile}
FRAGMENTS = sorted(set(SPECS) - {"info", "pcrs"})  # tpm2_info documents its options itself; pcrs is a part of others

Options = dict[str, dict[str, t.Any]]


def fragment(name: str, attribute: str = "DOCUMENTATION") -> dict[str, t.Any]:
    """A documentation fragment, parsed."""
    module = importlib.import_module(f"{COLLECTION}.doc_fragments.{name}")
    found: dict[str, t.Any] = yaml.safe_load(getattr(module.ModuleDocFragment, attribute))
    return found


def differences(spec: Options, documented: Options, where: str = "") -> list[str]:
    """Everything that an argument spec and its documentation say differently, suboptions included."""
    found = [f"{where}{name}: in the spec only" for name in sorted(set(spec) - set(documented))]
    found += [f"{where}{name}: documented only" for name in sorted(set(documented) - set(spec))]
    for name in sorted(set(spec) & set(documented)):
        have, says = spec[name], documented[name]
        for key, usual in (("type", "str"), ("elements", None), ("required", False), ("default", None), ("choices", None)):
            if have.get(key, usual) != says.get(key, usual) or (key == "type" and key not in says):
                found.append(f"{where}{name}.{key}: {have.get(key, usual)!r}, documented as {says.get(key)!r}")
        if not says.get("description") or not all(str(line).strip() for line in says["description"]):
            found.append(f"{where}{name}: no description")
        found += differences(have.get("options", {}), says.get("suboptions", {}), f"{where}{name}.")
    return found


@pytest.mark.parametrize("name", FRAGMENTS)
def test_the_fragment_says_what_the_spec_says(name: str) -> None:
    assert differences(SPECS[name](), fragment(f"_{name}")["options"]) == []


def test_differences_are_found() -> None:
    spec = dict(a=dict(type="int", default=1), b=dict(type="dict", options=dict(c=dict(type="str", choices=["x"], required=True))))
    says = yaml.safe_load(
        "{a: {description: [x], type: int, default: 1}, b: {description: [x], type: dict, suboptions: {c: {description: [x],"
        " type: str, choices: [x], required: true}}}}"
    )
    assert differences(spec, says) == []
    says["a"].update(default=2, type="str")
    says["b"]["suboptions"]["c"].update(choices=["x", "y"], required=False, description=[])
    says["d"] = {"description": ["x"]}
    assert [one.partition(":")[0] for one in differences(spec, says)] == ["d", "a.type", "a.default", "b.c.required", "b.c.choices", "b.c"]


class Spec(Exception):
    """Carries the argument spec out of a module."""


def spec_of(module: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Options, dict[str, t.Any]]:
    """The argument spec with which a module makes its AnsibleModule, and its other arguments."""

    def stop(_self: AnsibleModule, argument_spec: Options, **others: t.Any) -> t.NoReturn:
        raise Spec(argument_spec, others)

    monkeypatch.setattr(AnsibleModule, "__init__", stop)
    with pytest.raises(Spec) as made:
        importlib.import_module(f"{COLLECTION}.modules.{module}").main()
    return made.value.args[0], made.value.args[1]


def documentation(module: str) -> dict[str, t.Any]:
    """A module's documentation with its fragments, as ansible-doc merges them."""
    tree = ast.parse((ROOT / "plugins" / "modules" / f"{module}.py").read_text())
    texts = {node.targets[0].id: node.value.value for node in tree.body if isinstance(node, ast.Assign)}  # type: ignore[attr-defined]
    found: dict[str, t.Any] = yaml.safe_load(texts["DOCUMENTATION"])
    found.setdefault("options", {})
    for name in found["extends_documentation_fragment"]:
        _namespace, _collection, file, *attribute = name.split(".")
        merged = fragment(file, attribute[0].upper() if attribute else "DOCUMENTATION")
        found["options"].update(merged.get("options", {}))
        found.setdefault("attributes", {}).update(merged.get("attributes", {}))
    return found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_documents_what_it_takes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec, others = spec_of(module, monkeypatch)
    documented = documentation(module)
    assert differences(spec, documented["options"]) == []
    assert documented["module"] == module
    assert others["supports_check_mode"] is (documented["attributes"]["check_mode"]["support"] == "full")


@pytest.mark.parametrize("module", yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["tpm2"])
def test_an_option_that_is_set_for_the_group_is_taken_by_all_its_modules(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {*_argspec.connection(), *_argspec.execution()} <= set(spec_of(module, monkeypatch)[0])


def secrets(spec: Options, where: str = "") -> t.Iterator[tuple[str, bool]]:
    """Options that by their names hold a secret, and whether they are no_log."""
    for name, option in spec.items():
        yield from secrets(option.get("options", {}), f"{where}{name}.")
        if name in ("auth", "current_auth") or (name.endswith("_auth") and option["type"] == "str"):
            yield where + name, option.get("no_log") is True


@pytest.mark.parametrize("module", MODULES)
def test_auth_values_are_never_logged(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = dict(secrets(spec_of(module, monkeypatch)[0]))
    if module not in ("tpm2_auth_generation", "tpm2_registry_info"):  # which never see a TPM
        assert {"owner_auth", "endorsement_auth", "lockout_auth", "platform_auth"} <= set(found)
    assert all(found.values()), found


def test_content_to_seal_is_never_logged() -> None:
    assert all(_argspec.sealed_blob()[name]["no_log"] is True for name in ("content", "content_b64"))


@pytest.mark.parametrize("kind", _kinds.KINDS)
def test_a_kind_is_called_the_same_everywhere(kind: str) -> None:
    """Its class, its argument spec, its documentation, its files; and all but the certificate, which is none of the TPM's, have a module."""
    made = t.cast("t.Any", _kinds.KINDS[kind].load())
    assert (made.kind, made.__module__.rpartition(".")[2]) == (kind, kind)
    assert kind in FRAGMENTS and _kinds.KINDS[kind].spec is SPECS[kind]
    assert (f"tpm2_{kind}" in MODULES) is (kind != "certificate")


def test_no_class_is_missing_from_the_table() -> None:
    found = set()
    for path in (ROOT / "plugins/module_utils/_resource").glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "model.Noun" for base in node.bases):
                found.add(path.stem)
    # What opens a blob is a module of its own, and no state that a profile can hold.
    assert found == {*_kinds.KINDS, "unseal"}


def test_a_profile_takes_every_noun_with_all_its_options() -> None:
    options = _kinds.profile()["resources"]["options"]
    assert set(options) == set(_kinds.KINDS)
    for noun, option in options.items():
        assert option["options"] == SPECS[noun]()


# -- what error sentences name


def every_option(spec: Options) -> set[str]:
    found = set(spec)
    for option in spec.values():
        found |= every_option(option.get("options", {}))
    return found


OPTIONS = {name for function in SPECS.values() for name in every_option(function())}
# Words of other programs; tools that sentences send people to are looked for where they are installed.
NAMES = OPTIONS | set(MODULES) | {"ansible_python_interpreter", "bus_name", "bus_type"}
NAMES |= set(attributes.NV) | set(attributes.OBJECT) | set(templates.PRIMARY_NAMES) | set(templates.KEY_SHAPES) | set(templates.USAGES)
NAMES |= set(policy_read.READERS)
# Remedies send people to roles and their variables.
for specification in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
    NAMES.add(specification.parents[1].name)
    NAMES |= {name for point in yaml.safe_load(specification.read_text())["argument_specs"].values() for name in point.get("options", {})}
SNAKE = re.compile(r"(?<![\w./])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?![\w/(])")


@functools.cache
def sentences(path: pathlib.Path) -> list[str]:
    """The texts that a file raises or builds an error of: every string of some words that is no docstring."""
    tree, found = ast.parse(path.read_text(encoding="utf-8")), []
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)} - {
        id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)
    }
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in inner or id(node) in docs:
            continue
        if isinstance(node, ast.JoinedStr):
            found.append(
                "".join(str(part.value) if isinstance(part, ast.Constant) else "\N{REPLACEMENT CHARACTER}" for part in node.values)
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count(" ") > 2:
            found.append(node.value)
    return found


SOURCES = sorted((ROOT / "plugins" / "module_utils").rglob("*.py"))


def test_what_error_sentences_name_exists() -> None:
    unknown = {
        f"{path.relative_to(ROOT)}: {word} in {text!r}"
        for path in SOURCES
        for text in sentences(path)
        for word in SNAKE.findall(text)
        if word not in NAMES and not (word.startswith("tpm2_") and shutil.which(word))
    }
    assert unknown == set()


def test_sentences_are_found_and_name_options() -> None:
    named = {word for path in SOURCES for text in sentences(path) for word in SNAKE.findall(text)}
    assert {"allow_foreign_range", "on_mismatch", "lockout_auth", "tpm2_info", "allow_unmeasured", "write_once"} <= named


def test_choices_in_error_sentences_exist() -> None:
    texts = "\n".join(text for path in SOURCES for text in sentences(path))
    for option, value in re.findall(r"\b([a-z_]+): (replace|fail|absent|present|true|false|policy|unseal)\b", texts):
        specs = [spec[option] for function in SPECS.values() if option in (spec := function())]
        assert specs, f"{option}: {value} is no option of any module"
        assert any(value in spec.get("choices", []) or (spec["type"] == "bool" and value in ("true", "false")) for spec in specs)
