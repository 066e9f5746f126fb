"""Sampling ahead: the order of things, the bound on staleness, and where a killed run lands."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from r1.algorithms.batch import has_signal
from r1.algorithms.grpo import GRPO, GRPOSettings
from r1.errors import UserError
from r1.loop import EvaluationHook, TrainSettings, train
from r1.pipeline.recipe import load_any_recipe
from r1.rollout.protocol import FinishedGroup
from r1.rollout.settings import SamplingSettings
from r1.run_dir import CheckpointSettings, RunDir
from r1.sampling.beside import snapshot
from r1.sampling.choose import open_sampler
from r1.sampling.roll_out import BatchSource, Rollouts
from r1.step_metrics import staleness_metrics
from r1.types import Completion, Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup
from run_processes import finish, kill_after
from run_story import story
from small_recipe import write_recipe

SECTIONS = """
[grpo]
num_problems = 4
group_size = 4
kl_weight = 0.0
staleness = 1
importance_cap = 2.0
[optimizer]
lr = 5e-3
[evaluation]
every = 3
num_samples = 2
[checkpoints]
every = 4
"""
NUM_PROBLEMS, GROUP_SIZE = 2, 2


class FakeEngine:
    """Ends a group after some polls. Its tokens are the versions that drew them."""

    def __init__(self, happened: list, polls: int = 3) -> None:
        self.happened, self.polls = happened, polls
        self.version = -1
        self.under_way: dict[str, tuple[Any, list[int]]] = {}

    def load_weights(self, weights, version: int) -> None:
        assert dict(weights)["version"].item() == version, "weights of another moment"
        self.version = version
        self.happened.append(("weights", version))

    def generate(self, requests, sampling) -> Iterator[FinishedGroup]:
        self.happened.append(("generate", self.version, [request.id for request in requests]))
        for request in requests:
            yield self._finished(request, [self.version] * self.polls)

    def submit(self, requests, sampling) -> None:
        assert requests
        self.happened.append(("submit", self.version, [request.id for request in requests]))
        for request in requests:
            assert request.id not in self.under_way
            self.under_way[request.id] = (request, [])

    def poll(self) -> list[FinishedGroup]:
        for name, (_, drawn) in self.under_way.items():
            if self.may_draw(name, drawn):
                drawn.append(self.version)
        ended = [name for name, (_, drawn) in self.under_way.items() if len(drawn) >= self.polls]
        return [self._finished(*self.under_way.pop(name)) for name in ended]

    def may_draw(self, name: str, drawn: list[int]) -> bool:
        return True

    def _finished(self, request, drawn: list[int]) -> FinishedGroup:
        completions = [
            Completion(list(drawn), [-1.0 - v for v in drawn], "a", "stop", drawn[0])
            for _ in request.seeds
        ]
        return FinishedGroup(request, completions)


class Scorer:
    """Scores at once: a sample's place in its group."""

    def submit_group(self, group: RolloutGroup) -> Any:
        rewards = [
            Reward(float(g), {"place": Score(float(g), Outcome.CORRECT)}, True)
            for g in range(len(group.completions))
        ]
        scored = ScoredGroup(group, rewards)
        return SimpleNamespace(done=lambda: True, result=lambda: scored)

    def take_counts(self) -> Any:
        return SimpleNamespace(as_metrics=lambda: {})


class Learner:
    """Its weights are the number of updates, changed in place, as a real one's are."""

    def __init__(self, happened: list, before_update: Callable[[int], None]) -> None:
        self.happened, self.before_update = happened, before_update
        self.version = torch.zeros(())
        self.batches: list[Any] = []

    def update(self, batch) -> dict[str, float]:
        self.before_update(int(self.version))
        self.happened.append(("update", int(self.version)))
        self.version += 1
        self.batches.append(batch)
        return {}

    def weights(self):
        yield "version", self.version

    def save(self, folder: Path) -> None:
        (folder / "weights").write_text(str(self.version.item()))


class Source:
    def batch(self, step: int) -> list[Problem]:
        # Every batch holds problem "again", so that neighbours must be told apart.
        names = ("again", f"p{step}")
        return [Problem(name, f"{name}?", "1", "exact") for name in names]


