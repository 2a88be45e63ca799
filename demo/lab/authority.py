# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab CA that stands for the TPM vendor: swtpm_setup asks it for each device's EK certificate."""

from __future__ import annotations

import os
import pathlib
import pwd
import shutil
import subprocess

from .settings import DemoError


def prepare(root: pathlib.Path) -> pathlib.Path:
    """Write swtpm_setup's configuration and that of its CA below ``root``; return the former's path."""
    folder = root / "ca"
    state = folder / "state"
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    setup, localca, options = folder / "setup.conf", folder / "localca.conf", folder / "localca.options"
    setup.write_text(
        f"create_certs_tool = {shutil.which('swtpm_localca')}\n"
        f"create_certs_tool_config = {localca}\n"
        f"create_certs_tool_options = {options}\n"
        "active_pcr_banks = sha256\n"
    )
    localca.write_text(
        f"statedir = {state}\nsigningkey = {state}/signkey.pem\nissuercert = {state}/issuercert.pem\ncertserial = {state}/certserial\n"
    )
    options.write_text("--platform-manufacturer edgefleet-lab\n--platform-version 1.0\n--platform-model demo\n")
    return setup


def manufacture(*, setup_conf: pathlib.Path, name: str, tpm_dir: pathlib.Path) -> None:
    """Make a blank TPM with its EK and EK certificate, complete or not at all.

    Raises:
        DemoError: swtpm_setup failed; its log is named.
    """
    unfinished = tpm_dir.with_name(tpm_dir.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True, mode=0o700)
    log = tpm_dir.with_name("manufacture.log")
    command = ["swtpm_setup", "--tpm2", "--config", str(setup_conf), "--tpmstate", str(unfinished), "--vmid", name]
    command += ["--create-ek-cert", "--lock-nvram", "--write-ek-cert-files", str(unfinished), "--logfile", str(log), "--overwrite"]
    if os.geteuid() == 0:  # else it would become the user tss, who cannot reach the checkout
        command += ["--runas", pwd.getpwuid(0).pw_name]
    log.unlink(missing_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoError(f"swtpm_setup could not make the TPM of {name} (its log: {log}): run `demo/clean`, then `make demo`.")
    unfinished.rename(tpm_dir)
