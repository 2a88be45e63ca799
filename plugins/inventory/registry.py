# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin edgefleet.tpm2.registry: makes hosts from the factory's manifest and the device registry."""

from __future__ import annotations

DOCUMENTATION = r"""
name: registry
short_description: Devices of a factory manifest, and what the device registry knows of them
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Reads the factory's list of devices (the manifest) and the device registry, and adds each device as a host.
  - A device is V(quarantined) while the registry has an open incident that names its host or its serial number. Otherwise it is V(new) if
    the registry does not have its serial number, V(enrolled) if its birth record is verified with O(record_roots) and agrees with its
    row, and V(unproven) if not.
  - Without O(record_roots) nothing is verified. A device of the manifest is then V(enrolled) if the registry says so, and no other data
    of the registry become variables or groups.
  - The registry is opened once and only read, with few queries, however many devices there are. Verifying a record takes about ten
    milliseconds, which is two minutes for ten thousand devices. If the SQLite file does not exist yet, the plugin warns, goes on as with
    an empty registry, and does not make the file.
  - The source file's name has to end in C(tpm2_registry.yml) or C(tpm2_registry.yaml).
  - If any row of the manifest is wrong, the whole manifest is refused. The error lists everything that is wrong, by line.
notes:
  - The manifest is CSV (C(.csv); a header line; separated by commas, or by semicolons if the header has one; lines that begin with C(#) are
    comments) or YAML (C(.yml), C(.yaml); a list of mappings, or that list under the key C(devices); no aliases), in UTF-8, of at most 64 MiB.
  - Its columns are C(serial) (required, at most 64 characters of X.680's PrintableString, as a certificate holds them), C(host), C(mac)
    (at least one of the two), C(ek_sha256) (the SHA-256 of the endorsement key's DER SubjectPublicKeyInfo, 64 hex digits), C(site) and
    C(model). Each serial number, host name, MAC address and hash must be unique. In YAML a serial number of digits alone, or one that
    looks like a date, must be in quotes; other values are taken as they are written.
  - A device of the manifest gets its C(host) as its name in the inventory, or else its serial number. A proven device that is only in the
    registry gets the host name that is signed, or its serial number if that name is taken, or else V(ek-) and the Name of its EK.
  - The groups V(tpm2_new), V(tpm2_enrolled), V(tpm2_unproven), V(tpm2_quarantined) and V(tpm2_unlisted) always exist. There are also
    V(tpm2_manufacturer_X), V(tpm2_firmware_X), V(tpm2_site_X) and V(tpm2_model_X). In their names every character other than a letter,
    digit or underscore becomes an underscore.
  - Every host has the variables C(tpm2_profile_serial), C(tpm2_state) and C(tpm2_inventory_registry), which is the registry's address
    without its password, and which playbooks compare with C(tpm2_identity_registry). It has C(tpm2_pinned_ek_sha256), C(tpm2_mac),
    C(tpm2_site) and C(tpm2_model) if they are known.
  - A proven device also has C(tpm2_ek_name), C(tpm2_ak_name), C(tpm2_manufacturer), C(tpm2_firmware), C(tpm2_enrolled_at) (UTC) and
    C(tpm2_auth_generation). An unproven one has C(tpm2_unproven_reason), with the same words as M(edgefleet.tpm2.tpm2_registry_info). A
    quarantined one has C(tpm2_quarantine_reason), that of the oldest open incident, and C(tpm2_quarantine_detail), those of all. No
    variable is a secret, and none is ever read as a template.
  - Values that are not in the manifest come from the signed birth record and the signed statements of the device's place. Only
    C(tpm2_auth_generation) comes from the registry's row. Manufacturer and firmware are set only if the EK was believed because of its
    certificate, and not because it was pinned. They are what this certificate says, and what the AK attested at enrolment.
  - Give the source file as the inventory, not its folder. Ansible would try to read a manifest and an SQLite file in the folder as
    inventory sources too.
  - By default Ansible goes on without hosts if it cannot read an inventory source. To make the run fail, set
    C(any_unparsed_is_failed=true) in the section C(inventory) of C(ansible.cfg), or the environment variable
    E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED).
  - The plugin needs SQLAlchemy in the Python that runs Ansible, and psycopg for PostgreSQL.
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: The name of this plugin, which marks a source file as its own.
    type: str
    required: true
    choices: [edgefleet.tpm2.registry]
  manifest:
    description:
      - The path of the manifest. A relative path starts at the folder of the source file. Templates are allowed.
    type: str
    required: true
    env:
      - name: EDGEFLEET_TPM2_MANIFEST
    ini:
      - section: edgefleet_tpm2
        key: manifest
  registry:
    description:
      - Where the device registry is, as the path of a SQLite file or as a URL, V(sqlite:////path) or V(postgresql://user@server/database).
      - A relative path starts at the folder of the source file. Templates are allowed, so that a password can come from a vault.
    type: str
    default: tpm2-registry.sqlite
    env:
      - name: EDGEFLEET_TPM2_REGISTRY
    ini:
      - section: edgefleet_tpm2
        key: registry
  unlisted:
    description:
      - Whether to add devices that are in the registry but not in the manifest. They are also in the group V(tpm2_unlisted).
      - Only devices that are proven with O(record_roots) are added. Otherwise anybody who can write to the registry could have any TPM
        provisioned as one of the fleet. A warning says how many others were left out; without O(record_roots) all of them are.
    type: bool
    default: true
  record_roots:
    description:
      - Files, each with a certificate that verifies birth records. That is the certificate of your CA, or of the key that signs records
        in its place. Only the first certificate of each file counts. After a change of the CA, name the former CA's certificate too.
      - Relative paths start at the folder of the source file. Templates are allowed.
    type: list
    elements: str
    default: []
    env:
      - name: EDGEFLEET_TPM2_RECORD_ROOTS
    ini:
      - section: edgefleet_tpm2
        key: record_roots
  timeout:
    description:
      - How many seconds to wait for a registry that is locked or does not answer.
    type: int
    default: 30
seealso:
  - module: edgefleet.tpm2.tpm2_profile
  - module: edgefleet.tpm2.tpm2_registry_info
"""

