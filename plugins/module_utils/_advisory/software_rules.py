# Copyright (c) 2026, edgefleet maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Published holes of the programs around a TPM: data only, one entry for each hole. ``software`` reads it."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory.verdicts import ERROR, WARNING


class Hole(t.NamedTuple):
    """One published hole of one project."""

    name: str  # advisory or CVE, or the first of them
    project: str
    title: str
    severity: str
    fixed_in: tuple[str, ...]  # the first version of each branch that has the fix, ascending; all versions from the last one on have it
    means: str
    source: str
    checked: str
    also: tuple[str, ...] = ()
    since: str = ""  # the first version that has the hole
    unclear: tuple[str, str] = ("", "")  # from, below: versions on which the sources contradict one another, or say nothing


# How the package names of a project begin in the distributions.
PROJECTS = {
    "tpm2-tss": ("tpm2-tss", "libtss2-", "libtss2"),
    "tpm2-tools": ("tpm2-tools", "tpm2.0-tools"),
    "tpm2-abrmd": ("tpm2-abrmd", "tpm2.0-abrmd"),
    "libtpms": ("libtpms",),
    "keylime": ("keylime", "python3-keylime"),
}
# Packages whose names begin like those of a project above, but which belong to another project.
OTHERS = ("tpm2-tss-engine", "libtss2-tcti-tabrmd", "keylime-agent", "keylime-rust")

HOLES: tuple[Hole, ...] = (
    Hole(
        name="GHSA-q759-vqg7-8rc5",
        also=(
            "GHSA-7638-f8gq-c475",
            "GHSA-x5j2-26fc-hhc3",
            "GHSA-p3px-r4mm-jpw5",
            "GHSA-v2qp-xh5m-44mf",
            "GHSA-xqrv-v8rj-v8xw",
            "GHSA-gf8g-2r5c-74c7",
            "GHSA-6grq-c24j-xcjr",
            "GHSA-pcpw-8625-jqcp",
            "GHSA-mj78-pj5v-wvjx",
            "GHSA-2q5v-c7hv-fvpf",
        ),
        project="tpm2-tss",
        title="eleven holes of July 2026",
        severity=WARNING,
        fixed_in=("4.1.4", "4.2.0"),
        means="a TPM's answer or a file may make a program that uses the TSS misbehave",
        source="tpm2-tss release notes of 4.1.4 and 4.2.0",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2024-29040",
        project="tpm2-tss",
        title="Fapi_VerifyQuote accepts quote information that does not come from the TPM",
        severity=WARNING,
        fixed_in=("4.0.2", "4.1.0"),
        means="a verifier that uses FAPI may believe a forged quote",
        source="tpm2-tss release notes of 4.0.2 and 4.1.0",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2023-22745",
        project="tpm2-tss",
        title="a response code with an unknown layer makes Tss2_RC_Decode read and write beyond its table",
        severity=WARNING,
        # A fix for 3.2.2 is said to exist, too; no source that was read names the release.
        unclear=("3.2.2", "4.0.0"),
        fixed_in=("4.0.1",),
        means="a malicious TPM or resource manager can take over the program that asks it",
        source="GHSA-4j3v-fh23-vx67; tpm2-tss release notes of 4.0.1",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2020-24455",
        project="tpm2-tss",
        title="FAPI makes objects with a PCR policy over the current values without the PCRs in it",
        severity=WARNING,
        unclear=("3.0.1", "3.1.0"),
        fixed_in=("2.4.3", "3.1.0"),
        means="such sealed data can be opened whatever system was booted; an update does not change that, so seal the data again",
        source="tpm2-tss release notes of 3.1.0",
        checked="2026-11-22",
    ),
    Hole(
        name="GHSA-v7w4-4gc9-qcgv",
        also=("GHSA-gwfg-w3jr-xh66", "GHSA-qp88-8f4j-wv7q"),
        project="tpm2-tools",
        title="three holes of July 2026",
        severity=WARNING,
        fixed_in=("5.7.1", "5.8"),
        means="a TPM's answer or a file may make a tool misbehave",
        source="tpm2-tools release notes of 5.7.1 and 5.8",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2024-29038",
        also=("CVE-2024-29039",),
        project="tpm2-tools",
        title="tpm2_checkquote accepts forged quotes, and PCR values other than those quoted",
        severity=ERROR,
        fixed_in=("5.6.1", "5.7"),
        means="a verifier that uses tpm2_checkquote may believe a device that is not what it says",
        source="tpm2-tools release notes of 5.6.1 and 5.7",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2021-3565",
        project="tpm2-tools",
        title="tpm2_import protects the key on its way with a fixed AES key",
        severity=WARNING,
        fixed_in=("4.3.2", "5.1.1"),
        means="somebody who listens on the bus can read a key that is imported",
        source="CVE-2021-3565",
        checked="2026-11-22",
    ),
    Hole(
        name="abrmd-open-bus",
        project="tpm2-abrmd",
        title="any local user may talk to the daemon over D-Bus",
        severity=WARNING,
        fixed_in=("3.0.0",),
        means="every local user can use all objects with an empty auth, and clear the TPM where lockoutAuth is empty",
        source="tpm2-abrmd release notes of 3.0.0",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2026-21444",
        project="libtpms",
        title="a wrong initialisation vector is returned with OpenSSL 3",
        severity=WARNING,
        since="0.10.0",
        fixed_in=("0.10.2",),
        means="data that the TPM itself encrypts in several pieces is weaker than thought",
        source="GHSA-7jxr-4j3g-p34f",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2025-49133",
        also=("CVE-2025-2884", "VRT0009"),
        project="libtpms",
        title="an HMAC command with an inconsistent scheme stops the TPM",
        severity=WARNING,
        fixed_in=("0.7.12", "0.8.10", "0.9.7", "0.10.1"),
        means="a program in the guest can stop its TPM",
        source="GHSA-25w5-6fjj-hf8g",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2023-1017",
        also=("CVE-2023-1018", "VRT0007"),
        project="libtpms",
        title="two bytes beyond a command with an encrypted parameter are read and written",
        severity=ERROR,
        fixed_in=("0.9.6",),
        # Older branches had releases of their own; no source that was read speaks of them.
        unclear=("0.7.0", "0.9.0"),
        means="a program in the guest can reach into the process that is its TPM",
        source="libtpms release notes of 0.9.6",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2026-1709",
        project="keylime",
        title="the registrar serves clients without a certificate",
        severity=ERROR,
        since="7.12.0",
        fixed_in=("7.12.2", "7.13.1"),
        means="anybody who reaches the registrar can list, add and delete agents",
        source="GHSA-4jqp-9qjv-57m2",
        checked="2026-11-22",
    ),
    Hole(
        name="CVE-2025-13609",
        project="keylime",
        title="another TPM may register under the UUID of an agent that exists",
        severity=ERROR,
        fixed_in=("7.13.0",),
        # The advisory says below 7.13.0; distributions name 7.12.2 as fixed.
        unclear=("7.12.2", "7.13.0"),
        means="a stranger's device can take an agent's identity",
        source="GHSA-xh5w-g8gq-r3v9",
        checked="2026-11-22",
    ),
)

__all__ = ("HOLES", "OTHERS", "PROJECTS", "Hole")
