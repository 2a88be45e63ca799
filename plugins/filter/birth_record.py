# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters for birth records; each is documented in the YAML file of its name."""

from __future__ import annotations

import datetime
import json
import typing as t

from ansible.errors import AnsibleFilterError

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text as _shown
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._birth import (
    birth_records,
    envelope,
    schema,
)


def verify_birth_record(record: t.Any, roots: t.Any, at: t.Any = None, fail: bool = True) -> dict[str, t.Any]:
    """Verify a birth record and return what it says. Raises AnsibleFilterError, for a record that is not valid only if ``fail`` is true."""
    several = isinstance(roots, t.Iterable) and not isinstance(roots, (str, t.Mapping))
    anchors = list(roots) if several else [roots]
    if not anchors or not all(isinstance(one, str) for one in anchors):
        raise AnsibleFilterError("Could not verify a birth record: roots must be the PEM text of a certificate, or a list of such texts.")
    try:
        payload = birth_records.verify(_text(record), roots=[str(one) for one in anchors], now=_time(at))
    except TpmError as error:
        if not fail:
            return {"valid": False, "reason": error.reason, "message": _shown.shown(str(error))}
        raise AnsibleFilterError(str(error)) from None
    signer, root = payload.pop("signer"), payload.pop("root")
    keys = {f"{kind}_name": (payload[kind] or {}).get("name") for kind in ("ek", "ak", "idevid", "ldevid")}
    told = {"serial": payload["device"]["serial"], "host": payload["device"]["host"], "time": payload["time"]}
    return {"valid": True, **told, **keys, "rung": payload["ek"]["verdict"]["rung"], "signer": signer, "root": root, "record": payload}


def birth_record_duplicates(records: t.Any) -> list[dict[str, t.Any]]:
    """The keys and serial numbers that devices of a fleet share. Raises AnsibleFilterError."""
    if isinstance(records, (str, t.Mapping)) or not isinstance(records, t.Iterable):
        raise AnsibleFilterError("Could not compare birth records: the filter takes a list of them.")
    try:
        return birth_records.duplicates([_payload(one) for one in records])
    except TpmError as error:
        raise AnsibleFilterError(str(error)) from None


def _text(record: t.Any) -> str:
    if isinstance(record, t.Mapping):
        try:
            return json.dumps(record)
        except (TypeError, ValueError, RecursionError) as error:
            raise AnsibleFilterError(f"Could not read a birth record: JSON cannot hold what is in it ({error}); give its text.") from None
    if not isinstance(record, str):
        raise AnsibleFilterError("Could not read a birth record: it is neither text nor the object that its JSON says.")
    return str(record)


def _payload(record: t.Any) -> t.Any:
    """The text or payload of a record, which may be an envelope, its text, a payload or a result of verify_birth_record."""
    if isinstance(record, t.Mapping) and "record" in record:
        record = record["record"]
    text = _text(record)
    return envelope.loads(text, "it") if isinstance(record, t.Mapping) and "payloadType" not in record else text


def _time(value: t.Any) -> datetime.datetime | None:
    if value is None:
        return None
    found = schema.parse_time(str(value))
    if found is None:
        raise AnsibleFilterError(f"Could not verify a birth record: at is '{value}', no time; write it as 2026-01-31T12:00:00Z.")
    return found


class FilterModule:
    """The filters by name."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """What Ansible asks for."""
        return {"verify_birth_record": verify_birth_record, "birth_record_duplicates": birth_record_duplicates}
