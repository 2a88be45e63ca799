# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_evidence. Must be kept in sync with C(module_utils/_argspec.py:evidence)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  collect:
    description:
      - Collect evidence.
    type: dict
    suboptions:
      nonce:
        description:
          - Fresh random bytes in hex. Every attestation will contain them, so that an old one cannot be shown again.
        type: str
        required: true
      ek:
        description:
          - The handle of the endorsement key.
        type: str
        default: "0x81010001"
      ak:
        description:
          - The handle of the attestation key.
        type: str
        default: "0x81020001"
      idevid:
        description:
          - The IDevID key. If it is missing, it is made, as M(edgefleet.tpm2.tpm2_primary_key) makes it.
        type: dict
        suboptions:
          template:
            description:
              - Its template.
            type: str
            choices: [idevid_ecc_p256, idevid_ecc_p384, idevid_rsa_2048]
            default: idevid_ecc_p256
          handle:
            description:
              - Its persistent handle. The default is the template's usual one.
            type: str
      ldevid:
        description:
          - The LDevID key. If it is missing, it is made, as M(edgefleet.tpm2.tpm2_key) makes it, for signing, without auth and without
            policy.
        type: dict
        suboptions:
          algorithm:
            description:
              - Its algorithm.
            type: str
            choices: [rsa_2048, rsa_3072, ecc_p256, ecc_p384]
            default: ecc_p256
          handle:
            description:
              - Its persistent handle.
            type: str
            required: true
          parent:
            description:
              - Its parent's handle.
            type: str
            default: "0x81000001"
      certificates:
        description:
          - Read the EK certificate, and the CA certificates above it, from the TPM's NV.
        type: bool
        default: true
      all_certificates:
        description:
          - Read the certificates of all EKs of the TPM, not only that of the key at O(collect.ek).
        type: bool
        default: false
      issuers:
        description:
          - Issuers of EK certificates for which the CA certificates need not be read. Each is given by the first eight bytes, in hex, of
            the SHA-256 of the issuer's name in DER.
        type: list
        elements: str
      certify:
        description:
          - Handles of keys that the attestation key shall certify. Only keys without a policy can be named.
        type: list
        elements: str
      certify_idevid:
        description:
          - Have the attestation key certify the key of O(collect.idevid) now, rather than with O(activate).
        type: bool
        default: false
      serial_index:
        description:
          - The NV index of the serial number.
        type: str
        default: "0x01800010"
      serial_size:
        description:
          - How many bytes the serial number has. Without this option the serial number is not certified.
        type: int
      reads:
        description:
          - What was read from this TPM before, as RV(edgefleet.tpm2.tpm2_profile#module:reads) returns it, so that it need not be read
            again. C(nv_buffer_max) says how many bytes the TPM can read at once, and C(identity) whether its manufacturer and firmware
            are known.
        type: dict
      pcrs:
        description:
          - PCRs that the attestation key quotes.
        type: dict
        suboptions:
          bank:
            description:
                            - The hash algorithm of the bank.
            type: str
            default: sha256
          indices:
            description:
              - The PCRs.
            type: list
            elements: int
            required: true
          values:
            description:
              - Not used here.
            type: dict
  activate:
    description:
      - Open a credential, a secret that was encrypted for the endorsement key and the attestation key.
    type: dict
    suboptions:
      nonce:
        description:
          - Fresh random bytes in hex, which go into the attestation of the IDevID and into RV(proof).
        type: str
        required: true
      ek:
        description:
          - The endorsement key.
        type: dict
        required: true
        suboptions:
          handle:
            description:
              - Its persistent handle.
            type: str
            required: true
          public:
            description:
              - Its public area (TPMT_PUBLIC) in hex, as RV(publics) of O(collect) gave it.
            type: str
            required: true
      ak:
        description:
          - The attestation key.
        type: dict
        required: true
        suboptions:
          handle:
            description:
              - Its persistent handle.
            type: str
            required: true
          public:
            description:
              - Its public area (TPMT_PUBLIC) in hex, as RV(publics) of O(collect) gave it.
            type: str
            required: true
      idevid:
        description:
          - The IDevID key, which the attestation key shall certify.
        type: dict
        suboptions:
          handle:
            description:
              - Its persistent handle.
            type: str
            required: true
          public:
            description:
              - Its public area (TPMT_PUBLIC) in hex, as RV(publics) of O(collect) gave it.
            type: str
            required: true
      id_object:
        description:
          - The content of the TPM2B_ID_OBJECT, in hex.
        type: str
        required: true
      encrypted_secret:
        description:
          - The content of the TPM2B_ENCRYPTED_SECRET, in hex.
        type: str
        required: true
  sign:
    description:
      - SHA-256 digests to be signed, each with an unrestricted key.
    type: list
    elements: dict
    suboptions:
      handle:
        description:
          - The key's persistent handle.
        type: str
        required: true
      public:
        description:
          - Its public area (TPMT_PUBLIC) in hex.
        type: str
        required: true
      digest:
        description:
          - The digest in hex.
        type: str
        required: true
"""
