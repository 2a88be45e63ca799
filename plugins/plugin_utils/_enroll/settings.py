# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The options of an enrolment: whom to trust, who issues certificates, what to keep."""

from __future__ import annotations

import datetime
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, handles, nv, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _files, _https
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority.tcg_csr import FLAVOURS
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, ladder, services

Options = t.Mapping[str, t.Any]
KINDS = ("iak", "idevid")
DAY = datetime.timedelta(days=1)
_LONGEST = 36525 * DAY
# The attributes of a written NV index that was made with ``write_once`` and that everybody may read (see _resource/nv_options.py).
_SERIAL_ATTRIBUTES = ("policywrite", "ownerread", "authread", "no_da", "written")


class LocalKey(t.NamedTuple):
    """How to make an LDevID: its handle, algorithm and parent, the lifetime of its certificates, and when to renew them."""

    handle: str
    algorithm: str
    parent: str
    lifetime: datetime.timedelta
    renew_before: datetime.timedelta
    server_auth: bool
    dns_names: tuple[str, ...]


class External(t.NamedTuple):
    """An external CA: the folders for requests and certificates, the CA certificates that those must lead to, and a TCG-CSR flavour."""

    folder: str
    authorities: tuple[bytes, ...]
    tcg_csr: str | None


class Handles(t.NamedTuple):
    """The handles of a device's keys, as text, and the templates of EK and IDevID."""

    ek: str
    ak: str
    idevid: str
    idevid_template: str
    ek_template: str = "ek_rsa_2048"


def trust_policy(options: Options | None) -> ladder.Policy:
    """Whom to trust; nobody if there is no bundle. Raises BundleError, InputError, DependencyError."""
    given = dict(options or {})
    found = bundle.load_bundle(given["bundle"], given.get("sha256") or "") if given.get("bundle") else None
    allowed = given.get("manufacturers")
    if given.get("require_crl") and not given.get("crls"):
        raise InputError("Could not require a CRL for each CA: no crls are given; name their files, or leave require_crl out.")
    return ladder.Policy(
        bundle=found,
        crls=bundle.load_crls(given.get("crls") or []),
        manufacturers=None if allowed is None else frozenset(str(one) for one in allowed),
        allow_expired=bool(given.get("allow_expired")),
        require_crl=bool(given.get("require_crl")),
        crl_max_age=_max_age(given.get("crl_max_age")),
    )


def certificate_services(options: Options | None) -> services.Services | None:
    """Where to fetch EK certificates that are not in the TPM, from the options of ``trust``; None if nowhere. Raises InputError."""
    given = (options or {}).get("fetch")
    if not given:
        return None
    if not (options or {}).get("bundle"):
        raise InputError("Could not allow to fetch EK certificates: no bundle is given that could vouch for them; give trust.bundle.")
    known, urls = [one.name for one in services.SERVICES], dict(given.get("urls") or {})
    odd = sorted({*urls} - {*given["vendors"]})
    if odd:
        raise InputError(f"Could not read trust.fetch.urls: '{odd[0]}' is not in vendors; name services among {', '.join(known)}.")
    timeout = float(given["timeout"])
    if not 0 < timeout <= 600:
        raise InputError("Could not read trust.fetch.timeout: it must be more than 0 seconds and at most 600.")
    return services.Services(
        frozenset(given["vendors"]),
        pathlib.Path(given["cache"]),
        {name: _https.check_url(str(url), f"trust.fetch.urls.{name}") for name, url in urls.items()},
        given.get("ca_file"),
        timeout,
    )


def _max_age(days: t.Any) -> datetime.timedelta | None:
    if days is None:
        return None
    try:
        found = datetime.timedelta(days=float(days))
    except (OverflowError, ValueError):
        found = datetime.timedelta()
    if not datetime.timedelta() < found <= _LONGEST:
        raise InputError("Could not read crl_max_age: it must be more than 0 days and not more than a hundred years; give it in days.")
    return found


def issuer(options: Options | None) -> authority.Authority | None:
    """Our own CA, or None. Raises InputError, AuthorityError, KeyTypeError, DependencyError."""
    given = {name: value for name, value in (options or {}).items() if value is not None and value is not False}
    return authority.load_authority(given) if given else None


def record_signer(options: Options | None) -> authority.Signer | None:
    """The signer of birth records in place of the CA, or None. Raises as ``issuer``, and BirthRecordError."""
    given = {name: value for name, value in (options or {}).items() if value is not None and value is not False}
    if not given:
        return None
    signer = authority.load_signer(given)
    birth_records.check_signer(signer)
    return signer


