# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Join manifest and registry: the hosts, the variables of each, and whether it is new, enrolled, unproven or quarantined."""

from __future__ import annotations

import datetime
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest import manifest

NEW = "new"
ENROLLED = "enrolled"
QUARANTINED = "quarantined"
UNPROVEN = "unproven"
STATES = (NEW, ENROLLED, UNPROVEN, QUARANTINED)

# Variables by whose values hosts are grouped, beside the state. A group's name is the variable's, an underscore and the value.
GROUPED = ("tpm2_manufacturer", "tpm2_firmware", "tpm2_site", "tpm2_model")


class Host(t.NamedTuple):
    """A host of the inventory. Group names are not yet made valid for Ansible; no variable is a secret."""

    name: str
    variables: dict[str, str | int]
    groups: tuple[str, ...]


class DeviceLike(t.Protocol):
    """The attributes of a registered device that we read; unknown ones are "" or None."""

    @property
    def ek_name(self) -> str:
        """The Name of its EK."""

    @property
    def ak_name(self) -> str:
        """The Name of its AK."""

    @property
    def serial(self) -> str:
        """Its serial number."""

    @property
    def host(self) -> str:
        """Its name in the inventory."""

    @property
    def mac(self) -> str:
        """Its MAC address."""

    @property
    def site(self) -> str:
        """Its site."""

    @property
    def model(self) -> str:
        """Its model."""

    @property
    def manufacturer(self) -> str:
        """Its TPM's manufacturer."""

    @property
    def firmware(self) -> str:
        """Its TPM's firmware."""

    @property
    def enrolled_at(self) -> datetime.datetime:
        """When it was enrolled."""

    @property
    def auth_generation(self) -> int:
        """The generation of its auth values."""


class IncidentLike(t.Protocol):
    """The attributes of an open incident that we read."""

    @property
    def host(self) -> str:
        """Its name in the inventory."""

    @property
    def serial(self) -> str:
        """Its serial number."""

    @property
    def reason(self) -> str:
        """Why the device is in quarantine, as a word."""

    @property
    def detail(self) -> str:
        """The same as a sentence."""

    @property
    def opened_at(self) -> datetime.datetime:
        """Since when."""


class Joined(t.NamedTuple):
    """The hosts, and the number of registered devices left out because the manifest does not list them and nothing proves them."""

    hosts: list[Host]
    left_out: int


Prove = t.Callable[[DeviceLike], t.Union[DeviceLike, str]]


def join(
    rows: t.Iterable[manifest.Row],
    devices: t.Iterable[DeviceLike],
    incidents: t.Iterable[IncidentLike],
    *,
    prove: Prove | None = None,
    unlisted: bool = True,
) -> Joined:
    """Return the manifest's hosts in its order, then, with ``unlisted``, the proven devices that only the registry has, by serial number.

    ``prove`` returns a device with the values that are signed, or, if it is not proven, the reason as a word. Without it no device is proven.
    An unproven device adds no host, and to a host only variables and groups of its state, because anybody may have written it to the
    registry. For place and address the manifest takes precedence over the signed values.
    """
    known = {device.serial: device for device in devices}
    cases = _Cases(incidents)
    taken: set[str] = set()
    hosts, left_out = [], 0
    for row in rows:
        taken.add(row.name.lower())
        hosts.append(_host(row.name, row, _seen(known.pop(row.serial, None), prove), cases))
    for _serial, device in sorted(known.items()) if unlisted else ():
        seen = _seen(device, prove)
        if seen.proven is None:
            left_out += 1
            continue
        name = _free_name(seen.proven, taken)
        taken.add(name.lower())
        hosts.append(_host(name, None, seen, cases))
    return Joined(hosts, left_out)


class _Seen(t.NamedTuple):
    """What the registry says of a device: its state, and its proven values, or the reason as a word why it has none."""

    state: str
    proven: DeviceLike | None = None
    reason: str = ""


def _seen(device: DeviceLike | None, prove: Prove | None) -> _Seen:
    if device is None:
        return _Seen(NEW)
    if prove is None:
        return _Seen(ENROLLED)
    found = prove(device)
    return _Seen(UNPROVEN, None, found) if isinstance(found, str) else _Seen(ENROLLED, found)


def _free_name(device: DeviceLike, taken: t.Container[str]) -> str:
    """The host's name for a device that is not in the manifest: its host name, else its serial number, else ``ek-`` and its EK's Name."""
    for name in (device.host, device.serial):
        if name and manifest.is_host_name(name) and not manifest.is_reserved(name) and name.lower() not in taken:
            return name
    return f"ek-{device.ek_name}"


class _Cases:
    """The open incidents by host, or by serial number if they have no host (as in ``_registry/incident_rows.concerns``)."""

    def __init__(self, incidents: t.Iterable[IncidentLike]) -> None:
        self._by: dict[tuple[str, str], list[IncidentLike]] = {}
        for one in sorted(incidents, key=lambda incident: incident.opened_at):
            key = ("host", one.host.lower()) if one.host else ("serial", one.serial)
            self._by.setdefault(key, []).append(one)

    def of(self, host: str, serial: str) -> list[IncidentLike]:
        """The incidents of a host, and those of its serial number that have no host, the oldest first."""
        found = self._by.get(("host", host.lower()), []) + (self._by.get(("serial", serial), []) if serial else [])
        return sorted(found, key=lambda incident: incident.opened_at)


def _host(name: str, row: manifest.Row | None, seen: _Seen, cases: _Cases) -> Host:
    device = seen.proven
    known: dict[str, t.Any] = {"tpm2_profile_serial": row.serial if row else device.serial if device else None}
    if device:
        known.update(
            tpm2_mac=device.mac,
            tpm2_site=device.site,
            tpm2_model=device.model,
            tpm2_ek_name=device.ek_name,
            tpm2_ak_name=device.ak_name,
            tpm2_manufacturer=device.manufacturer,
            tpm2_firmware=device.firmware,
            tpm2_enrolled_at=_time(device.enrolled_at),
            tpm2_auth_generation=device.auth_generation,
        )
    if row:
        known.update(
            tpm2_pinned_ek_sha256=row.ek_sha256,
            tpm2_mac=row.mac or known.get("tpm2_mac"),
            tpm2_site=row.site or known.get("tpm2_site"),
            tpm2_model=row.model or known.get("tpm2_model"),
        )
    found = cases.of(name, known["tpm2_profile_serial"])
    known["tpm2_state"] = QUARANTINED if found else seen.state
    known["tpm2_unproven_reason"] = seen.reason
    if found:
        known["tpm2_quarantine_reason"] = found[0].reason
        known["tpm2_quarantine_detail"] = "; ".join(dict.fromkeys(one.detail for one in found if one.detail))
    # Unknown values are left undefined, so that the default filter and the variables of groups take effect.
    variables = {key: value for key, value in known.items() if value not in (None, "")}
    groups = [f"tpm2_{variables['tpm2_state']}", *(f"{key}_{variables[key]}" for key in GROUPED if key in variables)]
    return Host(name, variables, (*groups, "tpm2_unlisted") if row is None else tuple(groups))


def _time(value: datetime.datetime) -> str:
    return value.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


__all__ = ("ENROLLED", "GROUPED", "NEW", "QUARANTINED", "STATES", "UNPROVEN", "DeviceLike", "Host", "IncidentLike", "Joined", "join")
