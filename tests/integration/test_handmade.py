# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""State made by hand with tpm2-tools, as guides on the web do it, is recognised: a profile that describes it changes nothing."""

from __future__ import annotations

import base64
import pathlib
import typing as t

import pytest
from support import profile
from support.cycle import Bench
from support.hand import CHILD, SRK, Hand
from support.proxy import Proxy

KEY = profile.TELEMETRY_KEY


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python)


def test_srk_of_the_seeds(bench: Bench, hand: Hand) -> None:
    """tpm2_createprimary as every guide writes it: RSA, no noDA. It stays and is named."""
    hand.primary("0x81000001", "-C", "o", "-g", "sha256", "-G", "rsa")
    found = bench.idle("tpm2_profile", resources=[{"primary_key": {"template": "srk_ecc_p256"}}], commands=1)
    assert "rsa_2048" in found["resources"][0]["accepted"]
    assert found["resources"][0]["name"] == hand.tools.readpublic(0x81000001).name
    # And it does the SRK's work.
    bench.cycle("tpm2_key", handle="0x81000210")


@pytest.mark.parametrize(("template", "algorithm"), [("srk_ecc_p256", "ecc256:null:aes128cfb"), ("srk_rsa_2048", "rsa2048:null:aes128cfb")])
def test_srk_of_the_standard(bench: Bench, hand: Hand, template: str, algorithm: str) -> None:
    hand.primary("0x81000001", "-C", "o", "-g", "sha256", "-G", algorithm, "-a", SRK)
    found = bench.idle("tpm2_primary_key", template=template, commands=1)
    assert "accepted" not in found["resources"][0]


@pytest.mark.parametrize("size", [5, 20])
def test_serial_number_of_the_seeds(bench: Bench, hand: Hand, size: int) -> None:
    """At 0x1000000, with dictionary attack protection; with size 20 the rest is 0xFF for ever."""
    hand.write_once("0x1000000", b"hello", size, "ownerread|authread|policywrite")
    content = base64.b64encode(b"hello".ljust(size, b"\xff")).decode()
    options = {"index": "0x01000000", "content_b64": content, "write_once": True, "no_da": False, "allow_foreign_range": True}
    bench.idle("tpm2_profile", resources=[{"nv_index": options}], commands=2)
    bench.idle("tpm2_nv_index", **options)
    assert "it lacks no_da" in bench.failed("tpm2_nv_index", **{**options, "no_da": True})


@pytest.mark.parametrize("handle", ["0x81000002", "0x81000210"])
def test_mqtt_key(bench: Bench, hand: Hand, handle: str) -> None:
    hand.primary("0x81000001", "-C", "o", "-G", "rsa")
    hand.child(handle, "-G", "rsa2048:oaep-sha256", "-a", f"{CHILD}|decrypt")
    public = hand.folder / "testkey.pub"
    hand.run("readpublic", "-Q", "-c", handle, "-o", public, "-f", "pem")
    options = {"usage": "decrypt", "algorithm": "rsa_2048", "handle": handle, "public_path": str(public)}
    options.update({"allow_foreign_range": True} if handle == "0x81000002" else {})
    bench.idle("tpm2_key", **options)
    bench.idle("tpm2_profile", resources=[{"primary_key": {}}, {"key": options}], commands=2)


def test_mqtt_key_of_the_seeds_is_not_what_anybody_wants(bench: Bench, hand: Hand) -> None:
    """A default tpm2_create signs and decrypts by any scheme and counts wrong tries: no usage describes it, and the difference is said."""
    hand.primary("0x81000001", "-C", "o", "-G", "rsa")
    hand.child("0x81000210")
    message = bench.failed("tpm2_key", usage="decrypt", algorithm="rsa_2048", handle="0x81000210")
    assert "it lacks noda" in message and "it has sign" in message and "oaep" in message


@pytest.mark.parametrize(("template", "algorithm", "handle"), [("ek_rsa_2048", "rsa", "0x81010001"), ("ek_ecc_p256", "ecc", "0x81010002")])
def test_endorsement_key(bench: Bench, hand: Hand, template: str, algorithm: str, handle: str) -> None:
    hand.run("createek", "-Q", "-c", handle, "-G", algorithm, "-u", hand.folder / "ek.pub")
    bench.idle("tpm2_primary_key", template=template, commands=1)
    bench.idle("tpm2_profile", resources=[{"primary_key": {"template": template, "handle": handle}}], commands=1)


