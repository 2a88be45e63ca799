# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opening a CA, with everything that can be wrong with it, and issuing: each field of the profile."""

from __future__ import annotations

import datetime
import hashlib
import pathlib
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from support import lab_ca
from support.lab_ca import DAY, NOW

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.chain import CertificateError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.keys import AuthorityError, KeyTypeError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import certificates, der

SUBJECT = profile.DeviceSubject("SN-0001", b"49424D00:AB12:01", organization="Edge Fleet")
KEY = lab_ca.new_key()
PUBLIC = lab_ca.public_pem(KEY)
LIFETIME = 90 * DAY


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> lab_ca.Files:
    return lab_ca.write(tmp_path_factory.mktemp("ca"))


def load(options: dict[str, t.Any]) -> authority.Authority:
    return authority.load_authority(options, now=NOW)


def issue(ca: authority.Authority, kind: str, **options: t.Any) -> x509.Certificate:
    lifetime = LIFETIME if kind == "ldevid" else None
    found = ca.issue(kind, PUBLIC, SUBJECT, **{"now": NOW, "lifetime": lifetime, **options})
    return chain.load(found.pem, "the certificate")[0]


def value(certificate: x509.Certificate, kind: type[t.Any]) -> tuple[t.Any, bool]:
    found = certificate.extensions.get_extension_for_class(kind)
    return found.value, found.critical


# Opening ---------------------------------------------------------------------------------------------------------------------------


def test_a_right_ca_opens_and_does_not_show_its_key(files: lab_ca.Files) -> None:
    found = load(files.options)
    assert repr(found) == "<Authority CN=Lab Device CA>"
    assert [certificates.label(one) for one in found.upper] == ["CN=Lab Root"]
    assert lab_ca.PASSWORD not in repr(vars(found))


def test_the_chain_may_be_in_the_certificate_file_in_any_order(tmp_path: pathlib.Path) -> None:
    top = lab_ca.root()
    middle = top.below("Middle")
    files = lab_ca.write(tmp_path, above=top, below=middle.below("Device CA"))
    text = "".join(lab_ca.pem(one.certificate) for one in (files.ca, top, middle))
    pathlib.Path(files.options["certificate"]).write_text(text)
    found = load({name: value for name, value in files.options.items() if name != "chain"})
    assert [certificates.label(one) for one in found.upper] == ["CN=Middle", "CN=Lab Root"]
    assert [certificates.label(one) for one in chain.load(found.issue("iak", PUBLIC, SUBJECT, now=NOW).pem, "")][1:] == [
        "CN=Device CA",
        "CN=Middle",
    ]


def test_a_self_signed_ca_adds_nothing_to_the_leaf(tmp_path: pathlib.Path) -> None:
    top = lab_ca.root()
    files = lab_ca.write(tmp_path, above=top, below=top)
    assert load(files.options).issue("iak", PUBLIC, SUBJECT, now=NOW).pem.count("BEGIN CERTIFICATE") == 1


