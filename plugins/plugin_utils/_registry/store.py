# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The device registry. Each write is one transaction that also adds an event; identities in it never change."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import document_rows, ek_rows, incident_rows, models, records, rows
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.documents import Documents
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.history import History

try:
    import sqlalchemy as sa
except ImportError:
    pass  # models.require() says so


class Registry(Documents, History):
    """An open registry (``connection.open_registry`` makes it); with ``database`` None, an empty view in place of one that does not exist.

    Every method may raise RegistryError; then it has changed nothing.
    """

    def __enter__(self) -> Registry:
        return self

    def __exit__(self, *_exc: object) -> None:
        """Does nothing: no connection outlives its transaction."""

    def find(self, *, ek_name: str | None = None, serial: str | None = None, host: str | None = None) -> records.Device | None:
        """The device with all the given values, or None. Raises RegistryError (ambiguous) if several have them."""
        key = {"ek_name": ek_name, "serial": serial, "host": host}
        said = " and ".join(f"{column} {value}" for column, value in key.items() if value is not None)
        if not said:
            raise InputError("Could not look for a device: neither ek_name nor serial nor host is given; give one of them.")
        return self._read(f"look for the device with {said}", lambda connection: rows.device(connection, key), None)

    def devices(self) -> list[records.Device]:
        """Every enrolled device, the oldest first, without its verdict (``find`` has it)."""
        return self._read("list the devices", rows.all_devices, [])

    def check(self, identity: records.Identity, shown: ek_rows.Shown = ()) -> None:
        """Raises IdentityConflictError if the identity, or an EK that its TPM has ``shown``, contradicts what is registered."""
        identity.validate()
        attempt = f"check serial {identity.serial}"
        self._read(attempt, lambda connection: ek_rows.conflict(connection, identity, shown, self.shown), None)

    def enroll(
        self,
        identity: records.Identity,
        verdict: EkVerdict,
        certificates: t.Sequence[records.Certificate] = (),
        *,
        ldevid: names.Public | None = None,
        birth_record: str | None = None,
        shown: ek_rows.Shown = (),
        before_commit: t.Callable[[], t.Any] | None = None,
    ) -> records.Device:
        """Add a device with its verdict and certificates, and its LDevID key and birth record if it has them, all or nothing.

        ``shown``: the EKs and EK certificates that its TPM has shown. ``before_commit`` is called after a new device has been written and before
        the commit, perhaps more than once; if it raises, nothing is kept. If the device is registered already, with the same Names and serial,
        it is returned with ``existed``, and nothing is written.
        Raises IdentityConflictError if it contradicts what is registered.
        """
        identity.validate()
        records.check_verdict(verdict)
        for one in certificates:
            one.validate()
        attempt, who = f"enroll serial {identity.serial}", identity.cleaned()

        def work(connection: sa.Connection) -> records.Device:
            ek_rows.lock(connection)
            there = ek_rows.conflict(connection, who, shown, self.shown)
            if there is not None:
                return dataclasses.replace(there, existed=True)
            rows.add_device(connection, who, records.cleaned_verdict(verdict), ldevid, birth_record)
            ek_rows.add(connection, who.ek_name, shown)
            added = rows.add_certificates(connection, who.ek_name, certificates, attempt)
            self._note(connection, "enrolled", who, rung=verdict.rung, reason=records.cleaned_verdict(verdict).reason, certificates=added)
            if before_commit is not None:
                before_commit()
            return rows.enrolled(connection, attempt, self.shown, who.ek_name)

        return self._write(attempt, work)

    def add_certificates(self, ek_name: str, certificates: t.Sequence[records.Certificate]) -> None:
        """Add certificates of a device, except those that are registered already."""
        attempt = f"add certificates of the device {ek_name}"
        for one in certificates:
            one.validate()

        def work(connection: sa.Connection, device: records.Device) -> None:
            added = rows.add_certificates(connection, ek_name, certificates, attempt)
            if added:
                self._note(connection, "certificates_added", device, certificates=added)

        self._change(attempt, ek_name, work)

    def set_ldevid(self, ek_name: str, ldevid_name: str, certificate: records.Certificate, *, ldevid_public: bytes = b"") -> None:
        """Set the device's LDevID key (``ldevid_public``: TPMT_PUBLIC), and add its certificate. Either may be registered already."""
        attempt = f"set the LDevID of the device {ek_name}"
        records.name("ldevid_name", ldevid_name)
        certificate.validate()
        if certificate.kind != "ldevid" or certificate.key_name != ldevid_name:
            raise InputError(
                f"Could not {attempt}: the certificate is one of kind {certificate.kind} for the key {certificate.key_name}, not the "
                f"LDevID certificate for {ldevid_name}; give that."
            )

        def work(connection: sa.Connection, device: records.Device) -> None:
            added = rows.add_certificates(connection, ek_name, [certificate], attempt)
            public = ldevid_public or (device.ldevid_public if device.ldevid_name == ldevid_name else b"")
            if added or (device.ldevid_name, device.ldevid_public) != (ldevid_name, public):
                _update(connection, ek_name, ldevid_name=ldevid_name, ldevid_public=public)
                detail = {"ldevid_name": ldevid_name, "before": device.ldevid_name, "serial_number": certificate.serial_number}
                self._note(connection, "ldevid_set", device, **detail)

        self._change(attempt, ek_name, work)

    def begin_rotation(self, ek_name: str) -> int:
        """Record that the TPM is about to get the next generation of auth values, and return its number; if one is pending, that one's."""

        def work(connection: sa.Connection, device: records.Device) -> int:
            if device.auth_pending is not None:
                return device.auth_pending
            pending = device.auth_generation + 1
            _update(connection, ek_name, auth_pending=pending)
            self._note(connection, "rotation_begun", device, generation=pending)
            return pending

        return self._change(f"begin to rotate the auths of the device {ek_name}", ek_name, work)

    def finish_rotation(self, ek_name: str, generation: int | None = None) -> int:
        """Record that the TPM has the pending generation now, and return the current one. If none is pending, nothing is written.

        ``generation``: finish only if this is the pending one, so that a late controller does not finish a rotation that another has begun.
        """

        def work(connection: sa.Connection, device: records.Device) -> int:
            if device.auth_pending is None or generation not in (None, device.auth_pending):
                return device.auth_generation
            _update(connection, ek_name, auth_generation=device.auth_pending, auth_pending=None)
            self._note(connection, "rotation_finished", device, generation=device.auth_pending)
            return device.auth_pending

        return self._change(f"finish rotating the auths of the device {ek_name}", ek_name, work)

    def relocate(
        self,
        ek_name: str,
        *,
        host: str | None = None,
        mac: str | None = None,
        site: str | None = None,
        statement: tuple[int, str] | None = None,
    ) -> None:
        """Record where a device is now; None leaves a value as it is. ``statement``: number and text of the signed one, if any.

        Raises RegistryError (refused) if another controller has added a statement since.
        """
        wanted = {column: value for column, value in (("host", host), ("mac", mac), ("site", site)) if value is not None}
        for column, value in wanted.items():
            records.text(column, value)

        def work(connection: sa.Connection, device: records.Device) -> None:
            changed = {column: value for column, value in wanted.items() if getattr(device, column) != value}
            if changed:
                _update(connection, ek_name, **changed)
                if statement is not None:
                    document_rows.add_place(connection, ek_name, *statement)
                before = {column: getattr(device, column) for column in changed}
                self._note(connection, "relocated", dataclasses.replace(device, **t.cast("t.Any", changed)), before=before)

        self._change(f"relocate the device {ek_name}", ek_name, work)

    def note(self, kind: str, *, ek_name: str = "", serial: str = "", host: str = "", detail: t.Mapping[str, t.Any] | None = None) -> None:
        """Add an event of a kind that the caller chooses."""
        for field, value in (("kind", kind), ("ek_name", ek_name), ("serial", serial), ("host", host)):
            records.text(field, value, empty=field != "kind")
        kept = records.detail(detail or {})

        def work(connection: sa.Connection) -> None:
            rows.note(connection, kind, ek_name=ek_name, serial=serial, host=host, detail=kept)

        self._write(f"note the event {kind}", work)

    def events(self, *, ek_name: str | None = None, serial: str | None = None) -> list[records.Event]:
        """The events of all devices, or of one EK Name or serial, in the order in which they were written."""

        def work(connection: sa.Connection) -> list[records.Event]:
            table = models.events
            query = sa.select(*(table.c[field.name] for field in dataclasses.fields(records.Event))).order_by(table.c.id)
            for column, value in ((table.c.ek_name, ek_name), (table.c.serial, serial)):
                if value is not None:
                    query = query.where(column == value)
            return [records.Event(**row) for row in connection.execute(query).mappings()]

        return self._read("list the events", work, [])

    def incidents(self, *, open_only: bool = True) -> list[records.Incident]:
        """The incidents (open, or all), the oldest first."""

        def work(connection: sa.Connection) -> list[records.Incident]:
            return incident_rows.incidents(connection, {}, open_only=open_only)

        return self._read("list the incidents", work, [])

    def open_incident(self, host: str, serial: str, ek_name: str | None, reason: str, detail: str = "") -> records.Incident:
        """Open an incident for a quarantined device. If one with the same values (``detail`` aside) is open, add an event and return that one."""
        # Texts from an untrusted device are made printable and never refused, so that every incident is recorded.
        told = {"host": host or "", "serial": serial or "", "ek_name": ek_name or "", "reason": reason}
        told = {field: records.clean(value) for field, value in told.items()}
        told["detail"] = records.clean(detail, longest=records.LONGEST_DETAIL)
        attempt = f"open an incident of host {told['host'] or 'unknown'}"
        return self._write(attempt, lambda connection: incident_rows.open_one(connection, **told))

    def close_incidents(self, host: str | None = None, serial: str | None = None) -> int:
        """Close every open incident of that host (with any serial), and those of that serial if one of the two hosts is unknown.

        Return how many. If none is open, nothing is written.
        """
        if host is None and serial is None:
            raise InputError("Could not close incidents: neither host nor serial is given; give one of them.")
        attempt = f"close the incidents of {host or serial}"

        def work(connection: sa.Connection) -> bool:
            return bool(incident_rows.concerning(connection, host, serial))

        if not self._read(attempt, work, False):
            return 0
        return self._write(attempt, lambda connection: incident_rows.close(connection, host, serial))


def _update(connection: sa.Connection, ek_name: str, **values: t.Any) -> None:
    connection.execute(sa.update(models.devices).where(models.devices.c.ek_name == ek_name).values(**values))


__all__ = ("Registry",)
