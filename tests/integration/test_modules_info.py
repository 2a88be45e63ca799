# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_info against a TPM: its facts are those that tpm2-tools reads."""

from __future__ import annotations

import typing as t

import pytest
from conftest import Provisioned
from support import module, profile, relay
from support.cycle import Bench
from support.proxy import Proxy

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import reading

MODULE = "tpm2_info"


@pytest.fixture
def both(proxied: Proxy, device_python: str) -> Bench:
    """On both Pythons."""
    return Bench(proxied, device_python)


def test_all_of_a_provisioned_device(provisioned: Provisioned) -> None:
    with Proxy(provisioned.swtpm) as proxy:
        bench = Bench(proxy, provisioned.python)
        found = bench.ok(MODULE)
        assert not found["changed"]
        assert proxy.writes() == proxy.sessions() == proxy.loads() == []
    tools = bench.tools
    assert {one["handle"]: one["name"] for one in found["persistent_handles"]} == {
        f"{handle:#010x}": tools.readpublic(handle).name for handle in tools.handles()
    }
    (serial,) = found["nv_indices"]
    area = tools.nvreadpublic(profile.SERIAL_INDEX)
    assert (serial["index"], serial["name"], serial["size"]) == ("0x01800010", area["name"], area["size"])
    assert (serial["type"], serial["policy"]) == ("ordinary", area["authorization policy"].lower())
    assert set(serial["attributes"]) == set(area["attributes"]["friendly"].split("|"))
    assert {one["index"]: one["digest"] for one in found["pcrs"] if one["bank"] == "sha256"}[7] == tools.pcrread(7)
    assert found["da_lockout"] == {"counter": 0, "max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400, "in_lockout": False}
    assert found["tcti"] == proxy.tcti


class Asked:
    """The relay, and how often it was asked."""

    def __init__(self, python: str) -> None:
        self._python = python
        self.exchanges = 0

    def __call__(self, asked: dict[str, t.Any]) -> t.Mapping[str, t.Any]:
        self.exchanges += 1
        return relay.carry(self._python, asked)


def test_the_controller_reads_the_same_in_few_exchanges(provisioned: Provisioned, system_python: str) -> None:
    """All facts, and those that day zero asks for first, which do not depend on each other: they travel together."""
    early = {"gather": ["identity", "da_lockout", "hierarchies", "capacity"]}
    for options, exchanges in (({}, 3), (early, 1), ({"gather": ["pcrs"], "pcrs": [0, 7]}, 2)):
        asked = Asked(system_python)
        options = {"tcti": provisioned.swtpm.tcti, **options}
        found = reading.read(options, carry=asked).result
        told = module.run(MODULE, options, python=system_python).expect_ok()
        assert found == {name: value for name, value in told.items() if name != "invocation"}
        assert asked.exchanges == exchanges
    # What is on the host, and what is wrong with options, is told by the module on the device.
    for options in ({"gather": ["host"]}, {"gather": ["identity", "findings"]}, {"pcrs": [24]}, {"gather": ["nonsense"]}):
        assert reading.read({"tcti": provisioned.swtpm.tcti, **options}, carry=lambda asked: pytest.fail(str(asked))).result is None


def test_identity_and_algorithms(both: Bench) -> None:
    found = both.ok(MODULE, gather=["identity", "algorithms"])
    fixed = both.tools.getcap("properties-fixed")
    assert found["family"] == "2.0"
    assert found["manufacturer"] == fixed["TPM2_PT_MANUFACTURER"]["value"]
    assert found["revision"] == str(fixed["TPM2_PT_REVISION"]["value"])
    assert {"ecc_p256", "ecc_p384"} <= set(found["curves"])
    assert {"rsa", "ecc", "sha256", "aes"} <= set(found["algorithms"])
    assert len(found["commands"]) == int(fixed["TPM2_PT_TOTAL_COMMANDS"]["raw"])
    assert set(found["post_quantum"].values()) == {"no"}, "libtpms lists all its algorithms, and none of these"
    assert "pcrs" not in found and "nv_indices" not in found


def test_hierarchies_and_capacity(both: Bench) -> None:
    both.ok("tpm2_hierarchy", hierarchy="endorsement", auth=both.secret("endorsement"))
    both.ok("tpm2_primary_key")
    found = both.ok(MODULE, gather=["hierarchies", "capacity"])
    assert {name: state["auth_set"] for name, state in found["hierarchies"].items()} == {
        "owner": False,
        "endorsement": True,
        "lockout": False,
        "platform": False,
    }
    now = both.tools.getcap("properties-variable")
    capacity = found["capacity"]
    assert capacity["persistent_slots_left"] == now["TPM2_PT_HR_PERSISTENT_AVAIL"]
    assert capacity["persistent_slots_used"] == now["TPM2_PT_HR_PERSISTENT"] == 1
    assert capacity["nv_indices_used"] == now["TPM2_PT_HR_NV_INDEX"] == 0


def test_chosen_pcrs(both: Bench) -> None:
    found = both.ok(MODULE, gather=["pcrs"], pcrs=[7])
    assert {one["index"] for one in found["pcrs"]} == {7}
    assert {one["bank"]: one["digest"] for one in found["pcrs"]} == {bank: both.tools.pcrread(7, bank) for bank in found["pcr_banks"]}


def test_it_is_the_same_in_check_mode(both: Bench) -> None:
    assert both.ok(MODULE, check=True) == both.ok(MODULE)
