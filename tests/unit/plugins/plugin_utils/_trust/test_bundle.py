# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trust bundles and CRLs as files, and what CRLs say of a chain; `openssl` makes and reads them too."""

from __future__ import annotations

import datetime
import hashlib
import os
import pathlib
import subprocess
import typing as t

import pytest
from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support import ek_lab
from support.ek_lab import NOW, YEAR

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, crl

KEY = ek_lab.ecc_key().public_key()
DER = serialization.Encoding.DER


def write(path: pathlib.Path, data: bytes) -> tuple[str, str]:
    path.write_bytes(data)
    return str(path), hashlib.sha256(data).hexdigest()


def test_a_bundle(tmp_path: pathlib.Path) -> None:
    root = ek_lab.root()
    middle = root.sub("CA")
    path, sha256 = write(tmp_path / "b.pem", b"# Vendor: Lab\n" + ek_lab.pem(root.der, middle.der, root.der))
    for written in (sha256, sha256.upper()):
        loaded = bundle.load_bundle(path, written)
        assert [one.public_bytes(DER) for one in loaded.certificates] == [root.der, middle.der]
        assert (loaded.roots, loaded.left_out, loaded.lenient, loaded.sha256) == (frozenset({root.der}), (), (), sha256)
        assert loaded.warning() == ""


def test_windows_line_ends(tmp_path: pathlib.Path) -> None:
    root = ek_lab.root()
    assert bundle.load_bundle(*write(tmp_path / "b.pem", ek_lab.pem(root.der).replace(b"\n", b"\r\n"))).roots == {root.der}


def test_a_comment_is_a_comment(tmp_path: pathlib.Path) -> None:
    """Whoever reviews the file with OpenSSL does not see a certificate in a comment, so nobody is to be trusted through it."""
    root, hidden = ek_lab.root(), ek_lab.root("Hidden")
    line = ek_lab.pem(hidden.der).replace(b"\n", b" ")
    for data in (b"# " + line + b"\n" + ek_lab.pem(root.der), ek_lab.pem(root.der) + line + b"\n", line + b"\n" + ek_lab.pem(root.der)):
        loaded = bundle.load_bundle(*write(tmp_path / "b.pem", data))
        assert loaded.roots == {root.der}
        (lost,) = loaded.describe()["left_out"]
        assert (loaded.total, lost["number"], lost["reason"]) == (2, 0, "malformed") and "on a line of its own" in lost["detail"]


def test_one_that_is_cut_off_is_told_and_a_byte_order_mark_is_none(tmp_path: pathlib.Path) -> None:
    root, other = ek_lab.root(), ek_lab.root("Other")
    loaded = bundle.load_bundle(*write(tmp_path / "b.pem", b"\xef\xbb\xbf" + ek_lab.pem(root.der) + ek_lab.pem(other.der)[:-30]))
    assert loaded.roots == {root.der} and (loaded.total, len(loaded.left_out)) == (2, 1)
    # It does not take the next one with it.
    loaded = bundle.load_bundle(*write(tmp_path / "b.pem", ek_lab.pem(other.der)[:-30] + b"\n" + ek_lab.pem(root.der)))
    assert loaded.roots == {root.der} and (loaded.total, len(loaded.left_out)) == (2, 1)


def test_a_crl_that_begins_without_end_keeps_nobody_busy(tmp_path: pathlib.Path) -> None:
    """A file from the network, of which no hash is known; each beginning was once a search through the rest of it."""
    path = tmp_path / "crl.pem"
    path.write_bytes(b"-----BEGIN X509 CRL-----\n" * 300_000)
    with pytest.raises(bundle.BundleError, match="it is neither a DER nor a PEM certificate revocation list"):
        bundle.load_crls([str(path)])


def test_a_crl_that_is_not_whole_is_refused(tmp_path: pathlib.Path) -> None:
    """Those beside it in the file are no reason to go without it."""
    crl = ek_lab.pem(ek_lab.root().crl().public_bytes(DER), label="X509 CRL")
    path = tmp_path / "crl.pem"
    path.write_bytes(crl + crl[:-30])
    with pytest.raises(bundle.BundleError, match="it is neither a DER nor a PEM certificate revocation list"):
        bundle.load_crls([str(path)])


