# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/real FOLDER: compares our verdicts on other people's data with those of OpenSSL and tpm2-tools.

FOLDER has some of these folders, each with files of any name:

ek        EK certificates, DER or PEM, or the contents of their NV indices
roots     CA certificates of TPM vendors, DER or PEM; all together are the trust bundle
eventlog  event logs of firmware
keyfile   TSS2 key files

For each file it prints a line: our verdict, the other program's, and, if they differ, the rule that explains it. A difference without a
rule is an error: the exit status is 1. Dates are not checked, because most of these certificates are old.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import typing as t

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / ".work" / "collections"))

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der, event_log, keyfile  # noqa: E402
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError  # noqa: E402
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, certificate, chain  # noqa: E402
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.verdict import TrustError  # noqa: E402
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import path  # noqa: E402
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.certificates import Certificate, der_of, is_self_issued, overlooked_on  # noqa: E402

# The rules: why our verdict is right though the other program's differs.
RULES = {
    "weak": "a signature with SHA-1, or of a key that can be broken, proves nothing; OpenSSL takes it unless it is told otherwise",
    "not_an_ek": "the certificate is not one for an EK; OpenSSL was asked only who issued it",
    "not_a_ca": "the certificate is not a CA's, so a trust bundle cannot use it; OpenSSL was asked only who issued it",
    "restricted": "the certificate has a critical extension, or constraints of names, that we do not know; OpenSSL knows more of them",
    "importable": "the key is to be imported under a parent that its file does not prove; it is neither loadable nor sealed",
    "no_parent": "the file names no parent under which the key could be loaded",
    "old_format": "the block is of the format before TSS2 PRIVATE KEY; OpenSSL prints the ASN.1 of any block",
    "vendor_part": "the size of the first event does not cover the vendor's part in it (TCG PC Client Platform Firmware Profile, 10.4.5.1)",
}
NOW = datetime.datetime.now(datetime.UTC)


class Line(t.NamedTuple):
    """The line for one file: both verdicts, whether they agree, and the rule if they do not."""

    kind: str
    name: str
    ours: str
    theirs: str
    agree: bool
    rule: str = ""

    def __str__(self) -> str:
        end = "" if self.agree else f"  [{self.rule}]" if self.rule else "  [DIFFERS]"
        return f"{self.kind:9} {self.name:60} ours: {self.ours:44} theirs: {self.theirs}{end}"


def run(*command: str | pathlib.Path, given: bytes = b"") -> tuple[int, str]:
    """Run a command with this standard input; return its exit status and output."""
    done = subprocess.run([str(one) for one in command], input=given, capture_output=True, timeout=120, check=False)
    return done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace").strip()


def files(folder: pathlib.Path, kind: str) -> list[pathlib.Path]:
    """The files of a kind, in order."""
    return sorted(one for one in (folder / kind).glob("*") if one.is_file())


def content(file: pathlib.Path) -> bytes:
    """The DER of a certificate file if it is PEM, else its content."""
    data = file.read_bytes()
    found = re.search(rb"-----BEGIN [A-Z ]*CERTIFICATE-----(.*?)-----END", data, re.DOTALL)
    return base64.b64decode(found[1]) if found else data


def alone(data: bytes) -> bytes:
    """A certificate without the bytes after it, which `openssl x509` ignores."""
    return next((one.whole for one in der.elements(data)), data)


