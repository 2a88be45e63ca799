# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input, the way to the TPM: none there, no permission, no resource manager, no TPM 2.0, nobody who answers, no library to talk to it."""

from __future__ import annotations

import errno
import os
import pathlib
import shlex
import socket
import threading
import tty
import typing as t

import pytest
from support import module, places
from support.ports import PortPair
from support.refused import Bench, assert_sentence, interpreter, without_override
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device, stream, tcti
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport

TPM12 = bytes.fromhex("00c40000000a0000001e")
SERIAL: dict[str, t.Any] = {"index": "0x01800010", "content": "EF-2026-000001"}
# Why a TCTI of that name fails that is written well.
WORDS = {"nosuch": "unsupported", "mssim": "connection_lost", "cmd": "not_a_tpm"}
ONE_STEP = {"resources": [{"nv_index": SERIAL}]}


def refuses_all(python: str, address: str | None, *says: str, reason: str, **options: t.Any) -> str:
    """Facts, a module and a profile on a bad address, check mode too: all say the same word and sentence. Returns the sentence."""
    runs = [("tpm2_info", {"gather": ["identity"]}, False), ("tpm2_nv_index", SERIAL, True), ("tpm2_nv_index", SERIAL, False)]
    found = set()
    for name, arguments, check in [*runs, ("tpm2_profile", ONE_STEP, False)]:
        result = module.run(name, {"tcti": address, **arguments}, python=python, check=check, **options)
        found.add(result.expect_failed())
        assert (
            result.json is not None
            and result.json["reason"] == reason
            and not result.json.get("changed")
            and not result.json.get("steps_done")
        )
    assert len(found) == 1, found
    message = found.pop()
    assert_sentence(message, *says)
    return message


