"""RunDir: write a run step by step, and resume an interrupted one.

    run = RunDir.open(folder, recipe, kind="r1_zero", checkpoints=settings.checkpoints)
    if run.resume_from: learner.load(run.resume_from)
    for step in run.remaining_steps(num_steps):
        ...
        run.commit_step(step, learner.save, metrics, table)
    run.finish()

A run resumes only from a checkpoint. On opening, everything written after the newest one (metrics,
rollouts, evaluations) is removed and repeated identically; a kill at any moment costs only time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from r1.errors import UserError
from r1.files.json_text import FormatError, parse_json
from r1.files.regular import open_file
from r1.files.shapes import fitted, read_json
from r1.run_dir import atomic, lineage, lock
from r1.run_dir.checkpoint import (
    CheckpointSettings,
    checkpoint_steps,
    numbered,
    prune,
    step_name,
    verify_checkpoint,
    write_checkpoint,
)
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.run_dir.opening import Identity, judge
from r1.run_dir.shapes import Step, Story

TIMING_PREFIXES = ("seconds/", "speed/", "pool/", "busy/", "queue/")
_EVALUATE = "seconds/evaluate"
_FORMAT = 1
TRACKED = "track.json"
"""What the trackers have taken of the run (r1.track)."""
_OF_STEPS = ("rollouts", "evaluations", "metrics.jsonl", "timings.jsonl", "DONE.json", TRACKED)


class RunDir:
    """The only writer of a run folder. Made by `RunDir.open`.

    folder: the run folder.
    resume_from: the checkpoint to load before the first remaining step, None at the beginning.
    notices: sentences the user should see (versions that changed since the run began).
    longer: what makes the run longer than it was begun ("num_steps: 20 in the run, 30 now").
    """

    def __init__(self, folder: Path, kind: str, checkpoints: CheckpointSettings) -> None:
        self.folder = folder
        self.kind = kind
        self.checkpoints = checkpoints
        self.resume_from: Path | None = None
        self.notices: list[str] = []
        self.longer: list[str] = []
        self._next_step = 0
        self._num_steps: int | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        recipe: Mapping[str, Any],
        kind: str,
        *,
        checkpoints: CheckpointSettings | None = None,
        seeds: Mapping[str, int] | None = None,
        parent: Mapping[str, Any] | None = None,
        datasets: Sequence[Mapping[str, Any]] = (),
        kernels: Mapping[str, str] | None = None,
        **identity: Any,
    ) -> RunDir:
        """Create the run, or resume it if recipe and inputs are unchanged.

        recipe, kind, identity: see `opening.Identity`.
        parent, datasets: where the weights and the data come from (`describe_source`).
        kernels: how compiled code is computed here (`native.kernels`), kept with the versions.
        Raises UserError, with nothing changed, for a folder that is not a run, a run of another
        recipe, kind or inputs, a run that another process writes, or a damaged checkpoint.
        """
        asked = Identity(recipe, kind, **identity)
        _refuse_foreign(folder)
        with atomic.writing(folder / "run.json"):
            atomic.make_folder(folder)
            lock.acquire(folder)
        run = cls(folder, kind, checkpoints or CheckpointSettings())
        try:
            verdict = judge(folder, asked)
            story = {"stage": kind, "parent": dict(parent or {}), "datasets": [*datasets]}
            versions = {**lineage.versions(), **(kernels or {})}
            run.longer, run.notices = verdict.longer, verdict.notices
            if verdict.begins:
                run._begin(asked, versions, dict(seeds or {}), story)
            else:
                before = read_json(folder / "versions.json", versions, dict[str, str])
                run.notices += lineage.version_changes(before, versions)
            run._recover()
            if not verdict.begins:
                run._note_changes(asked, verdict.changes)
        except BaseException:
            lock.release(folder)
            raise
        return run

    def note_facts(self, facts: Mapping[str, Any]) -> None:
        """Write facts.json, what was found of prompts and data (`shapes.Facts`)."""
        if read_json(self.folder / "facts.json") != facts:
            atomic.write_json(self.folder / "facts.json", dict(facts))

    def close(self) -> None:
        """Release the run for other writers."""
        lock.release(self.folder)

    def __enter__(self) -> RunDir:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def resume_step(self) -> int:
        """Return the number of updates behind the newest checkpoint: the next step."""
        return self._next_step

    def remaining_steps(self, num_steps: int) -> Iterator[int]:
        """Yield the remaining steps, ascending; each must be committed before the next."""
        self._num_steps = num_steps
        if self._next_step < num_steps:
            (self.folder / "DONE.json").unlink(missing_ok=True)
        while self._next_step < num_steps:
            step = self._next_step
            yield step
            assert self._next_step == step + 1, f"step {step} was not committed"

    def commit_step(
        self,
        step: int,
        save: Callable[[Path], None],
        metrics: Mapping[str, Any],
        completions: pa.Table | None = None,
    ) -> None:
        """Write a step's completions and metrics, and every `checkpoints.every` steps the weights.

        save: fills a folder with everything that `load` needs to continue bit for bit.
        metrics: numbers; those named seconds/, speed/, pool/, busy/ or queue/... go to
            timings.jsonl, so that the rest is byte-equal between two runs. NaN and infinity are
            stored as null.
        completions: from `completion_table`.
        Raises UserError for a full disk; the run can then be carried on.
        """
        assert step == self._next_step, f"step {step} committed, {self._next_step} was due"
        if completions is not None:
            self._write_table(self.folder / "rollouts", step, completions)
        timings = {k: v for k, v in metrics.items() if k.startswith(TIMING_PREFIXES)}
        values = {k: v for k, v in metrics.items() if k not in timings and k != "step"}
        atomic.append_line(self.folder / "metrics.jsonl", _line(step, values))
        atomic.append_line(self.folder / "timings.jsonl", _line(step, timings))
        self._next_step = step + 1
        if self.checkpoint_follows(step):
            self.save_checkpoint(save)

    def checkpoint_follows(self, step: int) -> bool:
        """Whether committing this step writes a checkpoint."""
        return (step + 1) % self.checkpoints.every == 0 or step + 1 == self._num_steps

    def save_checkpoint(self, save: Callable[[Path], None]) -> Path:
        """Write the weights after the committed steps; return their folder."""
        folder = self.checkpoint_folder(self._next_step)
        marker = write_checkpoint(folder, self._next_step, save)
        self._enter_lineage(marker)
        prune(self.folder, self.checkpoints.keep)
        return folder

    def checkpoint_folder(self, step: int) -> Path:
        """Return the folder of the weights after `step` updates, whether or not it exists."""
        return self.folder / "checkpoints" / step_name(step)

    def newest_checkpoint(self) -> Path | None:
        """Return the folder of the newest complete checkpoint."""
        steps = checkpoint_steps(self.folder)
        return self.checkpoint_folder(steps[-1]) if steps else None

    def has_evaluation(self, step: int) -> bool:
        """Whether the weights after `step` updates were already evaluated."""
        return (self.folder / "evaluations" / f"{step_name(step)}.json").is_file()

    def commit_evaluation(
        self,
        step: int,
        summary: Mapping[str, Any],
        completions: pa.Table | None = None,
        seconds: float | None = None,
    ) -> None:
        """Write the evaluation of the weights after `step` updates; the summary comes last.

        seconds: the time it took, kept in timings.jsonl as seconds/evaluate.
        """
        if seconds is not None:
            line = _line(step, {_EVALUATE: seconds})
            atomic.append_line(self.folder / "timings.jsonl", line)
        folder = self.folder / "evaluations"
        if completions is not None:
            self._write_table(folder, step, completions)
        with atomic.writing(folder):
            folder.mkdir(exist_ok=True)
        atomic.write_json(folder / f"{step_name(step)}.json", _finite({"step": step, **summary}))

    def finish(self, summary: Mapping[str, Any] | None = None) -> None:
        """Write the marker of a finished run."""
        done = {"kind": self.kind, "num_steps": self._next_step, **(summary or {})}
        atomic.write_json(self.folder / "DONE.json", _finite(done))

    @property
    def done(self) -> bool:
        """Whether the run reached its end."""
        return (self.folder / "DONE.json").is_file()

    def _begin(
        self,
        asked: Identity,
        versions: Mapping[str, str],
        seeds: dict[str, int],
        story: dict[str, Any],
    ) -> None:
        """Write the first files of a run, recipe.json last."""
        atomic.remove_leftovers(self.folder)
        for name in (*_OF_STEPS, "recipe.json"):  # of a run that took no step
            atomic.remove(self.folder / name)
        atomic.write_json(self.folder / "run.json", {"format": _FORMAT, "kind": self.kind})
        atomic.write_json(self.folder / "versions.json", versions)
        atomic.write_json(self.folder / "seeds.json", seeds)
        if asked.inputs is not None:
            story["inputs"] = [given.as_json() for given in asked.inputs]
        atomic.write_json(self.folder / "lineage.json", {**story, "checkpoints": []})
        atomic.write_json(self.folder / "recipe.json", dict(asked.recipe))

    def _note_changes(self, asked: Identity, changes: list[str]) -> None:
        """Record in lineage and recipe that the run is longer or has other inputs."""
        story = read_json(self.folder / "lineage.json", {}, Story)
        now = dict(story)
        if asked.inputs is not None and (changes or "inputs" not in story):
            now["inputs"] = [given.as_json() for given in asked.inputs]
        if changes:
            note = {"step": self._next_step, "changes": changes}
            earlier = [one for one in story.get("changes", []) if one != note]
            now["changes"] = [*earlier, note]
        if now != story:
            atomic.write_json(self.folder / "lineage.json", now)
        if changes:
            atomic.write_json(self.folder / "recipe.json", dict(asked.recipe))

    def _recover(self) -> None:
        """Find and check the newest checkpoint, then remove everything after it."""
        steps = checkpoint_steps(self.folder)
        marker = None
        if steps:
            marker = verify_checkpoint(self.checkpoint_folder(steps[-1]))
            self.resume_from = self.checkpoint_folder(steps[-1])
            self._next_step = steps[-1]
        for name in ("checkpoints", "rollouts", "evaluations"):
            atomic.remove_leftovers(self.folder / name)
        _keep_lines(self.folder / "metrics.jsonl", self._next_step)
        _keep_lines(self.folder / "timings.jsonl", self._next_step)
        # An evaluation of step N measures the weights after N updates, which the checkpoint holds;
        # a rollout of step N leads to the weights after N + 1.
        _keep_files(self.folder / "rollouts", self._next_step - 1, (".parquet",))
        _keep_files(self.folder / "evaluations", self._next_step, (".json", ".parquet"))
        self._enter_lineage(marker)
        prune(self.folder, self.checkpoints.keep)

    def _enter_lineage(self, marker: dict[str, Any] | None) -> None:
        path = self.folder / "lineage.json"
        story = read_json(path, {}, Story)
        known = [c for c in story.get("checkpoints", []) if c["step"] < self._next_step]
        if marker is not None:
            known.append(lineage.checkpoint_entry(marker, self.kind, story.get("parent", {})))
        if known != story.get("checkpoints"):
            atomic.write_json(path, {**story, "checkpoints": known})

    def _write_table(self, folder: Path, step: int, table: pa.Table) -> None:
        with atomic.writing(folder):
            folder.mkdir(exist_ok=True)
        path = folder / f"{step_name(step)}.parquet"
        atomic.write_file(path, lambda temporary: _write_parquet(temporary, table))


def _refuse_foreign(folder: Path) -> None:
    """Raise UserError unless `folder` is new, empty, or a run of ours. Nothing is touched."""
    held = held_in(folder, "the run")
    if not (folder / "run.json").exists():
        refuse_foreign(folder, held, "not a run")


def _write_parquet(path: Path, table: pa.Table) -> None:
    with path.open("wb") as file:
        pq.write_table(table, file, compression="zstd")


def _line(step: int, values: Mapping[str, Any]) -> str:
    row = {"step": step, **{key: _plain(value) for key, value in values.items()}}
    return json.dumps(row, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """Return a numpy or torch scalar as a Python number; NaN and infinity as None (JSON)."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _finite(value: Any) -> Any:
    """Apply `_plain` to nested dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return _plain(value)


def _keep_lines(path: Path, before_step: int) -> None:
    """Remove the lines from `before_step` on, and a torn last line."""
    if not path.exists():
        return
    with open_file(path) as file:
        content = file.read()
    kept = b""
    for line in content.splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            row = fitted(parse_json(line), dict[str, Any])
            step = fitted(row.get("step"), Step)
        except FormatError as fault:
            raise UserError(
                f"{path} was changed: a line is not ours ({fault}). Restore the file."
            ) from None
        # The time of an evaluation stays with the evaluation, which is kept at before_step too.
        if step < before_step or (step == before_step and _EVALUATE in row):
            kept += line
    if kept != content:
        atomic.write_text(path, kept.decode("utf-8"))


def _keep_files(folder: Path, up_to_step: int, suffixes: Sequence[str]) -> None:
    """Remove the files of steps after `up_to_step`."""
    for suffix in suffixes:
        for step in numbered(folder, suffix):
            if step > up_to_step:
                (folder / f"{step_name(step)}{suffix}").unlink()
