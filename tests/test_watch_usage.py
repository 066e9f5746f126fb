"""Who was busy in a step, how deep the queues were, and what of it a step's line says."""

from __future__ import annotations

import io
import json
import math
import time
from collections.abc import Iterator

import pytest
from rich.console import Console

from r1.algorithms.batch import BatchStats
from r1.progress import TerminalProgress, work_line
from r1.rewards.pool import RewardPool
from r1.rewards.settings import RewardSettings
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.rollout.usage import Usage, WatchedEngine, watched
from r1.step_metrics import PhaseTimer, step_metrics
from r1.types import (
    Completion,
    GroupRequest,
    Outcome,
    Problem,
    Reward,
    RolloutGroup,
    Score,
    ScoredGroup,
)
from run_processes import finish
from small_recipe import write_recipe


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_busy_seconds_of_each_worker_and_of_any() -> None:
    clock = Clock()
    usage = Usage(["engine_0", "engine_1", "engine_2"], clock)
    usage.now(["engine_0", "engine_1"], waiting=5)
    clock.now += 2
    usage.now(["engine_1"], waiting=1)
    clock.now += 1
    usage.now()
    clock.now += 7
    used = usage.take()
    assert used.busy == {"engine_0": 2.0, "engine_1": 3.0, "engine_2": 0.0}
    assert (used.seconds, used.any_busy, used.deepest) == (10.0, 3.0, 5)
    assert used.shares() == pytest.approx(
        {"busy/engines": 1 / 6, "busy/engine_0": 0.2, "busy/engine_1": 0.3, "busy/engine_2": 0.0}
    )


def test_work_under_way_counts_on_both_sides_of_a_step_s_end() -> None:
    clock = Clock()
    usage = Usage(["engine"], clock)
    clock.now += 1
    usage.now(["engine"], waiting=3)
    clock.now += 3
    first = usage.take()
    assert (first.busy, first.any_busy, first.deepest) == ({"engine": 3.0}, 3.0, 3)
    assert first.shares() == {"busy/engines": 0.75}
    clock.now += 2
    usage.now()
    second = usage.take()
    assert (second.seconds, second.busy, second.deepest) == (2.0, {"engine": 2.0}, 3)
    assert usage.take().deepest == 0


class SlowEngine:
    """Takes 30 ms for each group, and for finding that there is no more."""

    def generate(self, requests, sampling) -> Iterator[FinishedGroup]:
        for request in requests:
            time.sleep(0.03)
            yield FinishedGroup(request, [])
        time.sleep(0.03)

    def load_weights(self, weights, version) -> None:
        self.loaded = (list(weights), version)


def test_an_engine_of_this_process_works_while_its_groups_are_waited_for() -> None:
    inner = SlowEngine()
    engine = WatchedEngine(inner)
    requests = [GroupRequest(name, (1,), (1,)) for name in ("a", "b")]
    engine.usage.take()
    found = []
    for request, _ in engine.generate(requests, SamplingSettings()):
        found.append(request.id)
        time.sleep(0.1)  # whoever asked has other things to do: the engine is idle
    used = engine.usage.take()
    assert found == ["a", "b"]
    assert 0.09 <= used.busy["engine"] < 0.2
    assert used.seconds >= 0.29
    engine.load_weights([("w", None)], 4)
    assert inner.loaded == ([("w", None)], 4)
    assert not hasattr(watched(inner), "poll")


class PollingEngine(SlowEngine):
    """One that also takes groups while it samples."""

    def submit(self, requests, sampling) -> None:
        self.submitted = requests

    def poll(self) -> list[FinishedGroup]:
        time.sleep(0.03)
        return [FinishedGroup(request, []) for request in self.submitted]


def test_an_engine_that_is_polled_works_in_between() -> None:
    engine = watched(PollingEngine())
    engine.usage.take()
    engine.submit([GroupRequest("a", (1,), (1,))], SamplingSettings())
    assert [group.request.id for group in (*engine.poll(), *engine.poll())] == ["a", "a"]
    time.sleep(0.05)
    used = engine.usage.take()
    assert 0.06 <= used.busy["engine"] <= used.seconds - 0.05


def test_a_step_s_speeds_count_the_engines_work_and_not_the_loop_s_waiting() -> None:
    """Sampling ahead: the loop waited a moment for what took the engines 4 of 10 seconds."""
    clock = Clock()
    usage = Usage(["engine"], clock)
    timer = PhaseTimer(usage)
    timer.started = time.perf_counter() - 10.0
    timer.seconds = {"rollout": 0.5, "update": 9.0}
    usage.now(["engine"])
    clock.now += 4.0
    usage.now()
    clock.now += 6.0
    problem = Problem("p", "1 + 1 = ?", "2", "exact")
    group = RolloutGroup(problem, (3,), [Completion([5] * 200, [-1.0] * 200, "a", "stop")])
    update = {"seconds": 9.0, "tokens_processed": 450.0, "loss": 0.25}
    metrics = step_metrics([ScoredGroup(group, [])], BatchStats(0, 0, 0, 1, 1), update, timer)
    assert metrics["speed/rollout_tokens"] == pytest.approx(50.0)
    assert metrics["speed/update_tokens"] == pytest.approx(50.0)
    assert metrics["speed/step_tokens"] == pytest.approx(20.0, rel=0.01)
    assert metrics["busy/engines"] == pytest.approx(0.4)
    assert metrics["busy/learner"] == pytest.approx(0.9, rel=0.01)
    assert metrics["queue/engines"] == 0.0
    assert "seconds" not in metrics
    waited = PhaseTimer()
    waited.seconds = {"rollout": 8.0}
    assert waited.metrics(200, 0, 0)["speed/rollout_tokens"] == 25.0
    assert "busy/engines" not in waited.metrics(200, 0, 0)
    before = PhaseTimer(Usage(["engine"], clock))
    before.started -= 10.0
    before.seconds = {"rollout": 0.001}
    assert "speed/rollout_tokens" not in before.metrics(200, 0, 0), "all was drawn before"


