"""The bootstrap against every draw there is, against a plain loop, and where it has no width."""

from __future__ import annotations

import itertools
from statistics import mean

import numpy as np
import pytest

from r1.intervals import NUM_RESAMPLES, bootstrap, resampled_means


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
