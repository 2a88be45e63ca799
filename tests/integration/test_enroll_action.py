# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The task tpm2_enroll as a playbook has it: its options, its results, what is said at -vvvv, and what stops it before the device is asked.

One run of ansible-playbook holds many tasks, each on a device or a fault of its own, because starting it is what costs.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import typing as t

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from support import ek_lab, lab_ca, secrets
from support.controller import Controller, said
from support.enroll import EK, HOST, ONE, OTHER, SERIAL, Bench, Json
from support.https import Server
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import services

MakeSwtpm = t.Callable[..., Swtpm]
AUTH = secrets.made_up("endorsement of a playbook", 32)
PASSWORD = secrets.made_up("password of the CA's key", 32)
HIDDEN = {"CA password": PASSWORD.encode(), "endorsement auth": AUTH.encode()}


class Task(t.NamedTuple):
    """One tpm2_enroll: its options over the common ones (None takes one away), and how it runs."""

    options: Json
    check: bool = False
    before: str = ""  # a shell command on the controller


class Book:
    """A playbook of many such tasks on one host."""

    def __init__(self, controller: Controller, folder: pathlib.Path, common: Json, hidden: Json) -> None:
        self.controller, self.folder, self.common, self.hidden = controller, folder, common, hidden
        self.output = ""

    def play(self, tasks: dict[str, Task]) -> dict[str, Json]:
        """Run all; return the result of each, and keep what was said at -vvvv."""
        steps: list[Json] = []
        for at, (name, task) in enumerate(tasks.items()):
            if task.before:
                steps.append({"name": f"Before {name}", "ansible.builtin.command": task.before, "changed_when": True})
            options = {key: value for key, value in {**self.common, **task.options}.items() if value is not None}
            step = {"name": name, "edgefleet.tpm2.tpm2_enroll": options, "register": f"result_{at}", "ignore_errors": True}
            steps.append({**step, "check_mode": True} if task.check else step)
        told = "{{ [" + ", ".join(f"result_{at}" for at in range(len(tasks))) + "] | to_json }}"
        out = self.folder / "results.json"
        steps.append({"name": "Keep the results", "ansible.builtin.copy": {"content": told, "dest": str(out), "mode": "0600"}})
        book = self.folder / "book.yml"
        book.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": steps}], sort_keys=False))
        done = self.controller(str(book), {"edge-01": self.hidden}, "-vvvv")
        assert done.returncode == 0, said(done)
        self.output = done.stdout + done.stderr
        return dict(zip(tasks, json.loads(out.read_text()), strict=True))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "book"
    made.mkdir()
    return made


def authority(folder: pathlib.Path) -> lab_ca.Files:
    """A CA whose key's password is this file's."""
    files = lab_ca.write(folder)
    (folder / "ca.key").write_bytes(lab_ca.private_pem(files.ca.key, PASSWORD))
    return files


def options(bench: Bench, folder: pathlib.Path, tcti: str, files: lab_ca.Files) -> Json:
    """What every task has; secrets come from variables, as from a vault."""
    bench.state(ONE)
    return {
        "tcti": tcti,
        "serial": SERIAL,
        "host": HOST,
        "registry": str(folder / "registry.sqlite"),
        "trust": bench.vendor.trust,
        "authority": {**files.options, "password": "{{ vaulted_password }}"},
    }


def pem(path: pathlib.Path, certificate: t.Any) -> str:
    path.write_text(lab_ca.pem(certificate))
    return str(path)


