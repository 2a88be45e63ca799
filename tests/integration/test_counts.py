# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs cost, in TPM commands and in exchanges with the device.

One table with every bound and what was measured (``pytest tests/integration/test_counts.py -s``).
"""

from __future__ import annotations

import base64
import contextlib
import copy
import functools
import pathlib
import typing as t

import pytest
import yaml
from conftest import Provisioned
from support import enroll, enrolling, module, profile, secrets
from support.controller import Controller, interpreter, said, totals
from support.factory import Line, Vendor
from support.proxy import Proxy
from support.recorder import Recorder
from support.swtpm import Swtpm
from support.tools import Tools, leftovers, lockout_counter

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._relay import exchange

NO_OP, FIRST_RUN, FINE_GRAINED, DA_CHANGE = 8, 30, 2, 12
ENROLLING, LDEVID, FACTS, HANDOVER = 20, 9, 3, 8
# Of a playbook with nothing to do, for each device: the tasks that are executed after the first play, which looks at all devices' variables on the
# controller, without and with a registry; the tasks of all plays for which Ansible starts a process, skipped ones too; the exchanges.
PLAYED = {"day_zero": (3, 5, 9, 2), "audit": (2, 3, 5, 1)}
# Of a run by the action plugin: the exchanges of its comparison, and the bytes that the device's Python gets in each, and for a relay that stays.
EXCHANGES_NO_OP, EXCHANGES_FIRST, PROGRAM_BYTES, SENT_BYTES, STAYING_BYTES = 1, 2, 8 << 10, 12 << 10, 20 << 10
RC_FAILURE = 0x101
AUTHS = {f"{name}_auth": secrets.made_up(f"counts {name}") for name in ("owner", "endorsement", "lockout")}


class Table:
    """Rows of measure, bound and what each Python measured."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, t.Any]] = {}

    def measure(self, python: str, measure: str, bound: int, found: int) -> None:
        """Note a number and fail where it misses its bound."""
        kind = "system" if python.startswith("/usr/bin/") else "venv"
        row = self.rows.setdefault(measure, {"bound": bound})
        row[kind] = max(found, row.get(kind, 0))
        assert found <= bound, f"{measure}: {found}, and the bound is {bound}"

    def text(self) -> str:
        """The table."""
        wide = max(map(len, self.rows))
        lines = [f"{'measure':{wide}}  {'bound':>5}  {'system':>6}  {'venv':>6}", "-" * (wide + 23)]
        lines += [
            f"{name:{wide}}  {row['bound']:>5}  {row.get('system', ''):>6}  {row.get('venv', ''):>6}" for name, row in self.rows.items()
        ]
        return "\n".join(lines)


@pytest.fixture(scope="module")
def table() -> t.Iterator[Table]:
    made = Table()
    yield made
    if made.rows:
        print(f"\n\n{made.text()}")


class Counted:
    """Runs of a module through a proxy; after each, nothing may be left loaded."""

    def __init__(self, proxy: Proxy, python: str, table: Table) -> None:
        self.proxy, self.python, self.table = proxy, python, table

    def run(self, name: str = "tpm2_profile", *, check: bool = False, **options: t.Any) -> module.Result:
        self.proxy.reset()
        result = module.run(name, {"tcti": self.proxy.tcti, **options}, python=self.python, check=check)
        self.measure(
            f"left behind: sessions and objects after a {'good' if result.ok else 'failed'} run", 0, len(leftovers(self.proxy.swtpm))
        )
        return result

    def measure(self, measure: str, bound: int, found: int) -> None:
        self.table.measure(self.python, measure, bound, found)

    def reads_only(self, what: str) -> None:
        """No session, no load, no write, no key generation in the last run."""
        self.measure(f"{what}: sessions", 0, len(self.proxy.sessions()))
        self.measure(f"{what}: transient objects", 0, len(self.proxy.loads()))
        self.measure(f"{what}: writes", 0, len(self.proxy.writes()))
        self.measure(f"{what}: key generations", 0, len(self.proxy.key_generations()))


@pytest.fixture
def blank(proxied: Proxy, device_python: str, table: Table) -> Counted:
    return Counted(proxied, device_python, table)


@pytest.fixture
def ready(provisioned: Provisioned, table: Table) -> t.Iterator[Counted]:
    """A device that has the reference profile."""
    with Proxy(provisioned.swtpm) as proxy:
        yield Counted(proxy, provisioned.python, table)


