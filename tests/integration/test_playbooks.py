# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role and the playbooks, as an operator runs them: with ansible-playbook, over an inventory, on the oldest and the newest core."""

from __future__ import annotations

import base64
import json
import pathlib
import typing as t

import pytest
import yaml
from support import places, profile
from support.controller import Controller, Host, said, totals
from support.raw import RawTpm
from support.swtpm import Swtpm
from support.tools import Tools

ROLE = places.ROOT / "roles" / "provision"
KEY = base64.b64encode(profile.TELEMETRY_KEY).decode()
AUTHS = {f"tpm2_profile_{name}_auth": f"sentinel-{name}-auth" for name in ("owner", "endorsement", "lockout")}


@pytest.fixture
def host(swtpm: Swtpm, device_dir: pathlib.Path) -> Host:
    """The variables of one device with a blank TPM."""
    return {
        "tpm2_profile_tcti": swtpm.tcti,
        "tpm2_profile_serial": profile.SERIAL,
        "tpm2_profile_dir": str(device_dir / "made-by-the-role"),
        "tpm2_profile_telemetry_key": KEY,
    }


def specification() -> dict[str, dict[str, t.Any]]:
    """The role's options."""
    return t.cast(
        "dict[str, dict[str, t.Any]]",
        yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"],
    )


def test_the_defaults_are_those_of_the_specification() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    optional = {name: option for name, option in specification().items() if not option.get("required")}
    assert defaults.keys() == optional.keys()
    assert {name: defaults[name] for name, option in optional.items() if "default" in option} == {
        name: option["default"] for name, option in optional.items() if "default" in option
    }


def test_every_entry_point_has_the_same_options() -> None:
    points = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    assert points.keys() == {"main", "handover", "preflight", "audit"}
    assert all(point["options"] == specification() for point in points.values())


def test_the_options_that_are_secrets_say_so() -> None:
    assert {name for name, option in specification().items() if option.get("no_log")} == {*AUTHS, "tpm2_profile_telemetry_key"}


def test_the_readme_lists_every_variable() -> None:
    listed = {line.split("`")[1] for line in (ROLE / "README.md").read_text().splitlines() if line.startswith("| `tpm2_profile_")}
    assert listed == set(specification())


def test_audit_and_main_give_the_module_the_same_options() -> None:
    tasks = {
        name: next(task for task in yaml.safe_load((ROLE / "tasks" / f"{name}.yml").read_text()) if "edgefleet.tpm2.tpm2_profile" in task)
        for name in ("apply", "handover", "compare")
    }
    main, handover, audit = (tasks[name]["edgefleet.tpm2.tpm2_profile"] for name in ("apply", "handover", "compare"))
    # What enrolment gets to see of the run, and what only silences a warning of check mode, is no part of what is declared.
    not_declared = {"return_reads": None, "library_to_come": None}
    assert {**main, **not_declared} == {**audit, **not_declared}
    assert {**handover, "resources": None} == {**audit, "resources": None}
    assert tasks["compare"]["check_mode"] is True