def test_what_is_left_out_is_told(tmp_path: pathlib.Path) -> None:
    root, nuvoton = ek_lab.root(), ek_lab.nuvoton_root()
    broken = ek_lab.signed_anew(
        nuvoton.der, nuvoton.key, lambda _tag, parts: [b"\x01\x01\x01" if one == b"\x01\x01\xff" else one for one in parts]
    )
    data = ek_lab.pem(root.ek(KEY, subject=ek_lab.common_name("TPM")), root.der, b"\x30\x00", broken)
    data += b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
    loaded = bundle.load_bundle(*write(tmp_path / "b.pem", data))
    assert len(loaded.certificates) == 1
    told = loaded.describe()
    assert (told["certificates"], told["left_out_count"], told["lenient"]) == (5, 4, [])
    assert [(one["number"], one["vendor"], one["reason"]) for one in told["left_out"]] == [
        (1, "", "not_a_ca"),
        (3, "", "malformed"),
        (4, "Lab Technology Corporation", "malformed"),
        (5, "", "malformed"),
    ]
    assert told["left_out"][0]["subject"] == "CN=TPM" and "Lab Like Nuvoton Root 2111" in told["left_out"][2]["subject"]
    warned = loaded.warning()
    assert warned.startswith(
        f"Of the 5 certificates of the trust bundle {tmp_path / 'b.pem'}, 4 were left out, and no EK is trusted through them: "
    )
    for each in ("1 of CN=TPM (not_a_ca)", "1 of Lab Technology Corporation (malformed)", "2 of one without a readable name (malformed)"):
        assert each in warned


def test_a_block_of_another_label_is_told(tmp_path: pathlib.Path) -> None:
    """OpenSSL reads such blocks too; revocation lists beside the certificates are not meant for the bundle."""
    root, other = ek_lab.root(), ek_lab.root("Other")
    data = (
        ek_lab.pem(root.der)
        + ek_lab.pem(other.der, label="TRUSTED CERTIFICATE")
        + ek_lab.pem(root.crl().public_bytes(DER), label="X509 CRL")
    )
    loaded = bundle.load_bundle(*write(tmp_path / "b.pem", data))
    (lost,) = loaded.describe()["left_out"]
    assert (loaded.total, len(loaded.certificates), lost["number"], lost["reason"]) == (2, 1, 0, "malformed")
    assert "TRUSTED CERTIFICATE" in lost["detail"]


def test_vendors_whose_certificates_are_not_der(tmp_path: pathlib.Path) -> None:
    nuvoton, ondie = ek_lab.nuvoton_root(), ek_lab.root("Lab OnDie Root")
    odd = ek_lab.signed_anew(ondie.der, ondie.key, ek_lab.nulled)
    loaded = bundle.load_bundle(*write(tmp_path / "b.pem", ek_lab.pem(nuvoton.der, odd, odd)))
    assert (loaded.roots, loaded.left_out) == (frozenset({nuvoton.der, odd}), ())
    assert [(one["number"], one["vendor"], one["rules"]) for one in loaded.describe()["lenient"]] == [
        (1, "Lab Technology Corporation", ["unsorted_set"]),
        (2, "", ["null_parameters"]),
    ]


def test_a_self_issued_ca_that_did_not_sign_itself_is_no_root(tmp_path: pathlib.Path) -> None:
    root = ek_lab.root()
    assert bundle.load_bundle(*write(tmp_path / "b.pem", ek_lab.pem(root.sub("Lab TPM Root").der))).roots == frozenset()


@pytest.mark.parametrize(
    ("path", "sha256", "telling"),
    [
        ("", "0" * 64, "its path is not given"),
        ("there", "", "its SHA-256 is not given"),
        ("there", "0" * 63, "is no SHA-256; give the 64 hex digits"),
        ("there", "0" * 64, "not " + "0" * 64),
        ("absent", "0" * 64, "there is no such file"),
        (".", "0" * 64, "Is a directory"),
    ],
)
def test_a_bundle_that_cannot_be_used(tmp_path: pathlib.Path, path: str, sha256: str, telling: str) -> None:
    _path, actual = ek_lab.write_bundle(tmp_path / "there", ek_lab.root())
    with pytest.raises(bundle.BundleError) as caught:
        bundle.load_bundle(str(tmp_path / path) if path else "", sha256)
    assert telling in caught.value.message
    if telling.startswith("not 0"):
        assert f"its SHA-256 is {actual}" in caught.value.message


def test_a_bundle_that_may_not_be_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_arguments: object, **_options: object) -> None:
        raise PermissionError(13, os.strerror(13))

    _path, sha256 = ek_lab.write_bundle(tmp_path / "there", ek_lab.root())
    monkeypatch.setattr(pathlib.Path, "open", forbid)  # root may read everything
    with pytest.raises(bundle.BundleError, match="Permission denied"):
        bundle.load_bundle(str(tmp_path / "there"), sha256)


