# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this doc fragment is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Options of every module that talks to a TPM. Must be kept in sync with C(module_utils/_argspec.py:connection)."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragment as Ansible loads it."""

    DOCUMENTATION = r"""
notes:
  - A failure returns C(msg), a sentence for people, C(reason), one word for programs, and, if it is known, C(object), the handle, NV
    index, path or hierarchy that the failure is about. The sentence may change with a release; the word does not. If the TPM refused a
    command, the word is the name of its response code. C(docs/errors.md) of the collection lists the words.
  - Messages and results contain no auth value and no other secret, except the content that M(edgefleet.tpm2.tpm2_unseal) returns. Ansible
    also replaces secrets of eight characters or more by asterisks, wherever the text happens to contain them. It does not do so for
    shorter ones, as they would be found in ordinary words.
  - C(docs/terms.md) of the collection explains words such as auth, hierarchy, Name, PCR and salted session.
options:
  tcti:
    description:
      - The way to the TPM, as the TSS libraries write it, for example V(device:/dev/tpmrm0), V(swtpm:host=127.0.0.1,port=2321) or
        V(tabrmd:bus_name=com.intel.tss2.Tabrmd).
      - The default is the environment variable E(TPM2TOOLS_TCTI), then V(device:/dev/tpmrm0), then V(device:/dev/tpm0). The libraries'
        own search is never used, because it can end at a simulator.
    type: str
  owner_auth:
    description:
      - The current auth value (password) of the owner hierarchy, as it is before the run. It is text, or V(hex:) followed by hex digits,
        or V(str:) followed by text.
      - A value that begins with V(file:), V(session:) or V(pcr:) is refused. In tpm2-tools these prefixes have a meaning, which they do
        not have here. To use such a text as the value itself, put V(str:) before it.
      - Put digits into quotes. What YAML reads as a number, a date or a truth value is refused, here and in every option that takes text.
      - It is used only if the TPM says that an auth is set.
    type: str
  endorsement_auth:
    description:
      - The current auth value of the endorsement hierarchy, as it is before the run.
    type: str
  lockout_auth:
    description:
      - The current auth value of the lockout hierarchy, as it is before the run. The module never guesses it. A single wrong value blocks
        the lockout hierarchy for as long as the TPM's parameter lockout_recovery says.
    type: str
  platform_auth:
    description:
      - The current auth value of the platform hierarchy, as it is before the run.
    type: str
"""
