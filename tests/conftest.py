# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of every test: software TPMs, the proxy in front of them, and the two Pythons that a device may have."""

from __future__ import annotations

import base64
import dataclasses
import fcntl
import pathlib
import shutil
import sys
import typing as t

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support import evidence, module, places, profile
from support.factory import Vendor
from support.fuzz import Rounds
from support.proxy import Proxy
from support.swtpm import Swtpm, copy_state
from support.tools import Tools

from docs import documents


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make attacks` runs: tests/attacks, the attacks on enrolment, and every test that docs/security.md names."""
    named = documents.named_tests(documents.ROOT / "docs" / "security.md")
    for item in items:
        file = item.path.relative_to(documents.ROOT)
        if file.is_relative_to("tests/attacks") or "_attacks_" in file.name or (str(file), item.name.partition("[")[0]) in named:
            item.add_marker("attacks")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make fuzz` sets."""
    parser.addoption(
        "--fuzz-seconds", type=float, default=0, metavar="S", help="fuzz each parser for S seconds, from a new seed (make fuzz)"
    )


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Rounds:
    """How often a parser is fuzzed."""
    return Rounds(request.config)


@pytest.fixture(scope="session")
def blank_state(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The state folder of a TPM fresh from the factory, made once; every blank TPM of the session is a copy (same seeds)."""
    folder = tmp_path_factory.mktemp("blank")
    tpm = Swtpm(folder / "state").start()
    tpm.stop()
    tpm.close()
    return folder / "state"


@pytest.fixture
def new_swtpm(tmp_path: pathlib.Path, blank_state: pathlib.Path) -> t.Iterator[t.Callable[..., Swtpm]]:
    """A maker of running TPMs: ``new_swtpm(state=folder)``, blank without `state`; PCR 7 is extended; all end with the test.

    Blank TPMs are copies of one, seeds included; with `own_seeds` it is another TPM.
    """
    made: list[Swtpm] = []

    def make(state: pathlib.Path | None = None, *, own_seeds: bool = False, measured_boot: bool = True, log_level: int = 0) -> Swtpm:
        tpm = Swtpm(tmp_path / f"tpm{len(made)}", log_level=log_level)
        made.append(tpm)
        if not own_seeds:
            copy_state(state or blank_state, tpm.state_dir)
        tpm.start()
        if measured_boot:
            tpm.extend_pcr(7)
        return tpm

    yield make
    for tpm in made:
        tpm.close()


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A maker of TPMs with EK certificates, one for all workers of the session."""
    shared = tmp_path_factory.getbasetemp()
    return Vendor((shared.parent if shared.name.startswith("popen-") else shared) / "vendor")


@pytest.fixture
def swtpm(new_swtpm: t.Callable[..., Swtpm]) -> Swtpm:
    """A blank TPM, running, with PCR 7 extended."""
    return new_swtpm()


@pytest.fixture
def proxied(swtpm: Swtpm) -> t.Iterator[Proxy]:
    """A proxy in front of the blank TPM of the fixture `swtpm` (also its attribute)."""
    with Proxy(swtpm) as proxy:
        yield proxy


@pytest.fixture
def tools(swtpm: Swtpm) -> Tools:
    """tpm2-tools on the TPM of the fixture `swtpm`."""
    return Tools(swtpm.tcti)


@pytest.fixture
def device_dir(tmp_path: pathlib.Path) -> pathlib.Path:
    """The folder on the device that the reference profile writes files to."""
    folder = tmp_path / "device"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="session", params=["system", "venv", "controller"])
def device_python(request: pytest.FixtureRequest) -> str:
    """The device's interpreter: /usr/bin/python3 with the distribution's tpm2-pytss, the virtual environment's with PyPI's, and one for the relay alone."""
    return places.FromController(_python("system")) if request.param == "controller" else _python(request.param)


@pytest.fixture(scope="session")
def system_python() -> str:
    """The distribution's interpreter alone, for tests that do not depend on tpm2-pytss' version."""
    return _python("system")


@pytest.fixture(scope="session")
def venv_python() -> str:
    """The virtual environment's interpreter alone, with PyPI's tpm2-pytss."""
    return _python("venv")


@pytest.fixture(params=["device", "controller"])
def either_python(request: pytest.FixtureRequest, system_python: str) -> str:
    """The distribution's interpreter, for the module and for the relay alone."""
    return places.FromController(system_python) if request.param == "controller" else system_python


def _python(kind: str) -> str:
    try:
        return places.require_python(kind)
    except RuntimeError as error:
        pytest.fail(str(error), pytrace=False)


@dataclasses.dataclass(frozen=True)
class Provisioned:
    """A device that has the reference profile: its TPM, its folder, and the resources that describe it."""

    swtpm: Swtpm
    device_dir: pathlib.Path
    resources: profile.Resources
    python: str


@pytest.fixture(scope="session")
def provisioned_state(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, device_python: str) -> pathlib.Path:
    """A folder with `tpm` (state) and `device` (files), made by one run of `tpm2_profile`, shared by all workers of the session."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if shared.name.startswith("popen-") else shared
    kind = "controller" if isinstance(device_python, places.FromController) else pathlib.Path(device_python).parent.parent.name
    folder = shared / f"provisioned-{kind}"
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _provision(folder, blank_state, device_python)
    return folder


def _provision(folder: pathlib.Path, blank_state: pathlib.Path, python: str) -> None:
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    (making / "device").mkdir(parents=True)
    tpm = Swtpm(making / "tpm")
    try:
        tpm.restore(blank_state)
        tpm.extend_pcr(7)
        resources = profile.reference(profile.SERIAL, base64.b64encode(profile.TELEMETRY_KEY).decode(), making / "device")
        module.run("tpm2_profile", {"tcti": tpm.tcti, "resources": resources}, python=python).expect_ok()
        tpm.stop()
    finally:
        tpm.close()
    making.rename(folder)


@pytest.fixture(scope="session")
def evidence_state(tmp_path_factory: pytest.TempPathFactory, blank_state: pathlib.Path, system_python: str) -> pathlib.Path:
    """The state of a device that is provisioned and not enrolled."""
    folder = tmp_path_factory.mktemp("evidence") / "state"
    evidence.provision(folder, blank_state, system_python)
    return folder


@pytest.fixture
def provisioned(
    provisioned_state: pathlib.Path, new_swtpm: t.Callable[..., Swtpm], device_dir: pathlib.Path, device_python: str
) -> Provisioned:
    """A TPM that has the reference profile already (a copy), with PCR 7 extended, and the device's files."""
    shutil.copytree(provisioned_state / "device", device_dir, dirs_exist_ok=True)
    resources = profile.reference(profile.SERIAL, base64.b64encode(profile.TELEMETRY_KEY).decode(), device_dir)
    return Provisioned(new_swtpm(provisioned_state / "tpm"), device_dir, resources, device_python)
