# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An enrolled device logs in at a TLS server with its LDevID, whose key never leaves the TPM: openssl at both ends, the provider tpm2 at the client's."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import socket
import subprocess
import time
import typing as t

import pytest
from support import abrmd, lab_ca, module
from support.controller import said
from support.factory import Line, Unit
from support.ports import PortPair
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

HANDLE = "0x81000220"
# Signing alone is the TPM's; what it has in hashes and ciphers is slow, and takes more memory than it has.
FROM_TPM = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2,tpm2.digest!=yes,tpm2.cipher!=yes")
WORDS, BACK = "who am I", "I ma ohw"
START_SECONDS = 30.0


@pytest.fixture
def enrolled(line: Line) -> tuple[Line, Unit, str]:
    """A line with a device that has an LDevID, and what the run said."""
    unit = line.put("edge-01")
    done = line.play("edgefleet.tpm2.day_zero", "-v", tpm2_identity_ldevid={"lifetime": 30, "renew_before": 10})
    assert done.returncode == 0, said(done)
    return line, unit, done.stdout + done.stderr


@dataclasses.dataclass
class Server:
    """openssl s_server: it takes clients alone whose certificate leads to the factory's root, and turns their words round."""

    line: Line
    folder: pathlib.Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.ports = PortPair()
        key = lab_ca.new_key()
        (self.folder / "server.key").write_bytes(lab_ca.private_pem(key, None))
        (self.folder / "server.pem").write_text(lab_ca.pem(lab_ca.root("Broker").certify("localhost", key, ca=False)))

    @contextlib.contextmanager
    def running(self) -> t.Iterator[Server]:
        """Start it and wait until it listens."""
        command = ["openssl", "s_server", "-accept", f"127.0.0.1:{self.ports.data}", "-rev"]
        command += ["-cert", str(self.folder / "server.pem"), "-key", str(self.folder / "server.key")]
        # -Verify: a client without a certificate is refused; depth 2: device, CA, root.
        command += ["-CAfile", str(self.line.ca.root_path), "-Verify", "2", "-verify_return_error"]
        with self.log.open("wb") as log, subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as process:
            try:
                self._wait(process)
                yield self
            finally:
                process.terminate()
        self.ports.release()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.ports.data)):
                return
            time.sleep(0.02)
        raise AssertionError(f"s_server did not start: {self.said}")

    @property
    def log(self) -> pathlib.Path:
        """What it writes."""
        return self.folder / "log"

    @property
    def said(self) -> str:
        """What it has said."""
        return self.log.read_text(errors="replace")

    def client(self, *arguments: str | pathlib.Path, environment: dict[str, str] | None = None) -> str:
        """Say some words; return all that the client said, the server's answer among it if there was one."""
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{self.ports.data}", "-ign_eof", *map(str, arguments)]
        done = subprocess.run(command, input=f"{WORDS}\nCLOSE\n", env=environment, capture_output=True, text=True, timeout=120, check=False)
        return done.stdout + done.stderr


@contextlib.contextmanager
def provider(tcti: str) -> t.Iterator[dict[str, str]]:
    """The environment in which OpenSSL's provider finds the TPM at `tcti`."""
    with abrmd.running(tcti) as environment:
        yield {**environment, "TPM2OPENSSL_TCTI": abrmd.TCTI}


def test_a_device_logs_in_with_its_ldevid_and_nobody_else_does(
    enrolled: tuple[Line, Unit, str], new_swtpm: t.Callable[..., Swtpm], system_python: str, tmp_path: pathlib.Path
) -> None:
    line, unit, _said = enrolled
    certificate, other = unit.folder / "ldevid.cert.pem", new_swtpm()
    mine = ("-cert", certificate, "-cert_chain", certificate, "-key", f"handle:{HANDLE}", *FROM_TPM)
    with Server(line, tmp_path / "server").running() as server:
        with Proxy(unit.swtpm) as proxy, provider(proxy.tcti) as environment:
            told = server.client(*mine, environment=environment)
            assert BACK in told, told + server.said
            assert "TPM2_Sign" in proxy.codes()
            assert "EF-EDGE-01" in server.said
        # Without a certificate; with the certificate and no key.
        assert BACK not in server.client()
        assert "peer did not return a certificate" in server.said
        assert BACK not in server.client("-cert", certificate)
        # Beside another TPM, which has no such key, then one of its own; the key that is made there is as good as any.
        with provider(other.tcti) as environment:
            assert BACK not in server.client(*mine, environment=environment)
        module.run("tpm2_primary_key", {"tcti": other.tcti, "template": "srk_ecc_p256"}, python=system_python).expect_ok()
        made = {"tcti": other.tcti, "handle": HANDLE, "usage": "sign", "algorithm": "ecc_p256"}
        module.run("tpm2_key", made, python=system_python).expect_ok()
        with provider(other.tcti) as environment:
            told = server.client(*mine, environment=environment)
            assert BACK not in told and "key values mismatch" in told
        # The server is there all the time.
        with provider(unit.swtpm.tcti) as environment:
            assert BACK in server.client(*mine, environment=environment)


def test_the_private_key_is_nowhere_but_in_the_tpm(enrolled: tuple[Line, Unit, str], tmp_path: pathlib.Path) -> None:
    line, unit, output = enrolled
    key = Tools(unit.swtpm.tcti).readpublic(HANDLE)
    assert {"fixedtpm", "fixedparent", "sensitivedataorigin", "sign"} <= key.attributes
    certified = ["openssl", "x509", "-in", str(unit.folder / "ldevid.cert.pem"), "-noout", "-pubkey"]
    assert subprocess.run(certified, capture_output=True, text=True, check=True).stdout == key.pem
    # The one private key that there is, in any PEM form, is that of the factory's CA.
    found = [path for path in tmp_path.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert found == [line.ca.folder / "ca.key"]
    assert "PRIVATE KEY" not in output
    assert sorted(path.name for path in unit.folder.iterdir()) == [
        "ak.pub.pem", "iak.cert.pem", "idevid.cert.pem", "ldevid.cert.pem", "mqtt.pub.pem"
    ]  # fmt: skip