def reference(folder: pathlib.Path) -> profile.Resources:
    """The reference profile, as the fixture `provisioned` has applied it."""
    return profile.reference(profile.SERIAL, _key(), folder)


def _key() -> str:
    return base64.b64encode(profile.TELEMETRY_KEY).decode()


def test_no_op_of_the_reference_profile(ready: Counted, provisioned: Provisioned) -> None:
    result = ready.run(resources=provisioned.resources)
    assert not result.expect_ok()["changed"]
    ready.measure("tpm2_profile, no-op: TPM commands", NO_OP, ready.proxy.count())
    ready.reads_only("tpm2_profile, no-op")


def test_first_run_of_the_reference_profile(blank: Counted, device_dir: pathlib.Path) -> None:
    assert blank.run(resources=reference(device_dir)).expect_ok()["changed"]
    blank.measure("tpm2_profile, first run: TPM commands", FIRST_RUN, blank.proxy.count())
    blank.measure("tpm2_profile, first run: key generations", 4, len(blank.proxy.key_generations()))


def _partly(counted: Counted, folder: pathlib.Path) -> None:
    """SRK and DA parameters are there, and the NV index is defined but not written."""
    wanted = profile.quick(reference(folder))
    counted.run(resources=[wanted[0], wanted[5]]).expect_ok()
    Tools(counted.proxy.swtpm.tcti).run("nvdefine", "0x1000000", "-s", "4", "-a", "ownerread|ownerwrite")
    counted.run("tpm2_nv_index", index="0x01800010", size=len(profile.SERIAL), write_once=True).expect_ok()


STATES: dict[str, t.Callable[[Counted, pathlib.Path], object]] = {"blank": lambda *_given: None, "partly provisioned": _partly}


@pytest.mark.parametrize("state", STATES)
def test_check_mode_on_the_way(blank: Counted, device_dir: pathlib.Path, state: str) -> None:
    STATES[state](blank, device_dir)
    assert blank.run(check=True, resources=reference(device_dir)).expect_ok()["changed"]
    blank.measure(f"check mode, {state}: TPM commands", NO_OP, blank.proxy.count())
    blank.reads_only("check mode, any state")
    assert list(device_dir.iterdir()) == []


def _da(tools: Tools, _folder: pathlib.Path) -> None:
    tools.run("dictionarylockout", "-s", "-n", "5", "-t", "60", "-l", "60")


def _key_gone(tools: Tools, folder: pathlib.Path) -> None:
    tools.run("evictcontrol", "-C", "o", "-c", hex(profile.MQTT_KEY))
    (folder / "ak.pub.pem").write_text("-----BEGIN PUBLIC KEY-----\nof another key")
    (folder / "telemetry.key.pem").unlink()


def _pcr_moved(tools: Tools, _folder: pathlib.Path) -> None:
    tools.run("pcrextend", f"7:sha256={'5a' * 32}")


def _other_serial(tools: Tools, _folder: pathlib.Path) -> None:
    tools.run("nvundefine", "-C", "o", hex(profile.SERIAL_INDEX))
    tools.run("nvdefine", "-C", "o", hex(profile.SERIAL_INDEX), "-s", str(len(profile.SERIAL)), "-a", "ownerread|authread|ownerwrite|no_da")


DRIFTS = {"DA parameters": _da, "a key and files gone": _key_gone, "a PCR moved": _pcr_moved, "another serial": _other_serial}


@pytest.mark.parametrize("drift", DRIFTS)
def test_check_mode_on_a_drifted_device(ready: Counted, provisioned: Provisioned, drift: str) -> None:
    DRIFTS[drift](Tools(provisioned.swtpm.tcti), provisioned.device_dir)
    result = ready.run(check=True, resources=provisioned.resources)
    # The last two are mismatches, which no run repairs unasked: the audit says so.
    assert result.changed or (drift in ("a PCR moved", "another serial") and result.expect_failed())
    ready.measure(f"check mode, drifted ({drift}): TPM commands", NO_OP, ready.proxy.count())
    ready.reads_only("check mode, any state")


