# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/sanity [newest|oldest|all] [more arguments for ansible-test sanity]: runs `ansible-test sanity` without a container.

Every sanity test runs that can run without one, for a true copy of the checkout, with the ansible-cores of scripts/cores.

ansible-test makes environments under ~/.ansible, for which it downloads get-pip.py. We give it a home of its own in the cache, with the
user's pip configuration and a replacement for get-pip.py, which installs the same version of pip from PyPI.

What has passed is not run again: after a success, a file named after everything that decides the outcome (see `fingerprint`) is left in the
cache, so that any checkout of this user with the same files has the benefit.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import pathlib
import runpy
import shutil
import stat
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / ".work"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "edgefleet-tpm2"

# The Pythons of controllers and devices; ansible-test runs its import test with those that are installed.
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
# What ansible-test uses of the machine, if it is there.
TOOLS = ("pwsh", "shellcheck")

STAND_IN = """\
# Made by scripts/sanity.py. A stand-in for get-pip.py: runs the pip in that wheel.
import runpy
import sys

sys.path.insert(0, {wheel!r})
arguments = [a for a in sys.argv[1:] if a not in ("--no-setuptools", "--no-wheel")]
sys.argv = [sys.argv[0], "install", "--no-deps"] + arguments
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""


def run(*command: object, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], text=True, check=True, **options)  # type: ignore[call-overload,no-any-return]


def write_pip_configuration(home: pathlib.Path, python: pathlib.Path) -> None:
    """Copy pip's configuration, from files and environment, to that home, because ansible-test does not pass on PIP_ variables."""
    settings: dict[str, str] = {}
    for line in run(python, "-m", "pip", "config", "list", capture_output=True).stdout.splitlines():
        key, _equals, value = line.partition("=")
        section, _dot, name = key.strip().partition(".")
        if section in ("global", "install", ":env:") and name not in ("config-file", "no-input"):
            settings[name.lstrip(".")] = value.strip().strip("'")
    folder = home / ".config/pip"
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name} = {value}\n" for name, value in sorted(settings.items()))
    (folder / "pip.conf").write_text("[global]\n" + text)
    (folder / "pip.conf").chmod(0o600)


def provide_get_pip(home: pathlib.Path, python: pathlib.Path) -> None:
    """Put a replacement for each get-pip.py that this ansible-test needs where it looks first."""
    code = (
        "import types; from ansible_test._internal.python_requirements import get_venv_packages\n"
        f"for version in {PYTHONS!r}: print(get_venv_packages(types.SimpleNamespace(version=version))['pip'])"
    )
    wheels = CACHE / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for version in sorted(set(run(python, "-c", code, capture_output=True).stdout.split())):
        wheel = wheels / f"pip-{version}-py3-none-any.whl"
        if not wheel.exists():
            print(f"==> fetching pip {version}, which ansible-test wants", file=sys.stderr, flush=True)
            run(python, "-m", "pip", "download", "--quiet", "--quiet", "--no-deps", "--dest", wheels, f"pip=={version}")
        stand_in = home / ".ansible/test/cache" / f"get_pip_{version.replace('.', '_')}.py"
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.write_text(STAND_IN.format(wheel=str(wheel)))


def home_of(core: dict[str, str]) -> pathlib.Path:
    """The home for one ansible-test. Each has its own, because they run at the same time."""
    return CACHE / f"ansible-test-home-{core['core']}"


def prepare(core: dict[str, str]) -> None:
    """Prepare the home, so that ansible-test can install its environments."""
    bin_folder, home = pathlib.Path(core["bin"]), home_of(core)
    write_pip_configuration(home, bin_folder / "python")
    provide_get_pip(home, bin_folder / "python")


def copy_of(core: dict[str, str]) -> pathlib.Path:
    """Make the copy of the checkout that the ansible-test of this core looks at."""
    place = WORK / "sanity" / f"core-{core['core']}"
    run(ROOT / "scripts/copy", place)
    return place / "ansible_collections/edgefleet/tpm2"


def files_of(folder: pathlib.Path) -> list[list[str]]:
    """Every file of a folder, except Git's own: its name, kind and right to be executed, and the SHA-256 of its contents or where the link leads to."""
    found = []
    for parent, folders, files in os.walk(folder):
        if pathlib.Path(parent) == folder:
            folders.remove(".git")
        for path in (pathlib.Path(parent, name) for name in [*folders, *files]):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                content = os.readlink(path) if stat.S_ISLNK(mode) else ""
            found.append([str(path.relative_to(folder)), oct(stat.S_IFMT(mode) | mode & stat.S_IXUSR), content])
    return sorted(found)


