# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_key against a TPM: keys in files and at handles, of every usage and algorithm, used with tpm2-tools and OpenSSL."""

from __future__ import annotations

import base64
import os
import pathlib
import subprocess
import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy
from support.tools import ToolError

MODULE = "tpm2_key"
HANDLE, NUMBER = "0x81000210", 0x81000210
EMPTY_AUTH = bytes.fromhex("a0030101ff")
BASE = {"fixedtpm", "fixedparent", "sensitivedataorigin", "noda"}


def _bench(proxy: Proxy, python: str) -> Bench:
    """A TPM that has its storage root key."""
    made = Bench(proxy, python)
    made.ok("tpm2_primary_key")
    return made


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return _bench(proxied, device_python)


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return _bench(proxied, system_python)


@pytest.fixture
def path(device_dir: pathlib.Path) -> pathlib.Path:
    return device_dir / "key.pem"


def actions(answer: dict[str, t.Any]) -> list[str]:
    return [step["action"] for step in answer["steps"]]


def openssl(bench: Bench, *arguments: str | pathlib.Path, stdin: bytes = b"") -> bytes:
    """Run OpenSSL with its tpm2 provider on the TPM."""
    environment = {**os.environ, "TPM2OPENSSL_TCTI": bench.proxy.swtpm.tcti}
    done = subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


PROVIDER = ("-provider", "tpm2", "-provider", "default", "-propquery", "?provider=tpm2")


def sign_and_verify(bench: Bench, key: str | pathlib.Path, public: pathlib.Path, folder: pathlib.Path) -> None:
    """OpenSSL signs with the TPM's key, and verifies with the exported public key and no TPM."""
    (folder / "data").write_bytes(b"telegram")
    bench.tools.flush_all()
    openssl(
        bench, "pkeyutl", *PROVIDER, "-sign", "-inkey", key, "-rawin", "-digest", "sha256", "-in", folder / "data", "-out", folder / "sig"
    )
    bench.tools.flush_all()
    arguments = ("-verify", "-pubin", "-inkey", public, "-rawin", "-digest", "sha256", "-in", folder / "data", "-sigfile", folder / "sig")
    assert b"Verified Successfully" in openssl(bench, "pkeyutl", *arguments)


def test_in_a_file(both: Bench, path: pathlib.Path, device_dir: pathlib.Path) -> None:
    public = device_dir / "key.pub.pem"
    done = both.cycle(MODULE, path=str(path), public_path=str(public))
    assert actions(done) == ["create", "export"]
    assert done["steps"][0]["cost"]["key_generations"] == 1 and done["steps"][0]["cost"]["persistent_slots"] == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert both.tools.handles() == [0x81000001]
    sign_and_verify(both, path, public, device_dir)


def test_at_a_handle(both: Bench, device_dir: pathlib.Path) -> None:
    public = device_dir / "key.pub.pem"
    done = both.cycle(MODULE, handle=HANDLE, public_path=str(public))
    assert done["steps"][0]["cost"]["persistent_slots"] == 1
    seen = both.tools.readpublic(NUMBER)
    assert seen.name == done["resources"][0]["name"]
    assert public.read_text() == seen.pem
    sign_and_verify(both, f"handle:{HANDLE}", public, device_dir)


def test_in_a_file_and_at_a_handle(both: Bench, path: pathlib.Path) -> None:
    done = both.cycle(MODULE, path=str(path), handle=HANDLE)
    assert len(done["steps"]) == 1
    name = both.tools.readpublic(NUMBER).name
    both.tools.run("load", "-Q", "-r", path, "-c", path.with_name("key.ctx"))
    assert both.tools.readpublic(str(path.with_name("key.ctx"))).name == name


def test_a_missing_handle_is_filled_from_the_file(both: Bench, path: pathlib.Path) -> None:
    """As after a run that was cut off in between: no second key generation."""
    both.ok(MODULE, path=str(path), handle=HANDLE)
    name = both.tools.readpublic(NUMBER).name
    both.tools.run("evictcontrol", "-Q", "-C", "o", "-c", HANDLE)
    done = both.cycle(MODULE, path=str(path), handle=HANDLE, loads=True)
    assert done["steps"][0]["cost"]["key_generations"] == 0
    assert "load the key of its file" in done["steps"][0]["sentence"]
    assert both.tools.readpublic(NUMBER).name == name == done["resources"][0]["name"]


def test_a_missing_file_is_a_mismatch(bench: Bench, path: pathlib.Path) -> None:
    bench.ok(MODULE, path=str(path), handle=HANDLE)
    path.unlink()
    assert "cannot be written to it" in bench.failed(MODULE, path=str(path), handle=HANDLE)
    name = bench.tools.readpublic(NUMBER).name
    bench.cycle(MODULE, path=str(path), handle=HANDLE, on_mismatch="replace")
    assert bench.tools.readpublic(NUMBER).name != name


def test_file_and_handle_of_two_keys(bench: Bench, path: pathlib.Path) -> None:
    bench.ok(MODULE, path=str(path))
    bench.ok(MODULE, handle=HANDLE)
    assert "holds another key" in bench.failed(MODULE, path=str(path), handle=HANDLE)


