# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on enrolment with EK certificates: none, wrong ones, and right ones that must not be refused. The EK is a real TPM's.

What speaks against an EK is decided before any nonce is looked at, so one real first answer serves many tests; a second exchange never comes.
"""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import shutil
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support import ek_lab
from support.enroll import (
    EK,
    ONE,
    Bench,
    Between,
    Desk,
    Device,
    Json,
    altered,
    b64,
    instead,
    later,
    nobody,
    nothing_is_random,
    now,
    unb64,
)
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings

DAY = datetime.timedelta(days=1)
EK_INDEX = "0x1c00002"
MakeSwtpm = t.Callable[..., Swtpm]


@dataclasses.dataclass
class Maker:
    """A vendor of the lab below whose root is the trust bundle, and the desk that believes it."""

    root: ek_lab.Authority
    key: ek_lab.PublicKey
    answer: Json
    desk: Desk

    def refused(self, certificates: t.Sequence[bytes], reason: str, sentence: str, chain: t.Sequence[bytes] = (), **options: t.Any) -> str:
        """A device that has these in NV is not believed."""
        answer = {**self.answer, "certificates": [b64(one) for one in certificates], "chain": [b64(one) for one in chain]}
        attack = Between(nobody, instead(answer))
        said = self.desk.refused(attack, reason, sentence, **options)
        assert attack.asked == 1
        return said


@pytest.fixture
def maker(bench: Bench, tmp_path: pathlib.Path) -> Maker:
    answer = bench.recorded()[0]
    root = ek_lab.root(start=now() - DAY, end=now() + 3650 * DAY)
    path, sha256 = ek_lab.write_bundle(tmp_path / "bundle.pem", root)
    public = names.parse_public(bytes.fromhex(answer["publics"][EK]))
    desk = bench.desk(tmp_path / "desk")
    desk.trust = settings.trust_policy({"bundle": path, "sha256": sha256})
    return Maker(root, _keys.public_key(public), answer, desk)


SPAN = {"start": now() - DAY, "end": now() + 365 * DAY}


# -- right ones


@pytest.mark.parametrize("padding", [b"\x00" * 9, b"\xff" * 700, b"\x00\xff\x00and more"], ids=["zeros", "ones", "others"])
def test_padded_is_cut_and_accepted(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path, padding: bytes) -> None:
    tpm, desk = new_swtpm(bench.state(ONE)), bench.desk(tmp_path / "desk")
    device = Device(tpm.tcti, bench.python)
    padded = altered(certificates=lambda found: [b64(unb64(found[0]) + padding)])
    outcome = desk.enroll(Between(device, padded))
    assert outcome.did == ("enroll",)
    with desk.registry() as registry:
        verdict = registry.devices() and registry.find(serial=desk.plan().serial).verdict  # type: ignore[union-attr]
    assert verdict.rung == "certificate" and verdict.ek_certificate == unb64(device.answers[0]["certificates"][0])


def test_padded_in_nv_is_cut_and_accepted(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    """The whole way, in an NV index that is longer than the certificate, as vendors have it."""
    tpm, desk = new_swtpm(bench.state(ONE)), bench.desk(tmp_path / "desk")
    whole = rewrite(tpm, lambda old: old + b"\xa5" * 300)
    assert desk.enroll(Device(tpm.tcti, bench.python)).did == ("enroll",)
    with desk.registry() as registry:
        found = registry.find(serial=desk.plan().serial)
    assert found and found.verdict and found.verdict.ek_certificate == whole[:-300]


def test_encoded_as_genuine_ones_are(bench: Bench, maker: Maker, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    """A TPM whose vendor does not sort its names, as Nuvoton: enrolled, and what is kept and signed are the vendor's own bytes."""
    tpm, desk = new_swtpm(bench.state(ONE)), bench.desk(tmp_path / "desk")
    root, name = ek_lab.nuvoton_root(**SPAN), ek_lab.in_one_set(t1="id:00001014", t2="swtpm", t3="id:20191023")
    path, sha256 = ek_lab.write_bundle(tmp_path / "vendors.pem", maker.root, root)
    whole = rewrite(tpm, lambda _old: ek_lab.as_nuvoton(root, maker.key, name=name, **SPAN))
    desk.trust = settings.trust_policy({"bundle": path, "sha256": sha256})
    outcome = desk.enroll(Device(tpm.tcti, bench.python))
    assert outcome.verdict and outcome.device
    assert (outcome.did, outcome.verdict.rung, outcome.verdict.overlooked) == (("enroll",), "certificate", ("unsorted_set",))
    with desk.registry() as registry:
        found, record = registry.find(serial=desk.plan().serial), registry.birth_record(outcome.device.ek_name)
    assert found and found.verdict and (found.verdict.ek_certificate, found.verdict.chain) == (whole, (root.der,))
    signed = birth_records.verify(record or "", roots=[(desk.folder / "ca" / "root.pem").read_text()])["ek"]
    (tmp_path / "ek.pem").write_text(signed["certificate"])
    (tmp_path / "root.pem").write_text("".join(signed["chain"]))
    command = ["openssl", "verify", "-trusted", str(tmp_path / "root.pem"), str(tmp_path / "ek.pem")]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.endswith("ek.pem: OK\n")
    assert "(unsorted_set)" in signed["verdict"]["notes"][0]


