# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""EK certificates from vendors' services: which address, what of an answer is taken, and what is kept."""

from __future__ import annotations

import base64
import contextlib
import json
import pathlib
import socket
import typing as t

import pytest
from cryptography.hazmat.primitives import serialization
from support import ek_lab
from support.faults import assert_one_sentence
from support.https import Server

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _https, _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import services

INTEL, AMD = services.SERVICES
RSA_EK = ek_lab.ek_area("ek_rsa_2048", ek_lab.rsa_key().public_key())
ECC_KEY = ek_lab.ecc_key()
ECC_EK = ek_lab.ek_area("ek_ecc_p256", ECC_KEY.public_key())
AUTHORITY = ek_lab.root()
CERTIFICATE = AUTHORITY.ek(ek_lab.rsa_key().public_key())
# Keys of real TPMs, and the addresses at which their certificates are, as go-attestation and tpm2-tools test them.
PUBLISHED = [
    (
        INTEL,
        "ek_rsa_2048",
        """MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwyDi8kSoYBqs8+AdJsZlJJk1Vi3h2hl+nn8HbEaWE8+2U+mOwsOG/B0TPyyMbMM4tzLwsgi9g4qHej5b
        vD4dQIToNcfIkGocBbTS0w/b68HbrZUPprFlvUtqhkYDFGFkwMT1nUiQEe8fko3upukAYfPTdeVkYnMVHvYiJSCYvhpKsB3AoSInxgn9rOsRWvQI1Gk6b0mRl3RpWwwS
        vBih/3EgpzN7L7XxlR2Lt/CU1bVUwRyVI7MHKf5keH0KE7nmMEiNq039hmNKUnDscvzFpE3GeajzKTjdgZfina6Dn1tMoPXeJ8lSLCPFThws5XhZUlEYvURwsYGA7veK
        5CZ7zQIDAQAB""",
        "WVEG2rRwkQ7m3RpXlUphgo6Y2HLxl18h6ZZkkOAdnBE%3D",
    ),
    (
        INTEL,
        "ek_ecc_p256",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEbY52MO5dEeVm6AKZv7nkPOyMRPcLyK2BtQ9pCj3rdJghpTbI/vdIIxPX9FF/EcnytM1CTLyP6QlLiVZoUf4IUw==",
        "eXT1X6I9wqIMOXll9LoXf0adQelkeaBccmoYU8Kth8o%3D",
    ),
    (
        AMD,
        "ek_rsa_2048",
        """MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAo8ID3MRLZQWgq2WIK1qTe2HQxzZgiDWn6Tzw6uQOoXI1iyO9pxIailRxll2NeK1lRVP/dEKCV+mGwv75
        T+y2MmzpFhUY/O5RtEG8TiocDw6WkHRAJ9A9h1OMP+vD3mPClNoA9/ssB36/0ScmVtYR0gRkL+cZkAT6qro7xz4eRKLt8KfX6OG/Y9kCfJsKDCtYbc4OavHSf11VgbBL
        txm7jSVE+pnO+x/om6qwACjZbU4qrq4PUbAxD1S9dJ2cZzKaYSsCA8wMIho0umYa3jGveptunXDcE993BlsUGjLNbXC4aWVEtgo9yu98gKqhYGFEx7Mtk5NYOvWoNvcU
        Be2L2QIDAQAB""",
        "D027B3CE6A9B6B56846D2B9935884A88",
    ),
]


@pytest.mark.parametrize(("service", "template", "spki", "address"), PUBLISHED, ids=["intel-rsa", "intel-ecc", "amd-rsa"])
def test_the_address_of_a_real_key(service: services.Service, template: str, spki: str, address: str) -> None:
    key = t.cast("ek_lab.PublicKey", serialization.load_der_public_key(base64.b64decode(spki)))
    assert service.address(ek_lab.ek_area(template, key)) == address


def test_the_address_of_an_ecc_key_at_amd() -> None:
    assert len(AMD.address(ECC_EK)) == 32 and AMD.address(ECC_EK) == AMD.address(ECC_EK).upper()


def as_intel(der: bytes, padding: str = "%3D") -> bytes:
    """An answer as Intel gives it."""
    text = base64.urlsafe_b64encode(der).decode().replace("=", padding)
    return json.dumps({"pubhash": "x", "certificate": text}).encode()


