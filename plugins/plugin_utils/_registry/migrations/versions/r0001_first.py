# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The first schema: devices and what is known of them, and the triggers that keep it all as it was written.

A migration is history: it is never changed once released, so it says itself what ``models`` says today.
"""

from __future__ import annotations

import typing as t

try:
    import sqlalchemy as sa
    from alembic import op
except ImportError:
    pass  # upgrade.check() says so

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None

# Rows that are never changed once they are written, with what identifies one beside its id.
_APPEND_ONLY: dict[str, tuple[tuple[str, ...], ...]] = {
    "events": (),
    "verdicts": (),
    "certificates": (("issuer", "serial_number"),),
    "birth_records": (("ek_name",),),
    "auths": (("ek_name", "hierarchy", "generation"),),
}
# Columns that stay as they are; rows that stay, too.
_FIXED: dict[str, tuple[str, ...]] = {
    "devices": ("id", "ek_name", "serial", "ak_name", "idevid_name", "ek_public", "ak_public", "idevid_public", "enrolled_at"),
    "quarantine": ("id", "host", "serial", "ek_name", "reason", "detail", "opened_at"),
}
_UNIQUE: dict[str, tuple[tuple[str, ...], ...]] = {
    **_APPEND_ONLY,
    "devices": (("ek_name",), ("serial",), ("ak_name",), ("idevid_name",)),
    "quarantine": (),
}


def upgrade() -> None:
    """Make the tables, then their triggers."""
    _devices()
    _of_devices()
    _incidents_and_events()
    _auths()
    triggers = _sqlite_triggers if op.get_bind().dialect.name == "sqlite" else _postgres_triggers
    for statement in triggers():
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """There is none: nothing that is registered is ever removed."""
    raise NotImplementedError("The device registry is never downgraded: restore the backup that was made before the upgrade.")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True)


def _texts(*names: str) -> t.Iterator[sa.Column[str]]:
    return (sa.Column(name, sa.String, nullable=False) for name in names)


def _times(*names: str) -> t.Iterator[sa.Column[t.Any]]:
    return (sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in names)


def _device() -> sa.Column[str]:
    return sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False, index=True)


def _devices() -> None:
    op.create_table(
        "devices",
        _id(),
        *(sa.Column(name, sa.String, nullable=False, unique=True) for name in ("ek_name", "serial", "ak_name")),
        sa.Column("idevid_name", sa.String, unique=True),
        sa.Column("ldevid_name", sa.String),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("ek_public", "ak_public", "idevid_public", "ldevid_public")),
        sa.Column("host", sa.String, nullable=False, index=True),
        *_texts("mac", "site", "model", "manufacturer", "firmware", "tpm_model"),
        *_times("enrolled_at"),
        sa.Column("auth_generation", sa.Integer, nullable=False, server_default="1"),
        sa.Column("auth_pending", sa.Integer),
        sa.CheckConstraint("auth_generation >= 1"),
        sa.CheckConstraint("auth_pending = auth_generation + 1"),
        sqlite_autoincrement=True,
    )


def _of_devices() -> None:
    op.create_table(
        "verdicts",
        _id(),
        _device(),
        *_texts("rung", "reason", "detail"),
        sa.Column("ek_certificate", sa.LargeBinary),
        sa.Column("chain", sa.JSON, nullable=False),
        *_texts("revocation"),
        *_times("time"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "certificates",
        _id(),
        _device(),
        *_texts("kind", "pem", "issuer", "serial_number", "key_name"),
        *_times("not_before", "not_after", "issued_at"),
        sa.UniqueConstraint("issuer", "serial_number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "birth_records",
        _id(),
        sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False, unique=True),
        sa.Column("record", sa.Text, nullable=False),
        *_times("made_at"),
        sqlite_autoincrement=True,
    )


def _incidents_and_events() -> None:
    op.create_table(
        "quarantine",
        _id(),
        *_texts("host", "serial", "ek_name", "reason", "detail"),
        *_times("opened_at"),
        sa.Column("closed_at", sa.DateTime(timezone=True)),
        sqlite_autoincrement=True,
    )
    is_open = sa.text("closed_at IS NULL")
    key = ["host", "serial", "ek_name", "reason"]
    op.create_index("quarantine_open", "quarantine", key, unique=True, sqlite_where=is_open, postgresql_where=is_open)
    op.create_table(
        "events",
        _id(),
        *_times("time"),
        *_texts("kind"),
        *(sa.Column(name, sa.String, nullable=False, index=True) for name in ("ek_name", "serial")),
        *_texts("host"),
        sa.Column("detail", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )


def _auths() -> None:
    op.create_table(
        "auths",
        _id(),
        *_texts("ek_name", "hierarchy"),
        sa.Column("generation", sa.Integer, nullable=False),
        *_texts("mode"),
        *(sa.Column(name, sa.LargeBinary, nullable=False) for name in ("sealed_operations", "sealed_recovery")),
        *_times("made_at"),
        sa.UniqueConstraint("ek_name", "hierarchy", "generation"),
        sqlite_autoincrement=True,
    )


def _changes(table: str, prefix: str) -> str:
    return " OR ".join(f"NEW.{name} {prefix} OLD.{name}" for name in _FIXED[table])


def _sqlite_triggers() -> t.Iterator[str]:
    def refuse(name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"

    for table, keys in _UNIQUE.items():
        yield refuse(f"{table}_stay", f"BEFORE DELETE ON {table}", f"{table} are never removed")
        # INSERT OR REPLACE removes rows without asking the trigger above.
        same = " OR ".join(" AND ".join(f"{name} = NEW.{name}" for name in key) for key in (("id",), *keys))
        when = f"BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})"
        yield refuse(f"{table}_once", when, f"{table} are never replaced")
    for table in _APPEND_ONLY:
        yield refuse(f"{table}_fixed", f"BEFORE UPDATE ON {table}", f"{table} are never changed")
    for table in _FIXED:
        yield refuse(f"{table}_fixed", f"BEFORE UPDATE ON {table} WHEN {_changes(table, 'IS NOT')}", f"{table} keep their identity")
    backwards = "BEFORE UPDATE ON devices WHEN NEW.auth_generation < OLD.auth_generation"
    yield refuse("devices_forward", backwards, "auth generations only grow")


def _postgres_triggers() -> t.Iterator[str]:
    yield (
        "CREATE FUNCTION tpm2_registry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION USING ERRCODE = 'integrity_constraint_violation', MESSAGE = TG_TABLE_NAME || ' ' || TG_ARGV[0]; END $$"
    )

    def refuse(table: str, name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {table}_{name} {when} EXECUTE FUNCTION tpm2_registry_refuse('{sentence}')"

    for table in _UNIQUE:
        yield refuse(table, "stay", f"BEFORE DELETE ON {table} FOR EACH ROW", "are never removed")
        yield refuse(table, "whole", f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT", "are never removed")
    for table in _APPEND_ONLY:
        yield refuse(table, "fixed", f"BEFORE UPDATE ON {table} FOR EACH ROW", "are never changed")
    for table in _FIXED:
        changes = f"FOR EACH ROW WHEN ({_changes(table, 'IS DISTINCT FROM')})"
        yield refuse(table, "fixed", f"BEFORE UPDATE ON {table} {changes}", "keep their identity")
    backwards = "BEFORE UPDATE ON devices FOR EACH ROW WHEN (NEW.auth_generation < OLD.auth_generation)"
    yield refuse("devices", "forward", backwards, "only grow in auth_generation")


__all__ = ("branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade")
