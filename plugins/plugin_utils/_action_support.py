# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Code that action plugins and lookups share: paths, escrow, registry. It does not import Ansible."""

from __future__ import annotations

import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _values
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._proven import UnprovenError, load_roots, prove
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

Options = t.Mapping[str, t.Any]
# The options that lookups take as text: those that name a device, and the secrets of an escrow.
KEYS = {name: {"type": "str"} for name in ("ek_name", "serial", "host", "registry", "master", "former_master")}


def check_texts(given: t.Any, spec: t.Mapping[str, t.Mapping[str, t.Any]]) -> None:
    """Raises InputError if an option of type text has another type. ``given``: the options before Ansible converts them."""
    misread = _values.misread(given, spec)
    if misread:
        raise InputError(misread)


def result_of(result: dict[str, t.Any], work: t.Callable[[], t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The result of a task with what ``work`` returned, or its error. A result with auth values is not logged."""
    try:
        result.update(work())
    except TpmError as failed:
        result.update(failed=True, msg=_text.shown(failed.message), **failed.words())
    # A failure has no auth values, so it is shown.
    result["_ansible_no_log"] = "auths" in result
    return result


def find(registry: Registry, options: Options) -> records.Device | None:
    """The enrolled device that the options name: by EK, by serial, or by host. Raises InputError, RegistryError."""
    named = {name: options.get(name) for name in ("ek_name", "serial", "host")}
    if not any(named.values()):
        raise InputError("Could not look for a device: neither serial nor ek_name nor host is given; give one of them.")
    return ask.find(registry, **named)


class SeenDevice(t.NamedTuple):
    """A registered device (None if there is none). ``doubt``: reason and sentence if its birth record does not prove it, else None."""

    device: records.Device | None
    doubt: tuple[str, str] | None


def seen(registry: Registry, options: Options, *, path: t.Callable[[str], str]) -> SeenDevice:
    """The device that the options name, and whether it is proven. Raises InputError, RegistryError."""
    device = find(registry, options)
    if device is None:
        return SeenDevice(None, None)
    try:
        return SeenDevice(proven(registry, device, options, path=path), None)
    except UnprovenError as error:
        return SeenDevice(device, (error.reason, error.message))


def proven(registry: Registry, device: records.Device, options: Options, *, path: t.Callable[[str], str]) -> records.Device:
    """The device, proven by its birth record to be the one that the options name. Raises UnprovenError, InputError, RegistryError."""
    roots = load_roots(path(str(one)) for one in options.get("record_roots") or ())
    return prove(registry, device, roots, serial=options.get("serial") or None, ek_name=options.get("ek_name") or None)


def escrow(registry: Registry | None, options: Options, *, create: bool, path: t.Callable[[str], str]) -> Escrow:
    """The escrow for the options. ``path`` resolves a relative path against the playbook's folder. Raises InputError, EscrowError."""
    recovery, key = options.get("recovery_key"), None
    if recovery and options["mode"] == "random":
        where = path(str(recovery))
        try:
            key = pathlib.Path(where).read_bytes()
        except OSError as error:
            raise InputError(
                f"Could not read the escrow's recovery key {where}: {error.strerror}; see that recovery_key names a file on the controller."
            ) from None
    former = str(options.get("former_master") or "").encode() or None
    master = str(options["master"]).encode()
    return Escrow(registry, mode=options["mode"], master=master, former_master=former, recovery_key=key, create=create)


__all__ = ("KEYS", "Options", "SeenDevice", "check_texts", "escrow", "find", "proven", "seen", "result_of")
