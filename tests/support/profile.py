# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference profile (tests/support/profiles/reference.yml) with its variables filled in, and its variants."""

from __future__ import annotations

import copy
import functools
import hashlib
import os
import pathlib
import typing as t

import jinja2
import yaml

Resources = list[dict[str, dict[str, t.Any]]]
FILE = pathlib.Path(__file__).with_name("profiles") / "reference.yml"
SERIAL = "EDGE-0001-TEST"
TELEMETRY_KEY = hashlib.sha256(b"the telemetry key of the tests").digest()
SRK, EK, AK, MQTT_KEY, SERIAL_INDEX = 0x81000001, 0x81010001, 0x81020001, 0x81000210, 0x01800010


@functools.cache
def _source() -> Resources:
    return t.cast(Resources, yaml.safe_load(FILE.read_text())["tpm2_profile_resources"])


def _render(value: t.Any, variables: dict[str, str]) -> t.Any:
    # As in Ansible, the file is parsed as YAML first, then each text in it is a template.
    if isinstance(value, dict):
        return {key: _render(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_render(item, variables) for item in value]
    if isinstance(value, str):
        return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(value).render(variables)
    return value


def reference(serial: str, key_b64: str, device_dir: str | os.PathLike[str]) -> Resources:
    """Return the reference profile's resources for one device."""
    variables = {"tpm2_serial": serial, "tpm2_telemetry_key": key_b64, "tpm2_device_dir": os.fspath(device_dir)}
    return t.cast(Resources, _render(_source(), variables))


def hardened(
    serial: str,
    key_b64: str,
    device_dir: str | os.PathLike[str],
    *,
    owner_auth: str,
    endorsement_auth: str,
    lockout_auth: str,
) -> Resources:
    """Return the reference profile with the auth values of owner, endorsement and lockout set."""
    auths = {"owner": owner_auth, "endorsement": endorsement_auth, "lockout": lockout_auth}
    hierarchies: Resources = [{"hierarchy": {"hierarchy": name, "auth": auth}} for name, auth in auths.items()]
    return reference(serial, key_b64, device_dir) + hierarchies


def quick(resources: Resources) -> Resources:
    """Return the same profile with elliptic-curve keys in place of RSA, which take seconds less to make."""
    result = copy.deepcopy(resources)
    for resource in result:
        for kind, options in resource.items():
            if kind == "primary_key" and options.get("template") == "ek_rsa_2048":
                options["template"] = "ek_ecc_p256"
            if kind == "key" and str(options.get("algorithm", "")).startswith("rsa"):
                options.update(algorithm="ecc_p256")
    return result
