# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The interface by which the resources change a TPM, in the specification's verbs (TPM 2.0 Library Part 3).

All arguments and results are bytes and integers; an object or session is an opaque token. Every method raises TpmResponseError or
TransportError. ``esapi.py`` is the implementation; unit tests have a fake one.
"""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.choose import Auth
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.names import Public
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.nv import NvPublic
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.pcr import Selection

Token = t.Any


class Waiting(Exception):  # noqa: N818 - nothing has failed
    """What was asked for has not arrived yet: it will be there after ``Reads.fetch``."""


class Reads(t.Protocol):
    """What can be read from a TPM without a session; ``reader.py`` is the implementation."""

    # Notes for the user on objects of interrupted programs that were flushed to make room.
    flushed: list[str]

    def fetch(self) -> None:
        """Get what reads have waited for: far from the TPM, a method raises ``Waiting`` the first time, so that many reads travel together."""

    def properties(self, group: int = constants.PT_VAR) -> dict[int, int]:
        """The TPM properties of a group, by number."""

    def read_public(self, handle: int) -> tuple[Public, bytes] | None:
        """TPM2_ReadPublic (12.4): public area and Qualified Name; None if there is no object."""

    def handles(self, first: int) -> list[int]:
        """TPM2_GetCapability (30.2): the handles from ``first`` on that are of its type (top byte)."""

    def nv_read_public(self, index: int) -> NvPublic | None:
        """TPM2_NV_ReadPublic (31.6): the definition of an NV index; None if there is none."""

    def nv_read(self, index: int, size: int, authority: int) -> bytes:
        """TPM2_NV_Read (31.13) with the empty auth of ``authority``: the index itself or TPM_RH_OWNER."""

    def auth_policy(self, hierarchy: int) -> bytes | None:
        """The policy digest of a hierarchy (b"": no policy); None if the TPM does not tell it."""

    def platform_auth_is_empty(self) -> bool | None:
        """Whether the platform hierarchy accepts an empty auth; None if it is disabled."""

    def pcr_read(self, chosen: t.Sequence[Selection]) -> dict[str, dict[int, bytes]]:
        """TPM2_PCR_Read (22.4): values by bank and index; banks that are not allocated are missing."""


class Backend(t.Protocol):
    """One connection to one TPM."""

    # How many commands have changed the TPM's persistent state.
    writes: int

    def create_primary(self, hierarchy: int, auth: Auth, template: Public) -> tuple[Token, Public]:
        """TPM2_CreatePrimary (24.1): a loaded primary key and its public area."""

    def create(self, parent: Token, auth: Auth, template: Public, value: bytes, data: bytes) -> tuple[bytes, Public]:
        """TPM2_Create (12.1) of a key or sealed blob with auth ``value``: the private part and the public area."""

    def load(self, parent: Token, auth: Auth, private: bytes, public: Public, source: str) -> Token:
        """TPM2_Load (12.2); ``source`` names the origin of the object in error messages."""

    def persistent(self, handle: int) -> Token:
        """The object at a persistent handle."""

    def name(self, item: Token) -> bytes:
        """The Name of an object as this connection knows it; sends no command."""

    def evict_control(self, hierarchy: int, auth: Auth, item: Token, handle: int) -> None:
        """TPM2_EvictControl (28.5): make a loaded object persistent at ``handle``, or remove the persistent one there."""

    def flush_context(self, item: Token) -> None:
        """TPM2_FlushContext (28.4)."""

    def unseal(self, item: Token, auth: Auth, source: str) -> bytes:
        """TPM2_Unseal (12.7); ``source`` as in ``load``."""

    def nv_define_space(self, hierarchy: int, auth: Auth, public: NvPublic, value: bytes) -> None:
        """TPM2_NV_DefineSpace (31.3) with the index auth ``value``."""

    def nv_undefine_space(self, hierarchy: int, auth: Auth, index: int) -> None:
        """TPM2_NV_UndefineSpace (31.4)."""

    def nv_write(self, authority: int, auth: Auth, index: int, data: bytes) -> None:
        """TPM2_NV_Write (31.7) of all of ``data`` from offset 0; ``authority`` is the index itself or a hierarchy."""

    def nv_increment(self, authority: int, auth: Auth, index: int) -> None:
        """TPM2_NV_Increment (31.8)."""

    def nv_read(self, authority: int, auth: Auth, index: int, size: int) -> bytes:
        """TPM2_NV_Read (31.13)."""

    def hierarchy_change_auth(self, hierarchy: int, auth: Auth, value: bytes) -> None:
        """TPM2_HierarchyChangeAuth (24.8)."""

    def set_primary_policy(self, hierarchy: int, auth: Auth, digest: bytes) -> None:
        """TPM2_SetPrimaryPolicy (24.3)."""

    def hierarchy_control(self, authority: int, auth: Auth, hierarchy: int, enable: bool) -> None:
        """TPM2_HierarchyControl (24.2)."""

    def clear_control(self, authority: int, auth: Auth, disable: bool) -> None:
        """TPM2_ClearControl (24.7)."""

    def dictionary_attack_parameters(self, auth: Auth, max_tries: int, recovery_time: int, lockout_recovery: int) -> None:
        """TPM2_DictionaryAttackParameters (25.3); times in seconds."""

    def dictionary_attack_lock_reset(self, auth: Auth) -> None:
        """TPM2_DictionaryAttackLockReset (25.2)."""

    def holds(self, hierarchy: int, auth: Auth) -> bool:
        """Whether a hierarchy accepts this auth value; changes nothing. Must not be used for lockout, where a wrong value counts."""

    def pcr_read_proven(self, chosen: Selection) -> dict[int, bytes]:
        """TPM2_PCR_Read (22.4) in the secure session, whose HMAC proves the values; a bank that is not allocated is missing."""

    def list_handles(self, first: int) -> list[int]:
        """TPM2_GetCapability (30.2): the handles from ``first`` on that are of its type (top byte)."""

    def salt_with(self, handle: int) -> None:
        """Salt the secure session to the storage key at this persistent handle, unless another key has been pinned."""

    def pin_salt(self, handle: int, name: bytes) -> None:
        """Salt every session to the key at this persistent handle; a key there with another Name is an error."""

    def go_unproven(self) -> None:
        """From now on, until ``salt_with``, send commands with an empty auth without a session, so that their responses prove nothing.

        Used to make the key that the session will be salted to. The session's first command then proves that key, or else ``prove`` does.
        """

    def prove(self) -> None:
        """Prove that the key for the salt is at its handle, unless a command in the session has proved that already."""

    def known(self, handle: int, public: Public) -> Token:
        """The object at a persistent handle whose public area is known. Sends no command: whether the object is there shows when it is used."""

    def start_policy(self, salt: Token | None, hash_alg: int) -> Token:
        """TPM2_StartAuthSession (11.1) of a policy session that lives until ``activate_credential``. With ``salt``, it encrypts in both directions."""

    def satisfy(self, session: Token, steps: t.Sequence[t.Any], auths: t.Mapping[int, bytes]) -> None:
        """Assert ``steps`` in a policy session."""

    def certify(self, subject: Token, session: Token, signer: Token, nonce: bytes, what: str) -> tuple[bytes, bytes]:
        """TPM2_Certify (18.2) of a key that ``session`` authorises in the role ADMIN. Returns the marshalled TPMS_ATTEST and TPMT_SIGNATURE."""

    def activate_credential(
        self, activated: tuple[Token, Token], key: tuple[Token, Token], id_object: bytes, encrypted_secret: bytes
    ) -> bytes:
        """TPM2_ActivateCredential (12.5). ``activated`` and ``key`` are pairs of a key and the session that authorises it.

        Both sessions end. Returns the secret.
        """

    def notes(self) -> list[str]:
        """Notes for the user about this connection."""

    def close(self) -> None:
        """Flush our objects and sessions that are still loaded, and end the connection; may be called twice."""


__all__ = ("Backend", "Reads", "Token")
