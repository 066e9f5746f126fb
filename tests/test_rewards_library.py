"""The rewards as plain functions, and as reward functions of TRL and verl."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from r1.errors import UserError
from r1.rewards import (
    choice_reward,
    exact_reward,
    format_reward,
    language_reward,
    library,
    math_reward,
    trl_reward,
)
from r1.rewards.adapters import compute_score
from r1.rewards.settings import RewardSettings
from r1.types import Outcome


@pytest.fixture(scope="module", autouse=True)
def _no_workers_left() -> Iterator[None]:
    yield
    library.configure()


def test_a_star_import_has_every_reward_and_messages_name_arguments() -> None:
    names: dict[str, object] = {}
    exec("from r1.rewards import *", names)
    assert names["math_reward"] is math_reward
    code_reward = names["code_reward"]
    assert callable(code_reward)
    with pytest.raises(UserError, match=r"^test 1 of tests must .* add its name as entry$"):
        code_reward("", [{"input": [1], "output": 2}])
    with pytest.raises(UserError, match=r"^tests is a list of assertions"):
        code_reward("", ["assert f(1) == 2"])


def test_importing_a_reward_loads_nothing_heavy() -> None:
    code = """
        import sys
        from r1.rewards import math_reward
        heavy = [m for m in ("torch", "sympy", "transformers", "numpy") if m in sys.modules]
        score = math_reward("the answer is \\\\boxed{42}", "42.0")
        print(heavy, score.value, "sympy" in sys.modules)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[] 1.0 False"


def test_plain_numbers_start_no_worker() -> None:
    library.close()
    assert math_reward("42", "42").value == 1.0
    assert math_reward("<think>1</think> <answer>41</answer>", "42").value == 0.0
    assert library._pool is None


@pytest.mark.parametrize(
    ("text", "reference", "outcome"),
    [
        (r"so it is \boxed{\frac{1}{2}}.", "0.5", Outcome.CORRECT),
        (r"<think>a</think> <answer>\sqrt{8}</answer>", r"2\sqrt{2}", Outcome.CORRECT),
        (r"<think>\boxed{\frac12}</think> I do not know", "0.5", Outcome.WRONG),
        (r"<think>it is \boxed{\frac12}", "0.5", Outcome.UNPARSEABLE),
        (r"<answer>\frac12</answer> <answer>1/3</answer>", "0.5", Outcome.UNPARSEABLE),
        ("9^{9^{9^{9^9}}}", "2", Outcome.WRONG),
    ],
)
def test_math_reward(text: str, reference: str, outcome: Outcome) -> None:
    score = math_reward(text, reference)
    assert score.outcome is outcome
    assert score.value == float(outcome is Outcome.CORRECT)


def test_a_reference_that_cannot_be_verified_is_the_callers_mistake() -> None:
    for reference in (r"\frac{", "9^{9^{9^9}}", ""):
        with pytest.raises(UserError):
            math_reward(r"\boxed{x}", reference)
    with pytest.raises(UserError, match="did you mean 'math'"):
        library.answer_reward("x", "y", "maths")
    with pytest.raises(UserError, match="beyond"):
        choice_reward("A", "E", ["Rome", "Paris"])


def test_a_formula_copied_from_the_question_is_not_paid() -> None:
    assert math_reward(r"\boxed{\sqrt{50}}", r"5\sqrt{2}").value == 1.0
    assert (
        math_reward(r"\boxed{\sqrt{50}}", r"5\sqrt{2}", question=r"What is \sqrt{50}?").value == 0
    )


@pytest.mark.slow
def test_what_hangs_is_timed_out_and_costs_the_next_call_nothing() -> None:
    library.configure(RewardSettings(timeout_s=2.0, plugins=("hostile_verifiers",)))
    score = library.answer_reward("hang", "x", "hostile")
    assert score.outcome is Outcome.TIMED_OUT
    assert library.answer_reward("x", "x", "hostile").value == 1.0
    assert library.counts().restarts == 1
    library.configure()


def test_format_choice_exact_and_language() -> None:
    assert format_reward("<think>a</think> <answer>2</answer>").value == 1.0
    assert format_reward("a</think> <answer>2</answer>", opened=True).value == 1.0
    assert format_reward("a</think> <answer>2</answer>").value == 0.0
    assert choice_reward("The answer is Paris.", "B", ["Rome", "Paris"]).value == 1.0
    assert choice_reward("<answer>A</answer>", "B").value == 0.0
    assert exact_reward("<answer>new york</answer>", "NYC", ["New York"]).value == 1.0
    assert exact_reward("k", "K", case=True).value == 0.0
    assert language_reward("<think>all of it is English</think> 2", "en").value == 1.0
    assert language_reward("<think>all of it is English</think> 2", "zh").value < 0.5


def test_trl_reward_takes_strings_and_messages_and_says_none_without_a_verdict() -> None:
    reward = trl_reward("math", reference="solution")
    assert reward.__name__ == "math_reward"
    chat = [{"role": "assistant", "content": r"\boxed{1/2}"}]
    completions = [chat, r"\boxed{\frac{2}{4}}", "3", "no idea"]
    found = reward(
        prompts=["p"] * 4, completions=completions, solution=["0.5", "0.5", "4", "4"], step=[0] * 4
    )
    assert found == [1.0, 1.0, 0.0, 0.0]
    library.configure(RewardSettings(timeout_s=2.0, plugins=("hostile_verifiers",)))
    assert trl_reward("hostile")(
        prompts=["", ""], completions=["hang", "x"], answer=["x", "x"]
    ) == [
        None,
        1.0,
    ]
    library.configure()
    assert trl_reward("format")(["p"], ["<think>a</think> <answer>2</answer>"]) == [1.0]
    assert trl_reward("choice", options=["Rome", "Paris"])(["p"], ["Paris"], answer=["B"]) == [1.0]
    with pytest.raises(UserError, match="no column 'answer'"):
        trl_reward("math")(["p"], ["2"], solution=["2"])


def test_compute_score_has_the_form_that_verl_calls() -> None:
    assert compute_score("gsm8k", "so <answer>5</answer>", "5", {"index": 3, "split": "train"}) == 1
    assert compute_score(data_source="m", solution_str="6", ground_truth=5) == 0.0
    options = {"verifier": "choice", "options": ["Rome", "Paris"]}
    assert compute_score("mmlu", "Paris", "B", options) == 1.0


@pytest.mark.slow
def test_a_forked_child_starts_workers_of_its_own() -> None:
    code = r"""
        import os
        from r1.rewards import math_reward
        first = math_reward(r"\boxed{\frac12}", "0.5").value
        child = os.fork()
        if child == 0:
            os._exit(0 if math_reward(r"\boxed{\frac13}", "1/3").value == 1.0 else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(first, status, math_reward(r"\boxed{\frac14}", "1/4").value)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "1.0 0 1.0"
