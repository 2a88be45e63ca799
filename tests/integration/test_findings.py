# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_info's findings against real TPMs that were brought into the state, with tpm2-tools; and TPMs that cannot be read."""

from __future__ import annotations

import math
import os
import pathlib
import pwd
import struct
import subprocess
import typing as t

import pytest
from conftest import Provisioned
from support import module
from support.cycle import Bench
from support.node import NodeTpm
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import ToolError, Tools

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import roca

MODULE = "tpm2_info"
NO_DA_PARENT = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda|restricted|decrypt"
DA_PARENT = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt"
Spoil = t.Callable[[Tools], t.Any]


@pytest.fixture
def bench(proxied: Proxy, system_python: str) -> Bench:
    """A blank TPM."""
    return Bench(proxied, system_python)


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return Bench(proxied, device_python)


def findings(bench: Bench) -> dict[str, dict[str, str]]:
    """What is found, by name; nothing was written, opened or loaded for it."""
    found = bench.ok(MODULE, gather=["findings"])
    assert not found["changed"]
    assert bench.proxy.writes() == bench.proxy.sessions() == bench.proxy.loads() == []
    return {one["name"]: one for one in found["findings"]}


def persist(tools: Tools, folder: pathlib.Path, handle: str, attributes: str, algorithm: str = "ecc256:aes128cfb") -> None:
    """An object of the owner hierarchy at a handle."""
    tools.run("createprimary", "-C", "o", "-G", algorithm, "-a", attributes, "-c", folder / "primary.ctx")
    tools.run("evictcontrol", "-C", "o", "-c", folder / "primary.ctx", handle)
    tools.flush_transient()


def lock_out(tools: Tools) -> None:
    """As somebody who guesses."""
    tools.run("nvdefine", "0x01800050", "-C", "o", "-s", "1", "-p", "right", "-a", "authread|authwrite")
    for _each in range(3):
        with pytest.raises(ToolError):
            tools.run("nvread", "0x01800050", "-P", "wrong")


STATES: dict[str, tuple[str, Spoil]] = {
    "in_lockout": ("3 failed tries of 3", lock_out),
    "few_tries": ("only 3 tries", lambda tools: None),
    "no_lockout_protection": (
        "recovery_time is 0",
        lambda tools: tools.run("dictionarylockout", "-s", "-n", "32", "-t", "0", "-l", "0"),
    ),
    "owner_hierarchy_disabled": ("disabled", lambda tools: tools.run("hierarchycontrol", "-C", "o", "shEnable", "clear")),
    "endorsement_hierarchy_disabled": ("disabled", lambda tools: tools.run("hierarchycontrol", "-C", "e", "ehEnable", "clear")),
    "platform_nv_disabled": ("disabled", lambda tools: tools.run("hierarchycontrol", "-C", "p", "phEnableNV", "clear")),
    "clear_disabled": ("disabled", lambda tools: tools.run("clearcontrol", "-C", "l", "s")),
    "index_counts_for_lockout": (
        "count towards lockout",
        lambda tools: tools.run("nvdefine", "0x01800051", "-C", "o", "-s", "1", "-a", "authread|authwrite"),
    ),
    "serial_index_taken": (
        "not write-once",
        lambda tools: tools.run("nvdefine", "0x01800010", "-C", "o", "-s", "1", "-a", "authread|authwrite|no_da"),
    ),
    "owner_auth_empty": ("empty", lambda tools: None),
    "lockout_auth_empty": ("empty", lambda tools: None),
    "platform_hierarchy_open": ("empty auth", lambda tools: None),
    "simulator_in_use": ("program", lambda tools: None),
    "ek_certificate_missing": ("no certificate", lambda tools: None),
    "sha1_bank_allocated": ("sha1", lambda tools: None),
    "firmware_unknown": ("no-advisory-rule", lambda tools: None),
}


@pytest.mark.parametrize("name", STATES)
def test_the_state_of_a_tpm_is_found(bench: Bench, name: str) -> None:
    evidence, spoil = STATES[name]
    spoil(bench.tools)
    assert evidence in findings(bench)[name]["evidence"]


def test_a_device_as_declared(provisioned: Provisioned) -> None:
    tools = Tools(provisioned.swtpm.tcti)
    tools.run("changeauth", "-c", "p", "closed")
    tools.run("changeauth", "-c", "o", "owner")
    tools.run("changeauth", "-c", "l", "lockout")
    with Proxy(provisioned.swtpm) as proxy:
        found = findings(Bench(proxy, provisioned.python))
    absent = {"owner_auth_empty", "lockout_auth_empty", "platform_hierarchy_open", "few_tries", "pcrs_unmeasured", "serial_index_taken"}
    absent |= {"foreign_object_at_srk_handle", "srk_counts_for_lockout", "srk_of_another_template", "key_counts_for_lockout", "roca_key"}
    assert set(found) & absent == set()
    assert [one for one in found.values() if one["severity"] == "error"] == []


