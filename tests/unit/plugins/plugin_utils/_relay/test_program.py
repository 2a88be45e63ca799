# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay's program, in a Python of its own, against sockets, a terminal in place of a device node, and files."""

from __future__ import annotations

import ast
import base64
import contextlib
import errno
import io
import json
import os
import pathlib
import socket
import stat
import subprocess
import sys
import threading
import tty
import typing as t

import pytest
from support import places, relay

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, exchange, program

COMMAND, RESPONSE = "80010000000a0000017b", "80010000000c00000000abcd"
OTHER = "80010000000a0000017a"
Asked = dict[str, t.Any]


def ask(*steps: t.Any, places: t.Sequence[t.Any] = (), environment: bool = False) -> Asked:
    return {"environment": environment, "places": list(places), "steps": list(steps)}


def run(asked: Asked, **options: t.Any) -> dict[str, t.Any]:
    told = relay.run(sys.executable, asked, **options)
    assert told["changed"] is False and told.keys() <= {"changed", "answers", "stopped", "variable", "used"}
    told.pop("used", None)
    return t.cast("dict[str, t.Any]", told)


class Peer:
    """A TPM behind a stream: it answers the first command of a connection with these pieces, and notes all commands of a connection."""

    def __init__(self, listener: socket.socket, pieces: t.Sequence[bytes], *, hang_up: bool = False) -> None:
        self._listener, self._pieces, self._hang_up = listener, pieces, hang_up
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            connection, _address = self._listener.accept()
            with connection:
                while data := connection.recv(len(COMMAND) // 2, socket.MSG_WAITALL):
                    self.heard.append(data.hex())
                    for piece in self._pieces:
                        connection.sendall(piece)
                    if self._hang_up:
                        return

    @property
    def place(self) -> list[t.Any]:
        """Its place, as the relay is told it."""
        where = self._listener.getsockname()
        return ["unix", where] if isinstance(where, str) else ["tcp", *where]

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)


@pytest.fixture
def peer(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[..., Peer]]:
    """``peer(*pieces, unix=False, hang_up=False)``."""
    with contextlib.ExitStack() as stack:

        def make(*pieces: bytes, unix: bool = False, hang_up: bool = False) -> Peer:
            if unix:
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(str(tmp_path / "socket"))
                listener.listen()
            else:
                listener = socket.create_server(("127.0.0.1", 0))
            made = Peer(listener, pieces, hang_up=hang_up)
            stack.callback(made.close)
            return made

        yield make


GOOD = bytes.fromhex(RESPONSE)


@pytest.mark.parametrize("unix", [False, True], ids=["tcp", "unix"])
def test_commands_and_responses_in_pieces(peer: t.Callable[..., Peer], unix: bool) -> None:
    tpm = peer(GOOD[:3], GOOD[3:11], GOOD[11:], unix=unix)
    told = run(ask(["send", COMMAND], ["send", OTHER], places=[tpm.place]))
    assert told == {"changed": False, "answers": [RESPONSE, RESPONSE], "stopped": None}
    assert tpm.heard == [COMMAND, OTHER]


@pytest.mark.parametrize(("expected", "sent"), [(RESPONSE, True), (RESPONSE[:-2] + "ce", False)], ids=["equal", "other"])
def test_a_conditional_step(peer: t.Callable[..., Peer], expected: str, sent: bool) -> None:
    tpm = peer(GOOD)
    told = run(ask(["send", COMMAND], ["send", OTHER, 0, 0, expected], ["send", COMMAND], places=[tpm.place]))
    assert told["answers"] == [RESPONSE, RESPONSE if sent else None, RESPONSE] and told["stopped"] is None
    assert tpm.heard == ([COMMAND, OTHER, COMMAND] if sent else [COMMAND, COMMAND])


