# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The one file that imports tpm2_pytss: everything that changes a TPM or needs a session, portable over tpm2-pytss 1.2 to 3.x.

Rules of this file (each was measured in all versions): bind the library's results to a name and turn them into bytes while that name
lives, because nested objects do not keep their parents alive; name all arguments of policy calls; use nothing private except ``lib``, and
that only where the Python checks are too strict; compare nothing with ==.
"""

from __future__ import annotations

import functools
import os
import struct
import sys
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.choose import Auth, for_use, for_value
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.password import Password
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import backoff
from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, errors, handles, marshal, names, nv, pcr, templates
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tss
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.own_tcti import OwnTcti

tss.quiet()
IMPORT_ERROR: BaseException | None = None
try:
    import tpm2_pytss as tss2
    from tpm2_pytss._libtpm2_pytss import ffi, lib
    from tpm2_pytss.TSS2_Exception import TSS2_Exception
except Exception as error:  # noqa: BLE001 - ImportError as a rule; TypeError where an old release meets a newer cryptography
    IMPORT_ERROR = error

# TPMA_SESSION (Part 2, section 8.4).
CONTINUE, DECRYPT, ENCRYPT, AUDIT = 0x01, 0x20, 0x40, 0x80
# IESYSC_KEY_RSRC, the kind of resource that Esys_TR_Serialize writes for a key.
KEY_RESOURCE = 1
# What to do about a response code (by base code), where a command has better advice than the table of response codes.
Cures = t.Optional[t.Mapping[int, str]]

_PARENT_CURE = "the parent has an auth value of its own, with which this collection cannot use it, so name a parent without one"
PARENT_CURES = {errors.RC_BAD_AUTH: _PARENT_CURE, errors.RC_AUTH_FAIL: f"{_PARENT_CURE} before another run"}


def require_library() -> None:
    """Raises DependencyError with what was found and where, if tpm2-pytss is missing or older than 1.2."""
    if IMPORT_ERROR is not None:
        raise errors.DependencyError(
            f"Could not load tpm2-pytss on the device: {' '.join(str(IMPORT_ERROR).split())}; install python3-tpm2-pytss >= 1.2 for "
            f"{sys.executable or 'this Python'}, or name another Python with ansible_python_interpreter."
        )
    missing = [name for name in ("create_primary", "policy_nv_written", "tr_set_auth", "load_external") if not hasattr(tss2.ESAPI, name)]
    if missing:
        where = os.path.dirname(tss2.__file__ or "")
        raise errors.DependencyError(
            f"Could not use tpm2-pytss in {where}: it is too old and lacks ESAPI.{missing[0]}; install tpm2-pytss >= 1.2."
        )


class Esapi:
    """A ``_backend.base.Backend`` over the TSS. Raises DependencyError, TransportError, TpmResponseError."""

    def __init__(self, tcti: Tcti, nv_buffer: int, own: OwnTcti | None = None) -> None:
        """``own``: the connection to use instead of one that the TSS opens at ``tcti``."""
        require_library()
        self._own = own
        self._tcti = tcti
        self._direct = tcti.alone
        self._nv_buffer = nv_buffer
        self._known: dict[int, t.Any] = {}
        self._pcrs: dict[pcr.Selection, dict[int, bytes]] = {}
        self._ours: list[t.Any] = []
        self._salt: int | None = None
        self._pinned: bytes | None = None
        self._secure: t.Any = None
        # Whether commands with an empty auth are sent without a session, and whether one of them has still to be proven.
        self._bare = False
        self._unproven = False
        self._notes: list[str] = []
        self.writes = 0
        self._e = self._call("open", f"the TPM at {tcti.text}", lambda: tss2.ESAPI(tcti.text if own is None else own))
        self._tr = {
            handles.RH_OWNER: tss2.ESYS_TR.OWNER,
            handles.RH_ENDORSEMENT: tss2.ESYS_TR.ENDORSEMENT,
            handles.RH_LOCKOUT: tss2.ESYS_TR.LOCKOUT,
            handles.RH_PLATFORM: tss2.ESYS_TR.PLATFORM,
            handles.RH_NULL: tss2.ESYS_TR.NULL,
        }

    # -- calls: back-off, room, errors

    def _call(self, attempt: str, obj: str, function: t.Callable[[], t.Any], cures: Cures = None) -> t.Any:
        def once() -> tuple[int, t.Any]:
            try:
                return 0, function()
            except TSS2_Exception as failed:
                if self._own is not None and self._own.failed is not None:
                    raise self._own.failed from None
                return int(failed.rc) & 0xFFFFFFFF, None
            except (IndexError, OverflowError, TypeError, ValueError) as failed:
                raise errors.TpmError(
                    f"Could not {attempt} {obj}: tpm2-pytss refused the call ({failed}); report this with its version."
                ) from None

        code, result = backoff.repeat(once)
        if errors.is_rc(code, errors.RC_OBJECT_MEMORY, errors.RC_SESSION_MEMORY) and self._make_room():
            code, result = backoff.repeat(once)
        if code:
            raise errors.from_rc(attempt, obj, code, (cures or {}).get(errors.base_code(code)))
        return result

    def _authorised(
        self, attempt: str, obj: str, item: t.Any, auth: Auth, function: t.Callable[[t.Any], t.Any], cures: Cures = None
    ) -> t.Any:
        self._e.tr_set_auth(item, auth.value)
        session = auth.open(self)
        result = self._call(attempt, obj, lambda: function(session), cures)
        if session in self._ours and session is not self._secure:
            self._ours.remove(session)  # it ends with this command
        if session is self._secure:
            self._unproven = False  # the response's HMAC depends on the salt, which only the key at that handle can decrypt
        return result

    def _make_room(self) -> bool:
        """Without a resource manager, flush what a killed program left loaded: while we hold the TPM, no other program can use it.

        Returns whether anything was flushed.
        """
        if not self._direct:
            return False
        ours = {self._number(token) for token in self._ours}
        strangers = [
            handle
            for first in (handles.FIRST_TRANSIENT, handles.LOADED_SESSION)
            for handle in self.list_handles(first)
            if handle not in ours
        ]
        for handle in strangers:
            self._e.flush_context(self._e.tr_from_tpmpublic(handle))
        if strangers:
            self._notes.append(errors.flushed(strangers))
        return bool(strangers)

    def _number(self, token: t.Any) -> int:
        """The TPM's handle of one of our tokens; 0 if it has no handle any more."""
        number = ffi.new("TPM2_HANDLE *")
        return 0 if lib.Esys_TR_GetTpmHandle(self._e._ctx, token, number) else int(number[0])

    def list_handles(self, first: int) -> list[int]:
        _more, data = self._e.get_capability(tss2.TPM2_CAP.HANDLES, first, 254)
        listed = data.data
        return [int(handle) for handle in listed.handles]

    def pcr_read_proven(self, chosen: pcr.Selection) -> dict[int, bytes]:
        if chosen not in self._pcrs:
            session, found = self.secure(), dict[int, bytes]()
            # The command has no parameter that a session could encrypt, so the session audits it; only the HMAC matters here.
            self._e.trsess_set_attributes(session, CONTINUE | AUDIT)
            while len(found) < len(chosen.indices):
                left = pcr.Selection(chosen.bank, tuple(index for index in chosen.indices if index not in found))
                call: t.Callable[[], t.Any] = functools.partial(self._pcr_read, left, session)
                more = self._call("read", f"PCR {left.text}", call)
                if not more:
                    break
                found.update(more)
            self._e.trsess_set_attributes(session, CONTINUE | DECRYPT | ENCRYPT)
            self._pcrs[chosen], self._unproven = found, False
        return self._pcrs[chosen]

    def _pcr_read(self, chosen: pcr.Selection, session: t.Any) -> dict[int, bytes]:
        selection = tss2.TPML_PCR_SELECTION.unmarshal(pcr.marshal([chosen]))[0]
        _counter, given, values = self._e.pcr_read(selection, session1=session)
        indices = [index for one in pcr.parse(marshal.Cursor(bytes(given.marshal()))) for index in one.indices if one.bank == chosen.bank]
        digests = marshal.Cursor(bytes(values.marshal()))
        return dict(zip(indices, [digests.sized() for _each in range(digests.u32())]))

    # -- sessions (called by the _auth strategies)

    def password(self) -> t.Any:
        """The password session handle."""
        return tss2.ESYS_TR.PASSWORD

    def secure(self) -> t.Any:
        """The run's one HMAC session: salted to a storage key of this TPM, encrypting in both directions."""
        if self._secure is None:
            self._secure = self._start(tss2.TPM2_SE.HMAC, True, CONTINUE | DECRYPT | ENCRYPT)
        return self._secure

    def proving(self) -> t.Any:
        """The same for an empty auth; the password session after ``go_unproven``."""
        if not self._bare or self._secure is not None:
            return self.secure()
        self._unproven = True
        return self.password()

    def policy_session(self, steps: t.Sequence[t.Any], secret: bool, auths: t.Mapping[int, bytes]) -> t.Any:
        """A salted policy session in which ``steps`` have been asserted; it ends with the command that it authorises."""
        session = self._start(tss2.TPM2_SE.POLICY, True, DECRYPT | ENCRYPT if secret else 0)
        self.satisfy(session, steps, auths)
        return session

    def satisfy(self, session: t.Any, steps: t.Sequence[t.Any], auths: t.Mapping[int, bytes]) -> None:
        for step in steps:
            step.assert_in(self, session, auths)

    def policy_external_secret(self, session: t.Any, step: rotation.ExternalSecret) -> None:
        sensitive = tss2.TPM2B_SENSITIVE.unmarshal(struct.pack(">H", len(step.sensitive)) + step.sensitive)[0]
        secure = self.secure()
        load: t.Callable[[], t.Any] = lambda: self._e.load_external(_public(step.public), sensitive, session1=secure)  # noqa: E731
        item = self._call("load", "what a policy is bound to", load)
        self._ours.append(item)

        def call(authorisation: t.Any) -> None:
            # The Python method of tpm2-pytss before 2.2 takes hierarchies only; the C function takes any object.
            nothing, none = tss2.TPM2B_DIGEST(), tss2.ESYS_TR.NONE
            code = lib.Esys_PolicySecret(
                *(self._e._ctx, item, session, authorisation, none, none),
                *(nothing._cdata, nothing._cdata, nothing._cdata, 0, ffi.NULL, ffi.NULL),
            )
            if code:
                raise TSS2_Exception(code)

        self._authorised("prove", "what a policy is bound to", item, for_value(step.value), call)
        self.flush_context(item)

    def start_policy(self, salt: t.Any | None, hash_alg: int) -> t.Any:
        attributes = CONTINUE if salt is None else CONTINUE | DECRYPT | ENCRYPT
        return self._open(tss2.TPM2_SE.POLICY, tss2.ESYS_TR.NONE if salt is None else salt, attributes, hash_alg)

    def _start(self, kind: t.Any, salted: bool, attributes: int) -> t.Any:
        key, passing = tss2.ESYS_TR.NONE, None
        if salted:
            if self._salt is None:
                passing, _public = self.create_primary(handles.RH_NULL, Password(), templates.SALT)
            key = passing if self._salt is None else self._salt_key(self._salt)
        session = self._open(kind, key, attributes, algorithms.SHA256)
        if passing is not None:
            self.flush_context(passing)
        return session

    def _salt_key(self, handle: int) -> t.Any:
        key = self.persistent(handle)
        if self._pinned is None:
            return key
        # The Name is computed from the public area to which the salt will be encrypted; the Name that the TPM reports is not trusted.
        written = bytes(self._e.tr_serialize(key))
        found = names.parse_public(marshal.Cursor(written[10 + len(self.name(key)) :]).sized()).name
        if found != self._pinned:
            raise errors.other_key(handle, found, self._pinned)
        return key

    def _open(self, kind: t.Any, key: t.Any, attributes: int, hash_alg: int) -> t.Any:
        symmetric = tss2.TPMT_SYM_DEF(algorithm=tss2.TPM2_ALG.NULL)
        if key != tss2.ESYS_TR.NONE:
            bits, mode = tss2.TPMU_SYM_KEY_BITS(aes=128), tss2.TPMU_SYM_MODE(aes=tss2.TPM2_ALG.CFB)
            symmetric = tss2.TPMT_SYM_DEF(algorithm=tss2.TPM2_ALG.AES, keyBits=bits, mode=mode)
        session = self._call(
            "start",
            "a session",
            lambda: self._e.start_auth_session(
                tpm_key=key, bind=tss2.ESYS_TR.NONE, session_type=kind, symmetric=symmetric, auth_hash=hash_alg
            ),
        )
        self._ours.append(session)
        self._e.trsess_set_attributes(session, attributes)
        return session

    def policy_pcr(self, session: t.Any, selection: pcr.Selection) -> None:
        chosen = tss2.TPML_PCR_SELECTION.unmarshal(pcr.marshal([selection]))[0]
        self._assert("PolicyPCR", lambda: self._e.policy_pcr(policy_session=session, pcr_digest=b"", pcrs=chosen))

    def policy_command_code(self, session: t.Any, code: int) -> None:
        self._assert("PolicyCommandCode", lambda: self._e.policy_command_code(policy_session=session, code=code))

    def policy_nv_written(self, session: t.Any, written: bool) -> None:
        self._assert("PolicyNvWritten", lambda: self._e.policy_nv_written(policy_session=session, written_set=written))

    def policy_auth_value(self, session: t.Any) -> None:
        self._assert("PolicyAuthValue", lambda: self._e.policy_auth_value(policy_session=session))

    def policy_or(self, session: t.Any, digests: t.Sequence[bytes]) -> None:
        self._assert("PolicyOR", lambda: self._e.policy_or(policy_session=session, p_hash_list=_digests(digests)))

    def _assert(self, name: str, function: t.Callable[[], t.Any]) -> None:
        self._call("assert", f"the policy's {name}", function)

    def policy_secret(self, session: t.Any, hierarchy: int, value: bytes, ref: bytes) -> None:
        self._policy_secret(session, hierarchy, for_use(value), ref)

    def _policy_secret(self, session: t.Any, hierarchy: int, auth: Auth, ref: bytes = b"") -> None:
        item = self._tr[hierarchy]

        def call(authorisation: t.Any) -> None:
            self._e.policy_secret(
                auth_handle=item,
                policy_session=session,
                nonce_tpm=b"",
                cp_hash_a=b"",
                policy_ref=ref,
                expiration=0,
                session1=authorisation,
            )

        self._authorised("prove the auth of", _hierarchy(hierarchy), item, auth, call, _auth_cure(hierarchy, auth))

    def holds(self, hierarchy: int, auth: Auth) -> bool:
        """As in ``base.Backend``: sends PolicySecret in a trial session, whose result is not used."""
        trial = self._start(tss2.TPM2_SE.TRIAL, False, CONTINUE)
        try:
            self._policy_secret(trial, hierarchy, auth)
        except errors.TpmError as failed:
            if not errors.is_rc(failed.rc, errors.RC_BAD_AUTH):
                raise
            return False
        finally:
            self.flush_context(trial)
        return True

    def salt_with(self, handle: int) -> None:
        self._bare = False
        if self._pinned is None:
            self._salt = handle

    def go_unproven(self) -> None:
        self._bare = True

    def prove(self) -> None:
        if not self._unproven or self._salt is None:
            return
        # The response is encrypted in the session that is salted to this key, and carries the session's HMAC.
        item = self.persistent(self._salt)
        self._call("prove the key at", handles.text(self._salt), lambda: self._e.read_public(item, session1=self.secure()))
        self._unproven = False

    def pin_salt(self, handle: int, name: bytes) -> None:
        self._salt, self._pinned = handle, name

    # -- objects

    def create_primary(self, hierarchy: int, auth: Auth, template: names.Public) -> tuple[t.Any, names.Public]:
        item, shape = self._tr[hierarchy], _public(template)
        made = self._authorised(
            f"create a primary key {template.algorithm} in",
            _hierarchy(hierarchy),
            item,
            auth,
            lambda session: self._e.create_primary(tss2.TPM2B_SENSITIVE_CREATE(), shape, item, session1=session),
            _auth_cure(hierarchy, auth),
        )
        token, public = made[0], made[1]
        self._ours.append(token)
        return token, names.parse_public(bytes(public.marshal())[2:])

    def create(self, parent: t.Any, auth: Auth, template: names.Public, value: bytes, data: bytes) -> tuple[bytes, names.Public]:
        parts = tss2.TPMS_SENSITIVE_CREATE(userAuth=value, data=data)
        sensitive = tss2.TPM2B_SENSITIVE_CREATE(sensitive=parts)
        shape = _public(template)
        what = "seal data under" if data else f"create a key {template.algorithm} under"
        made = self._authorised(
            what, "its parent", parent, auth, lambda session: self._e.create(parent, sensitive, shape, session1=session), PARENT_CURES
        )
        private, public = made[0], made[1]
        return bytes(private.marshal())[2:], names.parse_public(bytes(public.marshal())[2:])

    def load(self, parent: t.Any, auth: Auth, private: bytes, public: names.Public, source: str) -> t.Any:
        secret = tss2.TPM2B_PRIVATE.unmarshal(struct.pack(">H", len(private)) + private)[0]
        shape = _public(public)
        token = self._authorised(
            "load", source, parent, auth, lambda session: self._e.load(parent, secret, shape, session1=session), PARENT_CURES
        )
        self._ours.append(token)
        return token

    def persistent(self, handle: int) -> t.Any:
        if handle not in self._known:
            self._known[handle] = self._call("find", handles.text(handle), lambda: self._e.tr_from_tpmpublic(handle))
        return self._known[handle]

    def known(self, handle: int, public: names.Public) -> t.Any:
        # The format in which Esys_TR_Serialize writes a key, and tpm2-tools keep it in files: handle, Name, kind of resource, public area.
        written = struct.pack(">IH", handle, len(public.name)) + public.name + struct.pack(">I", KEY_RESOURCE) + names.to_2b(public)
        token = self._call("use", handles.text(handle), lambda: self._e.tr_deserialize(written))
        if self.name(token) != public.name:
            raise errors.TpmError(
                f"Could not use {handles.text(handle)}: the TSS computes another Name from its public area; report this with the version of tpm2-tss."
            )
        self._known[handle] = token
        return token

    def name(self, item: t.Any) -> bytes:
        return bytes(self._e.tr_get_name(item))

    def evict_control(self, hierarchy: int, auth: Auth, item: t.Any, handle: int) -> None:
        leaves = handle in self._known and item == self._known[handle]
        token = self._authorised(
            "remove the object at" if leaves else "keep an object at",
            handles.text(handle),
            self._tr[hierarchy],
            auth,
            lambda session: self._e.evict_control(self._tr[hierarchy], item, handle, session1=session),
            _auth_cure(hierarchy, auth),
        )
        self.writes += 1
        self._known.pop(handle, None)
        if not leaves:
            self._known[handle] = token

    def flush_context(self, item: t.Any) -> None:
        self._call("flush", "an object or session", lambda: self._e.flush_context(item))
        self._ours.remove(item)  # only now, so that an object that could not be flushed is tried again at the end

    def unseal(self, item: t.Any, auth: Auth, source: str) -> bytes:
        return bytes(self._authorised("unseal", source, item, auth, lambda session: self._e.unseal(item, session1=session)))

    # -- attestation

    def certify(self, subject: t.Any, session: t.Any, signer: t.Any, nonce: bytes, what: str) -> tuple[bytes, bytes]:
        none = tss2.TPMT_SIG_SCHEME(scheme=tss2.TPM2_ALG.NULL)
        self._e.tr_set_auth(signer, b"")

        def call() -> t.Any:
            return self._e.certify(subject, signer, nonce, none, session1=session, session2=self.password())

        attest, signature = self._call("certify", what, call)
        return bytes(attest.marshal())[2:], bytes(signature.marshal())

    def activate_credential(
        self, activated: tuple[t.Any, t.Any], key: tuple[t.Any, t.Any], id_object: bytes, encrypted_secret: bytes
    ) -> bytes:
        blob = tss2.TPM2B_ID_OBJECT.unmarshal(struct.pack(">H", len(id_object)) + id_object)[0]
        secret = tss2.TPM2B_ENCRYPTED_SECRET.unmarshal(struct.pack(">H", len(encrypted_secret)) + encrypted_secret)[0]
        self._e.trsess_set_attributes(activated[1], 0)
        self._e.trsess_set_attributes(key[1], DECRYPT | ENCRYPT)

        def call() -> bytes:
            return bytes(self._e.activate_credential(activated[0], key[0], blob, secret, session1=activated[1], session2=key[1]))

        answer: bytes = self._call("open", "the credential", call)
        for session in (activated[1], key[1]):
            self._ours.remove(session)  # both end with this command
        return answer

    # -- NV

    def nv_define_space(self, hierarchy: int, auth: Auth, public: nv.NvPublic, value: bytes) -> None:
        item, raw = self._tr[hierarchy], public.raw
        shape = tss2.TPM2B_NV_PUBLIC.unmarshal(struct.pack(">H", len(raw)) + raw)[0]
        self._known[public.index] = self._authorised(
            "define",
            f"NV index {handles.text(public.index)}",
            item,
            auth,
            lambda session: self._e.nv_define_space(value, shape, auth_handle=item, session1=session),
            _auth_cure(hierarchy, auth),
        )
        self.writes += 1

    def nv_undefine_space(self, hierarchy: int, auth: Auth, index: int) -> None:
        space, item = self.persistent(index), self._tr[hierarchy]
        call: t.Callable[[t.Any], t.Any] = lambda session: self._e.nv_undefine_space(space, auth_handle=item, session1=session)  # noqa: E731
        self._authorised("undefine", f"NV index {handles.text(index)}", item, auth, call, _auth_cure(hierarchy, auth))
        self.writes += 1
        self._known.pop(index)

    def _nv(self, attempt: str, authority: int, auth: Auth, index: int, function: t.Callable[[t.Any, t.Any, t.Any], t.Any]) -> t.Any:
        space = self.persistent(index)
        item = self._tr.get(authority, space)
        return self._authorised(attempt, f"NV index {handles.text(index)}", item, auth, lambda session: function(space, item, session))

    def nv_write(self, authority: int, auth: Auth, index: int, data: bytes) -> None:
        for at in range(0, len(data), self._nv_buffer):
            piece = data[at : at + self._nv_buffer]

            def call(space: t.Any, item: t.Any, session: t.Any, part: bytes = piece, offset: int = at) -> None:
                self._e.nv_write(space, part, offset, auth_handle=item, session1=session)

            self._nv("write", authority, auth, index, call)
            self.writes += 1

    def nv_increment(self, authority: int, auth: Auth, index: int) -> None:
        self._nv(
            "increment",
            authority,
            auth,
            index,
            lambda space, item, session: self._e.nv_increment(space, auth_handle=item, session1=session),
        )
        self.writes += 1

    def nv_read(self, authority: int, auth: Auth, index: int, size: int) -> bytes:
        found = b""
        while len(found) < size:
            piece, at = min(self._nv_buffer, size - len(found)), len(found)

            def call(space: t.Any, item: t.Any, session: t.Any, part: int = piece, offset: int = at) -> bytes:
                return bytes(self._e.nv_read(space, part, offset, auth_handle=item, session1=session))

            found += self._nv("read", authority, auth, index, call)
        return found

    # -- hierarchies and dictionary attack protection

    def _hierarchy(self, attempt: str, hierarchy: int, auth: Auth, function: t.Callable[[t.Any, t.Any], t.Any]) -> None:
        item = self._tr[hierarchy]
        self._authorised(attempt, _hierarchy(hierarchy), item, auth, lambda session: function(item, session), _auth_cure(hierarchy, auth))
        self.writes += 1

    def hierarchy_change_auth(self, hierarchy: int, auth: Auth, value: bytes) -> None:
        # A session that authorises a command encrypts with the auth value of the authorised object as well. A policy may be used because that value is
        # not known, so a second session does the encryption.
        beside = self.secure() if isinstance(auth, PolicySession) else tss2.ESYS_TR.NONE

        def call(item: t.Any, session: t.Any) -> None:
            self._e.hierarchy_change_auth(item, value, session1=session, session2=beside)

        self._hierarchy("set the auth of", hierarchy, auth, call)

    def set_primary_policy(self, hierarchy: int, auth: Auth, digest: bytes) -> None:
        number = tss2.TPM2_ALG.SHA256 if digest else tss2.TPM2_ALG.NULL
        buffer = tss2.TPM2B_DIGEST(buffer=digest)

        def call(item: t.Any, session: t.Any) -> None:
            # The Python method refuses the lockout hierarchy, the C function does not.
            none = tss2.ESYS_TR.NONE
            code = lib.Esys_SetPrimaryPolicy(self._e._ctx, item, session, none, none, buffer._cdata, number)
            if code:
                raise TSS2_Exception(code)

        self._hierarchy("set the policy of", hierarchy, auth, call)

    def hierarchy_control(self, authority: int, auth: Auth, hierarchy: int, enable: bool) -> None:
        which = self._tr[hierarchy]
        self._hierarchy(
            f"{'enable' if enable else 'disable'} the {handles.HIERARCHY_NAMES[hierarchy]} hierarchy with the auth of",
            authority,
            auth,
            lambda item, session: self._e.hierarchy_control(item, which, enable, session1=session),
        )

    def clear_control(self, authority: int, auth: Auth, disable: bool) -> None:
        attempt = f"{'forbid' if disable else 'allow'} TPM2_Clear with the auth of"
        self._hierarchy(attempt, authority, auth, lambda item, session: self._e.clear_control(item, disable, session1=session))

    def dictionary_attack_parameters(self, auth: Auth, max_tries: int, recovery_time: int, lockout_recovery: int) -> None:
        self._hierarchy(
            "set the dictionary attack parameters with the auth of",
            handles.RH_LOCKOUT,
            auth,
            lambda item, session: self._e.dictionary_attack_parameters(
                new_max_tries=max_tries, new_recovery_time=recovery_time, lockout_recovery=lockout_recovery, session1=session
            ),
        )

    def dictionary_attack_lock_reset(self, auth: Auth) -> None:
        self._hierarchy(
            "reset the dictionary attack counter with the auth of",
            handles.RH_LOCKOUT,
            auth,
            lambda item, session: self._e.dictionary_attack_lock_reset(session1=session),
        )

    # -- the end

    def notes(self) -> list[str]:
        return list(self._notes)

    def close(self) -> None:
        if self._e is None:
            return
        left = []
        for token in reversed(self._ours):
            number = self._number(token)
            try:
                self._e.flush_context(token)
            except TSS2_Exception:
                left.append(number)
        self._ours, self._secure = [], None
        self._e.close()
        self._e = None
        if self._direct:
            self._flush_anew([number for number in left if number])

    def _flush_anew(self, numbers: t.Sequence[int]) -> None:
        """Flush over a new connection: after a lost response the TSS accepts no more calls, and no resource manager cleans up."""
        if not numbers:
            return
        try:
            connection = open_transport(self._tcti) if self._own is None else self._own.transport
            try:
                for number in numbers:
                    connection.transmit(marshal.flush_context(number))
            finally:
                connection.close()
        except errors.TransportError:  # the TPM is gone, and with it all that it had loaded
            pass


def _public(shape: names.Public) -> t.Any:
    return tss2.TPM2B_PUBLIC.unmarshal(names.to_2b(shape))[0]


def _digests(values: t.Sequence[bytes]) -> t.Any:
    return tss2.TPML_DIGEST(digests=[tss2.TPM2B_DIGEST(buffer=value) for value in values])


def _hierarchy(hierarchy: int) -> str:
    return f"the {handles.HIERARCHY_NAMES.get(hierarchy, 'null')} hierarchy"


def _auth_cure(hierarchy: int, auth: Auth) -> Cures:
    """What to do about a wrong or missing hierarchy auth, by base code; None for lockout, where a wrong auth counts and blocks."""
    name = handles.HIERARCHY_NAMES.get(hierarchy)
    if name in (None, "lockout"):
        return None
    cure = f"give the right {name}_auth" if auth.value else f"it is set and none was given, so give {name}_auth"
    return {errors.RC_BAD_AUTH: f"{cure}; nothing was counted towards the TPM's lockout"}


__all__ = ("Esapi", "require_library")