def test_the_clock_is_asked_where_no_time_is_given(tmp_path: pathlib.Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    top = lab_ca.root()
    valid = lab_ca.write(tmp_path / "valid", above=top, below=top.below("Valid", not_before=now - DAY, not_after=now + DAY))
    assert authority.load_authority(valid.options).certificate == valid.ca.certificate
    over = lab_ca.write(tmp_path / "over", above=top, below=top.below("Over", not_before=now - 2 * DAY, not_after=now - DAY))
    with pytest.raises(AuthorityError, match="expired on"):
        authority.load_authority(over.options)


WRONG_CAS: list[tuple[str, dict[str, t.Any], str]] = [
    ("expired", {"not_after": NOW - DAY}, "the certificate of CN=Device CA expired on 2026-05-31"),
    ("not_yet", {"not_before": NOW + DAY}, "the certificate of CN=Device CA is valid only from 2026-06-02 on"),
    ("no_ca", {"ca": False}, "the certificate of CN=Device CA is not a CA's, so it must not issue others"),
    ("no_constraints", {"ca": None}, "the certificate of CN=Device CA is not a CA's, so it must not issue others"),
    ("no_cert_sign", {"cert_sign": False}, "the key usage of CN=Device CA does not allow it to sign certificates"),
    ("no_subject", {"name": ""}, "its subject is empty"),
]


@pytest.mark.parametrize(("options", "told"), [one[1:] for one in WRONG_CAS], ids=[one[0] for one in WRONG_CAS])
def test_a_ca_that_cannot_issue(tmp_path: pathlib.Path, options: dict[str, t.Any], told: str) -> None:
    top = lab_ca.root()
    files = lab_ca.write(tmp_path, above=top, below=top.below(**{"name": "Device CA", **options}))
    with pytest.raises(AuthorityError, match=rf"Could not use .*ca\.pem as CA: {told}; "):
        load(files.options)


@pytest.mark.parametrize(
    ("top", "told"),
    [
        (lambda: lab_ca.root("Top", "rsa_1024"), "the RSA key of 1024 bits that made it can be broken"),
        (lambda: lab_ca.root("Top", not_after=NOW - DAY), "the certificate of CN=Top expired on 2026-05-31"),
        (lambda: lab_ca.root("Top", path_length=0), "CN=Top may have 0 CAs below it, but there are 1"),
        (lambda: lab_ca.root("Top", extra=[(x509.NameConstraints([x509.DNSName("a")], None), False)]), "has the extension 2.5.29.30"),
    ],
    ids=["weak", "expired", "path_length", "name_constraints"],
)
def test_a_ca_below_one_that_nobody_would_accept(tmp_path: pathlib.Path, top: t.Callable[[], lab_ca.Ca], told: str) -> None:
    """What it signs would be refused by whoever follows its chain; so it signs nothing, neither as CA nor as signer of records."""
    with pytest.raises(AuthorityError, match=told):
        load(lab_ca.write(tmp_path, above=top()).options)


def test_the_key_is_of_another_ca(tmp_path: pathlib.Path) -> None:
    files = lab_ca.write(tmp_path)
    (tmp_path / "ca.key").write_bytes(lab_ca.private_pem(lab_ca.new_key()))
    with pytest.raises(AuthorityError, match="is not the one that it certifies"):
        load(files.options)


def test_the_chain_does_not_lead_up(tmp_path: pathlib.Path) -> None:
    files = lab_ca.write(tmp_path)
    (tmp_path / "root.pem").write_text(lab_ca.pem(lab_ca.root().certificate))
    with pytest.raises(AuthorityError, match="its chain does not lead up, for CN=Lab Root issued neither CN=Lab Device CA nor"):
        load(files.options)


@pytest.mark.parametrize("name", ["certificate", "chain"])
@pytest.mark.parametrize("data", ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_holds_no_certificate(tmp_path: pathlib.Path, name: str, data: str) -> None:
    files = lab_ca.write(tmp_path)
    pathlib.Path(files.options[name]).write_text(data)
    with pytest.raises(CertificateError, match="holds no well-formed certificate"):
        load(files.options)


def test_a_certificate_file_is_absent(tmp_path: pathlib.Path) -> None:
    files = lab_ca.write(tmp_path)
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(AuthorityError, match="Could not read the CA certificate .*: No such file"):
        load(files.options)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"certificate": None}, "takes certificate, and either key or pkcs11"),
        ({"key": None}, "takes certificate, and either key or pkcs11"),
        ({"pkcs11": {"module": "x"}}, "takes certificate, and either key or pkcs11"),
        ({"passphrase": "hidden"}, "it does not know passphrase"),
    ],
)
def test_options_that_make_no_sense(files: lab_ca.Files, change: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        load({**files.options, **change})
    assert "hidden" not in str(caught.value) and lab_ca.PASSWORD not in str(caught.value)


def test_the_password_is_wrong(files: lab_ca.Files) -> None:
    with pytest.raises(AuthorityError, match="the password is wrong"):
        load({**files.options, "password": "x"})


def test_a_signer_need_not_be_a_ca(tmp_path: pathlib.Path) -> None:
    top = lab_ca.root()
    files = lab_ca.write(tmp_path, above=top, below=top.below("Clerk", ca=False))
    signer = authority.load_signer(files.options, now=NOW)
    assert certificates.label(signer.certificate) == "CN=Clerk" and len(signer.key_id) == 64
    with pytest.raises(AuthorityError, match="expired on"):
        authority.load_signer(files.options, now=NOW + 7300 * DAY)


# Issuing ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", profile.KINDS)
def test_what_all_kinds_have(files: lab_ca.Files, kind: str) -> None:
    ca = load(files.options)
    leaf = issue(ca, kind)
    assert leaf.version == x509.Version.v3
    assert leaf.serial_number.bit_length() == 127
    assert leaf.not_valid_before_utc == NOW
    assert leaf.subject.rfc4514_string() == "2.5.4.5=SN-0001,CN=SN-0001,O=Edge Fleet"
    assert leaf.issuer == files.ca.certificate.subject
    assert value(leaf, x509.BasicConstraints) == (x509.BasicConstraints(False, None), True)
    usage, critical = value(leaf, x509.KeyUsage)
    assert critical and usage == x509.KeyUsage(True, *[False] * 8)
    own = files.ca.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert value(leaf, x509.AuthorityKeyIdentifier)[0].key_identifier == own.digest
    assert value(leaf, x509.SubjectKeyIdentifier) == (x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()), False)
    names, critical = value(leaf, x509.SubjectAlternativeName)
    (module,) = names
    assert not critical and module.type_id.dotted_string == "1.3.6.1.5.5.7.8.4"
    assert module.value == bytes.fromhex("3019060567810501020410") + SUBJECT.hardware_serial
    leaf.verify_directly_issued_by(files.ca.certificate)