class FakeRun:
    """A run of the loop on fakes."""

    def __init__(
        self,
        folder: Path,
        num_steps: int,
        engine: type[FakeEngine] = FakeEngine,
        before_update: Callable[[int], None] = lambda step: None,
        evaluated: tuple[int, ...] = (3,),
        scorer: type[Scorer] = Scorer,
        source: Any = Source,
        spare: Any = Source,
        **grpo: Any,
    ) -> None:
        self.happened: list[tuple[Any, ...]] = []
        self.engine = engine(self.happened)
        self.learner = Learner(self.happened, before_update)
        self.evaluated: list[tuple[int, int]] = []
        settings = GRPOSettings(
            num_problems=NUM_PROBLEMS, group_size=GROUP_SIZE, importance_cap=2.0, **grpo
        )
        due = (*evaluated, num_steps).__contains__
        renderer: Any = SimpleNamespace(
            encode=lambda prompt, earlier=(): (3, 4),
            parse=lambda text: SimpleNamespace(thinking=None, answer=text),
        )
        with RunDir.open(folder, {}, "r1_zero", checkpoints=CheckpointSettings(every=5)) as run:
            self.learner.version += run.resume_step()
            algorithm: Any = GRPO(settings)
            batches = BatchSource(
                source(),
                spare(),
                seed=0,
                group_size=GROUP_SIZE,
                sampling=SamplingSettings(max_new_tokens=8),
                teaches=lambda scored: has_signal(scored, algorithm, 8),
                rounds=settings.dynamic_sampling,
            )
            rollouts: Any = Rollouts(self.engine, scorer(), renderer)
            learner: Any = self.learner

            def report(step: int, metrics: Any, counts: Any) -> None:
                self.happened.append(("committed", step))

            def measure(step: int) -> None:
                if due(step):
                    self._measure(step)

            sampler = open_sampler(batches, rollouts, settings)
            loop = TrainSettings(num_steps, algorithm, 8)
            train(run, sampler, rollouts, learner, loop, EvaluationHook(due, measure), report)
        self.metrics = [json.loads(line) for line in (folder / "metrics.jsonl").open()]

    def _measure(self, step: int) -> None:
        self.evaluated.append((step, self.engine.version))
        self.happened.append(("evaluate", step, len(self.engine.under_way)))

    def versions(self, kind: str) -> dict[int, int]:
        """The version that each batch was begun under."""
        names = {f"p{n}": n for n in range(20)}
        return {
            names[name.split(" ")[0]]: version
            for _, version, asked in (what for what in self.happened if what[0] == kind)
            for name in asked
            if name.split(" ")[0] in names
        }


