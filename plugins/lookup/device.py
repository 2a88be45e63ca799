# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: device
short_description: What the device registry knows of a device
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Returns what the registry has about a device, as one mapping. Use it for tasks that shall run only for new, or only for enrolled
    devices.
  - A device is new, quarantined, enrolled or unproven. It is enrolled if its signed birth record is verified with O(record_roots) and
    agrees with the registry's row, and unproven if the registry has the device without such a record. It is quarantined while an incident
    is open that names its host, serial number or EK, even if another device is enrolled under that serial number.
  - It changes nothing and never makes a registry. If there is none, every device is new.
options:
  registry:
    description:
      - The registry's path, or its URL.
    type: str
    required: true
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
      - The host name as which the device was enrolled. If neither O(ek_name) nor O(serial) is given, the default is this host.
    type: str
  record_roots:
    elements: str
  timeout:
    description:
      - How many seconds to wait for a registry that is locked or does not answer.
    type: int
    default: 30
requirements:
  - SQLAlchemy >= 2.0
  - psycopg >= 3.1 (for PostgreSQL)
extends_documentation_fragment:
  - edgefleet.tpm2._record_roots
seealso:
  - plugin: edgefleet.tpm2.device_auth
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Say in which state the device is
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }} is {{ device.state }}"
  vars:
    device: "{{ query('edgefleet.tpm2.device', registry='/var/lib/edgefleet/registry.sqlite', serial=tpm2_profile_serial,
                     record_roots=['/srv/factory/ca/issuing.pem']) | first }}"
"""

RETURN = r"""
_raw:
  description:
    - One mapping.
  type: list
  elements: dict
  contains:
    state:
      description: V(new), V(quarantined), V(enrolled) or V(unproven).
      type: str
    proven:
      description: Whether a verified birth record has the same keys, serial number and host.
      type: bool
    ek_name:
      description: The Name of the device's EK. This value and all that follow are V(none) if the device is not enrolled.
      type: str
    ak_name:
      description: The Name of its AK.
      type: str
    idevid_name:
      description: The Name of its IDevID key.
      type: str
    ldevid_name:
      description: The Name of its LDevID key.
      type: str
    serial:
      description: Its serial number.
      type: str
    host:
      description: The host name as which it was enrolled, or to which it has moved since.
      type: str
    mac:
      description: Its MAC address.
      type: str
    site:
      description: Its site.
      type: str
    model:
      description: Its model.
      type: str
    manufacturer:
      description: The manufacturer of its TPM.
      type: str
    firmware:
      description: The firmware version of its TPM.
      type: str
    tpm_model:
      description: The model of its TPM.
      type: str
    enrolled_at:
      description: When it was enrolled, as ISO 8601 with a time zone.
      type: str
    auth_generation:
      description: The generation of the auth values that its TPM has.
      type: int
    auth_pending:
      description: The generation that a rotation is giving to its TPM at present.
      type: int
    certificates:
      description: For each kind of certificate (V(iak), V(idevid), V(ldevid)) the latest one, with C(pem), C(not_after), C(serial_number).
      type: dict
    reason:
      description: Why it is in quarantine or unproven.
      type: str
    detail:
      description: What exactly was found.
      type: str
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _configuration, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry import ask
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """Return one mapping. Raises AnsibleLookupError."""
        try:
            # Checked before Ansible converts values to text.
            _action_support.check_texts(kwargs, _action_support.KEYS)
            self.set_options(var_options=variables, direct=kwargs)
            key = {name: str(self.get_option(name) or "") for name in ("ek_name", "serial", "host")}
            if not any(key.values()):
                key["host"] = str((variables or {}).get("inventory_hostname", ""))
            _configuration.refuse_injection()
            with open_registry(str(self.get_option("registry")), timeout=self.get_option("timeout"), create=False) as registry:
                path = self._loader.path_dwim if self._loader else str
                device, doubt = _action_support.seen(registry, {**key, "record_roots": self.get_option("record_roots")}, path=path)
                host = key["host"] or (device.host if device else "")
                serial = key["serial"] or (device.serial if device else "")
                return [ask.describe(device, ask.incident(registry, host=host, serial=serial), doubt)]
        except TpmError as error:
            raise AnsibleLookupError(_text.shown(error)) from None
