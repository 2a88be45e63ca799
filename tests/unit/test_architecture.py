# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The house rules of plugins/, read off the syntax trees: who may import what, what no file may do, and how large one may grow.

On the device, imports point one way: modules -> _module -> _resource -> _backend.base <- _backend.{reader,esapi}, with _auth, _transport
and the pure parts (_tpm, _advisory, _protocol) beneath.
On the controller: action, filter, inventory, lookup -> plugin_utils, layer by layer (CONTROLLER_LAYERS) -> _tpm.
"""

from __future__ import annotations

import ast
import pathlib
import sys
import typing as t

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
UTILS = "ansible_collections.edgefleet.tpm2.plugins.module_utils."
CONTROLLER_UTILS = "ansible_collections.edgefleet.tpm2.plugins.plugin_utils."
FRAGMENTS = "ansible_collections.edgefleet.tpm2.plugins.doc_fragments."

# What a part may import of the other parts; of itself it may import anything. The longest matching name counts.
MAY_IMPORT: dict[str, set[str]] = {
    "modules": {"_module", "_task", "_kinds", "_argspec", "_argspec_identity", "_deps", "_resource", "_host", "_tpm"},
    "_module": {"_task", "_argspec", "_secret", "_values", "_deps", "_resource", "_backend", "_transport", "_tpm"},
    # What a task gives and gets back, in a module and on the controller.
    "_task": {"_resource", "_auth", "_tpm"},
    "_argspec": {"_resource", "_tpm"},
    "_kinds": {"_argspec", "_resource", "_tpm"},
    "_argspec_identity": {"_argspec", "_tpm"},
    "_deps": {"_tpm"},
    "_secret": set(),
    "_values": set(),
    "_resource": {"_backend.base", "_auth", "_secret", "_protocol", "_tpm"},
    # Those that make the parts meet: one carries out a run, the two others only ask the reader.
    "_resource.engine": {"_backend", "_transport", "_auth", "_tpm"},
    "_resource.evidence": {"_backend", "_transport", "_auth", "_protocol", "_tpm"},
    "_resource.ways": {"_backend", "_transport", "_tpm"},
    "_resource.info": {"_transport", "_tpm"},
    "_resource.tpm_facts": {"_backend.base", "_backend.reader", "_transport", "_tpm"},
    "_resource.examination": {"_backend.reader", "_transport", "_host", "_advisory", "_tpm"},
    "_resource.observe": {"_backend.base", "_backend.reader", "_tpm"},
    "_host.access": {"_backend.backoff", "_transport", "_tpm"},
    "_backend.base": {"_auth", "_tpm"},
    "_backend.backoff": {"_tpm"},
    "_backend.reader": {"_backend.base", "_backend.backoff", "_transport", "_tpm"},
    "_backend.attestor": {"_backend.reader", "_tpm"},
    "_backend.own_tcti": {"_transport", "_tpm"},
    "_backend.esapi": {"_backend.base", "_backend.backoff", "_backend.own_tcti", "_transport", "_auth", "_protocol", "_tpm"},
    "_transport": {"_tpm"},
    "_host": {"_tpm"},
    "_auth": {"_tpm"},
    # Published faults of firmware and packages; what both ends of our own protocols work out.
    "_advisory": {"_tpm"},
    "_protocol": {"_tpm"},
    "_tpm": set(),
    "doc_fragments": set(),
    # On the controller: plugins -> plugin_utils -> the pure knowledge of TPMs, and nothing else that travels to devices.
    "action": {"plugin_utils", "_argspec", "_argspec_identity", "_secret", "_tpm"},
    "filter": {"plugin_utils", "_kinds", "_secret", "_tpm"},
    "inventory": {"plugin_utils", "_tpm"},
    "lookup": {"plugin_utils", "_tpm"},
    "plugin_utils": {"_secret", "_values", "_advisory", "_protocol", "_tpm"},
    # The controller runs the modules' engine over the relay.
    "plugin_utils._relay": {"_argspec", "_argspec_identity", "_kinds", "_secret", "_task", "_resource", "_backend", "_transport", "_tpm"},
    "plugin_utils._device_action": {"_secret", "_values", "_tpm"},
}
CONTROLLER = {"action", "filter", "inventory", "lookup", "plugin_utils"}
# What the controller's side may build on beside the standard library, and the files that are meant for it.
CONTROLLER_LIBRARIES = {
    "alembic": {"plugin_utils._registry.upgrade", "plugin_utils._registry.migrations"},
    # The rest of plugin_utils does not know Ansible.
    "ansible": CONTROLLER - {"plugin_utils"}
    | {f"plugin_utils.{name}" for name in ("_configuration", "_device_action", "_relay.changes", "_relay.comparison", "_relay.exchange")},
    "cryptography": {f"plugin_utils.{name}" for name in ("_escrow", "_evidence.credentials", "_keys", "_master", "_x509.deps")},
    "pkcs11": {"plugin_utils._authority.pkcs11"},
    "psycopg": {"plugin_utils._registry.database"},
    "sqlalchemy": {"plugin_utils._registry"},
    "yaml": {"plugin_utils._manifest.formats", "plugin_utils._variables"},
}
# These are there wherever Ansible is, or where the file is loaded at all (by Alembic): importing them needs no guard.
ALWAYS_THERE = {"ansible", "yaml"}
LOADED_BY_ALEMBIC = "plugin_utils._registry.migrations"
# The parts of plugin_utils, from the ground up: each may import itself and what lies below it.
CONTROLLER_LAYERS = (
    {"_ek_verdict", "_plain", "_text"},
    {"_configuration", "_files", "_https", "_keys", "_master", "_tags", "_versions", "_x509"},
    {"_answer", "_evidence", "_manifest", "_registry", "_trust", "_variables"},
    {"_answer_tables", "_authority", "_escrow", "_inventory"},
    {"_birth", "_relay"},
    {"_device_action"},
    {"_place"},
    {"_proven"},
    {"_action_support"},
    {"_enroll"},
)
ANSIBLE_ALLOWED = {"_module", "_argspec", "_deps"}
PYTSS_ALLOWED = {"_backend.esapi", "_backend.own_tcti"}
# systemctl, dpkg-query and busctl tell what no file of the host does; one file runs them, with a time limit and never through a shell.
# A channel to a device is a process of the connection's own program.
SUBPROCESS_ALLOWED = {"_host.run", "plugin_utils._relay.channel"}

# The pure layer: no Ansible, no TSS, no I/O; BSD-2-Clause.
PURE = ("_advisory", "_protocol", "_tpm")
# Standard library modules that reach outside the process: none of them is for the pure layer.
IMPURE = {"asyncio", "ctypes", "glob", "http", "io", "mmap", "multiprocessing", "os", "pathlib", "random", "secrets", "select"}
IMPURE |= {"shutil", "signal", "socket", "ssl", "subprocess", "tempfile", "threading", "time", "urllib"}

MAX_MODULE_CODE = 120
MAX_UTIL = 300
MAX_FUNCTION = 40
# Files or functions that may be longer, each with its reason: {"_tpm/name.py": "why"} or {"_tpm/name.py:function": "why"}.
MAY_BE_LONGER = {
    "_tpm/rc_table.py": "nothing but the table of the specification's response codes",
    "_advisory/advisory_rules.py": "nothing but the table of known faults of firmware",
    "_backend/esapi.py": "the one file that may import tpm2_pytss, one short method for each command",
}

# How a text is searched or cut; and where that is done to a sentence, to complete it.
TAKES_APART = {"startswith", "endswith", "partition", "rpartition", "removeprefix", "removesuffix", "find", "index", "count"}
TAKES_APART |= {"search", "match", "fullmatch", "findall"}
MAY_LOOK_AT_PROSE = {"_resource.engine: resource.object not in failed.message"}

# In two pieces, so that no checker takes it for this file's own licence.
TAG = "SPDX-License-" + "Identifier: "
GPL = TAG + "GPL-3.0-or-later"
BSD = TAG + "BSD-2-Clause"
PRIVATE = "# Note that this module util is **PRIVATE** to the collection."


def breaches(name: str, source: str) -> list[str]:
    """Return every breach of the rules in the file `name` (relative to plugins/), each "line: sentence"."""
    try:
        tree = ast.parse(source, filename=name, feature_version=(3, 9))
    except SyntaxError as error:
        return [f"{error.lineno}: {error.msg}"]
    return [
        *_header(name, source),
        *_imports(name, tree),
        *_forbidden(name, tree),
        *_python_39(tree),
        *_sizes(name, source, tree),
        *_resources(name, tree),
        *_prose(name, tree),
    ]


def _part(name: str) -> str:
    """Return the part that a file is: "module_utils/_tpm/pcr.py" is "_tpm.pcr", "modules/tpm2_info.py" is "modules.tpm2_info"."""
    return ".".join(pathlib.PurePosixPath(name).with_suffix("").parts).removeprefix("module_utils.")


def _within(part: str, parents: t.Iterable[str]) -> bool:
    return any(part == parent or part.startswith(parent + ".") for parent in parents)


def _header(name: str, source: str) -> t.Iterator[str]:
    head = source[:800]
    if "# Copyright (c) 2026, edgefleet maintainers" not in head:
        yield "1: the copyright line is missing"
    pure = _within(_part(name), PURE)
    if (BSD if pure else GPL) not in head or (GPL if pure else BSD) in head:
        yield f"1: the licence is to be {BSD if pure else GPL}"
    if name.startswith(("module_utils/", "plugin_utils/")) and PRIVATE not in head.replace("plugin util", "module util"):
        yield "1: the note that the file is private to the collection is missing"
    if "from __future__ import annotations" not in source and not name.endswith("_relay/program.py"):  # Python 3.6 lacks it
        yield "1: 'from __future__ import annotations' is missing"


def _imported(tree: ast.Module) -> t.Iterator[tuple[int, str]]:
    """Yield line and full name of everything imported, wherever in the file it is; a guarded import is one too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level + (node.module or "")
            else:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _imports(name: str, tree: ast.Module) -> t.Iterator[str]:
    part = _part(name)
    rule = max((key for key in MAY_IMPORT if _within(part, [key])), key=len, default=None)
    if rule is None:
        yield f"1: {part} is a new part of the house: say in MAY_IMPORT what it may import"
        return
    guarded = set(_guarded(tree))
    for line, imported in _imported(tree):
        top = imported.partition(".")[0]
        if imported.startswith("."):
            yield f"{line}: a relative import"
        elif imported.startswith(UTILS):
            yield from _inside(line, part, rule, imported.removeprefix(UTILS))
        elif imported.startswith(CONTROLLER_UTILS):
            if not _within(part, ["plugin_utils"]) and "plugin_utils" not in MAY_IMPORT[rule]:
                yield f"{line}: {part} imports what stays on the controller"
            elif _within(part, ["plugin_utils"]):
                yield from _layers(line, part, imported.removeprefix(CONTROLLER_UTILS))
        elif imported.startswith(FRAGMENTS):
            if not _within(part, ["doc_fragments"]):
                yield f"{line}: only documentation fragments import one another"
        elif top in CONTROLLER_LIBRARIES and _within(part, CONTROLLER):
            if not _within(part, CONTROLLER_LIBRARIES[top]):
                yield f"{line}: {imported} belongs to {', '.join(sorted(CONTROLLER_LIBRARIES[top]))}"
            elif top not in ALWAYS_THERE and not _within(part, [LOADED_BY_ALEMBIC]) and line not in guarded:
                yield f"{line}: {imported} is imported without a guard against its absence"
        elif top == "ansible":
            yield from _ansible(line, part, imported)
        elif top == "tpm2_pytss":
            if part not in PYTSS_ALLOWED:
                yield f"{line}: only _backend/esapi.py imports tpm2_pytss"
        elif top not in sys.stdlib_module_names:
            yield f"{line}: {imported} is not of the standard library"
        elif top in IMPURE and _within(part, PURE):
            yield f"{line}: the pure layer imports {imported}"


