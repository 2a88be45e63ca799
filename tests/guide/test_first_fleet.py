# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/first-fleet.md, block by block, over two devices of Debian 12 and 13."""

from __future__ import annotations

import base64
import re

import yaml
from docs.documents import ROOT

from guide.lab import Lab
from guide.reader import Reader, recap

PAGE = "docs/first-fleet.md"
PLAY = "ansible-playbook -i inventory.yml --vault-id factory@prompt "
CHECK, DAY_ZERO, AUDIT = f"{PLAY}edgefleet.tpm2.day_zero --check --diff", f"{PLAY}edgefleet.tpm2.day_zero", f"{PLAY}edgefleet.tpm2.audit"
RESEAL = f"{PLAY}reseal.yml --limit edge-01"
UNSEAL = "tpm2_unseal -c /run/telemetry.ctx -p pcr:sha256:7"
VAULT_PASS = "--vault-id factory@/tmp/vault-pass"  # the same password, where nobody answers questions
DEVICES = ("edge-01", "edge-02")


class Story:
    """What is to be seen after the blocks, on the screen and on the devices."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.reader = lab, Reader(lab, PAGE)

    def checked(self, said: str) -> None:
        recap(said, *DEVICES)
        assert all(f"{name} would be done; nothing was changed." in said for name in DEVICES)
        assert "0x81000210" in said

    def provisioned(self, said: str) -> None:
        assert all(one["changed"] for one in recap(said, *DEVICES).values())
        looks = re.findall(r"\| `(tpm2_[^`]+)` \|$", (ROOT / PAGE).read_text(), re.M)
        assert len(looks) == 6
        seen = [self.lab.devices["edge-01"].run(look) for look in looks]
        assert seen[4] == "EF-2026-000001" and "TPM2_PT_LOCKOUT_INTERVAL: 0x258" in seen[5]

    def sliced(self, said: str) -> None:
        alone, both = said.split("PLAY RECAP")[1:]
        assert all(not one["changed"] for one in (*recap(alone, "edge-02").values(), *recap(both, *DEVICES).values()))

    def unsealed(self, said: str) -> None:
        vault = yaml.safe_load(self.reader.there(f"ansible-vault view {VAULT_PASS} host_vars/edge-01/vault.yml"))
        assert said.encode(errors="surrogateescape").endswith(base64.b64decode(vault["tpm2_profile_telemetry_key"]))

    def audited(self, said: str) -> None:
        recap(said, *DEVICES)

    def extended(self, _said: str) -> None:
        for number, name in enumerate(DEVICES, 1):
            self.reader.there(f"sed -i '/^    {name}:/a \\      asset_tag: tag {number}' inventory.yml")
        recap(self.reader.again(DAY_ZERO), *DEVICES)
        assert self.lab.devices["edge-02"].run("tpm2_nvread 0x01800011") == f"{'tag 2':32}"

    def hardened(self, _said: str) -> None:
        recap(self.reader.again(DAY_ZERO), *DEVICES)
        assert "ownerAuthSet:              1" in self.lab.devices["edge-01"].run("tpm2_getcap properties-variable")

    def updated(self, _said: str) -> None:
        """As after an update of the firmware."""
        self.lab.devices["edge-01"].run(f"tpm2_pcrextend 7:sha256={'ab' * 32}")
        audit = self.reader.there(f"{AUDIT.replace('--vault-id factory@prompt', VAULT_PASS)} || true")
        assert "PCRs may have changed since it was sealed" in " ".join(audit.split())

    def resealed(self, said: str) -> None:
        recap(said, "edge-01")
        self.unsealed(self.reader.again(UNSEAL))


def test_first_fleet(lab: Lab) -> None:
    lab.device("edge-01", "192.0.2.11", "bookworm")
    lab.device("edge-02", "192.0.2.12", "trixie")
    lab.install()
    story = Story(lab)
    story.reader.follow(
        {
            CHECK: story.checked,
            DAY_ZERO: story.provisioned,
            f"{DAY_ZERO} --limit edge-02": story.sliced,
            UNSEAL: story.unsealed,
            AUDIT: story.audited,
            "# group_vars/edge/resources.yml": story.extended,
            "ansible-vault edit --vault-id factory@prompt host_vars/edge-01/vault.yml": story.hardened,
            "# reseal.yml": story.updated,
            RESEAL: story.resealed,
        }
    )
