# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_evidence against a TPM: each part alone, what it refuses, what it does not touch; what it answers is checked by tpm2-tools."""

from __future__ import annotations

import base64
import functools
import hashlib
import pathlib
import typing as t

import pytest
from support import ek_lab, evidence, module
from support.cycle import Bench
from support.evidence import AK, EK, IDEVID, INDEX, LDEVID, MODULE, NONCE, PROFILE, SERIAL, Json
from support.faults import assert_one_sentence
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools, leftovers

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._evidence import credentials

SIGNS = {"TPM2_Quote", "TPM2_Certify", "TPM2_NV_Certify", "TPM2_Sign", "TPM2_ActivateCredential"}
ALL = {"nonce": NONCE, "serial_size": len(SERIAL), "pcrs": {"indices": [7, 0]}}


class Evidence(Bench):
    """A provisioned device; every run leaves nothing loaded and costs no try, as of every module."""

    folder: pathlib.Path

    def collect(self, **options: t.Any) -> Json:
        return self.ok(MODULE, collect={"nonce": NONCE, "certificates": False, **options})

    def public(self, handle: str) -> names.Public:
        """The public area as tpm2-tools reads it."""
        return evidence.public(self.proxy.swtpm, handle, self.folder)

    def key(self, handle: str) -> Json:
        return evidence.key(self.proxy.swtpm, handle, self.folder)

    def challenge(self, ek: str = EK, ak: str = AK) -> tuple[credentials.Challenge, Json]:
        """A challenge, and the option `activate` for it."""
        return evidence.challenge(self.proxy.swtpm, self.folder, ek=ek, ak=ak)

    def believed(self, handle: str, message: bytes, signature: str, hash_name: str = "sha256") -> None:
        """tpm2_verifysignature believes that the key has signed it."""
        (self.folder / "message").write_bytes(message)
        (self.folder / "signature").write_bytes(base64.b64decode(signature))
        arguments = ["-c", handle, "-g", hash_name, "-m", self.folder / "message", "-s", self.folder / "signature"]
        self.tools.run("verifysignature", "-Q", *arguments)

    def attested(self, found: Json, handle: str = AK, hash_name: str = "sha256") -> bytes:
        """The attestation; it is signed by the AK and holds the nonce."""
        attest = base64.b64decode(found["attest"])
        self.believed(handle, attest, found["signature"], hash_name)
        assert bytes.fromhex(NONCE) in attest
        return attest

    def signs(self) -> list[str]:
        return [name for name in self.proxy.codes() if name in SIGNS]


@pytest.fixture
def device(
    new_swtpm: t.Callable[..., Swtpm], evidence_state: pathlib.Path, tmp_path: pathlib.Path, system_python: str
) -> t.Iterator[Evidence]:
    with Proxy(new_swtpm(evidence_state)) as proxy:
        made = Evidence(proxy, system_python)
        made.folder = tmp_path
        yield made


@pytest.fixture
def both(device: Evidence, device_python: str) -> Evidence:
    """On both Pythons."""
    device.python = device_python
    return device


# -- collect


def test_collect_alone(device: Evidence) -> None:
    found = device.ok(MODULE, collect=ALL)
    assert not found["changed"] and found["steps"] == [] and device.proxy.writes() == device.proxy.sessions() == []
    assert found["publics"] == {handle: device.public(handle).raw.hex() for handle in (EK, AK)}
    assert found["certificates"] == found["chain"] == []
    assert found["identity"]["manufacturer"] == "IBM" and found["identity"]["family"] == "2.0"
    assert device.attested(found["nv_certify"]).endswith(SERIAL)
    quote = found["quote"]
    assert quote["bank"] == "sha256" and quote["pcrs"] == {str(index): device.tools.pcrread(index) for index in (0, 7)}
    composite = hashlib.sha256(b"".join(bytes.fromhex(quote["pcrs"][index]) for index in ("0", "7"))).digest()
    assert device.attested(quote).endswith(composite)
    assert set(found) & {"proof", "signatures", "certify", "certify_idevid"} == set()


def test_what_is_not_asked_for_is_not_done(device: Evidence) -> None:
    found = device.collect(reads={"identity": True})
    assert set(found) & {"identity", "certificates", "chain", "nv_certify", "quote"} == set()
    assert device.proxy.codes() == ["TPM2_ReadPublic"] * 2


