# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enrolment as it should go, in each of its kinds, on real TPMs: what comes out of it, and what a second run does."""

from __future__ import annotations

import json
import pathlib
import struct
import subprocess
import typing as t

import pytest
from cryptography import x509
from support import lab_ca, module, secrets
from support.enroll import (
    EK,
    HOST,
    IDEVID,
    INDEX,
    ONE,
    OTHER,
    RESOURCES,
    SERIAL,
    WHERE,
    Bench,
    Between,
    Desk,
    Device,
    Json,
    altered,
    instead,
    later,
    local_key,
    nobody,
    unb64,
    without,
)
from support.proxy import Proxy
from support.softhsm import SoftHsm
from support.swtpm import Swtpm
from support.tools import Tools, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, tcg_csr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.external import ExternalError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import EnrolmentOutcome, ExchangeError, QuarantineError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, records

MakeSwtpm = t.Callable[..., Swtpm]
SIGNS_DOCUMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")  # RFC 9336
AUTH = secrets.made_up("endorsement", 32)
SIGNATURES = ("TPM2_Certify", "TPM2_NV_Certify", "TPM2_Quote", "TPM2_Sign", "TPM2_ActivateCredential", "TPM2_StartAuthSession")


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path) -> Desk:
    return bench.desk(tmp_path / "desk")


@pytest.fixture
def tpm(bench: Bench, new_swtpm: MakeSwtpm) -> Swtpm:
    return new_swtpm(bench.state(ONE))


@pytest.fixture
def device(bench: Bench, tpm: Swtpm) -> Device:
    return Device(tpm.tcti, bench.python)


def known(desk: Desk) -> records.Device:
    """The device as the registry has it."""
    with desk.registry() as registry:
        found = registry.find(serial=SERIAL)
    assert found is not None
    return found