def _guarded(tree: ast.Module) -> t.Iterator[int]:
    """Yield the lines whose imports may fail: in a function, for type checkers only, or where ImportError is caught."""
    for node in ast.walk(tree):
        caught = isinstance(node, ast.Try) and any("ImportError" in ast.unparse(one.type) for one in node.handlers if one.type)
        types = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if caught or types or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def _layers(line: int, part: str, target: str) -> t.Iterator[str]:
    own, other = part.split(".")[1], target.partition(".")[0]
    height = {name: number for number, layer in enumerate(CONTROLLER_LAYERS) for name in layer}
    for name in sorted({own, other} - set(height)):
        yield f"{line}: plugin_utils/{name} is a new part of the house: say in CONTROLLER_LAYERS on what it stands"
    if own != other and height.get(other, -1) >= height.get(own, 99):
        yield f"{line}: {part} imports {target}, which does not lie below it"


def _inside(line: int, part: str, rule: str, target: str) -> t.Iterator[str]:
    own = rule.partition(".")[0]
    # Within _backend the direction matters too: base knows neither of those who implement it.
    if own != "_backend" and _within(target, [own]):
        return
    if not _within(target, MAY_IMPORT[rule]) and not _within(target, [part]):
        yield f"{line}: {part} imports {target}, which points the wrong way"


