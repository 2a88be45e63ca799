# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Opening the registry."""

from __future__ import annotations

import errno
import os

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, upgrade
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.database import Address, Database, parse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry


def open_registry(url: str, *, timeout: int = 30, create: bool = True, must_exist: bool = False) -> Registry:
    """Open the registry at ``url``: a path, sqlite:////path, or postgresql://user@server/database.

    ``timeout``: how long to wait for a lock or a server, in seconds. With ``create``, a missing registry is created and an old one upgraded;
    without, nothing is written, and a missing registry is an empty view. With ``must_exist``, a missing registry raises RegistryError,
    ``unreachable``. Each process must open the registry itself.
    Raises RegistryError, InputError, DependencyError.
    """
    address = parse(url)
    if address.path:
        there = os.path.exists(address.path)
        if not there and (must_exist or not create):
            return _none(url, address.shown, must_exist)
        if not there:
            _make_file(address.path, address.shown)
        elif not os.path.isfile(address.path):
            raise faults.registry_error(faults.OPEN, address.shown, faults.NOT_A_REGISTRY, "it is no file")
        elif not os.access(address.path, os.R_OK):
            raise faults.registry_error(faults.OPEN, address.shown, faults.PERMISSION, "the file must not be read")
    database = Database(address, timeout=timeout, writable=create)
    if upgrade.check(database, make=not must_exist):
        return Registry(database, address.shown)
    return _none(url, address.shown, must_exist)


def _none(url: str, shown: str, must_exist: bool) -> Registry:
    """The empty view in place of a missing registry. Raises RegistryError if it must exist."""
    if must_exist:
        raise faults.RegistryError(missing(url), faults.UNREACHABLE)
    return Registry(None, shown)


def is_there(url: str, *, timeout: int = 30) -> bool:
    """Whether there is a registry at an address; False for a wrong path or an empty database. Raises as open_registry()."""
    try:
        return open_registry(url, timeout=timeout, create=False).there
    except faults.RegistryError as error:
        if error.reason != faults.OLDER:
            raise
        return True  # the first run that writes will upgrade it


def missing(url: str) -> str:
    """The sentence if there is no registry at an address. Raises InputError."""
    return (
        f"Could not {faults.OPEN} {parse(url).shown}: there is none; is it the right path or URL (tpm2_identity_registry), and is its disk "
        "mounted? If this is the very first run of a factory, and the registry is to be made there, run once with "
        "-e tpm2_identity_new_registry=true."
    )


def another(inventory: str, url: str) -> str:
    """The sentence if inventory and playbooks use different registries; "" if they use the same.

    A file is compared by its real path, a server by the name of the database: an inventory may read a replica, as another user.
    Raises InputError, DependencyError.

    Args:
        inventory: the address of the inventory's registry, with or without its password.
        url: the address of the playbooks' registry.
    """
    one, other = parse(inventory), parse(url)
    if _identity(one) == _identity(other):
        return ""
    return (
        f"The inventory is made from the registry {one.shown} (the option registry of its source), and tpm2_identity_registry is {other.shown}; what "
        "is enrolled in one is unknown to the other: find out which of the two is right, and give it in both places."
    )


def _identity(address: Address) -> tuple[str, str]:
    return ("file", os.path.realpath(address.path)) if address.path else ("server", address.url.database or "")


def _make_file(path: str, shown: str) -> None:
    """Make an empty file, which is an empty database, for this user only. SQLite itself would let everybody read it."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass  # another process was faster
    except OSError as error:
        reasons = {
            errno.EACCES: faults.PERMISSION,
            errno.EPERM: faults.PERMISSION,
            errno.ENOSPC: faults.FULL,
            errno.EROFS: faults.READ_ONLY,
        }
        raise faults.registry_error(
            faults.OPEN, shown, reasons.get(error.errno or 0, faults.UNREACHABLE), os.strerror(error.errno or 0)
        ) from None


__all__ = ("another", "is_there", "missing", "open_registry")