def test_what_was_read_already_is_not_read_again(device: Evidence) -> None:
    reads = device.ok("tpm2_profile", resources=PROFILE, return_reads=True)["reads"]
    found = device.ok(MODULE, collect={**ALL, "certificates": False, "reads": {**reads, "identity": True, "nv_buffer_max": 1024}})
    assert found["publics"] == {handle: device.public(handle).raw.hex() for handle in (EK, AK)}
    # The first use of a key with dictionary attack protection is noted in NV, and asked for again.
    assert list(dict.fromkeys(device.proxy.codes())) == ["TPM2_NV_Certify", "TPM2_Quote", "TPM2_PCR_Read"]


def test_identity_keys_are_made_where_they_are_missing(both: Evidence) -> None:
    options = {**ALL, "certificates": False, "idevid": {}, "ldevid": {"handle": LDEVID}, "certify": [LDEVID], "certify_idevid": True}
    checked = both.ok(MODULE, check=True, collect=options)
    assert checked["changed"] and both.proxy.writes() == both.proxy.loads() == both.signs() == []
    assert "publics" not in checked
    done = both.ok(MODULE, collect=options)
    assert done["changed"] and done["steps"] == checked["steps"] and len(both.proxy.key_generations()) == 2
    assert set(done["publics"]) == {EK, AK, IDEVID, LDEVID}
    for handle, kind in ((IDEVID, "certify_idevid"), (LDEVID, "certify")):
        attest = both.attested(done[kind] if kind == "certify_idevid" else done[kind][LDEVID])
        assert both.public(handle).name in attest
    again = both.ok(MODULE, collect=options)
    assert not again["changed"] and again["publics"] == done["publics"] and both.proxy.writes() == []


def test_check_mode_signs_nothing_and_opens_nothing(device: Evidence) -> None:
    device.collect(idevid={})
    _made, activate = device.challenge()
    sign = [{**device.key(IDEVID), "digest": "00" * 32}]
    options = {**ALL, "idevid": {}, "certify": [IDEVID], "certify_idevid": True}
    found = device.ok(MODULE, check=True, collect=options, activate={**activate, "idevid": device.key(IDEVID)}, sign=sign)
    device.proxy.reset()
    assert not found["changed"]
    assert set(found) & {"nv_certify", "quote", "certify", "certify_idevid", "proof", "signatures"} == set()
    assert set(found["publics"]) == {EK, AK, IDEVID}
    assert device.run(MODULE, check=True, collect=options, activate=activate, sign=sign).ok and device.signs() == []


def test_a_key_of_another_template_at_the_idevids_handle_stays(device: Evidence) -> None:
    device.collect(idevid={"template": "idevid_ecc_p384"})
    message = device.failed(MODULE, collect={"nonce": NONCE, "idevid": {"template": "idevid_ecc_p256"}})
    assert IDEVID in message and "ecc_p384" in message


def test_keys_of_p384(device: Evidence) -> None:
    """All keys of the larger curve, with SHA-384 throughout."""
    handles = {"ek": "0x81010016", "ak": "0x81020007", "idevid": "0x81020008"}
    resources = [{"primary_key": {"template": f"{kind}_ecc_p384", "handle": handles[kind]}} for kind in ("ek", "ak")]
    resources[1]["primary_key"]["template"] = "iak_ecc_p384"
    device.ok("tpm2_profile", resources=resources)
    options = {"ek": handles["ek"], "ak": handles["ak"], "idevid": {"template": "idevid_ecc_p384", "handle": handles["idevid"]}}
    found = device.ok(MODULE, collect={**ALL, **options, "certify_idevid": True})
    for part in (found["nv_certify"], found["quote"], found["certify_idevid"]):
        device.attested(part, handles["ak"], "sha384")
    made, activate = device.challenge(handles["ek"], handles["ak"])
    answer = device.ok(MODULE, activate={**activate, "idevid": device.key(handles["idevid"])})
    made.check(bytes.fromhex(answer["proof"]))
    device.believed(handles["ak"], base64.b64decode(answer["certify"]["attest"]), answer["certify"]["signature"], "sha384")


# -- certificates in NV


@functools.cache
def vendor() -> ek_lab.Authority:
    return ek_lab.root("Lab TPM Root").sub("Lab TPM CA 7")


