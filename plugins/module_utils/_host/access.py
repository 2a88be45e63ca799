# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Find out who may use a path to the TPM: one child process per user sends TPM2_GetRandom (TPM 2.0 Library Part 3, section 16.1).

Reading a mode or a policy shows who should have access; sending a command shows who has it.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import select
import signal
import tempfile
import time
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend import backoff

# All that the child may need is imported before it gives up root, because it may then not be able to read the module's archive.
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, errors, marshal, rc_table
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device, stream, tcti, tss
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport

_PRELOADED = (device, rc_table, stream, tss)
SIZE = 8
REAP_SECONDS = 2.0

# Reasons by name. The first two are refusals; after any other it is not known whether the user would have had access.
PERMISSION_DENIED, DBUS_REFUSED = "permission_denied", "dbus_refused"
NO_BUS, NO_DAEMON, NO_ANSWER = "no_bus", "no_daemon", "no_answer"
REFUSALS = (PERMISSION_DENIED, DBUS_REFUSED)
_KINDS = {
    errors.ABSENT: "no_device",
    errors.PERMISSION: PERMISSION_DENIED,
    errors.BUSY: "busy",
    errors.NO_ANSWER: NO_ANSWER,
    errors.BROKEN: "broken",
    errors.NOT_A_TPM: "not_a_tpm",
    errors.UNSUPPORTED: "unsupported",
}
# tpm2-abrmd's TCTI returns the same code for all of these; only GLib's texts on standard error differ (GDBusError, g_bus_get).
_DBUS = (
    ("DBus.Error.AccessDenied", DBUS_REFUSED),
    ("DBus.Error.ServiceUnknown", NO_DAEMON),
    ("DBus.Error.NameHasNoOwner", NO_DAEMON),
    ("DBus.Error.Spawn", NO_DAEMON),
    ("DBus.Error.NoReply", NO_ANSWER),
    ("Could not connect", NO_BUS),
    ("failed to allocate dbus proxy", NO_BUS),
)
_WORDS = {
    PERMISSION_DENIED: "permission denied; put the user into the group that owns the node (tss), and see that its mode is 0660",
    DBUS_REFUSED: "D-Bus refuses to forward the call; put the user into the group tss, or look at the policy in /etc/dbus-1/system.d",
    NO_BUS: "there is no message bus; start D-Bus (systemctl start dbus), which tpm2-abrmd needs",
    NO_DAEMON: "no service has that name on the bus; start tpm2-abrmd and find out why it ended (journalctl -u tpm2-abrmd)",
}


class Answer(t.NamedTuple):
    """The outcome of one user's command: ``reason`` is None if it was answered; ``detail`` is "reason; cure"."""

    reason: str | None
    detail: str


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise errors.InputError(
            f"Could not try the TPM as user {name}: there is no such user on the device; create it, or name another."
        ) from None


def _become(account: pwd.struct_passwd) -> None:
    if os.geteuid() == account.pw_uid != 0:
        return
    os.initgroups(account.pw_name, account.pw_gid)
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def _detail(message: str) -> str:
    """The "reason; cure" of "Could not attempt object: reason; cure."."""
    return message.partition(": ")[2].rstrip(".") or message


def _ask(place: tcti.Tcti) -> Answer:
    """Open the path and send one command. Raises TpmError."""
    connection = open_transport(place)
    try:
        command = marshal.command(constants.CC_GET_RANDOM, parameters=SIZE.to_bytes(2, "big"))

        def once() -> tuple[int, tuple[int, bytes]]:
            tag, code, body = marshal.response(connection.transmit(command))
            return code, (tag, body)

        code, (tag, body) = backoff.repeat(once)
    finally:
        connection.close()
    if tag == marshal.TAG_TPM12:
        return Answer("not_a_tpm", "it answers as a TPM 1.2; switch it to TPM 2.0 in the firmware where it can")
    if code:
        return Answer("tpm_error", _detail(errors.sentence("ask", "the TPM", code)))
    if len(marshal.Cursor(body).sized()) != SIZE:
        return Answer("not_a_tpm", "it gave no random bytes; name the tcti of a TPM 2.0")
    return Answer(None, "")


