# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""tpm2_access: it says of each user what tpm2_getrandom, run as that user, finds."""

from __future__ import annotations

import grp
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import time
import typing as t

import pytest
from support import module, places
from support.node import NodeTpm
from support.refused import assert_sentence
from support.swtpm import Swtpm

MODULE = "tpm2_access"
NAME = "com.intel.tss2.Tabrmd"
TABRMD = f"tabrmd:bus_name={NAME}"
DEADLINE_SECONDS = 30.0
# Users and a group that any Debian has; the tests name no others.
MEMBER, STRANGER = "daemon", "nobody"


@pytest.fixture(autouse=True)
def as_root() -> None:
    """Only root can become another user."""
    if os.geteuid() != 0:
        pytest.fail("these tests become other users; run them as root")


def outside(user: str, tcti: str) -> bool:
    """Whether tpm2_getrandom, run as `user`, gets its bytes."""
    command = ["runuser", "-u", user, "--", "tpm2_getrandom", "--hex", "8", "-T", tcti]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode == 0 and len(done.stdout.strip()) == 16


def users(answer: dict[str, t.Any] | None) -> dict[str, dict[str, t.Any]]:
    """The module's rows by user."""
    assert answer is not None
    return {one["user"]: one for one in answer["users"]}


@pytest.fixture
def node(tmp_path: pathlib.Path) -> t.Iterator[NodeTpm]:
    """A TPM behind a node that its group may use: 0660, group daemon."""
    with NodeTpm(tmp_path / "tpm") as tpm:
        tpm.give(0o660, pwd.getpwnam(MEMBER).pw_gid)
        yield tpm


# A device node


@pytest.mark.parametrize("check", [False, True])
def test_who_may_use_a_node(node: NodeTpm, device_python: str, check: bool) -> None:
    result = module.run(MODULE, {"tcti": node.tcti, "allowed": ["root", MEMBER], "refused": [STRANGER]}, python=device_python, check=check)
    found = result.expect_ok()
    assert not found["changed"] and found["tcti"] == node.tcti
    assert [(one["user"], one["uid"], one["allowed"], one["reason"]) for one in found["users"]] == [
        ("root", 0, True, None),
        (MEMBER, pwd.getpwnam(MEMBER).pw_uid, True, None),
        (STRANGER, pwd.getpwnam(STRANGER).pw_uid, False, "permission_denied"),
    ]
    assert grp.getgrgid(pwd.getpwnam(MEMBER).pw_gid).gr_name in users(found)[MEMBER]["groups"]
    assert [outside(user, node.tcti) for user in ("root", MEMBER, STRANGER)] == [True, True, False]


def test_a_supplementary_group_counts(node: NodeTpm, system_python: str) -> None:
    """The group database is asked as a login asks it, not the groups that we happen to have."""
    member = next(
        (one for one in grp.getgrall() for user in one.gr_mem if user != "root" and pwd.getpwnam(user).pw_gid != one.gr_gid), None
    )
    if member is None:
        name = f"eftpm{os.getpid()}"
        subprocess.run(["groupadd", name], check=True)
        subprocess.run(["gpasswd", "-a", STRANGER, name], check=True, stdout=subprocess.DEVNULL)
        user, number = STRANGER, grp.getgrnam(name).gr_gid
    else:
        name, user, number = "", member.gr_mem[0], member.gr_gid
    try:
        module.run(MODULE, {"tcti": node.tcti, "refused": [user]}, python=system_python).expect_ok()
        node.give(0o660, number)
        found = module.run(MODULE, {"tcti": node.tcti, "allowed": [user]}, python=system_python).expect_ok()
        assert grp.getgrgid(number).gr_name in users(found)[user]["groups"]
        assert outside(user, node.tcti)
    finally:
        if name:
            subprocess.run(["groupdel", name], check=True)


def test_a_node_that_is_too_narrow(node: NodeTpm, system_python: str) -> None:
    node.give(0o600)
    result = module.run(MODULE, {"tcti": node.tcti, "allowed": ["root", MEMBER]}, python=system_python)
    assert_sentence(result.expect_failed(), node.path, f"as user {MEMBER}", "permission denied", "tss", "0660")
    assert [(one["user"], one["allowed"]) for one in users(result.json).values()] == [("root", True), (MEMBER, False)]