def test_steps_that_depend_on_a_part_and_on_each_other(peer: t.Callable[..., Peer]) -> None:
    """What depends on a step that was left out is left out, too; a condition may be about the code in a response alone."""
    tpm = peer(GOOD)
    success = ["send", OTHER, 0, 12, "00000000"]
    steps = (
        ["send", COMMAND],
        success,
        ["send", OTHER, 0, 12, "0000018b"],
        ["send", OTHER, 2, 0, RESPONSE],
        ["send", OTHER, 1, 0, RESPONSE],
    )
    assert run(ask(*steps, places=[tpm.place]))["answers"] == [RESPONSE, RESPONSE, None, None, RESPONSE]
    assert tpm.heard == [COMMAND, OTHER, OTHER]


HEAD = {"too small": 9, "nothing": 0, "too large": program.MOST + 1, "4 GB": 0xFFFFFFFF}


@pytest.mark.parametrize("size", HEAD.values(), ids=HEAD)
def test_what_does_not_speak_tpm(peer: t.Callable[..., Peer], size: int) -> None:
    tpm = peer(b"\x80\x01" + size.to_bytes(4, "big") + bytes(20))
    assert run(ask(["send", COMMAND], ["send", COMMAND], places=[tpm.place])) == {
        "changed": False,
        "answers": [],
        "stopped": ["garbage", 0],
    }
    assert tpm.heard == [COMMAND]


def test_the_largest_response(peer: t.Callable[..., Peer]) -> None:
    largest = b"\x80\x01" + program.MOST.to_bytes(4, "big") + bytes(program.MOST - 6)
    assert run(ask(["send", COMMAND], places=[peer(largest).place]))["answers"] == [largest.hex()]


@pytest.mark.parametrize("pieces", [(), (GOOD[:3],), (GOOD[:11],)], ids=["at once", "in the header", "in the rest"])
def test_what_hangs_up(peer: t.Callable[..., Peer], pieces: tuple[bytes, ...]) -> None:
    # What was answered before is not lost.
    told = run(ask(["look", "/", 1], ["send", COMMAND], places=[peer(*pieces, hang_up=True).place]))
    assert told["stopped"] == ["closed", 0] and len(told["answers"]) == 1


@pytest.mark.parametrize("pieces", [(), (GOOD[:11],)], ids=["nothing", "a part"])
def test_what_is_silent(peer: t.Callable[..., Peer], pieces: tuple[bytes, ...]) -> None:
    assert run(ask(["send", COMMAND], places=[peer(*pieces).place]), patience=0.2) == {
        "changed": False,
        "answers": [],
        "stopped": ["silent", errno.ETIMEDOUT],
    }


