# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Escrow: what it derives and what it seals, against OpenSSL; what it refuses, and that it lets no value slip."""

from __future__ import annotations

import base64
import dataclasses
import pathlib
import re
import sqlite3
import subprocess
import typing as t

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from support import escrow as others
from support.faults import assert_one_sentence
from support.registry import PINNED, identity, name, side_by_side

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import DependencyError, InputError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _escrow, _master
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow, EscrowError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import faults, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry

MASTER, ANOTHER = b"sentinel-ypeBEsobvcr6wjGzmiPcTaeG7_gUfE5yuYB3ha_uSLs", b"sentinel-PiPoFgA5WUoziU9lZOGxNIu9egCI1CxKy3PurtWcAJ0"
EK = identity(1).ek_name
AUTH = re.compile(r"[A-Za-z0-9_-]{32}")


def openssl(*arguments: str | pathlib.Path, stdin: bytes = b"") -> bytes:
    """What OpenSSL's program writes."""
    return subprocess.run(["openssl", *map(str, arguments)], input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with the private half of the recovery key, `key.pem`, and the public half in `public.pem` and `certificate.pem`."""
    folder = tmp_path_factory.mktemp("safe")
    openssl("genrsa", "-out", folder / "key.pem", "2048")
    openssl("pkey", "-in", folder / "key.pem", "-pubout", "-out", folder / "public.pem")
    subject = ("-subj", "/CN=recovery", "-days", "1")
    openssl("req", "-x509", "-new", "-key", folder / "key.pem", *subject, "-out", folder / "certificate.pem")
    return folder


@pytest.fixture
def registry(tmp_path: pathlib.Path) -> Registry:
    """A registry with device 1."""
    made = open_registry(str(tmp_path / "registry.sqlite"))
    made.enroll(identity(1), PINNED, [])
    return made


@pytest.fixture
def random(registry: Registry, safe: pathlib.Path) -> Escrow:
    """The escrow of random values."""
    return Escrow(registry, mode="random", master=MASTER, recovery_key=(safe / "public.pem").read_bytes())


def test_a_derived_auth_is_what_openssl_derives() -> None:
    for hierarchy, generation in (("owner", 1), ("endorsement", 2), ("lockout", 70000)):
        info = bytes([0, 34]) + bytes.fromhex(EK) + bytes([0, len(hierarchy)]) + hierarchy.encode() + generation.to_bytes(4, "big")
        options = {"digest": "SHA256", "hexkey": MASTER.hex(), "hexsalt": b"edgefleet.tpm2 escrow v1".hex(), "hexinfo": info.hex()}
        given = [word for key, value in options.items() for word in ("-kdfopt", f"{key}:{value}")]
        derived = openssl("kdf", "-binary", "-keylen", "24", *given, "HKDF")
        wanted = openssl("base64", "-A", stdin=derived).decode().translate(str.maketrans("+/", "-_"))
        assert Escrow(None, mode="derived", master=MASTER).auth(EK, hierarchy, generation) == wanted


def test_every_auth_is_another_and_none_ends_in_a_zero_byte() -> None:
    escrow, other = Escrow(None, mode="derived", master=MASTER), Escrow(None, mode="derived", master=ANOTHER)
    # A Name of SHA-384 that begins with the bytes of another one: an encoding without lengths could mix them up.
    names = [EK, name("ek 2"), EK + "00" * 16]
    found = [
        one.auth(ek, hierarchy, generation)
        for one in (escrow, other)
        for ek in names
        for hierarchy in _escrow.HIERARCHIES
        for generation in (1, 2)
    ]
    assert len(set(found)) == len(found) == 36
    assert all(AUTH.fullmatch(value) and value.encode()[-1] != 0 for value in found)


def test_derived_auths_are_the_same_with_a_registry_and_leave_a_check_of_the_master(registry: Registry) -> None:
    escrow = Escrow(registry, mode="derived", master=MASTER)
    alone = Escrow(None, mode="derived", master=MASTER)
    device = registry.find(serial="EDGE-0001")
    assert device is not None
    found = escrow.auths(device)
    assert found == {hierarchy: alone.auth(EK, hierarchy, 1) for hierarchy in ("owner", "endorsement", "lockout")}
    assert escrow.auths(device, generation=2) == {hierarchy: alone.auth(EK, hierarchy, 2) for hierarchy in found}
    events = len(registry.events())
    assert escrow.auths(device) == found
    assert len(registry.events()) == events
    kept = registry.auth(EK, "owner", 1)
    assert kept is not None and (kept.mode, kept.sealed_recovery) == ("derived", b"")
    assert found["owner"].encode() not in kept.sealed_operations


@pytest.mark.parametrize("mode", ["derived", "random"])
def test_another_master_gets_a_sentence_and_never_a_value(registry: Registry, safe: pathlib.Path, mode: str) -> None:
    key = (safe / "public.pem").read_bytes()
    first = Escrow(registry, mode=mode, master=MASTER, recovery_key=key).auth(EK, "lockout", 1)
    for create in (True, False):
        with pytest.raises(EscrowError, match="the master secret is not the one that it was made with") as error:
            Escrow(registry, mode=mode, master=ANOTHER, recovery_key=key, create=create).auth(EK, "lockout", 1)
        assert first not in str(error.value) and "sentinel" not in str(error.value)
        assert error.value.__context__ is None


@pytest.mark.parametrize(("first", "then"), [("derived", "random"), ("random", "derived")])
def test_another_mode_than_the_one_that_made_it_is_refused(registry: Registry, safe: pathlib.Path, first: str, then: str) -> None:
    key = (safe / "public.pem").read_bytes()
    Escrow(registry, mode=first, master=MASTER, recovery_key=key).auth(EK, "owner", 1)
    with pytest.raises(EscrowError, match=f"it was made with the mode {first}, and {then} is asked for; give mode: {first}[.]"):
        Escrow(registry, mode=then, master=MASTER, recovery_key=key).auth(EK, "owner", 1)
    assert AUTH.fullmatch(Escrow(registry, mode=then, master=MASTER, recovery_key=key).auth(EK, "owner", 2))


@pytest.mark.parametrize("half", ["public.pem", "certificate.pem"])
def test_openssl_alone_recovers_a_random_auth(registry: Registry, safe: pathlib.Path, tmp_path: pathlib.Path, half: str) -> None:
    escrow = Escrow(registry, mode="random", master=MASTER, recovery_key=(safe / half).read_bytes())
    value = escrow.auth(EK, "endorsement", 3)
    # As it is done on the day when all else is lost: the row's bytes, and the key out of the safe.
    connection = sqlite3.connect(tmp_path / "registry.sqlite")
    query = "SELECT sealed_recovery FROM auths WHERE ek_name = ? AND hierarchy = 'endorsement' AND generation = 3"
    ((sealed,),) = connection.execute(query, (EK,)).fetchall()
    connection.close()
    options = ("-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256")
    line = openssl("pkeyutl", "-decrypt", "-inkey", safe / "key.pem", *options, stdin=sealed)
    assert line.decode() == f"edgefleet.tpm2 1 {EK} endorsement 3 {value}\n"


def test_random_auths_stay_what_they_were_and_each_is_another(random: Escrow, registry: Registry, safe: pathlib.Path) -> None:
    device = registry.find(serial="EDGE-0001")
    assert device is not None
    found = {generation: random.auths(device, generation=generation) for generation in (1, 2)}
    values = [value for one in found.values() for value in one.values()]
    assert len(set(values)) == 6 and all(AUTH.fullmatch(value) for value in values)
    again = Escrow(registry, mode="random", master=MASTER, recovery_key=(safe / "certificate.pem").read_bytes())
    assert {generation: again.auths(device, generation=generation) for generation in (1, 2)} == found
    # What is there is read without a recovery key too.
    assert Escrow(registry, mode="random", master=MASTER, create=False).auths(device) == found[1]
    assert [event.kind for event in registry.events()] == ["enrolled"] + ["auth_escrowed"] * 6


def test_no_value_is_in_the_registry_or_in_what_is_printed(random: Escrow, registry: Registry, tmp_path: pathlib.Path) -> None:
    value = random.auth(EK, "owner", 1)
    stored = (tmp_path / "registry.sqlite").read_bytes()
    assert value.encode() not in stored and MASTER not in stored
    kept = registry.auth(EK, "owner", 1)
    printed = f"{random!r} {random} {kept!r} {registry.events()}"
    assert value not in printed and "sentinel" not in printed


def test_nothing_is_returned_before_it_is_durable(random: Escrow, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    full = faults.registry_error("keep an auth value", "x", faults.FULL)
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_write", lambda *_arguments: (nothing for nothing in ()).throw(full))
        with pytest.raises(faults.RegistryError, match="it is full"):
            random.auth(EK, "owner", 1)
    # A storage that says yes and keeps nothing.
    with monkeypatch.context() as patch:
        patch.setattr(registry, "_write", lambda *_arguments: None)
        with pytest.raises(faults.RegistryError, match="what was committed is not there"):
            random.auth(EK, "owner", 1)
    assert registry.auth(EK, "owner", 1) is None


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("sealed_recovery", "what was read back from the registry is not what was written"),
        ("sealed_operations", "or the registry's row is damaged"),
    ],
)
def test_a_storage_that_changes_what_it_keeps_is_noticed(
    random: Escrow, registry: Registry, monkeypatch: pytest.MonkeyPatch, field: str, words: str
) -> None:
    def damaged(wanted: t.Sequence[records.StoredAuth]) -> list[records.StoredAuth]:
        return [dataclasses.replace(one, **{field: getattr(one, field)[:-1] + b"\0"}) for one in wanted]

    monkeypatch.setattr(registry, "put_auths", damaged)
    with pytest.raises(EscrowError, match=words):
        random.auth(EK, "owner", 1)


def test_a_row_that_was_put_in_anothers_place_is_noticed(random: Escrow, registry: Registry, tmp_path: pathlib.Path) -> None:
    random.auth(EK, "owner", 1)
    connection = sqlite3.connect(tmp_path / "registry.sqlite")
    columns = "generation, mode, sealed_operations, sealed_recovery, made_at"
    with connection:
        connection.execute(f"INSERT INTO auths (ek_name, hierarchy, {columns}) SELECT ek_name, 'lockout', {columns} FROM auths")
    connection.close()
    with pytest.raises(EscrowError, match="Could not open the lockout auth of generation 1 .* row is damaged"):
        random.auth(EK, "lockout", 1)


def test_a_later_seal_is_named(random: Escrow, registry: Registry) -> None:
    registry.put_auths([records.StoredAuth(EK, "owner", 1, "random", b"\2" + bytes(60), b"x")])
    with pytest.raises(EscrowError, match="it was sealed by a newer release"):
        random.auth(EK, "owner", 1)


def test_processes_that_create_at_once_return_the_one_that_was_stored(
    registry: Registry, safe: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    url, key = str(tmp_path / "registry.sqlite"), (safe / "public.pem").read_bytes()
    found = side_by_side(others.auth, [(url, MASTER, key, EK)] * 6)
    assert len(set(found)) == 1
    kept = Escrow(registry, mode="random", master=MASTER, create=False).auth(EK, "owner", 1)
    assert found[0] == kept
    assert [event.kind for event in registry.events()] == ["enrolled", "auth_escrowed"]


def test_check_mode_writes_nothing_and_answers_with_a_passing_value(registry: Registry, tmp_path: pathlib.Path) -> None:
    before = (tmp_path / "registry.sqlite").read_bytes()
    derived = Escrow(registry, mode="derived", master=MASTER, create=False)
    assert derived.auth(EK, "owner", 1) == Escrow(None, mode="derived", master=MASTER).auth(EK, "owner", 1)
    passing = Escrow(registry, mode="random", master=MASTER, create=False)
    values = {passing.auth(EK, "owner", 1) for _time in range(2)}
    assert len(values) == 2 and all(AUTH.fullmatch(value) for value in values)
    assert (tmp_path / "registry.sqlite").read_bytes() == before


def test_what_names_no_auth(registry: Registry) -> None:
    escrow = Escrow(registry, mode="derived", master=MASTER)
    for arguments, words in (
        ((EK, "platform", 1), "for the hierarchy 'platform': there is none"),
        ((EK, "owner", 0), "of generation '0'"),
        ((EK, "owner", True), "of generation 'True'"),
        ((EK.upper(), "owner", 1), "it is no TPM Name"),
    ):
        with pytest.raises(InputError, match=words):
            escrow.auth(*arguments)


GUESSABLE = {
    "short": b"0123456789abcdef",
    "a password": b"correct horse battery staple, and some more of it",
    "31 bytes in hex": bytes(range(100, 131)).hex().encode(),
    "one character": b"a" * 64,
    "repeated": b"4828d4f502c87190" * 4,
    "zeros": b"00" * 32,
    "text in hex": b"correct horse battery staple, and some more of it".hex().encode(),
    "a word in the place of base64": b"correcthorsebatterystaplecorrecthorsebatterystaple",
}


@pytest.mark.parametrize("master", GUESSABLE.values(), ids=GUESSABLE)
def test_a_master_that_somebody_could_guess(registry: Registry, master: bytes) -> None:
    with pytest.raises(InputError, match="the master secret is not .*'openssl rand -hex 32'.*former_master.*rotate_auth") as caught:
        Escrow(registry, mode="derived", master=master)
    assert caught.value.reason == "weak_master" and master.decode() not in caught.value.message
    assert_one_sentence(caught.value.message)


@pytest.mark.parametrize("command", [("-hex", "32"), ("-base64", "32"), ("-hex", "48"), ("-base64", "64")])
def test_what_openssl_makes_is_a_master(command: tuple[str, str]) -> None:
    made = openssl("rand", *command).replace(b"\n", b"")
    assert AUTH.fullmatch(Escrow(None, mode="derived", master=made).auth(EK, "owner", 1))


def first_release(registry: Registry, path: pathlib.Path, master: bytes, value: str, mode: str) -> None:
    """A row as the first release sealed it, for which a guess cost nothing."""
    info = bytes([0, 34]) + bytes.fromhex(EK) + bytes([0, 5]) + b"owner" + (1).to_bytes(4, "big") + mode.encode()
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=b"edgefleet.tpm2 escrow v1 operations", info=b"").derive(master)
    sealed = b"\1" + bytes(12) + AESGCM(key).encrypt(bytes(12), value.encode(), info)
    registry.put_auths([records.StoredAuth(EK, "owner", 1, mode, sealed, b"recovery" if value else b"")])


@pytest.mark.parametrize(("mode", "value"), [("derived", ""), ("random", "A" * 32)])
def test_a_row_of_the_first_release_is_replaced_once(registry: Registry, tmp_path: pathlib.Path, mode: str, value: str) -> None:
    first_release(registry, tmp_path, MASTER, value, mode)
    before = registry.auth(EK, "owner", 1)
    wanted = value or Escrow(None, mode="derived", master=MASTER).auth(EK, "owner", 1)
    with pytest.raises(EscrowError, match="the master secret is not the one"):
        Escrow(registry, mode=mode, master=ANOTHER, create=mode == "derived").auth(EK, "owner", 1)
    assert Escrow(registry, mode=mode, master=MASTER, create=False).auth(EK, "owner", 1) == wanted
    assert registry.auth(EK, "owner", 1) == before
    key = openssl("rsa", "-pubout", stdin=openssl("genrsa", "2048")) if mode == "random" else None
    for _again in range(2):
        assert Escrow(registry, mode=mode, master=MASTER, recovery_key=key).auth(EK, "owner", 1) == wanted
    after = registry.auth(EK, "owner", 1)
    assert before is not None and after is not None
    assert after == dataclasses.replace(before, sealed_operations=after.sealed_operations) and after.sealed_operations[0] == 2
    with pytest.raises(EscrowError, match="the master secret is not the one"):
        Escrow(registry, mode=mode, master=ANOTHER, create=False).auth(EK, "owner", 1)


def test_the_way_out_of_a_master_that_does_not_qualify(registry: Registry, tmp_path: pathlib.Path) -> None:
    """Its values are opened, so that a rotation can replace them; what is made, is made with the new one."""
    old = GUESSABLE["short"]
    first_release(registry, tmp_path, old, "", "derived")
    escrow = Escrow(registry, mode="derived", master=MASTER, former_master=old)
    info = bytes([0, 34]) + bytes.fromhex(EK) + bytes([0, 5]) + b"owner" + (1).to_bytes(4, "big")
    raw = HKDF(algorithm=hashes.SHA256(), length=24, salt=b"edgefleet.tpm2 escrow v1", info=info).derive(old)
    assert escrow.auth(EK, "owner", 1) == base64.urlsafe_b64encode(raw).decode()
    following = escrow.auth(EK, "owner", 2)
    assert following == Escrow(None, mode="derived", master=MASTER).auth(EK, "owner", 2)
    assert Escrow(registry, mode="derived", master=MASTER).auth(EK, "owner", 2) == following
    with pytest.raises(EscrowError, match="the master secret is not the one"):
        Escrow(registry, mode="derived", master=MASTER).auth(EK, "owner", 1)


def test_the_cost_is_paid_once_and_is_nobodys_choice(registry: Registry) -> None:
    _master.stretched.cache_clear()
    for number in range(1, 6):
        Escrow(registry, mode="derived", master=MASTER).many(name(f"ek {number}"), _escrow.HIERARCHIES, 1)
    assert _master.stretched.cache_info().misses == 1
    kept = registry.auth(name("ek 1"), "owner", 1)
    assert kept is not None and kept.sealed_operations[:4] == bytes([2, 14, 8, 1])
    dear = dataclasses.replace(kept, ek_name=name("ek 9"), sealed_operations=b"\2\x1f" + kept.sealed_operations[2:])
    registry.put_auths([dear])
    with pytest.raises(EscrowError, match="it was sealed by a newer release"):
        Escrow(registry, mode="derived", master=MASTER).auth(name("ek 9"), "owner", 1)


@pytest.mark.parametrize("change", [{"ek_name": name("ek 2")}, {"hierarchy": "lockout"}, {"generation": 2}])
def test_no_row_stands_for_another(random: Escrow, registry: Registry, change: dict[str, t.Any]) -> None:
    """Whoever can write to the registry gets no value of one device for another, and no old one for a new one."""
    random.auth(EK, "owner", 1)
    kept = registry.auth(EK, "owner", 1)
    assert kept is not None
    moved = dataclasses.replace(kept, **change)
    registry.put_auths([moved])
    with pytest.raises(EscrowError, match="or the registry's row is damaged"):
        random.auth(moved.ek_name, moved.hierarchy, moved.generation)


class Liar:
    """A registry that answers every query with what it keeps of another device, changed as told."""

    def __init__(self, registry: Registry, victim: str, change: dict[str, t.Any]) -> None:
        self._registry, self._victim, self._change = registry, victim, change
        self.empty = False

    def _rows(self) -> dict[str, records.StoredAuth]:
        rows = self._registry.auths(self._victim, 1)
        return {hierarchy: dataclasses.replace(row, **self._change) for hierarchy, row in rows.items()}

    def auths(self, _ek_name: str, _generation: int) -> dict[str, records.StoredAuth]:
        return {} if self.empty else self._rows()

    def put_auths(self, wanted: t.Sequence[records.StoredAuth]) -> list[records.StoredAuth]:
        return [self._rows()[one.hierarchy] for one in wanted]

    def latest_sealed(self) -> bytes:
        return self._registry.latest_sealed()


OWN = name("ek 2")


@pytest.mark.parametrize("empty", [False, True], ids=["there already", "read back"])
@pytest.mark.parametrize("create", [True, False], ids=["create", "check"])
@pytest.mark.parametrize("mode", ["derived", "random"])
def test_a_registry_that_answers_with_another_devices_rows_gets_none_of_its_auths(
    registry: Registry, safe: pathlib.Path, mode: str, create: bool, empty: bool
) -> None:
    """Whoever answers in the place of the registry may say anything of a row: what counts is what was asked."""
    key = (safe / "public.pem").read_bytes()
    of_victim = Escrow(registry, mode=mode, master=MASTER, recovery_key=key).many(EK, _escrow.HIERARCHIES, 1)
    for change, word in (({}, "other_row"), ({"ek_name": OWN}, "state")):
        liar = Liar(registry, EK, change)
        liar.empty = empty
        held = Escrow(t.cast("Registry", liar), mode=mode, master=MASTER, recovery_key=key, create=create)
        if empty and not create:
            assert not set(held.many(OWN, _escrow.HIERARCHIES, 1).values()) & set(of_victim.values())
            continue
        with pytest.raises(EscrowError) as caught:
            held.many(OWN, _escrow.HIERARCHIES, 1)
        assert caught.value.reason == word
        assert_one_sentence(caught.value.message)
        assert not any(value in caught.value.message for value in of_victim.values())


class TwoFaced(str):
    """Text that is equal to any other: as a database may answer two questions for one row in two ways."""

    __hash__ = str.__hash__

    def __eq__(self, _other: object) -> bool:
        return True

    def __ne__(self, _other: object) -> bool:
        return False


@pytest.mark.parametrize("mode", ["derived", "random"])
def test_what_is_opened_is_bound_to_what_was_asked(registry: Registry, safe: pathlib.Path, mode: str) -> None:
    """Even where no comparison sees the difference."""
    key = (safe / "public.pem").read_bytes()
    Escrow(registry, mode=mode, master=MASTER, recovery_key=key).many(EK, _escrow.HIERARCHIES, 1)
    liar = t.cast("Registry", Liar(registry, EK, {"ek_name": TwoFaced(EK)}))
    with pytest.raises(EscrowError, match="or the registry's row is damaged"):
        Escrow(liar, mode=mode, master=MASTER, recovery_key=key).many(OWN, _escrow.HIERARCHIES, 1)


@pytest.mark.parametrize("change", [{"hierarchy": "lockout"}, {"generation": 2}])
def test_rows_of_another_hierarchy_or_generation_are_refused(random: Escrow, registry: Registry, change: dict[str, t.Any]) -> None:
    random.auth(EK, "owner", 1)
    liar = t.cast("Registry", Liar(registry, EK, change))
    with pytest.raises(EscrowError, match="the registry answered with the row of another") as caught:
        Escrow(liar, mode="random", master=MASTER, create=False).auth(EK, "owner", 1)
    assert caught.value.reason == "other_row"


def test_an_unknown_mode(registry: Registry) -> None:
    with pytest.raises(InputError, match="there is no mode 'fixed'"):
        Escrow(registry, mode="fixed", master=MASTER)
    with pytest.raises(InputError, match="random auth values are kept in the registry, and none is given"):
        Escrow(None, mode="random", master=MASTER)
    with pytest.raises(InputError, match="random auth values need a recovery key"):
        Escrow(registry, mode="random", master=MASTER)


def test_what_is_no_recovery_key(registry: Registry, safe: pathlib.Path, tmp_path: pathlib.Path) -> None:
    openssl("genrsa", "-out", tmp_path / "short.key", "1024")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", tmp_path / "ec.key")
    for kind in ("short", "ec"):
        openssl("pkey", "-in", tmp_path / f"{kind}.key", "-pubout", "-out", tmp_path / f"{kind}.pem")
    bad = (
        ((safe / "key.pem").read_bytes(), "it is the private half; keep that in a safe"),
        ((tmp_path / "short.pem").read_bytes(), "it has 1024 bits, fewer than 2048"),
        ((tmp_path / "ec.pem").read_bytes(), "it is no RSA key"),
        (b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", "it is no PEM of a public key or a certificate"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "it is no PEM of a public key or a certificate"),
        (b"", "it is no PEM of a public key or a certificate"),
    )
    for pem, words in bad:
        with pytest.raises(InputError, match=words):
            Escrow(registry, mode="random", master=MASTER, recovery_key=pem)


def test_a_recovery_key_too_small_for_a_long_name(registry: Registry, random: Escrow) -> None:
    long = "000d" + "ab" * 64  # SHA-512
    with pytest.raises(InputError, match="2048 bits are too few for an EK Name of this length"):
        random.auth(long, "endorsement", 1)
    assert registry.auth(long, "endorsement", 1) is None


def test_a_missing_cryptography_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_escrow, "IMPORT_ERROR", ImportError("No module named 'cryptography'"))
    with pytest.raises(DependencyError, match="Python's cryptography is missing .*install 'cryptography>=42'"):
        Escrow(None, mode="derived", master=MASTER)
