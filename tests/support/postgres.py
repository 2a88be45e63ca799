# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PostgreSQL of the distribution as its own process, in a folder of its own, on a UNIX socket there and on a free port of loopback."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
import urllib.parse

import psycopg
import pytest

from support.ports import PortPair

_START_SECONDS = 60.0
PASSWORD = "sentinel-database-password"


def programs() -> pathlib.Path:
    """The folder of the newest server's programs. Raises RuntimeError with the cure if there is none."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parent.parent.name))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: run `apt-get install postgresql`")
    return found[-1].parent


class Postgres:
    """A server in a folder of its own, `folder`; its superuser is `factory`, with PASSWORD over TCP and without one over the socket."""

    def __init__(self) -> None:
        # Not below pytest's folder, because each pytest that starts closes that to other users again, even while a server runs.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="edgefleet-pg-"))
        self.ports = PortPair()
        self._names = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root; Debian's package makes a user for it.
        self._user = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        if os.geteuid() == 0:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)

    def _as_user(self, *command: str) -> dict[str, t.Any]:
        options: dict[str, t.Any] = {"args": command, "cwd": self.folder, "stdin": subprocess.DEVNULL}
        if os.geteuid() == 0:
            options.update(user=self._user.pw_uid, group=self._user.pw_gid, extra_groups=[])
        return options

    def start(self) -> Postgres:
        """Make the cluster the first time; start it and wait until it answers."""
        data = self.folder / "data"
        if not data.exists():
            secret = self.folder / "password"
            secret.write_text(PASSWORD)
            secret.chmod(0o644)  # the folder is closed to others
            command = [str(programs() / "initdb"), "--pgdata", str(data), "--username=factory", "--encoding=UTF8", "--locale=C.UTF-8"]
            command += ["--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={secret}", "--no-sync", "--no-instructions"]
            done = subprocess.run(**self._as_user(*command), check=False, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"initdb failed: {done.stdout} {done.stderr}")
        settings = ("fsync=off", "max_connections=300", "listen_addresses=127.0.0.1", f"unix_socket_directories={self.folder}")
        command = [str(programs() / "postgres"), "-D", str(data), "-p", str(self.ports.data)]
        command += [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(**self._as_user(*command), stdout=log, stderr=log)
        self._wait()
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(psycopg.OperationalError), self.connect():
                return
            time.sleep(0.02)
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text(errors='replace')}")

    def stop(self) -> None:
        """End the server at once, with every session."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(_START_SECONDS)

    def close(self) -> None:
        """End the server and remove what it wrote."""
        self.stop()
        self.ports.release()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str = "postgres") -> psycopg.Connection[t.Any]:
        """A connection of the superuser, committing each statement."""
        return psycopg.connect(host=str(self.folder), port=self.ports.data, user="factory", dbname=database, autocommit=True)

    def new_database(self) -> str:
        """Make an empty database; return its URL, over the socket."""
        name = f"registry_{os.getpid()}_{next(self._names)}"
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql://factory@/{name}?host={urllib.parse.quote(str(self.folder))}&port={self.ports.data}"

    def over_tcp(self, url: str, password: str = PASSWORD) -> str:
        """The URL of the same database over loopback, with a password."""
        database = urllib.parse.urlsplit(url).path
        return f"postgresql+psycopg://factory:{password}@127.0.0.1:{self.ports.data}{database}"


@pytest.fixture(scope="session")
def postgres() -> t.Iterator[Postgres]:
    """A running server, for all tests of this worker."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """The URL of a database that is not there (SQLite) or empty (PostgreSQL)."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/registry.sqlite"
    server: Postgres = request.getfixturevalue("postgres")
    return server.new_database()
