"""kind = "search_data": what a search found of problems, for its policy and its value model.

r1.evaluation.search_data has the rules. With a stage of kind "search" over problems to learn from,
it closes the loop of AlphaZero: search, learn from what was found, search again.

    @NAME, @NAME/answers   right answers, for kind "sft"
    @NAME/states           branches with labels, for kind "reward_model", objective "steps"
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from r1.data.rows import find_data
from r1.errors import UserError
from r1.evaluation.search_data_settings import ANSWERS, STATES, SearchDataSettings, find_search
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import KEPT_NOTE, KEPT_SHARE
from r1.plan.workload import Amount
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import is_reference
from r1.stages.dataset import counts_of, nothing_kept, part
from r1.stages.protocol import Artifact, ArtifactType, StageContext, StageKind

NAME = "search_data"


class SearchDataStage(SearchDataSettings):
    """Data out of a search: right answers, and branches with labels."""

    searched: str = Field(
        description='the search: "@STAGE" of kind search, or a folder of `r1 eval --search`'
    )


def run(stage: SearchDataStage, context: StageContext) -> Mapping[str, Artifact]:
    """Write both data sets."""
    from r1.evaluation.search_data import make_search_data

    searched = find_search(find_data(stage.searched, context.base_folder))
    settings = part(stage, SearchDataSettings)
    make_search_data(context.folder, searched, settings, context.progress.data)
    counts = {name: counts_of(context.folder / name) for name in (ANSWERS, STATES)}
    for name, found in counts.items():
        if not found["rows"]:
            raise UserError(nothing_kept(context.folder / name))
    return {
        name: Artifact(f"{name}/data", ArtifactType.DATASET, found)
        for name, found in counts.items()
    }


def check(stage: SearchDataStage, cache: CheckCache) -> None:
    """Check that the search is there."""
    if not is_reference(stage.searched):
        find_search(find_data(stage.searched, cache.base_folder))


def estimate(name: str, stage: SearchDataStage, context: Context) -> Estimate:
    """Estimate the rows alone: files are read and written."""
    made = context.made_by(stage.searched)
    if made is None or made.rows is None:
        return Estimate(name, NAME)
    kept = Amount(round(KEPT_SHARE * made.rows), made.tokens)
    return Estimate(name, NAME, makes=kept, assumptions=(KEPT_NOTE,))


registry.register(
    StageKind(
        name=NAME,
        label="data",
        settings=SearchDataStage,
        outputs={ANSWERS: ArtifactType.DATASET, STATES: ArtifactType.DATASET},
        run=run,
        check=check,
        estimate=estimate,
        other_names=("tree_data", "searched"),
    )
)
