# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: trust_bundle
short_description: Make a trust bundle from collections of TPM vendors' CA certificates
version_added: 0.1.0
author:
  - edgefleet maintainers (@edgefleet)
description:
  - Reads collections of CA certificates, which are PEM files, checks the SHA-256 of each, and makes one trust bundle of them for
    O(edgefleet.tpm2.tpm2_enroll#module:trust). It says what is in the bundle and what was left out, by vendor.
  - The same collections give the same bundle, byte for byte.
  - Nothing is written. The playbook C(edgefleet.tpm2.trust_bundle) writes the bundle to a file.
  - It runs on the controller.
options:
  _terms:
    description:
      - The collections. Each is a mapping with C(src), a path on the controller or an address that begins with C(https://), and
        C(sha256), the SHA-256 of that file in hex. A file with another hash is refused.
      - An address may redirect to another HTTPS address. The environment variable E(https_proxy) names a proxy.
    type: list
    elements: dict
    required: true
  ca_file:
    description:
      - A PEM file with the CAs that have issued the servers' TLS certificates, instead of the CAs of the system.
    type: path
  timeout:
    description:
      - How many seconds each collection may take to be fetched.
    type: float
    default: 60
  fail:
    description:
      - Whether the lookup fails if a collection cannot be used. With V(false) it returns a mapping with C(reason), a word for programs, and
        C(message), the sentence with which it would have failed.
    type: bool
    default: true
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
    - C(vendors) has an entry for each C(vendor), which is the organization in the certificates' names. It gives the number of
      C(certificates), how many of them are C(roots), and in C(without_root) how many lead to no root of the bundle by their names. No EK
      is trusted through the latter.
    - C(left_out) lists certificates that are not in the bundle, each with C(src), its C(number) in that file, C(subject), C(vendor),
      C(reason) (V(malformed) or V(not_a_ca)) and C(detail).
  type: list
  elements: dict
"""

import typing as t

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm.errors import TpmError
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _plain, _text
from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._trust import collect


class LookupModule(LookupBase):
    """The lookup."""

    def run(self, terms: list[t.Any], variables: dict[str, t.Any] | None = None, **kwargs: t.Any) -> list[dict[str, t.Any]]:
        """Return one mapping. Raises AnsibleLookupError."""
        self.set_options(var_options=variables, direct=kwargs)
        rows = [one for term in terms for one in (term if isinstance(term, (list, tuple)) else [term])]
        authorities = self.get_option("ca_file")
        try:
            sources = [self._source(number, one) for number, one in enumerate(rows, 1)]
            made = collect.collect(
                sources, limit=float(self.get_option("timeout")), authorities=authorities and str(self._loader.path_dwim(authorities))
            )
        except TpmError as error:
            if not self.get_option("fail"):
                return [{"reason": error.reason, "message": _text.shown(error.message)}]
            raise AnsibleLookupError(_text.shown(error.message)) from None
        return [made.describe()]

    def _source(self, number: int, row: t.Any) -> collect.Source:
        """A collection from the options; a relative path is relative to the playbook's folder. Raises TpmError."""
        given = _plain.plain(row)
        if not isinstance(given, dict) or set(given) - {"src", "sha256"}:
            raise TpmError(
                f"Could not make a trust bundle: item {number} of the files with CA certificates is not a mapping of src and sha256 and of nothing "
                "else; correct it.",
                reason="input",
            )
        src, sha256 = (str(given.get(name) or "") for name in ("src", "sha256"))
        return collect.Source(str(self._loader.path_dwim(src)) if src and "://" not in src else src, sha256)
