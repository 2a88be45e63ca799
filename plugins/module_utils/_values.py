# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What YAML made of a value that is to be text: 0012345 is the number 5349, 12:34:56 is 45296, yes is True, a date is an object.

ansible-core writes such a value out as text again, which is then another one. So it is looked at before ansible-core has converted anything: on
the controller, where dates are still dates, and in the module.
"""

from __future__ import annotations

import ast
import datetime
import json
import typing as t

Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# Text in the argument specification, and numbers by their nature: handles, indices and ids.
_NUMBERS = frozenset(("handle", "index", "parent", "ek", "ak", "idevid", "serial_index", "owner", "group"))
# bool before int, of which it is a kind, and datetime beside date for the same reason.
_KINDS: tuple[tuple[t.Any, str], ...] = (
    (bool, "a truth value"),
    ((int, float), "a number"),
    ((datetime.date, datetime.time), "a date"),
    ((bytes, bytearray), "binary data"),
    (t.Mapping, "a mapping"),
    ((list, tuple, set, frozenset), "a list"),
)


def kind(value: t.Any) -> str:
    """What a value is in place of text, "" where it is text or none. A vault's value is text."""
    if value is None or isinstance(value, str) or getattr(value, "__ENCRYPTED__", False):
        return ""
    return next((name for one, name in _KINDS if isinstance(value, one)), "")


def fault(where: str, value: t.Any) -> str:
    """The sentence for a value that is no text, without the value, which may be a secret; "" where it is text or None."""
    found = kind(value)
    if not found:
        return ""
    if found in ("a mapping", "a list", "binary data"):
        return f"Could not read {where}: it is {found} and no text; give text (and bytes as base64 in content_b64)."
    return (
        f"Could not read {where}: YAML has made {found} of it, so that what was written is not known any more; put it into quotes where it is "
        "written (and where a template computes it, end the template with the filter string)."
    )


def misread(options: t.Any, spec: Spec) -> str:
    """The sentence for the first option that is to be text and is none, or a number and is a truth value, however deep it lies; "" for none.

    ``options``: as a playbook gives them, so that anything may be malformed. ``spec``: their argument specification.
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
                yield f"Could not read {name}{where}: it is a truth value and no number; write the number."
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
    """The mapping that ansible-core makes of text: JSON, or Python. Of other text (key=value) it makes text alone."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


__all__ = ("fault", "kind", "misread")
