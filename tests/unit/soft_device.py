# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device of Python as the relay's answers show it: its TPM as responses by command, and its files; and tasks with nothing to do on it."""

from __future__ import annotations

import base64
import copy
import errno
import struct
import typing as t

from support import profile
from unit.fakes import with_unique

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import sealed_blob
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import (
    constants,
    handles,
    keyfile,
    marshal,
    names,
    nv,
    pcr,
    policy,
    templates,
)
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _answer
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import changes, comparison, live, remote

KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
AUTHS = {f"{name}_auth": f"the auth of {name}" for name in ("owner", "endorsement", "lockout")}
FOLDER = "/var/lib/edgefleet"
RESOURCES = profile.hardened(profile.SERIAL, KEY, FOLDER, **AUTHS)
# A task with nothing to do, for the module tpm2_profile.
OPTIONS: dict[str, t.Any] = {"tcti": "device:/dev/tpmrm0", "resources": RESOURCES}
RC_HANDLE, RC_VALUE = 0x18B, 0x1C4
# policywrite, authread, ownerread, no_da, written
INDEX_ATTRIBUTES = 0x22060008
PCR_7 = bytes(range(32))
Asked = dict[str, t.Any]
Told = dict[str, t.Any]
# Changes the honest answer of an exchange; returns the one that the controller gets.
Lie = t.Callable[[Asked, Told], t.Any]


def response(body: bytes = b"", code: int = 0) -> bytes:
    """A response without sessions."""
    return struct.pack(">HII", marshal.ST_NO_SESSIONS, 10 + len(body), code) + body


def _with_session(body: bytes) -> bytes:
    whole = struct.pack(">I", len(body)) + body + bytes.fromhex("0000010000")
    return struct.pack(">HII", marshal.ST_SESSIONS, 10 + len(whole), 0) + whole


def properties(**values: int) -> bytes:
    """The response with the variable properties: DA parameters of the reference profile, all auths set; `values` by name, such as `max_tries`."""
    known = {
        "permanent": 0x7,
        "startup": 0x8000000F,
        "counter": 0,
        "max_tries": 32,
        "recovery_time": 600,
        "lockout_recovery": 86400,
    } | values
    numbers = (
        constants.PT_PERMANENT,
        constants.PT_STARTUP_CLEAR,
        constants.PT_LOCKOUT_COUNTER,
        constants.PT_MAX_AUTH_FAIL,
        constants.PT_LOCKOUT_INTERVAL,
        constants.PT_LOCKOUT_RECOVERY,
    )
    pairs = sorted(zip(numbers, known.values(), strict=True))
    body = b"".join(struct.pack(">II", *pair) for pair in pairs)
    return response(struct.pack(">BII", 0, constants.CAP_TPM_PROPERTIES, len(pairs)) + body)


def key_at(public: names.Public, parent: bytes) -> bytes:
    """The response to TPM2_ReadPublic of a key whose parent has this Qualified Name."""
    return response(b"".join(map(marshal.sized, (public.raw, public.name, names.qualified_name(parent, public)))))


def _get(capability: int, first: int) -> bytes:
    return marshal.command(constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(capability, first, 254))


def _read(handle: int) -> bytes:
    return marshal.command(constants.CC_READ_PUBLIC, [handle])


READ_PROPERTIES = _get(constants.CAP_TPM_PROPERTIES, constants.PT_VAR)
READ_INDEX = marshal.command(constants.CC_NV_READ_PUBLIC, [profile.SERIAL_INDEX])
READ_SRK = _read(profile.SRK)


