"""A data set as the Hugging Face hub stores it gives the questions of the original files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.benchmarks.protocol import Loaded, load
from r1.benchmarks.registry import find_benchmark
from r1.types import Problem

FUNCTION = {
    "task_id": "t/1", "prompt": 'def one():\n    """1"""\n', "entry_point": "one",
    "canonical_solution": "    return 1\n", "test": "def check(f):\n    assert f() == 1\n",
}  # fmt: skip
TASK = {"task_id": 11, "code": "def one():\n    return 1", "test_list": ["assert one() == 1"] * 3}
CHECKED = {"question": "q?", "error_type": "ok"}
ANSWER = {"number": "", "date": {"day": "", "month": "", "year": ""}, "spans": ["red", "blue"]}
NUMBER = {"number": "12", "date": {"day": "", "month": "", "year": ""}, "spans": []}
PASSAGE = {"passage": "text", "question": "q?", "answer": ANSWER}
PRONOUN = {"text": "他来了", "target": {"span1_text": "王", "span2_text": "他", "span2_index": 0}}
LETTERS = {"A": "w", "B": "x", "C": "y", "D": "z"}
PRO = {"question_id": 1, "question": "q?", "options": ["a", "N/A", "c"], "answer": "C",
       "answer_index": 2, "category": "law", "cot_content": "A: so"}  # fmt: skip


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def official(pair: dict[str, Any], passage: str) -> str:
    return json.dumps({"p": {"passage": passage, "qa_pairs": [pair]}})


def table(*rows: dict[str, Any]) -> str:
    """The rows as CSV; no field has a comma."""
    return "\n".join([",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)])


INSTANCE = {
    "repo": "a/b", "instance_id": "a__b-1", "base_commit": "0" * 40, "patch": "p",
    "test_patch": "t", "problem_statement": "broken", "version": "1", "FAIL_TO_PASS": '["t::a"]',
    "PASS_TO_PASS": "[]",
}  # fmt: skip
QUESTION = lines({"uid": "u", "prompt": "q?", "cluster": "c", "category": "hard"})
BASELINE = lines({"uid": "u", "messages": [{"role": "assistant", "content": {"answer": "w"}}]})
OLYMPIAD = {"problem": "q?", "answer": "25"}
Files = dict[str, str | list[dict[str, Any]]]
CASES: dict[str, tuple[dict[str, str], Files]] = {
    "aime2025": (
        {f"test2025-{part}.jsonl": lines(OLYMPIAD) for part in ("I", "II")},
        {
            f"aime2025-{part}.jsonl": lines({"question": "q?", "answer": "25"})
            for part in ("I", "II")
        },
    ),
    "arena_hard": (
        {"v0.1/question.jsonl": QUESTION, "v0.1/model_answer/gpt-4-0314.jsonl": BASELINE},
        {
            "data/arena-hard-v0.1/question.jsonl": QUESTION,
            "data/arena-hard-v0.1/model_answer/gpt-4-0314.jsonl": BASELINE,
        },
    ),
    "swe_bench_verified": (
        {"verified.jsonl": lines(INSTANCE), "repos/a__b": ""},
        {"data/test-00000-of-00001": [INSTANCE], "repos/a__b": ""},
    ),
    "aime2024": (
        {"test.jsonl": lines({"problem": "q?", "answer": "025"})},
        {"data/train-00000-of-00001": [{"id": 60, "problem": "q?", "answer": "025"}]},
    ),
    "gsm8k": (
        {"test.jsonl": lines({"question": "q?", "answer": "so\n#### 1,200"})},
        {
            "main/test-00000-of-00001": [{"question": "q?", "answer": "so\n#### 1,200"}],
            "socratic/test-00000-of-00001": [{"question": "w?", "answer": "so\n#### 7"}],
        },
    ),
    "mmlu": (
        {"data/test/law_test.csv": "q?,w,x,y,z,C\n"},
        {
            "all/test-00000-of-00001": [
                {"question": "q?", "subject": "law", "choices": ["w", "x", "y", "z"], "answer": 2}
            ],
            "law/test-00000-of-00001": [],
        },
    ),
    "mmlu_pro": ({"test.jsonl": lines(PRO)}, {"data/test-00000-of-00001": [PRO]}),
    "mmlu_redux": (
        {"mmlu_law.csv": 'question;choices;answer;error_type\nq?;["w","x"];1;ok\n'},
        {"law/test-00000-of-00001": [{**CHECKED, "choices": ["w", "x"], "answer": 1}]},
    ),
    "drop": (
        {
            "drop_dataset_dev.json": official({**PASSAGE, "validated_answers": [NUMBER]}, "text"),
            "drop_dataset_train.json": json.dumps(
                {"p": {"passage": "t", "qa_pairs": [{"question": "w?", "answer": NUMBER}] * 3}}
            ),
        },
        {
            "data/validation-00000-of-00001": [
                {**PASSAGE, "validated_answers": {key: [NUMBER[key]] for key in NUMBER}}
            ],
            "data/train-00000-of-00001": [
                {"passage": "t", "question": "w?", "answer": NUMBER, "validated_answers": None}
            ]
            * 3,
        },
    ),
    "ceval": (
        {"val/law_val.csv": table({"id": 0, "question": "q?", **LETTERS, "answer": "B"})},
        {"law/val-00000-of-00001": [{"id": 0, "question": "q?", **LETTERS, "answer": "B"}]},
    ),
    "cmmlu": (
        {"test/law.csv": table({"n": 0, "Question": "q?", **LETTERS, "Answer": "B"})},
        {"law/test-00000-of-00001": [{"Question": "q?", **LETTERS, "Answer": "B"}]},
    ),
    "cluewsc": (
        {"dev.json": lines({**PRONOUN, "label": "false"})},
        {"cluewsc2020/validation-00000-of-00001": [{**PRONOUN, "label": 1, "idx": 0}]},
    ),
    "ifeval": (
        {
            "input_data.jsonl": lines(
                {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"],
                 "kwargs": [{"num": None}]}
            )
        },
        {
            "ifeval_input_data.jsonl": lines(
                {"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"],
                 "kwargs": [{"num": None}]}
            )
        },
    ),
    "humaneval": (
        {"HumanEval.jsonl": lines(FUNCTION)},
        {"openai_humaneval/test-00000-of-00001": [FUNCTION]},
    ),
    "mbpp": (
        {"sanitized-mbpp.json": json.dumps([{**TASK, "prompt": "One.", "test_imports": []}])},
        {"sanitized/test-00000-of-00001": [{**TASK, "prompt": "One.", "test_imports": []}]},
    ),
}  # fmt: skip
"""One question's original files; then the hub's: texts, and rows by a name without ".parquet"."""


def write_files(folder: Path, files: Mapping[str, str | list[dict[str, Any]]]) -> None:
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(rows, str):
            path.write_text(rows)
            continue
        path = path.with_name(f"{path.name}.parquet")
        pq.write_table(pa.Table.from_pylist(rows or [{"question": "other"}]), path)


def same(problem: Problem) -> tuple[Any, ...]:
    """All but the id, which tells where a row stands."""
    return (problem.prompt, problem.reference, problem.verifier, problem.family, problem.metadata)


@pytest.mark.parametrize("name", CASES)
def test_the_hubs_files_hold_the_same_questions(tmp_path, name) -> None:
    original, hub = CASES[name]
    folder = tmp_path / name
    write_files(folder, original)
    first = load(find_benchmark(name), tmp_path)
    shutil.rmtree(folder)
    write_files(folder, hub)
    second = load(find_benchmark(name), tmp_path)
    assert first.layout != second.layout
    assert "hub" in second.layout
    assert not first.refused
    assert not second.refused
    assert [same(p) for p in first.problems] == [same(p) for p in second.problems]


def loaded_hub(folder: Path, name: str, files: dict[str, list[dict[str, Any]]]) -> Loaded:
    write_files(folder / name, files)
    return load(find_benchmark(name), folder)


def test_rows_of_several_files_have_ids_of_their_own_and_odd_ones_are_refused(tmp_path) -> None:
    row = {"question": "q?", "subject": "law", "choices": ["w", "x", "y", "z"], "answer": 2}
    odd = [{**row, "answer": 4}, {**row, "choices": ["w", ""]}, {**row, "question": " "}]
    parts = {f"all/test-0000{i}-of-00002": [row, *(odd if i else ())] for i in (0, 1)}
    found = loaded_hub(tmp_path, "mmlu", parts)
    assert [p.id for p in found.problems] == ["mmlu/all_test:1", "mmlu/all_test:2"]
    assert [refused.where for refused in found.refused] == [f"all_test:{i}" for i in (3, 4, 5)]


def test_drop_whose_parts_and_alternatives_are_one_list_is_refused(tmp_path) -> None:
    flat = {"passage": "t", "question": "q?", "answers_spans": {"spans": ["a"], "types": ["span"]}}
    files = {f"data/{split}-00000-of-00001": [flat] for split in ("validation", "train")}
    with pytest.raises(Exception, match="fewer than 3 examples"):
        loaded_hub(tmp_path, "drop", files)
