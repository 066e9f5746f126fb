"""Every gold answer of every family of problem that the project can draw scores 1.

Through the reward as training calls it: a well-formed response around the gold answer.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from reasoning_gym.factory import DATASETS

from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.data.tiny.problems import DRAW, LANGUAGES, make_problems
from r1.errors import UserError
from r1.rewards.accuracy import check_reference
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, RolloutGroup

TASKS = sorted(set(DATASETS) - {"composite"})
SLOW_TO_DRAW = {"knight_swap", "futoshiki", "arc_agi", "rearc", "zebra_puzzles", "quantum_lock"}
SLOW_FAMILIES = {"functions": 40}
"""Families whose gold answers are programs: a fortieth of the others' number."""
PARAMETERS = {
    "decimal_arithmetic": {"min_num_decimal_places": 7, "max_num_decimal_places": 9},
    "chain_sum": {"min_terms": 5, "max_terms": 7},
    "sudoku": {"min_empty": 10, "max_empty": 12},
    "n_queens": {"n": 6, "min_remove": 1, "max_remove": 3},
    "mini_sudoku": {"min_empty": 4, "max_empty": 5},
    "base_conversion": {"min_base": 2, "max_base": 5},
}
"""Tasks drawn otherwise than by default: their scorers must be told."""


def not_paid(problems: list[Problem], pool: RewardPool) -> list[tuple[str, str | None, str]]:
    groups = [
        RolloutGroup(
            problem,
            (),
            [Completion([], [], f"<think>a</think> <answer>{problem.reference}</answer>", "stop")],
        )
        for problem in problems
    ]
    found = []
    for scored in pool.score_groups(groups):
        score = scored.rewards[0].parts["accuracy"]
        if (score.value, score.outcome) != (1.0, Outcome.CORRECT):
            problem = scored.group.problem
            found.append((problem.id, problem.reference, score.detail))
    return found


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """reasoning-gym's codeio runs programs of its own in this process; some write files."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def pool():
    settings = RewardSettings(weights={"accuracy": 1.0}, num_workers=2, timeout_s=60.0)
    with RewardPool(settings) as shared:
        yield shared


def draw(task: str, num: int, **keys: object) -> list[Problem]:
    source = SourceSettings.model_validate({"task": task, "num": num, **keys})
    return load_problems(source, Path())


def draw_tiny(split: str, family: str, language: str, num: int) -> list[Problem]:
    """As many as there are, up to num: some families are small."""
    while True:
        try:
            return make_problems(split, [family], [language], num)
        except UserError:
            num //= 2


@pytest.mark.slow
def test_thousands_of_the_tiny_world(pool: RewardPool) -> None:
    problems = [
        problem
        for family in DRAW
        for language in LANGUAGES
        for split, num in (("train", 400), ("heldout", 40))
        for problem in draw_tiny(split, family, language, num // SLOW_FAMILIES.get(family, 1))
    ]
    assert len(problems) >= 2000
    if shutil.which("bwrap") is None:
        problems = [problem for problem in problems if problem.verifier != "code"]
    assert not [reason for problem in problems if (reason := check_reference(problem))]
    assert not not_paid(problems, pool)


@pytest.mark.slow
def test_every_reasoning_gym_task(pool: RewardPool) -> None:
    assert len(TASKS) >= 100
    problems = [
        problem
        for task in TASKS
        for problem in draw(task, 1 if task in SLOW_TO_DRAW else 2)
        if problem.reference is not None
    ]
    assert not not_paid(problems, pool)


@pytest.mark.slow
def test_thousands_of_reasoning_gym(pool: RewardPool) -> None:
    problems = [
        problem
        for task in TASKS
        for problem in draw(task, 5 if task in SLOW_TO_DRAW else 40, seed=7)
        if problem.reference is not None
    ]
    assert len(problems) >= 3000
    assert not not_paid(problems, pool)


@pytest.mark.few(2)
@pytest.mark.parametrize("task", sorted(PARAMETERS))
def test_tasks_with_parameters_of_ones_own(pool: RewardPool, task: str) -> None:
    problems = draw(task, 20, parameters=PARAMETERS[task])
    assert not [reason for problem in problems if (reason := check_reference(problem))]
    assert not not_paid(problems, pool)


def test_a_scorer_that_reads_its_parameters_gets_them() -> None:
    """Nine decimal places are drawn: an answer wrong in the eighth is wrong, not rounded away."""
    from r1.rewards.reasoning_gym import score_reasoning_gym

    [problem] = draw("decimal_arithmetic", 1, parameters=PARAMETERS["decimal_arithmetic"])
    settings = RewardSettings()
    gold = str(problem.reference)
    assert score_reasoning_gym(problem, gold, settings).value == 1.0
    off = f"{float(gold) + 3e-7:.9f}"
    assert score_reasoning_gym(problem, off, settings).value == 0.0


def test_an_integral_left_unsolved_is_no_gold_answer() -> None:
    problems = draw("intermediate_integration", 12)
    assert len(problems) == 12
    assert not [problem for problem in problems if "Integral(" in str(problem.reference)]
