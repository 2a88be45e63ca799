# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Evidence of which TPM a device has: what enrolment asks a device for, in two exchanges.

The first reads the certificates that the manufacturer left, makes the identity keys that are missing, and has the attestation key
(AK) sign the serial number and the PCRs. The second shows that the AK lives in the TPM of the endorsement key (EK): the TPM opens a
credential that was made for both of them, in a session salted to the EK (TPM 2.0 Keys for Device Identity and Attestation, section 6).
"""

from __future__ import annotations

import base64
import contextlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.attestor import Attestor, Signed
from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, tpm_facts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import evidence_options as asked
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.engine import Outcome
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.ways import Ways
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, der, errors, handles, key_policies, names, nv

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend, Token

Facts = dict[str, t.Any]
MAX_CERTIFICATE = 8192
# How a TPM refuses a command if the key at the handle is another one, or if the secret was encrypted to another key: with HANDLE, VALUE, KEY,
# SIZE, INSUFFICIENT or ECC_POINT; with an HMAC that fails because it covers another Name; or with the policy failure of another key's policy.
_OTHER_KEY = (errors.RC_HANDLE, errors.RC_VALUE, 0x09C, errors.RC_SIZE, 0x09A, 0x0A7)
_OTHER_NAME = (errors.RC_HANDLE, errors.RC_BAD_AUTH, errors.RC_AUTH_FAIL, errors.RC_POLICY_FAIL)
_NOT_FOR_US = (*_OTHER_NAME, errors.RC_INTEGRITY, errors.RC_VALUE, errors.RC_SIZE)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _signed(found: Signed) -> Facts:
    return {"attest": _b64(found.attest), "signature": _b64(found.signature)}


class Collector:
    """The first exchange, with one TPM."""

    def __init__(
        self, way: Ways, given: t.Mapping[int, bytes], options: t.Mapping[str, t.Any], salt: tuple[int, bytes] | None = None
    ) -> None:
        """``salt``: the handle and Name of the only key that sessions may be salted to. Raises InputError, before anything is made."""
        self._way = way
        self._given = given
        self._salt = salt
        self._options = options
        self._nonce = asked.nonce(options)
        self._ek, self._ak, self._index = (common.handle(options[name], name) for name in ("ek", "ak", "serial_index"))
        self._size = asked.serial_size(options)
        self._pcrs = asked.pcrs(options)
        self._certify = {str(one): common.handle(one, "certify") for one in options.get("certify") or []}
        self._reads = asked.reads(options)
        if options.get("certify_idevid") and not options.get("idevid"):
            raise errors.InputError("Could not certify the IDevID: idevid is not given; say which key it is.")

    def run(self, resources: t.Sequence[model.Resource], check: bool, outcome: Outcome) -> Facts:
        """Collect all evidence; make the missing identity keys first.

        In check mode nothing is signed; and if a key would have to be made, the result says only that.
        """
        self._way.engine(self._given, seen=self._reads.seen, salt=self._salt, certified=True).run(resources, check, outcome)
        if check and outcome.steps:
            return {}
        made = {common.handle(plan.object, "handle"): bytes.fromhex(plan.result["public"]) for plan in outcome.plans}
        connection = self._way.transport(self._way.place)
        attestor = Attestor(connection, self._reads.nv_buffer, self._way.place.alone)
        try:
            found = self._look(attestor, made)
            if not check:
                found.update(self._attestations(attestor))
        finally:
            outcome.notes += attestor.flushed
            connection.close()
        if self._options.get("certify_idevid") and not check:
            found["certify_idevid"] = self._certify_idevid(found["publics"], handles.text(next(iter(made))))
        return found

    def _certify_idevid(self, keys: t.Mapping[str, str], idevid: str) -> Facts:
        """The AK's attestation of the IDevID, taken in this exchange if the second one has to sign something that contains it."""
        named = (handles.text(self._ek), handles.text(self._ak), idevid)
        backend = self._way.open_backend(self._way.place, nv.SAFE_SIZE)
        try:
            ek, ak, subject = (_key(backend, asked.key({"handle": one, "public": keys[one]}, "keys")) for one in named)
            backend.pin_salt(*(self._salt or (ek.handle, ek.public.name)))
            session = backend.start_policy(None, subject.public.name_alg)
            _authorise(backend, session, subject, self._given)
            return _certify(backend, session, subject, ak, self._nonce)
        finally:
            backend.close()

    def _publics(self, attestor: Attestor) -> dict[int, names.Public]:
        """The public areas of EK and AK. A caller that only asks which TPM this is gets an answer even if there is no AK."""
        signs = self._size or self._pcrs or self._certify or self._options.get("certify_idevid")
        keys = dict(self._reads.public)
        for number in (self._ek, self._ak):
            there = None if number in keys else attestor.read_public(number)
            if there is not None:
                keys[number] = there[0]
            elif number not in keys and (signs or number == self._ek):
                raise errors.StateError(
                    f"Could not collect evidence: there is no key at {handles.text(number)}; provision the TPM first (tpm2_profile).",
                    reason="no_key",
                    object=handles.text(number),
                )
        return {number: keys[number] for number in (self._ek, self._ak) if number in keys}

    def _look(self, attestor: Attestor, made: t.Mapping[int, bytes]) -> Facts:
        """The evidence that is read: public areas, the TPM's properties, certificates."""
        keys = self._publics(attestor)
        keys.update({number: names.parse_public(raw) for number, raw in made.items()})
        found: Facts = {"publics": {handles.text(number): public.raw.hex() for number, public in keys.items()}}
        if not self._reads.identity:
            found["identity"] = tpm_facts.identity(attestor)
        if self._options.get("certificates", True):
            found.update(self._certificates(attestor, keys[self._ek]))
        return found

    def _attestations(self, attestor: Attestor) -> Facts:
        """The evidence that the AK signs."""
        found: Facts = {}
        if self._size:
            found["nv_certify"] = _signed(attestor.nv_certify(self._ak, self._index, self._size, self._nonce))
        if self._pcrs:
            quoted = _signed(attestor.quote(self._ak, self._pcrs, self._nonce))
            values = attestor.pcr_read([self._pcrs])[self._pcrs.bank]
            shown = {str(index): value.hex() for index, value in sorted(values.items())}
            found["quote"] = {**quoted, "bank": self._pcrs.bank, "pcrs": shown}
        if self._certify:
            found["certify"] = {text: _signed(attestor.certify(key, self._ak, self._nonce)) for text, key in self._certify.items()}
        return found

    def _certificates(self, attestor: Attestor, ek: names.Public) -> Facts:
        """The EK certificate in the index of the EK's template, or else any (or all, if asked for); and the chain, unless the controller knows the issuer."""
        home = constants.EK_INDEX.get((ek.algorithm, key_policies.in_high_range(ek)))
        found = self._certificate(attestor, home) if home else b""
        every = bool(self._options.get("all_certificates"))
        known = bool(found) and der.issuer_hash(found) in (self._options.get("issuers") or [])
        if known and not every:
            return {"certificates": [_b64(found)], "chain": []}
        listed = set(attestor.handles(handles.FIRST_NV))
        wanted = [index for index in constants.EK_CERTIFICATES if index in listed and index != home] if every or not found else []
        others = [self._certificate(attestor, index) for index in wanted]
        first, last = constants.EK_CHAIN
        chain = [] if known else [self._certificate(attestor, index) for index in sorted(listed) if first <= index <= last]
        return {"certificates": [_b64(one) for one in (found, *others) if one], "chain": [_b64(one) for one in chain if one]}

    @staticmethod
    def _certificate(attestor: Attestor, index: int) -> bytes:
        """The content of an index; b"" if it does not exist, if not everybody may read it, or if reading it could count as a wrong try."""
        public = attestor.nv_read_public(index)
        if public is None or public.size > MAX_CERTIFICATE or not all(public.has(name) for name in ("authread", "no_da", "written")):
            return b""
        return attestor.nv_read(index, public.size, index)


