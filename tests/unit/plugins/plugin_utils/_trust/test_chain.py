# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way up to a root, each answer also asked of `openssl verify`; and the attacks on path building."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import subprocess
import typing as t

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support import ek_lab
from support.ek_lab import NOW, YEAR, Authority

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path

KEY = ek_lab.ecc_key().public_key()


@dataclasses.dataclass
class Scene:
    """What the bundle and the TPM hold, and the EK certificate to judge."""

    leaf: bytes
    trusted: t.Sequence[Authority]
    sent: t.Sequence[Authority] = ()
    reason: str = ""
    telling: str = ""
    at: datetime.datetime = NOW
    openssl: bool = True  # openssl verify is asked too and must agree


def ours(scene: Scene, folder: pathlib.Path) -> chain.ChainOutcome:
    loaded = bundle.load_bundle(*ek_lab.write_bundle(folder / "bundle.pem", *scene.trusted))
    return chain.build(x509.load_der_x509_certificate(scene.leaf), [one.certificate for one in scene.sent], loaded, scene.at)


def openssl(scene: Scene, folder: pathlib.Path) -> bool:
    roots = [one for one in scene.trusted if one.certificate.subject == one.certificate.issuer]
    others = [one for one in (*scene.trusted, *scene.sent) if one not in roots]
    for name, ders in (("roots", [one.der for one in roots]), ("others", [one.der for one in others]), ("leaf", [scene.leaf])):
        (folder / name).write_bytes(ek_lab.pem(*ders))
    command = ["openssl", "verify", "-attime", str(int(scene.at.timestamp())), "-CAfile", folder / "roots"]
    command += ["-untrusted", folder / "others", folder / "leaf"] if others else [folder / "leaf"]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def _two_levels() -> Scene:
    root = ek_lab.root()
    one = root.sub("CA 1")
    two = one.sub("CA 2")
    return Scene(two.ek(KEY), [root], [two, one])


def _rsa_all_the_way() -> Scene:
    root = ek_lab.root(key=ek_lab.rsa_key(2048, 1))
    one = root.sub("CA 1", key=ek_lab.rsa_key(2048, 2), digest=hashes.SHA384())
    return Scene(one.ek(KEY), [root, one])


def _two_roots_of_one_name() -> Scene:
    """The wrong one first: only the signature tells, as the EK certificate names no key. openssl takes the first and gives up."""
    wrong, right = ek_lab.root(), ek_lab.root()
    return Scene(right.ek(KEY, aki=False), [wrong, right], openssl=False)


def _two_intermediates_of_one_name() -> Scene:
    root = ek_lab.root()
    right = root.sub("CA")
    return Scene(right.ek(KEY, aki=False), [root], [root.sub("CA"), right], openssl=False)


def _renewed_ca() -> Scene:
    """One key, two certificates: the one that has expired does not stand in the way."""
    root, key = ek_lab.root(), ek_lab.ecc_key()
    old, new = root.sub("CA", key=key, end=NOW - YEAR / 2), root.sub("CA", key=key)
    return Scene(new.ek(KEY), [root, old], [new])


def _cross_signed() -> Scene:
    """The TPM sends a root of its own, but the CA has a certificate of the bundle's root too."""
    ours_, theirs, key = ek_lab.root("Ours"), ek_lab.root("Theirs"), ek_lab.ecc_key()
    return Scene(theirs.sub("CA", key=key).ek(KEY), [ours_, ours_.sub("CA", key=key)], [theirs, theirs.sub("CA", key=key)])


def _root_in_nv_too() -> Scene:
    root = ek_lab.root()
    return Scene(root.ek(KEY), [root], [root])


def _pathlen_kept() -> Scene:
    key = ek_lab.ecc_key()
    root = ek_lab.root(key=key, extensions=ek_lab.ca_extensions(key.public_key(), length=1))
    middle = root.sub("CA 1")
    return Scene(middle.ek(KEY), [root, middle])


