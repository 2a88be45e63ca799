# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TPM vendor of the lab: roots, intermediate CAs, EK certificates and CRLs, valid or with any fault that a test asks for."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import hashlib
import math
import pathlib
import struct
import typing as t

from asn1crypto import core
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import NameOID

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der, names, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
EK_USAGE = "2.23.133.8.1"
CURVES: dict[str, ec.EllipticCurve] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1(), "p521": ec.SECP521R1()}
HASHES: dict[int, hashes.HashAlgorithm] = {alg.SHA1: hashes.SHA1(), alg.SHA256: hashes.SHA256(), alg.SHA384: hashes.SHA384()}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Extensions = t.Sequence[tuple[x509.ExtensionType, bool]]


@functools.cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """An RSA key, made once for each size and number, because that is slow."""
    return rsa.generate_private_key(65537, bits)


def roca_modulus(bits: int = 2048) -> int:
    """A modulus with the ROCA fingerprint: a power of 65537 modulo the primes up to 167. It need not be the product of two primes."""
    primes = [number for number in range(2, 168) if all(number % below for below in range(2, number))]
    product = math.prod(primes)
    return pow(65537, 5, product) + product * ((1 << bits - 1) // product + 1)


def ecc_key(curve: str = "p256") -> ec.EllipticCurvePrivateKey:
    """A fresh ECC key."""
    return ec.generate_private_key(CURVES[curve])


def unique(key: PublicKey) -> bytes:
    """TPMU_PUBLIC_ID of a key: the modulus, or x and y."""
    if isinstance(key, rsa.RSAPublicKey):
        return sized(key.public_numbers().n.to_bytes(key.key_size // 8, "big"))
    size, point = (key.curve.key_size + 7) // 8, key.public_numbers()
    return sized(point.x.to_bytes(size, "big")) + sized(point.y.to_bytes(size, "big"))


def area(template: names.Public, key: PublicKey) -> names.Public:
    """The public area of a template with the key filled in, as the TPM with that key would return it."""
    return names.parse_public(template.raw[: -len(template.unique)] + unique(key))


def ek_area(template: str, key: PublicKey) -> names.Public:
    """The public area of an EK by the name of its template."""
    return area(templates.primary(template), key)


def directory_name(manufacturer: str | None = "id:00001014", model: str = "swtpm", version: str = "id:20191023") -> x509.Name:
    """A subjectAltName with the TPM's attributes."""
    pairs = [("2.23.133.2.1", manufacturer), ("2.23.133.2.2", model), ("2.23.133.2.3", version)]
    return x509.Name([x509.NameAttribute(x509.ObjectIdentifier(oid), value) for oid, value in pairs if value is not None])


def common_name(text: str) -> x509.Name:
    """A name with one attribute."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def usage(*allowed: str) -> x509.KeyUsage:
    """A keyUsage with these bits, named as in cryptography."""
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: name in allowed for name in every})


@dataclasses.dataclass(frozen=True)
class Authority:
    """A CA: its key and certificate, and the certificate's encoding if it is not DER."""

    key: PrivateKey
    certificate: x509.Certificate
    odd: bytes = b""

    @property
    def der(self) -> bytes:
        """Its certificate."""
        return self.odd or self.certificate.public_bytes(serialization.Encoding.DER)

    def issue(
        self,
        subject: x509.Name,
        key: PublicKey,
        extensions: Extensions,
        *,
        signer: PrivateKey | None = None,
        issuer: x509.Name | None = None,
        aki: bool = True,
        start: datetime.datetime = NOW - YEAR,
        end: datetime.datetime = NOW + YEAR,
        digest: hashes.HashAlgorithm | None = None,
    ) -> x509.Certificate:
        """A certificate by this CA, or a forged one, signed with the key `signer`."""
        made = _builder(subject, issuer or self.certificate.subject, key, start, end)
        if aki:
            known = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known), critical=False)
        for value, critical in extensions:
            made = made.add_extension(value, critical)
        return made.sign(signer or self.key, digest or hashes.SHA256())

    def sub(self, name: str, *, key: PrivateKey | None = None, extensions: Extensions | None = None, **options: t.Any) -> Authority:
        """An intermediate CA, a normal one unless options say otherwise."""
        key = key or ecc_key()
        chosen = ca_extensions(key.public_key()) if extensions is None else extensions
        return Authority(key, self.issue(common_name(name), key.public_key(), chosen, **options))

    def ek(self, key: PublicKey, *, extensions: Extensions | None = None, subject: x509.Name | None = None, **options: t.Any) -> bytes:
        """An EK certificate, DER; its subject is empty."""
        chosen = ek_extensions(key) if extensions is None else extensions
        return self.issue(subject or x509.Name([]), key, chosen, **options).public_bytes(serialization.Encoding.DER)

    def crl(
        self,
        *revoked: int,
        signer: PrivateKey | None = None,
        start: datetime.datetime = NOW - YEAR / 12,
        end: datetime.datetime = NOW + YEAR / 12,
        extensions: Extensions = (),
        digest: hashes.HashAlgorithm | None = None,
    ) -> x509.CertificateRevocationList:
        """A CRL of these serial numbers."""
        made = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(start).next_update(end)
        for number in revoked:
            made = made.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(number).revocation_date(start).build())
        for value, critical in extensions:
            made = made.add_extension(value, critical)
        return made.sign(signer or self.key, digest or hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, start: datetime.datetime, end: datetime.datetime
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    return made.serial_number(x509.random_serial_number()).not_valid_before(start).not_valid_after(end)


def ca_extensions(key: PublicKey, *, ca: bool = True, length: int | None = None, allowed: t.Sequence[str] = ()) -> Extensions:
    """The extensions of a CA."""
    basic = (x509.BasicConstraints(ca, length if ca else None), True)
    return [basic, (usage(*(allowed or ("key_cert_sign", "crl_sign"))), True), (x509.SubjectKeyIdentifier.from_public_key(key), False)]


def ek_extensions(
    key: PublicKey,
    *,
    name: x509.Name | None = None,
    purposes: t.Sequence[str] = (EK_USAGE,),
    allowed: t.Sequence[str] = (),
    ca: bool = False,
) -> Extensions:
    """The extensions of an EK certificate (EK Credential Profile, section 3.2)."""
    found: list[tuple[x509.ExtensionType, bool]] = [(x509.SubjectAlternativeName([x509.DirectoryName(name or directory_name())]), True)]
    if purposes:
        found.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(one) for one in purposes]), False))
    found.append((usage(*(allowed or ["key_encipherment" if isinstance(key, rsa.RSAPublicKey) else "key_agreement"])), True))
    return [*found, (x509.BasicConstraints(ca, None), True)]