class _Key(t.NamedTuple):
    """A key of the second exchange: its handle, its public area from the first exchange, and its token."""

    handle: int
    public: names.Public
    token: Token


def _key(backend: Backend, key: asked.AskedKey) -> _Key:
    return _Key(key.handle, key.public, backend.known(key.handle, key.public))


def activate(way: Ways, auths: t.Mapping[int, bytes], given: asked.AskedActivation) -> Facts:
    """The second exchange; ``auths`` are the auth values of the hierarchies, by handle. Raises TpmError."""
    backend = way.open_backend(way.place, nv.SAFE_SIZE)
    try:
        return _activate(backend, auths, given)
    finally:
        backend.close()


def _activate(backend: Backend, auths: t.Mapping[int, bytes], given: asked.AskedActivation) -> Facts:
    """Certify the IDevID by the AK, then open the credential."""
    ek, ak = _key(backend, given.ek), _key(backend, given.ak)
    # An endorsement auth that is already set must be encrypted on the bus, too.
    backend.pin_salt(ek.handle, ek.public.name)
    found: Facts = {}
    with _as_shown(f"the TPM does not hold the endorsement key that was shown to be at {handles.text(ek.handle)}", *_OTHER_KEY):
        with_ek = backend.start_policy(ek.token, ek.public.name_alg)
    if given.idevid:
        idevid = _key(backend, given.idevid)
        # One session serves both keys if possible: after each command that it has authorised, the policy session can be satisfied again.
        session = with_ek if idevid.public.name_alg == ek.public.name_alg else backend.start_policy(ek.token, idevid.public.name_alg)
        at = f"{handles.text(ak.handle)} or {handles.text(idevid.handle)}"
        _authorise(backend, session, idevid, auths)
        with _as_shown(f"at {at} is not the attestation key or IDevID that was shown", *_OTHER_NAME):
            found["certify"] = _certify(backend, session, idevid, ak, given.nonce)
        if session is not with_ek:
            # A TPM without resource manager has room for three sessions: the EK's, the AK's, and the one that carries the endorsement auth.
            backend.flush_context(session)
    backend.satisfy(with_ek, _steps(ek, constants.CC_ACTIVATE_CREDENTIAL, "the endorsement key"), auths)
    with_ak = backend.start_policy(None, ak.public.name_alg)
    backend.satisfy(with_ak, _steps(ak, constants.CC_ACTIVATE_CREDENTIAL, "the attestation key"), auths)
    with _as_shown("it was made for another attestation key or another TPM, or one of the keys was exchanged", *_NOT_FOR_US):
        opened = backend.activate_credential((ak.token, with_ak), (ek.token, with_ek), given.id_object, given.secret)
    found["proof"] = activation.proof(opened, given.nonce).hex()
    return found


