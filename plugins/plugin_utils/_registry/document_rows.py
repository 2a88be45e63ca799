# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The statements for signed documents and sealed auth values."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import models, records, rows

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so


@dataclasses.dataclass(frozen=True)
class Papers:
    """The signed documents of all devices at one moment, by EK Name. It has the methods of a registry that return documents."""

    born: t.Mapping[str, str]
    moved: t.Mapping[str, list[str]]

    def birth_record(self, ek_name: str) -> str | None:
        """A device's birth record, or None."""
        return self.born.get(ek_name)

    def places(self, ek_name: str) -> list[str]:
        """The signed statements of where a device has moved to, the oldest first."""
        return self.moved.get(ek_name, [])


def auths(connection: sa.Connection, ek_name: str, generation: int) -> dict[str, records.StoredAuth]:
    """The stored auth values of a device's generation, by hierarchy."""
    table = models.auths
    names = [field.name for field in dataclasses.fields(records.StoredAuth)]
    query = sa.select(*(table.c[name] for name in names)).where(table.c.ek_name == ek_name, table.c.generation == generation)
    return {row["hierarchy"]: records.StoredAuth(**row) for row in connection.execute(query).mappings()}


def add_auths(connection: sa.Connection, wanted: t.Sequence[records.StoredAuth]) -> None:
    """Insert the values that are not stored yet; a stored one is never changed."""
    for one in wanted:
        if one.hierarchy in auths(connection, one.ek_name, one.generation):
            continue
        connection.execute(sa.insert(models.auths).values(**dataclasses.asdict(one), made_at=models.now()))
        device = rows.device(connection, {"ek_name": one.ek_name})
        detail = {"hierarchy": one.hierarchy, "generation": one.generation, "mode": one.mode}
        serial, host = (device.serial, device.host) if device else ("", "")
        rows.note(connection, "auth_escrowed", ek_name=one.ek_name, serial=serial, host=host, detail=detail)


def places(connection: sa.Connection, ek_name: str) -> list[str]:
    """The statements of a device's places, the oldest first; none in an old registry that was not upgraded because it is only read."""
    table = models.places
    if not sa.inspect(connection).has_table(table.name):
        return []
    query = sa.select(table.c.statement).where(table.c.ek_name == ek_name).order_by(table.c.number)
    return list(connection.execute(query).scalars())


def papers(connection: sa.Connection) -> Papers:
    """The signed documents of all devices, with two queries."""
    table = models.birth_records
    born = {row.ek_name: row.record for row in connection.execute(sa.select(table.c.ek_name, table.c.record))}
    moved: dict[str, list[str]] = {}
    table = models.places
    if sa.inspect(connection).has_table(table.name):
        for row in connection.execute(sa.select(table.c.ek_name, table.c.statement).order_by(table.c.number)):
            moved.setdefault(row.ek_name, []).append(row.statement)
    return Papers(born, moved)


def add_place(connection: sa.Connection, ek_name: str, number: int, statement: str) -> None:
    """Add a statement. If two follow the same one, the database refuses the second."""
    values = {"ek_name": ek_name, "number": number, "statement": statement, "made_at": models.now()}
    connection.execute(sa.insert(models.places).values(**values))


def add_birth_record(connection: sa.Connection, ek_name: str, record: str, place: records.Place) -> bool:
    """Unless a device has a birth record, add it and set the device's place; return whether it was added."""
    table, devices = models.birth_records, models.devices
    if connection.execute(sa.select(table.c.id).where(table.c.ek_name == ek_name)).first():
        return False
    connection.execute(sa.insert(table).values(ek_name=ek_name, record=record, made_at=models.now()))
    connection.execute(sa.update(devices).where(devices.c.ek_name == ek_name).values(**place._asdict()))
    return True


def replace_auth(connection: sa.Connection, wanted: records.StoredAuth) -> None:
    """Replace a value that the first release sealed; leave any other as it is."""
    table = models.auths
    found = auths(connection, wanted.ek_name, wanted.generation).get(wanted.hierarchy)
    if found is not None and found.sealed_operations[:1] == b"\1":
        same = [table.c[column] == getattr(wanted, column) for column in ("ek_name", "hierarchy", "generation")]
        connection.execute(sa.update(table).where(*same).values(sealed_operations=wanted.sealed_operations))


__all__ = ("Papers", "add_auths", "add_birth_record", "add_place", "auths", "papers", "places", "replace_auth")