def test_check_mode_on_a_provisioned_device(ready: Counted, provisioned: Provisioned) -> None:
    assert not ready.run(check=True, resources=provisioned.resources).expect_ok()["changed"]
    ready.measure("check mode, provisioned: TPM commands", NO_OP, ready.proxy.count())
    ready.reads_only("check mode, any state")


class Played:
    """Plays of the reference profile on a device whose Python is recorded: how often which program came to it, and how many bytes."""

    def __init__(self, controller: Controller, proxy: Proxy, folder: pathlib.Path, python: str, table: Table) -> None:
        self.controller, self.proxy, self.table, self.python = controller, proxy, table, python
        warm = python if controller.cold else interpreter(python, controller.program)
        self.recorder = Recorder(folder / "python", warm)
        task = {"name": "Keep", "edgefleet.tpm2.tpm2_profile": {"tcti": proxy.tcti, "resources": reference(folder)}}
        self.play = controller.folder / "play.yml"
        self.play.write_text(yaml.safe_dump([{"name": "Play", "hosts": "all", "gather_facts": False, "tasks": [task]}]))

    def run(self, what: str, commands: int, exchanges: int, modules: int, stays: int = 0) -> None:
        """Run it, and hold it to these bounds; a run with none but one exchange has nothing to do. ``stays``: relays that stay."""
        self.proxy.reset()
        self.recorder.reset()
        done = self.controller(str(self.play), {"edge-01": {"ansible_python_interpreter": str(self.recorder.python)}})
        changed = int((exchanges, modules, stays) != (EXCHANGES_NO_OP, 0, 0))
        assert done.returncode == 0 and totals(done)["edge-01"]["changed"] == changed, said(done)
        measure = functools.partial(self.table.measure, self.python)
        measure(f"{what}: TPM commands", commands, self.proxy.count())
        measure(f"{what}: exchanges, and a relay that stays", exchanges + stays, self.recorder.exchanges)
        measure(f"{what}: modules", modules, self.recorder.modules)
        given = sum(len(one.stdin.encode()) for one in self.recorder.runs if one.relay)
        measure(f"{what}: bytes that they take", exchanges * SENT_BYTES + stays * STAYING_BYTES, given)

    def run_again(self, what: str) -> None:
        """Run it with nothing to do."""
        self.run(what, NO_OP, EXCHANGES_NO_OP, 0)
        self.table.measure(self.python, f"{what}: connections", 1, self.proxy.connections)
        assert self.proxy.writes() == self.proxy.sessions() == self.proxy.loads() == []


def test_the_reference_profile_from_the_controller(
    each_controller: Controller, proxied: Proxy, device_dir: pathlib.Path, system_python: str, table: Table
) -> None:
    """The controller sends no module, and after the comparison one relay that stays."""
    table.measure(system_python, "relay: bytes of the program", PROGRAM_BYTES, len(exchange.program()))
    played = Played(each_controller, proxied, device_dir, system_python, table)
    played.run("from the controller, first run", FIRST_RUN, EXCHANGES_FIRST, 0, stays=1)
    played.run_again("from the controller, no-op")


FINE: dict[str, dict[str, t.Any]] = {
    "tpm2_primary_key": {"template": "srk_ecc_p256"},
    "tpm2_key": {"usage": "decrypt", "algorithm": "rsa_2048", "handle": "0x81000210"},
    "tpm2_nv_index": {"index": "0x01800010", "content": profile.SERIAL, "write_once": True},
    "tpm2_da_lockout": {"max_tries": 32, "recovery_time": 600, "lockout_recovery": 86400},
    "tpm2_hierarchy": {"hierarchy": "owner", "enabled": True},
    "tpm2_persistent_handle": {"handle": "0x81000299", "state": "absent"},
    "tpm2_sealed_blob": {"content_b64": _key(), "pcrs": {"bank": "sha256", "indices": [7]}},
}


@pytest.mark.parametrize("name", FINE)
def test_no_op_of_a_fine_grained_module(ready: Counted, provisioned: Provisioned, name: str) -> None:
    path = {"path": str(provisioned.device_dir / "telemetry.key.pem")} if name == "tpm2_sealed_blob" else {}
    assert not ready.run(name, **FINE[name], **path).expect_ok()["changed"]
    ready.measure(f"{name}, no-op: TPM commands", FINE_GRAINED, ready.proxy.count())
    ready.reads_only("fine-grained modules, no-op")


