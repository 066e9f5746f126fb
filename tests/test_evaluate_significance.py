"""Tests of differences against sums by hand, tables of Student's t, and thousands of draws."""

from __future__ import annotations

import math
from functools import lru_cache
from math import comb

import numpy as np
import pytest

from r1.distributions import quantile, two_sided_p
from r1.intervals import Interval
from r1.significance import (
    POWER,
    detectable_differences,
    half_widths,
    holm,
    mcnemar,
    paired_difference,
    standard_errors,
    widened_difference,
)

DRAWS = 2000
MIXES = {"even": (0.0, 1.5), "hard": (-2.5, 1.5), "easy": (2.5, 1.5)}
"""Mean and spread of the problems' difficulty, in logits."""
SIZES = [(30, 4), (30, 16), (100, 1), (100, 4), (100, 64), (300, 1), (300, 16)]
FEW = [(8, 1), (8, 4), (15, 1), (15, 16), (30, 1), (30, 64)]


class Pool:
    """Problems of a mix, each with the chance that either model solves it."""

    def __init__(self, mix: str, shift: float, size: int = 200_000) -> None:
        self.generator = np.random.default_rng(5)
        if mix == "known":  # nearly all are always or never solved
            ease = self.generator.choice([-4.0, 4.0], size) + self.generator.normal(0, 1, size)
        else:
            ease = self.generator.normal(*MIXES[mix], size)
        own = self.generator.normal(0, 0.5, (2, size))  # what only one of the models finds hard
        self.first = 1 / (1 + np.exp(-(ease + own[0])))
        self.second = 1 / (1 + np.exp(-(ease + shift + own[1])))
        self.truth = float((self.second - self.first).mean())
        if shift == 0:
            # Both models alike, not merely in this pool.
            self.first = np.concatenate([self.first, self.second])
            self.second = np.concatenate([self.second, self.first[:size]])
            self.truth = 0.0

    def draw(self, num_problems: int, num_samples: int) -> np.ndarray:
        """Differences of evaluations of new problems with new samples, shape (DRAWS, P)."""
        chosen = self.generator.integers(0, self.first.size, (DRAWS, num_problems))
        solved = self.generator.binomial(num_samples, self.second[chosen])
        solved_before = self.generator.binomial(num_samples, self.first[chosen])
        return solved / num_samples - solved_before / num_samples


def coverage(pool: Pool, num_problems: int, num_samples: int) -> float:
    difference_RP = pool.draw(num_problems, num_samples)
    width_R = half_widths(standard_errors(difference_RP, num_samples))
    return float((np.abs(difference_RP.mean(axis=1) - pool.truth) <= width_R).mean())


@pytest.mark.few(2)
@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("mix", MIXES)
def test_intervals_hold_in_93_to_97_percent_of_draws(mix, shift):
    pool = Pool(mix, shift)
    found = {size: coverage(pool, *size) for size in SIZES}
    assert all(0.93 <= share <= 0.97 for share in found.values()), found


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("mix", [*MIXES, "known"])
def test_with_few_informative_problems_intervals_are_wide_rather_than_wrong(mix, shift):
    pool = Pool(mix, shift)
    found = {size: coverage(pool, *size) for size in FEW}
    assert all(share >= 0.93 for share in found.values()), found


def is_told_apart(difference_RP: np.ndarray, num_samples: int) -> np.ndarray:
    """Whether each draw has p below 0.05, as `compare` decides it."""
    if num_samples > 1:
        estimates = standard_errors(difference_RP, num_samples)
        return np.abs(difference_RP.mean(axis=1)) > half_widths(estimates)
    test = lru_cache(maxsize=None)(mcnemar)
    won, lost = (difference_RP > 0).sum(axis=1), (difference_RP < 0).sum(axis=1)
    return np.array([test(int(a), int(b)) < 0.05 for a, b in zip(lost, won, strict=True)])


@pytest.mark.parametrize("mix", [*MIXES, "known"])
def test_verdicts_err_in_at_most_five_percent_where_nothing_differs(mix):
    """Over all sizes together; of one size by no more than 2,000 draws can be off."""
    pool = Pool(mix, 0.0)
    found = {size: is_told_apart(pool.draw(*size), size[1]).mean() for size in SIZES + FEW}
    assert np.mean(list(found.values())) <= 0.05, found
    by_chance = 3 * math.sqrt(0.05 * 0.95 / DRAWS)
    assert max(found.values()) <= 0.05 + by_chance, found


@pytest.mark.parametrize(("num_problems", "num_samples"), [(50, 16), (200, 4), (300, 1)])
def test_the_detectable_difference_is_seen_four_times_in_five(num_problems, num_samples):
    for shift in np.linspace(0.1, 1.2, 12):
        pool = Pool("even", float(shift))
        difference_RP = pool.draw(num_problems, num_samples)
        detectable = detectable_differences(standard_errors(difference_RP, num_samples)).mean()
        if pool.truth >= detectable:
            break
    assert pool.truth >= detectable
    power = is_told_apart(difference_RP, num_samples).mean()
    excess = pool.truth / detectable  # the first shift at or above it
    assert POWER - 0.04 <= power <= POWER + 0.04 + 3 * (excess - 1), (power, excess)


