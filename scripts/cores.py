# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/cores: the oldest and the newest ansible-core that the Pythons on this machine can run.

Makes an environment .work/core-VERSION for each (ansible-core, and what the controller's side needs), prints them, and lists them in
.work/cores.json: [{"core": "2.18.19", "python": "3.11", "bin": FOLDER, "ansible_playbook": FILE, ...}], the oldest first.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / ".work"

# Each ansible-core, with the controller Pythons that it supports.
CORES = {
    "2.18.19": ("3.11", "3.12", "3.13"),
    "2.19.14": ("3.11", "3.12", "3.13"),
    "2.21.5": ("3.12", "3.13", "3.14"),
}
# The libraries that the controller's side needs beside ansible-core, in the versions of the test environment.
LIBRARIES = ("alembic", "cryptography", "psycopg", "psycopg-binary", "SQLAlchemy")
COMMANDS = ("ansible", "ansible-doc", "ansible-galaxy", "ansible-playbook", "ansible-test")


def find_python(version: str) -> str | None:
    """Return a Python of that version ("3.12") which runs and can make environments; None if the machine has none."""
    name = "python" + version
    candidates = [shutil.which(name), f"/usr/bin/{name}", f"/usr/local/bin/{name}"]
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv"))
    candidates += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"))]
    for candidate in candidates:
        # pyenv has shims also for versions that are switched off, so we must run it to know.
        code = "import ensurepip, os, sys, venv; print(os.path.realpath(sys.executable))"
        if candidate and os.access(candidate, os.X_OK):
            result = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
            if result.returncode == 0:
                return result.stdout.strip()
    return None


def pinned() -> list[str]:
    """The libraries in the versions of scripts/constraints.txt (whose other pins are of one ansible-core)."""
    lines = (ROOT / "scripts/constraints.txt").read_text().splitlines()
    return [line for line in lines if line.partition("==")[0] in LIBRARIES]


def make_environment(core: str, python: str) -> pathlib.Path:
    """Make .work/core-VERSION, unless it exists and was made here by the same Python; return its bin folder."""
    folder = WORK / f"core-{core}"
    stamp = folder / "stamp"
    pytss = [line for line in (ROOT / "scripts/requirements-demo.txt").read_text().splitlines() if line.startswith("tpm2-pytss==")]
    wanted = "\n".join([str(folder), python, *pinned(), *pytss, ""])
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"==> installing ansible-core {core} into .work/{folder.name} with {python}", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", folder], check=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--quiet"]
        built = [str(ROOT / "scripts/pytss_wheel"), str(folder / "bin/python")]
        wheel = subprocess.run(built, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        subprocess.run([*pip, f"ansible-core=={core}", *pinned(), wheel], check=True)
        stamp.write_text(wanted)
    return folder / "bin"


def main() -> int:
    pythons = {version: find_python(version) for version in sorted({v for versions in CORES.values() for v in versions})}
    runnable = {core: [v for v in versions if pythons[v]] for core, versions in CORES.items()}
    usable = [core for core, versions in runnable.items() if versions]
    if not usable:
        print("scripts/cores: no Python from 3.11 to 3.14 with a working venv module was found", file=sys.stderr)
        return 1
    # The oldest core with the lowest Python and the newest with the highest, as the two ends of what we support.
    chosen = {usable[-1]: runnable[usable[-1]][-1], usable[0]: runnable[usable[0]][0]}
    entries = []
    for core in sorted(chosen, key=usable.index):
        bin_folder = make_environment(core, str(pythons[chosen[core]]))
        entry = {"core": core, "python": chosen[core], "bin": str(bin_folder)}
        entry.update({command.replace("-", "_"): str(bin_folder / command) for command in COMMANDS})
        entries.append(entry)
        print(f"ansible-core {core} with Python {chosen[core]}: .work/core-{core}")
    # Flush, because another program may read this output while we run.
    listed = WORK / "cores.json.new"
    listed.write_text(json.dumps(entries, indent=2) + "\n")
    listed.replace(WORK / "cores.json")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"scripts/cores: this failed: {' '.join(map(str, error.cmd))}")