@pytest.mark.parametrize("data", [b"", b"no PEM\n", ek_lab.pem(ek_lab.root().ek(KEY))], ids=["empty", "text", "leaf"])
def test_a_bundle_without_a_ca(tmp_path: pathlib.Path, data: bytes) -> None:
    with pytest.raises(bundle.BundleError, match="no CA certificate in it"):
        bundle.load_bundle(*write(tmp_path / "b.pem", data))


def test_a_bundle_beyond_all_bounds(tmp_path: pathlib.Path) -> None:
    with (tmp_path / "b.pem").open("wb") as stream:
        stream.truncate(bundle.MAX_SIZE + 1)
    with pytest.raises(bundle.BundleError, match="more than 16 MiB"):
        bundle.load_bundle(str(tmp_path / "b.pem"), "0" * 64)


def test_crls_in_every_form(tmp_path: pathlib.Path) -> None:
    made = [ek_lab.root(name).crl(7).public_bytes(DER) for name in "AB"]
    (tmp_path / "a.crl").write_bytes(made[0])
    (tmp_path / "b.pem").write_bytes(ek_lab.pem(*made, label="X509 CRL"))
    loaded = bundle.load_crls([str(tmp_path / "a.crl"), str(tmp_path / "b.pem")])
    assert [one.public_bytes(DER) for one in loaded] == [made[0], *made]
    assert bundle.load_crls([]) == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"nonsense", ek_lab.pem(b"\x30\x00", label="X509 CRL"), ek_lab.pem(ek_lab.root().der)],
    ids=["empty", "text", "torn", "certificate"],
)
def test_what_is_no_crl(tmp_path: pathlib.Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(bundle.BundleError, match="neither a DER nor a PEM"):
        bundle.load_crls([str(tmp_path / "x")])


def test_a_crl_that_is_missing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(bundle.BundleError, match=r"CRL .*/x: there is no such file"):
        bundle.load_crls([str(tmp_path / "x")])


ROOT = ek_lab.root()
MIDDLE = ROOT.sub("CA")
LEAF = x509.load_der_x509_certificate(MIDDLE.ek(KEY))
WAY = (LEAF, MIDDLE.certificate, ROOT.certificate)


def state(*crls: x509.CertificateRevocationList, way: tuple[x509.Certificate, ...] = WAY) -> str:
    return crl.check(way, crls, NOW).state


def openssl_says(folder: pathlib.Path, *crls: x509.CertificateRevocationList) -> str:
    for name, data in (
        ("root", ek_lab.pem(ROOT.der)),
        ("middle", ek_lab.pem(MIDDLE.der)),
        ("leaf", ek_lab.pem(LEAF.public_bytes(DER))),
        ("crls", ek_lab.pem(*(one.public_bytes(DER) for one in crls), label="X509 CRL")),
    ):
        (folder / name).write_bytes(data)
    command = ["openssl", "verify", "-crl_check_all", "-attime", str(int(NOW.timestamp())), "-CAfile", "root", "-untrusted", "middle"]
    done = subprocess.run([*command, "-CRLfile", "crls", "leaf"], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    said = done.stdout + done.stderr
    old = "CRL has expired" in said
    return "revoked" if "certificate revoked" in said else "good" if done.returncode == 0 else "stale" if old else "not checked"


def test_good_and_revoked_as_openssl_says(tmp_path: pathlib.Path) -> None:
    for crls, expected in (
        ([MIDDLE.crl(5), ROOT.crl()], "good"),
        ([MIDDLE.crl(LEAF.serial_number), ROOT.crl()], "revoked"),
        ([MIDDLE.crl(), ROOT.crl(MIDDLE.certificate.serial_number)], "revoked"),
        ([MIDDLE.crl()], "not checked"),
        ([MIDDLE.crl(signer=ek_lab.ecc_key()), ROOT.crl()], "not checked"),
        ([MIDDLE.crl(end=NOW - YEAR / 50), ROOT.crl()], "stale"),
    ):
        assert (state(*crls), openssl_says(tmp_path, *crls)) == (expected, expected)


def test_without_crls_nothing_is_checked() -> None:
    assert state() == "not checked"
    assert state(MIDDLE.crl(), ROOT.crl(), way=(LEAF,)) == "not checked"


def test_a_crl_by_somebody_else_says_nothing() -> None:
    """Neither does it make good, nor can it keep a device out."""
    namesake = ROOT.sub("CA")
    assert state(namesake.crl(), ROOT.crl()) == "not checked"
    assert state(namesake.crl(LEAF.serial_number), ROOT.crl()) == "not checked"
    assert state(ROOT.crl(LEAF.serial_number)) == "not checked"
    renamed = ROOT.sub("Renamed CA", key=MIDDLE.key)
    assert state(renamed.crl(), renamed.crl(LEAF.serial_number), ROOT.crl()) == "not checked"


def test_an_old_crl_does_not_make_good_but_what_it_lists_is_revoked() -> None:
    times = {"start": NOW - YEAR, "end": NOW - YEAR / 2}
    assert state(MIDDLE.crl(**times), ROOT.crl()) == "stale"
    assert state(MIDDLE.crl(LEAF.serial_number, **times), ROOT.crl()) == "revoked"
    assert state(MIDDLE.crl(start=NOW + YEAR / 50), ROOT.crl()) == "not checked"


def test_an_older_list_beside_a_new_one_still_counts() -> None:
    assert state(MIDDLE.crl(), MIDDLE.crl(LEAF.serial_number), ROOT.crl()) == "revoked"


def test_a_ca_without_crl_sign_makes_no_crls() -> None:
    key = ek_lab.ecc_key()
    silent = ROOT.sub("Silent", key=key, extensions=ek_lab.ca_extensions(key.public_key(), allowed=["key_cert_sign"]))
    leaf = x509.load_der_x509_certificate(silent.ek(KEY))
    assert state(silent.crl(), ROOT.crl(), way=(leaf, silent.certificate, ROOT.certificate)) == "not checked"


def point(**changes: object) -> x509.IssuingDistributionPoint:
    fields: dict[str, object] = {"full_name": None, "relative_name": None, "only_some_reasons": None}
    fields.update(
        dict.fromkeys(("only_contains_user_certs", "only_contains_ca_certs", "indirect_crl", "only_contains_attribute_certs"), False)
    )
    return x509.IssuingDistributionPoint(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "expected", "listed"),
    [
        ({"only_contains_user_certs": True}, "good", "revoked"),
        ({"only_contains_ca_certs": True}, "not checked", "revoked"),
        ({"only_contains_attribute_certs": True}, "not checked", "revoked"),
        ({"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})}, "not checked", "revoked"),
        ({"full_name": [x509.UniformResourceIdentifier("http://lab.invalid/1.crl")]}, "not checked", "revoked"),
        ({"indirect_crl": True}, "not checked", "not checked"),
    ],
)
def test_a_crl_for_some_certificates_only(changes: dict[str, object], expected: str, listed: str) -> None:
    scope = [(point(**changes), True)]
    assert state(MIDDLE.crl(extensions=scope), ROOT.crl()) == expected
    assert state(MIDDLE.crl(LEAF.serial_number, extensions=scope), ROOT.crl()) == listed


def test_a_crl_at_the_distribution_point_that_the_certificate_names() -> None:
    names = [x509.UniformResourceIdentifier("http://lab.invalid/1.crl")]
    here = (x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]), False)
    leaf = x509.load_der_x509_certificate(MIDDLE.ek(KEY, extensions=[*ek_lab.ek_extensions(KEY), here]))
    part = MIDDLE.crl(extensions=[(point(full_name=names), True)])
    assert state(part, ROOT.crl(), way=(leaf, *WAY[1:])) == "good"


def test_delta_crls_and_unknown_critical_extensions() -> None:
    delta: list[tuple[x509.ExtensionType, bool]] = [(x509.DeltaCRLIndicator(1), True)]
    assert state(MIDDLE.crl(extensions=delta), ROOT.crl()) == "not checked"
    assert state(MIDDLE.crl(LEAF.serial_number, extensions=delta), ROOT.crl()) == "revoked"
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
    assert state(MIDDLE.crl(extensions=[(odd, True)]), ROOT.crl()) == "not checked"


def test_crls_with_another_hash() -> None:
    assert state(MIDDLE.crl(digest=hashes.SHA384()), ROOT.crl()) == "good"


def entry(number: int, *extensions: tuple[x509.ExtensionType, bool], **options: t.Any) -> x509.CertificateRevocationList:
    """A CRL of the middle CA of one entry, with extensions of that."""
    made = x509.CertificateRevocationListBuilder().issuer_name(MIDDLE.certificate.subject)
    made = made.last_update(NOW - YEAR / 12).next_update(NOW + YEAR / 12)
    one = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(NOW - YEAR / 12)
    for value, critical in extensions:
        one = one.add_extension(value, critical)
    made = made.add_revoked_certificate(one.build())
    if options.get("delta"):
        made = made.add_extension(x509.DeltaCRLIndicator(1), True)
    return made.sign(t.cast("t.Any", MIDDLE.key), hashes.SHA256())


def test_what_a_delta_crl_takes_off_the_list_is_not_revoked_by_it() -> None:
    removed = (x509.CRLReason(x509.ReasonFlags.remove_from_crl), False)
    assert state(entry(LEAF.serial_number, removed, delta=True), ROOT.crl()) == "not checked"
    assert state(entry(LEAF.serial_number, removed, delta=True), MIDDLE.crl(), ROOT.crl()) == "good"


def test_an_entry_that_we_do_not_understand_makes_nobody_good() -> None:
    odd = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True)
    assert state(entry(5, odd), ROOT.crl()) == "not checked"
    assert state(entry(LEAF.serial_number, odd), ROOT.crl()) == "revoked"


