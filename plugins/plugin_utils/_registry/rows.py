# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The SQL statements of the registry's methods. Each takes the connection of a transaction, which the caller ends."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, models, records

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so

Key = t.Mapping[str, t.Optional[str]]

# How far the clocks of two controllers may differ.
SKEW = datetime.timedelta(minutes=5)
# The event that says that this controller's clock is right, although the last event is later; another controller's clock was ahead.
CLOCK_TRUSTED = "clock_trusted"
CURE = (
    "set the clock of this controller; or, if it is right, correct that of the controller which wrote the event, and run tpm2_enroll with "
    "trust_clock here"
)

_IDENTITY = tuple(field.name for field in dataclasses.fields(records.Identity))
_VERDICT = ("rung", "reason", "detail", "ek_certificate", "revocation")


def note(
    connection: sa.Connection,
    kind: str,
    *,
    ek_name: str = "",
    serial: str = "",
    host: str = "",
    detail: t.Mapping[str, t.Any] | None = None,
) -> None:
    """Add an event. Raises RegistryError (clock_behind_registry) if the last event is later than our clock."""
    now, last = models.now(), newest(connection)
    if last is not None and last - now > SKEW and kind != CLOCK_TRUSTED:
        raise faults.RegistryError(
            f"Could not write the event {kind}: the clock of this controller says {now:%Y-%m-%dT%H:%M:%SZ}, before the last event of the "
            f"registry ({last:%Y-%m-%dT%H:%M:%SZ}); {CURE}.",
            faults.CLOCK_BEHIND,
        )
    row = {"time": now, "kind": kind, "ek_name": ek_name, "serial": serial, "host": host, "detail": dict(detail or {})}
    connection.execute(sa.insert(models.events).values(**row))


def newest(connection: sa.Connection) -> datetime.datetime | None:
    """The time of the event that was added last. Not the latest time, so that one controller whose clock was ahead stops no other for ever."""
    query = sa.select(models.events.c.time).order_by(models.events.c.id.desc()).limit(1)
    return t.cast("datetime.datetime | None", connection.execute(query).scalar())


def device(connection: sa.Connection, key: Key, *, lock: bool = False) -> records.Device | None:
    """The device with these columns, or None. Raises RegistryError (ambiguous) if there are several."""
    found = _devices(connection, [models.devices.c[column] == value for column, value in key.items() if value is not None], lock=lock)
    if len(found) > 1:
        said = " and ".join(f"{column} {value}" for column, value in key.items() if value is not None)
        raise faults.RegistryError(
            f"Could not find the device with {said}: {len(found)} enrolled devices have it (serials {_listed(found)}); name it by its serial.",
            faults.AMBIGUOUS,
        )
    return _whole(connection, found[0]) if found else None


def _whole(connection: sa.Connection, found: records.Device) -> records.Device:
    held = _latest_certificates(connection, found.ek_name).get(found.ek_name, {})
    return dataclasses.replace(found, certificates=held, verdict=_verdict(connection, found.ek_name))


def _listed(found: t.Sequence[records.Device]) -> str:
    serials = sorted(one.serial for one in found)
    return ", ".join(serials[:5]) + (", ..." if len(serials) > 5 else "")


def enrolled(connection: sa.Connection, attempt: str, shown: str, ek_name: str) -> records.Device:
    """The device, locked until the transaction ends. Raises RegistryError if it is not enrolled."""
    found = device(connection, {"ek_name": ek_name}, lock=True)
    if found is None:
        raise faults.RegistryError(
            f"Could not {attempt} in the registry {shown}: no device with that EK Name is enrolled; enroll it first.", faults.NOT_ENROLLED
        )
    return found


def all_devices(connection: sa.Connection) -> list[records.Device]:
    """Every device, the oldest first, without its verdict."""
    held = _latest_certificates(connection)
    return [dataclasses.replace(one, certificates=held.get(one.ek_name, {})) for one in _devices(connection, [])]


def _devices(connection: sa.Connection, where: t.Sequence[sa.ColumnElement[bool]], *, lock: bool = False) -> list[records.Device]:
    """The rows of devices without what other tables have of them."""
    columns = (*_IDENTITY, "ldevid_name", "ldevid_public", "auth_generation", "auth_pending", "enrolled_at")
    query = sa.select(*(models.devices.c[column] for column in columns)).where(*where).order_by(models.devices.c.id)
    return [records.Device(**row) for row in connection.execute(query.with_for_update() if lock else query).mappings()]


def _latest_certificates(connection: sa.Connection, ek_name: str | None = None) -> dict[str, dict[str, records.Certificate]]:
    table = models.certificates
    latest = sa.select(sa.func.max(table.c.id)).group_by(table.c.ek_name, table.c.kind)
    if ek_name is not None:
        latest = latest.where(table.c.ek_name == ek_name)
    held: dict[str, dict[str, records.Certificate]] = {}
    for row in connection.execute(sa.select(table).where(table.c.id.in_(latest))).mappings():
        held.setdefault(row["ek_name"], {})[row["kind"]] = _certificate(row)
    return held


def _certificate(row: sa.RowMapping) -> records.Certificate:
    return records.Certificate(**{field.name: row[field.name] for field in dataclasses.fields(records.Certificate)})