def _sha1_root() -> Scene:
    """How a root signed itself does not matter: it is trusted because it is in the bundle."""
    key = ek_lab.rsa_key(2048, 1)
    root = Authority(key, x509.load_der_x509_certificate(ek_lab.as_sha1(ek_lab.root(key=key).der, key)))
    return Scene(root.ek(KEY), [root])


@pytest.mark.parametrize(
    "make",
    [
        _two_levels,
        _rsa_all_the_way,
        _two_roots_of_one_name,
        _two_intermediates_of_one_name,
        _renewed_ca,
        _cross_signed,
        _root_in_nv_too,
        _pathlen_kept,
        _sha1_root,
    ],
)
def test_a_way_is_found(make: t.Callable[[], Scene], tmp_path: pathlib.Path) -> None:
    scene = make()
    outcome = ours(scene, tmp_path)
    assert outcome.problem is None
    assert outcome.above[-1] in [one.certificate for one in scene.trusted]
    assert not scene.openssl or openssl(scene, tmp_path)


def _same_name_other_key() -> Scene:
    root, fake = ek_lab.root(), ek_lab.root()
    return Scene(fake.ek(KEY, aki=False), [root], [], "bad_signature", "does not verify")


def _same_name_and_key_identifier_other_key() -> Scene:
    root = ek_lab.root()
    return Scene(root.ek(KEY, signer=ek_lab.ecc_key()), [root], [], "bad_signature", "does not verify")


def _tampered() -> Scene:
    root = ek_lab.root()
    der = bytearray(root.ek(KEY))
    der[-1] ^= 1
    return Scene(bytes(der), [root], [], "bad_signature", "does not verify")


def _leaf_as_ca() -> Scene:
    """Whoever has the key of one EK certificate issues others."""
    root, key = ek_lab.root(), ek_lab.ecc_key()
    extensions = [*ek_lab.ek_extensions(key.public_key()), (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)]
    leaf = Authority(key, root.issue(ek_lab.common_name("a TPM"), key.public_key(), extensions))
    return Scene(leaf.ek(KEY), [root], [leaf], "wrong_usage", "is not a CA's")


def _no_basic_constraints() -> Scene:
    root, key = ek_lab.root(), ek_lab.ecc_key()
    bare = [(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)]
    middle = root.sub("CA", key=key, extensions=bare)
    return Scene(middle.ek(KEY), [root], [middle], "wrong_usage", "is not a CA's")


def _no_cert_sign() -> Scene:
    root, key = ek_lab.root(), ek_lab.ecc_key()
    middle = root.sub("CA", key=key, extensions=ek_lab.ca_extensions(key.public_key(), allowed=["crl_sign", "digital_signature"]))
    return Scene(middle.ek(KEY), [root], [middle], "wrong_usage", "does not allow it to sign certificates")


def _pathlen_root() -> Scene:
    key = ek_lab.ecc_key()
    root = ek_lab.root(key=key, extensions=ek_lab.ca_extensions(key.public_key(), length=0))
    middle = root.sub("CA 1")
    return Scene(middle.ek(KEY), [root, middle], [], "wrong_usage", "may have 0 CAs below it, but there are 1")


def _pathlen_middle() -> Scene:
    """A CA that may only issue EK certificates makes itself a CA below."""
    root, key = ek_lab.root(), ek_lab.ecc_key()
    middle = root.sub("CA 1", key=key, extensions=ek_lab.ca_extensions(key.public_key(), length=0))
    rogue = middle.sub("CA 2")
    return Scene(rogue.ek(KEY), [root, middle], [rogue], "wrong_usage", "CN=CA 1 may have 0 CAs below it")


def _unknown_critical() -> Scene:
    root, key = ek_lab.root(), ek_lab.ecc_key()
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    middle = root.sub("CA", key=key, extensions=[*ek_lab.ca_extensions(key.public_key()), (odd, True)])
    return Scene(middle.ek(KEY), [root], [middle], "wrong_usage", "1.2.3.4.5, which restricts")


def _unknown_critical_in_the_leaf() -> Scene:
    root = ek_lab.root()
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    leaf = root.ek(KEY, extensions=[*ek_lab.ek_extensions(KEY), (odd, True)])
    return Scene(leaf, [root], [], "wrong_usage", "the EK's certificate has the extension 1.2.3.4.5")