class Certificates:
    """The certificates of a folder, judged by us and by `openssl verify`, with all of its CAs as the trust bundle."""

    def __init__(self, folder: pathlib.Path, scratch: pathlib.Path) -> None:
        self.scratch = scratch
        self.cas = {file: alone(content(file)) for file in files(folder, "roots")}
        self.eks = files(folder, "ek")
        text = "".join(der.pem("CERTIFICATE", one) for one in self.cas.values()).encode()
        (scratch / "all.pem").write_bytes(text)
        self.bundle = bundle.load_bundle(str(scratch / "all.pem"), hashlib.sha256(text).hexdigest()) if self.cas else None
        trusted = [der.pem("CERTIFICATE", one) for one in self.cas.values() if self._self_issued(one)]
        (scratch / "trusted.pem").write_text("".join(trusted))

    def _self_issued(self, data: bytes) -> bool:
        (self.scratch / "one.der").write_bytes(data)
        code, said = run("openssl", "x509", "-inform", "der", "-in", self.scratch / "one.der", "-noout", "-issuer", "-subject")
        lines = [line.partition("=")[2] for line in said.splitlines()]
        return code == 0 and len(lines) == 2 and lines[0] == lines[1]

    def theirs(self, data: bytes) -> str:
        """OpenSSL's verdict: ``yes``, or the first line of its error."""
        (self.scratch / "one.pem").write_text(der.pem("CERTIFICATE", data))
        trust = ("-trusted", self.scratch / "trusted.pem", "-untrusted", self.scratch / "all.pem")
        code, said = run("openssl", "verify", "-no_check_time", *trust, self.scratch / "one.pem")
        if code == 0:
            return "yes"
        return next((line for line in said.splitlines() if line.startswith("error ")), "cannot be read")

    def way(self, one: Certificate) -> tuple[str, str]:
        """Our verdict on the path from a certificate to a root: ``yes``, or the reason; and the rule for the reason."""
        if self.bundle is None:
            return "no_bundle", ""
        problem = chain.build(one, (), self.bundle, NOW).problem
        if problem is None or problem.reason in path.TIME:
            return "yes", ""
        weak = problem.reason == path.BAD_SIGNATURE and ("made with" in problem.message or "can be broken" in problem.message)
        restricted = problem.reason == path.WRONG_USAGE and "has the extension" in problem.message
        return problem.reason, "weak" if weak else "restricted" if restricted else ""

    def ek(self, file: pathlib.Path) -> Line:
        """The line for an EK certificate."""
        data = content(file)
        try:
            found = certificate.read(data)
        except TrustError as error:
            theirs = self.theirs(data)
            return Line("ek", file.name, f"no ({error.reason})", theirs, theirs != "yes")
        ours, rule = self.way(found.parsed)
        try:
            certificate.check_usage(found)
        except TrustError as error:
            ours, rule = error.reason, "not_an_ek"
        way = (found.parsed, *chain.build(found.parsed, (), self.bundle, NOW).above) if self.bundle else (found.parsed,)
        return self._line("ek", file, found.der, (ours, rule), sorted({*found.overlooked, *overlooked_on(way)}))

    def ca(self, file: pathlib.Path) -> Line:
        """The line for a CA certificate."""
        data = self.cas[file]
        loaded = t.cast("bundle.Bundle", self.bundle)
        one = next((each for each in loaded.certificates if der_of(each) == data), None)
        if one is None:
            number = list(self.cas).index(file) + 1
            why = next(told.words[0] for told in loaded.left_out if told.number == number)
            return self._line("roots", file, data, (why, why if why in RULES else ""))
        if data in loaded.roots:
            return self._line("roots", file, data, ("yes", ""), overlooked_on((one,)))
        verdict = ("no_root", "") if is_self_issued(one) else self.way(one)
        return self._line("roots", file, data, verdict, overlooked_on((one, *chain.build(one, (), loaded, NOW).above)))

    def _line(self, kind: str, file: pathlib.Path, data: bytes, verdict: tuple[str, str], overlooked: t.Sequence[str] = ()) -> Line:
        ours, rule = verdict
        theirs = self.theirs(data)
        agree = (ours == "yes") == (theirs == "yes")
        shown = "yes" if ours == "yes" else f"no ({ours})"
        return Line(kind, file.name, " ".join([shown, *overlooked]), theirs, agree, "" if agree else rule)


