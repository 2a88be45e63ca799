# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The registry's tables, for SQLAlchemy. The migrations make them; a test compares the two.

Triggers in the database (migrations/versions) refuse to change or remove what was written.
"""

from __future__ import annotations

import datetime

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError

try:
    import sqlalchemy as sa
except ImportError as error:
    IMPORT_ERROR: ImportError | None = error
else:
    IMPORT_ERROR = None

# All versions of the schema, the oldest first; this code reads and writes the last.
REVISIONS: tuple[str, ...] = ("0001", "0002", "0003")
# Older versions that this code can still read, because inventories and check mode change nothing and must work before an upgrade.
READABLE: frozenset[str] = frozenset({"0001", "0002"})
# Alembic's version table gets a name of ours, because another program may use Alembic in the same database.
VERSION_TABLE = "tpm2_registry_version"


def require() -> None:
    """Raises DependencyError if SQLAlchemy is missing or too old."""
    if IMPORT_ERROR is not None:
        raise DependencyError(
            f"Could not open the device registry: Python's SQLAlchemy is missing ({IMPORT_ERROR}); install 'SQLAlchemy>=2.0' and "
            "'alembic>=1.10' for the Python that runs Ansible."
        )
    if int(sa.__version__.partition(".")[0]) < 2:
        raise DependencyError(
            f"Could not open the device registry: SQLAlchemy {sa.__version__} is too old; install 'SQLAlchemy>=2.0' for the Python that runs Ansible."
        )


def now() -> datetime.datetime:
    """The time, in UTC."""
    return datetime.datetime.now(datetime.timezone.utc)


if IMPORT_ERROR is None:

    class Utc(sa.types.TypeDecorator[datetime.datetime]):
        """A time in UTC: SQLite knows no time zones, and PostgreSQL answers in the session's."""

        impl = sa.DateTime(timezone=True)
        cache_ok = True

        def process_bind_param(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
            """Into the database."""
            return value.astimezone(datetime.timezone.utc) if value else None

        def process_result_value(self, value: datetime.datetime | None, dialect: sa.Dialect) -> datetime.datetime | None:
            """Out of the database."""
            if value is None:
                return None
            return value.replace(tzinfo=datetime.timezone.utc) if value.tzinfo is None else value.astimezone(datetime.timezone.utc)

    metadata = sa.MetaData()
    # SQLite numbers rows by itself only in a column of type INTEGER.
    _NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

    def _text(column: str) -> sa.Column[str]:
        return sa.Column(column, sa.String, nullable=False)

    def _id() -> sa.Column[int]:
        return sa.Column("id", _NUMBER, primary_key=True, autoincrement=True)

    def _device() -> sa.Column[str]:
        return sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False, index=True)

    devices = sa.Table(
        "devices",
        metadata,
        _id(),
        sa.Column("ek_name", sa.String, nullable=False, unique=True),
        sa.Column("serial", sa.String, nullable=False, unique=True),
        sa.Column("ak_name", sa.String, nullable=False, unique=True),
        sa.Column("idevid_name", sa.String, unique=True),
        sa.Column("ldevid_name", sa.String),
        sa.Column("ek_public", sa.LargeBinary, nullable=False),
        sa.Column("ak_public", sa.LargeBinary, nullable=False),
        sa.Column("idevid_public", sa.LargeBinary, nullable=False),
        sa.Column("ldevid_public", sa.LargeBinary, nullable=False),
        sa.Column("host", sa.String, nullable=False, index=True),
        *map(_text, ("mac", "site", "model", "manufacturer", "firmware", "tpm_model")),
        sa.Column("enrolled_at", Utc, nullable=False),
        sa.Column("auth_generation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("auth_pending", sa.Integer),
        sqlite_autoincrement=True,
    )
    verdicts = sa.Table(
        "verdicts",
        metadata,
        _id(),
        _device(),
        *map(_text, ("rung", "reason", "detail")),
        sa.Column("ek_certificate", sa.LargeBinary),
        sa.Column("chain", sa.JSON, nullable=False),
        _text("revocation"),
        sa.Column("time", Utc, nullable=False),
        sqlite_autoincrement=True,
    )
    certificates = sa.Table(
        "certificates",
        metadata,
        _id(),
        _device(),
        *map(_text, ("kind", "pem", "issuer", "serial_number", "key_name")),
        *(sa.Column(column, Utc, nullable=False) for column in ("not_before", "not_after", "issued_at")),
        sa.UniqueConstraint("issuer", "serial_number"),
        sqlite_autoincrement=True,
    )
    ek_certificates = sa.Table(
        "ek_certificates",
        metadata,
        _id(),
        _device(),
        *map(_text, ("sha256", "issuer", "serial_number")),
        sa.Column("spki_sha256", sa.String, nullable=False, index=True),
        sa.Column("own", sa.Boolean, nullable=False),
        sa.Column("seen_at", Utc, nullable=False),
        sa.UniqueConstraint("ek_name", "sha256", "spki_sha256"),
        sqlite_autoincrement=True,
    )
    birth_records = sa.Table(
        "birth_records",
        metadata,
        _id(),
        sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False, unique=True),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sqlite_autoincrement=True,
    )
    places = sa.Table(
        "places",
        metadata,
        _id(),
        sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.UniqueConstraint("ek_name", "number"),
        sqlite_autoincrement=True,
    )
    quarantine = sa.Table(
        "quarantine",
        metadata,
        _id(),
        *map(_text, ("host", "serial", "ek_name", "reason", "detail")),
        sa.Column("opened_at", Utc, nullable=False),
        sa.Column("closed_at", Utc),
        sqlite_autoincrement=True,
    )
    # Only one of equal incidents is open at a time, even if two processes open them at once.
    sa.Index(
        "quarantine_open",
        *(quarantine.c[column] for column in ("host", "serial", "ek_name", "reason")),
        unique=True,
        sqlite_where=quarantine.c.closed_at.is_(None),
        postgresql_where=quarantine.c.closed_at.is_(None),
    )
    events = sa.Table(
        "events",
        metadata,
        _id(),
        sa.Column("time", Utc, nullable=False),
        _text("kind"),
        sa.Column("ek_name", sa.String, nullable=False, index=True),
        sa.Column("serial", sa.String, nullable=False, index=True),
        _text("host"),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    auths = sa.Table(
        "auths",
        metadata,
        _id(),
        *map(_text, ("ek_name", "hierarchy")),
        sa.Column("generation", sa.Integer, nullable=False),
        _text("mode"),
        sa.Column("sealed_operations", sa.LargeBinary, nullable=False),
        sa.Column("sealed_recovery", sa.LargeBinary, nullable=False),
        sa.Column("made_at", Utc, nullable=False),
        sa.UniqueConstraint("ek_name", "hierarchy", "generation"),
        sqlite_autoincrement=True,
    )


__all__ = ("IMPORT_ERROR", "REVISIONS", "VERSION_TABLE", "now", "require")