def test_the_default_resources_are_the_reference_profile(each_controller: Controller, host: Host) -> None:
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [
            {
                "name": "Write",
                "ansible.builtin.copy": {
                    "content": "{{ tpm2_profile_resources | to_json }}",
                    "dest": str(each_controller.folder / "rendered.json"),
                    "mode": "0600",
                },
            }
        ],
    }
    (each_controller.folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = each_controller(str(each_controller.folder / "play.yml"), {"edge-01": {}}, "-e", json.dumps(host))
    assert done.returncode == 0, said(done)
    rendered = json.loads((each_controller.folder / "rendered.json").read_text())
    wanted = profile.reference(profile.SERIAL, KEY, host["tpm2_profile_dir"])
    for (options,) in (one.values() for one in rendered):
        assert options.pop("on_mismatch", "fail") == "fail"
    assert sorted(json.dumps(one, sort_keys=True) for one in rendered) == sorted(json.dumps(one, sort_keys=True) for one in wanted)


def test_day_zero_then_nothing_to_change_then_the_audit(each_controller: Controller, host: Host, tools: Tools) -> None:
    first = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert first.returncode == 0, said(first)
    assert totals(first)["edge-01"]["changed"] == 1
    assert tools.nvread(profile.SERIAL_INDEX).decode() == profile.SERIAL
    assert tools.load_unseal(pathlib.Path(host["tpm2_profile_dir"], "telemetry.key.pem")) == profile.TELEMETRY_KEY
    second = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert second.returncode == 0, said(second)
    # It is not read back again.
    assert totals(second)["edge-01"]["changed"] == 0 and totals(second)["edge-01"]["ok"] < totals(first)["edge-01"]["ok"]
    assert {key for key, count in totals(second)["edge-01"].items() if count} == {"ok", "skipped"}
    audit = each_controller("edgefleet.tpm2.audit", {"edge-01": host})
    assert audit.returncode == 0, said(audit)
    assert totals(audit)["edge-01"]["changed"] == 0


def test_the_audit_of_a_blank_device_says_what_is_missing_and_changes_nothing(controller: Controller, host: Host, tools: Tools) -> None:
    done = controller("edgefleet.tpm2.audit", {"edge-01": host})
    assert done.returncode != 0
    assert "edge-01 is not as declared; to do: " in said(done)
    assert "0x01800010" in said(done)
    assert tools.handles("persistent") == [] and tools.handles("nv-index") == []
    assert not pathlib.Path(host["tpm2_profile_dir"]).exists()


def test_check_mode_on_a_blank_device_tells_what_the_run_then_does(each_controller: Controller, host: Host, tools: Tools) -> None:
    checked = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host}, "--check", "--diff")
    assert checked.returncode == 0, said(checked)
    assert tools.handles("persistent") == [] and tools.handles("nv-index") == []
    assert not pathlib.Path(host["tpm2_profile_dir"]).exists()
    done = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode == 0, said(done)
    assert totals(checked)["edge-01"]["changed"] == totals(done)["edge-01"]["changed"]
    # Below the diff, without -v.
    assert "costs: 4 key generations, 4 persistent slots, 1 NV index, 14 bytes of NV memory" in said(checked)
    assert "cannot be undone: write 14 bytes to the NV index 0x01800010 once and for all" in said(checked)


def test_without_a_telemetry_key_nothing_is_sealed(controller: Controller, host: Host, new_swtpm: t.Callable[..., Swtpm]) -> None:
    unmeasured = new_swtpm(measured_boot=False)
    host |= {"tpm2_profile_tcti": unmeasured.tcti, "tpm2_profile_telemetry_key": ""}
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode == 0, said(done)
    assert sorted(path.name for path in pathlib.Path(host["tpm2_profile_dir"]).iterdir()) == ["ak.pub.pem", "mqtt.pub.pem"]


def test_a_device_that_fails_does_not_stop_the_others(each_controller: Controller, host: Host, tools: Tools) -> None:
    dead = dict(
        host,
        tpm2_profile_tcti="swtpm:host=127.0.0.1,port=1",
        tpm2_profile_serial="DEAD",
        tpm2_profile_dir=str(each_controller.folder / "dead"),
    )
    done = each_controller("edgefleet.tpm2.day_zero", {"edge-01": dead, "edge-02": host})
    assert done.returncode != 0
    # Rescued where it failed, and failed at the end, where the outcome of each device stands.
    assert {key: totals(done)["edge-01"][key] for key in ("failed", "rescued", "changed")} == {"failed": 1, "rescued": 1, "changed": 0}
    assert totals(done)["edge-02"]["failed"] == totals(done)["edge-02"]["rescued"] == 0
    outcome = " ".join(done.stdout.partition("PLAY [Outcome]")[2].partition("PLAY RECAP")[0].split())
    assert "edge-01: Could not " in outcome and "port=1" in outcome
    assert "edge-02: " not in outcome
    assert tools.nvread(profile.SERIAL_INDEX).decode() == profile.SERIAL
    assert not (each_controller.folder / "dead").exists()
    # At the end it is said once.
    assert outcome.count("Could not ") == 1


