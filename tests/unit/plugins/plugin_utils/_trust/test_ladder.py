# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trust ladder: every rung, every reason against a certificate, and what a pin makes up for."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import pathlib
import typing as t

import pytest
from cryptography import x509
from support import ek_lab
from support.ek_lab import NOW, YEAR

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, ladder, verdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.ladder import EkEvidence, Policy


@dataclasses.dataclass
class Line:
    """A vendor with one intermediate CA, its bundle, and a device with its EK."""

    root: ek_lab.Authority
    middle: ek_lab.Authority
    bundle: bundle.Bundle
    key: ek_lab.PublicKey
    ek: names.Public
    folder: pathlib.Path

    @functools.cached_property
    def certificate(self) -> bytes:
        return self.middle.ek(self.key)

    def judge(self, certificate: bytes | None, *, now: datetime.datetime = NOW, pinned: str | None = None, **more: t.Any) -> EkVerdict:
        device = {"ek_public": self.ek, "manufacturer": "IBM", "firmware": "8217.4131.0.0"}
        device.update({name: more.pop(name) for name in ("ek_public", "manufacturer", "firmware", "chain") if name in more})
        policy = Policy(**{"bundle": self.bundle, **more})
        return ladder.judge(EkEvidence(certificate=certificate, **device), policy, now=now, pinned=pinned)

    @property
    def pin(self) -> str:
        return _keys.spki_sha256(self.ek)

    def serial(self, der: bytes) -> int:
        return x509.load_der_x509_certificate(der).serial_number


@pytest.fixture
def line(tmp_path: pathlib.Path) -> Line:
    root = ek_lab.root()
    middle = root.sub("Lab TPM CA")
    key = ek_lab.ecc_key().public_key()
    loaded = bundle.load_bundle(*ek_lab.write_bundle(tmp_path / "bundle.pem", root, middle))
    return Line(root, middle, loaded, key, ek_lab.ek_area("ek_ecc_p256", key), tmp_path)


def refused(found: EkVerdict, reason: str, telling: str) -> None:
    assert (found.rung, found.reason) == ("quarantined", reason), found
    assert telling in found.detail
    assert found.detail.endswith(".") and "\n" not in found.detail
    assert reason in verdict.REASONS


def test_a_genuine_certificate(line: Line) -> None:
    found = line.judge(line.certificate)
    assert found.rung == "certificate" and found.reason == "" and found.revocation == "not checked"
    assert found.ek_certificate == line.certificate
    assert found.chain == (line.middle.der, line.root.der)
    assert "'IBM'" in found.detail and "Lab TPM Root" in found.detail
    assert found.notes == (
        "Whether the EK certificate was revoked is not known: there is no CRL of CN=Lab TPM CA and there is no CRL of CN=Lab TPM Root.",
    )


@pytest.mark.parametrize("template", ["ek_rsa_2048", "ek_high_rsa_2048", "ek_rsa_3072", "ek_high_ecc_p256", "ek_ecc_p384", "ek_ecc_p521"])
def test_every_kind_of_ek(line: Line, template: str) -> None:
    curve = template[-4:]
    private = ek_lab.ecc_key(curve) if "_ecc_" in template else ek_lab.rsa_key(int(curve))
    key = private.public_key()
    assert line.judge(line.middle.ek(key), ek_public=ek_lab.ek_area(template, key)).rung == "certificate"


@pytest.mark.parametrize("padding", [b"\0" * 400, b"\xff" * 700, b"\xff\0" * 3])
def test_padding_is_cut(line: Line, padding: bytes) -> None:
    found = line.judge(line.certificate + padding)
    assert found.rung == "certificate" and found.ek_certificate == line.certificate


def test_no_certificate(line: Line) -> None:
    refused(line.judge(None), "no_certificate", "the TPM holds none")
    for empty in (b"", b"\xff" * 900, b"\0"):
        refused(line.judge(empty), "no_certificate", "nothing but padding")


