# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check a device's evidence: the attributes of its keys, and its AK's attestations.

TCG TPM 2.0 Keys for Device Identity and Attestation v1.00, sections 5 and 6.2 (attributes of each key, and the order of the proofs);
TPM 2.0 Library Part 1, section 31 (attestation), Part 3, section 18. Every check raises EvidenceError whose ``reason`` is one stable
word. The checks prove nothing unless an activation has proven that the AK is in the EK's TPM.
"""

from __future__ import annotations

import hmac
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import roca
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attest as att
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, names, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import ReasonedError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.marshal import Cursor
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.nv import NvPublic
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys

HASHES = (alg.SHA256, alg.SHA384, alg.SHA512)
MIN_RSA_BITS = 2048
MIN_NONCE = 16
Values = t.Mapping[str, t.Mapping[int, bytes]]  # PCR values by bank and index


class EvidenceError(ReasonedError):
    """A device's evidence is refused; ``reason`` is one stable word."""


def _refuse(reason: str, subject: str, what: str, cure: str = "keep the device out, and look into what answered for it") -> EvidenceError:
    return EvidenceError(f"Could not accept {subject}: {what}; {cure}.", reason)


def _has(public: names.Public, *wanted: str) -> bool:
    word = attributes.word(wanted, attributes.OBJECT)
    return public.attributes & word == word


def _key_problem(public: names.Public, restricted: bool) -> tuple[str, str]:
    """The first rule that a TPM's signing key breaks, as a word and a clause; two empty texts if it breaks none."""
    rules = [
        (public.type not in (alg.RSA, alg.ECC), "type", "it is neither an RSA nor an ECC key"),
        (
            _has(public, "restricted") != restricted,
            "not_restricted" if restricted else "restricted",
            "it is not restricted, so it signs data that anybody can choose"
            if restricted
            else "it is restricted, so it cannot sign for TLS or a CSR",
        ),
        (not _has(public, "fixedtpm", "fixedparent"), "not_fixed", "it is not fixed to its TPM and parent, so it may exist elsewhere too"),
        (not _has(public, "sensitivedataorigin"), "not_generated_in_tpm", "its private part was not made by the TPM"),
        (_has(public, "decrypt"), "decrypts", "it may decrypt as well as sign"),
        (not _has(public, "sign"), "no_signing", "it may not sign"),
        (_scheme_problem(public, restricted), "scheme", f"it signs with {names.scheme_name(public.scheme)}"),
        (public.name_alg not in HASHES, "name_alg", f"its Name is made with {alg.alg_name(public.name_alg)}, not with SHA-256 or better"),
        (_is_weak(public), "weak_key", "its key can be broken, or is not a valid key"),
    ]
    return next(((word, what) for broken, word, what in rules if broken), ("", ""))


def _scheme_problem(public: names.Public, restricted: bool) -> bool:
    """Whether the scheme is refused. A restricted key must have a scheme, another key need not. ECDAA is anonymous, so it identifies nobody."""
    scheme, digest = int.from_bytes(public.scheme[:2], "big"), int.from_bytes(public.scheme[2:4], "big")
    if scheme == alg.NULL:
        return restricted
    return scheme not in ((alg.RSASSA, alg.RSAPSS) if public.type == alg.RSA else (alg.ECDSA,)) or digest not in HASHES


def _is_weak(public: names.Public) -> bool:
    try:
        _keys.public_key(public)
    except _keys.KeyMaterialError:
        return True
    if public.type != alg.RSA:
        return False
    modulus = int.from_bytes(Cursor(public.unique).sized(), "big")
    return bool(roca.weakness(modulus, MIN_RSA_BITS))


def _check_key(public: names.Public, kind: str, title: str, restricted: bool) -> None:
    word, what = _key_problem(public, restricted)
    if word:
        raise _refuse(f"{kind}_{word}", f"the {title}", what, f"have the device make its {title} from the profile's template")


def check_ak(public: names.Public) -> None:
    """Check that a public area is that of an attestation key: restricted, fixed, made in a TPM, only for signing, SHA-256 or better.

    Raises EvidenceError: ak_type, ak_not_restricted, ak_not_fixed, ak_not_generated_in_tpm, ak_decrypts, ak_no_signing, ak_scheme,
    ak_name_alg, ak_weak_key.
    """
    _check_key(public, "ak", "AK", restricted=True)


