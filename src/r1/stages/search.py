"""kind = "search": a search at test time over problems, judged by every rule of choice.

r1.search has the methods, r1.evaluation.search the figures. Beside what `r1 eval --search` writes:

    folder/search/       the evaluation
    folder/values.json   what each rule gets right of every problem, and tokens a problem

Resumes where it stopped, block by block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pydantic import Field, model_validator

from r1.config import Settings
from r1.data.settings import SourceSettings
from r1.evaluation.search_data_settings import OF_STAGE
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.source import find_model
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import Amount, amount_of
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings
from r1.search.choose import WHOLE
from r1.search.settings import SearchSettings
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model, check_problems, is_reference
from r1.stages.protocol import Artifact, ArtifactType, SampledModel, StageContext, StageKind
from r1.template import TemplateSettings

NAME = "search"
OUT, VALUES = OF_STAGE, "values.json"
NAMED = ("search.method", "search.scorer")
"""What messages call the method and the scorer."""


class SearchStage(Settings):
    """A search over problems: held-out ones at test time, or those that are learnt from."""

    seed: int = Field(
        0, ge=0, description="decides the samples, where evaluation.seed is not given"
    )

    model: str = Field(description='what searches: "@STAGE", "tiny", a folder, a run or a Hub id')
    problems: tuple[SourceSettings, ...] = Field(
        min_length=1, description="problems whose answers rules judge"
    )
    search: SearchSettings
    template: TemplateSettings = TemplateSettings()
    rewards: RewardSettings = RewardSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    max_new_tokens: int = Field(
        256, ge=1, description="longest response, in tokens, where [evaluation] gives none"
    )
    engine: EngineSettings = EngineSettings()

    @model_validator(mode="after")
    def _samples_decide(self) -> SearchStage:
        default = EvaluationSettings().num_samples
        if self.search.method not in WHOLE and self.evaluation.num_samples != default:
            raise ValueError(
                "evaluation.num_samples is for search.method = "
                + " or ".join(f'"{name}"' for name in WHOLE)
                + f'; with "{self.search.method}" leave it out (by default {default})'
            )
        return self


def run(stage: SearchStage, context: StageContext) -> Mapping[str, Artifact]:
    """Search, judge the candidates, and write what every rule chooses."""
    from r1.evaluation.blocks import BlockPlan
    from r1.evaluation.command import EvaluationSetup, Measurement, measure_suite
    from r1.evaluation.search import (
        check_search,
        finish_search,
        values_by_problem,
        with_scorer_from,
    )
    from r1.evaluation.source import resolve_model
    from r1.rollout.settings import SamplingSettings
    from r1.run_dir import atomic
    from r1.run_dir.evaluation import SEARCH_RESULT
    from r1.stages.dataset import load_problem_lists
    from r1.terminal import terminal_console

    stage.rewards.validate_names()
    elsewhere = context.cluster is not None
    check_search(stage.search, elsewhere, context.base_folder, NAMED)
    search = with_scorer_from(stage.search, context.base_folder)
    problems, _ = load_problem_lists(stage.problems, (), stage.rewards, context.base_folder)
    source = resolve_model(find_model(stage.model, context.base_folder))
    setup = EvaluationSetup(
        source, stage.template, stage.rewards, stage.engine, context.cluster, search
    )
    evaluation = stage.evaluation
    if "seed" not in evaluation.model_fields_set:
        evaluation = evaluation.model_copy(update={"seed": stage.seed})
    sampling = evaluation.sampling(SamplingSettings(max_new_tokens=stage.max_new_tokens))
    done = 0

    def told(_: object) -> None:
        nonlocal done
        done += 1
        context.progress.training.evaluating(0, done, len(problems))

    plan = BlockPlan(problems, evaluation, sampling)
    out = context.folder / OUT
    console = terminal_console(stderr=True)
    measure_suite([Measurement(setup, plan, out)], console, out, on_problem=told)
    figures = finish_search(out, search, context.folder.name)
    values = values_by_problem(out, search)
    of_run = {"generated_tokens": figures["tokens"]["generated"]}
    found = {"values": values, "of_run": of_run, "unjudged": figures["unjudged"]}
    atomic.write_json(context.folder / VALUES, found)
    counts = {"problems": len(problems)}
    return {"results": Artifact(f"{OUT}/{SEARCH_RESULT}", ArtifactType.RESULTS, counts)}


def check(stage: SearchStage, cache: CheckCache) -> None:
    """Check names of rewards, the problems, the model and the scorer."""
    from r1.evaluation.search import check_candidates, check_search
    from r1.rollout.settings import SamplingSettings

    stage.rewards.validate_names()
    examples = check_problems(stage.problems, stage.rewards, cache)
    check_candidates(stage.search, examples, stage.evaluation.sampling(SamplingSettings()))
    if not is_reference(stage.search.scorer):
        check_search(stage.search, False, cache.base_folder, NAMED)
    check_model(stage.model, cache)


def samplers(stage: SearchStage) -> list[SampledModel]:
    """Return the checkpoint."""
    limit = stage.evaluation.max_new_tokens or stage.max_new_tokens
    limits = {"max_new_tokens": limit}
    return [SampledModel("model", stage.model, stage.engine, limit, limits)]


def estimate(name: str, stage: SearchStage, context: Context) -> Estimate:
    """Estimate a search as so many whole samples: of its budget, or of its branches."""
    amount = amount_of(stage.problems, context.base_folder, context.made)
    shape = context.shape(stage.model)
    limit = stage.evaluation.max_new_tokens or stage.max_new_tokens
    number = stage.evaluation.num_samples
    if stage.search.method == "beam":
        number = stage.search.beams * stage.search.expansions
    elif stage.search.budget is not None:
        number = max(1, stage.search.budget // limit)
    done = estimate_sampling(name, NAME, shape, context, amount, number, limit, stage.engine)
    mean = done.response_tokens / max(1, done.samples)
    return replace(done, makes=Amount(done.samples, mean))


registry.register(
    StageKind(
        name=NAME,
        label="search",
        settings=SearchStage,
        outputs={"results": ArtifactType.RESULTS},
        run=run,
        check=check,
        estimate=estimate,
        samplers=samplers,
        other_names=("beam", "mcts", "best_of_n", "tree_search"),
    )
)
