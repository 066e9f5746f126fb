"""Mathematical answers: a table of pairs, and hostile answers through the real pool."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from hostile_answers import HOSTILE, RESPONSES
from r1.rewards.accuracy import check_reference
from r1.rewards.math.verifier import compare, equal_math, score_math
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, RolloutGroup

TABLE = Path(__file__).parent / "data" / "math_pairs.tsv"


class Pair(NamedTuple):
    section: str
    paid: bool
    reference: str
    answer: str
    question: str


def read_table(path: Path = TABLE) -> list[Pair]:
    pairs, section = [], ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            section = line.removeprefix("# ")
            continue
        verdict, reference, answer, *question = line.split("\t")
        assert verdict in ("=", "≠"), line
        pairs.append(Pair(section, verdict == "=", reference, answer, "".join(question)))
    return pairs


PAIRS = read_table()
SECTIONS = sorted({pair.section for pair in PAIRS})


def problem(reference: str, question: str = "") -> Problem:
    return Problem("p", question, reference, "math")


def test_the_table_covers_what_it_claims() -> None:
    assert len(PAIRS) >= 700
    assert len(set(PAIRS)) == len(PAIRS), "a pair stands there twice"
    assert sum(not pair.paid for pair in PAIRS) >= 200
    assert len(HOSTILE) >= 270
    assert len(set(HOSTILE)) == len(HOSTILE)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_pair_is_judged_as_the_table_says(section: str) -> None:
    mistakes = []
    for pair in (pair for pair in PAIRS if pair.section == section):
        score = score_math(problem(pair.reference, pair.question), pair.answer, RewardSettings())
        expected = (1.0, Outcome.CORRECT) if pair.paid else (0.0, Outcome.WRONG)
        unread = not pair.paid and score.outcome is Outcome.UNPARSEABLE
        if (score.value, score.outcome) != expected and not unread:
            mistakes.append((pair, score))
    assert not mistakes


def test_every_gold_answer_is_verifiable_and_scores_1() -> None:
    for reference in sorted({pair.reference for pair in PAIRS}):
        assert check_reference(problem(reference)) is None, reference
        assert compare(reference, f"\\boxed{{{reference}}}")[0].name == "EQUAL", reference


@pytest.fixture(scope="module")
def pool():
    # The clock is generous: on a busy machine a worker may get a twentieth of a core.
    settings = RewardSettings(weights={"accuracy": 1.0}, num_workers=2, timeout_s=30.0)
    with RewardPool(settings) as shared:
        yield shared


def group(reference: str, texts: list[str], source: str) -> RolloutGroup:
    metadata = {"answer_from": source}
    asked = Problem("p", "What is 1+1?", reference, "math", metadata=metadata)
    return RolloutGroup(asked, (), [Completion([], [], text, "stop") for text in texts])


def test_hostile_answers_are_judged_in_time_and_not_paid(pool: RewardPool) -> None:
    groups = [
        group(reference, [f"<think>a</think> <answer>{answer}</answer>"], "answer")
        for _, reference, answer in HOSTILE
    ]
    scores = [scored.rewards[0].parts["accuracy"] for scored in pool.score_groups(groups)]
    judged = (Outcome.WRONG, Outcome.UNPARSEABLE)
    wrong = [
        (kind, answer[:80], score)
        for (kind, _, answer), score in zip(HOSTILE, scores, strict=True)
        if score.value != 0.0 or score.outcome not in judged
    ]
    assert not wrong
    counts = pool.take_counts()
    assert sum(counts.outcomes.values()) == len(HOSTILE)
    assert counts.restarts == 0, "an answer cost a worker"


@pytest.mark.parametrize(("name", "text", "source"), RESPONSES, ids=[r[0] for r in RESPONSES])
def test_hostile_responses_are_not_paid(
    pool: RewardPool, name: str, text: str, source: str
) -> None:
    [scored] = pool.score_groups([group("2", [text], source)])
    score = scored.rewards[0].parts["accuracy"]
    assert score.value == 0.0
    assert score.outcome in (Outcome.WRONG, Outcome.UNPARSEABLE)


def test_the_pool_pays_the_right_answer_among_them(pool: RewardPool) -> None:
    texts = [f"<think>a</think> <answer>{answer}</answer>" for answer in ("2", r"\boxed{2}", "3")]
    [scored] = pool.score_groups([group("2", texts, "answer")])
    assert [reward.total for reward in scored.rewards] == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    "reference",
    [None, "", "  ", "9^{9^{9^9}}", "$", "\\frac{", "1" * 2000, "(" * 20 + "1" + ")" * 20],
)
def test_references_that_cannot_be_verified(reference: str | None) -> None:
    assert check_reference(Problem("p", "", reference, "math"))


def test_equality_for_votes_works_in_either_order() -> None:
    assert equal_math("x=1/2", "0.5")
    assert equal_math("0.5", "x=1/2")
    assert not equal_math("0.5", "5")
