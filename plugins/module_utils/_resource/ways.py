# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The ways to one TPM and to the files beside it: those of the machine on which a run takes place, or those that lead from a controller to a device."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import engine
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.files import LOCAL, Files
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti, Transport

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.base import Backend, Reads


class Ways(t.NamedTuple):
    """``transport`` and ``connect`` lead to the TPM at ``place`` for reads, ``open_backend`` for changes; ``files`` leads to the device's files.

    ``require_library`` raises DependencyError if changes are not possible.
    """

    place: Tcti
    transport: t.Callable[[Tcti], Transport] = open_transport
    connect: t.Callable[[Tcti], t.ContextManager[Reads]] = reader.connect
    open_backend: t.Callable[[Tcti, int], Backend] = engine.open_backend
    require_library: t.Callable[[], None] = engine.require_library
    files: Files = LOCAL

    def engine(self, given: t.Mapping[int, bytes], **more: t.Any) -> engine.Engine:
        """The engine of a run that goes this way; ``more``: its other arguments."""
        return engine.Engine(
            self.place,
            given,
            connect=self.connect,
            open_backend=self.open_backend,
            require_library=self.require_library,
            files=self.files,
            **more,
        )


__all__ = ("Ways",)