def test_change_of_one_da_value(ready: Counted, provisioned: Provisioned) -> None:
    changed = copy.deepcopy(provisioned.resources)
    next(item for item in changed if "da_lockout" in item)["da_lockout"]["max_tries"] = 31
    assert len(ready.run(resources=changed).expect_ok()["steps"]) == 1
    ready.measure("tpm2_profile, one DA value changed: TPM commands", DA_CHANGE, ready.proxy.count())
    ready.measure("tpm2_profile, one DA value changed: writes", 1, len(ready.proxy.writes()))
    assert Tools(provisioned.swtpm.tcti).da() == (31, 600, 86400)


def test_no_op_of_the_hardened_profile(ready: Counted, provisioned: Provisioned) -> None:
    hardened = profile.hardened(profile.SERIAL, _key(), provisioned.device_dir, **AUTHS)
    ready.run(resources=hardened).expect_ok()
    assert not ready.run(resources=hardened).expect_ok()["changed"]
    ready.measure("tpm2_profile, hardened, no-op: TPM commands", NO_OP, ready.proxy.count())
    ready.reads_only("tpm2_profile, hardened, no-op")
    # As for an enrolled device: no session is started, so none is salted, and the key that it would be salted to is compared all the same.
    pinned = {"handle": "0x81010001", "name": Tools(provisioned.swtpm.tcti).readpublic(profile.EK).name}
    assert not ready.run(resources=hardened, session_key=pinned).expect_ok()["changed"]
    ready.measure("tpm2_profile, hardened, session_key, no-op: TPM commands", NO_OP, ready.proxy.count())
    ready.reads_only("tpm2_profile, hardened, session_key, no-op")


@pytest.mark.parametrize(("keys", "indices"), [(2, 0), (1, 3), (6, 5)])
def test_law_of_the_no_op(blank: Counted, device_dir: pathlib.Path, keys: int, indices: int) -> None:
    """A no-op of K keys and N NV indices takes K + 2N + 2 commands (properties once, PCRs once)."""
    resources: profile.Resources = [{"primary_key": {"template": "srk_ecc_p256"}}]
    resources += [{"key": {"handle": hex(0x81000210 + number), "path": str(device_dir / f"{number}.pem")}} for number in range(keys - 1)]
    resources += [
        {"nv_index": {"index": hex(0x01800010 + at), "content": f"content {at}", "write_once": bool(at % 2)}} for at in range(indices)
    ]
    resources += [{"da_lockout": {"max_tries": 9}}, {"hierarchy": {"hierarchy": "owner", "auth": AUTHS["owner_auth"]}}]
    resources += [
        {"sealed_blob": {"path": str(device_dir / f"{pcr}.blob"), "content": "sealed", "pcrs": {"indices": [7, pcr]}}} for pcr in (1, 2)
    ]
    for pcr in (1, 2):
        blank.proxy.swtpm.extend_pcr(pcr)
    blank.run(resources=resources).expect_ok()
    assert not blank.run(resources=resources).expect_ok()["changed"]
    blank.measure(f"law K + 2N + 2, K={keys} N={indices}: TPM commands", keys + 2 * indices + 2, blank.proxy.count())
    blank.reads_only("law K + 2N + 2")


# Every command that a first run of the hardened profile sends beside reads.
COMMANDS = """
CreatePrimary StartAuthSession Create Load EvictControl FlushContext NV_DefineSpace PolicyCommandCode PolicyNvWritten NV_Write
DictionaryAttackParameters HierarchyChangeAuth ReadPublic NV_ReadPublic GetCapability PCR_Read
""".split()


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_left_behind_by_a_failed_run(blank: Counted, device_dir: pathlib.Path, command: str) -> None:
    """Whatever command the TPM refuses: sessions and transient objects are flushed, and no try is counted."""
    proxy, resources = blank.proxy, profile.quick(profile.hardened(profile.SERIAL, _key(), device_dir, **AUTHS))
    if command == "NV_ReadPublic":
        # Where an EK is to be made, the list of handles tells already that the index is not there.
        resources = [one for one in resources if not str(one.get("primary_key", {}).get("template")).startswith("ek_")]
    proxy.reset()
    proxy.inject_rc(RC_FAILURE, code=f"TPM2_{command}")
    result = module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": resources}, python=blank.python)
    assert any(record.injected for record in proxy.records)
    blank.measure("left behind: sessions and objects after a failed run", 0, len(leftovers(proxy.swtpm)))
    assert "FAILURE" in result.expect_failed()
    assert lockout_counter(proxy.swtpm) == 0
    proxy.reset()
    again = module.run("tpm2_profile", {"tcti": proxy.tcti, "resources": resources}, python=blank.python)
    assert again.expect_ok()["changed"]
    blank.measure("left behind: sessions and objects after a good run", 0, len(leftovers(proxy.swtpm)))


