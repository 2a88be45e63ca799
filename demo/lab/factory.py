# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The factory of the lab, made once: its own CA, the vault, the label printer, and where registry and birth records are."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import secrets
import shutil

from . import programs

_DAYS = "7300"
_OPENSSL = """
[req]
distinguished_name = none
[none]
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[device_ca]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclasses.dataclass(frozen=True)
class Factory:
    """The factory's folder, and the paths in it."""

    folder: pathlib.Path

    @property
    def root_certificate(self) -> pathlib.Path:
        """The path of the root certificate, which is needed to check a device."""
        return self.folder / "ca" / "root.pem"

    @property
    def ca_certificate(self) -> pathlib.Path:
        return self.folder / "ca" / "ca.pem"

    @property
    def ca_key(self) -> pathlib.Path:
        return self.folder / "ca" / "ca.key"

    @property
    def vault(self) -> pathlib.Path:
        """The lab's replacement for a file of ansible-vault."""
        return self.folder / "group_vars" / "all" / "vault.yml"

    @property
    def bundle(self) -> pathlib.Path:
        """The CA certificates of the TPM vendor."""
        return self.folder / "vendor-bundle.pem"

    @property
    def manifest(self) -> pathlib.Path:
        return self.folder / "manifest.csv"

    @property
    def registry(self) -> pathlib.Path:
        return self.folder / "registry.sqlite"

    @property
    def records(self) -> pathlib.Path:
        """The folder of birth records."""
        return self.folder / "records"

    def build(self) -> None:
        """Make vault and CA, unless they exist.

        Raises:
            DemoError: openssl failed.
        """
        self.vault.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.vault.exists():
            password, master = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
            text = f'---\n# Stands for a file that you encrypt with ansible-vault.\nvault_ca_password: "{password}"\nvault_fleet_master: "{master}"\n'
            unfinished = self.vault.with_suffix(".unfinished")
            with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as out:
                out.write(text)
            unfinished.rename(self.vault)
        if not self.ca_certificate.parent.exists():
            self._make_ca()

    def next_serial(self) -> str:
        """The next serial number from the label printer, which never prints one twice."""
        counter = self.folder / "labels"
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(f"{number}\n")
        return f"EF-2026-{number:06d}"

    def _make_ca(self) -> None:
        """Make a root, and below it the CA that issues to devices. The root's key is not kept; in a factory it would be in a safe."""
        unfinished = self.ca_certificate.parent.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        root, root_key, ca, ca_key, request = (unfinished / name for name in ("root.pem", "root.key", "ca.pem", "ca.key", "ca.csr"))
        config = unfinished / "openssl.cnf"
        config.write_text(_OPENSSL)
        (password,) = re.findall(r'^vault_ca_password: "(.*)"$', self.vault.read_text(), re.MULTILINE)
        environment = {**os.environ, "DEMO_CA_PASSWORD": password}  # only this user can read a process's environment
        make = ["openssl", "req", "-config", config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        subject = "/O=edgefleet lab/CN=Lab Factory "
        command = [
            *make,
            "-x509",
            "-extensions",
            "root",
            "-days",
            _DAYS,
            "-subj",
            subject + "Root",
            "-noenc",
            "-keyout",
            root_key,
            "-out",
            root,
        ]
        programs.run("make the factory's root", *command)
        command = [*make, "-subj", subject + "Device CA", "-passout", "env:DEMO_CA_PASSWORD", "-keyout", ca_key, "-out", request]
        programs.run("make the factory's CA", *command, environment=environment)
        command = ["openssl", "x509", "-req", "-in", request, "-CA", root, "-CAkey", root_key, "-days", _DAYS, "-out", ca]
        programs.run("certify the factory's CA", *command, "-extfile", config, "-extensions", "device_ca")
        for done in (root_key, request, config):
            done.unlink()
        ca_key.chmod(0o600)
        unfinished.rename(self.ca_certificate.parent)
