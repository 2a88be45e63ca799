# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry on SQLite and on a real PostgreSQL: every method, what it refuses, and what its own triggers refuse to anybody."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import itertools
import json
import pathlib
import stat
import typing as t

import pytest
import sqlalchemy as sa
from cryptography import x509
from support import ek_lab, places
from support import registry as others
from support.registry import PINNED, certificate, identity, name, side_by_side

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._ek_verdict import EkVerdict
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, models, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.database import parse
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.faults import IdentityConflictError, RegistryError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import ShownEk
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

# Public areas and Names that tpm2-tools made.
OBJECTS: list[dict[str, str]] = json.loads((places.ROOT / "tests/unit/fixtures/publics.json").read_text())["objects"]

pytest_plugins = ("support.postgres",)


@pytest.fixture
def registry(url: str) -> Registry:
    """An open registry, empty."""
    return open_registry(url)


@pytest.fixture
def raw(registry: Registry, url: str) -> t.Iterator[sa.Connection]:
    """Another client's connection to the same database, on which each statement is committed."""
    engine = sa.create_engine(parse(url).url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def kinds(registry: Registry, **key: t.Any) -> list[str]:
    """The kinds of the events."""
    return [event.kind for event in registry.events(**key)]


def test_what_is_enrolled_comes_back_as_it_was_given(registry: Registry) -> None:
    verdict = EkVerdict("certificate", "chain verified", "Infineon", b"\0der\xff", (b"one\0", b"two"), "not checked: no CRL")
    enrolled = registry.enroll(identity(1), verdict, [certificate(1, "iak"), certificate(1, "idevid")])
    assert not enrolled.existed
    found = registry.find(serial="EDGE-0001")
    assert found == enrolled
    assert found is not None and found.verdict is not None
    for field in dataclasses.fields(identity(1)):
        assert getattr(found, field.name) == getattr(identity(1), field.name)
    assert found.verdict._replace(time=None) == verdict
    assert found.certificates == {"iak": certificate(1, "iak"), "idevid": certificate(1, "idevid")}
    assert found.certificates["iak"].not_after == others.END_OF_TIME
    assert (found.auth_generation, found.auth_pending, found.ldevid_name) == (1, None, None)
    assert abs(found.enrolled_at - datetime.datetime.now(datetime.UTC)) < datetime.timedelta(minutes=5)
    (event,) = registry.events()
    assert (event.kind, event.ek_name, event.serial, event.host) == ("enrolled", identity(1).ek_name, "EDGE-0001", "edge-01")
    assert event.detail == {"rung": "certificate", "reason": "chain verified", "certificates": ["iak", "idevid"]}


def test_a_device_is_found_by_each_of_its_names_and_by_all(registry: Registry) -> None:
    for number in (1, 2):
        registry.enroll(identity(number), PINNED, [])
    one = identity(1)
    for key in ({"ek_name": one.ek_name}, {"serial": one.serial}, {"host": one.host}, {"serial": one.serial, "host": one.host}):
        found = registry.find(**key)
        assert found is not None and found.ek_name == one.ek_name
    assert registry.find(serial="EDGE-0001", host="edge-02") is None
    assert registry.find(serial="edge-0001") is None
    with pytest.raises(InputError, match="neither ek_name nor serial nor host is given"):
        registry.find()


def test_a_host_name_of_two_devices_names_neither(registry: Registry) -> None:
    for number in (1, 2):
        registry.enroll(identity(number, host="slot"), PINNED, [])
    with pytest.raises(RegistryError, match=r"2 enrolled devices have it \(serials EDGE-0001, EDGE-0002\); name it by its serial") as error:
        registry.find(host="slot")
    assert error.value.reason == "ambiguous"
    registry.relocate(identity(1).ek_name, host="shelf")
    found = registry.find(host="slot")
    assert found is not None and found.serial == "EDGE-0002"
    assert registry.events()[-1].detail == {"before": {"host": "slot"}}
    before = len(registry.events())
    registry.relocate(identity(1).ek_name, host="shelf", site="north")
    assert len(registry.events()) == before


def test_devices_are_listed_in_their_order_with_their_latest_certificates(registry: Registry) -> None:
    assert registry.devices() == []
    for number in (3, 1, 2):
        registry.enroll(identity(number), PINNED, [certificate(number, "ldevid")])
    newer = certificate(1, "ldevid", serial_number="beef")
    registry.add_certificates(identity(1).ek_name, [newer])
    assert [device.serial for device in registry.devices()] == ["EDGE-0003", "EDGE-0001", "EDGE-0002"]
    assert [device.certificates["ldevid"] for device in registry.devices()][1] == newer


def test_enrolling_again_changes_nothing_and_says_so(registry: Registry) -> None:
    first = registry.enroll(identity(1), PINNED, [certificate(1)])
    again = registry.enroll(identity(1, host="elsewhere", idevid_name=None), PINNED, [certificate(1, serial_number="beef")])
    assert again.existed and again == first
    assert kinds(registry) == ["enrolled"]


CONFLICTS: list[tuple[str, dict[str, t.Any], str]] = [
    (
        "serial_takeover",
        {"ek_name": name("x"), "ak_name": name("y"), "idevid_name": None},
        "that serial number belongs to serial EDGE-0001",
    ),
    ("ek_under_other_serial", {"serial": "EDGE-0009"}, "that EK belongs to serial EDGE-0001"),
    ("duplicate_ak", {"ek_name": name("x"), "serial": "EDGE-0009", "idevid_name": None}, "its AK Name"),
    ("duplicate_idevid", {"ek_name": name("x"), "serial": "EDGE-0009", "ak_name": name("y")}, "its IDevID Name"),
    ("ak_replaced", {"ak_name": name("y")}, "it is registered with the AK Name"),
    ("idevid_replaced", {"idevid_name": name("y")}, "it is registered with the IDevID Name"),
]


@pytest.mark.parametrize(("reason", "changes", "words"), CONFLICTS, ids=[one[0] for one in CONFLICTS])
def test_a_device_that_contradicts_the_registry_is_refused(registry: Registry, reason: str, changes: dict[str, t.Any], words: str) -> None:
    known, stranger = identity(1), identity(1, **{"host": "edge-99", **changes})
    registry.enroll(known, PINNED, [])
    for act in (registry.check, lambda who: registry.enroll(who, PINNED, [certificate(1)])):
        with pytest.raises(IdentityConflictError, match=words) as error:
            act(stranger)
        assert error.value.reason == reason
        assert "keep it in quarantine and examine both" in str(error.value)
        both = (stranger.ek_name, stranger.serial, "edge-99", known.serial, "edge-01")
        assert [one for one in both if one not in str(error.value)] == []
    assert len(registry.devices()) == 1
    assert kinds(registry) == ["enrolled"]


def test_each_name_of_another_device_is_a_conflict_of_its_own(registry: Registry) -> None:
    for number in (1, 2):
        registry.enroll(identity(number), PINNED, [])
    with pytest.raises(IdentityConflictError) as error:
        registry.check(identity(1, serial="EDGE-0002"))
    assert error.value.reason == "ek_under_other_serial"
    with pytest.raises(IdentityConflictError) as error:
        registry.check(identity(1, ak_name=identity(2).ak_name))
    assert error.value.reason == "duplicate_ak"


def test_what_is_new_and_what_is_equal_pass_the_check(registry: Registry) -> None:
    registry.check(identity(1))
    registry.enroll(identity(1), PINNED, [])
    registry.check(identity(1))
    registry.check(identity(1, idevid_name=None, host="elsewhere"))
    for number in (2, 3):  # no IDevID equals no IDevID
        registry.enroll(identity(number, idevid_name=None), PINNED, [])


def test_enrolling_is_all_or_nothing(registry: Registry) -> None:
    registry.enroll(identity(1), PINNED, [certificate(1)])
    taken = certificate(2, serial_number=certificate(1).serial_number)
    with pytest.raises(RegistryError, match="the serial number .* is that of another one by the issuer CN=Factory CA") as error:
        registry.enroll(identity(2), PINNED, [certificate(2, "idevid"), taken])
    assert error.value.reason == "duplicate_certificate"
    assert [device.serial for device in registry.devices()] == ["EDGE-0001"]
    assert kinds(registry) == ["enrolled"]
    assert not registry.enroll(identity(2), PINNED, [certificate(2, "idevid"), certificate(2)]).existed


def test_certificates_are_added_once(registry: Registry) -> None:
    registry.enroll(identity(1), PINNED, [certificate(1)])
    for _time in range(2):
        registry.add_certificates(identity(1).ek_name, [certificate(1), certificate(1, "idevid")])
    assert kinds(registry) == ["enrolled", "certificates_added"]
    assert registry.events()[-1].detail == {"certificates": ["idevid"]}
    with pytest.raises(RegistryError, match="is that of another one") as error:
        registry.add_certificates(identity(1).ek_name, [certificate(1, pem="another")])
    assert error.value.reason == "duplicate_certificate"


def test_the_ldevid_is_set_and_renewed(registry: Registry) -> None:
    registry.enroll(identity(1), PINNED, [])
    key = name("ldevid 1")
    for _time in range(2):
        registry.set_ldevid(identity(1).ek_name, key, certificate(1, "ldevid"))
    renewed = certificate(1, "ldevid", serial_number="beef")
    registry.set_ldevid(identity(1).ek_name, key, renewed)
    found = registry.find(serial="EDGE-0001")
    assert found is not None and (found.ldevid_name, found.certificates["ldevid"]) == (key, renewed)
    assert kinds(registry) == ["enrolled", "ldevid_set", "ldevid_set"]
    with pytest.raises(InputError, match="not the LDevID certificate for"):
        registry.set_ldevid(identity(1).ek_name, key, certificate(1, "idevid"))


def test_a_birth_record_and_an_ldevid_key_are_kept_with_the_device(registry: Registry) -> None:
    ldevid = names.parse_public(bytes.fromhex(OBJECTS[1]["public"])[2:])
    record = '{"payload": "' + "x" * 20000 + '"}'
    device = registry.enroll(identity(1), PINNED, [certificate(1)], ldevid=ldevid, birth_record=record)
    assert (device.ldevid_name, device.ldevid_public) == (OBJECTS[1]["name"], ldevid.raw)
    assert registry.birth_record(identity(1).ek_name) == record
    assert registry.birth_record(identity(2).ek_name) is None
    issued = certificate(1, "ldevid", key_name=OBJECTS[1]["name"])
    registry.set_ldevid(identity(1).ek_name, OBJECTS[1]["name"], issued)
    found = registry.find(serial="EDGE-0001")
    assert found is not None and (found.ldevid_public, found.certificates["ldevid"]) == (ldevid.raw, issued)
    key = name("another")
    registry.set_ldevid(identity(1).ek_name, key, certificate(1, "ldevid", key_name=key, serial_number="beef"), ldevid_public=b"public")
    found = registry.find(serial="EDGE-0001")
    assert found is not None and (found.ldevid_name, found.ldevid_public) == (key, b"public")


def test_whatever_a_stranger_says_of_itself_is_kept_printable(registry: Registry) -> None:
    incident = registry.open_incident("edge-01\n", "S" * 300, "\0", "bad\x1breason", "line\nline \ud800" + "x" * 5000)
    assert (incident.host, incident.serial, incident.ek_name, incident.reason) == ("edge-01", "S" * 252 + "...", "", "bad\\x1breason")
    assert incident.detail.startswith("line line \\ud800x") and len(incident.detail) == 4096
    assert registry.incidents() == [incident]
    told = identity(1, tpm_model="SLB9670\0\0 ", manufacturer=" IFX\0")
    device = registry.enroll(told, EkVerdict("pinned", "a\nb", "\u202ex", revocation=" "), [])
    assert (device.tpm_model, device.manufacturer) == ("SLB9670", "IFX")
    assert device.verdict is not None and (device.verdict.reason, device.verdict.detail, device.verdict.revocation) == (
        "a b",
        "\\u202ex",
        "",
    )


def test_who_is_not_enrolled_gets_nothing(registry: Registry) -> None:
    stranger = identity(9).ek_name
    acts: list[t.Callable[[], object]] = [
        lambda: registry.add_certificates(stranger, [certificate(9)]),
        lambda: registry.set_ldevid(stranger, name("ldevid 9"), certificate(9, "ldevid")),
        lambda: registry.begin_rotation(stranger),
        lambda: registry.finish_rotation(stranger),
        lambda: registry.relocate(stranger, host="x"),
    ]
    for act in acts:
        with pytest.raises(RegistryError, match="no device with that EK Name is enrolled; enroll it first") as error:
            act()
        assert error.value.reason == "not_enrolled"
    assert registry.events() == []


def test_an_equal_incident_is_opened_once_and_each_sighting_is_an_event(registry: Registry) -> None:
    first = registry.open_incident("edge-01", "EDGE-0001", name("x"), "serial_takeover", "first")
    again = registry.open_incident("edge-01", "EDGE-0001", name("x"), "serial_takeover", "again")
    assert (first.existed, again.existed, again) == (False, True, first)
    registry.open_incident("edge-01", "EDGE-0001", None, "no_certificate", "")
    assert [incident.reason for incident in registry.incidents()] == ["serial_takeover", "no_certificate"]
    assert kinds(registry, serial="EDGE-0001") == ["incident_opened", "incident_seen", "incident_opened"]
    assert registry.events(ek_name=name("x"))[1].detail == {"reason": "serial_takeover", "detail": "again"}


def test_incidents_are_closed_by_host_or_serial_and_kept(registry: Registry) -> None:
    for host, serial in (("a", "1"), ("a", "2"), ("b", "1")):
        registry.open_incident(host, serial, "", "no_certificate", "")
    assert registry.close_incidents("A", "1") == 2
    assert registry.close_incidents("a", "1") == 0
    assert registry.close_incidents(host="c", serial="1") == 0
    assert registry.close_incidents(serial="1") == 1
    assert registry.incidents() == []
    closed = registry.incidents(open_only=False)
    assert [(one.host, one.serial, one.closed_at is not None) for one in closed] == [("a", "1", True), ("a", "2", True), ("b", "1", True)]
    assert kinds(registry) == ["incident_opened"] * 3 + ["incident_closed"] * 3
    assert not registry.open_incident("a", "1", "", "no_certificate", "").existed
    with pytest.raises(InputError, match="neither host nor serial is given"):
        registry.close_incidents()


@pytest.mark.parametrize("host", [None, "", "edge-01", "EDGE-01", "edge-02"])
@pytest.mark.parametrize("serial", ["", "EF-1"])
def test_what_is_closed_is_what_keeps_a_host_in_quarantine(registry: Registry, host: str | None, serial: str) -> None:
    """No more and no less; and nothing is written where that is nothing."""
    for where, number in itertools.product(("", "edge-01", "Edge-01"), ("", "EF-1", "EF-2")):
        registry.open_incident(where, number, None, "no_certificate")
    concerned = [ask.concerns(one, host=host, serial=serial) for one in registry.incidents()]
    rest = [one for one, yes in zip(registry.incidents(), concerned, strict=True) if not yes]
    before = len(registry.events())
    assert registry.close_incidents(host=host, serial=serial) == sum(concerned)
    assert registry.incidents() == rest and ask.incident(registry, host=host, serial=serial) is None
    assert kinds(registry)[before:] == ["incident_closed"] * sum(concerned)
    assert len(registry.incidents(open_only=False)) == 9


def test_a_rotation_goes_on_where_it_stood(registry: Registry) -> None:
    ek_name = identity(1).ek_name
    registry.enroll(identity(1), PINNED, [])
    assert registry.finish_rotation(ek_name) == 1
    assert [registry.begin_rotation(ek_name) for _time in range(2)] == [2, 2]
    found = registry.find(ek_name=ek_name)
    assert found is not None and (found.auth_generation, found.auth_pending) == (1, 2)
    assert [registry.finish_rotation(ek_name) for _time in range(2)] == [2, 2]
    found = registry.find(ek_name=ek_name)
    assert found is not None and (found.auth_generation, found.auth_pending) == (2, None)
    assert [(event.kind, event.detail) for event in registry.events()[1:]] == [
        ("rotation_begun", {"generation": 2}),
        ("rotation_finished", {"generation": 2}),
    ]


def test_an_auth_is_kept_as_it_was_first(registry: Registry) -> None:
    ek_name = identity(1).ek_name
    registry.enroll(identity(1), PINNED, [])
    assert registry.auth(ek_name, "owner", 1) is None
    (first,) = registry.put_auths([records.StoredAuth(ek_name, "owner", 1, "random", b"\0first", b"r")])
    (second,) = registry.put_auths([records.StoredAuth(ek_name, "owner", 1, "random", b"second", b"s")])
    assert first == second == registry.auth(ek_name, "owner", 1)
    assert first.sealed_operations == b"\0first"
    assert registry.auth(ek_name, "owner", 2) is None
    assert kinds(registry) == ["enrolled", "auth_escrowed"]
    assert registry.events()[-1].detail == {"hierarchy": "owner", "generation": 1, "mode": "random"}
    assert "first" not in repr(first)


def test_an_auth_is_read_back_over_another_connection(registry: Registry) -> None:
    connections: list[object] = []
    assert registry._database is not None
    sa.event.listen(registry._database._engine, "connect", lambda connection, _record: connections.append(connection))
    registry.put_auths([records.StoredAuth(identity(1).ek_name, "owner", 1, "random", b"a", b"b")])
    assert len({id(connection) for connection in connections}) == 2


def test_an_event_of_ones_own(registry: Registry) -> None:
    registry.note("line_started", host="line-1", detail={"shift": 3, "operators": ["a"]})
    (event,) = registry.events()
    assert (event.kind, event.host, event.detail) == ("line_started", "line-1", {"shift": 3, "operators": ["a"]})
    assert event.time.tzinfo is not None
    with pytest.raises(InputError, match="its detail is no JSON"):
        registry.note("x", detail={"x": b"bytes"})
    with pytest.raises(InputError, match="its kind is missing"):
        registry.note("")


def test_states_for_playbooks(registry: Registry) -> None:
    registry.enroll(identity(1), PINNED, [certificate(1)])
    registry.open_incident("edge-02", "EDGE-0001", name("x"), "serial_takeover", "impostor")
    genuine = ask.find(registry, ek_name=None, serial=None, host="edge-01")
    assert genuine is not None
    assert ask.describe(genuine, ask.incident(registry, host="edge-01", serial=genuine.serial))["state"] == "enrolled"
    shown = ask.describe(None, ask.incident(registry, host="edge-02"))
    assert (shown["state"], shown["reason"], shown["detail"], shown["serial"]) == ("quarantined", "serial_takeover", "impostor", None)
    assert ask.describe(None, ask.incident(registry, host="edge-03"))["state"] == "new"


# What nobody may do, whatever program he uses.
FORBIDDEN = [
    "UPDATE events SET kind = 'x'",
    "DELETE FROM events",
    "UPDATE devices SET ek_name = 'x'",
    "UPDATE devices SET serial = 'x'",
    "UPDATE devices SET ak_name = 'x'",
    "UPDATE devices SET idevid_name = NULL",
    "UPDATE devices SET ek_public = ak_public",
    "UPDATE devices SET id = 7",
    "UPDATE devices SET enrolled_at = '2020-01-01 00:00:00'",
    "UPDATE devices SET auth_generation = 0",
    "UPDATE devices SET auth_pending = 7",
    "DELETE FROM devices",
    "UPDATE verdicts SET rung = 'certificate'",
    "DELETE FROM verdicts",
    "UPDATE certificates SET pem = 'x'",
    "DELETE FROM certificates",
    "UPDATE auths SET mode = 'x'",
    "DELETE FROM auths",
    "UPDATE auths SET sealed_operations = substr(sealed_operations, 1)",
    "UPDATE places SET statement = 'x'",
    "DELETE FROM places",
    "UPDATE birth_records SET record = 'x'",
    "DELETE FROM birth_records",
    "UPDATE quarantine SET reason = 'x'",
    "DELETE FROM quarantine",
]
ONLY = {
    "sqlite": [
        "INSERT OR REPLACE INTO events SELECT id, time, 'x', ek_name, serial, host, detail FROM events",
        "INSERT OR REPLACE INTO devices SELECT * FROM devices",
        "INSERT OR REPLACE INTO devices SELECT id + 100, 'x', serial, 'y', NULL, ldevid_name, ek_public, ak_public, idevid_public, "
        "ldevid_public, host, mac, site, model, manufacturer, firmware, tpm_model, enrolled_at, auth_generation, auth_pending FROM devices",
        "REPLACE INTO places SELECT id + 100, ek_name, number, 'x', made_at FROM places",
        "REPLACE INTO auths SELECT id + 100, ek_name, hierarchy, generation, 'x', sealed_operations, sealed_recovery, made_at FROM auths",
    ],
    "postgresql": [
        "TRUNCATE events",
        "TRUNCATE devices CASCADE",
        "TRUNCATE auths",
        "TRUNCATE places",
        "TRUNCATE certificates",
        "TRUNCATE quarantine",
    ],
}


def test_the_database_itself_refuses_to_change_what_is_registered(registry: Registry, raw: sa.Connection) -> None:
    registry.enroll(identity(1), PINNED, [certificate(1)], birth_record="{}", shown=[own_ek(1)])
    registry.begin_rotation(identity(1).ek_name)
    registry.finish_rotation(identity(1).ek_name)
    registry.put_auths([records.StoredAuth(identity(1).ek_name, "owner", 1, "random", b"a", b"b")])
    registry.relocate(identity(1).ek_name, host="moved", statement=(1, "{}"))
    registry.open_incident("edge-02", "EDGE-0001", "", "serial_takeover", "")
    tables = {table: raw.execute(sa.text(f"SELECT * FROM {table}")).all() for table in models.metadata.tables}
    assert all(tables.values())
    for statement in FORBIDDEN + ONLY[raw.dialect.name]:
        with pytest.raises(sa.exc.IntegrityError):
            raw.exec_driver_sql(statement)
        assert {table: raw.execute(sa.text(f"SELECT * FROM {table}")).all() for table in tables} == tables, statement
    with pytest.raises(sa.exc.IntegrityError, match="generation|CHECK"):
        raw.exec_driver_sql("UPDATE devices SET auth_generation = 1")
    raw.exec_driver_sql("UPDATE devices SET host = 'moved'")
    raw.exec_driver_sql("UPDATE quarantine SET closed_at = opened_at")


def test_what_cannot_be_registered_is_refused_before_it_is_tried(registry: Registry) -> None:
    for changes, words in (
        ({"serial": ""}, "its serial is missing"),
        ({"serial": "EDGE\0001"}, "a character that cannot be printed"),
        ({"serial": " EDGE"}, "begins or ends with a space"),
        ({"site": "x" * 256}, "longer than 255"),
        ({"ek_name": "000B" + "11" * 32}, "it is no TPM Name"),
        ({"ak_name": ""}, "it is no TPM Name"),
        ({"ek_public": b""}, "its ek_public is empty"),
    ):
        with pytest.raises(InputError, match=words):
            registry.enroll(identity(1, **changes), PINNED, [])
    with pytest.raises(InputError, match="its rung is 'quarantine'"):
        registry.enroll(identity(1), EkVerdict("quarantine", ""), [])
    with pytest.raises(InputError, match="its kind is 'tls'"):
        registry.enroll(identity(1), PINNED, [certificate(1, "tls")])
    with pytest.raises(InputError, match="its serial_number is no lowercase hex"):
        registry.enroll(identity(1), PINNED, [certificate(1, serial_number="BEEF")])
    with pytest.raises(InputError, match="its not_after says no time zone"):
        registry.enroll(identity(1), PINNED, [certificate(1, not_after=datetime.datetime(2030, 1, 1))])
    with pytest.raises(InputError, match="there is none; use one of owner"):
        registry.put_auths([records.StoredAuth(identity(1).ek_name, "platform", 1, "random", b"a", b"b")])
    assert registry.devices() == [] and registry.events() == []


def test_letters_of_every_script_are_kept(registry: Registry) -> None:
    registry.enroll(identity(1, site="Köln 工厂", model="a'b\"c;--%s"), PINNED, [])
    found = registry.find(serial="EDGE-0001")
    assert found is not None and (found.site, found.model) == ("Köln 工厂", "a'b\"c;--%s")


def test_two_processes_enroll_the_same_and_different_devices_at_once(registry: Registry, url: str) -> None:
    first, second = [identity(number) for number in range(20)], [identity(number) for number in range(10, 30)]
    outcomes = side_by_side(others.enroll_many, [(url, first), (url, list(reversed(second)))])
    assert sorted(device.serial for device in registry.devices()) == [f"EDGE-{number:04}" for number in range(30)]
    assert sorted(outcomes[0] + outcomes[1]) == ["enrolled"] * 30 + ["existed"] * 10
    assert sorted(kinds(registry)) == ["asked"] * 40 + ["enrolled"] * 30


def test_of_two_that_claim_one_serial_at_once_one_wins(registry: Registry, url: str) -> None:
    line = [[identity(number + 100 * side, serial=f"EDGE-{number:04}") for number in range(10)] for side in range(4)]
    outcomes = side_by_side(others.enroll_many, [(url, one) for one in line])
    for number in range(10):
        assert sorted(side[number] for side in outcomes) == ["enrolled"] + ["serial_takeover"] * 3
    assert len(registry.devices()) == 10
    assert kinds(registry).count("enrolled") == 10


def test_processes_that_rotate_or_report_at_once_count_once(registry: Registry, url: str) -> None:
    registry.enroll(identity(1), PINNED, [])
    outcomes = side_by_side(others.rotate, [(url, identity(1).ek_name)] * 4)
    found = registry.find(serial="EDGE-0001")
    assert found is not None and found.auth_generation == max(finished for _begun, finished in outcomes)
    assert kinds(registry).count("rotation_begun") == kinds(registry).count("rotation_finished") == found.auth_generation - 1
    assert sorted(side_by_side(others.sight, [(url, 1)] * 4)) == [False, True, True, True]
    assert len(registry.incidents()) == 1


def test_a_process_killed_in_mid_transaction_leaves_nothing_half(registry: Registry, url: str) -> None:
    others.killed_in_mid_transaction(url)
    assert open_registry(url, create=False).devices() == []  # who only reads can still undo what is half
    assert registry.events() == []
    assert not registry.enroll(identity(1), PINNED, [certificate(1)]).existed
    assert kinds(registry) == ["enrolled"]


def test_a_new_file_is_its_owners_alone(tmp_path: pathlib.Path) -> None:
    open_registry(str(tmp_path / "registry.sqlite"))
    assert stat.S_IMODE((tmp_path / "registry.sqlite").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["registry.sqlite"]


def test_a_view_of_what_is_not_there_is_empty_and_makes_nothing(url: str, tmp_path: pathlib.Path) -> None:
    with open_registry(url, create=False) as view:
        assert view.devices() == [] and view.incidents() == [] and view.events() == []
        assert view.find(serial="x") is None and view.auth(name("x"), "owner", 1) is None
        view.check(identity(1))
        assert not view.writable
        with pytest.raises(RegistryError, match="can only be read") as error:
            view.enroll(identity(1), PINNED, [])
        assert error.value.reason == "read_only"
    assert list(tmp_path.iterdir()) == []
    engine = sa.create_engine(parse(url).url) if url.startswith("postgresql") else None
    assert engine is None or sa.inspect(engine).get_table_names() == []


def test_a_view_changes_nothing(registry: Registry, url: str) -> None:
    registry.enroll(identity(1), PINNED, [])
    with open_registry(url, create=False) as view:
        assert [device.serial for device in view.devices()] == ["EDGE-0001"]
        with pytest.raises(RegistryError, match=r"can only be read \(it was opened to be read\)"):
            view.note("x")
    assert kinds(registry) == ["enrolled"]


# EKs that TPMs have shown -------------------------------------------------------------------------------------------------------------


def own_ek(number: int) -> ShownEk:
    """The EK that the device of that number has proved to hold."""
    return ShownEk("", "", "", f"{number:064x}", True)


def shown_ek(number: int, *, own: bool = False) -> ShownEk:
    """A certificate of that EK."""
    return ShownEk(f"{number + 1000:064x}", "CN=TPM CA", f"{number:x}", f"{number:064x}", own)


def test_what_a_tpm_has_shown_of_its_eks_is_kept(registry: Registry, raw: sa.Connection) -> None:
    shown = [own_ek(1), shown_ek(1, own=True), shown_ek(7)]
    registry.enroll(identity(1), PINNED, [], shown=shown)
    assert registry.eks(identity(1).ek_name) == shown and registry.eks(identity(2).ek_name) == []
    for statement in ("DELETE FROM ek_certificates", "UPDATE ek_certificates SET own = NOT own"):
        with pytest.raises(sa.exc.DBAPIError, match="are never"):
            raw.exec_driver_sql(statement)
    assert registry.eks(identity(1).ek_name) == shown


def test_a_tpm_that_shows_the_ek_of_another_device_is_refused(registry: Registry) -> None:
    registry.enroll(identity(1), PINNED, [], shown=[own_ek(1), shown_ek(1, own=True)])
    for shown in ([own_ek(2), shown_ek(1)], [own_ek(1)]):
        for act in (registry.check, lambda who, shown: registry.enroll(who, PINNED, [], shown=shown)):
            with pytest.raises(IdentityConflictError, match="its TPM shows the EK of serial EDGE-0001") as error:
                act(identity(2), shown)
            assert error.value.reason == "tpm_under_other_serial"
    assert kinds(registry) == ["enrolled"]
    registry.check(identity(1), [own_ek(1), shown_ek(1, own=True), shown_ek(9)])


def test_what_one_device_shows_of_another_counts_for_nothing(registry: Registry) -> None:
    """A certificate is no secret: whoever has copied one keeps nobody out, neither its owner nor who shows the same one."""
    registry.enroll(identity(1), PINNED, [], shown=[own_ek(1), shown_ek(2), shown_ek(9)])
    registry.enroll(identity(2), PINNED, [], shown=[own_ek(2), shown_ek(2, own=True), shown_ek(9)])
    assert registry.claimed_by(identity(2).ek_name, own_ek(2).spki_sha256) == ["EDGE-0001"]
    assert registry.claimed_by(identity(1).ek_name, own_ek(1).spki_sha256) == []


def test_eks_of_an_older_registry_are_known_after_its_upgrade(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root, key = ek_lab.root(), ek_lab.ecc_key().public_key()
    certified, public = root.ek(key), ek_lab.ek_area("ek_ecc_p256", key)
    with monkeypatch.context() as old:
        old.setattr(models, "REVISIONS", ("0001",))
        with open_registry(url) as registry:
            registry.enroll(identity(1, ek_public=public.raw), EkVerdict("certificate", "", "", certified), [])
            registry.enroll(identity(2, ek_public=ek_lab.ek_area("ek_ecc_p256", ek_lab.ecc_key().public_key()).raw), PINNED, [])
            registry.enroll(identity(3, ek_public=b"none"), PINNED, [])
    registry = open_registry(url)
    spki = hashlib.sha256(_keys.spki(public)).hexdigest()
    number = f"{x509.load_der_x509_certificate(certified).serial_number:x}"
    assert registry.eks(identity(1).ek_name) == [
        ShownEk("", "", "", spki, True),
        ShownEk(hashlib.sha256(certified).hexdigest(), "CN=Lab TPM Root", number, spki, True),
    ]
    assert [len(registry.eks(identity(number).ek_name)) for number in (2, 3)] == [1, 0]
    with pytest.raises(IdentityConflictError) as error:
        registry.check(identity(4), [ShownEk("", "", "", spki, True)])
    assert error.value.reason == "tpm_under_other_serial"


def test_nothing_is_written_before_the_last_event(registry: Registry, raw: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Auth values and rotations too: their events say what holds, in the order in which they were written."""
    registry.enroll(identity(1), PINNED, [])
    before = {table: raw.execute(sa.text(f"SELECT * FROM {table}")).all() for table in models.metadata.tables}
    past = models.now() - datetime.timedelta(minutes=6)
    monkeypatch.setattr(models, "now", lambda: past)
    ek_name = identity(1).ek_name
    for act in (
        lambda: registry.begin_rotation(ek_name),
        lambda: registry.put_auths([records.StoredAuth(ek_name, "owner", 1, "random", b"a", b"b")]),
        lambda: registry.add_certificates(ek_name, [certificate(1)]),
        lambda: registry.enroll(identity(2), PINNED, []),
        lambda: registry.relocate(ek_name, host="elsewhere"),
        lambda: registry.open_incident("edge-02", "EDGE-0001", "", "serial_takeover", ""),
    ):
        with pytest.raises(RegistryError, match="the clock of this controller says .*, before the last event of the registry") as error:
            act()
        assert error.value.reason == "clock_behind_registry"
    assert {table: raw.execute(sa.text(f"SELECT * FROM {table}")).all() for table in models.metadata.tables} == before
