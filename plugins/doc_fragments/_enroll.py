# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_enroll. Must be kept in sync with C(module_utils/_argspec.py:enroll)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _record_roots, _registry, _signer


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  serial:
    description:
      - The serial number of the device. The NV index O(serial_index) must hold the same.
    type: str
    required: true
  host:
    description:
      - The host name of the device, for the registry.
    type: str
  mac:
    description:
      - The MAC address of the device, for the registry.
    type: str
  site:
    description:
      - The site of the device, for the registry.
    type: str
  model:
    description:
      - The model of the device, for the registry.
    type: str
  organization:
    description:
      - The organization in the subject of the certificates.
    type: str
  ek_sha256:
    description:
      - The hash of the endorsement key (EK) that this device must have, for a TPM whose EK has no certificate. It is the SHA-256, in hex,
        of the DER SubjectPublicKeyInfo of the key.
      - A device with another EK is quarantined, whatever its certificate says.
    type: str
  new_registry:
    description:
      - Whether to make a registry if there is none at O(registry). With V(false), a wrong path is an error, and no second, empty registry
        is made.
      - The role C(identity) gives V(false) unless C(tpm2_identity_new_registry) is true.
    type: bool
    default: true
  trust:
    description:
      - Which EK certificates to accept. Without this option, only devices with O(ek_sha256) are enrolled.
    type: dict
    suboptions:
      bundle:
        description:
          - A PEM file with the CA certificates of the TPM vendors that you trust, on the controller.
          - Certificates in it that are not CA certificates, cannot be read, or do not begin and end on lines of their own are left out, with
            a warning that names their vendors. RV(trust_bundle) lists them.
        type: path
      sha256:
        description:
          - The SHA-256 of O(trust.bundle), in hex. A file with another hash is refused.
        type: str
      manufacturers:
        description:
          - The only manufacturers that are accepted, by the names that TPMs use, for example V(IFX). Without it, all manufacturers in the
            bundle are accepted.
        type: list
        elements: str
      crls:
        description:
          - Files with the certificate revocation lists (CRLs) of the TPM vendors, in PEM or DER. You have to fetch them, and fetch them
            again before they expire.
          - A list is fresh if its CA has signed it, it covers the certificate, and the present time is between its thisUpdate and its
            nextUpdate.
          - If a CA between the EK certificate and the root has no fresh list, C(revocation) in RV(verdict) is V(stale) or V(not checked),
            and verdict and birth record say which list was old or missing.
          - A certificate that is on an old list counts as revoked all the same.
        type: list
        elements: path
      allow_expired:
        description:
          - Accept an EK certificate that has expired, judged by the controller's clock.
        type: bool
        default: false
      require_crl:
        description:
          - Demand a fresh list in O(trust.crls) for each CA between the EK certificate and the root. If one is missing, the device is
            quarantined, with the reason V(no_fresh_crl), unless O(ek_sha256) names its EK.
        type: bool
        default: false
      crl_max_age:
        description:
          - How many days old a list may be and still count as fresh, even if its nextUpdate is later. Without it, nextUpdate alone
            decides.
        type: float
      fetch:
        description:
          - Fetch the certificate of an EK from the vendor's service if the TPM does not hold it, as with firmware TPMs of Intel and AMD.
            Without this option nothing is fetched.
          - The controller fetches it, not the device. The service learns a hash of the EK and the controller's address. The module
            follows neither redirects nor addresses in certificates. The environment variable E(https_proxy) names a proxy.
          - The certificate must be for exactly this EK, and is judged as if it came from the TPM, so O(trust.bundle) is needed.
          - If a service does not answer, the task fails and the device keeps its state. If the service has no certificate, the device is
            quarantined with the reason V(no_certificate). In both cases a device whose EK is named by O(ek_sha256) is enrolled all the
            same.
        type: dict
        suboptions:
          vendors:
            description:
              - The services that may be asked, each for TPMs of its own manufacturer only.
            type: list
            elements: str
            choices: [intel, amd]
            required: true
          cache:
            description:
              - A folder on the controller in which each certificate is kept, so that it is fetched only once. The folder is made if it is
                missing.
            type: path
            required: true
          urls:
            description:
              - Other addresses of these services by their names, for a mirror. They begin with C(https://); the hash of the EK is appended.
            type: dict
          ca_file:
            description:
              - A PEM file with the CAs that have issued the servers' TLS certificates, instead of the CAs of the system.
            type: path
          timeout:
            description:
              - How many seconds an answer may take.
            type: float
            default: 20
  authority:
    description:
      - Your own CA, which issues the devices' certificates and signs birth records.
    type: dict
    suboptions:
"""
        + _compose.nested(6, _signer.ModuleDocFragment.DOCUMENTATION)
        + r"""  external_authority:
    description:
      - An external CA, instead of O(authority). The module writes requests as files, and reads the certificates that the CA has put
        beside them.
    type: dict
    suboptions:
      folder:
        description:
          - A folder on the controller. The module makes a folder in it for each serial number and writes requests there; the CA puts its
            certificates into the same folder.
        type: path
        required: true
      authorities:
        description:
          - PEM files with the certificates of the CA. Each certificate that it issues must lead to one of them.
        type: list
        elements: path
        required: true
      tcg_csr:
        description:
          - Also write a TCG-CSR-IDEVID (the TCG's format for requesting an IDevID certificate), in the form that this program
            understands.
          - The one for C(flightctl) contains the finished PKCS#10 request, and therefore takes a third exchange with the device.
        type: str
        choices: [attestz, flightctl, trusted_platform]
  record_signer:
    description:
      - Another key that signs birth records. Its certificate is a CA certificate, or one for signing documents.
      - An external CA signs no birth records, so with O(external_authority) you need this option for O(record_dir).
    type: dict
    suboptions:
"""
        + _compose.nested(6, _signer.ModuleDocFragment.DOCUMENTATION)
        + r"""  record_dir:
    description:
      - The folder on the controller for birth records, C(SERIAL.birth.json).
    type: path
"""
        + _compose.nested(2, _record_roots.ModuleDocFragment.DOCUMENTATION)
        + r"""      - The module believes the registry only as far as such a record says the same. Records that are signed with O(record_signer) or
        O(authority) are verified without this option.
  ldevid:
    description:
      - Also make an LDevID (a second key and certificate for daily operation), and renew its certificate before it expires.
    type: dict
    suboptions:
      handle:
        description:
          - The persistent handle of its key. The key is made if it is missing.
        type: str
        default: "0x81000220"
      algorithm:
        description:
          - The algorithm of its key.
        type: str
        choices: [rsa_2048, rsa_3072, ecc_p256, ecc_p384]
        default: ecc_p256
      parent:
        description:
          - The parent of its key.
        type: str
        default: "0x81000001"
      lifetime:
        description:
          - For how many days a certificate is valid.
        type: float
        default: 90
      renew_before:
        description:
          - How many days before it expires a certificate is renewed. It is never renewed in the first half of its validity.
        type: float
        default: 30
      server_auth:
        description:
          - Allow TLS servers to use the certificate, not only clients.
        type: bool
        default: false
      dns_names:
        description:
          - DNS names for the certificate.
        type: list
        elements: str
  ek:
    description:
      - The handle of the endorsement key.
    type: str
    default: "0x81010001"
  ek_template:
    description:
      - The template from which the endorsement key must be made, whatever its handle. A TPM has one EK for each template, and could
        otherwise be enrolled as a second device with another of its EKs.
      - An EK that is made by a template in its TPM's NV, and is of no template of the TCG, counts in place of the declared one if its key
        is of the same type and size.
      - If systemd (from version 262 on) keeps an EK of another template at 0x81010001, give that template here.
    type: str
    choices: [ek_rsa_2048, ek_ecc_p256, ek_rsa_3072, ek_rsa_4096, ek_ecc_p384, ek_ecc_p521, ek_high_rsa_2048, ek_high_ecc_p256]
    default: ek_rsa_2048
  ak:
    description:
      - The handle of the attestation key.
    type: str
    default: "0x81020001"
  idevid:
    description:
      - The handle of the IDevID key. The key is made if it is missing.
    type: str
    default: "0x81020000"
  idevid_template:
    description:
      - The template of the IDevID key.
    type: str
    choices: [idevid_ecc_p256, idevid_ecc_p384, idevid_rsa_2048]
    default: idevid_ecc_p256
  serial_index:
    description:
      - The NV index of the serial number, made with C(write_once) of M(edgefleet.tpm2.tpm2_nv_index).
    type: str
    default: "0x01800010"
  trust_clock:
    description:
      - Set it once if the registry's last event has a time in the future although the controller's clock is right, because another
        controller's clock was ahead. The module notes that in the registry, and then all controllers can write to it again.
    type: bool
    default: false
  observed:
    description:
      - What M(edgefleet.tpm2.tpm2_profile) returned just before on this device.
      - From it the module recognises an enrolled device without sending a TPM command.
    type: dict
  facts:
    description:
      - What M(edgefleet.tpm2.tpm2_info) returned for this device, with C(identity) and C(capacity) in C(gather).
    type: dict
  pcrs:
    description:
      - The PCRs that the attestation key quotes for the birth record.
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
""",
        _registry.ModuleDocFragment.DOCUMENTATION,
    )
