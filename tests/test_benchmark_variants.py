"""Variants of benchmarks: what they ask and where they read, as the harness they are named for."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from r1.benchmarks.gpqa import COLUMNS
from r1.benchmarks.protocol import load
from r1.benchmarks.registry import benchmarks, find_benchmark
from r1.errors import UserError
from r1.rewards.accuracy import make_accuracy
from r1.rewards.harness_answers import HARNESS_READERS
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Problem

SHARED = Path(__file__).parents[2] / "shared/benchmarks"
PRO = {"question": "Which is even?", "options": ["1", "2", "3"], "answer": "B", "answer_index": 1}
DATE = {"day": "", "month": "", "year": ""}


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path) -> Path:
    """One question of each benchmark that has variants; B is right where there are letters."""
    (tmp_path / "mmlu/data/test").mkdir(parents=True)
    (tmp_path / "mmlu/data/test/logic_test.csv").write_text("Which is even?,1,2,3,5,B\n")
    write_lines(tmp_path / "mmlu_pro/test.jsonl", [{**PRO, "question_id": 1, "category": "math"}])
    (tmp_path / "gpqa").mkdir()
    with (tmp_path / "gpqa/gpqa_diamond.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["Question", *COLUMNS], ["Why?", "r", "x", "y", "z"]])
    pair = {"question": "How many?", "answer": {"number": "12", "date": DATE, "spans": []}}
    official = {"p": {"passage": "Twelve came.", "qa_pairs": [pair]}}
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop/drop_dataset_dev.json").write_text(json.dumps(official))
    row = {"key": 1, "prompt": "No commas.", "instruction_id_list": ["punctuation:no_comma"]}
    write_lines(tmp_path / "ifeval/input_data.jsonl", [{**row, "kwargs": [{}]}])
    return tmp_path


def asked(data: Path, name: str) -> Problem:
    [problem] = load(find_benchmark(name), data).problems
    return problem


def outcome(problem: Problem, said: str) -> str:
    text = f"Answer: A\nthe answer is (A)</think>\n{said}"
    score = make_accuracy(RewardSettings(), PromptForm(opened=True))
    return str(score(problem, Completion([1], [], text, "stop")).outcome)


@pytest.mark.parametrize(
    ("name", "said", "expected"),
    [
        # The first label counts there, the last line here.
        ("mmlu@simple-evals", "Answer: B\nor rather\nAnswer: C", "correct"),
        ("mmlu", "Answer: B\nor rather\nAnswer: C", "wrong"),
        ("mmlu@simple-evals", "**Answer:** $\\boxed{B}$", "correct"),
        ("mmlu@simple-evals", "答案：Ｂ", "correct"),
        ("mmlu@simple-evals", "It is B.", "unparseable"),
        ("mmlu@lenient", "It must be so.\nThe answer is B.", "correct"),
        ("mmlu@lenient", "It must be so.\nThe answer is C.", "wrong"),
        ("mmlu_pro@authors", "so the answer is (B). Answer: C", "correct"),
        ("mmlu_pro@authors", "Answer: C or answer: B", "correct"),
        ("mmlu_pro@authors", "Answer: C\nAnswer: B", "wrong"),
        ("mmlu_pro@authors", "I take B", "correct"),
        ("mmlu_pro@authors", "I cannot say", "wrong"),  # "I" is a lone letter to them
        ("mmlu_pro@authors", "none", "unparseable"),
        ("mmlu_pro@lm-evaluation-harness", "the answer is B, no, the answer is C", "correct"),
        ("mmlu_pro@lm-evaluation-harness", "Answer: B", "unparseable"),
        ("gpqa@simple-evals", "ANSWER: C\nANSWER: A", "correct"),
        ("gpqa@simple-evals", "Answer: **C**", "unparseable"),
        ("gpqa@lm-evaluation-harness", "not (A), so (C)", "correct"),
        ("gpqa@lm-evaluation-harness", "not (C), so (A)", "wrong"),
        ("gpqa@lm-evaluation-harness", "Result: C", "correct"),
        ("drop@simple-evals", "Answer: 12\nAnswer: 13", "correct"),
        ("drop@simple-evals", "12", "correct"),
        ("drop", "Answer: 12\nAnswer: 13", "wrong"),
        ("drop@lm-evaluation-harness", " 12. There were more", "correct"),
        ("drop@lm-evaluation-harness", "There were 12. Yes", "wrong"),
        ("ifeval@loose", "Sure, here it is:\nnone at all", "correct"),
        ("ifeval", "Sure, here it is:\nnone at all", "wrong"),
        ("ifeval@loose", "one, two\nthree, four\nfive, six", "wrong"),
    ],
)
def test_a_variant_reads_as_its_harness_does(data, name, said, expected) -> None:
    assert outcome(asked(data, name), said) == expected


def test_the_order_of_gpqa_stays_and_its_brackets_are_asked_for(data) -> None:
    plain, other = (asked(data, name) for name in ("gpqa", "gpqa@lm-evaluation-harness"))
    assert plain.metadata["options"] == other.metadata["options"]
    assert plain.reference == other.reference == "C"  # the order is 3, 1, 0, 2
    options = [
        f"({letter}) {o}" for letter, o in zip("ABCD", plain.metadata["options"], strict=True)
    ]
    assert other.prompt.endswith("Why?\n\n" + "\n".join(options) + "\n\nThink step by step.")
    assert "ANSWER" not in other.prompt


def test_five_examples_of_the_category_stand_before_a_question(data) -> None:
    def shots(category: str, number: int) -> list[dict[str, Any]]:
        solved = [{**PRO, "question": f"{category} {i}?"} for i in range(number)]
        steps = "A: Let's think step by step. Two is even. The answer is (B)."
        return [{**row, "category": category, "cot_content": steps} for row in solved]

    bare = load(find_benchmark("mmlu_pro@authors"), data)
    assert "zero-shot" in bare.layout
    assert bare.problems[0].prompt.count("Answer:") == 1
    write_lines(data / "mmlu_pro/validation.jsonl", [*shots("law", 5), *shots("math", 6)])
    loaded = load(find_benchmark("mmlu_pro@authors"), data)
    prompt = loaded.problems[0].prompt
    assert loaded.layout == "MMLU-Pro test, 5-shot"
    assert prompt.count("Answer: Let's think step by step. Two is even. The answer is (B).") == 5
    assert [prompt.count(f"math {i}?") for i in (0, 4, 5)] == [1, 1, 0]
    assert "law" not in prompt
    end = "Which is even?\nOptions:\nA. 1\nB. 2\nC. 3\nAnswer: Let's think step by step."
    assert prompt.endswith(end)
    write_lines(data / "mmlu_pro/validation.jsonl", shots("math", 4))
    with pytest.raises(UserError, match="fewer than 5 examples of the category 'math'"):
        load(find_benchmark("mmlu_pro@authors"), data)


def test_drop_is_asked_as_it_stands(data) -> None:
    assert asked(data, "drop@lm-evaluation-harness").prompt == "Twelve came.\n\nHow many?"


def test_a_variant_has_no_published_figures_and_its_data_are_the_benchmarks() -> None:
    varied = [each for each in benchmarks().values() if each.vary]
    assert {"mmlu", "mmlu_pro", "gpqa", "drop", "ifeval", "math500"} <= {v.name for v in varied}
    for name in ("mmlu@simple-evals", "mmlu_pro@authors", "gpqa@lenient", "ifeval@loose"):
        variant = find_benchmark(name)
        assert (variant.folder, variant.published) == (name.partition("@")[0], {})
        assert variant.protocol != find_benchmark(variant.folder).protocol
    with pytest.raises(UserError, match="mmlu@simple-evals, mmlu@lenient"):
        find_benchmark("mmlu@strict")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/benchmarks")
def test_the_authors_reading_is_theirs_on_their_stored_responses() -> None:
    file = SHARED / "mmlu_pro/model_outputs_llama-3.1-70b-instruct.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    read = [HARNESS_READERS["mmlu-pro"](row["generated_text"]) for row in rows]
    assert [r for r in read if r] == [row["pred"] for row, r in zip(rows, read, strict=True) if r]
    assert sum(r is None for r in read) < 5  # there a random option stands instead