def _ansible(line: int, part: str, imported: str) -> t.Iterator[str]:
    if not _within(part, ["modules"]) and part not in ANSIBLE_ALLOWED:
        yield f"{line}: only _module.py, _argspec.py, _deps.py and modules import ansible"
    elif not imported.startswith("ansible.module_utils."):
        yield f"{line}: {imported} does not exist on a device"


def _forbidden(name: str, tree: ast.Module) -> t.Iterator[str]:
    part = _part(name)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"{node.lineno}: an assert, which -O takes away"
        elif isinstance(node, ast.Attribute) and node.attr in ("fail_json", "exit_json"):
            if part != "_module" and not _within(part, ["modules"]):
                yield f"{node.lineno}: {node.attr} outside of _module.py and modules"
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("print", "exit", "quit", "sys.exit", "os._exit", "os.system", "os.popen", "eval", "exec"):
                yield f"{node.lineno}: calls {called}"
            if called in ("open", "input") and _within(part, PURE):
                yield f"{node.lineno}: the pure layer calls {called}"
    for line, imported in _imported(tree):
        if imported.partition(".")[0] == "subprocess" and part not in SUBPROCESS_ALLOWED:
            yield f"{line}: imports subprocess"


def _python_39(tree: ast.Module) -> t.Iterator[str]:
    """What newer Pythons know and the parser alone does not refuse."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            newer = {"slots", "kw_only"} if ast.unparse(node.func) in ("dataclass", "dataclasses.dataclass") else set()
            newer |= {"strict"} if ast.unparse(node.func) == "zip" else set()
            for keyword in node.keywords:
                if keyword.arg in newer:
                    yield f"{node.lineno}: {keyword.arg}= is not known to Python 3.9"


def _sizes(name: str, source: str, tree: ast.Module) -> t.Iterator[str]:
    short = name.removeprefix("module_utils/")
    lines = len(source.splitlines())
    if name.startswith("modules/"):
        # The documentation comes first; the code begins with the first import beside the one from __future__.
        starts = [n.lineno for n in tree.body if isinstance(n, (ast.Import, ast.ImportFrom)) and getattr(n, "module", "") != "__future__"]
        code = lines - min(starts, default=1) + 1
        if code > MAX_MODULE_CODE and short not in MAY_BE_LONGER:
            yield f"{lines}: {code} lines of code in a module, more than {MAX_MODULE_CODE}"
    elif not name.startswith("doc_fragments/") and lines > MAX_UTIL and short not in MAY_BE_LONGER:
        yield f"{lines}: a file of {lines} lines, more than {MAX_UTIL}"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION and f"{short}:{node.name}" not in MAY_BE_LONGER:
                yield f"{node.lineno}: {node.name} has {length} lines, more than {MAX_FUNCTION}"


def _prose(name: str, tree: ast.Module) -> t.Iterator[str]:
    """What to do is never read out of a sentence for people: failures have a reason and an object, steps a kind and an object."""
    prose = (".message", ".sentence")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TAKES_APART:
            searched = [node.func.value, *(node.args if ast.unparse(node.func.value) == "re" else [])]
            found = any(ast.unparse(one).endswith(prose) for one in searched)
        elif isinstance(node, ast.Compare) and f"{_part(name)}: {ast.unparse(node)}" not in MAY_LOOK_AT_PROSE:
            found = any(ast.unparse(one).endswith((*prose, "message')", "sentence')")) for one in [node.left, *node.comparators])
        else:
            continue
        if found:
            yield f"{node.lineno}: decides on a sentence; compare a word"


def _interface() -> set[str]:
    """The members of the Protocol Resource."""
    trees = [ast.parse((PLUGINS / f"module_utils/_resource/{name}.py").read_text(encoding="utf-8")) for name in ("model", "observation")]
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef) and node.name in ("Asking", "Resource")]
    return {one.name for node in classes for one in node.body if isinstance(one, ast.FunctionDef)}


def _resources(name: str, tree: ast.Module) -> t.Iterator[str]:
    """In the engine nothing is looked up by a name that could be misspelt, and nothing is of any type."""
    if not _within(_part(name), ["_module", "_resource", "modules"]):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and len(node.args) == 3:
            if ast.unparse(node.args[0]) != "self":
                yield f"{node.lineno}: getattr with a default, which skips what is misspelt"
        elif isinstance(node, ast.arg) and node.arg.lstrip("_") in ("run", "backend", "outcome", "place") and node.annotation:
            if "Any" in ast.unparse(node.annotation):
                yield f"{node.lineno}: {node.arg} of any type"
        elif isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Noun") for base in node.bases):
            yield from _noun(node)


def _noun(node: ast.ClassDef) -> t.Iterator[str]:
    """A class of a resource says what the engine needs of it, in the engine's words."""
    interface, methods, said = _interface(), [one for one in node.body if isinstance(one, ast.FunctionDef)], set()
    for one in node.body:
        targets = one.targets if isinstance(one, ast.Assign) else [one.target] if isinstance(one, ast.AnnAssign) else []
        said |= {ast.unparse(target) for target in targets}
    for method in methods:
        if not any(ast.unparse(decorator) in ("property", "staticmethod") for decorator in method.decorator_list):
            said.add(method.name)
    for missing in sorted({"kind", "claims", "facts", "plan"} - said):
        yield f"{node.lineno}: {node.name} does not say its {missing}"
    for member in sorted(member for member in said - interface if not member.startswith("_")):
        yield f"{node.lineno}: {node.name}.{member} is not of the interface Resource"
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and ast.unparse(one.value) == "self" and one.attr in interface:
            yield f"{one.lineno}: {node.name} sets {one.attr} itself, beside the constructor of Noun"