def write_nv(device: Evidence, index: int, data: bytes, attributes: str = "ppwrite|ownerread|ppread|authread|no_da|platformcreate") -> None:
    """Write an index as a manufacturer does, with the platform's auth."""
    device.tools.run("nvdefine", "-Q", f"{index:#x}", "-C", "p", "-s", str(len(data)), "-a", attributes)
    device.tools.run("nvwrite", "-Q", f"{index:#x}", "-C", "p", "-i", "-", stdin=data)


def certificate(size: int = 0) -> bytes:
    """An EK certificate; with `size`, padded to it as an index that is too large pads it."""
    return vendor().ek(ek_lab.ecc_key().public_key()).ljust(size, b"\xff")


def certificates(device: Evidence, **options: t.Any) -> tuple[list[bytes], list[bytes]]:
    found = device.ok(MODULE, collect={"nonce": NONCE, "reads": {"identity": True}, **options})
    first, second = ([base64.b64decode(one) for one in found[name]] for name in ("certificates", "chain"))
    return first, second


def test_the_certificate_of_the_eks_own_template(device: Evidence) -> None:
    mine = certificate()
    write_nv(device, 0x01C0000A, mine)
    write_nv(device, 0x01C00002, certificate())
    assert certificates(device) == ([mine], [])


def test_certificates_in_other_indices_are_told_where_the_own_is_missing(device: Evidence) -> None:
    others = [certificate(), certificate()]
    write_nv(device, 0x01C00002, others[0])
    write_nv(device, 0x01C00014, others[1])
    assert certificates(device) == (others, [])


def test_the_chain_is_told_unless_its_issuer_is_known(device: Evidence) -> None:
    mine = certificate(1100)
    write_nv(device, 0x01C0000A, mine)
    # An Intel on-die CA fills several indices; the last one of the range counts too.
    chain = [vendor().der, b"first half", b"second half"]
    for index, data in zip((0x01C00100, 0x01C00101, 0x01C001FF), chain, strict=True):
        write_nv(device, index, data)
    assert certificates(device) == ([mine], chain)
    issuer = hashlib.sha256(vendor().certificate.subject.public_bytes()).hexdigest()[:16]
    reads = {"identity": True, "nv_buffer_max": 1024}
    assert certificates(device, issuers=["00" * 8, issuer], reads=reads) == ([mine], [])
    assert device.proxy.codes() == ["TPM2_ReadPublic"] * 2 + ["TPM2_NV_ReadPublic"] + ["TPM2_NV_Read"] * 2
    assert certificates(device, issuers=["00" * 8]) == ([mine], chain)


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ("ppwrite|ownerread|ppread|no_da|platformcreate", 600),  # not for everybody
        ("ppwrite|ownerread|ppread|authread|platformcreate", 600),  # a try of it would be counted
    ],
)
def test_an_index_that_is_not_for_everybody_is_not_read(device: Evidence, attributes: str, size: int) -> None:
    write_nv(device, 0x01C0000A, certificate(size), attributes)
    write_nv(device, 0x01C00100, bytes(size), attributes)
    assert certificates(device) == ([], [])
    assert "TPM2_NV_Read" not in device.proxy.codes()


def test_an_index_that_was_never_written_is_not_read(device: Evidence) -> None:
    device.tools.run("nvdefine", "-Q", "0x01c0000a", "-C", "p", "-s", "64", "-a", "ppwrite|ppread|authread|no_da|platformcreate")
    assert certificates(device) == ([], [])
    assert "TPM2_NV_Read" not in device.proxy.codes()


def test_an_index_that_says_it_is_oversized_is_not_read(device: Evidence) -> None:
    """No TPM has one, but a device may claim anything: it must not keep the run busy."""
    write_nv(device, 0x01C0000A, certificate())
    device.proxy.reset()

    def lie(record: t.Any) -> None:
        record.response = record.response[:0] + _with_size(record.response, 8193)

    device.proxy.after(None, lie, code="TPM2_NV_ReadPublic")
    done = module.run(
        MODULE, {"tcti": device.proxy.tcti, "collect": {"nonce": NONCE, "reads": {"identity": True}}}, python=device.python
    ).expect_ok()
    assert done["certificates"] == [] and "TPM2_NV_Read" not in device.proxy.codes()