def _name_constraints() -> Scene:
    """openssl works them out; we refuse what we do not."""
    root, key = ek_lab.root(), ek_lab.ecc_key()
    names = x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=[x509.DNSName("example.com")])
    middle = root.sub("CA", key=key, extensions=[*ek_lab.ca_extensions(key.public_key()), (names, False)])
    return Scene(middle.ek(KEY), [root], [middle], "wrong_usage", "2.5.29.30", openssl=False)


def _expired_root() -> Scene:
    root = ek_lab.root(end=NOW - YEAR / 2)
    return Scene(root.ek(KEY), [root], [], "expired", "CN=Lab TPM Root")


def _intermediate_of_tomorrow() -> Scene:
    root = ek_lab.root()
    middle = root.sub("CA", start=NOW + YEAR / 2)
    return Scene(middle.ek(KEY), [root], [middle], "not_yet_valid", "CN=CA")


def _expired_and_of_tomorrow() -> Scene:
    """The clock that would make both right does not exist."""
    root = ek_lab.root()
    middle = root.sub("CA", start=NOW + YEAR / 2)
    return Scene(middle.ek(KEY, end=NOW - YEAR / 2), [root], [middle], "not_yet_valid", "CN=CA")


def _loop() -> Scene:
    """Two CAs that issue each other, and nobody above them."""
    a, b = ek_lab.ecc_key(), ek_lab.ecc_key()
    first = ek_lab.root("A", key=a).sub("B", key=b)
    second = ek_lab.root("B", key=b).sub("A", key=a)
    return Scene(first.ek(KEY), [ek_lab.root()], [first, second], "unknown_issuer", "not known")


def _self_signed() -> Scene:
    key = ek_lab.ecc_key()
    lone = ek_lab.root("a TPM", key=key, extensions=[*ek_lab.ca_extensions(key.public_key(), ca=False)])
    return Scene(lone.der, [ek_lab.root()], [lone], "unknown_issuer", "CN=a TPM")


def _trusted_intermediate_without_its_root() -> Scene:
    root = ek_lab.root()
    middle = root.sub("CA")
    return Scene(middle.ek(KEY), [middle, ek_lab.root("Other")], [], "unknown_issuer", "CN=Lab TPM Root")


def _root_from_nv() -> Scene:
    """What the TPM sends is no root, however well it is signed."""
    root = ek_lab.root()
    return Scene(root.ek(KEY), [ek_lab.root("Other")], [root], "unknown_root", "not in the trust bundle")


def _sha1() -> Scene:
    """Collisions can be made at will, whatever openssl's default level says."""
    key = ek_lab.rsa_key(2048, 1)
    root = ek_lab.root(key=key)
    return Scene(ek_lab.as_sha1(root.ek(KEY), key), [root], [], "bad_signature", "made with sha1", openssl=False)


def _weak_ca_key() -> Scene:
    root = ek_lab.root(key=ek_lab.rsa_key(1024))
    return Scene(root.ek(KEY), [root], [], "bad_signature", "RSA key of 1024 bits", openssl=False)


def _impossible_ca_key(modulus: int) -> Scene:
    """A root of the bundle has certified a key that can be none; what it signed is of no interest."""
    root, key = ek_lab.root(), rsa.RSAPublicNumbers(65537, modulus).public_key()
    middle = Authority(root.key, root.issue(ek_lab.common_name("CA"), key, ek_lab.ca_extensions(key)))
    telling = f"RSA key of {modulus.bit_length()} bits that made it can be broken"
    return Scene(middle.ek(KEY), [root], [middle], "bad_signature", telling, openssl=False)


def _even_ca_key() -> Scene:
    return _impossible_ca_key(1 << 2047)


def _endless_ca_key() -> Scene:
    return _impossible_ca_key(1 << 16384 | 1)


def _too_deep() -> Scene:
    way = [ek_lab.root()]
    for number in range(path.MAX_DEPTH - 1):
        way.append(way[-1].sub(f"CA {number}"))
    return Scene(way[-1].ek(KEY), way, [], "unknown_issuer", "longer than 8 certificates", openssl=False)


