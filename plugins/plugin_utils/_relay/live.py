# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A device's TPM and files over a relay that stays: each command and each file at once, for a run that changes something."""

from __future__ import annotations

import base64
import contextlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import file_errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import channel
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import stopped as stopped_why
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.remote import (
    ERRORS,
    LARGEST_FILE,
    Carry,
    ElsewhereError,
    Remote,
    Step,
    looked,
    responded,
)

_DONE = _answer.fields({"error": _answer.INT, "folder": _answer.TEXT})
# The largest response of a TPM, and the bytes of its header (TSS 2.0 TCTI API; TPM 2.0 Library Part 1, section 18).
_LARGEST, _HEADER = 4096, 10


class Live:
    """A transport and a ``Files`` like ``Remote``, whose knowledge it takes over. Raises TransportError, InputError, TpmError."""

    def __init__(self, before: Remote, carry: Carry) -> None:
        self._before, self._carry = before, carry
        self._known = dict(before.answers)
        # From now on the module on the device cannot go on with the task: it would be sent the secrets of a task that is half done.
        self.begun = False
        # What comes over the channel is shown to nobody.
        before.private.clear()

    @property
    def place(self) -> tcti.Tcti:
        """Where the TPM is."""
        return self._before.place

    @contextlib.contextmanager
    def connect(self, place: tcti.Tcti) -> t.Iterator[reader.Reader]:
        """A reader of this TPM, for the engine."""
        yield reader.Reader(self, place.alone)

    def close(self) -> None:
        """Nothing: the relay stays until its channel is closed."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command, return its response; what has been read before is returned once."""
        if command in self._known:
            return self._known.pop(command)
        response: bytes = _taken(responded, self._now(["send", command.hex()]))
        # The TSS takes responses apart in C, so it gets none that cannot be one.
        if not _HEADER <= len(response) <= _LARGEST or int.from_bytes(response[2:6], "big") != len(response):
            raise stopped_why.explain(self.place, ["garbage", 0])
        return response

    def read(self, path: str) -> bytes | None:
        """See ``Files``."""
        self._look(path)
        try:
            return self._before.read(path)
        except ElsewhereError:
            if not self.begun:
                raise
            raise malformed() from None

    def names(self, path: str) -> set[tuple[t.Any, ...]]:
        """See ``Files``."""
        self._look(path)
        return self._before.names(path)

    def leads_to(self, path: str) -> str:
        """See ``Files``."""
        self._look(path)
        return self._before.leads_to(path)

    def look(self, path: str) -> dict[str, t.Any]:
        """See ``Remote``."""
        self._look(path)
        return self._before.look(path)

    def check_writable(self, path: str) -> None:
        """See ``Files``."""
        told = self._done(["writable", path])
        if told["error"]:
            raise file_errors.unwritable(path, str(told.get("folder")), told["error"])

    def write(self, path: str, data: bytes, mode: int = 0o600, keep: bool = True) -> None:
        """See ``Files``."""
        self._change("write", path, ["write", path, base64.b64encode(data).decode(), mode, keep])

    def remove(self, path: str) -> None:
        """See ``Files``."""
        self._change("remove", path, ["remove", path])

    def own(self, path: str | None, mode: int | None, owner: t.Any, group: t.Any) -> int:
        """Give a file a mode, an owner and a group, or with no path see whether there are such names. Returns the system's number of an error, or 0."""
        names = [None if one is None else str(one) for one in (owner, group)]
        if path is not None:
            self._before.looks.pop(path, None)
            self.begun = True
        return int(self._done(["own", path, mode, *names])["error"])

    def _change(self, verb: str, path: str, step: Step) -> None:
        self._before.looks.pop(path, None)
        self.begun = True
        number = self._done(step)["error"]
        if number:
            raise file_errors.failed(verb, path, number)

    def _look(self, path: str) -> None:
        file_errors.check_path(path)
        if path not in self._before.looks:
            self._before.looks[path] = _taken(looked, self._now(["look", path, LARGEST_FILE]))

    def _done(self, step: Step) -> dict[str, t.Any]:
        """One exchange with one step that is about a file. Returns ``error``, the system's number of an error or 0, and perhaps ``folder``."""
        try:
            found = _DONE.take(self._now(step), "file")
        except _answer.MalformedError:
            raise malformed() from None
        if found.get("error") not in ERRORS:
            raise malformed()
        return t.cast("dict[str, t.Any]", found)

    def _now(self, step: Step) -> t.Any:
        """One exchange with one step."""
        told = self._carry({"environment": False, "places": self._before.places(), "steps": [step]})
        stopped, answers = told.get("stopped"), told.get("answers") or []
        if stopped:
            raise stopped_why.explain(self.place, stopped)
        if len(answers) != 1:
            raise malformed()
        return answers[0]


def _taken(take: t.Callable[[t.Any], t.Any], answer: t.Any) -> t.Any:
    try:
        return take(answer)
    except ElsewhereError:
        raise malformed() from None


def malformed() -> errors.TransportError:
    """The error for an answer that the relay never gives."""
    return channel.malformed("it is not of the kind that was asked for")


__all__ = ("Live",)
