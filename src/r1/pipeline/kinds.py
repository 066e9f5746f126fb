"""What checks and runs each kind of stage.

A new kind is a settings class and a line in STAGE_KINDS, a function and a line in KINDS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from r1.cluster.settings import ClusterSettings
from r1.data.load import load_problems
from r1.data.settings import SourceSettings
from r1.errors import UserError
from r1.evaluate.battery import load_questions, run_battery
from r1.evaluate.battery_settings import EvaluationStageSettings
from r1.learner.settings import MAY_CHANGE_ON_RESUME as SUPERVISED_MAY_CHANGE
from r1.models.load import check_model_folder
from r1.pipeline import data_stages, preference_stage, references
from r1.pipeline.graph import Artifact, ArtifactType
from r1.pipeline.progress import StageProgress
from r1.pipeline.r1_zero import find_model
from r1.pipeline.recipe import MAY_CHANGE_ON_RESUME, R1ZeroRecipe
from r1.pipeline.run import RUNNERS
from r1.pipeline.stage_kinds import STAGE_KINDS
from r1.pipeline.stage_settings import PreferencesStage
from r1.reward_model.settings import RewardModelRecipe
from r1.rewards.accuracy import check_reference
from r1.rewards.settings import RewardSettings
from r1.rewards.unjudged import check_families
from r1.run_dir import find_checkpoint
from r1.run_dir.read import read_metrics
from r1.sft.examples import check_sources
from r1.sft.settings import SFTRecipe
from r1.types import Problem

RUN = "run"
"""The run folder inside a training stage's folder."""


Run = Callable[[Any, Path, Path, StageProgress, ClusterSettings | None], Mapping[str, Artifact]]
Check = Callable[[Any, "Known"], None]


class StageKind(NamedTuple):
    """One kind. run(settings, base_folder, folder, progress, cluster) fills `folder` or carries on
    there; cluster is the whole recipe's, for kinds that sample from a finished model.
    check(settings, known) raises UserError for what is wrong in what is no reference; may_change:
    settings that move no number of the stage."""

    run: Run
    check: Check
    may_change: Sequence[str] = ()


def _train(kind: str) -> Run:
    ((output, gives),) = STAGE_KINDS[kind].outputs.items()

    def run(
        recipe: Any,
        base_folder: Path,
        folder: Path,
        progress: StageProgress,
        cluster: ClusterSettings | None,
    ) -> Mapping[str, Artifact]:
        out = RUNNERS[kind](recipe, base_folder, folder / RUN, progress.training)
        checkpoint = find_checkpoint(out)
        counts = _counts_of_run(out)
        return {output: Artifact(checkpoint.relative_to(folder).as_posix(), gives, counts)}

    return run


def _counts_of_run(out: Path) -> dict[str, float]:
    """Updates, and the tokens that they learnt from."""
    metrics = read_metrics(out)
    counts: dict[str, float] = {"steps": len(metrics)}
    for name in ("tokens_learnt", "tokens_trained"):
        tokens = sum(int(step.get(name) or 0) for step in metrics)
        if tokens:
            counts["tokens"] = tokens
    return counts


def _data(make: Callable[[Any, Path, Path, Any, ClusterSettings | None], None]) -> Run:
    def run(
        stage: Any,
        base_folder: Path,
        folder: Path,
        progress: StageProgress,
        cluster: ClusterSettings | None,
    ) -> Mapping[str, Artifact]:
        make(stage, base_folder, folder, progress.data, cluster)
        counts = data_stages.counts_of(folder)
        if not counts["rows"]:
            raise UserError(data_stages.nothing_kept(folder))
        return {"data": Artifact("data", ArtifactType.DATASET, counts)}

    return run


def _evaluate(
    stage: Any,
    base_folder: Path,
    folder: Path,
    progress: StageProgress,
    cluster: ClusterSettings | None,
) -> Mapping[str, Artifact]:
    model = find_model(stage.model, base_folder)
    counts = run_battery(stage, model, base_folder, folder, progress.training, cluster=cluster)
    return {"results": Artifact("evaluation.json", ArtifactType.RESULTS, counts)}


