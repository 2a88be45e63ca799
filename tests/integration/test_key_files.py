# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files that other programs made: under the default primary key of a hierarchy, and kinds that are named as what they are."""

from __future__ import annotations

import base64
import os
import pathlib
import re
import subprocess
import typing as t

import pytest
from support import module
from support.cycle import Bench
from support.hand import CHILD, SRK, Hand
from support.proxy import Proxy

HANDLE, NUMBER = "0x81000210", 0x81000210
KEY = b"k3y-0f-4-m4ch1ne"
OWNER = bytes.fromhex("020440000001")


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """A blank TPM, with both Pythons: what is made for the moment goes through tpm2-pytss."""
    return Bench(proxied, device_python, {"content": KEY})


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python, {"content": KEY})


def provider(bench: Bench, *arguments: str) -> bytes:
    """OpenSSL with its TPM 2.0 provider on the TPM."""
    command = ["openssl", *arguments[:1], "-provider", "tpm2", "-provider", "default", *arguments[1:]]
    environment = {**os.environ, "TPM2OPENSSL_TCTI": bench.proxy.swtpm.tcti}
    return subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60).stdout


def rewritten(path: pathlib.Path, change: t.Callable[[bytes], bytes]) -> pathlib.Path:
    """A copy of a key file whose DER has been changed, of the same length."""
    body = re.search(r"-----BEGIN TSS2 PRIVATE KEY-----(.*?)-----END", path.read_text(), re.DOTALL)
    assert body
    text = base64.encodebytes(change(base64.b64decode(body.group(1)))).decode()
    copy = path.with_name(f"copy-of-{path.name}")
    copy.write_text(f"-----BEGIN TSS2 PRIVATE KEY-----\n{text}-----END TSS2 PRIVATE KEY-----\n")
    return copy


def in_hierarchy(hand: Hand, hierarchy: str, *arguments: str | pathlib.Path, algorithm: str = "ecc256") -> pathlib.Path:
    """What tpm2_create makes under the default primary key of a hierarchy, in a file that names the hierarchy as OpenSSL's provider does."""
    public, private, parent = (hand.folder / name for name in ("key.pub", "key.priv", "parent.ctx"))
    hand.tools.run("createprimary", "-Q", "-C", hierarchy, "-G", f"{algorithm}:null:aes128cfb", "-a", SRK, "-c", parent)
    hand.tools.run("create", "-Q", "-C", parent, "-u", public, "-r", private, *arguments, stdin=KEY)
    hand.tools.flush_transient()
    number = {"o": "40000001", "e": "4000000b", "p": "4000000c", "n": "40000007"}[hierarchy]
    rsa = b"\xa5\x03\x01\x01\xff" if algorithm.startswith("rsa") else b""
    body = bytes.fromhex("06066781050a0103" + "a0030101ff") + rsa + bytes.fromhex("0204" + number)
    body += b"".join(b"\x04\x82" + len(data).to_bytes(2, "big") + data for data in (public.read_bytes(), private.read_bytes()))
    file = hand.folder / f"{hierarchy}-{algorithm}.pem"
    text = base64.encodebytes(b"\x30\x82" + len(body).to_bytes(2, "big") + body).decode()
    file.write_text(f"-----BEGIN TSS2 PRIVATE KEY-----\n{text}-----END TSS2 PRIVATE KEY-----\n")
    return file


def test_a_key_of_openssls_provider(both: Bench, hand: Hand) -> None:
    """Its parent is the owner hierarchy: the TPM has no key at all, and the file is used all the same."""
    path = hand.folder / "provider.pem"
    path.write_bytes(provider(both, "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256"))
    assert OWNER in base64.b64decode("".join(path.read_text().splitlines()[1:-1]))
    done = both.cycle("tpm2_persistent_handle", path=str(path), handle=HANDLE, loads=True)
    assert done["steps"][0]["cost"]["key_generations"] == 1
    found = both.tools.readpublic(NUMBER)
    assert found.name == done["resources"][0]["name"]
    assert provider(both, "pkey", "-in", str(path), "-pubout").decode() == found.pem


def test_a_key_of_another_tpm_is_refused_before_anything_is_changed(bench: Bench, hand: Hand, new_swtpm: t.Callable[..., t.Any]) -> None:
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        path = hand.folder / "provider.pem"
        path.write_bytes(provider(Bench(proxy, bench.python), "genpkey", "-algorithm", "EC", "-pkeyopt", "group:P-256"))
    message = bench.failed("tpm2_persistent_handle", path=str(path), handle=HANDLE)
    assert "this TPM does not load it" in message and "use it where it was made" in message


@pytest.mark.parametrize(("hierarchy", "algorithm"), [("o", "ecc256"), ("e", "ecc256"), ("p", "ecc256"), ("n", "ecc256"), ("o", "rsa2048")])
def test_a_blob_under_the_default_primary_of_a_hierarchy(bench: Bench, hand: Hand, hierarchy: str, algorithm: str) -> None:
    path = in_hierarchy(hand, hierarchy, "-a", "fixedtpm|fixedparent|userwithauth|noda", "-i", "-", algorithm=algorithm)
    answer = module.run("tpm2_unseal", {"tcti": bench.proxy.tcti, "path": str(path)}, python=bench.python).expect_ok()
    assert base64.b64decode(answer["content_b64"]) == KEY
    assert bench.tools.transients() == []


