# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task gives and gets back, wherever it runs."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _task
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import errors, handles


def test_the_given_auths() -> None:
    names = {f"{name}_auth": None for name in handles.HIERARCHIES}
    assert _task.given(names) == {}
    assert _task.given({**names, "owner_auth": "hex:6162", "lockout_auth": ""}) == {handles.RH_OWNER: b"ab", handles.RH_LOCKOUT: b""}
    with pytest.raises(errors.InputError, match="platform_auth"):
        _task.given({**names, "platform_auth": "x" * 33})
