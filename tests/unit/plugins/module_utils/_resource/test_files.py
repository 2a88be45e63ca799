# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: read with care, written whole or not at all."""

from __future__ import annotations

import errno
import os
import pathlib
import stat

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import file_errors, files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError


def test_reading(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    assert files.read(str(path)) is None
    path.write_bytes(b"\0\xff")
    assert files.read(str(path)) == b"\0\xff"
    for nonsense in (str(tmp_path), "relative", "", "/with/\0"):
        with pytest.raises(InputError):
            files.read(nonsense)
    with pytest.raises(InputError, match="Not a directory"):
        files.read(f"{path}/below")
    path.write_bytes(bytes(file_errors.MAX_SIZE + 1))
    with pytest.raises(InputError, match="larger than"):
        files.read(str(path))


def test_a_new_file_is_for_its_owner_and_an_old_one_keeps_its_mode(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    files.write(str(path), b"one")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"one", 0o600)
    path.chmod(0o640)
    files.write(str(path), b"two", 0o644)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o640)
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace", "fchmod"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS], ids=lambda number: errno.errorcode[number])
def test_a_write_that_fails_leaves_the_old_file_whole_and_nothing_beside_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("the old content")

    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fail)
        with pytest.raises(TpmError, match=f"Could not write {path}: {os.strerror(number)}"):
            files.write(str(path), b"new")
    assert path.read_text() == "the old content"
    assert os.listdir(tmp_path) == ["file"]


def test_what_is_written_is_on_the_disk_before_the_old_file_goes(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *arguments, name=name, real=real: (order.append(name), real(*arguments))[1])
    files.write(str(tmp_path / "file"), b"x")
    assert order == ["fsync", "replace", "fsync"]


def test_folders_that_are_missing_are_made(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "some" / "where" / "file"
    files.check_writable(str(path))
    assert not path.parent.exists()
    files.write(str(path), b"x")
    assert path.read_bytes() == b"x"


def test_a_folder_that_is_none_is_found_before(tmp_path: pathlib.Path) -> None:
    (tmp_path / "plain").touch()
    with pytest.raises(InputError, match="plain is not a folder"):
        files.check_writable(str(tmp_path / "plain" / "deeper" / "file"))


def test_a_folder_without_permission_is_found_before(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.os, "access", lambda *_arguments: False)  # root may everything
    with pytest.raises(InputError, match="no permission.*become"):
        files.check_writable(str(tmp_path / "file"))


def test_removing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.touch()
    files.remove(str(path))
    files.remove(str(path))
    assert not path.exists()

    def fail(_path: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(files.os, "unlink", fail)
    with pytest.raises(TpmError, match="Could not remove.*Read-only"):
        files.remove(str(path))
