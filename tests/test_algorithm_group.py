"""Group advantages against numpy's float64 arithmetic; groups without signal."""

from __future__ import annotations

import numpy as np
import pytest

from r1.algorithms.group import group_advantages

REWARDS = [2.0, 0.0, 1.0, 1.0, 0.3, 2.0, -0.5]


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 1e-4])
@pytest.mark.parametrize(("std", "ddof"), [("population", 0), ("sample", 1), ("none", None)])
def test_equals_numpy(std, ddof, epsilon):
    rewards = np.array(REWARDS, dtype=np.float64)
    scale = 1.0 if ddof is None else rewards.std(ddof=ddof) + epsilon
    result = group_advantages(REWARDS, [True] * 7, std, epsilon)
    np.testing.assert_allclose(result, (rewards - rewards.mean()) / scale, rtol=1e-12)
    assert any(result)


def test_the_papers_formula_by_hand():
    assert group_advantages([1, 0, 0, 1], [True] * 4, "population", 0.0) == [
        1,
        -1,
        -1,
        1,
    ]


def test_invalid_samples_touch_neither_mean_nor_deviation():
    all_valid = group_advantages([1.0, 0.0, 1.0], [True] * 3, "sample", 1e-6)
    mixed = group_advantages([1.0, 99.0, 0.0, 1.0], [True, False, True, True], "sample", 1e-6)
    assert mixed == [all_valid[0], 0.0, all_valid[1], all_valid[2]]


@pytest.mark.parametrize(
    ("rewards", "valid"),
    [
        ([0.1 + 0.2] * 4, [True] * 4),
        ([1.0, 0.0], [True, False]),
        ([1.0, 0.0], [False, False]),
        ([], []),
    ],
)
def test_no_signal_is_exactly_zero(rewards, valid):
    for std in ("population", "sample", "none"):
        result = group_advantages(rewards, valid, std, 0.0)
        assert result == [0.0] * len(rewards)
