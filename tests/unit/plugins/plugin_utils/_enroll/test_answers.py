# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of devices, taken apart: what a right one holds, and a sentence for whatever is none."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import tempfile
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from support import birth, ek_lab, lab_ca

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der, pcr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.attestation import Attestation
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence.evidence_checks import EvidenceError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, ladder

WHERE = settings.Handles("0x81010001", "0x81020001", "0x81020000", "idevid_ecc_p256")
TPM = birth.soft_tpm()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def answer(**fields: t.Any) -> dict[str, t.Any]:
    """A right first answer, with other fields where given."""
    keys = {WHERE.ek: TPM.ek_public.raw.hex(), WHERE.ak: TPM.ak_public.raw.hex(), WHERE.idevid: TPM.idevid_public.raw.hex()}
    return {"publics": keys, "certificates": [b64(b"one"), b64(b"two")], "chain": [], "identity": {"manufacturer": "IBM"}, **fields}


def collected(found: dict[str, t.Any], ldevid: str | None = None, *, with_idevid: bool = True) -> answers.Collected:
    return answers.collected(found, WHERE, ldevid, with_idevid)


def broken(found: dict[str, t.Any], sentence: str) -> None:
    with pytest.raises(EvidenceError, match=f"Could not read the device's answer: {sentence}; keep the device out") as caught:
        collected(found)
    assert caught.value.reason == "malformed_answer"


def test_a_right_one() -> None:
    attestation = {"attest": b64(b"attest"), "signature": b64(b"signature")}
    quote = {**attestation, "pcrs": {"0": "00", "07": "ff"}}
    found = collected(answer(nv_certify=attestation, quote=quote, certify={"0x81000220": attestation}, certify_idevid=attestation))
    assert (found.ek, found.ak, found.idevid, found.ldevid) == (TPM.ek_public, TPM.ak_public, TPM.idevid_public, None)
    assert found.certificates == (b"one", b"two") and found.identity == {"manufacturer": "IBM"}
    assert found.nv_certify == found.certify["idevid"] == found.certify["0x81000220"] == Attestation(b"attest", b"signature")
    assert found.values == {0: b"\0", 7: b"\xff"}


def test_what_was_not_asked_for_may_be_missing() -> None:
    found = collected({"publics": answer()["publics"]}, with_idevid=False)
    assert found.idevid is None and found.quote is None and found.values == found.certify == found.identity == {}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"publics": None}, "its keys is missing"),
        ({"publics": {WHERE.ek: "zz"}}, "its EK is no hex"),
        ({"publics": {WHERE.ek: "0001"}}, "its EK is no public area"),
        ({"publics": {WHERE.ek: TPM.ek_public.raw.hex()}}, "its AK is missing"),
        ({"publics": {**answer()["publics"], WHERE.idevid: 7}}, "its IDevID is missing"),
        ({"certificates": "one"}, "its EK certificate is no list"),
        ({"certificates": ["one!"]}, "its EK certificate is no base64"),
        ({"certificates": [None]}, "its EK certificate is missing"),
        ({"certificates": [""] * 17}, "its EK certificate has 17 entries, more than the 16 that there can be"),
        ({"chain": [""] * 257}, "its EK certificate chain has 257 entries, more than the 256 that there can be"),
        ({"nv_certify": {"attest": ""}}, "its certified serial number is missing"),
        ({"quote": {"attest": "", "signature": ""}}, "its PCRs is missing"),
        ({"quote": {"attest": "", "signature": "", "pcrs": {"256": "00"}}}, "its PCR indices are not numbers"),
        ({"quote": {"attest": "", "signature": "", "pcrs": {"7": "0"}}}, "its PCRs is no hex"),
        ({"certify": ["x"]}, "its certified keys is missing"),
        ({"certify": {"x": "y"}}, "its certified key is missing"),
        ({"certify_idevid": "x"}, "its certified key is missing"),
    ],
)
def test_broken_ones(fields: dict[str, t.Any], sentence: str) -> None:
    broken(answer(**fields), sentence)


def test_what_a_tpm_calls_itself_becomes_printable() -> None:
    assert collected(answer(identity={"model": "SW\0\0 T\x07M "})).identity == {"model": "SW T\\x07M"}
    assert collected(answer(identity="IBM")).identity == {}


def test_the_certificate_of_the_ek_is_found_among_others() -> None:
    vendor = ek_lab.root()
    own, other = vendor.ek(TPM.ek.public_key()), vendor.ek(ek_lab.ecc_key().public_key())
    chosen = [
        collected(answer(certificates=[b64(one) for one in ders])).shown.ek_certificate()
        for ders in ([b"x", other, own], [other], [b"x"], [])
    ]
    assert chosen == [own, other, b"x", None]


