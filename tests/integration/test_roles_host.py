# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles tpm_stack and resource_manager decide about a host that was observed: which sentences they say, which files they would write.

The hosts are made-up observations in the shape of `tpm2_info: gather: [host]`, one inventory host a case, and a play has the roles' own
variables worked out for all of them. What the roles then do to a host is tested in containers and in the VM (molecule/, tests/vm/).
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import typing as t

import pytest
import yaml
from support import places
from support.controller import cores, each_core, forked

ROLES = ("tpm_stack", "resource_manager")
Facts = dict[str, t.Any]

# A bare Debian with a TPM that works, in its groups and rights as the roles leave them.
RIGHT: Facts = {
    "os": {
        "id": "debian",
        "id_like": [],
        "version_id": "12",
        "name": "Debian GNU/Linux 12 (bookworm)",
        "read_only_root": False,
        "packages": "apt",
        "init": "systemd",
        "supported": True,
    },
    "kernel": {"release": "6.1.0-18-amd64", "resource_manager": True},
    "clock": {"time": "2026-11-22T06:00:00+00:00", "plausible": True},
    "machine": {"model": "a board", "config_txt": None, "raspberry_pi": False},
    "config_txt": {"path": None, "overlays": [], "spi": None, "read_only": False, "contradictions": []},
    "tpm": {"state": "ready", "sentence": "/dev/tpm0, /dev/tpmrm0 can be used."},
    "nodes": [
        {"path": "/dev/tpm0", "exists": True, "kind": "char", "mode": "0660", "owner": "tss", "group": "root", "readable": True},
        {"path": "/dev/tpmrm0", "exists": True, "kind": "char", "mode": "0660", "owner": "tss", "group": "tss", "readable": True},
    ],
    "modules": {"needed": ["tpm_tis"], "loaded": [], "builtin": ["tpm_tis"]},
    "resource_manager": {
        "in_use": "kernel",
        "kernel": True,
        "abrmd": {
            "installed": False,
            "packaged": True,
            "unit": None,
            "active": False,
            "enabled": False,
            "masked": False,
            "on_bus": False,
            "sentence": None,
        },
    },
    "dbus": {"running": True},
    "holders": [],
    "udev_rules": [],
    "group": {"name": "tss", "exists": True, "members": ["tss"]},
    "software": {"tpm2-tss": "3.2.1-3", "tpm2-tools": "5.4-1", "tpm2-pytss": "1.2.0"},
    "disk": {"free_bytes": {"/var": 10**9, "/etc": 10**9}},
    "tcti": {},
}
INSTALLED = {"resource_manager": {"abrmd": {"installed": True, "unit": "/usr/lib/systemd/system/tpm2-abrmd.service"}}}
RUNNING = {"resource_manager": {"abrmd": {"installed": True, "active": True, "enabled": True, "on_bus": True}}}
ABRMD = {"tpm2_resource_manager": "abrmd"}
BARE = {"software": None, "group": {"exists": False, "members": []}}
PI = {"path": "/boot/firmware/config.txt"}
SLB9670 = {"tpm_stack_overlay": "tpm-slb9670"}
ABSENT = {"tpm": {"state": "absent", "sentence": "The kernel has no TPM and no bus names one; fit one."}}
HOLDER = {"path": "/dev/tpm0", "pid": 4711, "process": "measurer", "unit": "measurer.service", "state": "S", "hung": False}
RULES = "/etc/udev/rules.d/05-edgefleet-tpm2.rules"


def rule(path: str, mode: str, *, final: bool, wide: bool) -> Facts:
    """One udev rule as it is observed."""
    return {"path": path, "line": 3, "text": "…", "mode": mode, "final": final, "too_wide": wide, "nodes": ["/dev/tpmrm0"], "wins": []}


def host(*changes: Facts) -> Facts:
    """The right host with changes: dicts are merged, None empties, and anything else replaces."""
    found = copy.deepcopy(RIGHT)
    for change in changes:
        merge(found, change)
    return found