def test_devices_that_are_out_of_reach_are_named_though_no_other_is_left(each_controller: Controller) -> None:
    off = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {name: {**off, "tpm2_profile_serial": name} for name in ("edge-01", "edge-02")}
    done = each_controller("edgefleet.tpm2.day_zero", hosts)
    assert done.returncode != 0
    outcome = " ".join(done.stdout.partition("PLAY [Outcome]")[2].split())
    for name in hosts:
        assert outcome.count(f"Could not reach {name}; see power, cable and SSH, then run again with --limit {name}.") == 1
        assert totals(done)[name]["failed"] == 1


def test_a_host_pattern_can_be_given(controller: Controller, host: Host) -> None:
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": {}, "edge-02": host}, "-e", "tpm2_hosts=edge-02")
    assert done.returncode == 0, said(done)
    assert list(totals(done)) == ["edge-02"]


def test_the_preflight_refuses_a_disabled_hierarchy(controller: Controller, host: Host, tools: Tools) -> None:
    tools.run("hierarchycontrol", "-C", "o", "shEnable", "clear")
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode != 0
    outcome = said(done).partition("PLAY [Outcome]")[2]
    # At the end once more, and not with the host's name before it twice.
    for where in (said(done), outcome):
        assert "edge-01: The owner hierarchy is disabled; enable it in the firmware settings and reboot." in where
    assert "edge-01: edge-01" not in outcome
    assert totals(done)["edge-01"]["rescued"] == totals(done)["edge-01"]["failed"] == 1
    assert not pathlib.Path(host["tpm2_profile_dir"]).exists()


def test_the_preflight_refuses_a_tpm_in_lockout(controller: Controller, host: Host, tools: Tools) -> None:
    tools.run("nvdefine", "0x01800042", "-C", "o", "-s", "1", "-p", "right", "-a", "authread|authwrite")
    tools.run("dictionarylockout", "--setup-parameters", "--max-tries=1", "--recovery-time=1000", "--lockout-recovery-time=1000")
    with pytest.raises(Exception, match="nvwrite"):
        tools.run("nvwrite", "0x01800042", "-C", "0x01800042", "-P", "wrong", "-i", "-", stdin=b"x")
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode != 0
    assert "edge-01: The TPM is in dictionary attack lockout; wait 1000 s" in said(done)
    assert tools.handles("persistent") == []


def test_a_variable_that_is_not_what_a_role_takes_is_named_before_a_device_is_asked(each_controller: Controller, host: Host) -> None:
    """As Ansible does when a role begins, in the words of Ansible; and the other devices go on."""
    wrong = {**host, "tpm2_profile_serial": "OTHER", "tpm2_profile_hardened": "perhaps", "tpm2_profile_relay": "{{ 'per' }}l"}
    for playbook, other in (("day_zero", "edge-02 would be done"), ("audit", "edge-02 is not as declared")):
        done = each_controller(f"edgefleet.tpm2.{playbook}", {"edge-01": wrong, "edge-02": host}, "--check")
        heard = said(done)
        assert "edge-01: Could not use the variables of the role provision: " in heard and "correct them in the inventory." in heard
        assert "tpm2_profile_hardened" in heard and "unable to convert to bool" in heard and "python, shell, got: perl" in heard
        assert totals(done)["edge-01"]["failed"] == 1 and "Could not reach" not in heard
        assert other in heard


def test_secrets_that_enrolment_could_not_seal_are_refused_at_the_start(controller: Controller, host: Host, tools: Tools) -> None:
    enrolling = {"tpm2_identity_registry": str(controller.folder / "registry.sqlite"), "tpm2_identity_new_registry": True}
    host |= {**enrolling, "tpm2_identity_pcrs": {"bank": "sha256", "indices": [0]}}
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode != 0
    assert "edge-01: Could not bind resources to PCR values: enrolment does not quote 7 of the bank sha256" in said(done), said(done)
    assert tools.handles("persistent") == []


