# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The option record_roots. Its description comes last, so that a fragment which takes it in can add to it."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
options:
  record_roots:
    type: list
    elements: path
    description:
      - Files on the controller, each with a certificate that verifies birth records. That is the certificate of your CA, or of the key
        that signs records in its place. Only the first certificate of each file counts. After a change of the CA, name the former CA's
        certificate too.
"""
