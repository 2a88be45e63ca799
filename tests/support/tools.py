# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads and changes a TPM with the distribution's tpm2-tools and a raw client: the tests' view from outside."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import tempfile
import typing as t

import yaml

from support import raw
from support.swtpm import Swtpm


class ToolError(Exception):
    """A tool failed; the text has its command line and its error output."""


def as_text(auth: str) -> str:
    """An auth value in a form that tpm2-tools accept even if it begins with a hyphen, as one of an escrow may."""
    return f"str:{auth}"


class Tools:
    """tpm2-tools on one TCTI. Every method raises ToolError with the tool's own words.

    A software TPM has no resource manager, so what a tool leaves loaded stays: methods that load flush afterwards.
    """

    def __init__(self, tcti: str) -> None:
        self.tcti = tcti

    def run(self, tool: str, *arguments: str | pathlib.Path, stdin: bytes | None = None) -> bytes:
        """Run ``tpm2_<tool>`` and return its standard output."""
        command = [f"tpm2_{tool}", *map(str, arguments), "-T", self.tcti]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
        except FileNotFoundError:
            raise ToolError(f"{command[0]} is not installed: run `apt-get install tpm2-tools`") from None
        if done.returncode != 0:
            raise ToolError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def yaml(self, tool: str, *arguments: str | pathlib.Path) -> t.Any:
        """Run a tool that prints YAML and return it parsed."""
        return yaml.safe_load(self.run(tool, *arguments))

    def close_platform(self) -> None:
        """Set the platform hierarchy's auth, as firmware does at each boot."""
        self.run("changeauth", "-c", "p", "closed-by-firmware")

    def getcap(self, capability: str) -> t.Any:
        """Return a capability ("properties-variable", "properties-fixed", "handles-persistent", "handles-nv-index", "pcrs" …)."""
        return self.yaml("getcap", capability)

    def handles(self, kind: str = "persistent") -> list[int]:
        """Return the handles of a kind: persistent, transient, nv-index, loaded-session, saved-session."""
        return [int(str(entry), 16) if isinstance(entry, str) else int(entry) for entry in self.getcap(f"handles-{kind}") or []]

    def readpublic(self, handle: int | str) -> Public:
        """Return the public area of a loaded or persistent asymmetric key."""
        with tempfile.TemporaryDirectory() as folder:
            pem = pathlib.Path(folder, "key.pem")
            area = self.yaml("readpublic", "-c", hexadecimal(handle), "-f", "pem", "-o", pem)
            return Public(
                name=_hex(area["name"]),
                qualified_name=_hex(area["qualified name"]),
                attributes=frozenset(area["attributes"]["value"].split("|")),
                pem=pem.read_text(),
                area=area,
            )

    def nvread(self, index: int | str, *arguments: str) -> bytes:
        """Return the whole content of an NV index (read with the index's own, empty, authorization)."""
        return self.run("nvread", *arguments, hexadecimal(index))

    def nvreadpublic(self, index: int | str) -> dict[str, t.Any]:
        """Return one NV index's public area: name, hash algorithm, attributes (friendly, value), size, authorization policy."""
        found = self.yaml("nvreadpublic", hexadecimal(index))
        area: dict[str, t.Any] = dict(next(iter(found.values())))
        area["name"] = _hex(area["name"])
        return area

    def pcrread(self, index: int, bank: str = "sha256") -> str:
        """Return a PCR's value as lowercase hex."""
        # YAML would read the value as a number and lose its leading zeros.
        for line in self.run("pcrread", f"{bank}:{index}").decode().splitlines():
            key, _colon, value = line.strip().replace(" ", "").partition(":")
            if key == str(index):
                return value.lower().removeprefix("0x")
        raise ToolError(f"PCR {bank}:{index} is not there")

    def load_unseal(self, blob: str | pathlib.Path, *, pcrs: str | None = "sha256:7", auth: str = "") -> bytes:
        """Load a TSS2 PEM file (it names its parent itself) and unseal it, with a PCR policy session or an auth value."""
        with tempfile.TemporaryDirectory() as folder:
            context = pathlib.Path(folder, "object.ctx")
            try:
                self.run("load", "-Q", "-r", blob, "-c", context)
                if pcrs:
                    return self.run("unseal", "-c", context, "-p", f"pcr:{pcrs}")
                return self.run("unseal", "-c", context, *(["-p", auth] if auth else []))
            except ToolError:
                self.flush_all()
                raise
            finally:
                self.flush_transient()

    def rsadecrypt(self, handle: int | str, ciphertext: bytes, *arguments: str) -> bytes:
        """Decrypt with a persistent RSA key; `arguments` such as "-s", "oaep"."""
        return self.run("rsadecrypt", "-c", hexadecimal(handle), *arguments, stdin=ciphertext)

    def lockout_counter(self) -> int:
        """Return the number of failed authorizations that the TPM counts at present."""
        return int(self.getcap("properties-variable")["TPM2_PT_LOCKOUT_COUNTER"])

    def da(self) -> tuple[int, int, int]:
        """Return (max tries, recovery time in seconds, lockout recovery in seconds)."""
        now = self.getcap("properties-variable")
        return int(now["TPM2_PT_MAX_AUTH_FAIL"]), int(now["TPM2_PT_LOCKOUT_INTERVAL"]), int(now["TPM2_PT_LOCKOUT_RECOVERY"])

    def auth_is_set(self) -> dict[str, bool]:
        """Return for owner, endorsement and lockout whether an auth value is set."""
        bits = self.getcap("properties-variable")["TPM2_PT_PERMANENT"]
        return {who: bool(bits[f"{who}AuthSet"]) for who in ("owner", "endorsement", "lockout")}

    def transients(self) -> list[int]:
        """Return the handles of loaded transient objects."""
        return self.handles("transient")

    def loaded_sessions(self) -> list[int]:
        """Return the handles of loaded sessions."""
        return self.handles("loaded-session")

    def saved_sessions(self) -> list[int]:
        """Return the handles of saved sessions."""
        return self.handles("saved-session")

    def flush_transient(self) -> None:
        """Flush every transient object."""
        self.run("flushcontext", "-t")

    def flush_all(self) -> None:
        """Flush every transient object and every session."""
        for kind in ("-t", "-l", "-s"):
            self.run("flushcontext", kind)


