"""Run the stages of claims that are not done, one claim's after another's (r1.pipeline.run_r1).

    OUT/<kind>-<hash>/   a stage: its run, its marker, peak.json
    OUT/claims.json      the verdicts so far, written again after every stage
    OUT/claims.html      the page, likewise

A run that is killed carries on with the same command, inside the stage that it was in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from r1.claims.arms import STAGE_NAME, ArmStage, ClaimPlan
from r1.claims.estimate import remaining_seconds
from r1.config import validate
from r1.errors import UserError
from r1.files.shapes import read_json
from r1.pipeline.progress import PipelineEvents
from r1.pipeline.r1 import R1Recipe
from r1.pipeline.run_r1 import PIPELINE, run_pipeline
from r1.run_dir.foreign import held_in, refuse_foreign
from r1.run_dir.shapes import PipelineFile
from r1.stages.protocol import StageProgress


class ClaimEvents(NamedTuple):
    """A pipeline's events, with the arms' names for people and the time that is left.

    after_stage: called when a stage has ended.
    """

    shown: PipelineEvents
    say: Callable[[str], None]
    plan: ClaimPlan
    out: Path
    after_stage: Callable[[], object]

    def stage(self, name: str, title: str, number: int, total: int) -> StageProgress:
        return self.shown.stage(self.plan.stages[name].label, name, number, total)

    def staged(self, name: str, seconds: float, counts: Mapping[str, float]) -> None:
        self.shown.staged(self.plan.stages[name].label, seconds, counts)
        left, unknown = remaining_seconds(self.plan, self.out)
        more = f", and {unknown} stages of unknown length" if unknown else ""
        if left or unknown:
            self.say(f"About {left / 60:.0f} min left{more}.")
        self.after_stage()

    def warn(self, message: str) -> None:
        self.shown.warn(message)


def require_place(out: Path, page_only: bool) -> None:
    """Raise UserError where `out` holds anything but runs of claims. page_only: or none yet."""
    held = held_in(out, "the runs and the page")
    told = read_json(out / PIPELINE, None, PipelineFile)
    if told is not None:
        others = [one["name"] for one in told["stages"] if not STAGE_NAME.fullmatch(one["name"])]
        if others:
            raise UserError(
                f"{out} is a run of stages ({', '.join(others[:3])}) and not of claims. Nothing "
                "was touched; give another --out."
            )
    elif page_only:
        raise UserError(f"{out} holds no claim that has run; leave --page out to run them.")
    else:
        refuse_foreign(out, held, "holds no runs of claims")


def run_claims(plan: ClaimPlan, out: Path, events: ClaimEvents) -> None:
    """Run what is not done into the folder `out`. Raises UserError, before anything runs where that
    can be seen."""
    for folder, stages in by_folder(plan).items():
        run_pipeline(recipe_of(stages, plan.plugins), folder, out, events)


def by_folder(plan: ClaimPlan) -> dict[Path, list[ArmStage]]:
    """Return the stages by the folder that their relative paths start from.

    What a stage reads is in its folder's list as well.
    """
    found: dict[Path, list[ArmStage]] = {}
    for stage in plan.stages.values():
        found.setdefault(stage.base_folder, []).append(stage)
    for stages in found.values():
        names = {stage.name for stage in stages}
        waiting = [name for stage in stages for name in stage.reads]
        while waiting:
            name = waiting.pop()
            if name not in names:
                names.add(name)
                stages.append(plan.stages[name])
                waiting += plan.stages[name].reads
    return found


def recipe_of(stages: Sequence[ArmStage], plugins: Sequence[str] = ()) -> R1Recipe:
    """Return the stages as one recipe. Functions are left out where programs cannot be isolated."""
    tables = {stage.name: stage.table for stage in stages}
    values = {"stages": tables, "plugins": [*plugins], "without_sandbox": "leave_out"}
    return validate(values, R1Recipe, "claims")
