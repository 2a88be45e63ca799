# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: device_auth
short_description: The auth values of a device's TPM, from escrow
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Returns the auth values (passwords) of the hierarchies of a device's TPM, one for each term. An auth value is a text of 32 characters.
  - A value is returned only if the controller has stored it or can derive it again, so you can set it in the TPM without losing it.
  - A device that is not enrolled has no auth values, because none is set before its EK is verified. The answer is then an empty text for
    each term. The answer is also empty if the device is looked up by O(serial) or O(host) while an incident is open that names the host
    or the device's EK. Otherwise an impostor would get the auth values of the device that it claims to be.
  - Before a value is derived or opened, the device's signed birth record is verified with O(record_roots). It must have the same EK, AK,
    IDevID key, serial number and host as the registry's row. Otherwise the lookup fails, because anybody who can write to the registry
    could claim any EK.
  - The lookup also fails if the value is asked for another host than the one in the signed record or statement.
options:
  _terms:
    description:
      - The hierarchies, V(owner), V(endorsement) or V(lockout).
    type: list
    elements: str
    required: true
  registry:
    description:
      - The registry's path, or its URL.
      - It can be left out with O(mode=derived), if O(record) and a number as O(generation) are given.
    type: str
  record_roots:
    elements: str
    required: true
  record:
    description:
      - The file with the device's birth record, in case the registry is lost. It is verified like a record from the registry.
    type: str
  mode:
    description:
      - With V(derived), a value is computed from O(master), the Name of the EK, the hierarchy and the generation, so no value can get
        lost as long as you have O(master). The registry keeps a check value of O(master), so that a wrong master is refused and no wrong
        value is tried on a TPM.
      - With V(random), a value is made at random and kept in the registry, encrypted with O(master), and once more for O(recovery_key).
    type: str
    choices: [derived, random]
    default: derived
  master:
    description:
      - The fleet's master secret, 32 random bytes or more, in hex or base64, as C(openssl rand -hex 32) makes them. Keep it in a vault.
    type: str
    required: true
  recovery_key:
    description:
      - A file with a public key or certificate (PEM, RSA of 2048 bits or more), for which random values are encrypted too.
      - Its private key recovers them with OpenSSL alone. Keep the private key in a safe, away from the controller.
    type: str
  ek_name:
    description:
      - The Name of the device's EK.
    type: str
  serial:
    description:
      - The device's serial number.
    type: str
  host:
    description:
      - The host that the value is for. The default is this host.
      - If neither O(ek_name) nor O(serial) is given, it also names the device. Name the device by its serial number if the host name
        belongs to a place, such as a slot of a test bench, and not to one device for life.
    type: str
  generation:
    description:
      - V(current) is the generation that the TPM has, V(next) the one that a rotation gives it. A number names any generation.
      - While a rotation is not finished, the TPM may have either of them, and one wrong lockout auth would block its lockout hierarchy,
        usually for a day. So V(current) and V(next) are refused. Finish the rotation with the playbook C(edgefleet.tpm2.rotate_auth).
    type: str
    default: current
  create:
    description:
      - Whether to make and store values that do not exist yet. Give C(not ansible_check_mode). With V(false) nothing is stored, and
        instead of a missing value one is returned that is of use in this run only.
    type: bool
    default: true
  timeout:
    description:
      - How many seconds to wait for a registry that is locked or does not answer.
    type: int
    default: 30
requirements:
  - cryptography >= 42
  - SQLAlchemy >= 2.0
  - alembic >= 1.10 (if the registry is to be made or upgraded)
  - psycopg >= 3.1 (for PostgreSQL)
notes:
  - Use C(no_log=true) on a task that uses a value in any other place than an option that Ansible hides, such as an auth option of this
    collection's modules.
extends_documentation_fragment:
  - edgefleet.tpm2._former_master
  - edgefleet.tpm2._record_roots
seealso:
  - plugin: edgefleet.tpm2.device
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Set the owner auth
  edgefleet.tpm2.tpm2_hierarchy:
    hierarchy: owner
    auth: >-
      {{ lookup('edgefleet.tpm2.device_auth', 'owner', registry='/var/lib/edgefleet/registry.sqlite', serial=tpm2_profile_serial,
                record_roots=['/srv/factory/ca/issuing.pem'], master=vault_fleet_master, create=not ansible_check_mode) }}
    session_key:
      # The auth value goes to the TPM that was verified, and to no other.
      name: "{{ (query('edgefleet.tpm2.device', registry='/var/lib/edgefleet/registry.sqlite', serial=tpm2_profile_serial,
                       record_roots=['/srv/factory/ca/issuing.pem']) | first).ek_name }}"