def external_ca(options: Options | None) -> External | None:
    """The external CA, or None. Raises InputError."""
    if not options:
        return None
    flavour = options.get("tcg_csr")
    if flavour is not None and flavour not in FLAVOURS:
        raise InputError(f"Could not choose the TCG-CSR-IDEVID flavour '{flavour}': name one of {', '.join(FLAVOURS)}.")
    certificates = tuple(_files.read(path, f"the certificate of the external CA {path}") for path in options["authorities"])
    for data, path in zip(certificates, options["authorities"]):
        chain.load(data, f"the certificate of the external CA in {path}")
    return External(str(options["folder"]), certificates, flavour)


def local_key(options: Options | None) -> LocalKey | None:
    """How to make the LDevID; None if the device gets none. Raises InputError."""
    if not options:
        return None
    try:
        lifetime, before = (datetime.timedelta(days=float(options[name])) for name in ("lifetime", "renew_before"))
        sensible = datetime.timedelta() < lifetime <= _LONGEST and datetime.timedelta() <= before <= _LONGEST
    except (OverflowError, ValueError):
        sensible = False
    if not sensible:
        raise InputError(
            "Could not plan the LDevID: its lifetime must be more than 0 days, renew_before not less, and neither more than a hundred "
            "years; give both in days."
        )
    dns_names = tuple(str(one) for one in options.get("dns_names") or ())
    # In the form of devices' answers; a handle that was a number in YAML is decimal here.
    handle, parent = (handle_text(options[name], f"ldevid.{name}") for name in ("handle", "parent"))
    return LocalKey(handle, options["algorithm"], parent, lifetime, before, bool(options.get("server_auth")), dns_names)


def serial_index(index: str, serial: str) -> nv.NvPublic:
    """The public area that the serial number's NV index must have: write-once, readable by everybody, written. Raises InputError."""
    number = _number(index)
    if not handles.FIRST_NV <= number < handles.FIRST_NV + (1 << 24):
        raise InputError(f"Could not read serial_index '{index}': write an NV index as 0x01800010.")
    flags = attributes.word(_SERIAL_ATTRIBUTES, attributes.NV)
    return nv.NvPublic(number, alg.SHA256, flags, nv.WRITE_ONCE_POLICY, len(serial.encode()))


def quoted(options: Options | None) -> pcr.Selection | None:
    """The PCRs that the AK quotes. Raises InputError."""
    return pcr.selection(str(options.get("bank") or "sha256"), options["indices"]) if options else None


def _number(value: t.Any) -> int:
    try:
        return int(str(value), 0)
    except ValueError:
        return -1


def same_handle(one: str, other: str) -> bool:
    """Whether two texts mean the same handle."""
    return _number(one) == _number(other) >= 0


def handle_text(value: t.Any, option: str) -> str:
    """A handle in the form in which we print it. Raises InputError."""
    number = _number(value)
    if not handles.FIRST_PERSISTENT <= number < handles.FIRST_PERSISTENT + (1 << 24):
        raise InputError(f"Could not read {option} '{value}': it is no persistent handle; write one as 0x81010001.")
    return handles.text(number)


def no_issuer(serial: str) -> InputError:
    """The error if nobody can issue certificates."""
    return InputError(
        f"Could not enroll {serial}: neither authority nor external_authority is given, so nobody can issue its certificates; give one of them."
    )


def no_record_signer(serial: str) -> InputError:
    """The error if a birth record is requested that nobody can sign."""
    return InputError(
        f"Could not enroll {serial}: record_dir is given, but neither authority nor record_signer, so nobody can sign its birth record, which "
        "cannot be made later; give record_signer, or leave record_dir out."
    )


def no_birth_record(serial: str) -> str:
    """The warning if a device is enrolled and nobody signs its birth record."""
    return (
        f"{serial} has no birth record, because with external_authority alone nobody signs it, so it gets no secret and no auth value; give "
        "record_signer too, and the next run verifies it anew and signs one."
    )


def no_place_signer(serial: str, host: str) -> InputError:
    """The error if a device has moved and nobody can sign that."""
    return InputError(
        f"Could not register {serial} at {host}: the device has proved that it is there, but neither authority nor record_signer is given, so "
        "nobody can sign that; give record_signer. Until then it gets no secret."
    )


__all__ = (
    "DAY",
    "KINDS",
    "External",
    "Handles",
    "LocalKey",
    "certificate_services",
    "external_ca",
    "handle_text",
    "issuer",
    "local_key",
    "no_birth_record",
    "no_issuer",
    "no_place_signer",
    "no_record_signer",
    "quoted",
    "record_signer",
    "same_handle",
    "serial_index",
    "trust_policy",
)