class Peer:
    """Something that listens on a port and answers every command alike; None: never answers. A context manager."""

    def __init__(self, answer: bytes | None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.tcti = f"swtpm:host=127.0.0.1,port={self._listener.getsockname()[1]}"
        self._kept: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Peer:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        # shutdown, not close alone: accept() in the other thread would go on waiting.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in [self._listener, *self._kept]:
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _address = self._listener.accept()
            except OSError:
                return
            self._kept.append(client)
            try:
                while self.answer is not None:
                    request = client.recv(4096)
                    if not request:
                        break
                    self.requests.append(request)
                    client.sendall(self.answer)
                    if self.answer == b"":
                        client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the module has heard enough


@pytest.fixture
def unprivileged(tmp_path: pathlib.Path, system_python: str) -> str:
    """The system's Python, which file modes hold for even where the tests run as root."""
    return without_override(tmp_path, system_python)


# No TPM, no permission, no resource manager


def test_no_tpm(either_python: str, tmp_path: pathlib.Path) -> None:
    message = refuses_all(
        either_python, f"device:{tmp_path}/tpmrm0", f"{tmp_path}/tpmrm0", "there is no such TPM", "firmware", "driver", reason="no_tpm"
    )
    assert "resource manager" not in message


def test_no_tpm_and_no_tcti(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, on other paths than /dev: the machine of the tests may well have a TPM."""
    monkeypatch.delenv("TPM2TOOLS_TCTI", raising=False)
    monkeypatch.setattr(tcti, "RESOURCE_MANAGED", str(tmp_path / "tpmrm0"))
    monkeypatch.setattr(tcti, "DIRECT", str(tmp_path / "tpm0"))
    with pytest.raises(errors.TransportError) as refused:
        open_transport(tcti.resolve(None))
    assert refused.value.kind == errors.ABSENT
    assert_sentence(refused.value.message, str(tmp_path / "tpmrm0"), "there is no such TPM")


def test_no_tpm_by_the_environment(system_python: str, tmp_path: pathlib.Path) -> None:
    refuses_all(system_python, None, f"{tmp_path}/tpm9", "no such TPM", env={"TPM2TOOLS_TCTI": f"device:{tmp_path}/tpm9"}, reason="no_tpm")


def test_no_resource_manager(system_python: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "tpm0").write_bytes(b"")
    refuses_all(
        system_python,
        f"device:{tmp_path}/tpmrm0",
        "there is no resource manager",
        f"device:{tmp_path}/tpm0",
        "4.12",
        "tpm2-abrmd",
        reason="no_tpm",
    )
    assert (tmp_path / "tpm0").read_bytes() == b""


def test_no_permission_on_the_node(unprivileged: str, tmp_path: pathlib.Path) -> None:
    node = tmp_path / "tpmrm0"
    node.write_bytes(b"")
    node.chmod(0)
    refuses_all(unprivileged, f"device:{node}", str(node), "no permission", "become", "tss", reason="no_permission")


def test_no_permission_on_the_socket(unprivileged: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "swtpm.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0)
        path.chmod(0)
        refuses_all(unprivileged, f"swtpm:path={path}", str(path), "no permission", "become", reason="no_permission")
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.EBUSY, errors.BUSY, ("another process holds it", "/dev/tpmrm0")),
        (errno.EACCES, errors.PERMISSION, ("no permission",)),
        (errno.EPERM, errors.PERMISSION, ("no permission",)),
        (errno.ENODEV, errors.ABSENT, ("no such TPM",)),
        (errno.ENXIO, errors.ABSENT, ("no such TPM",)),
        (errno.EIO, errors.OTHER, ("Input/output error", "dmesg")),
    ],
)
def test_what_the_kernel_may_say(number: int, kind: str, says: tuple[str, ...]) -> None:
    refused = device.explain_open("/dev/tpm9", number)
    assert refused.kind == kind
    assert_sentence(refused.message, "/dev/tpm9", *says)


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_device(either_python: str, tmp_path: pathlib.Path, kind: str) -> None:
    node = tmp_path / "tpm0"
    node.mkdir() if kind == "folder" else node.write_bytes(b"what somebody needs")
    refuses_all(either_python, f"device:{node}", str(node), "not a character device", reason="not_a_tpm")
    assert node.is_dir() or node.read_bytes() == b"what somebody needs"


# TPM 1.2, and what is no TPM


@pytest.fixture
def tpm12_device() -> t.Iterator[str]:
    """A character device that answers every command as a TPM 1.2 does; yields its path."""
    leader, follower = os.openpty()
    tty.setraw(leader)
    tty.setraw(follower)
    stopping = threading.Event()

    def serve() -> None:
        while not stopping.is_set():
            if os.read(leader, 4096)[:2] == b"\x80\x01":
                os.write(leader, TPM12)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield os.ttyname(follower)
    stopping.set()
    os.write(follower, b"end")
    thread.join()
    os.close(leader)
    os.close(follower)


def test_tpm_12(either_python: str) -> None:
    with Peer(TPM12) as peer:
        refuses_all(either_python, peer.tcti, "TPM 1.2", "firmware", reason="tpm12")


def test_tpm_12_behind_a_device(either_python: str, tpm12_device: str) -> None:
    refuses_all(either_python, f"device:{tpm12_device}", "TPM 1.2", "firmware", reason="tpm12")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ("does not speak TPM 2.0",)),
        (b"", ("closed the connection in mid-command",)),
        (bytes.fromhex("80010000000500000000"), ("does not speak TPM 2.0",)),
        (bytes.fromhex("8001ffffffff00000000"), ("does not speak TPM 2.0",)),
        (bytes.fromhex("80010000000c000000000102"), ("ends after",)),
        (bytes.fromhex("80010000000a00000101"), ("TPM_RC_FAILURE (0x101)", "tpm2_selftest")),
        (bytes.fromhex("80010000000a00000100"), ("TPM_RC_INITIALIZE (0x100)", "TPM2_Startup")),
        (bytes.fromhex("80010000000a0000012d"), ("TPM_RC_UPGRADE (0x12d)", "firmware update")),
    ],
    ids=["http", "nothing", "short", "long", "torn", "failure_mode", "no_startup", "upgrade"],
)
def test_no_tpm_that_can_be_used(either_python: str, answer: bytes, says: tuple[str, ...]) -> None:
    with Peer(answer) as peer:
        for name, options in (("tpm2_info", {"gather": ["identity"]}), ("tpm2_profile", ONE_STEP)):
            assert_sentence(module.run(name, {"tcti": peer.tcti, **options}, python=either_python).expect_failed(), *says)
        # Asked once by each module: nothing was sent again, nothing after it. From the controller reads go together, and the relay that stays reads anew.
        assert len(peer.requests) == 2 or (isinstance(either_python, places.FromController) and len(peer.requests) <= 4)


# A TCTI that nobody answers


def test_nobody_listens(either_python: str) -> None:
    ports = PortPair()
    try:
        refuses_all(
            either_python, ports.tcti, f"port={ports.data}", "Connection refused", "start it, or name another tcti", reason="no_answer"
        )
    finally:
        ports.release()


def test_nobody_at_the_socket(either_python: str, tmp_path: pathlib.Path) -> None:
    refuses_all(either_python, f"swtpm:path={tmp_path}/none", f"{tmp_path}/none", "No such file or directory", reason="no_answer")


def test_no_such_host(either_python: str) -> None:
    refuses_all(either_python, "swtpm:host=tpm.invalid,port=2321", "tpm.invalid", "name another tcti", reason="no_answer")


def test_somebody_who_stays_silent(system_python: str) -> None:
    """The wait has an end: without one the module would not end within the test bed's 180 s."""
    with Peer(None) as peer:
        message = module.run("tpm2_nv_index", {"tcti": peer.tcti, **SERIAL}, python=system_python).expect_failed()
    assert_sentence(message, peer.tcti, "did not answer within 30 s", "no other client holds it")


def test_somebody_who_stops_in_mid_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "TIMEOUT", 0.2)
    with Peer(TPM12[:6]) as peer:
        connection = stream.Socket(tcti.resolve(peer.tcti))
        with pytest.raises(errors.TransportError) as refused:
            connection.transmit(bytes.fromhex("80010000000a00000000"))
        connection.close()
    assert refused.value.kind == errors.NO_ANSWER
    assert_sentence(refused.value.message, peer.tcti, "did not answer within")


# TCTI strings


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nosuch", ("nosuch", "TSS2_TCTI_RC_NOT_SUPPORTED", "check its spelling")),
        ("nosuch:port=1", ("nosuch:port=1", "TSS2_TCTI_RC_NOT_SUPPORTED", "libtss2-tcti-")),
        ("/dev/tpmrm0", ("'/dev/tpmrm0'", "device:/dev/tpmrm0")),
        (":port=1", ("':port=1'", "name:options")),
        (" ", ("' '", "name:options")),
        ("device :/dev/tpm0", ("'device :/dev/tpm0'", "name:options")),
        ("swtpm:port=", ("'swtpm:port='", "a number from 1 to 65535")),
        ("swtpm:port=abc", ("'swtpm:port=abc'", "a number from 1 to 65535")),
        ("swtpm:port=0", ("a number from 1 to 65535",)),
        ("swtpm:port=65536", ("a number from 1 to 65535",)),
        ("swtpm:port=1,socket=/x", ("'socket'", "host, port and path")),
        ("swtpm:/run/swtpm.sock", ("'/run/swtpm.sock'", "host, port and path")),
        ("mssim:host=127.0.0.1,port=4", ("mssim:host=127.0.0.1,port=4", "TSS2_TCTI_RC_IO_ERROR")),
        ("cmd:head -c 10 >/dev/null", ("cmd:head", "TSS2_TCTI_RC_MALFORMED_RESPONSE", "a TPM 2.0")),
    ],
)
def test_tcti_strings(system_python: str, text: str, says: tuple[str, ...]) -> None:
    refuses_all(system_python, text, *says, reason=WORDS.get(text.partition(":")[0], "input"))