def test_a_blob_is_kept_and_verified_where_it_is(bench: Bench, hand: Hand) -> None:
    bench.ok("tpm2_primary_key")
    path = in_hierarchy(hand, "o", "-L", hand.pcr_policy(), "-a", "fixedtpm|fixedparent|noda", "-i", "-")
    options = {"path": str(path), "content_b64": base64.b64encode(KEY).decode(), "pcrs": {"bank": "sha256", "indices": [7]}}
    bench.idle("tpm2_sealed_blob", **options, commands=3)
    bench.idle("tpm2_sealed_blob", **options, verify="unseal", reads=True)


def test_a_key_under_the_default_primary_is_kept_at_a_handle(both: Bench, hand: Hand) -> None:
    path = in_hierarchy(hand, "o", "-G", "ecc256", "-a", f"{CHILD}|sign")
    both.idle("tpm2_key", path=str(path))
    both.idle("tpm2_key", path=str(path), parent="0x40000001")
    both.cycle("tpm2_key", path=str(path), handle=HANDLE, loads=True, commands=3)  # there is no SRK: is the hierarchy disabled?
    null = rewritten(path, lambda data: data.replace(OWNER, bytes.fromhex("020440000007")))
    assert "is a key of the null hierarchy, and no key of that hierarchy can be persistent" in both.failed(
        "tpm2_key", path=str(null), handle=HANDLE
    )
    message = both.failed("tpm2_key", path=str(path), parent="0x81000230")
    assert "under the parent 0x40000001 (the default primary key of that hierarchy), not 0x81000230" in message


def test_the_owner_auth_is_asked_for(bench: Bench, hand: Hand) -> None:
    """To make a primary key takes the hierarchy's auth."""
    path = in_hierarchy(hand, "o", "-G", "ecc256", "-a", f"{CHILD}|sign")
    owner = bench.secret("owner")
    bench.tools.run("changeauth", "-c", "o", owner)
    assert "give owner_auth" in bench.failed("tpm2_persistent_handle", path=str(path), handle=HANDLE)
    bench.cycle("tpm2_persistent_handle", path=str(path), handle=HANDLE, owner_auth=owner, loads=True)


def test_verify_load_sees_a_file_of_another_tpm(both: Bench, device_dir: pathlib.Path, new_swtpm: t.Callable[..., t.Any]) -> None:
    """Without it only what the file says is compared; a file of another program says nothing of its parent."""
    path = device_dir / "key.pem"
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        other = Bench(proxy, both.python)
        other.ok("tpm2_primary_key")
        other.ok("tpm2_key", path=str(path))
    path.write_text(path.read_text()[path.read_text().index("-----BEGIN") :])
    both.ok("tpm2_primary_key")
    both.idle("tpm2_key", path=str(path))
    message = both.failed("tpm2_key", path=str(path), verify="load")
    assert "this TPM does not load it" in message
    both.failed("tpm2_key", path=str(path), handle=HANDLE)
    both.cycle("tpm2_key", path=str(path), verify="load", on_mismatch="replace", reads=True)


def test_a_file_with_an_empty_private_part(bench: Bench, device_dir: pathlib.Path) -> None:
    bench.ok("tpm2_primary_key")
    path = device_dir / "key.pem"
    bench.ok("tpm2_key", path=str(path))

    def emptied(body: bytes) -> bytes:
        head = 2 + (body[1] & 0x7F if body[1] & 0x80 else 0)
        public = body.index(b"\x04\x58\x00\x56")
        inner = body[head : public + 0x5A] + b"\x04\x02\x00\x00"
        return b"\x30\x81" + bytes([len(inner)]) + inner

    empty = rewritten(path, emptied)
    for options in ({}, {"verify": "load"}, {"handle": HANDLE}):
        assert "its private part is empty" in bench.failed("tpm2_key", path=str(empty), **options)
    assert "its private part is empty" in bench.failed("tpm2_persistent_handle", path=str(empty), handle=HANDLE)


def test_kinds_that_are_not_read_are_named(bench: Bench, device_dir: pathlib.Path) -> None:
    bench.ok("tpm2_primary_key")
    path = device_dir / "key.pem"
    bench.ok("tpm2_key", path=str(path))
    importable = rewritten(path, lambda body: body.replace(bytes.fromhex("6781050a0103"), bytes.fromhex("6781050a0104")))
    message = bench.failed("tpm2_persistent_handle", path=str(importable), handle=HANDLE)
    assert "it holds an importable key" in message and "tpm2_import" in message
    old = device_dir / "old.pem"
    old.write_text(path.read_text().replace("TSS2 PRIVATE KEY", "TSS2 KEY BLOB"))
    message = bench.failed("tpm2_unseal", path=str(old))
    assert "older form 'TSS2 KEY BLOB'" in message and "convert it" in message
    loaded = rewritten(path, lambda body: body.replace(bytes.fromhex("81000001"), bytes.fromhex("80000001")))
    message = bench.failed("tpm2_persistent_handle", path=str(loaded), handle=HANDLE)
    assert "names as its parent 0x80000001, which is neither a persistent handle nor a hierarchy" in message
    for words in ("remove", "anew", "seal the content again"):
        assert words not in message
