# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A registry that is the attacker's, or that he has written to: no auth value of any device reaches his host, its TPM, or what is said of the run."""

from __future__ import annotations

import base64
import json
import pathlib
import shutil
import typing as t

import pytest
from support import proven, secrets
from support import registry as stored
from support.controller import Controller, cores, said
from support.factory import Line, Vendor
from support.tools import Tools

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import birth_records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import HIERARCHIES, Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry

MASTER = secrets.made_up("master of the victim", 64)
HARDENED = {"tpm2_profile_hardened": True, "tpm2_identity_escrow": {"mode": "derived", "master": MASTER}}
VICTIM, HIS = "EF-EDGE-01", "EF-EDGE-02"


class Scene(t.NamedTuple):
    """A line on which edge-01 is enrolled and hardened; edge-02 is the attacker's, who keeps what is sent to its Python."""

    line: Line
    tap: pathlib.Path

    def registry(self, *statements: str, **values: t.Any) -> str:
        """A copy that the attacker has edited."""
        path = self.line.folder / "his.sqlite"
        shutil.copy(self.line.registry, path)
        stored.edit(path, *statements, **values)
        return str(path)

    def forged(self) -> str:
        """The victim's record, for the attacker's serial number and host, signed by a CA of his own."""
        with open_registry(self.line.registry, create=False) as registry:
            victim = registry.find(serial=VICTIM)
            record = victim and registry.birth_record(victim.ek_name)
        payload = json.loads(base64.b64decode(json.loads(record or "")["payload"]))
        payload |= {"device": {**payload["device"], "serial": HIS, "host": "edge-02"}, "certificates": {}, "nv_certify": None}
        return birth_records.sign(payload, proven.Signer(self.line.folder / "his").ca)

    def refused(self, playbook: str, registry: str, serial: str, words: str) -> None:
        """Run it for his host: it ends with those words, and he has got nothing."""
        host = {**self.line.variables, **self.line.units["edge-02"].host, **HARDENED, "tpm2_identity_registry": registry}
        host |= {"tpm2_profile_serial": serial, "ansible_python_interpreter": str(self.tap / "python")}
        done = self.line.controller(f"edgefleet.tpm2.{playbook}", {"edge-02": host}, "-vvvv")
        assert done.returncode != 0 and words in said(done), said(done)
        with open_registry(self.line.registry, create=False) as one:
            victim = one.find(serial=VICTIM)
        assert victim is not None
        derive = Escrow(None, master=MASTER.encode())
        values = {f"{name} {number}": derive.auth(victim.ek_name, name, number).encode() for name in HIERARCHIES for number in (1, 2)}
        values["master"] = MASTER.encode()
        sent = "".join(file.read_text("latin-1") for file in self.tap.glob("sent.*"))
        assert secrets.in_text(sent + done.stdout + done.stderr, values) == []
        tpm = self.line.units["edge-02"].swtpm
        assert not any(Tools(tpm.tcti).auth_is_set().values())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor, system_python: str) -> t.Iterator[Scene]:
    folder = tmp_path_factory.mktemp("attacker")
    line = Line(folder / "line", vendor, Controller(folder, cores()[-1]["ansible_playbook"], system_python))
    tap = folder / "tap"
    tap.mkdir()
    (tap / "python").write_text(f'#!/bin/sh\ntee "{tap}/sent.$$" | {line.controller.device_python} "$@"\n')
    (tap / "python").chmod(0o755)
    try:
        for name in ("edge-01", "edge-02"):
            Tools(line.put(name).swtpm.tcti).close_platform()
        first = line.controller("edgefleet.tpm2.day_zero", {"edge-01": {**line.variables, **line.units["edge-01"].host, **HARDENED}})
        assert first.returncode == 0, said(first)
        yield Scene(line, tap)
    finally:
        line.close()


# What he writes, the serial number that the inventory has at his host, and the words of the refusal.
HIS_ROW = "UPDATE devices SET serial = 'EF-EDGE-02', host = 'edge-02'"
EDITS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "the victim's EK under his serial number": ((HIS_ROW,), HIS, "its birth record is of another serial number than its row"),
    "with a record that he has signed": (
        (HIS_ROW, "UPDATE birth_records SET record = :forged"),
        HIS,
        "its birth record does not verify",
    ),
    "the victim at his host": (
        ("UPDATE devices SET host = 'edge-02'",),
        VICTIM,
        "its row has it at host edge-02, and the signed records at edge-01",
    ),
}


@pytest.mark.parametrize("playbook", ["day_zero", "rotate_auth", "audit"])
@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_registry(scene: Scene, edit: str, playbook: str) -> None:
    statements, serial, words = EDITS[edit]
    scene.refused(playbook, scene.registry(*statements, forged=scene.forged()), serial, words)


@pytest.mark.parametrize("playbook", ["day_zero", "rotate_auth"])
def test_no_record(scene: Scene, playbook: str) -> None:
    """Day zero goes on without a secret, as with any device that nobody has verified, and finds that this TPM is not the one of the row."""
    his = scene.registry(HIS_ROW, "DELETE FROM birth_records")
    words = "is quarantined (serial_takeover)" if playbook == "day_zero" else "it has no birth record, so nobody has signed it"
    scene.refused(playbook, his, HIS, words)


def test_certificates_of_his_choice(scene: Scene) -> None:
    """Neither under a name of his nor in place of the device's own is one of his put on the device."""
    folder = scene.line.folder / "edge-01"
    his = pathlib.Path(scene.line.ca.options["certificate"]).read_text()
    files = {path: path.read_bytes() for path in folder.rglob("*.pem")}
    assert len(files) >= 2
    escape = ("PRAGMA ignore_check_constraints=ON", "UPDATE certificates SET kind = '../escaped', pem = :his WHERE kind = 'iak'")
    for statements, words in (
        (escape, ""),
        (("UPDATE certificates SET pem = :his WHERE kind = 'idevid'",), "its idevid certificate there is for a key that it does not have"),
    ):
        host = {**scene.line.variables, **scene.line.units["edge-01"].host, **HARDENED}
        host |= {"tpm2_identity_registry": scene.registry(*statements, his=his)}
        done = scene.line.controller("edgefleet.tpm2.day_zero", {"edge-01": host})
        assert words in said(done) and (done.returncode != 0) == bool(words), said(done)
        assert {path: path.read_bytes() for path in folder.rglob("*.pem")} == files
