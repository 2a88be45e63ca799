# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device's first run as the roles provision and identity make it, step by step, with the TPM commands that each step takes."""

from __future__ import annotations

import base64
import copy
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.filter.sealed_to import sealed_to
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import pcr
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import EnrolmentOutcome
from support import enroll, lab_ca, module, profile
from support.commands import Record
from support.factory import PCRS, Vendor
from support.proxy import Proxy

# TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY: the TPM did nothing and asks for the same command once more.
ASK_AGAIN = (0x908, 0x90A, 0x922)
RC_FAILURE = 0x101
FACTS = ["identity", "da_lockout", "hierarchies", "capacity"]  # those that the preflight of the role provision reads
STEPS = ("facts", "profile", "collect", "activate", "handover")
Records = list[Record]


def reference(folder: pathlib.Path) -> profile.Resources:
    """The reference profile without its secret, and with an elliptic-curve key in place of the RSA key, which takes seconds to make."""
    made = [copy.deepcopy(item) for item in _whole(folder) if "sealed_blob" not in item]
    next(item["key"] for item in made if "key" in item)["algorithm"] = "ecc_p256"
    return made


def secret(folder: pathlib.Path) -> profile.Resources:
    """The sealed resource, which is handed over after the TPM was verified."""
    return [item for item in _whole(folder) if "sealed_blob" in item]


def _whole(folder: pathlib.Path) -> profile.Resources:
    return profile.reference(profile.SERIAL, base64.b64encode(profile.TELEMETRY_KEY).decode(), folder)


def desk(folder: pathlib.Path, vendor: Vendor) -> enroll.Desk:
    """A controller's side with a registry that does not exist yet."""
    folder.mkdir(parents=True, exist_ok=True)
    return enroll.Desk(folder, vendor.trust, lab_ca.write(folder / "ca").options)


class Walk:
    """One device in its first run: `steps` has the TPM commands of each step, `outcome` the enrolment's outcome."""

    def __init__(self, proxy: Proxy, python: str, desk: enroll.Desk) -> None:
        self.proxy, self.python, self.desk = proxy, python, desk
        self.steps: dict[str, Records] = {}
        self.outcome: EnrolmentOutcome | None = None
        # A command that the proxy lets the TPM refuse in both exchanges.
        self.refused = ""

    def _module(self, name: str, **options: t.Any) -> dict[str, t.Any]:
        self.proxy.reset()
        return module.run(name, {"tcti": self.proxy.tcti, **options}, python=self.python).expect_ok()

    def provision(self, resources: profile.Resources) -> None:
        """Read the facts and apply the profile."""
        self.facts = self._module("tpm2_info", gather=FACTS)
        self.steps["facts"] = list(self.proxy.records)
        self.observed = self._module("tpm2_profile", resources=resources, return_reads=True)
        self.steps["profile"] = list(self.proxy.records)

    def enroll(
        self, timed: t.Callable[[enroll.Exchange], enroll.Exchange] = lambda exchange: exchange, **changes: t.Any
    ) -> EnrolmentOutcome:
        """Enroll it with what facts and profile have read; `timed` may wrap the exchange between controller and device."""
        told = {
            "observed": self.observed,
            "reads": {**self.observed["reads"], "nv_buffer_max": self.facts["capacity"]["nv_buffer_max"]},
            "tpm": {name: self.facts[name] for name in ("manufacturer", "firmware", "model")},
            "quote": pcr.selection(PCRS["bank"], PCRS["indices"]),
        }
        device = enroll.Device(self.proxy.tcti, self.python)

        def exchange(question: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
            self.proxy.reset()
            if self.refused:
                self.proxy.inject_rc(RC_FAILURE, code=self.refused)
            try:
                return device(question)
            finally:
                self.steps["activate" if "activate" in question else "collect"] = list(self.proxy.records)

        self.outcome = self.desk.enroll(timed(exchange), serial=profile.SERIAL, **{**told, **changes})
        return self.outcome

    def hand_over(self, resources: profile.Resources) -> None:
        """Hand over what only a verified TPM gets, sealed to the quoted PCR values."""
        assert self.outcome is not None and self.outcome.device is not None
        pinned = {"handle": enroll.EK, "name": self.outcome.device.ek_name}
        quoted = {"bank": PCRS["bank"], "values": {str(one["index"]): one["digest"] for one in self.outcome.pcrs}}
        self._module("tpm2_profile", resources=sealed_to(resources, quoted), session_key=pinned)
        self.steps["handover"] = list(self.proxy.records)

    @property
    def added(self) -> list[str]:
        """The commands of both exchanges, without those that the TPM itself asked to be sent again."""
        return [record.name for step in ("collect", "activate") for record in self.steps[step] if record.rc not in ASK_AGAIN]

    @property
    def repeated(self) -> list[str]:
        """Those that it asked to be sent again."""
        return [record.name for step in ("collect", "activate") for record in self.steps[step] if record.rc in ASK_AGAIN]


__all__ = ("ASK_AGAIN", "FACTS", "STEPS", "Walk", "desk", "reference", "secret")
