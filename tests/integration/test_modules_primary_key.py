# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_primary_key against a TPM: the TCG templates, made, accepted, replaced and removed, and seen with tpm2-tools."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import pytest
from support.cycle import Bench
from support.proxy import Proxy

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import templates

MODULE = "tpm2_primary_key"
SRK = 0x81000001
LOW = {"fixedtpm", "fixedparent", "sensitivedataorigin", "restricted", "decrypt"}
POLICY_A = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa"
POLICY_B = {
    "sha256": "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0",
    "sha384": "b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12",
    "sha512": "b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea",
}
IAK = "5437182326e414fca797d5f174615a1641f61255797c3a2b22c21d120b2d1e07"
IDEVID = "ad6b3a2284fd698a0710bf5cc1b9bdf15e2532e3f601fa4b93a6a8fa8de579ea"
IAK_384 = "129d94ebf84556652c6eef43bbb757512ac87e52be7b349ca6ce4d826f749fcf672f51716c5cbb605f313bf345aab312"
IDEVID_384 = "4db1aa836d0b5615df6ee53a40ef70c61c217f4303d44695925972bc927006cfa5cbdf6dc18c4dbe329b2f1542c3dd33"
# Template: handle, attributes, policy, Name hash. RSA-3072 and RSA-4096 endorsement keys take a software TPM minutes: their
# templates are compared with tpm2-pytss' in the unit tests.
TEMPLATES: dict[str, tuple[int, set[str], str, str]] = {
    "srk_ecc_p256": (SRK, LOW | {"userwithauth", "noda"}, "", "sha256"),
    "srk_rsa_2048": (0x81000201, LOW | {"userwithauth", "noda"}, "", "sha256"),
    "ek_rsa_2048": (0x81010001, LOW | {"adminwithpolicy"}, POLICY_A, "sha256"),
    "ek_ecc_p256": (0x81010002, LOW | {"adminwithpolicy"}, POLICY_A, "sha256"),
    "ek_high_rsa_2048": (0x81010012, LOW | {"adminwithpolicy", "userwithauth"}, POLICY_B["sha256"], "sha256"),
    "ek_high_ecc_p256": (0x81010014, LOW | {"adminwithpolicy", "userwithauth"}, POLICY_B["sha256"], "sha256"),
    "ek_ecc_p384": (0x81010016, LOW | {"adminwithpolicy", "userwithauth"}, POLICY_B["sha384"], "sha384"),
    "ek_ecc_p521": (0x81010018, LOW | {"adminwithpolicy", "userwithauth"}, POLICY_B["sha512"], "sha512"),
    "iak_ecc_p256": (0x81020001, (LOW - {"decrypt"}) | {"userwithauth", "adminwithpolicy", "sign"}, IAK, "sha256"),
    "iak_ecc_p384": (0x81020007, (LOW - {"decrypt"}) | {"userwithauth", "adminwithpolicy", "sign"}, IAK_384, "sha384"),
    "iak_rsa_2048": (0x81020005, (LOW - {"decrypt"}) | {"userwithauth", "adminwithpolicy", "sign"}, IAK, "sha256"),
    "idevid_ecc_p256": (0x81020000, (LOW - {"decrypt", "restricted"}) | {"userwithauth", "adminwithpolicy", "sign"}, IDEVID, "sha256"),
    "idevid_ecc_p384": (
        0x81020008,
        (LOW - {"decrypt", "restricted"}) | {"userwithauth", "adminwithpolicy", "sign"},
        IDEVID_384,
        "sha384",
    ),
    "idevid_rsa_2048": (0x81020006, (LOW - {"decrypt", "restricted"}) | {"userwithauth", "adminwithpolicy", "sign"}, IDEVID, "sha256"),
}


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return Bench(proxied, device_python)


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    return Bench(proxied, system_python)


