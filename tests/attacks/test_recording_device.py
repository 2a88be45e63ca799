# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device that keeps everything that it is sent: all of a hardened day zero, an audit and a rotation, from a controller with tpm2-pytss."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
from support import places, profile, secrets
from support.controller import said
from support.factory import Vendor
from support.proxy import Proxy
from support.recorder import Recorder
from support.scene import HOST, MASTER, Scene
from support.swtpm import Swtpm
from support.tools import Tools

HIERARCHIES: tuple[t.Literal["owner", "endorsement", "lockout"], ...] = ("owner", "endorsement", "lockout")
MINE = {"master": MASTER.encode(), "telemetry key": profile.TELEMETRY_KEY}


@pytest.fixture
def scene(tmp_path: pathlib.Path, vendor: Vendor, system_python: str) -> t.Iterator[Scene]:
    """A new device; the cores of other tests have no tpm2-pytss."""
    with Scene(tmp_path / "recording", vendor, str(places.venv() / "bin" / "ansible-playbook"), system_python) as made:
        yield made


def auths(scene: Scene, *generations: int) -> dict[str, bytes]:
    return {f"{name} {number}": scene.auth(name, number).encode() for name in HIERARCHIES for number in generations}


def found(recorder: Recorder, values: t.Mapping[str, bytes]) -> list[str]:
    """The names of the values that are in anything that the device was sent, also in part and within commands to its TPM."""
    text = "\n".join(run.text for run in recorder.runs)
    crossed = b"".join(bytes.fromhex(one[: len(one) // 2 * 2]) for one in re.findall("[0-9a-f]{20,}", text))
    return sorted({*secrets.in_text(text, values), *secrets.on_the_wire(crossed, values)})


def play(scene: Scene, recorder: Recorder, playbook: str, execution: str) -> str:
    done = scene.play(playbook, "-vvv", ansible_python_interpreter=str(recorder.python), tpm2_profile_execution=execution)
    assert done.returncode == 0, said(done)
    return done.stdout + done.stderr


def test_nothing_secret_is_sent_from_the_controller(scene: Scene, tmp_path: pathlib.Path, system_python: str) -> None:
    recorder = Recorder(tmp_path / "python", system_python)
    shown = play(scene, recorder, "day_zero", "controller")
    shown += play(scene, recorder, "audit", "controller")
    assert all(scene.auth_opens(name, 1) for name in HIERARCHIES)
    shown += play(scene, recorder, "rotate_auth", "controller")
    assert all(scene.auth_opens(name, 2) for name in HIERARCHIES)
    values = {**MINE, **auths(scene, 1, 2)}
    assert recorder.exchanges > 5
    assert found(recorder, values) == [] and secrets.in_text(shown, values) == []
    # Nor does it stay in the controller's temporary files.
    left = [scene.folder / "desk" / "ansible", scene.line.records]
    assert [one for folder in left if folder.is_dir() for one in secrets.in_files(folder, values)] == []
    # The recording has what was done: new auth values, and a secret, in commands whose first parameter is encrypted.
    for code in ("00000129", "00000153"):
        assert re.search(f"8002[0-9a-f]{{8}}{code}", "".join(run.text for run in recorder.runs)), code


@pytest.mark.parametrize("playbook", ["audit", "day_zero", "rotate_auth"])
def test_a_host_with_another_tpm_in_an_enrolled_devices_place(
    tmp_path: pathlib.Path,
    past: pathlib.Path,
    vendor: Vendor,
    system_python: str,
    new_swtpm: t.Callable[..., Swtpm],
    playbook: str,
) -> None:
    """It answers SSH at the device's address, with a genuine TPM of its own, and is sent nothing of the device's, in whatever session."""
    recorder = Recorder(tmp_path / "python", system_python)
    other = new_swtpm(vendor.make("impostor"))
    Tools(other.tcti).close_platform()
    with (
        Scene(tmp_path / "impostor", vendor, str(places.venv() / "bin" / "ansible-playbook"), system_python, past) as scene,
        Proxy(other) as proxy,
    ):
        # The device's files were copied, so that only its TPM is missing.
        host = {"ansible_python_interpreter": str(recorder.python), "tpm2_profile_execution": "controller", "tpm2_profile_tcti": proxy.tcti}
        done = scene.play(playbook, **host)
        assert done.returncode != 0 and "Traceback" not in said(done), said(done)
        values = {**MINE, **auths(scene, 1, 2)}
        assert recorder.exchanges and found(recorder, values) == []
        # Nothing was sent in a session either, which that TPM would have opened.
        assert not {"TPM2_HierarchyChangeAuth", "TPM2_DictionaryAttackParameters", "TPM2_SetPrimaryPolicy", "TPM2_Create"} & set(
            proxy.codes()
        )
        assert all(scene.auth_opens(name, 1) for name in HIERARCHIES)


def test_the_recording_finds_what_a_module_on_the_device_is_sent(scene: Scene, tmp_path: pathlib.Path, system_python: str) -> None:
    recorder = Recorder(tmp_path / "python", system_python)
    play(scene, recorder, "day_zero", "device")
    # The master stays where it is, on both ways.
    assert found(recorder, {**MINE, **auths(scene, 1)}) == sorted({**auths(scene, 1), "telemetry key": b""})
    assert HOST in scene.line.units
