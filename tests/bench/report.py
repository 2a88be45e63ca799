# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's table and page."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import statistics
import subprocess
import typing as t

if t.TYPE_CHECKING:
    from fleet import Sample, Variant
    from support.proxy import Proxy
    from support.recorder import Recorder

Samples = t.Mapping[str, "t.Sequence[Sample]"]
_PAGE = pathlib.Path(__file__).with_name("page.md")
# What is between these belongs to other parts of the benchmark.
SECTIONS = ("first-run", "scale", "enrolment")
_BEGIN, _END = "<!-- {name}: tests/bench/run {name} -->\n", "<!-- end -->\n"
NOT_MEASURED = "Not measured yet.\n"


@dataclasses.dataclass(frozen=True)
class Count:
    """What one device sees of a run: TPM commands, sessions started, connections; how often its Python is started, and the bytes that it is given."""

    commands: int = 0
    sessions: int = 0
    connections: int = 0
    programs: int = 0
    sent: int = 0


def count(proxy: Proxy, recorder: Recorder) -> Count:
    """What they have seen."""
    sent = sum(len(run.stdin.encode()) for run in recorder.runs)
    return Count(proxy.count(), len(proxy.sessions()), proxy.connections, len(recorder.runs), sent)


def _median(values: t.Iterable[float]) -> float:
    return statistics.median(values)


def _per_host(samples: Samples, name: str, devices: int) -> list[float]:
    """CPU seconds for each device over the empty play of the same round."""
    return [(one.cpu - empty.cpu) / devices for one, empty in zip(samples[name], samples["empty"], strict=True)]


def ratio(first: t.Sequence[float], second: t.Sequence[float]) -> float:
    """The median over the rounds, each with what was measured in the same round."""
    return _median(one / other for one, other in zip(first, second, strict=True))


def walls(samples: Samples, name: str) -> list[float]:
    """The wall times of one variant, in seconds."""
    return [one.wall for one in samples[name]]


def table(variants: t.Sequence[Variant], samples: Samples, counts: t.Mapping[str, Count], devices: int) -> str:
    """The measured tables and the ratios, as Markdown."""
    lines = [
        "| a no-op of | wall, s | (min to max) | CPU, s | CPU a device over the empty play, s |",
        "| --- | ---: | --- | ---: | ---: |",
    ]
    for variant in variants:
        found = walls(samples, variant.name)
        cpu = _median(one.cpu for one in samples[variant.name])
        host = f"{_median(_per_host(samples, variant.name, devices)):.3f}" if variant.name != "empty" else "0"
        lines.append(f"| {variant.title} | {_median(found):.2f} | {min(found):.2f} to {max(found):.2f} | {cpu:.2f} | {host} |")
    lines += [
        "",
        "| for one device, a no-op of | TPM commands | sessions | connections | programs started | bytes sent |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for variant in variants:
        if variant.name in counts:
            numbers = dataclasses.astuple(counts[variant.name])
            lines.append(f"| {variant.title} | {' | '.join(f'{number:,}' for number in numbers)} |")
    profile, ping = walls(samples, "profile"), _per_host(samples, "ping", devices)
    lines += [
        "",
        "| ratio (median of the rounds' own) | bound | aim | measured |",
        "| --- | ---: | ---: | ---: |",
        f"| wall time, 29 tasks : `tpm2_profile` | at least 12 | 15 | {ratio(walls(samples, 'seeds'), profile):.1f} |",
        f"| wall time, ten modules : `tpm2_profile` | | | {ratio(walls(samples, 'fine'), profile):.1f} |",
        f"| wall time, `execution: device` : `tpm2_profile` | | | {ratio(walls(samples, 'device'), profile):.1f} |",
        "| CPU a device over the empty play, `tpm2_profile` : one `ping` | at most 0.35 | 0.25 "
        f"| {ratio(_per_host(samples, 'profile', devices), ping):.2f} |",
        f"| the same, `execution: device` : one `ping` | | | {ratio(_per_host(samples, 'device', devices), ping):.2f} |",
        "",
    ]
    return "\n".join(lines)


def _version(command: str) -> str:
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    words = (done.stdout or done.stderr).replace("version=", " ").replace('"', " ").replace(",", " ").split()
    return next(word for word in words if word[0].isdigit())


def _system() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())


def page(measured: str, rounds: int, devices: int, *, busy: bool) -> str:
    """The whole of docs/benchmarks.md; `busy`: the machine had other work when it began."""
    values = {
        "rounds": str(rounds),
        "devices": str(devices),
        "cores": str(os.cpu_count()),
        "system": _system(),
        "python": platform.python_version(),
        "ansible": importlib.metadata.version("ansible-core"),
        "pytss": importlib.metadata.version("tpm2-pytss"),
        "tools": _version("tpm2_getcap"),
        "swtpm": _version("swtpm"),
        "load": "yes" if busy else "no",
        "table": measured,
    }
    text = _PAGE.read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def filled(template: str, values: t.Mapping[str, str]) -> str:
    """A section's text, without its first comment, with values in their places."""
    text = pathlib.Path(__file__).with_name(template).read_text().partition("-->\n")[2]
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def section(page_text: str, name: str) -> str:
    """What a page says in one of SECTIONS; NOT_MEASURED if it has no such section."""
    _before, begin, rest = page_text.partition(_BEGIN.format(name=name))
    return rest.partition(_END)[0] if begin else NOT_MEASURED


def with_section(page_text: str, name: str, text: str) -> str:
    """The page with that in its place."""
    before, begin, rest = page_text.partition(_BEGIN.format(name=name))
    _old, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"the page has no place for {name}")
    return before + begin + text + end + after


def with_sections(page_text: str, old: str) -> str:
    """A new page with the sections of an old one."""
    for name in SECTIONS:
        page_text = with_section(page_text, name, section(old, name))
    return page_text


__all__ = (
    "NOT_MEASURED",
    "SECTIONS",
    "Count",
    "count",
    "filled",
    "page",
    "ratio",
    "section",
    "table",
    "walls",
    "with_section",
    "with_sections",
)
