# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""playbooks/rotate_auth.yml on a hardened line: what tpm2-tools finds in the TPM then, after interruptions, and what an impostor gets to see."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import typing as t

import pytest
import yaml
from support import module, places, proven, secrets
from support.controller import Controller, cores, said, totals
from support.factory import Line, Unit, Vendor
from support.proxy import Drop, Proxy
from support.shared import once
from support.swtpm import Swtpm, copy_state
from support.tools import ToolError, Tools, as_text, flush_leftovers, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import HIERARCHIES, Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Device

MASTER = secrets.made_up("fleet master", 64)
LETTERS = {"owner": "o", "endorsement": "e", "lockout": "l"}
ROTATE, DAY_ZERO = "edgefleet.tpm2.rotate_auth", "edgefleet.tpm2.day_zero"
UNDER_WAY = "edge-01: its auth values are being replaced; finish that with the playbook edgefleet.tpm2.rotate_auth."
ALL_SET = {"owner": True, "endorsement": True, "lockout": True}
Done = subprocess.CompletedProcess[str]
Auths = dict[str, str]


@dataclasses.dataclass
class Hardened:
    """A line with one device, whose TPM stands behind a proxy."""

    line: Line
    escrow: dict[str, str]
    proxy: Proxy

    @property
    def unit(self) -> Unit:
        """The device."""
        return self.line.units["edge-01"]

    @property
    def swtpm(self) -> Swtpm:
        """Its TPM."""
        return self.unit.swtpm

    def play(self, playbook: str, *arguments: str, name: str = "edge-01", is_hardened: bool = True) -> Done:
        """Run a playbook; whatever comes of it, no auth is said, none is on the wire, and no try was counted."""
        del self.proxy.records[:]
        host = {**self.line.variables, **self.unit.host, "tpm2_profile_tcti": self.proxy.tcti}
        host |= {"tpm2_profile_hardened": is_hardened, "tpm2_identity_escrow": self.escrow}
        done = self.line.controller(playbook, {name: host}, *arguments)
        self.nothing_leaked(done)
        assert lockout_counter(self.swtpm) == 0
        return done

    def nothing_leaked(self, done: Done) -> None:
        """No auth value of any generation, and no master."""
        values = {f"{name} {number}": value.encode() for number in (1, 2, 3) for name, value in self.known(number).items()}
        values["master"] = MASTER.encode()
        assert secrets.on_the_wire(self.proxy.wire(), values) == [] and secrets.in_text(done.stdout + done.stderr, values) == []

    def device(self) -> Device:
        """As the registry has it."""
        with open_registry(self.line.registry, create=False) as registry:
            found = registry.find(serial=self.unit.serial)
        assert found is not None
        return found

    def known(self, generation: int) -> Auths:
        """The auth values of a generation, as far as the escrow has them."""
        with open_registry(self.line.registry, create=False) as registry:
            kept = registry.auths(self.device().ek_name, generation)
            escrow = Escrow(registry, mode=self.escrow["mode"], master=MASTER.encode(), create=False)
            return escrow.many(self.device().ek_name, sorted(kept), generation)

    def holds(self, auths: Auths, *not_any_more: Auths) -> None:
        """The TPM takes these values, as tpm2-tools sees it; of owner and endorsement none of the others (a wrong one costs nothing there)."""
        tools = Tools(self.swtpm.tcti)
        assert set(auths) == set(HIERARCHIES) and tools.auth_is_set() == ALL_SET
        for name in ("owner", "endorsement"):
            for old in not_any_more:
                with pytest.raises(ToolError, match="0x9A2|0x98E"):
                    tools.run("changeauth", "-c", LETTERS[name], "-p", as_text(old[name]), as_text(old[name]))
            tools.run("changeauth", "-c", LETTERS[name], "-p", as_text(auths[name]), as_text(auths[name]))
        tools.run("dictionarylockout", "-c", "-p", as_text(auths["lockout"]))
        assert lockout_counter(self.swtpm) == 0 and leftovers(self.swtpm) == []

    def rotated(self, generation: int = 2) -> None:
        """Registry and TPM are in that generation."""
        assert (self.device().auth_generation, self.device().auth_pending) == (generation, None)
        self.holds(self.known(generation), *(self.known(number) for number in range(1, generation)))