def check_idevid(public: names.Public) -> None:
    """The same for an IDevID key, which is not restricted. Raises EvidenceError: as ``check_ak`` with idevid_, and idevid_restricted."""
    _check_key(public, "idevid", "IDevID key", restricted=False)


def check_ldevid(public: names.Public) -> None:
    """The same for an LDevID key, which is not restricted. Raises EvidenceError: as ``check_ak`` with ldevid_, and ldevid_restricted."""
    _check_key(public, "ldevid", "LDevID key", restricted=False)


def check_name(public: names.Public, claimed_name: bytes) -> None:
    """Check that a Name is that of a public area. Raises EvidenceError, wrong_name."""
    try:
        same = hmac.compare_digest(public.name, claimed_name)
    except TpmError:
        same = False
    if not same:
        raise _refuse("wrong_name", "a public area", f"its Name is not the claimed {claimed_name.hex() or 'one, which is empty'}")


def _attested(raw: bytes, signature: bytes, ak: names.Public, nonce: bytes, kind: int) -> tuple[att.Attest, att.Signature]:
    """Check the signature, then the type of the attestation, then the nonce. Raises EvidenceError."""
    subject = f"what the AK attests with {att.type_name(kind)}"
    if len(nonce) < MIN_NONCE:
        raise _refuse("wrong_nonce", subject, f"a nonce of {len(nonce)} bytes proves no freshness", f"ask with one of at least {MIN_NONCE}")
    try:
        signed = _keys.verify(ak, signature, raw)
    except (_keys.SignatureError, _keys.KeyMaterialError) as error:
        raise EvidenceError(
            f"Could not accept {subject}: the signature over it is not the AK's: {error.message}", "bad_signature"
        ) from None
    try:
        found = att.parse_attest(raw)
    except att.AttestError as error:
        raise EvidenceError(error.message, error.reason) from None
    if found.type != kind:
        raise _refuse(att.WRONG_TYPE, subject, f"it is of the type {att.type_name(found.type)}")
    if not hmac.compare_digest(found.extra_data, nonce):
        raise _refuse("wrong_nonce", subject, "it was not made for this nonce, so it may be an old one")
    return found, signed


def check_certify(raw: bytes, signature: bytes, ak: names.Public, *, nonce: bytes, subject: names.Public) -> att.Attest:
    """Check a TPM2_Certify by the AK: the object with the public area ``subject`` is in the AK's TPM (Part 3, section 18.2).

    ``raw`` is the TPMS_ATTEST, ``signature`` the TPMT_SIGNATURE. Raises EvidenceError: bad_signature, malformed, no_magic, wrong_type,
    wrong_nonce, wrong_name.
    """
    found, _signed = _attested(raw, signature, ak, nonce, att.ST_ATTEST_CERTIFY)
    attested = t.cast(att.Certified, found.attested)
    if not hmac.compare_digest(attested.name, subject.name):
        raise _refuse("wrong_name", "what the AK certifies", f"it is the object {attested.name.hex()}, not {subject.name.hex()}")
    return found


def check_nv_certify(
    raw: bytes, signature: bytes, ak: names.Public, *, nonce: bytes, index: NvPublic | bytes, content: bytes
) -> att.Attest:
    """Check a TPM2_NV_Certify by the AK: the index holds exactly ``content`` (Part 3, section 31.16).

    ``index`` is its public area, read after it was written, or its Name. The Name covers attributes and policy, so it changes if the index
    is undefined and defined differently. Raises EvidenceError: not_written, wrong_size, wrong_index, wrong_offset, wrong_content, and the
    words of ``check_certify``.
    """
    subject = "what the AK certifies of NV"
    if isinstance(index, NvPublic):
        if not index.written:
            raise _refuse("not_written", subject, f"the NV index {index.index:#010x} has never been written")
        if index.size != len(content):
            raise _refuse(
                "wrong_size", subject, f"the NV index {index.index:#010x} has {index.size} bytes, not the {len(content)} expected"
            )
    name = index.name if isinstance(index, NvPublic) else index
    found, _signed = _attested(raw, signature, ak, nonce, att.ST_ATTEST_NV)
    attested = t.cast(att.NvCertified, found.attested)
    if not hmac.compare_digest(attested.index_name, name):
        raise _refuse("wrong_index", subject, f"it is the index with the Name {attested.index_name.hex()}, not {name.hex()}")
    if attested.offset:
        raise _refuse("wrong_offset", subject, f"it begins at byte {attested.offset}, not at the first")
    if not hmac.compare_digest(attested.contents, content):
        raise _refuse("wrong_content", subject, f"the {len(attested.contents)} bytes in the index are not the {len(content)} expected")
    return found


