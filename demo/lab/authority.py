# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab CA in the role of the TPM vendor: swtpm_setup asks it for each device's EK certificate. Also the impostor's copy of one."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess

from .settings import DemoError

_SETUP = (
    "create_certs_tool = {tool}\ncreate_certs_tool_config = {config}\ncreate_certs_tool_options = {options}\nactive_pcr_banks = sha256\n"
)


def prepare(root: pathlib.Path) -> pathlib.Path:
    """Write swtpm_setup's configuration and that of its CA below ``root``; return the former's path."""
    folder = root / "ca"
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    setup, localca, options = folder / "setup.conf", folder / "localca.conf", folder / "localca.options"
    setup.write_text(_SETUP.format(tool=shutil.which("swtpm_localca"), config=localca, options=options))
    localca.write_text(
        f"statedir = {state}\nsigningkey = {state}/signkey.pem\nissuercert = {state}/issuercert.pem\ncertserial = {state}/certserial\n"
    )
    options.write_text("--platform-manufacturer edgefleet-lab\n--platform-version 1.0\n--platform-model demo\n")
    return setup


def prepare_copy(root: pathlib.Path, victim: pathlib.Path) -> pathlib.Path:
    """Write a configuration with which swtpm_setup copies another TPM's EK certificates into a new TPM. ``victim``: the other's state folder."""
    setup = root / "ca" / "copy.conf"
    setup.write_text(
        _SETUP.format(tool=pathlib.Path(__file__).with_name("copied_certificate"), config=victim, options=root / "ca" / "localca.options")
    )
    return setup


def bundle(root: pathlib.Path) -> str:
    """PEM of the vendor's CA certificates, issuer and root, as a factory gets them. They exist once a TPM has been made."""
    state = root / "ca" / "state"
    return (state / "issuercert.pem").read_text() + (state / "swtpm-localca-rootca-cert.pem").read_text()


def manufacture(*, setup_conf: pathlib.Path, name: str, tpm_dir: pathlib.Path, certified: bool = True) -> None:
    """Make a blank TPM with its EK and, if ``certified``, its EK certificate, all or nothing.

    Raises:
        DemoError: swtpm_setup failed; its log is named.
    """
    unfinished = tpm_dir.with_name(tpm_dir.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    log = tpm_dir.with_name("manufacture.log")
    command = ["swtpm_setup", "--tpm2", "--config", str(setup_conf), "--tpmstate", str(unfinished), "--vmid", name]
    command += ["--create-ek-cert", "--write-ek-cert-files", str(unfinished)] if certified else ["--createek"]
    command += ["--lock-nvram", "--logfile", str(log), "--overwrite"]
    if os.geteuid() == 0:  # otherwise it would run as the user tss, who cannot read the checkout
        command += ["--runas", pwd.getpwuid(0).pw_name]
    log.unlink(missing_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"swtpm_setup could not make the TPM of {name} (its log: {log}): run `demo/clean`, then `make demo`.")
    unfinished.rename(tpm_dir)
