# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin as an operator uses it: ansible-inventory and ansible-playbook over a manifest and a registry that is real."""

from __future__ import annotations

import json
import os
import pathlib
import socket
import sqlite3
import subprocess
import typing as t

import pytest
import sqlalchemy
import yaml
from support import birth, places, proven
from support.controller import cores, forked, home, said, totals

from ansible_collections.edgefleet.tpm2.plugins.inventory import registry as plugin
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Identity
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

PINNED = "5" * 64
MANIFEST = f"""\
serial;host;mac;ek_sha256;site;model
# the line of May
SN-1;edge-01;02:00:00:00:00:01;;Plant A;rev2
SN-2;edge-02;02:00:00:00:00:02;;Plant B;rev2
SN-3;edge-03;02-00-00-00-00-03;{PINNED};Plant A;{{{{ 1 + 1 }}}}
00004;;02:00:00:00:00:04;;;
SN-5;edge-05;;;;
"""
SOURCE = {"plugin": "edgefleet.tpm2.registry", "manifest": "fleet.csv"}
# What would give away more than a host may know.
SENTINEL = "SENTINEL-of-the-registry"


def ek_name(number: int) -> str:
    return "000b" + f"{number:02x}" * 32


def identity(number: int, **fields: str) -> Identity:
    public = SENTINEL.encode() + bytes([number])
    known = {"manufacturer": "IFX", "firmware": "7.85.4555.0", "host": f"edge-{number:02d}", **fields}
    return Identity(
        ek_name=ek_name(number), serial=f"SN-{number}", ak_name=ek_name(number + 100), ek_public=public, ak_public=public, **known
    )