def merge(into: Facts, change: Facts) -> None:
    """Put a change into an observation."""
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        elif value is None and isinstance(into.get(key), dict):
            into[key] = {}
        else:
            into[key] = value


@dataclasses.dataclass
class Case:
    """A host, the variables of its roles, and parts of the one sentence that a list of sentences shall hold; no part: no sentence."""

    role: str
    seen: Facts
    says: tuple[str, ...] = ()
    variables: Facts = dataclasses.field(default_factory=dict)
    asked: str = "refusals"


def stack(seen: Facts, *says: str, asked: str = "refusals", **variables: t.Any) -> Case:
    """A case of role tpm_stack."""
    return Case("tpm_stack", seen, says, variables, asked)


def manager(seen: Facts, *says: str, **variables: t.Any) -> Case:
    """A case of role resource_manager."""
    return Case("resource_manager", seen, says, variables)


OLD_KERNEL = {"kernel": {"release": "4.9.0-19-armmp", "resource_manager": False}}
READ_ONLY = {"os": {"read_only_root": True}}
YOCTO = {"os": {"id": "poky", "packages": "none", "supported": False, "name": "Poky 5.0"}}
UNKNOWN = {"os": {"id": "void", "packages": "none", "supported": False, "name": "Void"}}
WIDE_NODE = {"nodes": [{**RIGHT["nodes"][0]}, {**RIGHT["nodes"][1], "mode": "0666"}]}

