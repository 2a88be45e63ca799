# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RELEASE.md's commands, up to what is published, run as written on a copy of the checkout."""

from __future__ import annotations

import os
import pathlib
import subprocess
import tarfile

from docs.documents import ROOT, blocks
from support import places

FRAGMENT = "---\nbugfixes:\n  - sentinel of a change.\n"


def block(containing: str) -> str:
    """The one block of shell that contains a text."""
    (text,) = [one.text for one in blocks(ROOT / "RELEASE.md", "sh") if containing in one.text]
    return text


def test_the_commands_put_the_changelog_into_the_tarball(tmp_path: pathlib.Path) -> None:
    subprocess.run([str(ROOT / "scripts/copy"), str(tmp_path)], check=True)
    copy = tmp_path / "ansible_collections/edgefleet/tpm2"
    (copy / "changelogs/fragments/9999-sentinel.yml").write_text(FRAGMENT)
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "GIT_", "PYTHON"))}
    environment |= {"PATH": f"{places.venv() / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    environment |= {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    script = f"git add --all\ngit commit --quiet --message before\n{block('antsibull-changelog')}{block('collection build')}git status --porcelain\n"
    done = subprocess.run(["bash", "-euc", script], cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "??" not in done.stdout and " M " not in done.stdout
    (tarball,) = copy.glob(".work/edgefleet-tpm2-*.tar.gz")
    with tarfile.open(tarball) as archive:
        kept = archive.extractfile("CHANGELOG.md")
        assert kept is not None and "sentinel of a change" in kept.read().decode()
    assert list((copy / "changelogs/fragments").glob("*.yml")) == []
