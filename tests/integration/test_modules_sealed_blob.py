# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_sealed_blob and tpm2_unseal against a TPM; tpm2-tools opens what they sealed."""

from __future__ import annotations

import base64
import grp
import hashlib
import os
import pathlib
import pwd
import typing as t

import pytest
from support import module
from support.cycle import Bench
from support.proxy import Proxy
from support.swtpm import MEASURED_BOOT
from support.tools import ToolError

MODULE = "tpm2_sealed_blob"
PCRS = {"bank": "sha256", "indices": [7]}


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
def path(device_dir: pathlib.Path) -> str:
    return str(device_dir / "blob.pem")


def test_cycle(both: Bench, path: str) -> None:
    content = both.secret("content")
    done = both.cycle(MODULE, path=path, content=content, pcrs=PCRS)
    assert [step["action"] for step in done["steps"]] == ["create"]
    assert done["steps"][0]["cost"]["key_generations"] == 0
    assert done["diff"]["before"] == {path: None}
    assert done["diff"]["after"][path]["parent"] == "0x81000001"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert both.tools.load_unseal(path) == content.encode()
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    with pytest.raises(ToolError, match="0x99D"):
        both.tools.load_unseal(path)


def test_after_a_change_of_a_pcr_it_is_sealed_again_when_told(both: Bench, path: str) -> None:
    content = both.secret("content")
    both.ok(MODULE, path=path, content=content, pcrs=PCRS)
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    message = both.failed(MODULE, path=path, content=content, pcrs=PCRS)
    assert "PCRs may have changed" in message and "on_mismatch: replace" in message
    done = both.cycle(MODULE, path=path, content=content, pcrs=PCRS, on_mismatch="replace")
    assert done["steps"][0]["reversible"] is False
    assert both.tools.load_unseal(path) == content.encode()


def test_a_blob_for_a_state_to_come(bench: Bench, path: str) -> None:
    """Sealed to the value that a PCR will have after an update; that it is not now does not matter."""
    content, measured = bench.secret("content"), "11" * 32
    coming = hashlib.sha256(bytes.fromhex(bench.tools.pcrread(7)) + bytes.fromhex(measured)).hexdigest()
    options = {"path": path, "pcrs": {**PCRS, "values": {"7": coming}}}
    bench.cycle(MODULE, **options, content=content)
    assert "another value now" in bench.failed("tpm2_unseal", **options)
    bench.tools.run("pcrextend", f"7:sha256={measured}")
    bench.idle(MODULE, **options, content=content)
    assert bench.tools.load_unseal(path) == content.encode()
    assert base64.b64decode(unsealed(bench, **options)) == content.encode()


def unsealed(bench: Bench, **options: t.Any) -> str:
    """What tpm2_unseal returns, which of all answers is the one that holds a secret."""
    bench.proxy.reset()
    answer = module.run("tpm2_unseal", {"tcti": bench.proxy.tcti, **options}, python=bench.python).expect_ok()
    assert not answer["changed"]
    assert bench.proxy.writes() == []
    return str(answer["content_b64"])


@pytest.mark.parametrize("kind", ["content", "content_b64", "src"])
def test_ways_to_give_the_content(bench: Bench, path: str, device_dir: pathlib.Path, kind: str) -> None:
    content = bench.secret("content", 32)
    (device_dir / "source").write_text(content)
    value = {"content": content, "content_b64": base64.b64encode(content.encode()).decode(), "src": str(device_dir / "source")}[kind]
    bench.cycle(MODULE, path=path, pcrs=PCRS, **{kind: value})
    assert bench.tools.load_unseal(path) == content.encode()


def test_the_source_is_needed_only_once(bench: Bench, path: str, device_dir: pathlib.Path) -> None:
    """A blob that is there needs no content any more: nobody has to keep the plain secret."""
    assert "no content to seal" in bench.failed(MODULE, path=path, pcrs=PCRS)
    bench.ok(MODULE, path=path, pcrs=PCRS, content=bench.secret("content"))
    bench.idle(MODULE, path=path, pcrs=PCRS)


def test_the_largest_content(bench: Bench, path: str) -> None:
    content = bytes(range(128))
    bench.secrets["content"] = content
    bench.cycle(MODULE, path=path, pcrs=PCRS, content_b64=base64.b64encode(content).decode())
    assert bench.tools.load_unseal(path) == content


