# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many devices from one controller: their TPMs are one server that answers from what a software TPM has said; a section of docs/benchmarks.md."""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import socket
import threading
import typing as t

import report
from fleet import TELEMETRY_KEY, Variant, device_variables, play
from support import profile
from support.proxy import Proxy
from support.raw import receive_message
from support.swtpm import Swtpm

FORKS = 25
RUNS = [
    Variant("profile", "`tpm2_profile`, one task", ok=1),
    Variant("audit", "`playbooks/audit.yml`", ok=None, skipped=None, file="edgefleet.tpm2.audit"),
    Variant("day_zero", "`playbooks/day_zero.yml`, without enrolment", ok=None, skipped=None, file="edgefleet.tpm2.day_zero"),
]
EVERY = 1.0  # seconds between two looks at the memory
Say = t.Callable[[str], None]


class Recorded:
    """TPMs that say what another has said, each with a serial number of its own in place of that one's.

    To what that one was not asked they do not answer. Each is a UNIX socket; a context manager.
    """

    def __init__(self, folder: pathlib.Path, answers: t.Mapping[bytes, bytes], serials: t.Sequence[str]) -> None:
        folder.mkdir()
        self._answers = answers
        self._places = selectors.DefaultSelector()
        self._waking, waiting = socket.socketpair()
        self._places.register(waiting, selectors.EVENT_READ)
        self.tctis = [self._listen(folder / f"{number}", serial) for number, serial in enumerate(serials)]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Recorded:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._waking.close()
        self._thread.join()
        for key in list(self._places.get_map().values()):
            t.cast("socket.socket", key.fileobj).close()
        self._places.close()

    def _listen(self, path: pathlib.Path, serial: str) -> str:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen()
        self._places.register(listening, selectors.EVENT_READ, serial)
        return f"swtpm:path={path}"

    def _serve(self) -> None:
        while True:
            for key, _events in self._places.select():
                if key.data is None:
                    return
                client, _address = t.cast("socket.socket", key.fileobj).accept()
                threading.Thread(target=self._answer, args=(client, key.data), daemon=True).start()

    def _answer(self, client: socket.socket, serial: str) -> None:
        with client:
            for command in iter(lambda: receive_message(client), b""):
                if command not in self._answers:
                    return
                client.sendall(self._answers[command].replace(profile.SERIAL.encode(), serial.encode()))


class Memory:
    """The most memory that a program and its descendants have together: of what they share, each has its part (PSS)."""

    def __init__(self) -> None:
        self.most = self.most_processes = 0

    @contextlib.contextmanager
    def watching(self, pid: int) -> t.Iterator[None]:
        """Look every second, meanwhile."""
        done = threading.Event()

        def watch() -> None:
            while not done.wait(EVERY):
                found = [_kilobytes(one) for one in _family(pid)]
                self.most, self.most_processes = max(self.most, sum(found)), max(self.most_processes, len(found))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for one in found:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _kilobytes(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration):
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return 0


def _host(tcti: str, files: pathlib.Path, serial: str) -> dict[str, t.Any]:
    return {
        **device_variables(tcti, files),
        "tpm2_day_zero_stack": False,
        "tpm2_profile_tcti": tcti,
        "tpm2_serial": serial,
        "tpm2_profile_serial": serial,
        "tpm2_profile_dir": str(files),
        "tpm2_profile_telemetry_key": TELEMETRY_KEY,
    }


def _record(folder: pathlib.Path) -> dict[bytes, bytes]:
    """What a software TPM that has the profile says in these runs."""
    answers: dict[bytes, bytes] = {}
    with Swtpm(folder / "tpm") as tpm, Proxy(tpm) as proxy:
        tpm.extend_pcr(7)
        hosts = {"device0": _host(proxy.tcti, folder / "files", profile.SERIAL)}
        play(Variant("day_zero", "", ok=None, skipped=None, changed=None, file="edgefleet.tpm2.day_zero"), hosts, folder)
        proxy.reset()
        for variant in RUNS:
            play(variant, hosts, folder)
        for record in proxy.records:
            answers[record.request] = record.response
    return answers


def section(folder: pathlib.Path, devices: t.Sequence[int], *, busy: bool, say: Say) -> str:
    """The section, measured once. ``devices``: for each of RUNS. ``busy``: the machine had other work when it began."""
    rows = []
    serials = [f"EDGE-{number:04}-TEST" for number in range(max(devices))]
    with Recorded(folder / "tpms", _record(folder), serials) as server:
        hosts = [_host(tcti, folder / "files", serial) for tcti, serial in zip(server.tctis, serials, strict=True)]
        for variant, number in zip(RUNS, devices, strict=True):
            memory, those = Memory(), {serial.lower(): host for serial, host in zip(serials[:number], hosts, strict=False)}
            sample = play(variant, those, folder, {"ANSIBLE_FORKS": str(FORKS)}, memory.watching)
            say(f"{number} devices: {variant.name} {sample.wall:.1f} s, CPU {sample.cpu:.1f} s, {memory.most // 1024} MB")
            rows.append(
                f"| {variant.title} | {number:,} | {sample.wall:.0f} | {sample.cpu:.0f} | {1000 * sample.cpu / number:.0f} "
                f"| {number / sample.wall:.1f} | {memory.most // 1024} | {memory.most_processes} |"
            )
    values = {
        "forks": str(FORKS),
        "cores": str(os.cpu_count()),
        "load": "yes" if busy else "no",
        "rows": "\n".join(rows),
    }
    return report.filled("scale.md", values)


__all__ = ("section",)