def _visit(place: tcti.Tcti, account: pwd.struct_passwd, said: t.IO[bytes]) -> Answer:
    """In the child: become the user and send the command. ``said`` is the file that receives what libraries print."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.dup2(said.fileno(), 2)
    try:
        _become(account)
        return _ask(place)
    except errors.TransportError as failed:
        return _explain(_KINDS.get(failed.kind, "other"), _detail(failed.message), said if place.name == "tabrmd" else None)
    except errors.TpmError as failed:
        return Answer("other", _detail(failed.message))
    except OSError as failed:
        return Answer("other", f"{failed.strerror or failed}; look into the device's log")


def _explain(reason: str, detail: str, said: t.IO[bytes] | None) -> Answer:
    if said is not None:
        said.seek(0)
        text = said.read().decode(errors="replace")
        reason = next((name for words, name in _DBUS if words in text), reason)
    return Answer(reason, _WORDS.get(reason, detail))


def _read(pipe: int, seconds: float) -> bytes | None:
    """All that comes through ``pipe`` until its other end is closed; None if that takes longer than ``seconds``."""
    deadline, data = time.monotonic() + seconds, b""
    while True:
        ready, _writable, _broken = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        piece = os.read(pipe, 65536)
        if not piece:
            return data
        data += piece


def _reap(child: int) -> None:
    """Kill the child and what it started. A child that hangs in a driver cannot be killed, and must not block this process."""
    for end in (os.killpg, os.kill):
        try:
            end(child, signal.SIGKILL)
        except OSError:
            continue
    deadline = time.monotonic() + REAP_SECONDS
    while os.waitpid(child, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)


def _as(account: pwd.struct_passwd, place: tcti.Tcti, seconds: float) -> Answer:
    """One user's answer, from a child process of that user, within ``seconds``."""
    with tempfile.TemporaryFile() as said:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            # SIGKILL, so that the child does not repeat the parent's clean-up (buffers, atexit, the module's temporary files).
            try:
                os.write(theirs, json.dumps(_visit(place, account, said)).encode())
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.close(theirs)
        try:
            data = _read(ours, seconds)
        finally:
            os.close(ours)
            _reap(child)
    if data is None:
        detail = f"no answer within {seconds:.0f} s; see whether the TPM or the resource manager hangs (dmesg, systemctl status tpm2-abrmd)"
        return Answer(NO_ANSWER, detail)
    if not data:
        return Answer("other", "the process that asked died; see that the TCTI's library is sound (dmesg names a crash)")
    return Answer(*json.loads(data))


def _groups(account: pwd.struct_passwd) -> list[str]:
    found = []
    for number in os.getgrouplist(account.pw_name, account.pw_gid):
        try:
            found.append(grp.getgrgid(number).gr_name)
        except KeyError:
            found.append(str(number))
    return sorted(set(found))


def visit(given: str | None, names: t.Sequence[str], seconds: float) -> tuple[str, list[dict[str, t.Any]]]:
    """Try the TPM at the TCTI ``given`` as each of the users ``names``, each within ``seconds``. Returns the TCTI used, and one row per user.

    Raises InputError for a malformed TCTI, for an unknown user, and for a user that only root can become.
    """
    if not names or seconds < 1:
        raise errors.InputError(
            "Could not try the TPM: allowed and refused name no user, or timeout is below 1; name a user and allow time."
        )
    place = tcti.resolve(given)
    accounts = [_account(name) for name in dict.fromkeys(names)]
    for account in accounts:
        if os.geteuid() not in (0, account.pw_uid):
            raise errors.InputError(
                f"Could not try the TPM as user {account.pw_name}: only root can become another user; run the task with become."
            )
    if place.name == "swtpm":
        # Load the codec for host names, which the child might not be able to load.
        _name = "localhost".encode("idna")
    found = []
    for account in accounts:
        answer = _as(account, place, seconds)
        found.append(
            dict(
                user=account.pw_name,
                uid=account.pw_uid,
                groups=_groups(account),
                allowed=answer.reason is None,
                reason=answer.reason,
                detail=answer.detail,
            )
        )
    return place.text, found


def verdict(place: str, found: t.Sequence[t.Mapping[str, t.Any]], allowed: t.Sequence[str], refused: t.Sequence[str]) -> str | None:
    """The sentence about the first user whose access is not as it should be; None if all are right."""
    for one in found:
        user = one["user"]
        if user in allowed and not one["allowed"]:
            return f"Could not use the TPM at {place} as user {user}: {one['detail']}."
        if user in refused and one["reason"] not in REFUSALS:
            if one["allowed"] or one["reason"] == "tpm_error":
                return (
                    f"Could not keep user {user} from the TPM at {place}: the TPM answered; narrow the node to 0660 and group tss in "
                    "the udev rules, or the D-Bus policy, and take the user out of that group."
                )
            return f"Could not tell whether user {user} is kept from the TPM at {place}: {one['detail']}."
    return None


__all__ = ("verdict", "visit")