def _with_size(response: bytes, size: int) -> bytes:
    """An answer to TPM2_NV_ReadPublic with another dataSize: after head, size, index, nameAlg, attributes and an empty policy."""
    at = 10 + 2 + 4 + 2 + 4 + 2
    return response[:at] + size.to_bytes(2, "big") + response[at + 2 :]


# -- activate


def test_activate_alone(both: Evidence) -> None:
    made, activate = both.challenge()
    answer = both.ok(MODULE, activate=activate)
    made.check(bytes.fromhex(answer["proof"]))
    assert not answer["changed"] and both.proxy.writes() == []
    assert set(answer) & {"publics", "certify", "signatures"} == set()


def test_activate_certifies_the_idevid(both: Evidence) -> None:
    both.collect(idevid={})
    made, activate = both.challenge()
    answer = both.ok(MODULE, activate={**activate, "idevid": both.key(IDEVID)})
    made.check(bytes.fromhex(answer["proof"]))
    attest = base64.b64decode(answer["certify"]["attest"])
    both.believed(AK, attest, answer["certify"]["signature"])
    assert made.nonce in attest and both.public(IDEVID).name in attest


def test_with_an_endorsement_auth(both: Evidence) -> None:
    """It is needed for each policy, and stays off the wire and out of what is said."""
    both.collect(idevid={})
    auth = both.secret("endorsement")
    both.tools.run("changeauth", "-c", "e", auth)
    made, activate = both.challenge()
    activate["idevid"] = both.key(IDEVID)
    assert "give endorsement_auth" in both.run(MODULE, activate=activate).expect_failed()
    assert "give the right endorsement_auth" in both.run(MODULE, activate=activate, endorsement_auth=both.secret("wrong")).expect_failed()
    made.check(bytes.fromhex(both.ok(MODULE, activate=activate, endorsement_auth=auth)["proof"]))


def test_the_secret_is_not_on_the_wire(both: Evidence) -> None:
    made, activate = both.challenge()
    secret = made._secret
    both.secrets["the credential's secret"] = secret
    made.check(bytes.fromhex(both.ok(MODULE, activate=activate)["proof"]))


@pytest.mark.parametrize("template", ["ek_rsa_2048", "ek_high_rsa_2048", "ek_high_ecc_p256", "ek_ecc_p521", "ek_rsa_3072"])
def test_other_endorsement_keys(device: Evidence, template: str) -> None:
    """The high range is used by its policy too, whose second branch no session needs."""
    handle = "0x81010012"
    device.ok("tpm2_profile", resources=[{"primary_key": {"template": template, "handle": handle}}])
    device.collect(idevid={}, ek=handle)
    made, activate = device.challenge(handle)
    answer = device.ok(MODULE, activate={**activate, "idevid": device.key(IDEVID)})
    made.check(bytes.fromhex(answer["proof"]))
    device.believed(AK, base64.b64decode(answer["certify"]["attest"]), answer["certify"]["signature"])


def test_a_credential_of_another_key_is_refused(both: Evidence, new_swtpm: t.Callable[..., Swtpm]) -> None:
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        other = Evidence(proxy, both.python)
        other.folder = both.folder
        other.ok("tpm2_profile", resources=PROFILE)
        made = credentials.Challenge(other.public(EK), both.public(AK).name)
    credential = {"id_object": made.credential.id_object.hex(), "encrypted_secret": made.credential.encrypted_secret.hex()}
    message = both.run(MODULE, activate={"nonce": NONCE, "ek": both.key(EK), "ak": both.key(AK), **credential}).expect_failed()
    assert_one_sentence(message)
    assert "do not trust the device" in message
    assert leftovers(both.proxy.swtpm) == []


@pytest.mark.parametrize("which", ["ek", "ak", "idevid"])
def test_a_key_that_is_not_the_one_that_was_shown(both: Evidence, which: str) -> None:
    both.collect(idevid={})
    _made, activate = both.challenge()
    activate["idevid"] = both.key(IDEVID)
    handle = activate[which]["handle"]
    kind = "rsa2048:null:aes128cfb" if which == "ek" else "ecc256:ecdsa-sha256:null"
    usage = "restricted|decrypt" if which == "ek" else "sign" if which == "idevid" else "restricted|sign"
    both.tools.run("evictcontrol", "-Q", "-C", "o", "-c", handle)
    options = ["-C", "e", "-G", kind, "-a", f"fixedtpm|fixedparent|sensitivedataorigin|userwithauth|{usage}"]
    both.tools.run("createprimary", "-Q", *options, "-c", both.folder / "other.ctx")
    both.tools.run("evictcontrol", "-Q", "-C", "o", "-c", both.folder / "other.ctx", handle)
    both.tools.flush_transient()
    message = both.run(MODULE, activate=activate).expect_failed()
    assert_one_sentence(message)
    assert both.proxy.writes() == []


