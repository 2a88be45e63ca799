# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Why a relay could not send a command to its TPM: the error, in the words of a transport on the device."""

from __future__ import annotations

import os
import socket
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device as node
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import stream, tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

# What is wrong with the name of a host, by the number of the error (getaddrinfo(3)).
_NAMES = {
    0: "no host can have this name",
    socket.EAI_NONAME: "Name or service not known",
    socket.EAI_AGAIN: "Temporary failure in name resolution",
}
# Why the relay could not send a command, by its word: what is wrong, what to do, and the kind of failure.
_STOPPED = {
    "garbage": ("the endpoint does not speak TPM 2.0", "name the tcti of a TPM 2.0", errors.NOT_A_TPM),
    "closed": ("it closed the connection in mid-command", "see that it runs, then run again", errors.BROKEN),
    "no_shell_tool": (
        "the device's shell lacks a printf of its own, or one of dd, tr, od or hexdump, readlink and mktemp",
        "install BusyBox, which has them all, or give the device Python",
        errors.OTHER,
    ),
    "silent": ("it took the connection and did not answer", "see that no other client holds it, then run again", errors.NO_ANSWER),
}


def explain(place: tcti.Tcti, stopped: t.Sequence[t.Any]) -> errors.TransportError:
    """The error. ``stopped``: the relay's word, and the system's number of an error."""
    word, told = str(stopped[0]), stopped[-1] if isinstance(stopped[-1], int) else 0
    number = told if 0 < told < 1 << 16 else 0
    if word == "no_device":
        return node.not_a_device(place.conf)
    if word == "unreachable" and place.name == "device":
        return node.explain_open(place.conf, number, exists=lambda _path: False)
    if word == "unreachable":
        return stream.explain_open(place, OSError(number, os.strerror(number) if number else _NAMES.get(told, _NAMES[0])))
    if word == "broken" and place.name == "device":
        return node.explain_use(place.conf, number)
    found = os.strerror(number) if word == "broken" and number else _text.shown(word, 40)
    why, cure, kind = _STOPPED.get(word, (found, "see that it runs, then run again", errors.BROKEN))
    return errors.TransportError(f"Could not talk to the TPM at {place.text}: {why}; {cure}.", kind)


__all__ = ("explain",)
