# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What each response code means and what an operator can do about it: data for ``errors.decode`` and for the documentation.

Meaning and cure are clauses of one sentence: no capital, no full stop, no semicolon. After a change, run ``scripts/errors_doc.py``.
Codes: TPM 2.0 library part 2, section 6.6.3; TSS 2.0 Overview and Common Structures, section 3.2 (tss2_common.h).

Python versions supported: >=3.9
"""

from __future__ import annotations

Row = tuple[str, str, str]  # name without prefix, meaning, cure

_BUG = "report this as a bug in the collection, with the sentence"
_RETRY = "wait a moment and run the play again"
_FLUSH = "end other programs that use this TPM, or flush with tpm2_flushcontext, use /dev/tpmrm0 and not /dev/tpm0, then run again"
_STALE = "another program flushed it, or /dev/tpm0 is shared without a resource manager: use /dev/tpmrm0 and run again"
_ALGORITHM = "choose one that tpm2_info lists for this TPM"
_TSS = "report this with the versions of tpm2-tss and tpm2-pytss"
_FIRMWARE = "make a new key under the present firmware"
_FAPI = "this collection does not use FAPI: look at the program that does, and at /etc/tpm2-tss/fapi-config.json"

# Format 0 errors (bit 7 clear, bit 8 set), warnings (0x900 and up), and format 1 codes (bit 7 set) without their position bits.
TPM: dict[int, Row] = {
    0x000: ("SUCCESS", "the command succeeded", "nothing to do"),
    0x01E: ("BAD_TAG", "the command's tag was not understood, as by a TPM 1.2", "check that the device has a TPM 2.0"),
    0x100: (
        "INITIALIZE",
        "the TPM has had no TPM2_Startup since its reset, or was sent a second one",
        "behind a kernel driver reboot the device, on a simulator run tpm2_startup -c",
    ),
    0x101: (
        "FAILURE",
        "the TPM reports an internal failure, perhaps of this one command only",
        "run tpm2_selftest and tpm2_gettestresult, power-cycle the device, and replace the TPM only if the self-test goes on failing",
    ),
    0x103: ("SEQUENCE", "a hash or HMAC sequence was used in the wrong way or order", _BUG),
    0x10B: ("PRIVATE", "the code is reserved and no TPM should send it", "report it to the TPM's maker"),
    0x119: ("HMAC", "the code is reserved and no TPM should send it", "report it to the TPM's maker"),
    0x120: (
        "DISABLED",
        "the command is disabled, as TPM2_Clear is once clear_disabled has been set",
        "enable it with platform authorization, or clear the TPM in the firmware setup",
    ),
    0x121: ("EXCLUSIVE", "another client's command ended the exclusive audit session", "stop the other client and run the play again"),
    0x124: ("AUTH_TYPE", "this kind of handle cannot authorize this command", _BUG),
    0x125: ("AUTH_MISSING", "the command needs an authorization and none was sent", _BUG),
    0x126: (
        "POLICY",
        "the policy or policy digest is not valid for this object or command",
        "check that the policy was computed with the object's name algorithm",
    ),
    0x127: ("PCR", "a PCR does not have the value that the command requires", "compare with tpm2_pcrread, then reseal for the new values"),
    0x128: (
        "PCR_CHANGED",
        "a PCR was extended after the policy session had checked it",
        "run again, and leave PCRs that change at run time, such as 10, out of the policy",
    ),
    0x12D: ("UPGRADE", "the TPM is in field upgrade mode and takes no other command", "finish the firmware update and reboot"),
    0x12E: ("TOO_MANY_CONTEXTS", "the counter of saved contexts is at its maximum", "reboot the device"),
    0x12F: (
        "AUTH_UNAVAILABLE",
        "the object does not allow this kind of authorization, for instance because it allows a policy but no password",
        "give the policy that it was made with, or for an NV index an auth that its attributes allow",
    ),
    0x130: ("REBOOT", "the TPM does nothing more until it is reset", "reboot the device"),
    0x131: ("UNBALANCED", "the hash is too weak for the symmetric key that it protects", "choose a larger hash or a smaller symmetric key"),
    0x142: ("COMMAND_SIZE", "the size in the command's header does not match its bytes", _BUG),
    0x143: (
        "COMMAND_CODE",
        "this TPM does not implement the command",
        "do without that feature on this TPM, or update its firmware (tpm2_getcap commands lists what it has)",
    ),
    0x144: ("AUTHSIZE", "the authorization area of the command has the wrong size", _TSS),
    0x145: ("AUTH_CONTEXT", "an authorization was sent with a command that takes none", _BUG),
    0x146: (
        "NV_RANGE",
        "offset and size reach past the end of the NV index",
        "make the content fit, or have the index replaced by one of the right size",
    ),
    0x147: (
        "NV_SIZE",
        "the NV index would be larger than this TPM allows",
        "make it smaller (property TPM2_PT_NV_INDEX_MAX, often 2048 bytes)",
    ),
    0x148: (
        "NV_LOCKED",
        "the NV index is locked against this access",
        "a STCLEAR lock ends at the next reboot, but a write-defined one lasts until the index is undefined",
    ),
    0x149: (
        "NV_AUTHORIZATION",
        "this authorization does not fit the attributes of the NV index, as owner does not for a platform index",
        "use the hierarchy that made the index, or one that its attributes allow",
    ),
    0x14A: (
        "NV_UNINITIALIZED",
        "the NV index is defined but was never written",
        "run the task again, which writes what an interrupted run left out",
    ),
    0x14B: (
        "NV_SPACE",
        "the TPM's NV memory is full",
        "undefine NV indices or evict persistent handles that are no longer used (tpm2_info lists both)",
    ),
    0x14C: (
        "NV_DEFINED",
        "there already is an NV index or a persistent object at this handle",
        "look with tpm2_info at what is at that handle, then choose a free one, or on_mismatch replace if you know that nobody needs it",
    ),
    0x150: ("BAD_CONTEXT", "the saved context is not valid", "make it again: a context does not outlive a reset of the TPM"),
    0x151: ("CPHASH", "the session is bound to the parameters of another command", _BUG),
    0x152: ("PARENT", "the parent is not a storage key", "give the handle of a storage key such as the SRK, 0x81000001"),
    0x153: ("NEEDS_TEST", "an algorithm has to pass its self-test first", "run tpm2_selftest, then run the play again"),
    0x154: (
        "NO_RESULT",
        "the TPM could not process a parameter, for instance an ECC point or an RSA value",
        "check the keys and values that were given: this is not a fault of the bus",
    ),
    0x155: ("SENSITIVE", "the private part was decrypted but makes no sense", "make the key again, or restore its file from the original"),
    0x156: ("READ_ONLY", "the TPM is in read-only mode", "end read-only mode with platform authorization, usually in the firmware setup"),
    # Format 1
    0x081: ("ASYMMETRIC", "the asymmetric algorithm is not supported or not the one expected", _ALGORITHM),
    0x082: (
        "ATTRIBUTES",
        "the attributes contradict each other, the object's type or the command",
        "correct the attributes of the template or NV index",
    ),
    0x083: ("HASH", "the hash algorithm is not supported or does not fit", _ALGORITHM),
    0x084: (
        "VALUE",
        "a value is out of range or wrong here, for example because PCRs do not have the values that a policy names",
        "with a PCR policy compare with tpm2_pcrread and reseal for the new values, otherwise check the value that was given",
    ),
    0x085: (
        "HIERARCHY",
        "the hierarchy is disabled or the wrong one",
        "enable it in the firmware setup or with tpm2_hierarchy, then reboot",
    ),
    0x087: ("KEY_SIZE", "the key size is not supported", _ALGORITHM),
    0x088: ("MGF", "the mask generation function is not supported", _ALGORITHM),
    0x089: ("MODE", "the mode of operation is not supported", _ALGORITHM),
    0x08A: (
        "TYPE",
        "the type of object or value does not fit the command",
        "check that the key or NV index is of the type that the task names",
    ),
    0x08B: (
        "HANDLE",
        "there is nothing at this handle, or nothing that this command can use",
        "check the handle with tpm2_info, and run first what creates the object",
    ),
    0x08C: ("KDF", "the key derivation function is not supported or does not fit", _ALGORITHM),
    0x08D: (
        "RANGE",
        "the number is outside the range allowed here",
        "for a persistent handle use 0x81000000 to 0x817fffff with owner and 0x81800000 to 0x81ffffff with platform",
    ),
    0x08E: (
        "AUTH_FAIL",
        "the auth value is wrong and the dictionary attack counter went up",
        "stop and find the right value before another run: a few more failures lock the TPM, and for lockout_auth this one was enough",
    ),
    0x08F: (
        "NONCE",
        "the nonce of the session is wrong",
        "run again with a new session, and if it recurs look for a second user of /dev/tpm0",
    ),
    0x090: ("PP", "the command needs a person's physical presence at the device", "confirm it in the firmware setup"),
    0x092: ("SCHEME", "the signing or encryption scheme is not supported or does not fit the key", _ALGORITHM),
    0x095: (
        "SIZE",
        "something has the wrong size, for example more than 128 bytes to seal or a larger NV index than the TPM allows",
        "make it smaller, for instance seal a key and keep the data encrypted in a file",
    ),
    0x096: ("SYMMETRIC", "the symmetric algorithm or its key size is not supported or does not fit", _ALGORITHM),
    0x097: ("TAG", "a structure has the wrong tag", _BUG),
    0x098: ("SELECTOR", "the selector of a union is wrong", _BUG),
    0x09A: ("INSUFFICIENT", "the command has fewer bytes than its fields need", _BUG),
    0x09B: ("SIGNATURE", "the signature is not valid", "check that it was made by the expected key over exactly this data"),
    0x09C: ("KEY", "the key's fields do not fit this use", "use a key that was made for it"),
    0x09D: (
        "POLICY_FAIL",
        "the policy is not satisfied: PCRs differ, a write-once index is written already, or it is another object's policy",
        "compare PCRs with tpm2_pcrread and reseal for a known good state, but a write-once index is meant to stay as it is",
    ),
    0x09F: (
        "INTEGRITY",
        "the object was made by another TPM, under another parent, or before this TPM was cleared",
        "make it again under the present parent: its content has to come from escrow",
    ),
    0x0A0: ("TICKET", "the ticket is not valid", "make the ticket again: it does not outlive a reset or clear of the TPM"),
    0x0A1: ("RESERVED_BITS", "reserved bits are set", "remove the attributes that this TPM does not know"),
    0x0A2: (
        "BAD_AUTH",
        "the auth value is wrong, without effect on the dictionary attack counter",
        "give the value that was set on this device (owner_auth, endorsement_auth, platform_auth, or the object's auth)",
    ),
    0x0A3: ("EXPIRED", "the policy's signature or ticket has expired", "have the policy signed again and check the device's TPM clock"),
    0x0A4: ("POLICY_CC", "the policy does not allow this command", "use an object whose policy allows it"),
    0x0A5: ("BINDING", "public and private part do not belong together", "restore both parts of the key from the same source"),
    0x0A6: ("CURVE", "the elliptic curve is not supported", _ALGORITHM),
    0x0A7: ("ECC_POINT", "the point is not on the curve", "check the public key that was given"),
    0x0A8: ("FW_LIMITED", "the key is limited to a firmware whose secret the TPM does not have", _FIRMWARE),
    0x0A9: ("SVN_LIMITED", "the key is limited to a firmware security version whose secret the TPM does not have", _FIRMWARE),
    0x0AA: ("PARMS", "the parameter set is not supported", _ALGORITHM),
    0x0AB: ("EXT_MU", "the TPM does not sign externally hashed messages with this key", _ALGORITHM),
    0x0AC: ("ONE_SHOT_SIGNATURE", "the TPM does not sign messages of any length with this key", _ALGORITHM),
    0x0AD: ("SIGN_CONTEXT_KEY", "the signature was begun with another key", _BUG),
    0x0B0: ("CHANNEL", "the command needs a secure channel to the TPM", "do without that policy, or use a TSS that opens the channel"),
    0x0B1: ("CHANNEL_KEY", "the secure channel was opened with a key other than the required one", "check which keys the policy names"),
    # Warnings
    0x901: (
        "CONTEXT_GAP",
        "a session that was saved long ago blocks new ones",
        "flush saved sessions (tpm2_getcap handles-saved-session), or reboot",
    ),
    0x902: ("OBJECT_MEMORY", "all transient object slots, often three, are taken", _FLUSH),
    0x903: ("SESSION_MEMORY", "all loaded session slots, often three, are taken", _FLUSH),
    0x904: ("MEMORY", "the TPM has no memory left for objects and sessions", _FLUSH),
    0x905: ("SESSION_HANDLES", "all session handles are taken", "flush saved sessions (tpm2_getcap handles-saved-session), or reboot"),
    0x906: ("OBJECT_HANDLES", "all object handles are taken", "reboot the device"),
    0x907: (
        "LOCALITY",
        "the command may not come from this locality",
        "only firmware or a trusted loader can do this, choose another policy",
    ),
    0x908: ("YIELDED", "the TPM suspended the command, which can be sent again", _RETRY),
    0x909: ("CANCELED", "the command was cancelled", _RETRY),
    0x90A: ("TESTING", "the TPM is busy with its self-tests", _RETRY),
    **{0x910 + i: (f"REFERENCE_H{i}", f"handle {i + 1} of the command is not loaded", _STALE) for i in range(7)},
    **{0x918 + i: (f"REFERENCE_S{i}", f"session {i + 1} of the command is not loaded", _STALE) for i in range(7)},
    0x920: ("NV_RATE", "the TPM slows down writes to spare its NV memory", "wait a minute and run again, and write less often"),
    0x921: (
        "LOCKOUT",
        "the TPM is in dictionary attack lockout, or lockout authorization itself is blocked after a wrong value",
        "do not try further values, wait for the recovery time, or reset with the right lockout_auth, or clear by platform",
    ),
    0x922: ("RETRY", "the TPM could not start the command", _RETRY),
    0x923: ("NV_UNAVAILABLE", "the TPM's NV memory cannot be written now", _RETRY),
    0x97F: ("NOT_USED", "the code is reserved and no TPM should send it", "report it to the TPM's maker"),
}

# Errors that the layers above the TPM make up, by base code; the same numbers in every layer.
TSS: dict[int, Row] = {
    1: ("GENERAL_FAILURE", "the TSS failed for a reason that it does not tell", _TSS),
    2: ("NOT_IMPLEMENTED", "the installed TSS does not implement this", "install a newer tpm2-tss on the device"),
    3: ("BAD_CONTEXT", "a context of the TSS is not valid", _BUG),
    4: ("ABI_MISMATCH", "the TSS libraries on the device do not fit each other", "install tpm2-tss and its TCTI libraries from one source"),
    5: ("BAD_REFERENCE", "a required value was not handed to the TSS", _BUG),
    6: ("INSUFFICIENT_BUFFER", "a buffer of the TSS is too small", _BUG),
    7: ("BAD_SEQUENCE", "the TSS was called in the wrong order, or by two threads at once", _BUG),
    8: (
        "NO_CONNECTION",
        "nothing could be reached at the TPM's address",
        "check that the TPM device exists, is not in use, and that tcti names it",
    ),
    9: ("TRY_AGAIN", "no answer came in time", _RETRY),
    10: (
        "IO_ERROR",
        "reading from or writing to the TPM failed, or it could not be opened",
        "check that the device exists, that you may open it and no other process holds it, and look into dmesg",
    ),
    11: ("BAD_VALUE", "a value is not one that the TSS accepts", "check the value that was given, as tcti for the TCTI layer"),
    12: ("NOT_PERMITTED", "the operation is not permitted", "check group and mode of the TPM device"),
    13: ("INVALID_SESSIONS", "the sessions do not fit the command", _BUG),
    14: ("NO_DECRYPT_PARAM", "the command has no parameter to encrypt", _BUG),
    15: ("NO_ENCRYPT_PARAM", "the response has no parameter to encrypt", _BUG),
    16: ("BAD_SIZE", "something has the wrong size", "check the size of the value that was given"),
    17: ("MALFORMED_RESPONSE", "the response is not a TPM's", "check that tcti names a TPM 2.0, and the wiring of its bus"),
    18: ("INSUFFICIENT_CONTEXT", "a context of the TSS is too small", _TSS),
    19: (
        "INSUFFICIENT_RESPONSE",
        "the response is shorter than it has to be",
        "check that tcti names a TPM 2.0, and the wiring of its bus",
    ),
    20: ("INCOMPATIBLE_TCTI", "the TCTI library does not fit this TSS", "install tpm2-tss and its TCTI libraries from one source"),
    21: (
        "NOT_SUPPORTED",
        "the TCTI or the function is not available",
        "install the library of the TCTI that tcti names (Debian: libtss2-tcti-device0 and its sisters) and check its spelling",
    ),
    22: ("BAD_TCTI_STRUCTURE", "the TCTI's context is not valid", _TSS),
    23: ("MEMORY", "the device ran out of memory", "free memory on the device and run again"),
    24: ("BAD_TR", "the object handle of the TSS is not valid", _BUG),
    25: ("MULTIPLE_DECRYPT_SESSIONS", "more than one session is to decrypt", _BUG),
    26: ("MULTIPLE_ENCRYPT_SESSIONS", "more than one session is to encrypt", _BUG),
    27: (
        "RSP_AUTH_FAILED",
        "the response's HMAC does not verify",
        "an attacker may be on the TPM's bus: treat it as an attack until a wrong auth value or a mixed-up resource manager explains it",
    ),
    28: ("NO_CONFIG", "FAPI has no configuration", _FAPI),
    29: ("BAD_PATH", "the FAPI path is not valid", _FAPI),
    30: ("NOT_DELETABLE", "the FAPI object cannot be deleted", _FAPI),
    31: ("PATH_ALREADY_EXISTS", "the FAPI path is taken", _FAPI),
    32: ("KEY_NOT_FOUND", "FAPI does not find the key", _FAPI),
    33: ("SIGNATURE_VERIFICATION_FAILED", "FAPI could not verify the signature", _FAPI),
    34: ("HASH_MISMATCH", "FAPI found a hash that differs", _FAPI),
    35: ("KEY_NOT_DUPLICABLE", "the key cannot be duplicated", _FAPI),
    36: ("PATH_NOT_FOUND", "FAPI does not find the path", _FAPI),
    37: ("NO_CERT", "FAPI finds no certificate", _FAPI),
    38: ("NO_PCR", "FAPI finds no such PCR", _FAPI),
    39: ("PCR_NOT_RESETTABLE", "the PCR cannot be reset", _FAPI),
    40: ("BAD_TEMPLATE", "the FAPI template is not valid", _FAPI),
    41: ("AUTHORIZATION_FAILED", "FAPI's authorization failed", _FAPI),
    42: ("AUTHORIZATION_UNKNOWN", "FAPI has no auth value for the object", _FAPI),
    43: ("NV_NOT_READABLE", "the NV index cannot be read", _FAPI),
    44: ("NV_TOO_SMALL", "the NV index is too small", _FAPI),
    45: ("NV_NOT_WRITEABLE", "the NV index cannot be written", _FAPI),
    46: ("POLICY_UNKNOWN", "FAPI does not know the policy", _FAPI),
    47: ("NV_WRONG_TYPE", "the NV index has the wrong type", _FAPI),
    48: ("NAME_ALREADY_EXISTS", "the name is taken", _FAPI),
    49: ("NO_TPM", "FAPI finds no TPM", _FAPI),
    50: ("BAD_KEY", "the key is not valid", _FAPI),
    51: ("NO_HANDLE", "no FAPI handle is free", _FAPI),
    52: ("NOT_PROVISIONED", "FAPI has not been provisioned", _FAPI),
    53: ("ALREADY_PROVISIONED", "FAPI has already been provisioned", _FAPI),
    54: ("CALLBACK_NULL", "a callback of the TSS is missing", _BUG),
}

# In these layers a base code has another name than in all others (tss2_common.h, tss2_policy.h).
LAYER_NAMES = {("fapi", "CALLBACK_NULL"): "NULL_CALLBACK", ("policy", "CALLBACK_NULL"): "NULL_CALLBACK"}

# Whole codes that say more than their base code does: (meaning, cure).
EXACT: dict[int, tuple[str, str]] = {
    0x08E: (
        "this authorization cannot do that (lockout, for example, cannot enable TPM2_Clear again), or the auth value is wrong and was counted",
        "use platform authorization to enable TPM2_Clear, and otherwise find the right value before another run",
    ),
    0x184: (
        "the handle cannot be used, on some TPMs because nothing is there",
        "check the handle with tpm2_info, and run first what creates the object",
    ),
    0x284: (
        "the handle cannot be used, on some TPMs because nothing is there",
        "check the handle with tpm2_info, and run first what creates the object",
    ),
    0x80012: ("the device does not answer as a TPM 2.0", "check that tcti names a TPM 2.0"),
    0x90006: ("a structure does not fit its buffer", "check the size of the value that was given"),
}

UNKNOWN = ("neither the TPM 2.0 library nor the TSS defines this code", "look it up in the documentation of the TPM's maker and report it")
VENDOR = ("the TPM's maker defined this code", "look it up in the documentation of the TPM's maker")

# The values of ``reason`` in a result that are not names of codes above: the collection's own words, and what each means.
REASONS: dict[str, str] = {
    "access": "a user can reach the TPM and should not, or the other way round (tpm2_access)",
    "auth_ambiguous": "two auth values were given for a hierarchy, and finding out which one it has could lock the TPM",
    "auth_empty": "a hierarchy has an empty auth, and refuse_empty_auth is set",
    "auth_not_given": "an auth is needed and was not given: of a hierarchy whose auth is set, or of an object that counts wrong tries",
    "auth_other": "the TPM says that the lockout auth is another value than the one given, which was not tried",
    "busy": "another process holds the TPM",
    "capacity": "the TPM lacks the room or the ability for what was asked for",
    "connection_lost": "the connection to the TPM ended in the middle of a command, which may have been carried out or not",
    "dependency": "a library on the device is missing or too old",
    "failed": "anything else; the sentence says what",
    "file": "a file on the device could not be written or removed",
    "hierarchy_disabled": "a hierarchy is disabled until the next reset",
    "in_lockout": "the TPM is in dictionary attack lockout",
    "input": "what was asked for makes no sense; nothing was attempted",
    "interrupted": "the module was stopped by a signal",
    "mismatch": "something different is in that place, and the task does not ask to replace it",
    "no_answer": "there is no answer at that address, or not in time",
    "no_key": "there is no key at the handle that was named",
    "no_parent": "there is no key at the handle of the parent",
    "no_permission": "the TPM is there, but this user may not open it",
    "no_tpm": "there is no TPM at that address",
    "not_a_tpm": "the endpoint does not speak TPM 2.0",
    "not_activated": "the TPM did not open a credential, because it or one of its keys is not the one that was shown",
    "nv_locked": "an NV index is locked against writing or reading until the TPM is next reset",
    "other_key": "the key at the handle is not the one that was verified",
    "pcr_other": "the value of a PCR differs from the one that the TPM proves",
    "policy_not_met": "the policy of a sealed blob is not the one that was asked for, or PCRs have changed since",
    "rotation_begun": "a replacement of the lockout auth has begun and has to be finished first",
    "state": "the TPM or a file is in a state from which the task must not go on; the sentence says which",
    "tpm12": "the endpoint is a TPM 1.2",
    "transport": "the connection to the TPM failed otherwise",
    "unsupported": "the TCTI is unknown, or its library is not installed",
}
