"""Stages as a graph: what becomes stale, what is put aside, what a wrong edge says."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from r1.data.external import inputs_of
from r1.errors import UserError
from r1.pipeline.graph import InputSource, Stage, StageState, check, run_stage, stand
from r1.stages.protocol import Artifact, ArtifactType

DATA, MODEL = ArtifactType.DATASET, ArtifactType.CHECKPOINT


def writer(text: str, log: list[str], name: str):
    """A stage's run: its input's text with its own added."""

    def run(folder: Path, inputs):
        log.append(name)
        above = "".join(path.read_text() for path in inputs.values())
        (folder / "out.txt").write_text(above + text)
        return {"out": Artifact("out.txt", DATA, {"characters": len(above + text)})}

    return run


def chain(log: list[str], a: str = "a", b: str = "b", c: str = "c") -> list[Stage]:
    """Three stages, the second and the third both reading the first; the fourth reads both."""
    give = {"out": DATA}
    one = InputSource("one", "out")
    return [
        Stage("one", {"text": a}, give, writer(a, log, "one")),
        Stage("two", {"text": b}, give, writer(b, log, "two"), {"data": one}),
        Stage("three", {"text": c}, give, writer(c, log, "three"), {"data": one}),
        Stage("four", {}, give, writer("", log, "four"),
              {"x": InputSource("two", "out"), "y": InputSource("three", "out")}),
    ]  # fmt: skip


def run_all(stages: list[Stage], folder: Path) -> None:
    for stage in stages:
        if next(s for s in stand(stages, folder) if s.stage is stage).state is not StageState.DONE:
            run_stage(stage, folder)


def states(stages: list[Stage], folder: Path) -> list[str]:
    return [str(standing.state) for standing in stand(stages, folder)]


def test_done_once_and_for_all(tmp_path) -> None:
    log: list[str] = []
    stages = chain(log)
    assert states(stages, tmp_path) == ["to do"] * 4
    run_all(stages, tmp_path)
    assert log == ["one", "two", "three", "four"]
    assert (tmp_path / "four" / "out.txt").read_text() == "abac"
    run_all(stages, tmp_path)
    assert len(log) == 4


def test_a_setting_makes_exactly_the_stages_below_stale(tmp_path) -> None:
    log: list[str] = []
    run_all(chain(log), tmp_path)
    changed = chain(log, b="B")
    standings = stand(changed, tmp_path)
    assert [str(s.state) for s in standings] == ["done", "stale", "done", "stale"]
    assert standings[1].reason == 'its settings changed: text: "b" in the run, "B" now'
    assert "two above it is stale" in standings[3].reason
    run_all(changed, tmp_path)
    assert log[4:] == ["two", "four"]
    assert (tmp_path / "four" / "out.txt").read_text() == "aBac"
    assert (tmp_path / "two.old-1" / "out.txt").read_text() == "ab"  # nothing made is lost


def test_the_same_bytes_again_leave_what_is_below_done(tmp_path) -> None:
    log: list[str] = []
    run_all(chain(log), tmp_path)
    stages = chain(log)
    stages[1] = Stage(
        "two", {"text": "b", "new": 1}, {"out": DATA}, stages[1].run, stages[1].inputs
    )
    run_all(stages, tmp_path)
    assert log[4:] == ["two"]


def test_what_moves_no_number_may_change_and_what_is_newer_has_its_default(tmp_path) -> None:
    def stage(**more) -> Stage:
        run = writer("a", [], "one")
        return Stage("one", {"text": "a", **more}, {"out": DATA}, run, may_change=("speed",))

    run_stage(stage(speed=1), tmp_path)
    assert states([stage(speed=2)], tmp_path) == ["done"]
    newer = stage(speed=1, beam=0)
    assert states([newer], tmp_path) == ["stale"]
    completed = replace(newer, as_now=lambda stored: {"beam": 0, **stored})
    assert states([completed], tmp_path) == ["done"]
    assert states([replace(completed, settings={"text": "a", "beam": 1})], tmp_path) == ["stale"]


def test_a_killed_stage_is_carried_on_and_a_foreign_one_put_aside(tmp_path) -> None:
    seen: list[bool] = []

    def dying(folder: Path, inputs):
        seen.append((folder / "half").exists())
        (folder / "half").write_text("")
        raise KeyboardInterrupt

    stage = Stage("one", {"text": "a"}, {"out": DATA}, dying)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_stage(stage, tmp_path)
    assert stand([stage], tmp_path)[0][1:] == (StageState.TO_DO, "begun")
    with pytest.raises(KeyboardInterrupt):
        run_stage(Stage("one", {"text": "other"}, {"out": DATA}, dying), tmp_path)
    assert seen == [False, True, False]
    assert (tmp_path / "one.old-1" / "half").exists()


@pytest.mark.parametrize(
    ("inputs", "types", "message"),
    [
        (
            {"x": InputSource("later", "out")},
            {},
            "which is no stage before it; stages before it: one",
        ),
        ({"x": InputSource("one", "model")}, {}, "gives out, but no 'model'"),
        (
            {"x": InputSource("one", "out")},
            {"x": MODEL},
            "needs a checkpoint, but one gives a dataset",
        ),
    ],
)
def test_wrong_edges(inputs, types, message) -> None:
    one = Stage("one", {}, {"out": DATA}, writer("", [], "one"))
    with pytest.raises(UserError, match=message):
        check([one, Stage("two", {}, {"out": DATA}, writer("", [], "two"), inputs, types)])
    with pytest.raises(UserError, match="two stages are called 'one'"):
        check([one, one])
    check(chain([]))


def test_a_whole_recipe_s_cluster_reaches_stages_that_train_and_makes_none_stale(
    tmp_path, monkeypatch
) -> None:
    from r1.config import validate
    from r1.pipeline.r1 import R1Recipe
    from r1.pipeline.run_r1 import build

    data = {"train": [{"kind": "tiny", "split": "train", "num": 4}]}
    sft = {"kind": "sft", "model": "tiny", "data": data}
    examples = {"kind": "examples", "sources": data["train"]}
    own = {**sft, "cluster": {"learner_ranks": 3}}
    stages = {"first": sft, "second": own, "data": examples}
    seen = []

    def record(recipe, *_, **__):
        seen.append(recipe.cluster and recipe.cluster.learner_ranks)
        raise InterruptedError

    monkeypatch.setattr("r1.sft.train.train_sft", record)
    settings = []
    for cluster in (None, {"learner_ranks": 2}):
        values = {"kind": "r1", "stages": stages, **({"cluster": cluster} if cluster else {})}
        pipeline = build(validate(values, R1Recipe, "test"), tmp_path, "test")
        settings.append([stage.settings for stage in pipeline.stages])
        for stage in pipeline.stages[:2]:
            with pytest.raises(InterruptedError):
                stage.run(tmp_path, {})
    assert seen == [None, 3, 2, 3]
    assert settings[0] == settings[1]


def reading(path: Path, log: list[str]) -> Stage:
    """A stage that reads a file outside the pipeline."""
    settings = {"data": {"train": [{"path": path.name}]}, "model": "@other"}
    external = partial(inputs_of, settings, path.parent)
    return Stage("one", settings, {"out": DATA}, writer("a", log, "one"), external=external)


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_file_outside_that_changed_makes_a_stage_stale(tmp_path, keep_times) -> None:
    log: list[str] = []
    data, out = tmp_path / "train.jsonl", tmp_path / "out"
    data.write_text("one")
    stage = reading(data, log)
    run_all([stage], out)
    assert states([stage], out) == ["done"]
    stamp = data.stat()
    data.write_text("two")
    if keep_times:
        os.utime(data, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (standing,) = stand([stage], out)
    assert standing.state is StageState.STALE
    assert "data.train.0.path" in standing.reason
    assert "train.jsonl: 3 bytes" in standing.reason
    told: list[str] = []
    run_stage(stage, out, told.append)
    assert "begins anew, because a file that it reads changed" in told[0]
    assert (out / "one.old-1").is_dir()
    assert states([stage], out) == ["done"]


def test_a_stage_under_way_is_not_carried_on_with_another_file(tmp_path) -> None:
    log: list[str] = []
    data, out = tmp_path / "train.jsonl", tmp_path / "out"
    data.write_text("one")

    def killed(folder: Path, inputs):
        (folder / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(replace(reading(data, log), run=killed), out)
    data.write_text("two")
    told: list[str] = []
    run_stage(reading(data, log), out, told.append)
    assert "train.jsonl" in told[0]
    assert not (out / "one" / "half").exists()
