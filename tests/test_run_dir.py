"""The run folder: what it holds, how it carries on, and what it refuses without touching."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fake_run import (
    RECIPE,
    FakeLearner,
    advantages,
    make_groups,
    make_problem,
    parse,
    write_run,
)
from r1.errors import UserError
from r1.evaluation.blocks import claim
from r1.run_dir import (
    CheckpointSettings,
    RunDir,
    atomic,
    checkpoint_steps,
    completion_table,
    describe_source,
    find_checkpoint,
    is_done,
    read_evaluation_completions,
    read_evaluations,
    read_metrics,
    read_rollouts,
    read_timings,
    rollout_steps,
)
from r1.run_dir.recipe_check import differences

SCRIPT = Path(__file__).with_name("fake_run.py")
UNEQUAL = (".lock", "timings.jsonl")  # the writer's pid; measured seconds


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in UNEQUAL
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    write_run(folder).close()
    return folder


def test_folder_tells_its_story(finished: Path) -> None:
    assert json.loads((finished / "recipe.json").read_text()) == RECIPE
    assert json.loads((finished / "run.json").read_text())["kind"] == "grpo"
    assert json.loads((finished / "versions.json").read_text())["python"]
    assert json.loads((finished / "seeds.json").read_text()) == {"seed": 7}
    assert checkpoint_steps(finished) == [15, 20]
    assert rollout_steps(finished) == list(range(20))
    assert [e["step"] for e in read_evaluations(finished)] == [0, 5, 10, 15, 20]
    assert is_done(finished)
    assert not [p for p in finished.rglob("*") if p.name.startswith(".tmp-")]
    story = json.loads((finished / "lineage.json").read_text())
    assert [c["step"] for c in story["checkpoints"]] == [5, 10, 15, 20]
    assert story["checkpoints"][0]["parent"]["source"] == "tiny-base"
    assert len({c["sha256"] for c in story["checkpoints"]}) == 4


def test_timings_are_kept_apart_from_metrics(finished: Path) -> None:
    metrics, timings = read_metrics(finished), read_timings(finished)
    assert [row["step"] for row in metrics] == list(range(20))
    assert [row["step"] for row in timings] == list(range(21))
    assert [row["step"] for row in timings if "seconds/evaluate" in row] == [0, 5, 10, 15, 20]
    assert timings[20] == {"step": 20, "seconds/evaluate": 2.5}
    assert not [key for key in metrics[3] if key.startswith(("seconds/", "speed/"))]
    assert set(timings[3]) == {
        "step",
        *(f"seconds/{phase}" for phase in ("rollout", "reward", "update", "sync", "total")),
        "speed/rollout_tokens",
        "speed/update_tokens",
    }


def test_metrics_keep_every_bit_and_store_nan_as_null(tmp_path: Path) -> None:
    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        value = 0.1 + 0.2
        for step in run.remaining_steps(1):
            metrics = {"a": value, "b": np.float64(1 / 3), "c": float("nan"), "d": np.int64(3)}
            run.commit_step(step, FakeLearner().save, metrics)
    (row,) = read_metrics(tmp_path / "run")
    assert row == {"step": 0, "a": value, "b": 1 / 3, "c": None, "d": 3}


def test_completions_come_back_with_their_judgements(tmp_path: Path) -> None:
    rng = random.Random(0)
    groups = make_groups([make_problem(i, rng) for i in range(3)], 4, 0.5, rng)
    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        for step in run.remaining_steps(1):
            table = completion_table(step, groups, parse, advantages(groups))
            run.commit_step(step, FakeLearner().save, {}, table)
    rows = read_rollouts(tmp_path / "run", 0)
    assert len(rows) == 12
    for index, row in enumerate(rows):
        group = groups[index // 4]
        completion, reward = group.group.completions[index % 4], group.rewards[index % 4]
        assert row["problem_id"] == group.group.problem.id
        assert row["sample"] == index % 4
        assert row["text"] == completion.text
        assert row["thinking"] == parse(completion.text).thinking
        assert row["num_tokens"] == len(completion.token_ids)
        assert row["reward"] == reward.total
        assert row["reward/accuracy"] == reward.parts["accuracy"].value
        assert row["outcome/accuracy"] == str(reward.parts["accuracy"].outcome)
        assert row["detail/accuracy"] == reward.parts["accuracy"].detail
        assert row["advantage"] == advantages(groups)[index // 4][index % 4]
    file = pq.ParquetFile(tmp_path / "run" / "rollouts" / "step-000000.parquet")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_prompt_that_is_not_valid_unicode_is_stored(tmp_path: Path) -> None:
    problem = make_problem(0, random.Random(0))
    broken = type(problem)("p", "\ud800 is a lone surrogate", None, "exact")
    (group,) = make_groups([problem], 2, 0.5, random.Random(0))
    group.group.problem = broken
    assert completion_table(0, [group], parse)["prompt"][0].as_py() == "? is a lone surrogate"
    atomic.write_json(tmp_path / "a.json", {"\ud800": ["\udfff", "目"]})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"?": ["?", "目"]}
    atomic.append_line(tmp_path / "a.jsonl", "\ud800 目")
    assert (tmp_path / "a.jsonl").read_text("utf-8") == "? 目\n"


def test_resumed_run_equals_an_uninterrupted_one(tmp_path: Path, finished: Path) -> None:
    for stop_before in (3, 5, 13, 19):
        run = write_run(tmp_path / "run", stop_before=stop_before)
        assert not is_done(tmp_path / "run")
        run.close()
    write_run(tmp_path / "run").close()
    assert contents(tmp_path / "run") == contents(finished)


def test_opening_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    write_run(tmp_path / "run", stop_before=13).close()
    assert len(read_metrics(tmp_path / "run")) == 13
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 13, "rew')  # torn by a kill
    (tmp_path / "run" / "checkpoints" / ".tmp-step-000015").mkdir()
    with RunDir.open(tmp_path / "run", RECIPE, "grpo") as run:
        assert run.resume_step() == 10
        assert run.resume_from == tmp_path / "run" / "checkpoints" / "step-000010"
        assert next(run.remaining_steps(20)) == 10
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == list(range(10))
    timings = read_timings(tmp_path / "run")
    assert [row["step"] for row in timings if "seconds/total" in row] == list(range(10))
    assert [row["step"] for row in timings if "seconds/evaluate" in row] == [0, 5, 10]
    assert rollout_steps(tmp_path / "run") == list(range(10))
    # The evaluation of step 10 measured the weights of this very checkpoint: it stays.
    assert [e["step"] for e in read_evaluations(tmp_path / "run")] == [0, 5, 10]
    assert checkpoint_steps(tmp_path / "run") == [5, 10]
    assert not list((tmp_path / "run" / "checkpoints").glob(".tmp-*"))


def kill_while_running(folder: Path, after_s: float) -> bool:
    """Start the run, kill -9 it so long after its first write; True when it had ended before."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), "20"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"begins\n"
        try:
            return process.wait(timeout=after_s) == 0
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return False


