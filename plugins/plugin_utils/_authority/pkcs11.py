# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A signing key on a PKCS#11 token (PKCS #11 Specification v3.1): an HSM, a smart card, a TPM behind tpm2-pkcs11, SoftHSM.

A token counts wrong PINs and locks itself after a few, and a play loads the CA once for each device. So one process at a time sends the
PIN, once. While the token says that the last PIN was wrong, none is sent: a person must log in by hand first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import foreign, keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.keys import AuthorityError, PublicKey
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.deps import ec, hashes, utils

IMPORT_ERROR: ImportError | None = None
try:
    import pkcs11
except ImportError as error:
    IMPORT_ERROR = error

_OPTIONS = {"module", "token", "label", "id", "pin"}
# Which process initialized a module: PKCS#11 does not survive a fork (section 5.4, C_Initialize).
_INITIALIZED: dict[str, int] = {}


class TokenKey(t.NamedTuple):
    """Where a key is: the module's path, the token's label, and the key's label, its id, or both."""

    module: str
    token: str
    label: str | None
    id: bytes | None

    @property
    def key(self) -> str:
        """The key in words."""
        return f"the key {self.label if self.label is not None else (self.id or b'').hex()} on the token {self.token}"


def open_key(options: t.Mapping[str, t.Any], public_key: PublicKey) -> t.Any:
    """Log in and return the key object for the CA whose certificate has ``public_key``.

    ``options``: module, token, label and/or id (hex), pin. Raises InputError for options that make no sense, DependencyError where
    python-pkcs11 is missing, AuthorityError where module, token or key are not there, the PIN is wrong, or the key is another one.
    """
    place, pin = _read(options)
    if IMPORT_ERROR is not None:
        raise DependencyError(
            f"Could not open {place.key}: the controller needs the Python package python-pkcs11 ({IMPORT_ERROR}); "
            "install it for the Python that runs ansible-core, for example with pip install python-pkcs11."
        )
    if not os.path.isfile(place.module):
        raise AuthorityError(f"Could not open {place.key}: there is no PKCS#11 module {place.module}; give the full path of a .so file.")
    with _alone(place.module):
        session = _login(place, _token(_library(place), place), pin)
    held = _find(session, place)
    if (held.key_type == pkcs11.KeyType.EC) != isinstance(public_key, ec.EllipticCurvePublicKey):
        raise _another(place)
    process = os.getpid()

    def sign(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
        """Let the token sign, in the process that opened it."""
        if os.getpid() != process:
            raise AuthorityError(f"Could not sign with {place.key}: it was opened before this process was forked; load the CA here again.")
        return _sign(held, place, public_key, data, algorithm)

    key = keys.check_signing(foreign.key_for(public_key, sign), place.key)
    challenge = os.urandom(32)
    if not keys.is_signed(public_key, sign(challenge, hashes.SHA256()), challenge, hashes.SHA256()):
        raise _another(place)
    return key


def _another(place: TokenKey) -> AuthorityError:
    return AuthorityError(f"Could not use {place.key}: it is not the key of the CA certificate; name the pair that belongs together.")


def _read(options: t.Mapping[str, t.Any]) -> tuple[TokenKey, str]:
    unknown = sorted(set(options) - _OPTIONS)
    missing = [name for name in ("module", "token", "pin") if not options.get(name)]
    if unknown or missing or not (options.get("label") or options.get("id")):
        what = f"it does not know {', '.join(unknown)}" if unknown else f"{', '.join(missing) or 'label or id'} is missing"
        raise InputError(f"Could not read the option pkcs11 of the CA: {what}; give module, token, label or id, and pin.")
    try:
        number = bytes.fromhex(str(options["id"])) if options.get("id") else None
    except ValueError:
        raise InputError("Could not read the option pkcs11 of the CA: id is not hexadecimal; write it as pkcs11-tool prints it.") from None
    label = str(options["label"]) if options.get("label") else None
    return TokenKey(str(options["module"]), str(options["token"]), label, number), str(options["pin"])


def _library(place: TokenKey) -> t.Any:
    try:
        library = pkcs11.lib(place.module)
        if _INITIALIZED.setdefault(place.module, os.getpid()) != os.getpid():
            library.reinitialize()
            _INITIALIZED[place.module] = os.getpid()
    except pkcs11.PKCS11Error as error:
        raise AuthorityError(
            f"Could not open {place.key}: {place.module} does not load as a PKCS#11 module ({_reason(error)}); see its own configuration."
        ) from None
    return library


def _token(library: t.Any, place: TokenKey) -> t.Any:
    try:
        return library.get_token(token_label=place.token)
    except pkcs11.NoSuchToken:
        raise AuthorityError(
            f"Could not open {place.key}: the module {place.module} has no token of that label; see pkcs11-tool --list-token-slots."
        ) from None
    except pkcs11.MultipleTokensReturned:
        raise AuthorityError(f"Could not open {place.key}: several tokens have that label; give them different ones.") from None
    except pkcs11.PKCS11Error as error:
        raise _failed("open", place, error) from None


@contextlib.contextmanager
def _alone(module: str) -> t.Iterator[None]:
    """One process at a time loads the module, looks at the token's flags and logs in.

    So of many workers with a wrong PIN only the first sends it, and no process reads a token's file (SoftHSM) while another writes its flags.
    """
    handle = os.open(module, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # On a file system without locks the processes do not wait for one another; the run goes on.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _login(place: TokenKey, token: t.Any, pin: str) -> t.Any:
    flags = token.flags
    by_hand = f"log in once with the right one (pkcs11-tool --module {place.module} --login --list-objects), then run this again"
    if flags & pkcs11.TokenFlag.USER_PIN_LOCKED:
        raise AuthorityError(f"Could not open {place.key}: its PIN is locked; unlock it with the token's security officer PIN.")
    if flags & (pkcs11.TokenFlag.USER_PIN_COUNT_LOW | pkcs11.TokenFlag.USER_PIN_FINAL_TRY):
        raise AuthorityError(f"Could not open {place.key}: a wrong PIN has been given, and another try might lock the token; {by_hand}.")
    try:
        return token.open(user_pin=pin)
    except pkcs11.UserAlreadyLoggedIn:
        return token.open()
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
        raise AuthorityError(f"Could not open {place.key}: the PIN is wrong, and it is not tried again; {by_hand}.") from None
    except pkcs11.PinLocked:
        raise AuthorityError(f"Could not open {place.key}: its PIN is locked; unlock it with the token's security officer PIN.") from None
    except pkcs11.PKCS11Error as error:
        raise _failed("open", place, error) from None


def _find(session: t.Any, place: TokenKey) -> t.Any:
    wanted = {"label": place.label, "id": place.id}
    try:
        return session.get_key(
            object_class=pkcs11.ObjectClass.PRIVATE_KEY, **{name: value for name, value in wanted.items() if value is not None}
        )
    except pkcs11.NoSuchKey:
        raise AuthorityError(
            f"Could not open {place.key}: the token has no such private key; see pkcs11-tool --login --list-objects --type privkey."
        ) from None
    except pkcs11.MultipleObjectsReturned:
        raise AuthorityError(f"Could not open {place.key}: several private keys fit; give both label and id.") from None
    except pkcs11.PKCS11Error as error:
        raise _failed("find", place, error) from None


def _sign(held: t.Any, place: TokenKey, public_key: PublicKey, data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            # Every token has the bare ECDSA mechanism; not every token has one that also hashes.
            digest = hashes.Hash(algorithm)
            digest.update(data)
            raw = held.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)
            half = len(raw) // 2
            return utils.encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))
        return bytes(held.sign(data, mechanism=getattr(pkcs11.Mechanism, f"{algorithm.name.upper()}_RSA_PKCS")))
    except pkcs11.PKCS11Error as error:
        raise _failed("sign with", place, error) from None


def _failed(verb: str, place: TokenKey, error: Exception) -> AuthorityError:
    return AuthorityError(f"Could not {verb} {place.key}: the module answered {_reason(error)}; see the token's own log.")


def _reason(error: Exception) -> str:
    # The exceptions of python-pkcs11 are named after CKR_ codes and mostly carry no text; none carries the PIN.
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


__all__ = ("TokenKey", "open_key")
