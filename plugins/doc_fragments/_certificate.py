# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of the noun certificate. Must be kept in sync with C(module_utils/_argspec.py:certificate)."""

from __future__ import annotations

from ansible_collections.edgefleet.tpm2.plugins.doc_fragments import _compose, _state


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    # Annotated, for it is no plain text: checkers that read the source leave it alone, those that load it see it.
    DOCUMENTATION: str = _compose.options(
        r"""
options:
  path:
    description:
      - The file on the device. A symbolic link is refused.
    type: path
    required: true
  content:
    description:
      - The certificate in PEM, followed by the chain above it if you like. It replaces a certificate that is already in the file.
    type: str
  mode:
    description:
      - The file's mode. A new file has V(0644) if none is given.
      - Write it in quotes, as V("0600"), or as V(u=rw,g=r). A number that was not written in octal (V(600) in place of V(0600)) is refused, and so
        are setuid, setgid and sticky bits.
    type: raw
  owner:
    description:
      - The file's owner.
    type: str
  group:
    description:
      - The file's group.
    type: str
  on_mismatch:
    description:
      - What to do if the file holds something other than certificates, for example a private key.
    type: str
    choices: [fail, replace]
    default: fail
""",
        _state.ModuleDocFragment.DOCUMENTATION,
    )