@pytest.mark.parametrize("which", ["ek", "ak", "idevid"])
def test_a_key_that_is_gone(device: Evidence, which: str) -> None:
    device.collect(idevid={})
    _made, activate = device.challenge()
    activate["idevid"] = device.key(IDEVID)
    device.tools.run("evictcontrol", "-Q", "-C", "o", "-c", activate[which]["handle"])
    assert_one_sentence(device.run(MODULE, activate=activate).expect_failed())


def test_a_key_of_no_template_is_refused(device: Evidence) -> None:
    """Its policy is one that we cannot satisfy."""
    _made, activate = device.challenge()
    device.ok("tpm2_key", handle=LDEVID, usage="restricted_sign")
    message = device.run(MODULE, activate={**activate, "ak": device.key(LDEVID)}).expect_failed()
    assert f"Could not use the attestation key at {LDEVID}: its policy (empty) is not that of a TCG template" in message


# -- sign


@pytest.mark.parametrize(
    ("template", "hash_name"), [("idevid_ecc_p256", "sha256"), ("idevid_ecc_p384", "sha384"), ("idevid_rsa_2048", "sha256")]
)
def test_sign_alone(device: Evidence, template: str, hash_name: str) -> None:
    device.collect(idevid={"template": template}, ldevid={"handle": LDEVID})
    digests = {handle: hashlib.new(name, handle.encode()) for handle, name in ((IDEVID, hash_name), (LDEVID, "sha256"))}
    answer = device.ok(MODULE, sign=[{**device.key(handle), "digest": digest.hexdigest()} for handle, digest in digests.items()])
    assert not answer["changed"] and set(device.proxy.codes()) == {"TPM2_Sign"}
    for (handle, digest), signature in zip(digests.items(), answer["signatures"], strict=True):
        device.believed(handle, handle.encode(), signature, digest.name)


def test_a_restricted_key_signs_no_foreign_digest(device: Evidence) -> None:
    """The TPM refuses it: otherwise a quote could be forged."""
    message = device.run(MODULE, sign=[{**device.key(AK), "digest": "00" * 32}]).expect_failed()
    assert f"Could not sign with the key at {AK}: " in message and "TICKET" in message


def test_a_key_with_an_auth_of_its_own(device: Evidence) -> None:
    device.ok("tpm2_key", handle=LDEVID, auth=device.secret("key"))
    message = device.run(MODULE, sign=[{**device.key(LDEVID), "digest": "00" * 32}]).expect_failed()
    assert "it has an auth value of its own, with which this collection cannot use it" in message


def test_all_at_once(both: Evidence) -> None:
    made, activate = both.challenge()
    both.collect(idevid={})
    sign = [{**both.key(IDEVID), "digest": hashlib.sha256(b"x").hexdigest()}]
    answer = both.ok(MODULE, collect=ALL, activate={**activate, "idevid": both.key(IDEVID)}, sign=sign)
    made.check(bytes.fromhex(answer["proof"]))
    both.believed(IDEVID, b"x", answer["signatures"][0])
    assert {"publics", "nv_certify", "quote", "certify"} <= set(answer)


def test_nothing_asked_for_is_nothing_done(device: Evidence) -> None:
    assert not device.ok(MODULE)["changed"] and device.proxy.count() == 0


# -- what is refused


@pytest.mark.parametrize("which", ["ek", "ak"])
def test_a_missing_key_is_named(device: Evidence, which: str) -> None:
    message = device.failed(MODULE, collect={**ALL, which: "0x81010099"})
    assert message == "Could not collect evidence: there is no key at 0x81010099; provision the TPM first (tpm2_profile)."
    assert device.signs() == []


def test_a_missing_serial_number(device: Evidence) -> None:
    message = device.run(MODULE, collect={**ALL, "serial_index": "0x01800011"}).expect_failed()
    assert "Could not certify the content of NV index 0x01800011: " in message


