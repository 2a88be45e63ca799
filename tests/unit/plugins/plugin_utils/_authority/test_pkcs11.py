# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A CA's key on a PKCS#11 token: SoftHSM, each test in a process of its own, for a module reads its configuration once."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import typing as t

import pytest
from support import lab_ca
from support.lab_ca import NOW
from support.softhsm import MODULE, PIN, TOKEN, SoftHsm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, pkcs11

# Opens a CA and issues, as often as it is told, with the options of each try; prints for each the certificate, or the error's sentence.
PROGRAM = """
import datetime, json, sys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
job = json.load(sys.stdin)
now = datetime.datetime.fromisoformat(job["now"])
answers = []
for options in job["tries"]:
    try:
        ca = authority.load_authority(options, now=now)
        found = ca.issue("idevid", job["public_key"], profile.DeviceSubject("SN-0001", b"x"), now=now)
        answers.append({"pem": found.pem, "repr": repr(ca) + repr(ca._key)})
    except TpmError as error:
        answers.append({"error": str(error)})
json.dump(answers, sys.stdout)
"""
PUBLIC = lab_ca.public_pem(lab_ca.new_key())


class Token(t.NamedTuple):
    hsm: SoftHsm
    files: lab_ca.Files

    def options(self, **change: t.Any) -> dict[str, t.Any]:
        return {"certificate": self.files.options["certificate"], "pkcs11": self.hsm.options(**change)}

    def start(self, *tries: dict[str, t.Any], program: str = PROGRAM) -> subprocess.Popen[str]:
        environment = {**os.environ, "SOFTHSM2_CONF": str(self.hsm.conf), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        json.dump({"now": NOW.isoformat(), "tries": tries, "public_key": PUBLIC}, process.stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, *tries: dict[str, t.Any], program: str = PROGRAM) -> list[dict[str, str]]:
        return answers(self.start(*tries, program=program))

    def error(self, options: dict[str, t.Any]) -> str:
        (found,) = self.run(options)
        return found["error"]


def answers(process: subprocess.Popen[str]) -> list[dict[str, str]]:
    out, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert PIN not in out + said
    return t.cast("list[dict[str, str]]", json.loads(out))


def make(folder: pathlib.Path, kind: str) -> Token:
    files = lab_ca.write(folder / "ca", kind)
    hsm = SoftHsm(folder / "hsm")
    hsm.add_token()
    hsm.add_key(files.ca.key, "ca")
    return Token(hsm, files)


@pytest.fixture
def token(tmp_path: pathlib.Path) -> Token:
    return make(tmp_path, "ecc_p256")


@pytest.mark.parametrize("kind", ["ecc_p256", "ecc_p384", "rsa_2048", "rsa_3072"])
def test_it_issues_and_openssl_accepts(tmp_path: pathlib.Path, kind: str) -> None:
    token = make(tmp_path, kind)
    (found,) = token.run(token.options())
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(found["pem"])
    command = ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-CAfile", str(token.files.root_path)]
    done = subprocess.run([*command, "-untrusted", token.files.options["certificate"], str(leaf)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert found["repr"].startswith("<Authority CN=Lab Device CA><key elsewhere, ")


def test_the_key_is_found_by_its_id_and_it_opens_twice(token: Token) -> None:
    found = token.run(token.options(label=None, id="01"), token.options(label=None, id="01"), token.options())
    assert [sorted(one) for one in found] == [["pem", "repr"]] * 3


def test_no_module(token: Token, tmp_path: pathlib.Path) -> None:
    assert "there is no PKCS#11 module /absent.so" in token.error(token.options(module="/absent.so"))
    junk = tmp_path / "junk.so"
    junk.write_text("no library")
    assert "does not load as a PKCS#11 module" in token.error(token.options(module=str(junk)))


def test_no_token(token: Token) -> None:
    assert "has no token of that label" in token.error(token.options(token="another"))


def test_two_tokens_of_one_label(token: Token) -> None:
    token.hsm.add_token()
    assert "several tokens have that label" in token.error(token.options())


def test_no_such_key(token: Token) -> None:
    assert "the key other on the token lab-token: the token has no such private key" in token.error(token.options(label="other"))
    assert "the key ff on the token lab-token: the token has no such private key" in token.error(token.options(label=None, id="ff"))


def test_two_keys_of_one_label(token: Token) -> None:
    token.hsm.add_key(lab_ca.new_key(), "ca", "02")
    assert "several private keys fit; give both label and id" in token.error(token.options())
    (found,) = token.run(token.options(id="01"))
    assert "pem" in found


@pytest.mark.parametrize("kind", ["ecc_p256", "ecc_p384", "rsa_2048"])
def test_the_key_of_another_certificate(token: Token, kind: str) -> None:
    token.hsm.add_key(lab_ca.new_key(kind), "stranger", "02")
    assert "name the pair that belongs together" in token.error(token.options(label="stranger"))


def test_a_wrong_pin_is_sent_once_and_never_again(token: Token) -> None:
    wrong, right = token.options(pin="000000"), token.options()
    first, second, third = token.run(wrong, wrong, right)
    assert "the PIN is wrong, and it is not tried again" in first["error"]
    # Neither the wrong one nor the right one: the token cannot tell us which of them it is before it counts.
    assert "a wrong PIN has been given" in second["error"] and "a wrong PIN has been given" in third["error"]
    assert "pkcs11-tool --module" in second["error"] and "000000" not in json.dumps([first, second, third])
    # As the sentence says: one login by hand.
    token.hsm.add_key(lab_ca.new_key(), "by-hand", "09")
    (found,) = token.run(right)
    assert "pem" in found


def test_of_many_workers_with_a_wrong_pin_one_sends_it(token: Token) -> None:
    processes = [token.start(token.options(pin="000000")) for _each in range(6)]
    sentences = [answers(process)[0]["error"] for process in processes]
    assert sum("the PIN is wrong" in one for one in sentences) == 1, sentences
    assert sum("a wrong PIN has been given" in one for one in sentences) == 5, sentences


FORKED = """
import datetime, json, multiprocessing, sys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, profile
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
job = json.load(sys.stdin)
now = datetime.datetime.fromisoformat(job["now"])
ca = authority.load_authority(job["tries"][0], now=now)
def issue(queue, again):
    try:
        one = authority.load_authority(job["tries"][0], now=now) if again else ca
        queue.put({"pem": one.issue("idevid", job["public_key"], profile.DeviceSubject("SN-0001", b"x"), now=now).pem})
    except TpmError as error:
        queue.put({"error": str(error)})
found = []
for again in (False, True):
    queue = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(target=issue, args=(queue, again))
    child.start()
    child.join(30)
    found.append(queue.get())
json.dump(found, sys.stdout)
"""


def test_a_session_does_not_survive_a_fork_but_a_child_opens_its_own(token: Token) -> None:
    inherited, own = token.run(token.options(), program=FORKED)
    assert "it was opened before this process was forked; load the CA here again" in inherited["error"]
    assert "pem" in own


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"pin": ""}, "pin is missing"),
        ({"pin": None, "module": None}, "module, pin is missing"),
        ({"label": None}, "label or id is missing"),
        ({"id": "xyz"}, "id is not hexadecimal"),
        ({"slot": 4}, "it does not know slot"),
    ],
)
def test_options_that_make_no_sense(change: dict[str, t.Any], told: str) -> None:
    options = {"module": MODULE, "token": TOKEN, "label": "ca", "pin": PIN, **change}
    with pytest.raises(InputError, match=told) as caught:
        pkcs11.open_key(options, lab_ca.new_key().public_key())
    assert PIN not in str(caught.value)


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    files = lab_ca.write(tmp_path)
    monkeypatch.setattr(pkcs11, "IMPORT_ERROR", ImportError("No module named 'pkcs11'"))
    options = {"certificate": files.options["certificate"], "pkcs11": {"module": MODULE, "token": TOKEN, "label": "ca", "pin": PIN}}
    with pytest.raises(DependencyError, match="python-pkcs11 .*No module named 'pkcs11'"):
        authority.load_authority(options, now=NOW)