def test_one_difference_by_hand():
    """d = 0.5, 0, 0.25, ..., 12 values: mean, standard deviation and t by their definitions."""
    d = np.array([0.5, 0.0, 0.25, -0.25, 0.75, 0.25, 0.5, 0.0, -0.5, 0.25, 0.125, 1.0])
    found = paired_difference(d, 8)
    mean = sum(d) / 12
    error = math.sqrt(sum((x - mean) ** 2 for x in d) / 11 / 12)
    assert found.interval.value == pytest.approx(mean)
    # t(0.975, 11) = 2.200985, t(0.8, 11) = 0.875530 (tables)
    assert found.interval.low == pytest.approx(mean - 2.200985 * error, rel=1e-6)
    assert found.interval.high == pytest.approx(mean + 2.200985 * error, rel=1e-6)
    assert found.detectable == pytest.approx((2.200985 + 0.875530) * error, rel=1e-6)
    assert found.p == pytest.approx(two_sided_p(mean / error, 11))


def test_where_every_problem_moves_alike_the_interval_still_has_a_width():
    """All of 5 problems from never to always solved, k = 4: two are added, at +-1/2."""
    found = paired_difference(np.ones(5), 4)
    variance = (5 + 0.5 - 5**2 / 7) / 6
    width = quantile(0.975, 6) * math.sqrt(variance / 7)
    assert found.interval == pytest.approx((1.0, 1 - width, 1.0))
    assert 0.0 < found.p < 0.05


def test_equal_differences_are_equal_whatever_their_rounding():
    """0.3 - 0.2 is not 0.1 to the last bit: twenty such problems are as sparse as equal ones."""
    after, before = np.tile([0.3, 0.1, 0.7, 0.9], 5), np.tile([0.2, 0.0, 0.6, 0.8], 5)
    rounded = after - before
    assert len(set(rounded.tolist())) > 1
    exact = np.full(20, 0.1)
    assert paired_difference(rounded, 10).interval == pytest.approx(
        paired_difference(exact, 10).interval
    )
    drawn = Interval(0.1, 0.1, 0.1)
    found = widened_difference(drawn, rounded)
    assert found == pytest.approx(widened_difference(drawn, exact))
    assert found.low < 0.1 < found.high


def test_a_single_problem_tells_nothing():
    found = paired_difference(np.ones(1), 1)
    assert found.interval == (1.0, -1.0, 1.0)
    assert found.p > 0.05
    assert paired_difference(np.zeros(1), 1).p == 1.0


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (5, 0), (1, 6), (12, 30), (7, 7)])
def test_mcnemar_is_the_sum_of_the_coin_tosses(first, second):
    n = first + second
    tail = sum(comb(n, i) for i in range(min(first, second) + 1)) / 2**n
    assert mcnemar(first, second) == pytest.approx(min(1.0, 2 * tail), rel=1e-12)


def test_mcnemar_of_small_counts_by_hand():
    assert mcnemar(0, 5) == pytest.approx(2 / 32)
    assert mcnemar(0, 6) == pytest.approx(2 / 64)
    assert mcnemar(1, 6) == pytest.approx(2 * (1 + 7) / 128)


def test_the_paired_test_sees_what_two_error_bars_do_not():
    """Of 220 items 70 solved by both, 12 and 30 by one of them alone: counts that give the p-values
    of lm-evaluation-harness#3868, 0.080 from two standard errors and 0.008 paired."""
    n, only_first, only_second, both = 220, 12, 30, 70
    shares = [(both + only) / n for only in (only_first, only_second)]
    error = math.sqrt(sum(p * (1 - p) / n for p in shares))
    unpaired = math.erfc((shares[1] - shares[0]) / error / math.sqrt(2))
    assert unpaired == pytest.approx(0.080, abs=0.0005)
    assert mcnemar(only_first, only_second) == pytest.approx(0.008, abs=0.0005)
    d = np.concatenate([-np.ones(only_first), np.ones(only_second), np.zeros(n - 42)])
    found = paired_difference(d, 1)
    assert found.interval.low > 0
    assert found.p == pytest.approx(0.005, abs=0.001)


def test_holm_by_hand():
    """0.01 x 4; 0.02 x 3; 0.03 x 2; 0.04 x 1, none below the one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.001, 0.9]) == pytest.approx([1.0, 0.003, 1.0])
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@pytest.mark.parametrize(
    ("t", "df", "p"), [(12.7062, 1, 0.05), (2.2281, 10, 0.05), (2.7500, 30, 0.01), (1.0, 1, 0.5)]
)
def test_student_t_as_in_tables(t, df, p):
    assert two_sided_p(t, df) == pytest.approx(p, rel=1e-4)
    assert two_sided_p(-t, df) == two_sided_p(t, df)
    assert quantile(1 - p / 2, df) == pytest.approx(t, rel=1e-4)


def test_student_t_of_many_degrees_is_the_normal_distribution():
    assert quantile(0.975, 10**6) == pytest.approx(1.959966, rel=1e-5)
    assert two_sided_p(3.0, 10**6) == pytest.approx(math.erfc(3 / math.sqrt(2)), rel=1e-4)