FILES = sorted(path.relative_to(PLUGINS).as_posix() for path in PLUGINS.rglob("*.py"))


@pytest.mark.parametrize("name", FILES)
def test_rules_hold(name: str) -> None:
    found = breaches(name, (PLUGINS / name).read_text(encoding="utf-8"))
    assert not found, "\n" + "\n".join(f"plugins/{name}:{breach}" for breach in found)


def imports_of(sources: t.Mapping[str, str]) -> dict[str, set[str]]:
    """What each of our files imports of our files, wherever in the file: by the parts that they are, of their texts by the same."""
    ours = (UTILS, CONTROLLER_UTILS.removesuffix("plugin_utils."))
    found: dict[str, set[str]] = {}
    for part, source in sources.items():
        whole = [full for _line, full in _imported(ast.parse(source))]
        names = {full.removeprefix(ours[0]).removeprefix(ours[1]) for full in whole if full.startswith(ours)}
        # What is imported is a file, or something in it.
        found[part] = {one if one in sources else one.rpartition(".")[0] for one in names} & set(sources)
    return found


def circle(imports: t.Mapping[str, set[str]]) -> list[str]:
    """Files of which each imports the next, and the last the first; nothing where there is no such circle."""
    left = {part: set(others) for part, others in imports.items()}
    while free := {part for part, others in left.items() if not others}:
        left = {part: others - free for part, others in left.items() if part not in free}
    if not left:
        return []
    way = [min(left)]
    while len(set(way)) == len(way):
        way.append(min(left[way[-1]]))
    return way[way.index(way[-1]) :]