MakeWalk = t.Callable[..., enrolling.Walk]


@pytest.fixture
def make_walk(new_swtpm: t.Callable[..., Swtpm], vendor: Vendor, device_dir: pathlib.Path, tmp_path: pathlib.Path) -> t.Iterator[MakeWalk]:
    """``make_walk(python)``: a device that has just been provisioned, without its secret, and is to be enrolled."""
    with contextlib.ExitStack() as stack:

        def make(python: str) -> enrolling.Walk:
            proxy = stack.enter_context(Proxy(new_swtpm(vendor.make("counted"))))
            walk = enrolling.Walk(proxy, python, enrolling.desk(tmp_path / "desk", vendor))
            walk.provision(enrolling.reference(device_dir))
            return walk

        yield make


@pytest.fixture
def walk(make_walk: MakeWalk, device_python: str) -> enrolling.Walk:
    """Such a device, with both Pythons."""
    return make_walk(device_python)


def clean(walk: enrolling.Walk, table: Table, how: str) -> None:
    table.measure(walk.python, f"left behind: sessions and objects after {how}", 0, len(leftovers(walk.proxy.swtpm)))
    table.measure(walk.python, f"lockout counter after {how}", 0, lockout_counter(walk.proxy.swtpm))


def test_what_enrolling_adds_to_a_first_run(walk: enrolling.Walk, table: Table) -> None:
    assert walk.enroll().changed
    clean(walk, table, "enrolling")
    table.measure(walk.python, "enrolling, first run: TPM commands that it adds", ENROLLING, len(walk.added))
    table.measure(walk.python, "enrolling, first run: asked for again by the TPM", 1, len(walk.repeated))
    table.measure(walk.python, "enrolling, first run: exchanges", 2, len(set(walk.steps) & {"collect", "activate"}))
    table.measure(walk.python, "enrolling, first run: the profile's own commands", FIRST_RUN, len(walk.steps["profile"]))
    # What the profile has read is not read again, and the vendor's chain, which the controller knows, not at all.
    assert walk.added.count("TPM2_ReadPublic") == 1 and walk.added.count("TPM2_NV_Read") == 1
    assert "TPM2_GetCapability" not in walk.added


def test_what_an_ldevid_adds(walk: enrolling.Walk, table: Table) -> None:
    assert walk.enroll(local=enroll.local_key()).changed
    clean(walk, table, "enrolling with an LDevID")
    table.measure(walk.python, "enrolling, first run: TPM commands that an LDevID adds", LDEVID, len(walk.added) - ENROLLING)
    assert {"TPM2_Create", "TPM2_Load", "TPM2_Sign"} <= set(walk.added)


def test_an_enrolled_device_is_recognised_by_what_was_read(walk: enrolling.Walk, table: Table) -> None:
    walk.enroll()
    walk.proxy.reset()
    assert not walk.enroll().changed
    table.measure(walk.python, "enrolling, no-op: TPM commands", 0, walk.proxy.count())
    table.measure(walk.python, "enrolling, no-op: connections", 0, walk.proxy.connections)


# Every command of both exchanges.
EXCHANGES = """
ReadPublic CreatePrimary EvictControl FlushContext NV_ReadPublic NV_Read NV_Certify Quote PCR_Read
StartAuthSession PolicySecret PolicyCommandCode PolicyOR Certify ActivateCredential
""".split()


def test_nothing_is_left_behind_by_an_enrolment_that_fails(walk: enrolling.Walk, table: Table) -> None:
    """Whatever command of it the TPM refuses: nothing stays loaded, the device stays new, and the next run enrolls it."""
    for command in EXCHANGES:
        walk.refused = f"TPM2_{command}"
        with pytest.raises(Exception, match="FAILURE"):
            walk.enroll()
        clean(walk, table, "an enrolment that failed")
        with walk.desk.registry() as registry:
            assert registry.devices() == []
    walk.refused = ""
    assert walk.enroll().changed
    clean(walk, table, "enrolling")