def stamp_of(folder: pathlib.Path, core: dict[str, str], arguments: list[str], path: str) -> pathlib.Path:
    """The file that says that this has passed: its name is the SHA-256 of all that decides that.

    That is: the files, these scripts, the core with its packages, the Pythons, and the tools that ansible-test takes from the machine.
    """
    python = pathlib.Path(core["bin"], "python")
    code = "import importlib.metadata as m, sys; print(sys.version, sorted(f'{d.name} {d.version}' for d in m.distributions()))"
    pythons = [shutil.which(f"python{version}", path=path) for version in PYTHONS]
    tools = [shutil.which(name, path=path) for name in TOOLS]
    asked = [[python, "-I", "-c", code], *([one, "--version"] for one in [*pythons, *tools] if one)]
    said = [run(*command, capture_output=True, env={"PATH": path}).stdout for command in asked]
    scripts = [hashlib.sha256((ROOT / "scripts" / name).read_bytes()).hexdigest() for name in ("sanity.py", "cores.py", "copy")]
    decides = [files_of(folder), core["core"], core["python"], pythons, arguments, said, scripts]
    return CACHE / "sanity" / hashlib.sha256(json.dumps(decides).encode()).hexdigest()


def is_clean(core: dict[str, str], stamp: pathlib.Path) -> bool:
    """Whether all of it has passed already; then say so."""
    if not stamp.exists():
        return False
    said = stamp.read_text().strip()
    print(f"core {core['core']}: clean already; these files have passed {said} To run them again, remove {stamp}", flush=True)
    return True


def run_sanity(core: dict[str, str], folder: pathlib.Path, stamp: pathlib.Path, arguments: list[str], path: str) -> bool:
    """Run ansible-test sanity of that core on its copy of the checkout; return whether all of it passed, and then leave the stamp."""
    bin_folder, before = pathlib.Path(core["bin"]), files_of(folder)
    print(f"==> ansible-test sanity of ansible-core {core['core']} with Python {core['python']}", file=sys.stderr, flush=True)
    environment = {"HOME": str(home_of(core)), "PATH": f"{bin_folder}:{path}", "LC_ALL": "C.UTF-8"}
    command = [bin_folder / "python", core["ansible_test"], "sanity", "--local", "--color", "no", *arguments]
    log = WORK / "log" / f"sanity-core-{core['core']}.log"
    with log.open("w") as output:
        result = subprocess.run(command, cwd=folder, env=environment, check=False, stdout=output, stderr=subprocess.STDOUT)
    lines = log.read_text().splitlines()
    said = [line for line in lines if line.startswith(("ERROR", "FATAL"))]
    skipped = sorted({line.split("Skipping sanity test ")[1] for line in lines if line.startswith("WARNING: Skipping sanity test ")})
    said += [f"not run: {what}" for what in skipped]
    tests = {line.split('"')[1] for line in lines if line.startswith("Running sanity test ")}
    said.append(f"core {core['core']}: {len(tests)} sanity tests run, exit status {result.returncode}; all of it: {log.relative_to(ROOT)}")
    print("\n".join(said), flush=True)
    # Another make in this checkout may have put a copy of other files there.
    if result.returncode == 0 and tests and all(file in files_of(folder) for file in before):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(" ".join([f"{len(tests)} sanity tests.", *said[:-1]]) + "\n")
    return result.returncode == 0


def check(cores: list[dict[str, str]], arguments: list[str], path: str) -> list[str]:
    """Run sanity of these cores, with that search path, on what has not passed yet; return the cores with which it failed."""
    due = []
    for core in cores:
        stamp = stamp_of(copy := copy_of(core), core, arguments, path)
        if not is_clean(core, stamp):
            prepare(core)
            due.append((core, copy, stamp))
    with concurrent.futures.ThreadPoolExecutor() as threads:
        passed = list(threads.map(lambda one: run_sanity(*one, arguments, path), due))
    return [core["core"] for (core, _copy, _stamp), ok in zip(due, passed, strict=True) if not ok]


def main() -> int:
    which, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("all", [])
    cores_script = runpy.run_path(str(ROOT / "scripts/cores.py"))
    if cores_script["main"]() != 0:
        return 1
    cores = json.loads((WORK / "cores.json").read_text())
    cores = {"all": cores, "oldest": cores[:1], "newest": cores[-1:]}[which]
    # The folders of the real Pythons, because shims (of pyenv, for example) do not work with another home.
    found = [cores_script["find_python"](version) for version in PYTHONS]
    folders = dict.fromkeys([str(pathlib.Path(python).parent) for python in found if python] + ["/usr/local/bin", "/usr/bin", "/bin"])
    failed = check(cores, arguments, ":".join(folders))
    print("ansible-test sanity: " + (f"FAILED with ansible-core {', '.join(failed)}" if failed else "passed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
