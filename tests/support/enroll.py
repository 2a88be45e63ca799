# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolment in this process, with the real module on a software TPM at the other end, and attackers in between."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import types
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import enrolment, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    EnrolmentOutcome,
    EnrolmentPlan,
    ExchangeError,
    QuarantineError,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from support import lab_ca, module, places, profile
from support.factory import Vendor
from support.faults import assert_one_sentence
from support.swtpm import Swtpm

SERIAL, HOST = "EF-LINE-0001", "edge-01"
EK, AK, IDEVID, SRK, LDEVID, INDEX = "0x81010001", "0x81020001", "0x81020000", "0x81000001", "0x81000220", "0x01800010"
WHERE = settings.Handles(EK, AK, IDEVID, "idevid_ecc_p256")
ONE, OTHER = "line-a", "line-b"  # two TPMs of the vendor
QUOTE = pcr.Selection("sha256", (0, 7))
VERSIONS = {"edgefleet.tpm2": "0.1.0", "ansible-core": "2.18.0"}
# The parts of a device's state before enrolment that enrolment looks at.
RESOURCES: profile.Resources = [
    {"primary_key": {"template": "srk_ecc_p256", "handle": SRK}},
    {"primary_key": {"template": "ek_rsa_2048", "handle": EK}},
    {"primary_key": {"template": "iak_ecc_p256", "handle": AK}},
    {"nv_index": {"index": INDEX, "content": SERIAL, "write_once": True}},
]
NONCE = bytes(range(32))
Json = dict[str, t.Any]
Exchange = t.Callable[[t.Mapping[str, t.Any]], Json]
# An attack: a function that gets the question and the exchange with the real device, and returns an answer.
Attack = t.Callable[[Json, Exchange], Json]


def now() -> datetime.datetime:
    """The controller's clock."""
    return datetime.datetime.now(datetime.UTC)


def later(days: float) -> t.Callable[[], datetime.datetime]:
    """A clock that is so many days ahead."""
    return lambda: now() + datetime.timedelta(days=days)


def local_key(**changes: t.Any) -> settings.LocalKey:
    """An LDevID as roles ask for it: a key of 90 days, renewed 30 days before."""
    made = settings.LocalKey(LDEVID, "ecc_p256", SRK, 90 * settings.DAY, 30 * settings.DAY, False, ())
    return made._replace(**changes)


class Device:
    """The honest device: runs the module on a TPM. It records its questions and answers."""

    def __init__(self, tcti: str, python: str, **auths: str) -> None:
        self.tcti, self._python, self._auths = tcti, python, auths
        self.questions: list[Json] = []
        self.answers: list[Json] = []

    def __call__(self, question: t.Mapping[str, t.Any]) -> Json:
        """One exchange. Raises ExchangeError with the module's words, as the action plugin does."""
        self.questions.append(dict(question))
        done = module.run("tpm2_evidence", {"tcti": self.tcti, **self._auths, **question}, python=self._python)
        if not done.ok:
            said = " ".join(done.expect_failed().split()) if done.json else "Could not speak with the device: it gave no answer."
            raise ExchangeError(said, reason=str((done.json or {}).get("reason", "")))
        self.answers.append(done.expect_ok())
        return self.answers[-1]


class Between:
    """An attacker between the controller and a device, who may change each exchange; `asked` counts them."""

    def __init__(self, device: Exchange, *attacks: Attack | None) -> None:
        self._device, self._attacks = device, attacks
        self.asked = 0

    def __call__(self, question: t.Mapping[str, t.Any]) -> Json:
        """One exchange. The first attack is for the first exchange, and so on; None passes it on unchanged."""
        attack = self._attacks[self.asked] if self.asked < len(self._attacks) else None
        self.asked += 1
        return attack(dict(question), self._device) if attack else self._device(question)


def altered(**fields: t.Any) -> Attack:
    """The attack that puts these values into an answer. A value may be a function of the old one."""

    def attack(question: Json, device: Exchange) -> Json:
        answer = dict(device(question))
        return {**answer, **{name: value(answer.get(name)) if callable(value) else value for name, value in fields.items()}}

    return attack


def without(*fields: str) -> Attack:
    """The attack that removes these fields from an answer."""

    def attack(question: Json, device: Exchange) -> Json:
        return {name: value for name, value in device(question).items() if name not in fields}

    return attack