def root(
    name: str = "Lab TPM Root",
    *,
    key: PrivateKey | None = None,
    extensions: Extensions | None = None,
    subject: x509.Name | None = None,
    **times: datetime.datetime,
) -> Authority:
    """A self-signed CA, valid from `start` to `end`."""
    key = key or ecc_key()
    public, subject = key.public_key(), subject or common_name(name)
    made = _builder(subject, subject, public, times.get("start", NOW - YEAR), times.get("end", NOW + 10 * YEAR))
    for value, critical in ca_extensions(public) if extensions is None else extensions:
        made = made.add_extension(value, critical)
    return Authority(key, made.sign(key, hashes.SHA256()))


def pem(*ders: bytes, label: str = "CERTIFICATE") -> bytes:
    """The PEM of several DER certificates, in one text."""
    return b"".join(b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(der), label.encode()) for der in ders)


def write_bundle(path: pathlib.Path, *authorities: Authority) -> tuple[str, str]:
    """Write a trust bundle; return its path and SHA-256."""
    path.write_bytes(pem(*(one.der for one in authorities)))
    return str(path), hashlib.sha256(path.read_bytes()).hexdigest()


def as_infineon(whole: bytes, signer: PrivateKey) -> bytes:
    """The certificate signed again after naming the algorithm of its RSA key id-RSAES-OAEP, with parameters."""
    found = asn1.Certificate.load(whole)
    info = found["tbs_certificate"]["subject_public_key_info"]
    oaep = bytes.fromhex("06092a864886f70d010107" + "3015a213301106092a864886f70d010109040454435041")
    body = b"\x30" + bytes([len(oaep)]) + oaep + info["public_key"].dump()
    info_der = b"\x30\x82" + len(body).to_bytes(2, "big") + body
    tbs = found["tbs_certificate"].dump().replace(info.dump(), info_der)
    tbs = b"\x30\x82" + (len(tbs) - 4).to_bytes(2, "big") + tbs[4:]
    if isinstance(signer, rsa.RSAPrivateKey):
        signature = signer.sign(tbs, padding.PKCS1v15(), hashes.SHA256())
    else:
        signature = signer.sign(tbs, ec.ECDSA(hashes.SHA256()))
    made = tbs + found["signature_algorithm"].dump() + core.OctetBitString(signature).dump()
    return b"\x30\x82" + len(made).to_bytes(2, "big") + made


Parts = list[bytes]
SAN, BASIC = bytes.fromhex("0603551d11"), bytes.fromhex("0603551d13")


def rewritten(data: bytes, change: t.Callable[[int, Parts], Parts]) -> bytes:
    """Rewrite DER from the inside out: `change` gets the tag and parts of each constructed element and returns new parts; lengths follow."""
    made = b""
    for one in der.elements(data):
        body = one.body
        if one.tag & 0x20:
            inner = [rewritten(each.whole, change) for each in der.elements(body)]
            if inner and inner[0] in (SAN, BASIC):
                inner[-1] = der.element(0x04, rewritten(next(der.elements(inner[-1])).body, change))
            body = b"".join(change(one.tag, inner))
        made += der.element(one.tag, body)
    return made


