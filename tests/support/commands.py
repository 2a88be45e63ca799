# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TPM commands as they are sent: their names, and what each does to the TPM (TPM 2.0 library, part 2, table "TPM_CC")."""

from __future__ import annotations

import dataclasses
import struct

NAMES = {
    0x11F: "TPM2_NV_UndefineSpaceSpecial", 0x120: "TPM2_EvictControl", 0x121: "TPM2_HierarchyControl",
    0x122: "TPM2_NV_UndefineSpace", 0x124: "TPM2_ChangeEPS", 0x125: "TPM2_ChangePPS", 0x126: "TPM2_Clear",
    0x127: "TPM2_ClearControl", 0x128: "TPM2_ClockSet", 0x129: "TPM2_HierarchyChangeAuth", 0x12A: "TPM2_NV_DefineSpace",
    0x12B: "TPM2_PCR_Allocate", 0x12C: "TPM2_PCR_SetAuthPolicy", 0x12D: "TPM2_PP_Commands", 0x12E: "TPM2_SetPrimaryPolicy",
    0x130: "TPM2_ClockRateAdjust", 0x131: "TPM2_CreatePrimary", 0x132: "TPM2_NV_GlobalWriteLock",
    0x133: "TPM2_GetCommandAuditDigest", 0x134: "TPM2_NV_Increment", 0x135: "TPM2_NV_SetBits", 0x136: "TPM2_NV_Extend",
    0x137: "TPM2_NV_Write", 0x138: "TPM2_NV_WriteLock", 0x139: "TPM2_DictionaryAttackLockReset",
    0x13A: "TPM2_DictionaryAttackParameters", 0x13B: "TPM2_NV_ChangeAuth", 0x13C: "TPM2_PCR_Event", 0x13D: "TPM2_PCR_Reset",
    0x13E: "TPM2_SequenceComplete", 0x13F: "TPM2_SetAlgorithmSet", 0x140: "TPM2_SetCommandCodeAuditStatus",
    0x142: "TPM2_IncrementalSelfTest", 0x143: "TPM2_SelfTest", 0x144: "TPM2_Startup", 0x145: "TPM2_Shutdown",
    0x146: "TPM2_StirRandom", 0x147: "TPM2_ActivateCredential", 0x148: "TPM2_Certify", 0x149: "TPM2_PolicyNV",
    0x14A: "TPM2_CertifyCreation", 0x14B: "TPM2_Duplicate", 0x14C: "TPM2_GetTime", 0x14D: "TPM2_GetSessionAuditDigest",
    0x14E: "TPM2_NV_Read", 0x14F: "TPM2_NV_ReadLock", 0x150: "TPM2_ObjectChangeAuth", 0x151: "TPM2_PolicySecret",
    0x152: "TPM2_Rewrap", 0x153: "TPM2_Create", 0x154: "TPM2_ECDH_ZGen", 0x155: "TPM2_HMAC", 0x156: "TPM2_Import",
    0x157: "TPM2_Load", 0x158: "TPM2_Quote", 0x159: "TPM2_RSA_Decrypt", 0x15B: "TPM2_HMAC_Start", 0x15C: "TPM2_SequenceUpdate",
    0x15D: "TPM2_Sign", 0x15E: "TPM2_Unseal", 0x160: "TPM2_PolicySigned", 0x161: "TPM2_ContextLoad", 0x162: "TPM2_ContextSave",
    0x163: "TPM2_ECDH_KeyGen", 0x164: "TPM2_EncryptDecrypt", 0x165: "TPM2_FlushContext", 0x167: "TPM2_LoadExternal",
    0x168: "TPM2_MakeCredential", 0x169: "TPM2_NV_ReadPublic", 0x16A: "TPM2_PolicyAuthorize", 0x16B: "TPM2_PolicyAuthValue",
    0x16C: "TPM2_PolicyCommandCode", 0x16D: "TPM2_PolicyCounterTimer", 0x16E: "TPM2_PolicyCpHash", 0x16F: "TPM2_PolicyLocality",
    0x170: "TPM2_PolicyNameHash", 0x171: "TPM2_PolicyOR", 0x172: "TPM2_PolicyTicket", 0x173: "TPM2_ReadPublic",
    0x174: "TPM2_RSA_Encrypt", 0x176: "TPM2_StartAuthSession", 0x177: "TPM2_VerifySignature", 0x178: "TPM2_ECC_Parameters",
    0x17A: "TPM2_GetCapability", 0x17B: "TPM2_GetRandom", 0x17C: "TPM2_GetTestResult", 0x17D: "TPM2_Hash", 0x17E: "TPM2_PCR_Read",
    0x17F: "TPM2_PolicyPCR", 0x180: "TPM2_PolicyRestart", 0x181: "TPM2_ReadClock", 0x182: "TPM2_PCR_Extend",
    0x183: "TPM2_PCR_SetAuthValue", 0x184: "TPM2_NV_Certify", 0x185: "TPM2_EventSequenceComplete", 0x186: "TPM2_HashSequenceStart",
    0x187: "TPM2_PolicyPhysicalPresence", 0x188: "TPM2_PolicyDuplicationSelect", 0x189: "TPM2_PolicyGetDigest",
    0x18A: "TPM2_TestParms", 0x18B: "TPM2_Commit", 0x18C: "TPM2_PolicyPassword", 0x18D: "TPM2_ZGen_2Phase",
    0x18E: "TPM2_EC_Ephemeral", 0x18F: "TPM2_PolicyNvWritten", 0x190: "TPM2_PolicyTemplate", 0x191: "TPM2_CreateLoaded",
    0x192: "TPM2_PolicyAuthorizeNV", 0x193: "TPM2_EncryptDecrypt2",
}  # fmt: skip
CODES = {name: code for code, name in NAMES.items()}

