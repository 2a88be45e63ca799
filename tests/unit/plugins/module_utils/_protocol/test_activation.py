# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to a credential, as OpenSSL works it out."""

from __future__ import annotations

import subprocess

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import activation


@pytest.mark.parametrize(("secret", "nonce"), [(b"\x01" * 32, b"\x02" * 32), (b"s" * 64, b""), (b"a secret of 20 bytes", b"nonce")])
def test_the_proof_is_what_the_documentation_says(secret: bytes, nonce: bytes) -> None:
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{secret.hex()}", "-binary"]
    done = subprocess.run(command, input=b"edgefleet.tpm2 activation" + nonce, capture_output=True, check=True)
    assert activation.proof(secret, nonce) == done.stdout
    assert len(done.stdout) == 32


def test_the_proof_hangs_on_secret_and_nonce() -> None:
    proofs = {activation.proof(secret, nonce) for secret in (b"a", b"b") for nonce in (b"a", b"b")}
    assert len(proofs) == 4
