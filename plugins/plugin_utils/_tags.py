# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this plugin util is **PRIVATE** to the collection. It can have breaking changes at any time.
# Do not use this from other collections or standalone plugins/modules!

"""Check the tags on the command line: does the playbook have them, and do they leave it any work?"""

from __future__ import annotations

import difflib
import pathlib
import typing as t

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _text

PLAYBOOKS = pathlib.Path(__file__).resolve().parents[2] / "playbooks"
_PREFIX = "edgefleet.tpm2."
# Words that Ansible knows in every playbook.
_EVERYWHERE = frozenset(("all", "always", "never", "tagged", "untagged"))
_ALIKE = 0.6


def is_ours(playbooks: t.Sequence[str]) -> bool:
    """Whether the run is of a single playbook, and that one is the collection's. Another playbook that imports it may have other tags.

    Args:
        playbooks: as the command line names them.
    """
    return len(playbooks) == 1 and (playbooks[0].startswith(_PREFIX) or pathlib.Path(playbooks[0]).resolve().parent == PLAYBOOKS)


def faults(run: t.Iterable[str], skip: t.Iterable[str], known: t.Sequence[str]) -> list[str]:
    """A sentence for each tag that the playbook does not have, or a single one if the tags leave nothing to do.

    Args:
        run: the tags of --tags; ``all`` where none is given.
        skip: those of --skip-tags.
        known: the tags of the playbook's tasks, without ``always``. If it is empty, the tasks have no tags.
    """
    run, skip = list(run), list(skip)
    found = [_unknown(tag, option, known) for option, tags in (("--tags", run), ("--skip-tags", skip)) for tag in _unknown_of(tags, known)]
    if found or _left(run, skip, known):
        return found
    given = [
        f"{option} {_text.shown(','.join(tags))}" for option, tags in (("--tags", run), ("--skip-tags", skip)) if tags not in ([], ["all"])
    ]
    tags = f"the tags of this playbook are {', '.join(known)}" if known else "this playbook has no tags"
    return [f"Could not begin: nothing is left to do with {' '.join(given)}; {tags}."]


def _unknown_of(tags: t.Iterable[str], known: t.Sequence[str]) -> list[str]:
    return [tag for tag in tags if tag not in known and tag not in _EVERYWHERE]


def _left(run: t.Sequence[str], skip: t.Sequence[str], known: t.Sequence[str]) -> bool:
    """Whether a task that does work remains; in a playbook with tags each of these tasks has one."""
    each = "tagged" if known else "untagged"
    tasks = set(known) or {""}
    chosen = tasks if {"all", each} & set(run) else tasks & set(run)
    return bool(set() if {"all", each} & set(skip) else chosen - set(skip))


def _unknown(tag: str, option: str, known: t.Sequence[str]) -> str:
    if not known:
        return f"Could not begin: this playbook has no tags; leave {option} {_text.shown(tag)} out."
    close = difflib.get_close_matches(tag.lower(), known, 1, _ALIKE)
    meant = f"did you mean {close[0]}? Its" if close else "its"
    return f"Could not begin: this playbook has no tag {_text.shown(tag)} ({option}); {meant} tags are {', '.join(known)}."


__all__ = ("faults", "is_ours")
