"""Votes on pairs: comparable lengths, a random order of A and B, the margin of the mean."""

from __future__ import annotations

import statistics

import pytest

from r1.preferences.votes import LABELS, Candidate, VoteSettings, is_swapped, preference, unfit


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [(" ", "b", "empty"), ("a ", "a", "equal"), ("a", "bbb", "length"), ("a", "bb", None)],
)
def test_unfit_pairs_are_named_before_a_vote_is_paid(first, second, reason) -> None:
    assert unfit(Candidate("p", first, second), VoteSettings(max_length_ratio=2.0)) == reason
    assert unfit(Candidate("p", second, first), VoteSettings(max_length_ratio=2.0)) == reason


def test_a_pair_is_kept_above_the_margin_only_and_with_enough_verdicts() -> None:
    settings = VoteSettings(margin=1.0, min_valid_votes=2)
    assert preference([1.0, 1.0], settings) == "margin"  # differs by 1, not by more
    assert preference([LABELS["A>>B"], LABELS["A>B"]], settings) == 1.5
    assert preference([LABELS["B>>A"], LABELS["B>A"]], settings) == -1.5
    assert preference([2.0], settings) == preference([], settings) == "no verdict"


def test_the_order_of_a_and_b_is_random_and_takes_a_position_bias_out() -> None:
    """A judge that prefers whatever stands first keeps few pairs, and either response of them."""
    candidates = [Candidate(f"p{n}", "first", "other") for n in range(400)]
    swapped = [[is_swapped(c, vote, 0) for vote in range(4)] for c in candidates]
    assert 0.44 < statistics.fmean(turned for four in swapped for turned in four) < 0.56
    found = [
        preference([-2.0 if turned else 2.0 for turned in four], VoteSettings()) for four in swapped
    ]
    kept = [mean for mean in found if isinstance(mean, float)]
    # Four votes all in one order happen by chance (1 in 8), three to one give a mean of 1: dropped.
    assert 20 < len(kept) < 90
    assert {2.0, -2.0} == set(kept)
    assert swapped == [[is_swapped(c, vote, 0) for vote in range(4)] for c in candidates]
    assert swapped != [[is_swapped(c, vote, 1) for vote in range(4)] for c in candidates]
