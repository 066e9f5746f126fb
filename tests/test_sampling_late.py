"""Verdicts that come late: void in their own batch, learnt from in a later one, never wrong."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field

import pyarrow.parquet as pq
import pytest

from r1.errors import UserError
from r1.pipeline.recipe import load_any_recipe
from r1.r1_zero.run import run_r1_zero
from r1.rewards.combine import PoolCounts
from r1.sampling.late import MAX_AGE, LateSampler, LateVerdicts
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup

PLUGIN = """
import os, time
from r1.rewards.registry import Verifier, register_verifier
from r1.types import Outcome, Score

def score(problem, answer, settings):
    while problem.reference == "slow" and not os.path.exists(os.environ["LATE_GATE"]):
        time.sleep(0.01)
    return Score(1.0, Outcome.CORRECT)

register_verifier("gated", Verifier(score, lambda problem: None, str.__eq__, answer_from="text"))
"""
RECIPE = """
model = "tiny"
num_steps = 5
[[data.train]]
path = "train.jsonl"
[template]
kind = "plain"
[grpo]
num_problems = 2
group_size = 2
kl_weight = 0.0
importance_cap = {cap}
[sampling]
max_new_tokens = 4
[rewards]
plugins = ["gated_verifier"]
weights = {{ accuracy = 1.0 }}
num_workers = 2
timeout_s = 600.0
late_s = {late_s}
"""


@dataclass
class Handle:
    """A group whose verdicts a test lets come."""

    group: RolloutGroup
    ready: bool = False
    cancelled: bool = False

    def done(self) -> bool:
        return self.ready

    def result(self) -> ScoredGroup:
        assert self.ready
        right = Reward(1.0, {"accuracy": Score(1.0, Outcome.CORRECT)}, True)
        return ScoredGroup(self.group, [right] * len(self.group.completions))

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class FakeScorer:
    handles: dict[str, Handle] = field(default_factory=dict)

    def submit_group(self, group: RolloutGroup) -> Handle:
        return self.handles.setdefault(group.problem.id, Handle(group))

    def take_counts(self) -> PoolCounts:
        return PoolCounts()


def group(name: str, version: int = 0) -> RolloutGroup:
    drawn = [Completion([1], [0.0], "x", "stop", version) for _ in range(3)]
    return RolloutGroup(Problem(name, "p", "r", "exact"), (1,), drawn)


def outcomes(scored: ScoredGroup) -> set[Outcome]:
    return {reward.parts["accuracy"].outcome for reward in scored.rewards}


class Batch:
    """A sampler with one batch."""

    def __init__(self, scored: list[ScoredGroup]) -> None:
        self.scored = scored

    def take(self, step: int) -> list[ScoredGroup]:
        return self.scored


def test_a_late_group_is_void_in_its_batch_and_joins_the_next_one() -> None:
    scorer = FakeScorer()
    late = LateVerdicts(scorer, 1e-3, pooled=True)
    handles = [late.submit_group(group(name)) for name in ("early", "slow")]
    scorer.handles["early"].ready = True
    early, slow = (handle.result() for handle in handles)
    assert outcomes(early) == {Outcome.CORRECT}
    assert outcomes(slow) == {Outcome.TIMED_OUT}
    assert not any(reward.valid for reward in slow.rewards)
    assert len(slow.rewards) == 3
    assert late.arrived(0) == []
    assert handles[1].done()
    scorer.handles["slow"].ready = True
    assert handles[1].result() is slow, "its own batch has it without verdicts, for good"
    (found,) = late.arrived(1)
    assert outcomes(found) == {Outcome.CORRECT}
    assert late.arrived(2) == [], "once"
    counts = late.take_counts()
    told = counts.as_metrics()
    assert [told[f"pool/late_{name}"] for name in ("groups", "pooled", "void")] == [1.0, 1.0, 0.0]
    assert told["queue/late"] == 0.0
    assert "1 of 2 groups had no verdict within rewards.late_s" in (counts.alarm() or "")
    assert late.take_counts().alarm() is None


def test_without_importance_weights_late_verdicts_are_void() -> None:
    scorer = FakeScorer()
    late = LateVerdicts(scorer, 1e-3, pooled=False)
    late.submit_group(group("slow")).result()
    scorer.handles["slow"].ready = True
    assert late.arrived(1) == []
    assert late.take_counts().as_metrics()["pool/late_void"] == 1.0
    assert late.take_counts().as_metrics()["pool/late_void"] == 0.0


def test_what_is_too_old_is_void_and_not_waited_for() -> None:
    scorer = FakeScorer()
    late = LateVerdicts(scorer, 1e-3, pooled=True)
    late.submit_group(group("never", version=3)).result()
    late.submit_group(group("old", version=3)).result()
    assert late.arrived(3 + MAX_AGE) == []
    assert late.take_counts().as_metrics()["queue/late"] == 2.0
    scorer.handles["old"].ready = True
    assert late.arrived(4 + MAX_AGE) == []
    assert scorer.handles["never"].cancelled
    told = late.take_counts().as_metrics()
    assert (told["pool/late_void"], told["queue/late"]) == (2.0, 0.0)


def test_batches_have_late_groups_at_their_end() -> None:
    scorer = FakeScorer()
    late = LateVerdicts(scorer, 1e-3, pooled=True)
    late.submit_group(group("slow")).result()
    scorer.handles["slow"].ready = True
    own = Handle(group("own"), ready=True).result()
    taken = LateSampler(Batch([own]), late).take(1)  # type: ignore[arg-type]
    assert [scored.group.problem.id for scored in taken] == ["own", "slow"]


class OpensTheGate:
    """Run events; lets the slow verdicts come after the first step."""

    def begin(self, *_: object) -> None: ...

    def evaluating(self, *_: object) -> None: ...

    def evaluation(self, *_: object) -> None: ...

    def warn(self, message: str) -> None: ...

    def step(self, *_: object) -> None:
        with open(os.environ["LATE_GATE"], "w"):
            pass
        time.sleep(1.0)  # most machines have them at the next batch; the counts hold on all


@pytest.mark.slow
@pytest.mark.parametrize("cap", [0.0, 2.0])
def test_a_run_counts_every_late_group_and_none_as_wrong(tmp_path, monkeypatch, cap) -> None:
    monkeypatch.setenv("LATE_GATE", str(tmp_path / "gate"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "gated_verifier.py").write_text(PLUGIN)
    rows = [{"id": f"p{i}", "prompt": f"{i}?", "reference": ("fast", "slow")[i % 2],
             "verifier": "gated"} for i in range(6)]  # fmt: skip
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.toml").write_text(RECIPE.format(cap=cap, late_s=2.0))
    recipe = load_any_recipe(tmp_path / "r.toml", [])
    out = run_r1_zero(recipe, tmp_path, tmp_path / "out", OpensTheGate())
    timings = [json.loads(line) for line in (out / "timings.jsonl").read_text().splitlines()]
    names = ("groups", "pooled", "void")
    total = {name: sum(row[f"pool/late_{name}"] for row in timings) for name in names}
    assert total["groups"] >= 1
    assert total["groups"] == total["pooled"] + total["void"] + timings[-1]["queue/late"]
    assert total["void" if cap else "pooled"] == 0.0
    tables = [pq.read_table(path) for path in sorted(out.glob("rollouts/*"))]
    kept = [row for table in tables for row in table.to_pylist()]
    assert {row["outcome/accuracy"] for row in kept} <= {"correct", "unparseable", "timed-out"}
    late = [row for row in kept if row["outcome/accuracy"] == "timed-out"]
    assert len(late) == 2 * total["groups"]
    assert not any(row["valid"] for row in late)
    assert len(kept) == 2 * (2 * 5 + total["pooled"])


def test_late_s_is_a_number_of_seconds(tmp_path) -> None:
    (tmp_path / "r.toml").write_text(RECIPE.format(cap=2.0, late_s=0.0))
    with pytest.raises(UserError, match="late_s"):
        load_any_recipe(tmp_path / "r.toml", [])
