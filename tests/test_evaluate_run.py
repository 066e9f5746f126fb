"""From problems to figures: fakes for the rules, the real engine and pool for the line."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import Future
from contextlib import nullcontext

import pytest

from r1.errors import UserError
from r1.evaluation.blocks import BlockPlan
from r1.evaluation.pretty import evaluation_table, format_interval
from r1.evaluation.run import evaluate
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.suite import EvaluationLine, evaluate_in_blocks
from r1.intervals import exact_bounds
from r1.rewards.exact import normalise
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.template import parse
from r1.types import Completion, Outcome, Problem, Reward, Score, ScoredGroup

TEXTS = {
    "right": "<think>3+4=7</think> <answer>7</answer>",
    "checked": "<think>3+4=8. Wait, 7.</think> <answer>7.0</answer>",
    "wrong": "<think>3+4=8</think> <answer>8</answer>",
    "none": "7",
    "broken": "<think>crash</think> <answer>7</answer>",
}


class FakeEngine:
    """Answers with scripted kinds of text, groups last to first; counts what it was asked."""

    def __init__(self, kinds_of, fail_after=None):
        self.kinds_of, self.fail_after = kinds_of, fail_after
        self.asked = []

    def generate(self, requests, sampling):
        for request in reversed(requests):
            if self.fail_after is not None and len(self.asked) >= self.fail_after:
                raise KeyboardInterrupt
            self.asked.append(request)
            kinds = self.kinds_of(request)
            reason = ["length" if kind == "none" else "stop" for kind in kinds]
            yield FinishedGroup(
                request,
                [
                    Completion([1] * len(TEXTS[kind]), [], TEXTS[kind], r)
                    for kind, r in zip(kinds, reason, strict=True)
                ],
            )


class FakeScorer:
    settings = RewardSettings()

    def submit_group(self, group):
        future = Future()
        future.set_result(ScoredGroup(group, [self._reward(c.text) for c in group.completions]))
        return future

    def group_answers(self, problem, answers):
        numbers = {}
        keys = [None if a is None else float(normalise(a)) for a in answers]
        return [-1 if key is None else numbers.setdefault(key, len(numbers)) for key in keys]

    def _reward(self, text):
        parsed = parse(text)
        outcome = {"7": Outcome.CORRECT, "7.0": Outcome.CORRECT, None: Outcome.UNPARSEABLE}.get(
            parsed.answer_strict, Outcome.WRONG
        )
        if "crash" in text:
            outcome = Outcome.VERIFIER_FAILED
        value = float(outcome == Outcome.CORRECT)
        form = Score(float(parsed.defect is None), Outcome.CORRECT)
        return Reward(
            value, {"accuracy": Score(value, outcome), "format": form}, outcome.is_verdict
        )


class FakeRenderer:
    opens_think = False

    def encode(self, problem, earlier=()):
        return tuple(problem.encode())


def problems_of(num, family="sums"):
    return [Problem(f"{family}-{i}", "3+4", "7", "exact", family=family) for i in range(num)]


def run_fake(kinds_of, problems, k, **settings):
    engine = FakeEngine(kinds_of)
    return evaluate(
        engine,
        FakeScorer(),
        FakeRenderer(),
        problems,
        EvaluationSettings(num_samples=k, **settings),
        step=7,
    ), engine


def test_the_summary_by_hand():
    script = {
        "sums-0": ["right", "checked", "wrong", "none"],
        "sums-1": ["wrong", "wrong", "right", "broken"],
        "cups-0": ["broken", "broken", "broken", "broken"],
    }
    problems = [*problems_of(2), *problems_of(1, "cups")]
    evaluation, _ = run_fake(lambda request: script[request.id], problems, 4)
    summary = evaluation.summary()
    assert (summary["step"], summary["num_problems"], summary["k"]) == (7, 3, 4)
    assert summary["pass_at_1"]["value"] == pytest.approx((2 / 4 + 1 / 3) / 2)
    assert summary["cons_at_k"]["value"] == 0.5  # 7 and 7.0 vote together; cups-0 has no verdict
    assert summary["pass_at_k"]["2"] == pytest.approx(((1 - 1 / 6) + (1 - 1 / 3)) / 2)
    assert summary["pass_at_k"]["4"] == 1.0  # only sums-0 has four verdicts
    assert summary["by_family"]["cups"]["pass_at_1"] == {"value": None, "low": None, "high": None}
    assert summary["by_family"]["sums"]["num_problems"] == 2
    assert summary["outcomes"] == {
        "correct": 3, "wrong": 3, "unparseable": 1, "verifier-failed": 5, "timed-out": 0
    }  # fmt: skip
    assert summary["format"] == pytest.approx(11 / 12)
    assert summary["truncated"] == pytest.approx(1 / 12)
    assert summary["self_check_share"] == pytest.approx(1 / 12)
    lengths = [len(TEXTS[kind]) for kinds in script.values() for kind in kinds]
    assert summary["mean_length"] == pytest.approx(sum(lengths) / 12)
    assert summary["sampling"]["temperature"] == 0.6
    assert summary["sampling"]["top_p"] == 0.95
    assert [group.group.problem.id for group in evaluation.groups] == [p.id for p in problems]


def test_samples_keep_their_seeds_whatever_k_and_the_order_are():
    problems = problems_of(3)
    _, few = run_fake(lambda request: ["right"] * 2, problems, 2)
    _, many = run_fake(lambda request: ["right"] * 5, problems[::-1], 5)
    _, other = run_fake(lambda request: ["right"] * 2, problems, 2, seed=1)
    seeds = {r.id: r.seeds for r in few.asked}
    assert {r.id: r.seeds[:2] for r in many.asked} == seeds
    assert len({s for r in many.asked for s in r.seeds}) == 15
    assert not {s for r in other.asked for s in r.seeds} & {
        s for pair in seeds.values() for s in pair
    }


def test_an_evaluation_without_the_accuracy_reward_is_refused():
    scorer = FakeScorer()
    scorer.settings = RewardSettings(weights={"format": 1.0})
    with pytest.raises(UserError, match="add accuracy to rewards"):
        evaluate(FakeEngine(None), scorer, FakeRenderer(), problems_of(1), EvaluationSettings())


class Blocks:
    """An evaluation in blocks of two problems, with a scripted engine."""

    def __init__(self, out, monkeypatch, num=7):
        monkeypatch.setattr("r1.evaluation.blocks.BLOCK_SAMPLES", 8)
        self.out = out
        self.plan = BlockPlan(
            problems_of(num), EvaluationSettings(num_samples=4), SamplingSettings()
        )
        self.identity = {"model": "m"}

    def run(self, fail_after=None, on_problem=lambda judged: None):
        kinds = list(TEXTS)
        engine = FakeEngine(lambda r: [kinds[s % len(kinds)] for s in r.seeds], fail_after)
        line = EvaluationLine(engine, FakeScorer(), FakeRenderer(), parse)
        evaluate_in_blocks(
            self.plan, lambda: nullcontext(line), self.out, self.identity, on_problem
        )
        return engine

    def files(self):
        return {p.name: p.read_bytes() for p in sorted(self.out.rglob("*")) if p.is_file()}


def test_a_killed_evaluation_carries_on_and_equals_an_uninterrupted_one(tmp_path, monkeypatch):
    whole = Blocks(tmp_path / "whole", monkeypatch)
    whole.run()
    killed = Blocks(tmp_path / "killed", monkeypatch)
    for fail_after in (3, 0, 1):  # inside the second block, at once, inside the second again
        with pytest.raises(KeyboardInterrupt):
            killed.run(fail_after)
        assert not (killed.out / "evaluation.json").exists()
    seen = []
    engine = killed.run(on_problem=lambda judged: seen.append(judged.problem_id))
    assert len(engine.asked) == 5  # the two problems of the first block were kept
    assert sorted(seen) == [f"sums-{i}" for i in range(7)]
    assert killed.files() == whole.files()
    assert killed.run().asked == []  # finished: nothing is sampled again


def test_an_evaluation_folder_of_another_request_is_refused_untouched(tmp_path, monkeypatch):
    first = Blocks(tmp_path / "out", monkeypatch)
    first.run()
    before = first.files()
    for change in ({"identity": {"model": "other"}}, {"plan": first.plan._replace(step=3)}):
        other = Blocks(tmp_path / "out", monkeypatch)
        vars(other).update(change)
        with pytest.raises(UserError, match="another evaluation"):
            other.run()
    assert first.files() == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="not an evaluation"):
        Blocks(tmp_path / "mine", monkeypatch).run()


def test_blocks_and_memory_give_the_same_figures(tmp_path, monkeypatch):
    import json

    blocks = Blocks(tmp_path / "out", monkeypatch)
    blocks.run()
    kinds = list(TEXTS)
    evaluation, _ = run_fake(
        lambda r: [kinds[s % len(kinds)] for s in r.seeds], blocks.plan.problems, 4
    )
    written = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    fresh = {**evaluation.summary(), "step": 0, "sampling": written["sampling"]}
    assert written == json.loads(json.dumps(fresh))


def test_the_table_shows_every_family_and_what_was_left_out():
    from rich.console import Console

    script = {"sums": ["right", "wrong", "broken"], "cups": ["right", "checked", "right"]}
    problems = [*problems_of(3), *problems_of(2, "cups")]
    evaluation, _ = run_fake(lambda r: script[r.id[:4]], problems, 3)
    console = Console(width=200)
    with console.capture() as capture:
        console.print(evaluation_table(evaluation.summary(), "mine"))
    shown = capture.get()
    low, high = exact_bounds(0.7, 5)
    assert f"70.0 % ({100 * low:.1f}-{100 * high:.1f})" in shown  # of 5 problems, 12 verdicts
    assert "100.0 % (15.8-100.0)" in shown  # 2 problems: 0.025 ** (1 / 2)
    assert "3 samples without a verdict" in shown
    assert "cons@3" in shown
    assert format_interval({"value": None, "low": None, "high": None}) == "-"
    assert not math.isnan(evaluation.summary()["pass_at_1"]["value"])


def test_two_evaluations_do_not_write_into_one_folder(tmp_path, monkeypatch):
    """Both passed the look at the lock that a command begins with."""
    first = Blocks(tmp_path / "out", monkeypatch)
    other = (
        "import sys\nfrom pathlib import Path\nfrom r1.run_dir import lock\n"
        "out = Path(sys.argv[1])\nout.mkdir()\nlock.acquire(out)\n"
        "print('held', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other, str(tmp_path / "out")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as holder:  # fmt: skip
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"by another process .pid {holder.pid}"):
            first.run()
        assert not (first.out / "request.json").exists()
        holder.stdin.close()
    first.run()
    assert (first.out / "evaluation.json").exists()
    with subprocess.Popen([sys.executable, "-c", other.replace("out.mkdir()", ""), first.out],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as after:  # fmt: skip
        assert after.stdout.readline() == b"held\n", "the lock was not given back"
        after.stdin.close()