def test_what_stops_it_before_the_device_is_asked(bench: Bench, controller: Controller, folder: pathlib.Path, new_swtpm: MakeSwtpm) -> None:
    """A CA that cannot issue, trust that cannot be read, a registry that is not there: no TPM command, no registry, no secret in what is said."""
    files = authority(folder / "ca")
    bench.state(ONE)
    good = {**files.options, "password": "{{ vaulted_password }}"}
    root, key, day = files.root, lab_ca.new_key(), lab_ca.DAY
    expired = root.certify("Old CA", files.ca.key, not_before=lab_ca.NOW - 9 * day, not_after=lab_ca.NOW - 8 * day)
    stranger = root.certify("Another CA", key)
    leaf = root.certify("No CA", files.ca.key, ca=False)
    (folder / "nonsense.pem").write_text("nonsense\n")
    elsewhere = {"folder": str(folder / "requests"), "authorities": [str(files.root_path)]}
    faults = {
        "CA: wrong password": ({"authority": {**good, "password": "wrong"}}, "password"),
        "CA: no password": ({"authority": {**good, "password": None}}, "password"),
        "CA: expired": ({"authority": {**good, "certificate": pem(folder / "old.pem", expired)}}, "expired"),
        "CA: certificate that does not match": (
            {"authority": {**good, "certificate": pem(folder / "other.pem", stranger)}},
            "is not the one that it certifies",
        ),
        "CA: none": ({"authority": {**good, "certificate": pem(folder / "leaf.pem", leaf)}}, "as CA"),
        "CA: file missing": ({"authority": {**good, "key": str(folder / "none.key")}}, "none.key"),
        "trust: another file": ({"trust": {**bench.vendor.trust, "sha256": "ab" * 32}}, "ab" * 32),
        "trust: no hash": ({"trust": {"bundle": bench.vendor.trust["bundle"]}}, "SHA-256"),
        "registry: unreachable": ({"registry": str(folder / "no" / "such" / "folder" / "r.sqlite")}, "Could not open the device registry"),
        "registry: a server's": (
            {"registry": "postgresql://factory:{{ vaulted_password }}@127.0.0.1:1/registry", "timeout": 1},
            "Could not open the device registry",
        ),
        "registry: none, and none is to be made": (
            {"registry": str(folder / "nobody.sqlite"), "new_registry": False},
            "there is none; is it the right path",
        ),
        "external: nonsense": (
            {"authority": None, "external_authority": {**elsewhere, "authorities": [str(folder / "nonsense.pem")]}},
            "it holds no well-formed certificate",
        ),
        "external: file missing": (
            {"authority": None, "external_authority": {**elsewhere, "authorities": [str(folder / "none.pem")]}},
            "Could not read the certificate of the external CA",
        ),
        "record: nobody signs it": (
            # Whether the device is a new one is asked of the registry, which is made for it.
            {"authority": None, "external_authority": elsewhere, "record_dir": "records", "registry": str(folder / "made.sqlite")},
            "nobody can sign its birth record, which cannot be made later; give record_signer, or leave record_dir out",
        ),
        "record signer: a device's certificate": (
            {"record_signer": {**good, "certificate": pem(folder / "leaf.pem", leaf)}},
            "neither that of a CA nor made for signing documents",
        ),
        "ldevid: lifetime of no number": ({"ldevid": {"lifetime": "nan"}}, "neither more than a hundred years"),
        "ldevid: lifetime of ages": ({"ldevid": {"lifetime": 1e12}}, "neither more than a hundred years"),
        "ldevid: no handle": ({"ldevid": {"handle": "0x01800010"}}, "Could not read ldevid.handle '0x01800010'"),
        "serial_index: none": ({"serial_index": "the usual"}, "Could not read serial_index 'the usual'"),
        "serial_index: a key": ({"serial_index": EK}, f"Could not read serial_index '{EK}'"),
        "ak: none": ({"ak": "-1"}, "Could not read ak '-1': it is no persistent handle"),
    }
    with Proxy(new_swtpm(bench.state(ONE))) as proxy:
        book = Book(controller, folder, options(bench, folder, proxy.tcti, files), {"vaulted_password": PASSWORD})
        results = book.play({name: Task(one) for name, (one, _sentence) in faults.items()})
        assert proxy.count() == 0
    for name, (_one, sentence) in faults.items():
        result = results[name]
        assert result["failed"] and result["exchanges"] == 0 and result.get("state") != "quarantined", name
        assert sentence in result["msg"] and result["msg"].count("\n") == 0 and result["msg"].endswith("."), f"{name}: {result['msg']}"
    assert secrets.in_text(book.output, HIDDEN) == []
    assert not [one for one in ("registry.sqlite", "nobody.sqlite", "requests") if (folder / one).exists()]


