# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry where something is wrong with the database, each with its reason and its sentence; its schema made and upgraded by many at once."""

from __future__ import annotations

import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import typing as t
import urllib.parse

import pytest
import sqlalchemy as sa
from support import places
from support import registry as others
from support.ports import PortPair
from support.registry import PINNED, certificate, identity, side_by_side

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import models, upgrade
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.database import parse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import RegistryError

if t.TYPE_CHECKING:
    from support.postgres import Postgres

pytest_plugins = ("support.postgres",)


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A registry in a file."""
    open_registry(str(tmp_path / "registry.sqlite"))
    return tmp_path / "registry.sqlite"


@pytest.fixture
def database(postgres: Postgres) -> str:
    """A registry in PostgreSQL."""
    made = postgres.new_database()
    open_registry(made)
    return made


@pytest.fixture
def open_folder() -> t.Iterator[pathlib.Path]:
    """A folder that every user reaches. Not below pytest's: each pytest that starts closes that to other users again."""
    with tempfile.TemporaryDirectory(prefix="edgefleet-registry-") as folder:
        pathlib.Path(folder).chmod(0o755)
        yield pathlib.Path(folder)


def refused(url: str | pathlib.Path, *, timeout: int = 30, create: bool = True) -> RegistryError:
    """What opening a registry and enrolling in it says."""
    with pytest.raises(RegistryError) as error, open_registry(str(url), timeout=timeout, create=create) as registry:
        registry.enroll(identity(1), PINNED, [certificate(1)])
    assert str(error.value).count("Could not") == 1 and str(error.value).endswith(".") and "\n" not in str(error.value)
    assert error.value.__context__ is None or error.value.__suppress_context__
    return error.value


def psql(postgres: Postgres, url: str, *statements: str) -> None:
    """Statements of the database's owner, over a connection of his own."""
    with postgres.connect(urllib.parse.urlsplit(url).path[1:]) as connection:
        for statement in statements:
            connection.execute(statement)


def test_a_locked_file(file: pathlib.Path) -> None:
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    error = refused(file, timeout=0)
    assert error.reason == "locked"
    assert "enroll serial EDGE-0001" in str(error) and "it stayed locked by another process" in str(error)
    other.execute("ROLLBACK")
    other.close()
    with open_registry(str(file)) as registry:
        assert not registry.enroll(identity(1), PINNED, []).existed


