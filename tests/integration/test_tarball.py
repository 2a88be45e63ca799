# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: the built tarball, installed in an empty folder elsewhere, provisions a TPM from there.

Done with the oldest and the newest ansible-core that this machine can run.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import tarfile

import pytest
import yaml
from docs.documents import links
from support import places, profile
from support.controller import each_core
from support.swtpm import Swtpm
from support.tools import Tools

TOPS = {"MANIFEST.json", "FILES.json", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "REUSE.toml", "LICENSES"}
TOPS |= {"changelogs", "docs", "meta", "playbooks", "plugins", "roles", "tests"}
PLAYBOOK = """\
- hosts: all
  gather_facts: false
  module_defaults:
    group/edgefleet.tpm2.tpm2:
      tcti: "{{ tcti }}"
  tasks:
    - edgefleet.tpm2.tpm2_profile:
        resources: "{{ resources }}"
    - edgefleet.tpm2.tpm2_info:
      register: found
    - ansible.builtin.copy:
        content: "{{ found | to_json }}"
        dest: "{{ work }}/found.json"
        mode: "0600"
"""


class Elsewhere:
    """A folder outside the checkout, with nothing of Ansible's but what is installed in it, the ansible.cfg that the guide prints, and one
    ansible-core."""

    def __init__(self, folder: pathlib.Path, core: dict[str, str]) -> None:
        self.folder = folder
        self.core = core

    def run(self, command: str, *arguments: str | pathlib.Path) -> str:
        """Run ansible-COMMAND in the folder; return what it printed. Fails the test, with all of it, if it fails."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHONPATH"))}
        environment |= {"ANSIBLE_HOME": str(self.folder / "home"), "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections")}
        done = subprocess.run(
            [self.core[command], *map(str, arguments)], cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command} {arguments}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module", params=each_core("tarball"))
def elsewhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """One for all tests of a core, which build and install there once."""
    folder = tmp_path_factory.mktemp("tarball") / "elsewhere"
    folder.mkdir()
    guide = (places.ROOT / "docs/first-fleet.md").read_text()
    (folder / "ansible.cfg").write_text(guide.partition("```ini\n")[2].partition("```")[0])
    return Elsewhere(folder, request.param)


@pytest.fixture(scope="module")
def tarball(elsewhere: Elsewhere) -> pathlib.Path:
    elsewhere.run("ansible_galaxy", "collection", "build", places.ROOT, "--output-path", elsewhere.folder)
    (built,) = elsewhere.folder.glob("edgefleet-tpm2-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(elsewhere: Elsewhere, tarball: pathlib.Path) -> Elsewhere:
    elsewhere.run("ansible_galaxy", "collection", "install", tarball, "--offline", "--collections-path", "collections")
    return elsewhere


def changed(output: str) -> int:
    """The number of changed tasks that a play recap tells, of its one host."""
    (count,) = re.findall(r"\bok=\d+ +changed=(\d+) +unreachable=0 +failed=0\b", output)
    return int(count)


def test_the_tarball_holds_the_collection_and_nothing_else(tarball: pathlib.Path) -> None:
    with tarfile.open(tarball) as archive:
        names = archive.getnames()
    assert {name.split("/")[0] for name in names} == TOPS
    assert {name for name in names if name.startswith(("tests/", "changelogs/"))} == {"changelogs/changelog.yaml", "tests/config.yml"}
    group = yaml.safe_load((places.ROOT / "meta/runtime.yml").read_text())["action_groups"]["tpm2"]
    # Two ask the registry, and no TPM.
    modules = {*group, "tpm2_auth_generation", "tpm2_registry_info"}
    assert {f"plugins/modules/{module}.py" for module in modules} == {n for n in names if re.fullmatch(r"plugins/modules/\w+\.py", n)}
    controller = {"action", "filter", "inventory", "lookup", "plugin_utils"}
    assert controller <= {name.split("/")[1] for name in names if name.startswith("plugins/") and name.count("/") > 1}
    assert any(name.startswith("plugins/plugin_utils/_registry/migrations/versions/") for name in names)
    generated = [name for name in names if re.search(r"(^|/)(\.|__pycache__(/|$))|\.pyc$|\.tar\.gz$", name)]
    assert generated == []
    pages = [places.ROOT / name for name in names if re.fullmatch(r"[A-Z]+\.md|docs/[\w-]+\.md", name)]
    assert len(pages) > 10
    # A page may speak of tests and of what makes a release; what a user is sent to is there.
    left_out = ("tests/", "RELEASE.md", "Makefile", "demo/", "molecule/", "scripts/", "plugins/")
    targets = {os.path.relpath(page.parent / target.partition("#")[0], places.ROOT) for page in pages for target in links(page)}
    assert {target for target in targets if not target.startswith((*left_out, "."))} - set(names) == set()


def test_every_file_in_it_has_its_licence(elsewhere: Elsewhere, tarball: pathlib.Path) -> None:
    unpacked = elsewhere.folder / "unpacked"
    with tarfile.open(tarball) as archive:
        archive.extractall(unpacked, filter="data")
    done = subprocess.run([str(places.venv() / "bin/reuse"), "--root", str(unpacked), "lint"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    manifest = json.loads((unpacked / "MANIFEST.json").read_text())["collection_info"]
    assert {path.stem for path in (unpacked / "LICENSES").iterdir()} == set(manifest["license"])


def test_it_provisions_a_tpm_from_there(
    installed: Elsewhere, swtpm: Swtpm, tools: Tools, device_dir: pathlib.Path, system_python: str
) -> None:
    resources = profile.quick(profile.reference(profile.SERIAL, "dGVsZW1ldHJ5IGtleQ==", device_dir))
    variables = {"tcti": swtpm.tcti, "resources": resources, "work": str(installed.folder), "ansible_python_interpreter": system_python}
    (installed.folder / "variables.json").write_text(json.dumps(variables))
    (installed.folder / "play.yml").write_text(PLAYBOOK)
    play = ("-i", "device,", "-c", "local", "-e", "@variables.json", "play.yml")

    # The profile and the file with the facts are new.
    assert changed(installed.run("ansible_playbook", *play)) == 2
    assert tools.nvread(profile.SERIAL_INDEX) == profile.SERIAL.encode()
    assert profile.SRK in tools.handles("persistent")
    facts = (installed.folder / "found.json").read_text()
    assert "0x81000001" in facts and "0x01800010" in facts

    assert changed(installed.run("ansible_playbook", *play, "--check")) == 0


def test_its_playbooks_run_by_name(installed: Elsewhere, swtpm: Swtpm, tools: Tools, device_dir: pathlib.Path, system_python: str) -> None:
    variables = {
        "ansible_python_interpreter": system_python,
        # The controller itself is the device: nothing is to be installed on it.
        "tpm2_day_zero_stack": False,
        "tpm2_profile_dir": str(device_dir),
        "tpm2_profile_serial": profile.SERIAL,
        "tpm2_profile_tcti": swtpm.tcti,
    }
    (installed.folder / "variables.json").write_text(json.dumps(variables))
    play = ("-i", "device,", "-c", "local", "-e", "@variables.json")

    assert changed(installed.run("ansible_playbook", *play, "edgefleet.tpm2.day_zero")) > 0
    assert tools.nvread(profile.SERIAL_INDEX) == profile.SERIAL.encode()
    assert changed(installed.run("ansible_playbook", *play, "edgefleet.tpm2.day_zero")) == 0
    assert changed(installed.run("ansible_playbook", *play, "edgefleet.tpm2.audit")) == 0
