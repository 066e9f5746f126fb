"""Evaluate one checkpoint for the table of stages: reasoning by rules, general requests by reward
models.

    folder/completions.parquet   every response with its judgements (r1.run_dir.completions)
    folder/evaluation.json       the figures, written last
    folder/blocks/               what is judged so far; gone at the end

Every figure is a mean over problems of the mean over a problem's samples, with a 95 % bootstrap
interval over problems (estimators.py). Language is that of the thinking (r1.rewards.language), over
the samples that think; one that thinks without a word counts as 0.

A killed evaluation repeats only the unfinished blocks (blocks.py), on any number of engines, and
ends with the same bytes, except for "seconds": those of the last call.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from r1.cluster.settings import ClusterSettings
from r1.config import dump
from r1.data.load import load_data
from r1.data.settings import DataSettings
from r1.evaluation.battery_figures import figures, sample_of, vote_figures
from r1.evaluation.battery_settings import EvaluationStageSettings
from r1.evaluation.blocks import Begin, Call, Step, block_samples, by_content, cut, write_calls
from r1.evaluation.estimators import NO_VOTE
from r1.evaluation.run import JudgedGroup, judge_groups, make_request
from r1.evaluation.source import ModelSource, open_engine
from r1.evaluation.summary import judged_from_rows
from r1.files.parquet import column_names, read_columns
from r1.files.shapes import read_json
from r1.reward_model.mixture import check_reward_models, load_reward_models, with_reward_models
from r1.rewards import manners
from r1.rewards.accuracy import check_reference
from r1.rewards.judge import cached_in, check_judge
from r1.rewards.pool import RewardPool
from r1.rewards.registry import PromptForm
from r1.rewards.settings import RewardSettings
from r1.rewards.unjudged import check_rules
from r1.rollout.make import check_limit, tell_of_room
from r1.rollout.protocol import Engine
from r1.rollout.scored import scored_groups
from r1.rollout.settings import SamplingSettings
from r1.run_dir import atomic, describe_source
from r1.run_dir.atomic import hash_of
from r1.run_dir.evaluation import BLOCKS, COMPLETIONS, REQUEST
from r1.run_dir.events import RunEvents
from r1.template import PromptRenderer
from r1.types import Problem

RESULT = "evaluation.json"
LOOKED_AT = ("format", "language")
"""Rewards that every response is judged by."""


class Questions(NamedTuple):
    """The problems that a checkpoint is asked."""

    reasoning: list[Problem]
    general: list[Problem]


Row = dict[str, Any]


class _Answers(NamedTuple):
    """The judged responses: a table, and the rows of each problem in order."""

    table: pa.Table
    reasoning: list[list[Row]]
    general: list[list[Row]]


class _Line(NamedTuple):
    """The components that samples pass through. blocks: the folder that keeps them."""

    settings: EvaluationStageSettings
    engine: Engine
    renderer: PromptRenderer
    base_folder: Path
    blocks: Path
    told: Callable[[object], None]


def load_questions(settings: EvaluationStageSettings, base_folder: Path) -> Questions:
    """Load and check all problems; ids differ throughout. Raises UserError."""
    settings.rewards.validate_names()  # imports its plugins, whose verifiers problems may name
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
    progress: RunEvents,
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
    sampling = _sampling(settings)
    check_limit(sampling.max_new_tokens, model_folder, settings.engine, "max_new_tokens")
    questions = load_questions(settings, base_folder)
    check_reward_models(settings.reward_models, base_folder)
    told = _counter(progress, len(questions.reasoning) + len(questions.general))
    with open_engine(ModelSource(model_folder), settings.engine, cluster) as engine:
        renderer = PromptRenderer(engine.tokenizer, settings.template)
        asked, limit = (*questions.reasoning, *questions.general), sampling.max_new_tokens
        tell_of_room(asked, renderer.encode, limit, model_folder, settings.engine)
        blocks = folder / BLOCKS
        _claim(blocks, _request(settings, questions, model_folder, base_folder))
        answers = _ask(_Line(settings, engine, renderer, base_folder, blocks, told), questions)
    drawn = settings.evaluation
    summary: dict[str, Any] = {
        "stage": stage or folder.name.removeprefix("eval_"),
        "title": settings.title or stage or folder.name.removeprefix("eval_"),
        "template": settings.template.kind,
        "num_samples": drawn.num_samples,
        "temperature": drawn.temperature,
        "top_p": drawn.top_p,
        "sampling": dump(sampling),
        "begins_with_think": renderer.opens_think,
        "seconds": round(time.perf_counter() - begin, 3),
        "num_problems": len(questions.reasoning),
        "num_parameters": engine.num_parameters,
        **_reasoning(answers, drawn.seed),
    }
    if questions.general:
        summary["general"] = _figures_of(answers.general, drawn.seed)
    table = answers.table
    _write_figures(folder, summary, lambda path: pq.write_table(table, path, compression="zstd"))
    atomic.remove(blocks)
    counts = {"problems": len(questions.reasoning), "completions": table.num_rows}
    return counts | ({"general problems": len(questions.general)} if questions.general else {})


def _request(
    settings: EvaluationStageSettings, questions: Questions, model_folder: str, base_folder: Path
) -> dict[str, Any]:
    """Identity of the cached blocks."""
    told = dump(settings)
    for name in ("model", "title", "problems", "general", "engine"):
        told.pop(name, None)
    models = settings.reward_models
    for use in told["reward_models"].values():
        del use["path"]  # its content stands below
    return {
        "settings": told,
        "engine": {"kind": settings.engine.kind, "dtype": settings.engine.dtype},
        "model": describe_source(model_folder),
        "reward_models": {n: describe_source(base_folder / u.path) for n, u in models.items()},
        "problems": hash_of([[asdict(problem) for problem in part] for part in questions]),
        "block_samples": block_samples(),
    }


def _claim(blocks: Path, request: dict[str, Any]) -> None:
    """Keep the blocks of this request; remove those of another."""
    request = json.loads(json.dumps(request))
    if by_content(read_json(blocks / REQUEST)) == by_content(request):
        return
    with atomic.writing(blocks):
        if blocks.exists():
            atomic.remove(blocks)
        blocks.mkdir(parents=True)
    atomic.write_json(blocks / REQUEST, request)


def _ask(line: _Line, questions: Questions) -> _Answers:
    """Sample and judge the problems that no block has; read all blocks."""
    parts = {}
    for name, problems, judge_part in (
        ("reasoning", questions.reasoning, _judge_reasoning),
        ("general", questions.general, _judge_general),
    ):
        parts[name] = cut(problems, line.settings.evaluation.num_samples, line.blocks, name)
        missing = {path: block for path, block in parts[name].items() if not path.is_file()}
        for path in parts[name].keys() - missing.keys():
            for problem in parts[name][path]:
                line.told(problem)
        if missing:
            judge_part(line, questions, missing)
    paths = [path for part in parts.values() for path in part]
    tables = [read_columns(path, column_names(path)) for path in paths]
    table = pa.concat_tables(tables, promote_options="default").combine_chunks()
    rows, each = table.to_pylist(), line.settings.evaluation.num_samples
    grouped = [rows[i : i + each] for i in range(0, len(rows), each)]
    first = len(questions.reasoning)
    return _Answers(table.drop_columns(["vote"]), grouped[:first], grouped[first:])


def _judge_reasoning(
    line: _Line, questions: Questions, blocks: Mapping[Path, Sequence[Problem]]
) -> None:
    settings = line.settings
    sampling = _sampling(settings)
    form = PromptForm(opened=line.renderer.opens_think)
    rewards = cached_in(_with_looks(settings.rewards), line.blocks.parent)
    with RewardPool(rewards, form) as pool:

        def begin(call: Call) -> Iterator[JudgedGroup]:
            [block] = call.values()
            return judge_groups(
                line.engine, pool, line.renderer, block, settings.evaluation, sampling
            )

        _write(blocks, begin, line)


def _judge_general(
    line: _Line, questions: Questions, blocks: Mapping[Path, Sequence[Problem]]
) -> None:
    settings = line.settings
    sampling = _sampling(settings)
    form = PromptForm(opened=line.renderer.opens_think)
    uses = {
        name: use.model_copy(update={"families": (), "from_step": 0})
        for name, use in settings.reward_models.items()
    }
    # Of all questions, not of those left: what a family is looked at for must not depend on a kill.
    with RewardPool(_general_rewards(settings.rewards, questions.general), form) as pool:
        scorer = with_reward_models(pool, load_reward_models(uses, line.base_folder, form))

        def begin(call: Call) -> Iterator[JudgedGroup]:
            [block] = call.values()
            requests = [make_request(p, line.renderer, settings.evaluation) for p in block]
            groups = scored_groups(line.engine, scorer, block, requests, sampling)
            return (JudgedGroup(group, [NO_VOTE] * len(group.rewards)) for group in groups)

        _write(blocks, begin, line)


def _write(blocks: Call, begin: Begin, line: _Line) -> None:
    """Sample block by block; each is a call of its own."""
    calls = [{path: block} for path, block in blocks.items()]
    for _ in write_calls(calls, begin, line.engine, Step(0, line.renderer.parse), line.told):
        pass


def _sampling(settings: EvaluationStageSettings) -> SamplingSettings:
    return settings.evaluation.sampling(SamplingSettings(max_new_tokens=settings.max_new_tokens))


def _with_looks(rewards: RewardSettings) -> RewardSettings:
    """Add format and language for every family to the recipe's rewards."""

    def completed(table: Mapping[str, float]) -> dict[str, float]:
        return {**table, **{name: 0.0 for name in LOOKED_AT if name not in table}}

    families = {name: completed(table) for name, table in rewards.families.items()}
    return rewards.model_copy(update={"weights": completed(rewards.weights), "families": families})