def test_verify_unseal_sees_other_content(both: Bench, path: str) -> None:
    """Without it only the policy is compared, for nobody can look into a blob for nothing."""
    first, second = both.secret("first"), both.secret("second")
    both.cycle(MODULE, path=path, content=first, pcrs=PCRS, verify="unseal", reads=True)
    both.idle(MODULE, path=path, content=second, pcrs=PCRS)
    assert "it holds other content" in both.failed(MODULE, path=path, content=second, pcrs=PCRS, verify="unseal")
    both.cycle(MODULE, path=path, content=second, pcrs=PCRS, verify="unseal", on_mismatch="replace", reads=True)
    assert both.tools.load_unseal(path) == second.encode()


def test_auth(both: Bench, path: str) -> None:
    content, auth = both.secret("content"), both.secret("blob auth")
    both.cycle(MODULE, path=path, content=content, auth=auth, verify="unseal", reads=True)
    assert both.tools.load_unseal(path, pcrs=None, auth=auth) == content.encode()
    with pytest.raises(ToolError, match="0x9A2|0x98E"):
        both.tools.load_unseal(path, pcrs=None, auth="wrong")
    assert both.tools.lockout_counter() == 0
    assert base64.b64decode(unsealed(both, path=path, auth=auth)) == content.encode()
    assert both.run("tpm2_unseal", path=path, auth=both.secret("wrong")).expect_failed()


def test_two_branches(both: Bench, path: str) -> None:
    """The measured state opens it, or else a recovery PIN."""
    content, pin = both.secret("content"), both.secret("pin")
    policy = [{"or": [[{"pcr": PCRS}], ["auth_value"]]}]
    both.cycle(MODULE, path=path, content=content, auth=pin, policy=policy)
    assert base64.b64decode(unsealed(both, path=path, auth=pin, policy=policy)) == content.encode()
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    # With the digest of the first branch as it was, the second one still opens it.
    old = [{"pcr": {**PCRS, "values": {"7": _pcr_before()}}}]
    assert base64.b64decode(unsealed(both, path=path, auth=pin, policy=[{"or": [old, ["auth_value"]]}])) == content.encode()


def _pcr_before() -> str:
    return hashlib.sha256(bytes(32) + hashlib.sha256(MEASURED_BOOT.encode()).digest()).hexdigest()