def test_on_both_pythons(both: Bench) -> None:
    assert {"few_tries", "platform_hierarchy_open"} <= set(findings(both))


def test_in_check_mode_the_same(bench: Bench) -> None:
    options = {"gather": ["findings", "identity", "advisories"]}
    assert bench.ok(MODULE, check=True, **options) == bench.ok(MODULE, **options)


def test_a_stranger_at_the_srk_handle(bench: Bench, tmp_path: pathlib.Path) -> None:
    persist(bench.tools, tmp_path, "0x81000001", "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign", "ecc256")
    found = findings(bench)
    assert found["foreign_object_at_srk_handle"]["severity"] == "error"
    assert "ecc_p256 that is not a storage parent" in found["foreign_object_at_srk_handle"]["evidence"]


def test_an_srk_without_noda(bench: Bench, tmp_path: pathlib.Path) -> None:
    persist(bench.tools, tmp_path, "0x81000001", DA_PARENT)
    assert {"foreign_object_at_srk_handle", "srk_of_another_template"} & set(found := findings(bench)) == set()
    assert "srk_counts_for_lockout" in found


def test_an_srk_of_another_template(bench: Bench, tmp_path: pathlib.Path) -> None:
    persist(bench.tools, tmp_path, "0x81000001", NO_DA_PARENT, "ecc384:aes256cfb")
    assert {"foreign_object_at_srk_handle", "srk_counts_for_lockout"} & set(found := findings(bench)) == set()
    assert "srk_of_another_template" in found


def test_a_key_of_ours_that_counts(bench: Bench, tmp_path: pathlib.Path) -> None:
    persist(bench.tools, tmp_path, "0x81000210", DA_PARENT)
    assert findings(bench)["key_counts_for_lockout"]["object"] == "0x81000210"


def test_a_parent_that_counts(bench: Bench, tmp_path: pathlib.Path) -> None:
    persist(bench.tools, tmp_path, "0x81000005", DA_PARENT)
    assert findings(bench)["parent_counts_for_lockout"]["object"] == "0x81000005"


def test_a_tpm_without_sha256(bench: Bench) -> None:
    bench.tools.run("pcrallocate", "-Q", "sha1:all+sha256:none+sha384:none+sha512:none")
    bench.proxy.swtpm.stop()
    bench.proxy.swtpm.start()
    found = findings(bench)
    assert found["sha256_bank_missing"]["evidence"] == "sha256 is not allocated, sha1 is"


def test_a_tpm_that_nobody_measured_to(new_swtpm: t.Callable[..., Swtpm], system_python: str) -> None:
    with Proxy(new_swtpm(measured_boot=False)) as proxy:
        assert "pcrs_unmeasured" in findings(Bench(proxy, system_python))


def test_a_power_cut(bench: Bench) -> None:
    assert "unclean_shutdown" not in findings(bench)
    bench.proxy.swtpm.kill()
    bench.proxy.swtpm.start()
    assert "unclean_shutdown" in findings(bench)


def weak_modulus() -> int:
    """A number of 2048 bits that bears the fingerprint of ROCA: a power of 65537 modulo each of the small primes."""
    product = math.prod(roca.PRIMES)
    power = pow(65537, 12345, product)
    factor = (1 << 2047) // product + 1
    return power + product * (factor + (power + product * factor + 1) % 2)


@pytest.mark.parametrize("weak", [True, False])
def test_the_key_in_an_ek_certificate(bench: Bench, tmp_path: pathlib.Path, weak: bool) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", tmp_path / "key", "-outform", "DER"]
    der = subprocess.run(command, capture_output=True, check=True, timeout=120).stdout
    modulus = roca.modulus_in(der)
    assert modulus is not None
    if weak:
        der = der.replace(modulus.to_bytes(256, "big"), weak_modulus().to_bytes(256, "big"))
    attributes = "ppwrite|ppread|ownerread|authread|no_da|platformcreate"
    bench.tools.run("nvdefine", "0x01c00002", "-C", "p", "-s", str(len(der) + 50), "-a", attributes)
    bench.tools.run("nvwrite", "0x01c00002", "-C", "p", "-i", "-", stdin=der)
    found = findings(bench)
    assert "ek_certificate_missing" not in found
    assert ("roca_key" in found) is weak
    if weak:
        assert found["roca_key"]["object"] == "EK certificate 0x01c00002"


