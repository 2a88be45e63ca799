# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolment is killed: the controller at any stage, the module and the TPM at any command. The next run finishes, with one identity."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import module, profile, secrets
from support.enroll import ONE, RESOURCES, SERIAL, Bench, Desk, Device, Json, local_key, now
from support.enroll_dies import STAGES
from support.proxy import Drop, Proxy
from support.swtpm import Swtpm
from support.tools import Tools, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import ExchangeError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records

MakeSwtpm = t.Callable[..., Swtpm]
# Commands of an enrolment with IDevID and LDevID keys to be made, and of hardening (asserted).
COMMANDS, HARDENING = 34, 14
AUTHS = {name: secrets.made_up(f"escrowed {name}", 32) for name in ("owner", "endorsement", "lockout")}


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path) -> Desk:
    return bench.desk(tmp_path / "desk")


@pytest.fixture
def proxy(bench: Bench, new_swtpm: MakeSwtpm) -> t.Iterator[Proxy]:
    """A TPM whose IDevID and LDevID are still to be made."""
    with Proxy(new_swtpm(bench.state(ONE, idevid=False))) as made:
        yield made


def whole(desk: Desk, *, kinds: t.Collection[str] = ("iak", "idevid", "ldevid")) -> records.Device:
    """There is one device with one set of certificates, one birth record, and one event that says so."""
    rows = desk.rows()
    assert [len(rows[table]) for table in ("devices", "verdicts", "quarantine")] == [1, 1, 0]
    with desk.registry() as registry:
        assert [event.kind for event in registry.events()] == ["enrolled"]
        found = registry.find(serial=SERIAL)
        assert found is not None and set(found.certificates) == set(kinds) and len(rows["certificates"]) == len(kinds)
        assert (registry.birth_record(found.ek_name) is not None) == bool(kinds)
    return found


@pytest.mark.parametrize("stage", [one for one in STAGES if one != "published"])
def test_controller_killed(desk: Desk, bench: Bench, proxy: Proxy, stage: str) -> None:
    desk.die(stage, proxy.tcti, bench.python)
    dead = desk.rows()
    committed = stage in ("committed", "done")
    assert len(dead["devices"]) == int(committed) and len(dead["events"]) == int(committed)
    outcome = desk.enroll(Device(proxy.tcti, bench.python), local=local_key())
    assert outcome.did == (() if committed else ("enroll",))
    whole(desk)
    assert len(proxy.key_generations()) == 2  # IDevID and LDevID, once
    assert leftovers(proxy.swtpm) == [] and lockout_counter(proxy.swtpm) == 0


@pytest.mark.parametrize("stage", ["answered again", "checked", "published", "written", "committed"])
def test_controller_with_a_ca_elsewhere_killed(desk: Desk, bench: Bench, proxy: Proxy, stage: str) -> None:
    """A request may have gone out for a device that is not enrolled yet; the next run's is for the same keys."""
    desk.die(stage, proxy.tcti, bench.python, external=True)
    request = desk.requests / SERIAL / "request.json"
    assert request.exists() == (stage in ("published", "committed"))
    if stage == "published":
        assert desk.rows()["devices"] == []
    desk.enroll(Device(proxy.tcti, bench.python), local=local_key(), **desk.external())
    found = whole(desk, kinds=())
    assert f'"{found.idevid_name}"' in request.read_text()
    assert {path.name for path in request.parent.iterdir()} == {"request.json", "idevid.csr", "ldevid.csr"}


def test_registry_writer_killed_in_mid_transaction_leaves_no_lock(desk: Desk, bench: Bench, proxy: Proxy) -> None:
    desk.die("written", proxy.tcti, bench.python)
    before = now()
    desk.enroll(Device(proxy.tcti, bench.python))
    assert (now() - before).total_seconds() < 60
    whole(desk, kinds=("iak", "idevid"))


# -- the device's side


class Mortal(Device):
    """A device whose module is killed, or whose TPM loses its power, at one command of a whole enrolment."""

    def __init__(self, proxy: Proxy, python: str) -> None:
        super().__init__(proxy.tcti, python)
        self._running: module.Running | None = None

    def __call__(self, question: t.Mapping[str, t.Any]) -> Json:
        self._running = module.start("tpm2_evidence", {"tcti": self.tcti, **question}, python=self._python)
        done = self._running.wait()
        if not done.ok:
            raise ExchangeError(done.msg or "the module is dead")
        return done.expect_ok()

    def strike(self, _record: object) -> None:
        """Kill the module before the TPM gets the command."""
        assert self._running is not None
        self._running.kill()
        raise Drop


def test_how_many_commands_there_are(desk: Desk, bench: Bench, proxy: Proxy) -> None:
    assert desk.enroll(Device(proxy.tcti, bench.python), local=local_key()).did == ("enroll",)
    assert proxy.count() == COMMANDS, proxy.codes()
    whole(desk)


