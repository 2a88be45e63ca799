# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The SQL statements for EK certificates: which EKs each TPM has shown, and whether another device has proved to hold one of them.

A TPM has several EKs, and without this check could be enrolled once with each. A device that shows an EK which another device has proved
to hold is refused. The other device is not affected, because anybody can show a copy of its certificate.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, models, records, rows

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so

# A lock of PostgreSQL is a number: "tpm2 eks".
_LOCK = 0x74706D3220656B73
Shown = t.Sequence[records.ShownEk]


def lock(connection: sa.Connection) -> None:
    """Serialise enrolments, so that the second of two at the same time sees the first. SQLite is locked already, by BEGIN IMMEDIATE."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")


def conflict(connection: sa.Connection, who: records.Identity, shown: Shown, place: str) -> records.Device | None:
    """As ``rows.conflict``, and check the EKs that the TPM has shown. Raises IdentityConflictError."""
    there = rows.conflict(connection, who, place)
    check(connection, who, shown, place)
    return there


def check(connection: sa.Connection, who: records.Identity, shown: Shown, place: str) -> None:
    """Raises IdentityConflictError if the TPM shows an EK that another device has proved to hold."""
    table, devices = models.ek_certificates, models.devices
    keys = {one.spki_sha256 for one in shown if one.spki_sha256}
    if not keys or not _there(connection):
        return
    query = sa.select(devices.c.serial, devices.c.host, table.c.spki_sha256).join(devices, devices.c.ek_name == table.c.ek_name)
    query = query.where(table.c.own, table.c.spki_sha256.in_(keys), table.c.ek_name != who.ek_name).order_by(table.c.id)
    found = connection.execute(query).first()
    if found is not None:
        what = f"its TPM shows the EK of serial {found.serial} (host {found.host or 'unknown'}; SHA-256 of the key {found.spki_sha256})"
        raise rows.conflicting(faults.TPM_UNDER_OTHER_SERIAL, who, place, what)


def _there(connection: sa.Connection) -> bool:
    """Whether the registry has the table of EKs; an old one that is only read has not."""
    return sa.inspect(connection).has_table(models.ek_certificates.name)


def claimed_by(connection: sa.Connection, ek_name: str, spki_sha256: str) -> list[str]:
    """The serials of other devices that have shown a certificate of this EK. They may be the same TPM, or have copied the certificate."""
    if not _there(connection):
        return []
    table, devices = models.ek_certificates, models.devices
    query = sa.select(devices.c.serial).join(devices, devices.c.ek_name == table.c.ek_name).distinct().order_by(devices.c.serial)
    return [*connection.execute(query.where(table.c.spki_sha256 == spki_sha256, table.c.ek_name != ek_name)).scalars()]


def add(connection: sa.Connection, ek_name: str, shown: Shown) -> None:
    """Insert the EKs that a new device has shown."""
    table, now = models.ek_certificates, models.now()
    for one in dict.fromkeys(shown):
        connection.execute(sa.insert(table).values(**dataclasses.asdict(one), ek_name=ek_name, seen_at=now))


def of_device(connection: sa.Connection, ek_name: str) -> list[records.ShownEk]:
    """The EKs that a device has shown, in the order of insertion."""
    table = models.ek_certificates
    columns = [table.c[field.name] for field in dataclasses.fields(records.ShownEk)]
    found = connection.execute(sa.select(*columns).where(table.c.ek_name == ek_name).order_by(table.c.id)).mappings()
    return [records.ShownEk(**row) for row in found]


__all__ = ("Shown", "add", "check", "claimed_by", "conflict", "lock", "of_device")