def test_a_node_that_is_too_wide(node: NodeTpm, system_python: str) -> None:
    node.give(0o666)
    result = module.run(MODULE, {"tcti": node.tcti, "allowed": [MEMBER], "refused": [STRANGER]}, python=system_python)
    assert_sentence(result.expect_failed(), node.path, f"keep user {STRANGER} from", "the TPM answered", "0660")
    assert users(result.json)[STRANGER]["allowed"] and outside(STRANGER, node.tcti)


def test_a_tpm_that_is_not_there_refuses_nobody(system_python: str, tmp_path: pathlib.Path) -> None:
    tmp_path.chmod(0o755)
    for option, says in (("allowed", "Could not use the TPM"), ("refused", "Could not tell whether user")):
        result = module.run(MODULE, {"tcti": f"device:{tmp_path}/tpmrm0", option: ["root"]}, python=system_python)
        assert_sentence(result.expect_failed(), says, f"{tmp_path}/tpmrm0", "no such TPM")
        assert users(result.json)["root"]["reason"] == "no_device"


def test_a_silent_tpm(node: NodeTpm, system_python: str) -> None:
    node.hang()
    try:
        for option, says in (("allowed", "Could not use the TPM"), ("refused", "Could not tell whether")):
            result = module.run(MODULE, {"tcti": node.tcti, option: [MEMBER], "timeout": 1}, python=system_python)
            assert_sentence(result.expect_failed(), says, MEMBER, "no answer within 1 s", "dmesg")
            assert users(result.json)[MEMBER]["reason"] == "no_answer"
    finally:
        node.resume()
    # Nobody was left behind who holds the node.
    assert subprocess.run(["fuser", node.path], capture_output=True, text=True, check=False).stdout.split() == [str(os.getpid())]


def test_a_socket(swtpm: Swtpm, system_python: str) -> None:
    """TCP has no access control: everybody is let in, and the module says so rather than that all is well."""
    found = module.run(MODULE, {"tcti": swtpm.tcti, "allowed": ["root", STRANGER]}, python=system_python).expect_ok()
    assert [one["allowed"] for one in found["users"]] == [True, True]
    result = module.run(MODULE, {"tcti": swtpm.tcti, "refused": [STRANGER]}, python=system_python)
    assert_sentence(result.expect_failed(), swtpm.tcti, f"keep user {STRANGER} from")


def test_a_tpm_that_answers_with_failure(system_python: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tcti = f"swtpm:host=127.0.0.1,port={listener.getsockname()[1]}"
        running = module.start(MODULE, {"tcti": tcti, "allowed": ["root"]}, python=system_python)
        client, _address = listener.accept()
        with client:
            client.recv(4096)
            client.sendall(bytes.fromhex("80010000000a00000101"))
            result = running.wait()
    assert_sentence(result.expect_failed(), tcti, "TPM_RC_FAILURE")
    assert users(result.json)["root"]["reason"] == "tpm_error"


# What is asked for


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"allowed": ["edgefleet-none"]}, ("edgefleet-none", "no such user", "create it")),
        ({}, ("allowed and refused", "name a user")),
        ({"allowed": ["root"], "timeout": 0}, ("timeout", "below 1")),
        ({"allowed": ["root"], "tcti": "/dev/tpmrm0"}, ("'/dev/tpmrm0'", "device:/dev/tpmrm0")),
    ],
)
def test_what_makes_no_sense(system_python: str, options: dict[str, t.Any], says: tuple[str, ...]) -> None:
    assert_sentence(module.run(MODULE, {"tcti": "device:/dev/tpmrm0", **options}, python=system_python).expect_failed(), *says)


def test_only_root_becomes_another(node: NodeTpm, system_python: str, tmp_path: pathlib.Path) -> None:
    shell = tmp_path / "python"
    shell.write_text(f'#!/bin/sh\nexec setpriv --reuid={MEMBER} --regid={MEMBER} --init-groups {system_python} "$@"\n')
    shell.chmod(0o755)
    message = module.run(MODULE, {"tcti": node.tcti, "allowed": ["root"]}, python=str(shell)).expect_failed()
    assert_sentence(message, "as user root", "only root", "become")
    assert module.run(MODULE, {"tcti": node.tcti, "allowed": [MEMBER]}, python=str(shell)).expect_ok()["users"][0]["allowed"]


