# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Maintain an enrolled device: take in certificates from an external CA, and renew the LDevID before it expires."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys, _place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, external
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import answers, certify, clock, settings, signing
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import (
    EnrolmentOutcome,
    EnrolmentPlan,
    Exchange,
    nonce,
    session_key,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry


class Upkeep:
    """Maintenance of a recognised device. ``clock`` returns the time."""

    def __init__(self, registry: Registry, plan: EnrolmentPlan, exchange: Exchange, clock: t.Callable[[], datetime.datetime]) -> None:
        self._registry, self._plan, self._exchange, self._clock = registry, plan, exchange, clock

    def run(self, device: records.Device, check: bool) -> EnrolmentOutcome:
        """Do what is due; in check mode only report it. Raises EvidenceError, RequestError, RegistryError, ClockError, TpmError."""
        plan = self._plan
        did: list[str] = []
        problem = None if check else ask.incident(self._registry, host=plan.host or None, serial=plan.serial)
        # Public areas can be copied, so a device that is in quarantine, or answers as another host, must sign with its AK first.
        if not check and (problem or ask.elsewhere(device, plan.host)):
            self._prove(device)
        if self._moved(device):
            did.append("relocate")
            if not check:
                self._relocate(device, self._moved(device))
        did += self._fetch(device, check)
        if self._due(device):
            clock.check(self._registry, self._plan, self._clock())
            did.append("renew ldevid" if "ldevid" in device.certificates else "issue ldevid")
            if not check:
                self._renew(device)
        if problem:
            self._registry.close_incidents(host=plan.host or None, serial=plan.serial)
        if did and not check:
            device = self._registry.find(ek_name=device.ek_name) or device
        return EnrolmentOutcome(bool(did), device, tuple(did), pending=self._pending(device))

    def _moved(self, device: records.Device) -> dict[str, str]:
        """What the inventory says of the device's place otherwise than the registry."""
        return {name: value for name, value in self._plan.place._asdict().items() if value and value != getattr(device, name)}

    def _relocate(self, device: records.Device, moved: t.Mapping[str, str]) -> None:
        """Register where the device is, with a signed statement. Raises InputError if nobody can sign that it is at another host.

        A device without a birth record is trusted nowhere: of it the row says so, unsigned.
        """
        plan, record = self._plan, self._registry.birth_record(device.ek_name)
        statement = None
        if record is not None and plan.signs is not None:
            place = device.place._replace(**moved)
            statement = _place.make(record, self._registry.places(device.ek_name), place, plan.signs, self._clock())
        elif record is not None and "host" in moved:
            raise settings.no_place_signer(device.serial, plan.host)
        self._registry.relocate(device.ek_name, statement=statement, **moved)

    def _prove(self, device: records.Device) -> None:
        """Have the registered AK certify the serial number, which needs no auth. Raises EvidenceError."""
        plan, fresh = self._plan, nonce()
        asked = {**self._question(device, fresh), **signing.about_the_serial(plan)}
        found = answers.collected(self._exchange({"collect": asked}), plan.where, None, with_idevid=False)
        signing.check_serial(plan, found._replace(ak=names.parse_public(device.ak_public)), fresh)

    def _question(self, device: records.Device, fresh: bytes) -> dict[str, t.Any]:
        """The part that all questions share. It has the registered public areas, so that the device does not read them."""
        where = self._plan.where
        publics = {where.ek: device.ek_public.hex(), where.ak: device.ak_public.hex()}
        reads = {"public": publics, "identity": True}
        return {"nonce": fresh.hex(), "ek": where.ek, "ak": where.ak, "certificates": False, "reads": reads}

    def _kinds(self) -> tuple[str, ...]:
        return (*settings.KINDS, "ldevid") if self._plan.local else settings.KINDS

    def _pending(self, device: records.Device) -> tuple[str, ...]:
        return tuple(kind for kind in self._kinds() if kind not in device.certificates)

    # -- an external CA

    def _fetch(self, device: records.Device, check: bool) -> list[str]:
        """Take in the certificates that the external CA has issued for the device; new ones for an LDevID may come at any time."""
        ca = self._plan.external
        found: list[records.Certificate] = []
        for kind in self._kinds() if ca is not None else ():
            there, name = device.certificates.get(kind), self._key_name(device, kind)
            if (there is not None and kind != "ldevid") or name is None:
                continue
            left = self._collect(t.cast("settings.External", ca), device, kind, name)
            if left is not None and (there is None or left.serial_number != there.serial_number):
                found.append(left)
        if found:
            clock.check(self._registry, self._plan, self._clock())
        if found and not check:
            self._registry.add_certificates(device.ek_name, found)
        return [f"add {one.kind}" for one in found]

    def _key_name(self, device: records.Device, kind: str) -> str | None:
        return {"iak": device.ak_name, "idevid": device.idevid_name, "ldevid": device.ldevid_name}[kind]

    def _collect(self, ca: settings.External, device: records.Device, kind: str, name: str) -> records.Certificate | None:
        publics = {"iak": device.ak_public, "idevid": device.idevid_public, "ldevid": device.ldevid_public}
        key = _keys.public_key(names.parse_public(publics[kind]))
        return external.collect(ca.folder, device.serial, kind, key, ca.authorities, self._clock(), key_name=name)

    # -- our own CA

    def _due(self, device: records.Device) -> bool:
        local, there = self._plan.local, device.certificates.get("ldevid")
        if local is None or self._plan.ca is None:
            return False
        return there is None or authority.renewal_due(there.not_before, there.not_after, self._clock(), local.renew_before)

    def _renew(self, device: records.Device) -> None:
        """Have the registered AK certify the LDevID, and the LDevID sign its request; then issue its certificate."""
        plan, local = self._plan, t.cast("settings.LocalKey", self._plan.local)
        fresh = nonce()
        asked = {**self._question(device, fresh), **signing.about_the_ldevid(local)}
        # Making an LDevID may send an auth to the TPM, so the question names the key to which the session may be salted.
        question = {"collect": asked, **session_key(plan.where.ek, device.ek_name)}
        answer = answers.collected(self._exchange(question), plan.where, local.handle, with_idevid=False)
        # Checked with the registered AK, not with the one that the device sends.
        found = answer._replace(ak=names.parse_public(device.ak_public))
        signing.check_local(local, found, fresh)
        ldevid = t.cast("names.Public", found.ldevid)
        about = certify.subject(plan.serial, names.parse_public(device.ek_public), device.verdict, plan.organization)
        wanted = [signing.to_sign("ldevid", local.handle, ldevid, about)]
        signing.requests(wanted, self._exchange({"sign": [one.question for one in wanted]}), about)
        issued = certify.issue(t.cast("authority.Authority", plan.ca), "ldevid", ldevid, about, local, self._clock())
        self._registry.set_ldevid(device.ek_name, ldevid.name.hex(), issued, ldevid_public=ldevid.raw)


__all__ = ("Upkeep",)
