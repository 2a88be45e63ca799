# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of tpm2_enroll. Must be kept in sync with C(module_utils/_argspec.py:enroll)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _registry, _signer


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  serial:
    description:
      - The serial number of the device, as NV holds it.
    type: str
    required: true
  host:
    description:
      - The host name of the device, for the registry.
    type: str
  mac:
    description:
      - Its MAC address, for the registry.
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
      - The pinned EK, as the manifest has it. The SHA-256, in hex, of the DER SubjectPublicKeyInfo of the endorsement key.
      - A device with another EK is quarantined, whatever its certificate says.
    type: str
  new_registry:
    description:
      - Whether a registry is made where O(registry) names none. With V(false), a wrong path is an error and not a second, empty registry.
      - The role C(identity) has V(false), unless C(tpm2_identity_new_registry) is true.
    type: bool
    default: true
  trust:
    description:
      - Whose EK certificates to believe. Without it, only pinned devices are enrolled.
    type: dict
    suboptions:
      bundle:
        description:
          - A PEM file with the CA certificates of the TPM vendors that you trust, on the controller.
          - What is not a CA's certificate, or cannot be read, is left out with a warning that names its vendor. The result lists each.
        type: path
      sha256:
        description:
          - The SHA-256 of that file in hex. Another file is refused.
        type: str
      manufacturers:
        description:
          - The only manufacturers that are accepted, for example V(IFX). Without it, all manufacturers in the bundle are.
        type: list
        elements: str
      crls:
        description:
          - Files with revocation lists, PEM or DER. Fetching them anew is up to you.
          - A list is fresh if its CA signed it, it covers the certificate, and now is between its thisUpdate and its nextUpdate.
          - Where a CA between the EK certificate and the root has no fresh list, the verdict's C(revocation) is V(stale) or V(not checked),
            and verdict and birth record say which list was old or missing.
          - A certificate that an old list names is revoked all the same.
        type: list
        elements: path
      allow_expired:
        description:
          - Accept an EK certificate that has expired by the controller's clock.
        type: bool
        default: false
      require_crl:
        description:
          - Demand a fresh list in O(trust.crls) for each CA between the EK certificate and the root. A device without is quarantined, with
            the reason V(no_fresh_crl), unless O(ek_sha256) pins its EK.
        type: bool
        default: false
      crl_max_age:
        description:
          - How many days ago a list may have been made to be fresh, whatever its nextUpdate says. Without it, nextUpdate alone decides.
        type: float
      fetch:
        description:
          - Fetch the certificate of an EK from the vendor's service where the TPM does not hold it, as with firmware TPMs of Intel and AMD.
            Without it, nothing is fetched.
          - The controller fetches, not the device, and the service learns a hash of the EK and the controller's address. Redirects, and
            addresses out of certificates, are not followed. A proxy comes from the environment variable E(https_proxy).
          - What is fetched has to be for just this EK and is judged as if it were in the TPM, so O(trust.bundle) is needed.
          - Where a service cannot be asked, the task fails and the device keeps its state. Where it has no certificate, the device is
            quarantined with the reason V(no_certificate). A device whose EK is pinned goes on in both cases.
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
              - A folder on the controller in which each certificate is kept, so that it is fetched once. It is made where it is missing.
            type: path
            required: true
          urls:
            description:
              - Other addresses of these services by their names, for a mirror. They begin with C(https://); the hash of the EK is appended.
            type: dict
          ca_file:
            description:
              - A PEM file with the CAs that vouch for the servers' TLS certificates, in place of those of the system.
            type: path
          timeout:
            description:
              - How many seconds an answer may take.
            type: float
            default: 20
  authority:
    description:
      - The CA of your own that issues the certificates of devices and signs birth records.
    type: dict
    suboptions:
"""
        + _compose.nested(6, _signer.ModuleDocFragment.DOCUMENTATION)
        + r"""  external_authority:
    description:
      - A CA elsewhere, in place of O(authority). Requests go out as files, certificates come in as files.
    type: dict
    suboptions:
      folder:
        description:
          - Where requests are written, a folder for each serial number, and where the CA puts its certificates.
        type: path
        required: true
      authorities:
        description:
          - PEM files with the certificates of the CA. What it issues must lead to one of them.
        type: list
        elements: path
        required: true
      tcg_csr:
        description:
          - Write a TCG-CSR-IDEVID too, as this implementation understands it.
          - That for C(flightctl) goes around the finished PKCS#10 request, which takes a third exchange with the device.
        type: str
        choices: [attestz, flightctl, trusted_platform]
  record_signer:
    description:
      - Another key that signs birth records, with a certificate for signing documents.
      - A CA elsewhere signs none, so with O(external_authority) this option is needed for O(record_dir).
    type: dict
    suboptions:
"""
        + _compose.nested(6, _signer.ModuleDocFragment.DOCUMENTATION)
        + r"""  record_dir:
    description:
      - The folder on the controller for birth records, C(SERIAL.birth.json).
    type: path
  record_roots:
    description:
      - Files on the controller with the certificates of those whose birth records count, the CA or who signs in its place. The first
        certificate of each file counts. After a change of the CA, name the former one too.
      - What the registry says of a device is believed as far as such a record covers it. Records that are signed with O(record_signer) or
        O(authority) count anyway.
    type: list
    elements: path
  ldevid:
    description:
      - Also make an LDevID for operations, and renew its certificate before it ends.
    type: dict
    suboptions:
      handle:
        description:
          - The persistent handle of its key, which is made where it is missing.
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
          - How many days a certificate lives.
        type: float
        default: 90
      renew_before:
        description:
          - How many days before its end it is renewed, but never in the first half of its life.
        type: float
        default: 30
      server_auth:
        description:
          - Make it usable for TLS servers too, not only for clients.
        type: bool
        default: false
      dns_names:
        description:
          - DNS names to be put into it.
        type: list
        elements: str
  ek:
    description:
      - The handle of the endorsement key.
    type: str
    default: "0x81010001"
  ek_template:
    description:
      - The template from which the endorsement key must be made, whatever its handle. A TPM has one key for each template, and could be
        enrolled as a second device by another.
      - Where systemd (from version 262 on) keeps an EK of its own choice at 0x81010001, declare the template of that one here.
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
      - The handle of the IDevID key, which is made where it is missing.
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
      - The NV index of the serial number, as C(write_once) makes it.
    type: str
    default: "0x01800010"
  trust_clock:
    description:
      - Say that the controller's clock is right though the registry's last event is of a time that is still to come, because the clock
        of the controller that wrote it was ahead. Noted in the registry, where all controllers may write again from then on.
    type: bool
    default: false
  observed:
    description:
      - What M(edgefleet.tpm2.tpm2_profile) returned just before on this device.
      - By it an enrolled device is recognised without a single TPM command.
    type: dict
  facts:
    description:
      - What M(edgefleet.tpm2.tpm2_info) returned of this device, with C(identity) and C(capacity).
    type: dict
  pcrs:
    description:
      - The PCRs that the attestation key quotes for the birth record.
    type: dict
    suboptions:
      bank:
        description:
          - The bank's hash.
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