class Line:
    """A factory line's folder: source file, manifest and registry, and the programs that read them."""

    def __init__(self, folder: pathlib.Path, entry: dict[str, str]) -> None:
        self.folder, self._bin = folder, pathlib.Path(entry["bin"])
        self.source, self.manifest, self.registry = (folder / name for name in ("tpm2_registry.yml", "fleet.csv", "tpm2-registry.sqlite"))
        self.manifest.write_text(MANIFEST)
        self.signer = proven.Signer(folder / "ca")
        self.roots: list[str] = []
        self.set()
        # Settings of a test's own, for which the program is started anew, as it is where a library is missing.
        self.environment: dict[str, str] = {}
        self._all_there = True
        self._libraries = folder / "libraries"
        self._libraries.mkdir()
        # What an environment of ansible-core alone has not. On another Python the compiled parts do not load, and both go without.
        (packages,) = places.venv().glob("lib/python3.*/site-packages")
        for pattern in ("sqlalchemy", "typing_extensions.py", "psycopg*"):
            for found in packages.glob(pattern):
                (self._libraries / found.name).symlink_to(found)

    def set(self, **options: t.Any) -> None:
        roots = {"record_roots": self.roots} if self.roots else {}
        self.source.write_text(yaml.safe_dump({**SOURCE, **roots, **options}))

    def without(self, library: str) -> None:
        self._all_there = False
        (self._libraries / library).unlink()
        (self._libraries / f"{library}.py").write_text(f"raise ImportError('no {library} here')\n")

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible's in another folder than this."""
        places.python_path()  # makes the collection's tree
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "EDGEFLEET_", "PYTHON"))}
        environment |= {
            "ANSIBLE_CONFIG": str(places.USERS_CFG),
            "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
        }
        command, folder = [str(self._bin / program), *arguments], self.folder.parent
        if self._all_there and not self.environment and program in ("ansible-inventory", "ansible-playbook"):
            return forked(command, {**environment, "ANSIBLE_HOME": home()}, cwd=str(folder))
        environment |= {"ANSIBLE_HOME": str(self.folder / "ansible"), "PYTHONPATH": str(self._libraries), **self.environment}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300, cwd=folder)

    def inventory(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("ansible-inventory", "-i", str(self.source), *arguments)

    def list(self, *arguments: str) -> tuple[dict[str, t.Any], dict[str, t.Any]]:
        """Groups, and variables of hosts."""
        groups, variables, warned = self.warned(*arguments)
        # Without a registry one warning says so.
        assert "WARNING" not in warned or not self.registry.exists(), warned
        return groups, variables

    def warned(self, *arguments: str) -> tuple[dict[str, t.Any], dict[str, t.Any], str]:
        """The same, and what was said beside it."""
        done = self.inventory("--list", *arguments)
        assert done.returncode == 0, said(done)
        assert SENTINEL not in done.stdout
        groups = json.loads(done.stdout, object_hook=_plain)
        variables = groups.pop("_meta")["hostvars"]
        for found in variables.values():
            found.pop("ansible_local", None)  # Ansible's own, which is always there where facts are not injected
            address = found.pop("tpm2_inventory_registry")
            assert address.endswith(str(self.folder / "other.sqlite")) or address == str(self.registry)
        return groups, variables, done.stderr

    def refused(self, *arguments: str) -> str:
        """What is said of a source that cannot be read: the run ends, without a host and without a traceback."""
        done = self.inventory("--list", *arguments)
        assert done.returncode != 0 and "_meta" not in done.stdout, said(done)
        assert "Traceback" not in done.stderr and SENTINEL not in done.stdout + done.stderr
        return _squeezed(said(done))


def _plain(found: dict[str, t.Any]) -> t.Any:
    """What ansible-inventory marks as no template."""
    return found["__ansible_unsafe"] if set(found) == {"__ansible_unsafe"} else found


def _hosts_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The hosts of --list, behind whatever -v has to say."""
    start = done.stdout.index('{\n    "_meta"')
    return sorted(json.loads(done.stdout[start:])["_meta"]["hostvars"])


def _squeezed(text: str) -> str:
    """Without any space: Ansible breaks its warnings into lines wherever it likes."""
    return "".join(text.split())


@pytest.fixture
def line(tmp_path: pathlib.Path) -> Line:
    """A line whose controller has the newest core."""
    return _line(tmp_path, cores()[-1])


@pytest.fixture(params=cores(), ids=lambda entry: f"core-{entry['core']}")
def each_line(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Line:
    """A line whose controller has the oldest, then the newest core."""
    return _line(tmp_path, request.param)


def _line(folder: pathlib.Path, entry: dict[str, str]) -> Line:
    (folder / "some where").mkdir()
    return Line(folder / "some where", entry)


def enroll(line: Line) -> None:
    """Two devices are enrolled, one of them under a name that it no longer has, and one is quarantined; one is no longer in the manifest.

    The signer of their records counts.
    """
    line.roots = [line.signer.certificate]
    line.set()
    with open_registry(str(line.registry)) as registry:
        for number, host, told in ((1, "edge-01", IFX), (2, "bench-7", {"rung": "pinned"}), (9, "edge-09", IFX)):
            add(registry, line.signer, number, host, told)
        registry.open_incident("edge-05", "SN-5", ek_name(5), "no_certificate", "it has no EK certificate and is not pinned")
        registry.open_incident("edge-03", "SN-3", ek_name(3), "no_certificate", "a cable")
        registry.close_incidents(host="edge-03")


IFX = {"manufacturer": "id:49465800"}


def add(registry: Registry, signer: proven.Signer, number: int, host: str, verdict: dict[str, str]) -> Identity:
    """Enroll a device as one of site north with its record; its row says other things, which nobody has signed."""
    forged = {"site": "forged", "model": "forged", "mac": "02:00:00:00:00:66", "manufacturer": "STM", "firmware": "6.6"}
    tpm, who = proven.device(number, f"SN-{number}", host=host, **forged)
    fields = birth.fields(tpm, signer.ca)
    fields = fields._replace(device={**fields.device, "host": host}, verdict={**fields.verdict, **verdict})
    record = birth_records.sign(birth_records.build(fields), signer.ca)
    registry.enroll(who, EkVerdict("certificate", "chain", detail=SENTINEL), birth_record=record)
    return who


def hosts(groups: dict[str, t.Any]) -> dict[str, list[str]]:
    return {name: sorted(group["hosts"]) for name, group in groups.items() if "hosts" in group}


def test_groups_and_variables(each_line: Line) -> None:
    enroll(each_line)
    with open_registry(str(each_line.registry)) as registry:
        names = [(one.ek_name, one.ak_name) for one in registry.devices() if one.serial == "SN-1"]
    before = each_line.registry.read_bytes()
    groups, variables = each_line.list()
    assert hosts(groups) == {
        "tpm2_new": ["00004", "edge-03"],
        "tpm2_enrolled": ["edge-01", "edge-02", "edge-09"],
        "tpm2_quarantined": ["edge-05"],
        "tpm2_unlisted": ["edge-09"],
        "tpm2_manufacturer_IFX": ["edge-01", "edge-09"],
        "tpm2_firmware_1_2_3_4": ["edge-01", "edge-09"],
        "tpm2_site_Plant_A": ["edge-01", "edge-03"],
        "tpm2_site_Plant_B": ["edge-02"],
        "tpm2_site_north": ["edge-09"],
        "tpm2_model_rev2": ["edge-01", "edge-02"],
        "tpm2_model____1___1___": ["edge-03"],
    }
    assert variables["edge-01"] == {
        "tpm2_profile_serial": "SN-1",
        "tpm2_state": "enrolled",
        "tpm2_mac": "02:00:00:00:00:01",
        "tpm2_site": "Plant A",
        "tpm2_model": "rev2",
        "tpm2_ek_name": names[0][0],
        "tpm2_ak_name": names[0][1],
        "tpm2_manufacturer": "IFX",
        "tpm2_firmware": "1.2.3.4",
        "tpm2_enrolled_at": "2026-06-01T12:01:00Z",
        "tpm2_auth_generation": 1,
    }
    assert variables["edge-05"] == {
        "tpm2_profile_serial": "SN-5",
        "tpm2_state": "quarantined",
        "tpm2_quarantine_reason": "no_certificate",
        "tpm2_quarantine_detail": "it has no EK certificate and is not pinned",
    }
    assert variables["00004"] == {"tpm2_profile_serial": "00004", "tpm2_state": "new", "tpm2_mac": "02:00:00:00:00:04"}
    assert (variables["edge-03"]["tpm2_state"], variables["edge-03"]["tpm2_pinned_ek_sha256"]) == ("new", PINNED)
    assert each_line.registry.read_bytes() == before


def test_graph(each_line: Line) -> None:
    enroll(each_line)
    done = each_line.inventory("--graph", "tpm2_quarantined")
    assert done.stdout == "@tpm2_quarantined:\n  |--edge-05\n", said(done)


PLAYBOOK = """\
- name: What is new
  hosts: tpm2_new
  gather_facts: false
  connection: local
  tasks:
    - name: Say who it is
      ansible.builtin.debug:
        msg: "{{ inventory_hostname }} is {{ tpm2_profile_serial }}, {{ tpm2_state }}, {{ tpm2_model | default('no model') }}"
- name: What is unlisted
  hosts: tpm2_unlisted
  gather_facts: false
  tasks: []
"""


def test_a_playbook_over_the_new_devices(each_line: Line) -> None:
    enroll(each_line)
    each_line.set(unlisted=False)
    (each_line.folder / "play.yml").write_text(PLAYBOOK)
    done = each_line.run("ansible-playbook", "-i", str(each_line.source), str(each_line.folder / "play.yml"))
    assert sorted(totals(done)) == ["00004", "edge-03"], said(done)
    # Text of the manifest is never a template, and never a number.
    assert "edge-03 is SN-3, new, {{ 1 + 1 }}" in said(done)
    assert "00004 is 00004, new, no model" in said(done)
    assert "WARNING" not in done.stderr


def test_without_a_registry_all_are_new_and_none_is_made(each_line: Line) -> None:
    groups, _variables, warned = each_line.warned()
    assert _squeezed(f"There is no registry at {each_line.registry}, so every device counts as new; is that the right path") in _squeezed(
        warned
    )
    assert hosts(groups)["tpm2_new"] == ["00004", "edge-01", "edge-02", "edge-03", "edge-05"]
    assert not any(name in hosts(groups) for name in ("tpm2_enrolled", "tpm2_quarantined", "tpm2_unlisted"))
    assert not each_line.registry.exists()


def test_an_inventory_of_the_wrong_registry_is_no_empty_fleet(each_line: Line) -> None:
    """A timer that renews is not green because a path is wrong, and the audit names the two registries."""
    enroll(each_line)
    other = each_line.folder / "other.sqlite"
    with open_registry(str(other)):
        pass
    play = ("ansible-playbook", "-i", str(each_line.source), "-e", "ansible_connection=local")
    right = ("-e", json.dumps({"tpm2_identity_registry": str(each_line.registry)}))
    done = each_line.run(*play, "edgefleet.tpm2.renew")
    assert done.returncode != 0 and _squeezed("Could not begin: no host has tpm2_identity_registry") in _squeezed(said(done)), said(done)
    for registry, playbook in (("factry/tpm2-registry.sqlite", "renew"), ("other.sqlite", "renew"), ("other.sqlite", "audit")):
        each_line.set(registry=registry)
        done = each_line.run(*play, f"edgefleet.tpm2.{playbook}", *right)
        assert done.returncode != 0 and "PLAY [Renew]" not in done.stdout and "PLAY [Audit]" not in done.stdout, said(done)
        wrong = each_line.folder / registry
        told = _squeezed(
            f"The inventory is made from the registry {wrong} (the option registry of its source), and tpm2_identity_registry is"
        )
        assert told in _squeezed(said(done)), said(done)
    # A new factory: its registry is there, and nobody is enrolled yet. One registry by two paths is one.
    (each_line.folder / "link").symlink_to(each_line.folder)
    same = json.dumps({"tpm2_identity_registry": str(each_line.folder / "link" / "other.sqlite")})
    done = each_line.run(*play, "edgefleet.tpm2.renew", "-e", same)
    assert done.returncode == 0, said(done)


def test_whoever_writes_to_the_registry_makes_no_host_and_no_group(each_line: Line) -> None:
    """A TPM from the shop, without a record or with a stranger's, under a serial number of the manifest or another one."""
    enroll(each_line)
    stranger = proven.Signer(each_line.folder / "stranger")
    with open_registry(str(each_line.registry)) as registry:
        registry.enroll(identity(7, site="Plant A"), EkVerdict("certificate", "chain"))
        registry.enroll(identity(3, site="forged", firmware="6.6"), EkVerdict("certificate", "chain"))
        add(registry, stranger, 8, "edge-08", IFX)
    groups, variables, warned = each_line.warned()
    assert sorted(variables) == ["00004", "edge-01", "edge-02", "edge-03", "edge-05", "edge-09"]
    assert _squeezed("Left out 2 devices that the registry has and the manifest has not") in _squeezed(warned)
    assert variables["edge-03"] == {
        "tpm2_profile_serial": "SN-3",
        "tpm2_state": "unproven",
        "tpm2_unproven_reason": "no_record",
        "tpm2_mac": "02:00:00:00:00:03",
        "tpm2_pinned_ek_sha256": PINNED,
        "tpm2_site": "Plant A",
        "tpm2_model": "{{ 1 + 1 }}",
    }
    assert [name for name, members in hosts(groups).items() if "edge-03" in members] == [
        "tpm2_model____1___1___",
        "tpm2_site_Plant_A",
        "tpm2_unproven",
    ]


def test_without_record_roots_the_registry_says_who_is_enrolled_and_no_more(each_line: Line) -> None:
    enroll(each_line)
    each_line.roots = []
    each_line.set()
    groups, variables, warned = each_line.warned()
    assert _squeezed("Left out 1 devices") in _squeezed(warned) and "(record_roots)" in _squeezed(warned)
    assert hosts(groups)["tpm2_enrolled"] == ["edge-01", "edge-02"] and "edge-09" not in variables
    assert set(variables["edge-01"]) == {"tpm2_profile_serial", "tpm2_state", "tpm2_mac", "tpm2_site", "tpm2_model"}


@pytest.mark.parametrize("how", ["relative", "environment", "template"])
def test_where_the_record_roots_are(line: Line, how: str) -> None:
    enroll(line)
    file = os.path.relpath(line.signer.certificate, line.folder)
    line.roots = {"relative": [file], "environment": [], "template": ["{{ where }}"]}[how]
    line.set()
    if how == "environment":
        line.environment["EDGEFLEET_TPM2_RECORD_ROOTS"] = file
    assert "edge-09" in line.list(*(["-e", f"where={file}"] if how == "template" else []))[1]


def test_unlisted_devices_can_be_left_out(line: Line) -> None:
    enroll(line)
    line.set(unlisted=False)
    _groups, variables = line.list()
    assert sorted(variables) == ["00004", "edge-01", "edge-02", "edge-03", "edge-05"]


def test_a_yaml_manifest(line: Line) -> None:
    (line.folder / "fleet.yml").write_text("devices:\n  - serial: '00123'\n    host: edge-01\n")
    line.set(manifest="fleet.yml")
    _groups, variables = line.list()
    assert variables["edge-01"]["tpm2_profile_serial"] == "00123"


def test_composed_variables_and_groups(each_line: Line) -> None:
    enroll(each_line)
    each_line.set(
        strict=True,
        compose={"ansible_host": "inventory_hostname ~ '.example.net'"},
        groups={"pinned": "tpm2_pinned_ek_sha256 is defined"},
        keyed_groups=[{"prefix": "state", "key": "tpm2_state"}, {"prefix": "model", "key": "tpm2_model | default('none')"}],
    )
    groups, variables = each_line.list()
    assert variables["edge-01"]["ansible_host"] == "edge-01.example.net"
    assert hosts(groups)["pinned"] == ["edge-03"]
    assert hosts(groups)["state_quarantined"] == ["edge-05"]
    assert hosts(groups)["model_none"] == ["00004", "edge-05", "edge-09"]
    assert hosts(groups)["model____1___1___"] == ["edge-03"]


def test_a_wrong_expression_is_an_error_where_strict(each_line: Line) -> None:
    each_line.set(compose={"there": "no_such_variable"})
    assert "there" not in each_line.list()[1]["edge-01"]
    each_line.set(compose={"there": "no_such_variable"}, strict=True)
    assert _squeezed("Could not set there for host edge-01") in _squeezed(said(each_line.inventory("--list")))


@pytest.mark.parametrize("how", ["relative", "absolute", "url", "environment", "configuration", "template"])
def test_where_the_registry_is(line: Line, how: str) -> None:
    enroll(line)
    other = line.registry.rename(line.folder / "other.sqlite")
    if how == "environment":
        line.environment["EDGEFLEET_TPM2_REGISTRY"] = str(other)
    elif how == "configuration":
        (line.folder / "ansible.cfg").write_text("[edgefleet_tpm2]\nregistry = other.sqlite\n")
        line.environment["ANSIBLE_CONFIG"] = str(line.folder / "ansible.cfg")
    else:
        line.set(
            registry={"relative": "other.sqlite", "absolute": str(other), "url": f"sqlite:///{other}", "template": "{{ where }}.sqlite"}[
                how
            ]
        )
    _groups, variables = line.list(*(["-e", "where=other"] if how == "template" else []))
    assert variables["edge-01"]["tpm2_state"] == "enrolled"


def test_the_manifest_can_come_from_the_environment(line: Line) -> None:
    line.source.write_text("plugin: edgefleet.tpm2.registry\n")
    line.environment["EDGEFLEET_TPM2_MANIFEST"] = "fleet.csv"
    assert "edge-01" in line.list()[1]


def test_an_address_from_a_vault(each_line: Line) -> None:
    enroll(each_line)
    each_line.registry.rename(each_line.folder / "other.sqlite")
    (each_line.folder / "password").write_text("sesame\n")
    password = ["--vault-password-file", str(each_line.folder / "password")]
    secret = each_line.run("ansible-vault", "encrypt_string", "other.sqlite", "--name", "registry", *password)
    each_line.source.write_text(f"plugin: edgefleet.tpm2.registry\nmanifest: fleet.csv\nunlisted: false\n{secret.stdout}")
    _groups, variables = each_line.list(*password)
    assert variables["edge-01"]["tpm2_state"] == "enrolled"


def test_a_bad_manifest_is_refused_whole(each_line: Line) -> None:
    each_line.manifest.write_text(MANIFEST + "SN-1;edge-06\nSN-7;edge-07;;123\n")
    sentence = f"Could not read the manifest {each_line.manifest}: line 8: serial 'SN-1' is already in line 3; line 9: ek_sha256 '123' is no SHA-256"
    assert _squeezed(sentence) in each_line.refused()


def test_a_failed_source_is_without_hosts_where_ansible_is_told_to_go_on(each_line: Line) -> None:
    each_line.manifest.unlink()
    each_line.environment["ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED"] = "false"
    done = each_line.inventory("--list")
    assert done.returncode == 0 and _hosts_of(done) == []
    assert _squeezed("there is no such file; give the path of the factory's list of devices.") in _squeezed(said(done))


def test_without_sqlalchemy(each_line: Line) -> None:
    each_line.without("sqlalchemy")
    assert _squeezed("SQLAlchemy is missing (no sqlalchemy here); install 'SQLAlchemy>=2.0'") in each_line.refused()


def test_a_locked_registry(each_line: Line) -> None:
    enroll(each_line)
    each_line.set(timeout=1)
    holder = sqlite3.connect(each_line.registry, isolation_level=None)
    try:
        holder.execute("BEGIN EXCLUSIVE")
        told = each_line.refused()
    finally:
        holder.close()
    assert _squeezed("it stayed locked by another process (database is locked); wait until that has ended, then run again.") in told


def test_an_unreachable_registry_and_its_password(each_line: Line) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        each_line.set(registry=f"postgresql://factory:{SENTINEL}@127.0.0.1:{nobody.getsockname()[1]}/tpm2", timeout=2)
        told = each_line.refused("-vvvv")
    assert _squeezed("Could not open the device registry") in told and _squeezed("it cannot be reached") in told


def test_something_else_at_the_registry_s_place(line: Line) -> None:
    line.registry.write_text("serial,host\n" * 100)
    assert _squeezed("it is no device registry") in line.refused()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"unlistd": False},
            "unknown option unlistd; the options are compose, groups, keyed_groups, leading_separator, manifest, plugin, record_roots, registry, "
            "strict",
        ),
        ({"record_roots": ["nowhere.pem"]}, "nowhere.pem of record_roots: No such file or directory"),
        ({"registry": ""}, "Could not read the option registry: it is empty"),
        ({"registry": "{{ nowhere }}"}, "Could not fill in the template of the option registry: "),
        ({"registry": "sqlite:///relative.sqlite"}, "it is no absolute path"),
        ({"registry": "mysql://x/y"}, "mysql is not supported"),
        ({"manifest": "{{ 'nowhere' }}.csv"}, "nowhere.csv: there is no such file"),
    ],
)
def test_a_wrong_option(each_line: Line, options: dict[str, t.Any], sentence: str) -> None:
    each_line.set(**options)
    assert _squeezed(sentence) in each_line.refused()


