r"""The prompts that several benchmarks share, by the paper's protocol and in our own words.

Mathematics asks for steps and a final \boxed{}; multiple choice for a last line with the letter.
"""

from __future__ import annotations

from collections.abc import Sequence

from r1.data.rows import RowError
from r1.rewards.choice import LETTERS
from r1.types import Problem

BOXED = "boxed: steps, then the answer in \\boxed{}; symbolic equality"
LAST_LINE = 'last line: steps, then "Answer: X"; the letter of the last line'
CHINESE_LAST_LINE = 'last line: steps, then "答案: X"; the letter of the last line'
_BOX = "Please reason step by step, and put your final answer within \\boxed{}."
_CHOOSE = (
    "Choose the right option of the following question. Think step by step first. The last line of "
    'your response must read "{marker}: X", where X is the letter of the option.'
)
_CHINESE_CHOOSE = (
    "请选出下面这道{subject}单项选择题的正确选项。请先逐步思考，回答的最后一行必须写成“答案: X”，"
    "其中 X 是所选选项的字母。"
)


def math_problem(identity: str, question: str, answer: str, family: str = "default") -> Problem:
    """A question whose boxed answer is compared as mathematics."""
    metadata = {"answer_from": "boxed"}
    prompt = f"{question}\n\n{_BOX}"
    return Problem(identity, prompt, answer, "math", family=family, metadata=metadata)


def question_of(problem: Problem) -> str:
    """The question of a `math_problem`, without what it is asked to do."""
    return problem.prompt.removesuffix(f"\n\n{_BOX}")


def letter_problem(
    identity: str,
    question: str,
    options: Sequence[str],
    letter: str,
    family: str = "default",
    marker: str = "Answer",
) -> Problem:
    """A question with options; marker "ANSWER": the letter stands after it (GPQA), else on the last
    line."""
    source = "marker" if marker == "ANSWER" else "last_line"
    prompt = f"{_CHOOSE.format(marker=marker)}\n\n{question}\n\n{option_lines(options)}"
    metadata = {"options": list(options), "answer_from": source}
    return Problem(identity, prompt, letter, "letter", family=family, metadata=metadata)


def question_of_letters(problem: Problem) -> str:
    """The question of a `letter_problem`, without what it is asked to do and its options."""
    return problem.prompt.partition("\n\n")[2].removesuffix(
        f"\n\n{option_lines(problem.metadata['options'])}"
    )


def chinese_letter_problem(
    identity: str,
    question: str,
    options: Sequence[str],
    letter: str,
    family: str,
    subject: str = "",
) -> Problem:
    """A Chinese question with options; subject: its Chinese name, "" to leave it out."""
    asked = _CHINESE_CHOOSE.format(subject=f"{subject}科目的" if subject else "")
    prompt = f"{asked}\n\n{question}\n\n{option_lines(options)}"
    metadata = {"options": list(options), "answer_from": "last_line"}
    return Problem(identity, prompt, letter, "letter", "zh", family, metadata)


def option_lines(options: Sequence[str]) -> str:
    """The options with their letters, a line each. Raises RowError for more than there are."""
    if len(options) > len(LETTERS):
        raise RowError(f"{len(options)} options; there are letters for {len(LETTERS)}")
    pairs = zip(LETTERS, options, strict=False)
    return "\n".join(f"{letter}) {option.strip()}" for letter, option in pairs)
