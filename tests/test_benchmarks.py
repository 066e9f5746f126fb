"""Benchmarks on made files: odd rows refused by name, the order of options, DROP's examples."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from r1.benchmarks.gpqa import COLUMNS, option_orders
from r1.benchmarks.protocol import Loaded, load
from r1.benchmarks.registry import benchmarks, find_benchmark, register_benchmark
from r1.benchmarks.running.measure import spread_evenly
from r1.errors import UserError
from r1.rewards.accuracy import make_accuracy
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.types import Completion

SIMPLE_EVALS_ORDERS = [[3, 1, 0, 2], [3, 1, 2, 0], [2, 3, 0, 1], [2, 0, 3, 1]]
"""What `random.Random(0)` gives simple-evals for its first four rows."""


def loaded(data: Path, name: str, file: str, text: str) -> Loaded:
    path = data / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return load(find_benchmark(name), data)


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def choice(number: int, options: object, letter: str, index: int) -> dict[str, object]:
    row = {"question_id": number, "question": "q", "options": options}
    return {**row, "answer": letter, "answer_index": index}


def pronoun(label: object, index: int) -> dict[str, object]:
    target = {"span1_text": "王", "span2_text": "他", "span2_index": index}
    return {"text": "他来了", "label": label, "target": target}


def instructed(key: int, ids: list[str], kwargs: list[object]) -> dict[str, object]:
    return {"key": key, "prompt": "p", "instruction_id_list": ids, "kwargs": kwargs}


@pytest.mark.parametrize(
    ("name", "file", "good", "odd"),
    [
        (
            "aime2024",
            "test.jsonl",
            {"problem": "p", "answer": "025"},
            [3, {"answer": "1"}, *({"problem": "p", "answer": a} for a in ("", None, "1000"))],
        ),
        (
            "gsm8k",
            "test.jsonl",
            {"question": "q", "answer": "so\n#### 1,200"},
            [{"question": "q", "answer": a} for a in ("12", "#### ")],
        ),
        (
            "mmlu_pro",
            "test.jsonl",
            choice(1, ["a", "N/A", "c"], "C", 2),
            [
                choice(2, ["a", "b"], "B", 0),
                choice(3, ["a", "b"], "C", 2),
                choice(4, "ab", "A", 0),
                choice(1, ["a", "b"], "A", 0),
            ],
        ),
        (
            "cluewsc",
            "test_public.json",
            pronoun("true", 0),
            [
                pronoun(-1, 0),
                pronoun("true", 1),
            ],
        ),
        (
            "ifeval",
            "input_data.jsonl",
            instructed(1, ["punctuation:no_comma"], [{"x": None}]),
            [
                instructed(2, ["punctuation:none"], [{}]),
                instructed(3, [], []),
            ],
        ),
    ],
)  # fmt: skip
def test_odd_rows_are_refused_each_by_name(tmp_path, name, file, good, odd) -> None:
    found = loaded(tmp_path, name, file, lines(good, *odd) + "{broken\n")
    assert len(found.problems) == 1
    assert len(found.refused) == len(odd) + 1
    assert all(refused.where and refused.reason for refused in found.refused)


def test_padding_of_options_is_dropped_and_the_letter_follows(tmp_path) -> None:
    row = {"question_id": 1, "question": "q", "options": ["a", "N/A", "c"], "answer": "C"}
    (problem,) = loaded(
        tmp_path, "mmlu_pro", "test.jsonl", lines({**row, "answer_index": 2})
    ).problems
    assert (problem.metadata["options"], problem.reference) == (["a", "c"], "B")
    assert problem.prompt.endswith("q\n\nA) a\nB) c")


def test_gpqa_has_the_order_of_simple_evals(tmp_path) -> None:
    path = tmp_path / "gpqa" / "gpqa_diamond.csv"
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Question", *COLUMNS])
        writer.writerows([f"q{i}", "right", "w1", "w2", "w3"] for i in range(4))
    problems = load(find_benchmark("gpqa"), tmp_path).problems
    names = ("right", "w1", "w2", "w3")
    for problem, order in zip(problems, SIMPLE_EVALS_ORDERS, strict=True):
        assert problem.metadata["options"] == [names[place] for place in order]
        assert problem.reference == "ABCD"[order.index(0)]
        assert problem.metadata["answer_from"] == "marker"
    assert option_orders(198)[:4] == SIMPLE_EVALS_ORDERS  # the rows that follow move none


def test_a_csv_row_of_too_few_fields_is_odd_and_one_with_breaks_is_not(tmp_path) -> None:
    text = '"two\nlines",1,2,3,4,B\nq,1,2,3,B\nq,1,2,3,4,E\n'
    found = loaded(tmp_path, "mmlu", "data/test/virology_test.csv", text)
    assert [(p.family, p.reference) for p in found.problems] == [("virology", "B")]
    assert [refused.where for refused in found.refused] == [
        "virology_test:1",
        "mmlu/virology_test:2",
    ]


def passages(*answers: object) -> str:
    pairs = [{"question": f"q{i}", "answer": answer} for i, answer in enumerate(answers)]
    return json.dumps({"p1": {"passage": "text", "qa_pairs": pairs}})


def test_drop_is_asked_with_three_examples_of_the_training_file(tmp_path) -> None:
    date = {"day": "3", "month": "May", "year": ""}
    dev = passages(
        {"number": "12", "date": {}, "spans": []},
        {"number": "", "date": date, "spans": []},
        {"number": "", "date": {}, "spans": ["x", "y"]},
        {"number": "", "date": {}, "spans": []},
    )
    zero = loaded(tmp_path, "drop", "drop_dataset_dev.json", dev)
    assert "zero-shot" in zero.layout
    assert [p.metadata["golds"] for p in zero.problems] == [[["12"]], [["3 May"]], [["x", "y"]]]
    assert len(zero.refused) == 1
    (tmp_path / "drop" / "drop_dataset_train.json").write_text(
        passages(*({"number": str(100 + i)} for i in range(9)))
    )
    shot = load(find_benchmark("drop"), tmp_path)
    assert shot.layout == "dev, 3-shot"
    assert [p.prompt.count("\nAnswer: 10") for p in shot.problems] == [3, 3, 3]
    assert len({p.prompt.split("q", 1)[1] for p in shot.problems}) == 3
    assert load(find_benchmark("drop"), tmp_path) == shot  # the seed decides


def test_missing_data_unknown_names_and_names_taken(tmp_path) -> None:
    with pytest.raises(UserError, match=r"put test.jsonl or .*there.*openai/grade-school-math"):
        load(find_benchmark("gsm8k"), tmp_path)
    with pytest.raises(UserError, match="did you mean 'gsm8k'"):
        find_benchmark("gsm8")
    with pytest.raises(UserError, match="registered twice"):
        register_benchmark(benchmarks()["gsm8k"])


def test_a_limit_asks_every_part(tmp_path) -> None:
    text = lines(*({"question": str(i), "answer": f"#### {i}"} for i in range(10)))
    problems = loaded(tmp_path, "gsm8k", "test.jsonl", text).problems
    assert [p.reference for p in spread_evenly(problems, 3)] == ["0", "3", "6"]
    assert spread_evenly(problems, 20) == spread_evenly(problems, None) == problems


@pytest.mark.parametrize(
    ("variant", "right", "wrong"),
    [
        ("simple-evals", "steps\nAnswer: 25", "steps\n\\boxed{25}\nAnswer: 26"),
        ("simple-evals", "steps\n**Answer:** $25$", "25 it is\nno more"),
        ("lenient", "so the answer is 25.", "so the answer is 26."),
        ("lenient", "steps \\boxed{25}", "steps \\boxed{26}"),
    ],
)
def test_a_variant_asks_or_reads_otherwise(tmp_path, variant, right, wrong) -> None:
    (tmp_path / "aime2024").mkdir()
    row = {"problem": "What is 5 times 5?", "answer": "025"}
    (tmp_path / "aime2024" / "test.jsonl").write_text(lines(row))
    benchmark = find_benchmark(f"aime2024@{variant}")
    [problem] = load(benchmark, tmp_path).problems
    [plain] = load(find_benchmark("aime2024"), tmp_path).problems
    assert problem.id == plain.id
    assert (problem.prompt == plain.prompt) == (variant == "lenient")
    assert "What is 5 times 5?" in problem.prompt
    assert "boxed" not in problem.prompt or variant == "lenient"
    assert not benchmark.published
    for text, outcome in ((right, "correct"), (wrong, "wrong")):
        completion = Completion([1], [], f"<think>24</think>{text}", "stop")
        score = make_accuracy(RewardSettings(), PromptForm())(problem, completion)
        assert score.outcome == outcome, text
    with pytest.raises(UserError, match="aime2024@simple-evals, aime2024@lenient"):
        find_benchmark("aime2024@strict")
