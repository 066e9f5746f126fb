"""`r1.load_run`: a run's folder as rows, iterators and paths, also while it is being written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1.errors import UserError
from r1.files.shapes import read_json
from r1.pipeline.run_r1 import PIPELINE, is_pipeline
from r1.run_dir import checkpoint_steps, is_done, read
from r1.run_dir.checkpoint import step_name
from r1.run_dir.evaluation import is_evaluation
from r1.run_dir.shapes import PipelineFile, Story
from r1.run_dir.stored import iterate_completions


@dataclass(frozen=True)
class RunFolder:
    """A run, or a recipe of stages, each of which is in `stages`. Nothing here writes.

    Whatever takes a model (`r1.evaluate`, `r1.sample`, `r1.export`) takes this too; of a recipe of
    stages the one called "r1" is meant.
    """

    folder: Path

    def __fspath__(self) -> str:
        return str(self.folder)

    def __str__(self) -> str:  # libraries take str() of what they are given as a model
        return str(self.folder)

    @property
    def done(self) -> bool:
        """Whether it reached its end; of a recipe of stages, whether every stage did."""
        if names := self._stage_names:
            return all((self.folder / name / "STAGE.json").is_file() for name in names)
        return is_done(self._run) or (self.folder / "STAGE.json").is_file()

    @property
    def recipe(self) -> dict[str, Any]:
        """The resolved settings; of stages, the recipe as it was given."""
        if is_pipeline(self.folder):
            return dict(self._pipeline.get("recipe") or {})
        return read_json(self._run / "recipe.json", {}, dict[str, Any])

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """A row a step: "step" (from 0), "reward", "loss", ...; None stands for NaN."""
        return read.read_metrics(self._run)

    @property
    def timings(self) -> list[dict[str, Any]]:
        """A row a step: seconds/..., speed/..., which no two runs have alike."""
        return read.read_timings(self._run)

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The evaluations on held-out data, each of the weights after "step" updates."""
        return read.read_evaluations(self._run)

    @property
    def checkpoints(self) -> dict[int, Path]:
        """The kept checkpoints by the number of updates behind them, ascending."""
        steps = checkpoint_steps(self._run)
        return {step: self._run / "checkpoints" / step_name(step) for step in steps}

    @property
    def lineage(self) -> dict[str, Any]:
        """Where its weights and data come from, with hashes: lineage.json, or a stage's marker."""
        marker = read_json(self.folder / "STAGE.json")
        return marker or read_json(self._run / "lineage.json", {}, Story)

    @property
    def stages(self) -> dict[str, RunFolder]:
        """The stages of a recipe that have begun, by name; {} for a single run."""
        begun = [name for name in self._stage_names if (self.folder / name).is_dir()]
        return {name: RunFolder(self.folder / name) for name in begun}

    def rollouts(self, steps: Iterable[int] | None = None) -> Iterator[dict[str, Any]]:
        """Yield the sampled completions with their rewards, step by step; one file in memory.

        steps: only these. Keys: step, problem_id, prompt, reference, text, thinking, answer,
        reward, advantage, `outcome/<part>`, ...: see `r1.run_dir.completions`. Raises UserError for
        a step that has none.
        """
        known = read.rollout_steps(self._run)
        wanted = known if steps is None else list(steps)
        if missing := sorted(set(wanted) - set(known)):
            raise UserError(f"{self.folder} holds no rollouts of step {missing[0]}.")
        for step in wanted:
            yield from iterate_completions(read.rollouts_path(self._run, step))

    @property
    def _run(self) -> Path:
        inside = self.folder / "run"
        return inside if not read.is_run(self.folder) and read.is_run(inside) else self.folder

    @property
    def _stage_names(self) -> list[str]:
        return [stage["name"] for stage in self._pipeline["stages"]]

    @property
    def _pipeline(self) -> PipelineFile:
        return read_json(self.folder / PIPELINE, {"stages": []}, PipelineFile)


def load_run(path: str | Path | RunFolder) -> RunFolder:
    """Return the run in a folder: of a trainer, of a recipe of stages, or one of its stages.

    Raises UserError for anything else.
    """
    folder = Path(path)
    if is_evaluation(folder):
        raise UserError(f"{folder} is an evaluation: r1.load_evaluation reads it.")
    inside = (folder / "run.json", folder / "STAGE.json", folder / "run" / "run.json")
    if not is_pipeline(folder) and not any(file.is_file() for file in inside):
        read.require_run(folder)
    return RunFolder(folder)
