# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What the controller has read of this TPM a moment ago, so that a run which goes on here need not read it again."""

from __future__ import annotations

import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti, Transport


def parse(given: t.Iterable[str] | None) -> dict[bytes, bytes]:
    """Responses by command, from texts of two words each: command and response in hex. Raises InputError."""
    try:
        pairs = [str(one).split() for one in given or ()]
        return {bytes.fromhex(command): bytes.fromhex(response) for command, response in pairs}
    except ValueError:
        raise InputError("Could not read known_answers: only the controller's part of this module gives it; leave it out.") from None


class Replay:
    """A connection that is opened with the first command to which no response is known. Each known response is given once."""

    def __init__(self, place: Tcti, known: t.Mapping[bytes, bytes]) -> None:
        self._place, self._known = place, dict(known)
        self._real: Transport | None = None

    def transmit(self, command: bytes) -> bytes:
        """The known response, or that of the TPM. Raises TransportError."""
        if command in self._known:
            return self._known.pop(command)
        if self._real is None:
            self._real = open_transport(self._place)
        return self._real.transmit(command)

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._real is not None:
            self._real.close()


__all__ = ("Replay", "parse")
