# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookups device_auth and device, as playbooks use them."""

from __future__ import annotations

import json
import pathlib
import sqlite3
import subprocess
import typing as t

import pytest
import yaml
from support.controller import Controller, Host, said
from support.proven import Signer, born_with, enroll
from support.registry import name

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Identity

MASTER = "sentinel-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs"


class Playbook:
    """Evaluates expressions in a playbook, and gives what they were back as JSON, through a task that does not log."""

    one: Identity

    def __init__(self, controller: Controller) -> None:
        self._controller, self._folder = controller, controller.folder
        self.url = str(self._folder / "registry.sqlite")

        self.signer = Signer(self._folder / "ca")
        self.variables = {"registry": self.url, "master": MASTER, "roots": [self.signer.certificate]}

    def run(self, expressions: dict[str, str], *arguments: str, hosts: dict[str, Host] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a playbook that writes them, one file for each host; the registry's path and the master are in `registry` and `master`."""
        content = "{" + ", ".join(f"{json.dumps(key)}: {value}" for key, value in expressions.items()) + "}"
        task = {
            "name": "Write",
            "ansible.builtin.copy": {
                "content": "{{ " + content + " | to_json }}",
                "dest": f"{self._folder}/{{{{ inventory_hostname }}}}.json",
            },
            "no_log": True,
            "delegate_to": "localhost",
            # Also in check mode: what the expressions see of it is what is tested.
            "check_mode": False,
        }
        play = {"hosts": "all", "gather_facts": False, "vars": self.variables, "tasks": [task]}
        (self._folder / "play.yml").write_text(yaml.safe_dump([play]))
        return self._controller(str(self._folder / "play.yml"), hosts or {"edge-01": {}}, *arguments)

    def values(self, expressions: dict[str, str], *arguments: str, host: str = "edge-01") -> dict[str, t.Any]:
        """What they are for one host."""
        done = self.run(expressions, *arguments, hosts={host: {}})
        assert done.returncode == 0, said(done)
        assert "sentinel" not in said(done)
        return t.cast("dict[str, t.Any]", json.loads((self._folder / f"{host}.json").read_text()))

    def error(self, expression: str, *arguments: str) -> str:
        """What a run said that failed."""
        task = {"name": "Show", "ansible.builtin.debug": {"msg": "{{ " + expression + " }}"}}
        # Secrets are in variables, as an error of ansible-core shows the expression that failed.
        variables = {**self.variables, "short": "sentinel-short", "another": "sentinel-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0"}
        variables["server"] = "postgresql://line:sentinel@127.0.0.1:1/x"
        play = {"hosts": "all", "gather_facts": False, "vars": variables, "tasks": [task]}
        (self._folder / "play.yml").write_text(yaml.safe_dump([play]))
        done = self._controller(str(self._folder / "play.yml"), {"edge-01": {}}, *arguments)
        text = said(done).replace("''", "'")  # YAML doubles them
        assert done.returncode != 0, text
        assert "sentinel" not in text and "Traceback" not in text
        return text


@pytest.fixture
def playbook(each_controller: Controller) -> Playbook:
    """A playbook whose registry is not there yet, on the oldest and on the newest core."""
    return Playbook(each_controller)


@pytest.fixture
def enrolled(playbook: Playbook) -> Playbook:
    """A playbook whose registry has device 1."""
    with open_registry(playbook.url) as registry:
        playbook.one = enroll(registry, 1, playbook.signer)
        held = born_with(registry, playbook.one.ek_name, playbook.one.ak_name)
        registry.add_certificates(playbook.one.ek_name, [held["iak"], held["ldevid"]])
    return playbook


def auth(*terms: str, how: str = "query", **options: str) -> str:
    """An expression with the lookup of auths."""
    given = {"registry": "registry", "record_roots": "roots", "master": "master", **options}
    arguments = [", ".join(f"'{term}'" for term in terms)] + [f"{key}={value}" for key, value in given.items() if value]
    return f"{how}('edgefleet.tpm2.device_auth', {', '.join(arguments)})"


def test_the_auths_of_a_device_and_of_one_that_is_not_enrolled(enrolled: Playbook, tmp_path: pathlib.Path) -> None:
    with open_registry(enrolled.url) as registry:
        (tmp_path / "record.json").write_text(registry.birth_record(enrolled.one.ek_name) or "")
    found = enrolled.values(
        {
            "here": auth("owner", "endorsement", "lockout"),
            "one": auth("lockout", how="lookup"),
            "serial": auth("owner", serial="'EDGE-0001'"),
            "host": auth("owner", host="'edge-01'"),
            "ek": auth("owner", ek_name=f"'{enrolled.one.ek_name}'"),
            "current": auth("owner", generation="'current'"),
            "next": auth("owner", generation="'next'"),
            "third": auth("owner", generation="3"),
            "new": auth("owner", "lockout", serial="'EDGE-0009'"),
            "alone": auth("owner", registry="", record="'record.json'", generation="2"),
        },
        "-vvvv",
    )
    escrow = Escrow(None, mode="derived", master=MASTER.encode())
    wanted = {generation: escrow.auth(enrolled.one.ek_name, "owner", generation) for generation in (1, 2, 3)}
    assert found["here"] == [escrow.auth(enrolled.one.ek_name, hierarchy, 1) for hierarchy in ("owner", "endorsement", "lockout")]
    assert found["one"] == found["here"][2]
    assert [found[key] for key in ("serial", "host", "ek", "current")] == [[wanted[1]]] * 4
    assert [found[key] for key in ("next", "third", "alone")] == [[wanted[2]], [wanted[3]], [wanted[2]]]
    assert found["new"] == ["", ""]


def test_while_a_rotation_is_pending_only_a_number_names_a_generation(enrolled: Playbook) -> None:
    """The TPM may have either; one wrong lockout auth blocks it for a day."""
    with open_registry(enrolled.url) as registry:
        registry.begin_rotation(enrolled.one.ek_name)
    finish = "EDGE-0001: its auth values are being replaced; finish that with the playbook edgefleet.tpm2.rotate_auth."
    for options in ({}, {"generation": "'next'"}, {"ek_name": f"'{enrolled.one.ek_name}'"}):
        assert f"Could not look up an auth of {finish}" in enrolled.error(auth("lockout", **options), "-vvv")
    numbers = {number: auth("lockout", generation=f"'{number}'") for number in "12"}
    escrow = Escrow(None, mode="derived", master=MASTER.encode())
    wanted = {number: [escrow.auth(enrolled.one.ek_name, "lockout", int(number))] for number in numbers}
    assert enrolled.values(numbers) == wanted
    with open_registry(enrolled.url) as registry:
        registry.finish_rotation(enrolled.one.ek_name)
    assert enrolled.values({"now": auth("lockout")}) == {"now": wanted["2"]}


def test_random_auths_are_kept_and_check_mode_keeps_none(enrolled: Playbook, tmp_path: pathlib.Path) -> None:
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "key.pem", "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout", "-out", tmp_path / "recovery.pem"], check=True)
    # A relative path is relative to the playbook.
    expression = auth("owner", mode="'random'", recovery_key="'recovery.pem'", create="not ansible_check_mode")
    before = (tmp_path / "registry.sqlite").read_bytes()
    passing = enrolled.values({"auth": expression}, "--check")["auth"]
    assert (tmp_path / "registry.sqlite").read_bytes() == before
    first, again, checked = (enrolled.values({"auth": expression}, *arguments)["auth"] for arguments in ((), (), ("--check",)))
    assert first == again == checked != passing
    with open_registry(enrolled.url) as registry:
        assert Escrow(registry, mode="random", master=MASTER.encode(), create=False).auth(enrolled.one.ek_name, "owner", 1) == first[0]