def test_an_ek_certificate_that_needs_an_auth_is_left_alone(bench: Bench) -> None:
    """Reading it would count as a failed try."""
    bench.tools.run("nvdefine", "0x01c00002", "-C", "p", "-s", "8", "-p", "secret", "-a", "ppwrite|ppread|authread|platformcreate")
    bench.tools.run("nvwrite", "0x01c00002", "-C", "p", "-i", "-", stdin=bytes(8))
    assert "roca_key" not in findings(bench)
    assert bench.tools.lockout_counter() == 0


def test_room_for_few_more_objects(bench: Bench, tmp_path: pathlib.Path) -> None:
    bench.tools.run("createprimary", "-Q", "-c", tmp_path / "stranger.ctx")
    owner, empty = struct.pack(">I", 0x40000001), struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
    with bench.proxy.swtpm.raw() as tpm:
        (loaded,) = tpm.handles(0x80000000)
        for handle in range(0x81000300, 0x81000300 + tpm.tpm_property(0x209) - 2):
            tpm.call(0x120, owner + struct.pack(">I", loaded) + empty + struct.pack(">I", handle), tag=0x8002)
        tpm.flush(loaded)
    assert findings(bench)["persistent_slots_few"]["evidence"] == "room for 2 more"


def test_what_is_published_about_this_tpm(both: Bench) -> None:
    found = both.ok(MODULE, gather=["advisories"])
    assert found["advisories"]
    assert {one["verdict"] for one in found["advisories"]} <= {"affected", "not_affected", "unknown"}
    assert any("libtpms" in one["object"] for one in found["advisories"])
    days = {one["checked"] for one in found["advisories"]}
    assert found["advisories_checked"]["oldest"] <= min(days) <= max(days) <= found["advisories_checked"]["newest"]
    assert "findings" not in found and "host" not in found
    assert both.proxy.writes() == both.proxy.sessions() == []


def test_facts_beside_findings(bench: Bench) -> None:
    found = bench.ok(MODULE, gather=["findings", "pcrs"], pcrs=[7])
    assert {one["index"] for one in found["pcrs"]} == {7}
    assert found["reachable"] is True
    assert "da_lockout" not in found and "condition" not in found


def test_the_whole_tpm_costs_what_it_did(bench: Bench) -> None:
    found = bench.ok(MODULE, gather=["all"])
    assert {"host", "advisories", "findings", "reachable", "condition"} & set(found) == set()


# -- TPMs that cannot be read: a finding, never a failure


def errors_of(python: str, **options: t.Any) -> dict[str, dict[str, str]]:
    """The findings of severity error."""
    found = module.run(MODULE, {"gather": ["findings", "identity"], **options}, python=python).expect_ok()
    assert found["reachable"] is False
    assert "manufacturer" not in found
    return {one["name"]: one for one in found["findings"] if one["severity"] == "error"}


def test_nobody_is_there(system_python: str) -> None:
    found = errors_of(system_python, tcti="swtpm:host=127.0.0.1,port=1")
    assert "Connection refused" in found["tpm_unreachable"]["evidence"]


def test_no_such_node(system_python: str, tmp_path: pathlib.Path) -> None:
    assert errors_of(system_python, tcti=f"device:{tmp_path}/tpmrm0")


def test_no_library_for_the_tcti(system_python: str) -> None:
    assert "tpm_unreachable" in errors_of(system_python, tcti="nonsense:x")


def test_a_node_that_another_user_may_not_open(tmp_path: pathlib.Path, system_python: str) -> None:
    nobody = pwd.getpwnam("nobody")
    with NodeTpm(tmp_path / "tpm") as node:
        os.chmod(node.path, 0o660)
        running = module.start(MODULE, {"gather": ["findings"], "tcti": f"device:{node.path}"}, python=system_python)
        assert running.wait().expect_ok()["reachable"] is True
        child = os.fork()
        if not child:  # this process may not come back from being nobody
            os.setgid(nobody.pw_gid)
            os.setgroups([])
            os.setuid(nobody.pw_uid)
            try:
                found = errors_of(system_python, tcti=f"device:{node.path}")
                os._exit(0 if "no_permission" in found else 1)
            except BaseException:
                os._exit(2)
        _pid, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0


def test_the_host_needs_no_tpm(system_python: str) -> None:
    found = module.run(MODULE, {"gather": ["host"], "tcti": "swtpm:host=127.0.0.1,port=1"}, python=system_python).expect_ok()
    assert found["host"]["kernel"]["release"] == os.uname().release
    assert "findings" not in found and "reachable" not in found