class Known:
    """What the checks of a pipeline's stages share: what one has read, no other reads again."""

    def __init__(self, base_folder: Path) -> None:
        self.base_folder = base_folder
        self._examples: dict[str, list[Problem]] = {}
        self._questions: set[str] = set()

    def examples(self, source: SourceSettings, rewards: RewardSettings) -> list[Problem]:
        """The first problem of each verifier and family of a source whose problems all pass."""
        key = f"{source.model_dump_json()} {rewards.model_dump_json()}"
        if key not in self._examples:
            check = partial(check_reference, settings=rewards)
            firsts: dict[tuple[str, str], Problem] = {}
            for problem in load_problems(source, self.base_folder, check):
                firsts.setdefault((problem.verifier, problem.family), problem)
            self._examples[key] = list(firsts.values())
        return self._examples[key]

    def check_questions(self, stage: EvaluationStageSettings) -> None:
        """Read what an evaluation asks, unless another asks the same."""
        key = stage.model_copy(update={"model": "", "title": ""}).model_dump_json()
        if key not in self._questions:
            load_questions(stage, self.base_folder)
            self._questions.add(key)


def _check_training(recipe: R1ZeroRecipe, known: Known) -> None:
    recipe.rewards.validate_names()
    _check_model(recipe.model, known)
    sources = (*recipe.data.train, *recipe.data.heldout)
    problems = _check_problems(sources, recipe.rewards, known)
    if not any(_waits(source.path) for source in sources):
        judging = {name: use.families for name, use in recipe.reward_models.items()}
        check_families(recipe.rewards, problems, judging)


def _check_examples(recipe: SFTRecipe, known: Known) -> None:
    _check_model(recipe.model, known)
    own = [s for s in (*recipe.data.train, *recipe.data.heldout) if not _waits(s.path)]
    check_sources(own, known.base_folder)


def _check_preferences(recipe: RewardModelRecipe, known: Known) -> None:
    _check_model(recipe.model, known)


def _check_data_stage(stage: Any, known: Known) -> None:
    rewards = getattr(stage, "rewards", None)
    if rewards is not None:
        rewards.validate_names()
        problems = (*stage.problems, *getattr(stage, "heldout", ()))
        _check_problems(problems, rewards, known)
    model = getattr(stage, "model", None)
    if model is not None:
        _check_model(model, known)
    for source in getattr(stage, "sources", ()):
        path = source.path
        if path and not _waits(path) and not _exists(path, known.base_folder):
            raise UserError(f"{path} does not exist; make it, or name a stage's with @.")


def _check_preference_making(stage: PreferencesStage, known: Known) -> None:
    _check_problems(stage.problems, RewardSettings(), known)
    _check_model(stage.model, known)
    if stage.judge.model is not None:
        _check_model(stage.judge.model, known)


def _check_battery(stage: EvaluationStageSettings, known: Known) -> None:
    _check_model(stage.model, known)
    if not any(_waits(source.path) for source in (*stage.problems, *stage.general)):
        known.check_questions(stage)


def _check_model(name: str, known: Known) -> None:
    if not _waits(name):
        check_model_folder(find_model(name, known.base_folder))


def _check_problems(
    sources: tuple[SourceSettings, ...], rewards: RewardSettings, known: Known
) -> list[Problem]:
    """Check the sources that no stage makes; return a problem of each verifier and family."""
    own = [source for source in sources if not _waits(source.path)]
    return [problem for source in own for problem in known.examples(source, rewards)]


def _waits(path: str | None) -> bool:
    return path is not None and path.startswith(references.MARK)


def _exists(path: str, base_folder: Path) -> bool:
    return Path(path).exists() or (base_folder / path).exists()


def _data_stage(make: Callable[[Any, Path, Path, Any, ClusterSettings | None], None]) -> StageKind:
    return StageKind(_data(make), _check_data_stage)


KINDS: dict[str, StageKind] = {
    "r1_zero": StageKind(_train("r1_zero"), _check_training, MAY_CHANGE_ON_RESUME),
    "sft": StageKind(_train("sft"), _check_examples, SUPERVISED_MAY_CHANGE),
    "reward_model": StageKind(_train("reward_model"), _check_preferences, SUPERVISED_MAY_CHANGE),
    "rejection": _data_stage(data_stages.run_rejection),
    "prompted": _data_stage(data_stages.run_prompted),
    "refined": _data_stage(data_stages.run_refined),
    "review": _data_stage(data_stages.run_review),
    "examples": _data_stage(data_stages.run_examples),
    "mixture": _data_stage(data_stages.run_mixture),
    "preferences": StageKind(_data(preference_stage.run_preferences), _check_preference_making),
    "evaluation": StageKind(_evaluate, _check_battery),
}
