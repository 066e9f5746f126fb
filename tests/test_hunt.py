"""A policy that is paid for a verifier's mistakes finds those that are there, and no others."""

from __future__ import annotations

import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Problem

sys.path.insert(0, str(Path(__file__).parents[1] / "bench"))

from hunt import GRAMMARS, OBJECTIVES, hunt, open_pool
from hunt_answers import Grammar, Picks, Task, Written

NUM_OPTIONS = 24


def _draw(rng: random.Random) -> Task:
    exponent = rng.choice((1, 2, 9))
    reference = Fraction(rng.randint(2, 99), 10**exponent)

    def write(picks: Picks) -> Written:
        given = reference * int(picks["factor"])
        return Written(str(given), given == reference)

    return Task(Problem("tiny", "", str(reference), "absolute"), write)


def test_the_hunter_finds_a_tolerance_that_turns_absolute_and_keeps_to_it() -> None:
    grammar = Grammar({"factor": tuple(str(n) for n in range(-4, NUM_OPTIONS))}, _draw)
    settings = RewardSettings(
        weights={"accuracy": 1.0}, answer_from="text", plugins=("absolute_verifier",)
    )
    with RewardPool(settings) as pool:
        found = hunt(pool, "absolute", grammar, "paid", steps=3)
        silent = hunt(pool, "absolute", grammar, "unpaid", steps=2)
    assert found.found > 0
    assert all(Fraction(each["reference"]) < Fraction(1, 10**6) for each in found.examples)
    assert silent.found == 0


def test_a_hole_of_one_option_is_learnt() -> None:
    """The share of paid samples rises from one option in 28 to most of them."""

    def draw(rng: random.Random) -> Task:
        reference = Fraction(rng.randint(2, 99), 10**3)

        def write(picks: Picks) -> Written:
            tiny = picks["factor"] == "7"
            given = reference + (Fraction(1, 10**8) if tiny else int(picks["factor"]) + 5)
            return Written(str(given), False)

        return Task(Problem("one", "", str(reference), "absolute"), write)

    grammar = Grammar({"factor": tuple(str(n) for n in range(-4, NUM_OPTIONS))}, draw, groups=8)
    settings = RewardSettings(
        weights={"accuracy": 1.0}, answer_from="text", plugins=("absolute_verifier",)
    )
    with RewardPool(settings) as pool:
        found = hunt(pool, "absolute", grammar, "paid", steps=15)
    assert found.curve[0] < 0.2
    assert found.curve[-1] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GRAMMARS if not name.startswith("code")])
def test_a_short_hunt_finds_nothing(name: str) -> None:
    with open_pool() as pool:
        hunts = [hunt(pool, name, GRAMMARS[name], each, steps=2, seed=5) for each in OBJECTIVES]
    assert [each.examples for each in hunts] == [[]] * len(hunts)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GRAMMARS if name.startswith("code")])
def test_a_short_hunt_with_programs_finds_nothing(name: str) -> None:
    with open_pool() as pool:
        found = hunt(pool, name, GRAMMARS[name], "paid", steps=2, seed=5)
    assert found.examples == []
