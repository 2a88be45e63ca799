# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What each TPM has shown of its endorsement keys, so that one TPM is not enrolled as two devices by two of them.

A migration is history: it is never changed once released. Of devices that are there already, the EK that they are enrolled by is written
down, with its certificate where one was verified.
"""

from __future__ import annotations

import datetime
import hashlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509 import certificates

try:
    import sqlalchemy as sa
    from alembic import op
except ImportError:
    pass  # upgrade.check() says so

revision = "0003"
down_revision: str | None = "0002"
branch_labels: str | None = None
depends_on: str | None = None

TABLE = "ek_certificates"
_KEY = ("ek_name", "sha256", "spki_sha256")


def upgrade() -> None:
    """Make the table, fill it with what is known, then make its triggers."""
    op.create_table(
        TABLE,
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("ek_name", sa.String, sa.ForeignKey("devices.ek_name"), nullable=False, index=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("sha256", "issuer", "serial_number")),
        sa.Column("spki_sha256", sa.String, nullable=False, index=True),
        sa.Column("own", sa.Boolean, nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(*_KEY),
        sqlite_autoincrement=True,
    )
    _fill()
    for statement in _sqlite() if op.get_bind().dialect.name == "sqlite" else _postgres():
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """There is none: nothing that is registered is ever removed."""
    raise NotImplementedError("The device registry is never downgraded: restore the backup that was made before the upgrade.")


def _fill() -> None:
    connection: sa.Connection = op.get_bind()
    table = sa.table(
        TABLE, *(sa.column(name) for name in (*_KEY, "issuer", "serial_number", "own")), sa.column("seen_at", sa.DateTime(True))
    )
    now = datetime.datetime.now(datetime.timezone.utc)
    latest = "SELECT ek_certificate FROM verdicts WHERE verdicts.ek_name = devices.ek_name ORDER BY id DESC LIMIT 1"
    found = connection.exec_driver_sql(f"SELECT ek_name, ek_public, ({latest}) FROM devices ORDER BY id").all()
    for ek_name, public, certificate in t.cast("list[tuple[str, bytes, bytes | None]]", found):
        try:
            spki = _keys.spki(names.parse_public(bytes(public)))
        except TpmError:
            continue  # the public area is malformed, so there is no key to compare
        key = {"ek_name": ek_name, "spki_sha256": hashlib.sha256(spki).hexdigest(), "own": True, "seen_at": now}
        for row in _rows(spki, certificate):
            connection.execute(sa.insert(table).values(**key, **row))


def _rows(spki: bytes, certificate: t.Any) -> t.Iterator[dict[str, str]]:
    """The key itself, and its certificate where that is the key's."""
    yield {"sha256": "", "issuer": "", "serial_number": ""}
    try:
        data = bytes(certificate or b"")
        parsed, key = certificates.parse(data), certificates.public_key(data)[0]
    except ValueError:
        return
    if _keys.spki_of(key) == spki:
        told = {"issuer": certificates.shown(parsed.issuer), "serial_number": f"{parsed.serial_number:x}"}
        yield {"sha256": hashlib.sha256(data).hexdigest(), **told}


def _sqlite() -> t.Iterator[str]:
    def refuse(name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {name} {when} BEGIN SELECT RAISE(ABORT, '{sentence}'); END"

    yield refuse(f"{TABLE}_stay", f"BEFORE DELETE ON {TABLE}", f"{TABLE} are never removed")
    same = " AND ".join(f"{name} = NEW.{name}" for name in _KEY)
    again = f"SELECT 1 FROM {TABLE} WHERE id = NEW.id OR ({same})"
    yield refuse(f"{TABLE}_once", f"BEFORE INSERT ON {TABLE} WHEN EXISTS ({again})", f"{TABLE} are never replaced")
    yield refuse(f"{TABLE}_fixed", f"BEFORE UPDATE ON {TABLE}", f"{TABLE} are never changed")


def _postgres() -> t.Iterator[str]:
    def refuse(name: str, when: str, sentence: str) -> str:
        return f"CREATE TRIGGER {TABLE}_{name} {when} EXECUTE FUNCTION tpm2_registry_refuse('{sentence}')"

    yield refuse("stay", f"BEFORE DELETE ON {TABLE} FOR EACH ROW", "are never removed")
    yield refuse("whole", f"BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT", "are never removed")
    yield refuse("fixed", f"BEFORE UPDATE ON {TABLE} FOR EACH ROW", "are never changed")


__all__ = ("branch_labels", "depends_on", "down_revision", "downgrade", "revision", "upgrade")