CASES: dict[str, Case] = {
    "right": stack(host()),
    "bare": stack(host(BARE)),
    "kernel-too-old": stack(host(OLD_KERNEL), "Could not use the kernel's resource manager: kernel 4.9.0-19-armmp", "4.12", "to abrmd"),
    "kernel-too-old-with-abrmd": stack(host(OLD_KERNEL), **ABRMD),
    "tpm-1.2": stack(
        host({"tpm": {"state": "tpm12", "sentence": "tpm0 is a TPM 1.2; x."}}), "Could not set up the TPM stack: tpm0 is a TPM 1.2"
    ),
    "no-tpm": stack(host(ABSENT, {"modules": {"needed": []}}), "Could not find a TPM: The kernel has no TPM", tpm_stack_wait=0),
    "no-tpm-yet": stack(host(ABSENT, {"modules": {"needed": []}})),
    "no-tpm-but-a-module": stack(host(ABSENT, {"modules": {"needed": ["tpm_tis_spi"], "builtin": []}}), tpm_stack_wait=0),
    "rule-wider-and-final-and-before": stack(
        host({"udev_rules": [rule("/etc/udev/rules.d/01-lab.rules", "0666", final=True, wide=True)]}),
        "Could not keep the TPM's nodes at 0660: /etc/udev/rules.d/01-lab.rules, line 3 sets the mode 0666",
        RULES,
    ),
    "rule-wider-and-after": stack(host({"udev_rules": [rule("/etc/udev/rules.d/99-lab.rules", "0666", final=True, wide=True)]})),
    "rule-wider-before-not-final": stack(host({"udev_rules": [rule("/etc/udev/rules.d/01-lab.rules", "0666", final=False, wide=True)]})),
    "rule-narrow-and-final-and-before": stack(
        host({"udev_rules": [rule("/etc/udev/rules.d/01-lab.rules", "0600", final=True, wide=False)]})
    ),
    "read-only-root-and-missing": stack(
        host(READ_ONLY, {"software": None}),
        "Could not install tpm2-tools, tpm2-pytss: this host's root is read-only",
        "tpm2-tools, python3-tpm2-pytss",
    ),
    "read-only-root-and-all-there": stack(host(READ_ONLY)),
    "read-only-root-and-no-group": stack(host(READ_ONLY, {"group": {"exists": False, "members": []}}), "Could not make group tss"),
    "read-only-root-and-a-wide-node": stack(host(READ_ONLY, WIDE_NODE), "Could not narrow /dev/tpmrm0: nothing is written on this root"),
    "yocto-and-missing": stack(host(YOCTO, {"software": None}), "this host's root is an image of Yocto; add the recipe tpm2-tools, "),
    "yocto-and-all-there": stack(host(YOCTO)),
    "unknown-and-missing": stack(
        host(UNKNOWN, {"software": None}), "Could not install tpm2-tools, tpm2-pytss: this role does not know the packages of Void;"
    ),
    "unknown-and-all-there": stack(host(UNKNOWN)),
    "derived-from-a-known-one": stack(host(BARE, {"os": {"id": "raspbian", "id_like": ["debian"], "name": "Raspbian"}})),
    "disk-full-and-missing": stack(host(BARE, {"disk": {"free_bytes": {"/var": 3 << 20}}}), "/var has 3 MiB left, and 64 are needed"),
    "disk-nearly-full-and-all-there": stack(host({"disk": {"free_bytes": {"/var": 3 << 20}}})),
    "disk-of-etc-full": stack(host({"disk": {"free_bytes": {"/etc": 0}}}), "Could not write the configuration: the disk of /etc is full"),
    "install-in-1970": stack(host(BARE, {"clock": {"time": "1970-01-01T00:00:07+00:00", "plausible": False}})),
    "install-on-a-disk-that-fills-up": stack(
        host(BARE), __tpm_stack_packages_done={"msg": "apt-get failed: E: Write error - write (28: No space left on device)"}
    ),
    "install-from-a-source-that-is-gone": stack(
        host(BARE), __tpm_stack_packages_done={"msg": "No package matching 'x' is available.\nmore"}
    ),
    "config-txt-absent": stack(
        host(ABSENT), "Could not set the overlay tpm-slb9670: there is neither /boot/firmware/config.txt", **SLB9670
    ),
    "config-txt-there": stack(host(ABSENT, {"config_txt": PI}), **SLB9670),
    "config-txt-read-only": stack(
        host(ABSENT, {"config_txt": {**PI, "read_only": True}}), "tpm-slb9670: /boot/firmware/config.txt is read-only;", **SLB9670
    ),
    "config-txt-read-only-and-right": stack(host({"config_txt": {**PI, "read_only": True, "overlays": ["tpm-slb9670"]}}), **SLB9670),
    "config-txt-with-another-tpm": stack(
        host({"config_txt": {**PI, "overlays": ["tpm-slb9673"]}}), "config.txt already loads tpm-slb9673; take out the line", **SLB9670
    ),
    "config-txt-contradicts": stack(
        host({"config_txt": {**PI, "overlays": ["tpm-slb9670"], "contradictions": ["dtparam=spi=off, and it is on SPI"]}}),
        "config.txt stands against it (dtparam=spi=off, and it is on SPI)",
        **SLB9670,
    ),
    "after-all-ready": stack(host(), asked="faults"),
    "after-all-absent": stack(host(ABSENT), "Could not reach the TPM within 30 s: The kernel has no TPM", asked="faults"),
    "after-all-overlay-not-booted": stack(
        host(ABSENT, {"config_txt": PI}),
        "(reboot needed); reboot the host and run again, or set tpm_stack_reboot.",
        asked="faults",
        **SLB9670,
    ),
    "after-all-wide": stack(host(WIDE_NODE), "Could not narrow /dev/tpmrm0 to 0660: it still has the mode 0666", asked="faults"),
    "after-all-not-permitted": stack(
        host({"tpm": {"state": "no_permission", "sentence": "/dev/tpmrm0 is root:root 0600, not for this user; run with become."}}),
        "/dev/tpmrm0 is root:root 0600, not for this user",
        asked="faults",
    ),
    "tcti-of-the-profile-alike": stack(host(), tpm2_profile_tcti="device:/dev/tpmrm0"),
    "tcti-of-the-profile-said-in-both": stack(host(), tpm2_profile_tcti="device:/dev/tpmrm1", tpm_stack_tcti="device:/dev/tpmrm1"),
    "tcti-of-the-profile-contradicts": stack(
        host(),
        "Could not set up the TPM stack for one TPM: tpm2_profile_tcti is device:/dev/tpm0, and this role brings the host to device:/dev/tpmrm0",
        tpm2_profile_tcti="device:/dev/tpm0",
    ),
    "tcti-of-the-profile-contradicts-abrmd": stack(
        host(), "and this role brings the host to tabrmd:bus_name=com.intel.tss2.Tabrmd", tpm2_profile_tcti="device:/dev/tpmrm0", **ABRMD
    ),
    "kernel": manager(host()),
    "kernel-beside-abrmd": manager(host(RUNNING)),
    "kernel-rm-too-old": manager(host(OLD_KERNEL), "Could not use the kernel's resource manager: kernel 4.9.0-19-armmp has none"),
    "kernel-without-its-node": manager(host({"nodes": [RIGHT["nodes"][0]]}), "there is no /dev/tpmrm0; "),
    "kernel-and-a-hung-holder": manager(
        host({"holders": [{**HOLDER, "hung": True, "state": "D"}]}), "process measurer (4711, unit measurer.service)", "hangs (state D)"
    ),
    "kernel-and-no-group": manager(
        host({"group": {"exists": False, "members": []}}), "there is no group tss; run role edgefleet.tpm2.tpm_stack"
    ),
    "abrmd": manager(host(), **ABRMD),
    "abrmd-holds-its-own-node": manager(
        host(RUNNING, {"holders": [{**HOLDER, "process": "tpm2-abrmd", "unit": "tpm2-abrmd.service"}]}), **ABRMD
    ),
    "abrmd-not-packaged": manager(
        host({"resource_manager": {"abrmd": {"packaged": False}}}),
        "Could not install tpm2-abrmd: Debian GNU/Linux 12",
        "no such package",
        **ABRMD,
    ),
    "abrmd-and-no-package-manager": manager(host(UNKNOWN), "Could not install tpm2-abrmd: Void has no package manager", **ABRMD),
    "abrmd-nobody-knows-if-packaged": manager(host({"resource_manager": {"abrmd": {"packaged": None}}}), **ABRMD),
    "abrmd-and-no-dbus": manager(
        host(INSTALLED, {"dbus": {"running": False}}), "the system D-Bus takes no connection", "start dbus", **ABRMD
    ),
    "abrmd-on-a-read-only-root": manager(host(READ_ONLY), "add the recipe tpm2-abrmd", **ABRMD),
    "abrmd-and-another-holder": manager(
        host({"holders": [HOLDER]}),
        "Could not give /dev/tpm0 to tpm2-abrmd: process measurer (4711, unit measurer.service) holds it; stop it",
        **ABRMD,
    ),
    "abrmd-and-a-holder-without-unit": manager(host({"holders": [{**HOLDER, "unit": None}]}), "process measurer (4711) holds it", **ABRMD),
    "abrmd-and-a-hung-holder": manager(
        host({"holders": [{**HOLDER, "hung": True, "state": "D"}]}), "holds it and hangs (state D); end it, or reboot", **ABRMD
    ),
    "abrmd-and-a-holder-of-the-other-node": manager(host({"holders": [{**HOLDER, "path": "/dev/tpmrm0"}]}), **ABRMD),
    "abrmd-on-the-kernel's": manager(
        host(),
        "two on one path",
        "set resource_manager_abrmd_tcti to device:/dev/tpm0",
        resource_manager_abrmd_tcti="device:/dev/tpmrm0",
        **ABRMD,
    ),
}