@pytest.mark.parametrize("where", ["file", "handle", "both"])
def test_absent(bench: Bench, path: pathlib.Path, where: str) -> None:
    options = {"path": str(path)} if where != "handle" else {}
    options.update({"handle": HANDLE} if where != "file" else {})
    bench.idle(MODULE, state="absent", **options)
    bench.ok(MODULE, **options)
    done = bench.cycle(MODULE, state="absent", **options)
    assert actions(done) == {"file": ["remove_file"], "handle": ["evict_control"], "both": ["evict_control", "remove_file"]}[where]
    assert not path.exists() and bench.tools.handles() == [0x81000001]


def test_absent_where_only_the_file_is_left(bench: Bench, path: pathlib.Path) -> None:
    bench.ok(MODULE, path=str(path))
    assert actions(bench.cycle(MODULE, path=str(path), handle=HANDLE, state="absent")) == ["remove_file"]


SHAPES: list[tuple[str, str, set[str], str]] = [
    ("sign", "ecc_p256", {"userwithauth", "sign"}, "null"),
    ("sign", "ecc_p384", {"userwithauth", "sign"}, "null"),
    ("sign", "rsa_2048", {"userwithauth", "sign"}, "null"),
    ("decrypt", "ecc_p256", {"userwithauth", "decrypt"}, "null"),
    ("decrypt", "rsa_2048", {"userwithauth", "decrypt"}, "oaep"),
    ("decrypt", "rsa_3072", {"userwithauth", "decrypt"}, "oaep"),
    ("restricted_sign", "ecc_p256", {"userwithauth", "restricted", "sign"}, "ecdsa"),
    ("restricted_sign", "ecc_p384", {"userwithauth", "restricted", "sign"}, "ecdsa"),
    ("restricted_sign", "rsa_2048", {"userwithauth", "restricted", "sign"}, "rsapss"),
    ("storage", "ecc_p256", {"userwithauth", "restricted", "decrypt"}, "null"),
    ("storage", "ecc_p384", {"userwithauth", "restricted", "decrypt"}, "null"),
    ("storage", "rsa_2048", {"userwithauth", "restricted", "decrypt"}, "null"),
]


@pytest.mark.parametrize(("usage", "algorithm", "attributes", "scheme"), SHAPES)
def test_usage_and_algorithm(bench: Bench, usage: str, algorithm: str, attributes: set[str], scheme: str) -> None:
    bench.ok(MODULE, handle=HANDLE, usage=usage, algorithm=algorithm)
    bench.idle(MODULE, handle=HANDLE, usage=usage, algorithm=algorithm)
    public = bench.tools.readpublic(NUMBER)
    assert public.attributes == BASE | attributes
    assert public.area["type"]["value"] == algorithm[:3]
    assert str(public.area.get("bits") or public.area.get("curve-id", {}).get("value")).endswith(algorithm[-4:].lstrip("_p"))
    assert str(public.area.get("scheme", {}).get("value")) in (scheme, "None" if scheme == "null" else scheme)


def test_rsa_in_a_file_signs_and_decrypts(bench: Bench, path: pathlib.Path, device_dir: pathlib.Path) -> None:
    """Larger RSA keys too: OpenSSL signs with the file; what it encrypts to the exported key, tpm2-tools decrypts."""
    public = device_dir / "key.pub.pem"
    bench.ok(MODULE, path=str(path), algorithm="rsa_2048", public_path=str(public))
    sign_and_verify(bench, path, public, device_dir)
    bench.ok(MODULE, handle=HANDLE, usage="decrypt", algorithm="rsa_2048", public_path=str(public))
    options = ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
    sealed = openssl(bench, "pkeyutl", "-encrypt", "-pubin", "-inkey", public, *options, stdin=b"credentials")
    assert bench.tools.rsadecrypt(NUMBER, sealed, "-s", "oaep-sha256") == b"credentials"


def test_auth(both: Bench, path: pathlib.Path, device_dir: pathlib.Path) -> None:
    auth = both.secret("key auth")
    both.cycle(MODULE, path=str(path), handle=HANDLE, auth=auth)
    (device_dir / "data").write_bytes(b"telegram")
    arguments = ("sign", "-c", HANDLE, "-g", "sha256", "-o", device_dir / "sig", device_dir / "data")
    both.tools.run(*arguments[:1], "-p", auth, *arguments[1:])
    with pytest.raises(ToolError):
        both.tools.run(*arguments)
    # noDA: a wrong try costs nothing.
    assert both.tools.lockout_counter() == 0
    assert EMPTY_AUTH not in _der(path)


def test_without_auth_the_file_says_so(bench: Bench, path: pathlib.Path) -> None:
    """Else other programs would ask for a password."""
    bench.ok(MODULE, path=str(path))
    assert EMPTY_AUTH in _der(path)


def _der(path: pathlib.Path) -> bytes:
    text = path.read_text()
    return base64.b64decode(text[text.index("-----BEGIN") :].split("-----")[2])


