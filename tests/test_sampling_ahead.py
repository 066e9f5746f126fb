"""Sampling ahead: leaving early, and dynamic sampling beside what is under way."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pyarrow.parquet as pq
import pytest

from r1.rollout.embedded import EmbeddedEngine
from r1.rollout.protocol import AbortedError
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.rollout.usage import watched
from r1.sampling.partial import PartialRollouts
from r1.sampling.roll_out import Rollouts
from r1.sampling.whole import WholeBatches
from r1.types import Outcome, Problem, Reward, RolloutGroup, Score, ScoredGroup
from run_processes import finish, kill_after
from small_models import make_model
from small_recipe import write_recipe
from test_engine_numerics import ragged_requests
from test_loop_ahead import SECTIONS, FakeEngine, FakeRun, Scorer, rows_of


class Stuck(FakeEngine):
    """Ends nothing of the batches after the first, whoever waits for them."""

    def __init__(self, happened: list) -> None:
        super().__init__(happened)
        self.stopped = threading.Event()

    def may_draw(self, name: str, drawn: list[int]) -> bool:
        return name.endswith("step 0")

    def generate(self, requests: Any, sampling: Any) -> Iterator[Any]:
        groups = super().generate(requests, sampling)
        yield next(groups)
        if requests[1].id != "p0":
            assert self.stopped.wait(600)
            raise AbortedError
        yield next(groups)

    def abort(self) -> None:
        self.stopped.set()


class Unabortable(Stuck):
    abort = None  # type: ignore[assignment]


def fail(step: int) -> None:
    time.sleep(0.1)  # the next batch is under way
    raise MemoryError("of the learner")


def interrupt() -> None:
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C means what it means at a terminal; a job in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("how", ["error", "interrupt"])
def test_leaving_early_is_prompt_and_evaluates_nothing(tmp_path, monkeypatch, partial, how):
    """interrupt: Ctrl-C while an evaluation waits for the batches that were begun."""
    measured: list[int] = []
    monkeypatch.setattr(FakeRun, "_measure", lambda self, step: measured.append(step))
    sampler = PartialRollouts if partial else WholeBatches
    run_when_idle, left = sampler.run_when_idle, []

    def interrupted(self: Any, action: Callable[[], None]) -> None:
        if measured:
            left.append(time.monotonic() + 0.2)
            threading.Timer(0.2, interrupt).start()
        run_when_idle(self, action)

    monkeypatch.setattr(sampler, "run_when_idle", interrupted)

    def failing(step: int) -> None:
        if how == "error":
            left.append(time.monotonic() + 0.1)
            fail(step)

    raised = MemoryError if how == "error" else KeyboardInterrupt
    with pytest.raises(raised):
        FakeRun(
            tmp_path / "run",
            4,
            Stuck,
            failing,
            evaluated=(0, 1),
            staleness=2,
            partial_rollouts=partial,
        )
    assert time.monotonic() - left[0] < 300, "it waited for what never ends"
    assert measured == [0], "the evaluation that waited is not done"
    assert not [t for t in threading.enumerate() if t.name.startswith("rollouts")]


def test_an_engine_that_cannot_be_stopped_is_not_waited_for(tmp_path):
    engines: list[Stuck] = []

    class Noted(Unabortable):
        def __init__(self, happened: list) -> None:
            super().__init__(happened)
            engines.append(self)

    with pytest.raises(MemoryError):
        FakeRun(tmp_path / "run", 4, Noted, fail, evaluated=(), staleness=1)
    assert not engines[0].stopped.is_set()
    engines[0].stopped.set()


def test_a_batch_of_the_embedded_engine_ends_at_its_next_token(monkeypatch):
    sampling = SamplingSettings(max_new_tokens=1900)
    engine = watched(EmbeddedEngine(make_model("qwen2"), None, EngineSettings(device="cpu")))
    requests = ragged_requests()

    def sample(step: int, source: Any, rollouts: Rollouts) -> list[Any]:
        return list(rollouts.engine.generate(requests, sampling))

    monkeypatch.setattr("r1.sampling.whole.sample_batch", sample)
    batches: dict[int, Any] = {}
    nothing: Any = None

    def learn() -> None:
        with WholeBatches(nothing, Rollouts(engine, nothing, nothing)) as ahead:
            ahead.renew(make_model("qwen2").named_parameters(), 0)
            ahead.begin([0, 1])
            batches.update(ahead._batches)
            fail(0)

    with pytest.raises(MemoryError):
        learn()
    assert all(isinstance(batch.exception(), AbortedError) for batch in batches.values())
    short = SamplingSettings(max_new_tokens=8)
    fresh = EmbeddedEngine(make_model("qwen2"), None, EngineSettings(device="cpu"))
    assert list(engine.generate(requests, short)) == list(fresh.generate(requests, short))


class Dull(Scorer):
    """Problems p1, p2, p4, p5, ... teach nothing; their scores take some looks."""

    def submit_group(self, group: RolloutGroup) -> Any:
        dull = int(group.problem.id[1:]) % 3 > 0
        rewards = [
            Reward(float(g > 0 and not dull), {"place": Score(g > 0, Outcome.CORRECT)}, True)
            for g in range(len(group.completions))
        ]
        scored, looks = ScoredGroup(group, rewards), iter([False, False])
        return SimpleNamespace(done=lambda: next(looks, True), result=lambda: scored)


class Counted(Dull):
    groups: ClassVar[Counter[str]] = Counter()

    def submit_group(self, group: RolloutGroup) -> Any:
        self.groups[group.problem.id] += 1
        return super().submit_group(group)


class Dealt:
    """Two problems a step, of eleven."""

    def __init__(self, first: int) -> None:
        self.first = first

    def batch(self, step: int) -> list[Problem]:
        numbers = [(self.first + 2 * step + i) % 11 for i in range(2)]
        return [Problem(f"p{n}", f"{n}?", "1", "exact") for n in numbers]


def dynamic(
    folder: Path, num_steps: int, before: Callable[[int], None] = lambda step: None, **grpo: Any
) -> tuple[FakeRun, dict[str, int]]:
    """A run of dynamic sampling, and how often each problem's group was scored."""
    Counted.groups.clear()
    parts = {"source": lambda: Dealt(0), "spare": lambda: Dealt(4), "scorer": Counted}
    ran = FakeRun(folder, num_steps, FakeEngine, before, dynamic_sampling=4, **parts, **grpo)
    return ran, dict(Counted.groups)