def test_mode_owner_and_group(both: Bench, path: str) -> None:
    content, options = both.secret("content"), {"path": path, "pcrs": PCRS}
    both.cycle(MODULE, **options, content=content, mode="0640", owner="nobody", group="nogroup")
    found = os.stat(path)
    assert found.st_mode & 0o777 == 0o640
    assert (pwd.getpwuid(found.st_uid).pw_name, grp.getgrgid(found.st_gid).gr_name) == ("nobody", "nogroup")
    before = pathlib.Path(path).read_bytes()
    assert both.ok(MODULE, **options, mode="0600", check=True)["changed"]
    assert os.stat(path).st_mode & 0o777 == 0o640
    assert both.ok(MODULE, **options, mode="0600")["changed"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert pathlib.Path(path).read_bytes() == before


def test_absent(both: Bench, path: str) -> None:
    both.idle(MODULE, path=path, state="absent")
    both.ok(MODULE, path=path, content=both.secret("content"), pcrs=PCRS)
    done = both.cycle(MODULE, path=path, state="absent")
    assert [step["action"] for step in done["steps"]] == ["remove_file"]
    assert both.proxy.count() == 0
    assert not os.path.exists(path)


def test_a_blob_of_another_tpm(bench: Bench, path: str, new_swtpm: t.Callable[..., t.Any]) -> None:
    content = bench.secret("content")
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        other = Bench(proxy, bench.python)
        other.ok("tpm2_primary_key")
        other.ok(MODULE, path=path, content=content, pcrs=PCRS)
    assert "another TPM" in bench.failed(MODULE, path=path, content=content, pcrs=PCRS)
    assert "another TPM" in bench.failed("tpm2_unseal", path=path, pcrs=PCRS)
    bench.cycle(MODULE, path=path, content=content, pcrs=PCRS, on_mismatch="replace")
    assert bench.tools.load_unseal(path) == content.encode()


def test_under_another_storage_key(bench: Bench, path: str) -> None:
    content = bench.secret("content")
    bench.ok("tpm2_key", handle="0x81000220", usage="storage")
    bench.cycle(MODULE, path=path, content=content, pcrs=PCRS, parent="0x81000220")
    assert bench.tools.load_unseal(path) == content.encode()
    assert "was made under the parent 0x81000220" in bench.failed(MODULE, path=path, content=content, pcrs=PCRS)


def test_unseal_to_a_file(both: Bench, path: str, device_dir: pathlib.Path) -> None:
    content, dest = both.secret("content"), device_dir / "plain"
    both.ok(MODULE, path=path, content=content, pcrs=PCRS)
    done = both.cycle("tpm2_unseal", path=path, pcrs=PCRS, dest=str(dest), mode="0400", reads=True)
    assert done["dest"] == str(dest) and "content_b64" not in done
    assert dest.read_text() == content
    assert dest.stat().st_mode & 0o777 == 0o400
    dest.write_text("something else")
    both.cycle("tpm2_unseal", path=path, pcrs=PCRS, dest=str(dest), reads=True)
    assert dest.read_text() == content
    for old in ("something else", content):
        # Everybody could read an old file; the secret's is its owner's alone.
        dest.write_text(old)
        dest.chmod(0o644)
        assert both.ok("tpm2_unseal", path=path, pcrs=PCRS, dest=str(dest))["changed"]
        assert (dest.read_text(), dest.stat().st_mode & 0o777) == (content, 0o600)
        assert not both.ok("tpm2_unseal", path=path, pcrs=PCRS, dest=str(dest))["changed"]


def test_unseal_returns_the_content(both: Bench, path: str) -> None:
    content = both.secret("content")
    both.ok(MODULE, path=path, content=content, pcrs=PCRS)
    assert base64.b64decode(unsealed(both, path=path, pcrs=PCRS)) == content.encode()
    # Under the wrong policy nothing is even loaded.
    assert "policy" in both.failed("tpm2_unseal", path=path, pcrs={"bank": "sha256", "indices": [0, 7]})
    assert both.proxy.loads() == []
    both.proxy.swtpm.extend_pcr(7, "another firmware")
    assert "PCRs have changed" in both.failed("tpm2_unseal", path=path, pcrs=PCRS)
    assert both.proxy.loads() == []


def test_the_content_never_takes_the_place_of_the_blob_or_of_a_key(bench: Bench, path: str, device_dir: pathlib.Path) -> None:
    content, key, link = bench.secret("content"), device_dir / "key.pem", device_dir / "link"
    bench.ok(MODULE, path=path, content=content, pcrs=PCRS)
    bench.ok("tpm2_key", path=str(key))
    link.symlink_to(key)
    kept = (pathlib.Path(path).read_text(), key.read_text())
    for dest in (path, f"{device_dir}/./blob.pem"):
        assert "path and dest are the same file" in bench.failed("tpm2_unseal", path=path, pcrs=PCRS, dest=dest)
        assert bench.proxy.count() == 0
    assert "symbolic link" in bench.failed("tpm2_unseal", path=path, pcrs=PCRS, dest=str(link))
    assert bench.proxy.count() == 0
    assert "it holds a key file of a TPM" in bench.failed("tpm2_unseal", path=path, pcrs=PCRS, dest=str(key))
    assert "it holds a key, not sealed data" in bench.failed(MODULE, path=str(key), state="absent")
    assert "it holds sealed data, not a key" in bench.failed("tpm2_key", path=path, state="absent")
    assert (pathlib.Path(path).read_text(), key.read_text()) == kept
    assert bench.tools.load_unseal(path) == content.encode()
    bench.ok("tpm2_unseal", path=path, pcrs=PCRS, dest=str(key), on_mismatch="replace")
    assert key.read_text() == content


def test_a_policy_takes_pcrs_as_the_shorthand_does(bench: Bench, path: str) -> None:
    content = bench.secret("content")
    bench.cycle(MODULE, path=path, content=content, policy=[{"pcr": {"indices": ["7"]}}])
    assert bench.tools.load_unseal(path) == content.encode()
    for indices in ([7], ["7"], "7", 7):
        bench.idle(MODULE, path=path, content=content, pcrs={"indices": indices})
        bench.idle(MODULE, path=path, content=content, policy=[{"pcr": {"indices": indices}}])
