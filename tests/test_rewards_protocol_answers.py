"""What benchmarks ask for: a letter, a last line, a marker, a JSON field, DROP's F1."""

from __future__ import annotations

import pytest

from r1.rewards.accuracy import check_reference, judge_answer
from r1.rewards.drop import agreement, normalise
from r1.rewards.letter import read_letter
from r1.rewards.protocol_answers import json_answer, last_line, marked
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem, Score

OPTIONS = ["Rome", "Paris", "Vitamin A", "not A"]


@pytest.mark.parametrize(
    "text",
    [
        "B", "b", "(B)", "B.", "Ｂ", "**B**", "$\\boxed{\\text{B}}$", "B) Paris", "B, because x",
        "The answer is B.", "Option B is correct.", "答案是B", "选B", "B Paris", "答案为（B）",
        "[B]", "so the best choice is B", "正确答案是 B。", "B、Paris", "$B$", "选项B",
    ],
)  # fmt: skip
def test_letters_are_read_in_their_common_forms(text: str) -> None:
    assert read_letter(text, OPTIONS) == "B"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("C. Vitamin A", "C"),  # its own option's letter is no second choice
        ("D. not A", "D"),
        ("A or B", ""),
        ("A/B", ""),
        ("A, B, C, D", ""),
        ("B: Vitamin A", ""),  # another option's words
        ("B Rome", None),
        ("A car", None),  # the article
        ("it is not B", None),
        ("is it B?", None),
        ("Paris", None),
        ("", None),
    ],
)
def test_what_is_not_one_letter_is_not_taken_for_it(text: str, read: str | None) -> None:
    assert read_letter(text, OPTIONS) == read


def test_an_option_that_is_a_letter_stands_under_its_own() -> None:
    problem = Problem("p", "?", "B", "letter", metadata={"options": ["O", "A", "B", "AB"]})
    settings = RewardSettings(answer_from="text")
    outcomes = [
        judge_answer(
            problem, Completion([], [], t, "stop"), find_verifier("letter"), settings, PromptForm()
        ).outcome
        for t in ("B", "A", "B. A", "B. AB")
    ]
    assert outcomes == [Outcome.CORRECT, Outcome.WRONG, Outcome.CORRECT, Outcome.WRONG]


@pytest.mark.parametrize("reference", [None, "", "E", "b", "AB", "1"])
def test_a_reference_is_the_letter_of_an_option(reference: str | None) -> None:
    problem = Problem("p", "?", reference, "letter", metadata={"options": OPTIONS})
    assert "none of the letters A to D" in str(check_reference(problem))


@pytest.mark.parametrize(
    "text",
    [
        "A\nAnswer: B", "A\n**Answer:** B", "A\n答案：B", "A\n```\nAnswer: B\n```",
        "**Answer: B**\n\n", "答案: **B**", "Answer: A\nFinal answer: B\n---\n", "Answer: A\nB",
    ],
)  # fmt: skip
def test_the_last_line_counts(text: str) -> None:
    assert last_line(text) == "B"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Kant is quoted, and plan A fails. The answer is (B).", "B"),
        ("因此选项 A 有误，答案是B。", "B"),
        ("The answer is not B.", None),
        ("The answer is A or B.", ""),
        ("The answer is B, not A.", ""),
        ("The answer is A. No: the answer is B.", "B"),
    ],
)
def test_a_last_line_may_reason_before_it_states(text: str, read: str | None) -> None:
    assert read_letter(last_line(text), OPTIONS) == read


def test_the_marker_and_the_field() -> None:
    assert marked("ANSWER: A\nno\nANSWER: **B**\nthat is it") == "B"
    assert marked("no marker: B") == ""
    assert json_answer('{"answer": "A"} then {"reasoning": "{x}", "answer": "B"} so') == "B"
    assert json_answer('{"reasoning": "\\frac{1}{2} \\(", "answer": "B"}') == "B"  # not JSON
    assert json_answer("{'reasoning': 'x', 'answer': 'B'}") == "B"
    assert json_answer('```json\n{"reasoning": "a\nb", "answer": "B"}\n```') == "B"
    assert json_answer('{"reasoning": "no field"}') == json_answer("{" * 5000) == ""
    assert json_answer('{"answer": {"a": "B"}}') == ""


