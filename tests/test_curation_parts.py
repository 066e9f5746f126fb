"""The parts of curation: pattern, near-duplicates, judges, the real line, layers, linear time."""

from __future__ import annotations

import ast
import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from clock import assert_linear
from curation_world import (
    FakeScorer,
    files_of,
    problems_of,
    prose,
    sample_into,
    settings_of,
)
from r1.curation.duplicates import similarity, sketch
from r1.curation.filters import CorrectSample, choose
from r1.curation.journal import Record
from r1.curation.pattern import PatternDefect, PatternSettings
from r1.curation.progress import DataProgress
from r1.curation.readers import ReaderPool
from r1.curation.rejection import SamplingLine, rejection_sample
from r1.curation.settings import FilterSettings, KeepSettings, RejectionSettings
from r1.curation.store import read_rows
from r1.data.decontaminate import words
from r1.errors import UserError
from r1.rewards.settings import RewardSettings
from r1.types import Completion, Outcome, Reward, RolloutGroup, Score
from test_curation_rejection import StopError

PACKAGE = Path(__file__).parents[1] / "src" / "r1" / "curation"
ALLOWED = {
    "curation", "judge", "rewards", "rollout", "data", "template", "run_dir", "text", "config",
    "errors", "types", "files", "terminal",
}  # fmt: skip


def test_layers_and_no_torch():
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            parts = {n.split(".")[1] for n in names if n and n.startswith("r1.")}
            assert parts <= ALLOWED, (path.name, parts - ALLOWED)
    modules = [f"r1.curation.{path.stem}" for path in PACKAGE.glob("[a-z]*.py")]
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# The output pattern ------------------------------------------------------------------------------

TEXT = st.text("ab \n中。", min_size=1).filter(lambda text: text.strip())
PATTERNS = [
    PatternSettings(),
    PatternSettings(answer_tags=True),
    PatternSettings(opening="|s|", closing="|s|", inside="", between=" "),
]


@given(TEXT, TEXT, st.sampled_from(PATTERNS))
def test_what_is_rendered_is_split_again(thinking, summary, pattern):
    text = pattern.render(thinking, summary)
    assert pattern.split(text) == (thinking.strip(), summary.strip(), None)
    shown = pattern.in_think_tags(text)
    tags = PatternSettings(answer_tags=pattern.answer_tags)
    assert tags.split(shown) == (thinking.strip(), summary.strip(), None)
    opened = text.removeprefix(pattern.opening)
    assert pattern.split(opened, opened=True).defect is None
    assert tags.split(pattern.in_think_tags(opened, True), True).summary == summary.strip()


@pytest.mark.parametrize(
    ("text", "defect"),
    [
        (" ", PatternDefect.EMPTY),
        ("x <think>a</think> b", PatternDefect.NOT_OPENED),
        ("<think>a b", PatternDefect.NOT_CLOSED),
        ("<think>a</think> b</think>", PatternDefect.REPEATED_TOKEN),
        ("<think>a<think></think> b", PatternDefect.REPEATED_TOKEN),
        ("<think> </think> b", PatternDefect.NO_REASONING),
        ("<think>a</think> ", PatternDefect.NO_SUMMARY),
    ],
)
def test_texts_that_break_the_pattern(text, defect):
    assert PatternSettings().split(text) == (None, None, defect)
    assert PatternSettings().split(text.replace("<think>", "", 1)).defect is not None


def test_answer_tags_must_be_one_block():
    pattern = PatternSettings(answer_tags=True)
    assert pattern.split("<think>a</think> <answer> b </answer>").summary == "b"
    for broken in (
        "b",
        "<answer>b",
        "<answer>b</answer> c",
        "<answer>b</answer><answer>c</answer>",
    ):
        assert pattern.split(f"<think>a</think> {broken}").defect is PatternDefect.BROKEN_ANSWER
    for wrong in ({"opening": " x"}, {"inside": "x"}, {"opening": ""}):
        with pytest.raises(ValueError, match=r"opening|inside"):
            PatternSettings.model_validate(wrong)


# Duplicates --------------------------------------------------------------------------------------


def exact_similarity(first, second, n):
    a, b = (
        {tuple(w[i : i + n]) for i in range(max(1, len(w) - n + 1))}
        for w in (words(first), words(second))
    )
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("length", [3, 20, 100, 2000])
@pytest.mark.parametrize("changed", [0.0, 0.01, 0.05, 0.3])
def test_similarity_is_that_of_the_runs(length, changed):
    draw = random.Random(length)
    text = prose(draw, length)
    other = " ".join(w if draw.random() >= changed else f"x{i}" for i, w in enumerate(text.split()))
    found = similarity(sketch(text), sketch(other))
    exact = exact_similarity(text, other, 5)
    tolerance = 1e-9 if length <= 100 else 0.1  # 256 of 2000 runs: deviation 0.03
    assert found == pytest.approx(exact, abs=tolerance)


def test_chinese_and_empty_texts_have_sketches():
    first = "先把两个数字加起来，然后再检查一遍结果，最后写下答案"
    assert similarity(sketch(first), sketch(first + "。")) == 1.0
    assert similarity(sketch(first), sketch("完全不同的一句话，说的是别的事情")) < 0.1
    assert len(sketch("")) == len(sketch("...")) == 1