def test_results_of_a_device_from_first_to_last(
    bench: Bench, each_controller: Controller, folder: pathlib.Path, new_swtpm: MakeSwtpm
) -> None:
    """One device: predicted, enrolled, recognised, moved, its record lost, an impostor in its place; with an endorsement auth that nobody sees."""
    files = authority(folder / "ca")
    tpm, impostor = new_swtpm(bench.state(ONE)), new_swtpm(bench.state(OTHER))
    Tools(tpm.tcti).run("changeauth", "-c", "e", AUTH)
    with Proxy(tpm) as proxy:
        common = options(bench, folder, proxy.tcti, files)
        common |= {
            "endorsement_auth": "{{ vaulted_auth }}",
            "record_dir": "records",  # beside the playbook
            "ldevid": {"handle": 0x81000220, "lifetime": 30, "renew_before": 10},
            "pcrs": {"indices": [0, 7]},
        }
        record = folder / "records" / f"{SERIAL}.birth.json"
        # With a CA elsewhere and nobody who signs birth records, in a registry of its own.
        elsewhere = {"folder": str(folder / "requests"), "authorities": [str(folder / "ca" / "root.pem")]}
        unsigned: Json = {"authority": None, "external_authority": elsewhere, "record_dir": None, "registry": str(folder / "other.sqlite")}
        book = Book(each_controller, folder, common, {"vaulted_password": PASSWORD, "vaulted_auth": AUTH})
        results = book.play(
            {
                "predicted": Task({}, check=True),
                "unsigned, predicted": Task(unsigned, check=True),
                "unsigned": Task(unsigned),
                "unsigned, again": Task(unsigned),
                "enrolled": Task({}),
                "recognised": Task({}),
                "lost, predicted": Task({}, check=True, before=f"rm {record}"),
                "lost": Task({}),
                "moved": Task({"host": "edge-09", "site": "south"}),
                "impostor, predicted": Task({"tcti": impostor.tcti, "endorsement_auth": None, "host": "edge-66"}, check=True),
                "impostor": Task({"tcti": impostor.tcti, "endorsement_auth": None, "host": "edge-66"}),
                "no device": Task({"tcti": "swtpm:host=127.0.0.1,port=1", "serial": "EF-LINE-0009"}),
            }
        )
        assert secrets.on_the_wire(proxy.wire(), HIDDEN) == []
    assert secrets.in_text(book.output + json.dumps(results), HIDDEN) == []
    shown = {name: (one["changed"], one.get("failed", False), one.get("state"), one["exchanges"]) for name, one in results.items()}
    assert shown == {
        "predicted": (True, False, "enrolled", 1),
        "unsigned, predicted": (True, False, "unproven", 1),
        "unsigned": (True, False, "unproven", 2),
        "unsigned, again": (False, False, "unproven", 1),
        "enrolled": (True, False, "enrolled", 2),
        "recognised": (False, False, "enrolled", 1),
        "lost, predicted": (True, False, "enrolled", 1),
        "lost": (True, False, "enrolled", 1),
        "moved": (True, False, "enrolled", 2),
        "impostor, predicted": (False, True, "quarantined", 1),
        "impostor": (False, True, "quarantined", 1),
        "no device": (False, True, None, 1),
    }
    warned = {name: one["warnings"] for name, one in results.items() if one.get("warnings")}
    assert set(warned) == {"unsigned", "unsigned, predicted", "unsigned, again"} and all(len(one) == 1 for one in warned.values())
    assert (
        f"{SERIAL} has no birth record, because with external_authority alone" in str(warned["unsigned"])
        and f"[WARNING]: {SERIAL}" in book.output
    )
    assert results["moved"]["did"] == ["relocate"] and results["enrolled"]["pending"] == []
    assert results["enrolled"]["verdict"]["rung"] == results["predicted"]["verdict"]["rung"] == "certificate"
    assert set(results["enrolled"]["certificates"]) == {"iak", "idevid", "ldevid"}
    assert results["impostor"]["reason"] == "serial_takeover"
    assert results["impostor"]["msg"].startswith(f"{SERIAL} is quarantined (serial_takeover): Could not accept serial {SERIAL}")
    payload = birth_records.verify(record.read_text(), roots=[files.root_path.read_text()])
    assert payload["device"]["serial"] == SERIAL and payload["ek"]["name"] == results["enrolled"]["ek_name"]
    with open_registry(str(folder / "registry.sqlite")) as one:
        assert [incident.host for incident in one.incidents()] == ["edge-66"]
        assert [event.kind for event in one.events()] == ["enrolled", "relocated", "incident_opened"]
    # The proof of the activation and the secret behind it are in nothing that is said or kept.
    assert '"proof"' not in book.output and "proof" not in json.dumps(results)
    assert os.stat(folder / "registry.sqlite").st_mode & 0o077 == 0


