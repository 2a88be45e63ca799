# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The registry's signed documents and sealed auth values, and the base class that reads and writes the registry."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import document_rows, faults, models, records, rows
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.database import Database

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so

T = t.TypeVar("T")


class Opened:
    """Reads and writes a registry; with ``database`` None, an empty view in place of one that does not exist."""

    def __init__(self, database: Database | None, shown: str) -> None:
        self._database = database
        self.shown = shown

    def __repr__(self) -> str:
        return f"Registry({self.shown!r})"

    @property
    def there(self) -> bool:
        """Whether there is a registry at this address."""
        return self._database is not None

    @property
    def writable(self) -> bool:
        """Whether this view can write to it."""
        return self._database is not None and self._database.writable

    def _read(self, attempt: str, work: t.Callable[[sa.Connection], T], empty: T) -> T:
        if self._database is None:
            return empty
        with self._database.read(attempt) as connection:
            return work(connection)

    def _write(self, attempt: str, work: t.Callable[[sa.Connection], T]) -> T:
        if self._database is None:
            raise faults.registry_error(attempt, self.shown, faults.READ_ONLY, "it does not exist, and was opened to be read")
        return self._database.write(attempt, work)

    def _note(self, connection: sa.Connection, kind: str, who: records.Identity, **detail: t.Any) -> None:
        rows.note(connection, kind, ek_name=who.ek_name, serial=who.serial, host=who.host, detail=detail)

    def _change(self, attempt: str, ek_name: str, work: t.Callable[[sa.Connection, records.Device], T]) -> T:
        """Write something about one enrolled device, whose row is locked meanwhile."""
        records.name("ek_name", ek_name)
        return self._write(attempt, lambda connection: work(connection, rows.enrolled(connection, attempt, self.shown, ek_name)))


class Documents(Opened):
    """The documents and the auth values. Every method may raise RegistryError; then it has changed nothing."""

    def birth_record(self, ek_name: str) -> str | None:
        """A device's birth record, or None."""

        def work(connection: sa.Connection) -> str | None:
            table = models.birth_records
            return connection.execute(sa.select(table.c.record).where(table.c.ek_name == ek_name)).scalar()

        return self._read(f"look for the birth record of the device {ek_name}", work, None)

    def add_birth_record(self, ek_name: str, record: str, certificates: t.Sequence[records.Certificate], place: records.Place) -> None:
        """Add the birth record of a device that was enrolled without one and has been verified again, and set its place.

        A device that has a record keeps it.
        """
        attempt = f"add the birth record of the device {ek_name}"

        def work(connection: sa.Connection, device: records.Device) -> None:
            if document_rows.add_birth_record(connection, ek_name, record, place):
                added = rows.add_certificates(connection, ek_name, certificates, attempt)
                self._note(connection, "birth_record_added", device, certificates=added, before={"host": device.host})

        self._change(attempt, ek_name, work)

    def places(self, ek_name: str) -> list[str]:
        """The signed statements of where a device has moved to, the oldest first."""
        attempt = f"look for the places of the device {ek_name}"
        return self._read(attempt, lambda connection: document_rows.places(connection, ek_name), [])

    def papers(self) -> document_rows.Papers:
        """The signed documents of all devices, read at once, so that a caller with ten thousand devices needs two queries, not twenty thousand."""
        return self._read("read the birth records of all devices", document_rows.papers, document_rows.Papers({}, {}))

    def auths(self, ek_name: str, generation: int) -> dict[str, records.StoredAuth]:
        """The stored auth values of a device's generation, by hierarchy."""
        attempt = f"look for the auths of the device {ek_name}"
        return self._read(attempt, lambda connection: document_rows.auths(connection, ek_name, generation), {})

    def auth(self, ek_name: str, hierarchy: str, generation: int) -> records.StoredAuth | None:
        """One stored auth value, or None."""
        return self.auths(ek_name, generation).get(hierarchy)

    def put_auths(self, wanted: t.Sequence[records.StoredAuth]) -> list[records.StoredAuth]:
        """Store the values that are not stored yet. Return the stored ones, read over a new connection; another process may have been first."""
        for one in wanted:
            records.auth_key(one.ek_name, one.hierarchy, one.generation)
        self._write("keep an auth value", lambda connection: document_rows.add_auths(connection, wanted))
        kept = [self.auth(one.ek_name, one.hierarchy, one.generation) for one in wanted]
        if None in kept:
            raise faults.registry_error("keep an auth value", self.shown, faults.DAMAGED, "what was committed is not there")
        return [one for one in kept if one is not None]

    def latest_sealed(self) -> bytes:
        """The value that was sealed last, of any device; empty if there is none."""
        query = sa.select(models.auths.c.sealed_operations).order_by(models.auths.c.id.desc()).limit(1)
        return self._read("look for what was sealed last", lambda connection: connection.execute(query).scalar() or b"", b"")

    def replace_auth(self, wanted: records.StoredAuth) -> None:
        """Replace the first release's sealing of a value by a new one. The database refuses any other change."""
        self._write("seal an auth value anew", lambda connection: document_rows.replace_auth(connection, wanted))


__all__ = ("Documents", "Opened")
