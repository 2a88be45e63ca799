# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks and tests, one session each: `nox -l` lists them, `nox -e NAME` runs one, plain `nox` all of them, one after the other.

`make test` runs those that check beside the one that tests (scripts/test), `make proofs` the proofs.

The sessions share the environment that `scripts/setup test` makes, so they need no network; antsibull-nox adds its own two.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

import antsibull_nox
import nox

ROOT = pathlib.Path(__file__).parent.resolve()
WORK = ROOT / ".work"
BIN = WORK / "venv/bin"
TREE = WORK / "collections/ansible_collections/edgefleet/tpm2"
# One more than there are cores: tests also wait, for a TPM to start or for a code to pass.
WORKERS = str((os.cpu_count() or 1) + 1)
PYTEST_LOG = WORK / "log/pytest.log"
# The folders of tests/ that each session runs. What is in neither has a target of its own: see the Makefile.
FOLDERS = {
    "tests": ["tests/docs", "tests/integration", "tests/unit"],
    "proofs": ["tests/attacks", "tests/bench", "tests/demo", "tests/faults"],
}
# What the unit tests cover, in percent, less a little for what hangs on chance. It never falls: what rises is written here.
FLOORS = {"module_utils/_tpm": 98.6, "plugin_utils": 90.0}

nox.options.envdir = str(WORK / "nox")
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "license-check", "extra-checks", "docs", "sanity", "tests", "proofs"]
os.environ["PATH"] = f"{BIN}:{os.environ['PATH']}"

# Adds the sessions license-check and extra-checks.
antsibull_nox.load_antsibull_nox_toml()


def copy_of_the_collection(session: nox.Session, name: str) -> pathlib.Path:
    """Make a true copy of the checkout in .work/NAME, for tools that follow no links or leave files behind; return its folder."""
    session.run(str(ROOT / "scripts/copy"), str(WORK / name), external=True, silent=True)
    return WORK / name / "ansible_collections/edgefleet/tpm2"


def shell_scripts() -> list[str]:
    """Return the names of the checkout's shell scripts: those that say so in their first line, and what they source."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    return [name for name in names if name.endswith(".sh") or (ROOT / name).read_bytes()[:20].startswith(b"#!/usr/bin/env bash")]


def run_each(session: nox.Session, *commands: list[str]) -> None:
    """Run every command, also after one has failed; then fail if any did."""
    failed = []
    for command in commands:
        try:
            session.run(*command, external=True)
        except nox.command.CommandFailed:
            failed.append(" ".join(command)[:60])
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """ruff, mypy, yamllint, shellcheck, REUSE and ansible-lint."""
    copy = copy_of_the_collection(session, "lint")
    run_each(
        session,
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", str(TREE / "plugins")],
        ["yamllint", "--strict", "."],
        ["shellcheck", "--external-sources", "--source-path", "SCRIPTDIR", *shell_scripts()],
        ["reuse", "lint", "--lines"],
        ["env", "--chdir", str(copy), f"ANSIBLE_COLLECTIONS_PATH={WORK / 'lint'}", "ansible-lint", "--offline", "--nocolor"],
    )


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """The modules' and roles' documentation: antsibull-docs' checks, stricter than those of sanity."""
    with session.chdir(copy_of_the_collection(session, "docs")):
        session.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "all", ".", external=True)
        session.run("antsibull-changelog", "lint", external=True)


@nox.session(venv_backend="none")
def sanity(session: nox.Session) -> None:
    """ansible-test sanity with the oldest and the newest ansible-core that this machine can run."""
    session.run("scripts/sanity", *(session.posargs or ["all"]), external=True)


@nox.session(venv_backend="none", default=False)
def cores(session: nox.Session) -> None:
    """Install the oldest and the newest ansible-core that this machine can run, and list them in .work/cores.json."""
    session.run("scripts/cores", external=True)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest, keep its output in .work/log/pytest.log, and hold it to the rule that no test is skipped."""
    command = ["python", "-m", "pytest", *arguments, *session.posargs]
    # A test starts the same modules again and again: compiled once, whatever the caller's shell says.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    session.log(" ".join(command))
    PYTEST_LOG.parent.mkdir(parents=True, exist_ok=True)
    with (
        PYTEST_LOG.open("w") as log,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running,
    ):
        assert running.stdout is not None
        last = ""
        for line in running.stdout:
            print(line, end="", flush=True)
            log.write(line)
            last = line if line.strip() else last
    if running.returncode != 0:
        session.error(f"pytest ended with status {running.returncode}")
    if re.search(r"\d+ (skipped|xfailed|deselected)", last) and not session.posargs:
        session.error("every test must run: some were skipped")


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """The tests of code, pages, modules, roles and playbooks, in one run of pytest on every core of the machine."""
    session.run("scripts/cores", external=True)
    run_pytest(session, "-n", WORKERS, "--dist", "loadgroup", *FOLDERS["tests"])


@nox.session(venv_backend="none")
def proofs(session: nox.Session) -> None:
    """The long proofs: attacks, faults at every position, the demo and the benchmark, in one run of pytest on every core of the machine."""
    session.run("scripts/cores", external=True)
    run_pytest(session, "-n", WORKERS, "--dist", "loadgroup", *FOLDERS["proofs"])


@nox.session(venv_backend="none", default=False)
def unit(session: nox.Session) -> None:
    """The unit tests alone."""
    run_pytest(session, "tests/unit")


@nox.session(venv_backend="none", default=False)
def coverage(session: nox.Session) -> None:
    """How much of the specification's part and of the controller's the unit tests run; less than FLOORS say is a failure."""
    (WORK / "coverage").mkdir(parents=True, exist_ok=True)
    run_pytest(session, "-n", WORKERS, "--cov", "--cov-config=tests/coverage.ini", "--cov-report=", "tests/unit")
    report = ["coverage", "report", "--rcfile=tests/coverage.ini"]
    run_each(session, *([*report, f"--include=*/plugins/{part}/*", f"--fail-under={floor}"] for part, floor in FLOORS.items()))


@nox.session(venv_backend="none", default=False)
def integration(session: nox.Session) -> None:
    """The integration tests alone: real software TPMs."""
    run_pytest(session, "-n", WORKERS, "tests/integration")


@nox.session(venv_backend="none", default=False)
def faults(session: nox.Session) -> None:
    """The fault tests alone: the module or the TPM ends, or a response is lost, between any two commands."""
    run_pytest(session, "-n", WORKERS, "tests/faults")