def test_issuers_that_are_known_are_those_that_lead_to_a_root() -> None:
    root = lab_ca.root("Root")
    middle = root.below("Middle")
    low, orphan = middle.below("Low"), lab_ca.root("Elsewhere").below("Orphan")
    # In an order in which none is known before what is below it.
    given = tuple(one.certificate for one in (low, orphan, middle, root))
    found = answers.known_issuers(ladder.Policy(bundle=_bundle(given)))
    assert found == sorted(der.name_hash(one.certificate.subject.public_bytes()) for one in (root, middle, low))
    assert answers.known_issuers(ladder.Policy()) == []


def test_a_vendor_that_does_not_sort_its_names_is_known_by_what_its_certificates_say(tmp_path: pathlib.Path) -> None:
    """As the device takes it out of the EK certificate in NV, byte for byte."""
    root = ek_lab.nuvoton_root()
    loaded = bundle.load_bundle(*ek_lab.write_bundle(tmp_path / "bundle.pem", root))
    issuer = der.issuer_hash(ek_lab.as_nuvoton(root, ek_lab.ecc_key().public_key()))
    assert answers.known_issuers(ladder.Policy(bundle=loaded)) == [issuer]


def _bundle(certificates: t.Sequence[t.Any]) -> bundle.Bundle:
    data = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "bundle.pem")
        path.write_bytes(data)
        return bundle.load_bundle(str(path), hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    "observed", [None, [], {"resources": 7}, {"resources": [None, {"object": "0x81010001"}, {"name": "x", "object": None}]}]
)
def test_nothing_is_observed(observed: t.Any) -> None:
    assert answers.observed_names(observed, (WHERE.ek, WHERE.ak)) == {}


@pytest.mark.parametrize(
    "observed",
    [None, [], {"steps": 7}, {"steps": [None, {}, {"action": "create_primary"}, {"action": "create_primary", "object": "0x81010001"}]}],
)
def test_nothing_is_yet_to_be_made(observed: t.Any) -> None:
    assert answers.yet_to_be_made(observed, (WHERE.ek, WHERE.ak)) == frozenset()


def test_what_is_yet_to_be_made() -> None:
    steps = [
        {"kind": "primary_key", "object": "0x81010001", "action": "create_primary"},
        {"kind": "primary_key", "object": "0x81020001", "action": "export"},
        {"kind": "primary_key", "object": "0x81000001", "action": "create_primary"},
    ]
    assert answers.yet_to_be_made({"steps": steps}, (WHERE.ek, WHERE.ak)) == {WHERE.ek}


@pytest.mark.parametrize(
    ("given", "taken"), [("TPM_RC_VALUE", "TPM_RC_VALUE"), ("no_tpm", "no_tpm"), ("two words", ""), ("x" * 65, ""), (7, ""), (None, "")]
)
def test_a_devices_reason_is_one_word(given: t.Any, taken: str) -> None:
    assert answers.word(given) == taken


def test_a_device_that_has_no_ak_yet_shows_its_ek() -> None:
    found = answers.shown(answer(publics={WHERE.ek: TPM.ek_public.raw.hex()}), WHERE)
    assert (found.ek, found.ak, found.certificates) == (TPM.ek_public, None, (b"one", b"two"))
    assert answers.shown(answer(), WHERE) == collected(answer()).shown


def test_what_is_observed_however_a_handle_is_written() -> None:
    rows = [{"object": "0X81010001", "name": "aa"}, {"object": "2164391937", "name": "bb"}, {"object": "0x81000001", "name": "cc"}]
    assert answers.observed_names({"resources": rows}, (WHERE.ek, WHERE.ak)) == {WHERE.ek: "aa", WHERE.ak: "bb"}


def test_pcrs_and_digests_as_the_module_takes_them() -> None:
    assert answers.selection(None) is None
    assert answers.selection(pcr.Selection("sha256", (0, 7))) == {"bank": "sha256", "indices": [0, 7]}
    assert answers.digest(b"x", "sha384") == hashlib.sha384(b"x").hexdigest()


def test_what_is_missing() -> None:
    error = answers.missing("the PCRs without a quote", "no_quote")
    assert (error.reason, error.message) == (
        "no_quote",
        "Could not accept the PCRs without a quote: the device omitted it; keep it out.",
    )
