# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Either exchange of an enrolment ends at any of its TPM commands: the module is killed, the power fails, or a response is lost; asked again, it answers."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import typing as t

import pytest
from support import evidence, module, places
from support.faults import assert_one_sentence
from support.proxy import Drop, Proxy
from support.swtpm import Swtpm
from support.tools import Tools, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials

MakeSwtpm = t.Callable[..., Swtpm]
# At least as many as each exchange has commands (asserted).
POSITIONS = {"collect": 32, "activate": 24}
EVERY_POSITION = [(name, position) for name, count in POSITIONS.items() for position in range(count)]
# Uses of the AK and the IDevID, whose templates lack noDA.
PROTECTED = {"TPM2_NV_Certify", "TPM2_Quote", "TPM2_Certify", "TPM2_Sign", "TPM2_ActivateCredential"}
# One of the device's Pythons has one exchange in one half of the faults, and the other exchange in the other half.
ONE_HALF = {"collect": "system", "activate": "venv"}
OTHER_HALF = {"collect": "venv", "activate": "system"}
FROM_CONTROLLER = dict.fromkeys(POSITIONS, "controller")
# From the controller, each position meets one of two faults.
WAYS = {"device": ONE_HALF, "controller": FROM_CONTROLLER}
KILLED = [("device", *one) for one in EVERY_POSITION] + [("controller", *one) for one in EVERY_POSITION[::2]]
LOST = [("device", *one) for one in EVERY_POSITION] + [("controller", *one) for one in EVERY_POSITION[1::2]]


class Exchange:
    """A device behind a proxy, and what it is asked; every answer is checked."""

    def __init__(self, name: str, proxy: Proxy, folder: pathlib.Path, python: str) -> None:
        self.name, self.proxy, self.swtpm, self.folder, self.python = name, proxy, proxy.swtpm, folder, python
        self.challenge: credentials.Challenge | None = None
        self.question: dict[str, t.Any] = {"collect": evidence.COLLECT}
        if name == "activate":
            keys = {handle: evidence.key(self.swtpm, handle, folder) for handle in (evidence.IDEVID, evidence.LDEVID)}
            self.challenge, activate = evidence.challenge(self.swtpm, folder)
            sign = [{**one, "digest": hashlib.sha256(b"a request").hexdigest()} for one in keys.values()]
            self.question = {"activate": {**activate, "idevid": keys[evidence.IDEVID]}, "sign": sign}

    @property
    def arguments(self) -> dict[str, t.Any]:
        return {"tcti": self.proxy.tcti, **self.question}

    def run(self) -> module.Result:
        return module.run(evidence.MODULE, self.arguments, python=self.python)

    def check(self, answer: dict[str, t.Any]) -> None:
        """The answer is whole, and true."""
        if self.challenge is not None:
            self.proves(answer)
            self._believed(evidence.AK, base64.b64decode(answer["certify"]["attest"]), answer["certify"]["signature"])
            for handle, signature in zip((evidence.IDEVID, evidence.LDEVID), answer["signatures"], strict=True):
                self._believed(handle, b"a request", signature)
        else:
            for part in (answer["nv_certify"], answer["quote"], answer["certify"][evidence.LDEVID], answer["certify_idevid"]):
                self._believed(evidence.AK, base64.b64decode(part["attest"]), part["signature"])
            assert answer["publics"] == {
                handle: evidence.public(self.swtpm, handle, self.folder).raw.hex()
                for handle in (evidence.EK, evidence.AK, evidence.IDEVID, evidence.LDEVID)
            }

    def proves(self, answer: dict[str, t.Any]) -> None:
        """The credential was opened. The challenge itself may be asked once only."""
        made = t.cast("credentials.Challenge", self.challenge)
        assert answer["proof"] == activation.proof(made._secret, made.nonce).hex()

    def _believed(self, handle: str, message: bytes, signature: str) -> None:
        (self.folder / "message").write_bytes(message)
        (self.folder / "signature").write_bytes(base64.b64decode(signature))
        files = ["-m", self.folder / "message", "-s", self.folder / "signature"]
        Tools(self.swtpm.tcti).run("verifysignature", "-Q", "-c", handle, "-g", "sha256", *files)

    def answers_now(self, loaded: t.Collection[str], generated: int = 0, counter: int = 0) -> None:
        """Asked again it answers; what a killed run had loaded may still be there, and nothing else is; no key is made in vain but one."""
        self.proxy.reset()
        self.check(self.run().expect_ok())
        assert set(leftovers(self.swtpm)) <= set(loaded)
        assert generated + len(self.proxy.key_generations()) <= (3 if self.name == "collect" else 0)
        assert lockout_counter(self.swtpm) == counter

    def used_a_protected_key(self) -> bool:
        """Whether the TPM has seen the auth of a key of the TCG's templates, which have dictionary attack protection."""
        return any(record.forwarded and record.name in PROTECTED for record in self.proxy.records)