def log(file: pathlib.Path) -> Line:
    """The line for an event log: compares the PCR values that we compute from it with tpm2_eventlog's."""
    code, said = run("tpm2_eventlog", file)
    theirs: dict[tuple[str, int], str] = {}
    bank = ""
    for line in said.partition("\npcrs:")[2].splitlines():
        named, value = re.fullmatch(r"  (\w+):", line), re.fullmatch(r"    (\d+) *: 0x([0-9a-f]+)", line)
        if named:
            bank = named[1]
        elif value:
            theirs[bank, int(value[1])] = value[2]
    try:
        replayed = event_log.replay(event_log.parse(file.read_bytes()))
    except TpmError as error:
        rule = "vendor_part" if "vendor's part" in error.message else ""
        return Line("eventlog", file.name, f"no ({error.message})", f"{len(theirs)} PCRs", code != 0, "" if code else rule)
    ours = {(name, pcr): value.hex() for name, values in replayed.items() for pcr, value in values.items()}
    return Line("eventlog", file.name, f"{len(ours)} PCRs", f"{len(theirs)} PCRs", ours == theirs)


_SHOWN = re.compile(r"d=(\d+) .*(?:prim|cons): (.+?)\s*(?::(.*))?$")


def key(file: pathlib.Path) -> Line:
    """The line for a key file: compares kind, parent and the sizes of both parts with those of `openssl asn1parse`."""
    data = file.read_bytes().replace(b"\\n", b"\n")  # files copied from source code have a backslash and an n for a new line
    _code, said = run("openssl", "asn1parse", given=data)
    rows = [(match[2].strip(), match[3] or "") for match in map(_SHOWN.search, said.splitlines()) if match and match[1] == "1"]
    kind = next((value for name, value in rows if name == "OBJECT"), "")
    parent = next((int(value, 16) & 0xFFFFFFFF for name, value in rows if name == "INTEGER"), 0)
    sizes = [len(value) // 2 for name, value in rows if name.startswith("OCTET STRING")]
    words = {"2.23.133.10.1.3": "loadable", "2.23.133.10.1.4": "importable", "2.23.133.10.1.5": "sealed"}
    theirs = f"{words.get(kind, 'no key')} {parent:#010x} {sizes}"
    try:
        found = keyfile.read(data, file.name)
    except TpmError as error:
        rule = "importable" if kind.endswith(".1.4") else "no_parent" if not parent else ""
        rule = "old_format" if b"TSS2 PRIVATE KEY" not in data else rule
        agree = kind not in words
        return Line("keyfile", file.name, f"no ({error.message})", theirs, agree, "" if agree else rule)
    sealed = found.sealed or kind == "2.23.133.10.1.5"
    ours = f"{'sealed' if sealed else 'loadable'} {found.parent:#010x} [{len(found.public.raw) + 2}, {len(found.private) + 2}]"
    # A sealed blob may be in a file for a loadable key, as tpm2_encodeobject writes it.
    return Line("keyfile", file.name, ours, theirs, ours == theirs or ours.replace("sealed", "loadable") == theirs)


def judge(folder: pathlib.Path) -> t.Iterator[Line]:
    """The lines for every file of a folder."""
    with tempfile.TemporaryDirectory() as name:
        found = Certificates(folder, pathlib.Path(name))
        yield from map(found.ca, found.cas)
        yield from map(found.ek, found.eks)
    yield from map(log, files(folder, "eventlog"))
    yield from map(key, files(folder, "keyfile"))


def main(arguments: list[str]) -> int:
    """Print the lines and a summary; return the exit status."""
    if len(arguments) != 1 or not pathlib.Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    missing = [one for one in ("openssl", "tpm2_eventlog") if not shutil.which(one)]
    if missing:
        print(f"Could not compare: there is no {' and no '.join(missing)}; install openssl and tpm2-tools.", file=sys.stderr)
        return 2
    lines = []
    for line in judge(pathlib.Path(arguments[0])):
        lines.append(line)
        print(line)
    if not lines:
        print(f"Could not compare: {arguments[0]} has none of the folders ek, roots, eventlog and keyfile.", file=sys.stderr)
        return 2
    rules = sorted({one.rule for one in lines if one.rule})
    differ = [one for one in lines if not one.agree and not one.rule]
    print(f"\n{len(lines)} files, {sum(one.agree for one in lines)} with one verdict, {len(differ)} that differ without a rule")
    for rule in rules:
        print(f"  [{rule}] {sum(one.rule == rule for one in lines)}: {RULES[rule]}")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
