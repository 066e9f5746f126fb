"""kind = "review": a data set's traces, edited by people (paper, section 2.3.1).

Exported first, imported once edited: r1.curation.review_export and review_import.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from r1.curation.pattern import PatternSettings
from r1.curation.settings import ReviewSettings
from r1.data.rows import find_data
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.plan.estimate import Context, Estimate
from r1.rewards.settings import RewardSettings
from r1.run_dir import describe_source
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_paths, check_problems
from r1.stages.dataset import DATA, dataset_run, load_problem_lists, part
from r1.stages.protocol import StageContext, StageKind

NAME = "review"
EXPORT = "export"


class ReviewStage(ReviewSettings):
    """Traces that people have edited (section 2.3.1): exported first, imported afterwards."""

    settled: ClassVar = {"seed": 0}

    samples: str = Field(description='data set of traces to edit: "@STAGE" or a folder')
    wait: bool = Field(
        True, description="stop after the export until one of its files has been edited"
    )
    pattern: PatternSettings = PatternSettings()
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="sources of the problems that the traces answer"
    )
    rewards: RewardSettings = RewardSettings(answer_from="boxed")


def make(stage: ReviewStage, context: StageContext) -> None:
    """Export traces for people; import them once edited. UserError says what to edit."""
    from r1.curation import review_export
    from r1.curation.review_import import import_review
    from r1.rewards.pool import RewardPool

    folder, export = context.folder, context.folder / EXPORT
    if not (export / review_export.EXPORT).exists():
        review_export.export_review(find_data(stage.samples, context.base_folder), export)
    hashes = review_export.exported_hashes(export)
    names = (review_export.REVIEW_MD, review_export.REVIEW_JSONL)
    now = {name: describe_source(export / name).get("sha256") for name in names}
    if stage.wait and all(now[name] == hashes[name] for name in names):
        raise UserError(
            f"the traces are in {export / names[0]} (or {names[1]}) and wait for people: edit one "
            "of the two and give the same command again, or set wait = false to take them as they "
            "are."
        )
    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, context.base_folder)
    with RewardPool(stage.rewards) as pool:
        import_review(
            folder,
            export,
            {problem.id: problem for problem in problems},
            pool,
            part(stage, ReviewSettings),
            stage.pattern,
            count_tokens=lambda text: len(text.split()),
        )


def check(stage: ReviewStage, cache: CheckCache) -> None:
    """Check names of rewards, the problems and that the traces exist."""
    stage.rewards.validate_names()
    check_problems(stage.problems, stage.rewards, cache)
    check_paths([stage.samples], cache)


def estimate(name: str, stage: ReviewStage, context: Context) -> Estimate:
    """Estimate no tokens: people read and edit."""
    made = context.made_by(stage.samples)
    return Estimate(name, NAME, makes=made, assumptions=("people's time is not estimated",))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=ReviewStage,
        outputs=DATA,
        run=dataset_run(make),
        check=check,
        estimate=estimate,
    )
)