def test_certificates_are_handed_over_without_a_command(walk: enrolling.Walk, table: Table, device_dir: pathlib.Path) -> None:
    walk.enroll()
    device = t.cast("t.Any", walk.outcome).device
    files = [{"certificate": {"path": str(device_dir / kind), "content": one.pem}} for kind, one in device.certificates.items()]
    assert len(files) == 2
    walk.hand_over(files)
    table.measure(walk.python, "enrolling, first run: TPM commands to hand its certificates over", 0, len(walk.steps["handover"]))


def test_day_zero_costs_what_its_steps_cost(
    make_walk: MakeWalk, system_python: str, line: Line, table: Table, device_dir: pathlib.Path
) -> None:
    """By ansible-playbook: facts, profile and enrolling, then what is sealed, and the audit; on a second run enrolling adds nothing."""
    walk = make_walk(system_python)
    walk.enroll()
    walk.hand_over(enrolling.secret(device_dir))
    unit = line.put("edge-01", serial=profile.SERIAL, state=line.vendor.make("counted"))
    resources = {"tpm2_profile_telemetry_key": _key(), "tpm2_profile_tcti": ""}

    def play(proxy: Proxy, **changes: t.Any) -> list[str]:
        proxy.reset()
        host = {**line.variables, **unit.host, **resources, "tpm2_profile_tcti": proxy.tcti, **changes}
        done = line.controller("edgefleet.tpm2.day_zero", {unit.name: host})
        assert done.returncode == 0 and totals(done)[unit.name]["failed"] == 0, said(done)
        return [record.name for record in proxy.records if record.rc not in enrolling.ASK_AGAIN]

    with Proxy(unit.swtpm) as proxy:
        first, second = play(proxy), play(proxy)
        without = play(proxy, tpm2_identity_registry="")
    steps = [record.name for step in enrolling.STEPS for record in walk.steps[step] if record.rc not in enrolling.ASK_AGAIN]
    # The controller asks for everything at once, so the reads come in another order.
    assert sorted(first[: len(steps)]) == sorted(steps)
    table.measure(walk.python, "day_zero, first run: TPM commands", FACTS + FIRST_RUN + ENROLLING + HANDOVER + NO_OP, len(first))
    table.measure(walk.python, "day_zero, no-op: TPM commands that enrolling adds", 0, len(second) - len(without))
    table.measure(walk.python, "day_zero, no-op: TPM commands", FACTS + NO_OP, len(second))


@pytest.mark.parametrize("playbook", PLAYED)
def test_a_playbook_with_nothing_to_do_executes_few_tasks(line: Line, table: Table, system_python: str, playbook: str) -> None:
    """Each is a process of the controller: without a registry, and with one, which is asked once, and once more for what is due."""
    unit = line.put("edge-01")
    *executed, processes, exchanges = PLAYED[playbook]
    with Proxy(unit.swtpm) as proxy:
        unit_there = {**line.variables, **unit.host, "tpm2_profile_telemetry_key": _key(), "tpm2_profile_tcti": proxy.tcti}
        first = line.controller("edgefleet.tpm2.day_zero", {unit.name: unit_there})
        assert first.returncode == 0, said(first)
        for registry, bound in zip(("", line.registry), executed, strict=True):
            proxy.reset()
            done = line.controller(f"edgefleet.tpm2.{playbook}", {unit.name: {**unit_there, "tpm2_identity_registry": registry}})
            found = totals(done)[unit.name]
            assert done.returncode == 0 and {name for name, number in found.items() if number} == {"ok", "skipped"}, said(done)
            begin, others = (text.count(f"ok: [{unit.name}]") for text in done.stdout.split("\nPLAY [", 2)[1:])
            assert begin + others == found["ok"]
            what = f"{playbook}, no-op, {'with' if registry else 'without'} a registry"
            table.measure(system_python, f"{what}: tasks that are executed", bound, others)
            # What the first play executes is done once for all devices, and so is the last play's first task, which is skipped.
            own = others + found["skipped"] - (playbook == "day_zero")
            table.measure(system_python, f"{what}: processes of the controller", processes, own)
            table.measure(system_python, f"{what}: exchanges", exchanges, proxy.connections)