@pytest.mark.parametrize(
    ("spoil", "telling"),
    [
        (lambda der: der[:-1], "ends after"),
        (lambda der: b"\x30", "ends within"),
        (lambda der: b"\x30\x80" + der[4:], "length in it is malformed"),
        (lambda der: b"\x04" + der[1:], "does not begin as"),
        (lambda der: der[:4] + b"\x31" + der[5:], "cannot be read as a certificate"),
        (lambda der: b"\x30\x03\x02\x01\x05", "cannot be read as a certificate"),
    ],
)
def test_malformed(line: Line, spoil: t.Callable[[bytes], bytes], telling: str) -> None:
    refused(line.judge(spoil(line.certificate)), "malformed", telling)


def test_oversized(line: Line) -> None:
    refused(line.judge(line.certificate + bytes(8192)), "oversized", "more than the 8192")


def test_a_certificate_of_another_key(line: Line) -> None:
    refused(line.judge(line.middle.ek(ek_lab.ecc_key().public_key())), "key_mismatch", "for another key than this TPM's EK")


def test_expired_and_not_yet_valid_by_the_controllers_time(line: Line) -> None:
    refused(line.judge(line.certificate, now=NOW + 2 * YEAR), "expired", "expired on 2027-06-01")
    refused(line.judge(line.certificate, now=NOW - 2 * YEAR), "not_yet_valid", "valid only from 2025-06-01")
    allowed = line.judge(line.certificate, now=NOW + 2 * YEAR, allow_expired=True)
    assert allowed.rung == "certificate" and "expired, which the policy allows" in allowed.notes[0]
    refused(line.judge(line.certificate, now=NOW - 2 * YEAR, allow_expired=True), "not_yet_valid", "clock of the controller")


def test_nothing_but_the_date_is_allowed_with_expired_ones(line: Line) -> None:
    forged = line.middle.ek(line.key, signer=ek_lab.ecc_key(), end=NOW - YEAR / 2)
    refused(line.judge(forged, allow_expired=True), "bad_signature", "does not verify")
    stranger = ek_lab.root("Stranger").ek(line.key, end=NOW - YEAR / 2)
    refused(line.judge(stranger, allow_expired=True), "unknown_issuer", "Stranger")


def test_expired_is_said_even_where_the_ca_has_expired(line: Line) -> None:
    old = line.root.sub("Old CA", end=NOW - YEAR / 2)
    refused(line.judge(old.ek(line.key), chain=(old.der,)), "expired", "Old CA")
    assert line.judge(old.ek(line.key), chain=(old.der,), allow_expired=True).rung == "certificate"


def test_chain_incomplete(line: Line) -> None:
    hidden = line.root.sub("Hidden CA")
    refused(line.judge(hidden.ek(line.key)), "unknown_issuer", "Hidden CA")
    assert line.judge(hidden.ek(line.key), chain=(hidden.der,)).rung == "certificate"


def test_unknown_root(line: Line) -> None:
    other = ek_lab.root("Other Root")
    below = other.sub("Other CA")
    found = line.judge(below.ek(line.key), chain=(below.der, other.der))
    refused(found, "unknown_root", "Other Root is not in the trust bundle")
    assert found.chain == (below.der, other.der)


def test_a_forged_root_of_the_same_name(line: Line) -> None:
    fake = ek_lab.root()
    below = fake.sub("Lab TPM CA")
    # By key identifiers the fake CA is another one, and its root is not in the bundle.
    refused(line.judge(below.ek(line.key), chain=(below.der, fake.der)), "unknown_root", "Lab TPM Root")
    refused(line.judge(below.ek(line.key, aki=False), chain=(below.der, fake.der)), "unknown_root", "Lab TPM Root")
    refused(line.judge(below.ek(line.key, aki=False)), "bad_signature", "does not verify")


def test_wrong_usage(line: Line) -> None:
    for purposes in ((), ("1.3.6.1.5.5.7.3.1",), ("2.23.133.8.3",)):
        der = line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, purposes=purposes))
        refused(line.judge(der), "wrong_usage", "does not name EK certificates")
    der = line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, allowed=["digital_signature"]))
    refused(line.judge(der), "wrong_usage", "neither to encipher keys nor to agree")


def test_a_ca_certificate_in_place_of_an_eks(line: Line) -> None:
    der = line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, ca=True))
    refused(line.judge(der), "not_a_leaf", "certificate of a CA")
    der = line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, allowed=["key_agreement", "key_cert_sign"]))
    refused(line.judge(der), "not_a_leaf", "certificate of a CA")


