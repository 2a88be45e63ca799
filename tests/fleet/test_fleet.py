# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred devices (`make fleet`; DEVICES=30 takes fewer), enrolled by two controllers at once in one PostgreSQL, and by one controller in SQLite.

Asserted in SQL from the database itself, which none of our code has a part in.
"""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
import sqlite3
import typing as t

import pytest
from fleet.devices import DEVICES, Done, Fleet, Slice, Step, at_once, manufacture, slices
from support.controller import said, totals
from support.factory import Vendor

if t.TYPE_CHECKING:
    from support.postgres import Postgres

pytest_plugins = ("support.postgres",)
SHARED = [f"both-{number:03}" for number in range(max(2, DEVICES // 10))]  # sorted before the others: both controllers begin with them
OWN = [f"edge-{number:03}" for number in range(DEVICES - len(SHARED))]
ALL = SHARED + OWN
Ask = t.Callable[[str], list[tuple[t.Any, ...]]]

# What must be true of the database, each a question and its answer for N devices.
LAWS: dict[str, tuple[str, t.Callable[[int], list[tuple[t.Any, ...]]]]] = {
    "every device once": ("SELECT COUNT(*), COUNT(DISTINCT host) FROM devices", lambda n: [(n, n)]),
    "no serial twice": ("SELECT serial FROM devices GROUP BY serial HAVING COUNT(*) > 1", lambda _n: []),
    "no EK twice": ("SELECT ek_name FROM devices GROUP BY ek_name HAVING COUNT(*) > 1", lambda _n: []),
    "no AK twice": ("SELECT ak_name FROM devices GROUP BY ak_name HAVING COUNT(*) > 1", lambda _n: []),
    "no IDevID twice": ("SELECT idevid_name FROM devices GROUP BY idevid_name HAVING COUNT(*) > 1", lambda _n: []),
    "enrolled events": (
        "SELECT COUNT(*), COUNT(DISTINCT ek_name), COUNT(DISTINCT serial) FROM events WHERE kind = 'enrolled'",
        lambda n: [(n, n, n)],
    ),
    "no other event": ("SELECT kind, COUNT(*) FROM events WHERE kind <> 'enrolled' GROUP BY kind", lambda _n: []),
    "event and device agree": (
        "SELECT d.serial FROM devices d LEFT JOIN events e ON e.ek_name = d.ek_name AND e.serial = d.serial AND e.host = d.host "
        "AND e.kind = 'enrolled' WHERE e.id IS NULL",
        lambda _n: [],
    ),
    "certificates by kind": (
        "SELECT kind, COUNT(*), COUNT(DISTINCT ek_name), COUNT(DISTINCT serial_number) FROM certificates GROUP BY kind ORDER BY kind",
        lambda n: [("iak", n, n, n), ("idevid", n, n, n)],
    ),
    "certificates are of the device's keys": (
        "SELECT c.id FROM certificates c JOIN devices d ON d.ek_name = c.ek_name "
        "WHERE c.key_name <> CASE c.kind WHEN 'iak' THEN d.ak_name ELSE d.idevid_name END",
        lambda _n: [],
    ),
    "one verdict each, by certificate": (
        "SELECT rung, COUNT(*), COUNT(DISTINCT ek_name) FROM verdicts GROUP BY rung",
        lambda n: [("certificate", n, n)],
    ),
    "one birth record each": ("SELECT COUNT(*), COUNT(DISTINCT ek_name) FROM birth_records", lambda n: [(n, n)]),
    "nothing in quarantine, ever": ("SELECT host, reason, detail FROM quarantine", lambda _n: []),
}


@pytest.fixture(scope="module")
def made(vendor: Vendor) -> Vendor:
    """The vendor, who has made all TPMs."""
    with Step(f"{DEVICES} TPMs with EK certificates made"), (vendor.folder / "fleet.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two workers ask for the same ones
        manufacture(vendor, ALL)
    return vendor


@contextlib.contextmanager
def on_line(
    folder: pathlib.Path, vendor: Vendor, python: str, registry: str, parts: dict[str, list[str]]
) -> t.Iterator[tuple[Fleet, list[Slice]]]:
    """All devices on a line, and a controller for each part of them."""
    fleet = Fleet(folder, vendor, None, registry)
    try:
        with Step(f"{DEVICES} software TPMs started"):
            fleet.put_all(ALL)
        yield fleet, slices(fleet, python, parts)
    finally:
        fleet.close()


def enroll(fleet: Fleet, controllers: list[Slice]) -> None:
    """Enroll all devices, each controller those of its own; a device that two wanted at once may need a second try of one of them."""
    with Step(f"{len(controllers)} controllers enroll {DEVICES} devices"):
        first = at_once(Slice.run, controllers)
    for one, done in zip(controllers, first, strict=True):
        failed = lost(done)
        assert set(failed) <= (set(SHARED) if len(controllers) > 1 else set()), said(done)
        assert set(totals(done)) == set(one.names), said(done)
        assert "Traceback" not in done.stdout + done.stderr, said(done)
    with Step(f"again for those that could not be had: {sum(len(lost(done)) for done in first)}"):
        again = [one.run(lost(done)) for one, done in zip(controllers, first, strict=True) if lost(done)]
    assert [said(done) for done in again if done.returncode] == []


def lost(done: Done) -> list[str]:
    """The devices that failed."""
    return [name for name, row in totals(done).items() if row["failed"] or row["unreachable"]]


def nothing_to_do(fleet: Fleet, controllers: list[Slice]) -> None:
    """A second run changes nothing, and asks the TPMs for nothing but what a no-op of the profile asks for."""
    before = fleet.commands()
    with Step(f"{len(controllers)} controllers find nothing to do"):
        second = at_once(Slice.run, controllers)
    for one, done in zip(controllers, second, strict=True):
        assert done.returncode == 0, said(done)
        assert {name: row["changed"] for name, row in totals(done).items()} == dict.fromkeys(one.names, 0), said(done)
    sent = {name: count - before[name] for name, count in fleet.commands().items()}
    # EK, AK, and public area and content of the serial number.
    assert sent == {name: 4 * sum(name in one.names for one in controllers) for name in ALL}


def broken(ask: Ask) -> dict[str, t.Any]:
    """The laws that the database breaks, with what it says."""
    found = {law: ask(question) for law, (question, _answer) in LAWS.items()}
    found["the devices are those of the line"] = sorted(row[0] for row in ask("SELECT host FROM devices"))
    wanted = {law: answer(DEVICES) for law, (_question, answer) in LAWS.items()}
    wanted["the devices are those of the line"] = sorted(ALL)
    return {law: found[law] for law in found if [*map(_plain, found[law])] != [*map(_plain, wanted[law])]}


def _plain(row: t.Any) -> t.Any:
    return row if isinstance(row, str) else tuple(row)


def test_two_controllers_enroll_into_one_postgresql_at_once(
    made: Vendor, system_python: str, postgres: Postgres, tmp_path: pathlib.Path
) -> None:
    registry = postgres.new_database()
    half = len(OWN) // 2
    with on_line(tmp_path / "line", made, system_python, registry, {"north": SHARED + OWN[:half], "south": SHARED + OWN[half:]}) as (
        fleet,
        controllers,
    ):
        enroll(fleet, controllers)

        def ask(question: str) -> list[tuple[t.Any, ...]]:
            with postgres.connect(registry.partition("@/")[2].partition("?")[0]) as connection:
                return connection.execute(question).fetchall()

        assert broken(ask) == {}
        nothing_to_do(fleet, controllers)
        assert broken(ask) == {}


def test_one_controller_enrolls_into_sqlite(made: Vendor, system_python: str, tmp_path: pathlib.Path) -> None:
    registry = tmp_path / "registry.sqlite"
    with on_line(tmp_path / "line", made, system_python, str(registry), {"factory": ALL}) as (fleet, controllers):
        enroll(fleet, controllers)

        def ask(question: str) -> list[tuple[t.Any, ...]]:
            with contextlib.closing(sqlite3.connect(f"file:{registry}?mode=ro", uri=True)) as connection:
                return connection.execute(question).fetchall()

        assert broken(ask) == {}
        nothing_to_do(fleet, controllers)
        assert broken(ask) == {}
