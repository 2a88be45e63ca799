# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device node: why it cannot be opened, responses in one piece or many, and files that are no TPM."""

from __future__ import annotations

import errno
import os
import pathlib
import threading
import tty
import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device

COMMAND = bytes.fromhex("8001 0000000a 0000017b")
RESPONSE = bytes.fromhex("8001 00000014 00000000") + b"0123456789"


@pytest.mark.parametrize(
    ("number", "kind", "phrase"),
    [
        (errno.ENOENT, errors.ABSENT, "no such TPM.*firmware.*driver"),
        (errno.ENODEV, errors.ABSENT, "no such TPM"),
        (errno.ENXIO, errors.ABSENT, "no such TPM"),
        (errno.EACCES, errors.PERMISSION, "no permission.*become.*tss"),
        (errno.EPERM, errors.PERMISSION, "no permission"),
        (errno.EBUSY, errors.BUSY, "another process holds it.*/dev/tpmrm0"),
        (errno.EIO, errors.OTHER, "Input/output error.*dmesg"),
    ],
)
def test_why_a_node_cannot_be_opened(number: int, kind: str, phrase: str, tmp_path: pathlib.Path) -> None:
    found = device.explain_open(str(tmp_path / "tpmrm0"), number)
    assert found.kind == kind
    with pytest.raises(errors.TransportError, match=f"tpmrm0.*{phrase}"):
        raise found


def test_a_tpm_without_resource_manager_is_told_apart(tmp_path: pathlib.Path) -> None:
    # The folder's own name must not matter.
    folder = tmp_path / "tpmrm"
    folder.mkdir()
    (folder / "tpm0").touch()
    found = device.explain_open(str(folder / "tpmrm0"), errno.ENOENT)
    assert found.kind == errors.ABSENT
    assert f"{folder}/tpm0 exists" in found.message and "4.12" in found.message and "tabrmd" in found.message
    assert "no such TPM" in device.explain_open(str(folder / "tpm1"), errno.ENOENT).message


def test_an_absent_node_is_explained(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.TransportError, match="no such TPM"):
        device.DeviceNode(str(tmp_path / "tpmrm0"))


def test_an_ordinary_file_is_not_written_to(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tpmrm0"
    file.write_text("dear")
    for path in (file, tmp_path):
        with pytest.raises(errors.TransportError, match="not a character device") as refused:
            device.DeviceNode(str(path))
        assert refused.value.kind == errors.NOT_A_TPM
    assert file.read_text() == "dear"


def test_a_device_that_answers_nothing_is_no_tpm() -> None:
    opened = device.DeviceNode("/dev/null")
    with pytest.raises(errors.TransportError, match="does not speak TPM 2.0") as refused:
        opened.transmit(COMMAND)
    assert refused.value.kind == errors.NOT_A_TPM
    opened.close()
    opened.close()


class Kernel:
    """The far side of a character device (a pseudo-terminal in raw mode): takes one command, answers in given pieces."""

    def __init__(self) -> None:
        self.near, far = os.openpty()
        tty.setraw(far)
        self.path = os.ttyname(far)
        self._far = far
        self.got = b""
        self._thread: threading.Thread | None = None

    def answer(self, pieces: t.Sequence[bytes]) -> None:
        def serve() -> None:
            while len(self.got) < len(COMMAND):
                self.got += os.read(self.near, 4096)
            for piece in pieces:
                os.write(self.near, piece)

        self._thread = threading.Thread(target=serve)
        self._thread.start()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(10)
        os.close(self._far)
        os.close(self.near)


@pytest.fixture
def kernel() -> t.Iterator[Kernel]:
    made = Kernel()
    yield made
    made.close()


@pytest.mark.parametrize("cuts", [(), (6,), (10,), (6, 10, 15), (7, 8, 9, 19)], ids=str)
def test_a_response_may_come_in_pieces(kernel: Kernel, cuts: tuple[int, ...]) -> None:
    edges = [0, *cuts, len(RESPONSE)]
    kernel.answer([RESPONSE[start:end] for start, end in zip(edges, edges[1:], strict=False)])
    opened = device.DeviceNode(kernel.path)
    assert opened.transmit(COMMAND) == RESPONSE
    assert kernel.got == COMMAND
    opened.close()


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([RESPONSE[:6], RESPONSE[6:10], RESPONSE[10:]], RESPONSE),
        ([RESPONSE[:12], b""], RESPONSE[:12]),  # torn: told by what reads the response
        ([RESPONSE[:6], b""], None),
        ([b""], None),
    ],
)
def test_a_response_that_is_read_in_pieces(pieces: list[bytes], found: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = device.DeviceNode("/dev/null")
    left = list(pieces)
    with monkeypatch.context() as patch:
        patch.setattr(device.os, "read", lambda _file, _size: left.pop(0))
        if found is None:
            with pytest.raises(errors.TransportError, match="does not speak TPM 2.0"):
                opened.transmit(COMMAND)
        else:
            assert opened.transmit(COMMAND) == found
    assert left == []
    opened.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.EBUSY, errno.ETIME, errno.E2BIG], ids=lambda number: errno.errorcode[number])
def test_a_node_that_breaks_in_mid_command(kernel: Kernel, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = device.DeviceNode(kernel.path)

    def broken(_file: int, _data: bytes) -> int:
        raise OSError(number, "x")

    with monkeypatch.context() as patch, pytest.raises(errors.TransportError, match="Could not talk to.*dmesg") as failed:
        patch.setattr(device.os, "write", broken)
        opened.transmit(COMMAND)
    assert failed.value.kind == errors.BROKEN
    opened.close()