def instead(answer: Json) -> Attack:
    """The attack that gives this answer without asking the device."""
    return lambda _question, _device: answer


def b64(data: bytes) -> str:
    """Bytes in the form of an answer (base64)."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """The bytes of a base64 text in an answer."""
    return base64.b64decode(text, validate=True)


def nobody(_question: t.Mapping[str, t.Any]) -> Json:
    """An exchange that fails the test, because the device must not be asked."""
    raise AssertionError("the device was asked")


def nothing_is_random(patch: pytest.MonkeyPatch) -> None:
    """From now on each run uses the same nonces and the same secret, so that recorded answers stay valid."""
    patch.setattr(enrolment, "nonce", lambda: NONCE)
    patch.setattr(credentials, "secrets", types.SimpleNamespace(token_bytes=lambda size: NONCE[:size]))


class Counted:
    """A CA that counts what it issues."""

    def __init__(self, ca: authority.Authority) -> None:
        self._ca, self.issued = ca, 0

    def __getattr__(self, name: str) -> t.Any:
        return getattr(self._ca, name)

    def issue(self, *arguments: t.Any, **options: t.Any) -> t.Any:
        """Count, and issue as the CA does."""
        self.issued += 1
        return self._ca.issue(*arguments, **options)


class Desk:
    """The controller's side: a registry in a file, a CA in files, and the trust policy."""

    def __init__(self, folder: pathlib.Path, trust: Json, ca: Json) -> None:
        self.folder, self._options = folder, {"folder": str(folder), "trust": trust, "ca": ca}
        self.trust = settings.trust_policy(trust)
        self.url = str(folder / "registry.sqlite")
        self.ca = Counted(authority.load_authority(ca))
        self.requests = folder / "requests"

    def external(self, flavour: str | None = None) -> Json:
        """A plan with an external CA in place of this desk's."""
        root = (self.folder / "ca" / "root.pem").read_bytes()
        return {"ca": None, "external": settings.External(str(self.requests), (root,), flavour)}

    def die(self, stage: str, tcti: str, python: str, *, external: bool = False) -> None:
        """Enroll in another process, and kill that process when it reaches a stage (one of enroll_dies.STAGES)."""
        told = {**self._options, "stage": stage, "tcti": tcti, "python": python, "external": external}
        program = "import sys, json; from support import enroll_dies; enroll_dies.run(json.load(sys.stdin))"
        path = os.pathsep.join([str(places.COLLECTIONS), str(places.ROOT / "tests")])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", program], input=json.dumps(told).encode(), env=environment, capture_output=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()

    def registry(self, **options: t.Any) -> Registry:
        """The registry, opened anew."""
        return open_registry(self.url, timeout=2, **options)

    def plan(self, **changes: t.Any) -> EnrolmentPlan:
        """The plan for the device with this file's serial number; `ca` may be None."""
        base = EnrolmentPlan(
            serial=SERIAL,
            where=WHERE,
            serial_index=settings.serial_index(INDEX, changes.get("serial", SERIAL)),
            policy=self.trust,
            host=HOST,
            ca=t.cast("authority.Authority", self.ca),
            quote=QUOTE,
            versions=VERSIONS,
        )
        return base._replace(**changes)

    def enroll(
        self, exchange: Exchange, *, check: bool = False, clock: t.Callable[[], datetime.datetime] = now, **changes: t.Any
    ) -> EnrolmentOutcome:
        """One run, as the action plugin makes it."""
        with self.registry(create=not check) as registry:
            return enrolment.Enrolment(registry, self.plan(**changes), exchange, clock).run(check)

    def rows(self) -> dict[str, list[tuple[t.Any, ...]]]:
        """The registry's rows by table, read by SQLite."""
        with contextlib.closing(sqlite3.connect(self.url)) as base:
            tables = [row[0] for row in base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
            return {table: base.execute(f'SELECT * FROM "{table}"').fetchall() for table in tables}

    def untouched(self, before: dict[str, list[tuple[t.Any, ...]]]) -> None:
        """Check that only incidents and events have been written since, and no certificate was issued."""
        after = self.rows()
        assert {**after, "events": [], "quarantine": []} == {**before, "events": [], "quarantine": []}
        assert not list(self.requests.rglob("*")) if self.requests.exists() else True

    def refused(self, exchange: Exchange, reason: str, sentence: str, *, told: bool = True, **options: t.Any) -> str:
        """A run in which the device is quarantined: with that reason and that text in its sentence, one incident with its event, nothing else."""
        before, issued = self.rows(), self.ca.issued
        with pytest.raises(QuarantineError) as caught:
            self.enroll(exchange, **options)
        message = caught.value.message
        assert (caught.value.reason, sentence in message) == (reason, True), f"{caught.value.reason}: {message}"
        assert_one_sentence(re.sub("[0-9a-f]{64,}", "...", message))
        self.untouched(before)
        assert self.ca.issued == issued
        with self.registry() as registry:
            incident, event = registry.incidents()[-1], registry.events()[-1]
            assert len(registry.events()) == len(before["events"]) + 1
        changes = {"serial": SERIAL, "host": HOST, **options}
        assert (incident.reason, incident.serial, incident.host) == (reason, changes["serial"], changes["host"])
        assert incident.detail == message
        seen = any(reason in row for row in before["quarantine"])
        assert (event.kind, event.detail["reason"]) == ("incident_seen" if seen else "incident_opened", reason)
        if told:
            assert incident.ek_name
        return message

    def failed(self, exchange: Exchange, sentence: str, *, thrown_away: bool = False, **options: t.Any) -> TpmError:
        """A run that fails without quarantine: nothing is written. `thrown_away`: certificates were issued, and are not kept."""
        before, issued = self.rows(), self.ca.issued
        with pytest.raises(TpmError) as caught:
            self.enroll(exchange, **options)
        assert not isinstance(caught.value, QuarantineError) and sentence in caught.value.message, f"{caught.value!r}"
        assert_one_sentence(caught.value.message)
        assert self.rows() == before and (self.ca.issued > issued) == thrown_away
        return caught.value


@dataclasses.dataclass(frozen=True)
class Bench:
    """Shared by all enrolment tests of a session: TPMs that are ready to be enrolled, a CA, an empty registry."""

    folder: pathlib.Path
    python: str
    vendor: Vendor

    def state(self, name: str, *, idevid: bool = True) -> pathlib.Path:
        """The state folder of the vendor's TPM, provisioned as enrolment needs it, with or without its IDevID key; made once."""
        state = self.folder / (name if idevid else f"{name}-bare")
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not state.exists():
                self._make(self.vendor.make(name), state, idevid)
        return state

    def _make(self, blank: pathlib.Path, state: pathlib.Path, idevid: bool) -> None:
        making = state.with_suffix(".making")
        tpm = Swtpm(making)
        try:
            tpm.restore(blank)
            module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": RESOURCES}, python=self.python).expect_ok()
            if idevid:
                key = {"template": WHERE.idevid_template, "handle": IDEVID, "state": "present"}
                module.run("tpm2_primary_key", {"tcti": tpm.tcti, **key}, python=self.python).expect_ok()
            tpm.stop()
        finally:
            tpm.close()
        making.rename(state)

    def recorded(self, name: str = ONE) -> list[Json]:
        """The first and the second answer of a successful enrolment with an LDevID, for tests with fixed nonces."""
        state, path = self.state(name), self.folder / f"{name}.answers.json"
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                path.write_text(json.dumps(self._record(state)))
        return t.cast("list[Json]", json.loads(path.read_text()))

    def _record(self, state: pathlib.Path) -> list[Json]:
        with tempfile.TemporaryDirectory(dir=self.folder) as folder, pytest.MonkeyPatch.context() as patch:
            tpm, desk = Swtpm(pathlib.Path(folder, "tpm")), self._desk(pathlib.Path(folder, "desk"), {})
            nothing_is_random(patch)
            try:
                device = Device(tpm.restore(state).tcti, self.python)
                assert desk.enroll(device, local=local_key()).did == ("enroll",)
            finally:
                tpm.close()
        return device.answers

    def desk(self, folder: pathlib.Path, **trust: t.Any) -> Desk:
        """A desk of its own, with an empty registry."""
        self.state(ONE)  # this also makes the vendor
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._desk(folder, trust)

    def _desk(self, folder: pathlib.Path, trust: Json) -> Desk:
        files = lab_ca.write(folder / "ca")
        shutil.copy(self._registry(), folder / "registry.sqlite")
        return Desk(folder, {**self.vendor.trust, **trust}, files.options)

    def _registry(self) -> pathlib.Path:
        path = self.folder / "empty.sqlite"
        if not path.exists():
            with open_registry(str(path)) as registry:
                assert registry.devices() == []
        return path
