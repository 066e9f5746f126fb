"""Answers as models state them: what is read, what is no statement, and what listing earns."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from r1.rewards.accuracy import check_reference, make_accuracy
from r1.rewards.boxes import boxed_answer
from r1.rewards.library import math_reward
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rewards.stated import Rule, find_stated
from r1.types import Completion, Outcome, Problem, Score

GSM8K = Path(__file__).parents[2] / "shared/benchmarks/gsm8k"

STATED = [
    ("The answer is 18.", "18"),
    ("16-3-4=9. 9*2=18. The answer is 18.", "18"),
    ("#### 18", "18"),
    ("2+3=5\n#### 5", "5"),
    ("#### $31.00", "$31.00"),
    ("#### -4", "-4"),
    ("#### 1,250", "1,250"),
    ("#### B", "B"),
    ("Let us see.\n\nAnswer: 34", "34"),
    ("46 - 78 = -32", "-32"),
    ("A: 18", "18"),
    ("ANSWER: C", "C"),
    ("Answer = 12", "12"),
    ("Answer:\n\n42", "42"),
    ("**Answer: 4**", "4"),
    ("**Answer:** 4", "4"),
    ("**Final Answer**\n\\boxed{4}", "4"),
    ("Final answer: 12 cm", "12 cm"),
    ("Answer: 5.\nLet me know if you need help!", "5"),
    ("Answer: 5. Then we stop.", "5"),
    ("答案是 18", "18"),
    ("所以答案：18。", "18"),
    ("最终答案为：\n\n42", "42"),
    ("答案应该是 18，因为她卖了9个。", "18"),
    ("答案为 3/4。", "3/4"),
    ("答案是（C）", "（C）"),
    ("答：18", "18"),
    ("故选B。", "B"),
    ("因此应选C", "C"),
    ("所以x=5", "x=5"),
    ("一共有18个苹果。", "18"),
    ("so x = 5", "x = 5"),
    ("The answer is 18.5", "18.5"),
    ("The answer is 18.5 dollars.", "18.5 dollars"),
    ("The answer is $1,234.", "$1,234"),
    ("The answer is 18 dollars because she sells 9 eggs.", "18 dollars"),
    ("The answer is 5, which is prime.", "5"),
    ("The answer is 5, not 6.", "5"),
    ("The answer is 5, 6.", "5, 6"),
    ("The final answer is $\\frac{1}{2}$. I hope it is correct.", "\\frac{1}{2}"),
    ("The answer is:\n$$\nx = 7\n$$", "x = 7"),
    ("The correct option is (C).", "(C)"),
    ("The answer is option D.", "D"),
    ("Option B is correct.", "B"),
    ("Therefore, the answer is **B**.", "B"),
    ("The answer is (B) because Paris.", "(B)"),
    ("The answer is\n\n**42**", "42"),
    ("The answer to the question is no.", "no"),
    ("My answer is yes.", "yes"),
    ("The answer is St. Louis.", "St. Louis"),
    ("So the answer must be 7!", "7"),
    ("I think the answer is 5. But wait, 6 * 2 = 12, so the answer is 12.", "12"),
    ("Answer: 5 Answer: 6", "6"),
    ("<answer>4</answer>", "4"),
    ("The answer is \\boxed{5}, a prime.", "5"),
    ("\\[ x = 5 \\]", "x = 5"),
    ("Therefore\n$$ 3 + 4 = 7 $$", "7"),
    ("x = 3 or x = -5", "x = 3 or x = -5"),
    ("20% of 50 = 10", "10"),
    ("The total is 1/2.", "1/2"),
    ("She makes $18 every day at the farmers' market.", "$18"),
    ("After checking every case, the liar is **Bob**.", "Bob"),
    ("**Step 3:** the liar is **Bob**.", "Bob"),
    ("So it is (C)", "C"),
    ("I will go with C.", "C"),
    ("(C) is the best answer.", "C"),
    ("The answer is not 18 but 20.", "20"),
    ("The answer is 18. Actually, it is 20.", "20"),
    ("The answer is 18. Oops, 20.", "20"),
    ("The answer is 18. Scratch that, 20.", "20"),
    ("答案是18。应该是20。", "20"),
    ("Answer: She has 18 apples left.", "18 apples left"),
    ("答：她一共有18个苹果。", "18个苹果"),
    ("答：小明还剩18元。", "18元"),
    ("Answer: She has at most 18.", "She has at most 18"),
    ("Answer: 12 Downing Street", "12 Downing Street"),
    ("The probability is $\\frac{3}{4}$.", "\\frac{3}{4}"),
    ("Thus it is \\(2\\sqrt{3}\\) cm.", "2\\sqrt{3}"),
    ("So the derivative is $e^x$.", "e^x"),
    ("The legs are $3$ and $4$.", "3, 4"),
    ("There are 18 elements in $A$.", "18"),
    ("She pays $5 for the tea and $20 for the cake.", "$20"),
    ("The solutions are x = 1 and x = 2.", "x = 1 and x = 2"),
    ("所以 x=1 或 x=2。", "x=1 或 x=2"),
    ("方程的解为 x=1 或 x=2。", "x=1 或 x=2"),
    ("\n\nBob", "Bob"),
]

NOT_STATED = [
    "",
    "I do not know.",
    "The answer is not 5.",
    "The answer is never 5.",
    "Answer: not 5",
    "答案不是5。",
    "Is the answer 5?",
    "The answer is 5?",
    "答案是5？",
    "If the answer is 5, x is unknown.",
    "I doubt the answer is 5.",
    "I don't think the answer is 5.",
    "The answer is 5. This is wrong.",
    "The answer is 5. Wait, no.",
    "The answer is 18, which is wrong.",
    "I don't think C is the correct answer.",
    "maybe \\boxed{5} wait",
    "\\boxed{5}. Wait, that is wrong.",
    "答案是5。不对。",
    "It is either 5 or 6.",
    "She may make 18 or 20.",
    "Perhaps 18.",
    "It might be 18.",
    "可能是18",
    "我不知道。",
    "#### Step 2",
    "#### 1. First step\nwe add, perhaps",
    "Answer: ",
    "The answer is",
    "We sold apples in the morning.\nThen we went home.",
    "I cannot tell; my guess is 5",
    "The answer is unknown.",
    "\\boxed{5} is wrong.",
    "So it could be \\boxed{5} was incorrect",
    "\\boxed{5} is not right.",
    "\\boxed{5}是错的",
    "The wrong answer is 5.",
    "The incorrect answer is 5.",
    "The wrong option is B.",
    "错误答案是5。",
    "错误的答案是5。",
    "不正确的答案是5。",
    "Suppose the answer is 5.",
    "It is false that the answer is 5.",
    "Nobody says the answer is 5.",
    "\\boxed{5} would be wrong.",
    "\\boxed{5} is the wrong answer",
    "\\boxed{5}? No.",
    "Not \\boxed{5}",
    "The answer is not $\\boxed{5}$.",
    "It cannot be \\boxed{5}.",
    "不是\\boxed{5}",
    "\\boxed{5}\n\nActually, that is wrong.",
    "答案大于5。",
]

LISTED = [
    "The answer is 5 or 6.",
    "The answer is 5. Or 6.",
    "The answer is 5. Maybe 6.",
    "The answer is 5.\nOr 6",
    "The answer is either 6 or 5.",
    "Answer: 4, 5, 6",
    "Answer: 5 / 6",
    "答案是5或6。",
    "It is 4, 6, 5",
    "Numbers: 3, 4 and 5",
    "<answer>4</answer> or <answer>5</answer>",
    "<answer>5</answer>\n<answer>6</answer>",
    "The answer is **5** **6**.",
    "The answer is 5. The answer is 6.",
    "Answer: 5\nAnswer: 6",
    "#### 5\n#### 6",
    "\\boxed{5} then \\boxed{6}",
    "The answer is 5; alternatively it is 6.",
    "the result is **5**, **6**",
    "The answer is 5, but it could also be 6.",
    "The answer is 5. No, it is 6.",
    "3 + 4 != 5",
    "x ≠ 5",
    "It is 5 thousand.",
    "It is 5 million dollars.",
    "It is 5 dozen.",
    "It is 5 squared.",
    "一共5万",
    "It is 2^5.",
]


@pytest.mark.parametrize(("text", "answer"), STATED)
def test_statements_are_read(text: str, answer: str) -> None:
    found = find_stated(text, boxed_answer(text))
    assert found is not None
    assert found.answer == answer


@pytest.mark.parametrize("text", NOT_STATED)
def test_what_is_no_statement(text: str) -> None:
    assert find_stated(text, boxed_answer(text)) is None
    score = judge(text)
    assert (score.value, score.outcome) == (0.0, Outcome.UNPARSEABLE)


@pytest.mark.parametrize("text", LISTED)
def test_listing_candidates_is_not_paid(text: str) -> None:
    assert judge(text).value == 0.0


def judge(
    text: str, reference: str = "5", verifier: str = "math", opened: bool = False,
    finish: str = "stop", **metadata: object,
) -> Score:  # fmt: skip
    accuracy = make_accuracy(RewardSettings(answer_from="stated"), PromptForm(opened=opened))
    problem = Problem("p", "", reference, verifier, metadata=metadata)
    return accuracy(problem, Completion([], [], text, finish))


def test_the_rule_is_named_in_the_detail() -> None:
    assert judge("So\n#### 5").detail.startswith(f"{Rule.HASHES}: '5'")
    assert judge("The answer is 6.").detail.startswith(f"{Rule.SENTENCE}: '6'")


def test_nothing_inside_unfinished_thinking_is_an_answer() -> None:
    assert judge("the answer is 5", opened=True).outcome is Outcome.UNPARSEABLE
    assert judge("<think>the answer is 5").outcome is Outcome.UNPARSEABLE
    assert judge("<think>a</think> <think>the answer is 5").outcome is Outcome.UNPARSEABLE
    assert judge("the answer is 6</think> The answer is 5.", opened=True).value == 1.0


def test_of_a_text_that_was_cut_only_explicit_statements_count() -> None:
    assert judge("so 2 + 3 = 5", finish="length").outcome is Outcome.UNPARSEABLE
    assert judge("The answer is 5. Moreover", finish="length").value == 1.0


def test_other_verifiers_read_it_too() -> None:
    assert judge("The liar is **Bob**.", "Bob", "exact").value == 1.0
    options = ["Rome", "Paris", "Oslo"]
    text = "Rome is in Italy and A and C are out.\n\n**Answer: B**"
    assert judge(text, "B", "choice", options=options).value == 1.0
    assert judge("(A), (B), (C)", "C", "choice", options=options).value == 0.0


def test_an_unknown_place_of_the_answer_is_refused() -> None:
    problem = Problem("p", "", "5", "math", metadata={"answer_from": "state"})
    assert "did you mean 'stated'" in (check_reference(problem) or "")


HOSTILE = ["the answer is ", "Answer: ", "#### 5\n", "<answer>", "\\boxed{", "答案是", "**", "(A) ",
           "5, ", "= ", "\n", " ", "option A is correct ", "</answer>", "1/", "$$"]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_text_raises(unit: str) -> None:
    text = unit * (60_000 // len(unit))
    find_stated(text, boxed_answer(text))


@pytest.mark.slow
@pytest.mark.skipif(not GSM8K.is_dir(), reason="needs ../shared/benchmarks/gsm8k")
def test_real_solutions_are_judged_as_their_verdicts_say() -> None:
    different = []
    lines = (GSM8K / "example_model_solutions.jsonl").read_text().splitlines()
    for row in map(json.loads, lines):
        gold = re.findall(r"A: (.*)", row["ground_truth"])[-1].replace(",", "").strip()
        for solution in (value for value in row.values() if isinstance(value, dict)):
            score = judge(solution["solution"], gold)
            if (score.value == 1.0) != solution["is_correct"]:
                different.append((gold, solution["solution"], score))
    assert not different
    for row in map(json.loads, (GSM8K / "test.jsonl").read_text().splitlines()):
        gold = row["answer"].split("####")[-1].replace(",", "").strip()
        assert judge(row["answer"], gold).value == 1.0, row["answer"]


@pytest.mark.parametrize(
    "text",
    [
        "The answer is 65. Or 61. \\boxed{58} is wrong.",
        "The answer is 65, \\boxed{58} is wrong.",
        "Answer: \\boxed{58} is wrong",
        "The answer is 65. Or \\boxed{58} is wrong. \\fbox{61} is wrong.",
        "The answer is 65 or 61, and \\boxed{58} looks wrong",
        "答案是65。\\boxed{58}是错的",
    ],
)
def test_a_box_that_is_called_wrong_is_not_what_a_sentence_states(text: str) -> None:
    """Found by bench/hunt.py: the list after a statement carried the box along."""
    assert math_reward(text, "58", answer_from="stated").value == 0.0
    right = text + " The answer is 61."
    assert math_reward(right, "61", answer_from="stated").value == 1.0
