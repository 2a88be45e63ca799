# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Devices of a registry, with software keys and birth records, and the signer of such records."""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth.envelope import document, parse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate, Identity, Place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from support import birth, lab_ca
from support.registry import PINNED


class Signer:
    """A CA below a root in a folder, and the records that it signs."""

    def __init__(self, folder: pathlib.Path, above: lab_ca.Ca | None = None) -> None:
        self.files = lab_ca.write(folder, above=above)
        self.ca = authority.load_authority(self.files.options)

    @property
    def certificate(self) -> str:
        """The file that a controller names in `record_roots`."""
        return str(self.files.options["certificate"])

    def record(self, tpm: birth.SoftTpm, host: str) -> str:
        """The birth record of a device at that host."""
        fields = birth.fields(tpm, self.ca)
        return birth_records.sign(birth_records.build(fields._replace(device={**fields.device, "host": host})), self.ca)

    def moved(self, registry: Registry, ek_name: str, host: str, *, signed: bool = True) -> None:
        """Register that a device has moved there, without a signature, as somebody with access to only the database could."""
        record, statements = registry.birth_record(ek_name), registry.places(ek_name)
        assert record is not None
        made = _place.make(record, statements, Place(host), self.ca, lab_ca.NOW + lab_ca.DAY) if signed else None
        registry.relocate(ek_name, host=host, statement=made)


def device(number: int, serial: str = "", **changes: t.Any) -> tuple[birth.SoftTpm, Identity]:
    """The device of that number, with keys of its own: EDGE-0001, or another serial number, at edge-01 and so on."""
    tpm = birth.soft_tpm(serial or f"EDGE-{number:04}")
    keys: dict[str, t.Any] = {}
    for kind, public in (("ek", tpm.ek_public), ("ak", tpm.ak_public), ("idevid", tpm.idevid_public)):
        keys |= {f"{kind}_name": public.name.hex(), f"{kind}_public": public.raw}
    made = Identity(serial=tpm.serial, host=f"edge-{number:02}", site="north", model="gateway", manufacturer="IBM", **keys)
    return tpm, dataclasses.replace(made, **changes)


def enroll(registry: Registry, number: int, signer: Signer, *certificates: Certificate) -> Identity:
    """Enroll it with its record."""
    tpm, identity = device(number)
    registry.enroll(identity, PINNED, certificates, birth_record=signer.record(tpm, identity.host))
    return identity


def born_with(registry: Registry, ek_name: str, key_name: str) -> dict[str, Certificate]:
    """The certificates in a device's record, in the registry's form."""
    payload = document(parse(registry.birth_record(ek_name) or "")[1])
    found = {kind: chain.load(text, kind) for kind, text in payload["certificates"].items()}
    return {kind: authority.record(kind, one, key_name) for kind, one in found.items()}


__all__ = ("Signer", "born_with", "device", "enroll")
