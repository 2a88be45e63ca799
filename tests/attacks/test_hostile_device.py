# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device whose Python is the attacker's, in every playbook, with the shipped ansible.cfg: what is left is what an honest device would have left.

Beside that, nothing that it said became a variable, a template, a group, a file or a line on the screen of its own.
"""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
from support import hostile
from support.controller import said, totals
from support.factory import Line
from support.raw import RawTpm
from support.scene import HOST, Done, Scene
from support.swtpm import Swtpm

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import names
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _keys

NewScene = t.Callable[..., Scene]
# What adds to an answer, and takes nothing away.
ADDED = ("facts", "keys", "outcomes")
EVERY = ("day_zero", "audit", "preflight", "renew")


def plain(scene: Scene) -> hostile.Json:
    """What a scene looks like, as the past keeps it."""
    return t.cast("hostile.Json", json.loads(json.dumps(scene.looks(), default=bytes.hex, sort_keys=True)))


def without(looks: hostile.Json, *names: str) -> hostile.Json:
    """Without these parts, and without the pages of the preflight."""
    left = {name: value for name, value in looks.items() if name not in names}
    return {**left, "controller": [name for name in looks["controller"] if "/tpm2-reports/" not in name]}


def nothing_got_in(done: Done, *, of: hostile.HostileDevice) -> None:
    """No template ran, no line was forged, no control character reached the terminal, no page has markup, and nothing broke."""
    output = done.stdout + done.stderr
    assert not of.marker.exists(), said(done)
    assert "Traceback (most recent call last)" not in output, said(done)
    assert [line for line in output.splitlines() if re.match(rf"(ok: .*|TASK .*|PLAY RECAP |edge-01 .*)?{hostile.FORGED}", line)] == []
    control = sorted({char for char in output if char != "\n" and (not char.isprintable() or char in hostile.MARKS)})
    assert control == [], said(done)
    assert not {"rogue-host", "rogue_group", "edge-99"} & set(totals(done))


def clean_page(scene: Scene) -> None:
    """The page of the preflight says nothing that a browser would act on."""
    for page in (scene.line.controller.folder / "tpm2-reports").glob("*"):
        text = page.read_text()
        assert [mark for mark in hostile.MARKS if mark in text] == [] and "# Rogue" not in text.splitlines(), text
        assert not re.search(r"!?\[[^\]\n]*\]\(http", text), text


def test_first_day_zero(new_scene: NewScene, past: pathlib.Path) -> None:
    """From blank to enrolled and hardened, as its honest sister with the same TPM."""
    scene = new_scene("hostile")
    device = scene.belongs_to(*ADDED)
    done = scene.play("day_zero")
    assert device.answers >= 5
    nothing_got_in(done, of=device)
    assert done.returncode == 0, said(done)
    assert plain(scene) == json.loads((past / "looks.json").read_text())


def test_every_playbook_then_an_honest_run_with_what_was_cached(new_scene: NewScene, past: pathlib.Path) -> None:
    """The operator's cache of facts keeps what the device said; neither this run nor the next makes anything of it."""
    scene = new_scene("hostile", past=past)
    cache = scene.folder / "desk" / "cache"
    scene.line.controller.settings |= {"ANSIBLE_CACHE_PLUGIN": "jsonfile", "ANSIBLE_CACHE_PLUGIN_CONNECTION": str(cache)}
    before, device = plain(scene), scene.belongs_to(*ADDED)
    for playbook in EVERY:
        heard = device.answers
        done = scene.play(playbook)
        assert device.answers > heard
        nothing_got_in(done, of=device)
        assert done.returncode == 0 and totals(done)[HOST]["changed"] == 0, said(done)
        assert without(plain(scene), "events") == without(before, "events"), playbook
    scene.rogue = None
    done = scene.play("day_zero")
    assert done.returncode == 0 and totals(done)[HOST]["changed"] == 0, said(done)
    assert without(plain(scene), "events") == without(before, "events")
    clean_page(scene)


