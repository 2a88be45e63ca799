# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The registry's schema: create it, upgrade an old one, refuse a newer one. Alembic keeps the versions.

Many processes may open a registry at once: one of them upgrades it while the others wait.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, models
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.database import Database

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so

MIGRATIONS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "migrations")
# A lock of PostgreSQL is a number: "tpm2 reg".
_LOCK = 0x74706D3220726567


def check(database: Database, *, make: bool = True) -> bool:
    """Return whether the registry exists. With ``make``, create it; upgrade it if ``database`` may write. Raises RegistryError."""
    try:
        with database.read(faults.OPEN) as connection:
            # For a registry that is up to date, one query is enough, and Alembic is not imported.
            found = _version(connection)
    except faults.RegistryError as error:
        if error.reason != faults.NOT_A_REGISTRY:
            raise
        with database.read(faults.OPEN) as connection:
            # If it is no longer empty, another process may have created the registry meanwhile.
            found = None if _is_empty(connection) else _version(connection)
    if found == models.REVISIONS[-1]:
        return True
    _check_known(database, found)
    if found is None and not make:
        return False
    if not database.writable:
        if found is None or found in models.READABLE:
            return found is not None
        raise faults.RegistryError(
            f"Could not {faults.OPEN} {database.shown}: its schema {found} is older than {models.REVISIONS[-1]}, and check mode and inventories "
            "change nothing; run any playbook that enrols, without check mode.",
            faults.OLDER,
        )
    alembic = _alembic()
    database.write("upgrade the schema", lambda connection: _upgrade(database, connection, alembic))
    return True


def _version(connection: sa.Connection) -> str | None:
    row = connection.exec_driver_sql(f"SELECT version_num FROM {models.VERSION_TABLE}").first()
    return str(row[0]) if row else None


def _is_empty(connection: sa.Connection) -> bool:
    return not sa.inspect(connection).get_table_names()


def _check_known(database: Database, found: str | None) -> None:
    if found is not None and found not in models.REVISIONS:
        raise faults.RegistryError(
            f"Could not {faults.OPEN} {database.shown}: its schema is {found}, and this release of edgefleet.tpm2 knows none newer than "
            f"{models.REVISIONS[-1]}; use the release that upgraded it, or a newer one.",
            faults.NEWER,
        )


def _upgrade(database: Database, connection: sa.Connection, command: t.Any) -> None:
    # SQLite's BEGIN IMMEDIATE is its lock.
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    there = sa.inspect(connection).has_table(models.VERSION_TABLE)
    found = _version(connection) if there else None
    _check_known(database, found)
    if not there and not _is_empty(connection):
        raise faults.registry_error(faults.OPEN, database.shown, faults.NOT_A_REGISTRY, "it holds other tables")
    if found != models.REVISIONS[-1]:
        from alembic.config import Config

        config = Config()
        config.attributes["connection"] = connection
        config.set_main_option("script_location", MIGRATIONS.replace("%", "%%"))
        command.upgrade(config, models.REVISIONS[-1])


def _alembic() -> t.Any:
    try:
        from alembic import command
    except ImportError as error:
        raise DependencyError(
            f"Could not {faults.OPEN}: it is to be made or upgraded, and Python's alembic is missing ({error}); install 'alembic>=1.10' for the "
            "Python that runs Ansible."
        ) from None
    return command


__all__ = ("MIGRATIONS", "check")