def test_no_bundle_denies(line: Line) -> None:
    refused(line.judge(line.certificate, bundle=None), "no_bundle", "no trust bundle")
    refused(line.judge(None, bundle=None), "no_certificate", "holds none")


def test_revoked(line: Line) -> None:
    crls = (line.middle.crl(line.serial(line.certificate)), line.root.crl())
    found = line.judge(line.certificate, crls=crls)
    refused(found, "revoked", "list of those that CN=Lab TPM CA has revoked")
    assert found.revocation == "revoked"
    found = line.judge(line.certificate, crls=(line.root.crl(line.middle.certificate.serial_number),))
    refused(found, "revoked", "the certificate of CN=Lab TPM CA")


def test_good_by_crls(line: Line) -> None:
    found = line.judge(line.certificate, crls=(line.middle.crl(5), line.root.crl()))
    assert (found.rung, found.revocation) == ("certificate", "good")


def test_an_old_crl_is_said_and_refused_where_a_fresh_one_is_required(line: Line) -> None:
    """A CRL 300 days old says nothing of what was revoked since."""
    day = datetime.timedelta(days=1)
    old = line.middle.crl(start=NOW - 300 * day, end=NOW - 270 * day)
    telling = "the CRL of CN=Lab TPM CA is of 2025-08-05 and ended on 2025-09-04"
    found = line.judge(line.certificate, crls=(old, line.root.crl()))
    assert (found.rung, found.revocation) == ("certificate", "stale")
    assert found.notes == (f"Whether the EK certificate was revoked is not known: {telling}.",)
    strict = {"require_crl": True, "crls": (old, line.root.crl())}
    found = line.judge(line.certificate, **strict)
    refused(found, "no_fresh_crl", f"whether it was revoked is not known, as {telling}; fetch the CAs' CRLs anew")
    assert found.revocation == "stale"
    # A pin is the owner's own word.
    assert line.judge(line.certificate, pinned=line.pin, **strict).rung == "pinned"


@pytest.mark.parametrize("missing", [0, 1])
def test_each_ca_on_the_way_needs_a_fresh_crl(line: Line, missing: int) -> None:
    crls = (line.middle.crl(5), line.root.crl())
    assert line.judge(line.certificate, require_crl=True, crls=crls).revocation == "good"
    refused(line.judge(line.certificate, require_crl=True, crls=(crls[missing],)), "no_fresh_crl", "there is no CRL of CN=Lab TPM")
    short = {"require_crl": True, "crls": crls, "crl_max_age": datetime.timedelta(days=1)}
    refused(line.judge(line.certificate, **short), "no_fresh_crl", "more than 1 days old")


def test_what_is_required_does_not_hide_a_revocation_or_an_unknown_root(line: Line) -> None:
    crls = (line.middle.crl(line.serial(line.certificate), start=NOW - 2 * YEAR, end=NOW - YEAR),)
    refused(line.judge(line.certificate, require_crl=True, crls=crls, pinned=line.pin), "revoked", "has revoked")
    stranger = ek_lab.root("Stranger")
    found = line.judge(stranger.ek(line.key), chain=(stranger.der,), crls=(stranger.crl(),))
    refused(found, "unknown_root", "Stranger")
    assert found.revocation == "not checked"


def test_manufacturers(line: Line) -> None:
    assert line.judge(line.certificate, manufacturers=frozenset({"ibm"})).rung == "certificate"
    assert line.judge(line.certificate, manufacturers=frozenset({"id:00001014"})).rung == "certificate"
    for allowed in ({"IFX"}, set[str]()):
        refused(line.judge(line.certificate, manufacturers=frozenset(allowed)), "manufacturer_not_allowed", "'IBM' is not among")
    refused(
        line.judge(line.certificate, manufacturer="STM"), "manufacturer_mismatch", "names the manufacturer 'IBM', but the TPM says 'STM'"
    )


def test_a_certificate_that_names_no_manufacturer(line: Line) -> None:
    anonymous = ek_lab.ek_extensions(line.key, name=ek_lab.directory_name(None))
    for tpm in ("IBM", ""):
        refused(line.judge(line.middle.ek(line.key, extensions=anonymous), manufacturer=tpm), "manufacturer_mismatch", "of nobody")
    found = line.judge(line.middle.ek(line.key, extensions=anonymous), manufacturers=frozenset({"IBM"}))
    refused(found, "manufacturer_not_allowed", "of nobody")


