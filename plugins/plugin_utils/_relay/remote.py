# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""A device's TPM and files as the controller sees them: what is asked for is collected, and travels to the relay in one exchange.

What comes back is a claim. It is taken apart here, and decides only that nothing is to be done.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import base, reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import file_errors
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, marshal, pcr
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import stream, tcti
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay.stopped import explain

# Bytes of a file that travel to the controller; larger ones are compared on the device.
LARGEST_FILE = 1 << 15
# A run asks for facts that depend on others a few times. A device that makes it ask for ever is not answered any more.
MOST_EXCHANGES = 12
_LOOK = _answer.fields(
    {
        "real": _answer.TEXT,
        "link": _answer.BOOL,
        "same": _answer.listed(_answer.listed(_answer.LOOSE)),
        "mode": _answer.INT,
        "ids": _answer.listed(_answer.INT),
        "names": _answer.listed(_answer.LOOSE),
        "error": _answer.INT,
        "data": _answer.RAW,
    }
)
ANSWER = _answer.fields(
    {
        "answers": _answer.listed(_answer.LOOSE),
        "stopped": _answer.listed(_answer.LOOSE),
        "variable": _answer.TEXT,
        "used": _answer.INT,
        "failed": _answer.BOOL,
    }
)
# The system's numbers of errors, and the modes of files (inode(7)). C functions take no larger ones.
ERRORS, _MODES = range(1 << 16), range(1 << 12)
Step = list[t.Any]
# Has the relay carry out what these options ask for; returns its answer, of the kind ANSWER.
Carry = t.Callable[[dict[str, t.Any]], t.Mapping[str, t.Any]]


class ElsewhereError(Exception):
    """The controller cannot settle this from what the relay answers; the module on the device can.

    ``why``: a word. ``said``: a clause for a sentence, ``failed``: an error; each where it is known what is wrong.
    """

    def __init__(self, why: str, said: str = "", failed: errors.TpmError | None = None) -> None:
        super().__init__(why)
        self.why, self.said, self.failed = why, said, failed