def signed_anew(whole: bytes, signer: PrivateKey, change: t.Callable[[int, Parts], Parts]) -> bytes:
    """A certificate rewritten, then signed again with the hash that it names."""
    tbs, algorithm, _signature = (one.whole for one in der.elements(next(der.elements(rewritten(whole, change))).body))
    digest = next(one for name, one in DIGESTS.items() if name in algorithm)
    made = signer.sign(tbs, padding.PKCS1v15(), digest) if isinstance(signer, rsa.RSAPrivateKey) else signer.sign(tbs, ec.ECDSA(digest))
    return der.element(der.SEQUENCE, tbs, algorithm, der.element(0x03, b"\0", made))


# The last bytes of the OIDs ecdsa-with-SHA256, -SHA384 and sha256WithRSAEncryption.
DIGESTS = {
    bytes.fromhex("2a8648ce3d040302"): hashes.SHA256(),
    bytes.fromhex("2a8648ce3d040303"): hashes.SHA384(),
    bytes.fromhex("2a864886f70d01010b"): hashes.SHA256(),
}


def unsorted(tag: int, parts: Parts) -> Parts:
    """Write names as Nuvoton does: all attributes in one set, and the set not sorted."""
    return parts[::-1] if tag == 0x31 else parts


def explicit(tag: int, parts: Parts) -> Parts:
    """Write extensions as Intel's PTT does: with critical FALSE, and in BasicConstraints with cA FALSE."""
    if tag == der.SEQUENCE and len(parts) == 2 and parts[0].startswith(b"\x06\x03\x55\x1d") and parts[1].startswith(b"\x04"):
        return [parts[0], b"\x01\x01\x00", parts[1]]
    if tag == der.SEQUENCE and parts[:1] == [BASIC]:
        return [*parts[:-1], der.element(0x04, parts[-1][2:].replace(b"\x30\x00", bytes.fromhex("3003010100")))]
    return parts


def printable(tag: int, parts: Parts) -> Parts:
    """Write the names of a root as STMicroelectronics does: as PrintableString, although the CAs below have UTF8String."""
    return [parts[0], b"\x13" + parts[1][1:]] if tag == der.SEQUENCE and len(parts) == 2 and parts[1][:1] == b"\x0c" else parts


def nulled(tag: int, parts: Parts) -> Parts:
    """Write the algorithm of a signature as Intel's OnDie CA does: with a NULL after it."""
    return [*parts, b"\x05\x00"] if tag == der.SEQUENCE and len(parts) == 1 and parts[0][2:] in DIGESTS else parts


def in_one_set(**attributes: str) -> x509.Name:
    """A name whose attributes are in one set: common_name, organization_name, country_name, or TPM attributes by t and the last arc."""
    known = {f"t{last}": x509.ObjectIdentifier(f"2.23.133.2.{last}") for last in (1, 2, 3)}
    oids = {name: known.get(name) or getattr(NameOID, name.upper()) for name in attributes}
    return x509.Name([x509.RelativeDistinguishedName([x509.NameAttribute(oids[name], value) for name, value in attributes.items()])])


NUVOTON = in_one_set(common_name="Lab Like Nuvoton Root 2111", organization_name="Lab Technology Corporation", country_name="TW")
NUVOTON_TPM = in_one_set(t1="id:4E544300", t2="NPCT75x", t3="id:00070002")


def nuvoton_root(**times: datetime.datetime) -> Authority:
    """A root like Nuvoton's. Certificates that it issues through `as_nuvoton` have its subject as issuer, byte for byte."""
    plain = root(subject=NUVOTON, **times)
    return dataclasses.replace(plain, odd=signed_anew(plain.der, plain.key, unsorted))


def as_nuvoton(authority: Authority, key: PublicKey, *, name: x509.Name = NUVOTON_TPM, **options: t.Any) -> bytes:
    """An EK certificate like Nuvoton's: the TPM's attributes in one set, and no set sorted."""
    return signed_anew(authority.ek(key, extensions=ek_extensions(key, name=name), **options), authority.key, unsorted)


def as_sha1(whole: bytes, signer: rsa.RSAPrivateKey) -> bytes:
    """The certificate signed again with SHA-1, which cryptography no longer does."""
    found = asn1.Certificate.load(whole)
    for part in (found["tbs_certificate"]["signature"], found["signature_algorithm"]):
        part["algorithm"], part["parameters"] = "sha1_rsa", core.Null()
    tbs = found["tbs_certificate"].dump(force=True)
    found["signature_value"] = signer.sign(tbs, padding.PKCS1v15(), hashes.SHA1())
    return bytes(found.dump(force=True))


def signed(key: PrivateKey, data: bytes, scheme: int, digest: int = alg.SHA256, *, salt: t.Any = padding.PSS.DIGEST_LENGTH) -> bytes:
    """A TPMT_SIGNATURE as a TPM with this key would make it."""
    head = struct.pack(">HH", scheme, digest)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        pair = utils.decode_dss_signature(key.sign(data, ec.ECDSA(HASHES[digest])))
        return head + b"".join(sized(one.to_bytes(size, "big")) for one in pair)
    pss = padding.PSS(padding.MGF1(HASHES[digest]), salt)
    return head + sized(key.sign(data, pss if scheme == alg.RSAPSS else padding.PKCS1v15(), HASHES[digest]))
