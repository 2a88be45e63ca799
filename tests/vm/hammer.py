# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ten processes that use the TPM of a machine all the time, until told to stop, and for a minute at least."""

from __future__ import annotations

import dataclasses

from vm.machine import Machine
from vm.process import Timed

PROCESSES = 10
_FOLDER = "/run/hammer"
# Each round: random bytes, a key made and flushed with its connection, a session begun and ended.
_WORKER = f"""export TPM2TOOLS_TCTI=$1
cd {_FOLDER}/$2
rounds=0 lost=0
try() {{ "$@" >>out 2>>err || {{ lost=$((lost + 1)); echo "lost: $*" >>err; }}; }}
while [ ! -e {_FOLDER}/stop ] || [ $SECONDS -lt 60 ]; do
    try tpm2_getrandom --hex 16
    try tpm2_createprimary -Q -C o -G ecc -c key.ctx
    try tpm2_createpolicy -Q --policy-pcr -l sha256:7 -L policy
    rounds=$((rounds + 1))
done
echo "$rounds $lost" >result
"""


@dataclasses.dataclass(frozen=True)
class Result:
    """What ten processes did."""

    rounds: list[int]
    lost: list[int]
    errors: str


class Hammer:
    """Ten processes on a machine. They run as `user`, through one TCTI."""

    def __init__(self, machine: Machine, tcti: str, user: str) -> None:
        self._machine, self._tcti, self._user = machine, tcti, user

    def start(self) -> None:
        """Start them, each a unit of its own."""
        machine = self._machine
        machine.ssh(f"rm -rf {_FOLDER}; mkdir {_FOLDER}")
        machine.write(f"{_FOLDER}/worker", _WORKER)
        machine.ssh(
            f"for i in $(seq {PROCESSES}); do mkdir {_FOLDER}/$i; chown {self._user} {_FOLDER}/$i; "
            f"systemd-run --quiet --collect --unit=hammer-$i --uid={self._user} /bin/bash {_FOLDER}/worker {self._tcti} $i; done"
        )

    def running(self) -> int:
        """How many of them run."""
        return int(self._machine.out("systemctl list-units --no-legend --plain --state=active 'hammer-*' | wc -l"))

    def finish(self) -> Result:
        """Have them stop once their minute is over, wait, and say what they did."""
        machine = self._machine
        with Timed(f"{machine.name}: {PROCESSES} processes come to an end"):
            machine.ssh(f"touch {_FOLDER}/stop")
            # A unit that has ended without a result is not waited for.
            running = "systemctl list-units --no-legend --state=active 'hammer-*' | grep -q ."
            machine.ssh(f"while {running}; do sleep 1; done")
        rows = [line.split() for line in machine.out(f"cat {_FOLDER}/*/result").splitlines()]
        errors = machine.out(f"cat {_FOLDER}/*/err | head -n 40")
        return Result([int(row[0]) for row in rows], [int(row[1]) for row in rows], errors)