def _verdict(connection: sa.Connection, ek_name: str) -> EkVerdict | None:
    table = models.verdicts
    row = connection.execute(sa.select(table).where(table.c.ek_name == ek_name).order_by(table.c.id.desc()).limit(1)).mappings().first()
    if row is None:
        return None
    chain = tuple(base64.b64decode(one) for one in row["chain"])
    plain = {column: row[column] for column in (*_VERDICT, "time")}
    return EkVerdict(chain=chain, **plain)


def conflict(connection: sa.Connection, who: records.Identity, shown: str) -> records.Device | None:
    """The registered device with this identity, None if it is new. Raises IdentityConflictError if it contradicts what is registered."""
    table = models.devices.c
    keys = [table[column] == getattr(who, column) for column in ("ek_name", "serial", "ak_name", "idevid_name") if getattr(who, column)]
    found = _devices(connection, [sa.or_(*keys)])
    ours = next((one for one in found if one.ek_name == who.ek_name), None)
    if ours is not None and ours.serial != who.serial:
        raise conflicting(faults.EK_UNDER_OTHER_SERIAL, who, shown, f"that EK belongs to serial {ours.serial}{_since(ours)}")
    claims = (
        (faults.SERIAL_TAKEOVER, "serial", "that serial number"),
        (faults.DUPLICATE_AK, "ak_name", f"its AK Name {who.ak_name}"),
        (faults.DUPLICATE_IDEVID, "idevid_name", f"its IDevID Name {who.idevid_name}"),
    )
    for reason, column, what in claims:
        value = getattr(who, column)
        for other in found:
            if value and other is not ours and getattr(other, column) == value:
                words = f"{what} belongs to serial {other.serial} with the EK Name {other.ek_name}{_since(other)}"
                raise conflicting(reason, who, shown, words)
    if ours is None:
        return None
    if ours.ak_name != who.ak_name:
        raise conflicting(
            faults.AK_REPLACED, who, shown, f"it is registered with the AK Name {ours.ak_name}, not {who.ak_name}{_since(ours)}"
        )
    if who.idevid_name and ours.idevid_name and ours.idevid_name != who.idevid_name:
        words = f"it is registered with the IDevID Name {ours.idevid_name}, not {who.idevid_name}{_since(ours)}"
        raise conflicting(faults.IDEVID_REPLACED, who, shown, words)
    return _whole(connection, ours)


def _since(device: records.Device) -> str:
    return f" (host {device.host or 'unknown'}, enrolled {device.enrolled_at:%Y-%m-%d})"


def conflicting(reason: str, who: records.Identity, shown: str, words: str) -> faults.IdentityConflictError:
    """The error if a device contradicts a registered one; either may be the false one."""
    return faults.IdentityConflictError(
        f"Could not accept serial {who.serial} with the EK Name {who.ek_name} (host {who.host or 'unknown'}) in the registry {shown}: {words}; "
        "one of the two is false: keep it in quarantine and examine both.",
        reason,
    )


def add_device(
    connection: sa.Connection, who: records.Identity, verdict: EkVerdict, ldevid: names.Public | None, birth_record: str | None
) -> None:
    """Insert a device, its verdict and its birth record."""
    now = models.now()
    row: dict[str, t.Any] = {column: getattr(who, column) for column in _IDENTITY}
    row.update({"ldevid_name": ldevid.name.hex() if ldevid else None, "ldevid_public": ldevid.raw if ldevid else b""})
    connection.execute(sa.insert(models.devices).values(**row, enrolled_at=now))
    if birth_record is not None:
        connection.execute(sa.insert(models.birth_records).values(ek_name=who.ek_name, record=birth_record, made_at=now))
    evidence: dict[str, t.Any] = {column: getattr(verdict, column) for column in _VERDICT}
    evidence["chain"] = [base64.b64encode(one).decode() for one in verdict.chain]
    evidence["time"] = verdict.time or now
    connection.execute(sa.insert(models.verdicts).values(ek_name=who.ek_name, **evidence))


def add_certificates(connection: sa.Connection, ek_name: str, certificates: t.Sequence[records.Certificate], attempt: str) -> list[str]:
    """Insert the certificates that are not registered yet; return their kinds. Raises RegistryError if a serial number was issued twice."""
    table = models.certificates
    added = []
    for one in certificates:
        same = (table.c.issuer == one.issuer) & (table.c.serial_number == one.serial_number)
        row = connection.execute(sa.select(table).where(same)).mappings().first()
        if row is None:
            values = {**dataclasses.asdict(one), "issued_at": one.issued_at or models.now(), "ek_name": ek_name}
            connection.execute(sa.insert(table).values(**values))
            added.append(one.kind)
        elif row["ek_name"] != ek_name or _certificate(row) != one:
            raise faults.RegistryError(
                f"Could not {attempt}: the serial number {one.serial_number} of its {one.kind} certificate is that of another one by the "
                f"issuer {one.issuer}; see that two certificate authorities do not share a name, then issue a new certificate.",
                faults.DUPLICATE_CERTIFICATE,
            )
    return added


__all__ = ("Key", "add_certificates", "add_device", "all_devices", "conflict", "conflicting", "device", "enrolled", "newest", "note")
