# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Which values are secret: the one definition, for modules (no_log, diffs), action plugins and roles (the filter ``without_secrets``).

The functions take options as a playbook gives them, before or after ansible-core has checked them, so the options may be malformed. A value that
cannot be judged counts as a secret.
"""

from __future__ import annotations

import json
import typing as t

Spec = t.Mapping[str, t.Mapping[str, t.Any]]

# Options whose value is a secret in every module and resource; and content, which is a secret unless everybody may read it.
_AUTHS = ("auth", "current_auth", "owner_auth", "endorsement_auth", "lockout_auth", "platform_auth")
ALWAYS = frozenset((*_AUTHS, "master", "former_master", "password", "pin"))
CONTENT = frozenset(("content", "content_b64"))
# Kinds of resource that protect a secret: the protection is only as good as the TPM that they are made in.
PROTECTING = frozenset(("hierarchy", "sealed_blob"))
SHORTEST_MASKED = 8  # characters
_BEGIN, _PRIVATE = "-----BEGIN CERTIFICATE-----", "PRIVATE KEY-----"
# The options of a resource of the kind certificate. A mapping that has other options, too, is not a certificate.
_CERTIFICATE = frozenset(("path", "content", "mode", "owner", "group", "state", "on_mismatch"))


def readable_by_all(options: t.Mapping[str, t.Any]) -> bool:
    """Whether anybody who reaches the TPM can read the NV index that these options define, with the index's own empty auth (TPMA_NV_AUTHREAD)."""
    if options.get("auth") not in (None, ""):
        return False
    attributes = options.get("attributes")
    if isinstance(attributes, str):
        attributes = attributes.split(",")
    # Unless attributes are given, every index that this collection defines has authread.
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
    """Text where the specification wants mappings: Ansible turns it into mappings (from JSON, Python, key=value), which may hold any secret."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, (str, bytes)) and value:
        yield value if isinstance(value, str) else value.decode(errors="replace")


def secret_values(options: t.Any, spec: Spec | None = None, kind: str = "") -> t.Iterator[str]:
    """Every secret value in options, as text, at any depth; the same value may come twice.

    ``spec``: the argument specification of the options, if known. Then these values are secret as well: options that it marks no_log, options that it
    does not know, and text where it wants a mapping or a list of mappings. ``kind``: the kind of resource that the options belong to, if any.
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
    """Every secret value in options (see ``secret_values``), plain and as Python and JSON escape it. No output may hold any of them."""
    found = set(secret_values(options, spec))
    return found | {
        form for value in found for form in (repr(value)[1:-1], json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    }


def masked(values: t.Iterable[str]) -> set[str]:
    """The secret values that ansible-core may replace by asterisks wherever they occur in a text.

    Shorter values are left out, because they are part of ordinary words and numbers: with the auth "e" masked, no sentence, handle or Name could be
    read. The texts of this collection contain no secret in the first place.
    """
    return {value for value in values if len(value) >= SHORTEST_MASKED}


def is_secret(item: t.Any, kinds: Spec) -> bool:
    """Whether a resource of a profile, ``{kind: options}``, must not be sent to a TPM that is unverified or in quarantine.

    ``kinds``: the argument specification of all kinds, that is, of the options of ``resources``. An item of any other form counts as a secret.
    """
    if misfit(item, kinds):
        return True
    ((kind, options),) = ((kind, options) for kind, options in item.items() if options is not None)
    return kind in PROTECTING or any(True for _one in secret_values(options, kinds[kind].get("options", {}), kind))


def misfit(item: t.Any, kinds: Spec) -> str:
    """Why an item is not a resource of a profile, as a clause without any of its values; "" if it is one."""
    if not isinstance(item, t.Mapping):
        return "it is not a mapping of a kind to its options"
    given = [kind for kind, options in item.items() if options is not None]
    if len(given) != 1:
        return f"it names {len(given)} kinds"
    if given[0] not in kinds:
        return f"'{given[0]}' is not a kind"
    if not isinstance(item[given[0]], t.Mapping):
        return f"the options of {given[0]} are not a mapping"
    unknown = [name for name in item[given[0]] if name not in kinds[given[0]].get("options", {})]
    return f"{given[0]} has no option '{unknown[0]}'" if unknown else ""


__all__ = ("ALWAYS", "CONTENT", "hidden", "is_secret", "masked", "misfit", "readable_by_all", "secret_values")
