"""Trackers are given every row once, whatever happens to them or to the run."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import threading
import time
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import r1
from r1.errors import UserError
from r1.pipeline.r1 import R1Recipe, specs_of
from r1.run_dir import RunDir
from r1.run_dir.atomic import put_aside
from r1.track import lane
from r1.track.backends import OPENERS
from r1.track.settings import TRACKERS, TrackSettings
from r1.track.trackers import Trackers, numbers
from small_recipe import with_plain_heldout, write_recipe

HELD = {"pass_at_1": {"value": 0.5, "low": 0.25, "high": 0.75}, "k": 4, "by_family": {}}


class FakeRun:
    """The part of wandb.Run (0.31) and trackio.Run (0.43) that is used."""

    def __init__(self, client: FakeClient, given: dict[str, Any]) -> None:
        self.client, self.given = client, given

    def log(self, data: dict, step: int | None = None, commit: bool | None = None) -> None:
        if self.client.hangs:
            self.client.released.wait(20)
        if self.client.failures:
            self.client.failures -= 1
            raise ConnectionError("no route to the tracker\nand more")
        assert json.loads(json.dumps(data, allow_nan=False)) == data
        self.client.rows.append((self.given.get("id") or self.given["name"], step, data))

    def finish(self, exit_code: int | None = None) -> None:
        self.client.finished += 1


class FakeClient(ModuleType):
    """A tracker's module: remembers every run that was opened, and every row."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None)
        self.opened: list[dict[str, Any]] = []
        self.rows: list[tuple[str, int, dict[str, float]]] = []
        self.failures = self.finished = 0
        self.hangs, self.released = False, threading.Event()

    def steps(self) -> list[int]:
        return [step for _, step, data in self.rows if "reward" in data]


def wandb_init(
    entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None,
    config_exclude_keys=None, config_include_keys=None, allow_val_change=None, group=None,
    job_type=None, mode=None, force=None, reinit=None, resume=None, resume_from=None,
    fork_from=None, save_code=None, tensorboard=None, sync_tensorboard=None, monitor_gym=None,
    settings=None, anonymous=None,
) -> None: ...  # fmt: skip


def trackio_init(
    project, name=None, group=None, space_id=None, server_url=None, dataset_id=None,
    bucket_id=None, config=None, resume="never", settings=None, private=None, embed=True,
    auto_log_gpu=None, gpu_log_interval=10.0, auto_log_cpu=None, cpu_log_interval=10.0,
    webhook_url=None, webhook_min_level=None,
) -> None: ...  # fmt: skip


SIGNATURES = {"wandb": wandb_init, "trackio": trackio_init}


def fake(monkeypatch, name: str) -> FakeClient:
    client = FakeClient(name)

    def init(**given: Any) -> FakeRun:
        inspect.signature(SIGNATURES[name]).bind(**given)
        assert given["resume"] == "allow"
        client.opened.append(given)
        return FakeRun(client, given)

    client.init = init
    monkeypatch.setitem(sys.modules, name, client)
    return client


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_fakes_have_the_clients_signatures(name) -> None:
    module = pytest.importorskip(name, reason=f"{name} is not installed: its fake is not compared")
    real = inspect.signature(module.init).parameters
    assert set(inspect.signature(SIGNATURES[name]).parameters) <= set(real)


class Recipe(R1Recipe):
    """Something with settings."""


RECIPE = Recipe(stages={"a": {"kind": "sft"}})


def trackers(out: Path, said: list[str], *names: str) -> Trackers:
    return Trackers(TrackSettings(to=names), RECIPE, out, said.append)


