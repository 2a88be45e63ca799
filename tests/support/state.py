# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The final state of a device, seen from outside (tpm2-tools and the file system), in a form in which two runs can be compared."""

from __future__ import annotations

import pathlib
import stat
import typing as t

from support import raw
from support.profile import AK, EK, MQTT_KEY, SRK
from support.swtpm import Swtpm
from support.tools import Public, ToolError, Tools

_READ_PUBLIC = 0x173
# TPMA_PERMANENT (which auths are set), the lockout counter, the three dictionary attack parameters.
_PROPERTIES = (raw.PT_PERMANENT, raw.PT_LOCKOUT_COUNTER, raw.PT_MAX_AUTH_FAIL, raw.PT_LOCKOUT_INTERVAL, raw.PT_LOCKOUT_RECOVERY)
_PRIMARIES = (SRK, EK, AK)
_PEM_FILES = {"ak.pub.pem": AK, "mqtt.pub.pem": MQTT_KEY}


def end_state(swtpm: Swtpm, device_dir: pathlib.Path) -> dict[str, t.Any]:
    """Return everything by which provisioned devices are compared.

    Primaries by Name (a blank TPM's copies have the same seeds), other keys by template, NV by Name and content, the sealed key by
    what it unseals to, the exported PEM files by whether they are the key that is in the TPM.
    """
    tools = Tools(swtpm.tcti)
    with swtpm.raw() as tpm:
        persistent, indices = tpm.handles(raw.PERSISTENT), tpm.handles(raw.NV_INDEX)
        properties = {which: tpm.tpm_property(which) for which in _PROPERTIES}
        areas = {handle: tpm.call(_READ_PUBLIC, handle.to_bytes(4, "big")) for handle in persistent}
    publics = {handle: _public(tools, handle, area) for handle, area in areas.items()}
    state: dict[str, t.Any] = {
        "properties": properties,
        "primaries": {f"{handle:#010x}": publics[handle].name for handle in _PRIMARIES if handle in publics},
        "templates": {f"{handle:#010x}": public.template for handle, public in publics.items()},
        "nv": {f"{index:#010x}": _nv(tools, index) for index in indices},
        "files": {
            path.name: f"{stat.S_IMODE(path.stat().st_mode):04o}"
            for path in sorted(device_dir.iterdir())
            if not path.name.endswith(".lock")
        },
    }
    state["exported"] = {
        name: handle in publics and (device_dir / name).exists() and (device_dir / name).read_text() == publics[handle].pem
        for name, handle in _PEM_FILES.items()
    }
    blob = device_dir / "telemetry.key.pem"
    state["unsealed"] = tools.load_unseal(blob).hex() if blob.exists() and SRK in publics else None
    return state


# The output of tpm2-tools for a key, cached by the bytes of its public area, because most devices of a session have the same primaries.
_PUBLICS: dict[bytes, Public] = {}


def _public(tools: Tools, handle: int, area: bytes) -> Public:
    if area not in _PUBLICS:
        _PUBLICS[area] = tools.readpublic(handle)
    return _PUBLICS[area]


def _nv(tools: Tools, index: int) -> dict[str, t.Any]:
    public = tools.nvreadpublic(index)
    attributes = str(public["attributes"]["friendly"])
    return {
        "name": public["name"],
        "attributes": attributes,
        "policy": str(public.get("authorization policy", "")).lower(),
        "content": tools.nvread(index).hex() if "written" in attributes and "authread" in attributes else None,
    }


def auth_opens(swtpm: Swtpm, hierarchy: t.Literal["owner", "endorsement", "lockout"], auth: str) -> bool:
    """Whether `auth` is the hierarchy's auth value, tested by setting it to itself. A wrong lockout auth increments the lockout counter."""
    letter = {"owner": "o", "endorsement": "e", "lockout": "l"}[hierarchy]
    try:
        Tools(swtpm.tcti).run("changeauth", "-Q", "-c", letter, *(["-p", auth] if auth else []), auth)
    except ToolError as error:
        if any(code in str(error) for code in ("0x98E", "0x9A2", "0x921")):
            return False
        raise
    return True