@contextlib.contextmanager
def _as_shown(otherwise: str, *codes: int) -> t.Iterator[None]:
    """Turn the response codes that reveal another key than in the first exchange into an error that says so."""
    try:
        yield
    except errors.TpmResponseError as failed:
        if not errors.is_rc(failed.rc, *codes):
            raise
        told = errors.decode(failed.rc)
        raise errors.TpmError(
            f"Could not activate the credential: {otherwise} ({told.name}, {failed.rc:#x}, when trying to {failed.attempt} {failed.obj}); "
            "start over, and do not trust the device.",
            failed.rc,
            reason="not_activated",
        ) from None


def _authorise(backend: Backend, session: Token, idevid: _Key, auths: t.Mapping[int, bytes]) -> None:
    """Satisfy in a session the policy that allows certifying the IDevID."""
    backend.satisfy(session, _steps(idevid, constants.CC_CERTIFY, "the IDevID"), auths)


def _certify(backend: Backend, session: Token, idevid: _Key, ak: _Key, nonce: bytes) -> Facts:
    """Have the AK certify the IDevID; a session authorises that."""
    return _signed(Signed(*backend.certify(idevid.token, session, ak.token, nonce, f"the IDevID at {handles.text(idevid.handle)}")))


def _steps(key: _Key, code: int, what: str) -> list[t.Any]:
    return key_policies.steps(key.public, code, f"{what} at {handles.text(key.handle)}")


def sign(way: Ways, given: t.Sequence[asked.Signing], outcome: Outcome) -> list[str]:
    """Sign digests with unrestricted keys. Returns the marshalled TPMT_SIGNATUREs in base64, in the order of the requests."""
    connection = way.transport(way.place)
    attestor = Attestor(connection, alone=way.place.alone)
    try:
        return [_b64(attestor.sign(*one)) for one in given]
    finally:
        outcome.notes += attestor.flushed
        connection.close()


__all__ = ("Collector", "activate", "sign")