class Worked(t.NamedTuple):
    """What a core made of all cases: by case, the variables that a play wrote down."""

    core: str
    answers: dict[str, Facts]


WANTED = {
    "tpm_stack": (
        "refusals",
        "faults",
        "narrowed",
        "packages",
        "installs",
        "install_reason",
        "modules_to_load",
        "overlay_to_write",
        "rights_to_set",
        "configures",
    ),
    "resource_manager": ("refusals", "packages", "files", "quiets", "tcti"),
}


def play(role: str) -> Facts:
    """A play that shows what a role works out for each host of its group."""
    folder = places.ROOT / "roles" / role
    # Of the role that all depend on, too.
    files = [places.ROOT / "roles/controller/vars/main.yml"]
    files += sorted(folder.glob("vars/main.yml")) + sorted(folder.glob("vars/main/*.yml"))
    wanted = "".join(f"'{name}': __{role}_{name}, " for name in WANTED[role])
    # In base64, which no callback wraps or quotes.
    show = {"msg": "{{ {" + wanted + "} | to_json | b64encode }}"}
    return {
        "hosts": role,
        "gather_facts": False,
        # As the role has them: variables of the host before the role's defaults.
        "vars_files": [str(path) for path in files],
        "tasks": [{"name": "Show", "ansible.builtin.debug": show}],
    }


