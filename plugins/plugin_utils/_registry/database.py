# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Access to the database: addresses, connections and transactions.

No connection outlives its transaction, so forked processes share none, and a factory line that waits for a device occupies no connection.
"""

from __future__ import annotations

import contextlib
import os
import random
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, models

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so

T = t.TypeVar("T")

# A write that lost a race to another process is repeated, and then finds what the other has written.
_ATTEMPTS = 10
_LOST_RACES = ("40001", "40P01")

# What PostgreSQL says when all its connections are in use; this is harmless, and one is free again soon.
_NO_SLOT = ("too many clients", "too many connections", "connection slots")

# One statement at the start of each transaction. UTC: a certificate may end at 99991231235959Z, which has no local time east of Greenwich.
# A commit must be durable even if the server's setting is off, because a TPM gets the auth value right after it.
_POSTGRES_BEGIN = (
    "SELECT set_config('TimeZone', 'UTC', true), set_config('lock_timeout', '{timeout}', true), "
    "set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on' "
    "ELSE current_setting('synchronous_commit') END, true)"
)


class Address(t.NamedTuple):
    """The address of a registry: SQLAlchemy's URL, its text for messages, the path of a file, and the texts that must never be shown."""

    url: t.Any
    shown: str
    path: str | None
    hidden: tuple[str, ...]


def parse(text: str) -> Address:
    """Read an address: a path, sqlite:////path, postgresql://... (by psycopg 3). Raises InputError, DependencyError."""
    models.require()
    if "://" not in text:
        path = os.path.expanduser(text)
        return _file(path, path)
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise InputError(
            "Could not read the registry's address: it is no URL; write sqlite:////var/lib/edgefleet/registry.sqlite or "
            "postgresql://user@server/database."
        ) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if url.query:
            raise InputError(f"Could not open the registry {_shown(url)}: an SQLite address takes no options; write sqlite:////path alone.")
        return _file(url.database or "", _shown(url))
    if url.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
        raise InputError(
            f"Could not open the registry {_shown(url)}: {url.drivername} is not supported; use sqlite:////path or postgresql://..., "
            "which is reached by psycopg 3."
        )
    _require_psycopg()
    secrets = [str(url.password)] if url.password else []
    secrets += [str(value) for key, value in url.query.items() if "pass" in key]
    return Address(url.set(drivername="postgresql+psycopg"), _shown(url), None, tuple(secrets))


def _file(path: str, shown: str) -> Address:
    if not path.startswith("/") or "\0" in path:
        raise InputError(
            f"Could not open the registry {shown!r}: it is no absolute path; write /path or sqlite:////path, with four slashes."
        )
    return Address(sa.URL.create("sqlite", database=path), shown, path, ())


def _shown(url: sa.URL) -> str:
    query = {key: "hidden" if "pass" in key else value for key, value in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def _require_psycopg() -> None:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise DependencyError(
            f"Could not open the device registry: Python's psycopg is missing ({error}); install 'psycopg[binary]>=3.1' for the Python "
            "that runs Ansible."
        ) from None


class Database:
    """Transactions with one database. ``timeout``: how long to wait for it, in seconds. Every method raises RegistryError."""

    def __init__(self, address: Address, *, timeout: int, writable: bool) -> None:
        self.address = address
        self.shown = address.shown
        self.timeout = timeout
        self.writable = writable
        self._engine = _sqlite(address, timeout, writable) if address.path else _postgres(address, timeout)

    @contextlib.contextmanager
    def read(self, attempt: str) -> t.Iterator[sa.Connection]:
        """A transaction that only reads, over its own connection; ``attempt`` ("read the device with ...") is for the error."""
        with self._as_registry_errors(attempt), self._connect() as connection:
            yield connection

    def write(self, attempt: str, work: t.Callable[[sa.Connection], T]) -> T:
        """Call ``work`` in one transaction, and again if it lost a race (at most 10 times). So ``work`` must read before it writes."""
        if not self.writable:
            raise faults.registry_error(attempt, self.shown, faults.READ_ONLY, "it was opened to be read")
        with self._as_registry_errors(attempt):
            for _lost in range(_ATTEMPTS - 1):
                try:
                    return self._once(work)
                except sa.exc.IntegrityError:
                    pass
                except sa.exc.DBAPIError as error:
                    if getattr(error.orig, "sqlstate", None) not in _LOST_RACES:
                        raise
            return self._once(work)

    def _once(self, work: t.Callable[[sa.Connection], T]) -> T:
        with self._connect() as connection:
            connection = connection.execution_options(tpm2_write=True)
            with connection.begin():
                return work(connection)

    def _connect(self) -> sa.Connection:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                return self._engine.connect()
            except sa.exc.OperationalError as error:
                if not any(words in str(error.orig) for words in _NO_SLOT) or time.monotonic() >= deadline:
                    raise
            time.sleep(random.uniform(0.05, 0.2))

    @contextlib.contextmanager
    def _as_registry_errors(self, attempt: str) -> t.Iterator[None]:
        try:
            yield
        except sa.exc.DBAPIError as error:
            cause = error.orig or error
            raise faults.registry_error(attempt, self.shown, faults.reason_of(cause), faults.words_of(cause), self.address.hidden) from None
        except sa.exc.SQLAlchemyError as error:
            raise faults.registry_error(attempt, self.shown, faults.OTHER, type(error).__name__) from None


def _sqlite(address: Address, timeout: int, writable: bool) -> sa.Engine:
    engine = sa.create_engine(address.url, poolclass=sa.NullPool, connect_args={"timeout": timeout}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def connect(connection: t.Any, _record: t.Any) -> None:
        # Python's module must not begin transactions by itself: it would leave DDL outside and take the lock too late.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")
        # EXTRA does more than FULL: the removal of the journal, which is the commit, is on the disk when the commit returns.
        connection.execute("PRAGMA synchronous=EXTRA")
        if not writable:
            connection.execute("PRAGMA query_only=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        write = connection.get_execution_options().get("tpm2_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _postgres(address: Address, timeout: int) -> sa.Engine:
    timeout = max(timeout, 1)  # 0 would mean no limit
    patience = {"connect_timeout": timeout, "tcp_user_timeout": timeout * 1000, "application_name": "edgefleet.tpm2"}
    arguments = {key: value for key, value in patience.items() if key not in address.url.query}
    engine = sa.create_engine(address.url, poolclass=sa.NullPool, connect_args=arguments, hide_parameters=True)
    statement = _POSTGRES_BEGIN.format(timeout=timeout * 1000)

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(statement)

    return engine


__all__ = ("Address", "Database", "parse")