def write_run(out: Path, steps: int, evaluated: tuple[int, ...] = ()) -> None:
    """What a run's folder holds after so many steps."""
    (out / "evaluations").mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text('{"format": 1, "kind": "sft"}')
    rows = [{"step": step, "reward": step / 10, "kl": None} for step in range(steps)]
    (out / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    times = [{"step": step, "seconds/total": 1.5} for step in range(steps)]
    (out / "timings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in times))
    for step in evaluated:
        file = out / "evaluations" / f"step-{step:06d}.json"
        file.write_text(json.dumps({"step": step, **HELD}))


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_resumed_run_goes_on_in_the_same_tracker_run_with_no_step_twice(
    monkeypatch, tmp_path, name
) -> None:
    client, out, said = fake(monkeypatch, name), tmp_path / "mine", []
    write_run(out, 0)
    first = trackers(out, said, name)
    first.begin("training", 0, 5)
    first.evaluation("training", 0, HELD)
    for step in range(4):
        first.step("training", step, {"reward": step / 10, "kl": float("nan"), "step": step})
    first.close()
    assert client.rows[0][1:] == (
        0,
        {"heldout/pass_at_1": 0.5, "heldout/pass_at_1/low": 0.25, "heldout/pass_at_1/high": 0.75}
        | {"heldout/k": 4.0},
    )
    assert client.rows[1][1:] == (1, {"reward": 0.0})
    write_run(out, 2, evaluated=(0,))  # killed: the newest checkpoint is that after two steps
    again = trackers(out, said, name)
    again.begin("training", 2, 5)
    for step in range(2, 5):
        again.step("training", step, {"reward": step / 10})
    again.close()
    assert client.steps() == [1, 2, 3, 4, 5]
    assert [data for _, step, data in client.rows if step == 0] == [client.rows[0][2]]
    assert len({run for run, _, _ in client.rows}) == 1
    assert len(client.opened) == client.finished == 2
    assert said == []


def follow(out: Path, said: list[str], name: str, run: Path, rewards: dict[int, float]) -> None:
    """Track a stage over the steps of `rewards`; run: the stage's run folder, under out."""
    one = trackers(out, said, name)
    write_run(run, min(rewards))
    one.begin("zero", min(rewards), max(rewards) + 1)
    for step, reward in rewards.items():
        one.step("zero", step, {"reward": reward})
    one.close()


def test_a_stage_that_begins_anew_is_a_new_run_there(monkeypatch, tmp_path) -> None:
    client, said, run = fake(monkeypatch, "wandb"), [], tmp_path / "zero" / "run"
    follow(tmp_path, said, "wandb", run, {0: 0.1, 1: 0.2, 2: 0.3})
    follow(tmp_path, said, "wandb", run, {1: 0.2, 2: 0.3, 3: 0.4})
    assert client.steps() == [1, 2, 3, 4]
    put_aside(tmp_path / "zero")
    follow(tmp_path, said, "wandb", run, {0: 0.7, 1: 0.8})
    (first, _, _), *_, (second, _, _) = client.rows
    assert first != second
    assert [row for row in client.rows if row[0] == second] == [
        (second, 1, {"reward": 0.7}),
        (second, 2, {"reward": 0.8}),
    ]
    assert said == []


def test_a_run_that_took_no_step_and_begins_anew_is_a_new_run_there(monkeypatch, tmp_path) -> None:
    client, said = fake(monkeypatch, "wandb"), []
    for pass_at_1 in (0.25, 0.75):
        with RunDir.open(tmp_path / "run", {"lr": pass_at_1}, "sft"):
            one = trackers(tmp_path / "run", said, "wandb")
            one.begin("training", 0, 3)
            one.evaluation("training", 0, {"pass_at_1": pass_at_1})
            one.close()
    assert [data["heldout/pass_at_1"] for _, _, data in client.rows] == [0.25, 0.75]
    assert len({run for run, _, _ in client.rows}) == 2


def test_a_tracker_that_fails_is_told_once_and_gets_the_rest_at_the_next_start(
    monkeypatch, tmp_path
) -> None:
    client, said = fake(monkeypatch, "wandb"), []
    client.failures = 100
    write_run(tmp_path, 0)
    first = trackers(tmp_path, said, "wandb")
    first.begin("training", 0, 9)
    for step in range(6):
        first.step("training", step, {"reward": step / 10})
    first.close()
    assert client.rows == []
    assert said[0].startswith("wandb failed (no route to the tracker); the run goes on")
    assert "did not take 6 points (3 tries failed)" in said[1]
    assert len(said) == 2
    client.failures = 1  # and once more, which the next row makes good
    write_run(tmp_path, 6)
    again = trackers(tmp_path, said, "wandb")
    again.begin("training", 6, 9)
    again.step("training", 6, {"reward": 0.6})
    again.close()
    assert client.steps() == list(range(1, 8))
    assert client.rows[0][2] == {"reward": 0.0, "seconds/total": 1.5}


def test_a_tracker_that_hangs_holds_nobody_up(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(lane, "CLOSE_S", 0.05)
    client, other, said = fake(monkeypatch, "wandb"), fake(monkeypatch, "trackio"), []
    client.hangs = True
    write_run(tmp_path, 0)
    both = trackers(tmp_path, said, "wandb", "trackio")
    both.begin("training", 0, 2)
    for step in range(2):
        both.step("training", step, {"reward": 1.0})
    while len(other.rows) < 2:
        time.sleep(0.01)
    both.close()
    assert "wandb has not ended within" in said[0]
    assert "wandb did not take 2 points" in said[1]
    client.released.set()


def test_a_missing_package_is_refused_before_anything(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("r1.track.backends.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[trackio\]'"):
        trackers(tmp_path, [], "trackio")
    assert list(tmp_path.iterdir()) == []


def test_a_run_of_a_recipe_is_tracked(tmp_path, monkeypatch) -> None:
    client = fake(monkeypatch, "wandb")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    sections = '[track]\nto = ["wandb:mine"]\n[checkpoints]\nevery = 1\n'
    path = write_recipe(tmp_path, "qwen2", 3, sections + "[grpo]\nnum_problems = 2\n")
    with_plain_heldout(path)

    def stop(stage: str, step: int, metrics: Any) -> None:
        if step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        r1.train(path, tmp_path / "run", show=False, on_step=stop)
    run = r1.train(path, tmp_path / "run", show=False)
    assert [step for _, step, data in client.rows if "reward" in data] == [1, 2, 3]
    rows = [{**times, **row} for row, times in zip(run.metrics, run.timings, strict=False)]
    for _, step, data in client.rows:
        if "reward" in data:
            assert data.items() >= numbers(run.metrics[step - 1]).items()
            assert set(data) == set(numbers(rows[step - 1])) - {"seconds/evaluate"}
    assert [step for _, step, data in client.rows if "heldout/pass_at_1" in data] == [0, 3]
    assert (client.opened[0]["name"], client.opened[0]["project"]) == ("run", "mine")
    assert client.opened[0]["config"]["num_steps"] == 3
    without = r1.load_recipe(path, track=None)  # it moves no number: a run may go on without
    assert r1.train(without, tmp_path / "run", show=False).done


def test_a_stage_has_no_tracker_of_its_own() -> None:
    stage = {"kind": "sft", "model": "tiny", "track": {"to": ["wandb"]}}
    with pytest.raises(UserError, match=r"one \[track\] for the whole recipe"):
        specs_of(R1Recipe(stages={"a": stage}), "r.toml")


def test_tensorboard_for_real(tmp_path) -> None:
    pytest.importorskip(
        "tensorboard", reason="tensorboard is not installed (the extra tensorboard)"
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    said: list[str] = []
    write_run(tmp_path, 0)
    for first, last in ((0, 3), (2, 5)):
        one = trackers(tmp_path, said, "tensorboard")
        write_run(tmp_path, first)
        one.begin("training", first, 5)
        for step in range(first, last):
            one.step("training", step, {"reward": step / 10})
        one.close()
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("reward")] == [1, 2, 3, 4, 5]
    stage = tmp_path / "whole" / "zero"
    follow(tmp_path / "whole", said, "tensorboard", stage / "run", {0: 0.1, 1: 0.2, 2: 0.3})
    put_aside(stage)
    follow(tmp_path / "whole", said, "tensorboard", stage / "run", {0: 0.7})
    for name, values in (("zero", [0.7]), ("zero.old-1", [0.1, 0.2, 0.3])):
        events = EventAccumulator(str(tmp_path / "whole" / "tensorboard" / name)).Reload()
        assert [event.value for event in events.Scalars("reward")] == pytest.approx(values)
    assert said == []


@pytest.mark.parametrize(
    ("to", "said"),
    [
        (["wandbb"], "did you mean 'wandb'"),
        (["mlflow:x"], "there are wandb, tensorboard, trackio"),
        (["wandb", "wandb:b"], "named twice"),
        ([], "at least 1 item"),
    ],
)
def test_a_tracker_that_is_none_is_refused(to, said) -> None:
    recipe = {
        "model": "tiny",
        "num_steps": 1,
        "data": {"train": [{"kind": "tiny", "split": "train"}]},
    }
    with pytest.raises(UserError, match=said):
        r1.recipe(**recipe, track={"to": to})
    assert set(OPENERS) == set(TRACKERS)
    assert TrackSettings(to=["wandb:a b", "trackio"]).projects == {"wandb": "a b", "trackio": "r1"}
