# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook preflight, as an operator runs it: pages on the controller, nothing on the device, an exit status that tells."""

from __future__ import annotations

import pytest
import yaml
from support import places
from support.controller import Controller, Host, said, totals
from support.proxy import Proxy
from support.swtpm import Swtpm
from support.tools import Tools

PLAYBOOK = "edgefleet.tpm2.preflight"
PLAIN = ("-e", "tpm2_become=false")
DEAD = {"tpm2_profile_tcti": "swtpm:host=127.0.0.1,port=1"}
AUTH = "sentinel-preflight-auth"


@pytest.fixture
def host(swtpm: Swtpm) -> Host:
    """The variables of a device with a blank TPM."""
    return {"tpm2_profile_tcti": swtpm.tcti}


def page(controller: Controller, name: str, folder: str = "tpm2-reports") -> str:
    """The page of a device."""
    return (controller.folder / folder / f"{name}.md").read_text()


def sections(text: str) -> dict[str, list[str]]:
    """The findings of a page by their heading."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("## "):
            heading = line[3:]
        elif line.startswith("### "):
            found.setdefault(heading, []).append(line[4:])
    return found


def test_a_page_for_each_and_an_exit_status(each_controller: Controller, host: Host) -> None:
    done = each_controller(PLAYBOOK, {"edge-01": host, "edge-02": DEAD}, *PLAIN)
    assert done.returncode != 0
    found = totals(done)
    assert (found["edge-01"]["failed"], found["edge-02"]["failed"]) == (0, 1)
    assert found["edge-01"]["changed"] == found["edge-02"]["changed"] == 0
    good, bad = page(each_controller, "edge-01"), page(each_controller, "edge-02")
    assert "**Ready, with reservations**" in good and "Errors" not in sections(good)
    assert {"platform_hierarchy_open", "lockout_auth_empty"} <= set(sections(good)["Warnings"])
    assert "IBM SW" in good
    assert "**Not ready**" in bad and sections(bad)["Errors"] == ["tpm_unreachable"]
    for text in (good, bad):
        assert text.count("### ") == text.count("- What: ") == text.count("- Seen: ") == text.count("- Do: ")
        assert "None" not in text and "{{" not in text and "\n\n\n" not in text
    assert "edge-01: errors 0, warnings" in said(done)
    assert "edge-02: errors 1, warnings" in said(done)
    assert "tpm_unreachable: swtpm:host=127.0.0.1,port=1:" in said(done)


def test_one_task_on_the_device_and_nothing_changed(controller: Controller, swtpm: Swtpm, tools: Tools) -> None:
    wanted = controller.folder / "deep" / "pages"
    with Proxy(swtpm) as proxy:
        done = controller(PLAYBOOK, {"edge/01:a": {"tpm2_profile_tcti": proxy.tcti}}, *PLAIN, "-v", "-e", f"tpm2_report_dir={wanted}")
        assert done.returncode == 0, said(done)
        assert proxy.writes() == proxy.sessions() == proxy.loads() == []
    assert tools.handles("persistent") == tools.handles("nv-index") == []
    # Configuration, command line and inventory are looked at on the controller; the device is examined; folder, page and verdict are the controller's.
    lines = [line.partition(" =>")[0] for line in done.stdout.splitlines() if line.startswith(("ok: ", "changed: "))]
    assert lines == [*["ok: [edge/01:a]"] * 4, *["ok: [edge/01:a -> localhost]"] * 2, "ok: [edge/01:a]"]
    (written,) = wanted.iterdir()
    assert written.name == "edge_01_a.md" and written.stat().st_mode & 0o007 == 0
    found = sections(written.read_text())
    assert f"edge/01:a: errors 0, warnings {len(found['Warnings'])}, notes {len(found['Notes'])}; see {written}" in said(done)


def test_check_mode_is_the_same(controller: Controller, host: Host) -> None:
    for arguments in ((), ("--check",)):
        done = controller(PLAYBOOK, {"edge-01": host}, *PLAIN, *arguments, "-e", f"tpm2_report_dir={controller.folder}/r{len(arguments)}")
        assert done.returncode == 0, said(done)

    def body(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(("Examined", "- Clock", "- Free"))]

    assert body(page(controller, "edge-01", "r0")) == body(page(controller, "edge-01", "r1"))


def test_a_disabled_hierarchy_stops_a_device_and_no_secret_is_shown(controller: Controller, host: Host, tools: Tools) -> None:
    tools.run("changeauth", "-c", "e", AUTH)
    tools.run("hierarchycontrol", "-C", "o", "shEnable", "clear")
    done = controller(PLAYBOOK, {"edge-01": {**host, "tpm2_profile_endorsement_auth": AUTH}}, *PLAIN, "-vvv")
    assert done.returncode != 0
    assert "owner_hierarchy_disabled: owner hierarchy: it is disabled until the next start; Enable it in the firmware settings" in said(
        done
    )
    text = page(controller, "edge-01")
    assert sections(text)["Errors"] == ["owner_hierarchy_disabled"]
    assert "- Hierarchies with an auth: endorsement\n" in text
    assert AUTH not in text + done.stdout + done.stderr


def test_others_go_on_and_the_resource_manager_says_where_the_tpm_is(controller: Controller, host: Host) -> None:
    lost = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    done = controller(PLAYBOOK, {"edge-01": lost, "edge-02": host, "edge-03": {"tpm2_resource_manager": "abrmd"}}, *PLAIN)
    assert done.returncode != 0
    found = totals(done)
    assert (found["edge-01"]["unreachable"], found["edge-02"]["failed"], found["edge-03"]["failed"]) == (1, 0, 1)
    assert "**Ready" in page(controller, "edge-02")
    text = page(controller, "edge-03")
    assert "through tabrmd:bus_name=com.intel.tss2.Tabrmd." in text
    assert {"abrmd_missing", "dbus_down", "abrmd_not_running"} & set(sections(text)["Errors"])


def test_the_playbook_gathers_no_facts_and_passes_the_syntax_check(each_controller: Controller, host: Host) -> None:
    plays = yaml.safe_load((places.ROOT / "playbooks" / "preflight.yml").read_text())
    assert {(play["gather_facts"], play["any_errors_fatal"]) for play in plays} == {(False, False)}
    done = each_controller(PLAYBOOK, {"edge-01": host}, "--syntax-check")
    assert done.returncode == 0, said(done)
