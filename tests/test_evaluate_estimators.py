"""pass@1, pass@k, cons@k and intervals against brute force, by hand, and by simulation."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from r1.evaluation.estimators import (
    NO_VOTE,
    cons_at_k,
    interval_of_shares,
    pass_at_1,
    pass_at_k,
    powers_of_two,
)
from r1.intervals import share_interval

quick = hypothesis_settings(max_examples=50, deadline=None)
shapes = st.tuples(st.integers(1, 5), st.integers(1, 7))
tables = shapes.flatmap(
    lambda shape: st.tuples(
        hnp.arrays(bool, shape),
        hnp.arrays(bool, shape),
        hnp.arrays(np.int64, shape, elements=st.integers(-1, 3)),
    )
)


@quick
@given(tables, st.integers(1, 7))
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(table, k):
    correct_PK, judged_PK, _ = table
    got_P = pass_at_k(correct_PK, judged_PK, k)
    for p, row in enumerate(correct_PK):
        kept = row[judged_PK[p]]
        if len(kept) < k:
            assert np.isnan(got_P[p])
            continue
        subsets = list(combinations(kept, k))
        assert got_P[p] == pytest.approx(sum(any(s) for s in subsets) / len(subsets), abs=1e-12)


@quick
@given(tables)
def test_pass_at_1_is_pass_at_k_of_one_sample_and_ignores_failed_verifiers(table):
    correct_PK, judged_PK, _ = table
    got_P = pass_at_1(correct_PK, judged_PK)
    np.testing.assert_allclose(got_P, pass_at_k(correct_PK, judged_PK, 1), atol=1e-12)
    flipped_PK = correct_PK ^ ~judged_PK  # whatever an unjudged sample says must not matter
    np.testing.assert_array_equal(got_P, pass_at_1(flipped_PK, judged_PK))


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
@hypothesis_settings(max_examples=25, deadline=None)
def test_expected_pass_at_1_does_not_depend_on_k(seed, rate):
    """open-r1#655: there pass@1 fell as k grew. Here the mean of 2,000 problems stays in reach."""
    generator = np.random.default_rng(seed)
    for k in (1, 2, 4, 16, 64):
        correct_PK = generator.random((2000, k)) < rate
        mean = pass_at_1(correct_PK, np.ones_like(correct_PK)).mean()
        assert abs(mean - rate) < 6 * np.sqrt(rate * (1 - rate) / (2000 * k))


@quick
@given(hnp.arrays(bool, (6, 8)))
def test_pass_at_1_of_any_k_is_the_mean_of_its_parts(correct_PK):
    """Sixteen samples are two times eight: their pass@1 is the mean, whatever the samples say."""
    judged_PK = np.ones_like(correct_PK)
    halves = [pass_at_1(half, judged_PK[:, :4]) for half in (correct_PK[:, :4], correct_PK[:, 4:])]
    np.testing.assert_allclose(pass_at_1(correct_PK, judged_PK), np.mean(halves, axis=0))


def brute_force_vote(correct, votes):
    counts = Counter(v for v in votes if v != NO_VOTE)
    if not counts:
        return 0.0
    tied = [v for v, count in counts.items() if count == max(counts.values())]
    rightness = [np.mean([c for c, w in zip(correct, votes, strict=True) if w == v]) for v in tied]
    return float(np.mean(rightness))


@quick
@given(tables)
def test_cons_at_k_against_brute_force(table):
    correct_PK, judged_PK, vote_PK = table
    got_P = cons_at_k(correct_PK, judged_PK, vote_PK)
    for p in range(len(correct_PK)):
        kept = judged_PK[p]
        if not kept.any():
            assert np.isnan(got_P[p])
        else:
            expected = brute_force_vote(correct_PK[p][kept], vote_PK[p][kept])
            assert got_P[p] == pytest.approx(expected, abs=1e-12)


@quick
@given(tables, st.randoms())
def test_cons_at_k_does_not_depend_on_the_order_of_samples(table, random):
    correct_PK, judged_PK, vote_PK = table
    order = list(range(correct_PK.shape[1]))
    random.shuffle(order)
    np.testing.assert_allclose(
        cons_at_k(correct_PK, judged_PK, vote_PK),
        cons_at_k(correct_PK[:, order], judged_PK[:, order], vote_PK[:, order]),
    )


@pytest.mark.parametrize(
    ("correct", "votes", "expected"),
    [
        ([1, 1, 0], [0, 0, 1], 1.0),
        ([1, 0, 0], [0, 1, 1], 0.0),
        ([1, 0], [0, 1], 0.5),  # a tie counts as the share of tied answers that are right
        ([1, 0, 0, 0], [0, NO_VOTE, NO_VOTE, NO_VOTE], 1.0),  # the unreadable do not vote
        ([0, 0], [NO_VOTE, NO_VOTE], 0.0),
        ([1, 0, 0], [0, 1, 2], 1 / 3),
    ],
)
def test_cons_at_k_by_hand(correct, votes, expected):
    correct_PK = np.array([correct], dtype=bool)
    got = cons_at_k(correct_PK, np.ones_like(correct_PK), np.array([votes]))
    assert got[0] == pytest.approx(expected)


@pytest.mark.parametrize(("num_problems", "k"), [(40, 4), (200, 1)])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(num_problems, k):
    generator = np.random.default_rng(5)
    hits, trials = 0, 400
    for trial in range(trials):
        rate_P = generator.beta(1.0, 1.5, size=num_problems)  # problems differ in difficulty
        correct_PK = generator.random((num_problems, k)) < rate_P[:, None]
        value_P = pass_at_1(correct_PK, np.ones_like(correct_PK))
        interval = share_interval(value_P, seed=trial, num_resamples=500)
        assert interval is not None
        hits += interval.low <= 0.4 <= interval.high
    assert 0.91 < hits / trials < 0.985


def test_the_interval_is_seeded_ordered_and_leaves_out_problems_without_a_verdict():
    value_P = np.array([0.0, 0.25, 1.0, np.nan, 0.5] * 8)
    interval = interval_of_shares(value_P, 128, 3)
    assert interval == interval_of_shares(value_P, 128, 3)
    assert interval != interval_of_shares(value_P, 128, 4)
    assert interval.value == 0.4375
    assert interval.low < interval.value < interval.high
    assert interval == interval_of_shares(value_P[~np.isnan(value_P)], 128, 3)
    assert np.isnan(interval_of_shares([np.nan]).value)


def test_a_large_set_is_resampled_in_chunks_with_the_same_result(monkeypatch):
    value_P = np.random.default_rng(0).random(50)
    whole = interval_of_shares(value_P)
    monkeypatch.setattr("r1.intervals._CHUNK", 700)
    assert interval_of_shares(value_P) == whole


def test_powers_of_two():
    assert powers_of_two(16) == [1, 2, 4, 8, 16]
    assert powers_of_two(6) == [1, 2, 4]
