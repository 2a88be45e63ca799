# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices for tests of the registry, and programs for other processes that use it at the same time."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import multiprocessing
import os
import pathlib
import signal
import sqlite3
import subprocess
import sys
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import rows, upgrade
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import RegistryError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate, Identity
from support import places

T = t.TypeVar("T")
END_OF_TIME = datetime.datetime(9999, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
PINNED = EkVerdict("pinned", "the manifest pins this EK", revocation="not checked")


def edit(path: pathlib.Path | str, *statements: str, **values: t.Any) -> None:
    """Change a registry as an attacker with its file would: first remove the triggers."""
    with contextlib.closing(sqlite3.connect(path)) as base:
        for (name,) in base.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            base.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            base.execute(statement, values)
        base.commit()


def name(text: str) -> str:
    """A unique TPM Name (SHA-256)."""
    return "000b" + hashlib.sha256(text.encode()).hexdigest()


def identity(number: int, **changes: t.Any) -> Identity:
    """The device of that number."""
    made = Identity(
        ek_name=name(f"ek {number}"),
        serial=f"EDGE-{number:04}",
        ak_name=name(f"ak {number}"),
        idevid_name=name(f"idevid {number}"),
        ek_public=b"ek" + bytes([number % 256]),
        ak_public=b"ak\0",
        idevid_public=b"idevid",
        host=f"edge-{number:02}",
        mac="02:00:00:00:00:01",
        site="north",
        model="gateway",
        manufacturer="IBM",
        firmware="8217.4131",
        tpm_model="SW TPM",
    )
    return dataclasses.replace(made, **changes)


def certificate(number: int, kind: str = "iak", *, serial_number: str = "", **changes: t.Any) -> Certificate:
    """A certificate of the device of that number."""
    made = Certificate(
        kind=kind,
        pem=f"-----BEGIN CERTIFICATE-----\n{kind} {number}\n-----END CERTIFICATE-----\n",
        serial_number=serial_number or hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:32],
        key_name=name(f"{kind} {number}"),
        not_before=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        not_after=END_OF_TIME,
        issuer="CN=Factory CA",
    )
    return dataclasses.replace(made, **changes)


def side_by_side(work: t.Callable[..., T], arguments: t.Sequence[tuple[t.Any, ...]]) -> list[T]:
    """Call `work` (of an importable module) with each of the arguments at the same time, each in its own process."""
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Manager().Barrier(len(arguments))
    with spawn.Pool(len(arguments)) as pool:
        return pool.starmap(_at_once, [(barrier, work, *one) for one in arguments], chunksize=1)


def _at_once(barrier: t.Any, work: t.Callable[..., T], *arguments: t.Any) -> T:
    barrier.wait(60)
    return work(*arguments)


def enroll_many(url: str, identities: t.Sequence[Identity]) -> list[str]:
    """Enroll devices in that order, with an event before each; return the result of each."""
    outcomes = []
    for one in identities:
        with open_registry(url) as registry:
            registry.note("asked", serial=one.serial, host=str(os.getpid()))
            try:
                device = registry.enroll(one, PINNED, [])
            except RegistryError as error:
                outcomes.append(error.reason)
            else:
                outcomes.append("existed" if device.existed else "enrolled")
    return outcomes


def open_it(url: str, migrations: str = "", revisions: tuple[str, ...] = ()) -> int:
    """Open a registry, with other migrations if given; return the number of its devices."""
    if migrations:
        upgrade.MIGRATIONS, upgrade.models.REVISIONS = migrations, revisions
    with open_registry(url) as registry:
        return len(registry.devices())


def rotate(url: str, ek_name: str) -> tuple[int, int]:
    """Begin and finish a rotation."""
    with open_registry(url) as registry:
        return registry.begin_rotation(ek_name), registry.finish_rotation(ek_name)


def sight(url: str, number: int) -> bool:
    """Open the incident of that number; return whether it was open already."""
    with open_registry(url) as registry:
        return registry.open_incident(f"edge-{number}", f"EDGE-{number}", "", "no_certificate", "").existed


def killed_in_mid_transaction(url: str) -> None:
    """Enroll device 1 in another process, and kill that process just before the commit."""
    program = "import sys; from support import registry; registry.enroll_and_wait(sys.argv[1])"
    path = os.pathsep.join([str(places.COLLECTIONS), str(places.ROOT / "tests")])
    child = subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.communicate()


def enroll_and_wait(url: str) -> None:
    """The program of the process that is killed."""
    write = rows.note

    def note(*arguments: t.Any, **options: t.Any) -> None:
        write(*arguments, **options)
        print("written", flush=True)
        time.sleep(600)

    rows.note = note
    with open_registry(url) as registry:
        registry.enroll(identity(1), PINNED, [certificate(1)])


def as_nobody(url: str) -> dict[str, t.Any]:
    """Open a registry and enroll in it as a user without any rights; return the error's reason and sentence."""
    program = (
        "import json, os, sys; from support import registry\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n"
        "    with registry.open_registry(sys.argv[1], timeout=1) as one:\n"
        "        print(json.dumps({'devices': len(one.devices())}), flush=True)\n"
        "        one.enroll(registry.identity(9), registry.PINNED)\n"
        "except registry.RegistryError as error: print(json.dumps({'reason': error.reason, 'said': str(error)}))\n"
    )
    path = os.pathsep.join([str(places.COLLECTIONS), str(places.ROOT / "tests")])
    command = [sys.executable, "-c", "import sqlalchemy.dialects.sqlite, alembic.command, alembic.config, sqlite3\n" + program, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path})
    found: dict[str, t.Any] = {}
    for line in done.stdout.splitlines():
        found.update(json.loads(line))
    return found