def test_rotation(new_scene: NewScene, past: pathlib.Path) -> None:
    """The auths that the TPM then has are those that an honest sister's has: derived of the same master."""
    looks = []
    for name, ways in (("honest", ()), ("hostile", ADDED)):
        scene = new_scene(name, past=past)
        device = scene.belongs_to(*ways)
        done = scene.play("rotate_auth")
        nothing_got_in(done, of=device)
        assert done.returncode == 0, said(done)
        looks.append((plain(scene), [scene.auth_opens(hierarchy, 2) for hierarchy in ("owner", "endorsement", "lockout")]))
    assert looks[0] == looks[1] and looks[0][1] == [True] * 3


@pytest.mark.parametrize(
    ("way", "core"), [("text", 0), ("text", -1), ("failing", -1)], ids=["text-oldest", "text-newest", "failing-newest"]
)
def test_its_own_words(new_scene: NewScene, past: pathlib.Path, way: str, core: int) -> None:
    """It is refused, or it is not; what it says is shown as text, and decides nothing."""
    scene = new_scene("hostile", past=past, core=core)
    before, device = plain(scene), scene.belongs_to(way)
    for playbook in ("preflight", "audit", "day_zero"):
        heard = device.answers
        done = scene.play(playbook, "--diff")
        assert device.answers > heard
        nothing_got_in(done, of=device)
        assert without(plain(scene), "events", "incidents") == without(before, "events", "incidents"), playbook
    clean_page(scene)


@pytest.mark.parametrize("way", ["huge", "nested", "abyss"])
def test_more_than_an_answer(new_scene: NewScene, past: pathlib.Path, way: str) -> None:
    """Too long, too deep, or no end of brackets: the device is refused in a sentence."""
    scene = new_scene("hostile", past=past)
    before, device = plain(scene), scene.belongs_to(way)
    for playbook in ("preflight", "day_zero"):
        done = scene.play(playbook)
        nothing_got_in(done, of=device)
        assert device.answers and done.returncode != 0, said(done)
        assert without(plain(scene), "events", "incidents") == without(before, "events", "incidents"), playbook


def pin_of(tpm: Swtpm) -> str:
    """SHA-256 of the SubjectPublicKeyInfo of its EK, that everybody can read."""
    with RawTpm(tpm.ports.data) as raw:
        public = raw.call(0x173, bytes.fromhex("81010001"))
    size = int.from_bytes(public[:2], "big")
    return _keys.spki_sha256(names.parse_public(public[2 : 2 + size]))


def test_rogue_that_pins_itself(line: Line, new_swtpm: t.Callable[..., Swtpm], tmp_path: pathlib.Path, system_python: str) -> None:
    """A TPM that nobody trusts; its host says that the operator has pinned its EK, and where the registry is to be."""
    first = line.put(HOST, state=None)
    first.swtpm.stop()
    stranger = new_swtpm(own_seeds=True)
    first.swtpm = stranger
    honest = line.play("edgefleet.tpm2.day_zero")
    assert honest.returncode != 0 and "is quarantined (" in said(honest)
    wanted = {
        "tpm2_pinned_ek_sha256": pin_of(stranger),
        "tpm2_identity_registry": str(tmp_path / "rogue.sqlite"),
        "tpm2_profile_hardened": False,
    }
    device = hostile.HostileDevice(tmp_path / "rogue", system_python, "facts", facts=wanted)
    before = hostile.registry(line.registry)
    done = line.play("edgefleet.tpm2.day_zero", ansible_python_interpreter=device.python)
    assert device.answers > 2 and done.returncode != 0 and "is quarantined (" in said(done), said(done)
    assert not (tmp_path / "rogue.sqlite").exists()
    assert hostile.registry(line.registry)["devices"] == before["devices"] == []
    assert list(first.folder.glob("*.cert.pem")) == []
