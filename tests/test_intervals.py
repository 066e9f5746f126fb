"""The bootstrap against every draw there is and a plain loop; exact intervals; their coverage."""

from __future__ import annotations

import itertools
import math
from statistics import mean

import numpy as np
import pytest

from r1.intervals import (
    NUM_RESAMPLES,
    Interval,
    bootstrap,
    exact_bounds,
    mean_interval,
    resampled_means,
    share_interval,
)


def test_a_draw_has_the_chance_that_counting_gives_it():
    """Four values: 256 equally likely draws."""
    values = np.array([0.0, 1.0, 2.0, 5.0])
    every = np.array([mean(draw) for draw in itertools.product(values, repeat=4)])
    mean_R = resampled_means(values, num_resamples=40_000)
    for limit in (0.5, 1.0, 2.0, 3.0, 4.0):
        share = (every <= limit).mean()
        assert (mean_R <= limit).mean() == pytest.approx(share, abs=0.01)


def test_the_interval_is_cut_where_counting_says():
    """Of 40 draws of {0, 1}: P(mean <= 12/40) = 0.008, <= 13/40 = 0.019, <= 14/40 = 0.040."""
    found = bootstrap([0.0] * 20 + [1.0] * 20)
    assert found is not None
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((14 / 40, 26 / 40), abs=1 / 40)
    assert tuple(bootstrap([0.25, 0.25, 0.25]) or ()) == (0.25, 0.25, 0.25)
    assert bootstrap([float("nan"), 0.5]) == bootstrap([0.5])
    assert bootstrap([]) is bootstrap([float("nan")]) is None


def test_items_of_different_sizes_are_a_ratio_of_sums():
    sums, sizes = np.array([1.0, 6.0, 0.0]), np.array([1.0, 8.0, 1.0])
    generator = np.random.Generator(np.random.PCG64(3))
    expected = []
    for _ in range(NUM_RESAMPLES):
        drawn = generator.integers(0, 3, size=3)
        expected.append(sum(sums[drawn]) / sum(sizes[drawn]))
    assert resampled_means(sums, sizes, seed=3).tolist() == pytest.approx(expected)
    plain = resampled_means(sums, seed=3)
    assert plain.tolist() == pytest.approx(resampled_means(sums, np.ones(3), seed=3).tolist())


@pytest.mark.parametrize(
    ("right", "num", "low", "high"),
    [
        (0, 5, 0.0, 0.521824),  # 1 - 0.025 ** (1 / 5)
        (5, 5, 0.478176, 1.0),
        (1, 10, 0.002529, 0.445016),  # as in R's binom.test(1, 10)
        (7, 20, 0.153909, 0.592189),
        (0, 1, 0.0, 0.975),
    ],
)
def test_exact_bounds_are_those_of_the_tables(right, num, low, high):
    assert exact_bounds(right / num, num) == pytest.approx((low, high), abs=2e-6)
    found = share_interval([1.0] * right + [0.0] * (num - right))
    assert found is not None
    assert found.value == pytest.approx(right / num)
    assert found.low <= low + 2e-6
    assert found.high >= high - 2e-6


@pytest.mark.parametrize(("num", "least"), [(1, 0.95), (5, 0.95), (19, 0.95), (60, 0.9)])
def test_an_interval_of_one_sample_a_problem_holds_whatever_the_true_share(num, least):
    """Counted, not simulated: the chance of every number of right answers at every true share."""
    found = [share_interval([1.0] * k + [0.0] * (num - k)) for k in range(num + 1)]
    for share in np.linspace(0.005, 0.995, 100):
        chances = [math.comb(num, k) * share**k * (1 - share) ** (num - k) for k in range(num + 1)]
        held = [i is not None and i.low <= share <= i.high for i in found]
        assert sum(itertools.compress(chances, held)) >= least, share


@pytest.mark.parametrize(
    ("alpha", "beta", "num", "k"),
    [
        (0.3, 0.7, 5, 4),
        (0.3, 0.7, 10, 16),
        (1.0, 19.0, 20, 4),
        (0.1, 1.9, 20, 64),
        (2.0, 2.0, 5, 16),
    ],
)
def test_an_interval_of_several_samples_a_problem_holds(alpha, beta, num, k):
    """Few problems of unequal difficulty, where a bootstrap holds in 45 to 88 % of the draws."""
    generator, draws = np.random.default_rng(7), 300
    held = plain = 0
    for _ in range(draws):
        share_P = generator.binomial(k, generator.beta(alpha, beta, size=num)) / k
        found = share_interval(share_P, num_samples=num * k, num_resamples=300)
        drawn = bootstrap(share_P, num_resamples=300)
        assert found is not None
        assert drawn is not None
        assert found.low <= drawn.low <= drawn.high <= found.high
        truth = alpha / (alpha + beta)
        held += found.low <= truth <= found.high
        plain += drawn.low <= truth <= drawn.high
    assert held >= 0.88 * draws, (held, plain)


def test_samples_of_one_problem_are_not_taken_for_as_many_problems():
    clustered = share_interval([0.0, 1.0, 0.0, 0.0], num_samples=256)
    assert clustered == share_interval([0.0, 1.0, 0.0, 0.0])
    spread = share_interval([0.25, 0.25, 0.25, 0.25], num_samples=256)
    assert clustered is not None
    assert spread is not None
    assert 0.0 < spread.high - spread.low < 0.3 < clustered.high - clustered.low
    assert share_interval([0.0] * 8, num_samples=512) == Interval(
        0.0, 0.0, pytest.approx(exact_bounds(0.0, 8)[1])
    )
    with pytest.raises(AssertionError):
        share_interval([1.5, 0.0])


@pytest.mark.parametrize("num", [2, 5, 12, 29])
def test_the_interval_of_a_mean_of_few_values_holds(num) -> None:
    """Of normal values in 94 to 97 % of 400 draws; the bootstrap's own in 52 % of two."""
    rng = np.random.default_rng(0)
    found = [mean_interval(rng.normal(size=num)) for _ in range(400)]
    assert np.mean([one.low <= 0.0 <= one.high for one in found]) > 0.93


def test_the_interval_of_a_mean_at_its_ends() -> None:
    assert mean_interval([]) is None
    assert mean_interval([np.nan, 3.0]) == (3.0, 3.0, 3.0)
    assert mean_interval([2.0, 2.0, 2.0]) == (2.0, 2.0, 2.0)
    by_hand = 12.706204736 * np.sqrt(2.0) / np.sqrt(2.0)  # t(0.975, 1) s / sqrt(2) of 1 and 3
    assert mean_interval([1.0, 3.0]) == pytest.approx((2.0, 2.0 - by_hand, 2.0 + by_hand))
    assert mean_interval([1.0, 3.0], least=0.0).low == 0.0
    many = np.arange(30.0)
    assert mean_interval(many) == bootstrap(many)