def test_hosts_that_cannot_be_told_apart_fail_before_anything_is_done(each_controller: Controller, host: Host, tools: Tools) -> None:
    """No serial number, one that is none, and one on two hosts, one of which is not in this run; nobody asks their TPMs."""
    nameless = {name: value for name, value in host.items() if name != "tpm2_profile_serial"}
    hosts = {
        "edge-01": nameless,
        "edge-02": {**host, "tpm2_profile_serial": "{{ 'EF-' ~ 7 }}"},
        "edge-03": {**host, "tpm2_profile_serial": " EF-7"},
        "edge-04": {**host, "tpm2_profile_serial": 0o12345},
        "edge-05": {**host, "tpm2_profile_serial": "{{ printed_serial }}"},
        "edge-06": {**host, "tpm2_profile_serial": "EF-8", "platform_hierarchy_tcti": "{{ 'device:' }}/dev/tpmrm7"},
    }
    done = each_controller("edgefleet.tpm2.day_zero", hosts, "-e", "tpm2_hosts=all,!edge-03")
    assert done.returncode != 0 and totals(done).keys() == hosts.keys() - {"edge-03"}
    assert "edge-04: Could not read tpm2_profile_serial: YAML has made a number of it" in said(done)
    assert "edge-06: platform_hierarchy_tcti is device:/dev/tpmrm7, and tpm2_profile_tcti means swtpm:host=127.0.0.1,port=" in said(done)
    unfilled = said(done).partition("Could not fill in tpm2_profile_serial of edge-05: ")[2].partition("; correct it in the inventory.")[0]
    assert "'printed_serial' is undefined" in unfilled.replace("''", "'")
    assert "edge-01 has no serial number;" in said(done) and "edge-02 has the serial number EF-7, and so has edge-03;" in said(done)
    assert "Read the TPM's facts" not in said(done)
    assert tools.handles("persistent") == tools.handles("nv-index") == []


def test_a_host_that_was_refused_at_the_start_is_not_called_out_of_reach(controller: Controller, host: Host) -> None:
    """The cure would be the wrong one: its inventory is to be corrected, and not its cable."""
    nameless = {name: value for name, value in host.items() if name != "tpm2_profile_serial"}
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host, "edge-02": nameless}, "--check")
    assert done.returncode != 0 and "edge-02 has no serial number;" in said(done)
    assert "edge-01 would be done" in said(done) and "Could not reach" not in said(done), said(done)


@pytest.mark.parametrize("more", [{"key": {"usage": "sign"}}, None], ids=["mapping", "empty"])
def test_resources_of_ones_own_that_are_no_list(each_controller: Controller, host: Host, more: t.Any) -> None:
    """Jinja's own sentence would speak of concatenation, and name no variable."""
    done = each_controller("edgefleet.tpm2.day_zero", {"edge-01": {**host, "tpm2_profile_more": more}}, "--check")
    assert done.returncode != 0 and "edge-01: Could not use tpm2_profile_more: it is no list;" in said(done), said(done)
    assert "concatenate" not in said(done), said(done)