EXAMPLES = r"""
---
# factory/tpm2_registry.yml, beside manifest.csv and tpm2-registry.sqlite
plugin: edgefleet.tpm2.registry
manifest: manifest.csv

---
# A registry that several controllers share, its password from a vault; no devices of other lines.
plugin: edgefleet.tpm2.registry
manifest: /srv/factory/line-3.yml
registry: "postgresql://factory:{{ lookup('file', '/run/secrets/registry') | urlencode }}@registry.example.net/tpm2"
unlisted: false

---
# Variables and groups of one's own, and what is signed of the enrolled devices.
plugin: edgefleet.tpm2.registry
manifest: manifest.csv
record_roots: [/srv/factory/ca/issuing.pem]
strict: true
compose:
  ansible_host: inventory_hostname ~ '.factory.example.net'
groups:
  first_generation: tpm2_auth_generation is defined and tpm2_auth_generation == 1
keyed_groups:
  - prefix: enrolled_in
    key: (tpm2_enrolled_at | default('never'))[:4]

# $ ansible-inventory -i factory/tpm2_registry.yml --graph
# @all:
#   |--@tpm2_enrolled:
#   |  |--edge-01
#   |--@tpm2_new:
#   |  |--edge-02
"""

import os
import typing as t

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _inventory, _proven, _variables
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._manifest import manifest
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.connection import open_registry
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._registry.document_rows import Papers

try:
    # ansible-core 2.18 treats every text that is not marked as a template. From 2.19 on marking does nothing, and will be removed.
    from ansible.utils.unsafe_proxy import wrap_var as no_template
except ImportError:

    def no_template(value: t.Any) -> t.Any:
        """The value unchanged, because it is not a template."""
        return value