def test_an_unknown_manufacturer_is_compared_by_its_number(line: Line) -> None:
    named = ek_lab.ek_extensions(line.key, name=ek_lab.directory_name("id:58595A20"))
    assert line.judge(line.middle.ek(line.key, extensions=named), manufacturer="XYZ").rung == "certificate"


def test_two_manufacturers_in_one_certificate(line: Line) -> None:
    names_ = [x509.DirectoryName(ek_lab.directory_name(one)) for one in ("id:49465800", "id:00001014")]
    _san, *rest = ek_lab.ek_extensions(line.key)
    der = line.middle.ek(line.key, extensions=[(x509.SubjectAlternativeName(names_), True), *rest])
    refused(line.judge(der), "malformed", "two values of 2.23.133.2.1")


def test_what_a_certificate_says_cannot_break_a_line(line: Line) -> None:
    evil = ek_lab.ek_extensions(line.key, name=ek_lab.directory_name("id:1\nFAKE LOG LINE \x1b[2J" + "x" * 500))
    found = line.judge(line.middle.ek(line.key, extensions=evil, subject=ek_lab.common_name("a\nb" + "\x07")), now=NOW + 2 * YEAR)
    refused(found, "expired", "CN=a b\\x07")
    found = line.judge(line.middle.ek(line.key, extensions=evil))
    refused(found, "manufacturer_mismatch", "id:1 fake log line")
    assert found.detail.isprintable() and len(found.detail) < 400


def test_firmware_is_only_a_note(line: Line) -> None:
    found = line.judge(line.certificate, firmware="7.85.4555.0")
    assert found.rung == "certificate"
    assert found.notes[1:] == (
        "The EK certificate was made for firmware 20191023, the TPM has 7.85.4555.0; it was updated since, or the vendor counts otherwise.",
    )
    for version in ("id:00070055", "id:0755"):
        der = line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, name=ek_lab.directory_name(version=version)))
        assert len(line.judge(der, firmware="7.85.4555.0").notes) == 1
    assert len(line.judge(line.certificate, firmware="").notes) == 1


