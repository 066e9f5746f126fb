"""Pairs that a verifier tells apart: matched lengths, each response once, and the whole stage."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from quick_problems import write_sums
from r1.cli import app
from r1.errors import UserError
from r1.files.parquet import read_columns
from r1.preferences.label_steps import label_steps
from r1.preferences.verified import make_verified_pairs, pair_up
from r1.types import Completion, Problem


def response(name: str, length: int) -> Completion:
    return Completion([1] * length, [0.0] * length, f"{name} {length}", "stop")


def lengths(pairs: list[tuple[Completion, Completion]]) -> list[tuple[int, int]]:
    return [(len(a.token_ids), len(b.token_ids)) for a, b in pairs]


@pytest.mark.parametrize(
    ("right", "wrong", "most", "found"),
    [
        ([10, 20, 30], [11, 19, 31], 9, [(10, 11), (20, 19), (30, 31)]),
        ([10, 20, 30], [11, 19, 31], 2, [(10, 11), (20, 19)]),
        ([30, 10, 20], [31, 11, 19], 9, [(10, 11), (20, 19), (30, 31)]),
        ([10, 100], [90, 200], 9, [(100, 90)]),
        ([10], [13], 9, []),
        ([10], [12], 9, [(10, 12)]),
        ([], [12], 9, []),
        ([10], [], 9, []),
    ],
)
def test_pairs_have_about_equal_lengths(right, wrong, most, found) -> None:
    sides = ([response(name, n) for n in side] for name, side in (("r", right), ("w", wrong)))
    assert lengths(pair_up(*sides, most, 1.25)) == found


def test_no_response_is_in_two_pairs_and_repetitions_count_once() -> None:
    right = [response("r", 10)] * 3 + [response("s", 10)]
    wrong = [response("w", 10), response("x", 10), response("y", 10)]
    pairs = pair_up(right, wrong, 9, 1.25)
    texts = [side.text for pair in pairs for side in pair]
    assert len(pairs) == 2
    assert len(set(texts)) == 4


RECIPE = """
kind = "verified_pairs"
model = "tiny"
num_samples = 8
length_ratio = 2.0
sampling = { max_new_tokens = 60 }
rewards = { weights = { accuracy = 1.0 }, num_workers = 1 }
problems = [{ path = "sums.jsonl" }]
"""


def test_the_stage_writes_right_over_wrong(tmp_path: Path) -> None:
    """Each row's responses are judged as their sides say, by answers that are computed here."""
    (tmp_path / "pairs.toml").write_text(RECIPE)
    write_sums(tmp_path / "sums.jsonl", 8)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["run", str(tmp_path / "pairs.toml"), "--out", str(out)])
    assert done.exit_code == 0, done.output
    [folder] = [path.parent for path in out.glob("*/card.json")]
    files = sorted((folder / "data").glob("*.parquet"))
    rows = [row for file in files for row in read_columns(file, COLUMNS).to_pylist()]
    card = json.loads((folder / "card.json").read_text())["total"]
    assert len(rows) == card["samples"] > 0
    assert card["sampled"] == 64
    for row in rows:
        digits = "".join(c if c.isdigit() or c in "+-*" else " " for c in row["prompt"])
        gold = str(eval(digits))
        assert f"<answer>{gold}</answer>" in row["chosen"].replace(" ", "")
        assert f"<answer>{gold}</answer>" not in row["rejected"].replace(" ", "")


COLUMNS = ["prompt", "chosen", "rejected"]


@pytest.mark.parametrize("make", [make_verified_pairs, label_steps])
def test_a_dialogue_is_refused_before_anything_is_sampled(make, tmp_path) -> None:
    """Its rows would lack the turns that the responses answered."""
    problem = Problem("p7", "And 2 + 2?", "4", "math", earlier=(("user", "1 + 1?"),))
    unused: Any = SimpleNamespace(method="oracle", engine=SimpleNamespace(tokenizer=None))
    with pytest.raises(UserError, match="p7 has turns before its prompt"):
        make(tmp_path / "out", [problem], unused, unused, "m", unused)
    assert not (tmp_path / "out").exists()