def rewrite(tpm: Swtpm, change: t.Callable[[bytes], bytes]) -> bytes:
    """Put something else into the NV index of the EK certificate, as a board vendor may who has the platform's auth."""
    tools, path = Tools(tpm.tcti), tpm.state_dir.parent / "ek.cert"
    data = change(tools.nvread(EK_INDEX))
    tools.run("nvundefine", "-C", "p", EK_INDEX)
    path.write_bytes(data)
    attributes = "ppwrite|writedefine|ppread|ownerread|authread|no_da|platformcreate"
    tools.run("nvdefine", "-Q", "-C", "p", "-s", str(len(data)), EK_INDEX, "-a", attributes)
    tools.run("nvwrite", "-Q", "-C", "p", "-i", path, EK_INDEX)
    return data


def no_certificates(tpm: Swtpm) -> None:
    """Remove every certificate of an EK."""
    tools = Tools(tpm.tcti)
    for index in tools.handles("nv-index"):
        if 0x01C00000 <= index < 0x01C00100:
            tools.run("nvundefine", "-C", "p", f"{index:#x}")


# -- what is in NV


def test_missing(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    tpm, desk = new_swtpm(bench.state(ONE)), bench.desk(tmp_path / "desk")
    no_certificates(tpm)
    desk.refused(Device(tpm.tcti, bench.python), "no_certificate", "Could not trust the EK")


def test_garbage_in_nv(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    tpm, desk = new_swtpm(bench.state(ONE)), bench.desk(tmp_path / "desk")
    rewrite(tpm, lambda old: b"\x30\x82\x03\xe8" + old[::-1][4:])
    desk.refused(Device(tpm.tcti, bench.python), "malformed", "Could not trust the EK certificate")


def test_nothing_but_padding_in_nv(maker: Maker) -> None:
    maker.refused([b"\xff" * 1024], "no_certificate", "its NV index holds nothing but padding")


def test_truncated(maker: Maker) -> None:
    whole = maker.root.ek(maker.key, **SPAN)
    maker.refused([whole[:-40]], "malformed", f"it should have {len(whole)} bytes and ends after {len(whole) - 40}")


def test_oversized(maker: Maker) -> None:
    maker.refused(
        [maker.root.ek(maker.key, **SPAN).ljust(8193, b"\0")], "oversized", "it has 8193 bytes, more than the 8192 of the largest"
    )


def test_a_thousand_certificates(maker: Maker) -> None:
    one = maker.root.ek(maker.key, **SPAN)
    # Of whose device nothing is believed, not even which EK it has.
    maker.refused([one] * 1000, "malformed_answer", "its EK certificate has 1000 entries, more than the 16 that there can be", told=False)


def test_a_thousand_certificates_above_it(maker: Maker) -> None:
    one = maker.root.ek(maker.key, **SPAN)
    maker.refused([one], "malformed_answer", "its EK certificate chain has 1000 entries, more than the 256", [one] * 1000, told=False)


def test_the_largest_chain_that_nv_can_hold_helps_nobody(maker: Maker) -> None:
    stranger = ek_lab.root("Stranger", **SPAN)
    junk = [stranger.der.ljust(8192, b"\0")] * 256
    maker.refused([stranger.ek(maker.key, **SPAN)], "unknown_issuer", "CN=Stranger, who issued the EK's certificate, is not known", junk)


# -- what it says


def test_of_another_key(maker: Maker) -> None:
    maker.refused([maker.root.ek(ek_lab.rsa_key().public_key(), **SPAN)], "key_mismatch", "it is for another key than this TPM's EK")


def test_expired(maker: Maker) -> None:
    old = maker.root.ek(maker.key, start=now() - 2 * DAY, end=now() - DAY)
    maker.refused([old], "expired", f"the EK's certificate expired on {now() - DAY:%Y-%m-%d}")


def test_expired_by_the_clock_of_the_controller_alone(maker: Maker) -> None:
    """A certificate that is valid now is none in ten years: the verdict's clock decides, and nothing that the device says of the time."""
    found = maker.root.ek(maker.key, start=now() - DAY, end=now() + DAY)
    maker.refused([found], "expired", f"expired on {now() + DAY:%Y-%m-%d}", clock=later(2))


def test_unknown_root(maker: Maker) -> None:
    stranger = ek_lab.root("Stranger", **SPAN)
    maker.refused([stranger.ek(maker.key, **SPAN)], "unknown_root", "its root CN=Stranger is not in the trust bundle", [stranger.der])


def test_root_with_a_copied_name(maker: Maker) -> None:
    """A root that calls itself as the trusted one does, and has its key identifier."""
    forged = maker.root.ek(maker.key, signer=ek_lab.ecc_key(), **SPAN)
    maker.refused([forged], "bad_signature", "it does not verify")


def test_chain_incomplete(maker: Maker) -> None:
    below = maker.root.sub("Intermediate", **SPAN)
    maker.refused([below.ek(maker.key, **SPAN)], "unknown_issuer", "CN=Intermediate, who issued the EK's certificate, is not known")


def test_chain_complete_by_what_is_in_nv(maker: Maker) -> None:
    """With the missing CA out of the TPM the same certificate is believed: what then speaks against the answer is its age."""
    below = maker.root.sub("Intermediate", **SPAN)
    maker.refused([below.ek(maker.key, **SPAN)], "wrong_nonce", "it may be an old one", [below.der])


def test_wrong_usage(maker: Maker) -> None:
    tls = ek_lab.ek_extensions(maker.key, purposes=["1.3.6.1.5.5.7.3.1"])
    maker.refused([maker.root.ek(maker.key, extensions=tls, **SPAN)], "wrong_usage", "Could not trust the EK certificate")


def test_of_a_ca(maker: Maker) -> None:
    ca = ek_lab.ek_extensions(maker.key, ca=True, allowed=["key_cert_sign"])
    maker.refused([maker.root.ek(maker.key, extensions=ca, **SPAN)], "not_a_leaf", "Could not trust the EK certificate")


def test_revoked_whatever_is_pinned(maker: Maker) -> None:
    found = maker.root.ek(maker.key, **SPAN)
    number = x509.load_der_x509_certificate(found).serial_number
    crl = maker.root.crl(number, start=now() - DAY, end=now() + DAY)
    maker.desk.trust = maker.desk.trust._replace(crls=(crl,))
    public = names.parse_public(bytes.fromhex(maker.answer["publics"][EK]))
    for pinned in (None, _keys.spki_sha256(public)):
        maker.refused([found], "revoked", "ask the vendor why", pinned=pinned)


def test_of_a_manufacturer_who_is_not_allowed(maker: Maker) -> None:
    maker.desk.trust = maker.desk.trust._replace(manufacturers=frozenset(["IFX"]))
    maker.refused(
        [maker.root.ek(maker.key, **SPAN)], "manufacturer_not_allowed", "its manufacturer 'IBM' is not among those that are allowed"
    )


def test_of_another_manufacturer_than_the_tpm_says(maker: Maker) -> None:
    infineon = ek_lab.ek_extensions(maker.key, name=ek_lab.directory_name("id:49465800"))
    maker.refused([maker.root.ek(maker.key, extensions=infineon, **SPAN)], "manufacturer_mismatch", "it names the manufacturer 'IFX'")


def test_without_a_bundle_nobody_is_believed(maker: Maker) -> None:
    maker.desk.trust = settings.trust_policy({})
    maker.refused([maker.root.ek(maker.key, **SPAN)], "no_bundle", "Could not trust the EK")


# -- the EK itself


def test_pinned_is_another_ek(maker: Maker) -> None:
    maker.refused([maker.root.ek(maker.key, **SPAN)], "pin_mismatch", "but the manifest pins " + "ab" * 32, pinned="ab" * 32)


def test_what_is_no_ek_is_none_for_a_pin_either(maker: Maker) -> None:
    """A key that decrypts whatever is sent to it would give the secret away; the pin is of its key."""
    public = names.parse_public(bytes.fromhex(maker.answer["publics"][EK]))
    word = (public.attributes & ~0x10000).to_bytes(4, "big")  # without restricted
    maker.answer = {**maker.answer, "publics": {**maker.answer["publics"], EK: (public.raw[:4] + word + public.raw[8:]).hex()}}
    maker.refused([maker.root.ek(maker.key, **SPAN)], "not_an_ek", "it lacks restricted", pinned=_keys.spki_sha256(public))


def test_weak_ek(maker: Maker) -> None:
    weak = ek_lab.ek_area("ek_rsa_2048", rsa.RSAPublicNumbers(65537, ek_lab.roca_modulus()).public_key())
    maker.answer = {**maker.answer, "publics": {**maker.answer["publics"], EK: weak.raw.hex()}}
    maker.refused([], "weak_key", "its RSA key bears the ROCA fingerprint (CVE-2017-15361)", pinned=_keys.spki_sha256(weak))


def test_ek_whose_point_is_on_no_curve(maker: Maker) -> None:
    public = ek_lab.ek_area("ek_ecc_p256", ec.generate_private_key(ec.SECP256R1()).public_key())
    off = public.raw[:-1] + bytes([public.raw[-1] ^ 1])
    maker.answer = {**maker.answer, "publics": {**maker.answer["publics"], EK: off.hex()}}
    maker.refused([], "not_an_ek", "its public area holds no key that can exist", pinned="ab" * 32)


def test_the_answer_was_a_right_one(maker: Maker, bench: Bench) -> None:
    """With the vendor's own trust, only its age speaks against it: what the tests above say is said of the certificates."""
    shutil.rmtree(maker.desk.folder)
    desk = bench.desk(maker.desk.folder)
    desk.refused(Between(nobody, instead(maker.answer)), "wrong_nonce", "it may be an old one")


def made_up_for(maker: Maker) -> dict[str, list[bytes]]:
    """What a pinned device may have in NV, by the reason against it."""
    key, root = maker.key, maker.root
    stranger = ek_lab.root("Stranger", **SPAN)
    return {
        "no_certificate": [],
        "malformed": [b"\x30\x03abc"],
        "oversized": [root.ek(key, **SPAN).ljust(8193, b"\0")],
        "key_mismatch": [root.ek(ek_lab.rsa_key().public_key(), **SPAN)],
        "expired": [root.ek(key, start=now() - 2 * DAY, end=now() - DAY)],
        "unknown_issuer": [stranger.ek(key, **SPAN)],
        "bad_signature": [root.ek(key, signer=ek_lab.ecc_key(), **SPAN)],
        "wrong_usage": [root.ek(key, extensions=ek_lab.ek_extensions(key, purposes=["1.3.6.1.5.5.7.3.1"]), **SPAN)],
        "not_a_leaf": [root.ek(key, extensions=ek_lab.ek_extensions(key, ca=True, allowed=["key_cert_sign"]), **SPAN)],
        "manufacturer_mismatch": [root.ek(key, extensions=ek_lab.ek_extensions(key, name=ek_lab.directory_name("id:49465800")), **SPAN)],
    }


REASONS = ("no_certificate", "malformed", "oversized", "key_mismatch", "expired", "unknown_issuer", "bad_signature")
REASONS += ("wrong_usage", "not_a_leaf", "manufacturer_mismatch")


@pytest.mark.parametrize("reason", REASONS)
def test_a_pin_makes_up_for_a_certificate(maker: Maker, bench: Bench, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """The device gets in, with that against its certificate written down, a birth record that verifies, and a name of its own."""
    nothing_is_random(monkeypatch)
    first, second = bench.recorded()
    first = {**first, "certificates": [b64(one) for one in made_up_for(maker)[reason]], "chain": []}
    pinned = _keys.spki_sha256(names.parse_public(bytes.fromhex(first["publics"][EK])))
    # Without an LDevID: what it signed for its request has the TPM's other name in it.
    del second["signatures"]
    outcome = maker.desk.enroll(Between(nobody, instead(first), instead(second)), pinned=pinned.upper())
    assert outcome.verdict and (outcome.verdict.rung, outcome.verdict.reason) == ("pinned", reason)
    assert outcome.device
    with maker.desk.registry() as registry:
        record = registry.birth_record(outcome.device.ek_name)
    found = birth_records.verify(record or "", roots=[(maker.desk.folder / "ca" / "root.pem").read_text()])
    assert (found["ek"]["verdict"]["rung"], found["ek"]["verdict"]["reason"]) == ("pinned", reason)
    for one in outcome.device.certificates.values():
        assert bytes.fromhex(pinned) in x509.load_pem_x509_certificate(one.pem.encode()).public_bytes(serialization.Encoding.DER)