POLICIES = ["2.23.133.11.1.1", "2.23.133.11.1.2"]


@pytest.mark.parametrize(
    ("kind", "policies", "purposes", "end"),
    [
        ("iak", [*POLICIES, "2.23.133.11.1.3"], ["2.23.133.8.3"], profile.FOREVER),
        ("idevid", POLICIES, None, profile.FOREVER),
        ("ldevid", POLICIES, ["1.3.6.1.5.5.7.3.2"], NOW + LIFETIME),
    ],
)
def test_what_tells_the_kinds_apart(
    files: lab_ca.Files, kind: str, policies: list[str], purposes: list[str] | None, end: datetime.datetime
) -> None:
    leaf = issue(load(files.options), kind)
    found, critical = value(leaf, x509.CertificatePolicies)
    assert [one.policy_identifier.dotted_string for one in found] == policies and not critical
    if purposes is None:
        assert certificates.extension(leaf, x509.ExtendedKeyUsage) is None
    else:
        assert [one.dotted_string for one in value(leaf, x509.ExtendedKeyUsage)[0]] == purposes
    assert leaf.not_valid_after_utc == end


def test_the_end_that_never_comes_is_written_as_the_profile_wants_it(files: lab_ca.Files, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "leaf.der"
    path.write_bytes(issue(load(files.options), "idevid").public_bytes(serialization.Encoding.DER))
    shown = subprocess.run(["openssl", "asn1parse", "-inform", "DER", "-in", str(path)], capture_output=True, text=True, check=True).stdout
    assert "GENERALIZEDTIME   :99991231235959Z" in shown
    assert shown.count("PRINTABLESTRING   :SN-0001") == 1


def test_the_ldevid_copies_subject_and_alternative_name(files: lab_ca.Files) -> None:
    ca = load(files.options)
    idevid, ldevid = issue(ca, "idevid"), issue(ca, "ldevid")
    assert ldevid.subject == idevid.subject
    assert value(ldevid, x509.SubjectAlternativeName) == value(idevid, x509.SubjectAlternativeName)


def test_an_ldevid_that_also_serves(files: lab_ca.Files) -> None:
    leaf = issue(load(files.options), "ldevid", server_auth=True, dns_names=["edge-1.example.org"])
    assert [one.dotted_string for one in value(leaf, x509.ExtendedKeyUsage)[0]] == ["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]
    assert value(leaf, x509.SubjectAlternativeName)[0].get_values_for_type(x509.DNSName) == ["edge-1.example.org"]
    with pytest.raises(InputError, match="one is not ASCII"):
        issue(load(files.options), "ldevid", dns_names=["kante-ü.example.org"])


def test_what_is_returned_is_what_the_registry_keeps(files: lab_ca.Files) -> None:
    name = "000b" + "ab" * 32
    found = load(files.options).issue("ldevid", KEY.public_key(), SUBJECT, now=NOW, lifetime=LIFETIME, key_name=name)
    found.validate()
    leaf, above = chain.load(found.pem, "the certificate")
    assert above == files.ca.certificate
    assert (found.kind, found.key_name, found.issuer) == ("ldevid", name, "CN=Lab Device CA")
    assert found.serial_number == f"{leaf.serial_number:x}"
    assert (found.not_before, found.not_after) == (NOW, NOW + LIFETIME)


def test_no_two_serial_numbers_are_equal(files: lab_ca.Files) -> None:
    ca = load(files.options)
    assert len({issue(ca, "iak").serial_number for _each in range(50)}) == 50


@pytest.mark.parametrize("kind", ["ecc_p384", "ecc_p521", "rsa_2048"])
@pytest.mark.parametrize("of_ca", ["ecc_p384", "rsa_2048"])
def test_other_types_of_keys(tmp_path: pathlib.Path, kind: str, of_ca: str) -> None:
    files = lab_ca.write(tmp_path, of_ca)
    found = load(files.options).issue("idevid", lab_ca.public_pem(lab_ca.new_key(kind)), SUBJECT, now=NOW)
    leaf = chain.load(found.pem, "")[0]
    leaf.verify_directly_issued_by(files.ca.certificate)
    assert leaf.signature_hash_algorithm is not None
    assert leaf.signature_hash_algorithm.name == ("sha384" if of_ca == "ecc_p384" else "sha256")


@pytest.mark.parametrize(
    ("kind", "change", "told"),
    [
        ("laK", {}, "the kind is laK, not one of iak, idevid, ldevid"),
        ("idevid", {"lifetime": DAY}, "it does not expire"),
        ("iak", {"lifetime": DAY}, "it does not expire"),
        ("ldevid", {"lifetime": None}, "it needs a lifetime"),
        ("ldevid", {"lifetime": datetime.timedelta(0)}, "it needs a lifetime"),
        ("ldevid", {"lifetime": 4000 * DAY}, r"the CA CN=Lab Device CA ends on 2036-05-29T12:00:00Z, before the certificate would \(2037"),
    ],
)
def test_what_cannot_be_issued(files: lab_ca.Files, kind: str, change: dict[str, t.Any], told: str) -> None:
    with pytest.raises(TpmError, match=told):
        issue(load(files.options), kind, **change)


def test_a_weak_device_key_is_not_certified(files: lab_ca.Files) -> None:
    with pytest.raises(KeyTypeError, match="the public key of the iak of SN-0001: it is RSA of 1024 bits"):
        load(files.options).issue("iak", lab_ca.public_pem(lab_ca.new_key("rsa_1024")), SUBJECT, now=NOW)


def test_a_local_time_is_written_in_utc(files: lab_ca.Files) -> None:
    there = datetime.timezone(datetime.timedelta(hours=-7))
    assert issue(load(files.options), "iak", now=NOW.astimezone(there)).not_valid_before_utc == NOW


# The profile -----------------------------------------------------------------------------------------------------------------------


def test_the_tpm_is_named_after_its_ek_certificate() -> None:
    ca = lab_ca.root()
    certificate = ca.certify("EK", lab_ca.new_key("rsa_2048"), ca=False)
    identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    number = f"{certificate.serial_number:x}".upper()
    number = number if len(number) % 2 == 0 else f"0{number}"
    for manufacturer in ("id:49464d58", "49464D58"):
        found = profile.hardware_serial(manufacturer, certificate, certificate.public_key())
        assert found == f"49464D58:{identifier.hex().upper()}:{number}".encode()


@pytest.mark.parametrize(
    "number",
    [
        der.element(der.OCTET_STRING, b"STM :1ADB994AB58BE57A0CC9B900E7851E1A43C08660:4D07BB57"),
        der.element(der.OCTET_STRING, b"53544D20:1ADB994AB58BE57A0CC9B900E7851E1A43C08660:4D07BB57"),
        der.element(0x84, b"STM :1ADB994AB58BE57A0CC9B900E7851E1A43C08660:4D07BB57"),
    ],
    ids=["characters", "hex", "tagged"],
)
def test_a_device_of_somebody_else_is_known_by_either_form_of_its_name(number: bytes) -> None:
    """hwSerialNum as keylime's samples have it, as HPE's tool writes it, and as some certificates tag it."""
    value = der.element(der.SEQUENCE, der.oid("2.23.133.1.2"), number)
    name = x509.SubjectAlternativeName([x509.OtherName(x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4"), value)])
    assert profile.is_device(lab_ca.root().certify("x", KEY, ca=False, extra=[(name, False)]))


def test_the_tpm_is_named_after_its_ek_where_there_is_no_certificate() -> None:
    key = lab_ca.new_key("rsa_2048").public_key()
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert profile.hardware_serial(None, None, key) == hashlib.sha256(spki).digest()


def test_an_ek_certificate_without_authority_key_identifier_names_nothing() -> None:
    key = lab_ca.new_key("rsa_2048")
    name = x509.Name([])
    bare = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    certificate = bare.not_valid_before(NOW).not_valid_after(NOW + DAY).sign(key, lab_ca.hashes.SHA256())
    assert profile.hardware_serial("49464d58", certificate, key.public_key()) == profile.hardware_serial(None, None, key.public_key())


def test_a_manufacturer_that_is_none() -> None:
    certificate = lab_ca.root().certificate
    with pytest.raises(InputError, match="'IFX' is no manufacturer"):
        profile.hardware_serial("IFX", certificate, certificate.public_key())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"serial": ""}, "the serial number ''"),
        ({"serial": "x" * 65}, "X.520 allows 1 to 64"),
        ({"serial": "SN_0001"}, "'SN_0001' into a certificate: X.520 allows"),
        ({"serial": "SN\n1"}, "X.520 allows"),
        ({"common_name": "x" * 65}, "the common name 'x{65}'"),
        ({"common_name": ""}, "the common name ''"),
        ({"organization": "a\0b"}, "the organization"),
        ({"hardware_serial": b""}, "nothing names its TPM"),
    ],
)
def test_a_subject_that_does_not_fit(files: lab_ca.Files, change: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        load(files.options).issue("iak", PUBLIC, SUBJECT._replace(**change), now=NOW)


def test_a_device_certificate_is_known_as_one(files: lab_ca.Files) -> None:
    assert all(profile.is_device(issue(load(files.options), kind)) for kind in profile.KINDS)
    assert not profile.is_device(files.ca.certificate)
    by_policy = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.133.11.1.1"), None)])
    assert profile.is_device(lab_ca.root().certify("x", KEY, ca=False, extra=[(by_policy, False)]))


# Renewal ---------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "before", "due"),
    [
        (NOW, 30 * DAY, False),
        (NOW + 59 * DAY, 30 * DAY, False),
        (NOW + 60 * DAY, 30 * DAY, True),
        (NOW + 200 * DAY, 30 * DAY, True),
        # Longer than it lives: half of its life, and not each run.
        (NOW + DAY, 365 * DAY, False),
        (NOW + 44 * DAY, 365 * DAY, False),
        (NOW + 45 * DAY, 365 * DAY, True),
    ],
)
def test_renewal(at: datetime.datetime, before: datetime.timedelta, due: bool) -> None:
    assert authority.renewal_due(NOW, NOW + LIFETIME, at, before) is due


def test_what_does_not_expire_is_never_renewed() -> None:
    assert not authority.renewal_due(NOW, profile.FOREVER, NOW + 100 * 365 * DAY, 365 * DAY)
