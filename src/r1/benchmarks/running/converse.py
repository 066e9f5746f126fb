"""Run a benchmark of several requests a question (`Benchmark.converse`) on a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.agents.ask import EngineAsk
from r1.benchmarks.protocol import Benchmark, Loaded
from r1.errors import UserError
from r1.evaluate.settings import EvaluationSettings
from r1.evaluate.source import ModelSource, open_engine
from r1.files.shapes import read_json
from r1.rollout.make import engine_context
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import atomic
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Problem


class ConversationSetup(NamedTuple):
    """The model that is asked, and how. max_new_tokens: of each response."""

    source: ModelSource
    engine: EngineSettings
    template: TemplateSettings
    max_new_tokens: int
    seed: int


def converse(
    benchmark: Benchmark,
    loaded: Loaded,
    problems: Sequence[Problem],
    setup: ConversationSetup,
    model: str,
    out: Path,
) -> dict[str, Any]:
    """Measure, and write out/NAME/benchmark.json; return what it holds.

    Raises UserError where the folder holds another measurement.
    """
    assert benchmark.converse is not None
    folder = out / benchmark.name
    evaluation = EvaluationSettings(max_new_tokens=setup.max_new_tokens, seed=setup.seed)
    sampling = evaluation.sampling(setup.source.settings("sampling", SamplingSettings))
    also = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "protocol": benchmark.protocol,
        "layout": loaded.layout,
        "model": model,
        "sampling": {**sampling.model_dump(mode="json"), "seed": setup.seed},
    }
    _require_same(folder, {**also, "step": setup.source.step})
    with open_engine(setup.source, setup.engine) as engine:
        renderer = PromptRenderer(engine.tokenizer, setup.template)
        context = engine_context(setup.source.path, setup.engine)
        ask = EngineAsk(engine, renderer, sampling, context, setup.seed)
        figures = benchmark.converse(ask, list(problems), folder)
    departures = figures.pop("departures", [])
    if len(problems) < len(loaded.problems):
        departures = [f"{len(problems)} questions", *departures]
    if ask.num_too_long:
        departures.append(f"{ask.num_too_long} prompts did not fit into the context")
    result = {
        **also,
        "num_found": len(loaded.problems),
        "mean_tokens": ask.num_tokens / max(1, ask.num_samples),
        "begins_with_think": renderer.opens_think,
        **figures,
        "departures": departures,
    }
    atomic.write_json(folder / "benchmark.json", result)
    return result


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    """Refuse to carry on what another model or protocol began."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "asked.json"
    before = read_json(path)
    if before is not None and before != identity:
        differ = sorted(name for name in identity if before.get(name) != identity[name])
        raise UserError(
            f"{folder} holds another measurement ({', '.join(differ)} differ); give another --out."
        )
    atomic.write_json(path, identity)