def drawn(folder: Path) -> dict[str, list[tuple[str, float]]]:
    """The samples of each step: problem and reward."""
    tables = {path.name: pq.read_table(path) for path in sorted((folder / "rollouts").iterdir())}
    return {
        name: list(zip(*(table[c].to_pylist() for c in ("problem_id", "reward")), strict=True))
        for name, table in tables.items()
    }


@pytest.mark.parametrize("k", [1, 3])
def test_rounds_of_dynamic_sampling_are_those_of_the_synchronous_loop(tmp_path, k):
    together, asked = dynamic(tmp_path / "together", 12)
    ahead, asked_ahead = dynamic(tmp_path / "ahead", 12, staleness=k, partial_rollouts=True)
    assert asked_ahead == asked
    assert drawn(tmp_path / "ahead") == drawn(tmp_path / "together")
    same = ("reward", "zero_variance", "responses_trained", "length_mean")
    for ours, theirs in zip(ahead.metrics, together.metrics, strict=True):
        assert [ours[name] for name in same] == [theirs[name] for name in same]
        assert ours["staleness_max"] <= k
    full = [row["zero_variance"] == 0.0 for row in ahead.metrics]
    assert sum(full) >= 8, "most batches hold groups with a signal and no others"
    assert [e for e in ahead.evaluated if e[0] in (3, 12)] == [(3, 3), (12, 12)]
    # Rounds are begun under the newest weights, later than the batch that they belong to.
    versions = [
        (int(name.split("step ")[1].split(",")[0]), version)
        for kind, version, names in (e for e in ahead.happened if e[0] == "submit")
        for name in names
        if "round" in name
    ]
    assert all(step // 5 * 5 <= version <= step for step, version in versions)
    assert any(version > max(step // 5 * 5, step - k) for step, version in versions)


def test_a_killed_run_deals_the_same_rounds_again(tmp_path):
    mode = {"staleness": 2, "partial_rollouts": True}
    dynamic(tmp_path / "straight", 12, **mode)

    def killed(step: int) -> None:
        if step == 8:
            raise MemoryError

    with pytest.raises(MemoryError):
        dynamic(tmp_path / "killed", 12, killed, **mode)
    ran, _ = dynamic(tmp_path / "killed", 12, **mode)
    assert ran.happened[0] == ("weights", 5)
    assert drawn(tmp_path / "killed") == drawn(tmp_path / "straight")


@pytest.mark.slow
def test_dynamic_sampling_of_real_engines_agrees_and_carries_on(tmp_path) -> None:
    """Weights that hardly move: the samples are those of the synchronous run, the killed too."""
    sections = SECTIONS.replace("group_size = 4", "group_size = 2").replace("5e-3", "1e-12")
    sections = sections.replace("[optimizer]", "dynamic_sampling = 2\n[optimizer]")
    runs = {"together": "staleness = 0", "ahead": "staleness = 2\npartial_rollouts = true"}
    for name, mode in runs.items():
        (tmp_path / name).mkdir()
        recipe = write_recipe(tmp_path / name, "qwen2", 8, sections.replace("staleness = 1", mode))
        recipe.write_text(recipe.read_text().replace("max_new_tokens = 12", "max_new_tokens = 2"))
        if name == "ahead":
            kill_after(recipe, tmp_path / name / "run", 6)
        finish(recipe, tmp_path / name / "run")
    together, ahead = (rows_of(tmp_path / name / "run") for name in runs)
    assert drawn(tmp_path / "ahead" / "run") == drawn(tmp_path / "together" / "run")
    assert max(row["staleness_max"] for row in ahead) == 2
    empty = [row["zero_variance"] for row in ahead]
    assert empty == [row["zero_variance"] for row in together]
    assert 0.0 in empty