@pytest.mark.slow
def test_killed_at_random_moments_lands_on_the_same_bytes(tmp_path: Path, finished: Path) -> None:
    rng, began = random.Random(1), time.perf_counter()
    write_run(tmp_path / "calibration").close()
    whole_s = time.perf_counter() - began
    kills, ends = 0, 0
    while kills < 10 and ends < 3:
        folder = tmp_path / f"run{ends}"
        ended = kill_while_running(folder, whole_s * rng.uniform(0.0, 0.5))
        kills, ends = kills + (not ended), ends + ended
    assert kills >= 8, "the run ends before it can be killed; make it longer"
    for number in range(ends + 1):
        write_run(tmp_path / f"run{number}").close()
        assert contents(tmp_path / f"run{number}") == contents(finished)


class Killed(BaseException):
    pass


def test_killed_right_before_any_rename_lands_on_the_same_bytes(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each rename up to the first checkpoint and past it, one after the other."""
    replace, rename, folder = os.replace, os.rename, tmp_path / "run"
    left = [0]

    def counted(function: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def call(source: Path, target: Path) -> None:
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            function(source, target)

        return call

    kills = 0
    for allowed in range(40):
        left[0] = allowed
        monkeypatch.setattr(os, "replace", counted(replace))
        monkeypatch.setattr(os, "rename", counted(rename))
        try:
            write_run(folder).close()
        except Killed:
            kills += 1
        monkeypatch.undo()
        if is_done(folder):
            break
    assert kills >= 12
    assert contents(folder) == contents(finished)


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing", "marker"])
def test_damaged_checkpoint_is_named_and_nothing_changes(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "run"
    write_run(folder, stop_before=13).close()
    weights = folder / "checkpoints" / "step-000010" / "model.safetensors"
    name = weights.name
    if damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "changed":
        content = bytearray(weights.read_bytes())
        content[17] ^= 1
        weights.write_bytes(content)
    elif damage == "missing":
        weights.unlink()
    else:
        name = "checkpoint.json"
        (weights.parent / name).unlink()
    before = contents(folder)
    with pytest.raises(UserError, match="go back to step 5") as caught:
        RunDir.open(folder, RECIPE, "grpo")
    assert name in str(caught.value)
    assert f"rm -r {weights.parent}" in str(caught.value)
    assert contents(folder) == before

    for path in weights.parent.iterdir():  # what the message advises
        path.unlink() if path.is_file() else [p.unlink() for p in path.iterdir()] and path.rmdir()
    weights.parent.rmdir()
    with RunDir.open(folder, RECIPE, "grpo") as run:
        assert run.resume_step() == 5


def test_other_recipe_is_refused_naming_the_keys(tmp_path: Path) -> None:
    write_run(tmp_path / "run", stop_before=7).close()
    before = contents(tmp_path / "run")
    other = {**RECIPE, "seed": 8, "grpo": {**RECIPE["grpo"], "clip_high": 0.2}}
    with pytest.raises(UserError) as caught:
        RunDir.open(tmp_path / "run", other, "grpo")
    assert "grpo.clip_high: 0.28 in the run, 0.2 now" in str(caught.value)
    assert "seed: 7 in the run, 8 now" in str(caught.value)
    assert "--set" in str(caught.value)
    with pytest.raises(UserError, match="kind 'grpo', not 'pretrain'"):
        RunDir.open(tmp_path / "run", RECIPE, "pretrain")
    assert contents(tmp_path / "run") == before
    RunDir.open(tmp_path / "run", other, "grpo", ignore=("seed", "grpo")).close()


def test_differences_see_added_and_removed_keys_and_stop_at_dots() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"c": 1}}) == [
        "a.b: 1 in the run, not set now",
        "a.c: not set in the run, 1 now",
    ]
    one = {"data": {"train": [{"path": "a", "limit": 2}, {"path": "b", "limit": None}]}}
    two = {"data": {"train": [{"path": "a", "limit": 8}, {"path": "b", "limit": None}]}}
    assert differences(one, two) == ["data.train.0.limit: 2 in the run, 8 now"]
    assert differences(one, two, ignore=("data.train",)) == []
    [more] = differences(one, {"data": {"train": two["data"]["train"][:1]}})
    assert more.startswith("data.train: [{")
    assert differences({"ab": 1}, {"ab": 2}, ignore=("a",)) == ["ab: 1 in the run, 2 now"]


def test_foreign_folders_are_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "thesis"
    foreign.mkdir()
    (foreign / "chapter.tex").write_text("precious")
    with pytest.raises(UserError, match="not a run"):
        RunDir.open(foreign, RECIPE, "grpo")
    (foreign / "metrics.jsonl").write_text("{}")
    with pytest.raises(UserError, match="Nothing was touched"):
        RunDir.open(foreign, RECIPE, "grpo")
    assert sorted(p.name for p in foreign.iterdir()) == ["chapter.tex", "metrics.jsonl"]
    with pytest.raises(UserError, match="is a file"):
        RunDir.open(foreign / "chapter.tex", RECIPE, "grpo")
    with pytest.raises(UserError, match="Not a directory"):
        RunDir.open(foreign / "chapter.tex" / "run", RECIPE, "grpo")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "run.json").write_text('{"scripts": {}}')
    with pytest.raises(UserError, match=r"run\.json cannot be used"):
        RunDir.open(tmp_path / "other", RECIPE, "grpo")


def test_folder_without_permission() -> None:
    with tempfile.TemporaryDirectory() as closed:
        os.chmod(closed, 0o555)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)  # root may write anywhere
            with pytest.raises(UserError, match="cannot be written"):
                RunDir.open(Path(closed) / "run", RECIPE, "grpo")
        finally:
            os.seteuid(user)
        assert os.listdir(closed) == []


def test_one_writer_and_the_lock_dies_with_it(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from r1.run_dir import RunDir\n"
        "RunDir.open(Path(sys.argv[1]), {}, 'grpo'); print('open', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "run")],
        stdout=subprocess.PIPE,
        env=environment,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(UserError, match=f"pid {holder.pid}"):
            RunDir.open(tmp_path / "run", {}, "grpo")
    finally:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
    RunDir.open(tmp_path / "run", {}, "grpo").close()


@pytest.mark.parametrize("allowed", [0, 1, 2, 3, 4, 5, 6, 9])
def test_full_disk_loses_nothing(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    folder = tmp_path / "run"
    write_run(folder, stop_before=12).close()
    fsync, left = os.fsync, [allowed]

    def full(descriptor: int) -> None:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= 1
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="the disk is full") as caught:
        write_run(folder)
    assert str(folder) in str(caught.value)
    monkeypatch.undo()
    assert find_checkpoint(folder).name == "step-000010"
    write_run(folder).close()
    assert contents(folder) == contents(finished)


def test_full_disk_for_real(tmp_path: Path) -> None:
    """A file system of 256 kB that the checkpoints overflow, then one with room again."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(UserError, match="the disk is full"):
            write_run(small / "run")
        kept = read_metrics(small / "run")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        write_run(small / "run").close()
        assert read_metrics(small / "run")[: len(kept)] == kept
        write_run(tmp_path / "whole").close()
        assert contents(small / "run") == contents(tmp_path / "whole")
    finally:
        subprocess.run(["umount", str(small)], check=True)


class LibraryError(Exception):
    pass


@pytest.mark.parametrize("kind", [OSError(errno.ENOSPC, "full"), LibraryError()])
def test_full_disk_inside_a_library_that_saves(tmp_path: Path, kind: Exception) -> None:
    if isinstance(kind, LibraryError):
        kind.args = (f"I/O error: {os.strerror(errno.ENOSPC)} (os error 28)",)

    def save(folder: Path) -> None:
        (folder / "half").write_bytes(b"x" * 10)
        raise kind

    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        next(run.remaining_steps(1))
        with pytest.raises(UserError, match="the disk is full"):
            run.commit_step(0, save, {"reward": 1.0})
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_a_defect_while_saving_keeps_its_own_error(tmp_path: Path) -> None:
    def save(folder: Path) -> None:
        raise KeyError("layer")

    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        next(run.remaining_steps(1))
        with pytest.raises(KeyError):
            run.commit_step(0, save, {})


def test_steps_are_committed_in_order(tmp_path: Path) -> None:
    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        steps = run.remaining_steps(3)
        assert next(steps) == 0
        with pytest.raises(AssertionError, match="not committed"):
            next(steps)
        with pytest.raises(AssertionError, match="0 was due"):
            run.commit_step(2, FakeLearner().save, {})


def test_a_longer_run_reopens_a_finished_one(tmp_path: Path) -> None:
    settings = CheckpointSettings(every=2, keep=0)
    for num_steps in (3, 5):
        with RunDir.open(
            tmp_path / "run", {"num_steps": num_steps}, "grpo",
            checkpoints=settings, ignore=("num_steps",),
        ) as run:  # fmt: skip
            for step in run.remaining_steps(num_steps):
                assert not run.done
                run.commit_step(step, FakeLearner().save, {"x": step})
            run.finish()
    assert checkpoint_steps(tmp_path / "run") == [2, 3, 4, 5]
    assert [row["x"] for row in read_metrics(tmp_path / "run")] == [0, 1, 2, 3, 4]


def test_readers_bear_a_run_that_is_being_written(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", stop_before=3)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3')
    assert [row["step"] for row in read_metrics(tmp_path / "run")] == [0, 1, 2]
    assert [e["step"] for e in read_evaluations(tmp_path / "run")] == [0]
    assert len(read_evaluation_completions(tmp_path / "run", 0)) == 48
    assert read_evaluation_completions(tmp_path / "run", 5) == []
    with pytest.raises(UserError, match="no checkpoint yet"):
        find_checkpoint(tmp_path / "run")
    run.close()


def test_find_checkpoint_by_step(finished: Path) -> None:
    assert find_checkpoint(finished).name == "step-000020"
    assert find_checkpoint(finished, 15).name == "step-000015"
    with pytest.raises(UserError, match="it has 15, 20"):
        find_checkpoint(finished, 10)


def test_source_is_identified_by_content(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.jsonl").write_text("one")
    first = describe_source(tmp_path / "a")
    (tmp_path / "a" / "x.jsonl").write_text("two")
    assert describe_source(tmp_path / "a")["sha256"] != first["sha256"]
    assert first["bytes"] == 3
    assert describe_source("org/dataset") == {"source": "org/dataset"}


def test_versions_that_changed_are_told(tmp_path: Path) -> None:
    RunDir.open(tmp_path / "run", {}, "grpo").close()
    path = tmp_path / "run" / "versions.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "python": "3.9.0"}))
    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        (notice,) = run.notices
    assert "python was 3.9.0" in notice


def test_run_dir_does_not_import_torch() -> None:
    program = "import sys, r1.run_dir, r1.report; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


def test_a_link_to_nowhere_is_told_as_one(tmp_path):
    """As `--out` of a run, an evaluation and anything else that makes a folder."""
    link = tmp_path / "link"
    link.symlink_to("elsewhere")
    with pytest.raises(UserError, match=r"link is a link to elsewhere, which does not exist"):
        RunDir.open(link, {}, "grpo")
    with pytest.raises(UserError, match=r"link is a link to elsewhere"):
        claim(link, {})
    (tmp_path / "elsewhere").mkdir()
    RunDir.open(link, {}, "grpo").close()
    assert (tmp_path / "elsewhere" / "run.json").exists()
