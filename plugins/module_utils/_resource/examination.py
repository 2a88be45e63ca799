# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this module util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Examine a device: read the TPM as far as possible and the host around it, and report what is wrong.

Nothing here fails for a reason that is itself a finding: a TPM that is absent, busy, locked or broken is reported as a finding.
"""

from __future__ import annotations

import contextlib
import signal
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import advisories, roca
from ansible_collections.edgefleet.tpm2.plugins.module_utils._advisory import software as holes
from ansible_collections.edgefleet.tpm2.plugins.module_utils._backend.reader import Reader, connect
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host import boot, catalogue, findings, observe, software, system
from ansible_collections.edgefleet.tpm2.plugins.module_utils._host.tree import Tree
from ansible_collections.edgefleet.tpm2.plugins.module_utils._resource import tpm_facts
from ansible_collections.edgefleet.tpm2.plugins.module_utils._tpm import algorithms, constants, errors, handles, marshal
from ansible_collections.edgefleet.tpm2.plugins.module_utils._transport import tcti

Facts = dict[str, t.Any]
# In seconds. Longer than any command of a working TPM (the kernel gives up after 120 s), and short enough for a person to wait.
LIMIT = 150
EK_RSA_CERTIFICATES = tuple(index for (algorithm, _high), index in constants.EK_INDEX.items() if algorithm.startswith("rsa"))


def condition(reader: Reader) -> Facts:
    """The TPM's state: the result of its self-test, whether it was shut down in order, whether the platform's NV is enabled."""
    startup = reader.properties().get(constants.PT_STARTUP_CLEAR, 0)
    found = {"orderly": bool(startup & constants.STARTUP_ORDERLY), "platform_nv": bool(startup & constants.STARTUP_PLATFORM_NV)}
    counters = reader.properties(constants.PT_FIXED).get(constants.PT_NV_COUNTERS_MAX)
    return {"condition": {**found, "test_result": reader.test_result(), "nv_counters_max": counters}}


def _certificate(reader: Reader, index: int) -> bytes:
    """The content of an EK certificate's NV index; b"" if not everybody may read it, or if reading it could count as a wrong try."""
    public = reader.nv_read_public(index)
    if public is None or not all(public.has(name) for name in ("authread", "no_da", "written")):
        return b""
    try:
        return reader.nv_read(index, public.size, index)
    except errors.TpmResponseError:
        return b""


def _moduli(reader: Reader) -> t.Iterator[tuple[str, int]]:
    """The RSA keys that can be read from the TPM: persistent ones, and those in EK certificates."""
    for handle in reader.handles(handles.FIRST_PERSISTENT):
        public = reader.read_public(handle)
        if public is not None and public[0].type == algorithms.RSA:
            yield handles.text(handle), int.from_bytes(marshal.Cursor(public[0].unique).sized(), "big")
    for index in sorted(set(EK_RSA_CERTIFICATES) & set(reader.handles(handles.FIRST_NV))):
        modulus = roca.modulus_in(_certificate(reader, index))
        if modulus:
            yield f"EK certificate {handles.text(index)}", modulus


def weak_keys(reader: Reader) -> Facts:
    """The RSA keys that have the ROCA fingerprint, by handle or index."""
    found = []
    for name, modulus in _moduli(reader):
        try:
            weak = roca.fingerprinted(modulus)
        except errors.InputError:  # not the modulus of an RSA key: the certificate is damaged
            continue
        found += [name] if weak else []
    return {"weak_keys": found}


READINGS: dict[str, t.Callable[[Reader], Facts]] = {**tpm_facts.SUBSETS, "condition": condition, "weak_keys": weak_keys}


def _why(failed: errors.TpmError) -> Facts:
    transport = failed.kind if isinstance(failed, errors.TransportError) else errors.OTHER
    kind = "response" if isinstance(failed, errors.TpmResponseError) else transport
    return {
        "kind": kind,
        "reason": failed.reason,
        "rc": None if failed.rc is None else errors.base_code(failed.rc),
        "message": failed.message,
    }


@contextlib.contextmanager
def _limited(place: tcti.Tcti) -> t.Iterator[None]:
    """End reading a TPM after ``LIMIT`` seconds."""

    def stop(_number: int, _frame: t.Any) -> None:
        raise errors.TransportError(
            f"Could not read the TPM at {place.text}: it gave no answer within {LIMIT} s; look at dmesg, and power-cycle the machine.",
            errors.NO_ANSWER,
        )

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def read(reader: Reader, found: dict[str, Facts]) -> Facts | None:
    """Fill ``found`` with every reading that the TPM answers; return the first error for which one is missing. Raises TransportError."""
    error = None
    for name, reading in READINGS.items():
        try:
            found[name] = reading(reader)
        except errors.TransportError:
            raise
        except errors.TpmError as failed:
            error = error or _why(failed)
    return error


