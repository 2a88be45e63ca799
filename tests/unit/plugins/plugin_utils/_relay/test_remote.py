# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller makes of a relay's answers: nothing to do, or, whatever an attacker's relay answers, that the module goes on on the device."""

from __future__ import annotations

import functools
import json
import struct
import typing as t

import pytest
from support import profile, relay
from unit.fakes import with_unique
from unit.soft_device import (
    AUTHS,
    FOLDER,
    KEY,
    OPTIONS,
    PCR_7,
    READ_INDEX,
    READ_PROPERTIES,
    READ_SRK,
    Asked,
    SoftDevice,
    Told,
    key_at,
    properties,
    response,
)

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import constants, handles, marshal, names, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import exchange, remote


def test_nothing_to_do_in_one_exchange() -> None:
    device = SoftDevice()
    compared = device.compare()
    assert compared.result is not None and compared.why == "" and not compared.result["changed"]
    (asked,) = device.asked
    assert len(asked["steps"]) == 11 and len(compared.answers) == 8
    assert all(device.responses[command] == answer for command, answer in compared.answers.items())


def test_what_is_sent_has_no_option_that_is_a_secret() -> None:
    device = SoftDevice()
    device.compare()
    sent = relay.sent(device.asked[0])
    assert len(sent) <= 12 << 10
    secrets = {**AUTHS, "telemetry key": profile.TELEMETRY_KEY.decode("latin-1"), "in base64": KEY, "serial number": profile.SERIAL}
    for name, secret in secrets.items():
        for shape in (secret, secret.encode("latin-1").hex(), json.dumps(secret)[1:-1]):
            assert shape not in sent, name
    # The test would find what is sent.
    assert FOLDER in sent and "telemetry.key.pem" in sent


@pytest.mark.parametrize("module", ["tpm2_primary_key", "tpm2_da_lockout"])
def test_a_task_of_one_resource(module: str) -> None:
    device = SoftDevice()
    assert device.compare(module, {"tcti": "device:/dev/tpmrm0", **AUTHS}).result is not None
    assert len(device.asked) == 1


# -- where the TPM is


def test_the_places() -> None:
    places = {
        None: [["node", "/dev/tpmrm0"], ["node", "/dev/tpm0"]],
        "": [["node", "/dev/tpmrm0"], ["node", "/dev/tpm0"]],
        "device:": [["node", "/dev/tpmrm0"]],
        "device:/dev/tpm3": [["node", "/dev/tpm3"]],
        "swtpm": [["tcp", "127.0.0.1", 2321]],
        "swtpm:host=::1,port=5": [["tcp", "::1", 5]],
        "swtpm:path=/run/tpm": [["unix", "/run/tpm"]],
    }
    for given, expected in places.items():
        device = SoftDevice()
        assert device.compare(options={**OPTIONS, "tcti": given}).result is not None
        assert [one["places"] for one in device.asked] == [expected] and device.asked[0]["environment"] is not bool(given)


@pytest.mark.parametrize("given", ["tabrmd:", "mssim:", "cmd:swtpm", "swtpm:port=x", "swtpm:port=99999", "swtpm:a=1", "/dev/tpm0", "é"])
def test_places_that_the_relay_does_not_reach(given: str) -> None:
    for device, options in ((SoftDevice(), {**OPTIONS, "tcti": given}), (SoftDevice(variable=given), {"resources": OPTIONS["resources"]})):
        compared = device.compare(options=options)
        assert compared.result is None and compared.why in ("tcti", "input") and not compared.answers
        # Nothing was asked beside the variable.
        assert all(one["environment"] for one in device.asked)


def test_the_devices_own_variable_takes_a_second_exchange() -> None:
    device = SoftDevice(variable="device:/dev/tpm7")
    assert device.compare(options={"resources": OPTIONS["resources"]}).result is not None
    first, second = device.asked
    assert first["environment"] and not second["environment"]
    assert second["places"] == [["node", "/dev/tpm7"]] and first["steps"] == second["steps"]