def test_attestation_key_of_tpm2_tools(bench: Bench, hand: Hand) -> None:
    """tpm2_createak makes a child of the endorsement key."""
    files = {name: hand.folder / f"ak.{name}" for name in ("ctx", "pub", "name")}
    hand.run("createek", "-Q", "-c", "0x81010002", "-G", "ecc", "-u", hand.folder / "ek.pub")
    arguments = ("-c", files["ctx"], "-u", files["pub"], "-n", files["name"])
    hand.tools.run("createak", "-Q", "-C", "0x81010002", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", *arguments)
    hand.tools.flush_all()
    hand.run("evictcontrol", "-Q", "-C", "o", "-c", files["ctx"], "0x81000230")
    options = {"parent": "0x81010002", "usage": "restricted_sign", "algorithm": "ecc_p256", "no_da": False, "handle": "0x81000230"}
    found = bench.idle("tpm2_key", **options)
    assert found["resources"][0]["name"] == files["name"].read_bytes().hex()


def test_dictionary_attack_parameters(bench: Bench, hand: Hand) -> None:
    hand.run("dictionarylockout", "-s", "-n", "32", "-t", "600", "-l", "86400")
    bench.idle("tpm2_da_lockout", max_tries=32, recovery_time=600, lockout_recovery=86400, commands=1)


def test_auth_values(bench: Bench, hand: Hand) -> None:
    """tpm2_changeauth: the bits say that the auth is set; which it is is not tried out."""
    resources = []
    for name in ("owner", "endorsement", "lockout"):
        hand.run("changeauth", "-c", name[0], bench.secret(name))
        resources.append({"hierarchy": {"hierarchy": name, "auth": bench.secret(name)}})
    bench.idle("tpm2_profile", resources=resources, commands=1)


@pytest.mark.parametrize("attributes", ["fixedtpm|fixedparent|noda", "", "fixedtpm|fixedparent"])
def test_sealed_blob(bench: Bench, hand: Hand, attributes: str) -> None:
    """tpm2_create and tpm2_encodeobject, which writes a sealed blob as a key and says the opposite of emptyAuth."""
    hand.primary("0x81000001", "-C", "o", "-G", "rsa")
    arguments = ("-a", attributes) if attributes else ()
    file = hand.encoded("-L", hand.pcr_policy(), "-i", "-", *arguments, stdin=KEY)
    options = {"path": str(file), "pcrs": {"bank": "sha256", "indices": [7]}}
    bench.secrets["telemetry key"] = KEY
    bench.idle("tpm2_sealed_blob", **options, content_b64=base64.b64encode(KEY).decode())
    bench.idle("tpm2_sealed_blob", **options, content_b64=base64.b64encode(KEY).decode(), verify="unseal", reads=True)
    bench.ok("tpm2_unseal", **options, dest=str(hand.folder / "opened"))
    assert (hand.folder / "opened").read_bytes() == KEY
    # Sealed again, it is as we make it.
    bench.proxy.swtpm.extend_pcr(7, "another firmware")
    bench.cycle("tpm2_sealed_blob", **options, content_b64=base64.b64encode(KEY).decode(), on_mismatch="replace")
    assert b"Sealed data" in file.read_bytes()


def test_key_file(bench: Bench, hand: Hand) -> None:
    """A key that tpm2_encodeobject wrote is taken into the TPM without a new key."""
    hand.primary("0x81000001", "-C", "o", "-G", "ecc")
    file = hand.encoded("-G", "ecc256", "-a", f"{CHILD}|sign")
    bench.idle("tpm2_key", path=str(file))
    done = bench.cycle("tpm2_key", path=str(file), handle="0x81000210", loads=True)
    assert done["steps"][0]["cost"]["key_generations"] == 0


def test_a_whole_device(proxied: Proxy, hand: Hand, device_dir: pathlib.Path, device_python: str) -> None:
    """All of the reference profile that tpm2-tools can make in one line each: the profile finds it done, in as few reads as its own work."""
    hand.primary("0x81000001", "-C", "o", "-g", "sha256", "-G", "ecc256:null:aes128cfb", "-a", SRK)
    hand.run("createek", "-Q", "-c", "0x81010001", "-G", "rsa", "-u", hand.folder / "ek.pub")
    hand.child("0x81000210", "-G", "rsa2048:oaep-sha256", "-a", f"{CHILD}|decrypt")
    hand.run("readpublic", "-Q", "-c", "0x81000210", "-o", device_dir / "mqtt.pub.pem", "-f", "pem")
    serial = profile.SERIAL.encode()
    hand.write_once(hex(profile.SERIAL_INDEX), serial, len(serial), "ownerread|authread|policywrite|no_da")
    hand.run("dictionarylockout", "-s", "-n", "32", "-t", "600", "-l", "86400")
    file = hand.encoded("-L", hand.pcr_policy(), "-a", "fixedtpm|fixedparent|noda", "-i", "-", stdin=KEY)
    file.rename(device_dir / "telemetry.key.pem")
    resources = [
        item
        for item in profile.reference(profile.SERIAL, base64.b64encode(KEY).decode(), device_dir)
        if not str(item.get("primary_key", {}).get("template")).startswith("iak")
    ]
    assert len(resources) == 6
    bench = Bench(proxied, device_python, {"telemetry key": KEY})
    found = bench.idle("tpm2_profile", resources=resources, commands=7)
    assert all("accepted" not in one for one in found["resources"])
    _same_after_a_reset(bench, resources)


def _same_after_a_reset(bench: Bench, resources: t.Any) -> None:
    bench.proxy.swtpm.restart()
    bench.idle("tpm2_profile", resources=resources, commands=7)