def test_a_host_that_does_not_take_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not reached; that it took the connection and did not answer would be untrue."""

    def connect(_address: t.Any, patience: float) -> socket.socket:
        assert patience == program.PATIENCE
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    told = program.Relay().work(ask(["send", COMMAND], places=[["tcp", "192.0.2.1", 2321]]))
    assert told["stopped"] == ["unreachable", errno.ETIMEDOUT]


def test_a_change_may_take_longer_than_a_read(peer: t.Callable[..., Peer], monkeypatch: pytest.MonkeyPatch) -> None:
    served, asked = program.Relay(), ask(["send", COMMAND], places=[peer(GOOD).place])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(asked).encode())))
    served.serve()
    assert isinstance(served.tpm, program.Stream) and served.tpm.socket.gettimeout() == program.LONG < channel.PATIENCE
    served.tpm.close()


def test_what_is_not_there(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    unreachable = {
        "nobody listens": (["tcp", "127.0.0.1", port], errno.ECONNREFUSED),
        "no socket": (["unix", str(tmp_path / "none")], errno.ENOENT),
        "no node": (["node", str(tmp_path / "none")], errno.ENOENT),
        "a folder": (["node", str(tmp_path)], errno.EISDIR),
        "no name of a host": (["tcp", "a" * 70, 1], 0),
    }
    found = {name: run(ask(["send", COMMAND], places=[place])) for name, (place, _number) in unreachable.items()}
    assert found == {
        name: {"changed": False, "answers": [], "stopped": ["unreachable", number]} for name, (_place, number) in unreachable.items()
    }


def test_files_alone_need_the_tpm_too(tmp_path: pathlib.Path) -> None:
    """As in the module, so that both give the same answer."""
    assert run(ask(["look", "/", 1], places=[["node", str(tmp_path / "none")]]))["stopped"] == ["unreachable", errno.ENOENT]


def test_no_permission(tmp_path: pathlib.Path, do: t.Callable[..., list[t.Any]]) -> None:
    closed = tmp_path / "closed"
    closed.touch(mode=0o000)
    places.open_to_all(tmp_path)
    # Root may do everything, so the program runs as nobody.
    nobody = 65534 if os.geteuid() == 0 else None
    asked = ask(["send", COMMAND], places=[["node", str(closed)]])
    assert relay.run(str(places.SYSTEM_PYTHON), asked, user=nobody)["stopped"] == ["unreachable", errno.EACCES]
    (found,) = do(["look", str(closed), 9], user=nobody)
    assert found["error"] == errno.EACCES and found["mode"] == 0 and "data" not in found


def test_an_ordinary_file_is_not_written_to(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "tpm0"
    file.write_bytes(b"precious")
    assert run(ask(["send", COMMAND], places=[["node", str(file)]])) == {"changed": False, "answers": [], "stopped": ["no_device", 0]}
    assert file.read_bytes() == b"precious"


@contextlib.contextmanager
def node(*pieces: bytes) -> t.Iterator[tuple[str, list[str]]]:
    """A terminal in place of a TPM's node: its path, and the commands that it gets."""
    leader, follower = os.openpty()
    tty.setraw(follower)
    heard: list[str] = []

    def serve() -> None:
        while len(data := os.read(leader, 100)) > 1:
            heard.append(data.hex())
            for piece in pieces:
                os.write(leader, piece)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield os.ttyname(follower), heard
    finally:
        os.write(follower, b"e")
        thread.join(30)
        os.close(leader)
        os.close(follower)


def test_a_device_node() -> None:
    with node(GOOD) as (path, heard):
        assert run(ask(["send", COMMAND], ["send", OTHER], places=[["node", path]]))["answers"] == [RESPONSE, RESPONSE]
    assert heard == [COMMAND, OTHER]


def test_a_node_that_fails_is_closed(tmp_path: pathlib.Path) -> None:
    """A direct node can be opened once at a time, so the next step could not open it again."""
    (tmp_path / "tpm0").touch()
    before = os.listdir("/dev/fd")
    served = program.Relay()
    assert served.work(ask(["send", COMMAND], places=[["node", str(tmp_path / "tpm0")]]))["stopped"] == ["no_device", 0]
    # Writing to this one fails.
    assert served.work(ask(["send", COMMAND], places=[["node", "/dev/full"]]))["stopped"] == ["broken", errno.ENOSPC]
    assert os.listdir("/dev/fd") == before


def test_the_first_node_that_exists() -> None:
    with node(GOOD) as (path, _heard):
        nodes = [["node", "/nonexistent/tpmrm0"], ["node", path], ["node", "/dev/null"]]
        assert run(ask(["send", COMMAND], places=nodes))["answers"] == [RESPONSE]


def test_a_node_that_says_nothing() -> None:
    """A read of /dev/null ends at once. What is too short for a response is the controller's to judge."""
    assert run(ask(["send", COMMAND], places=[["node", "/dev/null"]]))["answers"] == [""]


def test_the_environment_is_told_and_nothing_is_done() -> None:
    asked = ask(["send", COMMAND], places=[["node", "/nonexistent"]], environment=True)
    variable = {"TPM2TOOLS_TCTI": "swtpm:port=1"}
    assert run(asked, environment=variable) == {"changed": False, "answers": [], "stopped": ["environment", 0], "variable": "swtpm:port=1"}
    assert len(run(asked, environment={"TPM2TOOLS_TCTI": "x" * 5000})["variable"]) == 1000
    for other in (dict(asked, environment=False), asked):
        told = run(other, environment={**variable, "TPM2TOOLS_TCTI": "" if other is asked else "swtpm:port=1"})
        assert told["stopped"] == ["unreachable", errno.ENOENT]


