# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The relay in shell does what the relay in Python does, in dash and in BusyBox with nothing beside it; and what it prints may be an attacker's."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import pathlib
import random
import shutil
import stat
import subprocess
import sys
import typing as t

import pytest
from support import busybox, relay
from support.fuzz import Rounds
from support.node import NodeTpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel, remote, shell

RANDOM = "80010000000c0000017b0010"
PROPERTIES = "8001000000160000017a000000060000010000000040"
SUCCESS = "00000000"
OURS = "PATH=$PATH:/usr/sbin:/usr/bin:/sbin:/bin\n"
Asked = dict[str, t.Any]


def ask(*steps: t.Any, places: t.Sequence[t.Any] = (["node", "/dev/full"],), environment: bool = False) -> Asked:
    return {"environment": environment, "places": list(places), "steps": list(steps)}


class Shell:
    """A shell, and the folder of the only tools that it finds."""

    def __init__(self, program: pathlib.Path, tools: pathlib.Path | None = None) -> None:
        self.program, self.tools = program, tools

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {**os.environ, **({"PATH": str(self.tools)} if self.tools else {}), **variables}

    def command(self) -> list[str]:
        """The loader, for this shell."""
        _shell, _option, loader = _words(shell.command(""))
        return [str(self.program), "-c", loader.replace("/bin/sh", str(self.program))]

    def run(self, asked: Asked, **variables: str) -> t.Any:
        """One exchange."""
        script = shell.alone(asked)
        assert script.count(OURS) == 1
        if self.tools:
            script = script.replace(OURS, "")
        done = subprocess.run(
            self.command(),
            input=b"a password\n" + script.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
            timeout=60,
            env=self.environment(variables),
        )
        assert done.returncode == 0 and not done.stderr, done.stderr
        return shell.told(asked, "A message of the day\n" + done.stdout.decode())


