# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option session_key: secrets travel in sessions that one verified key alone can open, or not at all."""

from __future__ import annotations

import pathlib
import struct
import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

MODULE = "tpm2_profile"
EK, SRK = 0x81010001, 0x81000001
THE_EK: dict[str, t.Any] = {"primary_key": {"template": "ek_rsa_2048"}}
INDEX: dict[str, t.Any] = {"nv_index": {"index": "0x01800010", "content": "EDGE-0001", "write_once": True}}


class Pinned(Bench):
    """A TPM with an EK, on which every run is told the EK's Name."""

    name: str

    @property
    def session_key(self) -> dict[str, str]:
        """The option as the role identity gives it."""
        return {"handle": "0x81010001", "name": self.name}

    def owner(self) -> dict[str, t.Any]:
        """A resource that only a secret can make."""
        return {"hierarchy": {"hierarchy": "owner", "auth": self.secret("owner")}}

    def salted_to(self) -> set[int]:
        """The handles of the keys to which this run's sessions were salted."""
        keys = {struct.unpack(">I", record.request[10:14])[0] for record in self.proxy.sessions()}
        return keys - {0x40000007}


@pytest.fixture
def pinned(proxied: Proxy, device_python: str) -> Pinned:
    """On both Pythons."""
    made = Pinned(proxied, device_python)
    made.ok(MODULE, resources=[THE_EK])
    made.name = made.tools.readpublic(EK).name
    return made


@pytest.fixture
def another(pinned: Pinned) -> str:
    """The Name of the key that somebody has put in the EK's place: of the same template, but not this one."""
    pinned.tools.run("evictcontrol", "-Q", "-C", "o", "-c", f"{EK:#x}")
    # It is a storage key too: a salt could well be encrypted to it.
    folder = pathlib.Path(pinned.proxy.swtpm.state_dir).parent
    pinned.tools.run("createprimary", "-Q", "-C", "o", "-G", "rsa", "-c", folder / "another.ctx")
    pinned.tools.run("evictcontrol", "-Q", "-C", "o", "-c", folder / "another.ctx", f"{EK:#x}")
    pinned.tools.flush_transient()
    return pinned.tools.readpublic(EK).name


@pytest.mark.parametrize("named", [True, False])
def test_secrets_travel_to_the_verified_key_only(pinned: Pinned, named: bool) -> None:
    resources = [pinned.owner(), INDEX, *([THE_EK] if named else [])]
    done = pinned.cycle(MODULE, session_key=pinned.session_key, resources=resources, commands=4)
    assert len(done["steps"]) == 3  # the auth; the index, defined and written
    assert pinned.tools.auth_is_set()["owner"] and pinned.tools.nvread(0x01800010) == b"EDGE-0001"


def test_its_sessions_are_salted_to_it(pinned: Pinned) -> None:
    # The SRK would be taken otherwise.
    srk: dict[str, t.Any] = {"primary_key": {"template": "srk_ecc_p256"}}
    pinned.ok(MODULE, resources=[srk])
    pinned.ok(MODULE, resources=[srk, pinned.owner()], session_key=pinned.session_key)
    assert pinned.salted_to() == {EK}
    pinned.ok(MODULE, resources=[srk, {"hierarchy": {"hierarchy": "endorsement", "auth": pinned.secret("endorsement")}}])
    assert pinned.salted_to() == {SRK}


@pytest.mark.parametrize("named", [True, False])
def test_another_key_ends_the_run_before_anything_is_changed(pinned: Pinned, another: str, named: bool) -> None:
    """Also where the first step would need no secret, and in check mode; on_mismatch does not help either."""
    replace = {"primary_key": {"template": "ek_rsa_2048", "on_mismatch": "replace"}}
    resources = [INDEX, pinned.owner(), *([replace] if named else [])]
    message = pinned.failed(MODULE, session_key=pinned.session_key, resources=resources)
    assert pinned.proxy.sessions() == pinned.proxy.loads() == []
    assert message == (
        f"Could not open a secure session to the TPM: the key at 0x81010001 has the Name {another}, not {pinned.name}, which was "
        "verified; this is another TPM, or somebody sits between it and the processor: find out which; that TPM was sent nothing secret, "
        "but this host has read the options of the task, and the secrets in them."
    )
    assert not pinned.tools.auth_is_set()["owner"] and pinned.tools.handles("nv-index") == []


