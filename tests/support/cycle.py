# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cycle in which every module is tested for every state: check, apply, check again, apply again; and the laws for each run."""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import comparison
from support import module, places, relay, secrets
from support.module import Result
from support.proxy import Proxy
from support.tools import Tools, leftovers, lockout_counter

# The most TPM commands of a fine-grained module on one resource with nothing to do.
NO_OP_COMMANDS = 2


@dataclasses.dataclass
class Bench:
    """A TPM behind a proxy and the Python that the modules run on; no output may contain one of the `secrets`."""

    proxy: Proxy
    python: str
    secrets: dict[str, bytes] = dataclasses.field(default_factory=dict)

    @property
    def tools(self) -> Tools:
        """tpm2-tools on the TPM behind the proxy, uncounted."""
        return Tools(self.proxy.swtpm.tcti)

    def secret(self, name: str, size: int = 24) -> str:
        """Make a secret; from now on no run may show it."""
        value = secrets.made_up(name, size)
        self.secrets[name] = value.encode()
        return value

    def run(self, name: str, /, *, check: bool = False, **options: t.Any) -> Result:
        """Run a module once. Even if it fails, it must leave nothing loaded, cost no try, and neither show nor send a secret in plain."""
        tries, loaded = lockout_counter(self.proxy.swtpm), leftovers(self.proxy.swtpm)
        compared = self._compared(name, options)
        self.proxy.reset()
        result = module.run(name, {"tcti": self.proxy.tcti, **options}, python=self.python, check=check, diff=True)
        assert leftovers(self.proxy.swtpm) == loaded, f"{name} left something loaded"
        assert lockout_counter(self.proxy.swtpm) in (tries, 0), f"{name} cost a try of the lockout counter"
        assert secrets.in_text(result.stdout + result.stderr, self.secrets) == []
        assert secrets.on_the_wire(self.proxy.wire(), self.secrets) == []
        self._agree(compared, result)
        return result

    def _compared(self, name: str, options: dict[str, t.Any]) -> comparison.Compared | None:
        """What the controller finds over the relay, just before the module runs; it must change nothing."""
        if name not in comparison.MODULES or isinstance(self.python, places.FromController):
            return None
        self.proxy.reset()
        compared = relay.compare(name, {"tcti": self.proxy.tcti, **options}, python=self.python)
        assert self.proxy.writes() == self.proxy.sessions() == self.proxy.loads() == []
        return compared

    def _agree(self, compared: comparison.Compared | None, result: Result) -> None:
        """Where the controller says that nothing is to be done, the module says the same in the same words; else it has something to do."""
        if compared is None:
            return
        if compared.result is None:
            assert compared.why in ("session", "attributes", "busy", "path", "private") or not result.ok or result.changed, compared.why
            return
        told = {key: value for key, value in result.expect_ok().items() if key != "invocation"}
        assert compared.result == told

    def ok(self, name: str, /, *, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        """Run a module that succeeds."""
        return self.run(name, check=check, **options).expect_ok()

    def failed(self, name: str, /, *, check: bool = False, **options: t.Any) -> str:
        """Run a module that refuses: the same message in check mode and without, and nothing changed by either. Returns the message."""
        message = self.run(name, check=True, **options).expect_failed()
        assert self.proxy.writes() == []
        if not check:
            assert self.run(name, **options).expect_failed() == message
            assert self.proxy.writes() == []
        return message

    def idle(
        self, name: str, /, *, check: bool = False, commands: int = NO_OP_COMMANDS, reads: bool = False, **options: t.Any
    ) -> dict[str, t.Any]:
        """Run a module with nothing to do: no step, no write; unless it `reads` secrets, no session and at most `commands` commands."""
        found = self.ok(name, check=check, **options)
        assert not found["changed"]
        assert found["steps"] == []
        assert found["diff"]["before"] == found["diff"]["after"]
        assert self.proxy.writes() == []
        if not reads:
            assert self.proxy.sessions() == self.proxy.loads() == []
            assert self.proxy.count() <= commands
        return found

    def cycle(
        self, name: str, /, *, commands: int = NO_OP_COMMANDS, reads: bool = False, loads: bool = False, **options: t.Any
    ) -> dict[str, t.Any]:
        """Check, apply, check again, apply again: check mode must predict the run, and the second run must do nothing. Returns the run's answer.

        `loads`: the first check tests whether the TPM can load the file for a handle.
        """
        checked = self.ok(name, check=True, **options)
        assert self.proxy.writes() == []
        if not reads and not loads:
            assert self.proxy.sessions() == self.proxy.loads() == []
        done = self.ok(name, **options)
        assert checked["changed"] is done["changed"] is True
        assert checked["steps"] == done["steps"]
        assert checked["diff"] == done["diff"]
        assert done["steps"] and done["diff"]["before"] != done["diff"]["after"]
        assert [_known(one) for one in checked["resources"]] == [_known(one) for one in done["resources"]]
        self.idle(name, check=True, commands=commands, reads=reads, **options)
        self.idle(name, commands=commands, reads=reads, **options)
        return done


def _known(resource: dict[str, t.Any]) -> dict[str, t.Any]:
    # Check mode knows an object's Name only if the object exists already.
    return {key: value for key, value in resource.items() if key != "name"}


def text(answer: dict[str, t.Any]) -> str:
    """Steps and diff of an answer as text, in which to look for secrets."""
    return json.dumps([answer["steps"], answer["diff"]])
