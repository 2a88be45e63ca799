# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two names of one file, symbolic links, and files of another kind: refused before anything is sent to the TPM, and nothing is lost."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from unit.bed import Bed

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import places
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, keyfile

Item = dict[str, dict[str, t.Any]]
SRK: Item = {"primary_key": {"template": "srk_ecc_p256"}}
PRIVATE = "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
PUBLIC = "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----\n"


@pytest.fixture
def rooted(bed: Bed) -> Bed:
    """A TPM that has its SRK, a key file, a blob, and other files, each under its name."""
    (bed.folder / "sub").mkdir()
    bed.run(
        SRK,
        {"key": {"path": bed.path("key.pem")}},
        {"sealed_blob": {"path": bed.path("blob.pem"), "content": "the content", "auth": "a longer auth value"}},
    )
    for name, text in {
        "private": PRIVATE,
        "certificate": CERTIFICATE,
        "public": PUBLIC,
        "both": CERTIFICATE + PRIVATE,
        "notes": "mine",
    }.items():
        (bed.folder / name).write_text(text)
    (bed.folder / "empty").touch()
    os.link(bed.path("key.pem"), bed.path("hard.pem"))
    (bed.folder / "soft.pem").symlink_to("key.pem")
    (bed.folder / "dangling.pem").symlink_to("nowhere.pem")
    (bed.folder / "folder").symlink_to(bed.folder)
    bed.tpm.calls.clear()
    bed.tpm.reads.clear()
    return bed


def contents(folder: pathlib.Path) -> dict[str, t.Any]:
    return {
        one.name: os.readlink(one) if one.is_symlink() else one.read_bytes()
        for one in folder.iterdir()
        if one.is_symlink() or one.is_file()
    }


def refused(bed: Bed, error: type[errors.TpmError], match: str, run: t.Callable[[bool], object], reads: bool = False) -> None:
    """Refused in check mode and without, with no command of a change, no file changed; and no read where `reads` is false."""
    before = contents(bed.folder)
    for check in (True, False):
        with pytest.raises(error, match=match):
            run(check)
    assert contents(bed.folder) == before and bed.tpm.calls == []
    assert reads or bed.tpm.reads == []


# Other names of FOLDER/new.pem, which is not there yet, and of FOLDER/key.pem, which is.
NAMES = ["FOLDER/./new.pem", "FOLDER//new.pem", "FOLDER/sub/../new.pem", "FOLDER/folder/new.pem", "//FOLDER/new.pem", "FOLDER/new.pem"]


@pytest.mark.parametrize("name", NAMES)
def test_two_options_that_name_one_file(rooted: Bed, name: str) -> None:
    other = name.replace("FOLDER", str(rooted.folder))
    for item in (
        {"key": {"path": rooted.path("new.pem"), "public_path": other}},
        {"sealed_blob": {"path": rooted.path("new.pem"), "src": other, "auth": "a longer auth value"}},
    ):
        refused(rooted, errors.InputError, "are the same file", lambda check, item=item: rooted.run(item, check=check))
    existing = name.replace("FOLDER", str(rooted.folder)).replace("new", "blob")
    options = {"path": rooted.path("blob.pem"), "dest": existing, "auth": "a longer auth value"}
    refused(rooted, errors.InputError, "path and dest are the same file", lambda check: rooted.unseal(options, check))


def test_a_hard_link_is_another_name_of_the_file(rooted: Bed) -> None:
    item = {"key": {"path": rooted.path("key.pem"), "public_path": rooted.path("hard.pem"), "on_mismatch": "replace"}}
    refused(rooted, errors.InputError, "path and public_path are the same file", lambda check: rooted.run(item, check=check))
    two: list[Item] = [{"key": {"path": rooted.path("key.pem")}}, {"key": {"path": rooted.path("hard.pem")}}]
    refused(rooted, errors.InputError, "hard.pem is already item 1, as .*key.pem", lambda check: rooted.run(*two, check=check))


@pytest.mark.parametrize("name", NAMES)
def test_two_resources_that_name_one_file(rooted: Bed, name: str) -> None:
    first = {"key": {"handle": "0x81000210", "public_path": rooted.path("new.pem")}}
    other = name.replace("FOLDER", str(rooted.folder))
    for second in (
        {"key": {"path": other}},
        {"primary_key": {"template": "ek_rsa_2048", "public_path": other}},
        {"sealed_blob": {"path": other, "content": "x", "auth": "a longer auth value"}},
        {"certificate": {"path": other, "content": CERTIFICATE}},
    ):
        refused(rooted, errors.InputError, "is already item 1", lambda check, second=second: rooted.run(first, second, check=check))


def test_a_key_file_that_one_resource_keeps_and_another_loads(rooted: Bed) -> None:
    rooted.run({"key": {"path": rooted.path("key.pem")}}, {"persistent_handle": {"handle": "0x81000211", "path": rooted.path("./key.pem")}})
    assert 0x81000211 in rooted.tpm.objects