DRAFT = '{"reasoning": "...", "answer": "A"}'
LATEX = "\\frac{1}{2} " * 60


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (f'{DRAFT}\n{{"reasoning": "since \\(x>0\\) we get \\sqrt2", "answer": "B"}}', "B"),
        (f'{DRAFT}\n{{"reasoning": "he said "no" \\(", "answer": "B"}}', "B"),
        (f'{DRAFT}\n{{"reasoning": "{LATEX}", "answer": "B"}}', "B"),
        ('{"answer": "B", "reasoning": "\\(answer: A\\)"}', "B"),
        ('{"answer": "B", "reasoning": "a "quoted" word; answer: A"}', "B"),
        ('{"reasoning": "the key \\"answer\\": no \\(", "answer": "B"}', "B"),
        ('{"answer": "B"}\n\nNote: "answer": "A" was tempting', "B"),
        ('{"answer": "B"}\n\nanswer: A', "B"),
        ('{"answer": "B", "more": {"answer": "C"}}', "B"),
        ('{"result": {"answer": "B"}}', "B"),
        ("answer: B", "B"),
        ("{'reasoning': 'x', 'answer': B, 'sure': 1}", "B"),
        ('{"answer": A or B}', "A or B"),  # which the verifier refuses
        ('{"answer": A, B}', "A, B"),
        ('{"answer": "A"} {"answer": ["B"]}', ""),
    ],
)
def test_the_last_object_decides_also_where_it_holds_latex(text: str, read: str) -> None:
    assert json_answer(text) == read


@pytest.mark.parametrize(
    "text",
    ["so\n\\[\n\\boxed{B}\n\\]", "$$\n\\boxed{B}\n$$\n", "Answer: B\n\\]", "Answer: B\u200b",
     "Answer: B\n\u200b", "答案：「B」", "Answer: 'B'", "Answer: Paris (B)", "答案：Paris（B）"],
)  # fmt: skip
def test_a_last_line_in_a_formula_of_its_own_or_in_quotes(text: str) -> None:
    assert read_letter(last_line(text), OPTIONS) == "B"
    for hedged in (text.replace("B", "B or A"), text.replace("B", "A")):
        assert read_letter(last_line(hedged), OPTIONS) != "B"


@pytest.mark.parametrize(
    ("predicted", "gold", "exact", "f1"),
    [
        (["12"], ["12.0"], True, 1.0),
        (["The Cat"], ["cat"], True, 1.0),
        (["10 yards"], ["10"], False, 0.67),
        (["ten yards"], ["10 yards"], False, 0.0),  # the gold's number is missing
        (["red fox"], ["fox"], False, 0.67),
        (["b", "a"], ["a", "b"], True, 1.0),
        (["x y", "z"], ["z"], False, 0.5),
        (["z w", "z"], ["z", "z w"], True, 1.0),
        (["z w", "z"], ["z w", "q"], False, 0.5),
        (["1,000"], ["1000"], True, 1.0),
        (["3.14."], ["3.14"], True, 1.0),
        (["\u22125"], ["-5"], True, 1.0),
        (["Saint-Denis"], ["saint denis"], True, 1.0),
    ],
)
def test_drop_by_hand(predicted: list[str], gold: list[str], exact: bool, f1: float) -> None:
    assert agreement(predicted, gold) == (exact, f1)


def test_drop_pays_the_best_alternative_where_partial_credit_is_paid() -> None:
    problem = Problem("p", "?", "a", "drop", metadata={"golds": [["12"], ["red fox", "cat"]]})
    verifier = find_verifier("drop")
    assert check_reference(problem) is None

    def seen(score: Score) -> tuple[float, Outcome]:
        return score.value, score.outcome

    partial, plain = RewardSettings(partial_credit=True), RewardSettings()
    assert seen(verifier.score(problem, "cat; red fox", plain)) == (1.0, Outcome.CORRECT)
    assert seen(verifier.score(problem, "fox; cat", partial)) == (0.83, Outcome.WRONG)
    assert seen(verifier.score(problem, "fox; cat", plain)) == (0.0, Outcome.WRONG)
    assert verifier.score(problem, "the", plain).outcome == Outcome.UNPARSEABLE
    for golds in (None, [], [[]], [["the"]], ["12"], [[12]]):
        assert check_reference(Problem("p", "?", "a", "drop", metadata={"golds": golds}))
    assert normalise("A $5-bill") == "5.0 bill"
