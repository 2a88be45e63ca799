# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks for secrets where they must not be: on the wire, in outputs, in files."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import typing as t

# If so many consecutive bytes of a secret are found anywhere, it counts as a leak.
_WINDOW = 8


def made_up(name: str, size: int = 24) -> str:
    """Return a secret text that shares no eight characters with the one of another name; `size` at most 64."""
    return hashlib.sha256(name.encode()).hexdigest()[:size]


def awkward(name: str) -> str:
    """Return a secret text as `made_up`, of 32 bytes, which begins with a hyphen and has quotes, a backslash, a newline and an accent in it.

    Even if it is escaped, eight consecutive characters stay as they are.
    """
    text = made_up(name)
    return f"-{text[:9]}\"\\{text[9:17]}'\n{text[16:24]}\N{LATIN SMALL LETTER E WITH ACUTE}"


def on_the_wire(wire: bytes, secrets: t.Mapping[str, bytes]) -> list[str]:
    """Return the names of the secrets of which any eight bytes in a row occur in `wire`."""
    return [name for name, secret in secrets.items() if any(window in wire for window in _windows(secret))]


def in_text(text: str, secrets: t.Mapping[str, bytes]) -> list[str]:
    """Return the names of the secrets that occur in `text`: plain, escaped, in hexadecimal, in base64."""
    return _in_bytes(text.encode(), secrets)


def in_files(folder: pathlib.Path, secrets: t.Mapping[str, bytes]) -> list[str]:
    """Return "file: secret" for each secret that occurs, in any of these forms, in a file anywhere below `folder`."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [f"{path}: {name}" for path in files for name in _in_bytes(path.read_bytes(), secrets)]


def _in_bytes(data: bytes, secrets: t.Mapping[str, bytes]) -> list[str]:
    return [name for name, secret in secrets.items() if any(form in data for form in _forms(secret)) or on_the_wire(data, {name: secret})]


def _forms(secret: bytes) -> list[bytes]:
    text = [secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode(), repr(secret)[2:-1]]
    text += [json.dumps(secret.decode(coding, errors))[1:-1] for coding, errors in (("latin-1", "strict"), ("utf-8", "surrogateescape"))]
    # The three ways in which it can be part of a longer base64 text, without the ends, which depend on the bytes next to it.
    text += [base64.b64encode(bytes(pad) + secret).decode()[4:-4] for pad in (1, 2)]
    return [form.encode() for form in text]


def _windows(secret: bytes) -> set[bytes]:
    return {secret[start : start + _WINDOW] for start in range(max(1, len(secret) - _WINDOW + 1))}