@pytest.mark.parametrize(
    "make",
    [
        _same_name_other_key,
        _same_name_and_key_identifier_other_key,
        _tampered,
        _leaf_as_ca,
        _no_basic_constraints,
        _no_cert_sign,
        _pathlen_root,
        _pathlen_middle,
        _unknown_critical,
        _unknown_critical_in_the_leaf,
        _name_constraints,
        _expired_root,
        _intermediate_of_tomorrow,
        _expired_and_of_tomorrow,
        _loop,
        _self_signed,
        _trusted_intermediate_without_its_root,
        _root_from_nv,
        _sha1,
        _weak_ca_key,
        _even_ca_key,
        _endless_ca_key,
        _too_deep,
    ],
)
def test_no_way_is_found(make: t.Callable[[], Scene], tmp_path: pathlib.Path) -> None:
    scene = make()
    outcome = ours(scene, tmp_path)
    assert outcome.problem is not None
    assert (outcome.problem.reason, scene.telling in outcome.problem.message) == (scene.reason, True), outcome.problem.message
    assert not scene.openssl or not openssl(scene, tmp_path)


def test_the_deepest_chain_is_found(tmp_path: pathlib.Path) -> None:
    way = [ek_lab.root()]
    for number in range(path.MAX_DEPTH - 2):
        way.append(way[-1].sub(f"CA {number}"))
    outcome = ours(Scene(way[-1].ek(KEY), way), tmp_path)
    assert outcome.problem is None and len(outcome.above) == path.MAX_DEPTH - 1


def test_self_issued_certificates_do_not_count_for_pathlen(tmp_path: pathlib.Path) -> None:
    """RFC 5280, section 6.1.4 (l): a CA that rolled over its key. openssl does not go on from a certificate that is self-issued."""
    key, old, new = ek_lab.ecc_key(), ek_lab.ecc_key(), ek_lab.ecc_key()
    root = ek_lab.root(key=key, extensions=ek_lab.ca_extensions(key.public_key(), length=1))
    before = root.sub("CA", key=old)
    after = before.sub("CA", key=new)
    outcome = ours(Scene(after.ek(KEY), [root, before, after]), tmp_path)
    assert outcome.problem is None and len(outcome.above) == 3


def test_a_maze_ends(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen CAs of one key under two names that all issue each other, millions of ways: the tries are counted, not the clock."""
    key = ek_lab.ecc_key()
    ends = [ek_lab.root(name, key=key) for name in ("North", "South")]
    sent = [one.sub(name, key=key) for one, name in zip(ends, ("South", "North"), strict=True) for _each in range(8)]
    tries = []
    genuine = path.bad_signature
    monkeypatch.setattr(path, "bad_signature", lambda *pair: tries.append(pair) or genuine(*pair))
    outcome = ours(Scene(ends[0].ek(KEY), [ek_lab.root()], sent), tmp_path)
    assert outcome.problem is not None and outcome.problem.reason == "unknown_issuer"
    assert len(tries) == path.MAX_STEPS


def test_an_expired_way_is_found_beside_one_of_tomorrow(tmp_path: pathlib.Path) -> None:
    """Where a policy allows expired certificates, another CA of the same key must not stand in the way."""
    root, key = ek_lab.root(), ek_lab.ecc_key()
    old, new = root.sub("CA", key=key, end=NOW - YEAR / 2), root.sub("CA", key=key, start=NOW + YEAR / 2)
    for sent in ([old, new], [new, old]):
        outcome = ours(Scene(old.ek(KEY), [root], sent), tmp_path)
        assert outcome.problem is not None and outcome.problem.reason == "expired"
        assert outcome.above == (old.certificate, root.certificate)


def test_key_identifiers_of_a_way(tmp_path: pathlib.Path) -> None:
    root = ek_lab.root()
    outcome = ours(Scene(root.ek(KEY), [root]), tmp_path)
    assert [one.public_bytes(serialization.Encoding.DER) for one in outcome.above] == [root.der]