def _tpm() -> tuple[dict[bytes, bytes], dict[str, bytes]]:
    """A TPM with the hardened reference profile: responses by command, and the device's files."""
    selection = [pcr.Selection("sha256", (7,))]
    made = {name: with_unique(templates.primary(name), name.encode()) for name in ("srk_ecc_p256", "ek_rsa_2048", "iak_ecc_p256")}
    srk, ek, ak = made.values()
    mqtt = with_unique(templates.key("decrypt", "rsa_2048", b"", True), b"mqtt")
    owner, endorsement = (names.hierarchy_name(one) for one in (handles.RH_OWNER, handles.RH_ENDORSEMENT))
    serial = profile.SERIAL.encode()
    index = nv.NvPublic(profile.SERIAL_INDEX, 0x000B, INDEX_ATTRIBUTES, nv.WRITE_ONCE_POLICY, len(serial))
    digest = policy.digest(sealed_blob.read_policy({"pcrs": {"bank": "sha256", "indices": [7]}}, ""), {"sha256": {7: PCR_7}})
    sealed = with_unique(templates.sealed(digest, user_with_auth=False, no_da=True), b"sealed")
    stored = keyfile.KeyFile(True, True, profile.SRK, sealed, b"private", srk.name)
    responses = {
        READ_PROPERTIES: properties(),
        READ_SRK: key_at(srk, owner),
        _read(profile.EK): key_at(ek, endorsement),
        _read(profile.AK): key_at(ak, endorsement),
        _read(profile.MQTT_KEY): key_at(mqtt, names.qualified_name(owner, srk)),
        READ_INDEX: nv.answered(index),
        marshal.command(constants.CC_NV_READ, [index.index, index.index], struct.pack(">HH", len(serial), 0), [b""]): _with_session(
            marshal.sized(serial)
        ),
        marshal.command(constants.CC_PCR_READ, parameters=pcr.marshal(selection)): response(
            struct.pack(">I", 9) + pcr.marshal(selection) + struct.pack(">I", 1) + marshal.sized(PCR_7)
        ),
    }
    public = {"ak.pub.pem": ak, "mqtt.pub.pem": mqtt}
    files = {f"{FOLDER}/{name}": keyfile.public_pem(key).encode() for name, key in public.items()}
    return responses, {**files, f"{FOLDER}/telemetry.key.pem": keyfile.write(stored).encode()}


class SoftDevice:
    """Its `carry` is the controller's way to it. `asked` are the exchanges, and `lie` changes the answers."""

    def __init__(self, lie: Lie | None = None, variable: str = "") -> None:
        responses, files = _tpm()
        self.responses, self.files, self.variable = responses, files, variable
        self.asked: list[Asked] = []
        self.lie: Lie = lie or (lambda _asked, told: told)

    def carry(self, asked: Asked) -> t.Mapping[str, t.Any]:
        """One exchange, as the action plugin makes it. Raises MalformedError."""
        self.asked.append(copy.deepcopy(asked))
        return _answer.taken(remote.ANSWER, self.lie(asked, self.told(asked)))

    def told(self, asked: Asked) -> Told:
        """What an honest relay answers."""
        answers: list[t.Any] = []
        if asked["environment"] and self.variable:
            return {"answers": [], "stopped": ["environment", 0], "variable": self.variable}
        for step in asked["steps"]:
            if step[0] == "look":
                answers.append(self.look(step[1]))
            elif step[0] != "send":
                answers.append({"error": 0, "folder": "/"})
            elif len(step) > 2 and not (answers[step[2]] or "").startswith(step[4], step[3]):
                answers.append(None)
            else:
                command = bytes.fromhex(step[1])
                unknown = RC_VALUE if command[6:10] == constants.CC_GET_CAPABILITY.to_bytes(4, "big") else RC_HANDLE
                answers.append(self.responses.get(command, response(code=unknown)).hex())
        return {"changed": False, "answers": answers, "stopped": None}

    def look(self, path: str) -> dict[str, t.Any]:
        """What is at a path: a file of root's with mode 0600, or nothing."""
        folder, _slash, last = path.rpartition("/")
        found: dict[str, t.Any] = {"real": path, "link": False, "same": [[1, 1000 + sum(folder.encode()), last]]}
        if path not in self.files:
            return {**found, "error": errno.ENOENT}
        inode = 2000 + sorted(self.files).index(path)
        status = {"mode": 0o600, "ids": [0, 0], "names": ["root", "root"]}
        return {**found, "same": [*found["same"], [1, inode, ""]], **status, "data": base64.b64encode(self.files[path]).decode()}

    def compare(self, module: str = "tpm2_profile", options: t.Mapping[str, t.Any] | None = None) -> comparison.Compared:
        """Compare it with a task, by default with `OPTIONS`."""
        return comparison.compare(module, OPTIONS if options is None else options, diff=True, carry=self.carry)

    def check(self, module: str = "tpm2_profile", options: t.Mapping[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Do a task in check mode from the controller, with the relay serving. Raises ElsewhereError."""

        def ask(asked: Asked) -> t.Mapping[str, t.Any]:
            try:
                return self.carry(asked)
            except _answer.MalformedError:
                # As the channel does.
                raise live.malformed() from None

        options = OPTIONS if options is None else options
        device = live.Live(remote.Remote(options["tcti"], self.carry), ask)
        return changes.make(module, options, check=True, diff=True, device=device)
