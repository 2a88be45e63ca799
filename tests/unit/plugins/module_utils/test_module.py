# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the engine: which parameters are secrets, and which auth values are given."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _module
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles

PUBLIC = {"index": "0x01800010", "content": "serial"}


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"owner_auth": "one", "lockout_auth": "two", "platform_auth": None, "tcti": "device"}, ["one", "two"]),
        ({"auth": "one", "current_auth": 42, "path": "/x"}, ["one", "42"]),
        ({"path": "/x", "content": "sealed", "content_b64": "c2VhbGVk"}, ["sealed", "c2VhbGVk"]),
        ({"path": "/x", "content": "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----"}, []),
        (PUBLIC, []),
        ({**PUBLIC, "attributes": ["ownerwrite", "authread"]}, []),
        ({**PUBLIC, "attributes": ["ownerwrite", "ownerread"]}, ["serial"]),
        ({**PUBLIC, "auth": "index"}, ["serial", "index"]),
        ({"resources": [{"nv_index": PUBLIC}, {"hierarchy": {"auth": "deep"}}, {"sealed_blob": {"content": "in"}}]}, ["deep", "in"]),
        ({"resources": {"hierarchy": [{"auth": "malformed"}]}}, ["malformed"]),
        ({"auth": {"not": "text", "auth": "still"}}, ["still"]),
        ({"auth": ""}, []),
        (None, []),
    ],
)
def test_secrets_are_found_wherever_they_stand(parameters: t.Any, found: list[str]) -> None:
    assert sorted(_module.secrets(parameters)) == sorted(found)


def test_the_given_auths() -> None:
    names = {f"{name}_auth": None for name in handles.HIERARCHIES}
    assert _module.given(names) == {}
    assert _module.given({**names, "owner_auth": "hex:6162", "lockout_auth": ""}) == {handles.RH_OWNER: b"ab", handles.RH_LOCKOUT: b""}
    with pytest.raises(errors.InputError, match="platform_auth"):
        _module.given({**names, "platform_auth": "x" * 33})