def examine(place: tcti.Tcti, held: t.Sequence[Facts] = ()) -> tuple[dict[str, Facts], Facts | None]:
    """The readings of a TPM, which may be absent; ``notes`` for the user; and the error for which a reading is missing.

    A TPM that is held by a hanging process is not opened, because this process would hang, too.
    """
    stuck = next((one for one in held if one["hung"]), None)
    if stuck and place.name == "device":
        message = f"Could not open {place.conf}: {stuck['process']} (pid {stuck['pid']}) holds {stuck['path']} and hangs; end it."
        return {}, _why(errors.TransportError(message, errors.BUSY))
    found: dict[str, Facts] = {}
    try:
        with _limited(place), connect(place) as reader:
            error = read(reader, found)
            if reader.flushed:
                found["notes"] = {"notes": reader.flushed}
            return found, error
    except errors.TpmError as failed:
        return found, _why(failed)


def judged(facts: Facts, installed: t.Mapping[str, str], machine: Facts) -> Facts:
    """Known faults of the firmware and of the software, as facts."""
    firmware = []
    if facts.get("manufacturer"):
        cpu = machine["cpu"]
        firmware = advisories.judge(
            facts["manufacturer"], facts["firmware"], facts["model"], cpu=(cpu[0], cpu[1]) if cpu else None, suspend=machine["suspends"]
        )
    packages = [verdict for name, version in sorted(installed.items()) for verdict in holes.judge(name, version)]
    return {"firmware": advisories.as_facts(firmware), "software": advisories.as_facts(packages), "roca": facts.get("weak_keys", [])}


def _measured(host: Facts, facts: Facts) -> Facts:
    """The facts on measured boot, judged by the PCR values that the TPM gave; without these, the kernel is asked for them."""
    values: dict[str, dict[int, bytes]] = {}
    for one in facts.get("pcrs", []):
        values.setdefault(one["bank"], {})[one["index"]] = bytes.fromhex(one["digest"])
    return boot.boot(Tree(), host["devices"], host["holders"], values)


def gather(place: tcti.Tcti, subsets: t.Sequence[str], pcrs: t.Sequence[int] | None) -> Facts:
    """Facts of host and TPM, advisories, findings. If findings are asked for, a TPM that cannot be read is one of them; otherwise it raises TpmError."""
    found: Facts = {"tcti": place.text, "resource_manager": place.resource_manager}
    own = [name for name in subsets if name not in tpm_facts.BESIDE]
    # Asking the package manager may take seconds, so it is asked only if findings need the answer.
    offered = "findings" not in subsets or place.name == "tabrmd"
    host = observe.observe(offered=offered, measured="findings" not in subsets) if {"host", "findings"} & set(subsets) else None
    if "findings" in subsets and host is not None:
        found.update(_found(place, subsets, pcrs, host))
    else:
        also = ["identity"] if "advisories" in subsets else []
        found.update(tpm_facts.ask(place, own + also, pcrs) if own or also else {})
        if also:
            found.update(_advised(_judged_alone(found, host)))
    if "host" in subsets:
        found["host"] = host
    return found


def _judged_alone(found: Facts, host: Facts | None) -> Facts:
    tree = Tree()
    machine = host["machine"] if host else system.machine(tree)
    installed = host["software"] if host else software.software(tree, system.distribution(tree)["packages"])
    return judged(found, installed, machine)


def _advised(verdicts: Facts) -> Facts:
    """The verdicts, and how old their rules are."""
    return {"advisories": [*verdicts["firmware"], *verdicts["software"]], "advisories_checked": advisories.checked()}


def _found(place: tcti.Tcti, subsets: t.Sequence[str], pcrs: t.Sequence[int] | None, host: Facts) -> Facts:
    """The findings, and those of the TPM's facts that were asked for and could be read."""
    parts, error = examine(place, host["holders"])
    facts = {key: value for part in parts.values() for key, value in part.items()}
    host["boot"] = _measured(host, facts)
    view: Facts = {
        "host": host,
        "tpm": facts,
        "error": error,
        "place": {"tcti": place.text, "name": place.name, "resource_manager": place.resource_manager},
        "advisories": judged(facts, host["software"], host["machine"]),
    }
    found: Facts = {
        "notes": facts.pop("notes", []),
        "reachable": bool(parts),
        "findings": findings.judge(findings.View(view), catalogue.KINDS),
    }
    for name in tpm_facts.SUBSETS:
        if name in subsets or "all" in subsets:
            found.update(parts.get(name, {}))
    if pcrs and "pcrs" in found:
        found["pcrs"] = [one for one in found["pcrs"] if one["index"] in pcrs]
    if "advisories" in subsets:
        found.update(_advised(view["advisories"]))
    return found


__all__ = ("condition", "examine", "gather", "judged", "read", "weak_keys")
