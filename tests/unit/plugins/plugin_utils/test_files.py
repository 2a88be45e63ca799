# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the controller are whole or not there."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _files


def test_written_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "records/EF-1.birth.json"
    assert _files.write(path, b"first") is True
    assert _files.write(path, b"first") is False
    assert _files.write(path, b"second") is True
    assert path.read_bytes() == b"second" and path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_mode_can_be_given(tmp_path: pathlib.Path) -> None:
    _files.write(tmp_path / "secret", b"x", 0o600)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("failing", ["replace", "fsync"])
def test_an_interrupted_write_leaves_the_old_file(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    path = tmp_path / "file"
    _files.write(path, b"old")

    def fail(*_arguments: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr(os, failing, fail)
        with pytest.raises(TpmError) as caught:
            _files.write(path, b"new")
    assert caught.value.message == f"Could not write {path}: No space left on device; see its folder, who may write there, and its space."
    assert path.read_bytes() == b"old" and [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_write_that_is_broken_off_leaves_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            _files.replace(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_none(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TpmError, match="Could not write .*Not a directory|File exists"):
        _files.write(tmp_path / "file/record", b"x")


def test_a_symbolic_link_is_not_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(TpmError, match="link: it is a symbolic link, which is not replaced by a file; "):
        _files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"old"
    assert not _files.write(tmp_path / "link", b"old")