def test_no_file_imports_itself_by_way_of_others() -> None:
    found = imports_of({_part(name): (PLUGINS / name).read_text(encoding="utf-8") for name in FILES})
    assert found["_resource.engine"] >= {"_resource.model", "_tpm.errors"}  # else nothing was read
    assert found["plugin_utils._registry.store"] and found["action.tpm2_enroll"]
    assert circle(found) == []


def test_a_circle_is_found() -> None:
    late = f"def f():\n    from {UTILS}_resource import b"
    seen = imports_of(
        {"_resource.a": late, "_resource.b": f"from {UTILS}_resource.c import x", "_resource.c": f"from {UTILS}_resource import a, d"}
    )
    assert seen["_resource.c"] == {"_resource.a"}
    assert circle({**seen, "_resource.d": {"_resource.a"}}) == ["_resource.a", "_resource.b", "_resource.c", "_resource.a"]
    assert circle({**seen, "_resource.c": set()}) == []


def test_every_exception_is_needed() -> None:
    longer = {name.removeprefix("module_utils/") for name in FILES if len((PLUGINS / name).read_text().splitlines()) > MAX_UTIL}
    assert {entry for entry in MAY_BE_LONGER if ":" not in entry} <= longer
    assert set(MAY_IMPORT) >= ANSIBLE_ALLOWED | PYTSS_ALLOWED
    parts = {_part(name) for name in FILES}
    assert parts >= SUBPROCESS_ALLOWED
    for where, compared in (one.split(": ", 1) for one in MAY_LOOK_AT_PROSE):
        assert compared in (PLUGINS / "module_utils" / f"{where.replace('.', '/')}.py").read_text()
    for places in CONTROLLER_LIBRARIES.values():
        assert all(any(_within(part, [place]) for part in parts) for place in places)
    layers = [name for layer in CONTROLLER_LAYERS for name in layer]
    assert sorted(layers) == sorted({part.split(".")[1] for part in parts if _within(part, ["plugin_utils"])})


