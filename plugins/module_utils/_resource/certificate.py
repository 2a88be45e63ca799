# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Certificates in PEM files on the device. Their private keys are in the TPM, so the files hold no secret.

To keep a certificate in NV as well, declare an nv_index with its DER as content_b64.
"""

from __future__ import annotations

import base64
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import common, model, observation, places
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import der, errors

if t.TYPE_CHECKING:
    from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource.context import Run

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
MODE = 0o644


class Certificate(model.Noun):
    """A file with a certificate and the chain above it, or the absence of that file."""

    kind = "certificate"
    files_only = True

    def __init__(self, options: common.Options) -> None:
        self._options = options
        self.path, self.absent = str(options.get("path")), options.get("state") == "absent"
        super().__init__(
            self.path,
            model.PHASE_ABSENT if self.absent else model.PHASE_SEAL,
            owned_file=None if self.absent else model.OwnedFile(self.path, options),
        )
        self.content = str(options.get("content") or "").strip() + "\n"
        if not self.absent and not _is_pem(self.content):
            raise errors.InputError(
                f"Could not plan the certificate {self.path}: content is not a PEM certificate; give it with its BEGIN and END lines."
            )

    def claims(self) -> list[model.Claim]:
        """The file."""
        return [model.Claim(model.FILE, self.path, "path")]

    def facts(self, seen: observation.Observation) -> t.Iterable[observation.Fact]:
        """The file."""
        return [observation.Fact("file", self.path)]

    def plan(self, seen: observation.Observation, run: Run) -> model.Plan:
        """An old certificate is replaced by the new one. Raises MismatchError if the file holds something else."""
        found = seen.file(self.path)
        before = {self.path: _describe(found)}
        wanted = None if self.absent else self.content.encode()
        if found == wanted:
            return model.Plan(self.kind, self.object, (), before, before, {})
        verb = "remove" if self.absent else "write"
        common.check_overwrite(f"{verb} the certificate", self.path, seen, self._options, (places.CERTIFICATE,))
        if wanted is None:
            step = model.Step(f"remove the certificate {self.path}", "remove_file", local=lambda _result: run.files.remove(self.path))
        else:
            run.files.check_writable(self.path)
            data = wanted
            step = model.Step(
                f"write the certificate to {self.path}", "export", local=lambda _result: run.files.write(self.path, data, MODE)
            )
        return model.Plan(self.kind, self.object, (step,), before, {self.path: _describe(wanted)}, {})


def _is_pem(text: str) -> bool:
    """Whether the text has at least one PEM block, and each block holds one DER sequence."""
    before, *blocks = text.split(BEGIN)
    for block in blocks:
        body, end, behind = block.partition(END)
        try:
            found = list(der.elements(base64.b64decode("".join(body.split()), validate=True)))
        except ValueError:
            return False
        if not end or END in behind or [one.tag for one in found] != [der.SEQUENCE]:
            return False
    return bool(blocks) and END not in before


def _describe(data: bytes | None) -> str | None:
    """A certificate file for the diff. It is shown whole, because its text is public and short."""
    return None if data is None else data.decode("ascii", "replace") if places.holds(data) == places.CERTIFICATE else places.OTHER


__all__ = ("Certificate",)
