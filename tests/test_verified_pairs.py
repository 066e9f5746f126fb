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
from r1.curation.progress import Silent
from r1.curation.rejection import SamplingLine
from r1.curation.store import read_rows
from r1.errors import UserError
from r1.files.parquet import read_columns
from r1.preferences.label_steps import label_steps
from r1.preferences.settings import VerifiedPairSettings
from r1.preferences.verified import make_verified_pairs, pair_up
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Completion, Problem
from small_models import make_tokenizer


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


class Samples:
    """An engine that gives the same completions to every request."""

    def __init__(self, *samples: tuple[str, str]) -> None:
        self.completions = [Completion([5] * 20, [0.0] * 20, *sample) for sample in samples]

    def generate(self, requests: Any, sampling: Any) -> Any:
        return (FinishedGroup(request, self.completions) for request in requests)


def pairs_of(folder: Path, *samples: tuple[str, str], **template: Any) -> tuple[list[Any], Any]:
    """The pairs of such samples to "3 + 4?" with </answer> as a stop string, and their card."""
    stop = ("</answer>",)
    renderer = PromptRenderer(make_tokenizer(), TemplateSettings(**template))
    form = PromptForm(opened=renderer.opens_think, stop=stop)
    settings = VerifiedPairSettings(num_samples=len(samples), sampling={"stop": stop})
    rewards = RewardSettings(num_workers=1, weights={"accuracy": 1.0})
    with RewardPool(rewards, form) as pool:
        line = SamplingLine(Samples(*samples), pool, renderer)
        problem = Problem("p", "3 + 4?", "7", "math")
        card = make_verified_pairs(folder, [problem], line, settings, "m", Silent())
    return [(row["chosen"], row["rejected"]) for row in read_rows(folder)], card


def test_the_tags_that_prompt_and_stop_string_took_are_put_back(tmp_path) -> None:
    right, wrong = "<think>a</think> <answer>7", "<think>a</think> <answer>8"
    whole = (f"{right}</answer>", f"{wrong}</answer>")
    samples = ((right, "stop"), (wrong, "stop"))
    assert pairs_of(tmp_path / "whole", *samples)[0] == [whole]
    opened = [(text.removeprefix("<think>"), reason) for text, reason in samples]
    assert pairs_of(tmp_path / "opened", *opened, force_think=True)[0] == [whole]


@pytest.mark.parametrize("side", ["right", "wrong"])
def test_a_response_that_the_limit_cut_is_in_no_pair(tmp_path, side) -> None:
    answers = {"right": "<think>a</think> <answer>7", "wrong": "<think>a</think> <answer>8"}
    samples = {name: (text, "stop") for name, text in answers.items()}
    samples[side] = (answers[side] + "</answer> and so", "length")
    pairs, card = pairs_of(tmp_path / "cut", *samples.values())
    assert pairs == []
    assert card["total"]["dropped"]["cut at the token limit"] == 1


@pytest.mark.parametrize("make", [make_verified_pairs, label_steps])
def test_a_dialogue_is_refused_before_anything_is_sampled(make, tmp_path) -> None:
    """Its rows would lack the turns that the responses answered."""
    problem = Problem("p7", "And 2 + 2?", "4", "math", earlier=(("user", "1 + 1?"),))
    unused: Any = SimpleNamespace(method="oracle", engine=SimpleNamespace(tokenizer=None))
    with pytest.raises(UserError, match="p7 has turns before its prompt"):
        make(tmp_path / "out", [problem], unused, unused, "m", unused)
    assert not (tmp_path / "out").exists()