MakeExchange = t.Callable[[str, dict[str, str]], Exchange]


@pytest.fixture(scope="session")
def asked_state(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, system_python: str) -> pathlib.Path:
    """The state of a device after the first exchange."""
    folder = tmp_path_factory.mktemp("asked") / "state"
    evidence.provision(folder, blank_state, system_python, {"collect": evidence.COLLECT})
    return folder


@pytest.fixture
def exchange(
    new_swtpm: MakeSwtpm,
    evidence_state: pathlib.Path,
    asked_state: pathlib.Path,
    tmp_path: pathlib.Path,
    system_python: str,
    venv_python: str,
) -> t.Iterator[MakeExchange]:
    """A maker of exchanges by name, with the Python of one half of the faults."""
    proxies: list[Proxy] = []
    pythons = {"system": system_python, "venv": venv_python, "controller": places.FromController(system_python)}

    def make(name: str, half: dict[str, str]) -> Exchange:
        proxy = Proxy(new_swtpm({"collect": evidence_state, "activate": asked_state}[name]))
        proxies.append(proxy)
        made = Exchange(name, proxy, tmp_path, pythons[half[name]])
        proxy.reset()
        return made

    yield make
    for proxy in proxies:
        proxy.close()


@pytest.mark.parametrize("half", [ONE_HALF, OTHER_HALF, FROM_CONTROLLER], ids=["one", "other", "controller"])
@pytest.mark.parametrize("name", POSITIONS)
def test_every_position_is_tried(exchange: MakeExchange, name: str, half: dict[str, str]) -> None:
    made = exchange(name, half)
    made.check(made.run().expect_ok())
    assert 10 < made.proxy.count() <= POSITIONS[name]
    made.answers_now([], len(made.proxy.key_generations()))


# Nothing but the TPM is changed between two commands: killed after one is killed before the next, and so with the power.
@pytest.mark.parametrize(("way", "name", "position"), KILLED)
def test_killed(exchange: MakeExchange, way: str, name: str, position: int) -> None:
    made = exchange(name, WAYS[way])
    killed = module.killed_run(made.proxy, position, evidence.MODULE, made.arguments, python=made.python)
    if killed.rc != -9:
        made.check(killed.expect_ok())
        assert made.proxy.count() <= position
    made.answers_now(leftovers(made.swtpm), len(made.proxy.key_generations()))


@pytest.mark.parametrize(("name", "position"), EVERY_POSITION)
def test_the_power_fails(exchange: MakeExchange, name: str, position: int) -> None:
    made = exchange(name, OTHER_HALF)

    def cut(_record: object) -> None:
        made.swtpm.kill()
        raise Drop

    made.proxy.after(position, cut)
    result = made.run()
    if result.ok:
        # Nothing but what came after the last answer that counts was lost.
        if made.challenge is not None:
            made.proves(result.expect_ok())
    else:
        assert_one_sentence(result.expect_failed())
    counter = 0
    if not made.swtpm.running:
        made.swtpm.restart()
        # A TPM that lost power after a use of a protected key counts it as a failed try (Part 1, section 19.8.6). It forgets it in time.
        counter = int(made.used_a_protected_key())
    made.answers_now([], len(made.proxy.key_generations()), counter)


@pytest.mark.parametrize(("way", "name", "position"), LOST)
def test_a_response_is_lost(exchange: MakeExchange, way: str, name: str, position: int) -> None:
    made = exchange(name, WAYS[way])
    made.proxy.drop_response(position)
    result = made.run()
    if not result.ok:
        assert_one_sentence(result.expect_failed())
    lost = made.proxy.records[position] if position < made.proxy.count() else None
    loaded = leftovers(made.swtpm)
    # Nobody but the lost response knew the handle of what it loaded; whatever else was loaded is flushed.
    assert len(loaded) <= int(lost is not None and lost.leaves_something_loaded)
    assert len(made.proxy.writes()) == len({record.request for record in made.proxy.writes()}), "a write was sent twice"
    made.answers_now(loaded, len(made.proxy.key_generations()))


def test_killed_again_and_again(exchange: MakeExchange) -> None:
    """What killed runs leave loaded adds up on a TPM without resource manager; the next run copes with a full one."""
    made = exchange("activate", ONE_HALF)
    for position in range(POSITIONS["activate"]):
        made.proxy.reset()
        module.killed_run(made.proxy, position, evidence.MODULE, made.arguments, python=made.python, when="after")
    made.proxy.reset()
    made.check(made.run().expect_ok())
    assert lockout_counter(made.swtpm) == 0