def test_another_key_ends_a_run_that_would_change_nothing(pinned: Pinned, another: str) -> None:
    pinned.ok(MODULE, resources=[INDEX])
    assert another in pinned.failed(MODULE, session_key=pinned.session_key, resources=[INDEX])


def test_another_tpm_ends_the_run(pinned: Pinned, new_swtpm: t.Callable[..., Swtpm]) -> None:
    """The disk was moved to another device, whose EK is of the same template."""
    with Proxy(new_swtpm(own_seeds=True)) as proxy:
        other = Pinned(proxy, pinned.python)
        other.ok(MODULE, resources=[THE_EK])
        message = other.failed(MODULE, session_key=pinned.session_key, resources=[other.owner(), THE_EK])
        assert pinned.name in message and Tools(proxy.swtpm.tcti).readpublic(EK).name in message
        assert not other.tools.auth_is_set()["owner"]


def test_an_interposer_that_shows_the_verified_key_and_gives_his_own_for_the_salt(pinned: Pinned) -> None:
    """The first look finds the right key; who changes it afterwards is found by the TSS's own look at the key that it salts to."""
    tools = pinned.tools
    right = tools.readpublic(EK).name
    pinned.proxy.reset()
    answers: list[bytes] = []
    mine = _storage_key(pinned)

    def swap(record: t.Any) -> None:
        answers.append(record.response)
        if len(answers) > 1:
            record.response = mine

    for _each in range(8):
        pinned.proxy.after(None, swap, code="TPM2_ReadPublic")
    from support import module

    done = module.run(
        MODULE,
        {"tcti": pinned.proxy.tcti, "session_key": pinned.session_key, "resources": [THE_EK, pinned.owner()]},
        python=pinned.python,
    )
    message = done.expect_failed()
    assert len(answers) > 1 and right in message and "Could not open a secure session" in message
    assert pinned.proxy.sessions() == [] and pinned.proxy.writes() == []


def _storage_key(pinned: Pinned) -> bytes:
    """What a TPM answers to TPM2_ReadPublic of a storage key of somebody's own."""
    folder = pathlib.Path(pinned.proxy.swtpm.state_dir).parent
    pinned.tools.run("createprimary", "-Q", "-C", "o", "-G", "rsa", "-c", folder / "mine.ctx")
    pinned.tools.run("evictcontrol", "-Q", "-C", "o", "-c", folder / "mine.ctx", "0x81000299")
    pinned.tools.flush_transient()
    with pinned.proxy.swtpm.raw() as tpm:
        return tpm.transmit(struct.pack(">HIII", 0x8001, 14, 0x173, 0x81000299))


def test_without_the_key_nothing_is_changed(pinned: Pinned) -> None:
    pinned.tools.run("evictcontrol", "-Q", "-C", "o", "-c", f"{EK:#x}")
    message = pinned.failed(MODULE, session_key=pinned.session_key, resources=[INDEX, pinned.owner()])
    assert message == (
        f"Could not open a secure session to the TPM: there is no key at 0x81010001, where {pinned.name} was verified; "
        "declare it in the same run (tpm2_profile), or find out who removed it."
    )
    assert pinned.tools.handles("nv-index") == []


def test_a_key_that_the_run_makes_again_is_the_verified_one(pinned: Pinned) -> None:
    pinned.tools.run("evictcontrol", "-Q", "-C", "o", "-c", f"{EK:#x}")
    pinned.cycle(MODULE, session_key=pinned.session_key, resources=[THE_EK, pinned.owner()], commands=4)
    assert pinned.tools.readpublic(EK).name == pinned.name and pinned.tools.auth_is_set()["owner"]


@pytest.mark.parametrize(
    ("option", "value", "telling"),
    [
        ("handle", "the endorsement key", "Could not read session_key.handle 'the endorsement key': it is not a handle"),
        ("handle", "-1", "Could not read session_key.handle '-1': it is not a handle"),
        ("name", "not hexadecimal", "Could not read session_key.name: it is not a TPM Name"),
        ("name", "000b00", "Could not read session_key.name: it is not a TPM Name"),
        ("name", "", "Could not read session_key.name: it is not a TPM Name"),
    ],
)
def test_bad_input(pinned: Pinned, option: str, value: str, telling: str) -> None:
    message = pinned.failed(MODULE, session_key={**pinned.session_key, option: value}, resources=[INDEX])
    assert message.startswith(telling)
    assert pinned.proxy.count() == 0


