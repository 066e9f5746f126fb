"""Every epoch shows every example once, in an order of its own that follows from the seed."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clock import soon
from r1.sft.order import Order, best_fit
from r1.sft.settings import BatchSettings

LENGTHS = [random.Random(n).randint(1, 60) for n in range(103)]


def steps(order: Order) -> list[list[int]]:
    return [order.step(step) for step in range(order.num_steps)]


@pytest.mark.parametrize("unit", ["examples", "rows"])
def test_each_epoch_holds_every_example_once(unit) -> None:
    order = Order(LENGTHS, BatchSettings(size=8, unit=unit, epochs=3), 64, seed=1)
    dealt = steps(order)
    assert order.num_steps == 3 * order.steps_per_epoch
    each = order.steps_per_epoch
    epochs = [[i for step in dealt[e * each : (e + 1) * each] for i in step] for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(103))
    assert epochs[0] != epochs[1] != epochs[2]


def test_no_step_is_a_small_rest() -> None:
    """103 examples in steps of at most 32: four of 25 or 26, not three and a rest of 7."""
    order = Order(LENGTHS, BatchSettings(size=32, epochs=1), 64, seed=0)
    assert [len(step) for step in steps(order)] == [25, 26, 26, 26]


def test_rows_are_dealt_whole_and_fit() -> None:
    order = Order(LENGTHS, BatchSettings(size=4, unit="rows", epochs=1), 64, seed=0)
    num_rows = len(best_fit(range(103), np.array(LENGTHS), 64))
    assert order.steps_per_epoch == -(-num_rows // 4)
    for indices in steps(order):
        assert sum(LENGTHS[i] for i in indices) <= 4 * 64


@pytest.mark.parametrize("unit", ["examples", "rows"])
def test_a_step_follows_from_the_seed_alone(unit) -> None:
    settings = BatchSettings(size=8, unit=unit, epochs=3)
    whole = steps(Order(LENGTHS, settings, 64, seed=5))
    fresh = Order(LENGTHS, settings, 64, seed=5)
    for step in (len(whole) - 1, 0, len(whole) // 2):
        assert fresh.step(step) == whole[step]
    assert steps(Order(LENGTHS, settings, 64, seed=6)) != whole


def test_max_steps_ends_early() -> None:
    order = Order(LENGTHS, BatchSettings(size=8, epochs=2, max_steps=5), 64, seed=0)
    assert order.num_steps == 5
    assert order.epochs_before(5) == pytest.approx(5 / 13)


def naive_best_fit(order: list[int], lengths: list[int], budget: int) -> list[list[int]]:
    """The definition: the fullest row with room, else a new one."""
    rows: list[list[int]] = []
    for index in sorted(order, key=lambda i: -lengths[i]):
        room = [budget - sum(lengths[i] for i in row) for row in rows]
        fitting = [r for r in range(len(rows)) if room[r] >= lengths[index]]
        if fitting:
            rows[min(fitting, key=lambda r: room[r])].append(index)
        else:
            rows.append([index])
    return rows


@settings(max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=40), st.integers(20, 60))
def test_best_fit_is_best_fit(lengths: list[int], budget: int) -> None:
    order = list(range(len(lengths)))
    random.Random(0).shuffle(order)
    rows = best_fit(order, np.array(lengths), budget)
    assert sorted(index for row in rows for index in row) == sorted(order)
    for row in rows:
        assert len(row) == 1 or sum(lengths[i] for i in row) <= budget
    assert len(rows) == len(naive_best_fit(order, lengths, budget))


def test_best_fit_is_quick_where_rows_are_many() -> None:
    """50,000 examples in rows of 32,768 tokens, hardly any room left empty."""
    lengths = np.random.default_rng(0).integers(200, 20_000, 50_000)
    with soon():
        rows = best_fit(range(len(lengths)), lengths, 32_768)
    assert sum(lengths) / (len(rows) * 32_768) > 0.98
