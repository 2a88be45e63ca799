# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser that takes a device's bytes on the controller, with right bytes that were spoilt at random: a value or an error of ours, never another.

The seeds are fixed, so that a failure comes again. What is right, the same table shows first.
"""

from __future__ import annotations

import base64
import functools
import json
import random
import typing as t

import pytest
from support import birth, ek_lab, event_log
from support.fuzz import ROUNDS, Rounds, damaged, spoilt
from unit import soft_device

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest, der, names, own_ek, pcr, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import event_log as logs
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer, _answer_tables, _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import keys, profile, request
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import evidence_checks
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import remote
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import certificate, ek, services

TPM, VENDOR = birth.soft_tpm(), ek_lab.root()
WHERE = settings.Handles("0x81010001", "0x81020001", "0x81020000", "idevid_ecc_p256")
CERTIFICATE = VENDOR.ek(TPM.ek.public_key())
NV, QUOTE, CERTIFY = TPM.nv_certify(), TPM.quote(), TPM.certify(TPM.idevid_public)
Parse = t.Callable[[bytes], object]


def right_request() -> bytes:
    """A right certificate request for the IDevID."""
    to_sign = request.to_be_signed(TPM.idevid.public_key(), profile.DeviceSubject(TPM.serial, b"hw"))
    return request.assemble(to_sign, keys.sign(TPM.idevid, to_sign, keys.hash_for(TPM.idevid.public_key()))).encode()


def _public(data: bytes) -> object:
    found = names.parse_public(data)
    for check in (
        evidence_checks.check_ak,
        evidence_checks.check_idevid,
        ek.check_ek,
        ek.check_strength,
        _keys.spki_sha256,
        names.describe,
    ):
        try:
            check(found)
        except TpmError:
            continue
    return found.name


def _log(data: bytes) -> object:
    found = logs.parse(data)
    return logs.compare(found, logs.replay(found))


def _selection(data: bytes) -> object:
    return pcr.parse(Cursor(data))


def _elements(data: bytes) -> object:
    return list(der.elements(data)), der.issuer_hash(data)


def _certificate(data: bytes) -> object:
    found = certificate.read(data)
    certificate.check_usage(found)
    return found


def _quote(data: bytes) -> object:
    values = {"sha256": {one["index"]: bytes.fromhex(one["digest"]) for one in birth.PCRS}}
    chosen = [pcr.Selection("sha256", (0, 7))]
    return evidence_checks.check_quote(data, QUOTE.signature, TPM.ak_public, nonce=birth.NONCE, selection=chosen, values=values)


def _own_ek(data: bytes) -> object:
    return own_ek.template(templates.primary("ek_rsa_2048"), data, data[:8])


def _service(data: bytes) -> object:
    return services.taken(services.SERVICES[0], data, TPM.ek_public, "https://service.example.org/")


# The parser, and bytes that it takes.
PARSERS: dict[str, tuple[Parse, bytes]] = {
    "rsa public area": (_public, names.parse_public(ek_lab.ek_area("ek_rsa_2048", ek_lab.rsa_key().public_key()).raw).raw),
    "ecc public area": (_public, TPM.ek_public.raw),
    "attestation of a key": (attest.parse_attest, CERTIFY.attest),
    "attestation of nv": (attest.parse_attest, NV.attest),
    "attestation of pcrs": (attest.parse_attest, QUOTE.attest),
    "template of an ek": (_own_ek, templates.primary("ek_rsa_2048").raw),
    "answer of a vendor's service": (_service, json.dumps({"certificate": base64.urlsafe_b64encode(CERTIFICATE).decode()}).encode()),
    "signature": (attest.parse_signature, QUOTE.signature),
    "certificate request": (request.verify, right_request()),
    "selection of pcrs": (_selection, pcr.marshal([pcr.Selection("sha256", (0, 7)), pcr.Selection("sha384", (23,))])),
    "signed quote": (_quote, QUOTE.attest),
    "event log": (_log, event_log.agile()),
    "legacy event log": (_log, event_log.legacy()),
    "der": (_elements, CERTIFICATE),
    "ek certificate": (_certificate, CERTIFICATE),
    "ek certificate of nuvoton": (_certificate, ek_lab.as_nuvoton(ek_lab.nuvoton_root(), TPM.ek.public_key())),
    "ek certificate of intel": (_certificate, ek_lab.signed_anew(CERTIFICATE, VENDOR.key, ek_lab.explicit)),
    "chain in nv": (lambda data: certificate.chain_in([data, data[::2]]), VENDOR.der + CERTIFICATE),
}


@pytest.mark.parametrize("name", PARSERS)
def test_bytes(name: str, rounds: Rounds) -> None:
    parse, good = PARSERS[name]
    assert parse(good)
    refused = 0
    for dice in rounds(name):
        data = spoilt(good, dice)
        try:
            parse(data)
        except TpmError as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 2000, data.hex()
        except Exception as error:
            raise AssertionError(f"{type(error).__name__}: {error}: {data.hex()}") from error
    assert name in ("der", "chain in nv") or refused > ROUNDS // 20


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def right_answer() -> dict[str, t.Any]:
    """A right first answer."""
    signed = {"attest": _b64(NV.attest), "signature": _b64(NV.signature)}
    keys = {WHERE.ek: TPM.ek_public.raw.hex(), WHERE.ak: TPM.ak_public.raw.hex(), WHERE.idevid: TPM.idevid_public.raw.hex()}
    return {
        "publics": keys,
        "certificates": [_b64(CERTIFICATE)],
        "chain": [_b64(VENDOR.der)],
        "identity": {"manufacturer": "IBM", "firmware": "1.2.3.4", "model": "SW"},
        "nv_certify": signed,
        "quote": {**signed, "pcrs": {"0": "00" * 32, "7": "ff" * 32}},
        "certify": {"0x81000220": signed},
        "certify_idevid": signed,
    }


def test_answers(rounds: Rounds) -> None:
    good, refused = right_answer(), 0
    assert answers.collected(good, WHERE, None, False).shown.ek_certificate() == CERTIFICATE
    for dice in rounds("answers", 5):
        found = damaged(damaged(good, dice), dice)
        try:
            taken = answers.collected(found, WHERE, None, False)
            taken.shown.ek_certificate()
        except evidence_checks.EvidenceError as error:
            refused += 1
            assert error.reason and error.message.isprintable()
    assert refused > ROUNDS


OBSERVED = {
    "steps": [
        {
            "action": "create_primary",
            "resource": "primary_key 0x81010001",
            "sentence": "make it",
            "object": "0x81010001",
            "kind": "primary_key",
        }
    ],
    "resources": [{"object": "0x81010001", "name": "000b" + "00" * 32, "resource": "primary_key"}],
    "reads": {"public": {"0x81010001": "00"}, "nv_buffer_max": 1024},
}


def test_what_a_profile_says_it_has_seen(rounds: Rounds) -> None:
    """Nothing of it is an error: what is not understood was not seen."""
    handles = ("0x81010001", "0x81020001")
    assert answers.observed_names(OBSERVED, handles) and answers.yet_to_be_made(OBSERVED, handles)
    for dice in rounds("observed", 5):
        found = damaged(damaged(OBSERVED, dice), dice)
        answers.observed_names(found, handles)
        answers.yet_to_be_made(found, handles)


def sample(kind: _answer.Kind) -> t.Any:
    """A value of that kind."""
    if kind.word == "list":
        return [sample(t.cast("_answer.Kind", kind.parts))]
    if kind.parts:
        return {name: sample(one) for name, one in t.cast("dict[str, _answer.Kind]", kind.parts).items()}
    return {"bool": True, "int": 1, "str": "text", "raw": "text", "dict": {"a": {"b": "text"}}}[kind.word]


@pytest.mark.parametrize("name", _answer_tables.TABLES)
def test_what_action_plugins_take(name: str, rounds: Rounds) -> None:
    """Of whatever a module is said to have answered; what is taken can be shown, and handed on as JSON."""
    table = _answer_tables.TABLES[name]
    good = sample(table)
    assert _answer.taken(table, good).keys() == good.keys()
    for dice in rounds(name):
        try:
            taken = _answer.taken(table, damaged(damaged(good, dice), dice))
        except _answer.MalformedError:
            continue
        assert taken.keys() <= good.keys() and json.dumps(taken, allow_nan=False).isascii()


def _relayed(spoil: t.Callable[[soft_device.Told], soft_device.Told]) -> bool:
    """A comparison with spoilt answers: nothing to do, or a word that says why not (then true). What is shown is printable."""
    compared = soft_device.SoftDevice(lambda _asked, told: spoil(told)).compare()
    assert (compared.result is None) is bool(compared.why) and compared.why.isprintable()
    if compared.result is not None:
        taken = _answer.taken(_answer_tables.TABLES["tpm2_profile"], compared.result)
        assert json.dumps(taken, allow_nan=False).isascii()
    return compared.result is None


def _served(spoil: t.Callable[[soft_device.Told], soft_device.Told]) -> None:
    """The same from the controller, with the relay serving: a result, or one sentence. One answer in twelve is spoilt."""
    turns = iter(range(1000))
    try:
        result = soft_device.SoftDevice(lambda _asked, told: spoil(told) if next(turns) % 12 == 3 else told).check()
    except remote.ElsewhereError:
        return
    assert result["reason"] if result.get("failed") else not result["changed"] or result["steps"]
    assert json.dumps(_answer.taken(_answer_tables.TABLES["tpm2_profile"], result), allow_nan=False).isascii()


def test_what_a_relay_answers(rounds: Rounds) -> None:
    refused = 0
    for dice in rounds("relay"):
        refused += _relayed(lambda told: damaged(damaged(told, dice), dice))  # noqa: B023 - called at once
        _served(lambda told: damaged(told, dice))  # noqa: B023 - called at once
    assert refused > ROUNDS // 2


def test_what_a_tpm_and_files_say_through_a_relay(rounds: Rounds) -> None:
    """Each answer has the right form, and the bytes in it are spoilt; a response says its own size all the same."""

    def spoil(told: soft_device.Told, dice: random.Random) -> soft_device.Told:
        answers = list(told["answers"])
        for _each in range(dice.randint(1, 2)) if answers else ():
            at = dice.randrange(len(answers))
            if isinstance(answers[at], str):
                head, body = bytes.fromhex(answers[at])[:10], spoilt(bytes.fromhex(answers[at])[10:] or b"?", dice)
                answers[at] = (head[:2] + (10 + len(body)).to_bytes(4, "big") + head[6:] + body).hex()
            elif isinstance(answers[at], dict) and "data" in answers[at]:
                answers[at] = {**answers[at], "data": _b64(spoilt(base64.b64decode(answers[at]["data"]), dice))}
        return {**told, "answers": answers}

    refused = 0
    for dice in rounds("relayed"):
        refused += _relayed(functools.partial(spoil, dice=dice))
        _served(functools.partial(spoil, dice=dice))
    assert refused > ROUNDS // 2


def test_records(rounds: Rounds) -> None:
    """A birth record may come from another factory's controller, or from whoever pretends to be one."""
    text = json.dumps({"payload": _b64(b"{}"), "payloadType": "application/json", "signatures": [{"sig": _b64(b"x")}]}).encode()
    for dice in rounds("records"):
        with pytest.raises(TpmError):
            birth_records.verify(spoilt(text, dice), roots=[ek_lab.pem(VENDOR.der)])