@pytest.fixture
def do(peer: t.Callable[..., Peer]) -> t.Callable[..., list[t.Any]]:
    """``do(*steps, user=None)``: the answers to steps that are about files."""

    def work(*steps: t.Any, user: int | None = None) -> list[t.Any]:
        told = relay.run(str(places.SYSTEM_PYTHON), ask(*steps, places=[peer(GOOD).place]), user=user)
        assert told["stopped"] is None
        return t.cast("list[t.Any]", told["answers"])

    return work


# -- files


@pytest.fixture
def look(do: t.Callable[..., list[t.Any]]) -> t.Callable[..., list[dict[str, t.Any]]]:
    """``look(*paths)``: what the program finds there, with at most 100 bytes of each file."""
    return lambda *paths: do(*(["look", str(path), 100] for path in paths))


Look = t.Callable[..., list[dict[str, t.Any]]]


def content(found: dict[str, t.Any]) -> bytes:
    return base64.b64decode(found["data"])


def test_a_file(look: Look, tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'ümlaut """ \\ $x'
    path.write_bytes(bytes(range(100)))
    path.chmod(0o640)
    (found,) = look(path)
    status, above = path.stat(), tmp_path.stat()
    assert content(found) == bytes(range(100)) and found["real"] == str(path) and found["link"] is False
    assert found["mode"] == 0o640 and found["ids"] == [status.st_uid, status.st_gid]
    assert found["names"] == [path.owner(), path.group()] and "error" not in found
    assert found["same"] == [[above.st_dev, above.st_ino, path.name], [status.st_dev, status.st_ino, ""]]


def test_sizes(look: Look, tmp_path: pathlib.Path) -> None:
    small, large, empty = tmp_path / "small", tmp_path / "large", tmp_path / "empty"
    for path, size in ((small, 100), (large, 101), (empty, 0)):
        path.write_bytes(bytes(size))
    found = dict(zip(("small", "large", "empty"), look(small, large, empty), strict=True))
    assert content(found["small"]) == bytes(100) and content(found["empty"]) == b""
    # That there is a file, and whose, is told all the same.
    assert (
        found["large"]["error"] == errno.EFBIG
        and "data" not in found["large"]
        and found["large"]["mode"] == stat.S_IMODE(large.stat().st_mode)
    )


def test_what_is_no_file(look: Look, tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    names = ("none", "none/below", "pipe", ".", "file/", "file/below", "file/../file", "none/../file", "loop", "x" * 300)
    found = dict(zip(names, look(*(f"{tmp_path}/{name}" for name in names)), strict=True))
    assert {name: one["error"] for name, one in found.items()} == {
        **dict.fromkeys(("none", "none/below", "none/../file"), errno.ENOENT),
        "pipe": errno.EINVAL,
        ".": errno.EISDIR,
        **dict.fromkeys(("file/", "file/below", "file/../file"), errno.ENOTDIR),
        "loop": errno.ELOOP,
        "x" * 300: errno.ENAMETOOLONG,
    }
    assert not any("data" in one for one in found.values())


def test_links(look: Look, tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    (tmp_path / "folder").symlink_to(tmp_path)
    (tmp_path / "symbolic").symlink_to("folder/file")
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "hard").hardlink_to(file)
    plain, through, symbolic, hard, dangling = look(
        file, f"{tmp_path}/folder/./folder/file", tmp_path / "symbolic", tmp_path / "hard", tmp_path / "dangling"
    )
    assert content(plain) == content(through) == content(symbolic) == content(hard) == b"content"
    assert plain == through == {**symbolic, "link": False} and symbolic["link"] is dangling["link"] is True
    # A second name of the file has another folder entry and the same inode.
    assert hard["same"][1] == plain["same"][1] and hard["same"][0] != plain["same"][0] and hard["link"] is False
    assert dangling["error"] == errno.ENOENT and dangling["real"] == str(tmp_path / "gone")


def test_numbers_without_a_name() -> None:
    assert program.names(54321, 54322) == [None, None] and program.names(0, 0) == ["root", "root"]


# -- changes of files


def test_writing(tmp_path: pathlib.Path, do: t.Callable[..., list[t.Any]]) -> None:
    new, old, link = tmp_path / "a" / "b" / "new", tmp_path / "old", tmp_path / "link"
    old.write_bytes(b"old")
    old.chmod(0o640)
    link.symlink_to(old)
    data = base64.b64encode(bytes(range(256))).decode()
    assert do(["write", str(new), data, 0o600, True], ["write", str(old), data, 0o600, True]) == [{"error": 0}] * 2
    assert new.read_bytes() == old.read_bytes() == bytes(range(256))
    assert [stat.S_IMODE(one.stat().st_mode) for one in (new, old, new.parent)] == [0o600, 0o640, 0o755]
    assert do(["write", str(old), "", 0o604, False]) == [{"error": 0}]
    assert old.read_bytes() == b"" and stat.S_IMODE(old.stat().st_mode) == 0o604
    refused = do(
        ["write", str(link), data, 0o600, True], ["write", f"{old}/x", data, 0o600, True], ["write", str(new.parent), data, 0o600, True]
    )
    assert [one["error"] for one in refused] == [errno.ELOOP, errno.EEXIST, errno.EISDIR]
    # Nothing is left of what could not be written.
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["a", "b", "link", "new", "old"]
    assert link.is_symlink() and old.read_bytes() == b""


def test_what_can_be_written(tmp_path: pathlib.Path, do: t.Callable[..., list[t.Any]]) -> None:
    (tmp_path / "file").touch()
    found = do(["writable", f"{tmp_path}/new"], ["writable", f"{tmp_path}/none/none/new"], ["writable", f"{tmp_path}/file/new"])
    at = str(tmp_path)
    assert found == [{"folder": at, "error": 0}, {"folder": at, "error": 0}, {"folder": f"{at}/file", "error": errno.ENOTDIR}]
    places.open_to_all(tmp_path)
    (tmp_path / "closed").mkdir(mode=0o555)
    nobody = 65534 if os.geteuid() == 0 else None
    (found,) = do(["writable", f"{tmp_path}/closed/new"], user=nobody)
    assert found == {"folder": f"{tmp_path}/closed", "error": errno.EACCES}


def test_removing(tmp_path: pathlib.Path, do: t.Callable[..., list[t.Any]]) -> None:
    file, link, folder = tmp_path / "file", tmp_path / "link", tmp_path / "folder"
    file.touch()
    link.symlink_to(file)
    folder.mkdir()
    found = do(*(["remove", str(one)] for one in (link, tmp_path / "none", folder)))
    assert [one["error"] for one in found] == [0, 0, errno.EISDIR]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_owning(tmp_path: pathlib.Path, do: t.Callable[..., list[t.Any]]) -> None:
    file = tmp_path / "file"
    file.touch(mode=0o600)
    status = file.stat()
    mine = [file.owner(), str(status.st_gid)]
    steps = ([0o640, *mine], [None, None, None], [None, "no-such-user", None], [None, None, "no-such-group"])
    assert [one["error"] for one in do(*(["own", str(file), *step] for step in steps))] == [0, 0, errno.ENOENT, errno.ENOENT]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640 and (file.stat().st_uid, file.stat().st_gid) == (status.st_uid, status.st_gid)
    assert do(["own", str(tmp_path / "none"), 0o600, None, None]) == [{"error": errno.ENOENT}]


# -- serving


def test_serving(peer: t.Callable[..., Peer]) -> None:
    """One line, one answer, and one connection, until there are no more lines."""
    tpm = peer(GOOD)
    # The program comes in a file, and what is asked by standard input.
    reading, writing = os.pipe()
    os.write(writing, relay.sent({"serve": True}).encode())
    os.close(writing)
    lines = [json.dumps(ask(["send", one], places=[tpm.place])) for one in (COMMAND, OTHER)]
    done = subprocess.run(
        [sys.executable, "-I", f"/dev/fd/{reading}"],
        input="".join(f"{one}\n" for one in lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        pass_fds=[reading],
    )
    os.close(reading)
    ready, *told = (json.loads(line) for line in done.stdout.splitlines())
    assert ready == {"ready": True} and told == [{"changed": False, "answers": [RESPONSE], "stopped": None, "used": 0}] * 2
    assert tpm.heard == [COMMAND, OTHER]


# -- the text that is sent

# What the program uses of the standard library: all of it is in Python 3.6.
IN_PYTHON_3_6 = {
    "binascii": "a2b_base64 b2a_base64",
    "errno": "EACCES EFBIG EINVAL EISDIR ELOOP ENOENT ENOTDIR ETIMEDOUT",
    "grp": "getgrgid getgrnam",
    "json": "dumps loads",
    "os": "O_CLOEXEC O_DIRECTORY O_RDONLY O_RDWR W_OK X_OK access chmod close environ fchmod fdopen fstat fsync lchown makedirs open path read "
    "replace stat unlink write",
    "os.path": "dirname exists isdir islink lexists realpath split",
    "pwd": "getpwnam getpwuid",
    "socket": "AF_UNIX create_connection socket timeout",
    "stat": "S_IMODE S_ISCHR S_ISDIR S_ISREG",
    "sys": "stdin stdout",
    "tempfile": "mkstemp",
}


def test_every_run_imports_what_costs_a_device_little() -> None:
    """A run with nothing to do is the ordinary one. Others import socket, tempfile and the lists of users where they use them."""
    tree = ast.parse(exchange.program())
    top = {one.name for node in tree.body if isinstance(node, ast.Import) for one in node.names}
    assert top == {"binascii", "errno", "json", "os", "stat", "sys"}


def test_the_program_is_one_of_python_3_6() -> None:
    tree = ast.parse(exchange.program(), feature_version=(3, 6))
    imported = {one.name for node in ast.walk(tree) if isinstance(node, ast.Import) for one in node.names if one.asname is None}
    assert not any(isinstance(node, ast.ImportFrom) for node in ast.walk(tree))
    used: dict[str, set[str]] = {}
    for found in ast.walk(tree):
        of, _dot, name = ast.unparse(found).rpartition(".") if isinstance(found, ast.Attribute) else ("", "", "")
        if of in (*imported, "os.path"):
            used.setdefault(of, set()).add(name)
    assert {of: " ".join(sorted(names)) for of, names in used.items()} == IN_PYTHON_3_6
    # It evaluates annotations where a function is defined, unless they are texts.
    annotations = [a.annotation for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for a in f.args.args if a.annotation]
    annotations += [f.returns for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and f.returns]
    assert {one.id for one in annotations if isinstance(one, ast.Name)} <= {"bool", "bytes", "float", "int", "str"}
    assert all(isinstance(one, (ast.Name, ast.Constant)) for one in annotations)


def test_what_is_sent_is_small_and_has_nothing_to_read() -> None:
    text, source = exchange.program(), pathlib.Path(str(program.__file__)).read_text(encoding="utf-8")
    assert len(text.encode()) <= 8192 and text.startswith("#!/usr/bin/python\nimport ") and text.isascii()
    assert not any(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in ast.walk(ast.parse(text)))
    assert not [line for line in text.splitlines() if not line.strip() or line.strip().startswith("# ")]
    # Apart from that, it is the same program.
    before, after = (ast.parse(one) for one in (source, text))
    for node in ast.walk(before):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body[:1] = [] if len(node.body) > 1 else [ast.Pass()]
    assert ast.dump(before) == ast.dump(after)
