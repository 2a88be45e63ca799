# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Questions of playbooks to the registry: which device is meant, and whether it is new, quarantined or enrolled."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.incident_rows import concerns
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._x509.names import check_serial

_SHOWN: tuple[str, ...] = ("ek_name", "ak_name", "idevid_name", "ldevid_name", "serial", "host", "mac", "site", "model")
_SHOWN += ("manufacturer", "firmware", "tpm_model", "auth_generation", "auth_pending")

NEW, QUARANTINED, ENROLLED, UNPROVEN = "new", "quarantined", "enrolled", "unproven"


def find(registry: Registry, *, ek_name: str | None, serial: str | None, host: str | None) -> records.Device | None:
    """The device by its EK Name; if none is given, by its serial number; else by its host. None if it is not registered.

    Raises InputError for an invalid serial number, RegistryError.
    """
    if serial:
        check_serial(serial)
    if ek_name:
        return registry.find(ek_name=ek_name)
    return registry.find(serial=serial) if serial else registry.find(host=host)


def elsewhere(device: records.Device, host: str | None) -> bool:
    """Whether the registry has the device at another host than this one; False if either host is unknown."""
    return bool(device.host and host) and device.host.lower() != str(host).lower()


def incident(registry: Registry, *, host: str | None = None, serial: str | None = None) -> records.Incident | None:
    """The latest open incident that concerns that host or serial."""
    found = [one for one in registry.incidents() if concerns(one, host=host, serial=serial)]
    return found[-1] if found else None


def describe(device: records.Device | None, problem: records.Incident | None, doubt: tuple[str, str] | None = None) -> dict[str, t.Any]:
    """A device for a playbook, as texts, numbers and mappings only.

    ``doubt``: reason and sentence if no signature proves what the registry says of the device; else None.
    """
    held = device.certificates if device else {}
    known = (UNPROVEN if doubt else ENROLLED) if device else NEW
    reason, detail = (problem.reason, problem.detail) if problem else doubt or (None, None)
    return {
        "state": QUARANTINED if problem else known,
        "proven": device is not None and doubt is None,
        **{field: _text.throughout(getattr(device, field, None), _text.shown) for field in _SHOWN},
        "enrolled_at": device.enrolled_at.isoformat() if device else None,
        "certificates": {
            kind: {"pem": held[kind].pem, "not_after": held[kind].not_after.isoformat(), "serial_number": held[kind].serial_number}
            for kind in records.CERTIFICATE_KINDS
            if kind in held
        },
        "reason": _text.throughout(reason, _text.shown),
        "detail": _text.throughout(detail, _text.shown),
    }


__all__ = ("ENROLLED", "NEW", "QUARANTINED", "UNPROVEN", "concerns", "describe", "elsewhere", "find", "incident")