def _words(command: str) -> list[str]:
    return subprocess.run(["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True).stdout.split("\0")[:-1]


@pytest.fixture(scope="module", params=["dash", "busybox", "busybox without stat and od"])
def sh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    if request.param == "dash":
        return Shell(pathlib.Path(shutil.which("dash") or ""))
    folder = busybox.applets(tmp_path_factory.mktemp("busybox") / "bin")
    if request.param != "busybox":
        (folder / "stat").unlink()
        (folder / "od").unlink()
    return Shell(folder / "sh", folder)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[NodeTpm]:
    with NodeTpm(tmp_path_factory.mktemp("node") / "tpm") as tpm:
        yield tpm


def python(asked: Asked, **variables: str) -> t.Any:
    """What the relay in Python answers."""
    return _answer.taken(remote.ANSWER, relay.run(sys.executable, asked, environment=variables))


# -- the TPM


def test_commands_and_responses(sh: Shell, node: NodeTpm) -> None:
    place = ["node", node.path]
    conditions = [["send", PROPERTIES, 1, 12, SUCCESS], ["send", PROPERTIES, 1, 12, "00000101"], ["send", PROPERTIES, 3, 0, "80"]]
    told = sh.run(ask(["send", RANDOM], ["send", PROPERTIES], *conditions, places=[["node", "/nowhere"], place]))
    assert told["stopped"] is None and told["used"] == 1
    first, second, *others = told["answers"]
    assert first.startswith("80010000001c" + SUCCESS + "0010") and len(first) == 56
    assert second == python(ask(["send", PROPERTIES], places=[place]))["answers"][0] and len(second) > 200
    assert others == [second, None, None]


def test_a_command_is_one_write(sh: Shell, tmp_path: pathlib.Path) -> None:
    # What printf hands on in pieces; a terminal in place of the node would split a long command.
    data = bytes(range(256)) * 12
    script = shell.question(ask(["send", data.hex()], places=[["node", "/dev/null"]]))
    (line,) = [one for one in script.splitlines() if one.startswith("send ")]
    (how,) = [one for one in shell.alone(ask()).splitlines() if "obs=" in one]
    writer = how.partition("| ")[2].partition(" >&3")[0]
    command = f"{{ printf {line.removeprefix('send ').removesuffix(' &&')}; sleep 0.1; printf A; }} | {writer} >{tmp_path}/out"
    written = subprocess.run([sh.program, "-c", command], capture_output=True, text=True, check=True, env=sh.environment({}))
    assert (tmp_path / "out").read_bytes() == data + b"A" and "\n0+1 records out" in written.stderr


PLACES: dict[str, list[t.Any]] = {
    "nowhere": [["node", "/nowhere"], ["node", "/nor/here"]],
    "a file": [["node", "/etc/passwd"]],
    "full": [["node", "/dev/full"]],
    "no such device": [["node", "/dev/tty"]],
}


@pytest.mark.parametrize("places", PLACES.values(), ids=PLACES)
def test_what_is_no_tpm(sh: Shell, places: list[t.Any]) -> None:
    asked = ask(["send", RANDOM], ["look", "/", 1], places=places)
    told = sh.run(asked)
    assert told == python(asked) and told["stopped"] and told["answers"] == []


def test_what_does_not_answer(sh: Shell) -> None:
    assert sh.run(ask(["look", "/nowhere", 1], ["send", RANDOM], places=[["node", "/dev/null"]]))["stopped"] == ["broken", errno.EIO]


def test_no_permission(sh: Shell, node: NodeTpm, tmp_path: pathlib.Path) -> None:
    if sh.tools is not None:
        return
    done = subprocess.run(
        sh.command(),
        input=shell.alone(ask(places=[["node", node.path]])),
        text=True,
        capture_output=True,
        check=True,
        user="nobody",
        cwd="/",
    )
    assert shell.told(ask(), done.stdout)["stopped"] == ["unreachable", errno.EACCES]


@pytest.mark.parametrize("variable", ["", "device:/dev/tpm7", "swtpm:'$(touch x)\u00e9"])
def test_the_devices_own_variable(sh: Shell, variable: str) -> None:
    asked = ask(["writable", "/x"], environment=True)
    told = sh.run(asked, TPM2TOOLS_TCTI=variable)
    assert told == python(asked, TPM2TOOLS_TCTI=variable) and bool(told["stopped"]) is bool(variable)


@pytest.mark.parametrize("place", [["tcp", "127.0.0.1", 2321], ["unix", "/run/tpm"]], ids=["tcp", "unix"])
def test_sockets_are_for_python(place: list[t.Any]) -> None:
    with pytest.raises(remote.ElsewhereError) as refused:
        shell.question(ask(places=[place]))
    assert refused.value.why == "no_shell_socket"


@pytest.mark.parametrize("lacking", ["od", "dd", "stat", "mktemp"])
def test_tools(tmp_path: pathlib.Path, lacking: str) -> None:
    folder = busybox.applets(tmp_path / "bin")
    (folder / lacking).unlink()
    # BusyBox itself must not stand in for what is not there.
    told = Shell(pathlib.Path(shutil.which("dash") or ""), folder).run(ask(["look", "/etc/passwd", 4096]))
    assert told["stopped"] == (None if lacking in ("od", "stat") else ["no_shell_tool", 0])
    assert bool(told["answers"]) is (lacking in ("od", "stat"))


def test_a_shell_whose_printf_is_a_program(tmp_path: pathlib.Path) -> None:
    (tmp_path / "start").write_text("enable -n printf\n")
    told = Shell(pathlib.Path("/bin/bash")).run(ask(["look", "/", 1]), BASH_ENV=str(tmp_path / "start"))
    assert told["stopped"] == ["no_shell_tool", 0] and told["answers"] == []


# -- files


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Files, links and folders to look at."""
    (tmp_path / "file").write_bytes(bytes(range(256)) * 128)
    (tmp_path / "it's \u00e9").write_text("x")
    (tmp_path / "empty").touch(0o4751)
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "away").symlink_to("folder/inner")
    (tmp_path / "dangling").symlink_to("nowhere/x")
    (tmp_path / "loop").symlink_to("loop")
    os.chown(tmp_path / "empty", 54321, 1)
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


SEEN = ["file", "it's \u00e9", "empty", "folder", "folder/", "link", "away/../x", "away/.././x/../../file", "dangling", "loop", "fifo"]
SEEN += ["no/x", "no/../file", "file/x", ".//file", "link/x", "/", "/dev/null", "/proc/version", "/proc/1/mem"]


@pytest.mark.parametrize("most", [1 << 15, 100], ids=["whole", "too large"])
def test_what_is_seen(sh: Shell, folder: pathlib.Path, most: int) -> None:
    asked = ask(*(["look", os.path.join(f"{folder}/", name), most] for name in SEEN))
    told, expected = sh.run(asked), python(asked)
    if sh.tools and not (sh.tools / "stat").exists():
        # There, a device is named by a number of ours.
        for mine, other in zip(told["answers"], expected["answers"], strict=True):
            assert len({one[0] for one in mine["same"]}) == len({one[0] for one in other["same"]})
            mine["same"] = [[other[0], *one[1:]] for one, other in zip(mine["same"], other["same"], strict=True)]
    assert dict(zip(SEEN, told["answers"], strict=True)) == dict(zip(SEEN, expected["answers"], strict=True)) and len(
        told["answers"]
    ) == len(SEEN)
    assert told["answers"][0].get("error", 0) == (0 if most > 100 else errno.EFBIG)


CHANGES: list[list[t.Any]] = [
    ["writable", "a/b/c"],
    ["writable", "file/c"],
    ["writable", "/x"],
    ["write", "a/b/c", "AAECgICB/w==", 0o640, False],
    ["write", "file", "", 0o600, False],
    ["write", "empty", "QQ==", 0o644, True],
    ["write", "it's \u00e9", "QQ==", 0o644, True],
    ["write", "link", "QQ==", 0o644, True],
    ["write", "loop", "QQ==", 0o644, True],
    ["write", "folder", "QQ==", 0o644, True],
    ["write", "file/x", "QQ==", 0o644, True],
    ["write", "/proc/x", "QQ==", 0o644, True],
    ["remove", "file"],
    ["remove", "dangling"],
    ["remove", "none"],
    ["remove", "folder"],
    ["remove", "/proc/version"],
    ["own", "link", None, "1", "daemon"],
    ["own", "folder", 0o2775, "nobody", None],
    ["own", "it's \u00e9", 0o400, None, "77777"],
    ["own", "none", 0o600, None, None],
    ["own", "none", None, None, "1"],
    ["own", None, None, "root", None],
    ["own", None, None, "root", "no-such"],
    ["own", None, None, "no$such", "daemon"],
]


def state(folder: pathlib.Path) -> dict[str, t.Any]:
    """All that is in a folder."""
    found: dict[str, t.Any] = {}
    for path in sorted(folder.rglob("*")):
        there = path.lstat()
        kind = stat.S_IFMT(there.st_mode)
        held: t.Any = path.read_bytes() if kind == stat.S_IFREG else os.readlink(path) if kind == stat.S_IFLNK else None
        found[str(path.relative_to(folder))] = (there.st_mode, there.st_uid, there.st_gid, held)
    return found


def test_changes(sh: Shell, folder: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    twin = tmp_path_factory.mktemp("twin")
    subprocess.run(["cp", "-a", f"{folder}/.", twin], check=True)

    def steps(root: pathlib.Path) -> list[t.Any]:
        return [[one[0], one[1] and os.path.join(root, one[1]), *one[2:]] for one in CHANGES]

    told, expected = sh.run(ask(*steps(folder))), python(ask(*steps(twin)))
    for step, mine, other in zip(CHANGES, told["answers"], expected["answers"], strict=True):
        other.update({"folder": other["folder"].replace(str(twin), str(folder))} if "folder" in other else {})
        assert mine == other, step
    assert len(told["answers"]) == len(CHANGES) and state(folder) == state(twin)


def test_a_file_of_the_largest_size(sh: Shell, tmp_path: pathlib.Path) -> None:
    data = random.Random(5).randbytes(remote.LARGEST_FILE)
    path = str(tmp_path / "large")
    told = sh.run(ask(["write", path, base64.b64encode(data).decode(), 0o600, False], ["look", path, remote.LARGEST_FILE]))
    assert told["answers"][0] == {"error": 0} and base64.b64decode(told["answers"][1]["data"]) == data == pathlib.Path(path).read_bytes()


@pytest.mark.parametrize("path", ["/a\nreboot", "/a\n", "/a\0", "/\x1b"])
def test_paths_that_no_shell_gets(path: str) -> None:
    with pytest.raises(remote.ElsewhereError) as refused:
        shell.question(ask(["look", path, 1]))
    assert refused.value.why == "path"


def test_a_script_that_is_cut_off_does_nothing(sh: Shell, tmp_path: pathlib.Path) -> None:
    data = base64.b64encode(bytes(20000)).decode()
    asked = ask(["remove", str(tmp_path / "kept")], ["write", str(tmp_path / "new"), data, 0o600, False])
    (tmp_path / "kept").touch()
    script = shell.alone(asked).encode()
    for length in (len(script) - 1000, len(script) - 12):
        subprocess.run(sh.command(), input=script[:length], capture_output=True, check=False, env=sh.environment({}), timeout=60)
        assert [path.name for path in tmp_path.iterdir()] == ["kept"]


# -- a channel


def test_a_channel_keeps_the_node_open(sh: Shell, node: NodeTpm) -> None:
    opened = channel.Channel(sh.command(), shell.speech(""), "reboot")
    try:
        files = pathlib.Path(f"/proc/{opened._process.pid}/fd")
        assert not (files / "3").exists()
        asked = ask(["send", RANDOM], places=[["node", node.path]])
        for _number in range(3):
            assert opened.ask(asked)["answers"][0].startswith("80010000001c")
            assert os.readlink(files / "3") == node.path
        # As in Python, another place is not looked for while one is open.
        assert opened.ask(ask(["look", "/", 1], places=[["node", "/nowhere"]]))["stopped"] is None
    finally:
        opened.close()
    assert opened._process.returncode == 0


def test_a_shell_that_does_not_start() -> None:
    with pytest.raises(errors.TransportError) as error:
        channel.Channel(["sh", "-c", "exit 127"], shell.speech(""))
    assert error.value.reason == "no_relay" and "POSIX shell" in error.value.message and "Python" not in error.value.message


# -- an attacker's lines

STEPS = [
    ["send", RANDOM],
    ["send", RANDOM, 0, 12, SUCCESS],
    ["look", "/etc/passwd", 4096],
    ["look", "/", 1],
    ["writable", "/x/y"],
    ["own", None, None, "1", None],
]
LIES = {
    "nothing": "",
    "no end": "edgefleet-relay used:0 sent:80",
    "two": "edgefleet-relay end\nedgefleet-relay end",
    "no hex": "edgefleet-relay used:0 sent:zz end",
    "too many": "edgefleet-relay used:0 sent:80:80 end",
    "none": "edgefleet-relay used:0 sent end",
    "no number": "edgefleet-relay used:x end",
    "no numbers": "edgefleet-relay used end",
    "another kind": "edgefleet-relay used:0 done:0 end",
    "skipped, though there was no condition": "edgefleet-relay used:0 skipped end",
    "more than asked": "edgefleet-relay" + " skipped" * 9 + " end",
    "after the end": "edgefleet-relay stopped:broken:5 sent:80 end",
    "no reason": "edgefleet-relay stopped end",
    "long number": f"edgefleet-relay stopped:broken:{'9' * 9999} end",
    "no look": "edgefleet-relay sent:80 sent:80 look:1 end",
    "no status": "edgefleet-relay sent:80 sent:80 look:0:2f:s2f:s2f:s2f:s end",
    "no numbers in a status": f"edgefleet-relay sent:80 sent:80 look:0:2f:{'s' + b'a b c d e f g'.hex()}:s:s:s end",
    "a mode larger than a C integer": "edgefleet-relay sent:80 sent:80 look:0:2f:{0}:{0}:{0}:s end".format(
        "s" + f"1 2 {'f' * 30} 0 0 a b".encode().hex()
    ),
    "no list": "edgefleet-relay sent:80 sent:80 look:0:2f:l2f:l2f:l2f:s end",
    "no modes in a list": f"edgefleet-relay sent:80 sent:80 look:0:2f:{'l' + b'1 drwxr-xr-? 2 0 0'.hex() + b'%ndrwx 2 r r'.hex()}:0:0:s end",
    "too large": "edgefleet-relay sent:" + "80" * (3 << 20) + " end",
}


@pytest.mark.parametrize("printed", LIES.values(), ids=LIES)
def test_what_the_relay_never_prints(printed: str) -> None:
    with pytest.raises(remote.ElsewhereError) as refused:
        shell.told(ask(*STEPS), printed)
    assert refused.value.why == ("malformed" if printed else "no_relay")
    for line in printed.splitlines():
        program = "import sys; print('{\"ready\": true}', flush=True); sys.stdin.buffer.readline(); print(sys.argv[1], flush=True); sys.stdin.read()"
        if printed == LIES["two"] or len(line) > 1 << 16:
            # For a channel, each line is an answer; and no argument is that long.
            continue
        with contextlib.closing(channel.Channel([sys.executable, "-Ic", program, line], shell.speech(""))) as opened:
            with pytest.raises(errors.TransportError):
                opened.ask(ask(*STEPS))


def test_damaged_lines(node: NodeTpm, rounds: Rounds) -> None:
    asked = ask(*STEPS, places=[["node", node.path]])
    done = subprocess.run(["dash", *_words(shell.command(""))[1:]], input=shell.alone(asked), capture_output=True, text=True, check=True)
    assert len(shell.told(asked, done.stdout)["answers"]) == len(STEPS)
    for dice in rounds("the lines of the relay in shell"):
        line = list(done.stdout)
        for _damage in range(dice.randrange(1, 4)):
            at = dice.randrange(len("edgefleet-relay"), len(line))
            line[at : at + dice.randrange(3)] = dice.choice(
                ["", ":", " ", "e", "s", "0", "ff", "-1", "\u00e9", " stopped:x:1", " end\n", "\udcff"]
            )
        with contextlib.suppress(remote.ElsewhereError):
            shell.told(asked, "".join(line))