def rsa_area(modulus: int, bits: int = 2048) -> names.Public:
    template = templates.primary("ek_rsa_2048")
    raw = template.raw[: -len(template.unique)] + (bits // 8).to_bytes(2, "big") + modulus.to_bytes(bits // 8, "big")
    return names.parse_public(raw.replace(b"\x08\x00\0\0\0\0", bits.to_bytes(2, "big") + bytes(4), 1))


def test_weak_keys_whatever_else_vouches_for_them(line: Line) -> None:
    cracked = rsa_area(ek_lab.roca_modulus())
    refused(line.judge(None, ek_public=cracked, pinned=_keys.spki_sha256(cracked)), "weak_key", "ROCA fingerprint")
    key = ek_lab.rsa_key(1024).public_key()
    short = rsa_area(key.public_numbers().n, 1024)
    refused(line.judge(line.middle.ek(key), ek_public=short, pinned=_keys.spki_sha256(short)), "weak_key", "1024 bits")


@pytest.mark.parametrize(
    ("modulus", "bits", "telling"),
    [(1 << 2047, 2048, "an even modulus"), (1 << 16391 | 1, 16392, "16392 bits, more than 16384")],
    ids=["even", "long"],
)
def test_a_modulus_that_cannot_exist_is_weak(line: Line, modulus: int, bits: int, telling: str) -> None:
    public = rsa_area(modulus, bits)
    refused(
        line.judge(line.certificate, ek_public=public, pinned=line.pin), "weak_key", f"Could not trust the EK: its RSA key has {telling}"
    )


def test_what_is_no_ek_whatever_else_vouches_for_it(line: Line) -> None:
    for change, telling in (
        ({"attributes": line.ek.attributes & ~0x2}, "lacks fixedtpm"),
        ({"attributes": line.ek.attributes & ~0x10000}, "lacks restricted"),
        ({"attributes": line.ek.attributes | 0x40000}, "has sign"),
        ({"auth_policy": b""}, "its policy is empty"),
    ):
        refused(line.judge(line.certificate, ek_public=line.ek._replace(**change), pinned=line.pin), "not_an_ek", telling)
    off_curve = ek_lab.ek_area("ek_ecc_p256", line.key)
    off_curve = off_curve._replace(unique=off_curve.unique[:-1] + bytes([off_curve.unique[-1] ^ 1]))
    refused(line.judge(line.certificate, ek_public=off_curve, pinned=line.pin), "not_an_ek", "no key that can exist")


def test_a_pin_that_does_not_match_quarantines_whatever_the_certificate_says(line: Line) -> None:
    refused(line.judge(line.certificate, pinned="0" * 64), "pin_mismatch", f"its SHA-256 is {line.pin}")
    refused(line.judge(None, pinned=""), "pin_mismatch", "but the manifest pins")


def test_a_pin_that_matches_beside_a_good_certificate(line: Line) -> None:
    assert line.judge(line.certificate, pinned=line.pin.upper()).rung == "certificate"


def lifted() -> dict[str, t.Callable[[Line], EkVerdict]]:
    """For every reason that a pin lifts, a device that has it."""
    stranger = ek_lab.root("Stranger")
    usage = {"purposes": ["1.3.6.1.5.5.7.3.1"]}
    return {
        "no_certificate": lambda line: line.judge(None, pinned=line.pin),
        "no_fresh_crl": lambda line: line.judge(line.certificate, pinned=line.pin, require_crl=True),
        "malformed": lambda line: line.judge(b"\x30\x01\x01", pinned=line.pin),
        "oversized": lambda line: line.judge(b"\x30" * 9000, pinned=line.pin),
        "key_mismatch": lambda line: line.judge(line.middle.ek(ek_lab.ecc_key().public_key()), pinned=line.pin),
        "expired": lambda line: line.judge(line.certificate, pinned=line.pin, now=NOW + 2 * YEAR),
        "not_yet_valid": lambda line: line.judge(line.certificate, pinned=line.pin, now=NOW - 2 * YEAR),
        "unknown_issuer": lambda line: line.judge(stranger.ek(line.key), pinned=line.pin),
        "unknown_root": lambda line: line.judge(stranger.ek(line.key), pinned=line.pin, chain=(stranger.der,)),
        "bad_signature": lambda line: line.judge(line.middle.ek(line.key, signer=ek_lab.ecc_key()), pinned=line.pin),
        "wrong_usage": lambda line: line.judge(
            line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, **usage)), pinned=line.pin
        ),
        "not_a_leaf": lambda line: line.judge(
            line.middle.ek(line.key, extensions=ek_lab.ek_extensions(line.key, ca=True)), pinned=line.pin
        ),
        "manufacturer_not_allowed": lambda line: line.judge(line.certificate, pinned=line.pin, manufacturers=frozenset({"IFX"})),
        "manufacturer_mismatch": lambda line: line.judge(line.certificate, pinned=line.pin, manufacturer="IFX"),
        "no_bundle": lambda line: line.judge(line.certificate, pinned=line.pin, bundle=None),
    }


@pytest.mark.parametrize("reason", sorted(set(verdict.REASONS) - set(verdict.FINAL)))
def test_a_pin_that_matches_lifts(line: Line, reason: str) -> None:
    found = lifted()[reason](line)
    assert (found.rung, found.reason) == ("pinned", reason)
    assert found.detail.startswith("The EK is trusted by the hash that the manifest pins")


def test_a_pin_does_not_lift_a_revocation_even_behind_other_reasons(line: Line) -> None:
    crls = (line.middle.crl(line.serial(line.certificate)),)
    refused(line.judge(line.certificate, pinned=line.pin, crls=crls), "revoked", "serial number")
    # The first thing to be found is that it has expired, or that it is another vendor's.
    refused(line.judge(line.certificate, pinned=line.pin, crls=crls, now=NOW + 2 * YEAR), "revoked", "serial number")
    refused(line.judge(line.certificate, pinned=line.pin, crls=crls, manufacturer="IFX"), "revoked", "serial number")


