# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The SQL statements for incidents: what is in quarantine, and why."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import models, records, rows

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so


def incidents(connection: sa.Connection, key: rows.Key, *, open_only: bool = True) -> list[records.Incident]:
    """The incidents with these columns, the oldest first."""
    table = models.quarantine
    query = sa.select(table).order_by(table.c.id)
    if open_only:
        query = query.where(table.c.closed_at.is_(None))
    for column, value in key.items():
        if value is not None:
            query = query.where(table.c[column] == value)
    names = [field.name for field in dataclasses.fields(records.Incident) if field.name != "existed"]
    return [records.Incident(**{name: row[name] for name in names}) for row in connection.execute(query).mappings()]


def open_one(connection: sa.Connection, host: str, serial: str, ek_name: str, reason: str, detail: str) -> records.Incident:
    """Open an incident. If one with the same host, serial, EK Name and reason is open, only add an event, and return that one."""
    there = incidents(connection, {"host": host, "serial": serial, "ek_name": ek_name, "reason": reason})
    note = {"reason": reason, "detail": detail}
    rows.note(connection, "incident_seen" if there else "incident_opened", ek_name=ek_name, serial=serial, host=host, detail=note)
    if there:
        return dataclasses.replace(there[0], existed=True)
    made = records.Incident(host, serial, ek_name, reason, detail, models.now())
    values = {name: value for name, value in dataclasses.asdict(made).items() if name != "existed"}
    connection.execute(sa.insert(models.quarantine).values(**values))
    return made


def concerns(incident: t.Any, *, host: str | None, serial: str | None) -> bool:
    """Whether an incident concerns this host. Serial numbers are compared only if one of the two hosts is unknown.

    Otherwise anybody who claims a device's serial number or shows its EK could have that device quarantined.
    """
    if incident.host and host:
        return bool(incident.host.lower() == str(host).lower())
    return bool(serial) and incident.serial == serial


def concerning(connection: sa.Connection, host: str | None, serial: str | None) -> list[records.Incident]:
    """The open incidents that concern this host or serial number."""
    return [one for one in incidents(connection, {}) if concerns(one, host=host, serial=serial)]


def close(connection: sa.Connection, host: str | None, serial: str | None) -> int:
    """Close the open incidents that concern this host or serial number, with an event for each; return how many."""
    table = models.quarantine
    closed, now = 0, models.now()
    for one in concerning(connection, host, serial):
        same = [table.c[column] == getattr(one, column) for column in ("host", "serial", "ek_name", "reason")]
        done = connection.execute(sa.update(table).where(table.c.closed_at.is_(None), *same).values(closed_at=now))
        if done.rowcount:
            closed += 1
            detail = {"reason": one.reason}
            rows.note(connection, "incident_closed", ek_name=one.ek_name, serial=one.serial, host=one.host, detail=detail)
    return closed


__all__ = ("close", "concerning", "concerns", "incidents", "open_one")