class InventoryModule(BaseInventoryPlugin, Constructable):
    """The plugin as Ansible loads it."""

    NAME = "edgefleet.tpm2.registry"

    def verify_file(self, path: str) -> bool:
        """Whether a source is for this plugin, by its file's name."""
        return bool(super().verify_file(path)) and path.endswith(("tpm2_registry.yml", "tpm2_registry.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        """Add the devices to the inventory, all of them or, after an error, none. Raises AnsibleError."""
        super().parse(inventory, loader, path, cache)
        self._check(self._read_config_data(path), path)
        try:
            hosts = self._hosts(os.path.dirname(os.path.abspath(path)))
        except TpmError as error:
            raise AnsibleParserError(str(error)) from None
        for host in hosts:
            if host.name in inventory.groups:
                # Otherwise Ansible would give the host's variables to the group.
                raise AnsibleParserError(
                    f"Could not add the device with serial {host.variables['tpm2_profile_serial']} to the inventory: its host name "
                    f"{host.name} is the name of a group; rename one of the two."
                )
        self._fill(hosts)

    def _check(self, config: t.Mapping[str, t.Any], path: str) -> None:
        """Refuse unknown options, which Ansible itself ignores. Raises AnsibleParserError."""
        options = self.get_options()
        unknown = sorted(str(key) for key in config if key not in options)
        if unknown:
            known = ", ".join(sorted(options))
            raise AnsibleParserError(f"Could not read {path}: unknown option {', '.join(unknown)}; the options are {known}.")

    def _hosts(self, folder: str) -> list[_inventory.Host]:
        rows = manifest.load(os.path.join(folder, os.path.expanduser(self._text("manifest"))))
        address = self._text("registry")
        if "://" not in address:
            address = os.path.join(folder, os.path.expanduser(address))
        roots = _proven.load_roots(os.path.join(folder, os.path.expanduser(one)) for one in self._texts("record_roots"))
        with open_registry(address, timeout=self.get_option("timeout"), create=False) as registry:
            devices, incidents = registry.devices(), registry.incidents(open_only=True)
            papers = registry.papers() if roots else Papers({}, {})
            if not registry.there:
                self.display.warning(
                    f"There is no registry at {registry.shown}, so every device counts as new; is that the right path (the option registry)? In the very "
                    "first run of a factory it is, and day zero makes the registry."
                )

        def prove(device: t.Any) -> t.Any:
            try:
                return _proven.signed(papers, device, roots)
            except _proven.UnprovenError as error:
                return error.reason

        found = _inventory.join(rows, devices, incidents, prove=prove if roots else None, unlisted=self.get_option("unlisted"))
        self._warn(found.left_out, bool(roots))
        return [one._replace(variables={**one.variables, _variables.INVENTORY_REGISTRY: registry.shown}) for one in found.hosts]

    def _warn(self, left_out: int, roots: bool) -> None:
        if left_out:
            cure = "see tpm2_registry_info for why" if roots else "give the certificate of who signs birth records (record_roots)"
            self.display.warning(
                f"Left out {left_out} devices that the registry has and the manifest has not, because no trusted birth record proves "
                f"them; {cure}, or set unlisted to false."
            )

    def _text(self, option: str) -> str:
        return self._filled(option, self.get_option(option))

    def _texts(self, option: str) -> list[str]:
        return [self._filled(option, value) for value in self.get_option(option) or ()]

    def _filled(self, option: str, value: t.Any) -> str:
        """An option's value with its templates filled in, as a plain str: neither tagged (ansible-core 2.19) nor encrypted."""
        self.templar.available_variables = self._vars
        try:
            text = str(self.templar.template(value))
        except AnsibleError as error:
            raise AnsibleParserError(f"Could not fill in the template of the option {option}: {error}; correct it.") from None
        if not text:
            raise AnsibleParserError(f"Could not read the option {option}: it is empty; give one, or leave it out.")
        return text

    def _fill(self, hosts: t.Iterable[_inventory.Host]) -> None:
        for group in (*_inventory.STATES, "unlisted"):
            self.inventory.add_group(f"tpm2_{group}")
        strict = self.get_option("strict")
        compose, groups, keyed = (self.get_option(name) for name in ("compose", "groups", "keyed_groups"))
        for host in hosts:
            self.inventory.add_host(host.name)
            for key, value in host.variables.items():
                self.inventory.set_variable(host.name, key, no_template(value))
            for group in host.groups:
                self.inventory.add_child(self.inventory.add_group(self._sanitize_group_name(group)), host.name)
            self._set_composite_vars(compose, self.inventory.get_host(host.name).get_vars(), host.name, strict)
            self._add_host_to_composed_groups(groups, {}, host.name, strict)
            self._add_host_to_keyed_groups(keyed, {}, host.name, strict)