def test_another_size_than_that_of_the_serial_number(device: Evidence) -> None:
    message = device.run(MODULE, collect={**ALL, "serial_size": 15}).expect_failed()
    assert f"Could not certify the content of NV index {INDEX}: " in message and "NV_RANGE" in message


def test_an_attestation_key_with_an_auth_of_its_own(device: Evidence) -> None:
    device.tools.run("evictcontrol", "-Q", "-C", "o", "-c", AK)
    auth = device.secret("ak")
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|sign"
    device.tools.run(
        "createprimary", "-Q", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a", attributes, "-p", auth, "-c", device.folder / "ak"
    )
    device.tools.run("evictcontrol", "-Q", "-C", "o", "-c", device.folder / "ak", AK)
    device.tools.flush_transient()
    message = device.run(MODULE, collect=ALL).expect_failed()
    assert "it has an auth value of its own, with which this collection cannot use it, so make it from a template" in message


BAD_COLLECT: dict[str, tuple[Json, str]] = {
    "a nonce that is no hex": ({"nonce": "xyz"}, "Could not read nonce: it is not hexadecimal; give pairs of hex digits."),
    "half a byte": ({"nonce": "abc"}, "Could not read nonce: it is not hexadecimal"),
    "an empty nonce": ({"nonce": ""}, "Could not read nonce: it has 0 bytes; give 1 to 64."),
    "a long nonce": ({"nonce": "00" * 65}, "Could not read nonce: it has 65 bytes; give 1 to 64."),
    "an EK that is no handle": ({"ek": "the EK"}, "Could not read ek 'the EK': it is not a handle"),
    "an AK that is no handle": ({"ak": "-1"}, "Could not read ak '-1': it is not a handle"),
    "an index that is no handle": ({"serial_index": "serial"}, "Could not read serial_index 'serial': it is not a handle"),
    "a size of nothing": ({"serial_size": 0}, "Could not read serial_size 0: no NV index can have that size"),
    "a negative size": ({"serial_size": -1}, "Could not read serial_size -1: "),
    "a size that no command can tell": ({"serial_size": 65536}, "Could not read serial_size 65536: "),
    "a size that is no number": ({"serial_size": "many"}, "argument 'serial_size'"),
    "a bank that is none": ({"pcrs": {"bank": "md5", "indices": [0]}}, "Could not use the PCR bank 'md5'"),
    "a PCR that is none": ({"pcrs": {"indices": [24]}}, "Could not use PCR 24"),
    "no PCR": ({"pcrs": {"indices": []}}, "Could not use an empty list of PCRs"),
    "a key to certify that is no handle": ({"certify": ["LDevID"]}, "Could not read certify 'LDevID': it is not a handle"),
    "an IDevID that is not given": ({"certify_idevid": True}, "Could not certify the IDevID: idevid is not given; say which key it is."),
    "a template of no IDevID": ({"idevid": {"template": "iak_ecc_p256"}}, "value of template must be one of"),
    "an IDevID somewhere else": ({"idevid": {"handle": "0x81000001"}}, "allow_foreign_range"),
    "an LDevID without a handle": ({"ldevid": {}}, "missing required arguments: handle found in collect -> ldevid"),
    "an LDevID of no algorithm": ({"ldevid": {"handle": LDEVID, "algorithm": "ed25519"}}, "value of algorithm must be one of"),
    "reads that are none": ({"reads": {"public": "text"}}, "Could not read reads: it is not what tpm2_profile returned"),
    "properties that are none": ({"reads": {"properties": {"many": "x"}}}, "Could not read reads: "),
    "a buffer that is none": ({"reads": {"nv_buffer_max": "large"}}, "Could not read reads: "),
    "a public area that is none": ({"reads": {"public": {AK: "0023"}}}, "Could not read reads.public: it is not a TPMT_PUBLIC"),
    "a public area of no handle": ({"reads": {"public": {"AK": "0023"}}}, "Could not read reads.public 'AK': it is not a handle"),
    "a public area that is no hex": ({"reads": {"public": {AK: "xyz"}}}, "Could not read reads.public: it is not hexadecimal"),
}


@pytest.mark.parametrize("case", BAD_COLLECT)
def test_bad_input_of_collect(device: Evidence, case: str) -> None:
    options, telling = BAD_COLLECT[case]
    message = device.failed(
        MODULE, collect={"nonce": NONCE, "idevid": {}, **options} if "not given" not in telling else {"nonce": NONCE, **options}
    )
    assert telling in message
    assert device.proxy.count() == 0