def test_every_template(bench: Bench) -> None:
    """Each is made as asked, and its Name is the one that the result gives."""
    for template, (handle, attributes, policy, name_alg) in TEMPLATES.items():
        options = {"template": template, "handle": hex(handle)}
        found = bench.ok(MODULE, **options)["resources"][0]
        public = bench.tools.readpublic(handle)
        assert public.name == found["name"], template
        assert public.attributes == attributes, template
        assert str(public.area.get("authorization policy", "")).lower() == policy, template
        assert public.area["name-alg"]["value"] == name_alg, template
        bench.idle(MODULE, **options, commands=1)
    assert len(bench.tools.handles()) == len(TEMPLATES)


def test_cycle(both: Bench, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ak.pub.pem"
    done = both.cycle(MODULE, template="iak_ecc_p256", public_path=str(path))
    assert [step["action"] for step in done["steps"]] == ["create_primary", "export"]
    assert done["steps"][0]["cost"]["persistent_slots"] == done["steps"][0]["cost"]["key_generations"] == 1
    assert done["diff"]["before"] == {"0x81020001": None, str(path): None}
    assert "restricted" in done["diff"]["after"]["0x81020001"]["attributes"]
    public = both.tools.readpublic(0x81020001)
    assert path.read_text() == public.pem
    assert done["resources"][0]["name"] == public.name
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_default_is_the_srk_that_systemd_makes(both: Bench, tmp_path: pathlib.Path) -> None:
    both.cycle(MODULE)
    public = both.tools.readpublic(SRK)
    assert public.area["attributes"]["raw"] == 0x30472
    # systemd: ECC P-256, AES-128-CFB, attributes 0x30472, empty unique, in the owner hierarchy.
    attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
    both.tools.run(
        "createprimary", "-Q", "-C", "o", "-g", "sha256", "-G", "ecc256:null:aes128cfb", "-a", attributes, "-c", tmp_path / "srk.ctx"
    )
    assert both.tools.readpublic(str(tmp_path / "srk.ctx")).name == public.name


def test_an_exported_key_is_exported_again(bench: Bench, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "srk.pem"
    bench.ok(MODULE)
    assert [step["action"] for step in bench.ok(MODULE, public_path=str(path))["steps"]] == ["export"]
    path.write_text("-----BEGIN PUBLIC KEY-----\ntorn")
    checked = bench.ok(MODULE, check=True, public_path=str(path))
    assert [step["action"] for step in checked["steps"]] == ["export"]
    assert path.read_text().endswith("torn")
    assert bench.ok(MODULE, public_path=str(path))["changed"]
    assert bench.proxy.writes() == []
    assert path.read_text() == bench.tools.readpublic(SRK).pem
    bench.idle(MODULE, public_path=str(path))


def test_unique_makes_another_key(bench: Bench) -> None:
    bench.ok(MODULE, handle="0x81000201")
    bench.ok(MODULE, handle="0x81000202", unique="second")
    names = {bench.tools.readpublic(handle).name for handle in (0x81000201, 0x81000202)}
    assert len(names) == 2


def test_absent(both: Bench) -> None:
    both.idle(MODULE, state="absent")
    both.ok(MODULE)
    both.ok(MODULE, template="ek_ecc_p256")
    done = both.cycle(MODULE, state="absent")
    assert [step["action"] for step in done["steps"]] == ["evict_control"]
    assert done["steps"][0]["cost"]["persistent_slots"] == -1
    assert both.tools.handles() == [0x81010002]


def _make(bench: Bench, folder: pathlib.Path, handle: int, *arguments: str) -> str:
    """Make a primary key by hand and persist it; returns its Name."""
    bench.tools.run("createprimary", "-Q", "-c", folder / "made.ctx", *arguments)
    bench.tools.run("evictcontrol", "-Q", "-C", "o", "-c", folder / "made.ctx", hex(handle))
    bench.tools.flush_transient()
    return bench.tools.readpublic(handle).name


def test_another_storage_parent_is_accepted_and_named(both: Bench, tmp_path: pathlib.Path) -> None:
    """An RSA key without noDA, as every guide on the web makes it: what is sealed under it lives on."""
    name = _make(both, tmp_path, SRK, "-C", "o", "-G", "rsa")
    found = both.idle(MODULE)["resources"][0]
    assert found["name"] == name == both.tools.readpublic(SRK).name
    assert "another storage parent than srk_ecc_p256" in found["accepted"]
    assert "it is rsa_2048, not ecc_p256" in found["accepted"]
    assert "noda" in found["accepted"]


def test_another_storage_parent_is_replaced_when_told(bench: Bench, tmp_path: pathlib.Path) -> None:
    name = _make(bench, tmp_path, SRK, "-C", "o", "-G", "ecc")
    done = bench.cycle(MODULE, on_mismatch="replace")
    assert done["steps"][0]["reversible"] is False
    assert done["steps"][0]["cost"]["persistent_slots"] == 0
    assert bench.tools.readpublic(SRK).name == done["resources"][0]["name"] != name


STRANGERS: dict[str, tuple[dict[str, t.Any], int, tuple[str, ...], str]] = {
    "no storage key at the SRK's handle": (
        {},
        SRK,
        ("-C", "o", "-G", "ecc", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"),
        "lacks",
    ),
    "a storage key where the EK belongs": ({"template": "ek_ecc_p256"}, 0x81010002, ("-C", "e", "-G", "ecc"), "policy is empty"),
    "the right template in another hierarchy": (
        {"handle": "0x81000201"},
        0x81000201,
        ("-C", "e", "-G", "ecc256:null:aes128cfb", "-a", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"),
        "not a primary key of the owner hierarchy",
    ),
}


@pytest.mark.parametrize("case", STRANGERS)
def test_a_stranger_stays_unless_told(bench: Bench, tmp_path: pathlib.Path, case: str) -> None:
    options, handle, arguments, reason = STRANGERS[case]
    name = _make(bench, tmp_path, handle, *arguments)
    message = bench.failed(MODULE, **options)
    assert reason in message and "on_mismatch: replace" in message
    assert reason in bench.failed(MODULE, **options, state="absent")
    assert bench.tools.readpublic(handle).name == name
    bench.cycle(MODULE, **options, on_mismatch="replace")
    assert bench.tools.readpublic(handle).name != name


def test_with_auth(both: Bench) -> None:
    """Owner and endorsement auth are set: the endorsement key needs both, one to be made and one to be kept."""
    owner, endorsement = both.secret("owner"), both.secret("endorsement")
    both.tools.run("changeauth", "-c", "o", owner)
    both.tools.run("changeauth", "-c", "e", endorsement)
    assert "give endorsement_auth" in both.failed(MODULE, template="ek_ecc_p256", owner_auth=owner)
    assert "give owner_auth" in both.failed(MODULE, template="ek_ecc_p256", endorsement_auth=endorsement)
    both.cycle(MODULE, template="ek_ecc_p256", owner_auth=owner, endorsement_auth=endorsement)
    both.cycle(MODULE, template="ek_ecc_p256", owner_auth=owner, endorsement_auth=endorsement, state="absent")


def test_in_the_platform_hierarchy(bench: Bench) -> None:
    platform = bench.secret("platform")
    bench.tools.run("changeauth", "-c", "p", platform)
    options = {"hierarchy": "platform", "handle": "0x81800001", "allow_foreign_range": True, "platform_auth": platform}
    assert "allow_foreign_range" in bench.failed(MODULE, hierarchy="platform", handle="0x81800001")
    bench.cycle(MODULE, **options)
    bench.cycle(MODULE, **options, state="absent")


def test_a_foreign_handle_must_be_allowed(bench: Bench) -> None:
    for handle in ("0x81000001", "0x81000100", "0x81010001"):
        assert "allow_foreign_range" in bench.failed(MODULE, template="iak_ecc_p256", handle=handle)
    assert "allow_foreign_range" in bench.failed(MODULE, handle="0x81000000")
    bench.cycle(MODULE, handle="0x81000000", allow_foreign_range=True)


def test_an_ek_of_another_template_may_be_a_neighbours(both: Bench) -> None:
    """systemd from version 262 on keeps an EK at 0x81010001, of a template of its own choice: no message advises to replace it."""
    neighbour = {"template": "ek_ecc_p384", "handle": "0x81010001"}
    both.ok("tpm2_primary_key", **neighbour)
    message = both.failed("tpm2_primary_key", template="ek_rsa_2048")
    assert "an EK of the template ek_ecc_p384 is there" in message and "ek_any" in message and "replace" not in message
    found = both.idle("tpm2_primary_key", template="ek_any", commands=1)
    assert found["resources"][0]["accepted"] == "the EK at 0x81010001 is of the template ek_ecc_p384"
    assert found["resources"][0]["name"] == both.tools.readpublic(0x81010001).name
    both.idle("tpm2_primary_key", template="ek_any", on_mismatch="replace", commands=1)


def test_without_any_ek_the_usual_one_is_made(both: Bench) -> None:
    both.cycle("tpm2_primary_key", template="ek_any", commands=1)
    assert both.idle("tpm2_primary_key", template="ek_rsa_2048", commands=1)
    both.cycle("tpm2_primary_key", template="ek_any", state="absent", commands=1)


def test_what_is_no_ek_is_no_ek_of_any_template(both: Bench) -> None:
    both.ok("tpm2_primary_key", template="srk_ecc_p256", handle="0x81010001", allow_foreign_range=True)
    assert "it does not match any EK template of the TCG" in both.failed("tpm2_primary_key", template="ek_any")


def _left(bench: Bench, path: pathlib.Path, index: int, data: bytes) -> None:
    """What a manufacturer leaves in NV, by tpm2-tools."""
    path.write_bytes(data)
    attributes = "ppwrite|ppread|ownerread|authread|no_da|platformcreate"
    bench.tools.run("nvdefine", f"{index:#x}", "-C", "p", "-s", str(len(data)), "-a", attributes)
    bench.tools.run("nvwrite", f"{index:#x}", "-C", "p", "-i", path)


def test_an_ek_by_the_tpms_own_template_and_nonce(bench: Bench, tmp_path: pathlib.Path) -> None:
    """The key that tpm2_createprimary makes of the same template and nonce; what describes no EK makes nothing."""
    usual = templates.primary("ek_rsa_2048").raw
    own = usual.replace(b"\x00\x06\x00\x80\x00\x43", b"\x00\x06\x01\x00\x00\x43")
    _left(bench, tmp_path / "template", 0x01C00004, own)
    _left(bench, tmp_path / "nonce", 0x01C00003, b"nonce of this TPM")
    done = bench.cycle(MODULE, template="ek_rsa_2048", commands=8)
    assert "as the template or nonce in the TPM's NV says" in done["steps"][0]["sentence"]
    # tpm2_createek -t copies a pointer in place of the nonce; tpm2_createprimary takes the unique field with a size in the host's order.
    (tmp_path / "unique").write_bytes((256).to_bytes(2, sys.byteorder) + b"nonce of this TPM".ljust(256, b"\0"))
    (tmp_path / "policy").write_bytes(bytes.fromhex(POLICY_A))
    shape = ("-G", "rsa2048:null:aes256cfb", "-a", "|".join(sorted(LOW | {"adminwithpolicy"})), "-L", tmp_path / "policy")
    bench.tools.run("createprimary", "-C", "e", *shape, "-u", tmp_path / "unique", "-c", tmp_path / "ek.ctx")
    bench.tools.run("readpublic", "-c", tmp_path / "ek.ctx", "-f", "pem", "-o", tmp_path / "ek.pem")
    bench.tools.run("flushcontext", "-t")
    public = bench.tools.readpublic(0x81010001)
    assert public.pem == (tmp_path / "ek.pem").read_text()
    assert public.area["sym-keybits"] == 256
    # A nonce alone, where the same bytes as the user's own unique value make the same key elsewhere.
    _left(bench, tmp_path / "ecc", 0x01C0000B, b"nonce")
    name = bench.ok(MODULE, template="ek_ecc_p256")["resources"][0]["name"]
    other = bench.ok(MODULE, template="ek_ecc_p256", handle="0x8101000a", unique="nonce")["resources"][0]["name"]
    assert name == other
    _left(bench, tmp_path / "bad", 0x01C00015, templates.primary("srk_ecc_p256").raw)
    said = bench.failed(MODULE, template="ek_high_ecc_p256", handle="0x81010014")
    assert "as the NV index 0x01c00015 of this TPM says: it lacks adminwithpolicy; ask the board vendor" in said
