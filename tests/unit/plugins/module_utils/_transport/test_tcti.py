# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which TPM is meant: what is given, what the environment says, what is there; never a search that can end at a simulator."""

from __future__ import annotations

import pathlib

import pytest
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import device, stream, tcti, tss
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport.opener import open_transport


@pytest.fixture(autouse=True)
def nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> pathlib.Path:
    """A machine without TPM and environment; its /dev is this folder."""
    monkeypatch.delenv("TPM2TOOLS_TCTI", raising=False)
    monkeypatch.setattr(tcti, "RESOURCE_MANAGED", str(tmp_path / "tpmrm0"))
    monkeypatch.setattr(tcti, "DIRECT", str(tmp_path / "tpm0"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name", "conf", "manager"),
    [
        ("device:/dev/tpmrm0", "device", "/dev/tpmrm0", "kernel"),
        ("device:/dev/tpmrm1", "device", "/dev/tpmrm1", "kernel"),
        ("device:/dev/tpm0", "device", "/dev/tpm0", "none"),
        ("swtpm:host=127.0.0.1,port=2321", "swtpm", "host=127.0.0.1,port=2321", "none"),
        ("swtpm", "swtpm", "", "none"),
        ("tabrmd:bus_name=com.intel.tss2.Tabrmd,bus_type=session", "tabrmd", "bus_name=com.intel.tss2.Tabrmd,bus_type=session", "abrmd"),
        ("tabrmd", "tabrmd", "", "abrmd"),
        ("mssim:host=a,port=1", "mssim", "host=a,port=1", "none"),
        ("cmd:tpm2_send -T device", "cmd", "tpm2_send -T device", "none"),
        ("spi-ltt2go:x", "spi-ltt2go", "x", "none"),
    ],
)
def test_what_is_given(text: str, name: str, conf: str, manager: str) -> None:
    found = tcti.resolve(text)
    assert (found.name, found.conf, found.text, found.resource_manager) == (name, conf, text, manager)


@pytest.mark.parametrize(
    "text", ["/dev/tpmrm0", "/dev/tpmrm0:x", ":x", ":", "a b:c", "device /dev/tpm0", "libtss2-tcti-device.so.0", "../x:y"]
)
def test_what_is_no_tcti_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="name:options.*device:/dev/tpmrm0"):
        tcti.resolve(text)


def test_given_then_environment_then_nodes(monkeypatch: pytest.MonkeyPatch, nodes: pathlib.Path) -> None:
    managed, direct = nodes / "tpmrm0", nodes / "tpm0"
    assert tcti.resolve(None).text == f"device:{managed}"
    direct.touch()
    assert tcti.resolve(None).text == f"device:{direct}"
    managed.touch()
    assert tcti.resolve(None).text == f"device:{managed}"
    assert tcti.resolve("").text == f"device:{managed}"
    monkeypatch.setenv("TPM2TOOLS_TCTI", "swtpm:port=1")
    assert tcti.resolve(None).text == "swtpm:port=1"
    assert tcti.resolve("swtpm:port=2").text == "swtpm:port=2"
    monkeypatch.setenv("TPM2TOOLS_TCTI", "")
    assert tcti.resolve(None).text == f"device:{managed}"


def test_a_device_without_a_node_is_the_resource_manager(nodes: pathlib.Path) -> None:
    assert tcti.resolve("device").text == tcti.resolve("device:").text == f"device:{nodes / 'tpmrm0'}"


def test_each_kind_has_its_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in ((device, "DeviceNode"), (stream, "Socket"), (tss, "Loaded")):
        monkeypatch.setattr(module, name, lambda place, kind=name: (kind, place))
    assert open_transport(tcti.Tcti("device", "/dev/tpm0")) == ("DeviceNode", "/dev/tpm0")
    assert open_transport(tcti.Tcti("swtpm", "port=1")) == ("Socket", tcti.Tcti("swtpm", "port=1"))
    assert open_transport(tcti.Tcti("tabrmd", "")) == ("Loaded", tcti.Tcti("tabrmd", ""))


def test_a_real_tpm_over_tcp(swtpm: Swtpm) -> None:
    connection = open_transport(tcti.resolve(swtpm.tcti))
    try:
        assert Reader(connection).properties()[0x20E] == 0
    finally:
        connection.close()
        connection.close()
