# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A trust bundle out of collections: what goes in, what is left out and said to be, and that nothing but the pinned files counts."""

from __future__ import annotations

import hashlib
import pathlib
import typing as t

import pytest
from support import ek_lab
from support.faults import assert_one_sentence
from support.https import Server

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import bundle, collect
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust.collect import Source


def named(organization: str, name: str) -> t.Any:
    return ek_lab.in_one_set(organization_name=organization, common_name=name)


ONE, OTHER = ek_lab.root(subject=named("One", "One Root")), ek_lab.root(subject=named("Other", "Other Root"))
KEY = ek_lab.ecc_key()
BELOW = ek_lab.ca_extensions(KEY.public_key())
SUB = ek_lab.Authority(KEY, ONE.issue(named("One", "One Sub"), KEY.public_key(), BELOW))
LOST = ek_lab.Authority(KEY, ek_lab.root("Nobody").issue(named("Far", "Far Sub"), KEY.public_key(), BELOW))
LEAF = ONE.ek(ek_lab.ecc_key().public_key(), subject=named("One", "No CA"))
NUVOTON = ek_lab.nuvoton_root()


def write(path: pathlib.Path, *ders: bytes, text: bytes = b"") -> Source:
    path.write_bytes(text + ek_lab.pem(*ders))
    return Source(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def gather(*sources: Source, **options: t.Any) -> collect.Collected:
    return collect.collect(sources, **{"limit": 30, **options})


def refused(why: str, *sources: Source, **options: t.Any) -> str:
    with pytest.raises(TpmError) as caught:
        gather(*sources, **options)
    assert why in caught.value.message, caught.value.message
    assert_one_sentence(caught.value.message.replace("a" * 64, "..."))
    return caught.value.reason


@pytest.mark.parametrize("name", ["-----BEGIN CERTIFICATE-----", "-----BEGIN TRUSTED CERTIFICATE-----", "-----END CERTIFICATE-----"])
def test_a_name_does_not_take_its_certificate_out_of_the_bundle(tmp_path: pathlib.Path, name: str) -> None:
    odd = ek_lab.root(subject=named(name, "Odd"))
    made = gather(write(tmp_path / "roots.pem", odd.der, ONE.der))
    assert made.bundle.roots == {odd.der, ONE.der} and made.bundle.left_out == () and made.bundle.total == 2


def test_collections_are_put_together_each_certificate_once(tmp_path: pathlib.Path) -> None:
    first = write(tmp_path / "roots.pem", ONE.der, NUVOTON.der, text=b"##\n## Date: 2026-04-11\n##\n")
    second = write(tmp_path / "more.pem", SUB.der, ONE.der, LOST.der, OTHER.der)
    made = gather(first, second)
    # What is written is what is read, as it was.
    assert [one for _number, one in bundle._blocks(made.pem, "CERTIFICATE")] == [ONE.der, NUVOTON.der, SUB.der, LOST.der, OTHER.der]
    told = made.describe()
    assert told["sha256"] == hashlib.sha256(told["pem"].encode()).hexdigest() and told["certificates"] == 5
    assert told["vendors"] == [
        {"vendor": "Far", "certificates": 1, "roots": 0, "without_root": 1},
        {"vendor": "Lab Technology Corporation", "certificates": 1, "roots": 1, "without_root": 0},
        {"vendor": "One", "certificates": 2, "roots": 1, "without_root": 0},
        {"vendor": "Other", "certificates": 1, "roots": 1, "without_root": 0},
    ]
    assert told["left_out"] == []
    assert gather(first, second).pem == made.pem
    path = tmp_path / "bundle.pem"
    path.write_bytes(made.pem)
    assert bundle.load_bundle(str(path), told["sha256"]).certificates == made.bundle.certificates


def test_what_is_left_out_is_named_with_its_vendor_and_why(tmp_path: pathlib.Path) -> None:
    broken = OTHER.der.replace(b"250601", b"2x0601")  # its notBefore
    source = write(tmp_path / "all.pem", ONE.der, LEAF, broken)
    told = gather(source).describe()
    assert [(one["number"], one["vendor"], one["reason"], one["src"]) for one in told["left_out"]] == [
        (2, "One", "not_a_ca", source.src),
        (3, "Other", "malformed", source.src),
    ]
    assert told["certificates"] == 1


def test_nothing_without_its_hash(tmp_path: pathlib.Path) -> None:
    good = write(tmp_path / "good.pem", ONE.der)
    refused("its SHA-256 is not given", good, good._replace(sha256=""))
    refused("is no SHA-256", good._replace(sha256="ab"))
    refused("its path is not given", good._replace(src=""))
    refused(f"its SHA-256 is {good.sha256}, not {'a' * 64}", good._replace(sha256="a" * 64))
    refused("no collection of CA certificates is given")
    refused("there is no such file", good._replace(src=str(tmp_path / "none.pem")))
    refused("there is no CA certificate in it", write(tmp_path / "leaf.pem", LEAF))
    refused("neither a path nor an address that begins with https://", good._replace(src="http://127.0.0.1/x.pem"))


@pytest.fixture
def server(tmp_path: pathlib.Path) -> t.Iterator[Server]:
    made = Server(tmp_path / "web")
    yield made
    made.close()


def test_a_collection_at_an_address(server: Server, tmp_path: pathlib.Path) -> None:
    here = write(tmp_path / "good.pem", ONE.der)
    server.pages["/v1/good.pem"] = (200, pathlib.Path(here.src).read_bytes())
    server.pages["/latest"] = (302, f"{server.url}/v1/good.pem".encode())
    server.pages["/plain"] = (302, b"http://127.0.0.1/good.pem")
    options = {"authorities": server.ca_file}
    for path in ("/v1/good.pem", "/latest"):
        made = gather(Source(server.url + path, here.sha256), **options)
        assert made.pem == gather(here).pem
    assert refused("HTTP 302", Source(f"{server.url}/plain", here.sha256), **options) == "not_fetched"
    assert refused("there is no such file", Source(f"{server.url}/none", here.sha256), **options) == "not_fetched"
    assert refused("cannot be verified", Source(f"{server.url}/latest", here.sha256)) == "not_fetched"
    server.pages["/v1/good.pem"] = (200, pathlib.Path(write(tmp_path / "other.pem", OTHER.der).src).read_bytes())
    refused("see who has changed it before you give the new hash", Source(f"{server.url}/latest", here.sha256), **options)
    asked = len(server.asked)
    # Nothing is fetched before all hashes are given.
    refused("its SHA-256 is not given", Source(f"{server.url}/latest", here.sha256), here._replace(sha256=""), **options)
    assert len(server.asked) == asked
