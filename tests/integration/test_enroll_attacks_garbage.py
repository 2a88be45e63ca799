# Copyright (c) 2026, edgefleet maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attacks on enrolment with answers that are none: every field of both answers missing, of another type, empty, huge.

Two real answers are taken once. They are right in each test, because its nonces and its secret are those of that run.
"""

from __future__ import annotations

import itertools
import json
import pathlib
import typing as t

import pytest
from support.enroll import AK, EK, IDEVID, Bench, Between, Desk, Json, instead, local_key, nobody, nothing_is_random, unb64

from ansible_collections.edgefleet.tpm2.plugins.plugin_utils._enroll.plan import QuarantineError

LDEVID = local_key().handle
HUGE = "A" * 1_000_000
JUNK: list[t.Any] = [
    None,
    True,
    7,
    1.5,
    "",
    "x",
    "!!",
    "\x00\ud800",
    HUGE,
    [],
    ["x"],
    [[]],
    [None] * 5,
    {},
    {"x": "y"},
    {"attest": 1, "signature": []},
]
FIRST = [
    *(
        ("publics",),
        ("publics", EK),
        ("publics", AK),
        ("publics", IDEVID),
        ("publics", LDEVID),
        ("certificates",),
        ("certificates", 0),
        ("chain",),
    ),
    *(
        ("identity",),
        ("identity", "firmware"),
        ("identity", "manufacturer"),
        ("nv_certify",),
        ("nv_certify", "attest"),
        ("nv_certify", "signature"),
    ),
    *(
        ("quote",),
        ("quote", "attest"),
        ("quote", "signature"),
        ("quote", "pcrs"),
        ("quote", "pcrs", "7"),
        ("certify",),
        ("certify", LDEVID),
    ),
    *(("certify", LDEVID, "attest"), ("certify_idevid",)),
]
SECOND = [("certify",), ("certify", "attest"), ("certify", "signature"), ("proof",), ("signatures",), ("signatures", 0)]


class AskedAgain(Exception):
    """The first answer was taken, so that a second exchange began."""


@pytest.fixture
def answers(bench: Bench) -> list[Json]:
    return bench.recorded()


@pytest.fixture
def desk(bench: Bench, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    nothing_is_random(monkeypatch)
    return bench.desk(tmp_path / "desk")


def with_junk(answer: t.Any, where: tuple[t.Any, ...], junk: t.Any) -> t.Any:
    """The answer with something else at one place."""
    if not where:
        return junk
    if isinstance(answer, list):
        return [with_junk(one, where[1:], junk) if at == where[0] else one for at, one in enumerate(answer)]
    return {**answer, where[0]: with_junk(answer.get(where[0], {}), where[1:], junk)}


def again(_question: t.Mapping[str, t.Any]) -> Json:
    raise AskedAgain


def test_the_answers_are_right_as_they_are(desk: Desk, answers: list[Json]) -> None:
    outcome = desk.enroll(Between(nobody, instead(answers[0]), instead(answers[1])), local=local_key())
    assert outcome.did == ("enroll",) and outcome.pending == ()


@pytest.mark.parametrize("where", FIRST, ids=lambda where: ".".join(map(str, where)))
def test_junk_in_the_first_answer(desk: Desk, answers: list[Json], where: tuple[t.Any, ...]) -> None:
    before = desk.rows()
    for junk in JUNK:
        attack = Between(again, instead(with_junk(answers[0], where, junk)))
        with pytest.raises((QuarantineError, AskedAgain)) as caught:
            desk.enroll(attack, local=local_key())
        if isinstance(caught.value, QuarantineError):
            assert caught.value.reason and len(caught.value.message) < 1000 and "\n" not in caught.value.message
        else:
            # A chain that nobody needs here; an IDevID that is certified later.
            assert where in (("chain",), ("certify_idevid",)) and junk in (None, []), (where, junk)
    desk.untouched(before)


@pytest.mark.parametrize("where", SECOND, ids=lambda where: ".".join(map(str, where)))
def test_junk_in_the_second_answer(desk: Desk, answers: list[Json], where: tuple[t.Any, ...]) -> None:
    before = desk.rows()
    for junk in JUNK:
        attack = Between(nobody, instead(answers[0]), instead(with_junk(answers[1], where, junk)))
        with pytest.raises(QuarantineError) as caught:
            desk.enroll(attack, local=local_key())
        assert caught.value.reason and len(caught.value.message) < 1000 and "\n" not in caught.value.message
    desk.untouched(before)


@pytest.mark.parametrize("number", [0, 1])
def test_an_answer_with_nothing_in_it(desk: Desk, answers: list[Json], number: int) -> None:
    empty = [instead(one) for one in (*answers[:number], {})]
    expected = [("malformed_answer", "its keys is missing"), ("no_idevid", "the IDevID without an attestation")][number]
    desk.refused(Between(nobody, *empty), *expected, told=bool(number))


def test_too_many_signatures(desk: Desk, answers: list[Json]) -> None:
    more = {**answers[1], "signatures": answers[1]["signatures"] * 2}
    attack = Between(nobody, instead(answers[0]), instead(more))
    desk.refused(attack, "malformed_answer", "its signatures has 2 entries, more than the 1 that there can be", local=local_key())


def test_public_area_without_a_name(desk: Desk, answers: list[Json]) -> None:
    """Its nameAlg is no hash, so there is nothing to make a credential for."""
    raw = bytes.fromhex(answers[0]["publics"][AK])
    answer = with_junk(answers[0], ("publics", AK), (raw[:2] + b"\x00\x10" + raw[4:]).hex())
    desk.refused(Between(again, instead(answer)), "malformed_answer", "its AK is no public area", told=False)


def test_index_of_a_pcr_that_is_no_number(desk: Desk, answers: list[Json]) -> None:
    for index in ("9" * 5000, "-1", "٣", "7 "):
        answer = with_junk(answers[0], ("quote", "pcrs"), {**answers[0]["quote"]["pcrs"], index: "00"})
        desk.refused(Between(again, instead(answer)), "malformed_answer", "its PCR indices are not numbers", told=False)


def test_what_a_tpm_calls_itself_is_made_printable(desk: Desk, answers: list[Json]) -> None:
    """It stands in sentences, in the registry and in the birth record."""
    answer = with_junk(answers[0], ("identity", "manufacturer"), "I\nBM\x1b[31m" + HUGE)
    said = desk.refused(Between(again, instead(answer)), "manufacturer_mismatch", "but the TPM says")
    assert said.isprintable() and len(said) < 1000


def test_every_pair_of_fields_left_out(desk: Desk, answers: list[Json]) -> None:
    for pair in itertools.combinations(answers[0], 2):
        answer = {name: value for name, value in answers[0].items() if name not in pair}
        with pytest.raises((QuarantineError, AskedAgain)) as caught:
            desk.enroll(Between(again, instead(answer)), local=local_key())
        assert isinstance(caught.value, QuarantineError) or not set(pair) & {"publics", "nv_certify", "quote", "certify", "certificates"}, (
            pair
        )


def test_pcr_that_was_not_asked_for_is_not_written_down(desk: Desk, answers: list[Json]) -> None:
    """The quote is right, and beside its values there is one that nothing proves."""
    answer = with_junk(answers[0], ("quote", "pcrs"), {**answers[0]["quote"]["pcrs"], "3": "ab" * 32})
    outcome = desk.enroll(Between(nobody, instead(answer), instead(answers[1])), local=local_key())
    assert outcome.did == ("enroll",) and outcome.device
    with desk.registry() as registry:
        record = registry.birth_record(outcome.device.ek_name)
    payload = json.loads(unb64(json.loads(record or "")["payload"]))
    assert [one["index"] for one in payload["quote"]["pcrs"]] == [0, 7]