# tpm2-abrmd behind D-Bus, with the policy that its package brings

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
  </policy>
  <policy user="root">
    <allow own="{name}"/>
    <allow send_destination="{name}"/>
  </policy>
  <policy group="{group}">
    <allow send_destination="{name}"/>
  </policy>
</busconfig>
"""


class Bus:
    """A message bus of its own, with a policy as the system's; the resource manager on it is started and stopped."""

    def __init__(self, folder: pathlib.Path, group: str) -> None:
        folder.mkdir(mode=0o755)
        config = folder / "bus.conf"
        config.write_text(BUS.format(folder=folder, name=NAME, group=group))
        self.address = f"unix:path={folder}/bus"
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address"]
        self._bus = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if not self._bus.stdout or not self._bus.stdout.readline():
            pytest.fail("dbus-daemon did not start")
        self.manager: subprocess.Popen[bytes] | None = None

    def start_manager(self, tcti: str) -> None:
        """Start tpm2-abrmd in front of `tcti` and wait for it."""
        self.manager = subprocess.Popen(["tpm2-abrmd", "--allow-root", f"--tcti={tcti}"], env={**os.environ, **self.environment})
        end = time.monotonic() + DEADLINE_SECONDS
        while not outside("root", TABRMD):
            if time.monotonic() > end:
                pytest.fail("tpm2-abrmd did not come up")
            time.sleep(0.1)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a program take this bus for the system's."""
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.address}

    def close(self) -> None:
        """End the manager and the bus."""
        for one in (self.manager, self._bus):
            if one is not None:
                one.send_signal(signal.SIGCONT)
                one.terminate()
                one.wait()


@pytest.fixture
def bus(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Bus]:
    """A bus without a resource manager."""
    for program in ("dbus-daemon", "tpm2-abrmd"):
        if shutil.which(program) is None:
            pytest.fail(f"{program} is not installed; run scripts/setup test")
    places.open_to_all(tmp_path)
    made = Bus(tmp_path / "bus", MEMBER)
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
    yield made
    made.close()


def test_who_may_use_the_daemon(bus: Bus, swtpm: Swtpm, device_python: str) -> None:
    bus.start_manager(swtpm.tcti)
    arguments = {"tcti": TABRMD, "allowed": ["root", MEMBER], "refused": [STRANGER]}
    found = module.run(MODULE, arguments, python=device_python).expect_ok()
    assert [(one["user"], one["reason"]) for one in found["users"]] == [("root", None), (MEMBER, None), (STRANGER, "dbus_refused")]
    assert [outside(user, TABRMD) for user in ("root", MEMBER, STRANGER)] == [True, True, False]
    result = module.run(MODULE, {"tcti": TABRMD, "allowed": [STRANGER]}, python=device_python)
    assert_sentence(result.expect_failed(), TABRMD, f"as user {STRANGER}", "D-Bus refuses", "/etc/dbus-1/system.d")


def test_a_daemon_that_does_not_run(bus: Bus, system_python: str) -> None:
    result = module.run(MODULE, {"tcti": TABRMD, "refused": [MEMBER]}, python=system_python)
    assert_sentence(result.expect_failed(), "Could not tell whether", "no service has that name on the bus", "journalctl -u tpm2-abrmd")
    assert users(result.json)[MEMBER]["reason"] == "no_daemon"


def test_a_daemon_that_is_silent(bus: Bus, swtpm: Swtpm, system_python: str) -> None:
    bus.start_manager(swtpm.tcti)
    assert bus.manager is not None
    bus.manager.send_signal(signal.SIGSTOP)
    result = module.run(MODULE, {"tcti": TABRMD, "allowed": [MEMBER], "timeout": 2}, python=system_python)
    assert_sentence(result.expect_failed(), MEMBER, "no answer within 2 s", "systemctl status tpm2-abrmd")


def test_no_message_bus(system_python: str, tmp_path: pathlib.Path) -> None:
    environment = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    result = module.run(MODULE, {"tcti": TABRMD, "allowed": [MEMBER]}, python=system_python, env=environment)
    assert_sentence(result.expect_failed(), MEMBER, "no message bus", "systemctl start dbus")
    assert users(result.json)[MEMBER]["reason"] == "no_bus"
