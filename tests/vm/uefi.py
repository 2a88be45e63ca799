# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UEFI firmware (OVMF) that measures what it boots, and unified kernel images for it, signed and unsigned.

A kernel that is given to QEMU directly is neither verified nor measured by OVMF, whatever Secure Boot says. So the kernel is an EFI
program on a FAT file system, as on a real device.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess

from vm.machine import CMDLINE, Firmware

OVMF = pathlib.Path("/usr/share/OVMF")
# Debian's key for tests: its certificate is enrolled in the variables OVMF_VARS_4M.snakeoil.fd, its password is public.
SNAKEOIL = pathlib.Path("/usr/share/ovmf/PkKek-1-snakeoil")
STUB = pathlib.Path("/usr/lib/systemd/boot/efi/linuxx64.efi.stub")
# Where the stub expects nothing of its own: the sections do not overlap up to a kernel of 16 MiB.
_SECTIONS = {".osrel": 0x20000, ".cmdline": 0x30000, ".linux": 0x2000000, ".initrd": 0x3000000}


def _run(*command: str | pathlib.Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}: {done.stdout}{done.stderr}")


def unified_kernel_image(disk: pathlib.Path, folder: pathlib.Path, cmdline: str = CMDLINE) -> pathlib.Path:
    """Make one EFI program, unsigned, of the disk's kernel, initial file system and a command line."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {".osrel": folder / "os-release", ".cmdline": folder / "cmdline", ".linux": disk / "vmlinuz", ".initrd": disk / "initrd"}
    parts[".osrel"].write_text("ID=debian\n")
    parts[".cmdline"].write_text(cmdline)
    made = folder / "unsigned.efi"
    arguments: list[str] = []
    for section, address in _SECTIONS.items():
        arguments += ["--add-section", f"{section}={parts[section]}", "--change-section-vma", f"{section}={address:#x}"]
    _run("objcopy", *arguments, STUB, made)
    return made


def sign(image: pathlib.Path) -> pathlib.Path:
    """Sign an EFI program with the key that the firmware's variables enrol."""
    key, signed = image.with_name("key.pem"), image.with_name("signed.efi")
    _run("openssl", "rsa", "-in", SNAKEOIL.with_suffix(".key"), "-passin", "pass:snakeoil", "-out", key)
    _run("sbsign", "--key", key, "--cert", SNAKEOIL.with_suffix(".pem"), "--output", signed, image)
    return signed


def system_partition(image: pathlib.Path) -> pathlib.Path:
    """Put an EFI program where firmware looks for it on a medium that it does not know."""
    made = image.with_suffix(".img")
    made.unlink(missing_ok=True)
    size = image.stat().st_size // 1024 + 4096
    _run("mkfs.vfat", "-C", made, str(size))
    _run("mmd", "-i", made, "::/EFI", "::/EFI/BOOT")
    _run("mcopy", "-i", made, image, "::/EFI/BOOT/BOOTX64.EFI")
    return made


def firmware(partition: pathlib.Path, folder: pathlib.Path, *, secure_boot: bool) -> Firmware:
    """OVMF that boots this partition, with Secure Boot enforced or off; its variables live in `folder`."""
    code, variables = ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.snakeoil.fd") if secure_boot else ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd")
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / variables
    if not own.exists():
        shutil.copy(OVMF / variables, own)
    arguments: tuple[str, ...] = (
        *("-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={OVMF / code}", "-drive", f"if=pflash,format=raw,unit=1,file={own}"),
        *("-drive", f"file={partition},if=none,id=esp,format=raw,readonly=on"),
        *("-device", "virtio-blk-pci,drive=esp,bootindex=1,addr=0x1e"),
    )
    if secure_boot:
        arguments += ("-global", "driver=cfi.pflash01,property=secure,value=on")
    return Firmware(arguments, "q35,smm=on" if secure_boot else "q35", "tpm-crb")