@dataclasses.dataclass(frozen=True)
class Public:
    """An asymmetric key's public side: Names in lowercase hex, attributes by tpm2-tools' names."""

    name: str
    qualified_name: str
    attributes: frozenset[str]
    pem: str
    area: dict[str, t.Any]

    @property
    def template(self) -> dict[str, t.Any]:
        """The public area without what differs between two keys of the same template."""
        return {key: value for key, value in self.area.items() if key not in ("name", "qualified name", "rsa", "x", "y")}


def leftovers(swtpm: Swtpm) -> list[str]:
    """Return the sessions and transient objects in the TPM, as hex handles, by raw commands, which leave nothing in it."""
    with swtpm.raw() as tpm:
        found = [handle for kind in (raw.TRANSIENT, raw.LOADED_SESSION, raw.SAVED_SESSION) for handle in tpm.handles(kind)]
    return [f"{handle:#010x}" for handle in found]


def flush_leftovers(swtpm: Swtpm) -> None:
    """Flush what `leftovers` finds, as a resource manager does for a client that died."""
    with swtpm.raw() as tpm:
        for handle in (handle for kind in (raw.TRANSIENT, raw.LOADED_SESSION, raw.SAVED_SESSION) for handle in tpm.handles(kind)):
            tpm.flush(handle)


def lockout_counter(swtpm: Swtpm) -> int:
    """Return the lockout counter, by one raw command, without starting a process."""
    with swtpm.raw() as tpm:
        return tpm.tpm_property(raw.PT_LOCKOUT_COUNTER)


def hexadecimal(handle: int | str) -> str:
    """Write a handle in the form for tools: a number in hexadecimal, text (a context file) as it is."""
    return f"{handle:#010x}" if isinstance(handle, int) else handle


def _hex(value: t.Any) -> str:
    return (f"{value:x}" if isinstance(value, int) else str(value)).lower().removeprefix("0x")
