# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Evidence of who a TPM is: what enrolment asks of a device, in two exchanges.

The first reads the certificates that the manufacturer left, makes the identity keys that are missing, and has the attestation key
(AK) sign the serial number and the PCRs. The second shows that the AK lives in the TPM of the endorsement key (EK): the TPM opens a
credential that was made for both of them, in a session salted to the EK (TPM 2.0 Keys for Device Identity and Attestation, section 6).
"""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.attestor import Attestor, Signed
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, info, model
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.engine import Engine, Outcome
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import activation, der, errors, handles, key_policies, names, nv, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend

Facts = dict[str, t.Any]
# Where the EK Credential Profile (section 2.2) puts certificates of EKs and the chain above them.
EK_CERTIFICATES = (0x01C00002, 0x01C0000A, *range(0x01C00012, 0x01C00020, 2))
EK_CHAIN = (0x01C00100, 0x01C001FF)
# The certificate of an EK by its type, size or curve, and whether it is of the high range (it may be used with its own auth).
_HOME = {
    ("rsa_2048", False): 0x01C00002,
    ("ecc_p256", False): 0x01C0000A,
    ("rsa_2048", True): 0x01C00012,
    ("ecc_p256", True): 0x01C00014,
    ("ecc_p384", True): 0x01C00016,
    ("ecc_p521", True): 0x01C00018,
    ("rsa_3072", True): 0x01C0001C,
    ("rsa_4096", True): 0x01C0001E,
}
MAX_CERTIFICATE = 8192


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _signed(found: Signed) -> Facts:
    return {"attest": _b64(found.attest), "signature": _b64(found.signature)}


def _handle_text(value: t.Any) -> str:
    return handles.text(common.handle(value, "handle"))


def _octets(text: t.Any, option: str) -> bytes:
    try:
        return bytes.fromhex(str(text))
    except ValueError:
        raise errors.InputError(f"Could not read {option}: it is not hexadecimal; give pairs of hex digits.") from None


class Collector:
    """The first exchange with one TPM."""

    def __init__(self, place: tcti.Tcti, given: t.Mapping[int, bytes], options: t.Mapping[str, t.Any]) -> None:
        self._place = place
        self._given = given
        self._options = options
        self._reads = options.get("reads") or {}
        self._nonce = _octets(options["nonce"], "nonce")
        public = self._reads.get("public") or {}
        self._known = {common.handle(handle, "reads.public"): _octets(text, "reads.public") for handle, text in public.items()}

    def run(self, resources: t.Sequence[model.Resource], check: bool, outcome: Outcome) -> Facts:
        """All evidence; identity keys that are missing are made first. In check mode, nothing but what would be made."""
        seen = model.Observation()
        if self._reads.get("properties"):
            seen["properties", None] = {int(str(number), 0): int(value) for number, value in self._reads["properties"].items()}
        Engine(self._place, self._given, seen).run(resources, check, outcome)
        if check and outcome.steps:
            return {}
        made = {common.handle(plan.object, "handle"): bytes.fromhex(plan.result["public"]) for plan in outcome.plans}
        connection = tcti.connect(self._place)
        try:
            found = self._ask(Attestor(connection, self._reads.get("nv_buffer_max")), made)
        finally:
            connection.close()
        if self._options.get("certify_idevid"):
            found["certify_idevid"] = self._certify_idevid(found["keys"], handles.text(next(iter(made))))
        return found

    def _certify_idevid(self, keys: t.Mapping[str, str], idevid: str) -> Facts:
        """The AK's attestation of the IDevID already now, where something that holds it has to be signed in the second exchange."""
        from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

        named = {"ek": self._options["ek"], "ak": self._options["ak"], "idevid": idevid}
        options = {name: {"handle": handle, "public": keys[_handle_text(handle)]} for name, handle in named.items()}
        backend = esapi.Esapi(self._place, nv.SAFE_SIZE)
        try:
            ek, ak, subject = (_key(backend, options, name) for name in named)
            backend.pin_salt(ek.handle, ek.public.name)
            session = backend.start_policy(None, subject.public.name_alg)
            return _certify(backend, session, subject, ak, self._nonce, self._given)
        finally:
            backend.close()

    def _public(self, attestor: Attestor, number: int) -> names.Public:
        if number in self._known:
            return names.parse_public(self._known[number])
        found = attestor.read_public(number)
        if found is None:
            raise errors.StateError(
                f"Could not collect evidence: there is no key at {handles.text(number)}; provision the TPM first (tpm2_profile)."
            )
        return found[0]

    def _ask(self, attestor: Attestor, made: t.Mapping[int, bytes]) -> Facts:
        options = self._options
        ek, ak = common.handle(options["ek"], "ek"), common.handle(options["ak"], "ak")
        keys = {number: self._public(attestor, number) for number in (ek, ak)}
        keys.update({number: names.parse_public(raw) for number, raw in made.items()})
        found: Facts = {"keys": {handles.text(number): public.raw.hex() for number, public in keys.items()}}
        if not self._reads.get("identity"):
            found["identity"] = info.identity(attestor)
        if options.get("certificates", True):
            found.update(self._certificates(attestor, keys[ek]))
        if options.get("serial_size"):
            index = common.handle(options["serial_index"], "serial_index")
            found["nv_certify"] = _signed(attestor.nv_certify(ak, index, int(options["serial_size"]), self._nonce))
        if options.get("pcrs"):
            found["quote"] = self._quote(attestor, ak)
        for handle in options.get("certify") or []:
            found.setdefault("certify", {})[handle] = _signed(attestor.certify(common.handle(handle, "certify"), ak, self._nonce))
        return found

    def _quote(self, attestor: Attestor, ak: int) -> Facts:
        asked = self._options["pcrs"]
        chosen = pcr.selection(str(asked.get("bank") or "sha256"), asked["indices"])
        quoted = _signed(attestor.quote(ak, chosen, self._nonce))
        values = attestor.pcr_read([chosen])[chosen.bank]
        return {**quoted, "bank": chosen.bank, "pcrs": {str(index): value.hex() for index, value in sorted(values.items())}}

    def _certificates(self, attestor: Attestor, ek: names.Public) -> Facts:
        """The EK's certificate where its template has it, else any; the chain unless the controller knows the issuer."""
        home = _HOME.get((ek.algorithm, key_policies.in_high_range(ek)))
        found = self._certificate(attestor, home) if home else b""
        if found and der.issuer_hash(found) in (self._options.get("issuers") or []):
            return {"certificates": [_b64(found)], "chain": []}
        listed = set(attestor.handles(handles.FIRST_NV))
        others = [] if found else [self._certificate(attestor, index) for index in EK_CERTIFICATES if index in listed and index != home]
        first, last = EK_CHAIN
        chain = [self._certificate(attestor, index) for index in sorted(listed) if first <= index <= last]
        return {"certificates": [_b64(one) for one in (found, *others) if one], "chain": [_b64(one) for one in chain if one]}

    @staticmethod
    def _certificate(attestor: Attestor, index: int) -> bytes:
        """What an index holds; nothing where it is not there, or reading it could cost a try, or is not for everybody."""
        public = attestor.nv_read_public(index)
        if public is None or public.size > MAX_CERTIFICATE or not all(public.has(name) for name in ("authread", "no_da", "written")):
            return b""
        return attestor.nv_read(index, public.size, index)