@pytest.mark.parametrize(
    ("variables", "arguments", "sentence"),
    [
        (
            {"tpm2_profile_hardend": True},
            (),
            "Nobody here knows the variable tpm2_profile_hardend of edge-01; did you mean tpm2_profile_hardened?",
        ),
        (
            {},
            ("-e", "tpm2_profile_seral=X"),
            "Nobody here knows the variable tpm2_profile_seral of edge-01; did you mean tpm2_profile_serial?",
        ),
        ({"tpm2_hosts": "edge-01"}, (), "The inventory sets tpm2_hosts, and no play reads it there"),
        ({}, ("-e", "tpm2_hosts=edge-01,edgy"), "Could not begin: edgy matches none of the 1 hosts of the inventory"),
        (
            {},
            ("--tags", "provison"),
            "Could not begin: this playbook has no tag provison (--tags); did you mean provision? Its tags are tpm_stack, ",
        ),
        (
            {},
            ("--tags", "provision,enroll", "--skip-tags", "audits"),
            "Could not begin: this playbook has no tag enroll (--tags); its tags are tpm_stack, resource_manager, platform_hierarchy, "
            "provision, identity, audit. Could not begin: this playbook has no tag audits (--skip-tags); did you mean audit?",
        ),
        (
            {"tpm2_identity_registry": "{{ inventory_dir }}/factry/registry.sqlite"},
            (),
            "registry.sqlite: there is none; is it the right path or URL",
        ),
    ],
    ids=[
        "misspelt",
        "misspelt-on-the-command-line",
        "hosts-in-the-inventory",
        "hosts-that-match-nobody",
        "tags",
        "tags-beside-others",
        "registry",
    ],
)
def test_what_cannot_be_meant_ends_the_run_before_it_begins(
    controller: Controller, variables: Host, arguments: tuple[str, ...], sentence: str
) -> None:
    dead = {"tpm2_profile_serial": "EF-1", "tpm2_profile_tcti": "swtpm:host=127.0.0.1,port=1"}
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": {**dead, **variables}}, *arguments)
    assert done.returncode != 0 and sentence in said(done), said(done)
    assert "PLAY [Day zero]" not in done.stdout and not list(controller.folder.glob("**/*.sqlite"))


def test_an_undefined_variable_is_named_with_the_resource_that_uses_it(each_controller: Controller, host: Host, tools: Tools) -> None:
    index = {"nv_index": {"index": "0x01800011", "content": "{{ '%-32s' | format(asset_tag) }}"}}
    key = {"key": {"handle": "0x81000211", "public_path": "{{ tpm2_profile_dir }}/sign.pem"}}
    host |= {"tpm2_profile_more": [key, index]}
    for playbook, more in (("day_zero", {}), ("audit", {"tpm2_profile_telemetry_key": "{{ vault_key }}"})):
        done = each_controller(f"edgefleet.tpm2.{playbook}", {"edge-01": {**host, **more}})
        heard = said(done).replace("''", "'")
        assert (
            done.returncode != 0
            and (
                "edge-01: Could not fill in item 2 of tpm2_profile_more (nv_index 0x01800011): 'asset_tag' is undefined; define it for this host"
            )
            in heard
        )
        assert ("edge-01: Could not fill in tpm2_profile_telemetry_key: 'vault_key' is undefined" in heard) == bool(more)
        # What is defined is no fault, and what is made of the others is not named beside them.
        assert "item 1 of" not in heard and "tpm2_profile_resources" not in heard
    assert tools.handles("persistent") == [] and not pathlib.Path(host["tpm2_profile_dir"]).exists()


def test_another_serial_number_than_the_written_one_is_refused(controller: Controller, host: Host, tools: Tools) -> None:
    assert controller("edgefleet.tpm2.day_zero", {"edge-01": host}).returncode == 0
    host["tpm2_profile_serial"] = "EDGE-0002-TEST"
    for playbook in ("edgefleet.tpm2.day_zero", "edgefleet.tpm2.audit"):
        done = controller(playbook, {"edge-01": host})
        assert done.returncode != 0
        assert "0x01800010" in said(done)
    assert tools.nvread(profile.SERIAL_INDEX).decode() == profile.SERIAL


def test_hardening_sets_the_auths_once(each_controller: Controller, host: Host, swtpm: Swtpm, tools: Tools) -> None:
    tools.close_platform()
    host |= {"tpm2_profile_hardened": True, **AUTHS}
    first = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert first.returncode == 0, said(first)
    assert tools.auth_is_set() == {"owner": True, "endorsement": True, "lockout": True}
    tools.run("changeauth", "-c", "o", "-p", AUTHS["tpm2_profile_owner_auth"], AUTHS["tpm2_profile_owner_auth"])  # it is this one
    second = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert second.returncode == 0, said(second)
    assert totals(second)["edge-01"]["changed"] == 0
    # A value that the lockout auth has to open is still changed, with the auth that was set.
    host["tpm2_profile_da_lockout"] = {"max_tries": 31}
    third = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert third.returncode == 0, said(third)
    # A list that takes the place of all of that is not half of it by accident.
    host["tpm2_profile_resources"] = [{"da_lockout": {"max_tries": 30}}]
    for playbook in ("edgefleet.tpm2.day_zero", "edgefleet.tpm2.audit"):
        fourth = each_controller(playbook, {"edge-01": host})
        assert fourth.returncode != 0
        assert "edge-01: tpm2_profile_resources is a list of your own, and lacks the auth of owner, endorsement, lockout" in said(fourth)
    host["tpm2_profile_resources"] = "{{ [{'da_lockout': {'max_tries': 31}}] + tpm2_profile_hardening }}"
    fifth = each_controller("edgefleet.tpm2.audit", {"edge-01": host})
    assert fifth.returncode == 0, said(fifth)
    assert tools.da()[0] == 31
    assert tools.lockout_counter() == 0