def test_groups_that_wait_for_their_rewards_are_counted() -> None:
    problem = Problem("p", "1 + 1 = ?", "2", "exact")
    answer = Completion([5], [-1.0], "<answer>2</answer>", "stop")
    with RewardPool(RewardSettings(num_workers=1)) as pool:
        handles = [pool.submit_group(RolloutGroup(problem, (3,), [answer])) for _ in range(4)]
        for handle in handles:
            handle.result()
        assert pool.take_counts().as_metrics()["queue/rewards"] in (3.0, 4.0)  # or one was done
        assert pool.take_counts().as_metrics()["queue/rewards"] == 0.0


STEP = {
    "reward": 0.5213,
    "pass_rate": 0.43,
    "length_mean": 61.2,
    "self_check_share": 0.12,
    "seconds/rollout": 1.8,
    "seconds/update": 2.1,
    "seconds/sync": 0.02,
    "seconds/total": 4.0,
    "speed/step_tokens": 2114.4,
    "busy/engines": 0.425,
}
TROUBLED = {
    **STEP,
    "staleness": 0.97,
    "queue/engines": 12.0,
    "pool/engine_restarts": 1.0,
    "pool/learner_restarts": 1.0,
}


def test_a_step_s_line_says_where_its_time_went() -> None:
    assert work_line(STEP) == "4 s: rollout 45% update 52%  2,114 tokens/s  engines 42%"
    supervised = {"loss": 1.5, "seconds/total": 0.5, "speed/tokens_per_s": 1234.0}
    assert work_line(supervised) == "0.5 s  1,234 tokens/s"
    assert work_line({"loss": 1.0}) == ""


def shown(terminal: bool, width: int = 80) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None)
    with TerminalProgress(console) as progress:
        progress.begin(0, 100, [])
        progress.step(0, TROUBLED)
        if terminal:
            progress._live.refresh()
    return file.getvalue().splitlines()


def test_a_step_that_no_verifier_judged_is_not_all_wrong() -> None:
    group = RolloutGroup(Problem("p", "1 + 1 = ?", "2", "exact"), (3,), [])
    group.completions += [Completion([5], [-1.0], "a", "stop")] * 2
    failed = {"accuracy": Score(0.0, Outcome.VERIFIER_FAILED, "it crashed")}
    scored = ScoredGroup(group, [Reward(0.0, failed, valid=False)] * 2)
    metrics = step_metrics([scored], BatchStats(0, 0, 0, 1, 1), {}, PhaseTimer())
    for name in ("reward", "reward/accuracy", "pass_rate"):
        assert math.isnan(metrics[name]), name
    assert (metrics["outcome/verifier-failed"], metrics["outcome/wrong"]) == (2.0, 0.0)
    console = Console(file=io.StringIO(), width=200)
    TerminalProgress(console).step(0, metrics)
    assert "reward –  pass –  length 1" in console.file.getvalue()


def test_a_file_gets_a_line_a_step() -> None:
    (line,) = shown(terminal=False, width=200)
    assert line.startswith("step 1/100  reward 0.52  pass 43%  length 61  checks 12%  restarts 2")
    assert "checks 12%  restarts 2  stale 1.0  queue 12  4 s: rollout 45%" in line
    assert "engines 42%  left " in line


def test_hours_are_told_from_minutes() -> None:
    console = Console(file=io.StringIO(), width=200)
    progress = TerminalProgress(console)
    told = {"seconds": 59.0, "minutes": 75.0, "hours": 3 * 3600.0 + 75.0}
    for name, seconds in told.items():
        progress.staged(name, seconds, {})
    lines = console.file.getvalue().splitlines()
    assert [line.split("done in ")[1].split(" ")[0] for line in lines] == [
        "0:59", "1:15", "3:01:15",
    ]  # fmt: skip


def test_a_terminal_of_80_columns_shows_all_of_it() -> None:
    text = "\n".join(shown(terminal=True))
    for words in ("1/100", "reward 0.52  pass 43%", "update 52%", "engines 42%\n", "queue 12\n"):
        assert words in text, words


@pytest.mark.slow
def test_the_machine_s_figures_stay_out_of_metrics_jsonl(tmp_path) -> None:
    recipe = write_recipe(tmp_path, "qwen2", 2, "[grpo]\nnum_problems = 3\ngroup_size = 2\n")
    out = tmp_path / "run"
    finish(recipe, out)
    metrics, timings = (
        [json.loads(line) for line in (out / name).open()]
        for name in ("metrics.jsonl", "timings.jsonl")
    )
    apart = ("seconds/", "speed/", "pool/", "busy/", "queue/")
    assert not [key for row in metrics for key in row if key.startswith(apart)]
    for row in (row for row in timings if "seconds/total" in row):
        phases = row["seconds/rollout"] + row["seconds/update"] + row["seconds/sync"]
        assert phases <= row["seconds/total"] + 1e-6
        assert 0 < row["busy/engines"] <= row["seconds/rollout"] / row["seconds/total"] + 1e-3
        assert 0 < row["busy/learner"] <= row["seconds/update"] / row["seconds/total"] + 1e-3
        assert 1 <= row["queue/rewards"] <= 4  # an evaluation's 4 groups count for the step after
        assert row["speed/step_tokens"] < row["speed/rollout_tokens"]