DAY = datetime.timedelta(days=1)


@pytest.mark.parametrize(
    ("made", "word", "clause"),
    [
        (list, "not checked", "there is no CRL of CN=CA"),
        (
            lambda: [MIDDLE.crl(start=NOW - 300 * DAY, end=NOW - 270 * DAY)],
            "stale",
            "the CRL of CN=CA is of 2025-08-05 and ended on 2025-09-04",
        ),
        (lambda: [MIDDLE.crl(start=NOW - 8 * DAY)], "stale", "the CRL of CN=CA is of 2026-05-24, more than 7 days old"),
        (lambda: [MIDDLE.crl(start=NOW + DAY)], "not checked", "the CRL of CN=CA is of 2026-06-02, which is in the future"),
        (lambda: [MIDDLE.crl(signer=ek_lab.ecc_key())], "not checked", "the CRL of CN=CA is not signed by that CA"),
        (lambda: [entry(5, delta=True)], "not checked", "the CRL of CN=CA is a delta CRL, which only says what has changed"),
        (
            lambda: [MIDDLE.crl(extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\5\0"), True)])],
            "not checked",
            "the CRL of CN=CA has the critical extension 1.2.3.4.5, which is not known here",
        ),
        (
            lambda: [MIDDLE.crl(extensions=[(point(only_contains_ca_certs=True), True)])],
            "not checked",
            "the CRL of CN=CA is for other certificates of that CA",
        ),
        (
            lambda: [MIDDLE.crl(extensions=[(point(indirect_crl=True), True)])],
            "not checked",
            "the CRL of CN=CA is an indirect one, which speaks for other CAs",
        ),
        # The better one counts.
        (lambda: [MIDDLE.crl(signer=ek_lab.ecc_key()), MIDDLE.crl(start=NOW - 8 * DAY)], "stale", "more than 7 days old"),
    ],
    ids=["none", "old", "older_than_allowed", "future", "forged", "delta", "critical", "part", "indirect", "two"],
)
def test_which_crl_is_not_fresh_is_said(made: t.Callable[[], list[x509.CertificateRevocationList]], word: str, clause: str) -> None:
    found = crl.check(WAY, [*made(), ROOT.crl(start=NOW - DAY)], NOW, 7 * DAY)
    assert (found.state, len(found.lacking)) == (word, 1) and clause in found.lacking[0], found


def test_a_crl_is_fresh_up_to_the_last_day() -> None:
    fresh = [MIDDLE.crl(start=NOW - 7 * DAY), ROOT.crl(start=NOW - 7 * DAY)]
    assert crl.check(WAY, fresh, NOW, 7 * DAY) == crl.Revocation("good", "", ())


def test_a_crl_without_an_end_is_not_fresh() -> None:
    """RFC 5280 wants nextUpdate, and the library writes no CRL without, so it is cut out and the rest signed anew."""
    whole = asn1_crl.CertificateList.load(MIDDLE.crl(start=NOW - DAY).public_bytes(DER))
    del whole["tbs_cert_list"]["next_update"]
    tbs = whole["tbs_cert_list"].dump(force=True)
    whole["signature"] = t.cast("t.Any", MIDDLE.key).sign(tbs, ec.ECDSA(hashes.SHA256()))
    endless = x509.load_der_x509_crl(whole.dump(force=True))
    found = crl.check(WAY, [endless, ROOT.crl()], NOW)
    assert (found.state, found.lacking) == ("not checked", ("the CRL of CN=CA does not say when the next one comes",))