def check_quote(
    raw: bytes, signature: bytes, ak: names.Public, *, nonce: bytes, selection: t.Sequence[pcr.Selection], values: Values
) -> att.Attest:
    """Check a TPM2_Quote by the AK: the PCRs of ``selection``, as it was asked for, have these ``values`` (Part 3, section 18.4).

    A TPM also signs a quote of a bank that is not allocated, without any PCR, so the quoted selection must equal the requested one.
    Raises EvidenceError: empty_selection, sha1_bank, wrong_selection, missing_values, wrong_digest, and the words of ``check_certify``.
    """
    subject = "what the AK quotes"
    if not selection or not all(one.indices for one in selection):
        raise _refuse("empty_selection", subject, "no PCR was asked for, which proves nothing", "ask for at least one")
    if any(one.bank == alg.alg_name(alg.SHA1) for one in selection):
        raise _refuse("sha1_bank", subject, "a SHA-1 bank was asked for, whose values anybody can reach", "ask for sha256")
    found, signed = _attested(raw, signature, ak, nonce, att.ST_ATTEST_QUOTE)
    attested = t.cast(att.Quoted, found.attested)
    if not any(one.indices for one in attested.selection):
        raise _refuse("empty_selection", subject, "it covers no PCR", "have the device allocate the bank that was asked for")
    if attested.selection != tuple(selection):
        texts = [" ".join(one.text for one in chosen) for chosen in (attested.selection, selection)]
        raise _refuse("wrong_selection", subject, f"it covers {texts[0]}, not {texts[1]}")
    missing = [f"{one.bank}:{index}" for one in selection for index in one.indices if index not in values.get(one.bank, {})]
    if missing:
        raise _refuse("missing_values", subject, f"the device sent no value of PCR {', '.join(missing)}", "have it read the PCRs anew")
    # The digest covers the concatenated values: with other lengths, their boundaries could be shifted.
    odd = [f"{one.bank}:{index}" for one in selection for index in one.indices if len(values[one.bank][index]) != _digest_size(one.bank)]
    if odd:
        what = f"the value of PCR {', '.join(odd)} is not as long as a digest of its bank"
        raise _refuse("wrong_digest", subject, what, "have it read the PCRs anew")
    # The digest uses the hash of the signing scheme, not the bank's (Part 2, section 10.12.1).
    digest = alg.digest(signed.hash_alg, b"".join(values[one.bank][index] for one in selection for index in one.indices))
    if not hmac.compare_digest(attested.digest, digest):
        raise _refuse("wrong_digest", subject, "it is not over the PCR values that the device sent", "have it quote and read the PCRs anew")
    return found


def _digest_size(bank: str) -> int:
    """The size in bytes of a bank's digests, by the bank's name; -1 for a hash that we cannot compute, so that no value fits."""
    number = alg.IDS.get(bank, alg.NULL)
    return alg.digest_size(number) if number in alg.HASHES else -1


def check_firmware(found: att.Attest, firmware: str) -> None:
    """Check that an attestation has the firmware version that ``tpm2_info`` read (TPM_PT_FIRMWARE_VERSION_1 and _2).

    Works only for AKs in the endorsement or platform hierarchy; for others the TPM obfuscates the version (Part 3, section 18.1).
    Raises EvidenceError, wrong_firmware.
    """
    try:
        expected = att.firmware_number(firmware)
    except TpmError as error:
        raise EvidenceError(error.message, "wrong_firmware") from None
    if found.firmware != expected:
        what = f"it comes from firmware {att.firmware_text(found.firmware)}, but the TPM's properties say {firmware}"
        raise _refuse("wrong_firmware", "what the AK attests", what)


__all__ = (
    "EvidenceError",
    "check_ak",
    "check_certify",
    "check_firmware",
    "check_idevid",
    "check_ldevid",
    "check_name",
    "check_nv_certify",
    "check_quote",
)
