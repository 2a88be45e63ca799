# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A person at a terminal: one shell, in which blocks of a page are run one after the other, and in which questions are answered."""

from __future__ import annotations

import os
import pathlib
import re
import select
import subprocess
import time
import typing as t

_SECONDS = 300.0  # for one block
# No echo and no prompt of the shell's own: what is read is what the commands print. A command that fails says so, wherever it stands in the block.
_BEGIN = 'stty -echo; PS1= PS2=; PATH=~/ansible/bin:$PATH; set -E -o pipefail; trap \'printf "\\n@failed@ %s\\n" "$BASH_COMMAND"\' ERR'
_END = re.compile(r"\n@end@ \d+\r?\n")


class Terminal:
    """`answers`: what is typed where the last line on the screen is a question that matches; all that is on the screen goes to `log` too."""

    def __init__(
        self,
        command: t.Sequence[str],
        answers: t.Mapping[str, str],
        environment: t.Mapping[str, str],
        log: pathlib.Path = pathlib.Path(os.devnull),
    ) -> None:
        self._log = log
        self._answers = {re.compile(question): answer for question, answer in answers.items()}
        self._screen, theirs = os.openpty()
        options = ["--norc", "--noprofile", "--noediting"]
        self._shell = subprocess.Popen(
            [*command, *options], stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment), start_new_session=True
        )
        os.close(theirs)
        self.run(_BEGIN)

    def close(self) -> None:
        """End the shell."""
        self._shell.terminate()
        self._shell.wait()
        os.close(self._screen)

    def run(self, line: str) -> str:
        """Run one line, answer what is asked, and return what was on the screen. Raises AssertionError where a command failed."""
        os.write(self._screen, f"{line}; printf '\\n@end@ %d\\n' $?\n".encode())
        said, answered = "", 0
        until = time.monotonic() + _SECONDS
        while not _END.search(said):
            ready, _writable, _broken = select.select([self._screen], [], [], max(0.0, until - time.monotonic()))
            assert ready, f"it waits for something:\n{said}"
            new = os.read(self._screen, 65536).decode(errors="replace").replace("\r\n", "\n")
            said += new
            with self._log.open("a") as log:
                log.write(new)
            question = said[answered:].rpartition("\n")[2]
            answer = next((value for pattern, value in self._answers.items() if pattern.fullmatch(question)), None)
            if answer is not None:
                answered = len(said)
                os.write(self._screen, f"{answer}\n".encode())
        said = _END.split(said)[0]
        assert "\n@failed@ " not in said, said
        return said