def verified(desk: Desk, found: records.Device, folder: pathlib.Path, *kinds: str, days: int = 0) -> None:
    """OpenSSL believes each certificate (in so many days), and each is for the key in the TPM."""
    publics = {"iak": found.ak_public, "idevid": found.idevid_public, "ldevid": found.ldevid_public}
    assert set(found.certificates) == set(kinds)
    for kind in kinds:
        path = folder / f"{kind}.pem"
        path.write_text(found.certificates[kind].pem)
        command = [
            "openssl",
            "verify",
            "-attime",
            f"{later(days)():%s}",
            "-CAfile",
            str(desk.folder / "ca" / "root.pem"),
            "-untrusted",
            str(path),
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        spki = subprocess.run(["openssl", "x509", "-in", str(path), "-noout", "-pubkey"], capture_output=True, text=True, check=True).stdout
        assert spki == lab_pem(publics[kind])


def lab_pem(public: bytes) -> str:
    key = _keys.public_key(names.parse_public(public))
    from cryptography.hazmat.primitives import serialization

    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def observed(found: records.Device) -> Json:
    """What the role provision would have read just before."""
    return {"resources": [{"object": EK, "name": found.ek_name}, {"object": WHERE.ak, "name": found.ak_name}]}


# -- kinds of devices


def test_pinned_without_a_certificate(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    """Nothing of it is in any bundle; the manifest has the hash of its EK, as the board's maker wrote it down."""
    blank = new_swtpm(own_seeds=True)
    module.run("tpm2_profile", {"tcti": blank.tcti, "resources": RESOURCES}, python=bench.python).expect_ok()
    pem = Tools(blank.tcti).readpublic(EK).pem
    spki = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pem.encode(), capture_output=True, check=True).stdout
    pinned = subprocess.run(["sha256sum"], input=spki, capture_output=True, text=False, check=True).stdout.split()[0].decode()
    device = Device(blank.tcti, bench.python)
    desk.refused(device, "no_certificate", "Could not trust the EK")
    outcome = desk.enroll(device, pinned=pinned)
    assert outcome.did == ("enroll",) and outcome.verdict and (outcome.verdict.rung, outcome.verdict.reason) == ("pinned", "no_certificate")
    verified(desk, known(desk), tmp_path, "iak", "idevid")
    with desk.registry() as registry:
        # It was in quarantine before the pin was known.
        assert registry.incidents() == [] and [one.reason for one in registry.incidents(open_only=False)] == ["no_certificate"]
        assert [event.kind for event in registry.events()] == ["incident_opened", "enrolled", "incident_closed"]


def ecc_certificate(tpm: Swtpm, bench: Bench) -> None:
    """The vendor's certificate of the P-256 EK, at 0x01C0000A, which swtpm_setup does not make."""
    tools, folder = Tools(tpm.tcti), tpm.state_dir.parent
    ek = {"template": "ek_ecc_p256", "handle": "0x81010002", "state": "present"}
    module.run("tpm2_primary_key", {"tcti": tpm.tcti, **ek}, python=bench.python).expect_ok()
    area = tools.readpublic(0x81010002).area
    point = f"x={int(area['x'], 16) if isinstance(area['x'], str) else area['x']:064x},y={int(area['y'], 16) if isinstance(area['y'], str) else area['y']:064x}"
    ca = bench.vendor.folder / "ca"
    command = ["swtpm_localca", "--type", "ek", "--ek", f"{point},id=secp256r1", "--dir", str(folder), "--vmid", "ecc", "--tpm2"]
    command += ["--tpm-spec-family", "2.0", "--tpm-spec-level", "0", "--tpm-spec-revision", "164", "--tpm-manufacturer", "id:00001014"]
    command += ["--tpm-model", "swtpm", "--tpm-version", "id:20191023", "--configfile", str(ca / "localca.conf")]
    done = subprocess.run([*command, "--optsfile", str(ca / "localca.options")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    size = str((folder / "ek.cert").stat().st_size)
    attributes = "ppwrite|writedefine|ppread|ownerread|authread|no_da|platformcreate"
    tools.run("nvdefine", "-Q", "-C", "p", "-s", size, "0x1c0000a", "-a", attributes)
    tools.run("nvwrite", "-Q", "-C", "p", "-i", folder / "ek.cert", "0x1c0000a")


def test_ecc_ek_by_its_certificate(desk: Desk, bench: Bench, tpm: Swtpm, device: Device, tmp_path: pathlib.Path) -> None:
    ecc_certificate(tpm, bench)
    outcome = desk.enroll(device, where=WHERE._replace(ek="0x81010002", ek_template="ek_ecc_p256"))
    assert outcome.verdict and outcome.verdict.rung == "certificate"
    verified(desk, known(desk), tmp_path, "iak", "idevid")
    # The RSA EK of the same TPM is another one: whoever shows that is not recognised, and not let in.
    desk.refused(device, "serial_takeover", "that serial number belongs to")


@pytest.mark.parametrize("template", ["idevid_rsa_2048", "idevid_ecc_p384"])
def test_idevid_of_another_template(desk: Desk, tpm: Swtpm, device: Device, tmp_path: pathlib.Path, template: str) -> None:
    Tools(tpm.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", IDEVID)
    where = WHERE._replace(idevid_template=template)
    ca = settings.External(str(desk.requests), (b"",), "attestz")
    assert desk.enroll(device, where=where).did == ("enroll",)
    found = known(desk)
    verified(desk, found, tmp_path, "iak", "idevid")
    assert names.parse_public(found.idevid_public).algorithm == template.partition("_")[2]
    assert ca.tcg_csr == "attestz" and leftovers(tpm) == []


def test_endorsement_auth_is_set_already(desk: Desk, bench: Bench, tpm: Swtpm) -> None:
    """A TPM of the second hand: whoever gives its auth may enroll it; it is not tried without, and never seen on the wire."""
    Tools(tpm.tcti).run("changeauth", "-c", "e", AUTH)
    counter = lockout_counter(tpm)
    desk.failed(Device(tpm.tcti, bench.python), "endorsement")
    with Proxy(tpm) as proxy:
        assert desk.enroll(Device(proxy.tcti, bench.python, endorsement_auth=AUTH), local=local_key()).did == ("enroll",)
        assert secrets.on_the_wire(proxy.wire(), {"endorsement": AUTH.encode()}) == []
    assert lockout_counter(tpm) == counter and leftovers(tpm) == []


def test_nothing_is_quoted_where_nobody_asks(desk: Desk, device: Device) -> None:
    assert desk.enroll(device, quote=None).did == ("enroll",)
    with desk.registry() as registry:
        record = registry.birth_record(known(desk).ek_name)
    assert record
    payload = json.loads(unb64(json.loads(record)["payload"]))
    assert payload["quote"] is None and payload["nv_certify"] and payload["certify"]


# -- who issues, who signs


def test_ca_in_a_pkcs11_token(bench: Bench, device: Device, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hsm = SoftHsm(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(hsm.conf))
    hsm.add_token()
    desk = bench.desk(tmp_path / "desk")
    files = lab_ca.write(tmp_path / "hsm-ca")
    hsm.add_key(files.ca.key, "ca")
    (files.folder / "ca.key").unlink()
    options = {name: files.options[name] for name in ("certificate", "chain")}
    ca = settings.issuer({**options, "pkcs11": hsm.options()})
    assert desk.enroll(device, ca=ca).did == ("enroll",)
    (desk.folder / "ca" / "root.pem").write_text(files.root_path.read_text())
    verified(desk, known(desk), tmp_path, "iak", "idevid")


def test_birth_record_signed_by_somebody_else_than_the_ca(desk: Desk, device: Device, tmp_path: pathlib.Path) -> None:
    root = lab_ca.root("Registrar Root")
    key = lab_ca.new_key()
    folder = tmp_path / "registrar"
    folder.mkdir()
    (folder / "cert.pem").write_text(
        lab_ca.pem(root.certify("Registrar", key, ca=False, extra=[(x509.ExtendedKeyUsage([SIGNS_DOCUMENTS]), False)]))
    )
    (folder / "key.pem").write_bytes(lab_ca.private_pem(key))
    signer = authority.load_signer({"certificate": str(folder / "cert.pem"), "key": str(folder / "key.pem"), "password": lab_ca.PASSWORD})
    assert desk.enroll(device, signer=signer).did == ("enroll",)
    with desk.registry() as registry:
        record = registry.birth_record(known(desk).ek_name)
    assert record
    found = birth_records.verify(record, roots=[lab_ca.pem(root.certificate), (desk.folder / "ca" / "root.pem").read_text()])
    assert found["signer"] == "CN=Registrar" and found["device"]["serial"] == SERIAL
    with pytest.raises(TpmError, match="Registrar"):
        birth_records.verify(record, roots=[(desk.folder / "ca" / "root.pem").read_text()])


# -- the LDevID: renewed by itself, and its key replaced


def test_ldevid_is_issued_and_renewed_when_it_is_due(desk: Desk, bench: Bench, tpm: Swtpm, tmp_path: pathlib.Path) -> None:
    with Proxy(tpm) as proxy:
        device = Device(proxy.tcti, bench.python)
        assert desk.enroll(device, local=local_key()).pending == ()
        first = known(desk)
        verified(desk, first, tmp_path, "iak", "idevid", "ldevid")
        asked = len(device.questions)
        # What was read before is enough: no command goes to the TPM, however often, until it is due.
        for days in (0, 30, 59):
            assert desk.enroll(device, local=local_key(), observed=observed(first), clock=later(days)).changed is False
        assert len(device.questions) == asked
        proxy.reset()
        renewed = desk.enroll(device, local=local_key(), observed=observed(first), clock=later(61))
        assert renewed.did == ("renew ldevid",) and len(device.questions) == asked + 2
        assert proxy.key_generations() == [] and proxy.count() <= 12
    second = known(desk)
    assert second.ldevid_name == first.ldevid_name
    assert second.certificates["ldevid"].serial_number != first.certificates["ldevid"].serial_number
    assert second.certificates["ldevid"].not_after > first.certificates["ldevid"].not_after
    assert {kind: second.certificates[kind] for kind in ("iak", "idevid")} == {kind: first.certificates[kind] for kind in ("iak", "idevid")}
    assert desk.enroll(device, local=local_key(), observed=observed(first), clock=later(62)).changed is False
    with desk.registry() as registry:
        assert [event.kind for event in registry.events()] == ["enrolled", "ldevid_set"]


def test_ldevid_key_is_replaced_with_its_certificate(desk: Desk, tpm: Swtpm, device: Device, tmp_path: pathlib.Path) -> None:
    """Somebody has removed the key: the renewal makes another, which the AK certifies; nobody needs to help."""
    assert desk.enroll(device, local=local_key()).did == ("enroll",)
    first = known(desk)
    Tools(tpm.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", local_key().handle)
    assert desk.enroll(device, local=local_key(), clock=later(61)).did == ("renew ldevid",)
    second = known(desk)
    assert second.ldevid_name != first.ldevid_name
    verified(desk, second, tmp_path, "iak", "idevid", "ldevid", days=62)


def test_ldevid_that_is_asked_for_later(desk: Desk, device: Device, tmp_path: pathlib.Path) -> None:
    assert desk.enroll(device).did == ("enroll",)
    assert desk.enroll(device, local=local_key(), check=True).did == ("issue ldevid",)
    assert desk.enroll(device, local=local_key(server_auth=True, dns_names=("edge-01.example.org",))).did == ("issue ldevid",)
    found = known(desk)
    verified(desk, found, tmp_path, "iak", "idevid", "ldevid")
    leaf = x509.load_pem_x509_certificate(found.certificates["ldevid"].pem.encode())
    names_in = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names_in.get_values_for_type(x509.DNSName) == ["edge-01.example.org"]


def test_an_impostor_gets_no_renewed_certificate(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """It shows the public areas of the enrolled device, which are no secret, and has its own TPM sign."""
    assert desk.enroll(device, local=local_key()).did == ("enroll",)
    found = known(desk)
    other = Device(new_swtpm(bench.state("line-b")).tcti, bench.python)
    before = desk.rows()
    changed = {"local": local_key(), "observed": observed(found), "host": HOST, "clock": later(61)}
    # It has no such key yet: the session in which it is made is salted to the EK that is registered, whoever answers.
    desk.refused(other, "other_key", "Could not open a secure session to the TPM", **changed)
    module.run("tpm2_primary_key", {"tcti": other.tcti}, python=bench.python).expect_ok()
    made = {"tcti": other.tcti, "handle": local_key().handle, "usage": "sign", "algorithm": "ecc_p256"}
    module.run("tpm2_key", made, python=bench.python).expect_ok()
    desk.refused(other, "bad_signature", "is not the AK's", **changed)
    after = desk.rows()
    assert {**after, "events": [], "quarantine": []} == {**before, "events": [], "quarantine": []}


# -- a CA elsewhere


class Elsewhere:
    """A CA that has only the folder of requests."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.ca = folder, lab_ca.root("Elsewhere").below("Elsewhere Devices")
        self.where = folder / SERIAL

    def settings(self, flavour: str | None = None) -> Json:
        """The plan that asks it."""
        return {"ca": None, "external": settings.External(str(self.folder), (lab_ca.pem(self.ca.certificate).encode(),), flavour)}

    def request(self) -> Json:
        """What it is told."""
        return t.cast("Json", json.loads((self.where / "request.json").read_text()))

    def issue(self, *kinds: str, key: t.Any = None, serial: str = SERIAL) -> None:
        """Put certificates there, for the keys of the request."""
        for kind in kinds:
            pem = self.request()["keys"][kind]["public_key"].encode()
            made = self.ca.certify(f"{kind} of {serial}", key or Public(pem), ca=False, serial=serial)
            (self.where / f"{kind}.pem").write_text(lab_ca.pem(made))


class Public:
    """What lab_ca takes as a key, without the private half."""

    def __init__(self, pem: bytes) -> None:
        from cryptography.hazmat.primitives import serialization

        self._key = serialization.load_pem_public_key(pem)

    def public_key(self) -> t.Any:
        return self._key


@pytest.fixture
def elsewhere(desk: Desk) -> Elsewhere:
    return Elsewhere(desk.requests)


def told(outcome: EnrolmentOutcome) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """What a run says."""
    return outcome.changed, outcome.did, outcome.pending


@pytest.mark.parametrize("flavour", [None, "attestz", "flightctl", "trusted_platform"])
@pytest.mark.parametrize("template", ["idevid_ecc_p256", "idevid_ecc_p384"])
def test_requests_go_out_and_certificates_come_in(
    desk: Desk, device: Device, tpm: Swtpm, elsewhere: Elsewhere, flavour: str | None, template: str
) -> None:
    if template != WHERE.idevid_template:
        Tools(tpm.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", IDEVID)
    options: Json = {**elsewhere.settings(flavour), "local": local_key(), "where": WHERE._replace(idevid_template=template)}
    assert told(desk.enroll(device, **options)) == (True, ("enroll",), ("iak", "idevid", "ldevid"))
    assert len(device.questions) == (3 if flavour == "flightctl" else 2)
    found = known(desk)
    for kind in ("idevid", "ldevid"):
        done = subprocess.run(
            ["openssl", "req", "-in", str(elsewhere.where / f"{kind}.csr"), "-noout", "-verify", "-subject"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0 and SERIAL in done.stdout, done.stderr
    if flavour:
        whole = (elsewhere.where / f"idevid.{flavour}.tcgcsr").read_bytes()
        check_tcg_csr(whole, flavour, found, (elsewhere.where / "idevid.csr").read_text())
    # Nothing has come yet, then a part, then the rest; no TPM command for any of it.
    same: Json = {**options, "observed": observed(found)}
    assert told(desk.enroll(nobody, **same)) == (False, (), ("iak", "idevid", "ldevid"))
    elsewhere.issue("idevid")
    assert told(desk.enroll(nobody, check=True, **same)) == (True, ("add idevid",), ("iak", "idevid", "ldevid"))
    assert told(desk.enroll(nobody, **same)) == (True, ("add idevid",), ("iak", "ldevid"))
    elsewhere.issue("iak", "ldevid")
    assert told(desk.enroll(nobody, **same)) == (True, ("add iak", "add ldevid"), ())
    assert told(desk.enroll(nobody, **same)) == (False, (), ())


def check_tcg_csr(whole: bytes, flavour: str, found: records.Device, pkcs10: str) -> None:
    """As the reader of that flavour takes it apart, with OpenSSL for the signature."""
    read = tcg_csr.decode(whole, flavour)
    assert read.fields.signing_public == found.idevid_public and read.fields.attest_public == found.ak_public
    assert read.fields.ca_data.decode() == (pkcs10 if flavour == "flightctl" else "")
    key = _keys.public_key(names.parse_public(found.idevid_public))
    plain = read.signature
    if flavour == "attestz":
        assert struct.unpack(">H", plain[:2]) == (0x18,)
        plain = _keys.openssl_signature(plain)
    assert plain[0] == 0x30
    tcg_csr.verify(read, key, plain)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("key", "it is for another key than the idevid in the device's TPM"),
        ("serial", "the serial number in its subject is EF-LINE-9999"),
        ("issuer", "the idevid certificate of EF-LINE-0001"),
        ("garbage", "it holds no well-formed certificate"),
    ],
)
def test_a_wrong_certificate_is_refused(desk: Desk, device: Device, elsewhere: Elsewhere, wrong: str, sentence: str) -> None:
    options = elsewhere.settings()
    assert desk.enroll(device, **options).did == ("enroll",)
    if wrong == "key":
        elsewhere.issue("idevid", key=lab_ca.new_key())
    elif wrong == "serial":
        elsewhere.issue("idevid", serial="EF-LINE-9999")
    elif wrong == "issuer":
        right, elsewhere.ca = elsewhere.ca, lab_ca.root("Somebody").below("Somebody's")
        elsewhere.issue("idevid")
        elsewhere.ca = right
    else:
        (elsewhere.where / "idevid.pem").write_text("no certificate\n")
    options["observed"] = observed(known(desk))
    desk.failed(nobody, sentence, **options)
    assert known(desk).certificates == {}
    elsewhere.issue("idevid", "iak")
    assert desk.enroll(nobody, **options).pending == ()


def test_two_certificates_of_one_kind(desk: Desk, device: Device, elsewhere: Elsewhere) -> None:
    options = elsewhere.settings()
    assert desk.enroll(device, **options).did == ("enroll",)
    elsewhere.issue("idevid")
    (elsewhere.where / "idevid.crt").write_bytes((elsewhere.where / "idevid.pem").read_bytes())
    error = desk.failed(nobody, "idevid.crt is there too", **{**options, "observed": observed(known(desk))})
    assert isinstance(error, ExternalError)


def test_pinned_device_has_no_ek_certificate_for_a_tcg_csr(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm, elsewhere: Elsewhere) -> None:
    blank = new_swtpm()
    module.run("tpm2_profile", {"tcti": blank.tcti, "resources": RESOURCES}, python=bench.python).expect_ok()
    device = Device(blank.tcti, bench.python)
    spki = _keys.spki_sha256(names.parse_public(bytes.fromhex(device({"collect": probe()})["publics"][EK])))
    desk.failed(device, "ek_certificate is missing; use the JSON request instead", pinned=spki, **elsewhere.settings("attestz"))
    assert not elsewhere.where.exists()
    assert desk.enroll(device, pinned=spki, **elsewhere.settings()).did == ("enroll",)


def probe() -> Json:
    """A question for EK and AK alone."""
    return {"nonce": "11" * 32, "ek": EK, "ak": WHERE.ak, "certificates": False}


# -- check mode, places, names


def test_check_mode_predicts_and_leaves_no_trace(desk: Desk, bench: Bench, tpm: Swtpm) -> None:
    """Not even a signature is made on the TPM."""
    path = pathlib.Path(desk.url)
    path.unlink()
    with Proxy(tpm) as proxy:
        device = Device(proxy.tcti, bench.python)
        outcome = desk.enroll(device, check=True, local=local_key())
        assert (outcome.changed, outcome.did, outcome.device) == (True, ("enroll",), None)
        assert outcome.verdict and outcome.verdict.rung == "certificate"
        assert proxy.writes() == [] and not set(SIGNATURES) & set(proxy.codes())
        assert not path.exists() and desk.ca.issued == 0
        proxy.reset()
        with pytest.raises(Exception, match="Could not trust the EK"):
            desk.enroll(device, check=True, policy=settings.trust_policy({}))
        assert not path.exists() and proxy.writes() == []


def test_first_run_adds_twenty_commands_and_the_second_none(desk: Desk, bench: Bench, tpm: Swtpm) -> None:
    with Proxy(tpm) as proxy:
        device = Device(proxy.tcti, bench.python)
        facts = {"manufacturer": "IBM", "firmware": "8217.4131.22.13878", "model": "SW TPM"}
        read = device({"collect": probe()})["publics"]
        proxy.reset()
        assert desk.enroll(device, reads={"public": read, "nv_buffer_max": 1024}, tpm=facts).did == ("enroll",)
        assert proxy.count() <= 21, proxy.codes()  # 20, and one for an IDevID that is looked for and is there already
        proxy.reset()
        assert desk.enroll(device, observed=observed(known(desk))).changed is False
        assert proxy.count() == 0


def test_a_device_that_has_moved(desk: Desk, device: Device) -> None:
    assert desk.enroll(device, site="north").did == ("enroll",)
    same = {"observed": observed(known(desk)), "host": "edge-77", "site": "south", "mac": "02:00:00:00:00:77"}
    assert told(desk.enroll(nobody, check=True, **same))[:2] == (True, ("relocate",))
    assert known(desk).host == HOST
    asked = len(device.questions)
    assert told(desk.enroll(device, **same))[:2] == (True, ("relocate",))
    assert len(device.questions) == asked + 1
    found = known(desk)
    assert (found.host, found.site, found.mac) == ("edge-77", "south", "02:00:00:00:00:77")
    assert desk.enroll(nobody, **same).changed is False
    # An inventory that says nothing of the place takes nothing back.
    assert desk.enroll(nobody, observed=same["observed"], host="edge-77").changed is False
    # The same host in another spelling, and another site, are no other place for secrets.
    for change in ({"host": "EDGE-77"}, {"site": "west"}, {"mac": "02:00:00:00:00:78"}):
        assert told(desk.enroll(nobody, **{**same, "host": "EDGE-77", **change}))[1] == ("relocate",)


def test_a_move_costs_four_commands_and_no_auth(desk: Desk, bench: Bench, tpm: Swtpm) -> None:
    with Proxy(tpm) as proxy:
        device = Device(proxy.tcti, bench.python)
        assert desk.enroll(device).did == ("enroll",)
        Tools(tpm.tcti).run("changeauth", "-c", "e", AUTH)
        proxy.reset()
        assert desk.enroll(device, observed=observed(known(desk)), host="edge-77").did == ("relocate",)
        assert proxy.writes() == [] and proxy.count() <= 4, proxy.codes()
    assert leftovers(tpm) == [] and lockout_counter(tpm) == 0


def test_an_impostor_does_not_move_a_device(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """It shows the public areas of the device, which are no secret; neither do incidents end by that, nor does the registry say it is there."""
    assert desk.enroll(device).did == ("enroll",)
    found, other = known(desk), Device(new_swtpm(bench.state(OTHER)).tcti, bench.python)
    with desk.registry() as registry:
        registry.open_incident("edge-66", "EF-LINE-0066", None, "no_certificate")
    same: Json = {"observed": observed(found), "host": "edge-66"}
    desk.refused(other, "bad_signature", "is not the AK's", **same)
    # What it says of its AK does not count, nor an answer of the device to another question.
    claims = altered(publics=lambda keys: {**keys, EK: found.ek_public.hex(), WHERE.ak: found.ak_public.hex()})
    desk.refused(Between(other, claims), "bad_signature", "is not the AK's", **same)
    desk.refused(Between(nobody, instead(device.answers[0])), "wrong_nonce", "it may be an old one", **same)
    desk.refused(Between(device, without("nv_certify")), "no_serial", "the serial number without an attestation", **same)
    desk.refused(Between(nobody, instead({})), "malformed_answer", "its keys is missing", **same)
    assert known(desk) == found
    with desk.registry() as registry:
        assert {one.host for one in registry.incidents()} == {"edge-66"} and len(registry.incidents()) == 5
    # The device itself is there.
    assert desk.enroll(device, **same).did == ("relocate",)
    with desk.registry() as registry:
        assert registry.incidents() == [] and registry.events()[-1].kind == "incident_closed"


def test_a_moved_device_whose_serial_number_is_another_now(desk: Desk, tpm: Swtpm, device: Device, bench: Bench) -> None:
    assert desk.enroll(device).did == ("enroll",)
    Tools(tpm.tcti).run("nvundefine", "-C", "o", INDEX)
    other = {"index": INDEX, "content": "EF-LINE-0002", "write_once": True}
    module.run("tpm2_nv_index", {"tcti": tpm.tcti, **other}, python=bench.python).expect_ok()
    desk.refused(device, "wrong_content", "are not the 12 expected", observed=observed(known(desk)), host="edge-77")


def test_incidents_of_the_host_end_with_a_proof(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """A typo in the serial number, another device in the same slot: whoever proves itself there passes, and the history stays."""
    sightings = [(HOST.upper(), "EF-TYPO"), (HOST, ""), ("", SERIAL), ("", "EF-OTHER"), ("edge-66", SERIAL)]
    with desk.registry() as registry:
        for host, serial in sightings:
            registry.open_incident(host, serial, None, "no_certificate")
    for did in (("enroll",), ()):
        assert desk.enroll(device).did == did
        with desk.registry() as registry:
            assert [(one.host, one.serial) for one in registry.incidents()] == sightings[3:]
            assert ask.incident(registry, host=HOST, serial=SERIAL) is None
            registry.open_incident(HOST, "EF-TYPO-2", None, "serial_takeover")
    # A device that is recognised ends them too, once its AK has signed; a run that has nothing to do asks nothing and writes nothing.
    same: Json = {"observed": observed(known(desk))}
    other = Device(new_swtpm(bench.state(OTHER)).tcti, bench.python)
    desk.refused(other, "bad_signature", "is not the AK's", **same)
    assert desk.enroll(device, **same).changed is False
    before = desk.rows()
    assert desk.enroll(nobody, **same).changed is False
    assert desk.rows() == before


def test_two_hosts_with_one_name(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """Two sites have called a device the same. The serial numbers tell them apart, as they do everywhere."""
    assert desk.enroll(device, site="north").did == ("enroll",)
    tpm = new_swtpm(bench.state("line-b"))
    Tools(tpm.tcti).run("nvundefine", "-C", "o", INDEX)
    second = {"index": INDEX, "content": "EF-LINE-0002", "write_once": True}
    module.run("tpm2_nv_index", {"tcti": tpm.tcti, **second}, python=bench.python).expect_ok()
    assert desk.enroll(Device(tpm.tcti, bench.python), serial="EF-LINE-0002", site="south").did == ("enroll",)
    with desk.registry() as registry:
        assert [(one.serial, one.host, one.site) for one in registry.devices()] == [
            (SERIAL, HOST, "north"),
            ("EF-LINE-0002", HOST, "south"),
        ]
    assert desk.enroll(nobody, observed=observed(known(desk)), site="north").changed is False


def test_a_tpm_that_is_not_provisioned(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm) -> None:
    blank = Device(new_swtpm().tcti, bench.python)
    for check in (False, True):
        with pytest.raises(ExchangeError, match="there is no key at 0x81010001; provision the TPM first"):
            desk.enroll(blank, check=check)


def dry_run(tcti: str, python: str) -> Json:
    """What the role provision has read just before, in check mode."""
    return module.run("tpm2_profile", {"tcti": tcti, "resources": RESOURCES}, python=python, check=True).expect_ok()


def test_check_mode_on_a_blank_tpm(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm) -> None:
    """Its keys are made in the same run: there is nobody to ask about them yet."""
    blank = new_swtpm()
    read = dry_run(blank.tcti, bench.python)
    assert told(desk.enroll(nobody, check=True, observed=read)) == (True, ("enroll",), ())
    assert desk.rows()["devices"] == desk.rows()["quarantine"] == []


def test_check_mode_on_a_tpm_with_an_ek_alone(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """As it came from its maker: the EK is judged, and whose it is."""
    tpm = new_swtpm(bench.state(ONE))
    Tools(tpm.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", WHERE.ak)
    bare, read = Device(tpm.tcti, bench.python), dry_run(tpm.tcti, bench.python)
    outcome = desk.enroll(bare, check=True, observed=read)
    assert told(outcome) == (True, ("enroll",), ()) and outcome.verdict and outcome.verdict.rung == "certificate"
    with pytest.raises(QuarantineError, match="Could not trust the EK"):
        desk.enroll(bare, check=True, observed=read, policy=settings.trust_policy({}))
    # Without the word of a run that would make the AK, that is missing; the device is not to blame.
    desk.failed(bare, "there is no key at 0x81020001; provision the TPM first", check=True)
    assert desk.enroll(device).did == ("enroll",)
    assert desk.enroll(bare, check=True, observed=read).did == ("enroll",)
    with pytest.raises(QuarantineError, match="that EK belongs to serial EF-LINE-0001"):
        desk.enroll(bare, check=True, observed=read, serial="EF-LINE-0002")
    other = new_swtpm(bench.state(OTHER))
    Tools(other.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", WHERE.ak)
    with pytest.raises(QuarantineError, match="that serial number belongs to serial EF-LINE-0001"):
        desk.enroll(Device(other.tcti, bench.python), check=True, observed=dry_run(other.tcti, bench.python))
    with desk.registry() as registry:
        assert registry.incidents() == []


def test_a_blank_tpm_in_the_place_of_an_enrolled_device(desk: Desk, bench: Bench, device: Device, new_swtpm: MakeSwtpm) -> None:
    """It has an EK, as it came from its maker, and nothing else; that is enough to see that it is another one."""
    assert desk.enroll(device).did == ("enroll",)
    blank = Device(new_swtpm(bench.vendor.make("line-c")).tcti, bench.python)
    for check in (True, False):
        with pytest.raises(QuarantineError, match="that serial number belongs to serial EF-LINE-0001") as caught:
            desk.enroll(blank, check=check)
        assert caught.value.reason == "serial_takeover"
    with desk.registry() as registry:
        assert [one.reason for one in registry.incidents()] == ["serial_takeover"]


def test_an_enrolled_device_without_its_ak(desk: Desk, tpm: Swtpm, device: Device) -> None:
    assert desk.enroll(device).did == ("enroll",)
    Tools(tpm.tcti).run("evictcontrol", "-Q", "-C", "o", "-c", WHERE.ak)
    desk.failed(device, "there is no key at 0x81020001; provision the TPM first")


def test_without_anybody_who_issues(desk: Desk, device: Device) -> None:
    desk.failed(device, "neither authority nor external_authority is given", ca=None)
    assert len(device.questions) == 1


def test_a_birth_record_that_nobody_could_sign(desk: Desk, device: Device, elsewhere: Elsewhere) -> None:
    """A new device is refused before it is asked; one that is enrolled already goes on."""
    options: Json = {**elsewhere.settings(), "record": True}
    for check in (True, False):
        desk.failed(nobody, "nobody can sign its birth record, which cannot be made later; give record_signer", check=check, **options)
    assert desk.enroll(device, **elsewhere.settings()).did == ("enroll",)
    assert desk.enroll(nobody, observed=observed(known(desk)), **options).changed is False


def test_a_birth_record_with_a_ca_elsewhere(desk: Desk, device: Device, elsewhere: Elsewhere) -> None:
    signer = t.cast("authority.Signer", desk.ca)
    assert desk.enroll(device, signer=signer, record=True, **elsewhere.settings()).did == ("enroll",)
    with desk.registry() as registry:
        record = registry.birth_record(known(desk).ek_name)
    assert record
    found = birth_records.verify(record, roots=[(desk.folder / "ca" / "root.pem").read_text()])
    assert found["ek"]["verdict"]["manufacturer"] == "id:00001014" and found["tpm"]["manufacturer"] == "IBM"
