# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on enrolment by way of the registry: identities that are taken, and a registry that fails at the worst moment."""

from __future__ import annotations

import contextlib
import pathlib
import sqlite3
import typing as t

import pytest
import sqlalchemy as sa
from support import module, registry
from support.enroll import (
    AK,
    EK,
    INDEX,
    ONE,
    OTHER,
    SERIAL,
    Attack,
    Bench,
    Between,
    Desk,
    Device,
    Json,
    instead,
    local_key,
    nobody,
    nothing_is_random,
    now,
)
from support.swtpm import Swtpm
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names, templates
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.enrolment import Enrolment
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import QuarantineError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import connection
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import RegistryError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Identity
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

MakeSwtpm = t.Callable[..., Swtpm]
LOCAL = local_key()


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk at which nothing is random."""
    made = bench.desk(tmp_path / "desk")
    nothing_is_random(monkeypatch)
    return made


def right(bench: Bench, name: str = ONE, *, before_second: t.Callable[[], object] = lambda: None, asked_first: bool = False) -> Between:
    """A device that answers everything right; something happens while it works on the second exchange.

    `asked_first`: its serial number is known, so that it is asked for its keys before anything else.
    """
    first, second = bench.recorded(name)

    def last(_question: Json, _device: t.Any) -> Json:
        before_second()
        return second

    attacks: list[Attack] = [instead(first)] * (2 if asked_first else 1)
    return Between(nobody, *attacks, last)


def identity(bench: Bench, name: str = ONE, **changes: t.Any) -> Identity:
    """Who that device is."""
    keys = bench.recorded(name)[0]["publics"]
    publics = {kind: names.parse_public(bytes.fromhex(keys[handle])) for kind, handle in (("ek", EK), ("ak", AK), ("idevid", "0x81020000"))}
    made: dict[str, t.Any] = {f"{kind}_name": public.name.hex() for kind, public in publics.items()}
    made |= {f"{kind}_public": public.raw for kind, public in publics.items()}
    return Identity(**{**made, "serial": SERIAL, "host": "edge-01", **changes})


# -- identities that are taken


def test_serial_takeover(desk: Desk, bench: Bench) -> None:
    """A genuine TPM of the same vendor says that it is the device that is enrolled already."""
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)
    impostor = right(bench, OTHER, asked_first=True)
    desk.refused(
        impostor, "serial_takeover", "that serial number belongs to serial EF-LINE-0001 with the EK Name", local=LOCAL, host="edge-66"
    )
    # It is seen by its EK alone, before anything is signed.
    assert impostor.asked == 1
    assert desk.enroll(right(bench), local=LOCAL).did == ()


def test_serial_takeover_known_from_what_was_read_before(desk: Desk, bench: Bench) -> None:
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)
    them = identity(bench, OTHER)
    observed = {"resources": [{"object": EK, "name": them.ek_name}, {"object": AK, "name": them.ak_name}]}
    desk.refused(right(bench, OTHER), "serial_takeover", "that serial number belongs to", local=LOCAL, observed=observed)


def test_duplicate_ek(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm) -> None:
    """An enrolled device under a second serial number, which its owner has written to its NV."""
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)
    tpm = new_swtpm(bench.state(ONE))
    Tools(tpm.tcti).run("nvundefine", "-C", "o", INDEX)
    second = {"index": INDEX, "content": "EF-LINE-0002", "write_once": True}
    module.run("tpm2_nv_index", {"tcti": tpm.tcti, **second}, python=bench.python).expect_ok()
    device = Device(tpm.tcti, bench.python)
    desk.refused(device, "ek_under_other_serial", "that EK belongs to serial EF-LINE-0001", serial="EF-LINE-0002", host="edge-02")


def test_ak_of_an_enrolled_device_replaced(desk: Desk, bench: Bench, new_swtpm: MakeSwtpm) -> None:
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)
    tpm = new_swtpm(bench.state(ONE))
    tools, policy, context = Tools(tpm.tcti), tpm.state_dir.parent / "policy", tpm.state_dir.parent / "ak.ctx"
    policy.write_bytes(templates.primary("iak_ecc_p256").auth_policy)
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|adminwithpolicy|restricted|sign"
    tools.run("createprimary", "-Q", "-C", "e", "-c", context, "-G", "ecc256:ecdsa-sha256:null", "-a", attributes, "-L", policy)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", AK)
    tools.run("evictcontrol", "-Q", "-C", "o", "-c", context, AK)
    tools.flush_transient()
    desk.refused(Device(tpm.tcti, bench.python), "ak_replaced", "it is registered with the AK Name")


def test_serial_taken_while_the_tpm_was_working(desk: Desk, bench: Bench) -> None:
    """Two devices claim one serial number at the same time, and both have passed every check; the registry lets one in."""

    def meanwhile() -> None:
        with desk.registry() as one:
            one.enroll(identity(bench, OTHER, host="edge-66"), registry.PINNED)

    with pytest.raises(QuarantineError) as caught:
        desk.enroll(right(bench, before_second=meanwhile), local=LOCAL)
    assert caught.value.reason == "serial_takeover"
    with desk.registry() as one:
        assert [device.host for device in one.devices()] == ["edge-66"]
        assert [incident.reason for incident in one.incidents()] == ["serial_takeover"]
        assert one.birth_record(identity(bench).ek_name) is None


def test_same_device_enrolled_by_another_controller_meanwhile(desk: Desk, bench: Bench) -> None:
    def meanwhile() -> None:
        desk.enroll(right(bench), local=LOCAL)

    late = desk.enroll(right(bench, before_second=meanwhile), local=LOCAL)
    assert (late.changed, late.did, late.pending) == (False, (), ())
    with desk.registry() as one:
        assert [event.kind for event in one.events()] == ["enrolled"]
    assert {len(rows) for table, rows in desk.rows().items() if table in ("devices", "birth_records")} == {1}
    assert len(desk.rows()["certificates"]) == 3


# -- a registry that fails


@contextlib.contextmanager
def locked(desk: Desk) -> t.Iterator[None]:
    """Somebody else holds it."""
    with contextlib.closing(sqlite3.connect(desk.url, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def test_locked_when_the_device_has_proved_who_it_is(desk: Desk, bench: Bench) -> None:
    with contextlib.ExitStack() as stack:
        slow = right(bench, before_second=lambda: stack.enter_context(locked(desk)))
        error = desk.failed(slow, "it stayed locked by another process", thrown_away=True, local=LOCAL)
        assert isinstance(error, RegistryError) and error.reason == "locked"
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)


def test_locked_when_an_incident_is_to_be_noted(desk: Desk, bench: Bench) -> None:
    """What is said of the device comes first, and the run ends all the same."""
    first, second = bench.recorded()
    bad = {**second, "proof": "00" * 32}
    with contextlib.ExitStack() as stack:

        def last(_question: Json, _device: t.Any) -> Json:
            stack.enter_context(locked(desk))
            return bad

        with pytest.raises(QuarantineError, match="the answer does not prove the secret .* Could not open an incident .* locked") as caught:
            desk.enroll(Between(nobody, instead(first), last), local=LOCAL)
        assert caught.value.reason == "wrong_secret"
    with desk.registry() as one:
        assert one.devices() == [] and one.incidents() == []


@pytest.mark.parametrize("where", ["there/is/no/such/folder.sqlite", "desk"], ids=["no folder", "a folder"])
def test_unreachable_before_the_device_is_asked(desk: Desk, tmp_path: pathlib.Path, where: str) -> None:
    desk.url = str(tmp_path / where)
    with pytest.raises(RegistryError, match="Could not open the device registry") as caught:
        desk.enroll(nobody)
    assert caught.value.reason in ("unreachable", "not_a_registry")
    assert desk.ca.issued == 0


def test_gone_when_the_device_has_proved_who_it_is(desk: Desk, bench: Bench) -> None:
    """Its disk is taken out in the middle; what was issued is thrown away."""
    path = pathlib.Path(desk.url)

    def away() -> None:
        path.rename(path.with_suffix(".away"))
        path.mkdir()

    with pytest.raises(RegistryError) as caught:
        desk.enroll(right(bench, before_second=away), local=LOCAL)
    assert caught.value.reason == "unreachable"
    path.rmdir()
    path.with_suffix(".away").rename(path)
    with desk.registry() as one:
        assert one.devices() == [] and one.events() == []
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)


def test_full_when_the_device_has_proved_who_it_is(desk: Desk, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = connection.open_registry

    def small(url: str, **options: t.Any) -> Registry:
        one = opened(url, **options)
        sa.event.listen(one._database._engine, "connect", lambda raw, _record: raw.execute("PRAGMA max_page_count=1"))  # type: ignore[union-attr]
        return one

    monkeypatch.setattr("support.enroll.open_registry", small)
    desk.failed(right(bench), "it is full", thrown_away=True, local=LOCAL)
    monkeypatch.undo()
    nothing_is_random(monkeypatch)
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)


def test_read_only(desk: Desk, bench: Bench) -> None:
    """Check mode opens it so; a run that would write is refused, nothing is half done."""
    before = desk.rows()
    with desk.registry(create=False) as one, pytest.raises(RegistryError, match="it can only be read") as caught:
        Enrolment(one, desk.plan(local=LOCAL), right(bench), now).run()
    assert caught.value.reason == "read_only" and desk.rows() == before


# -- requests to a CA elsewhere go out only for the device that gets in


def requester(bench: Bench, new_swtpm: MakeSwtpm, name: str) -> Device:
    return Device(new_swtpm(bench.state(name)).tcti, bench.python)


def test_no_request_goes_out_for_a_device_that_came_second(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    """Both have passed every check; were the second one's request written, the CA would certify its key under the first one's number."""
    desk = bench.desk(tmp_path / "desk")
    first, second = (requester(bench, new_swtpm, name) for name in (ONE, OTHER))

    def meanwhile(question: Json, device: t.Any) -> Json:
        assert desk.enroll(first, **desk.external()).did == ("enroll",)
        return t.cast("Json", device(question))

    with pytest.raises(QuarantineError) as caught:
        desk.enroll(Between(second, None, meanwhile), host="edge-66", **desk.external())
    assert caught.value.reason == "serial_takeover"
    request = (desk.requests / SERIAL / "request.json").read_text()
    assert identity(bench, ONE).idevid_name in request  # type: ignore[operator]
    assert identity(bench, OTHER).idevid_name not in request  # type: ignore[operator]
    assert "edge-66" not in request


def test_no_request_goes_out_where_the_registry_is_locked(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    desk = bench.desk(tmp_path / "desk")
    device = requester(bench, new_swtpm, ONE)
    with contextlib.ExitStack() as stack:

        def last(question: Json, honest: t.Any) -> Json:
            stack.enter_context(locked(desk))
            return t.cast("Json", honest(question))

        desk.failed(Between(device, None, last), "it stayed locked", **desk.external())
    assert not desk.requests.exists()


def test_nobody_is_enrolled_whose_request_cannot_be_written(bench: Bench, new_swtpm: MakeSwtpm, tmp_path: pathlib.Path) -> None:
    desk = bench.desk(tmp_path / "desk")
    device = requester(bench, new_swtpm, ONE)
    desk.requests.write_text("a file where the folder should be")
    desk.failed(device, "Could not write the certificate request of EF-LINE-0001", **desk.external())
    desk.requests.unlink()
    assert desk.enroll(device, **desk.external()).pending == ("iak", "idevid")
