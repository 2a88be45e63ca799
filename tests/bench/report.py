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

Samples = t.Mapping[str, "t.Sequence[Sample]"]
_PAGE = pathlib.Path(__file__).with_name("page.md")
# What is between these belongs to the other half of the benchmark.
_BEGIN, _END = "<!-- enrolment: tests/bench/run enrolment -->\n", "<!-- end -->\n"
NOT_MEASURED = "Not measured yet.\n"


@dataclasses.dataclass(frozen=True)
class Count:
    """What one device's TPM sees of a no-op: commands, sessions started, connections."""

    commands: int
    sessions: int
    connections: int


def _median(values: t.Iterable[float]) -> float:
    return statistics.median(values)


def _per_host(samples: Samples, name: str, devices: int) -> list[float]:
    """CPU seconds for each device over the empty play of the same round."""
    return [(one.cpu - empty.cpu) / devices for one, empty in zip(samples[name], samples["empty"], strict=True)]


def _ratio(first: t.Sequence[float], second: t.Sequence[float]) -> float:
    """The median over the rounds, each with what was measured in the same round."""
    return _median(one / other for one, other in zip(first, second, strict=True))


def _walls(samples: Samples, name: str) -> list[float]:
    return [one.wall for one in samples[name]]


def table(variants: t.Sequence[Variant], samples: Samples, counts: t.Mapping[str, Count], devices: int) -> str:
    """The measured table and the ratios, as Markdown."""
    lines = [
        "| a no-op of | wall, s | (min to max) | CPU, s | CPU a device over the empty play, s | TPM commands | sessions | connections |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for variant in variants:
        walls = _walls(samples, variant.name)
        cpu = _median(one.cpu for one in samples[variant.name])
        host = f"{_median(_per_host(samples, variant.name, devices)):.2f}" if variant.name != "empty" else "0"
        count = counts.get(variant.name, Count(0, 0, 0))
        lines.append(
            f"| {variant.title} | {_median(walls):.2f} | {min(walls):.2f} to {max(walls):.2f} | {cpu:.2f} | {host} "
            f"| {count.commands} | {count.sessions} | {count.connections} |"
        )
    profile = _walls(samples, "profile")
    faster = _ratio(_walls(samples, "seeds"), profile)
    than_fine = _ratio(_walls(samples, "fine"), profile)
    ping = _ratio(_per_host(samples, "profile", devices), _per_host(samples, "ping", devices))
    lines += [
        "",
        "| ratio (median of the rounds' own) | aim | measured |",
        "| --- | ---: | ---: |",
        f"| wall time, 29 tasks : `tpm2_profile` | at least 7 | {faster:.1f} |",
        f"| wall time, ten modules : `tpm2_profile` | | {than_fine:.1f} |",
        f"| CPU a device over the empty play, `tpm2_profile` : one `ping` | at most 1.1 | {ping:.2f} |",
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


def section(page_text: str) -> str:
    """What a page says of enrolment."""
    return page_text.partition(_BEGIN)[2].partition(_END)[0]


def with_section(page_text: str, text: str) -> str:
    """The page with that in its place."""
    before, begin, rest = page_text.partition(_BEGIN)
    _old, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError("the page has no place for what enrolment costs")
    return before + begin + text + end + after


__all__ = ("NOT_MEASURED", "Count", "page", "section", "table", "with_section")
