# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between Ansible and the engine: what is not logged, and which auth values are given."""

from __future__ import annotations

import importlib
import json
import pathlib
import typing as t

import pytest
from ansible.module_utils import basic

from ansible_collections.edgefleet.tpm2.plugins.module_utils import _argspec, _module

PLUGINS = pathlib.Path(_module.__file__).parents[1]
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("tpm2_*.py"))


class Log:
    """In place of syslog and of systemd's journal."""

    LOG_USER = LOG_INFO = 8

    def __init__(self) -> None:
        self.lines: list[t.Any] = []

    def openlog(self, *_arguments: t.Any) -> None:
        """As syslog's."""

    def syslog(self, *arguments: t.Any) -> None:
        """As syslog's."""
        self.lines.append(arguments)

    def send(self, **fields: t.Any) -> None:
        """As the journal's."""
        self.lines.append(fields)


@pytest.mark.parametrize("journal", [False, True])
@pytest.mark.parametrize("module", MODULES)
def test_no_module_logs_its_arguments(
    module: str, journal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither where the argument spec is met nor where it is not, neither to syslog nor to the journal, whatever is said later."""
    log = Log()
    for name, value in (("syslog", log), ("journal", log), ("has_journal", journal)):
        monkeypatch.setattr(basic, name, value, raising=False)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    class Talkative(_module.Module):
        def __init__(self, **arguments: t.Any) -> None:
            super().__init__(**arguments)
            self.log("secret")
            self.warn("secret is a warning")
            self.run_command(["true", "secret"])
            self.exit_json(made=True)

    monkeypatch.setattr(_module, "Module", Talkative)
    given: tuple[dict[str, t.Any], ...] = (
        {"nosuchoption": "secret"},
        {"index": "0x01800010", "path": "/x", "handle": "0x81000200", "hierarchy": "owner", "resources": []},
        {"tcti": "secret", "path": "secret", "handle": "secret", "hierarchy": "owner", "index": "secret", "resources": []},
    )
    for options in given:
        internal = {"_ansible_debug": True, "_ansible_verbosity": 4, "_ansible_inject_invocation": True, "_ansible_remote_tmp": "/tmp"}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": {**options, **internal}}).encode())
        monkeypatch.setattr(basic, "_PARSED_MODULE_ARGS", {}, raising=False)
        with pytest.raises(SystemExit):
            importlib.import_module(f"ansible_collections.edgefleet.tpm2.plugins.modules.{module}").main()
        result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        assert result.get("made") or result["failed"]
        assert result.get("invocation", {}) == {}
    assert log.lines == []


@pytest.mark.parametrize("short", ["e", "0", "no", "Could", "0x0180"])
def test_a_short_secret_does_not_mask_what_is_said(short: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither where the module ends well nor where it fails, also before the arguments are accepted; a long secret is masked all the same."""
    long = "a longer secret"
    told = "Could not plan the NV index 0x01800010: no owner auth"

    def end(made: t.Any) -> None:
        (made.fail_json if made.params["nv_type"] == "counter" else made.exit_json)(msg=told, other=f"{long}.")

    for options in ({"nv_type": "counter"}, {"nv_type": "ordinary"}, {"nosuchoption": 1}):
        given = {"index": "0x01800010", "auth": short, "owner_auth": long, **options}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": given}).encode())
        monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        monkeypatch.setattr(basic, "_PARSED_MODULE_ARGS", {}, raising=False)
        with pytest.raises(SystemExit):
            end(_module.create(_argspec.nv_index()))
        result = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
        if "nosuchoption" in options:
            assert "nosuchoption" in result["msg"] and "*" not in result["msg"]
        else:
            assert result["msg"] == told and "longer" not in result["other"]