def test_a_policy_guards_the_key(both: Bench, path: pathlib.Path, device_dir: pathlib.Path) -> None:
    policy = [{"pcr": {"bank": "sha256", "indices": [7]}}, {"command_code": "Sign"}]
    both.cycle(MODULE, path=str(path), handle=HANDLE, policy=policy, commands=3)
    assert both.tools.readpublic(NUMBER).attributes == BASE | {"adminwithpolicy", "sign"}
    session, data = device_dir / "session.ctx", device_dir / "data"
    data.write_bytes(b"telegram")
    arguments = ("-c", HANDLE, "-g", "sha256", "-o", device_dir / "sig", data)
    with pytest.raises(ToolError, match="0x12F"):
        both.tools.run("sign", *arguments)
    both.tools.run("startauthsession", "--policy-session", "-S", session)
    both.tools.run("policypcr", "-Q", "-S", session, "-l", "sha256:7")
    both.tools.run("policycommandcode", "-Q", "-S", session, "TPM2_CC_Sign")
    both.tools.run("sign", "-p", f"session:{session}", *arguments)
    both.tools.flush_all()
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    assert "policy is" in both.failed(MODULE, path=str(path), handle=HANDLE, policy=policy)


def test_a_key_under_another_storage_key(bench: Bench, device_dir: pathlib.Path) -> None:
    bench.ok(MODULE, handle="0x81000220", usage="storage")
    bench.cycle(MODULE, parent="0x81000220", handle=HANDLE)
    assert "it is not a child of 0x81000001" in bench.failed(MODULE, handle=HANDLE)
    assert "parent" in bench.failed(MODULE, parent=HANDLE, handle="0x81000230")
    assert "does not exist" in bench.failed(MODULE, parent="0x81000299", handle="0x81000230")


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"algorithm": "ecc_p384"}, "ecc_p256, not ecc_p384"), ({"usage": "decrypt"}, "it lacks decrypt"), ({"no_da": False}, "it has noda")],
)
def test_something_else_is_replaced_only_when_told(bench: Bench, path: pathlib.Path, options: dict[str, t.Any], reason: str) -> None:
    bench.ok(MODULE, path=str(path), handle=HANDLE)
    message = bench.failed(MODULE, path=str(path), handle=HANDLE, **options)
    assert reason in message and "on_mismatch: replace" in message
    done = bench.cycle(MODULE, path=str(path), handle=HANDLE, **options, on_mismatch="replace")
    assert done["steps"][0]["reversible"] is False


def test_a_key_file_of_another_tpm(bench: Bench, path: pathlib.Path, new_swtpm: t.Callable[..., t.Any]) -> None:
    """Nothing is loaded to find it out: the file says which parent it was made under."""
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        other = Bench(proxy, bench.python)
        other.ok("tpm2_primary_key")
        other.ok(MODULE, path=str(path))
    assert "was made for another TPM" in bench.failed(MODULE, path=str(path), handle=HANDLE)
    bench.cycle(MODULE, path=str(path), handle=HANDLE, on_mismatch="replace")


def test_with_an_owner_auth(bench: Bench) -> None:
    owner = bench.secret("owner")
    bench.tools.run("changeauth", "-c", "o", owner)
    assert "give owner_auth" in bench.failed(MODULE, handle=HANDLE)
    bench.cycle(MODULE, handle=HANDLE, owner_auth=owner)
    bench.cycle(MODULE, handle=HANDLE, owner_auth=owner, state="absent")


def test_the_public_key_never_takes_the_place_of_a_private_one(bench: Bench, path: pathlib.Path, device_dir: pathlib.Path) -> None:
    """Under another name, through links, and in a profile: refused before the first TPM command, and OpenSSL still signs with the key."""
    public = device_dir / "key.pub.pem"
    bench.ok(MODULE, path=str(path), public_path=str(public))
    (device_dir / "soft.pem").symlink_to(path)
    os.link(path, device_dir / "hard.pem")
    kept = path.read_text()
    names = [f"{device_dir}/./key.pem", f"{device_dir}//key.pem", str(device_dir / "hard.pem"), str(device_dir / "soft.pem")]
    for name in names:
        for options in ({}, {"on_mismatch": "replace"}):
            said = bench.failed(MODULE, path=str(path), public_path=name, **options)
            assert "path and public_path are the same file" in said or "symbolic link" in said
            assert bench.proxy.count() == 0
        other = {"key": {"handle": HANDLE, "public_path": name}}
        bench.failed("tpm2_profile", resources=[{"key": {"path": str(path)}}, other])
        assert bench.proxy.count() == 0
    for name in (str(path), names[0], names[2]):
        assert "it holds a key file of a TPM" in bench.failed(MODULE, handle=HANDLE, public_path=name)
        assert "it holds a key file of a TPM" in bench.failed("tpm2_primary_key", public_path=name)
    assert path.read_text() == kept and (device_dir / "soft.pem").is_symlink()
    sign_and_verify(bench, path, public, device_dir)
