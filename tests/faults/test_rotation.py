# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The auths of a hardened TPM are replaced; the module ends before or after any command, and the same task again finishes, without one wrong try."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from support import module, places, secrets
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools, leftovers, lockout_counter

OLD = {name: secrets.made_up(f"old {name}") for name in ("owner", "endorsement", "lockout")}
NEW = {name: secrets.made_up(f"new {name}") for name in OLD}
NEWER = {name: secrets.made_up(f"newer {name}") for name in OLD}
LETTERS = {"owner": "o", "endorsement": "e", "lockout": "l"}
# More than a replacement of all three takes (asserted).
POSITIONS = 36
MakeSwtpm = t.Callable[..., Swtpm]


def task(old: dict[str, str], new: dict[str, str]) -> dict[str, t.Any]:
    """The task that replaces the auths in C(old) by those in C(new)."""
    return {"resources": [{"hierarchy": {"hierarchy": name, "current_auth": old[name], "auth": new[name]}} for name in new]}


@pytest.fixture(scope="session")
def hardened_state(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path) -> pathlib.Path:
    """The state of a TPM whose three auths are the old ones."""
    folder = tmp_path_factory.mktemp("hardened") / "state"
    tpm = Swtpm(folder)
    tpm.restore(blank_state)
    try:
        for name, letter in LETTERS.items():
            Tools(tpm.tcti).run("changeauth", "-c", letter, OLD[name])
        tpm.stop()
    finally:
        tpm.close()
    return folder


@pytest.fixture
def hardened(new_swtpm: MakeSwtpm, hardened_state: pathlib.Path) -> t.Iterator[Proxy]:
    """A proxy before such a TPM."""
    with Proxy(new_swtpm(hardened_state)) as proxy:
        yield proxy


def holds(swtpm: Swtpm, auths: dict[str, str]) -> None:
    """The TPM takes each auth, as tpm2-tools sees it; a wrong one of lockout would show for ever after."""
    tools = Tools(swtpm.tcti)
    for name in ("owner", "endorsement"):
        tools.run("changeauth", "-c", LETTERS[name], "-p", auths[name], auths[name])
    tools.run("dictionarylockout", "-c", "-p", auths["lockout"])
    assert lockout_counter(swtpm) == 0


def replace(proxy: Proxy, python: str, old: dict[str, str], new: dict[str, str], *, check: bool = False) -> module.Result:
    """Run the task once; no auth may be said or sent in plain, nothing stays loaded."""
    proxy.reset()
    loaded = leftovers(proxy.swtpm)
    result = module.run("tpm2_profile", {"tcti": proxy.tcti, **task(old, new)}, python=python, check=check)
    values = {name: value.encode() for auths in (old, new) for name, value in auths.items()}
    assert secrets.on_the_wire(proxy.wire(), values) == [] and secrets.in_text(result.stdout + result.stderr, values) == []
    assert leftovers(proxy.swtpm) in (loaded, [])
    return result


def test_all_three_are_replaced_and_a_second_run_changes_nothing(hardened: Proxy, device_python: str) -> None:
    assert replace(hardened, device_python, OLD, NEW, check=True).expect_ok()["changed"] and hardened.writes() == []
    assert replace(hardened, device_python, OLD, NEW).expect_ok()["changed"]
    assert 20 < hardened.count() <= POSITIONS
    holds(hardened.swtpm, NEW)
    again = replace(hardened, device_python, OLD, NEW)
    assert not again.expect_ok()["changed"] and hardened.writes() == []
    assert replace(hardened, device_python, NEW, NEWER).expect_ok()["changed"]
    holds(hardened.swtpm, NEWER)
    # Who comes late with values of before is told, not believed.
    late = replace(hardened, device_python, {"lockout": OLD["lockout"]}, {"lockout": NEW["lockout"]})
    assert "Could not choose between two auth values for lockout" in late.expect_failed()
    holds(hardened.swtpm, NEWER)


# Nothing but the TPM is changed between two commands: killed after one is killed before the next.
@pytest.mark.parametrize(
    ("kind", "position"), [*(("device", one) for one in range(POSITIONS)), *(("controller", one) for one in range(1, POSITIONS, 2))]
)
def test_killed_anywhere(hardened: Proxy, system_python: str, kind: str, position: int) -> None:
    """The module, or (at every second command) the controller that does without it."""
    python = places.FromController(system_python) if kind == "controller" else system_python
    killed = module.killed_run(hardened, position, "tpm2_profile", {"tcti": hardened.tcti, **task(OLD, NEW)}, python=python)
    assert killed.rc == -9 or killed.ok
    replace(hardened, python, OLD, NEW).expect_ok()
    holds(hardened.swtpm, NEW)
    assert not replace(hardened, python, OLD, NEW).expect_ok()["changed"]


@pytest.mark.parametrize("position", range(0, POSITIONS, 2))
def test_the_power_fails_anywhere(hardened: Proxy, venv_python: str, position: int) -> None:
    swtpm = hardened.swtpm
    hardened.before(position, lambda _record: swtpm.kill())
    module.run("tpm2_profile", {"tcti": hardened.tcti, **task(OLD, NEW)}, python=venv_python)
    if not swtpm.running:
        swtpm.start()
    hardened.reset()
    replace(hardened, venv_python, OLD, NEW).expect_ok()
    holds(swtpm, NEW)


def test_until_it_is_known_which_value_holds_nothing_that_needs_it_is_begun(
    hardened: Proxy, new_swtpm: MakeSwtpm, hardened_state: pathlib.Path, system_python: str
) -> None:
    with Proxy(new_swtpm(hardened_state)) as twin:
        replace(twin, system_python, OLD, NEW).expect_ok()
        position = twin.codes().index("TPM2_SetPrimaryPolicy")
    module.killed_run(hardened, position, "tpm2_profile", {"tcti": hardened.tcti, **task(OLD, NEW)}, python=system_python, when="after")
    hardened.reset()
    both = {"resources": [{"da_lockout": {"max_tries": 7}}, *task(OLD, NEW)["resources"]]}
    refused = module.run("tpm2_profile", {"tcti": hardened.tcti, **both}, python=system_python).expect_failed()
    assert "a replacement of its auth has begun" in refused and "declare the lockout hierarchy alone" in refused
    assert hardened.writes() == [] and lockout_counter(hardened.swtpm) == 0
    replace(hardened, system_python, OLD, NEW).expect_ok()
    module.run("tpm2_profile", {"tcti": hardened.tcti, **both}, python=system_python).expect_ok()
    assert Tools(hardened.swtpm.tcti).da()[0] == 7
    holds(hardened.swtpm, NEW)
