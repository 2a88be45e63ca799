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
  - A failure returns beside its sentence C(reason), one stable word (the name of the response code where the TPM refused a command), and
    C(object), the handle, index, path or hierarchy that it is about, where that is known. The sentence may change with a release, these not;
    C(docs/errors.md) of the collection lists them.
  - Auth values and other secrets stand in no message or result of this module. One of eight characters or more is also masked with asterisks wherever
    it occurs by chance; a shorter one is not, for it would be found in ordinary words.
options:
  tcti:
    description:
      - Where the TPM is, in the words of the TSS, for example V(device:/dev/tpmrm0), V(swtpm:host=127.0.0.1,port=2321) or
        V(tabrmd:bus_name=com.intel.tss2.Tabrmd).
      - Without it the environment variable E(TPM2TOOLS_TCTI) counts, then V(device:/dev/tpmrm0), then V(device:/dev/tpm0). The
        library's own search is never used, since it can end at a simulator.
    type: str
  owner_auth:
    description:
      - The auth value of the owner hierarchy that holds before the run; text, or V(hex:) and hex digits, or V(str:) and text.
      - V(file:), V(session:) and V(pcr:) at its beginning are refused. They are words of tpm2-tools, and the text would be taken as the value itself.
      - Put digits into quotes. What YAML reads as a number, a date or a truth value is refused, here and in every option that takes text.
      - It is used only where the TPM says that an auth is set.
    type: str
  endorsement_auth:
    description:
      - The auth value of the endorsement hierarchy that holds before the run.
    type: str
  lockout_auth:
    description:
      - The auth value of the lockout hierarchy that holds before the run. It is never guessed; a wrong one blocks the lockout
        hierarchy for the time of lockout_recovery.
    type: str
  platform_auth:
    description:
      - The auth value of the platform hierarchy that holds before the run.
    type: str
"""
