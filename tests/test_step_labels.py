"""Labelled steps: four layouts of files, and the tiny world's oracle."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from r1.data.tiny.true_steps import read_cups, true_steps
from r1.errors import UserError
from r1.preferences.source import PreferenceSource
from r1.preferences.steps import load_step_labels
from r1.preferences.tiny_steps import draw_steps
from r1.types import Problem

SHARED = Path("/work/shared/benchmarks")


def read(tmp_path: Path, *rows: object, **settings: object):
    path = tmp_path / "steps.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return load_step_labels(PreferenceSource(path=str(path), **settings), Path())


def test_our_own_rows(tmp_path):
    rows = (
        {"prompt": "q", "steps": ["a", "b"], "labels": [True, 0.25], "family": "sums"},
        {"prompt": "q", "steps": ["a", "c"], "labels": [None, None]},
        {"prompt": "q", "steps": ["a", "b"], "labels": [1, 0.25]},
    )
    found = read(tmp_path, *rows)
    assert [(item.steps, item.labels, item.family) for item in found.items] == [
        (("a", "b"), (1.0, 0.25), "sums")
    ]
    assert found.dropped == {"no label": 1, "repetition": 1}


def test_columns_of_other_names(tmp_path):
    row = {"prompt": "q", "completions": ["a"], "labels": [False]}
    [item] = read(tmp_path, row, columns={"steps": "completions"}).items
    assert item.labels == (0.0,)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "q", "steps": ["a"], "labels": [2]}, "a label is 2"),
        ({"prompt": "q", "steps": ["a"], "labels": [1, 1]}, "one for each step"),
        ({"prompt": " ", "steps": ["a"], "labels": [1]}, "is empty"),
        ({"prompt": "q", "steps": "a", "labels": [1]}, "no list of texts"),
        ({"prompt": "q", "steps": ["a"]}, "labels"),
        ({"prompt": "q", "text": "a"}, "PRM800K"),
        ({"input": "q Step 1: a ки", "label": "q Step 1: b +"}, "does not repeat"),
        ({"input": "no steps", "label": "no steps"}, "no question before"),
        ({"question": "q", "reasoning_steps": [{"solution_prefix": "z"}]}, "does not begin"),
        ({"question": {"problem": "q"}, "label": {"steps": 3}}, "label.steps"),
    ],
)
def test_faults_are_told_with_their_row(tmp_path, row, reason):
    good = {"prompt": "q", "steps": ["a"], "labels": [1]}
    with pytest.raises(UserError, match=r"row 2|line 2") as error:
        read(tmp_path, good, row)
    assert reason in str(error.value)


def test_math_shepherd_by_hand(tmp_path):
    row = {
        "input": "How many? Step 1: 1 + 1 = 2 ки\nStep 2: The answer is: 3 ки",
        "label": "How many? Step 1: 1 + 1 = 2 +\nStep 2: The answer is: 3 -",
        "task": "GSM8K",
    }
    [item] = read(tmp_path, row).items
    assert item.prompt == "How many?"
    assert item.steps == ("Step 1: 1 + 1 = 2", "Step 2: The answer is: 3")
    assert (item.labels, item.family) == ((1.0, 0.0), "GSM8K")


def prm800k(steps, finish="solution"):
    return {"question": {"problem": "q"}, "label": {"steps": steps, "finish_reason": finish}}


def rated(*ratings, chosen=None, human=None):
    made = [{"text": f"s{n}{r}", "rating": r, "flagged": False} for n, r in enumerate(ratings)]
    written = None if human is None else {"text": human, "rating": None}
    return {"completions": made, "chosen_completion": chosen, "human_completion": written}


def test_prm800k_gives_the_chosen_path_and_each_alternative(tmp_path):
    row = prm800k([rated(1, -1, chosen=0), rated(-1, human="mended"), rated(0, None, chosen=0)])
    found = read(tmp_path, row)
    assert {item.steps: item.labels for item in found.items} == {
        ("s1-1",): (0.0,),
        ("s01", "s0-1"): (None, 0.0),
        ("s01", "mended", "s00"): (1.0, None, 1.0),
    }
    assert found.dropped == {"step without a rating": 1}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"steps": ["a"]}, "label.steps is no list of tables"),
        ({"steps": None}, "label.steps is no list of tables"),
        ({"steps": [{"completions": ["a"]}]}, "completions is no list of tables"),
        ({"steps": [{"completions": [{"rating": 1}]}]}, "a completion's text is null"),
        ({"steps": [{"completions": [], "chosen_completion": 0}]}, "chosen_completion is 0, of 0"),
        ({"steps": [{"human_completion": "a"}]}, "human_completion is no list of tables"),
        (["a"], "reasoning_steps is no list of tables"),
        ({"children": 5}, "children is no list of tables"),
        ({"children": [{"text": "a", "children": ["b"]}]}, "children is no list of tables"),
    ],
)
def test_rows_of_other_forms_are_refused_with_their_number(row, reason, tmp_path):
    given = (
        {"question": {"problem": "q"}, "label": row}
        if isinstance(row, dict) and "steps" in row
        else {"question": "q", "reasoning_steps": row}
    )
    with pytest.raises(UserError, match=f"row 1: {reason}"):
        read(tmp_path, given)


def test_prm800k_ends_at_the_error_that_was_found_and_skips_what_was_given_up(tmp_path):
    error = prm800k([rated(1, chosen=0), rated(-1, -1)], "found_error")
    lost = prm800k([rated(1, chosen=0)], "give_up")
    found = read(tmp_path, error, lost, prm800k([rated(1, chosen=0)], "bad_problem"))
    assert {item.steps: item.labels for item in found.items} == {
        ("s01", "s1-1"): (None, 0.0),
        ("s01", "s0-1"): (1.0, 0.0),
    }
    assert found.dropped == {"finish_reason give_up": 1, "finish_reason bad_problem": 1}


def test_a_tree_labels_every_node_once(tmp_path):
    leaf = {"text": "c", "mc_value": 1.0, "children": []}
    tree = {"text": "q", "mc_value": 0.5, "children": [
        {"text": "a", "mc_value": 0.25, "children": [leaf, {**leaf, "text": "d"}]}]}  # fmt: skip
    found = read(tmp_path, {"question": "q", "reasoning_steps": tree})
    assert [(item.steps, item.labels) for item in found.items] == [
        (("a", "c"), (0.25, 1.0)),
        (("a", "d"), (None, 1.0)),
    ]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("prm800k/samples_prm800k.jsonl", 6),
        ("math_shepherd/samples_math-shepherd.jsonl", 7),
        ("math_shepherd/samples_math-aps.jsonl", 3),
        ("math_shepherd/samples_math-aps-tree.jsonl", 3),
    ],
)
def test_real_files(name, least):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    found = load_step_labels(PreferenceSource(path=str(path)), Path())
    assert len(found.items) >= least
    assert all(any(label is not None for label in item.labels) for item in found.items)


def arithmetic(reference: int) -> Problem:
    return Problem("p", "What is 5 + 3 - 2 + 1?", str(reference), "exact", family="arithmetic")


def test_the_oracle_of_chains():
    steps = ["<think>first 8-2+1\n", "then 5+1\n", "now -6--13\n", "so it is 6.\n", "check this.\n",
             "先算8-2+1\n", "7 and 7, good.\n", "6 and 7, wait, it is 7.</think> ",
             "<answer>7</answer>"]  # fmt: skip
    assert true_steps(arithmetic(7), steps) == [1, 0, 1, 0, None, 1, 1, 1, 1]


def test_the_oracle_of_cups():
    prompt = "Four cups hold K M P R. Swap 1-2, 2-3. What is in cup 2?"
    assert read_cups(prompt).answer == "P"
    assert read_cups("四个杯子装着 K M P R。交换1-2，2-3。2号杯里是什么？") == read_cups(prompt)
    problem = Problem("p", prompt, "P", "exact", family="cups")
    steps = ["begin 1K2M3P4R\n", "swap12 1M2K3P4R\n", "swap23 1M2K3P4R\n", "so cup 2K.\n",
             "let me check.\n", "开始 1K2M3P4R\n", "换12 1M2K3P4R\n", "换23 1M2P3K4R\n",
             "得到2P。\n", "K and P, wait, it is P.\n", "The answer is P."]  # fmt: skip
    assert true_steps(problem, steps) == [1, 1, 0, 0, None, 1, 1, 1, 1, 1, 1]


def test_drawn_steps_are_labelled_and_end_as_the_puzzle_says():
    source = PreferenceSource(kind="tiny", split="heldout", num=80)
    drawn = draw_steps(source)
    assert drawn == draw_steps(source)
    known = [label for item in drawn for label in item.labels if label is not None]
    assert 0.6 < sum(known) / len(known) < 0.95
    assert all("".join(item.steps).strip() for item in drawn)
    careful = [item for item in drawn if all(label == 1.0 for label in item.labels)]
    assert len(careful) > 10
    for item in careful:
        puzzle = read_cups(item.prompt) if item.family == "cups" else None
        chain = re.search(r"\d+(?: [+-] \d+)+", item.prompt)
        gold = puzzle.answer if puzzle else str(sum(map(int, chain[0].replace("- ", "-")
                                                        .replace("+ ", "").split())))  # fmt: skip
        assert gold in item.steps[-1]
