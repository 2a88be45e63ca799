# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Numbers of the specification that several files need (TPM 2.0 Library Part 2; EK Credential Profile for TPM 2.0 v2.5)."""

from __future__ import annotations

# TPM_CC: command codes (Part 2, section 6.5.2).
CC_NV_UNDEFINE_SPACE_SPECIAL = 0x11F
CC_HIERARCHY_CHANGE_AUTH = 0x129
CC_CLOCK_RATE_ADJUST = 0x130
CC_NV_INCREMENT = 0x134
CC_NV_SET_BITS = 0x135
CC_NV_EXTEND = 0x136
CC_NV_WRITE = 0x137
CC_NV_WRITE_LOCK = 0x138
CC_NV_CHANGE_AUTH = 0x13B
CC_ACTIVATE_CREDENTIAL = 0x147
CC_CERTIFY = 0x148
CC_DUPLICATE = 0x14B
CC_NV_READ = 0x14E
CC_NV_READ_LOCK = 0x14F
CC_OBJECT_CHANGE_AUTH = 0x150
CC_POLICY_SECRET = 0x151
CC_ECDH_ZGEN = 0x154
CC_QUOTE = 0x158
CC_RSA_DECRYPT = 0x159
CC_SIGN = 0x15D
CC_UNSEAL = 0x15E
CC_FLUSH_CONTEXT = 0x165
CC_NV_READ_PUBLIC = 0x169
CC_POLICY_AUTH_VALUE = 0x16B
CC_POLICY_COMMAND_CODE = 0x16C
CC_POLICY_OR = 0x171
CC_READ_PUBLIC = 0x173
CC_GET_CAPABILITY = 0x17A
CC_GET_RANDOM = 0x17B
CC_GET_TEST_RESULT = 0x17C
CC_PCR_READ = 0x17E
CC_POLICY_PCR = 0x17F
CC_NV_CERTIFY = 0x184
CC_POLICY_NV_WRITTEN = 0x18F
CC_POLICY_AUTHORIZE_NV = 0x192

# TPM_CAP: what TPM2_GetCapability is asked for (Part 2, section 6.12).
CAP_ALGS = 0
CAP_HANDLES = 1
CAP_COMMANDS = 2
CAP_PCRS = 5
CAP_TPM_PROPERTIES = 6
CAP_ECC_CURVES = 8
CAP_AUTH_POLICIES = 9

# TPM_PT: properties (Part 2, section 6.13), in two groups that start at PT_FIXED and PT_VAR; a TPM returns one group at a time.
PT_FIXED = 0x100
PT_FAMILY_INDICATOR = 0x100
PT_REVISION = 0x102
PT_MANUFACTURER = 0x105
PT_VENDOR_STRING_1 = 0x106
PT_VENDOR_STRING_4 = 0x109
PT_FIRMWARE_VERSION_1 = 0x10B
PT_FIRMWARE_VERSION_2 = 0x10C
PT_NV_COUNTERS_MAX = 0x116
PT_NV_INDEX_MAX = 0x117
PT_NV_BUFFER_MAX = 0x12C
PT_ML_PARAMETER_SETS = 0x131
PT_VAR = 0x200
PT_PERMANENT = 0x200
PT_STARTUP_CLEAR = 0x201
PT_HR_NV_INDEX = 0x202
PT_HR_ACTIVE_AVAIL = 0x206
PT_HR_TRANSIENT_AVAIL = 0x207
PT_HR_PERSISTENT = 0x208
PT_HR_PERSISTENT_AVAIL = 0x209
PT_NV_COUNTERS_AVAIL = 0x20B
PT_LOCKOUT_COUNTER = 0x20E
PT_MAX_AUTH_FAIL = 0x20F
PT_LOCKOUT_INTERVAL = 0x210
PT_LOCKOUT_RECOVERY = 0x211

# TPMA_PERMANENT (Part 2, section 8.6).
PERMANENT_OWNER_AUTH_SET = 1 << 0
PERMANENT_ENDORSEMENT_AUTH_SET = 1 << 1
PERMANENT_LOCKOUT_AUTH_SET = 1 << 2
PERMANENT_DISABLE_CLEAR = 1 << 8
PERMANENT_IN_LOCKOUT = 1 << 9

# TPMA_STARTUP_CLEAR (Part 2, section 8.7): which hierarchies are enabled, and how the TPM was shut down.
STARTUP_PLATFORM = 1 << 0
STARTUP_OWNER = 1 << 1
STARTUP_ENDORSEMENT = 1 << 2
STARTUP_PLATFORM_NV = 1 << 3
STARTUP_ORDERLY = 1 << 31

# The NV indices of EK certificates by algorithm and range (False: low, True: high); all indices of that kind, including those that are not
# in use yet; and the indices of a certificate's chain (EK Credential Profile, section 2.2.1).
EK_INDEX = {
    ("rsa_2048", False): 0x01C00002,
    ("ecc_p256", False): 0x01C0000A,
    ("rsa_2048", True): 0x01C00012,
    ("ecc_p256", True): 0x01C00014,
    ("ecc_p384", True): 0x01C00016,
    ("ecc_p521", True): 0x01C00018,
    ("rsa_3072", True): 0x01C0001C,
    ("rsa_4096", True): 0x01C0001E,
}
EK_CERTIFICATES = (0x01C00002, 0x01C0000A, *range(0x01C00012, 0x01C00020, 2))
EK_CHAIN = (0x01C00100, 0x01C001FF)
