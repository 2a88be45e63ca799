# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of registries, what is shown of them, and which error of a database is which."""

from __future__ import annotations

import builtins
import sqlite3
import typing as t

import psycopg.errors
import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import database, faults, models, upgrade
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/var/lib/registry.sqlite", "/var/lib/registry.sqlite"),
        ("sqlite:////var/lib/registry.sqlite", "/var/lib/registry.sqlite"),
        ("sqlite+pysqlite:////var/lib/registry.sqlite", "/var/lib/registry.sqlite"),
        ("/odd ?#%41 name", "/odd ?#%41 name"),
    ],
)
def test_files(text: str, path: str) -> None:
    address = database.parse(text)
    assert (address.path, address.url.database, address.url.drivername) == (path, path, "sqlite")
    assert address.shown == text


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/line")
    assert database.parse("~/registry.sqlite").path == "/home/line/registry.sqlite"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_servers_are_reached_by_psycopg_3_and_shown_without_the_password(scheme: str) -> None:
    address = database.parse(f"{scheme}://line:s3cret@db.example:5433/factory?sslpassword=k3y&sslmode=verify-full")
    assert (address.url.drivername, address.url.password, address.path) == ("postgresql+psycopg", "s3cret", None)
    assert address.shown == f"{scheme}://line:***@db.example:5433/factory?sslmode=verify-full&sslpassword=hidden"
    assert set(address.hidden) == {"s3cret", "k3y"}


BAD = [
    ("registry.sqlite", "it is no absolute path"),
    ("", "it is no absolute path"),
    ("sqlite://", "it is no absolute path"),
    ("sqlite:///registry.sqlite", "it is no absolute path"),
    ("sqlite:////registry.sqlite?mode=memory", "takes no options"),
    ("/nul\0", "it is no absolute path"),
    ("mysql://line:s3cret@db/factory", "mysql is not supported"),
    ("postgresql+psycopg2://line:s3cret@db/factory", "is not supported"),
    ("postgresql://line:s3cret@db:port/factory", "it is no URL"),
    ("://", "it is no URL"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_no_address(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        open_registry(text)
    assert "s3cret" not in str(error.value) and error.value.__suppress_context__ | (error.value.__context__ is None)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("08006", faults.UNREACHABLE),
        ("23505", faults.REFUSED),
        ("25006", faults.READ_ONLY),
        ("28P01", faults.PERMISSION),
        ("3D000", faults.UNREACHABLE),
        ("40P01", faults.LOCKED),
        ("42501", faults.PERMISSION),
        ("42P01", faults.NOT_A_REGISTRY),
        ("53100", faults.FULL),
        ("53200", faults.FULL),
        ("53300", faults.UNREACHABLE),
        ("54000", faults.FULL),
        ("55P03", faults.LOCKED),
        ("57P01", faults.UNREACHABLE),
        ("XX001", faults.DAMAGED),
        ("22P02", faults.OTHER),
    ],
)
def test_the_reasons_of_postgresql(state: str, reason: str) -> None:
    assert faults.reason_of(psycopg.errors.lookup(state)("words")) == reason


def test_the_reasons_of_sqlite() -> None:
    for code, reason in (
        (sqlite3.SQLITE_BUSY, faults.LOCKED),
        (sqlite3.SQLITE_FULL, faults.FULL),
        (sqlite3.SQLITE_NOTADB, faults.NOT_A_REGISTRY),
    ):
        error = sqlite3.OperationalError("words")
        error.sqlite_errorcode = code | 3 << 8  # extended codes have more above
        assert faults.reason_of(error) == reason
    assert faults.reason_of(sqlite3.OperationalError("no such table: x")) == faults.NOT_A_REGISTRY
    assert faults.reason_of(sqlite3.OperationalError("words")) == faults.OTHER


def test_the_sentence_has_no_secret_and_no_line_break() -> None:
    error = faults.registry_error("look", "postgresql://x", faults.UNREACHABLE, "failed:\n  password=s3cret.\n", ["s3cret"])
    assert str(error) == (
        "Could not look in the registry postgresql://x: it cannot be reached (failed: password=***); "
        "see that it is there and that its address is right, then run again."
    )


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Let that package be missing."""
    real = builtins.__import__

    def load(name: str, *arguments: t.Any, **options: t.Any) -> t.Any:
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {name!r}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", load)


def test_a_missing_psycopg_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "psycopg")
    with pytest.raises(DependencyError, match=r"Python's psycopg is missing .*install 'psycopg\[binary\]>=3.1'"):
        database.parse("postgresql://db/factory")


def test_a_missing_alembic_is_named_where_it_is_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: t.Any) -> None:
    open_registry(str(tmp_path / "made.sqlite"))
    without(monkeypatch, "alembic")
    open_registry(str(tmp_path / "made.sqlite"))
    with pytest.raises(DependencyError, match="Python's alembic is missing .*install 'alembic>=1.10'"):
        open_registry(str(tmp_path / "new.sqlite"))


def test_a_missing_or_old_sqlalchemy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(models.sa, "__version__", "1.4.54")
        with pytest.raises(DependencyError, match="SQLAlchemy 1.4.54 is too old; install 'SQLAlchemy>=2.0'"):
            open_registry("/registry.sqlite")
    monkeypatch.setattr(models, "IMPORT_ERROR", ImportError("No module named 'sqlalchemy'"))
    with pytest.raises(DependencyError, match="Python's SQLAlchemy is missing .*install 'SQLAlchemy>=2.0'"):
        open_registry("/registry.sqlite")


def test_the_revisions_are_those_of_the_migrations() -> None:
    from alembic.script import ScriptDirectory

    scripts = [script.revision for script in ScriptDirectory(upgrade.MIGRATIONS).walk_revisions()]
    assert tuple(reversed(scripts)) == models.REVISIONS
