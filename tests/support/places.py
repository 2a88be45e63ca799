# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The paths that the test bed uses: the checkout, the virtual environment, and the import paths for a device's Python."""

from __future__ import annotations

import fcntl
import functools
import os
import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / ".work"
COLLECTIONS = WORK / "collections"
# The ansible.cfg that users copy beside their inventory, so that tests use the same settings.
USERS_CFG = ROOT / "docs" / "ansible.cfg"
SYSTEM_PYTHON = pathlib.Path("/usr/bin/python3")


class FromController(str):
    """A device's Python that has to run nothing but the relay: modules that bring a TPM into a state do so from the controller."""


def venv() -> pathlib.Path:
    """The virtual environment with ansible-core and PyPI's tpm2-pytss: EDGEFLEET_VENV, else the one of scripts/setup."""
    return pathlib.Path(os.environ.get("EDGEFLEET_VENV") or WORK / "venv")


@functools.cache
def python_path(environment: pathlib.Path | None = None) -> str:
    """PYTHONPATH for a module: the collection and the module_utils of `environment`'s ansible-core (by default venv()'s), nothing else of it."""
    _ensure_tree()
    environment = environment or venv()
    found = sorted(environment.glob("lib/python3.*/site-packages/ansible"))
    if not found:
        raise RuntimeError(f"no ansible-core in {environment}: run scripts/setup, or set EDGEFLEET_VENV")
    only = WORK / ("ansible-only" if environment == WORK / "venv" else f"ansible-only-{environment.name}")
    only.mkdir(parents=True, exist_ok=True)
    _link(only / "ansible", found[-1].resolve())
    return os.pathsep.join([str(COLLECTIONS), str(only)])


def _ensure_tree() -> None:
    WORK.mkdir(exist_ok=True)
    with (WORK / "tree.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([str(ROOT / "scripts" / "tree")], check=True, stdout=subprocess.DEVNULL)


def _link(link: pathlib.Path, target: pathlib.Path) -> None:
    # Test workers do this at the same time, so each makes a temporary one, then renames it.
    if link.is_symlink() and os.readlink(link) == str(target):
        return
    aside = link.with_name(f"{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(link)


def open_to_all(folder: pathlib.Path) -> None:
    """Let other users into a test's folder, by opening all folders above it that pytest closes to them (with xdist there are more)."""
    temporary = pathlib.Path(tempfile.gettempdir())
    for one in (folder, *(above for above in folder.parents if temporary in above.parents)):
        one.chmod(0o755)


def device_pythons() -> tuple[pathlib.Path, pathlib.Path]:
    """The two interpreters that a device may have: the distribution's, and the virtual environment's."""
    return SYSTEM_PYTHON, venv() / "bin" / "python"


def require_python(kind: str) -> str:
    """Return the interpreter "system" or "venv". Raises RuntimeError with the cure if it lacks tpm2-pytss."""
    system, virtual = device_pythons()
    python = system if kind == "system" else virtual
    cure = "apt-get install python3-tpm2-pytss" if kind == "system" else "scripts/setup (or set EDGEFLEET_VENV)"
    if not python.exists():
        raise RuntimeError(f"{python} does not exist: run {cure}")
    probe = subprocess.run([str(python), "-c", "import tpm2_pytss"], capture_output=True, text=True, env=_probe_environment(), check=False)
    if probe.returncode != 0:
        raise RuntimeError(f"{python} cannot import tpm2_pytss: run {cure}\n{probe.stderr}")
    return str(python)


def _probe_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
