"""One checkpoint for the table of stages: reasoning by rules, general requests by reward models.

    folder/completions.parquet   every response with its judgements (r1.run_dir.completions)
    folder/evaluation.json       the figures, written last

Every figure is a mean over problems of the mean over a problem's samples, with a 95 % bootstrap
interval over problems (estimators.py). Language is that of the thinking (r1.rewards.language), over
the samples that think; one that thinks without a word counts as 0. A killed evaluation starts
again: it samples from seeds that follow from the problems alone, and ends with the same figures.

Left out on purpose: evaluation in blocks (blocks.py), for which a stage is too short.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow.parquet as pq

from r1.cluster.settings import ClusterSettings
from r1.data.load import load_data
from r1.data.settings import DataSettings
from r1.evaluate.battery_figures import BatterySample, figures, sample_of, vote_figures
from r1.evaluate.battery_settings import EvaluationStageSettings
from r1.evaluate.run import evaluate, make_request
from r1.evaluate.source import ModelSource, open_engine
from r1.evaluate.summary import JudgedProblem
from r1.reward_model.mixture import check_reward_models, with_reward_models
from r1.rewards import manners
from r1.rewards.accuracy import check_reference
from r1.rewards.judge import cached_in, check_judge
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rewards.unjudged import check_rules
from r1.rollout.protocol import Engine
from r1.rollout.scored import scored_groups
from r1.rollout.settings import SamplingSettings
from r1.run_dir import atomic, completion_table
from r1.template import PromptRenderer
from r1.types import Problem, ScoredGroup

RESULT, COMPLETIONS = "evaluation.json", "completions.parquet"
LOOKED_AT = ("format", "language")
"""Rewards that every response is judged by."""


class Progress(Protocol):
    """Told of the problems that are done."""

    def evaluating(self, step: int, done: int, total: int) -> None:
        """An evaluation has judged `done` of `total` problems."""


class Questions(NamedTuple):
    """What a checkpoint is asked."""

    reasoning: list[Problem]
    general: list[Problem]


class _Answers(NamedTuple):
    judged: list[JudgedProblem]
    reasoning: list[ScoredGroup]
    general: list[ScoredGroup]


def load_questions(settings: EvaluationStageSettings, base_folder: Path) -> Questions:
    """Load and check all problems; ids differ throughout. Raises UserError."""
    section = DataSettings(train=(*settings.problems, *settings.general), decontaminate=False)
    check = partial(check_reference, settings=settings.rewards)
    pools = load_data(section, base_folder, check).pools
    count = len(settings.problems)
    reasoning, general = (
        [p for pool in part for p in pool] for part in (pools[:count], pools[count:])
    )
    check_rules(settings.rewards, reasoning)
    check_judge(settings.rewards, reasoning)
    return Questions(reasoning, general)


def run_battery(
    settings: EvaluationStageSettings,
    model_folder: str,
    base_folder: Path,
    folder: Path,
    progress: Progress,
    stage: str | None = None,
    cluster: ClusterSettings | None = None,
) -> dict[str, float]:
    """Evaluate the model in `model_folder` into `folder`; return counts of what was done.

    base_folder: where relative paths of the settings start. stage: the evaluated stage's name; by
    default the folder's, without "eval_". cluster: where replicas sample. What an
    earlier call left in the folder is replaced. Raises UserError for what the user can put right,
    with nothing replaced.
    """
    begin = time.perf_counter()
    questions = load_questions(settings, base_folder)
    check_reward_models(settings.reward_models, base_folder)
    told = _counter(progress, len(questions.reasoning) + len(questions.general))
    with open_engine(ModelSource(model_folder), settings.engine, cluster) as engine:
        renderer = PromptRenderer(engine.tokenizer, settings.template)
        answers = _ask(settings, questions, engine, renderer, base_folder, folder, told)
    drawn = settings.evaluation
    summary: dict[str, Any] = {
        "stage": stage or folder.name.removeprefix("eval_"),
        "title": settings.title or stage or folder.name.removeprefix("eval_"),
        "template": settings.template.kind,
        "num_samples": drawn.num_samples,
        "temperature": drawn.temperature,
        "top_p": drawn.top_p,
        "seconds": round(time.perf_counter() - begin, 3),
        "num_problems": len(questions.reasoning),
        "num_parameters": engine.num_parameters,
        **_reasoning(answers, drawn.seed),
    }
    if questions.general:
        summary["general"] = _figures_of(answers.general, drawn.seed)
    table = completion_table(0, [*answers.reasoning, *answers.general], renderer.parse)
    _write(folder, summary, lambda path: pq.write_table(table, path, compression="zstd"))
    counts = {"problems": len(questions.reasoning), "completions": table.num_rows}
    return counts | ({"general problems": len(questions.general)} if questions.general else {})


def _ask(
    settings: EvaluationStageSettings,
    questions: Questions,
    engine: Engine,
    renderer: PromptRenderer,
    base_folder: Path,
    folder: Path,
    told: Callable[[object], None],
) -> _Answers:
    """Sample and judge everything; groups come in the order of their problems."""
    training = SamplingSettings(max_new_tokens=settings.max_new_tokens)
    form = PromptForm(opened=renderer.opens_think)
    rewards = cached_in(_with_looks(settings.rewards), folder)
    with RewardPool(rewards, form) as pool:
        reasoned = evaluate(
            engine,
            pool,
            renderer,
            questions.reasoning,
            settings.evaluation,
            training=training,
            on_problem=told,
        )
    if not questions.general:
        return _Answers(reasoned.judged, reasoned.groups, [])
    requests = [make_request(p, renderer, settings.evaluation) for p in questions.general]
    found: dict[str, ScoredGroup] = {}
    uses = {
        name: use.model_copy(update={"families": (), "from_step": 0})
        for name, use in settings.reward_models.items()
    }
    with RewardPool(_general_rewards(settings.rewards, questions.general), form) as pool:
        scorer = with_reward_models(pool, uses, base_folder, form)
        sampling = settings.evaluation.sampling(training)
        for scored in scored_groups(engine, scorer, questions.general, requests, sampling):
            found[scored.group.problem.id] = scored
            told(scored)
    general = [found[problem.id] for problem in questions.general]
    return _Answers(reasoned.judged, reasoned.groups, general)


def _with_looks(rewards: RewardSettings) -> RewardSettings:
    """Format and language computed for every family, beside what the recipe pays for."""

    def completed(table: Mapping[str, float]) -> dict[str, float]:
        return {**table, **{name: 0.0 for name in LOOKED_AT if name not in table}}

    families = {name: completed(table) for name, table in rewards.families.items()}
    return rewards.model_copy(update={"weights": completed(rewards.weights), "families": families})


def _general_rewards(rewards: RewardSettings, problems: Sequence[Problem]) -> RewardSettings:
    """What general responses are looked at for: no accuracy; manners where the rules fit."""
    every = dict.fromkeys(LOOKED_AT, 0.0)
    ruled = {**every, manners.HELPFUL: 0.0, manners.HARMLESS: 0.0}
    families = {
        family: ruled
        for family in {problem.family for problem in problems}
        if all(manners.has_kind(p) for p in problems if p.family == family)
    }
    return rewards.model_copy(update={"weights": every, "families": families, "judge": None})


def _reasoning(answers: _Answers, seed: int) -> dict[str, Any]:
    """The figures over all reasoning problems and of each family."""
    families: dict[str, list[int]] = {}
    for index, judged in enumerate(answers.judged):
        families.setdefault(judged.family, []).append(index)

    def of(members: Sequence[int]) -> dict[str, Any]:
        votes = vote_figures([answers.judged[i] for i in members], seed)
        rest = _figures_of([answers.reasoning[i] for i in members], seed)
        return votes | rest

    overall = of(range(len(answers.judged)))
    del overall["num_problems"]
    by_family = {family: of(members) for family, members in sorted(families.items())}
    return {"overall": overall, "families": by_family}


def _figures_of(groups: Sequence[ScoredGroup], seed: int) -> dict[str, Any]:
    samples: list[list[BatterySample]] = [
        [
            sample_of(completion, reward)
            for completion, reward in zip(scored.group.completions, scored.rewards, strict=True)
        ]
        for scored in groups
    ]
    return {**figures(samples, seed), "num_problems": len(groups)}


def _counter(progress: Progress, total: int) -> Callable[[object], None]:
    done = 0

    def told(_: object) -> None:
        nonlocal done
        done += 1
        progress.evaluating(0, done, total)

    return told


def _write(folder: Path, summary: Mapping[str, Any], write_table: Callable[[Path], None]) -> None:
    """The figures last, so that they never stand beside other completions than theirs."""
    with atomic.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT).unlink(missing_ok=True)
    atomic.remove_leftovers(folder)
    atomic.write_file(folder / COMPLETIONS, write_table)
    atomic.write_json(folder / RESULT, summary)
