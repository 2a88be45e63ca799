# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""swtpm's data channel: commands and responses without any framing, over TCP or a UNIX socket (swtpm(8), --server)."""

from __future__ import annotations

import errno
import socket

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.tcti import Tcti

# In seconds. Only reads use this transport, and no TPM takes seconds for those; but a software TPM may still be making a key for a killed client.
TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
HEADER, MAX_RESPONSE = 10, 1 << 16


def _options(tcti: Tcti) -> dict[str, str]:
    pairs = [part.partition("=") for part in tcti.conf.split(",") if part]
    unknown = [name for name, _equal, _value in pairs if name not in ("host", "port", "path")]
    if unknown:
        raise errors.InputError(f"Could not use the tcti '{tcti.text}': unknown option '{unknown[0]}'; swtpm takes host, port and path.")
    return {name: value for name, _equal, value in pairs}


def address(tcti: Tcti) -> tuple[str, str] | tuple[str, str, int]:
    """Where the socket is: ("unix", path) or ("tcp", host, port). Raises InputError."""
    options = _options(tcti)
    if "path" in options:
        return "unix", options["path"]
    port = options.get("port", "2321")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise errors.InputError(f"Could not use the tcti '{tcti.text}': the port must be a number from 1 to 65535.")
    return "tcp", options.get("host", "127.0.0.1"), int(port)


def _open(tcti: Tcti) -> socket.socket:
    where = address(tcti)
    if len(where) == 3:
        try:
            return socket.create_connection(where[1:], CONNECT_TIMEOUT)
        except UnicodeError:
            raise errors.InputError(f"Could not use the tcti '{tcti.text}': no host can have this name; correct it.") from None
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.settimeout(CONNECT_TIMEOUT)
    made.connect(where[1])
    return made


def explain_open(tcti: Tcti, error: OSError) -> errors.TransportError:
    """Why a socket could not be reached, and what to do."""
    reason = "no permission" if error.errno in (errno.EACCES, errno.EPERM) else error.strerror or str(error)
    kind, cure = errors.NO_ANSWER, "start it, or name another tcti"
    if error.errno in (errno.EACCES, errno.EPERM):
        kind, cure = errors.PERMISSION, "run with become, or let the user write to the socket"
    return errors.TransportError(f"Could not reach the TPM at {tcti.text}: {reason}; {cure}.", kind)


class Socket:
    """A software TPM behind a socket. Raises TransportError on opening and on each command."""

    def __init__(self, tcti: Tcti) -> None:
        self._text = tcti.text
        try:
            self._socket = _open(tcti)
        except OSError as error:
            raise explain_open(tcti, error) from None
        self._socket.settimeout(TIMEOUT)

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response."""
        try:
            self._socket.sendall(command)
            head = self._receive(HEADER)
            size = int.from_bytes(head[2:6], "big")
            if not HEADER <= size <= MAX_RESPONSE:
                raise errors.TransportError(
                    f"Could not talk to {self._text}: the endpoint does not speak TPM 2.0; name the tcti of a TPM 2.0.",
                    errors.NOT_A_TPM,
                )
            return head + self._receive(size - HEADER)
        except socket.timeout:
            raise errors.TransportError(
                f"Could not talk to the TPM at {self._text}: it took the connection and did not answer within {TIMEOUT:.0f} s; see that a TPM "
                "listens there and that no other client holds it, then run again.",
                errors.NO_ANSWER,
            ) from None
        except OSError as error:
            raise errors.TransportError(
                f"Could not talk to the TPM at {self._text}: {error.strerror or error}; see that it runs, then run again.", errors.BROKEN
            ) from None

    def _receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise errors.TransportError(
                    f"Could not talk to the TPM at {self._text}: it closed the connection in mid-command; see that it runs, then run again.",
                    errors.BROKEN,
                )
            data += piece
        return data

    def close(self) -> None:
        """End the connection."""
        self._socket.close()


__all__ = ("Socket", "address", "explain_open")