# Classes that two files have, each with its reason. The plugins' own are named by Ansible.
TWICE = {
    "ActionModule": "Ansible's name",
    "LookupModule": "Ansible's name",
    "FilterModule": "Ansible's name",
    "ModuleDocFragment": "Ansible's name",
    "Certificate": "the resource that puts one into a file, and one that the registry has; the two sides never meet",
    "Collected": "the device's first answer, and the certificates of a trust bundle",
    "Kind": "of resources, of findings, of answers: each the table of its own folder",
}


def test_no_two_classes_have_one_name() -> None:
    where: dict[str, set[str]] = {}
    for name in FILES:
        for node in ast.parse((PLUGINS / name).read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                where.setdefault(node.name, set()).add(name)
    assert {name: sorted(files) for name, files in where.items() if len(files) > 1 and name not in TWICE} == {}
    assert {name for name, files in where.items() if len(files) > 1} == set(TWICE)


def test_the_page_names_every_file_or_its_folder() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```")[3]
    words = set(page.replace(",", " ").replace(";", " ").replace(":", " ").replace(")", " ").replace("(", " ").split())
    folders = {path.name for path in PLUGINS.rglob("*") if path.is_dir()}
    for name in FILES:
        top, *inner = pathlib.PurePosixPath(name).parts[:-1]
        assert top in page
        assert not inner or any(f"{folder}/" in words for folder in inner), (
            f"docs/architecture.md does not name the folder of plugins/{name}"
        )
        if top in ("module_utils", "plugin_utils") and not inner:
            assert pathlib.PurePosixPath(name).name in words, f"docs/architecture.md does not name plugins/{name}"
    files = {path.name for path in PLUGINS.rglob("*.py")}
    stale = {word for word in words if word.endswith(".py") and "*" not in word} - files
    stale |= {word for word in words if word.startswith("_") and word.endswith("/") and word.rstrip("/") not in folders}
    assert not stale, f"docs/architecture.md names what is not there: {sorted(stale)}"


def test_the_index_of_the_test_bed_names_every_file() -> None:
    folder = ROOT / "tests" / "support"
    index = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = [line.partition("``")[2].partition("``")[0] for line in index.splitlines() if line.startswith("- ")]
    there = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix in (".py", ".yml")]
    assert named == sorted(set(there) - {"__init__.py"}, key=lambda name: (name.endswith(".yml"), name))


def test_the_house_is_there() -> None:
    # An empty folder would pass every rule.
    parts = {_part(name).partition(".")[0] for name in FILES}
    assert {"modules", "_module", "_resource", "_backend", "_transport", "_auth", *PURE} <= parts
    assert CONTROLLER <= parts


HEAD = "# Copyright (c) 2026, edgefleet maintainers\n# {licence}\n{private}\nfrom __future__ import annotations\n"

GUARD = "try:\n    {}\nexcept ImportError:\n    pass"
NOUN = "class Key(model.Noun):\n    kind = 'key'\n    def claims(self): ...\n    def facts(self, seen): ...\n    def plan(self, seen, run): ..."

BAD = [
    ("module_utils/_tpm/pcr.py", "import tpm2_pytss", "only _backend/esapi.py"),
    ("module_utils/_tpm/pcr.py", "import os", "the pure layer imports os"),
    ("module_utils/_tpm/pcr.py", "def read():\n    import socket", "the pure layer imports socket"),
    ("module_utils/_tpm/pcr.py", "text = open('x').read()", "the pure layer calls open"),
    ("module_utils/_tpm/pcr.py", "import cryptography", "not of the standard library"),
    ("module_utils/_tpm/pcr.py", f"from {UTILS}_backend import base", "points the wrong way"),
    ("module_utils/_tpm/pcr.py", f"from {UTILS}_auth.hmac import Hmac", "points the wrong way"),
    ("module_utils/_auth/hmac.py", f"from {UTILS}_resource import model", "points the wrong way"),
    ("module_utils/_transport/tcti.py", f"import {UTILS}_backend.reader", "points the wrong way"),
    ("module_utils/_backend/base.py", f"from {UTILS}_backend import esapi", "points the wrong way"),
    ("module_utils/_backend/base.py", f"from {UTILS}_backend.reader import Reader", "points the wrong way"),
    ("module_utils/_backend/reader.py", f"from {UTILS}_backend import esapi", "points the wrong way"),
    ("module_utils/_backend/reader.py", "import tpm2_pytss.ESAPI", "only _backend/esapi.py"),
    ("module_utils/_backend/esapi.py", f"from {UTILS}_resource import engine", "points the wrong way"),
    ("module_utils/_resource/key.py", f"from {UTILS}_backend import esapi", "points the wrong way"),
    ("module_utils/_resource/key.py", f"from {UTILS}_module import run", "points the wrong way"),
    ("module_utils/_resource/key.py", "from ansible.module_utils.basic import AnsibleModule", "import ansible"),
    ("module_utils/_resource/key.py", "def f(module):\n    module.fail_json(msg='x')", "fail_json outside"),
    ("module_utils/_resource/key.py", "from .model import Step", "a relative import"),
    ("module_utils/_resource/key.py", "print('x')", "calls print"),
    ("module_utils/_resource/key.py", "import sys\nsys.exit(1)", "calls sys.exit"),
    ("module_utils/_resource/key.py", "import subprocess", "imports subprocess"),
    ("module_utils/_host/devices.py", "import subprocess", "imports subprocess"),
    ("module_utils/_host/devices.py", f"from {UTILS}_resource import model", "points the wrong way"),
    ("module_utils/_resource/key.py", "assert True", "an assert"),
    ("module_utils/_resource/key.py", "pairs = zip([], [], strict=True)", "strict= is not known"),
    ("module_utils/_resource/key.py", "import dataclasses\n@dataclasses.dataclass(slots=True)\nclass A: pass", "slots= is not known"),
    ("module_utils/_resource/key.py", "def f():\n" + "    x = 1\n" * MAX_FUNCTION, "lines, more than 40"),
    ("module_utils/_resource/key.py", "x = 1\n" * MAX_UTIL, "lines, more than 300"),
    ("module_utils/_surprise/key.py", "x = 1", "a new part of the house"),
    ("modules/tpm2_key.py", "from ansible.plugins.action import ActionBase", "does not exist on a device"),
    ("modules/tpm2_key.py", f"from {UTILS}_backend import esapi", "points the wrong way"),
    ("modules/tpm2_key.py", f"from {FRAGMENTS}_key import OPTIONS", "only documentation fragments"),
    ("doc_fragments/_key.py", f"from {UTILS}_tpm import handles", "points the wrong way"),
    ("plugin_utils/_escrow.py", f"from {UTILS}_resource import engine", "points the wrong way"),
    ("plugin_utils/_escrow.py", "from ansible.errors import AnsibleError", "ansible.errors.AnsibleError belongs to action"),
    ("plugin_utils/_escrow.py", "import requests", "not of the standard library"),
    ("plugin_utils/_escrow.py", GUARD.format("import sqlalchemy as sa"), "sqlalchemy belongs to plugin_utils._registry"),
    ("plugin_utils/_registry/store.py", GUARD.format("import alembic.command"), "alembic.command belongs to plugin_utils._registry.migr"),
    ("plugin_utils/_registry/store.py", GUARD.format("import psycopg"), "psycopg belongs to plugin_utils._registry.database"),
    ("plugin_utils/_registry/store.py", "import sqlalchemy as sa", "sqlalchemy is imported without a guard"),
    ("plugin_utils/_registry/store.py", f"from {CONTROLLER_UTILS}_enroll import plan", "does not lie below it"),
    ("plugin_utils/_registry/store.py", f"from {CONTROLLER_UTILS}_trust import ladder", "does not lie below it"),
    (
        "plugin_utils/_authority/keys.py",
        GUARD.format("from cryptography import x509"),
        "cryptography.x509 belongs to plugin_utils._escrow",
    ),
    ("plugin_utils/_authority/keys.py", "def f():\n    import pkcs11", "pkcs11 belongs to plugin_utils._authority.pkcs11"),
    ("plugin_utils/_x509/deps.py", "from cryptography import x509", "without a guard"),
    ("plugin_utils/_x509/deps.py", "try:\n    import cryptography\nexcept OSError:\n    pass", "without a guard"),
    ("plugin_utils/_enroll/plan.py", f"from {CONTROLLER_UTILS}_surprise import x", "a new part of the house"),
    ("plugin_utils/_enroll/plan.py", "import subprocess", "imports subprocess"),
    ("plugin_utils/_enroll/plan.py", f"from {UTILS}_argspec import profile", "points the wrong way"),
    ("plugin_utils/_keys.py", "def f():\n    import yaml", "yaml belongs to plugin_utils._manifest.formats"),
    ("lookup/device.py", GUARD.format("import sqlalchemy"), "sqlalchemy belongs to plugin_utils._registry"),
    ("lookup/device.py", "import tpm2_pytss", "only _backend/esapi.py"),
    ("lookup/device.py", f"from {UTILS}_module import create", "points the wrong way"),
    ("lookup/device.py", f"from {UTILS}_argspec import profile", "points the wrong way"),
    ("filter/birth_record.py", GUARD.format("import cryptography"), "cryptography belongs to plugin_utils._escrow"),
    ("filter/birth_record.py", f"from {UTILS}_resource import engine", "points the wrong way"),
    ("inventory/registry.py", "import yaml", "yaml belongs to plugin_utils._manifest.formats"),
    ("inventory/registry.py", f"from {UTILS}_transport import tcti", "points the wrong way"),
    ("action/tpm2_enroll.py", GUARD.format("from cryptography import x509"), "cryptography.x509 belongs to plugin_utils._escrow"),
    ("action/tpm2_enroll.py", f"from {UTILS}_module import run", "points the wrong way"),
    ("action/tpm2_enroll.py", "print('x')", "calls print"),
    ("modules/tpm2_key.py", GUARD.format("import cryptography"), "not of the standard library"),
    ("modules/tpm2_key.py", f"from {CONTROLLER_UTILS}_keys import spki", "stays on the controller"),
    ("module_utils/_argspec_identity.py", f"from {UTILS}_resource import model", "points the wrong way"),
    ("module_utils/_resource/key.py", f"from {CONTROLLER_UTILS}_escrow import Escrow", "stays on the controller"),
    ("action/tpm2_enroll.py", f"from {UTILS}_backend import esapi", "points the wrong way"),
    ("plugin_utils/_enroll/enrolment.py", "x = error.message.startswith('Could not')", "decides on a sentence"),
    ("module_utils/_resource/key.py", "x = re.search('no', step.sentence)", "decides on a sentence"),
    ("module_utils/_host/catalogue.py", "x = 'TPM 1.2' in view.at('error.message')", "decides on a sentence"),
    ("module_utils/_resource/key.py", "x = failed.message == 'no'", "decides on a sentence"),
    ("module_utils/_resource/key.py", "x = getattr(y, 'handle', None)", "getattr with a default"),
    ("module_utils/_module.py", "x = getattr(y, 'handle', None)", "getattr with a default"),
    ("module_utils/_resource/key.py", "def f(run: t.Any) -> None: ...", "run of any type"),
    ("module_utils/_resource/key.py", "def f():\n    def g(_backend: t.Any) -> None: ...", "_backend of any type"),
    ("modules/tpm2_evidence.py", "def f(outcome: t.Any) -> None: ...", "outcome of any type"),
    ("module_utils/_resource/key.py", NOUN.replace("kind = 'key'", "kinds = 'key'"), "does not say its kind"),
    (
        "module_utils/_resource/key.py",
        NOUN.replace("kind = 'key'", "kind = 'key'; file_only = True"),
        "Key.file_only is not of the interface",
    ),
    ("module_utils/_resource/key.py", NOUN.replace("def claims", "def claim"), "does not say its claims"),
    ("module_utils/_resource/key.py", NOUN + "\n    def declares(self, run): ...", "Key.declares is not of the interface"),
    ("module_utils/_resource/key.py", NOUN + "\n    def _f(self): self.handle = 1", "sets handle itself"),
    ("modules/tpm2_key.py", "import os\n" + "x = 1\n" * MAX_MODULE_CODE, "lines of code in a module"),
]


def _file(name: str, body: str, *, licence: str = "", private: str = PRIVATE) -> str:
    licence = licence or (BSD if _within(_part(name), PURE) else GPL)
    return HEAD.format(licence=licence, private=private) + body + "\n"


@pytest.mark.parametrize(("name", "body", "complaint"), BAD)
def test_a_breach_is_found(name: str, body: str, complaint: str) -> None:
    found = breaches(name, _file(name, body))
    assert len([breach for breach in found if complaint in breach]) == 1, found
    assert not breaches(name, _file(name, "x = 1")) or "surprise" in name


def test_a_noun_that_says_everything_is_fine() -> None:
    name = "module_utils/_resource/key.py"
    assert not breaches(name, _file(name, NOUN))


def test_a_wrong_header_is_found() -> None:
    name = "module_utils/_tpm/pcr.py"
    assert "licence" in breaches(name, _file(name, "x = 1", licence=GPL))[0]
    assert "licence" in breaches("modules/tpm2_key.py", _file("modules/tpm2_key.py", "x = 1", licence=BSD))[0]
    assert "private" in breaches(name, _file(name, "x = 1", private=""))[0]
    assert len(breaches(name, "x = 1\n")) == 4


def test_newer_syntax_is_found() -> None:
    name = "module_utils/_tpm/pcr.py"
    (found,) = breaches(name, _file(name, "match 1:\n    case 1:\n        pass"))
    assert "Python 3.10" in found
