# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A controller whose clock is wrong: what it would issue could never be replaced, so it issues, writes and registers nothing."""

from __future__ import annotations

import contextlib
import datetime
import pathlib
import sqlite3
import typing as t

import pytest
from support import ek_lab, lab_ca
from support.enroll import (
    AK,
    EK,
    HOST,
    SERIAL,
    Attack,
    Bench,
    Between,
    Desk,
    Json,
    b64,
    instead,
    later,
    local_key,
    nobody,
    nothing_is_random,
    now,
)

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll import settings

DAY = datetime.timedelta(days=1)
LOCAL = local_key()


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = bench.desk(tmp_path / "desk")
    nothing_is_random(monkeypatch)
    return made


def right(bench: Bench) -> Between:
    """A device that answers everything right."""
    first, second = bench.recorded()
    attacks: list[Attack] = [instead(first), instead(second)]
    return Between(nobody, *attacks)


def event_of(desk: Desk, when: datetime.datetime) -> None:
    """What another controller has written, by its own clock."""
    row = (when.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.000000"), "noted", "", "", "", "{}")
    with contextlib.closing(sqlite3.connect(desk.url)) as base:
        base.execute("INSERT INTO events (time, kind, ek_name, serial, host, detail) VALUES (?, ?, ?, ?, ?, ?)", row)
        base.commit()


def refused(desk: Desk, reason: str, sentence: str, exchange: t.Any = nobody, **options: t.Any) -> None:
    error = desk.failed(exchange, sentence, **options)
    assert t.cast("t.Any", error).reason == reason


def ca(desk: Desk, **dates: datetime.datetime) -> authority.Authority:
    """A CA of that time, below a root of all times."""
    top = lab_ca.root("Top")
    files = lab_ca.write(desk.folder / "dated", above=top, below=top.below("Dated", **t.cast("t.Any", dates)))
    return authority.load_authority(files.options, now=dates.get("not_before", now()))


@pytest.mark.parametrize("check", [False, True])
def test_before_the_last_event_of_the_registry(desk: Desk, check: bool) -> None:
    event_of(desk, now())
    refused(desk, "clock_behind_registry", "before the last event of the registry (2", clock=later(-1), check=check)


def test_five_minutes_are_no_contradiction(desk: Desk, bench: Bench) -> None:
    event_of(desk, now() + datetime.timedelta(minutes=4))
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)


@pytest.mark.parametrize("year", [1970, 2025])
def test_before_the_collection_was_released(desk: Desk, year: int) -> None:
    then = datetime.datetime(year, 1, 1, tzinfo=datetime.UTC)
    refused(desk, "clock_before_release", f"says {year}-01-01T00:00:00Z, before this collection was released", clock=lambda: then)


def test_before_the_ca_began(desk: Desk) -> None:
    young = ca(desk, not_before=now() - DAY)
    refused(desk, "clock_before_ca", "and the certificate of CN=Dated is valid only from", clock=later(-2), ca=young)


def test_after_the_ca_has_ended(desk: Desk) -> None:
    refused(desk, "clock_after_ca", "and the certificate of CN=Lab", clock=later(20 * 365))


def test_the_signer_of_birth_records_counts_too(desk: Desk) -> None:
    old = ca(desk, not_before=now() - 10 * DAY, not_after=now() - DAY)
    refused(desk, "clock_after_ca", "and the certificate of CN=Dated expired on", signer=old)


@pytest.mark.parametrize("pin", [False, True])
def test_before_the_ek_certificate(desk: Desk, bench: Bench, tmp_path: pathlib.Path, pin: bool) -> None:
    """A vendor's certificate of tomorrow; a pin makes up for many certificates, but not for a clock."""
    answer = bench.recorded()[0]
    public = names.parse_public(bytes.fromhex(answer["publics"][EK]))
    root = ek_lab.root(start=now() - DAY, end=now() + 3650 * DAY)
    path, sha256 = ek_lab.write_bundle(tmp_path / "bundle.pem", root)
    desk.trust = settings.trust_policy({"bundle": path, "sha256": sha256})
    early = root.ek(_keys.public_key(public), start=now() + 2 * DAY, end=now() + 300 * DAY)
    device = Between(nobody, instead({**answer, "certificates": [b64(early)], "chain": []}))
    options: Json = {"pinned": _keys.spki_sha256(public)} if pin else {}
    refused(desk, "clock_before_ek_certificate", "when its EK certificate, or a CA above it, is not valid yet", device, **options)


def test_a_clock_that_is_set_back_while_the_device_works(desk: Desk, bench: Bench) -> None:
    """The certificates would bear the time of the second look: nothing of the device is kept, and it stays new."""
    event_of(desk, now())
    times = iter([now(), now(), now(), now() - DAY])
    refused(desk, "clock_behind_registry", "before the last event", right(bench), local=LOCAL, clock=lambda: next(times))


def test_a_clock_that_may_be_ahead_is_noted(desk: Desk, bench: Bench) -> None:
    event_of(desk, now() - 100 * DAY)
    outcome = desk.enroll(right(bench), local=LOCAL)
    assert outcome.device is not None and outcome.device.verdict is not None
    assert "The clock of the controller was 100 days ahead of the last event of the registry." in outcome.device.verdict.detail


def known(desk: Desk, bench: Bench) -> Json:
    """What a profile run has read of the enrolled device, by which it is recognised."""
    keys = bench.recorded()[0]["publics"]
    rows = [{"object": one, "name": names.parse_public(bytes.fromhex(keys[one])).name.hex()} for one in (EK, AK)]
    return {"observed": {"resources": rows}, "host": HOST}


def test_no_renewal_by_a_clock_that_cannot_be_right(desk: Desk, bench: Bench) -> None:
    assert desk.enroll(right(bench), local=LOCAL).did == ("enroll",)
    event_of(desk, now() + 100 * DAY)
    for check in (False, True):
        refused(desk, "clock_behind_registry", SERIAL, local=LOCAL, clock=later(80), check=check, **known(desk, bench))
    # What has nothing to issue is left in peace.
    assert desk.enroll(nobody, local=LOCAL, **known(desk, bench)).did == ()


def test_somebody_says_that_the_clock_is_right(desk: Desk, bench: Bench) -> None:
    """The last event is of a controller that was ahead: no other could ever write again."""
    event_of(desk, now() + 3000 * DAY)
    refused(desk, "clock_behind_registry", "run tpm2_enroll with trust_clock here")
    assert desk.enroll(right(bench), local=LOCAL, trust_clock=True).did == ("enroll",)
    with desk.registry() as registry:
        events = registry.events()
        assert [one.kind for one in events] == ["noted", "clock_trusted", "enrolled"]
        device = registry.find(serial=SERIAL)
        assert device is not None and registry.begin_rotation(device.ek_name) == 2