def test_hardening_needs_all_three_auths(each_controller: Controller, host: Host, tools: Tools) -> None:
    tools.close_platform()
    host |= {"tpm2_profile_hardened": True, **AUTHS, "tpm2_profile_lockout_auth": ""}
    done = each_controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode != 0
    assert (
        "edge-01: tpm2_profile_hardened needs tpm2_profile_owner_auth, tpm2_profile_endorsement_auth and tpm2_profile_lockout_auth"
        in said(done)
    )
    assert tools.handles("persistent") == []


def test_hardening_refuses_an_open_platform_hierarchy(controller: Controller, host: Host, tools: Tools) -> None:
    """Before anything is written, also where hardening comes last: after an enrolment."""
    host |= {"tpm2_profile_hardened": True, **AUTHS}
    enrolling = {"tpm2_identity_registry": str(controller.folder / "registry.sqlite"), "tpm2_identity_new_registry": True}
    for variables in ({}, enrolling):
        done = controller("edgefleet.tpm2.day_zero", {"edge-01": {**host, **variables}})
        assert done.returncode != 0
        assert "edge-01: The platform hierarchy is open, and there everybody can undo what tpm2_profile_hardened does;" in said(done)
        assert tools.handles("persistent") == [] and not any(tools.auth_is_set().values())


def test_no_secret_is_printed(each_controller: Controller, host: Host, tools: Tools) -> None:
    tools.close_platform()
    host |= {"tpm2_profile_hardened": True, **AUTHS}
    secrets = [*AUTHS.values(), KEY, profile.TELEMETRY_KEY.hex(), profile.TELEMETRY_KEY.decode("latin-1")]
    for playbook in ("edgefleet.tpm2.day_zero", "edgefleet.tpm2.day_zero", "edgefleet.tpm2.audit"):
        done = each_controller(playbook, {"edge-01": host}, "-vvvv", "--diff")
        assert done.returncode == 0, said(done)
        assert [secret for secret in secrets if secret in done.stdout + done.stderr] == []
    failed = each_controller(
        "edgefleet.tpm2.day_zero", {"edge-01": dict(host, tpm2_profile_serial="X", tpm2_profile_hardened="perhaps")}, "-vvvv", "--diff"
    )
    assert failed.returncode != 0
    assert [secret for secret in secrets if secret in failed.stdout + failed.stderr] == []


def test_a_run_leaves_no_session_and_no_object_behind(controller: Controller, host: Host, swtpm: Swtpm) -> None:
    done = controller("edgefleet.tpm2.day_zero", {"edge-01": host})
    assert done.returncode == 0, said(done)
    with RawTpm(swtpm.ports.data) as tpm:
        assert [handle for first in (0x80000000, 0x02000000, 0x03000000) for handle in tpm.handles(first)] == []


@pytest.mark.parametrize("playbook", ["day_zero", "audit"])
def test_the_playbooks_gather_no_facts_and_pass_the_syntax_check(each_controller: Controller, host: Host, playbook: str) -> None:
    plays = yaml.safe_load((places.ROOT / "playbooks" / f"{playbook}.yml").read_text())
    assert {play["gather_facts"] for play in plays} == {False}
    done = each_controller(f"edgefleet.tpm2.{playbook}", {"edge-01": host}, "--syntax-check")
    assert done.returncode == 0, said(done)
