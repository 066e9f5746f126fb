"""Pairs made by a judge: votes in random order, the margin, lengths, and a count for every drop."""

from __future__ import annotations

import threading

import pytest

from r1.preferences.types import Pair
from r1.preferences.votes import (
    REASONS,
    Candidate,
    MakingCounts,
    MakingSettings,
    make_pairs,
)


def quality(text: str) -> float:
    return float(text.split("=")[1])


def honest(prompt: str, a: str, b: str, vote: int) -> float:
    return max(-2.0, min(2.0, quality(a) - quality(b)))


def made(candidates, compare=honest, **settings):
    counts = MakingCounts()
    pairs = list(make_pairs(candidates, compare, MakingSettings(**settings), counts))
    return pairs, counts


def test_a_pair_is_kept_the_right_way_round_above_the_margin_only() -> None:
    candidates = [
        Candidate("p", "a=2", "b=0", "en", "f"),
        Candidate("q", "a=0", "b=2"),
        Candidate("r", "a=1", "b=0"),  # differs by 1, not by more
        Candidate("s", "a=0", "b=1.5"),
    ]
    pairs, counts = made(candidates, max_length_ratio=10)
    assert pairs == [
        Pair("p", "a=2", "b=0", 2.0, "en", "f"),
        Pair("q", "b=2", "a=0", 2.0),
        Pair("s", "b=1.5", "a=0", 1.5),
    ]
    assert counts.dropped["margin"] == 1
    assert (counts.candidates, counts.kept, counts.votes) == (4, 3, 16)


def test_every_reason_for_dropping_is_counted_and_unfit_pairs_cost_no_vote() -> None:
    asked = []

    def compare(prompt, a, b, vote):
        asked.append(prompt)
        return {"no": None, "kept": honest(prompt, a, b, vote)}.get(prompt, 0.0)

    candidates = [
        Candidate("empty", " ", "b=1"),
        Candidate("equal", "a=1 ", "a=1"),
        Candidate("length", "a=1", "b=100000"),
        Candidate("no", "a=1", "b=2"),
        Candidate("margin", "a=1", "b=2"),
        Candidate("kept", "a=1", "b=3"),
    ]
    _, counts = made(candidates, compare)
    assert dict(counts.dropped) == dict.fromkeys(REASONS, 1)
    assert set(asked) == {"no", "margin", "kept"}
    assert counts.votes_without_verdict == 4
    assert counts.candidates == counts.kept + sum(counts.dropped.values())
    assert counts.card()["dropped: length"] == 1


def test_the_order_of_a_and_b_is_random_and_takes_a_position_bias_out() -> None:
    """A judge that prefers whatever stands first keeps nothing, and the card shows its bias."""
    firsts = []

    def biased(prompt, a, b, vote):
        firsts.append(a)
        return "A>>B"

    candidates = [Candidate(f"p{n}", "first", "other") for n in range(200)]
    pairs, counts = made(candidates, biased)
    share = firsts.count("first") / len(firsts)
    assert 0.44 < share < 0.56
    # Four votes all in one order happen by chance (1 in 8), three to one give a mean of 1: dropped.
    assert 10 < len(pairs) < 45
    assert counts.card()["position bias"] == 2.0
    assert sum(pair.chosen == "first" for pair in pairs) / len(pairs) == pytest.approx(0.5, abs=0.3)
    again, _ = made(candidates, biased)
    assert again == pairs
    other, _ = made(candidates, biased, seed=1)
    assert other != pairs


def test_labels_count_as_the_arena_s_scale_and_votes_are_numbered() -> None:
    votes = []

    def compare(prompt, a, b, vote):
        votes.append(vote)
        label = "A>>B" if a == "good" else "B>>A"
        return label if vote < 3 else ("A>B" if a == "good" else "B>A")

    pairs, _ = made([Candidate("p", "bad!", "good")], compare)
    assert pairs == [Pair("p", "good", "bad!", 1.75)]
    assert votes == [0, 1, 2, 3]


def test_unknown_labels_are_no_verdicts_and_too_few_votes_keep_nothing() -> None:
    def compare(prompt, a, b, vote):
        return "tie" if vote else ("A>>B" if a == "good" else "B>>A")

    candidates = [Candidate("p", "good", "bad!")]
    assert len(made(candidates, compare)[0]) == 1
    pairs, counts = made(candidates, compare, min_valid_votes=2)
    assert pairs == []
    assert counts.dropped["no verdict"] == 1


def test_many_are_judged_at_once_and_come_back_in_order() -> None:
    together = threading.Barrier(4, timeout=20)

    def compare(prompt, a, b, vote):
        if vote == 0:
            together.wait()  # passes only with four candidates under way at once
        return honest(prompt, a, b, vote)

    candidates = [Candidate(str(n), "a=2", "b=0") for n in range(8)]
    pairs, _ = made(candidates, compare, concurrency=4)
    assert [pair.prompt for pair in pairs] == [str(n) for n in range(8)]


def test_it_streams() -> None:
    """Candidates are read no further ahead than may be under judgement."""
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield Candidate(str(read), "a=2", "b=0")

    pairs = make_pairs(endless(), honest, MakingSettings(concurrency=3), MakingCounts())
    for _ in range(5):
        next(pairs)
    assert read <= 8
    pairs.close()


def test_what_the_judge_raises_is_raised() -> None:
    def compare(prompt, a, b, vote):
        raise RuntimeError("the budget is used up")

    with pytest.raises(RuntimeError, match="budget"):
        made([Candidate("p", "a=2", "b=0")], compare)