@pytest.mark.parametrize("name", ["soft.pem", "dangling.pem"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_symbolic_link_is_not_replaced_nor_removed(rooted: Bed, name: str, state: str) -> None:
    link = rooted.path(name)
    for item in (
        {"key": {"path": link, "on_mismatch": "replace", "algorithm": "rsa_2048", "state": state}},
        {"sealed_blob": {"path": link, "content": "x", "auth": "a longer auth value", "on_mismatch": "replace", "state": state}},
        {"certificate": {"path": link, "content": CERTIFICATE, "on_mismatch": "replace", "state": state}},
        {"key": {"handle": "0x81000210", "public_path": link, "on_mismatch": "replace", "state": state}},
    ):
        refused(rooted, errors.InputError, f"{name}: it is a symbolic link to", lambda check, item=item: rooted.run(item, check=check))
    options = {"path": rooted.path("blob.pem"), "dest": link, "auth": "a longer auth value", "on_mismatch": "replace"}
    refused(rooted, errors.InputError, "symbolic link", lambda check: rooted.unseal(options, check))


def test_what_is_only_read_may_be_a_link(rooted: Bed) -> None:
    rooted.run({"persistent_handle": {"handle": "0x81000211", "path": rooted.path("soft.pem")}})
    assert 0x81000211 in rooted.tpm.objects


@pytest.mark.parametrize("name", ["key.pem", "blob.pem", "private", "certificate", "both", "notes"])
def test_a_public_key_overwrites_nothing_else(rooted: Bed, name: str) -> None:
    for item in (
        {"key": {"handle": "0x81000210", "public_path": rooted.path(name)}},
        {"primary_key": {"template": "srk_ecc_p256", "public_path": rooted.path(name)}},
    ):
        refused(rooted, errors.MismatchError, f"{name}: it holds ", lambda check, item=item: rooted.run(item, check=check), reads=True)
    rooted.converge({"key": {"handle": "0x81000210", "public_path": rooted.path(name), "on_mismatch": "replace"}})
    assert (rooted.folder / name).read_text().startswith("-----BEGIN PUBLIC KEY-----")


@pytest.mark.parametrize("name", ["public", "empty", "new"])
def test_a_public_key_gives_way_to_another(rooted: Bed, name: str) -> None:
    rooted.converge({"key": {"handle": "0x81000210", "public_path": rooted.path(name)}})


@pytest.mark.parametrize("name", ["key.pem", "private", "public", "certificate", "both"])
def test_a_secret_overwrites_no_file_of_a_kind_of_its_own(rooted: Bed, name: str) -> None:
    options = {"path": rooted.path("blob.pem"), "dest": rooted.path(name), "auth": "a longer auth value"}
    before = contents(rooted.folder)
    for check in (True, False):
        with pytest.raises(errors.MismatchError, match=f"{name}: it holds "):
            rooted.unseal(options, check)
    assert contents(rooted.folder) == before
    rooted.unseal({**options, "on_mismatch": "replace"})
    assert (rooted.folder / name).read_text() == "the content"


def test_a_secret_overwrites_the_same_kind_and_what_is_of_none(rooted: Bed) -> None:
    short = "-----BEGIN PRIVATE KEY-----\nMQ==\n-----END PRIVATE KEY-----\n"
    rooted.run({"sealed_blob": {"path": rooted.path("pem.pem"), "content": short, "auth": "a longer auth value"}})
    for name in ("private", "notes", "empty", "new"):
        rooted.unseal({"path": rooted.path("pem.pem"), "dest": rooted.path(name), "auth": "a longer auth value"})
        assert (rooted.folder / name).read_text() == short


def test_a_certificate_does_not_overwrite_the_private_key_beside_another(rooted: Bed) -> None:
    for state in ("present", "absent"):
        item = {"certificate": {"path": rooted.path("both"), "content": CERTIFICATE, "state": state}}
        refused(rooted, errors.MismatchError, "both: it holds a private key", lambda check, item=item: rooted.run(item, check=check))
    shown = rooted.run({"certificate": {"path": rooted.path("both"), "content": CERTIFICATE, "on_mismatch": "replace"}}, check=True).diff
    assert "PRIVATE" not in str(shown)


@pytest.mark.parametrize(
    ("kind", "name", "reason"), [("key", "blob.pem", "sealed data, not a key"), ("sealed_blob", "key.pem", "a key, not")]
)
def test_the_absence_of_one_kind_removes_no_file_of_the_other(rooted: Bed, kind: str, name: str, reason: str) -> None:
    item = {kind: {"path": rooted.path(name), "state": "absent"}}
    refused(rooted, errors.MismatchError, f"{name}: it holds {reason}", lambda check: rooted.run(item, check=check), reads=True)
    rooted.run({kind: {**item[kind], "on_mismatch": "replace"}})
    assert not (rooted.folder / name).exists()


def test_a_torn_file_can_be_removed(rooted: Bed) -> None:
    torn = rooted.folder / "key.pem"
    torn.write_text(torn.read_text()[:-60])
    rooted.run({"sealed_blob": {"path": str(torn), "state": "absent"}})
    assert not torn.exists()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (None, places.NOTHING),
        (b"", places.NOTHING),
        (b"mine", places.OTHER),
        (PUBLIC.encode(), places.PUBLIC_KEY),
        (CERTIFICATE.encode(), places.CERTIFICATE),
        (PRIVATE.encode(), places.PRIVATE_KEY),
        ((CERTIFICATE + PRIVATE).encode(), places.PRIVATE_KEY),
        (PRIVATE.replace("PRIVATE", "ENCRYPTED PRIVATE").encode(), places.PRIVATE_KEY),
        (PRIVATE.replace("PRIVATE", "OPENSSH PRIVATE").encode(), places.PRIVATE_KEY),
        (b"-----BEGIN TSS2 PRIVATE KEY-----", places.KEY_FILE),
        (keyfile._HEADS[0], places.KEY_FILE),
    ],
)
def test_what_a_file_holds(data: bytes | None, kind: str) -> None:
    assert places.holds(data) == kind
