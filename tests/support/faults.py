# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared code of the fault tests: a device under test, and a twin on which the same profile runs undisturbed."""

from __future__ import annotations

import base64
import dataclasses
import pathlib
import typing as t

from support import module, profile, secrets
from support.module import Result
from support.proxy import Proxy
from support.state import end_state
from support.swtpm import Swtpm
from support.tools import leftovers, lockout_counter

AUTHS = {name: secrets.made_up(name) for name in ("owner", "endorsement", "lockout")}
SECRETS = {**{name: auth.encode() for name, auth in AUTHS.items()}, "telemetry key": profile.TELEMETRY_KEY}
# The positions of faults in each profile's first run: at least as many as it has commands (asserted).
# The reference profile's bound is the one of design law 1.
# "controller" is the hardened profile from the controller.
POSITIONS = {"reference": 30, "hardened": 35, "controller": 35}
EVERY_POSITION = [(variant, position) for variant, count in POSITIONS.items() for position in range(count)]
# From the controller, each position meets one of two faults that differ little: the command was not carried out, or it was.
ONE_OF_TWO = [(variant, position) for variant, position in EVERY_POSITION if variant != "controller" or position % 2 == 0]
OTHER_OF_TWO = [(variant, position) for variant, position in EVERY_POSITION if variant != "controller" or position % 2]
# The first reads are the comparison's; a relay that stays does the rest.
FIRST_CHANGE = 8
NO_OP_COMMANDS = 8


def resources(variant: str, device_dir: pathlib.Path) -> profile.Resources:
    """The resources of the profile `variant`; the hardened one's key is of an elliptic curve, as an RSA key takes much longer to make."""
    key = base64.b64encode(profile.TELEMETRY_KEY).decode()
    if variant != "reference":
        auths = {f"{name}_auth": auth for name, auth in AUTHS.items()}
        made = profile.hardened(profile.SERIAL, key, device_dir, **auths)
        return [{"key": {**one["key"], "algorithm": "ecc_p256"}} if "key" in one else one for one in made]
    return profile.reference(profile.SERIAL, key, device_dir)


@dataclasses.dataclass
class Device:
    """A TPM behind a proxy, the folder on the device, and the profile that is to be applied."""

    variant: str
    swtpm: Swtpm
    proxy: Proxy
    device_dir: pathlib.Path
    python: str

    @property
    def arguments(self) -> dict[str, t.Any]:
        """The arguments of `tpm2_profile`, the same in every run."""
        return {"tcti": self.proxy.tcti, "resources": resources(self.variant, self.device_dir)}

    def run(self, **options: t.Any) -> Result:
        """Run the profile to its end; even if it fails, no secret may be in its output."""
        result = module.run("tpm2_profile", self.arguments, python=self.python, **options)
        assert secrets.in_text(result.stdout + result.stderr, SECRETS) == []
        return result

    def killed_run(self, position: int, when: t.Literal["before", "after"]) -> Result:
        """Run the profile and kill its process at a command."""
        return module.killed_run(self.proxy, position, "tpm2_profile", self.arguments, python=self.python, when=when)

    def state(self) -> dict[str, t.Any]:
        """The device's state, seen from outside."""
        return end_state(self.swtpm, self.device_dir)


@dataclasses.dataclass(frozen=True)
class CleanRun:
    """An undisturbed first run: its commands in order, its key generations, and the state it ends in."""

    codes: tuple[str, ...]
    writes: frozenset[int]
    key_generations: int
    state: dict[str, t.Any]

    @property
    def count(self) -> int:
        """Number of commands."""
        return len(self.codes)


def clean_run(device: Device) -> CleanRun:
    """Run the profile on a blank device without any fault."""
    device.run().expect_ok()
    proxy = device.proxy
    clean = CleanRun(
        codes=tuple(proxy.codes()),
        writes=frozenset(record.index for record in proxy.writes()),
        key_generations=len(proxy.key_generations()),
        state=device.state(),
    )
    assert_nothing_to_do(device)
    return clean


def assert_converges(device: Device, clean: CleanRun, *, generated: int, loaded: frozenset[str] = frozenset()) -> None:
    """Check that a re-run ends in the clean run's state with at most one more key generation, leaves nothing loaded, and a third run does nothing.

    `generated`: keys made by the disturbed run; `loaded`: what that run left in the TPM because it had no chance to flush.
    """
    device.proxy.reset()
    files = {path: path.read_bytes() for path in device.device_dir.iterdir()}
    result = device.run()
    result.expect_ok()
    made = generated + len(device.proxy.key_generations())
    wrote = bool(device.proxy.writes()) or files != {path: path.read_bytes() for path in device.device_dir.iterdir()}
    assert result.changed == wrote, f"changed={result.changed}, but writes were {device.proxy.writes()}"
    assert set(leftovers(device.swtpm)) <= loaded
    assert device.state() == clean.state
    assert made <= clean.key_generations + 1


def assert_nothing_to_do(device: Device) -> None:
    """The next run reads and does nothing else."""
    device.proxy.reset()
    result = device.run()
    result.expect_ok()
    assert not result.changed
    assert device.proxy.writes() == device.proxy.sessions() == device.proxy.loads() == []
    if device.variant == "reference":
        assert device.proxy.count() <= NO_OP_COMMANDS


def assert_one_sentence(message: str) -> None:
    """Check a message for a person: one line, with a full stop at its end, without traceback or names from the code."""
    assert "\n" not in message
    assert message.endswith(".")
    assert len(message) < 500
    for innards in ("Traceback", "TSS2_Exception", "struct.error", "NoneType", "ESYS_TR", "<", "Errno"):
        assert innards not in message


def loaded_now(device: Device) -> frozenset[str]:
    """What is loaded in the TPM."""
    return frozenset(leftovers(device.swtpm))


def counter_now(device: Device) -> int:
    """The TPM's lockout counter now."""
    return lockout_counter(device.swtpm)
