# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""The host's files under a root, and its programs. All observations use this class, so that a test can give them a made-up host."""

from __future__ import annotations

import os
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import run

Run = t.Callable[[t.Sequence[str]], "str | None"]
REAL = pathlib.Path("/")
MAX_TEXT = 1 << 20


def _no_programs(_argv: t.Sequence[str]) -> str | None:
    return None


class Tree:
    """A host. No method raises: a result that cannot be read is None or empty. Programs are run only if the root is /, or if ``programs`` is given."""

    def __init__(self, root: pathlib.Path = REAL, programs: Run | None = None) -> None:
        self.root = root
        self.run: Run = programs or (run.run if root == REAL else _no_programs)

    def path(self, name: str) -> pathlib.Path:
        """The path of a file of the host, under the root."""
        return self.root / name.lstrip("/")

    def data(self, name: str) -> bytes | None:
        """The first megabyte of a file; None if it cannot be read."""
        try:
            with open(self.path(name), "rb") as file:
                return file.read(MAX_TEXT)
        except OSError:
            return None

    def text(self, name: str) -> str | None:
        """The same as text, without blanks and NULs at its ends."""
        found = self.data(name)
        return None if found is None else found.decode("utf-8", "replace").strip(" \t\r\n\0")

    def lines(self, name: str) -> list[str]:
        """The lines of a file; empty if it cannot be read."""
        return (self.text(name) or "").splitlines()

    def names(self, folder: str) -> list[str]:
        """The names in a folder, sorted; empty if it cannot be read."""
        try:
            return sorted(os.listdir(self.path(folder)))
        except OSError:
            return []

    def exists(self, name: str) -> bool:
        """Whether a file exists and is not a dangling link."""
        return os.path.exists(self.path(name))

    def target(self, name: str) -> str | None:
        """The target of a symbolic link; None if the path is not one."""
        try:
            return os.readlink(self.path(name))
        except OSError:
            return None

    def base(self, name: str) -> str | None:
        """The last part of a symbolic link's target, which in sysfs is the name of a driver or bus."""
        found = self.target(name)
        return os.path.basename(found) if found else None


__all__ = ("REAL", "Run", "Tree")