def test_device_is_known_by_what_the_role_has_read(
    bench: Bench, controller: Controller, folder: pathlib.Path, new_swtpm: MakeSwtpm
) -> None:
    """The results of tpm2_profile and tpm2_info, as the roles hand them over, in whatever form a task has made of them."""
    files = authority(folder / "ca")
    tpm = new_swtpm(bench.state(ONE))
    keys = {handle: Tools(tpm.tcti).readpublic(handle).name for handle in (EK, "0x81020001")}
    observed = {"resources": [{"object": handle, "name": name} for handle, name in keys.items()]}
    facts = {"manufacturer": "IBM", "firmware": "8217.4131.22.13878", "model": "SW TPM", "capacity": {"nv_buffer_max": 1024}}
    # A bundle in which one certificate is not that of a CA; another is Nuvoton's.
    nuvoton, loss = ek_lab.nuvoton_root(), ek_lab.root().ek(ek_lab.ecc_key().public_key(), subject=ek_lab.NUVOTON)
    (folder / "vendors.pem").write_bytes(bench.vendor.bundle.read_bytes() + ek_lab.pem(nuvoton.der, loss))
    trust = {"bundle": str(folder / "vendors.pem"), "sha256": hashlib.sha256((folder / "vendors.pem").read_bytes()).hexdigest()}
    with Proxy(tpm) as proxy:
        book = Book(controller, folder, {**options(bench, folder, proxy.tcti, files), "trust": trust}, {"vaulted_password": PASSWORD})
        results = book.play(
            {
                "told": Task({"observed": observed, "facts": facts}),
                "told again": Task({"observed": observed, "facts": facts}),
                "told nothing": Task({"observed": {"failed": True, "skipped": True}, "facts": {}}),
                "told nonsense": Task({"observed": {"resources": "none", "reads": None}, "facts": {"capacity": None}}),
                "firmware of another": Task({"serial": "EF-LINE-0002", "facts": {**facts, "firmware": "1.2.3.4"}}),
            }
        )
    assert {name: (one["changed"], one["exchanges"]) for name, one in results.items()} == {
        "told": (True, 2),
        "told again": (False, 0),
        "told nothing": (False, 1),
        "told nonsense": (False, 1),
        "firmware of another": (False, 1),
    }
    for name in ("told", "told again", "firmware of another"):
        told = results[name]["trust_bundle"]
        assert (told["certificates"], told["sha256"], told["lenient_count"], told["left_out_count"]) == (4, trust["sha256"], 1, 1)
        assert told["lenient"][0]["rules"] == ["unsorted_set"] and told["left_out"][0]["reason"] == "not_a_ca"
        assert "was left out, and no EK is trusted through it: 1 of Lab Technology Corporation (not_a_ca)." in str(
            results[name]["warnings"]
        )
    assert results["told"]["overlooked"] == []
    # Its content is another serial's, which is found first.
    assert results["firmware of another"]["reason"] == "wrong_content"