class Desk:
    """A stand-in for both services, and where certificates are kept."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.server, self.cache = Server(folder / "web"), folder / "kept"
        self.allowed = services.Services(
            frozenset({"intel", "amd"}),
            self.cache,
            {one.name: f"{self.server.url}/{one.name}/" for one in services.SERVICES},
            self.server.ca_file,
            30,
        )

    def serve(self, service: services.Service, ek: names.Public, body: bytes, status: int = 200) -> None:
        self.server.pages[f"/{service.name}/{service.address(ek)}"] = (status, body)

    def find(self, service: services.Service, ek: names.Public = RSA_EK, *, keep: bool = True) -> services.Fetched | None:
        return services.find(self.allowed, service, ek, keep=keep)

    def refused(self, service: services.Service, why: str) -> None:
        with pytest.raises(_https.FetchError) as caught:
            self.find(service)
        assert why in caught.value.message and caught.value.reason == "not_fetched", caught.value.message
        assert_one_sentence(caught.value.message)
        assert not self.cache.exists()


@pytest.fixture
def desk(tmp_path: pathlib.Path) -> t.Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.server.close()


@pytest.mark.parametrize("padding", ["%3D", "=", ""])
def test_intel_answers_with_json(desk: Desk, padding: str) -> None:
    # Followed by some bytes, so that the base64 is padded.
    desk.serve(INTEL, RSA_EK, as_intel(CERTIFICATE + b"\xff" * (1 + -len(CERTIFICATE) % 3), padding))
    assert desk.find(INTEL) == services.Fetched(CERTIFICATE, INTEL, False)


def test_amd_answers_with_der(desk: Desk) -> None:
    der = AUTHORITY.ek(ECC_KEY.public_key())
    desk.serve(AMD, ECC_EK, der)
    assert desk.find(AMD, ECC_EK) == services.Fetched(der, AMD, False)


def test_it_is_fetched_once(desk: Desk) -> None:
    desk.serve(AMD, RSA_EK, CERTIFICATE)
    desk.find(AMD, keep=False)
    assert not desk.cache.exists()
    desk.find(AMD)
    desk.server.pages.clear()
    assert desk.find(AMD) == services.Fetched(CERTIFICATE, AMD, True)
    assert len(desk.server.asked) == 2
    assert [one.read_bytes() for one in desk.cache.iterdir()] == [CERTIFICATE]


@pytest.mark.parametrize("spoiled", [b"", b"nonsense", AUTHORITY.ek(ECC_KEY.public_key())], ids=["empty", "nonsense", "other-key"])
def test_what_was_kept_is_looked_at(desk: Desk, spoiled: bytes) -> None:
    desk.serve(AMD, RSA_EK, CERTIFICATE)
    desk.cache.mkdir()
    path = desk.cache / f"amd-{_keys.spki_sha256(RSA_EK)}.der"
    path.write_bytes(spoiled)
    assert desk.find(AMD) == services.Fetched(CERTIFICATE, AMD, False)
    assert path.read_bytes() == CERTIFICATE


def test_what_lies_there_and_is_no_file_is_not_opened(desk: Desk) -> None:
    """It may be anybody's, in a folder that others write to; a pipe would be waited for."""
    desk.serve(AMD, RSA_EK, CERTIFICATE)
    desk.cache.mkdir()
    path = desk.cache / f"amd-{_keys.spki_sha256(RSA_EK)}.der"
    with socket.socket(socket.AF_UNIX) as odd, contextlib.chdir(desk.cache):
        odd.bind(path.name)
    assert desk.find(AMD) == services.Fetched(CERTIFICATE, AMD, False)
    assert path.read_bytes() == CERTIFICATE


def test_a_folder_that_cannot_be_looked_into(desk: Desk) -> None:
    desk.allowed = desk.allowed._replace(cache=desk.cache.parent / ("x" * 300))
    with pytest.raises(InputError, match="Could not look for the kept EK certificate"):
        desk.find(AMD)
    assert desk.server.asked == []


def test_a_service_that_has_none(desk: Desk) -> None:
    assert desk.find(INTEL) is None and desk.find(AMD) is None
    assert not desk.cache.exists()


NO_CERTIFICATE = {
    "html": b"<html>Sign in</html>",
    "no object": b"[]",
    "no certificate": b'{"pubhash": "x"}',
    "a number": b'{"certificate": 7}',
    "no base64": b'{"certificate": "***"}',
    "not ASCII": '{"certificate": "ä"}'.encode(),
    "nested": b"[" * 20000,
    "nothing": b"",
    "nonsense": as_intel(b"nonsense"),
    "too much": as_intel(CERTIFICATE + bytes(8192)),
    "another key": as_intel(AUTHORITY.ek(ECC_KEY.public_key())),
}


@pytest.mark.parametrize("name", sorted(NO_CERTIFICATE))
def test_an_answer_that_is_no_certificate_of_that_ek(desk: Desk, name: str) -> None:
    desk.serve(INTEL, RSA_EK, NO_CERTIFICATE[name])
    desk.refused(INTEL, "another key" if name == "another key" else "Could not use what https://127.0.0.1:")


def test_a_service_that_is_not_itself(desk: Desk) -> None:
    desk.serve(AMD, RSA_EK, b"", 503)
    desk.refused(AMD, "the server answered HTTP 503")
    desk.serve(AMD, RSA_EK, bytes(services.MAX_ANSWER + 1))
    desk.refused(AMD, "more than 32768 bytes")


@pytest.mark.parametrize(
    ("manufacturer", "names_", "found"),
    [
        ("INTC", {"intel"}, INTEL),
        ("id:494E5443", {"intel", "amd"}, INTEL),
        ("AMD", {"amd"}, AMD),
        ("AMD", {"intel"}, None),
        ("IFX", {"intel", "amd"}, None),
        ("", {"intel", "amd"}, None),
    ],
)
def test_only_the_service_of_its_manufacturer_is_asked(manufacturer: str, names_: set[str], found: services.Service | None) -> None:
    assert services.of(services.Services(frozenset(names_), pathlib.Path()), manufacturer) is found


def test_the_services_are_where_the_vendors_say() -> None:
    assert [one.url for one in services.SERVICES] == ["https://ekop.intel.com/ekcertservice/", "https://ftpm.amd.com/pki/aia/"]
    assert all(_https.check_url(one.url, "url") for one in services.SERVICES)
