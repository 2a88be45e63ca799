# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's section Install, its lines run as written by a user who has a home and nothing else: they end with a playbook of the collection.

Git fetches from a copy of the checkout: a line in the user's own Git configuration says where the address of the README leads. Galaxy is not
asked: of its lines ansible-galaxy says what it would look for.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest
import yaml
from docs.documents import ROOT, Block, blocks
from support import places
from support.controller import cores
from support.swtpm import Swtpm

README = ROOT / "README.md"
CLONE, TARBALL, FOLDER, PREFLIGHT = "git clone ", "collection build ", "mkdir -p ~/my-fleet", "ansible-playbook "
ADDRESS = "https://github.com/edgefleet/edgefleet.tpm2.git"
INSTALLED = ".ansible/collections/ansible_collections/edgefleet/tpm2"


def section() -> list[Block]:
    """The blocks of the README's section Install."""
    text = README.read_text()
    first, last = (text[: text.index(f"\n## {title}\n")].count("\n") for title in ("Install", "Requirements"))
    found = blocks(README, "sh", "yaml")
    return [block for block in found if first < int(block.where.rpartition(":")[2]) < last]


def lines(containing: str) -> str:
    """The one shell block of the section that contains a text."""
    (block,) = [one.text for one in section() if one.language == "sh" and containing in one.text]
    return block


class User:
    """Somebody with an empty home, one ansible-core, and what Git has in the checkout."""

    def __init__(self, folder: pathlib.Path, core: dict[str, str]) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        repository = folder / "repository"
        subprocess.run([str(ROOT / "scripts/copy"), str(repository)], check=True)
        source = repository / "ansible_collections/edgefleet/tpm2"
        commit = ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--message=all"]
        subprocess.run(["git", "-C", str(source), *commit], check=True)
        (self.home / ".gitconfig").write_text(f'[url "file://{source}"]\n\tinsteadOf = {ADDRESS}\n')
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("ANSIBLE_", "EDGEFLEET_", "GIT_", "PYTHON", "TPM2", "XDG_"))
        }
        self._environment = kept | {"HOME": str(self.home), "PATH": f"{core['bin']}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}

    def run(self, script: str, folder: str = "", status: int = 0) -> str:
        """Run lines of shell in a folder of the home; return what they printed. Fails the test where they end otherwise than with `status`."""
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(
            command, cwd=self.home / folder, env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == status, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    @property
    def installed(self) -> pathlib.Path:
        """Where ansible-galaxy puts the collection if nothing says otherwise."""
        return self.home / INSTALLED


@pytest.fixture(params=cores(), ids=lambda core: f"core-{core['core']}")
def user(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> User:
    return User(tmp_path, request.param)


def test_from_a_clone_and_from_a_tarball_the_lines_end_with_a_preflight(user: User, swtpm: Swtpm, system_python: str) -> None:
    fleet = user.home / "my-fleet"
    user.run(lines(CLONE))
    for install in ("", lines(TARBALL)):
        if install:
            shutil.rmtree(user.home / ".ansible")
            shutil.rmtree(fleet)
            user.run(install)
        assert (user.installed / "MANIFEST.json").exists()
        user.run(lines(FOLDER))
        # In the place of the guide's inventory one of the device that is here.
        device = {
            "ansible_connection": "local",
            "ansible_python_interpreter": system_python,
            "tpm2_profile_tcti": swtpm.tcti,
            "tpm2_become": False,
        }
        (fleet / "inventory.yml").write_text(yaml.safe_dump({"edge": {"hosts": {"edge-01": device}}}))
        said = user.run(lines(PREFLIGHT), "my-fleet")
        assert "failed=0" in said and "skipping" not in said and "[WARNING]" not in said
        assert "edge-01" in (fleet / "tpm2-reports/edge-01.md").read_text()


def test_what_git_has_now_is_installed_also_from_inside_the_clone_and_in_the_place_of_the_same_version(user: User) -> None:
    user.run(lines(CLONE))
    (user.installed / "README.md").write_text("old\n")
    user.run("ansible-galaxy collection install --force .", "edgefleet.tpm2")
    assert (user.installed / "README.md").read_text() == README.read_text()


def test_the_requirements_install_from_git_and_ask_galaxy(user: User) -> None:
    galaxy, git = (block.text for block in section() if block.language == "yaml")
    for text in (galaxy, git):
        (user.home / "requirements.yml").write_text(text)
        offline = text == galaxy
        said = user.run("ansible-galaxy collection install -r requirements.yml" + " --offline" * offline, status=int(offline))
        if offline:
            assert "edgefleet.tpm2:>=0.1.0,<0.2.0" in said
    assert (user.installed / "docs/ansible.cfg").read_text() == places.USERS_CFG.read_text()


def test_galaxy_is_asked_for_the_collection_by_its_name(user: User) -> None:
    (line,) = [
        one for block in section() if block.language == "sh" for one in block.text.splitlines() if one.endswith("install edgefleet.tpm2")
    ]
    assert "edgefleet.tpm2:*" in user.run(f"{line} --offline", status=1)