def test_a_certificate_that_is_not_on_the_chip(bench: Bench, controller: Controller, folder: pathlib.Path, new_swtpm: MakeSwtpm) -> None:
    """Fetched from the service of its vendor where that is allowed, judged as any other, and kept; a service that is away is not the device's fault."""
    files, tpm = authority(folder / "ca"), new_swtpm(bench.state(ONE))
    tools = Tools(tpm.tcti)
    for index in tools.handles("nv-index"):
        if index >> 16 == 0x01C0:
            tools.run("nvundefine", "-C", "p", f"{index:#x}")
    key = t.cast("ek_lab.PublicKey", serialization.load_pem_public_key(tools.readpublic(EK).pem.encode()))
    ek, late = ek_lab.ek_area("ek_rsa_2048", key), ek_lab.NOW + 100 * ek_lab.YEAR
    vendor = ek_lab.root("Lab Like Intel", end=late)
    made = vendor.ek(key, extensions=ek_lab.ek_extensions(key, name=ek_lab.directory_name("id:494E5443")), end=late)
    bundle, sha256 = ek_lab.write_bundle(folder / "vendors.pem", vendor)
    facts = {"manufacturer": "INTC", "firmware": "8217.4131.22.13878", "model": "SW TPM"}
    server = Server(folder / "web")
    page = f"/ek/{services.SERVICES[0].address(ek)}"
    server.pages[page] = (200, json.dumps({"certificate": base64.urlsafe_b64encode(made).decode()}).encode())

    def trust(where: str, cache: str, **more: t.Any) -> Json:
        fetch = {"vendors": ["intel", "amd"], "cache": cache, "urls": {"intel": f"{server.url}/{where}"}, "ca_file": "web/web-root.pem"}
        return {"trust": {"bundle": bundle, "sha256": sha256, "fetch": {**fetch, **more}}}

    try:
        book = Book(controller, folder, {**options(bench, folder, tpm.tcti, files), "facts": facts}, {"vaulted_password": PASSWORD})
        results = book.play(
            {
                "not allowed": Task({"trust": {"bundle": bundle, "sha256": sha256}}),
                "of another vendor": Task(trust("ek", "kept", vendors=["amd"], urls=None)),
                "no address": Task(trust("ek", "kept", urls={"intel": "http://127.0.0.1/"})),
                "an address in vain": Task(trust("ek", "kept", urls={"amd": server.url}, vendors=["intel"])),
                "away": Task(trust("ek", "kept", urls={"intel": "https://127.0.0.1:1/"})),
                "has none": Task(trust("none", "kept")),
                "away, and pinned": Task(
                    {**trust("ek", "kept", urls={"intel": "https://127.0.0.1:1/"}), "ek_sha256": _keys.spki_sha256(ek)}, check=True
                ),
                "predicted": Task(trust("ek", "kept"), check=True),
                "enrolled": Task(trust("ek", "kept")),
                "of the kept one": Task({**trust("none", "kept"), "registry": str(folder / "other.sqlite")}),
                "recognised": Task(trust("none", "nowhere")),
            }
        )
    finally:
        server.close()
    shown = {name: (one.get("state"), one.get("reason", ""), one.get("fetched")) for name, one in results.items()}
    fetched = {"vendor": "intel", "kept": False}
    assert shown == {
        "not allowed": ("quarantined", "no_certificate", None),
        "of another vendor": ("quarantined", "no_certificate", None),
        "no address": (None, "input", None),
        "an address in vain": (None, "input", None),
        "away": (None, "not_fetched", None),
        "has none": ("quarantined", "no_certificate", None),
        "away, and pinned": ("enrolled", "", None),
        "predicted": ("enrolled", "", fetched),
        "enrolled": ("enrolled", "", fetched),
        "of the kept one": ("enrolled", "", {"vendor": "intel", "kept": True}),
        "recognised": ("enrolled", "", None),
    }, {name: one.get("msg") for name, one in results.items()}
    assert "the TPM holds none, and the service of Intel has none for this key;" in results["has none"]["msg"]
    assert results["away, and pinned"]["verdict"]["rung"] == "pinned" and results["enrolled"]["verdict"]["rung"] == "certificate"
    assert [one.read_bytes() for one in (folder / "kept").iterdir()] == [made] and not (folder / "nowhere").exists()
    assert server.asked == [page.replace("/ek/", "/none/"), page, page]
    with open_registry(str(folder / "registry.sqlite")) as registry:
        device = registry.find(serial=SERIAL)
        assert device is not None and device.verdict is not None
        assert "The EK certificate is not in the TPM; the service of Intel gave it." in device.verdict.detail