def test_an_impostor_gets_no_auth_of_the_device_that_it_claims_to_be(enrolled: Playbook) -> None:
    with open_registry(enrolled.url) as registry:
        registry.open_incident("edge-02", "EDGE-0001", name("impostor"), "serial_takeover", "")
    asked = {"auths": auth("owner", "lockout", serial="'EDGE-0001'"), "other": auth("owner", host="'edge-01'")}
    assert enrolled.values(asked, host="edge-02") == {"auths": ["", ""], "other": [""]}
    genuine = enrolled.values(asked, host="edge-01")
    assert all(len(value) == 32 for value in genuine["auths"] + genuine["other"])
    with open_registry(enrolled.url) as registry:
        registry.open_incident("edge-07", "EDGE-0007", enrolled.one.ek_name, "ek_under_other_serial", "")
    # Nor may somebody who shows its EK take its auth values from it.
    assert enrolled.values(asked, host="edge-07") == {"auths": ["", ""], "other": [""]}
    assert enrolled.values(asked, host="edge-01") == genuine


def test_what_the_registry_knows_of_a_device(enrolled: Playbook) -> None:
    with open_registry(enrolled.url) as registry:
        registry.begin_rotation(enrolled.one.ek_name)
        registry.open_incident("edge-02", "EDGE-0002", name("x"), "no_certificate", "none in NV")
    lookup = "edgefleet.tpm2.device"
    found = enrolled.values(
        {
            "here": f"query('{lookup}', registry=registry, record_roots=roots) | first",
            "plain": f"lookup('{lookup}', registry=registry, record_roots=roots, serial='EDGE-0001')",
            "ek": f"query('{lookup}', registry=registry, record_roots=roots, ek_name='{enrolled.one.ek_name}') | first",
            "quarantined": f"query('{lookup}', registry=registry, record_roots=roots, host='edge-02') | first",
            "serial": f"query('{lookup}', registry=registry, record_roots=roots, serial='EDGE-0002') | first",
            "new": f"query('{lookup}', registry=registry, record_roots=roots, host='edge-03') | first",
        }
    )
    here = found["here"]
    assert here == found["plain"] == found["ek"]
    one = enrolled.one
    expected = {"state": "enrolled", "serial": one.serial, "ek_name": one.ek_name, "ak_name": one.ak_name, "idevid_name": one.idevid_name}
    expected |= {"auth_generation": 1, "auth_pending": 2, "reason": None, "detail": None, "site": "north", "ldevid_name": None}
    assert {key: here[key] for key in expected} == expected
    assert here["certificates"].keys() == {"iak", "ldevid"}
    with open_registry(enrolled.url) as registry:
        iak = born_with(registry, enrolled.one.ek_name, enrolled.one.ak_name)["iak"]
    assert here["certificates"]["iak"] == {
        "pem": iak.pem,
        "serial_number": iak.serial_number,
        "not_after": "9999-12-31T23:59:59+00:00",
    }
    for key in ("quarantined", "serial"):
        assert {field: found[key][field] for field in ("state", "reason", "detail", "ek_name")} == {
            "state": "quarantined",
            "reason": "no_certificate",
            "detail": "none in NV",
            "ek_name": None,
        }
    assert (found["new"]["state"], found["new"]["certificates"]) == ("new", {})
    assert found["new"].keys() == here.keys()


