# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""What is a secret: the one definition, for modules (no_log, diffs), action plugins and roles (the filter ``without_secrets``).

It looks at options as a playbook gives them, before or after ansible-core has checked them, so anything may be malformed. What cannot be told
is a secret.
"""

from __future__ import annotations

import json
import typing as t

Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# Options whose value is a secret in every module and resource, and content, which is one unless everybody may read it.
_AUTHS = ("auth", "current_auth", "owner_auth", "endorsement_auth", "lockout_auth", "platform_auth")
ALWAYS = frozenset((*_AUTHS, "master", "former_master", "password", "pin"))
CONTENT = frozenset(("content", "content_b64"))
# Resources that are there for a secret's sake: what they protect is worth as much as the TPM they are made in.
PROTECTING = frozenset(("hierarchy", "sealed_blob"))
SHORTEST_MASKED = 8  # characters
_BEGIN, _PRIVATE = "-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"
# The options of a resource of the kind certificate. What has others beside them is something else.
_CERTIFICATE = frozenset(("path", "content", "mode", "owner", "group", "state", "on_mismatch"))


def readable_by_all(options: t.Mapping[str, t.Any]) -> bool:
    """Whether anybody who reaches the TPM may read an NV index that these options define: by its own, empty, auth (TPMA_NV_AUTHREAD)."""
    if options.get("auth") not in (None, ""):
        return False
    attributes = options.get("attributes")
    if isinstance(attributes, str):
        attributes = attributes.split(",")
    # Unless attributes are given, every kind of index of ours has authread.
    return attributes is None or (isinstance(attributes, (list, tuple)) and "authread" in attributes)


def _public_content(options: t.Mapping[str, t.Any], kind: str) -> bool:
    if kind in ("", "nv_index") and "index" in options:
        return readable_by_all(options)
    if kind not in ("", "certificate") or not _CERTIFICATE.issuperset(options):
        return False
    text = str(options.get("content") or "").lstrip()
    return text.startswith(_BEGIN) and _PRIVATE not in text


def _scalars(value: t.Any) -> t.Iterator[str]:
    if isinstance(value, t.Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _scalars(one)
    elif value is not None and str(value):
        yield str(value)


def _texts(value: t.Any) -> t.Iterator[str]:
    """What stands as text where mappings are asked for: Ansible makes mappings of it (JSON, Python, key=value), with any secret in them."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, (str, bytes)) and value:
        yield value if isinstance(value, str) else value.decode(errors="replace")


def secret_values(options: t.Any, spec: Spec | None = None, kind: str = "") -> t.Iterator[str]:
    """Every secret value in options, as text, however deep it lies; the same value may come twice.

    ``spec``: the argument specification of the options. Then also what it calls no_log, what stands under a name that it does not know, and text
    where it asks for a mapping or a list of them, is a secret. ``kind``: the kind of resource, if they are one's.
    """
    if isinstance(options, (list, tuple)):
        for one in options:
            yield from secret_values(one, spec, kind)
    if not isinstance(options, t.Mapping):
        return
    public = _public_content(options, kind)
    for name, value in options.items():
        if name == "password" and (value is None or value is True):
            continue  # the assertion of a policy
        known: t.Mapping[str, t.Any] = {} if spec is None else spec.get(name, {"no_log": not str(name).startswith("_ansible_")})
        if name in ALWAYS or known.get("no_log") is True or (name in CONTENT and not public):
            yield from _scalars(value)
        else:
            if "dict" in (known.get("type"), known.get("elements")):
                yield from _texts(value)
            yield from secret_values(value, known.get("options"), str(name))


def hidden(options: t.Any, spec: Spec | None = None) -> set[str]:
    """Every secret value in options (as `secret_values`), plain and as Python and JSON escape it: what no output may hold."""
    found = set(secret_values(options, spec))
    return found | {
        form for value in found for form in (repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    }


def masked(values: t.Iterable[str]) -> set[str]:
    """Those secret values that ansible-core may look for in texts, to put asterisks in their place.

    A shorter one is part of ordinary words and numbers: with the auth "e" no sentence could be read, no handle and no Name. It stands in no text of
    ours in the first place.
    """
    return {value for value in values if len(value) >= SHORTEST_MASKED}


def is_secret(item: t.Any, kinds: Spec) -> bool:
    """Whether a resource of a profile, ``{kind: options}``, must not go to a TPM that nobody has verified or that is in quarantine.

    ``kinds``: the argument specification of all kinds, that is the options of ``resources``. What is no such item is a secret.
    """
    if misfit(item, kinds):
        return True
    ((kind, options),) = ((kind, options) for kind, options in item.items() if options is not None)
    return kind in PROTECTING or any(True for _one in secret_values(options, kinds[kind].get("options", {}), kind))


def misfit(item: t.Any, kinds: Spec) -> str:
    """Why something is no resource of a profile, without any of its values; "" where it is one."""
    if not isinstance(item, t.Mapping):
        return "it is no mapping of a kind to its options"
    given = [kind for kind, options in item.items() if options is not None]
    if len(given) != 1:
        return f"it names {len(given)} kinds"
    if given[0] not in kinds:
        return f"'{given[0]}' is no kind"
    if not isinstance(item[given[0]], t.Mapping):
        return f"the options of {given[0]} are no mapping"
    unknown = [name for name in item[given[0]] if name not in kinds[given[0]].get("options", {})]
    return f"{given[0]} has no option '{unknown[0]}'" if unknown else ""


__all__ = ("ALWAYS", "CONTENT", "hidden", "is_secret", "masked", "misfit", "readable_by_all", "secret_values")