# Libraries that are missing or too old


@pytest.fixture
def provisioned_bench(swtpm: Swtpm, device_dir: pathlib.Path, system_python: str) -> Bench:
    """A TPM with a serial number in it."""
    bench = Bench(swtpm, device_dir, system_python)
    bench.made("tpm2_profile", **ONE_STEP)
    return bench


def library_refused(bench: Bench, *says: str) -> None:
    """Facts, no-op and check mode work, with a warning where the run would fail; a change is refused."""
    assert bench.run("tpm2_info").expect_ok()["family"] == "2.0"
    assert not bench.run("tpm2_profile", **ONE_STEP).expect_ok()["changed"]
    assert not bench.run("tpm2_nv_index", check=True, **SERIAL).expect_ok()["changed"]
    for name, options in (
        ("tpm2_nv_index", {"index": "0x01800011", "content": "another"}),
        ("tpm2_profile", {"resources": [{"nv_index": SERIAL}, {"nv_index": {"index": "0x01800011", "size": 8}}]}),
    ):
        checked = bench.run(name, check=True, **options).expect_ok()
        assert checked["changed"] and [one["object"] for one in checked["steps"]] == ["0x01800011"] * len(checked["steps"]) != []
        (warning,) = map(str, checked["warnings"])
        assert "Checked without tpm2-pytss, which is needed for the changes. " in warning and all(word in warning for word in says)
        bench.refuses(name, options, *says, predicted=False)


