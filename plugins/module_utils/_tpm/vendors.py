# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The makers of TPMs: all entries of the TCG TPM Vendor ID Registry 1.07."""

from __future__ import annotations

# TPM_PT_MANUFACTURER as text, and the maker's name.
VENDORS = {
    "AMD": "AMD",
    "ANT": "Ant Group",
    "ATML": "Atmel",
    "BRCM": "Broadcom",
    "CSCO": "Cisco",
    "FLYS": "Flyslice",
    "GOOG": "Google",
    "HISI": "Huawei",
    "HPE": "HPE",
    "HPI": "HP",
    "IBM": "libtpms (swtpm) or IBM",
    "IFX": "Infineon",
    "INTC": "Intel",
    "LEN": "Lenovo",
    "MSFT": "Microsoft",
    "NSG": "NSING",
    "NSM": "National Semiconductor",
    "NTC": "Nuvoton",
    "NTZ": "Nationz",
    "QCOM": "Qualcomm",
    "ROCC": "Rockchip",
    "SEAL": "WISeKey",
    "SECE": "SecEdge",
    "SMSC": "SMSC",
    "SMSN": "Samsung",
    "SNS": "Sinosun",
    "STM": "STMicroelectronics",
    "TXN": "Texas Instruments",
    "WEC": "Winbond",
}

__all__ = ("VENDORS",)
