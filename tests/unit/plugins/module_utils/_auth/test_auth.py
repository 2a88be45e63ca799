# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Auth values as a playbook gives them, and which strategy proves them."""

from __future__ import annotations

import pytest

from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth import choose
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.hmac import Hmac
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.password import Password
from ansible_collections.edgefleet.tpm2.plugins.module_utils._auth.policy import PolicySession
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (None, None),
        ("", b""),
        ("hex:", b""),
        ("word", b"word"),
        ("str:word", b"word"),
        ("str:hex:00", b"hex:00"),
        ("str:file:/etc/auth", b"file:/etc/auth"),
        ("profile:x", b"profile:x"),
        ("File:x", b"File:x"),
        ("hex:0aFF", b"\x0a\xff"),
        ("hex:00 01", b"\x00\x01"),
        ("ä", "ä".encode()),
        ("x" * 32, b"x" * 32),
        ("hex:" + "0f" * 32, b"\x0f" * 32),
    ],
)
def test_values(text: str | None, value: bytes | None) -> None:
    assert choose.read(text, "owner_auth") == value


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("hex:0", "owner_auth: what follows 'hex:'"),
        ("hex:zz", "owner_auth: what follows 'hex:'"),
        ("x" * 33, "owner_auth: it has 33 bytes"),
        ("ä" * 17, "owner_auth: it has 34 bytes"),
        ("hex:" + "01" * 33, "owner_auth: it has 33 bytes"),
        ("hex:0100", "owner_auth: it ends in a zero byte"),
        ("hex:00", "owner_auth: it ends in a zero byte"),
        ("file:/etc/auth", "owner_auth: it begins with 'file:'.*'str:'"),
        ("file:-", "owner_auth: it begins with 'file:'"),
        ("session:s.ctx", "owner_auth: it begins with 'session:'"),
        ("pcr:sha256:7", "owner_auth: it begins with 'pcr:'"),
    ],
)
def test_values_that_a_tpm_would_mistake_are_refused_without_showing_them(text: str, phrase: str) -> None:
    with pytest.raises(InputError, match=phrase) as refused:
        choose.read(text, "owner_auth")
    assert text.removeprefix("hex:") not in refused.value.message or len(text) < 8


@pytest.mark.parametrize(
    ("value", "secret", "session"), [(b"", False, "proving"), (b"", True, "secure"), (b"x", False, "secure"), (b"x", True, "secure")]
)
def test_every_answer_is_proven(value: bytes, secret: bool, session: str) -> None:
    chosen = choose.for_value(value, secret)
    assert chosen.value == value
    assert chosen.open(Sessions()) == session


@pytest.mark.parametrize(("value", "kind"), [(b"", Password), (b"x", Hmac)])
def test_a_password_is_for_the_empty_value_alone(value: bytes, kind: type) -> None:
    chosen = choose.for_use(value)
    assert isinstance(chosen, kind)
    assert chosen.value == value


class Sessions:
    """Notes what is opened."""

    def password(self) -> str:
        return "password"

    def secure(self) -> str:
        return "secure"

    def proving(self) -> str:
        return "proving"

    def policy_session(self, *arguments: object) -> tuple[object, ...]:
        return arguments


def test_each_strategy_opens_its_session() -> None:
    assert Password().open(Sessions()) == "password"
    assert Hmac(b"x").open(Sessions()) == "secure"
    assert PolicySession(["step"], b"x", True, {1: b"y"}).open(Sessions()) == (("step",), True, {1: b"y"})
    assert PolicySession([]).open(Sessions()) == ((), False, {})