def test_an_infineon_certificate(line: Line) -> None:
    private = ek_lab.rsa_key()
    public = ek_lab.ek_area("ek_rsa_2048", private.public_key())
    name = ek_lab.directory_name("id:49465800", "SLB9670", "id:0755")
    plain = line.middle.ek(private.public_key(), extensions=ek_lab.ek_extensions(private.public_key(), name=name))
    der = ek_lab.as_infineon(plain, line.middle.key)
    with pytest.raises(Exception, match="[Uu]nsupported|[Uu]nknown"):
        x509.load_der_x509_certificate(der).public_key()
    found = line.judge(der, ek_public=public, manufacturer="IFX", firmware="7.85.4555.0", manufacturers=frozenset({"IFX"}))
    assert found.rung == "certificate", found
    assert len(found.notes) == 2 and "RSAES-OAEP" in found.notes[0]
    assert found.overlooked == ("oaep_key",)


def test_a_nuvoton_certificate(line: Line) -> None:
    """Names in sets that are not sorted, in the EK certificate, its issuer and the root; what is kept is what is in the TPM."""
    root = ek_lab.nuvoton_root()
    loaded = bundle.load_bundle(*ek_lab.write_bundle(line.folder / "nuvoton.pem", line.root, root))
    whole = ek_lab.as_nuvoton(root, line.key)
    found = line.judge(whole + b"\xff" * 9, bundle=loaded, manufacturer="NTC", firmware="7.2.0.1", manufacturers=frozenset({"NTC"}))
    assert (found.rung, found.reason, found.overlooked) == ("certificate", "", ("unsorted_set",)), found
    assert (found.ek_certificate, found.chain) == (whole, (root.der,))
    assert "(unsorted_set)" in found.notes[0] and "Lab Like Nuvoton Root 2111" in " ".join(found.notes)
    # Whoever else has that name is nobody.
    other = bundle.load_bundle(*ek_lab.write_bundle(line.folder / "other.pem", ek_lab.nuvoton_root()))
    refused(line.judge(whole, bundle=other, manufacturer="NTC"), "unknown_issuer", "is not known")
    # The same words, signed by the same key, are another issuer where they are written in another order.
    plain = root.ek(line.key, extensions=ek_lab.ek_extensions(line.key, name=ek_lab.NUVOTON_TPM))
    refused(line.judge(plain, bundle=loaded, manufacturer="NTC"), "bad_signature", "encoded in another way")


@pytest.mark.parametrize(("change", "rule"), [(ek_lab.explicit, "explicit_default"), (ek_lab.nulled, "null_parameters")])
def test_intel_certificates(line: Line, change: t.Callable[..., t.Any], rule: str) -> None:
    whole = ek_lab.signed_anew(line.certificate, line.middle.key, change)
    found = line.judge(whole)
    assert (found.rung, found.overlooked, found.ek_certificate) == ("certificate", (rule,), whole), found
    forged = ek_lab.signed_anew(line.certificate, ek_lab.ecc_key(), change)
    refused(line.judge(forged), "bad_signature", "does not verify")


def test_a_root_that_writes_its_name_as_another_type_of_string(line: Line) -> None:
    """As STMicroelectronics' ECC root and the CAs below it."""
    root = ek_lab.signed_anew(line.root.der, line.root.key, ek_lab.printable)
    (line.folder / "st.pem").write_bytes(ek_lab.pem(root, line.middle.der))
    loaded = bundle.load_bundle(str(line.folder / "st.pem"), hashlib.sha256((line.folder / "st.pem").read_bytes()).hexdigest())
    found = line.judge(line.certificate, bundle=loaded)
    assert (found.rung, found.overlooked, found.chain) == ("certificate", ("string_types",), (line.middle.der, root)), found
    forged = ek_lab.root().sub("Lab TPM CA").ek(line.key, aki=False)
    refused(line.judge(forged, bundle=loaded), "bad_signature", "it does not verify")


def test_what_follows_a_certificate_in_nv_is_padding(line: Line) -> None:
    for padding in (b"\x01", b"and more", b"\xa5" * 700, b"\xff\x30\x00"):
        found = line.judge(line.certificate + padding)
        assert (found.rung, found.ek_certificate, found.overlooked) == ("certificate", line.certificate, ("trailing_bytes",))


def test_a_record_of_the_registry_can_be_made_of_it(line: Line) -> None:
    from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records

    record = line.judge(line.certificate).registered(NOW)
    records.check_verdict(record)
    assert record.chain == (line.middle.der, line.root.der)
    records.check_verdict(line.judge(None, pinned=line.pin).registered(NOW))
