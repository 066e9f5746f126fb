"""Where an answer is read must be where the prompts ask for it; what is not, is told."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path

import pytest

from r1.rewards.accuracy import answer_source, make_accuracy, source_notice, warn_of_source
from r1.rewards.boxes import boxed_answer
from r1.rewards.registry import PromptForm, find_verifier
from r1.rewards.settings import RewardSettings
from r1.template import TemplateSettings
from r1.types import Completion, Outcome, Problem

CLUSTER = Path(__file__).parents[1] / "recipes" / "cluster"
BOX = "Find x. Put your final answer within \\boxed{}."
TAGS = "Find x. Answer in <answer> </answer>."


def _problem(prompt: str = "Find x.", verifier: str = "math", **metadata: object) -> Problem:
    return Problem("p", prompt, "4", verifier, metadata=metadata)


def _settings(source: str, **weights: float) -> RewardSettings:
    return RewardSettings.model_validate(
        {"answer_from": source, "weights": weights or {"accuracy": 1.0}}
    )


@pytest.mark.parametrize(
    ("source", "problems", "asked", "wanted"),
    [
        ("text", [_problem(BOX)], "", "boxed"),
        ("text", [_problem(BOX), _problem(), _problem()], "", "boxed"),
        ("text", [_problem()], "Reason, then \\boxed{answer}.", "boxed"),
        ("text", [_problem(BOX, "exact"), _problem(BOX, "choice")], "", "boxed"),
        ("boxed", [_problem(TAGS)], "", "tag"),
        ("text", [_problem()], "", None),
        ("text", [_problem(TAGS)], "", None),  # tags are taken off
        ("boxed", [_problem(BOX)], "", None),
        ("boxed", [_problem(BOX + TAGS)], "", None),
        ("answer", [_problem(BOX)], "", None),  # a box inside the tags is read
        ("text", [_problem(BOX, answer_from="boxed")], "", None),
        ("text", [_problem(BOX, "code")], "", None),
        ("text", [_problem(BOX, "ifeval")], "", None),
        ("text", [], "", None),
    ],
)
def test_prompts_that_ask_for_another_form_are_told(
    source: str, problems: list[Problem], asked: str, wanted: str | None
) -> None:
    notice = source_notice(problems, _settings(source), asked)
    assert (notice is None) == (wanted is None)
    if notice is not None:
        assert notice.endswith(f'Set rewards.answer_from = "{wanted}".')
    assert source_notice(problems, _settings(source, format=1.0), asked) is None


def test_it_is_told_before_training(caplog: pytest.LogCaptureFixture) -> None:
    template = TemplateSettings(kind="chat", system=BOX)
    with caplog.at_level(logging.WARNING):
        warn_of_source(_settings("text"), [_problem()], template)
    assert "1 of 1 prompts ask for the answer in \\boxed{}" in caplog.text


def test_a_wrong_answer_with_a_box_says_what_would_read_it() -> None:
    def judge(source: str, text: str) -> tuple[Outcome, str]:
        score = make_accuracy(_settings(source), PromptForm())(
            _problem(), Completion([1], [0.0], f"<think>a</think>{text}", "stop")
        )
        return score.outcome, score.detail

    summary = "We divide both sides. " * 90 + "So $x=\\boxed{4}$, hence\n\\boxed{4}"
    outcome, detail = judge("text", summary)
    assert outcome is not Outcome.CORRECT
    assert '"boxed" would judge alone' in detail
    assert judge("boxed", summary)[0] is Outcome.CORRECT
    assert "would judge" not in judge("text", "4")[1] + judge("text", "5")[1]


def test_a_program_is_read_whole_where_boxes_are() -> None:
    settings = _settings("boxed")
    assert answer_source(_problem(verifier="code"), find_verifier("code"), settings) == "text"
    assert answer_source(_problem(), find_verifier("math"), settings) == "boxed"
    own = _problem(verifier="code", answer_from="tag")
    assert answer_source(own, find_verifier("code"), settings) == "tag"


def test_the_clusters_recipe_reads_the_box_that_its_cold_start_teaches() -> None:
    stages = tomllib.loads((CLUSTER / "r1.toml").read_text())["stages"]
    read = {
        name: stage["rewards"]["answer_from"]
        for name, stage in stages.items()
        if "answer_from" in stage.get("rewards", {})
    }
    assert read == dict.fromkeys(("dev2", "rejection", "eval_dev1"), "boxed")


@pytest.mark.parametrize(
    ("text", "content"),
    [("so \\boxed 3.", "3"), ("\\boxed3", "3"), ("\\boxed{5} or \\boxed 3", "5, 3"),
     ("\\boxed 42", None), ("\\boxed 3.5", None), ("\\boxed 3^2", None), ("\\boxed 3/4", None),
     ("use \\boxed for it", None)],
)  # fmt: skip
def test_a_box_without_braces_holds_one_digit(text: str, content: str | None) -> None:
    assert boxed_answer(text) == content
