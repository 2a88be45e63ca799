# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The noun certificate in a profile: files that OpenSSL reads, with mode and owner, and no TPM command for them."""

from __future__ import annotations

import os
import pathlib
import subprocess
import typing as t

import pytest
from support import ek_lab
from support.cycle import Bench
from support.proxy import Proxy

MODULE = "tpm2_profile"
ROOT = ek_lab.root("Factory Root")
CA = ROOT.sub("Factory CA")


def issued(name: str) -> str:
    """A certificate and the one above it."""
    leaf = CA.issue(ek_lab.common_name(name), ek_lab.ecc_key().public_key(), [])
    return ek_lab.pem(leaf.public_bytes(ek_lab.serialization.Encoding.DER), CA.der).decode()


@pytest.fixture
def bench(proxied: Proxy, device_python: str) -> Bench:
    return Bench(proxied, device_python)


def item(path: pathlib.Path, content: str | None, **options: t.Any) -> dict[str, t.Any]:
    return {"certificate": {"path": str(path), **({} if content is None else {"content": content}), **options}}


def test_two_certificates_with_mode_and_owner(bench: Bench, tmp_path: pathlib.Path) -> None:
    # Of more than one user there are tests in containers: here each file goes to whoever runs them, by name and by number.
    iak, idevid = tmp_path / "device/iak.cert.pem", tmp_path / "device/idevid.cert.pem"
    resources = [
        item(iak, issued("iak"), mode="0640", owner=str(os.getuid()), group=str(os.getgid())),
        item(idevid, issued("idevid")),
    ]
    done = bench.cycle(MODULE, resources=resources, commands=0)
    assert [step["sentence"] for step in done["steps"]] == [f"write the certificate to {iak}", f"write the certificate to {idevid}"]
    assert bench.proxy.count() == 0
    assert (iak.stat().st_mode & 0o777, idevid.stat().st_mode & 0o777) == (0o640, 0o644)
    (tmp_path / "root.pem").write_bytes(ek_lab.pem(ROOT.der))
    for path in (iak, idevid):
        command = ["openssl", "verify", "-no_check_time", "-CAfile", tmp_path / "root.pem", "-untrusted", path, path]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    iak.chmod(0o600)
    changed = bench.ok(MODULE, resources=resources)
    assert changed["changed"] and changed["steps"] == [] and iak.stat().st_mode & 0o777 == 0o640


ODD = (
    "cert", "./cert", "dir/../cert", "none/../cert", "cert/../cert", "self/cert", "link", "dangling", "hard", "cert/", "dir", "pipe", "big", "none",
)  # fmt: skip


def test_controller_and_module_agree_on_odd_paths(proxied: Proxy, system_python: str, tmp_path: pathlib.Path) -> None:
    """The bench compares the two for each of them; here are those that only one of the two could take for the certificate."""
    content = issued("iak")
    (tmp_path / "cert").write_text(content)
    (tmp_path / "dir").mkdir()
    (tmp_path / "big").write_bytes(bytes(40_000))
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "hard").hardlink_to(tmp_path / "cert")
    for name, target in (("self", "."), ("link", "cert"), ("dangling", "none")):
        (tmp_path / name).symlink_to(target)
    bench = Bench(proxied, system_python)
    found = {
        path: bench.run(MODULE, check=True, resources=[{"certificate": {"path": f"{tmp_path}/{path}", "content": content}}]) for path in ODD
    }
    assert {path for path, result in found.items() if result.ok and not result.changed} == {
        "cert",
        "./cert",
        "dir/../cert",
        "self/cert",
        "hard",
    }


def test_renewed_and_removed(bench: Bench, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ldevid.cert.pem"
    bench.cycle(MODULE, resources=[item(path, issued("first"))], commands=0)
    newer = issued("second")
    bench.cycle(MODULE, resources=[item(path, newer)], commands=0)
    assert path.read_text() == newer
    bench.cycle(MODULE, resources=[item(path, None, state="absent")], commands=0)
    assert not path.exists()


def test_what_is_no_certificate_of_ours_stays(bench: Bench, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "notes"
    path.write_text("not to be lost")
    message = bench.failed(MODULE, resources=[item(path, issued("iak"))])
    assert message == (
        f"Could not write the certificate {path}: it holds something else; name another file, or set on_mismatch: replace to replace it "
        "(it cannot be restored)."
    )
    assert path.read_text() == "not to be lost"


@pytest.mark.parametrize(
    ("options", "telling"),
    [
        ({"content": "{{ certificate }}"}, "content is not a PEM certificate; give it with its BEGIN and END lines"),
        ({"owner": "nobody-of-that-name"}, "there is no owner nobody-of-that-name on the device"),
        ({"group": "no-group-of-that-name"}, "there is no group no-group-of-that-name on the device"),
        # The number that means "as it is" (chown(2)).
        ({"owner": "4294967295"}, "there is no owner 4294967295 on the device"),
        ({"mode": "rw-r--r--"}, "'rw-r--r--' is not a mode"),
        ({"path": "iak.cert.pem"}, "it is not an absolute path"),
        ({"path": "/dev/null/iak.cert.pem"}, "/dev/null"),
    ],
)
def test_bad_input(bench: Bench, tmp_path: pathlib.Path, options: dict[str, str], telling: str) -> None:
    """It is found before anything is changed, be it in the TPM."""
    srk: dict[str, t.Any] = {"primary_key": {"template": "srk_ecc_p256"}}
    wrong = {"certificate": {"path": str(tmp_path / "iak.cert.pem"), "content": issued("iak"), **options}}
    assert telling in bench.failed(MODULE, resources=[srk, wrong])
    assert bench.tools.handles() == [] and not (tmp_path / "iak.cert.pem").exists()
