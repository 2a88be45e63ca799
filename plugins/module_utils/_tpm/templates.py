# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Templates: the public area of a primary or ordinary key before the TPM fills in ``unique``.

Sources: EK Credential Profile v2.x (low range L-1, L-2; high range H-1 to H-7); Provisioning Guidance 7.5.1 for the SRK, whose
``unique`` is empty as systemd makes it; TPM 2.0 Keys for Device Identity and Attestation v1.00, section 7.3.4 for IDevID and IAK.
"""

from __future__ import annotations

import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import sized
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public, differences, parse_public

NO_SCHEME = struct.pack(">H", alg.NULL)


class Shape(t.NamedTuple):
    """Algorithm, hash and symmetric key size for the name of an algorithm in a playbook."""

    kind: str
    size: int
    name_alg: int
    aes_bits: int


RSA_2048 = Shape("rsa", 2048, alg.SHA256, 128)
RSA_3072 = Shape("rsa", 3072, alg.SHA384, 256)
RSA_4096 = Shape("rsa", 4096, alg.SHA384, 256)
ECC_P256 = Shape("ecc", 0x0003, alg.SHA256, 128)
ECC_P384 = Shape("ecc", 0x0004, alg.SHA384, 256)
ECC_P521 = Shape("ecc", 0x0005, alg.SHA512, 256)
# The nameAlg of ordinary keys of all sizes is SHA-256, so that one policy digest fits them all.
KEY_SHAPES = {
    "rsa_2048": RSA_2048,
    "rsa_3072": Shape("rsa", 3072, alg.SHA256, 128),
    "ecc_p256": ECC_P256,
    "ecc_p384": Shape("ecc", 0x0004, alg.SHA256, 128),
}

_FIXED = ("fixedtpm", "fixedparent", "sensitivedataorigin")
SRK_ATTRIBUTES = attributes.word(_FIXED + ("userwithauth", "noda", "restricted", "decrypt"), attributes.OBJECT)
EK_LOW_ATTRIBUTES = attributes.word(_FIXED + ("adminwithpolicy", "restricted", "decrypt"), attributes.OBJECT)
EK_HIGH_ATTRIBUTES = EK_LOW_ATTRIBUTES | attributes.OBJECT["userwithauth"]
IDEVID_ATTRIBUTES = attributes.word(_FIXED + ("userwithauth", "adminwithpolicy", "sign"), attributes.OBJECT)
IAK_ATTRIBUTES = IDEVID_ATTRIBUTES | attributes.OBJECT["restricted"]

POLICY_A = bytes.fromhex("837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa")
POLICY_B = {
    alg.SHA256: bytes.fromhex("ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0"),
    alg.SHA384: bytes.fromhex("b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12"),
    alg.SHA512: bytes.fromhex(
        "b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea"
    ),
}
IDEVID_POLICY = bytes.fromhex("ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea")
IAK_POLICY = bytes.fromhex("5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07")
# The same for nameAlg SHA-384; key_policies.py has the assertions behind these digests.
IDEVID_POLICY_384 = bytes.fromhex("4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33")
IAK_POLICY_384 = bytes.fromhex("129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312")


def _symmetric(bits: int) -> bytes:
    return struct.pack(">HHH", alg.AES, bits, alg.CFB) if bits else NO_SCHEME


def _unique(shape: Shape, unique: bytes, fill: int) -> bytes:
    """The field ``unique`` of an RSA key; of an ECC key, ``unique`` becomes x (y stays empty unless both are filled with zeros)."""
    if shape.kind == "rsa":
        return sized(unique.ljust(fill, b"\0"))
    return sized(unique.ljust(fill, b"\0")) + sized(bytes(fill))


def public(
    shape: Shape, attrs: int, policy: bytes = b"", scheme: bytes = NO_SCHEME, aes: bool = True, unique: bytes = b"", fill: int = 0
) -> Public:
    """A TPMT_PUBLIC that can be given to TPM2_Create or TPM2_CreatePrimary.

    ``fill`` is the number of bytes to which ``unique`` is padded with zeros; 0: no padding.
    """
    head = struct.pack(">HHI", alg.IDS[shape.kind], shape.name_alg, attrs) + sized(policy)
    middle = _symmetric(shape.aes_bits if aes else 0) + scheme
    if shape.kind == "rsa":
        detail = struct.pack(">HI", shape.size, 0)
    else:
        detail = struct.pack(">H", shape.size) + NO_SCHEME
    return parse_public(head + middle + detail + _unique(shape, unique, fill))


def _scheme(name: int, hash_alg: int) -> bytes:
    return struct.pack(">HH", name, hash_alg)


def _primaries() -> dict[str, tuple[str, t.Callable[[bytes], Public]]]:
    """By name of the template: the role that its handle must have, and a function that makes its public area from ``unique``."""
    table: dict[str, tuple[str, t.Callable[[bytes], Public]]] = {
        "srk_ecc_p256": ("srk", lambda u: public(ECC_P256, SRK_ATTRIBUTES, unique=u)),
        "srk_rsa_2048": ("srk", lambda u: public(RSA_2048, SRK_ATTRIBUTES, unique=u)),
        "ek_rsa_2048": ("ek", lambda u: public(RSA_2048, EK_LOW_ATTRIBUTES, POLICY_A, unique=u, fill=256)),
        "ek_ecc_p256": ("ek", lambda u: public(ECC_P256, EK_LOW_ATTRIBUTES, POLICY_A, unique=u, fill=32)),
        "iak_ecc_p256": ("devid", lambda u: _devid(ECC_P256, IAK_ATTRIBUTES, IAK_POLICY, u or b"IAK", alg.ECDSA)),
        "iak_ecc_p384": ("devid", lambda u: _devid(ECC_P384, IAK_ATTRIBUTES, IAK_POLICY_384, u or b"IAK", alg.ECDSA)),
        "iak_rsa_2048": ("devid", lambda u: _devid(RSA_2048, IAK_ATTRIBUTES, IAK_POLICY, u or b"IAK", alg.RSAPSS)),
        "idevid_ecc_p256": ("devid", lambda u: _devid(ECC_P256, IDEVID_ATTRIBUTES, IDEVID_POLICY, u or b"IDEVID", alg.ECDSA)),
        "idevid_ecc_p384": ("devid", lambda u: _devid(ECC_P384, IDEVID_ATTRIBUTES, IDEVID_POLICY_384, u or b"IDEVID", alg.ECDSA)),
        "idevid_rsa_2048": ("devid", lambda u: _devid(RSA_2048, IDEVID_ATTRIBUTES, IDEVID_POLICY, u or b"IDEVID", alg.NULL)),
    }
    high = {"ek_rsa_3072": RSA_3072, "ek_rsa_4096": RSA_4096, "ek_ecc_p384": ECC_P384, "ek_ecc_p521": ECC_P521}
    high.update({"ek_high_rsa_2048": RSA_2048, "ek_high_ecc_p256": ECC_P256})
    for name, shape in high.items():
        table[name] = ("ek", lambda u, s=shape: public(s, EK_HIGH_ATTRIBUTES, POLICY_B[s.name_alg], unique=u))  # type: ignore[misc]
    return table


def _devid(shape: Shape, attrs: int, policy: bytes, unique: bytes, scheme: int) -> Public:
    # A signing key has no symmetric algorithm; the scheme's hash is the nameAlg (section 7.3.4).
    chosen = NO_SCHEME if scheme == alg.NULL else _scheme(scheme, shape.name_alg)
    return public(shape, attrs, policy, chosen, aes=False, unique=unique)


PRIMARIES = _primaries()
PRIMARY_NAMES = tuple(PRIMARIES)
EK_NAMES = tuple(name for name, (role, _make) in PRIMARIES.items() if role == "ek")
# Not a template: any EK at the handle is accepted; if there is none, one is made from EK_USUAL.
EK_ANY, EK_USUAL = "ek_any", "ek_rsa_2048"


def primary(template: str, unique: bytes = b"") -> Public:
    """The public area of a named primary key template. Raises InputError if ``unique`` is too long for it."""
    limit = 66 if "_ecc_" in template else 512
    if len(unique) > limit:
        raise InputError(f"Could not use a unique value of {len(unique)} bytes for {template}: at most {limit} bytes fit; shorten it.")
    return PRIMARIES[template][1](unique)


def ek_template(public: Public) -> str | None:
    """The EK template that a public area matches, apart from ``unique``; None if it matches none."""
    return next((name for name in EK_NAMES if not differences(primary(name), public)), None)


USAGES = ("sign", "decrypt", "restricted_sign", "storage")


def key(usage: str, algorithm: str, policy: bytes = b"", no_da: bool = True) -> Public:
    """The public area of an ordinary key; ``usage`` and ``algorithm`` are choices of the options of tpm2_key.

    With a policy, userWithAuth is not set: otherwise the auth value alone would authorise, without the policy (Part 1, section 19.7.3).
    """
    shape = KEY_SHAPES[algorithm]
    attrs = attributes.word(_FIXED, attributes.OBJECT)
    attrs |= attributes.OBJECT["noda"] if no_da else 0
    attrs |= attributes.OBJECT["adminwithpolicy"] if policy else attributes.OBJECT["userwithauth"]
    purpose = {"sign": ("sign",), "decrypt": ("decrypt",), "restricted_sign": ("restricted", "sign"), "storage": ("restricted", "decrypt")}
    attrs |= attributes.word(purpose[usage], attributes.OBJECT)
    scheme = NO_SCHEME
    if usage == "restricted_sign":
        scheme = _scheme(alg.RSAPSS if shape.kind == "rsa" else alg.ECDSA, shape.name_alg)
    elif usage == "decrypt" and shape.kind == "rsa":
        # PKCS#1 v1.5 decryption can be abused as an oracle, so the key itself allows only OAEP.
        scheme = _scheme(alg.OAEP, alg.SHA256)
    return public(shape, attrs, policy, scheme, aes=usage == "storage")


def sealed(policy: bytes, user_with_auth: bool, no_da: bool = True) -> Public:
    """The public area of a sealed data object. Without a policy the auth value must open it, so userWithAuth is set then."""
    names = ["fixedtpm", "fixedparent"]
    names += ["noda"] if no_da else []
    names += ["userwithauth"] if user_with_auth else []
    attrs = attributes.word(names, attributes.OBJECT)
    head = struct.pack(">HHI", alg.KEYEDHASH, alg.SHA256, attrs)
    return parse_public(head + sized(policy) + NO_SCHEME + sized(b""))


# A key that is used only to encrypt the salt of a session: any storage key works, and an ECC key is made quickly.
SALT = PRIMARIES["srk_ecc_p256"][1](b"")

__all__ = (
    "EK_ANY",
    "EK_NAMES",
    "EK_USUAL",
    "KEY_SHAPES",
    "PRIMARIES",
    "PRIMARY_NAMES",
    "SALT",
    "USAGES",
    "ek_template",
    "key",
    "primary",
    "public",
    "sealed",
)
