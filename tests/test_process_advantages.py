"""Advantages from rewards of single steps: against sums written out, and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from r1.algorithms.process import Steps, later_sums, summed_steps, worst_step
from r1.steps.aggregate import soft_minimum

GROUP = [Steps([1, 4], [0.9, 0.2]), Steps([2], [0.7]), Steps([0, 1, 5], [0.4, 0.8, 0.6])]
LENGTHS = [5, 4, 7]


def test_a_token_gets_its_own_step_and_the_later_ones():
    assert later_sums(Steps([1, 3], [1.0, 10.0]), 6) == [11.0, 11.0, 10.0, 10.0, 0.0, 0.0]
    assert later_sums(Steps([], []), 2) == [0.0, 0.0]


def test_summed_steps_equal_the_formula():
    every = np.array([r for steps in GROUP for r in steps.rewards])
    for found, steps, length in zip(summed_steps(GROUP, LENGTHS), GROUP, LENGTHS, strict=True):
        scaled = (np.array(steps.rewards) - every.mean()) / (every.std() + 1e-6)
        expected = [scaled[np.array(steps.ends) >= t].sum() for t in range(length)]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_equal_steps_teach_nothing():
    equal = [Steps(steps.ends, [0.5] * len(steps.ends)) for steps in GROUP]
    assert summed_steps(equal, LENGTHS) == [[0.0] * length for length in LENGTHS]


def test_the_soft_minimum_goes_from_the_mean_to_the_smallest():
    rewards = [0.9, 0.2, 0.6]
    assert sum(soft_minimum(rewards, 1e-3)) == pytest.approx(0.2, abs=1e-9)
    assert sum(soft_minimum(rewards, 1e6)) == pytest.approx(np.mean(rewards), abs=1e-6)
    weights = np.exp(-np.array(rewards) / 0.1) / np.exp(-np.array(rewards) / 0.1).sum()
    np.testing.assert_allclose(soft_minimum(rewards, 0.1), weights * rewards, rtol=1e-12)
    assert soft_minimum([], 0.1) == []


def test_the_worst_step_equals_the_formula():
    weighted = [np.array(soft_minimum(steps.rewards, 0.1)) for steps in GROUP]
    for i, found in enumerate(worst_step(GROUP, LENGTHS)):
        baseline = np.mean([w.sum() for j, w in enumerate(weighted) if j != i])
        ends = np.array(GROUP[i].ends)
        expected = [weighted[i][ends >= t].sum() - baseline for t in range(LENGTHS[i])]
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_safe_steps_added_pay_by_the_sum_and_not_by_the_worst():
    """What is hacked: ten steps that risk nothing, after the same two."""
    short, other = Steps([0, 1], [0.9, 0.3]), Steps([0, 1], [0.5, 0.4])
    padded = Steps([*range(12)], [0.9, 0.3, *[0.9] * 10])
    by_sum = [summed_steps([s, other], [n, 2])[0][0] for s, n in ((short, 2), (padded, 12))]
    by_worst = [worst_step([s, other], [n, 2], 1e-3)[0][0] for s, n in ((short, 2), (padded, 12))]
    assert by_sum[1] > by_sum[0] + 1.0
    assert by_worst[1] == pytest.approx(by_worst[0], abs=1e-9)


def test_one_response_alone_has_nothing_to_be_compared_with():
    assert worst_step([GROUP[0]], [5]) == [[0.0] * 5]
