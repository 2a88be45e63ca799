# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PKCS#11 tokens in software (SoftHSM, the distribution's), in a folder of their own."""

from __future__ import annotations

import pathlib
import subprocess
import typing as t

from support import lab_ca

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "493817"
SO_PIN = "7718224"
TOKEN = "lab-token"


class SoftHsm:
    """Tokens below one folder. A process needs SOFTHSM2_CONF = `conf` in its environment before it loads the module."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.conf = folder / "softhsm2.conf"
        tokens = folder / "tokens"
        tokens.mkdir(parents=True)
        self.conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n")

    def run(self, *arguments: str) -> str:
        """Run softhsm2-util. Raises AssertionError with its output."""
        done = subprocess.run(
            ["softhsm2-util", *arguments], env={"SOFTHSM2_CONF": str(self.conf)}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def add_token(self, label: str = TOKEN) -> None:
        """Make a token with the PINs of this file."""
        self.run("--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN)

    def add_key(self, key: t.Any, label: str, number: str = "01", token: str = TOKEN) -> None:
        """Put a private key on a token."""
        path = self.folder / "import.pem"
        path.write_bytes(lab_ca.private_pem(key, None))
        self.run("--import", str(path), "--token", token, "--label", label, "--id", number, "--pin", PIN)
        path.unlink()

    def options(self, label: str | None = "ca", **others: t.Any) -> dict[str, t.Any]:
        """The option pkcs11 of load_authority."""
        return {"module": MODULE, "token": TOKEN, "label": label, "pin": PIN, **others}
