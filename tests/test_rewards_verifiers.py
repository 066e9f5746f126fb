"""Format, exact match, multiple choice, reasoning-gym, and where answers are read."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from reasoning_gym.factory import create_dataset

from r1.data.tiny.problems import make_problems
from r1.rewards.accuracy import check_reference
from r1.rewards.boxes import boxed_answer
from r1.rewards.combine import combine
from r1.rewards.names import reward_names
from r1.rewards.reading import after_thinking, read_answer
from r1.rewards.reasoning_gym import says_more
from r1.rewards.registry import PromptForm, make_reward, verifier_names
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

OPTIONS = ["Rome", "Paris", "Cairo", "Athens"]


def completion(text: str, finish_reason: str = "stop") -> Completion:
    return Completion([], [], text, finish_reason)


def judge(problem: Problem, answer: str, **changes: object) -> Score:
    reward = make_reward("accuracy", RewardSettings.model_validate(changes))
    return reward(problem, completion(f"<think>a</think> <answer>{answer}</answer>"))


def test_built_in_names() -> None:
    assert {"accuracy", "format"} <= set(reward_names())
    assert {"math", "exact", "choice", "reasoning_gym"} <= set(verifier_names())


def test_format_names_the_defect() -> None:
    reward = make_reward("format", RewardSettings())
    problem = Problem("p", "", "5", "math")
    good = reward(problem, completion("<think>a</think> <answer>6</answer>"))
    assert good == Score(1.0, Outcome.CORRECT)
    bad = reward(problem, completion("<think>a</think> 5"))
    assert bad == Score(0.0, Outcome.WRONG, "no <answer>")


def test_a_stop_string_that_closed_the_answer_is_put_back() -> None:
    form = PromptForm(stop=("</answer>",))
    reward = make_reward("format", RewardSettings(), form)
    problem = Problem("p", "", "5", "exact")
    text = "<think>a</think> <answer>5"
    assert reward(problem, completion(text)).value == 1.0
    assert reward(problem, completion(text, "length")).value == 0.0
    assert make_reward("format", RewardSettings())(problem, completion(text)).value == 0.0
    assert make_reward("accuracy", RewardSettings(), form)(problem, completion(text)).value == 1.0


@pytest.mark.parametrize(
    ("source", "text", "answer"),
    [
        ("answer", "<think>a</think> <answer> 5 </answer>", "5"),
        ("answer", "<answer>5</answer>", None),
        ("tag", "so <answer>5</answer>", "5"),
        ("tag", "<answer>4</answer> <answer>5</answer>", None),
        ("boxed", r"<think>\boxed{4}</think> it is \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        ("boxed", r"<think>\boxed{4}</think> it is 4", None),
        ("boxed", r"<think>\boxed{4}", None),
        ("boxed", r"\boxed{4} then \boxed{5}", "5"),
        ("text", "<think>a</think> 5\n", "5"),
        ("text", " 5", "5"),
        ("text", "<think>5", None),
    ],
)
def test_where_the_answer_is_read(source, text: str, answer: str | None) -> None:
    assert read_answer(completion(text), source, PromptForm()) == answer


def test_reading_is_linear_in_hostile_texts() -> None:
    began = time.process_time()
    assert boxed_answer("\\boxed{" * 50_000) is None
    assert after_thinking("<think>" * 50_000, opened=False) is None
    assert time.process_time() - began < 60  # quadratic: minutes at least


def test_a_problem_may_say_where_its_answer_stands() -> None:
    problem = Problem("p", "", "5", "math", metadata={"answer_from": "boxed"})
    reward = make_reward("accuracy", RewardSettings())
    assert reward(problem, completion(r"I find \boxed{5}")).outcome is Outcome.CORRECT
    assert reward(problem, completion("I find 5")).outcome is Outcome.UNPARSEABLE


@pytest.mark.parametrize(
    ("reference", "answer", "metadata", "value"),
    [
        ("K", "K", {}, 1.0),
        ("K", "ｋ.", {}, 1.0),
        ("K", "k", {"case": True}, 0.0),
        ("K", "K or M", {}, 0.0),
        ("New York", " new   york! ", {}, 1.0),
        ("New York", "“New York”", {}, 1.0),
        ("New York", "NYC", {"aliases": ["NYC"]}, 1.0),
        ("巴黎", "巴黎。", {}, 1.0),
        ("K", "K" * 100_000, {}, 0.0),
        ("K", "K\u200b", {}, 1.0),
    ],
)
def test_exact(reference: str, answer: str, metadata: dict, value: float) -> None:
    problem = Problem("p", "", reference, "exact", metadata=metadata)
    assert judge(problem, answer).value == value


@pytest.mark.parametrize("case", ["false", "no", 2, []])
def test_case_is_true_or_false(case: object) -> None:
    """A text that says no would be read as yes."""
    problem = Problem("p", "", "K", "exact", metadata={"case": case})
    assert "it must be true or false" in (check_reference(problem) or "")


CHOSEN_B = """B|b|(B)|B.|B)|[B]|Ｂ|**B**|\\boxed{B}|\\text{B}|$B$|答案：B|答案是B。|选B|选择 B
Answer: B
The answer is B.|The correct answer is (B)|Option B|B. Paris|(B) Paris|B: Paris|Paris|paris.
the answer is Paris"""


@pytest.mark.parametrize("answer", CHOSEN_B.replace("\n", "|").split("|"))
def test_choice_forms(answer: str) -> None:
    problem = Problem("p", "", "B", "choice", metadata={"options": OPTIONS})
    assert judge(problem, answer).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("A", Outcome.WRONG),
        ("A or B", Outcome.WRONG),
        ("B, C", Outcome.WRONG),
        ("(A) (B) (C) (D)", Outcome.WRONG),
        ("B. Rome", Outcome.WRONG),
        ("B and not C", Outcome.WRONG),
        ("ABCD", Outcome.UNPARSEABLE),
        ("Rome", Outcome.WRONG),
        ("Rome Paris", Outcome.UNPARSEABLE),
        ("London", Outcome.UNPARSEABLE),
        ("?", Outcome.UNPARSEABLE),
        ("B" * 10_000, Outcome.WRONG),
        (r"\boxed{A} \boxed{B}", Outcome.WRONG),
    ],
)
def test_choices_not_paid(answer: str, outcome: Outcome) -> None:
    problem = Problem("p", "", "B", "choice", metadata={"options": OPTIONS})
    score = judge(problem, answer)
    assert (score.value, score.outcome) == (0.0, outcome)


@pytest.mark.parametrize(
    ("verifier", "reference", "metadata", "words"),
    [
        ("choice", "E", {"options": OPTIONS}, "beyond the 4 options"),
        ("choice", "Berlin", {"options": OPTIONS}, "no letter"),
        ("exact", "", {}, "not empty"),
        ("reasoning_gym", None, {}, "metadata needs"),
        ("reasoning_gym", None, {"task": "chain_sums", "entry": {"answer": "1"}}, "no task"),
        ("reasoning_gym", None, {"task": "chain_sum", "entry": {}}, "no answer"),
        ("maths", "5", {}, "did you mean 'math'"),
    ],
)
def test_unverifiable_references_are_named(verifier, reference, metadata, words) -> None:
    problem = Problem("p", "", reference, verifier, metadata=metadata)
    assert words in (check_reference(problem) or "")


def test_every_gold_answer_of_the_tiny_world_scores_1() -> None:
    for family in ("arithmetic", "cups", "facts"):
        for problem in make_problems("train", families=[family], num=100):
            assert check_reference(problem) is None
            assert judge(problem, str(problem.reference)).outcome is Outcome.CORRECT
            assert judge(problem, f"{problem.reference} or 1").value == 0.0


def test_reasoning_gym_pays_only_full_scores_unless_told() -> None:
    entry = {"question": "", "answer": "12", "metadata": {}}
    problem = Problem(
        "p", "", "12", "reasoning_gym", metadata={"task": "chain_sum", "entry": entry}
    )
    assert judge(problem, "12").value == 1.0
    assert judge(problem, "+012.0").value == 1.0
    listing = judge(problem, "12 or 13")
    assert (listing.value, listing.outcome) == (0.0, Outcome.WRONG)
    partial = judge(problem, "12 or 13", partial_credit=True)
    assert 0.0 < partial.value < 1.0
    assert partial.outcome is Outcome.WRONG


@pytest.mark.parametrize(
    ("task", "gold", "answer"),
    [
        ("game_of_life_halting", "False", "not False"),
        ("game_of_life_halting", "False", "False or True"),
        ("gsm_symbolic", "574", "574 or 575"),
        ("gsm_symbolic", "574", "the answer is not 574"),
        ("fraction_simplification", "$\\dfrac{4}{9}$", "$\\dfrac{4}{9}$ or $\\dfrac{5}{9}$"),
        ("fraction_simplification", "$\\dfrac{4}{9}$", "$\\dfrac{4}{9}$1"),
        ("coin_flip", "1", "11"),
        ("sokoban", "UULL", "not UULL"),
        ("knights_knaves", "Ann is a knave.", "Ann is a knave. 7"),
    ],
)
def test_reasoning_gym_answers_that_say_more_are_not_paid(task, gold: str, answer: str) -> None:
    assert says_more(gold, answer), task
    assert not says_more(gold, gold)
    assert not says_more(gold, f" {gold} ")


def test_what_only_frames_an_answer_says_no_more() -> None:
    for gold, answer in (("574", "574 dollars"), ("12", "12.0"), ("0.99", "0.9900001"),
                         ("False", "the answer is False"), ("UULL", "my moves: UULL")):  # fmt: skip
        assert not says_more(gold, answer)


def test_a_scorer_that_stumbles_over_an_answer_finds_it_wrong() -> None:
    entry = create_dataset("prime_factorization", size=1, seed=3)[0]
    metadata = {"task": "prime_factorization", "entry": entry}
    problem = Problem("p", "", entry["answer"], "reasoning_gym", metadata=metadata)
    assert judge(problem, entry["answer"]).value == 1.0
    for answer in ("not a number", f"{entry['answer']} or 7", "x × y", "2 ×× 3", "√4"):
        assert judge(problem, answer).outcome is Outcome.WRONG


@pytest.mark.parametrize("task", ["countdown", "spiral_matrix", "simple_integration", "n_queens"])
def test_reasoning_gym_scorers_cannot_be_made_to_run_code(task: str, tmp_path) -> None:
    import reasoning_gym

    entry = reasoning_gym.create_dataset(task, size=1, seed=1)[0]
    problem = Problem("p", "", None, "reasoning_gym", metadata={"task": task, "entry": entry})
    assert check_reference(problem) is None
    target = tmp_path / "made"
    for answer in (
        f"__import__('os').system('touch {target}')",
        f"[open('{target}', 'w')]",
        f"open('{target}', 'w')",
        f"().__class__.__base__.__subclasses__() or open('{target}', 'w')",
    ):
        assert judge(problem, answer).value == 0.0
    assert not target.exists()


def test_weighted_sum_keeps_its_parts_and_knows_when_it_is_void() -> None:
    right, wrong = Score(1.0, Outcome.CORRECT), Score(0.0, Outcome.WRONG)
    void = Score(0.0, Outcome.TIMED_OUT)
    reward = combine({"accuracy": right, "format": wrong}, {"accuracy": 1.0, "format": 0.5})
    assert (reward.total, reward.valid) == (1.0, True)
    reward = combine({"accuracy": void, "format": right}, {"accuracy": 1.0, "format": 0.5})
    assert (reward.total, reward.valid) == (0.5, False)
    assert reward.parts["accuracy"] is void


def test_importing_rewards_takes_neither_torch_nor_sympy() -> None:
    code = (
        "import sys, r1.template, r1.rewards.pool, r1.rewards.names as g; g.reward_names();"
        "print([m for m in ('torch', 'sympy', 'math_verify', 'reasoning_gym', 'numpy')"
        " if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