def test_the_name_is_required(pinned: Pinned) -> None:
    assert "missing required arguments: name found in session_key" in pinned.failed(MODULE, session_key={}, resources=[INDEX])


def test_reads_are_returned_when_asked_for(pinned: Pinned) -> None:
    resources = [THE_EK, {"primary_key": {"template": "iak_ecc_p256"}}, INDEX, {"da_lockout": {"max_tries": 32}}]
    assert "reads" not in pinned.ok(MODULE, resources=resources)
    found = pinned.ok(MODULE, resources=resources, return_reads=True)["reads"]
    assert set(found["public"]) == {"0x81010001", "0x81020001"}
    for handle, public in found["public"].items():
        folder = pathlib.Path(pinned.proxy.swtpm.state_dir).parent
        pinned.tools.run("readpublic", "-Q", "-c", handle, "-o", folder / "public")
        assert (folder / "public").read_bytes()[2:].hex() == public
    # TPM_PT_MAX_AUTH_FAIL, as the TPM tells it.
    assert found["properties"]["0x20f"] == 32


def test_reads_of_a_run_that_makes_the_keys(pinned: Pinned) -> None:
    found = pinned.ok(MODULE, resources=[THE_EK, {"primary_key": {"template": "iak_ecc_p256"}}], return_reads=True)["reads"]
    assert set(found["public"]) == {"0x81010001", "0x81020001"}


SEALED = {"content": "the sealed secret", "pcrs": {"bank": "sha256", "indices": [7]}}
SENDERS: dict[str, dict[str, t.Any]] = {
    "tpm2_da_lockout": {"max_tries": 9, "lockout_auth": "a lockout auth"},
    "tpm2_evidence": {"collect": {"nonce": "ab" * 32, "idevid": {}, "certificates": False}, "endorsement_auth": "an endorsement auth"},
    "tpm2_hierarchy": {"hierarchy": "owner", "auth": "an owner auth"},
    "tpm2_key": {"handle": "0x81000210", "auth": "a key's auth"},
    "tpm2_nv_index": {"index": "0x01800010", "content": "an NV secret", "auth": "an index's auth"},
    "tpm2_persistent_handle": {"handle": "0x81000299", "name": "000b" + "ab" * 32, "state": "absent", "owner_auth": "an owner auth"},
    "tpm2_primary_key": {"template": "iak_ecc_p256", "owner_auth": "an owner auth"},
    "tpm2_profile": {"resources": [{"hierarchy": {"hierarchy": "owner", "auth": "an owner auth"}}]},
    "tpm2_sealed_blob": SEALED,
}


@pytest.mark.parametrize("name", SENDERS)
def test_every_module_refuses_another_key(pinned: Pinned, another: str, name: str, device_dir: pathlib.Path) -> None:
    path = {"path": str(device_dir / "blob.pem")} if name == "tpm2_sealed_blob" else {}
    message = pinned.failed(name, session_key=pinned.session_key, **SENDERS[name], **path)
    assert another in message and pinned.name in message
    assert pinned.proxy.sessions() == pinned.proxy.loads() == []
    # Reads alone: what every secret would have travelled in was never sent.
    assert set(pinned.proxy.codes()) <= {f"TPM2_{one}" for one in ("GetCapability", "ReadPublic", "NV_ReadPublic", "PCR_Read")}


def test_every_module_that_sends_a_secret_takes_the_option() -> None:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils import _kinds

    assert {f"tpm2_{kind}" for kind in _kinds.KINDS if kind != "certificate"} | {"tpm2_profile", "tpm2_evidence"} == set(SENDERS)


def test_a_secret_is_not_opened_for_another_key(pinned: Pinned, device_dir: pathlib.Path) -> None:
    blob = {"path": str(device_dir / "blob.pem"), "pcrs": SEALED["pcrs"]}
    pinned.proxy.swtpm.extend_pcr(7)
    pinned.ok("tpm2_primary_key", template="srk_ecc_p256")
    pinned.ok("tpm2_sealed_blob", session_key=pinned.session_key, content=SEALED["content"], **blob)
    assert pinned.salted_to() == {EK}
    pinned.ok("tpm2_unseal", session_key=pinned.session_key, **blob)
    assert pinned.salted_to() == {EK}
    other = {**pinned.session_key, "name": "000b" + "ab" * 32}
    assert "Could not open a secure session" in pinned.failed("tpm2_unseal", session_key=other, **blob)
    assert pinned.proxy.sessions() == pinned.proxy.loads() == []