class _Key(t.NamedTuple):
    """A key of the second exchange: where it is, its public area as the first exchange showed it, and its token."""

    handle: int
    public: names.Public
    token: t.Any


def _key(backend: Backend, options: t.Mapping[str, t.Any], name: str) -> _Key:
    number = common.handle(options[name]["handle"], f"{name}.handle")
    public = names.parse_public(_octets(options[name]["public"], f"{name}.public"))
    return _Key(number, public, backend.known(number, public))


def activate(place: tcti.Tcti, auths: t.Mapping[int, bytes], options: t.Mapping[str, t.Any]) -> Facts:
    """The second exchange, with the auths of the hierarchies by handle. Raises TpmError."""
    # Not at the top: only this needs the library.
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import esapi

    backend = esapi.Esapi(place, nv.SAFE_SIZE)
    try:
        return _activate(backend, auths, options)
    finally:
        backend.close()


def _activate(backend: Backend, auths: t.Mapping[int, bytes], options: t.Mapping[str, t.Any]) -> Facts:
    """Certify the IDevID by the AK, then open the credential."""
    nonce = _octets(options["nonce"], "nonce")
    ek, ak = _key(backend, options, "ek"), _key(backend, options, "ak")
    # An endorsement auth that is set already must not be seen either.
    backend.pin_salt(ek.handle, ek.public.name)
    found: Facts = {}
    with_ek = backend.start_policy(ek.token, ek.public.name_alg)
    if options.get("idevid"):
        idevid = _key(backend, options, "idevid")
        # One session serves both, where it can: a policy session starts afresh after each command that it has authorised.
        session = with_ek if idevid.public.name_alg == ek.public.name_alg else backend.start_policy(ek.token, idevid.public.name_alg)
        found["certify"] = _certify(backend, session, idevid, ak, nonce, auths)
    backend.satisfy(with_ek, _steps(ek, key_policies.CC_ACTIVATE_CREDENTIAL, "the endorsement key"), auths)
    with_ak = backend.start_policy(None, ak.public.name_alg)
    backend.satisfy(with_ak, _steps(ak, key_policies.CC_ACTIVATE_CREDENTIAL, "the attestation key"), auths)
    id_object, secret = _octets(options["id_object"], "id_object"), _octets(options["encrypted_secret"], "encrypted_secret")
    opened = backend.activate_credential((ak.token, with_ak), (ek.token, with_ek), id_object, secret)
    found["proof"] = activation.proof(opened, nonce).hex()
    return found


def _certify(backend: Backend, session: t.Any, subject: _Key, ak: _Key, nonce: bytes, auths: t.Mapping[int, bytes]) -> Facts:
    """Have the AK certify a key whose policy a session satisfies."""
    what = f"the IDevID at {handles.text(subject.handle)}"
    backend.satisfy(session, _steps(subject, key_policies.CC_CERTIFY, "the IDevID"), auths)
    return _signed(Signed(*backend.certify(subject.token, session, ak.token, nonce, what)))


def _steps(key: _Key, code: int, what: str) -> list[t.Any]:
    return key_policies.steps(key.public, code, f"{what} at {handles.text(key.handle)}")


def sign(place: tcti.Tcti, requests: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """Signatures of unrestricted keys over digests, base64 of the marshalled TPMT_SIGNATUREs, in the order asked for."""
    connection = tcti.connect(place)
    try:
        attestor = Attestor(connection)
        return [
            _b64(
                attestor.sign(
                    common.handle(one["handle"], "handle"),
                    names.parse_public(_octets(one["public"], "public")),
                    _octets(one["digest"], "digest"),
                )
            )
            for one in requests
        ]
    finally:
        connection.close()


__all__ = ("Collector", "activate", "sign")