class Remote:
    """The TPM that ``given`` names (a TCTI string; None: the device's own), and the files beside it.

    It is a transport and a ``Files``. Its methods raise ``Waiting`` for what has not been fetched yet; ElsewhereError where the module on the device is
    needed; InputError for a tcti or a path that is wrong; TpmError for a response that no TPM sends.
    """

    def __init__(self, given: str | None, carry: Carry) -> None:
        self._carry = carry
        self._place = tcti.resolve(given) if given else None
        self._steps: list[Step] = []
        self._condition: Step = []
        self.looks: dict[str, dict[str, t.Any]] = {}
        # Files with a secret, which must not be in what a program prints: Ansible shows that at -vvv.
        self.private: set[str] = set()
        self.answers: dict[bytes, bytes] = {}
        self.exchanges = 0

    @property
    def place(self) -> tcti.Tcti:
        """Where the TPM is, as far as it is known."""
        return self._place or tcti.Tcti("device", tcti.RESOURCE_MANAGED)

    @contextlib.contextmanager
    def connect(self, _place: tcti.Tcti) -> t.Iterator[RemoteReader]:
        """A reader of this TPM, for the engine."""
        yield RemoteReader(self)

    def transmit(self, command: bytes) -> bytes:
        """The TPM's response to a command that only reads."""
        if command not in self.answers:
            self._want(["send", command.hex(), *self._condition])
            raise base.Waiting
        return self.answers[command]

    @contextlib.contextmanager
    def only_if(self, command: bytes, response: bytes, at: int = 0) -> t.Iterator[None]:
        """What is asked for in this block is fetched only if ``response`` is what the TPM responds, from byte ``at`` on, to ``command``.

        That command must have been asked for; else there is no condition.
        """
        asked = [number for number, step in enumerate(self._steps) if step[:2] == ["send", command.hex()]]
        self._condition = [asked[0], 2 * at, response.hex()] if asked else []
        try:
            yield
        finally:
            self._condition = []

    def read(self, path: str) -> bytes | None:
        """See ``Files``."""
        found = self.look(path)
        if found.get("error") == errno.ENOENT:
            return None
        if found.get("error") == errno.EFBIG:
            raise ElsewhereError("file")
        if "data" not in found:
            raise file_errors.unreadable(path, found.get("error") or 0)
        return t.cast("bytes", found["data"])

    def names(self, path: str) -> set[tuple[t.Any, ...]]:
        """See ``Files``."""
        found = self.look(path)
        return {("path", found["real"]), *(("inode", *one) for one in found["same"])}

    def leads_to(self, path: str) -> str:
        """See ``Files``."""
        found = self.look(path)
        return str(found["real"]) if found["link"] else ""

    def check_writable(self, path: str) -> None:
        """See ``Files``: asked only before a change."""
        raise ElsewhereError("change")

    def write(self, path: str, data: bytes, mode: int = 0o600, keep: bool = True) -> None:
        """See ``Files``: done only in a change."""
        raise ElsewhereError("change")

    def remove(self, path: str) -> None:
        """See ``Files``: done only in a change."""
        raise ElsewhereError("change")

    def look(self, path: str) -> dict[str, t.Any]:
        """What is at a path: the keys of the relay's answer, ``data`` as bytes. Raises InputError if the path is not absolute."""
        file_errors.check_path(path)
        if path in self.private:
            raise ElsewhereError("private")
        if path not in self.looks:
            self._want(["look", path, LARGEST_FILE])
            raise base.Waiting
        return self.looks[path]

    def expect(self, path: str) -> None:
        """Look at a path in the next exchange."""
        with contextlib.suppress(base.Waiting):
            self.look(path)

    def fetch(self) -> None:
        """One exchange: have the relay answer all that has been asked for."""
        steps, self._steps = self._steps, []
        self.exchanges += 1
        if self.exchanges > MOST_EXCHANGES:
            raise ElsewhereError("exchanges")
        told = self._carry({"environment": self._place is None, "places": self.places(), "steps": steps})
        stopped = told.get("stopped")
        if stopped and stopped[0] == "environment" and self._place is None:
            # An empty text would mean the controller's own environment.
            self._place = tcti.resolve(told.get("variable") or "none")
            self._steps = steps
            self.fetch()
            return
        # What has been answered is kept even if the relay then stopped: a command that may count as a wrong try is not sent again by the module.
        answers = told.get("answers") or []
        kept = [self._keep(step, answer) for step, answer in zip(steps, answers)]
        if stopped or len(answers) != len(steps):
            raise ElsewhereError("stopped", failed=explain(self.place, stopped) if stopped else None)
        if not all(kept):
            raise ElsewhereError("busy")
        self._used(told)

    def _used(self, told: t.Mapping[str, t.Any]) -> None:
        if self._place is None and told.get("used") in (0, 1):
            self._place = tcti.Tcti("device", str(self.places()[told["used"]][1]))

    def _want(self, step: Step) -> None:
        if all(step[:2] != one[:2] for one in self._steps):
            self._steps.append(step)

    def places(self) -> list[Step]:
        """Where the relay looks for the TPM: the first of these that exists. Raises ElsewhereError for a TCTI of a library, InputError for an odd one."""
        if self._place is None:
            return [["node", tcti.RESOURCE_MANAGED], ["node", tcti.DIRECT]]
        if self._place.name == "device":
            return [["node", self._place.conf]]
        if self._place.name == "swtpm":
            return [list(stream.address(self._place))]
        raise ElsewhereError("tcti")

    def _keep(self, step: Step, answer: t.Any) -> bool:
        """Keep an answer. Returns False for a response after which the TPM wants the command again, or has no room.

        The module waits then, and makes room where nobody else can be using the TPM.
        """
        if step[0] == "look":
            self.looks[step[1]] = looked(answer)
        elif answer is not None or len(step) < 3:
            response = responded(answer)
            code = marshal.response(response)[1]
            if code and errors.is_rc(code, *errors.RETRYABLE, errors.RC_OBJECT_MEMORY, errors.RC_SESSION_MEMORY):
                return False
            self.answers[bytes.fromhex(step[1])] = response
        return True


class RemoteReader(reader.Reader):
    """Reads that wait until they are fetched together."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote)
        self._remote = remote

    def fetch(self) -> None:
        """One exchange with the relay."""
        self._remote.fetch()

    def pcr_read(self, chosen: t.Sequence[pcr.Selection]) -> dict[str, dict[int, bytes]]:
        """As on the device, but all parts are asked for before the first has been read."""
        found: dict[str, dict[int, bytes]] = {one.bank: {} for one in chosen}
        complete = True
        for piece in reader.pieces(chosen):
            try:
                self._read_piece(piece, found)
            except base.Waiting:
                complete = False
        if not complete:
            raise base.Waiting
        return found


def responded(answer: t.Any) -> bytes:
    """The response to a command, from the relay's answer. Raises ElsewhereError."""
    try:
        return bytes.fromhex(answer)
    except (TypeError, ValueError):
        raise ElsewhereError("malformed") from None


def looked(answer: t.Any) -> dict[str, t.Any]:
    """What is at a path, from the relay's answer. Raises ElsewhereError."""
    try:
        found = _LOOK.take(answer, "file")
        if not {"real", "link", "same"} <= found.keys() or None in found.values():
            raise ElsewhereError("malformed")
        if "mode" in found and not (found["mode"] in _MODES and len(found["ids"]) == len(found["names"]) == 2):
            raise ElsewhereError("malformed")
        if found.get("error", 0) not in ERRORS:
            raise ElsewhereError("malformed")
        found["same"] = [(int(device), int(inode), str(rest)) for device, inode, rest in found["same"]]
        if "data" in found:
            found["data"] = base64.b64decode(found["data"], validate=True)
    except (_answer.MalformedError, KeyError, TypeError, ValueError):
        raise ElsewhereError("malformed") from None
    return t.cast("dict[str, t.Any]", found)


__all__ = ("ANSWER", "ERRORS", "LARGEST_FILE", "Carry", "ElsewhereError", "Remote", "RemoteReader", "Step", "looked", "responded")
