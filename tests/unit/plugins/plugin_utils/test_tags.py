# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags of the command line that a playbook does not have, and that leave it nothing to do."""

from __future__ import annotations

import pytest
from support import places

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils import _tags

TAGS = ["provision", "identity", "audit"]
NAMES = "provision, identity, audit"


@pytest.mark.parametrize(
    ("run", "skip", "known"),
    [
        (["all"], [], TAGS),
        (["provision"], [], TAGS),
        (["provision", "always"], ["audit"], TAGS),
        (["tagged"], [], TAGS),
        (["all"], ["provision", "never"], TAGS),
        (["all"], ["untagged"], TAGS),
        (["all"], [], []),
        (["untagged"], ["tagged"], []),
    ],
)
def test_tags_that_can_be_meant(run: list[str], skip: list[str], known: list[str]) -> None:
    assert _tags.faults(run, skip, known) == []


@pytest.mark.parametrize(
    ("run", "skip", "known", "sentences"),
    [
        (
            ["provison", "identity"],
            [],
            TAGS,
            [f"Could not begin: this playbook has no tag provison (--tags); did you mean provision? Its tags are {NAMES}."],
        ),
        (["provision", "enroll"], [], TAGS, [f"Could not begin: this playbook has no tag enroll (--tags); its tags are {NAMES}."]),
        (
            ["all"],
            ["audits"],
            TAGS,
            [f"Could not begin: this playbook has no tag audits (--skip-tags); did you mean audit? Its tags are {NAMES}."],
        ),
        (
            ["provision"],
            ["provision"],
            TAGS,
            [f"Could not begin: nothing is left to do with --tags provision --skip-tags provision; the tags of this playbook are {NAMES}."],
        ),
        (
            ["all"],
            TAGS,
            TAGS,
            [f"Could not begin: nothing is left to do with --skip-tags provision,identity,audit; the tags of this playbook are {NAMES}."],
        ),
        (["always"], [], TAGS, [f"Could not begin: nothing is left to do with --tags always; the tags of this playbook are {NAMES}."]),
        (
            ["all"],
            ["tagged"],
            TAGS,
            [f"Could not begin: nothing is left to do with --skip-tags tagged; the tags of this playbook are {NAMES}."],
        ),
        (["untagged"], [], TAGS, [f"Could not begin: nothing is left to do with --tags untagged; the tags of this playbook are {NAMES}."]),
        (["tagged"], [], [], ["Could not begin: nothing is left to do with --tags tagged; this playbook has no tags."]),
        (["provision"], [], [], ["Could not begin: this playbook has no tags; leave --tags provision out."]),
    ],
)
def test_tags_that_cannot(run: list[str], skip: list[str], known: list[str], sentences: list[str]) -> None:
    assert _tags.faults(run, skip, known) == sentences


@pytest.mark.parametrize(
    ("playbooks", "ours"),
    [
        (("edgefleet.tpm2.day_zero",), True),
        ((str(places.ROOT / "playbooks" / "day_zero.yml"),), True),
        ((str(places.COLLECTIONS / "ansible_collections/edgefleet/tpm2/playbooks/audit.yml"),), True),
        (("site.yml",), False),
        (("edgefleet.tpm2.host", "edgefleet.tpm2.audit"), False),
        ((), False),
    ],
    ids=["name", "path", "path-of-the-tree", "another", "two", "none"],
)
def test_a_run_of_one_playbook_of_ours(playbooks: tuple[str, ...], ours: bool) -> None:
    assert _tags.is_ours(playbooks) is ours
