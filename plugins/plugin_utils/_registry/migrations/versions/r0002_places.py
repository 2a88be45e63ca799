# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Signed statements of where a device has moved to, and checks of the master that may be replaced by costlier ones, once.

A migration is history: it is never changed once released.
"""

from __future__ import annotations

import typing as t

try:
    import sqlalchemy as sa
    from alembic import op
except ImportError:
    pass  # upgrade.check() says so

revision = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

_KEPT = ("id", "ek_name", "hierarchy", "generation", "mode", "sealed_recovery", "made_at")


def upgrade() -> None:
    """Make the table, its triggers, and the way from the first version of a sealed value to the second."""
    op.create_table(
        "places",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("statement", sa.Text, nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("ek_name", "number"),
        sqlite_autoincrement=True,
    )
    for statement in _sqlite() if op.get_bind().dialect.name == "sqlite" else _postgres():
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """There is none: nothing that is registered is ever removed."""
    raise NotImplementedError("The device registry is never downgraded: restore the backup that was made before the upgrade.")


def _sqlite() -> t.Iterator[str]:
    def refuse(name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"

    yield refuse("places_stay", "BEFORE DELETE ON places", "places are never removed")
    same = "SELECT 1 FROM places WHERE id = NEW.id OR (ek_name = NEW.ek_name AND number = NEW.number)"
    yield refuse("places_once", f"BEFORE INSERT ON places WHEN EXISTS ({same})", "places are never replaced")
    yield refuse("places_fixed", "BEFORE UPDATE ON places", "places are never changed")
    yield "DROP TRIGGER auths_fixed"
    versions = "substr(OLD.sealed_operations, 1, 1) = x'01' AND substr(NEW.sealed_operations, 1, 1) = x'02'"
    kept = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in _KEPT)
    yield refuse("auths_fixed", f"BEFORE UPDATE ON auths WHEN NOT ({versions} AND {kept})", "auths are never changed")


def _postgres() -> t.Iterator[str]:
    def refuse(table: str, name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {table}_{name} {when} EXECUTE FUNCTION tpm2_registry_refuse('{sentence}')"

    yield refuse("places", "stay", "BEFORE DELETE ON places FOR EACH ROW", "are never removed")
    yield refuse("places", "whole", "BEFORE TRUNCATE ON places FOR EACH STATEMENT", "are never removed")
    yield refuse("places", "fixed", "BEFORE UPDATE ON places FOR EACH ROW", "are never changed")
    yield "DROP TRIGGER auths_fixed ON auths"
    versions = "get_byte(OLD.sealed_operations, 0) = 1 AND get_byte(NEW.sealed_operations, 0) = 2"
    kept = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in _KEPT)
    yield refuse("auths", "fixed", f"BEFORE UPDATE ON auths FOR EACH ROW WHEN (NOT ({versions} AND {kept}))", "are never changed")


__all__ = ("branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade")