def test_a_lock_that_ends_in_time_is_waited_for(file: pathlib.Path) -> None:
    # The lock is let go by a trigger of the waiting itself: the other one commits when it is told that somebody wants in.
    program = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE'); print(flush=True); "
    )
    program += "sys.stdin.readline(); c.execute('COMMIT')"
    with subprocess.Popen([sys.executable, "-c", program, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        holder.stdout.readline()
        with open_registry(str(file)) as registry:
            assert registry._database is not None
            sa.event.listen(
                registry._database._engine, "connect", lambda _connection, _record: (holder.stdin.write("\n"), holder.stdin.flush())
            )
            assert not registry.enroll(identity(1), PINNED, []).existed


def test_a_locked_table(postgres: Postgres, database: str) -> None:
    with postgres.connect(urllib.parse.urlsplit(database).path[1:]) as other, other.transaction():
        other.execute("LOCK TABLE devices IN ACCESS EXCLUSIVE MODE")
        error = refused(database, timeout=0)
    assert error.reason == "locked"
    assert "it stayed locked by another process" in str(error)


def test_a_folder_that_is_not_there(tmp_path: pathlib.Path) -> None:
    error = refused(tmp_path / "missing" / "registry.sqlite")
    assert error.reason == "unreachable"
    assert "No such file or directory" in str(error)


def test_a_server_that_is_not_there(postgres: Postgres, database: str) -> None:
    ports = PortPair()
    try:
        error = refused(postgres.over_tcp(database).replace(f":{postgres.ports.data}/", f":{ports.data}/"))
    finally:
        ports.release()
    assert error.reason == "unreachable"
    assert "Connection refused" in str(error)


def test_a_database_that_is_not_there(postgres: Postgres, database: str) -> None:
    error = refused(postgres.over_tcp(database) + "x")
    assert error.reason == "unreachable"
    assert "does not exist" in str(error)


def test_a_session_that_the_server_ends(postgres: Postgres, database: str) -> None:
    kill = "CREATE FUNCTION kill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$"
    psql(postgres, database, kill, "CREATE TRIGGER kill BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION kill()")
    assert refused(database).reason == "unreachable"
    psql(postgres, database, "DROP TRIGGER kill ON events")
    with open_registry(database) as registry:
        assert registry.devices() == [] and registry.events() == []


def test_a_full_file(file: pathlib.Path) -> None:
    with open_registry(str(file)) as registry:
        assert registry._database is not None
        sa.event.listen(registry._database._engine, "connect", lambda connection, _record: connection.execute("PRAGMA max_page_count=1"))
        with pytest.raises(RegistryError, match="it is full .*; make room for it, then run again; nothing was written") as error:
            registry.enroll(identity(1), PINNED, [certificate(1, pem="x" * 100000)])
        assert error.value.reason == "full"
    with open_registry(str(file)) as registry:
        assert registry.devices() == [] and registry.events() == []


@pytest.mark.parametrize("state", ["53100", "53200", "54000"])
def test_a_full_server(postgres: Postgres, database: str, state: str) -> None:
    body = f"BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'no space left on device'; END"
    psql(postgres, database, f"CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
    psql(postgres, database, "CREATE TRIGGER full_ BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION full_()")
    error = refused(database)
    assert error.reason == "full"
    assert "it is full (no space left on device); make room" in str(error)
    psql(postgres, database, "DROP TRIGGER full_ ON events")
    with open_registry(database) as registry:
        assert registry.devices() == []


def test_a_file_that_is_something_else(tmp_path: pathlib.Path) -> None:
    text, foreign = tmp_path / "text", tmp_path / "foreign"
    text.write_text("not a database at all, but long enough for a header\n" * 100)
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE recipes (name)")
    connection.close()
    for path in (text, foreign, tmp_path):
        for create in (True, False):
            error = refused(path, create=create)
            assert error.reason == "not_a_registry"
            assert "it is no device registry" in str(error) and "name another file or database" in str(error)
    assert text.read_text().startswith("not a database")
    assert sqlite3.connect(foreign).execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]


def test_a_database_that_is_something_else(postgres: Postgres) -> None:
    foreign = postgres.new_database()
    psql(postgres, foreign, "CREATE TABLE recipes (name text)")
    error = refused(foreign)
    assert error.reason == "not_a_registry"
    with postgres.connect(urllib.parse.urlsplit(foreign).path[1:]) as connection:
        assert connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall() == [("recipes",)]


def test_a_newer_schema(url: str, tmp_path: pathlib.Path) -> None:
    open_registry(url)
    engine = sa.create_engine(parse(url).url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {models.VERSION_TABLE} SET version_num = '0999'")
    for create in (True, False):
        error = refused(url, create=create)
        assert error.reason == "newer"
        assert f"its schema is 0999, and this release of edgefleet.tpm2 knows none newer than {models.REVISIONS[-1]}" in str(error)


def test_a_damaged_file(file: pathlib.Path) -> None:
    data = bytearray(file.read_bytes())
    data[200:] = b"\xa5" * (len(data) - 200)
    file.write_bytes(data)
    assert refused(file).reason in ("damaged", "not_a_registry")


def test_a_file_that_may_only_be_read(open_folder: pathlib.Path) -> None:
    file = open_folder / "registry.sqlite"
    open_registry(str(file))
    file.chmod(0o444)
    found = others.as_nobody(str(file))
    assert (found["devices"], found["reason"]) == (0, "read_only")
    assert "let this user write to it" in found["said"]


def test_a_file_that_may_not_be_read(open_folder: pathlib.Path) -> None:
    file = open_folder / "registry.sqlite"
    open_registry(str(file))
    file.chmod(0o000)
    found = others.as_nobody(str(file))
    assert found["reason"] == "permission"
    assert "permission is denied" in found["said"]


def test_a_folder_in_which_nothing_may_be_made(open_folder: pathlib.Path) -> None:
    open_folder.chmod(0o555)
    assert others.as_nobody(str(open_folder / "registry.sqlite"))["reason"] == "permission"


def test_a_user_who_may_not_use_the_tables(postgres: Postgres, database: str) -> None:
    psql(postgres, database, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    error = refused(database.replace("factory@", "guest@"))
    assert error.reason == "permission"
    assert "permission denied for table" in str(error)


def test_a_server_that_only_reads(postgres: Postgres, database: str) -> None:
    name = urllib.parse.urlsplit(database).path[1:]
    psql(postgres, database, f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    error = refused(database)
    assert error.reason == "read_only"
    assert open_registry(database).devices() == []


def test_a_password_is_never_shown(postgres: Postgres, database: str) -> None:
    right = postgres.over_tcp(database)
    with open_registry(right) as registry:
        assert "sentinel" not in repr(registry) + registry.shown
        assert ":***@127.0.0.1" in registry.shown
    for wrong in (postgres.over_tcp(database, "sentinel-wrong"), postgres.over_tcp(database).replace(":sentinel-", "?x:sentinel-")):
        with pytest.raises((RegistryError, InputError)) as error:
            open_registry(wrong)
        assert "sentinel" not in str(error.value) and error.value.__suppress_context__
    query = right.replace(":sentinel-database-password@", "@") + "?password=sentinel-wrong"
    error_in_query = refused(query)
    assert error_in_query.reason == "permission" and "authentication failed" in str(error_in_query)
    assert "sentinel" not in str(error_in_query)


def test_certificates_for_ever_and_a_server_east_of_greenwich(postgres: Postgres, database: str) -> None:
    name = urllib.parse.urlsplit(database).path[1:]
    psql(postgres, database, f"ALTER DATABASE \"{name}\" SET timezone = 'Pacific/Auckland'")
    with open_registry(database) as registry:
        registry.enroll(identity(1), PINNED, [certificate(1)])
        (device,) = registry.devices()
    assert device.certificates["iak"] == certificate(1)


def test_a_commit_is_durable_whatever_the_servers_setting(postgres: Postgres, database: str) -> None:
    name = urllib.parse.urlsplit(database).path[1:]
    psql(postgres, database, f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    link = open_registry(database)._database
    assert link is not None
    show = "SELECT current_setting('synchronous_commit'), current_setting('lock_timeout')"
    assert tuple(link.write("look", lambda connection: connection.exec_driver_sql(show).one())) == ("on", "30s")
    psql(postgres, database, f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply')
    assert link.write("look", lambda connection: connection.exec_driver_sql(show).one())[0] == "remote_apply"


def test_a_file_is_written_with_full_sync_and_foreign_keys(file: pathlib.Path) -> None:
    link = open_registry(str(file), timeout=7)._database
    assert link is not None
    settings = {"synchronous": 3, "foreign_keys": 1, "busy_timeout": 7000}  # 3: EXTRA, above FULL
    for pragma, value in settings.items():
        assert link.write("look", lambda connection, pragma=pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()) == value  # type: ignore[misc]


def test_opening_what_is_up_to_date_is_one_query_and_no_alembic(url: str) -> None:
    open_registry(url)
    program = (
        "import sys, sqlalchemy as sa\n"
        "from sqlalchemy.engine import Engine\n"
        "from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry\n"
        "said = []\n"
        "sa.event.listen(Engine, 'before_cursor_execute', lambda c, cursor, statement, *rest: said.append(statement))\n"
        "open_registry(sys.argv[1])\n"
        "print([one for one in said if not one.startswith(('BEGIN', 'SELECT set_config'))], 'alembic' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(places.COLLECTIONS)}
    done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"['SELECT version_num FROM {models.VERSION_TABLE}'] False\n"


def test_eight_processes_make_one_registry(url: str) -> None:
    assert side_by_side(others.open_it, [(url,)] * 8) == [0] * 8
    with open_registry(url) as registry:
        assert not registry.enroll(identity(1), PINNED, []).existed


def test_one_process_makes_the_registry_while_another_looks_whether_it_is_there(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, is_empty = [], upgrade._is_empty

    def look(connection: sa.Connection) -> bool:
        if not looked:
            looked.append(url)
            connection.rollback()  # SQLite's reader would keep the other one waiting
            assert side_by_side(others.open_it, [(url,)]) == [0]
        return is_empty(connection)

    monkeypatch.setattr(upgrade, "_is_empty", look)
    assert open_registry(url).devices() == [] and looked == [url]


SECOND = """
import datetime
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "LAST"


def upgrade():
    op.add_column("devices", sa.Column("colour", sa.String))
    now = datetime.datetime(2026, 1, 1)
    note = sa.text("INSERT INTO events (time, kind, ek_name, serial, host, detail) VALUES (:now, 'upgraded', '', '', '', '{}')")
    op.get_bind().execute(note.bindparams(sa.bindparam("now", now, sa.DateTime())))
"""


@pytest.fixture
def newer(tmp_path: pathlib.Path) -> str:
    """Migrations as a later release may have them: ours, and one more."""
    folder = tmp_path / "100% newer"
    shutil.copytree(upgrade.MIGRATIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "versions" / "r9001_second.py").write_text(SECOND.replace("LAST", models.REVISIONS[-1]))
    return str(folder)


def test_eight_processes_upgrade_an_older_registry_once(url: str, newer: str) -> None:
    with open_registry(url) as registry:
        registry.enroll(identity(1), PINNED, [certificate(1)])
    assert side_by_side(others.open_it, [(url, newer, (*models.REVISIONS, "9001"))] * 8) == [1] * 8
    engine = sa.create_engine(parse(url).url)
    assert "colour" in [column["name"] for column in sa.inspect(engine).get_columns("devices")]
    with engine.connect() as connection:
        events = connection.exec_driver_sql("SELECT kind FROM events ORDER BY id").scalars().all()
    assert events == ["enrolled", "upgraded"]
    # The release before it then keeps its hands off.
    assert refused(url).reason == "newer"


def test_an_older_registry_is_not_upgraded_by_who_only_reads(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    open_registry(url)
    monkeypatch.setattr(models, "REVISIONS", (*models.REVISIONS, "9001"))
    error = refused(url, create=False)
    assert error.reason == "older"
    assert f"its schema {models.REVISIONS[-2]} is older than 9001" in str(error)


def test_an_upgrade_that_fails_leaves_the_registry_as_it_was(url: str, newer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_registry(url) as registry:
        registry.enroll(identity(1), PINNED, [])
    with (pathlib.Path(newer) / "versions" / "r9001_second.py").open("a") as file:
        file.write("    op.get_bind().exec_driver_sql('SELECT * FROM nowhere')\n")
    with monkeypatch.context() as patch:
        patch.setattr(models, "REVISIONS", (*models.REVISIONS, "9001"))
        patch.setattr(upgrade, "MIGRATIONS", newer)
        assert "upgrade the schema" in str(refused(url))
    with open_registry(url) as registry:
        assert [event.kind for event in registry.events()] == ["enrolled"]
        assert not registry.enroll(identity(2), PINNED, []).existed


def test_a_server_that_takes_no_more_clients(postgres: Postgres, database: str) -> None:
    name = urllib.parse.urlsplit(database).path[1:]
    psql(postgres, database, f'ALTER DATABASE "{name}" CONNECTION LIMIT 0', "DROP ROLE IF EXISTS limited", "CREATE ROLE limited LOGIN")
    error = refused(database.replace("factory@", "limited@"), timeout=1)
    assert error.reason == "unreachable"
    assert "too many connections" in str(error)


def test_a_slot_of_a_server_is_waited_for(postgres: Postgres, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    psql(
        postgres,
        database,
        "DROP ROLE IF EXISTS single",
        "CREATE ROLE single LOGIN CONNECTION LIMIT 1",
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO single",
    )
    url = database.replace("factory@", "single@")
    engine = sa.create_engine(parse(url).url, poolclass=sa.NullPool)
    holder, waits = engine.connect(), []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        holder.close()

    monkeypatch.setattr(time, "sleep", sleep)
    assert open_registry(url).devices() == []
    assert waits and max(waits) <= 0.2