def test_a_host_with_the_name_of_a_group(line: Line) -> None:
    (line.folder / "hosts.yml").write_text("edge-01: {hosts: {other: {}}}\n")
    done = line.run("ansible-inventory", "-i", str(line.folder / "hosts.yml"), "-i", str(line.source), "--list")
    sentence = "the device with serial SN-1 to the inventory: its host name edge-01 is the name of a group; rename one of the two."
    assert _squeezed(sentence) in _squeezed(said(done))
    assert "tpm2_state" not in done.stdout


def test_only_files_of_its_own_name_are_read(line: Line) -> None:
    line.source = line.source.rename(line.folder / "other.yml")
    assert _squeezed("could not be verified by inventory plugin 'edgefleet.tpm2.registry'") in line.refused()


def test_the_cost_does_not_grow_with_the_devices(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {
        "manifest": "fleet.csv",
        "registry": "tpm2-registry.sqlite",
        "timeout": 5,
        "unlisted": True,
        "record_roots": [line.signer.certificate],
    }
    monkeypatch.setattr(plugin.InventoryModule, "get_option", lambda _self, name: options[name])
    statements: list[str] = []

    def note(_connection: t.Any, _cursor: t.Any, statement: str, *_more: t.Any) -> None:
        statements.append(statement.partition("\n")[0])

    def read() -> list[str]:
        del statements[:]
        assert plugin.InventoryModule()._hosts(str(line.folder))
        return list(statements)

    monkeypatch.setattr(plugin.InventoryModule, "_filled", lambda _self, _option, value: str(value))
    with open_registry(str(line.registry)) as registry:
        add(registry, line.signer, 1, "edge-01", IFX)
    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", note)
    try:
        few = read()
        with open_registry(str(line.registry)) as registry:
            for number in range(10, 20):
                add(registry, line.signer, number, f"edge-{number}", IFX)
                registry.open_incident(f"edge-{number:02d}", "", None, "no_certificate")
        assert read() == few
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", note)
    assert len([one for one in few if "tpm2_registry_version" in one]) == 1  # opened once


def test_documentation(each_line: Line) -> None:
    done = each_line.run("ansible-doc", "-t", "inventory", "-j", "edgefleet.tpm2.registry")
    page = json.loads(done.stdout)["edgefleet.tpm2.registry"]
    assert {"plugin", "manifest", "record_roots", "registry", "unlisted", "timeout", "strict", "compose", "groups", "keyed_groups"} <= set(
        page["doc"]["options"]
    )
    for example in yaml.safe_load_all(page["examples"]):
        assert set(example) <= set(page["doc"]["options"]) and example["plugin"] == "edgefleet.tpm2.registry"
