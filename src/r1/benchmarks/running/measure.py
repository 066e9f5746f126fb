"""`r1 bench run`: benchmarks on one model, a folder each, by the line of `r1 eval`.

    out/NAME/request.json, blocks/, evaluation.json     as `r1 eval` writes them
    out/NAME/judge.jsonl, judgements.jsonl              of a judged benchmark (benchmarks.judging)
    out/NAME/benchmark.json                             the result, written last

The same command again carries on at the block where it stopped, and ends with the same bytes.

All benchmarks share one queue (r1.evaluation.suite): the model is loaded once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from r1.benchmarks.judging.judge import StoredSamples, check_judge, judged_result
from r1.benchmarks.protocol import RESULT, Benchmark, Loaded, load
from r1.benchmarks.running import converse
from r1.benchmarks.running.choose import NO_DATA
from r1.benchmarks.running.departures import MAX_NEW_TOKENS, TEMPERATURE, sampling_departures
from r1.benchmarks.running.figures import figures_of
from r1.benchmarks.running.parts import mean_of_parts, scores_by_part
from r1.errors import UserError
from r1.evaluation.blocks import BlockPlan
from r1.evaluation.command import (
    REPLIES,
    EvaluationSetup,
    Measurement,
    measure_suite,
    place_replicas,
)
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.source import (
    ModelSource,
    choose_template,
    context_of_source,
    renderer_of,
    resolve_model,
)
from r1.judge.settings import JudgeSettings
from r1.rewards.settings import RewardSettings
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import atomic
from r1.template import Renderer
from r1.types import Problem


class Options(NamedTuple):
    """What a user may change of the paper's protocol.

    limit: so many questions, spread evenly over the benchmark; None: all. num_samples: k; None:
    the benchmark's. max_new_tokens: None: 32,768. temperature: 0: greedy. think: begin every
    response with `<think>`, which an endpoint decides by itself. judge: of judged benchmarks;
    changes no sample. endpoint: `endpoint.KEY=VALUE`, where the model is URL#model. plugins:
    modules that register verifiers. cluster: settings of [cluster]: sample on replicas there, which
    moves no figure. engine: in place of that of the run.
    """

    limit: int | None = None
    num_samples: int | None = None
    max_new_tokens: int | None = None
    temperature: float = TEMPERATURE
    seed: int = 0
    think: bool = True
    judge: JudgeSettings | None = None
    endpoint: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    cluster: Mapping[str, Any] | None = None
    engine: EngineSettings | None = None


def run_benchmarks(
    model: str,
    chosen: Sequence[Benchmark],
    data: Path | None,
    out: Path,
    console: Console,
    options: Options = Options(),  # noqa: B008 (never changed)
) -> dict[str, dict[str, Any]]:
    """Measure a model on benchmarks; return the result of each, as its benchmark.json holds it.

    data: the folder with one folder a benchmark. Everything is read and checked before anything is
    sampled. Raises UserError for whatever the user can put right.
    """
    check_judge(options.judge, any(benchmark.judging for benchmark in chosen))
    source = resolve_model(model, overrides=options.endpoint)
    if data is None and any(each.needs_folder for each in chosen):
        raise UserError("give --data FOLDER; `r1 bench list NAME` tells what to put there.")
    loaded = {benchmark.name: load(benchmark, data or NO_DATA) for benchmark in chosen}
    engine = source.settings("engine", EngineSettings, options.engine)
    placed = place_replicas(source, engine, options.cluster)
    limit = _token_limit(source, engine, options, console)
    force_think = options.think and source.endpoint is None
    template = choose_template(source).model_copy(update={"force_think": force_think})
    renderer = renderer_of(source, template)
    context = context_of_source(source, engine)
    for benchmark in chosen:
        told = f"{benchmark.title}: {benchmark.protocol}"
        if benchmark.converse is not None and (options.num_samples or 1) > 1:
            told += " (one attempt a question: --samples changes nothing)"
        console.print(told, highlight=False, soft_wrap=True)
    plain = [benchmark for benchmark in chosen if benchmark.converse is None]
    runs = [_asked(each, loaded[each.name], options, limit, renderer, context) for each in plain]
    talk = converse.ConversationSetup(
        source,
        engine,
        template,
        model,
        limit,
        options.temperature,
        options.seed,
        out / REPLIES,
        placed,
    )
    conversations = []
    for each in chosen:
        if each.converse is not None:
            asked = spread_evenly(loaded[each.name].problems, options.limit)
            begun = converse.begin(each, loaded[each.name], asked, talk, out / each.name)
            conversations.append(begun)
    rewards = RewardSettings(weights={"accuracy": 1.0})
    setup = EvaluationSetup(source, template, rewards, engine, placed)
    results = _measure(runs, setup, out, model, console) if runs else {}
    return results | converse.measure_all(conversations, talk)


class _BenchmarkRun(NamedTuple):
    """One benchmark to be measured. too_long: questions left out, as their prompts fill the model's
    context. opened: prompts end in `<think>`."""

    benchmark: Benchmark
    loaded: Loaded
    options: Options
    max_new_tokens: int
    problems: list[Problem]
    too_long: int
    opened: bool

    @property
    def k(self) -> int:
        return self.options.num_samples or self.benchmark.k


def _asked(
    benchmark: Benchmark,
    loaded: Loaded,
    options: Options,
    max_new_tokens: int,
    renderer: Renderer,
    context: int | None,
) -> _BenchmarkRun:
    """Choose the questions. Raises UserError where none fits into the context."""
    problems = spread_evenly(loaded.problems, options.limit)
    fitting = [
        p
        for p in problems
        if context is None or len(renderer.encode(p.prompt, p.earlier)) < context
    ]
    if not fitting:
        raise UserError(
            f"{benchmark.name}: no question fits into the model's context of {context} tokens."
        )
    too_long = len(problems) - len(fitting)
    opened = renderer.opens_think
    return _BenchmarkRun(benchmark, loaded, options, max_new_tokens, fitting, too_long, opened)


def _measure(
    runs: Sequence[_BenchmarkRun], setup: EvaluationSetup, out: Path, model: str, console: Console
) -> dict[str, dict[str, Any]]:
    """Sample all in one queue; write each result when its last sample is judged.

    What a judge must see is judged when the engine has nothing left to do.
    """
    measurements = [_measurement(run, setup, out) for run in runs]
    results: dict[str, dict[str, Any]] = {}

    def write(place: int, summary: dict[str, Any]) -> None:
        run, measurement = runs[place], measurements[place]
        result = {"model": model, **measurement.also, **_result(run, measurement, summary, console)}
        atomic.write_json(measurement.out / RESULT, result)
        results[run.benchmark.name] = result

    def on_done(place: int, summary: dict[str, Any]) -> None:
        if runs[place].benchmark.judging is None:
            write(place, summary)

    summaries = measure_suite(measurements, console, out, on_done)
    for place, summary in enumerate(summaries):
        if runs[place].benchmark.judging is not None:
            write(place, summary)
    return {run.benchmark.name: results[run.benchmark.name] for run in runs}


def _measurement(run: _BenchmarkRun, setup: EvaluationSetup, out: Path) -> Measurement:
    benchmark, options = run.benchmark, run.options
    runs_programs = any(problem.verifier == "code" for problem in run.problems)
    rewards = RewardSettings(
        weights={"accuracy": 1.0},
        partial_credit=benchmark.metric == "f1",
        num_workers=len(os.sched_getaffinity(0)) if runs_programs else 1,
        plugins=options.plugins,
    )
    settings = EvaluationSettings(
        num_samples=run.k,
        temperature=options.temperature,
        max_new_tokens=run.max_new_tokens,
        seed=options.seed,
    )
    training = setup.source.settings("sampling", SamplingSettings)
    plan = BlockPlan(run.problems, settings, settings.sampling(training), setup.source.step)
    also = {
        "benchmark": benchmark.name,
        "protocol": benchmark.protocol,
        "layout": run.loaded.layout,
        "partial_credit": rewards.partial_credit,
    }
    return Measurement(setup._replace(rewards=rewards), plan, out / benchmark.name, also)


def _result(
    run: _BenchmarkRun, measurement: Measurement, summary: dict[str, Any], console: Console
) -> dict[str, Any]:
    benchmark, loaded = run.benchmark, run.loaded
    figures = _figures(run, measurement.out, console)
    departures = [*_departures(run, measurement), *figures.pop("departures", [])]
    return {
        "title": benchmark.title,
        "metric": benchmark.metric,
        "k": run.k,
        "num_questions": len(run.problems),
        "num_found": len(loaded.problems),
        "refused": dict(Counter(refused.reason for refused in loaded.refused)),
        "cons_at_k": summary["cons_at_k"],
        "mean_tokens": summary["mean_length"],
        **figures,
        "sampling": summary["sampling"],
        "begins_with_think": run.opened,
        "departures": departures,
    }


def _figures(run: _BenchmarkRun, folder: Path, console: Console) -> dict[str, Any]:
    judging, judge = run.benchmark.judging, run.options.judge
    if judging is not None:
        assert judge is not None
        stored = StoredSamples(folder, run.problems, run.k, run.opened)
        return judged_result(stored, judging, judge, console)
    ids = [problem.id for problem in run.problems]
    figures = figures_of(folder, ids, run.k, run.benchmark.metric, run.opened)
    values, mean_over = figures.values, run.benchmark.mean_over
    score = mean_of_parts(run.problems, values, mean_over) or figures.score
    return {
        "score": score and score._asdict(),
        "parts": scores_by_part(run.problems, values, run.benchmark.parts),
        "further": run.benchmark.further and run.benchmark.further(run.loaded, values),
        "outcomes": figures.outcomes,
        "mean_tokens": figures.mean_tokens,
    }


def _departures(run: _BenchmarkRun, measurement: Measurement) -> list[str]:
    """Where a measurement is not the paper's."""
    sampling, endpoint = measurement.plan.sampling, measurement.setup.source.endpoint
    told = {
        f"{run.options.limit} questions": _asks_less(run),
        f"{run.too_long} questions left out, too long for the context": run.too_long > 0,
        f"k = {run.k}, not {run.benchmark.k}": run.k != run.benchmark.k,
        **dict.fromkeys(sampling_departures(sampling, run.opened, endpoint), True),
        **{f"without {part}: {why}": True for part, why in run.loaded.left_out.items()},
    }
    if (judging := run.benchmark.judging) and (judge := run.options.judge):
        told[f"judged by {judge.model}, not {judging.papers}"] = judging.papers not in (
            "",
            judge.model,
        )
    return [words for words, departs in told.items() if departs]


def _asks_less(run: _BenchmarkRun) -> bool:
    limit = run.options.limit
    return limit is not None and limit < len(run.loaded.problems)


def spread_evenly(problems: Sequence[Problem], limit: int | None) -> list[Problem]:
    """`limit` problems at equal distances, so that every part of a benchmark is asked."""
    if limit is None or limit >= len(problems):
        return list(problems)
    return [problems[i * len(problems) // limit] for i in range(limit)]


def _token_limit(
    source: ModelSource, engine: EngineSettings, options: Options, console: Console
) -> int:
    """The limit of a response; the paper's, cut to the model's context with a word."""
    context, wanted = context_of_source(source, engine), options.max_new_tokens
    if context is None:
        return wanted or MAX_NEW_TOKENS
    if wanted is not None and wanted > context:
        raise UserError(
            f"--max-new-tokens {wanted} is more than the model's context of {context} tokens."
        )
    if wanted is None and context < MAX_NEW_TOKENS:
        console.print(
            f"The model's context is {context:,} tokens: responses end there, not at the paper's "
            f"{MAX_NEW_TOKENS:,}; those that are cut count as unfinished.",
            highlight=False,
            soft_wrap=True,
        )
    return wanted or min(MAX_NEW_TOKENS, context)