def test_without_tpm2_pytss(provisioned_bench: Bench, tmp_path: pathlib.Path, system_python: str) -> None:
    # -S: without the folders of distribution packages.
    provisioned_bench.python = interpreter(tmp_path, f"{system_python} -S")
    library_refused(provisioned_bench, "No module named 'tpm2_pytss'", "python3-tpm2-pytss", system_python, "ansible_python_interpreter")


def test_check_mode_where_the_library_is_to_come(provisioned_bench: Bench, system_python: str, tmp_path: pathlib.Path) -> None:
    """Before something installs it, check mode predicts the run as it will be then; a run is refused all the same."""
    options = {"resources": [{"nv_index": {"index": "0x01800011", "size": 8}}], "library_to_come": True}
    predicted = provisioned_bench.run("tpm2_profile", check=True, **options).expect_ok()["steps"]
    provisioned_bench.python = interpreter(tmp_path, f"{system_python} -S")
    checked = provisioned_bench.run("tpm2_profile", check=True, **options).expect_ok()
    assert checked["steps"] == predicted and "warnings" not in checked
    assert "No module named 'tpm2_pytss'" in provisioned_bench.run("tpm2_profile", **options).expect_failed()


def test_with_another_pythons_pytss_only(provisioned_bench: Bench, tmp_path: pathlib.Path, system_python: str) -> None:
    """tpm2-pytss is there, and the TSS below it is not."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libtss2-esys.so.0").write_bytes(b"")
    provisioned_bench.python = interpreter(tmp_path, f"env LD_LIBRARY_PATH={shlex.quote(str(tmp_path / 'lib'))} {system_python}")
    library_refused(provisioned_bench, "libtss2-esys.so.0", "python3-tpm2-pytss")


OLD_PACKAGES = {
    # 0.1 was another interface altogether.
    "0.1": ({"__init__.py": "from .esys import ESYS\n", "esys.py": "class ESYS: ...\n"}, ("_libtpm2_pytss", ">= 1.2")),
    "without_a_method": (
        {
            "__init__.py": "class ESAPI:\n    def create_primary(self): ...\n",
            "_libtpm2_pytss.py": "ffi = lib = None\n",
            "TSS2_Exception.py": "class TSS2_Exception(RuntimeError): ...\n",
        },
        ("too old", "ESAPI.policy_nv_written", ">= 1.2"),
    ),
    # 1.1 with a newer cryptography than it knows.
    "1.1": ({"__init__.py": "class Numbers(bool): ...\n"}, ("not an acceptable base type", ">= 1.2")),
}


@pytest.mark.parametrize("release", OLD_PACKAGES)
def test_tpm2_pytss_that_is_too_old(provisioned_bench: Bench, tmp_path: pathlib.Path, system_python: str, release: str) -> None:
    sources, says = OLD_PACKAGES[release]
    package = tmp_path / "old" / "tpm2_pytss"
    package.mkdir(parents=True)
    for name, source in sources.items():
        (package / name).write_text(source)
    provisioned_bench.python = interpreter(tmp_path, f"env PYTHONPATH={shlex.quote(str(package.parent))}:$PYTHONPATH {system_python}")
    library_refused(provisioned_bench, *says)


def test_without_the_library_of_the_tcti(provisioned_bench: Bench, tmp_path: pathlib.Path, system_python: str) -> None:
    """Reads do without it; a change says what is missing."""
    for library in ("libtss2-tcti-swtpm.so.0", "libtss2-tcti-swtpm.so"):
        (tmp_path / library).write_bytes(b"")
    provisioned_bench.python = interpreter(tmp_path, f"env LD_LIBRARY_PATH={shlex.quote(str(tmp_path))} {system_python}")
    assert not provisioned_bench.run("tpm2_profile", **ONE_STEP).expect_ok()["changed"]
    says = ("swtpm:host=127.0.0.1", "TSS2_TCTI_RC_", "libtss2-tcti-")
    provisioned_bench.refused("tpm2_nv_index", *says, predicted=False, index="0x01800011", content="another")


def test_without_the_tss_for_a_tcti_that_needs_it(system_python: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "libtss2-tctildr.so.0").write_bytes(b"")
    environment = {"LD_LIBRARY_PATH": str(tmp_path)}
    refuses_all(
        system_python, "mssim:port=2321", "'mssim'", "libtss2-tctildr.so.0", "install tpm2-tss", env=environment, reason="dependency"
    )
