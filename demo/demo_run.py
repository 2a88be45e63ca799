# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The demo: a lab factory whose line of software TPMs goes from blank to enrolled, a second run that changes nothing, an audit, and
certificates and birth records that others verify. On every line are two more devices: one without an EK certificate, and an impostor.

Environment: DEVICES (default 4), FRESH (a device's name), DEMO_DIR, DEMO_PYTHON, EDGEFLEET_ANSIBLE_PLAYBOOK (see lab/settings.py).
"""

from __future__ import annotations

import argparse
import concurrent.futures
import fcntl
import io
import os
import shlex
import sys
import textwrap
import typing as t

from lab import authority, inventory, playbook, proof, report
from lab.device import IMPOSTOR, PINNED, Device
from lab.factory import Factory
from lab.settings import DemoError, Settings, from_environment

MAX_DEVICES = 999
WIDTH = 110


def main() -> int:
    """Run the demo. Returns 0 only if every check succeeded."""
    options = _options()
    t.cast(io.TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)  # also if the output goes to a file
    os.umask(0o077)  # other users of this machine must not read the factory's files
    try:
        settings = from_environment(os.environ)
        for folder in (settings.devices_dir, settings.factory_dir):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
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
    parser.add_argument("--devices", type=int, default=os.environ.get("DEVICES") or "4", help="how many usual devices the line has")
    parser.add_argument(
        "--fresh", metavar="NAME", default=os.environ.get("FRESH", ""), help="give this device a new board, and enroll it alone"
    )
    options = parser.parse_args()
    if not 1 <= options.devices <= MAX_DEVICES:
        parser.error(f"give a number of devices between 1 and {MAX_DEVICES}")
    return options


def _show(settings: Settings, options: argparse.Namespace) -> None:
    names = [*(f"edge-{number:02d}" for number in range(1, options.devices + 1)), PINNED, IMPOSTOR]
    devices = [Device(name, settings.devices_dir / name) for name in names]
    if options.fresh and options.fresh not in names:
        raise DemoError(f"There is no device {options.fresh!r}: name one of {', '.join((*_ends(names[:-2]), *names[-2:]))}.")
    factory = Factory(settings.factory_dir)
    factory.build()
    _power_on(settings, factory, devices, fresh=options.fresh)
    inventory.write(settings, factory, devices)

    print(f"\nDay zero{' of ' + options.fresh + ' alone' if options.fresh else ''}")
    chosen = [device for device in devices if options.fresh in ("", device.name)]
    first = _day_zero(settings, chosen, hosts=options.fresh or "all")
    print()
    print(report.table(chosen, first))
    print(report.legend(impostor=any(device.is_impostor for device in chosen)))
    if not any(first.changed(device.name) for device in chosen):
        print("\nNothing had to change: these devices were enrolled by an earlier run. (`make demo FRESH=edge-01` gives one a new board.)")

    print("\nDay zero again: nothing may change")
    second = _day_zero(settings, devices, hosts="all", again=True)
    busy = [device.name for device in devices if second.changed(device.name)]
    if busy:
        raise DemoError(f"The second run changed {', '.join(busy)}: that is a defect, report it with {second.log}.")
    print(f"  changed=0 on {len(devices)} of {len(devices)} devices")
    _prove(settings, factory, devices)
    print("\nLook for yourself, with tpm2-tools or with the commands after each $ above:")
    for name, value in {**playbook.chosen(settings), "TPM2TOOLS_TCTI": devices[0].tcti}.items():
        print(f"  export {name}={shlex.quote(value)}")
    print("  tpm2_nvread 0x01800010; tpm2_readpublic -c 0x81000001")
    print("`make demo` continues with these devices; `make clean` ends and removes them.")


def _ends(names: t.Sequence[str]) -> list[str]:
    return list(names) if len(names) < 3 else [f"{names[0]} to {names[-1]}"]


def _power_on(settings: Settings, factory: Factory, devices: t.Sequence[Device], *, fresh: str) -> None:
    """Make missing devices, and start those that are off."""
    boards = {device.name: authority.prepare(settings.root) for device in devices}
    boards[IMPOSTOR] = authority.prepare_copy(settings.root, devices[0].state)
    old = next((device.serial for device in devices if device.name == fresh), "")
    for device in devices:
        if device.name == fresh:
            device.remove()
        device.label(factory.next_serial)
    print(f"Lab factory with a line of {len(devices)} devices, each a swtpm, in {settings.root}")
    print(f"  {PINNED} has no EK certificate: the manifest pins its EK; {IMPOSTOR} shows a copy of the EK certificate of {devices[0].name}")
    # Made first and alone, because making the first device also makes the TPM vendor's CA, and the impostor copies the first device's certificate.
    made = [devices[0].make(boards[devices[0].name])]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        made += pool.map(lambda device: device.make(boards[device.name]), devices[1:])
    for device in devices:
        device.start()
        device.test_board()
        if device.name == fresh and old:
            print(
                f"  {fresh} has a new board with a new serial number, {device.serial}; {old} stays in the registry, as the board that it was"
            )
    print(f"  {sum(made)} new and blank, {len(devices) - sum(made)} as the last run left them; all powered on")


def _day_zero(settings: Settings, devices: t.Sequence[Device], *, hosts: str, again: bool = False) -> playbook.Run:
    _say_command(settings, "day_zero", hosts)
    progress = report.Progress(len(devices), again=again)
    run = playbook.run(settings, "day_zero", label="day_zero_again" if again else "day_zero", hosts=hosts, on_event=progress.show)
    report.require(run, devices, "Day zero failed")
    return run


def _say_command(settings: Settings, name: str, hosts: str) -> None:
    print(f"  $ {shlex.join(playbook.command(settings, name, hosts))}")


def _prove(settings: Settings, factory: Factory, devices: t.Sequence[Device]) -> None:
    """Check the result independently: by the inventory, the audit and OpenSSL."""
    enrolled = [device for device in devices if not device.is_impostor]
    print("\nThe inventory now: the manifest joined with the registry")
    print(f"  $ {shlex.join([settings.inventory_program, '-i', str(settings.inventory), '--graph'])}")
    groups = proof.groups(settings)
    for group, hosts in groups.items():
        if hosts:
            print(f"  {group}  {textwrap.shorten(', '.join(hosts), WIDTH - len(group), placeholder=' ...')}")
    if groups.get("tpm2_enrolled") != [device.name for device in enrolled] or groups.get("tpm2_quarantined") != [IMPOSTOR]:
        raise DemoError(f"The registry has other devices enrolled or in quarantine than day zero said: report it with {settings.root}.")

    print("\nAudit: the profile in check mode, of all that are enrolled")
    _say_command(settings, "audit", "tpm2_enrolled")
    audit = playbook.run(settings, "audit", label="audit", hosts="tpm2_enrolled", on_event=lambda event: None)
    report.require(audit, enrolled, "The audit found drift")
    print(f"  {len(enrolled)} of {len(enrolled)} devices as declared")

    print("\nVerified with none of our code: certificates and birth records, by openssl, jq and sha256sum")
    commands = proof.write_commands(factory)
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        pool_said = pool.map(lambda device: proof.verify(factory, device, commands), enrolled)
        for device, said in zip(enrolled, pool_said, strict=True):
            print(f"  {device.name}  {said}")
    record = factory.records / f"{enrolled[0].serial}.birth.json"
    print(f"  (once more: bash {commands} {record} {factory.root_certificate})")


if __name__ == "__main__":
    sys.exit(main())