BAD_ACTIVATE: dict[str, tuple[Json, str]] = {
    "nonce": ({"nonce": "00" * 65}, "Could not read nonce: it has 65 bytes; give 1 to 64."),
    "EK's handle": ({"ek": {"handle": "EK", "public": "00"}}, "Could not read ek.handle 'EK': it is not a handle"),
    "EK's public area": (
        {"ek": {"handle": EK, "public": "0023"}},
        "Could not read ek.public: it is not a TPMT_PUBLIC; give the public area that publics",
    ),
    "AK's handle": ({"ak": {"handle": "AK", "public": "00"}}, "Could not read ak.handle 'AK': it is not a handle"),
    "AK's public area": ({"ak": {"handle": AK, "public": "xyz"}}, "Could not read ak.public: it is not hexadecimal"),
    "AK without a public area": ({"ak": {"handle": AK}}, "missing required arguments: public found in activate -> ak"),
    "IDevID's public area": ({"idevid": {"handle": IDEVID, "public": ""}}, "Could not read idevid.public: it has 0 bytes"),
    "credential": ({"id_object": "xyz"}, "Could not read id_object: it is not hexadecimal"),
    "empty credential": ({"id_object": ""}, "Could not read id_object: it has 0 bytes; give 1 to 65535."),
    "secret": ({"encrypted_secret": "0"}, "Could not read encrypted_secret: it is not hexadecimal"),
    "long secret": ({"encrypted_secret": "00" * 65536}, "Could not read encrypted_secret: it has 65536 bytes"),
}


@pytest.mark.parametrize("case", BAD_ACTIVATE)
def test_bad_input_of_activate(device: Evidence, case: str) -> None:
    options, telling = BAD_ACTIVATE[case]
    _made, activate = device.challenge()
    assert telling in device.failed(MODULE, collect={"nonce": NONCE, "idevid": {}}, activate={**activate, **options})
    assert device.proxy.count() == 0


BAD_SIGN: dict[str, tuple[Json, str]] = {
    "handle": ({"handle": "key"}, "Could not read sign.handle 'key': it is not a handle"),
    "public area": ({"public": "00"}, "Could not read sign.public: it is not a TPMT_PUBLIC"),
    "digest": ({"digest": "xyz"}, "Could not read sign.digest: it is not hexadecimal"),
    "digest of no hash": ({"digest": "00" * 20}, "Could not sign a digest of 20 bytes: no supported hash has that length"),
}


@pytest.mark.parametrize("case", BAD_SIGN)
def test_bad_input_of_sign(device: Evidence, case: str) -> None:
    options, telling = BAD_SIGN[case]
    request = {**device.key(AK), "digest": "00" * 32, **options}
    assert telling in device.failed(MODULE, collect={"nonce": NONCE, "idevid": {}}, sign=[request])
    assert device.proxy.count() == 0


# -- nothing stays


def test_nothing_stays_loaded_whatever_fails(both: Evidence) -> None:
    """The TPM refuses each command of the second exchange in turn; a session that is ours is flushed nevertheless."""
    both.collect(idevid={})
    _made, activate = both.challenge()
    activate["idevid"] = both.key(IDEVID)
    both.ok(MODULE, activate=activate)
    # What is refused at its end is what flushes.
    count = len([name for name in both.proxy.codes() if name != "TPM2_FlushContext"])
    assert count > 10
    for position in range(count):
        both.proxy.reset()
        both.proxy.inject_rc(0x101, at=position)
        result = module.run(MODULE, {"tcti": both.proxy.tcti, "activate": activate}, python=both.python)
        if not result.ok:
            assert_one_sentence(result.expect_failed())
        assert leftovers(both.proxy.swtpm) == [], position


def test_tools_see_what_was_made(device: Evidence) -> None:
    device.collect(idevid={}, ldevid={"handle": LDEVID})
    tools = Tools(device.proxy.swtpm.tcti)
    assert {int(IDEVID, 0), int(LDEVID, 0)} <= set(tools.handles("persistent"))
    assert tools.readpublic(int(IDEVID, 0)).attributes >= {"sign", "adminwithpolicy"}
    assert tools.readpublic(int(LDEVID, 0)).attributes == {"fixedtpm", "fixedparent", "sensitivedataorigin", "userwithauth", "noda", "sign"}
