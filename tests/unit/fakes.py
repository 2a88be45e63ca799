# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A TPM of Python for the tests of plans: it keeps state, answers reads and carries out verbs, and notes how each was authorised.

Policies are computed here a second time, by their specification and not by the code under test.
"""

from __future__ import annotations

import hashlib
import struct
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles, names, nv, pcr

FIXED, VARIABLE = 0x100, 0x200
WRITTEN = 1 << 29
TR_PASSWORD, TR_SECURE, TR_POLICY = "password", "secure", "policy"
CC = {"unseal": 0x15E, "nv_write": 0x137, "nv_increment": 0x134, "nv_read": 0x14E, "hierarchy_change_auth": 0x129}
AUTHREAD = 1 << 18


class Call(t.NamedTuple):
    """A verb that was carried out: how it was authorised, and whether it carried or returned what nobody may see."""

    verb: str
    about: int | str
    session: str
    value: bytes
    secret: bool


class Session(t.NamedTuple):
    """What an auth strategy opened."""

    kind: str
    encrypts: bool
    digest: bytes = b""
    commands: tuple[int, ...] = ()
    written: tuple[bool, ...] = ()
    auth_value: bool = False


class Loaded:
    """A token: a transient object, or a persistent one by its handle."""

    def __init__(self, public: names.Public, qualified: bytes, handle: int | None = None, blob: tuple[bytes, bytes] = (b"", b"")) -> None:
        self.public, self.qualified, self.handle = public, qualified, handle
        self.value, self.data = blob


class Index:
    """An NV index; `foreign` ones were there before, with an auth that no task knows of."""

    def __init__(self, public: nv.NvPublic, auth: bytes = b"", data: bytes | None = None, foreign: bool = True) -> None:
        self.auth, self.data, self.foreign = auth, data, foreign
        self.public = public._replace(attributes=public.attributes | WRITTEN) if data is not None else public


def with_unique(template: names.Public, seed: bytes) -> names.Public:
    """The template with a unique field as a TPM fills it in, made of `seed`."""
    head = template.raw[: len(template.raw) - len(template.unique)]
    if template.type == 0x0023:
        size = {3: 32, 4: 48, 5: 66}[int.from_bytes(template.detail[:2], "big")]
        unique = b"".join(struct.pack(">H", size) + (hashlib.sha512(seed + axis).digest() * 2)[:size] for axis in (b"x", b"y"))
    else:
        size = int.from_bytes(template.detail[:2], "big") // 8 if template.type == 0x0001 else 32
        unique = struct.pack(">H", size) + b"\xc1" + (hashlib.sha512(seed).digest() * 9)[: size - 1]
    return names.parse_public(head + unique)


class FakeTpm:
    """Reader and backend in one; see `_backend.reader.Reader` and `_backend.base.Backend`."""

    def __init__(self) -> None:
        self.flushed: list[str] = []
        self.objects: dict[int, Loaded] = {}
        self.indices: dict[int, Index] = {}
        self.auths = dict.fromkeys(handles.HIERARCHIES.values(), b"")
        self.enabled = {handles.RH_PLATFORM: True, handles.RH_OWNER: True, handles.RH_ENDORSEMENT: True}
        self.policies: dict[int, bytes | None] = dict.fromkeys(handles.HIERARCHIES.values(), b"")
        self.banks: dict[str, dict[int, bytes]] = {"sha256": {index: bytes(32) for index in range(24)}}
        self.banks["sha256"][7] = hashlib.sha256(b"measured").digest()
        self.lockout = [0, 3, 1000, 1000]  # counter, max_tries, recovery_time, lockout_recovery
        self.in_lockout = self.clear_disabled = False
        self.slots, self.counters = 7, 6
        self.limits = {0x116: 8, 0x117: 2048, 0x12C: 1024}
        self.calls: list[Call] = []
        self.reads: list[tuple[t.Any, ...]] = []
        self.sessions = self.closed = self.opened = self.writes = 0
        self.loaded: list[Loaded] = []
        self.salted_with: int | None = None
        self.bare = False
        self.unproven = False
        self.fail: dict[str, int] = {}
        self.commands_left: int | None = None  # the power fails after that many verbs
        self._blobs: dict[bytes, tuple[bytes, bytes, bytes]] = {}

    # -- the reader

    def properties(self, group: int = VARIABLE) -> dict[int, int]:
        self.reads.append(("properties", group))
        if group == FIXED:
            return dict(self.limits)
        bits = [bool(self.auths[number]) for number in (handles.RH_OWNER, handles.RH_ENDORSEMENT, handles.RH_LOCKOUT)]
        permanent = sum(bit << at for at, bit in enumerate([*bits, *[False] * 5, self.clear_disabled, self.in_lockout]))
        startup = sum(bit << at for at, bit in enumerate(self.enabled.values()))
        used = sum(1 for index in self.indices.values() if index.public.type == "counter")
        found = {0x200: permanent, 0x201: startup, 0x209: self.slots - len(self.objects), 0x20B: self.counters - used}
        return {**found, **dict(zip(range(0x20E, 0x212), self.lockout, strict=True))}

    def read_public(self, handle: int) -> tuple[names.Public, bytes] | None:
        self.reads.append(("read_public", handle))
        found = self.objects.get(handle)
        return (found.public, found.qualified) if found else None

    def handles(self, first: int) -> list[int]:
        self.reads.append(("handles", first))
        return sorted(one for one in (*self.objects, *self.indices) if one >> 24 == first >> 24)

    def nv_read_public(self, index: int) -> nv.NvPublic | None:
        self.reads.append(("nv_read_public", index))
        return self.indices[index].public if index in self.indices else None

    def nv_raw_read(self, index: int, size: int, authority: int) -> bytes:
        """The reader's nv_read: with the empty auth of the index or the owner."""
        self.reads.append(("nv_read", index, authority))
        held = self.indices[index]
        expected = held.auth if authority == index else self.auths[authority]
        if expected:
            self._wrong(authority, held)
        return (held.data or b"")[:size]

    def auth_policy(self, hierarchy: int) -> bytes | None:
        self.reads.append(("auth_policy", hierarchy))
        return self.policies[hierarchy]

    def platform_auth_is_empty(self) -> bool | None:
        self.reads.append(("platform_auth",))
        return not self.auths[handles.RH_PLATFORM] if self.enabled[handles.RH_PLATFORM] else None

    def pcr_read(self, chosen: t.Sequence[pcr.Selection]) -> dict[str, dict[int, bytes]]:
        self.reads.append(("pcr_read", tuple(chosen)))
        return {one.bank: {index: self.banks[one.bank][index] for index in one.indices if one.bank in self.banks} for one in chosen}

    def pcr_read_proven(self, chosen: pcr.Selection) -> dict[int, bytes]:
        held = self.banks.get(chosen.bank, {})
        return {index: held[index] for index in chosen.indices if index in held}

    # -- sessions

    def password(self) -> Session:
        return Session(TR_PASSWORD, False)

    def secure(self) -> Session:
        self.sessions += 1
        self.unproven = False
        return Session(TR_SECURE, True)

    def proving(self) -> Session:
        if not self.bare:
            return self.secure()
        self.unproven = True
        return self.password()

    def policy_session(self, steps: t.Sequence[t.Any], secret: bool, auths: t.Mapping[int, bytes]) -> Session:
        """A session in which the assertions were made, as Part 3, section 23 computes it."""
        self.sessions += 1
        value, commands, written, auth_value = bytes(32), [], [], False
        for step in steps:
            kind = type(step).__name__
            if kind == "Offer":
                self._require(value in step.digests, "assert", "PolicyOR", 0x1C4)
                value = _sha(bytes(32), 0x171, *step.digests)
            elif kind == "Secret":
                self._require(auths.get(step.hierarchy, b"") == self.auths[step.hierarchy], "prove", "a hierarchy", 0x9A2)
                value = hashlib.sha256(_sha(value, 0x151, struct.pack(">I", step.hierarchy)) + step.ref).digest()
            elif kind == "ExternalSecret":
                value = hashlib.sha256(_sha(value, 0x151, step.public.name)).digest()
            elif kind == "Pcr":
                values = b"".join(self.banks[step.selection.bank][index] for index in step.selection.indices)
                value = _sha(value, 0x17F, pcr.marshal([step.selection]), hashlib.sha256(values).digest())
            elif kind == "CommandCode":
                commands.append(step.code)
                value = _sha(value, 0x16C, struct.pack(">I", step.code))
            elif kind == "NvWritten":
                written.append(step.written)
                value = _sha(value, 0x18F, bytes([step.written]))
            else:
                auth_value = True
                value = _sha(value, 0x16B)
        return Session(TR_POLICY, secret, value, tuple(commands), tuple(written), auth_value)

    def _command(self, verb: str, about: int | str) -> None:
        if self.fail.get(verb):
            raise errors.from_rc(verb, str(about), self.fail[verb])
        if self.commands_left is not None:
            if not self.commands_left:
                raise errors.TransportError("the power failed", errors.BROKEN)
            self.commands_left -= 1

    def _require(self, holds: bool, attempt: str, obj: str, code: int) -> None:
        if not holds:
            raise errors.from_rc(attempt, obj, code)

    def _wrong(self, authority: int, index: Index | None) -> t.NoReturn:
        """A wrong auth: counted for lockout and for an index without no_da."""
        counted = authority == handles.RH_LOCKOUT or (
            index is not None and authority == index.public.index and not index.public.has("no_da")
        )
        if counted:
            self.lockout[0] += 1
        raise errors.from_rc("prove", handles.text(authority), 0x98E if counted else 0x9A2)

    def _authorise(self, verb: str, authority: int, auth: t.Any, about: int | str, secret: bool = False) -> None:
        """By a hierarchy's or an index's auth, or by an index's policy."""
        self._command(verb, about)
        session, index = auth.open(self), self.indices.get(authority)
        self.calls.append(Call(verb, about, session.kind, auth.value, secret))
        # With a policy of a hierarchy, a session beside it encrypts.
        by_policy = session.kind == TR_POLICY and authority in self.policies
        self._require(not secret or session.encrypts or by_policy, f"{verb} in clear", str(about), 0x101)
        if by_policy:
            self._policy(session, self.policies[authority] or b"", CC[verb], None)
        elif session.kind == TR_POLICY:
            policy = t.cast(Index, index).public.auth_policy
            self._policy(session, policy, CC[verb], t.cast(Index, index).public.written)
        if session.kind != TR_POLICY or session.auth_value:
            expected = self.auths[authority] if authority in self.auths else t.cast(Index, index).auth
            if auth.value != expected:
                self._wrong(authority, index)
        self._require(self.enabled.get(authority, True), verb, str(about), 0x185)

    def _policy(self, session: Session, policy: bytes, code: int, written: bool | None) -> None:
        holds = session.digest == policy and all(one == code for one in session.commands) and all(one == written for one in session.written)
        self._require(holds, "use the policy for", hex(code), 0x99D)

    # -- objects

    def create_primary(self, hierarchy: int, auth: t.Any, template: names.Public) -> tuple[Loaded, names.Public]:
        self._authorise("create_primary", hierarchy, auth, hierarchy)
        public = with_unique(template, template.raw + struct.pack(">I", hierarchy))
        token = Loaded(public, names.qualified_name(names.hierarchy_name(hierarchy), public))
        self.loaded.append(token)
        return token, public

    def create(self, parent: Loaded, auth: t.Any, template: names.Public, value: bytes, data: bytes) -> tuple[bytes, names.Public]:
        self._use_parent("create", parent, auth, bool(value or data))
        public = with_unique(template, b"%d" % len(self._blobs))
        private = b"private part %d" % len(self._blobs)
        self._blobs[private] = (value, data, parent.public.name)
        return private, public

    def load(self, parent: Loaded, auth: t.Any, private: bytes, public: names.Public, source: str) -> Loaded:
        self._use_parent("load", parent, auth, False)
        value, data, made_under = self._blobs.get(private, (b"", b"", b""))
        self._require(made_under == parent.public.name, "load", "a blob", 0x1DF)
        token = Loaded(public, names.qualified_name(parent.qualified, public), blob=(value, data))
        self.loaded.append(token)
        return token

    def _use_parent(self, verb: str, parent: Loaded, auth: t.Any, secret: bool) -> None:
        self._command(verb, "an object")
        session = auth.open(self)
        self.calls.append(Call(verb, handles.text(parent.handle or 0), session.kind, auth.value, secret))
        self._require(not secret or session.encrypts, f"{verb} in clear", "an object", 0x101)
        self._require(names.is_storage_parent(parent.public) and not auth.value, verb, "an object", 0x9A2)

    def persistent(self, handle: int) -> t.Any:
        if handle >> 24 == 1:
            return handle
        self._require(handle in self.objects, "find", handles.text(handle), 0x18B)
        return self.objects[handle]

    def name(self, item: Loaded) -> bytes:
        return item.public.name

    def evict_control(self, hierarchy: int, auth: t.Any, item: Loaded, handle: int) -> None:
        self._authorise("evict_control", hierarchy, auth, handle)
        low = handle <= handles.LAST_OWNER_PERSISTENT
        self._require(low == (hierarchy == handles.RH_OWNER), "evict", handles.text(handle), 0x1CD)
        if item.handle is not None:
            self._require(item.handle == handle, "evict", handles.text(handle), 0x184)
            del self.objects[handle]
        else:
            self._require(handle not in self.objects, "persist", handles.text(handle), 0x14C)
            self._require(len(self.objects) < self.slots, "persist", handles.text(handle), 0x14B)
            self.objects[handle] = Loaded(item.public, item.qualified, handle, (item.value, item.data))
        self.writes += 1

    def flush_context(self, item: Loaded) -> None:
        self.loaded.remove(item)

    def unseal(self, item: Loaded, auth: t.Any, source: str) -> bytes:
        self._command("unseal", "a blob")
        session = auth.open(self)
        self.calls.append(Call("unseal", "blob", session.kind, auth.value, True))
        self._require(session.encrypts, "unseal in clear", "a blob", 0x101)
        if session.kind == TR_POLICY:
            self._policy(session, item.public.auth_policy, CC["unseal"], None)
        if session.kind != TR_POLICY or session.auth_value:
            self._require(auth.value == item.value, "unseal", "a blob", 0x9A2)
        return item.data

    # -- NV

    def nv_define_space(self, hierarchy: int, auth: t.Any, public: nv.NvPublic, value: bytes) -> None:
        self._authorise("nv_define_space", hierarchy, auth, public.index, bool(value))
        self._require(public.index not in self.indices, "define", handles.text(public.index), 0x14C)
        platform = public.has("platformcreate")
        self._require(platform == (hierarchy == handles.RH_PLATFORM), "define", handles.text(public.index), 0x2C2)
        self.indices[public.index] = Index(public, value, foreign=False)
        self.writes += 1

    def nv_undefine_space(self, hierarchy: int, auth: t.Any, index: int) -> None:
        self._authorise("nv_undefine_space", hierarchy, auth, index)
        platform = self.indices[index].public.has("platformcreate")
        self._require(platform == (hierarchy == handles.RH_PLATFORM), "undefine", handles.text(index), 0x149)
        del self.indices[index]
        self.writes += 1

    def _nv(self, verb: str, authority: int, auth: t.Any, index: int, secret: bool) -> Index:
        self._authorise(verb, authority, auth, index, secret)
        held = self.indices[index]
        kind = {handles.RH_OWNER: "owner", handles.RH_PLATFORM: "pp"}.get(
            authority, "policy" if self.calls[-1].session == TR_POLICY else "auth"
        )
        self._require(held.public.has(kind + ("read" if verb == "nv_read" else "write")), verb, handles.text(index), 0x149)
        return held

    def nv_write(self, authority: int, auth: t.Any, index: int, data: bytes) -> None:
        held = self._nv("nv_write", authority, auth, index, self._hidden(index))
        self._require(len(data) == held.public.size, "write", handles.text(index), 0x146)
        self.indices[index] = Index(held.public, held.auth, data, held.foreign)
        self.writes += 1

    def nv_increment(self, authority: int, auth: t.Any, index: int) -> None:
        held = self._nv("nv_increment", authority, auth, index, False)
        self.indices[index] = Index(held.public, held.auth, (int.from_bytes(held.data or b"", "big") + 1).to_bytes(8, "big"), held.foreign)
        self.writes += 1

    def nv_backend_read(self, authority: int, auth: t.Any, index: int, size: int) -> bytes:
        """The backend's nv_read: in a session."""
        return (self._nv("nv_read", authority, auth, index, self._hidden(index)).data or b"")[:size]

    def _hidden(self, index: int) -> bool:
        """Whether what an index holds is a secret: not everybody may read it."""
        held = self.indices[index]
        return not held.public.attributes & AUTHREAD or bool(held.auth and not held.foreign)

    def nv_read(self, first: int, second: t.Any, third: int, size: int | None = None) -> bytes:
        if size is None:
            return self.nv_raw_read(first, second, third)
        return self.nv_backend_read(first, second, third, size)

    # -- hierarchies

    def hierarchy_change_auth(self, hierarchy: int, auth: t.Any, value: bytes) -> None:
        self._authorise("hierarchy_change_auth", hierarchy, auth, hierarchy, bool(value))
        self.auths[hierarchy] = value
        self.writes += 1

    def set_primary_policy(self, hierarchy: int, auth: t.Any, digest: bytes) -> None:
        self._authorise("set_primary_policy", hierarchy, auth, hierarchy)
        self.policies[hierarchy] = digest
        self.writes += 1

    def hierarchy_control(self, authority: int, auth: t.Any, hierarchy: int, enable: bool) -> None:
        self._authorise("hierarchy_control", authority, auth, hierarchy)
        self._require(authority == handles.RH_PLATFORM or (authority == hierarchy and not enable), "enable", "a hierarchy", 0x12F)
        self.enabled[hierarchy] = enable
        self.writes += 1

    def clear_control(self, authority: int, auth: t.Any, disable: bool) -> None:
        self._authorise("clear_control", authority, auth, authority)
        self._require(disable or authority == handles.RH_PLATFORM, "allow", "TPM2_Clear", 0x12F)
        self.clear_disabled = disable
        self.writes += 1

    def dictionary_attack_parameters(self, auth: t.Any, max_tries: int, recovery_time: int, lockout_recovery: int) -> None:
        self._authorise("dictionary_attack_parameters", handles.RH_LOCKOUT, auth, "lockout")
        self.lockout[1:] = [max_tries, recovery_time, lockout_recovery]
        self.writes += 1

    def dictionary_attack_lock_reset(self, auth: t.Any) -> None:
        self._authorise("dictionary_attack_lock_reset", handles.RH_LOCKOUT, auth, "lockout")
        self.lockout[0], self.in_lockout = 0, False
        self.writes += 1

    def holds(self, hierarchy: int, auth: t.Any) -> bool:
        self._require(hierarchy != handles.RH_LOCKOUT, "gamble with", "lockout", 0x98E)
        self.calls.append(Call("holds", hierarchy, auth.open(self).kind, auth.value, False))
        return bool(auth.value == self.auths[hierarchy])

    # -- the rest

    def list_handles(self, first: int) -> list[int]:
        return sorted(self.indices) if first >> 24 == 1 else sorted(self.objects)

    def salt_with(self, handle: int) -> None:
        self.salted_with = handle
        self.bare = False

    def go_unproven(self) -> None:
        self.bare = True

    def prove(self) -> None:
        if self.unproven:
            self.secure()

    def pin_salt(self, handle: int, name: bytes) -> None:
        held = self.objects.get(handle)
        if held is None or held.public.name != name:
            raise errors.StateError("Could not open a secure session to the TPM: it is another key.")
        self.salted_with = handle

    # -- attestation: that the calls fit together; what a TPM makes of them is tested on one

    def known(self, handle: int, public: names.Public) -> Loaded:
        return Loaded(public, b"")

    def start_policy(self, salt: Loaded | None, hash_alg: int) -> list[t.Any]:
        return [salt, hash_alg]

    def satisfy(self, session: list[t.Any], steps: t.Sequence[t.Any], auths: t.Mapping[int, bytes]) -> None:
        session += steps

    def certify(self, subject: Loaded, session: list[t.Any], signer: Loaded, nonce: bytes, what: str) -> tuple[bytes, bytes]:
        self.calls.append(Call("certify", what, TR_POLICY, b"", False))
        return subject.public.name + nonce, signer.public.name

    def activate_credential(
        self, activated: tuple[Loaded, list[t.Any]], key: tuple[Loaded, list[t.Any]], id_object: bytes, encrypted_secret: bytes
    ) -> bytes:
        self.calls.append(Call("activate_credential", "the credential", TR_POLICY, b"", True))
        return id_object

    def notes(self) -> list[str]:
        return []

    def close(self) -> None:
        self.closed += 1
        self.loaded.clear()

    def verbs(self) -> list[str]:
        """The verbs carried out so far."""
        return [call.verb for call in self.calls]


def _sha(old: bytes, code: int, *parts: bytes) -> bytes:
    return hashlib.sha256(old + struct.pack(">I", code) + b"".join(parts)).digest()