@pytest.mark.parametrize("k", [1, 2, 3])
def test_whole_batches_are_sampled_by_the_version_that_the_step_decides(tmp_path, k):
    """With checkpoints after 5 and 10 steps: max(begin of the stretch, n - k) samples batch n."""
    ran = FakeRun(tmp_path / "run", 12, staleness=k)
    expected = {n: max(n // 5 * 5, n - k) for n in range(12)}
    assert ran.versions("generate") == expected
    assert [row["staleness"] for row in ran.metrics] == [n - expected[n] for n in range(12)]
    assert [row["staleness_max"] for row in ran.metrics] == [n - expected[n] for n in range(12)]
    # Evaluated under the very weights, and never beside a batch.
    assert [e for e in ran.evaluated if e[0] in (3, 12)] == [(3, 3), (12, 12)]


def test_the_learner_goes_on_while_the_engine_is_late(tmp_path):
    """With k = 3, updates 0, 1 and 2 need nothing that the weights after them sample."""
    release = threading.Event()
    loaded: list[int] = []

    class SlowEngine(FakeEngine):
        def load_weights(self, weights, version):
            if version == 1:
                assert release.wait(20)
            super().load_weights(weights, version)
            loaded.append(version)

    def before_update(step: int) -> None:
        if step == 3:
            assert loaded == [0], "the engine is still to take version 1"
            release.set()

    ran = FakeRun(tmp_path / "run", 5, SlowEngine, before_update, (), staleness=3)
    assert ran.versions("generate") == {0: 0, 1: 0, 2: 0, 3: 0, 4: 1}


@pytest.mark.parametrize("k", [1, 2, 4])
def test_partial_rollouts_keep_the_bound_and_tell_the_versions(tmp_path, k):
    """Each response spans as many weights as came meanwhile; none begins more than k before."""
    ran = FakeRun(tmp_path / "run", 12, staleness=k, partial_rollouts=True)
    begun = ran.versions("submit")
    for n in range(12):
        stretch = n // 5 * 5
        assert max(stretch, n - k) <= begun[n] <= n, "too old, or across a checkpoint"
    ages = [row["staleness_max"] for row in ran.metrics]
    assert all(0 <= row["staleness"] <= row["staleness_max"] <= k for row in ran.metrics)
    assert ages[0] == ages[5] == ages[10] == 0
    for step, batch in enumerate(ran.learner.batches):
        assert len(batch.groups) == NUM_PROBLEMS, "every problem once, whoever ends first"
        for group in batch.groups:
            for response in group.responses:
                assert response.engine_logprobs == [-1.0 - v for v in response.token_ids]
                assert response.token_ids == sorted(response.token_ids)
                assert step - response.token_ids[0] <= k
    assert [e for e in ran.evaluated if e[0] in (3, 12)] == [(3, 3), (12, 12)]
    evaluations = [e for e in ran.happened if e[0] == "evaluate"]
    assert all(under_way == 0 for _, _, under_way in evaluations)


def test_responses_under_way_go_on_under_newer_weights(tmp_path):
    """An engine that ends nothing of batches 1 and 2 before version 1 has come."""

    class Waiting(FakeEngine):
        def may_draw(self, name, drawn):
            last = len(drawn) == self.polls - 1
            return not last or self.version > 0 or name.endswith("step 0")

    ran = FakeRun(tmp_path / "run", 3, Waiting, staleness=2, partial_rollouts=True)
    spans = [
        {tuple(r.token_ids) for g in batch.groups for r in g.responses}
        for batch in ran.learner.batches
    ]
    assert spans[0] == {(0, 0, 0)}
    assert all(span[0] == 0 and span[-1] > 0 for span in spans[1] | spans[2])
    assert [row["staleness"] for row in ran.metrics] == [0, 1, 2]


def test_what_goes_wrong_beside_the_learner_is_raised(tmp_path):
    class Failing(FakeEngine):
        def generate(self, requests, sampling):
            raise UserError("problem p1: no room")

        def poll(self):
            raise UserError("problem p1: no room")

    for partial in (False, True):
        folder = tmp_path / str(partial)
        with pytest.raises(UserError, match="problem p1: no room"):
            FakeRun(folder, 3, Failing, staleness=1, partial_rollouts=partial)
    assert not [t for t in threading.enumerate() if t.name.startswith("rollouts")]


def test_staleness_is_the_mean_and_the_maximum_over_samples() -> None:
    problem = Problem("p", "1 + 1 = ?", "2", "exact")
    completions = [Completion([5], [-1.0], "a", "stop", version) for version in (6, 7, 7, 4)]
    scored = ScoredGroup(RolloutGroup(problem, (3,), completions), [])
    assert staleness_metrics(7, [scored]) == {"staleness": 1.0, "staleness_max": 3.0}


def test_weights_on_their_way_do_not_change_with_the_learner() -> None:
    weight = torch.ones(2)
    kept = snapshot((name, weight) for name in ("w",))
    weight += 1
    assert dict(kept)["w"].tolist() == [1.0, 1.0]
    sent = SimpleNamespace(version=3)  # as RemoteWeights: a copy already
    assert snapshot(sent) is sent  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sections", "field"),
    [
        (SECTIONS.replace("importance_cap = 2.0\n", ""), r"grpo: .* importance_cap"),
        ("[grpo]\npartial_rollouts = true\nimportance_cap = 2.0\n", r"grpo: .* staleness to 1"),
        (
            "[grpo]\nstaleness = 1\npartial_rollouts = true\nimportance_cap = 2.0\n"
            "[engine.vllm]\nsleep = true\n",
            r"engine\.vllm\.sleep .* grpo\.partial_rollouts",
        ),
        ("[grpo]\nstaleness = -1\n", "staleness"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, sections, field) -> None:
    recipe = write_recipe(tmp_path, "qwen2", 3, sections)
    with pytest.raises(UserError, match=field):
        load_any_recipe(recipe)


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").open()]


@pytest.mark.slow
def test_whole_batches_learn_and_resume_to_the_same_bytes(tmp_path) -> None:
    k = 2
    (tmp_path / "recipe").mkdir()
    sections = SECTIONS.replace("staleness = 1", f"staleness = {k}")
    recipe = write_recipe(tmp_path / "recipe", "qwen2", 10, sections)
    finish(recipe, tmp_path / "straight")
    rows = rows_of(tmp_path / "straight")
    # Fresh at the beginning and after each checkpoint (4, 8), then one older each step up to k.
    assert [row["staleness_max"] for row in rows] == [min(n % 4, k) for n in range(10)]
    assert sum(row["reward"] for row in rows[-3:]) > sum(row["reward"] for row in rows[:3]) + 0.2
    stale = [row["engine_gap"] for row in rows if row["staleness"]]
    assert min(stale) > 100 * max(row["engine_gap"] for row in rows if not row["staleness"])
    for steps in (2, 6):
        kill_after(recipe, tmp_path / "killed", steps)
    finish(recipe, tmp_path / "killed")
    assert story(tmp_path / "killed") == story(tmp_path / "straight")


@pytest.mark.slow
def test_partial_rollouts_in_one_process_learn_within_the_bound(tmp_path) -> None:
    sections = SECTIONS.replace("staleness = 1", "staleness = 2\npartial_rollouts = true")
    recipe = write_recipe(tmp_path, "qwen2", 10, sections)
    finish(recipe, tmp_path / "run")
    rows = rows_of(tmp_path / "run")
    assert all(row["staleness_max"] <= min(row["step"] % 4, 2) for row in rows)
    assert sum(row["reward"] for row in rows[-3:]) > sum(row["reward"] for row in rows[:3]) + 0.2
