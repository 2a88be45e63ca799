# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check modes of files that hold a secret or a certificate, as a playbook gives them. YAML reads 0600 as octal and 600 as six hundred."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError

_OCTAL = re.compile(r"(0o)?0?[0-7]{1,4}", re.ASCII)
_SPECIAL = 0o7000
# The number that means "as it is" in place of an owner or group (chown(2)), and how many digits it has.
_NO_ID, _DIGITS = 0xFFFFFFFF, 10
_CURE = 'write it as "0600" or u=rw,g=r'


def _sensible(mode: int) -> bool:
    """Whether a mode is plausible: the owner may read, the group may do no more than the owner, and others no more than the group."""
    owner, group, others = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    return 0 < mode <= 0o777 and bool(owner & 4) and group & ~owner == 0 == others & ~group


def _meant_in_octal(number: int) -> bool:
    """Whether a number must have been written in octal: 420 comes from 0644, as nobody means mode 0420; but 444 would be mode 0674."""
    digits = str(number)
    return _sensible(number) and not (_OCTAL.fullmatch(digits) and _sensible(int(digits, 8)))


def fault(mode: t.Any, symbolic: t.Callable[[str], int]) -> str:
    """What is wrong with a mode and what to write instead, as a clause to follow its value; "" if nothing is wrong.

    ``symbolic``: a function that returns the mode for words such as u=rw,g=r; it raises ValueError for other text.
    """
    if isinstance(mode, bool) or not isinstance(mode, (int, str)) or mode == "":
        return f"is not a mode; {_CURE}"
    if isinstance(mode, int):
        digits = str(mode)
        if _meant_in_octal(mode):
            return ""
        cure = f'write it as "{digits.zfill(4)}"' if _OCTAL.fullmatch(digits) and int(digits, 8) <= 0o777 else _CURE
        return f"is a number that was not written in octal (YAML reads 0600 as 384, and 600 as 600); {cure}"
    try:
        number = int(mode.replace("o", ""), 8) if _OCTAL.fullmatch(mode) else symbolic(mode)
    except ValueError:
        return f"is not a mode; {_CURE}"
    return (
        f"has the setuid, setgid or sticky bit, which a file with a secret or a certificate must not have; {_CURE}"
        if number & _SPECIAL
        else ""
    )


def numeric(kind: str, name: str, path: str) -> bool:
    """Whether a file's owner or group is given as a number. Raises InputError for a number that nobody can have."""
    if not name.isdecimal():
        return False
    if len(name) > _DIGITS or int(name) >= _NO_ID:
        raise no_such(kind, name, path)
    return True


def no_such(kind: str, name: t.Any, path: str) -> InputError:
    """The error for an owner or a group of a file that the device does not have."""
    return InputError(f"Could not plan {path}: there is no {kind} {name} on the device; create it, or name another.")


def check(path: str, mode: t.Any, symbolic: t.Callable[[str], int]) -> None:
    """Raises InputError if a mode for a file, where one is given, has a fault."""
    wrong = "" if mode is None else fault(mode, symbolic)
    if wrong:
        raise InputError(f"Could not plan {path}: mode '{mode}' {wrong}.")


def number(mode: int | str, symbolic: t.Callable[[str], int]) -> int:
    """A mode without a fault as a number."""
    if isinstance(mode, int):
        return mode
    return int(mode.replace("o", ""), 8) if _OCTAL.fullmatch(mode) else symbolic(mode)


__all__ = ("check", "fault", "no_such", "number", "numeric")
