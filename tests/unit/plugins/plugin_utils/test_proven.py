# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the registry says of a device counts as far as a signature by the controller's key covers it, whoever has written to the registry."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
import typing as t

import pytest
from support import birth, lab_ca, proven
from support import registry as stored
from support.faults import assert_one_sentence
from support.proven import Signer
from support.registry import PINNED

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _place, _proven
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._authority import authority, chain, profile
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._proven import UnprovenError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.records import Certificate, Device, Place
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry


class World:
    """A registry with devices 1 and 2, and who signs their records."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder, self.path = folder, folder / "registry.sqlite"
        self.signer, self.stranger = Signer(folder / "ca"), Signer(folder / "stranger")
        self.registry: Registry = open_registry(str(self.path))
        self.one, self.two = (proven.enroll(self.registry, number, self.signer) for number in (1, 2))

    def device(self, serial: str = "EDGE-0001") -> Device:
        """As its row has it."""
        found = self.registry.find(serial=serial)
        assert found is not None
        return found

    def prove(self, *roots: str, serial: str = "EDGE-0001", **options: t.Any) -> Device:
        """As its record has it."""
        files = roots or (self.signer.certificate,)
        return _proven.prove(self.registry, self.device(serial), _proven.load_roots(files), serial=serial, **options)

    def refused(self, reason: str, words: str, *roots: str, **options: t.Any) -> None:
        """No value can come of it: that reason, and that in its one sentence."""
        with pytest.raises(UnprovenError) as caught:
            self.prove(*roots, **options)
        assert (caught.value.reason, words in caught.value.message) == (reason, True), f"{caught.value.reason}: {caught.value.message}"
        assert_one_sentence(caught.value.message)

    def edit(self, *statements: str, **values: t.Any) -> None:
        """As somebody who owns the file: its triggers are gone first."""
        stored.edit(self.path, *statements, **values)


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    return World(tmp_path)


def test_a_device_as_its_record_has_it(world: World) -> None:
    found = world.prove()
    assert (found.serial, found.host, found.ek_name, found.ak_public) == ("EDGE-0001", "edge-01", world.one.ek_name, world.one.ak_public)
    # Why its EK is believed is signed too, and the row's word for it does not count.
    assert found.verdict is not None and (found.verdict.rung, found.verdict.detail) == ("certificate", "lab")
    assert found.verdict.ek_certificate is not None
    assert world.prove(ek_name=world.one.ek_name).serial == "EDGE-0001"


EDITS = {
    "another EK": (
        "UPDATE devices SET ek_name = 'x' || substr(ek_name, 2) WHERE id = 2",
        "UPDATE devices SET ek_name = :two_ek WHERE id = 1",
    ),
    "another EK's public area": ("UPDATE devices SET ek_public = :two_public WHERE id = 1",),
    "another AK": ("UPDATE devices SET ak_name = 'x' WHERE id = 2", "UPDATE devices SET ak_name = :two_ak WHERE id = 1"),
    "another AK's public area": ("UPDATE devices SET ak_public = :two_public WHERE id = 1",),
    "another IDevID": ("UPDATE devices SET idevid_public = :two_public WHERE id = 1",),
    "another serial number": ("UPDATE devices SET serial = 'x' WHERE id = 1", "UPDATE devices SET serial = 'EDGE-0001' WHERE id = 2"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_row(world: World, edit: str) -> None:
    world.edit(*EDITS[edit], two_ek=world.two.ek_name, two_ak=world.two.ak_name, two_public=world.two.ek_public)
    world.refused("record_other_device", "its birth record is of another ")


def test_the_record_of_another_device(world: World) -> None:
    world.edit("UPDATE birth_records SET record = (SELECT record FROM birth_records WHERE id = 2) WHERE id = 1")
    world.refused("record_other_device", "its birth record is of another EK than its row")


def test_the_row_of_another_device_for_an_answer(world: World) -> None:
    """A database that is the attacker's answers what it likes: the victim's row, whole and with its record, to whatever is asked."""
    with pytest.raises(UnprovenError) as caught:
        _proven.prove(world.registry, world.device("EDGE-0002"), _proven.load_roots([world.signer.certificate]), serial="EDGE-0001")
    assert (
        caught.value.reason == "record_other_device" and "EDGE-0001: its answer is of a device with another serial" in caught.value.message
    )
    world.refused("record_other_device", "its answer is of a device with another EK", ek_name=world.two.ek_name)


def test_a_record_that_a_stranger_signed(world: World) -> None:
    tpm, identity = proven.device(3)
    world.registry.enroll(identity, PINNED, birth_record=world.stranger.record(tpm, identity.host))
    world.refused("record_signature", "is not known; give the CA", serial="EDGE-0003")
    # Nor does a certificate of the registry's own make it one of ours.
    assert world.prove(world.stranger.certificate, serial="EDGE-0003").ek_name == identity.ek_name


def test_an_altered_record(world: World) -> None:
    world.edit("UPDATE birth_records SET record = replace(record, 'certificate', 'certificat')")
    world.refused("record_signature", "its birth record does not verify")


def test_no_record_and_no_roots(world: World) -> None:
    _tpm, identity = proven.device(3)
    world.registry.enroll(identity, PINNED)
    world.refused("no_record", "run the playbook edgefleet.tpm2.day_zero", serial="EDGE-0003")
    with pytest.raises(UnprovenError) as caught:
        _proven.prove(world.registry, world.device(), ())
    assert caught.value.reason == "no_record_roots"


def test_another_host_in_the_row(world: World) -> None:
    world.edit("UPDATE devices SET host = 'edge-66' WHERE id = 1")
    world.refused("record_other_host", "its row has it at host edge-66, and the signed records at edge-01")


def test_a_device_that_has_moved_twice(world: World) -> None:
    for host in ("edge-07", "edge-08"):
        world.signer.moved(world.registry, world.one.ek_name, host)
        assert world.prove().host == host
    world.signer.moved(world.registry, world.one.ek_name, "edge-09", signed=False)
    world.refused("record_other_host", "its row has it at host edge-09, and the signed records at edge-08")


def test_an_old_statement_does_not_come_back(world: World) -> None:
    """The row of another day, with the statement of that day after the newer one, or in its place."""
    for host in ("edge-07", "edge-08"):
        world.signer.moved(world.registry, world.one.ek_name, host)
    world.edit("UPDATE devices SET host = 'edge-07' WHERE id = 1")
    world.refused("record_other_host", "at host edge-07, and the signed records at edge-08")
    again = "INSERT INTO places SELECT 9, ek_name, 3, statement, made_at FROM places WHERE number = 1"
    world.edit(again)
    world.refused("place_signature", "statement 3 is of another device, or does not follow the one before it")
    world.edit("DELETE FROM places WHERE number = 3", "UPDATE places SET number = 20 - number")
    world.refused("place_signature", "statement 1 is of another device, or does not follow")


def test_the_statement_of_another_device_or_by_a_stranger(world: World) -> None:
    world.signer.moved(world.registry, world.two.ek_name, "edge-66")
    world.edit("UPDATE places SET ek_name = :one", "UPDATE devices SET host = 'edge-66'", one=world.one.ek_name)
    world.refused("place_signature", "statement 1 is of another device")
    world.edit("DELETE FROM places")
    world.stranger.moved(world.registry, world.one.ek_name, "edge-67")
    world.refused("place_signature", "is not known; give the CA")


def test_two_statements_after_one(world: World) -> None:
    """Of two controllers that write one at the same time, the second is told, and the device stays proven."""
    record = world.registry.birth_record(world.one.ek_name)
    assert record is not None
    made = [_place.make(record, [], Place(host), world.signer.ca, lab_ca.NOW + lab_ca.DAY) for host in ("edge-07", "edge-08")]
    world.registry.relocate(world.one.ek_name, host="edge-07", statement=made[0])
    with pytest.raises(Exception, match="its own rules refuse the change"):
        world.registry.relocate(world.one.ek_name, host="edge-08", statement=made[1])
    assert world.prove().host == "edge-07"


def test_signers_of_former_years(world: World, tmp_path: pathlib.Path) -> None:
    """A CA that has ended since has still signed its records while it lived, and a new one may sign where a device is now."""
    later = world.signer.files.ca.certificate.not_valid_after_utc + datetime.timedelta(days=400)
    assert world.prove(now=later).host == "edge-01"
    new = Signer(tmp_path / "new")
    world.refused("record_signature", "after a change of the CA the former one's too", new.certificate)
    new.moved(world.registry, world.one.ek_name, "edge-07")
    assert world.prove(new.certificate, world.signer.certificate).host == "edge-07"


def test_only_the_first_certificate_of_a_file_counts(world: World, tmp_path: pathlib.Path) -> None:
    """Above the CA there may be one that vouches for others."""
    ours = world.signer.files
    other = Signer(tmp_path / "other", above=ours.root)
    tpm, identity = proven.device(3)
    world.registry.enroll(identity, PINNED, birth_record=other.record(tpm, identity.host))
    whole = tmp_path / "whole.pem"
    whole.write_text(lab_ca.pem(ours.ca.certificate) + lab_ca.pem(ours.root.certificate))
    assert world.prove(str(whole)).serial == "EDGE-0001"
    world.refused("record_signature", "its birth record does not verify", str(whole), serial="EDGE-0003")
    assert world.prove(str(ours.root_path), serial="EDGE-0003").ek_name == identity.ek_name


def test_files_that_hold_no_certificate(tmp_path: pathlib.Path) -> None:
    with pytest.raises(InputError, match=r"Could not read the certificate .*none.pem of record_roots: No such file"):
        _proven.load_roots([str(tmp_path / "none.pem")])


def test_the_ek_of_a_record_in_a_file(world: World, tmp_path: pathlib.Path) -> None:
    path, roots = tmp_path / "one.birth.json", _proven.load_roots([world.signer.certificate])
    path.write_text(world.registry.birth_record(world.one.ek_name) or "")
    assert _proven.recorded(str(path), roots, serial="EDGE-0001") == world.one.ek_name
    for wrong in ({"serial": "EDGE-0002"}, {"ek_name": world.two.ek_name}):
        with pytest.raises(UnprovenError, match="its answer is of a device with another"):
            _proven.recorded(str(path), roots, **wrong)
    with pytest.raises(InputError, match="Could not read the birth record"):
        _proven.recorded(str(tmp_path / "none"), roots)


def test_a_registry_from_before_there_were_statements(world: World) -> None:
    """Check mode and inventories change nothing, and see the device at the host of its record."""
    world.edit("DROP TABLE places", "UPDATE tpm2_registry_version SET version_num = '0001'")
    world.registry = open_registry(str(world.path), create=False)
    assert world.prove().host == "edge-01"


def _signed(world: World, serial: str = "EDGE-0001") -> Device:
    return _proven.signed(world.registry.papers(), world.device(serial), _proven.load_roots([world.signer.certificate]))


def _add(world: World, number: int, verdict: dict[str, t.Any]) -> None:
    tpm, identity = proven.device(number)
    fields = birth.fields(tpm, world.signer.ca)
    fields = fields._replace(device={**fields.device, "host": identity.host}, verdict={**fields.verdict, **verdict})
    world.registry.enroll(identity, PINNED, birth_record=birth_records.sign(birth_records.build(fields), world.signer.ca))


def test_nothing_of_an_edited_row_is_signed(world: World) -> None:
    _add(world, 3, {"manufacturer": "id:49465800"})
    for column in ("mac", "site", "model", "manufacturer", "firmware"):
        world.edit(f"UPDATE devices SET {column} = 'forged'")
    found = _signed(world, "EDGE-0003")
    assert (found.host, found.mac, found.site, found.model) == ("edge-03", "", "north", "")
    # The maker is the certificate's (the TPM says IBM), and the firmware is what the AK attested.
    assert (found.manufacturer, found.firmware) == ("IFX", "1.2.3.4")


def test_a_pinned_tpm_does_not_choose_its_maker(world: World) -> None:
    _add(world, 3, {"rung": "pinned", "manufacturer": "id:49465800"})
    found = _signed(world, "EDGE-0003")
    assert (found.serial, found.manufacturer, found.firmware) == ("EDGE-0003", "", "")


def test_the_place_of_a_device_that_has_moved(world: World) -> None:
    world.signer.moved(world.registry, world.one.ek_name, "edge-07")
    found = _signed(world)
    assert (found.host, found.site) == ("edge-07", "")
    assert _signed(world, "EDGE-0002").host == "edge-02"


def test_papers_prove_what_the_registry_proves(world: World) -> None:
    world.edit("UPDATE birth_records SET record = (SELECT record FROM birth_records WHERE id = 2) WHERE id = 1")
    with pytest.raises(UnprovenError) as caught:
        _signed(world)
    assert caught.value.reason == "record_other_device"


class Certified:
    """Device 3 with the certificates of its birth in the registry, of which the attacker then makes what he likes."""

    def __init__(self, world: World, *held: str) -> None:
        self.world, (self.tpm, self.identity) = world, proven.device(3)
        fields = birth.fields(self.tpm, world.signer.ca)
        fields = fields._replace(
            device={**fields.device, "host": "edge-03"}, certificates={kind: fields.certificates[kind] for kind in held}
        )
        record = birth_records.sign(birth_records.build(fields), world.signer.ca)
        made = [self.issued(kind, pem=fields.certificates[kind]) for kind in held]
        world.registry.enroll(self.identity, PINNED, made, ldevid=self.tpm.ldevid_public, birth_record=record)

    def issued(self, kind: str, by: Signer | None = None, key: t.Any = None, *, pem: str = "") -> Certificate:
        """A certificate of that kind, by whom and for what key it says."""
        own = {"iak": self.tpm.ak, "idevid": self.tpm.idevid, "ldevid": self.tpm.ldevid}[kind]
        if pem:
            return authority.record(kind, chain.load(pem, kind), self.identity.ak_name)
        subject, life = profile.DeviceSubject(self.tpm.serial, b"hw"), 90 * lab_ca.DAY if kind == "ldevid" else None
        made = (by or self.world.signer).ca.issue(kind, (key or own).public_key(), subject, now=lab_ca.NOW, lifetime=life)
        return dataclasses.replace(made, key_name=self.identity.ak_name)

    def write(self, kind: str, pem: str) -> None:
        """What the row says the certificate is."""
        self.world.edit("UPDATE certificates SET pem = :pem WHERE kind = :kind", kind=kind, pem=pem)

    def prove(self, **options: t.Any) -> Device:
        return self.world.prove(serial="EDGE-0003", **options)


KINDS = ("iak", "idevid", "ldevid")


def test_certificates_as_they_say_themselves(world: World) -> None:
    device = Certified(world, *KINDS)
    before = world.device("EDGE-0003").certificates
    world.edit(
        "UPDATE certificates SET not_before = '2001-01-01', not_after = '9000-01-01', key_name = 'x', issuer = kind, serial_number = kind"
    )
    held = device.prove().certificates
    assert tuple(held) == KINDS
    for kind, one in before.items():
        same = ("kind", "pem", "serial_number", "not_before", "not_after", "issuer")
        assert [getattr(held[kind], name) for name in same] == [getattr(one, name) for name in same]
    assert held["ldevid"].key_name == device.tpm.ldevid_public.name.hex()


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_for_another_key(world: World, kind: str) -> None:
    """Of the very CA, for another device: as one that the attacker owns has it."""
    device, other = Certified(world, *KINDS), birth.soft_tpm("EDGE-0003")
    for pem in (device.issued(kind, key=other.ak).pem, device.issued("iak" if kind != "iak" else "idevid").pem, "none", ""):
        device.write(kind, pem)
        world.refused("certificate_other_key", f"its {kind} certificate there ", serial="EDGE-0003")


@pytest.mark.parametrize("kind", ["iak", "idevid"])
def test_a_certificate_by_a_stranger(world: World, kind: str) -> None:
    """A public key is all that he needs for one."""
    device = Certified(world, *KINDS)
    device.write(kind, device.issued(kind, world.stranger).pem)
    world.refused("certificate_other_issuer", f"no CA that is trusted here has issued its {kind} certificate", serial="EDGE-0003")
    # Who names that CA has another answer; nor is one that our CA has issued since refused.
    assert device.prove(authorities=_proven.load_roots([world.stranger.certificate])).serial == "EDGE-0003"
    device.write(kind, device.issued(kind).pem)
    assert kind in device.prove().certificates


def test_certificates_of_a_ca_elsewhere_that_came_later(world: World) -> None:
    """The record holds none, and nobody has named that CA: they are for the keys that the record has."""
    device = Certified(world)
    world.registry.add_certificates(device.identity.ek_name, [device.issued(kind, world.stranger) for kind in KINDS])
    assert tuple(device.prove().certificates) == KINDS


def test_an_ldevid_whose_key_is_newer_than_the_record(world: World) -> None:
    device, new = Certified(world, *KINDS), birth.soft_tpm("EDGE-0003")
    for by, fine in ((world.signer, True), (world.stranger, False)):
        name = new.ldevid_public.name.hex()
        one = dataclasses.replace(device.issued("ldevid", by, new.ldevid), key_name=name)
        world.registry.set_ldevid(device.identity.ek_name, name, one, ldevid_public=new.ldevid_public.raw)
        if fine:
            assert device.prove().certificates["ldevid"].key_name == name
        else:
            world.refused("certificate_other_issuer", "issued its ldevid certificate", serial="EDGE-0003")


def test_no_other_kind_of_certificate_comes_out_of_the_registry(world: World) -> None:
    device = Certified(world, *KINDS)
    world.edit("PRAGMA ignore_check_constraints = ON", "UPDATE certificates SET kind = '../escaped' WHERE kind = 'iak'")
    assert tuple(device.prove().certificates) == ("idevid", "ldevid")
    told = ask.describe(world.device("EDGE-0003"), None, ("no_record", "none"))
    assert tuple(told["certificates"]) == ("idevid", "ldevid")


def test_a_host_of_the_registry_that_would_write_on_a_screen(world: World) -> None:
    """What the action plugins and lookups say of it, and what they return, is one line of text that shows."""
    world.edit("UPDATE devices SET host = :host, site = :host WHERE id = 1", host="\x1b[2J\u202e\nok: [edge-02]")
    options = {"serial": "EDGE-0001", "record_roots": [world.signer.certificate]}

    def look() -> dict[str, t.Any]:
        return ask.describe(*_row(_action_support.seen(world.registry, options, path=str)))

    def refuse() -> dict[str, t.Any]:
        _action_support.proven(world.registry, world.device(), options, path=str)
        return {}

    for told in (_action_support.result_of({}, look), _action_support.result_of({}, refuse)):
        said = repr([one for one in told.values() if isinstance(one, str)])
        assert "ok: [edge-02]" in said and not any(mark in one for one in told.values() if isinstance(one, str) for mark in "\x1b\u202e\n")


def _row(seen: _action_support.SeenDevice) -> tuple[t.Any, None, t.Any]:
    return seen.device, None, seen.doubt