# Commands that change persistent state, or a PCR.
WRITES = frozenset(
    "TPM2_" + name
    for name in """
    NV_UndefineSpaceSpecial EvictControl HierarchyControl NV_UndefineSpace ChangeEPS ChangePPS Clear ClearControl ClockSet
    HierarchyChangeAuth NV_DefineSpace PCR_Allocate PCR_SetAuthPolicy PCR_SetAuthValue PP_Commands SetPrimaryPolicy NV_GlobalWriteLock
    NV_Increment NV_SetBits NV_Extend NV_Write NV_WriteLock NV_ReadLock NV_ChangeAuth DictionaryAttackLockReset DictionaryAttackParameters
    PCR_Event PCR_Reset PCR_Extend SetAlgorithmSet SetCommandCodeAuditStatus ClockRateAdjust
    """.split()
)
# Commands that leave a transient object in the TPM until it is flushed.
LOADS = frozenset(
    "TPM2_" + name for name in "CreatePrimary CreateLoaded Load LoadExternal ContextLoad HMAC_Start HashSequenceStart".split()
)
_CREATES = ("TPM2_CreatePrimary", "TPM2_Create", "TPM2_CreateLoaded")
_ASYMMETRIC = (0x0001, 0x0023)


@dataclasses.dataclass
class Record:
    """One command that a client sent, and its response."""

    index: int
    request: bytes = dataclasses.field(repr=False)
    response: bytes = dataclasses.field(default=b"", repr=False)
    forwarded: bool = False
    injected: bool = False
    answered: bool = False

    @property
    def code(self) -> int:
        """The command code."""
        return int(struct.unpack(">I", self.request[6:10])[0])

    @property
    def name(self) -> str:
        """The command's name, such as TPM2_ReadPublic."""
        return NAMES.get(self.code, f"TPM2_CC_{self.code:#x}")

    @property
    def rc(self) -> int | None:
        """The response code; None if there was no response."""
        return int(struct.unpack(">I", self.response[6:10])[0]) if len(self.response) >= 10 else None

    @property
    def acted(self) -> bool:
        """Whether the TPM itself answered with success."""
        return self.forwarded and self.rc == 0

    @property
    def is_write(self) -> bool:
        """Whether the command changes persistent state, or a PCR. ClockRateAdjust by 0 does not."""
        return self.name in WRITES and not (self.name == "TPM2_ClockRateAdjust" and self.request[-1] == 0)

    @property
    def leaves_something_loaded(self) -> bool:
        """Whether it leaves a transient object or a session in the TPM until that is flushed."""
        return self.name in LOADS or self.name == "TPM2_StartAuthSession"

    @property
    def is_key_generation(self) -> bool:
        """Whether it makes an asymmetric key (a sealed object is data, not a key)."""
        return self.created_type in _ASYMMETRIC

    @property
    def created_type(self) -> int | None:
        """The TPM_ALG_ID of the object that it creates; None for other commands."""
        if self.name not in _CREATES:
            return None
        at = 14 + 4 + struct.unpack(">I", self.request[14:18])[0]
        at += 2 + struct.unpack(">H", self.request[at : at + 2])[0]
        return int(struct.unpack(">H", self.request[at + 2 : at + 4])[0])