@pytest.mark.parametrize("variable", ["", None, "missing"])
def test_a_variable_without_a_value_is_not_the_controllers_own(variable: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TPM2TOOLS_TCTI", "device:/dev/controllers-own")
    told = {"answers": [], "stopped": ["environment", 0], **({} if variable == "missing" else {"variable": variable})}
    device = SoftDevice(lambda _asked, _told: told)
    assert device.compare(options={"resources": OPTIONS["resources"]}).why == "tcti"
    assert len(device.asked) == 1


def test_an_environment_that_nobody_asked_for() -> None:
    device = SoftDevice(lambda _asked, told: {**told, "stopped": ["environment", 0], "variable": "device:/dev/tpm7"})
    assert device.compare().why == "stopped" and len(device.asked) == 1
    # Nor twice.
    device = SoftDevice(device.lie)
    assert device.compare(options={"resources": OPTIONS["resources"]}).why == "stopped" and len(device.asked) == 2


# -- an attacker's answers


def answers(change: t.Callable[[list[t.Any]], t.Any]) -> t.Callable[[Asked, Told], Told]:
    """The answer with its list of answers changed."""
    return lambda _asked, told: {**told, "answers": change(told["answers"])}


def looked(**other: t.Any) -> t.Callable[[Asked, Told], Told]:
    """The answer with these fields of each file; `...` takes one out."""

    def change(found: t.Any) -> t.Any:
        return {key: value for key, value in {**found, **other}.items() if value is not ...} if isinstance(found, dict) else found

    return answers(lambda given: [change(one) for one in given])


def at_first(value: t.Any) -> t.Callable[[Asked, Told], Told]:
    return answers(lambda given: [value, *given[1:]])


def nested(levels: int) -> t.Any:
    found: t.Any = "bottom"
    for _level in range(levels):
        found = [found]
    return found


LIES: dict[str, t.Callable[[Asked, Told], t.Any]] = {
    "nothing": lambda _asked, _told: {},
    "no mapping": lambda _asked, _told: [],
    "no text": lambda _asked, _told: None,
    "no answers": answers(lambda _given: None),
    "one too few": answers(lambda given: given[:-1]),
    "one too many": answers(lambda given: [*given, None]),
    "none of the answers": answers(lambda _given: []),
    "answers as a text": answers(lambda _given: "8001"),
    "answers as a mapping": answers(lambda given: {str(at): one for at, one in enumerate(given)}),
    "the wrong order": answers(lambda given: given[::-1]),
    "only null": answers(lambda given: [None] * len(given)),
    "only numbers": answers(lambda given: [7] * len(given)),
    "only truth values": answers(lambda given: [True] * len(given)),
    "only lists": answers(lambda given: [[]] * len(given)),
    "only mappings": answers(lambda given: [{}] * len(given)),
    "only files": answers(lambda given: [next((one for one in given if isinstance(one, dict)), {})] * len(given)),
    "only responses": answers(lambda given: [given[0]] * len(given)),
    "no hex": at_first("xyz"),
    "half a byte": at_first("800"),
    "no response": at_first(""),
    "no header": at_first("8001"),
    "a longer header": at_first("80010000000b00000000"),
    "a response of another length": answers(lambda given: [f"{given[0]}00", *given[1:]]),
    "an error": at_first(response(code=0x101).hex()),
    "an unknown error": at_first(response(code=0xFFFFFFFF).hex()),
    "a TPM 1.2": at_first("00c40000000a0000001e"),
    "busy": answers(lambda given: [response(code=0x922).hex()] * len(given)),
    "no room": at_first(response(code=0x902).hex()),
    "a huge response": at_first("80" * (1 << 16)),
    "a huge list": answers(lambda given: [*given, *[0] * 60_000]),
    "a huge number": at_first(1 << 80),
    "no number": at_first(float("nan")),
    "nested": at_first(nested(10_000)),
    "nested a little": at_first(nested(9)),
    "stopped": lambda _asked, told: {**told, "stopped": ["silent", 0]},
    "failed": lambda _asked, told: {**told, "answers": [], "failed": True},
    **{f"stopped: {value!r}"[:40]: functools.partial(lambda value, _asked, told: {**told, "stopped": value}, value) for value in (
        [None], [[]], [{}], [1], ["environment"], "environment", 5, {"environment": 0}, True, [True], nested(8)
    )},
    "a file without its name": looked(real=...),
    "a file with a number for a name": looked(real=7),
    "a file with a long name": looked(real="/x" * 40_000),
    "a file without its folder": looked(same=...),
    "a file that may be a link": looked(link="no"),
    "a file with null for a folder": looked(same=None),
    "a file in no folder": looked(same=[[]]),
    "a file in half a folder": looked(same=[[1, 2]]),
    "a file in a folder of texts": looked(same=[["a", "b", "c"]]),
    "a file in a folder of lists": looked(same=[[[], {}, None]]),
    "a file in a nested folder": looked(same=nested(9)),
    "a file without content": looked(data=...),
    "a file with null for content": looked(data=None),
    "a file with no base64": looked(data="=x="),
    "a file with odd text": looked(data="é\x00"),
    "a file with a list for content": looked(data=["QQ=="]),
    "a file with an error that is none": looked(error="ENOENT"),
    "a file with an error and no content": looked(error=13, data=...),
    "a file with a text for a mode": looked(mode="0600"),
    "a file with a mode larger than a C integer": looked(mode=1 << 40),
    "a file with an error larger than a C integer": looked(error=1 << 40, data=...),
    "a file without an owner": looked(ids=..., names=...),
    "a file with one owner": looked(ids=[0], names=["root"]),
    "a file with three owners": looked(ids=[0, 0, 0], names=["a", "b", "c"]),
    "a file without names": looked(names=...),
    "a file with owners of other types": looked(ids=["0", "0"]),
}  # fmt: skip

OWNED: list[t.Any] = [
    {"sealed_blob": {**item["sealed_blob"], "mode": "0600", "owner": "root", "group": "0"}} if "sealed_blob" in item else item
    for item in OPTIONS["resources"]
]


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("resources", [OPTIONS["resources"], OWNED], ids=["plain", "owned"])
def test_a_relay_that_lies(name: str, resources: t.Any) -> None:
    """Whatever it answers, nothing is raised, and the module goes on on the device; what it then knows are responses to what was asked."""
    device = SoftDevice(LIES[name])
    compared = device.compare(options={**OPTIONS, "resources": resources})
    assert compared.result is None and compared.why and compared.why.isascii()
    assert len(device.asked) <= remote.MOST_EXCHANGES
    asked = {step[1] for one in device.asked for step in one["steps"] if step[0] == "send"}
    assert {command.hex() for command in compared.answers} <= asked


@pytest.mark.parametrize("name", LIES)
@pytest.mark.parametrize("resources", [OPTIONS["resources"], OWNED], ids=["plain", "owned"])
def test_a_relay_that_lies_while_it_serves(name: str, resources: t.Any) -> None:
    """From the controller, too: an answer that is none ends the run with one sentence."""
    device = SoftDevice(LIES[name])
    try:
        result = device.check(options={**OPTIONS, "resources": resources})
    except remote.ElsewhereError:
        return
    if result.get("failed"):
        said = str(result["msg"])
        assert result["reason"] and said.startswith("Could not ") and said.isprintable() and len(said) < 1000
    else:
        # An answer to one question is the same in any order.
        assert not result["changed"] and name in ("the wrong order", "only responses", "nothing to say")
    assert len(device.asked) < 40


def test_without_lies_there_is_nothing_to_do_while_it_serves() -> None:
    device = SoftDevice()
    result, compared = device.check(options={**OPTIONS, "resources": OWNED}), SoftDevice().compare(options={**OPTIONS, "resources": OWNED})
    assert result == compared.result and not result["changed"]


def test_a_secret_that_is_shown_all_the_same_is_masked() -> None:
    """As by the module, whose texts would not hold it but for a name of the same letters."""
    options = {**OPTIONS, "platform_auth": "the public key"}
    for result in (SoftDevice().compare(options=options).result, SoftDevice().check(options=options)):
        assert result is not None and options["platform_auth"] not in json.dumps(result) and "ak.pub.pem" in json.dumps(result)


def test_without_lies_the_owned_file_is_as_it_should_be() -> None:
    assert SoftDevice().compare(options={**OPTIONS, "resources": OWNED}).result is not None


def test_what_was_answered_before_the_relay_stopped_is_known() -> None:
    """So that the module does not send it again: it may have counted as a wrong try."""
    device = SoftDevice(lambda _asked, told: {"answers": told["answers"][:3], "stopped": ["closed", 0]})
    compared = device.compare()
    assert compared.why == "stopped" and len(compared.answers) == 3
    # Nor is the rest forgotten because the TPM wants one command again.
    device = SoftDevice()
    device.responses[READ_SRK] = response(code=0x922)
    compared = device.compare()
    assert compared.why == "busy" and len(compared.answers) == 7 and READ_SRK not in compared.answers


def blank() -> SoftDevice:
    """A device without keys."""
    device = SoftDevice()
    for handle in (profile.SRK, profile.EK, profile.AK, profile.MQTT_KEY):
        del device.responses[marshal_read(handle)]
    device.files.clear()
    return device


def test_a_blank_device_is_asked_nothing_that_the_module_alone_would_not_ask() -> None:
    """An EK that is missing has all NV handles listed, and the list tells whether the index is there."""
    device = blank()
    empty = response(struct.pack(">BII", 0, 1, 0))
    listing = marshal.command(constants.CC_GET_CAPABILITY, parameters=marshal.capability_request(1, handles.FIRST_NV, 254))
    device.responses[listing] = empty
    compared = device.compare()
    assert compared.why == "change" and listing in compared.answers and READ_INDEX not in compared.answers
    assert len(device.asked) == 2
    # An index that is in the list is looked at.
    device = blank()
    device.responses[listing] = response(struct.pack(">BIII", 0, 1, 1, profile.SERIAL_INDEX))
    assert READ_INDEX in device.compare().answers


def endless_list(start: int) -> bytes:
    """Handles, of which there are always more."""
    return response(struct.pack(">BIII", 1, 1, 1, start))


def test_lists_without_an_end() -> None:
    device = SoftDevice()
    del device.responses[READ_SRK]

    def lie(asked: Asked, told: Told) -> Told:
        given = [
            endless_list(int.from_bytes(bytes.fromhex(step[1])[14:18], "big")).hex()
            if step[0] == "send" and bytes.fromhex(step[1])[6:14] == bytes.fromhex("0000017a00000001")
            else answer
            for step, answer in zip(asked["steps"], told["answers"], strict=True)
        ]
        return {**told, "answers": given}

    device.lie = lie
    # An EK that is missing has the list of NV handles read.
    device.responses = {command: answer for command, answer in device.responses.items() if command != marshal_read(profile.EK)}
    assert device.compare().why == "exchanges" and len(device.asked) == remote.MOST_EXCHANGES


def marshal_read(handle: int) -> bytes:
    return READ_SRK[:-4] + struct.pack(">I", handle)


@pytest.mark.parametrize("last", [0xFFFFFFFF, 0x200])
def test_properties_up_to_the_largest_number(last: int) -> None:
    device = SoftDevice()
    device.responses[READ_PROPERTIES] = response(struct.pack(">BIIII", 1, 6, 1, last, 0))
    assert device.compare().result is None


def test_an_nv_index_that_is_read_for_ever() -> None:
    """One byte a read, and a definition of 65,535 bytes."""
    device = SoftDevice()
    options = {"tcti": "device:/dev/tpmrm0", "index": hex(profile.SERIAL_INDEX), "write_once": True, "content": "x" * 2048}

    byte = response(struct.pack(">HB", 1, 0)).hex()

    def lie(asked: Asked, told: Told) -> Told:
        given = zip(asked["steps"], told["answers"], strict=True)
        return {**told, "answers": [answer if step[1] == READ_INDEX.hex() else byte for step, answer in given]}

    device.lie = lie
    assert device.compare("tpm2_nv_index", options).result is None and len(device.asked) <= remote.MOST_EXCHANGES


# -- what differs, and what the module refuses


def altered(change: t.Callable[[SoftDevice], None]) -> SoftDevice:
    device = SoftDevice()
    change(device)
    return device


def _other_key(device: SoftDevice) -> None:
    other = with_unique(templates.primary("srk_rsa_2048"), b"other")
    device.responses[READ_SRK] = key_at(other, names.hierarchy_name(handles.RH_ENDORSEMENT))


DIFFERENT: dict[str, t.Callable[[SoftDevice], t.Any]] = {
    "no key": lambda device: device.responses.pop(READ_SRK),
    "no index": lambda device: device.responses.pop(READ_INDEX),
    "another key": _other_key,
    "no auth": lambda device: device.responses.update({READ_PROPERTIES: properties(permanent=0)}),
    "other parameters": lambda device: device.responses.update({READ_PROPERTIES: properties(max_tries=5)}),
    "no file": lambda device: device.files.pop(f"{FOLDER}/ak.pub.pem"),
    "another file": lambda device: device.files.update({f"{FOLDER}/ak.pub.pem": b"-----BEGIN PUBLIC KEY-----\n"}),
    "no blob": lambda device: device.files.pop(f"{FOLDER}/telemetry.key.pem"),
    "a torn blob": lambda device: device.files.update({f"{FOLDER}/telemetry.key.pem": b"-----BEGIN TSS2 PRIVATE KEY-----\n"}),
    "another PCR": lambda device: device.responses.update(
        {command: answer.replace(PCR_7, PCR_7[::-1]) for command, answer in device.responses.items()}
    ),
    "other content": lambda device: device.responses.update(
        {command: answer.replace(profile.SERIAL.encode(), b"EDGE-0002-TEST") for command, answer in device.responses.items()}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_goes_on_on_the_device(name: str) -> None:
    device = altered(DIFFERENT[name])
    compared = device.compare()
    assert compared.result is None and compared.why in ("change", "mismatch", "input", "no_parent")
    # Everything that was read is told to the module.
    assert len(compared.answers) >= 7


BLOB = f"{FOLDER}/telemetry.key.pem"


def blob(**more: t.Any) -> dict[str, t.Any]:
    return {"tcti": "device:/dev/tpmrm0", "path": BLOB, "content_b64": KEY, "pcrs": {"indices": [7]}, **more}


GONE = {"path": f"{FOLDER}/gone", "state": "absent"}
SETTLED: dict[str, dict[str, t.Any]] = {
    "mode": blob(mode="0600"),
    "mode in octal": blob(mode=0o600),
    "mode in octal of Python": blob(mode="0o600"),
    "mode in words": blob(mode="u=rw,go="),
    "owner": blob(owner="root", group="root"),
    "owner by number": blob(owner="0", group="0"),
    "another way to write a number": blob(owner="00"),
    "absent": blob(**GONE),
    "numbers from templates": blob(pcrs={"indices": ["7"]}, parent=str(0x81000001)),
    "another verify": blob(verify="policy"),
}
OPEN: dict[str, tuple[dict[str, t.Any], str]] = {
    "another mode": (blob(mode="0640"), "attributes"),
    "words whose meaning hangs on the device's umask": (blob(mode="u=rw,=r"), "umask"),
    "another mode in words": (blob(mode="u=rw,g=r"), "attributes"),
    "a mode that was not written in octal": (blob(mode=600), "attributes"),
    "no mode": (blob(mode="o600"), "attributes"),
    "a mode of another type": (blob(mode=True), "attributes"),
    "another owner": (blob(owner="nobody"), "attributes"),
    "another owner by number": (blob(owner="1"), "attributes"),
    "another group": (blob(group="nogroup"), "attributes"),
    "an absent file with a mode that is wrong": (blob(**GONE, mode="rw"), "attributes"),
    "an absent file with a mode": (blob(**GONE, mode="0600"), "attributes"),
    "an absent file with an owner": (blob(**GONE, owner="no-such-user"), "attributes"),
    "a secret that is read": (blob(verify="unseal"), "session"),
    "a secret in a file": ({**blob(src="/etc/secret"), "content_b64": None}, "private"),
    "a home": (blob(path="~/blob"), "path"),
    "a variable": (blob(path="$HOME/blob"), "path"),
    "a home in the middle": (blob(path="/x/~root/blob"), "path"),
    "a relative path": (blob(path="blob"), "input"),
    "a path with NUL": (blob(path="/x\0y"), "input"),
    "an option that there is not": (blob(nonsense=1), "options"),
    "a value that is none": (blob(state="here"), "options"),
    "a mapping in JSON": (blob(pcrs='{"indices": [7]}'), "options"),
    "content twice": (blob(content="x"), "input"),
}


@pytest.mark.parametrize("name", SETTLED)
def test_tasks_that_are_settled(name: str) -> None:
    assert SoftDevice().compare("tpm2_sealed_blob", SETTLED[name]).result is not None


@pytest.mark.parametrize("name", OPEN)
def test_tasks_that_are_the_modules(name: str) -> None:
    options, why = OPEN[name]
    assert SoftDevice().compare("tpm2_sealed_blob", options)[:2] == (None, why)


def test_a_user_whose_name_is_a_number() -> None:
    """Ansible takes a number for a number."""
    device = SoftDevice(looked(ids=[5, 5], names=["1000", "1000"]))
    assert device.compare("tpm2_sealed_blob", blob(owner="1000")).why == "attributes"
    assert device.compare("tpm2_sealed_blob", blob(group="1000")).why == "attributes"
    assert device.compare("tpm2_sealed_blob", blob(owner="5", group="5")).result is not None
    assert device.compare("tpm2_sealed_blob", blob(owner="0005")).result is not None
    assert device.compare("tpm2_sealed_blob", blob(owner="9" * 5000)).why == "input"


PROFILES: dict[str, t.Any] = {
    "JSON": json.dumps(OPTIONS["resources"]),
    "items in JSON": [json.dumps(OPTIONS["resources"][0])],
    "options in JSON": [{"sealed_blob": json.dumps({"path": "~/x"})}],
    "options as words": [{"primary_key": "public_path=~/x"}],
    "a path deep down": [{"primary_key": {"public_path": "~/x"}}],
    "two of a kind in one item": [{"primary_key": {}, "da_lockout": {}}],
    "one file twice": [{"certificate": {"path": BLOB, "state": "absent"}}, {"certificate": {"path": BLOB, "state": "absent"}}],
    "nothing": None,
    "a number": 7,
    "numbers": [7],
}


@pytest.mark.parametrize("name", PROFILES)
def test_profiles_that_are_the_modules(name: str) -> None:
    device = SoftDevice()
    compared = device.compare(options={**OPTIONS, "resources": PROFILES[name]})
    assert compared.result is None and compared.why in ("options", "path", "input")


def test_files_that_are_one_file() -> None:
    device = SoftDevice(looked(same=[[1, 2, "x"]]))
    assert device.compare().why == "input"
    device = SoftDevice(looked(real="/other", link=True))
    assert device.compare().why == "input"


def test_the_program_is_offered_to_ansible() -> None:
    from ansible.plugins.loader import module_loader

    exchange.offer()
    found = module_loader.find_plugin(exchange.MODULE)
    assert found is not None
    with open(found, encoding="utf-8") as file:
        assert file.read() == exchange.program()