"""

RETURN = r"""
_raw:
  description:
    - One auth value for each term, or an empty text if the device has none.
  type: list
  elements: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import InputError, TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _configuration, _proven, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._escrow import Escrow
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask, records
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.store import Registry


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[str]:
        """Return one text for each term. Raises AnsibleLookupError."""
        here = str((variables or {}).get("inventory_hostname", ""))
        try:
            # Checked before Ansible converts values to text.
            _action_support.check_texts(kwargs, _action_support.KEYS)
            self.set_options(var_options=variables, direct=kwargs)
            return self._auths([str(term) for term in terms], here)
        except TpmError as error:
            raise AnsibleLookupError(_text.shown(error)) from None

    def _auths(self, hierarchies: list[str], here: str) -> list[str]:
        _configuration.refuse_injection()
        url, create = self.get_option("registry"), self.get_option("create")
        wanted, key = self._generation(), {name: str(self.get_option(name) or "") for name in ("ek_name", "serial", "host")}
        if url is None:
            return self._without_registry(hierarchies, key, wanted)
        with open_registry(str(url), timeout=self.get_option("timeout"), create=create) as registry:
            escrow, host = self._escrow(registry), key["host"] or here
            device = ask.find(registry, **{**key, "host": host})
            if device is None or (not key["ek_name"] and self._is_withheld(registry, device.host, device.serial, here)):
                return [""] * len(hierarchies)
            roots = self.get_option("record_roots")
            device = _action_support.proven(registry, device, {**key, "record_roots": roots}, path=self._path)
            if ask.elsewhere(device, host):
                raise InputError(
                    f"Could not look up an auth of {device.serial} for {host}: the signed records have that device at {device.host}; name the host "
                    "that the value is for (host), or run the playbook edgefleet.tpm2.day_zero, which has a device prove that it has moved."
                )
            found = escrow.many(device.ek_name, hierarchies, _number(device, wanted))
            return [found[hierarchy] for hierarchy in hierarchies]

    def _without_registry(self, hierarchies: list[str], key: dict[str, str], wanted: int | str) -> list[str]:
        record, escrow = self.get_option("record"), self._escrow(None)
        if not record or not isinstance(wanted, int):
            raise InputError(
                "Could not look up an auth: no registry is given; give one, or record and a number as generation with mode: derived."
            )
        roots = _proven.load_roots(map(self._path, self.get_option("record_roots")))
        ek_name = _proven.recorded(self._path(str(record)), roots, serial=key["serial"], ek_name=key["ek_name"])
        found = escrow.many(ek_name, hierarchies, wanted)
        return [found[hierarchy] for hierarchy in hierarchies]

    def _path(self, path: str) -> str:
        """A path on the controller; a relative one is relative to the playbook's folder."""
        return str(self._loader.path_dwim(path)) if self._loader else path

    def _is_withheld(self, registry: Registry, there: str, serial: str, here: str) -> bool:
        hosts = {here, there, str(self.get_option("host") or here)}
        return any(ask.incident(registry, host=host, serial=serial) for host in hosts)

    def _escrow(self, registry: Registry | None) -> Escrow:
        options = {name: self.get_option(name) for name in ("mode", "master", "former_master", "recovery_key")}
        return _action_support.escrow(registry, options, create=self.get_option("create"), path=self._path)

    def _generation(self) -> int | str:
        text = str(self.get_option("generation"))
        if text in ("current", "next"):
            return text
        if not text.isascii() or not text.isdigit() or int(text) < 1:
            raise InputError(f"Could not look up an auth: generation is '{text}'; use current, next or a number from 1.")
        return int(text)


def _number(device: records.Device, wanted: int | str) -> int:
    """The number of the generation. Raises InputError if the registry does not say which one the TPM has."""
    if isinstance(wanted, int):
        return wanted
    if device.auth_pending is not None:
        raise InputError(
            f"Could not look up an auth of {device.serial}: its auth values are being replaced; finish that with the playbook "
            "edgefleet.tpm2.rotate_auth."
        )
    return device.auth_generation + (wanted == "next")
