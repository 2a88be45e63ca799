# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modes: what can only have been meant in octal is taken, everything doubtful is refused."""

from __future__ import annotations

import os
import typing as t

import pytest
import yaml
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import modes


def fault(mode: t.Any) -> str:
    return modes.fault(mode, lambda text: AnsibleModule._symbolic_mode_to_octal(os.stat("/"), text) & 0o7777)


@pytest.mark.parametrize("octal", ["400", "440", "444", "500", "600", "640", "644", "660", "664", "666", "700", "750", "755", "770"])
def test_octal_is_taken_and_the_same_digits_in_decimal_are_refused(octal: str) -> None:
    for good in (f"0{octal}", octal, f"0o{octal}", yaml.safe_load(f"0{octal}")):
        assert fault(good) == "", good
    assert fault(yaml.safe_load(octal)).endswith(f'; write it as "0{octal}"')


@pytest.mark.parametrize("mode", [-1, -384, 0, 1, 9, 0o1600, 0o4755, 1777, 4755, 10**6, True, False, 1.5, None, ["0600"], {"u": "rw"}])
def test_numbers_that_are_no_mode(mode: t.Any) -> None:
    assert "; write it as " in fault(mode)


@pytest.mark.parametrize("mode", ["1777", "2755", "4600", "01600", "u=rws", "g+s", "+t", "u=rw,o+t"])
def test_special_bits(mode: str) -> None:
    assert "setuid" in fault(mode)


@pytest.mark.parametrize("mode", ["", " ", "-600", "0x180", "0999", "rw", "u=zz", "preserve", "True", "06000000", "\u0666\u0660\u0660"])
def test_words_that_are_no_mode(mode: str) -> None:
    assert fault(mode).startswith("is not a mode; write it as ")


@pytest.mark.parametrize("mode", ["u=rw", "u=rw,g=r", "u=rw,g=,o=", "a=r", "go-rwx", "u+x", "o=u"])
def test_words(mode: str) -> None:
    assert fault(mode) == ""