def _general_rewards(rewards: RewardSettings, problems: Sequence[Problem]) -> RewardSettings:
    """Return the rewards of general responses: no accuracy; manners if the rules fit."""
    every = dict.fromkeys(LOOKED_AT, 0.0)
    ruled = {**every, manners.HELPFUL: 0.0, manners.HARMLESS: 0.0}
    families = {
        family: ruled
        for family in {problem.family for problem in problems}
        if all(manners.has_kind(p) for p in problems if p.family == family)
    }
    return rewards.model_copy(update={"weights": every, "families": families, "judge": None})


def _reasoning(answers: _Answers, seed: int) -> dict[str, Any]:
    """Return the figures over all reasoning problems and over each family."""
    families: dict[str, list[list[Row]]] = {}
    for rows in answers.reasoning:
        families.setdefault(rows[0]["family"], []).append(rows)

    def of(members: Sequence[list[Row]]) -> dict[str, Any]:
        judged = judged_from_rows(row for rows in members for row in rows)
        return vote_figures(judged, seed) | _figures_of(members, seed)

    overall = of(answers.reasoning)
    del overall["num_problems"]
    by_family = {family: of(members) for family, members in sorted(families.items())}
    return {"overall": overall, "families": by_family}


def _figures_of(problems: Sequence[list[Row]], seed: int) -> dict[str, Any]:
    samples = [[sample_of(row) for row in rows] for rows in problems]
    return {**figures(samples, seed), "num_problems": len(problems)}


def _counter(progress: RunEvents, total: int) -> Callable[[object], None]:
    done = 0

    def told(_: object) -> None:
        nonlocal done
        done += 1
        progress.evaluating(0, done, total)

    return told


def _write_figures(
    folder: Path, summary: Mapping[str, Any], write_table: Callable[[Path], None]
) -> None:
    """Write the figures last, so that they always belong to the completions beside them."""
    with atomic.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULT).unlink(missing_ok=True)
    atomic.remove_leftovers(folder)
    atomic.write_file(folder / COMPLETIONS, write_table)
    atomic.write_json(folder / RESULT, summary)
