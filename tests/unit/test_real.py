# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""scripts/real, which compares what we say of other people's data with OpenSSL and tpm2-tools, over a folder of look-alikes."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest
from support import ek_lab, event_log
from support.places import ROOT

KEY = ek_lab.ecc_key().public_key()


def real(folder: pathlib.Path, **environment: str) -> tuple[int, list[str], str]:
    """Exit status, the lines of the files, and all that was said."""
    command = [sys.executable, str(ROOT / "scripts" / "real.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment})
    lines = [line for line in done.stdout.splitlines() if " ours: " in line]
    return done.returncode, lines, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """One file of each kind that a vendor or a verdict makes different."""
    nuvoton, plain, weak_key = ek_lab.nuvoton_root(), ek_lab.root("Lab Plain Root"), ek_lab.rsa_key()
    weak, other = ek_lab.root("Lab Weak Root", key=weak_key), ek_lab.root("Lab Other Root")
    made = {
        "roots/nuvoton.der": nuvoton.der,
        "roots/plain.pem": ek_lab.pem(plain.der),
        "roots/printable.der": ek_lab.signed_anew(other.der, other.key, ek_lab.printable),
        "roots/below.der": other.sub("Lab CA").der,
        "roots/weak.der": weak.der,
        "roots/leaf.der": plain.ek(KEY),
        "ek/nuvoton.der": ek_lab.as_nuvoton(nuvoton, KEY) + b"\xa5" * 64,
        "ek/intel.der": ek_lab.signed_anew(plain.ek(KEY), plain.key, ek_lab.explicit),
        "ek/forged.der": ek_lab.signed_anew(plain.ek(KEY), ek_lab.ecc_key(), ek_lab.explicit),
        "ek/sha1.der": ek_lab.as_sha1(weak.ek(KEY), weak_key),
        "ek/another_purpose.der": plain.ek(KEY, extensions=ek_lab.ek_extensions(KEY, purposes=("2.23.133.8.3",))),
        "ek/stranger.der": ek_lab.root("Nobody").ek(KEY),
        "eventlog/agile": event_log.agile(),
    }
    for name, data in made.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_every_difference_has_a_rule(folder: pathlib.Path) -> None:
    status, lines, said = real(folder)
    found = {line.split()[1]: line for line in lines}
    assert status == 0 and "0 that differ without a rule" in said, said
    assert len(lines) == 13
    for name, words in {
        "nuvoton.der": "ours: yes trailing_bytes unsorted_set",
        "below.der": "ours: yes string_types",
        "intel.der": "ours: yes explicit_default",
        "forged.der": "ours: no (bad_signature) explicit_default",
        "sha1.der": "[weak]",
        "another_purpose.der": "[not_an_ek]",
        "leaf.der": "[not_a_ca]",
        "stranger.der": "ours: no (unknown_issuer)",
        "agile": "ours: ",
    }.items():
        assert words in found[name], found[name]
    assert found["agile"].count(" PCRs") == 2


def test_a_difference_without_a_rule_is_an_error(folder: pathlib.Path) -> None:
    """An openssl that takes everything: what we refuse then differs."""
    (folder / "bin").mkdir()
    (folder / "bin" / "openssl").write_text("#!/bin/sh\nexit 0\n")
    (folder / "bin" / "openssl").chmod(0o755)
    status, lines, said = real(folder, PATH=f"{folder / 'bin'}:{os.environ['PATH']}")
    assert status == 1 and "2 that differ without a rule" in said, said
    assert sorted(line.split()[1] for line in lines if line.endswith("[DIFFERS]")) == ["forged.der", "stranger.der"]


def test_what_cannot_be_compared(tmp_path: pathlib.Path) -> None:
    assert real(tmp_path)[0] == 2 and "none of the folders" in real(tmp_path)[2]
    assert real(tmp_path / "absent")[0] == 2
