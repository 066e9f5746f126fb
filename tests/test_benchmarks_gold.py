"""Every gold answer of every benchmark is right in several forms, and a changed one wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from r1.benchmarks.protocol import find, load
from r1.benchmarks.registry import benchmarks
from r1.benchmarks.running.figures import outcome_of
from r1.benchmarks.running.measure import spread_evenly
from r1.rewards.accuracy import judge_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Problem

DATA = Path(__file__).parents[2] / "shared/benchmarks"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs ../shared/benchmarks")

COUNTS = {
    "aime2024": 30, "aime2025": 30, "ceval": 1346, "cluewsc": 976, "cmmlu": 2372, "cnmo2024": 30,
    "drop": 19, "gsm8k": 1319, "ifeval": 541, "math500": 500, "mmlu": 14042, "mmlu_pro": 700,
    "mmlu_redux": 5330,
}  # fmt: skip
"""Questions in the files, as their description counts them; GPQA has no rows there."""
QUICK = 60
THINKING = 'Answer: Z\nANSWER: Z\n\\boxed{-1}\n{"answer": "Z"}\n</think>\n\n'
FORMS = {
    "boxed": (
        "\\boxed{G}", "So it is $\\boxed{G}$.", "\\fbox{G}", "\\[ \\boxed{ G } \\]",
        "Not \\boxed{-1}, as shown. The sum is then\n\n$$\\boxed{G}$$\n",
    ),
    "last_line": (
        "Answer: G", "Because of A.\n\n**Answer: G**", "**Answer:** G", "答案：G", "答案: G\n",
        "Answer: `G`", "Answer: Z, I thought.\nFinal answer: G",
    ),
    "json": (
        '{"reasoning": "r", "answer": "G"}', '```json\n{"reasoning": "a {b}", "answer": "G"}\n```',
        'First {"answer": "Z"}, now {"answer": "G"}.', '{"reasoning": "\\(x\\)", "answer": "G"}',
        "{'reasoning': 'r', 'answer': 'G'}", '{"answer": "(G)", "reasoning": "r"}',
    ),
}  # fmt: skip
LETTERS = ("Answer: (G)", "The answer is G.", "$\\boxed{G}$", "答案是G", "Answer: G)", "G", "选G")


def judged(problem: Problem, said: str) -> Outcome:
    completion = Completion([], [], said, "stop")
    settings, form = RewardSettings(partial_credit=True), PromptForm(opened=True)
    verifier = find_verifier(problem.verifier)
    return judge_answer(problem, completion, verifier, settings, form).outcome


def forms_of(problem: Problem) -> list[str]:
    source = problem.metadata["answer_from"]
    letters = LETTERS if (source, problem.verifier) == ("last_line", "letter") else ()
    return [*FORMS[source], *letters]


def gold_and_changed(problem: Problem) -> tuple[str, str]:
    if problem.verifier == "drop":
        return "; ".join(problem.metadata["golds"][0]), "zebra 777"
    assert problem.reference
    if problem.verifier == "letter":
        letters = "ABCDEFGHIJ"[: len(problem.metadata["options"])]
        place = letters.index(problem.reference)
        return problem.reference, letters[(place + 1) % len(letters)]
    whole = problem.reference.isdigit()
    changed = str(int(problem.reference) + 1) if whole else f"77 + {problem.reference}"
    return problem.reference, changed


def faults(problems: list[Problem]) -> list[tuple[str, str, Outcome]]:
    found = []
    for problem in problems:
        gold, changed = gold_and_changed(problem)
        for form in forms_of(problem):
            right = judged(problem, THINKING + form.replace("G", gold))
            if right is not Outcome.CORRECT:
                found.append((problem.id, form.replace("G", gold), right))
        said = forms_of(problem)[0].replace("G", changed)
        if (wrong := judged(problem, THINKING + said)) is Outcome.CORRECT:
            found.append((problem.id, said, wrong))
        unfinished = judged(problem, THINKING.partition("</think>")[0])
        if unfinished is not Outcome.UNPARSEABLE:
            found.append((problem.id, "unfinished", unfinished))
    return found


JUDGED = sorted(set(COUNTS) - {"ifeval"})


@pytest.mark.few(4)
@pytest.mark.parametrize("name", JUDGED)
def test_gold_answers_of_a_few(name: str) -> None:
    problems = spread_evenly(load(benchmarks()[name], DATA).problems, QUICK)
    assert all(len(forms_of(problem)) >= 5 for problem in problems)
    assert faults(problems) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in JUDGED if COUNTS[name] > QUICK])
def test_gold_answers_of_all(name: str) -> None:
    assert faults(load(benchmarks()[name], DATA).problems) == []


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_every_row_is_read_or_refused_by_name(name: str) -> None:
    loaded = load(benchmarks()[name], DATA)
    assert len(loaded.problems) == COUNTS[name]
    kinds = Counter(refused.reason for refused in loaded.refused)
    errors = {
        "wrong groundtruth": 107, "bad question clarity": 132, "multiple correct answers": 39,
        "no correct answer": 35, "bad options clarity": 25, "expert": 32,
    }  # fmt: skip
    refused = {f"error_type is {kind!r}": number for kind, number in errors.items()}
    assert kinds == (refused if name == "mmlu_redux" else {})


def test_all_57_files_of_mmlu_redux_are_read() -> None:
    loaded = load(benchmarks()["mmlu_redux"], DATA)
    rows = [problem.id.split("/")[1] for problem in loaded.problems]
    files = Counter(where.partition(":")[0] for where in rows + [r.where for r in loaded.refused])
    assert set(files.values()) == {100}
    assert len(files) == 57
    assert all(len(problem.metadata["options"]) == 4 for problem in loaded.problems)


def rows_of(path: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / path).read_text().splitlines()]


def test_stored_answers_to_mmlu_pro_have_the_authors_verdicts() -> None:
    verdicts = Counter()
    for row in rows_of("mmlu_pro/model_outputs_llama-3.1-70b-instruct.jsonl"):
        metadata = {"options": row["options"], "answer_from": "last_line"}
        problem = Problem("p", "?", row["answer"], "letter", metadata=metadata)
        outcome = judged(problem, "</think>" + row["generated_text"])
        verdicts[outcome, row["pred"] == row["answer"]] += 1
    assert verdicts == {(Outcome.CORRECT, True): 216, (Outcome.WRONG, False): 134}


def test_thinking_that_never_closes_is_unfinished() -> None:
    outcomes = Counter()
    for row in rows_of("reasoning_responses/think_unclosed_mmlu_pro.jsonl"):
        metadata = {"answer_from": "last_line"}
        problem = Problem("p", "?", row["actual_answer_label"], "letter", metadata=metadata)
        text, right = row["response"], bool(row["correct"])
        stored = {"outcome/accuracy": judged(problem, text), "finish_reason": "stop", "text": text}
        outcomes[outcome_of(stored, opened=True), right] += 1
    # The file's own verdicts are of the whole text: 15 of the unfinished are right by them.
    assert outcomes == {
        ("correct", True): 128, ("wrong", False): 89, ("unreadable", False): 3,
        ("unfinished", True): 15, ("unfinished", False): 65,
    }  # fmt: skip


CODE = {"humaneval", "humaneval_mul", "mbpp"}  # test_benchmarks_code.py


def test_what_is_there_is_all_but_gpqa_and_private_tests() -> None:
    known = {name: each for name, each in benchmarks().items() if each.converse is None}
    there = {name for name, benchmark in known.items() if find(benchmark, DATA)}
    judged = {name for name, benchmark in known.items() if benchmark.judging}
    assert there == set(COUNTS) | judged | CODE | {"tiny_world"}
    assert set(known) - there == {"gpqa", "livecodebench", "codeforces"}