def test_chosen_samples_are_no_duplicates_and_reasons_add_up():
    draw = random.Random(0)
    texts = [prose(draw, 40) for _ in range(6)] * 2
    reward = Reward(1.0, {}, True)
    candidates = [
        CorrectSample(g, g, text, "1", "1", len(text), reward) for g, text in enumerate(texts)
    ]
    kept, dropped = choose(candidates, KeepSettings(cap=4), 0, "p")
    assert len({c.thinking for c in kept}) == len(kept) == 4
    assert dropped == {"duplicate": 6, "beyond the cap": 2}
    kept, _ = choose(candidates, KeepSettings(cap=None, order="shortest"), 0, "p")
    assert len({c.thinking for c in kept}) == len(kept) == 6
    assert [c.sample for c in kept] == list(range(6))  # the first of each pair of equals


def test_accuracy_must_be_among_the_rewards(tmp_path):
    class NoAccuracy(FakeScorer):
        def _reward(self, problem, text):
            return Reward(1.0, {"format": Score(1.0, Outcome.CORRECT)}, True)

    with pytest.raises(UserError, match="add it to rewards"):
        sample_into(tmp_path, problems_of(1), settings_of(), scorer=NoAccuracy())


def test_an_unknown_language_is_the_users_mistake(tmp_path):
    for workers in (0, 1):
        pool = ReaderPool(FilterSettings(num_workers=workers))
        with pool, pytest.raises(UserError, match="tlh"):
            pool.submit("some words here", "tlh", "").result()


# The project's own engine and rewards ------------------------------------------------------------


class Interrupted:
    """An engine that is stopped after a number of groups."""

    def __init__(self, engine, num_groups):
        self.engine, self.left = engine, num_groups

    def generate(self, requests, sampling):
        for group in self.engine.generate(requests, sampling):
            if self.left == 0:
                raise StopError
            self.left -= 1
            yield group


@pytest.mark.slow
def test_the_embedded_engine_and_the_reward_pool(tmp_path):
    """The tiny base samples the tiny world; stopped inside a call and carried on, it writes the
    same bytes; every row's answer is verified once more."""
    from r1.data.tiny import BASE_FOLDER
    from r1.data.tiny.problems import make_problems
    from r1.models.load import load_model, load_tokenizer
    from r1.rewards.pool import RewardPool
    from r1.rewards.registry import PromptForm
    from r1.rollout.embedded import EmbeddedEngine
    from r1.rollout.settings import EngineSettings
    from r1.template import PromptRenderer, TemplateSettings

    model = load_model(str(BASE_FOLDER), dtype="float32", device="cpu")
    tokenizer = load_tokenizer(str(BASE_FOLDER))
    renderer = PromptRenderer(tokenizer, TemplateSettings())
    settings = RejectionSettings.model_validate(
        {
            "num_samples": 8,
            "sampled": {"answer_tags": True},
            "sampling": {"max_new_tokens": 100, "stop": ["</answer>"]},
            "call": {"prompts": 4},
            "keep": {"cap": 2},
        }
    )
    problems = make_problems("train", num=7)
    form = PromptForm(opened=renderer.opens_think, stop=("</answer>",))
    engine = EmbeddedEngine(model, tokenizer, EngineSettings(device="cpu"))
    with RewardPool(RewardSettings(), form) as pool:

        def run(name, engine):
            line = SamplingLine(engine, pool, renderer)
            given = {"source": "tiny", "heldout": problems[:1]}
            return rejection_sample(tmp_path / name, problems, line, settings, **given)

        card = run("whole", engine)
        with pytest.raises(StopError):
            run("stopped", Interrupted(engine, 5))
        run("stopped", engine)
        rows = list(read_rows(tmp_path / "whole"))
        by_id = {problem.id: problem for problem in problems}
        for row in rows:
            completion = Completion([], [], row["response"], "stop")
            group = RolloutGroup(by_id[row["problem_id"]], (), [completion])
            (reward,) = pool.submit_group(group).result().rewards
            assert reward.parts["accuracy"].outcome is Outcome.CORRECT
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "stopped")
    assert rows, card.total.dropped
    assert card.total.contaminated >= 1
    assert card.total.sampled == 8 * (7 - card.total.contaminated)


# Time --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unit",
    ["word ", "$x$ ", "<think>", "`a` ", "中", "\\begin{a}", "a.b ", "(", "\n\n", "```\n"],
)
def test_filters_take_linear_time(unit):

    def filters(size: int) -> None:
        text = unit * (size // len(unit))
        with ReaderPool(FilterSettings()) as readers:
            readers.submit(text, "en", "").result()
        PatternSettings().split(f"<think>{text}</think> x")
        sketch(text)

    assert_linear(filters, 4_000, 10)


# The terminal ------------------------------------------------------------------------------------


def test_a_stage_that_samples_nothing_speaks_of_rows() -> None:
    lines = {}
    for name, counts in (("supplied", {"rows": 1}), ("rejection", {"sampled": 4})):
        told = io.StringIO()
        progress = DataProgress(name, Console(file=told))
        progress.begin(0, 2)
        for number in range(2):
            progress.advance(Record(number, str(number), "f", counts, [{}]))
        progress.end()
        lines[name] = told.getvalue()
    assert lines["supplied"].startswith("supplied: 2/2 rows, kept 2, ")
    assert " rows/s, 0:00:00 left" in lines["supplied"]
    assert lines["rejection"].startswith("rejection: 2/2 prompts, kept 2 of 8 samples, ")
