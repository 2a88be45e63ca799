# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What YAML made of a value that should be text: 0012345 is the number 5349, 12:34:56 is 45296, yes is True, a date is an object.

ansible-core converts such a value back to text, which is then different from what the user wrote. So the values are checked before ansible-core
has converted anything: on the controller, where dates are still dates, and in the module.
"""

from __future__ import annotations

import ast
import datetime
import json
import typing as t

Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# Options that are text in the argument specification but may be written as numbers: handles, indices and ids.
_NUMBERS = frozenset(("handle", "index", "parent", "ek", "ak", "idevid", "serial_index", "owner", "group"))
# bool comes before int because it is a subclass of it, and datetime comes before date for the same reason.
_KINDS: tuple[tuple[t.Any, str], ...] = (
    (bool, "a truth value"),
    ((int, float), "a number"),
    ((datetime.date, datetime.time), "a date"),
    ((bytes, bytearray), "binary data"),
    (t.Mapping, "a mapping"),
    ((list, tuple, set, frozenset), "a list"),
)


def kind(value: t.Any) -> str:
    """What a value is instead of text, in words ("a number"); "" for text, None and vaulted values."""
    if value is None or isinstance(value, str) or getattr(value, "__ENCRYPTED__", False):
        return ""
    return next((name for one, name in _KINDS if isinstance(value, one)), "")


def fault(where: str, value: t.Any) -> str:
    """The sentence for a value that is not text, or cannot be encoded; "" for text or None. It does not contain the value, which may be a secret."""
    found = kind(value)
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return f"Could not read {where}: it is not Unicode text (it holds half of a surrogate pair); give bytes as base64 in content_b64."
    if not found:
        return ""
    if found in ("a mapping", "a list", "binary data"):
        return f"Could not read {where}: it is {found}, not text; give text (and bytes as base64 in content_b64)."
    return (
        f"Could not read {where}: YAML has made {found} of it, so the original text is lost; put it into quotes where it is "
        "written (and where a template computes it, end the template with the filter string)."
    )


def misread(options: t.Any, spec: Spec) -> str:
    """The sentence for the first option, at any depth, that should be text and is not, or should be a number and is a truth value.

    It is "" if there is no such option. ``options``: as a playbook gives them, so they may be malformed. ``spec``: their argument specification.
    """
    return next(_faults(options, spec, ""), "")


def _faults(options: t.Any, spec: Spec, where: str) -> t.Iterator[str]:
    if not isinstance(options, t.Mapping):
        return
    for name, known in spec.items():
        if options.get(name) is None:
            continue
        value = options[name]
        if known.get("type") == "str" and not known.get("choices") and name not in _NUMBERS:
            found = fault(f"{name}{where}", value)
            if found:
                yield found
        elif known.get("type") in ("int", "float") or known.get("elements") == "int":
            if any(isinstance(one, bool) for one in (value if isinstance(value, (list, tuple)) else (value,))):
                yield f"Could not read {name}{where}: it is a truth value, not a number; write the number."
        elif known.get("options"):
            yield from _below(value, known["options"], str(name), where)


def _below(value: t.Any, spec: Spec, name: str, where: str) -> t.Iterator[str]:
    if isinstance(value, (list, tuple)):
        for number, one in enumerate(value, 1):
            yield from _below(one, spec, f"item {number} of {name}", where)
        return
    inside = f"{where[:-1]}, {name})" if where else f" ({name})"
    yield from _faults(_mapping(value) if isinstance(value, str) else value, spec, inside)


def _mapping(text: str) -> t.Any:
    """What ansible-core makes from text in JSON or Python form. None for other text (key=value), whose values stay text."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


__all__ = ("fault", "kind", "misread")
