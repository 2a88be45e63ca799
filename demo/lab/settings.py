# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo's settings: where it keeps its files, and which programs it runs. All of its environment variables are read here."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

REPO = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("swtpm", "swtpm_setup", "swtpm_localca", "tpm2_readpublic", "openssl", "jq", "sha256sum", "bash")


class DemoError(Exception):
    """The demo cannot go on; the text is one sentence that says what to do."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """The choices of one run.

    Attributes:
        root: folder of all state (``DEMO_DIR``, default ``.work/demo`` in the checkout).
        playbook_program: the ansible-playbook to run (``EDGEFLEET_ANSIBLE_PLAYBOOK``).
        inventory_program: the ansible-inventory beside it.
        device_python: the interpreter used as the devices' Python (``DEMO_PYTHON``: ``system``, a path, or the checkout's venv).
    """

    root: pathlib.Path
    playbook_program: str
    inventory_program: str
    device_python: str

    @property
    def devices_dir(self) -> pathlib.Path:
        return self.root / "devices"

    @property
    def factory_dir(self) -> pathlib.Path:
        return self.root / "factory"

    @property
    def inventory(self) -> pathlib.Path:
        """The source that the inventory plugin reads."""
        return self.factory_dir / "factory.tpm2_registry.yml"

    @property
    def collections(self) -> pathlib.Path:
        return REPO / ".work" / "collections"


def root_from_environment(environ: t.Mapping[str, str]) -> pathlib.Path:
    """Return the absolute path of the folder of the demo's state (swtpm changes to ``/``, where a relative path would be wrong)."""
    return pathlib.Path(environ.get("DEMO_DIR") or REPO / ".work" / "demo").absolute()


def from_environment(environ: t.Mapping[str, str]) -> Settings:
    """Read the environment and check that every program that the demo needs is installed.

    Raises:
        DemoError: a program or library is missing.
    """
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise DemoError(f"{program} is not installed: run `scripts/setup demo` (it installs what the demo needs).")
    playbook_program = _playbook_program(environ)
    settings = Settings(
        root=root_from_environment(environ),
        playbook_program=playbook_program,
        inventory_program=_beside(playbook_program, "ansible-inventory"),
        device_python=_device_python(environ),
    )
    if not (settings.collections / "ansible_collections" / "edgefleet" / "tpm2" / "galaxy.yml").exists():
        raise DemoError("The collection tree .work/collections is missing: run `scripts/tree`.")
    return settings


def _playbook_program(environ: t.Mapping[str, str]) -> str:
    chosen = environ.get("EDGEFLEET_ANSIBLE_PLAYBOOK")
    if chosen:
        if not os.access(chosen, os.X_OK):
            raise DemoError(f"EDGEFLEET_ANSIBLE_PLAYBOOK names {chosen}, which cannot be executed: give the path of an ansible-playbook.")
        return chosen
    for folder in (REPO / ".work" / "venv" / "bin", pathlib.Path(sys.executable).parent):
        if os.access(folder / "ansible-playbook", os.X_OK):
            return str(folder / "ansible-playbook")
    found = shutil.which("ansible-playbook")
    if found is None:
        raise DemoError("ansible-playbook is not installed: run `scripts/setup demo`.")
    return found


def _beside(program: str, name: str) -> str:
    path = pathlib.Path(program).with_name(name)
    if not os.access(path, os.X_OK):
        raise DemoError(f"{program} has no {name} beside it: give the path of an ansible-playbook of a whole ansible-core.")
    return str(path)


def _device_python(environ: t.Mapping[str, str]) -> str:
    chosen = environ.get("DEMO_PYTHON", "")
    venv = REPO / ".work" / "venv" / "bin" / "python"
    if chosen == "system":
        python = "/usr/bin/python3"
    else:
        python = chosen or (str(venv) if os.access(venv, os.X_OK) else sys.executable)
    probe = subprocess.run([python, "-c", "import tpm2_pytss"], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        reason = (probe.stderr.strip().splitlines() or ["no message"])[-1]
        raise DemoError(f"{python} cannot import tpm2_pytss ({reason}): run `scripts/setup demo`.")
    return python