def finished(desk: Desk, bench: Bench, proxy: Proxy) -> None:
    """The next run ends what the first began."""
    generated = len(proxy.key_generations())
    proxy.reset()
    outcome = desk.enroll(Device(proxy.tcti, bench.python), local=local_key())
    assert outcome.changed and outcome.pending == ()
    assert generated + len(proxy.key_generations()) <= 3  # two keys, and one at most again
    whole(desk)
    with desk.registry() as registry:
        assert registry.incidents(open_only=False) == []


@pytest.mark.parametrize("position", range(0, COMMANDS, 2))
def test_module_killed(desk: Desk, bench: Bench, proxy: Proxy, position: int) -> None:
    device = Mortal(proxy, bench.python)
    proxy.before(position, device.strike)
    with pytest.raises(ExchangeError):
        desk.enroll(device, local=local_key())
    assert desk.rows()["devices"] == [] and desk.rows()["events"] == []
    finished(desk, bench, proxy)
    assert lockout_counter(proxy.swtpm) == 0


@pytest.mark.parametrize("position", range(1, COMMANDS - 1, 4))
def test_power_fails(desk: Desk, bench: Bench, proxy: Proxy, position: int) -> None:
    swtpm = proxy.swtpm
    proxy.after(position, lambda _record: swtpm.kill())
    with pytest.raises(ExchangeError):
        desk.enroll(Mortal(proxy, bench.python), local=local_key())
    swtpm.restart()
    finished(desk, bench, proxy)
    # A TPM that loses its power after the use of a key that is protected against guessing counts that as a try (Part 1, section 19.8.5).
    assert lockout_counter(swtpm) <= 1


# -- hardening, which is the second run of the profile on day zero


@pytest.fixture
def enrolled(bench: Bench, new_swtpm: MakeSwtpm) -> t.Iterator[Proxy]:
    with Proxy(new_swtpm(bench.state(ONE))) as made:
        yield made


def hardening(proxy: Proxy, folder: pathlib.Path, ek_name: str) -> Json:
    """What the role provision then runs: auths out of the escrow, in a session salted to the EK that was verified, and certificates."""
    hierarchies: profile.Resources = [{"hierarchy": {"hierarchy": name, "auth": auth}} for name, auth in AUTHS.items()]
    certificate: profile.Resources = [{"certificate": {"path": str(folder / "iak.cert.pem"), "content": PEM}}]
    return {
        "tcti": proxy.tcti,
        **{f"{name}_auth": auth for name, auth in AUTHS.items()},
        "session_key": {"handle": "0x81010001", "name": ek_name},
        "resources": [*RESOURCES, *certificate, *hierarchies],
    }


PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"


def held(swtpm: Swtpm) -> None:
    """Each auth is the escrow's, as tpm2-tools see it, and none was ever tried in vain."""
    tools = Tools(swtpm.tcti)
    assert tools.auth_is_set() == {"owner": True, "endorsement": True, "lockout": True}
    for name, letter in (("owner", "o"), ("endorsement", "e")):
        tools.run("changeauth", "-c", letter, "-p", AUTHS[name], AUTHS[name])
    tools.run("dictionarylockout", "-c", "-p", AUTHS["lockout"])
    assert lockout_counter(swtpm) == 0


@pytest.mark.parametrize("position", range(HARDENING))
def test_hardening_killed(enrolled: Proxy, bench: Bench, tmp_path: pathlib.Path, position: int) -> None:
    arguments = hardening(enrolled, tmp_path, Tools(enrolled.swtpm.tcti).readpublic("0x81010001").name)
    done = module.killed_run(enrolled, position, "tpm2_profile", arguments, python=bench.python)
    assert done.rc == -9
    assert lockout_counter(enrolled.swtpm) == 0
    values = {name: auth.encode() for name, auth in AUTHS.items()}
    wire = enrolled.wire()
    enrolled.reset()
    again = module.run("tpm2_profile", arguments, python=bench.python)
    again.expect_ok()
    assert secrets.on_the_wire(wire + enrolled.wire(), values) == [] and secrets.in_text(again.stdout + again.stderr, values) == []
    held(enrolled.swtpm)
    enrolled.reset()
    assert not module.run("tpm2_profile", arguments, python=bench.python).expect_ok()["changed"] and enrolled.writes() == []


def test_how_many_commands_hardening_takes(enrolled: Proxy, bench: Bench, tmp_path: pathlib.Path) -> None:
    arguments = hardening(enrolled, tmp_path, Tools(enrolled.swtpm.tcti).readpublic("0x81010001").name)
    module.run("tpm2_profile", arguments, python=bench.python).expect_ok()
    assert enrolled.count() == HARDENING, enrolled.codes()
