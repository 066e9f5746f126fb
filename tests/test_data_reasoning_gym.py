"""reasoning-gym as a problem source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r1.data.load import load_data, load_problems
from r1.data.settings import DataSettings, SourceSettings
from r1.errors import UserError

TASKS = (
    "chain_sum",
    "basic_arithmetic",
    "gcd",
    "leg_counting",
    "letter_counting",
    "countdown",
    "simple_equations",
    "syllogism",
    "word_sorting",
    "knights_knaves",
    "number_sequence",
    "rearc",
)


def load(**keys):
    return load_problems(SourceSettings(**keys), Path())


@pytest.mark.parametrize("task", TASKS)
def test_the_gold_answer_is_accepted_by_the_tasks_own_scorer(task):
    import reasoning_gym

    problems = load(task=task, num=3)
    assert len({problem.id for problem in problems}) == 3
    for problem in problems:
        assert problem.verifier == "reasoning_gym"
        assert problem.family == problem.metadata["task"] == task
        assert problem.prompt == problem.metadata["entry"]["question"]
        score = reasoning_gym.get_score_answer_fn(problem.metadata["task"])
        assert score(problem.reference, problem.metadata["entry"]) == 1.0
        assert score("certainly not this", problem.metadata["entry"]) < 0.5
        json.dumps(problem.metadata)


def test_the_same_settings_draw_the_same_problems_and_parameters_count():
    keys = {"task": "chain_sum", "num": 20, "parameters": {"min_terms": 4, "max_terms": 4}}
    problems = load(**keys)
    assert problems == load(**keys)
    assert {problem.prompt.count("+") + problem.prompt.count("-") for problem in problems} == {3}
    assert problems[0].metadata["parameters"] == keys["parameters"]
    assert problems[0].id != load(task="chain_sum", num=1)[0].id


def test_neighbouring_seeds_draw_different_problems():
    easy = {"task": "gcd", "num": 50}
    first, second = ({p.prompt for p in load(**easy, seed=seed)} for seed in (0, 1))
    assert len(first & second) < 5


def test_two_draws_of_one_template_lose_only_their_copies():
    train = ({"task": "leg_counting", "num": 30},)
    heldout = ({"task": "leg_counting", "num": 20, "seed": 1},)
    assert not load_data(DataSettings(train=train, heldout=heldout), Path()).dropped


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"task": "chian_sum"}, 'no task "chian_sum" for a source; did you mean chain_sum'),
        ({"task": "composite"}, r"give one \[\[data.train\]\] table a task"),
        ({"task": "gcd", "parameters": {"min_number": 3}}, "did you mean min_numbers"),
        ({"task": "gcd", "parameters": {"size": 3}}, 'set "num" beside task'),
        ({"task": "gcd", "parameters": {"seed": 3}}, 'set "seed" beside task'),
        ({"task": "chain_sum", "parameters": {"min_terms": 9, "max_terms": 2}}, "must be >= min"),
        ({"task": "chain_sum", "parameters": {"min_terms": "many"}}, "refuses the parameters"),
    ],
)
def test_unknown_tasks_and_bad_parameters(keys, message):
    with pytest.raises(UserError, match=message):
        load(**keys)


def test_the_rewards_own_check_accepts_what_is_drawn():
    from r1.rewards.accuracy import check_reference

    for task in ("chain_sum", "countdown", "rearc", "graph_color"):
        source = SourceSettings(task=task, num=3)
        assert len(load_problems(source, Path(), check_reference)) == 3