def test_where_there_is_no_registry_every_device_is_new_and_none_is_made(playbook: Playbook, tmp_path: pathlib.Path) -> None:
    found = playbook.values(
        {
            "device": "query('edgefleet.tpm2.device', registry=registry, record_roots=roots) | first",
            "auth": auth("owner", create="false"),
        }
    )
    assert (found["device"]["state"], found["auth"]) == ("new", [""])
    assert not (tmp_path / "registry.sqlite").exists()


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (
            auth("owner", master="short"),
            "Could not open the escrow: the master secret is not 32 random bytes in hex or base64; make one with",
        ),
        (auth("platform"), "Could not escrow an auth for the hierarchy 'platform': there is none; use one of owner, endorsement, lockout."),
        (auth("owner", generation="'last'"), "Could not look up an auth: generation is 'last'; use current, next or a number from 1."),
        (auth("owner", generation="0"), "Could not look up an auth: generation is '0'"),
        (auth("owner", registry=""), "Could not look up an auth: no registry is given; give one, or record and a number as generation"),
        (auth("owner", registry="'registry.sqlite'"), "it is no absolute path; write /path"),
        (auth("owner", mode="'random'"), "random auth values need a recovery key, and none is given"),
        (auth("owner", mode="'random'", recovery_key="'/missing/key.pem'"), "recovery key /missing/key.pem: No such file or directory"),
        (auth("owner", mode="'fixed'"), "fixed"),
        (auth("owner", master=""), "master"),
        ("query('edgefleet.tpm2.device', registry=server)", "open the device registry postgresql://line:***@127.0.0.1:1/x: it cannot"),
    ],
)
def test_what_is_wrong_is_one_sentence_without_a_secret(enrolled: Playbook, expression: str, words: str) -> None:
    assert words in enrolled.error(expression, "-vvv")


def test_another_master_is_refused(enrolled: Playbook) -> None:
    enrolled.values({"auth": auth("lockout")})
    error = enrolled.error(auth("lockout", master="another"), "-vvv")
    assert "Could not open the lockout auth of generation 1 of the device" in error
    assert "the master secret is not the one that it was made with" in error


def test_a_locked_registry_is_named(enrolled: Playbook) -> None:
    holder = sqlite3.connect(enrolled.url, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    assert "it stayed locked by another process" in enrolled.error("query('edgefleet.tpm2.device', registry=registry, timeout=0)")
    holder.close()
