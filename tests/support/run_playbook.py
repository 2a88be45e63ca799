# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``run_playbook.py --serve FD``: a controller's Python that has imported what ansible-playbook, ansible-inventory and this collection import, and
forks for each run.

This file runs on the Python of an ansible-core and imports nothing else of the test bed. Settings are read when Ansible is imported: one server for each
set of them.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import marshal
import os
import pathlib
import pkgutil
import sys
import tempfile
import typing as t
import warnings

import forks

# Modules that a run loads by name or from a file; they are not imported by the ones below.
PROGRAMS = ("playbook", "inventory")
ANSIBLE = (*(f"ansible.cli.{program}" for program in PROGRAMS), "ansible.executor.task_queue_manager", "ansible.plugins.loader")
PLUGINS = ("action", "become", "cache", "callback", "connection", "filter", "inventory", "lookup", "shell", "strategy", "test", "vars")
LIBRARIES = ("alembic.command", "sqlalchemy.dialects.sqlite", "cryptography.x509", "mako.template")
DEPRECATED = ("ansible.plugins.cache.base",)
COLLECTION = "ansible_collections.edgefleet.tpm2.plugins"


def main() -> None:
    """Serve; in a child, be the program that the request's arguments begin with."""
    forks.forget_this_folder()
    request = forks.Server(int(sys.argv[2])).serve(load)
    sys.argv = request["argv"]
    if events := request.get("events"):  # a file for the demo's callback
        os.environ["EDGEFLEET_EVENTS_FD"] = str(os.open(events, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    _own_folder()
    # Ansible warns because its finder of collections is installed already.
    warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
    importlib.import_module(f"ansible.cli.{pathlib.Path(sys.argv[0]).name.partition('-')[2]}").main()


def load() -> None:
    """Import all that."""
    for name in (*ANSIBLE, *LIBRARIES):
        importlib.import_module(name)
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader()
    for kind in PLUGINS:
        for base in ("ansible.plugins", COLLECTION):
            _all_of(f"{base}.{kind}")
    _all_of(f"{COLLECTION}.plugin_utils")
    _find_plugins()
    _remember_templates()


def _all_of(name: str) -> None:
    try:
        package = importlib.import_module(name)
    except ImportError:
        return  # the collection has no plugins of this kind
    for found in pkgutil.walk_packages(package.__path__, f"{name}."):
        if found.name not in DEPRECATED:
            try:
                importlib.import_module(found.name)
            except ImportError:
                pass  # a plugin for a library or a system that this machine does not have


def _find_plugins() -> None:
    # Each worker would look for them and read their options again.
    from ansible.plugins import loader

    # Not those of variables: Ansible takes what has been found of them for what has been loaded, and reads no group_vars.
    for kind in ("action", "become", "callback", "connection", "inventory", "lookup", "shell", "strategy"):
        list(getattr(loader, f"{kind}_loader").all(class_only=True))
    for found in (loader.filter_loader, loader.test_loader):
        list(found.all())
    importlib.import_module(f"{COLLECTION}.plugin_utils._variables").options()
    # The first template makes Jinja's lexer.
    from ansible import template
    from ansible.parsing.dataloader import DataLoader

    trusted = getattr(template, "trust_as_template", str)
    template.Templar(loader=DataLoader(), variables={}).template(trusted("{{ 1 | default(2) }}"))


def _remember_templates() -> None:
    # Each host's worker is a process that compiles all templates of its task, which are much the same in all runs: half of a run's time.
    # The code of a template follows from its text; so what one process has compiled the others take from a file, and later runs too.
    import ansible
    import jinja2
    from jinja2 import Environment

    versions = "-".join((ansible.__version__, jinja2.__version__, sys.implementation.cache_tag, str(sys.hexversion)))
    kept, compile_anew = pathlib.Path(__file__).parents[2] / ".work" / "templates" / versions, Environment.compile
    known = {file.name: marshal.loads(file.read_bytes()) for file in kept.glob("*") if not file.suffix}

    def compiled(self: t.Any, source: t.Any, *place: t.Any, **options: t.Any) -> t.Any:
        what = repr((type(self).__qualname__, source, place, sorted(options.items())))
        name = hashlib.sha256(what.encode()).hexdigest()
        if name in known:
            return known[name]
        file = kept / name
        try:
            return marshal.loads(file.read_bytes())
        except (FileNotFoundError, PermissionError):
            code = compile_anew(self, source, *place, **options)
        try:
            kept.mkdir(parents=True, exist_ok=True)
            aside = file.with_suffix(f".{os.getpid()}")
            aside.write_bytes(marshal.dumps(code))
            aside.replace(file)
        except PermissionError:
            pass  # another user's run
        return code

    Environment.compile = compiled  # type: ignore[method-assign]


def _own_folder() -> None:
    # The folder for temporary files belongs to the server, which made it when it imported Ansible. A run makes its own, and removes it at its end.
    # What Ansible keeps there for the length of a run, the modules as they go to a device, is alike in all runs: it goes from one to the next.
    from ansible import constants
    from ansible.config import manager

    kept = pathlib.Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache")
    own = pathlib.Path(tempfile.mkdtemp(prefix=f"ansible-local-{os.getpid()}", dir=kept.parent.parent))
    atexit.unregister(manager.cleanup_tmp_file)
    constants.DEFAULT_LOCAL_TMP = str(own)
    atexit.register(manager.cleanup_tmp_file, str(own), warn=True)
    atexit.register(_pass_on, own / kept.name, kept)
    _pass_on(kept, own / kept.name)


def _pass_on(one: pathlib.Path, other: pathlib.Path) -> None:
    # Modules of this collection and of Ansible, not those beside a playbook: one name is one file there.
    import ansible.modules

    other.mkdir(exist_ok=True)
    for file in one.glob("*-ZIP_*") if one.is_dir() else ():
        name = file.name.partition("-")[0]
        ours = name.startswith(f"{COLLECTION}.") or pathlib.Path(ansible.modules.__path__[0], f"{name.rpartition('.')[2]}.py").exists()
        if ours and not file.name.endswith((".lock", "-part")) and not (other / file.name).exists():
            aside = other / f"{file.name}.{os.getpid()}"
            os.link(file, aside)
            aside.replace(other / file.name)


if __name__ == "__main__":
    forks.run(main)
