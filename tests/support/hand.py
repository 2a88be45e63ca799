# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State made by hand, with tpm2-tools, as guides on the web do it."""

from __future__ import annotations

import pathlib

from support.tools import Tools

SRK = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
CHILD = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"


class Hand:
    """Makes state with tpm2-tools, and files in a folder."""

    def __init__(self, tools: Tools, folder: pathlib.Path) -> None:
        self.tools, self.folder = tools, folder

    def run(self, *arguments: str | pathlib.Path, stdin: bytes | None = None) -> bytes:
        """Run a tool and flush what it leaves loaded, as a resource manager would."""
        found = self.tools.run(*map(str, arguments), stdin=stdin)
        self.tools.flush_transient()
        return found

    def primary(self, handle: str, *arguments: str) -> None:
        """tpm2_createprimary and tpm2_evictcontrol."""
        self.run("createprimary", "-Q", "-c", self.folder / "primary.ctx", *arguments)
        self.run("evictcontrol", "-Q", "-C", "o", "-c", self.folder / "primary.ctx", handle)

    def write_once_policy(self) -> pathlib.Path:
        """The policy of the second guide, made with its commands."""
        session, policy = self.folder / "session.dat", self.folder / "nvwrite.policy"
        self.tools.run("startauthsession", "-S", session)
        self.tools.run("policycommandcode", "-Q", "-S", session, "TPM2_CC_NV_Write")
        self.tools.run("policynvwritten", "-Q", "-S", session, "-L", policy, "c")
        self.tools.run("flushcontext", session)
        return policy

    def write_once(self, index: str, content: bytes, size: int, attributes: str) -> None:
        """Define and write an index as that guide does; bytes after the content stay 0xFF."""
        policy, session = self.write_once_policy(), self.folder / "session.dat"
        self.run("nvdefine", "-Q", index, "-s", str(size), "-a", attributes, "-L", policy)
        self.tools.run("startauthsession", "-S", session, "--policy-session")
        self.tools.run("policycommandcode", "-Q", "-S", session, "TPM2_CC_NV_Write")
        self.tools.run("policynvwritten", "-Q", "-S", session, "c")
        self.tools.run("nvwrite", "-Q", index, "-i", "-", "-P", f"session:{session}", stdin=content)
        self.tools.run("flushcontext", session)

    def child(self, handle: str | None, *arguments: str | pathlib.Path, stdin: bytes | None = None) -> tuple[pathlib.Path, pathlib.Path]:
        """tpm2_create under the SRK, and if a handle is given tpm2_load and tpm2_evictcontrol."""
        public, private, context = (self.folder / name for name in ("key.pub", "key.priv", "key.ctx"))
        self.run("create", "-Q", "-C", "0x81000001", "-u", public, "-r", private, *arguments, stdin=stdin)
        if handle:
            self.run("load", "-Q", "-C", "0x81000001", "-u", public, "-r", private, "-c", context)
            self.run("evictcontrol", "-Q", "-C", "o", "-c", context, handle)
        return public, private

    def encoded(self, *arguments: str | pathlib.Path, stdin: bytes | None = None) -> pathlib.Path:
        """tpm2_create and tpm2_encodeobject: a TSS2 PEM file."""
        public, private = self.child(None, *arguments, stdin=stdin)
        file = self.folder / "object.pem"
        self.run("encodeobject", "-Q", "-C", "0x81000001", "-u", public, "-r", private, "-o", file)
        return file

    def pcr_policy(self) -> pathlib.Path:
        """The sealing policy of the first guide, with its dashes corrected."""
        values, policy = self.folder / "pcr7.bin", self.folder / "policy.dat"
        self.run("pcrread", "-Q", "sha256:7", "-o", values)
        self.run("createpolicy", "-Q", "--policy-pcr", "-l", "sha256:7", "-f", values, "-L", policy)
        return policy
