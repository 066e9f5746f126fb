"""`r1 bench run`: benchmarks on one model, a folder each, by the line of `r1 eval`.

    out/NAME/request.json, blocks/, evaluation.json     as `r1 eval` writes them
    out/NAME/benchmark.json                             the result, written last

The same command again carries on at the block where it stopped, and ends with the same bytes.

Left out so far: one queue for all benchmarks (the model is loaded for each that has samples left to
draw), endpoints as models, judged benchmarks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from r1.benchmarks.protocol import Benchmark, Loaded, load
from r1.benchmarks.running.converse import ConversationSetup, converse
from r1.benchmarks.running.figures import figures_of
from r1.errors import UserError
from r1.evaluate.blocks import BlockPlan
from r1.evaluate.command import EvaluationSetup, measure
from r1.evaluate.settings import EvaluationSettings
from r1.evaluate.source import ModelSource, choose_template, resolve_model
from r1.models.load import load_tokenizer
from r1.rewards.settings import RewardSettings
from r1.rollout.make import engine_context
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import atomic
from r1.template import PromptRenderer
from r1.types import Problem

RESULT = "benchmark.json"
MAX_NEW_TOKENS = 32_768
"""The paper's limit of a response."""


class Options(NamedTuple):
    """What a user may change of the paper's protocol.

    limit: so many questions, spread evenly over the benchmark; None: all. num_samples: k; None:
    the benchmark's. max_new_tokens: None: 32,768. think: begin every response with `<think>`.
    """

    limit: int | None = None
    num_samples: int | None = None
    max_new_tokens: int | None = None
    seed: int = 0
    think: bool = True


def run_benchmarks(
    model: str,
    chosen: Sequence[Benchmark],
    data: Path,
    out: Path,
    console: Console,
    options: Options = Options(),  # noqa: B008 (never changed)
) -> dict[str, dict[str, Any]]:
    """Measure a model on benchmarks; return the result of each, as its benchmark.json holds it.

    data: the folder with one folder a benchmark. Everything is read and checked before anything is
    sampled. Raises UserError for whatever the user can put right.
    """
    source = resolve_model(model)
    loaded = {benchmark.name: load(benchmark, data) for benchmark in chosen}
    engine = source.settings("engine", EngineSettings)
    limit = _token_limit(source, engine, options, console)
    template = choose_template(source).model_copy(update={"force_think": options.think})
    renderer = PromptRenderer(load_tokenizer(source.path), template)
    context = engine_context(source.path, engine)
    results = {}
    for benchmark in chosen:
        console.print(f"{benchmark.title}: {benchmark.protocol}", highlight=False, soft_wrap=True)
        if benchmark.converse is not None:
            asked = spread_evenly(loaded[benchmark.name].problems, options.limit)
            setting = ConversationSetup(source, engine, template, limit, options.seed)
            found = converse(benchmark, loaded[benchmark.name], asked, setting, model, out)
            results[benchmark.name] = found
            continue
        credit = benchmark.metric == "f1"
        rewards = RewardSettings(weights={"accuracy": 1.0}, partial_credit=credit)
        run = _asked(benchmark, loaded[benchmark.name], options, limit, renderer, context)
        setup = EvaluationSetup(source, template, rewards, engine)
        results[benchmark.name] = _measure(run, setup, out / benchmark.name, model, console)
    return results


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
    renderer: PromptRenderer,
    context: int,
) -> _BenchmarkRun:
    """Choose the questions. Raises UserError where none fits into the context."""
    problems = spread_evenly(loaded.problems, options.limit)
    fitting = [p for p in problems if len(renderer.encode(p.prompt)) < context]
    if not fitting:
        raise UserError(
            f"{benchmark.name}: no question fits into the model's context of {context} tokens."
        )
    too_long = len(problems) - len(fitting)
    opened = renderer.opens_think
    return _BenchmarkRun(benchmark, loaded, options, max_new_tokens, fitting, too_long, opened)


def _measure(
    run: _BenchmarkRun, setup: EvaluationSetup, folder: Path, model: str, console: Console
) -> dict[str, Any]:
    settings = EvaluationSettings(
        num_samples=run.k, max_new_tokens=run.max_new_tokens, seed=run.options.seed
    )
    training = setup.source.settings("sampling", SamplingSettings)
    plan = BlockPlan(run.problems, settings, settings.sampling(training), setup.source.step)
    also = {
        "benchmark": run.benchmark.name,
        "protocol": run.benchmark.protocol,
        "layout": run.loaded.layout,
        "partial_credit": setup.rewards.partial_credit,
    }
    summary = measure(setup, plan, folder, console, also)
    result = {**also, "model": model, **_result(run, folder, summary)}
    atomic.write_json(folder / RESULT, result)
    return result


def _result(run: _BenchmarkRun, folder: Path, summary: dict[str, Any]) -> dict[str, Any]:
    benchmark, loaded = run.benchmark, run.loaded
    ids = [problem.id for problem in run.problems]
    figures = figures_of(folder, ids, run.k, benchmark.metric, run.opened)
    return {
        "title": benchmark.title,
        "metric": benchmark.metric,
        "k": run.k,
        "num_questions": len(run.problems),
        "num_found": len(loaded.problems),
        "refused": dict(Counter(refused.reason for refused in loaded.refused)),
        "score": figures.score and figures.score._asdict(),
        "cons_at_k": summary["cons_at_k"],
        "outcomes": figures.outcomes,
        "mean_tokens": figures.mean_tokens,
        "sampling": summary["sampling"],
        "begins_with_think": run.opened,
        "departures": _departures(run),
    }


def _departures(run: _BenchmarkRun) -> list[str]:
    """Where a measurement is not the paper's."""
    told = {
        f"{run.options.limit} questions": run.options.limit is not None,
        f"{run.too_long} questions left out, too long for the context": run.too_long > 0,
        f"k = {run.k}, not {run.benchmark.k}": run.k != run.benchmark.k,
        f"at most {run.max_new_tokens:,} tokens": run.max_new_tokens != MAX_NEW_TOKENS,
        "thinking not begun": not run.opened,
    }
    return [words for words, departs in told.items() if departs]


def spread_evenly(problems: Sequence[Problem], limit: int | None) -> list[Problem]:
    """`limit` problems at equal distances, so that every part of a benchmark is asked."""
    if limit is None or limit >= len(problems):
        return list(problems)
    return [problems[i * len(problems) // limit] for i in range(limit)]


def _token_limit(
    source: ModelSource, engine: EngineSettings, options: Options, console: Console
) -> int:
    """The limit of a response; the paper's, cut to the model's context with a word."""
    context = engine_context(source.path, engine)
    wanted = options.max_new_tokens
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
