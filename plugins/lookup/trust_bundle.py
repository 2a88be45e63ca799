# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: trust_bundle
short_description: A trust bundle of TPM vendors' CA certificates, out of maintained collections
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Reads collections of CA certificates, each a PEM file whose SHA-256 is given, and makes one trust bundle of them for
    O(edgefleet.tpm2.tpm2_enroll#module:trust). It says what is in the bundle and what was left out, by vendor.
  - The same collections give the same bundle, byte for byte.
  - Nothing is written. The playbook C(edgefleet.tpm2.trust_bundle) writes the bundle to a file.
  - It runs on the controller.
options:
  _terms:
    description:
      - The collections. Each is a mapping of C(src), a path on the controller or an address that begins with C(https://), and C(sha256), the
        SHA-256 in hex of what is there. Another file is refused.
      - An address may lead on to another of HTTPS. A proxy comes from the environment variable E(https_proxy).
    type: list
    elements: dict
    required: true
  ca_file:
    description:
      - A PEM file with the CAs that vouch for the servers' TLS certificates, in place of those of the system.
    type: path
  timeout:
    description:
      - How many seconds each collection may take to be fetched.
    type: float
    default: 60
requirements:
  - cryptography on the controller
seealso:
  - module: edgefleet.tpm2.tpm2_enroll
"""

EXAMPLES = r"""
- name: What is in a collection
  ansible.builtin.debug:
    msg: "{{ made.vendors }}"
  vars:
    made: "{{ lookup('edgefleet.tpm2.trust_bundle', {'src': '/srv/factory/tpm-ca-certificates.pem', 'sha256': collection_sha256}) }}"
"""

RETURN = r"""
_raw:
  description:
    - One mapping. C(pem) is the bundle, C(sha256) its hash and C(certificates) the number of certificates in it.
    - C(vendors) lists for each C(vendor), the organization in the certificates' names, the number of its C(certificates), how many of them are
      C(roots), and how many lead to no root of the bundle by their names (C(without_root)), through which no EK is trusted.
    - C(left_out) lists what is not in the bundle, each with C(src), C(number) in that file, C(subject), C(vendor), C(reason) (V(malformed) or
      V(not_a_ca)) and C(detail).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _action_support, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import collect


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """Return one mapping. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        rows = [one for term in terms for one in (term if isinstance(term, (list, tuple)) else [term])]
        authorities = self.get_option("ca_file")
        try:
            sources = [self._source(one) for one in rows]
            made = collect.collect(
                sources, limit=float(self.get_option("timeout")), authorities=authorities and str(self._loader.path_dwim(authorities))
            )
        except TpmError as error:
            raise AnsibleLookupError(_text.shown(error.message)) from None
        return [made.describe()]

    def _source(self, row: t.Any) -> collect.Source:
        """A collection as the user gives it; a relative path is beside the playbook."""
        given = _action_support.plain(row)
        if not isinstance(given, dict) or set(given) - {"src", "sha256"}:
            raise AnsibleLookupError(
                "Could not make a trust bundle: each collection is a mapping of src and sha256, and of nothing else; correct it."
            )
        src, sha256 = (str(given.get(name) or "") for name in ("src", "sha256"))
        return collect.Source(str(self._loader.path_dwim(src)) if src and "://" not in src else src, sha256)