@pytest.fixture(scope="module")
def recovery(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the recovery key, whose private half lies in a safe."""
    folder = tmp_path_factory.mktemp("safe")
    subprocess.run(["openssl", "genrsa", "-out", folder / "private.pem", "2048"], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "rsa", "-in", folder / "private.pem", "-pubout", "-out", folder / "public.pem"], check=True, capture_output=True
    )
    return folder


class Past(t.NamedTuple):
    """What is left of a day zero: the device's TPM and files, the registry, the escrow's options."""

    folder: pathlib.Path
    escrow: dict[str, str]


@contextlib.contextmanager
def hardened_line(
    folder: pathlib.Path, vendor: Vendor, python: str, escrow: dict[str, str], past: Past | None = None
) -> t.Iterator[Hardened]:
    """A line with one device, which is new, or has been hardened in the past."""
    folder.mkdir(exist_ok=True)
    line = Line(
        folder / "line",
        vendor,
        Controller(folder, cores()[-1]["ansible_playbook"], python),
    )
    try:
        unit = line.put("edge-01", state=past.folder / "tpm" if past else None)
        if past:
            shutil.copytree(past.folder / "files", unit.folder, dirs_exist_ok=True)
            shutil.copy(past.folder / "registry.sqlite", line.registry)
            shutil.copytree(past.folder / "records", line.records)
            shutil.copytree(past.folder / "ca", line.ca.folder, dirs_exist_ok=True)
        Tools(unit.swtpm.tcti).close_platform()
        with Proxy(unit.swtpm) as proxy:
            yield Hardened(line, escrow, proxy)
    finally:
        line.close()


def wrapped(folder: pathlib.Path, name: str, program: str) -> str:
    """The program behind one that writes down its process id."""
    script = folder / name
    script.write_text(f'#!/bin/sh\necho $$ > {folder}/{name}.pid\nexec {program} "$@"\n')
    script.chmod(0o755)
    return str(script)


def make_past(folder: pathlib.Path, vendor: Vendor, python: str, escrow: dict[str, str]) -> None:
    """Day zero of a hardened device."""
    with hardened_line(folder / "first", vendor, python, escrow) as one:
        done = one.play(DAY_ZERO)
        assert done.returncode == 0, said(done)
        one.holds(one.known(1))
        one.swtpm.stop()
        copy_state(one.swtpm.state_dir, folder / "tpm")
        shutil.copytree(one.unit.folder, folder / "files")
        shutil.copy(one.line.registry, folder / "registry.sqlite")
        shutil.copytree(one.line.records, folder / "records")
        shutil.copytree(one.line.ca.folder, folder / "ca")


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor, system_python: str) -> Past:
    """Of a device with derived auth values."""
    escrow = {"mode": "derived", "master": MASTER}
    return Past(once(tmp_path_factory, "past-derived", lambda folder: make_past(folder, vendor, system_python, escrow)), escrow)


@pytest.fixture
def hardened(past: Past, tmp_path: pathlib.Path, vendor: Vendor, system_python: str) -> t.Iterator[Hardened]:
    """A device with derived auth values."""
    with hardened_line(tmp_path / "now", vendor, system_python, past.escrow, past) as one:
        yield one


def test_rotated_twice(hardened: Hardened) -> None:
    hardened.holds(hardened.known(1))
    done = hardened.play(ROTATE, "-vvv")
    assert done.returncode == 0, said(done)
    hardened.rotated()
    assert hardened.play(ROTATE).returncode == 0
    hardened.rotated(3)
    kinds = [event.kind for event in events(hardened)]
    assert [kind for kind in kinds if kind.startswith("rotation")] == ["rotation_begun", "rotation_finished"] * 2
    again = hardened.play(DAY_ZERO)
    assert again.returncode == 0 and totals(again)["edge-01"]["changed"] == 0, said(again)


def events(hardened: Hardened) -> t.Any:
    with open_registry(hardened.line.registry, create=False) as registry:
        return registry.events()


def test_random_values_and_what_openssl_recovers_of_them(
    recovery: pathlib.Path, tmp_path: pathlib.Path, vendor: Vendor, system_python: str
) -> None:
    escrow = {"mode": "random", "master": MASTER, "recovery_key": str(recovery / "public.pem")}
    with hardened_line(tmp_path / "now", vendor, system_python, escrow) as one:
        for playbook in (DAY_ZERO, ROTATE):
            done = one.play(playbook)
            assert done.returncode == 0, said(done)
        one.rotated()
        assert one.known(1) != one.known(2)
        # The master is lost; the registry's rows and the safe are all that is left.
        one.holds(recovered(one, recovery / "private.pem", 2), recovered(one, recovery / "private.pem", 1))


def recovered(one: Hardened, key: pathlib.Path, generation: int) -> Auths:
    """The values of a generation by sqlite3 and openssl alone."""
    with contextlib.closing(sqlite3.connect(one.line.registry)) as base:
        rows = base.execute("SELECT sealed_recovery FROM auths WHERE generation = ?", [generation]).fetchall()
    found: Auths = {}
    for (sealed,) in rows:
        command = [
            "openssl",
            "pkeyutl",
            "-decrypt",
            "-inkey",
            str(key),
            "-pkeyopt",
            "rsa_padding_mode:oaep",
            "-pkeyopt",
            "rsa_oaep_md:sha256",
        ]
        opened = subprocess.run(command, input=sealed, capture_output=True, check=True).stdout.decode()
        _collection, _version, ek_name, hierarchy, number, value = opened.split()
        assert (ek_name, number) == (one.device().ek_name, str(generation))
        found[hierarchy] = value
    return found


# Where ansible-playbook and the module both end: which command, and whether the TPM has acted on it. The first is between the first and the
# second task, the last between the second and the third.
POINTS: dict[str, tuple[int | None, str | None, t.Literal["before", "after"]]] = {
    "before the TPM is asked for anything": (0, None, "before"),
    "after the first auth is changed": (None, "TPM2_HierarchyChangeAuth", "after"),
    "after the bridge of the lockout auth": (None, "TPM2_SetPrimaryPolicy", "after"),
    "after the last command": (-1, None, "after"),
}


@pytest.mark.parametrize("point", POINTS)
def test_interrupted_and_run_again(hardened: Hardened, point: str, length: int) -> None:
    interrupt(hardened, point, length)
    assert (hardened.device().auth_generation, hardened.device().auth_pending) == (1, 2)
    again = hardened.play(ROTATE)
    assert again.returncode == 0, said(again)
    hardened.rotated()


@pytest.fixture(scope="module")
def length(past: Past, tmp_path_factory: pytest.TempPathFactory, vendor: Vendor, system_python: str) -> int:
    """How many TPM commands a rotation takes."""

    def measure(folder: pathlib.Path) -> None:
        with hardened_line(folder / "line", vendor, system_python, past.escrow, past) as one:
            assert one.play(ROTATE).returncode == 0
            (folder / "length").write_text(str(one.proxy.count()))

    return int((once(tmp_path_factory, "rotation", measure) / "length").read_text())


def kill_all(number: int) -> None:
    """SIGKILL to a process, if it is still there, and to all that it has started."""
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        started = pathlib.Path(f"/proc/{number}/task/{number}/children").read_text().split()
        os.kill(number, signal.SIGKILL)
        for one in started:
            kill_all(int(one))


def interrupt(hardened: Hardened, point: str, length: int) -> None:
    """Rotate, and end ansible-playbook and the module at that point."""
    struck: list[int] = []
    line, folder = hardened.line, hardened.line.folder.parent
    usual = line.controller
    # Of these two the process ids are known.
    program, python = cores()[-1]["ansible_playbook"], places.require_python("system")
    line.controller = Controller(folder, wrapped(folder, "playbook", program), wrapped(folder, "python", python))

    def strike(_record: object) -> None:
        # With its workers: one that has lost its parent and the relay would send the module, and so be at the TPM at the same time as the next run.
        for name in ("playbook", "python"):
            struck.append(int((folder / f"{name}.pid").read_text()))
            kill_all(struck[-1])
        raise Drop

    at, code, when = POINTS[point]
    hardened.proxy.reset()
    (hardened.proxy.before if when == "before" else hardened.proxy.after)(length - 1 if at == -1 else at, strike, code=code)
    done = hardened.play(ROTATE)
    line.controller = usual
    assert done.returncode == -signal.SIGKILL and len(struck) == 2
    flush_leftovers(hardened.swtpm)
    hardened.proxy.reset()


def test_day_zero_waits_until_a_rotation_is_finished(hardened: Hardened, length: int) -> None:
    interrupt(hardened, "after the bridge of the lockout auth", length)
    refused = hardened.play(DAY_ZERO)
    assert refused.returncode != 0 and UNDER_WAY in said(refused), said(refused)
    assert hardened.proxy.writes() == hardened.proxy.sessions() == []
    assert incidents(hardened) == []
    assert hardened.play(ROTATE).returncode == 0
    again = hardened.play(DAY_ZERO)
    assert again.returncode == 0 and totals(again)["edge-01"]["changed"] == 0, said(again)
    hardened.rotated()


def incidents(hardened: Hardened) -> list[tuple[str, str]]:
    with open_registry(hardened.line.registry, create=False) as registry:
        return [(one.serial, one.reason) for one in registry.incidents()]


def generations(hardened: Hardened) -> tuple[int, int | None]:
    """The current and the pending one, as the registry has it."""
    return hardened.device().auth_generation, hardened.device().auth_pending


def test_a_device_that_is_not_hardened_is_left_alone(tmp_path: pathlib.Path, vendor: Vendor, system_python: str) -> None:
    with hardened_line(tmp_path / "now", vendor, system_python, {"mode": "derived", "master": MASTER}) as one:
        done = one.play(DAY_ZERO, is_hardened=False)
        assert done.returncode == 0, said(done)
        before = registry_whole(one)
        done = one.play(ROTATE, is_hardened=False)
        assert done.returncode == 0 and totals(done)["edge-01"]["changed"] == 0, said(done)
        assert "edge-01 is not hardened (tpm2_profile_hardened): its auth values are left alone." in said(done)
        assert one.proxy.count() == 0 and registry_whole(one) == before and generations(one) == (1, None)
        assert Tools(one.swtpm.tcti).auth_is_set() == dict.fromkeys(ALL_SET, False)


def registry_whole(hardened: Hardened) -> list[str]:
    """Everything that is in it."""
    with contextlib.closing(sqlite3.connect(hardened.line.registry)) as base:
        return list(base.iterdump())


def quarantine(hardened: Hardened, host: str) -> None:
    """Somebody was seen at that host who claims to be the device."""
    with open_registry(hardened.line.registry) as registry:
        registry.open_incident(host, hardened.unit.serial, None, "serial_takeover", "")


QUARANTINED = "Could not replace the auth values of EF-EDGE-01: {} is quarantined (serial_takeover); mend the cause and run the playbook"
ELSEWHERE = "EF-EDGE-01 was enrolled as edge-01, not as edge-02; run the playbook edgefleet.tpm2.day_zero for it first"


@pytest.mark.parametrize(
    ("seen", "name", "words"),
    [
        ("edge-01", "edge-01", QUARANTINED.format("edge-01")),
        ("edge-02", "edge-02", QUARANTINED.format("edge-02")),
        (None, "edge-02", ELSEWHERE),
    ],
    ids=["device in quarantine", "other host in quarantine", "other host"],
)
def test_a_host_that_is_not_known_to_be_the_device_is_refused(hardened: Hardened, seen: str | None, name: str, words: str) -> None:
    if seen:
        quarantine(hardened, seen)
    before = registry_whole(hardened)
    refused = hardened.play(ROTATE, name=name)
    assert refused.returncode != 0 and words in said(refused), said(refused)
    assert hardened.proxy.count() == 0 and registry_whole(hardened) == before and generations(hardened) == (1, None)
    if seen == "edge-02":  # which is nothing to the device itself
        assert hardened.play(ROTATE).returncode == 0
    else:
        assert hardened.play(DAY_ZERO, name=name).returncode == 0
        assert hardened.play(ROTATE, name=name.upper()).returncode == 0
    hardened.rotated()


def test_an_incident_while_the_tpm_is_asked(hardened: Hardened, length: int) -> None:
    """The registry does not take the host's word that it has finished; the genuine device gets there all the same."""
    hardened.proxy.reset()
    hardened.proxy.after(length - 1, lambda _record: quarantine(hardened, "edge-01"))
    refused = hardened.play(ROTATE)
    hardened.proxy.reset()
    assert refused.returncode != 0 and QUARANTINED.format("edge-01") in said(refused), said(refused)
    stuck_until_day_zero(hardened, "edge-01", QUARANTINED.format("edge-01"))


def test_a_device_that_has_moved_while_a_rotation_was_pending(hardened: Hardened, length: int) -> None:
    interrupt(hardened, "after the last command", length)
    stuck_until_day_zero(hardened, "edge-02", ELSEWHERE)


def stuck_until_day_zero(hardened: Hardened, name: str, words: str) -> None:
    """Day zero, which refuses the device too, has recognised it by then."""
    assert generations(hardened) == (1, 2)
    refused = hardened.play(ROTATE, name=name)
    assert refused.returncode != 0 and words in said(refused), said(refused)
    assert hardened.proxy.count() == 0 and generations(hardened) == (1, 2)
    recognised = hardened.play(DAY_ZERO, name=name)
    assert recognised.returncode != 0 and UNDER_WAY.replace("edge-01", name) in said(recognised), said(recognised)
    assert hardened.proxy.writes() == hardened.proxy.sessions() == [] and incidents(hardened) == []
    done = hardened.play(ROTATE, name=name)
    assert done.returncode == 0, said(done)
    hardened.rotated()


def test_tasks_that_begin_and_finish_a_rotation(tmp_path: pathlib.Path, controller: Controller) -> None:
    """The host is by default the one as which the device was enrolled; only the pending generation is finished; another master begins nothing."""
    url, out = str(tmp_path / "registry.sqlite"), tmp_path / "results.json"
    signer = proven.Signer(tmp_path / "ca")
    with open_registry(url) as registry:
        one, _two = (proven.enroll(registry, number, signer) for number in (1, 2))
        registry.open_incident("edge-09", "EDGE-0001", None, "serial_takeover", "")
        registry.open_incident("edge-02", "EDGE-0002", None, "ak_replaced", "")
    asked: list[dict[str, t.Any]] = [
        {"serial": "EDGE-0001", "state": "begun"},
        {"serial": "EDGE-0001", "host": "EDGE-01", "state": "begun"},
        {"serial": "EDGE-0001", "state": "finished", "generation": 3},
        {"serial": "EDGE-0001", "state": "finished", "generation": 2},
        {"serial": "EDGE-0001", "state": "begun", "escrow": {"master": secrets.made_up("another master", 64)}},
        {"serial": "EDGE-0001", "host": "edge-09", "state": "finished"},
        {"ek_name": one.ek_name, "host": "edge-08", "state": "finished"},
        {"serial": "EDGE-0002", "state": "begun"},
        {"host": "edge-03", "state": "begun"},
    ]
    common = {"registry": url, "record_roots": [signer.certificate], "escrow": {"master": MASTER}}
    tasks: list[dict[str, t.Any]] = [
        {"edgefleet.tpm2.tpm2_auth_generation": {**common, **options}, "register": f"result_{at}", "ignore_errors": True}
        for at, options in enumerate(asked)
    ]
    told = "{{ [" + ", ".join(f"result_{at}" for at in range(len(asked))) + "] | to_json }}"
    tasks.append({"ansible.builtin.copy": {"content": told, "dest": str(out), "mode": "0600"}, "no_log": True})
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    done = controller(str(tmp_path / "play.yml"), {"edge-01": {}})
    assert done.returncode == 0, said(done)
    first, again, late, finished, *refused = json.loads(out.read_text())
    assert (late["changed"], late["generation"], finished["changed"], finished["generation"]) == (False, 1, True, 2)
    assert (first["changed"], again["changed"], first["generation"]) == (True, False, 1) and first["next_auths"] == again["next_auths"]
    words = [
        "the master secret is not the one that it was made with",
        "edge-09 is quarantined (serial_takeover)",
        "EDGE-0001 was enrolled as edge-01, not as edge-08;",
    ]
    words += ["edge-02 is quarantined (ak_replaced)", "values of edge-03: it is not enrolled"]
    assert [text in one["msg"] and "auths" not in one for text, one in zip(words, refused, strict=True)] == [True] * 5, refused
    with open_registry(url, create=False) as registry:
        assert [(one.auth_generation, one.auth_pending) for one in registry.devices()] == [(2, None), (1, None)]


# What somebody puts into the device's place has its serial number and keys of the right kind.
ALIKE: list[dict[str, t.Any]] = [
    {"primary_key": {"template": "ek_rsa_2048"}},
    {"primary_key": {"template": "iak_ecc_p256"}},
    {"nv_index": {"index": "0x01800010", "content": "EF-EDGE-01", "write_once": True}},
]


@pytest.mark.parametrize("playbook", [DAY_ZERO, ROTATE])
def test_an_impostor_learns_nothing(hardened: Hardened, vendor: Vendor, system_python: str, playbook: str) -> None:
    """Another TPM of the same vendor answers as that device: no auth reaches it, not even in a session; the device itself is none the worse."""
    swtpm, before = hardened.swtpm, registry_of(hardened)
    genuine = swtpm.state_dir.with_name("genuine")
    swtpm.stop()
    copy_state(swtpm.state_dir, genuine)
    swtpm.restore(vendor.make("impostor"))
    Tools(swtpm.tcti).close_platform()
    module.run("tpm2_profile", {"tcti": swtpm.tcti, "resources": ALIKE}, python=system_python).expect_ok()
    done = hardened.play(playbook)
    assert done.returncode != 0, said(done)
    assert "this is another TPM" in said(done) and "that TPM was sent nothing secret, but this host has read the options" in said(done)
    assert Tools(swtpm.tcti).auth_is_set() == dict.fromkeys(ALL_SET, False)
    assert "TPM2_HierarchyChangeAuth" not in hardened.proxy.codes()
    if playbook == DAY_ZERO:
        assert incidents(hardened) == [("EF-EDGE-01", "serial_takeover")], said(done)
        assert "EF-EDGE-01 is quarantined (serial_takeover)" in said(done)
    assert registry_of(hardened) == before
    swtpm.restore(genuine)
    Tools(swtpm.tcti).close_platform()
    if playbook == DAY_ZERO:
        back = hardened.play(DAY_ZERO)  # nothing is handed over before it is recognised
        assert back.returncode == 0 and incidents(hardened) == [], said(back)
    assert hardened.play(ROTATE).returncode == 0
    hardened.rotated()


def registry_of(hardened: Hardened) -> list[tuple[t.Any, ...]]:
    """What can tell one device from another."""
    with contextlib.closing(sqlite3.connect(hardened.line.registry)) as base:
        return base.execute("SELECT ek_name, serial, ak_name, idevid_name, host, auth_generation FROM devices").fetchall()
