# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the replacement of a lockout auth has come; what a TPM says of the digests is in tests/integration/test_rotation_digests.py."""

from __future__ import annotations

import hashlib
import struct

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._protocol import rotation
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms as alg
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import attributes, names, policy

OLD, NEW, OTHER = b"the old value of 24 byte", b"the new value of 24 byte", b"somebody else's value..."


@pytest.mark.parametrize(
    ("found", "progress"),
    [
        (b"", rotation.NOT_BEGUN),
        (rotation.marker(OLD), rotation.NOT_BEGUN),
        (rotation.bridge(OLD, NEW), rotation.BEGUN),
        (rotation.marker(NEW), rotation.DONE),
        (rotation.bridge(NEW, OLD), rotation.UNKNOWN),
        (rotation.bridge(OLD, OTHER), rotation.UNKNOWN),
        (rotation.bridge(OTHER, NEW), rotation.UNKNOWN),
        (rotation.marker(OTHER), rotation.UNKNOWN),
        (bytes(32), rotation.UNKNOWN),
        (rotation.marker(NEW)[:-1], rotation.UNKNOWN),
    ],
)
def test_the_policy_tells_how_far_it_has_come(found: bytes, progress: str) -> None:
    assert rotation.progress(found, OLD, NEW) == progress


def test_the_first_auth_is_set_from_nothing() -> None:
    assert rotation.progress(rotation.bridge(b"", NEW), b"", NEW) == rotation.BEGUN
    assert rotation.progress(b"", b"", NEW) == rotation.NOT_BEGUN


def test_values_cannot_be_shifted_from_one_to_the_other() -> None:
    assert rotation.bridge(b"ab", b"c" * 16) != rotation.bridge(b"a", b"b" + b"c" * 16)
    assert len({rotation.bridge(OLD, NEW), rotation.bridge(NEW, OLD), rotation.marker(OLD), rotation.marker(NEW)}) == 4


def test_what_everybody_can_read_holds_no_value() -> None:
    secret, command = rotation.steps(OLD, NEW)
    assert command == policy.CommandCode(0x129)
    seen = rotation.bridge(OLD, NEW) + rotation.marker(NEW) + secret.public.raw + secret.public.name
    assert OLD not in seen and NEW not in seen and secret.value not in seen
    assert OLD not in secret.sensitive and NEW not in secret.sensitive


def test_the_object_is_bound_to_its_secret() -> None:
    """Part 1, section 27.5.3.2: unique of a keyed hash object is the hash over its obfuscation value and data."""
    secret = rotation.steps(OLD, NEW)[0]
    kind, auth, seed, data = _sensitive(secret.sensitive)
    assert (kind, auth) == (alg.KEYEDHASH, secret.value)
    assert names.parse_public(secret.public.raw).unique[2:] == hashlib.sha256(seed + data).digest()
    # A wrong try must cost nothing, and the auth alone must not open what a policy should.
    assert set(attributes.names(secret.public.attributes, attributes.OBJECT)) == {"userwithauth", "noda"}
    assert len({auth, seed, data}) == 3 and {len(part) for part in (auth, seed, data)} == {32}


def _sensitive(raw: bytes) -> tuple[int, bytes, bytes, bytes]:
    (kind,), parts, at = struct.unpack(">H", raw[:2]), [], 2
    for _each in range(3):
        size = int.from_bytes(raw[at : at + 2], "big")
        parts.append(raw[at + 2 : at + 2 + size])
        at += 2 + size
    assert at == len(raw)
    return kind, parts[0], parts[1], parts[2]
