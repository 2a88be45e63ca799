# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: a lab fleet of software TPMs from blank to provisioned, a second run that changes nothing, and an audit.

Environment: DEVICES (default 4), FRESH (a device's name), DEMO_DIR, DEMO_PYTHON, EDGEFLEET_ANSIBLE_PLAYBOOK (see lab/settings.py).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fcntl
import io
import os
import sys
import typing as t

from lab import authority, inventory, playbook, report
from lab.device import Device
from lab.settings import DemoError, Settings, from_environment

MAX_DEVICES = 999


def main() -> int:
    """Run the demo; 0 only if all of it held."""
    options = _options()
    t.cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)  # also where it goes to a file
    try:
        settings = from_environment(os.environ)
        settings.devices_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(settings.root / "lock", "w", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DemoError(f"Another demo runs in {settings.root}: wait for it, or choose another folder with DEMO_DIR.") from None
            _show(settings, options)
    except DemoError as exc:
        print(f"\ndemo: {exc}", file=sys.stderr)
        return 1
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, default=os.environ.get("DEVICES") or "4", help="how many devices the lab has")
    parser.add_argument("--fresh", metavar="NAME", default=os.environ.get("FRESH", ""), help="replace this device by a blank one, alone")
    options = parser.parse_args()
    if not 1 <= options.devices <= MAX_DEVICES:
        parser.error(f"give a number of devices between 1 and {MAX_DEVICES}")
    return options


def _show(settings: Settings, options: argparse.Namespace) -> None:
    devices = [Device(name, settings.devices_dir / name) for name in (f"edge-{number:02d}" for number in range(1, options.devices + 1))]
    if options.fresh and options.fresh not in [device.name for device in devices]:
        raise DemoError(f"There is no device {options.fresh!r}: name one of {devices[0].name} to {devices[-1].name}.")
    _power_on(settings, devices, fresh=options.fresh)
    inventory.write(settings, devices)

    print(f"\nDay zero{' of ' + options.fresh + ' alone' if options.fresh else ''}")
    chosen = [device for device in devices if options.fresh in ("", device.name)]
    first = _day_zero(settings, chosen, label="day_zero", limit=options.fresh)
    print()
    print(report.table(chosen, first))
    if not any(first.changed(device.name) for device in chosen):
        print("\nNothing had to change: these devices were provisioned by an earlier run. (`make demo FRESH=edge-01` starts one anew.)")

    print("\nDay zero again: nothing may change")
    second = _day_zero(settings, devices, label="day_zero_again")
    busy = [device.name for device in devices if second.changed(device.name)]
    if busy:
        raise DemoError(f"The second run changed {', '.join(busy)}: that is a defect, report it with {second.log}.")
    print(f"  changed=0 on {len(devices)} of {len(devices)} devices")

    print("\nAudit: the profile in check mode")
    audit = playbook.run(settings, "audit", label="audit", on_event=lambda event: None)
    report.require(audit, devices, "The audit found drift")
    print(f"  {len(devices)} of {len(devices)} devices as declared")
    print(
        f"\nLook for yourself:  export TPM2TOOLS_TCTI={devices[0].tcti}\n                    tpm2_nvread 0x01800010; tpm2_readpublic -c 0x81000001"
    )
    print("`make demo` continues with these devices; `make clean` ends and removes them.")


def _power_on(settings: Settings, devices: t.Sequence[Device], *, fresh: str) -> None:
    """Make the devices that are missing, and start those that are off."""
    setup_conf = authority.prepare(settings.root)
    for device in devices:
        if device.name == fresh:
            device.remove()
    print(f"Lab of {len(devices)} devices, each a swtpm with its own EK certificate, in {settings.root}")
    # The first device makes the lab's CA; the others must find it finished.
    made = [devices[0].make(setup_conf)]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        made += pool.map(lambda device: device.make(setup_conf), devices[1:])
    for device in devices:
        device.start()
    print(f"  {sum(made)} new and blank, {len(devices) - sum(made)} as the last run left them; all powered on")


def _day_zero(settings: Settings, devices: t.Sequence[Device], *, label: str, limit: str = "") -> playbook.Run:
    progress = report.Progress(len(devices))
    run = playbook.run(settings, "day_zero", label=label, limit=limit, on_event=progress.show)
    report.require(run, devices, "Day zero failed")
    return run


if __name__ == "__main__":
    sys.exit(main())