@pytest.fixture(scope="module", params=each_core("hosts"))
def worked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Worked:
    """All cases, worked out by the oldest and by the newest core in one run each."""
    folder = tmp_path_factory.mktemp("hosts")
    inventory: Facts = {}
    for role in ROLES:
        defaults = yaml.safe_load((places.ROOT / "roles" / role / "defaults" / "main.yml").read_text())
        hosts = {
            name: {**defaults, f"__{role}_seen": {"host": case.seen, "changed": False}, **case.variables}
            for name, case in CASES.items()
            if case.role == role
        }
        inventory[role] = {"hosts": hosts}
    shared = {"ansible_connection": "local", "ansible_python_interpreter": places.require_python("system")}
    shared |= {f"__tpm_stack_{name}_done": {"changed": False} for name in ("packages", "members", "device_files", "overlay", "rights")}
    shared |= {"__tpm_stack_loaded": {"changed": False}, "__tpm_stack_rebooted": {"changed": False}}
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"vars": shared, "children": inventory}}))
    (folder / "play.yml").write_text(yaml.safe_dump([play(role) for role in ROLES]))
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "TPM2", "PYTHON"))}
    environment |= {"ANSIBLE_CONFIG": str(places.USERS_CFG), "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS)}
    environment |= {"ANSIBLE_HOME": str(folder / "ansible"), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    command = [request.param["ansible_playbook"], "-i", str(folder / "inventory.yml"), str(folder / "play.yml"), "--forks=4"]
    done = forked(command, environment)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = re.findall(r'ok: \[([^]]+)\] => \{\s*"msg": "([\w+/=]+)"', done.stdout)
    return Worked(request.param["core"], {name: json.loads(base64.b64decode(text)) for name, text in shown})


@pytest.mark.parametrize("name", CASES)
def test_each_bad_host_has_its_own_sentence_and_a_good_one_has_none(worked: Worked, name: str) -> None:
    case, said = CASES[name], worked.answers[name][CASES[name].asked]
    assert len(said) == (1 if case.says else 0), said
    for part in case.says:
        assert part in said[0]


def test_every_sentence_is_one_sentence(worked: Worked) -> None:
    said = {text for name, case in CASES.items() for text in worked.answers[name][case.asked]}
    assert len(said) > 20
    for sentence in said:
        assert sentence.startswith("Could not ")
        assert sentence.endswith(".") and ";" in sentence
        assert "\n" not in sentence and "  " not in sentence


def test_a_wider_rule_that_comes_later_is_narrowed_and_reported(worked: Worked) -> None:
    assert [one["path"] for one in worked.answers["rule-wider-and-after"]["narrowed"]] == ["/etc/udev/rules.d/99-lab.rules"]
    assert worked.answers["right"]["narrowed"] == []
    assert worked.answers["rule-wider-and-final-and-before"]["narrowed"] == []


def test_a_host_that_is_right_is_left_alone(worked: Worked) -> None:
    answer = worked.answers["right"]
    assert (answer["installs"], answer["modules_to_load"], answer["overlay_to_write"], answer["rights_to_set"]) == (False, [], False, False)
    assert worked.answers["kernel"]["quiets"] is False


def test_a_bare_host_gets_its_distributions_packages(worked: Worked) -> None:
    for name in ("bare", "derived-from-a-known-one"):
        assert worked.answers[name]["installs"] is True
        assert worked.answers[name]["packages"] == ["tpm2-tools", "tpm-udev", "python3-tpm2-pytss", "python3-cryptography"]
    assert worked.answers["abrmd"]["packages"] == ["tpm2-abrmd", "libtss2-tcti-tabrmd0"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("install-in-1970", "the clock says 1970-01-01T00:00:07+00:00, and what is signed is valid for other times; set the clock"),
        ("install-on-a-disk-that-fills-up", "the disk is full; free space under /var"),
        ("install-from-a-source-that-is-gone", "No package matching 'x' is available; look at the sources of apt on this host"),
    ],
)
def test_why_packages_could_not_be_installed_is_one_sentence(worked: Worked, name: str, reason: str) -> None:
    said = worked.answers[name]["install_reason"]
    assert said.startswith(reason)
    assert said.endswith(".") and "\n" not in said


def test_images_are_not_written_to(worked: Worked) -> None:
    for name in ("read-only-root-and-all-there", "yocto-and-all-there"):
        assert (worked.answers[name]["configures"], worked.answers[name]["installs"]) == (False, False)
    assert (worked.answers["unknown-and-all-there"]["configures"], worked.answers["unknown-and-all-there"]["installs"]) == (True, False)


def test_a_driver_that_is_a_module_is_loaded(worked: Worked) -> None:
    assert worked.answers["no-tpm-but-a-module"]["modules_to_load"] == ["tpm_tis_spi"]


def test_nodes_with_other_rights_are_set_right(worked: Worked) -> None:
    assert worked.answers["after-all-wide"]["rights_to_set"] is True


def test_tpm2_abrmd_beside_the_kernel_is_quietened(worked: Worked) -> None:
    assert worked.answers["kernel-beside-abrmd"]["quiets"] is True


@pytest.mark.parametrize("role", ROLES)
def test_the_defaults_are_those_of_the_specification(role: str) -> None:
    defaults = yaml.safe_load((places.ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    points = yaml.safe_load((places.ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    for point in points.values():
        assert defaults.keys() == point["options"].keys()
        stated = {name: option["default"] for name, option in point["options"].items() if "default" in option}
        assert {name: defaults[name] for name in stated} == stated


@pytest.mark.parametrize("role", ROLES)
def test_the_readme_lists_every_variable(role: str) -> None:
    defaults = yaml.safe_load((places.ROOT / "roles" / role / "defaults" / "main.yml").read_text())
    readme = (places.ROOT / "roles" / role / "README.md").read_text()
    assert {line.split("`")[1] for line in readme.splitlines() if line.startswith(("| `tpm", "| `resource_"))} == set(defaults)


def test_every_distribution_names_every_feature() -> None:
    data = yaml.safe_load((places.ROOT / "roles" / "tpm_stack" / "vars" / "main" / "packages.yml").read_text())
    features = set(data["__tpm_stack_software"])
    specified = yaml.safe_load((places.ROOT / "roles" / "tpm_stack" / "meta" / "argument_specs.yml").read_text())
    assert set(specified["argument_specs"]["main"]["options"]["tpm_stack_features"]["choices"]) == features
    for packages in data["__tpm_stack_distributions"].values():
        assert packages.keys() == features and all(packages.values())


def test_the_playbook_gathers_no_facts_and_passes_the_syntax_check(tmp_path: pathlib.Path) -> None:
    path = places.ROOT / "playbooks" / "host.yml"
    assert {(one["gather_facts"], one["any_errors_fatal"]) for one in yaml.safe_load(path.read_text())} == {(False, False)}
    places.python_path()  # makes the collection's tree
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(places.COLLECTIONS), "ANSIBLE_HOME": str(tmp_path)}
    command = [cores()[-1]["ansible_playbook"], "-i", "localhost,", "--syntax-check", "edgefleet.tpm2.host"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
