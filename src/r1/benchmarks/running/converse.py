"""Run a benchmark of several requests a question (`Benchmark.converse`) on a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.agents.ask import EngineAsk
from r1.benchmarks.protocol import RESULT, Benchmark, Loaded
from r1.errors import UserError
from r1.evaluate.settings import EvaluationSettings
from r1.evaluate.source import ModelSource, open_engine
from r1.files.shapes import read_json
from r1.rollout.make import engine_context
from r1.rollout.protocol import LoadedEngine
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import atomic
from r1.template import PromptRenderer, TemplateSettings
from r1.types import Problem


class ConversationSetup(NamedTuple):
    """The model that is asked, and how. model: what the user calls it. max_new_tokens: of each
    response."""

    source: ModelSource
    engine: EngineSettings
    template: TemplateSettings
    model: str
    max_new_tokens: int
    seed: int

    @property
    def sampling(self) -> SamplingSettings:
        """How responses are drawn that are not greedy."""
        evaluation = EvaluationSettings(max_new_tokens=self.max_new_tokens, seed=self.seed)
        return evaluation.sampling(self.source.settings("sampling", SamplingSettings))


class Conversations(NamedTuple):
    """One benchmark to be measured, in a folder of its own. identity: what makes a measurement."""

    benchmark: Benchmark
    loaded: Loaded
    problems: Sequence[Problem]
    folder: Path
    identity: dict[str, Any]


def begin(
    benchmark: Benchmark,
    loaded: Loaded,
    problems: Sequence[Problem],
    setup: ConversationSetup,
    folder: Path,
) -> Conversations:
    """Make the folder. Raises UserError where it holds another measurement."""
    identity = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "protocol": benchmark.protocol,
        "layout": loaded.layout,
        "model": setup.model,
        "sampling": {**setup.sampling.model_dump(mode="json"), "seed": setup.seed},
    }
    _require_same(folder, {**identity, "step": setup.source.step})
    return Conversations(benchmark, loaded, problems, folder, identity)


def measure_all(begun: Sequence[Conversations], setup: ConversationSetup) -> dict[str, Any]:
    """Measure with one engine; write FOLDER/benchmark.json of each, and return what it holds."""
    if not begun:
        return {}
    with open_engine(setup.source, setup.engine) as engine:
        return {one.benchmark.name: _measure(one, setup, engine) for one in begun}


def _measure(one: Conversations, setup: ConversationSetup, engine: LoadedEngine) -> dict[str, Any]:
    assert one.benchmark.converse is not None
    renderer = PromptRenderer(engine.tokenizer, setup.template)
    context = engine_context(setup.source.path, setup.engine)
    ask = EngineAsk(engine, renderer, setup.sampling, context, setup.seed)
    figures = one.benchmark.converse(ask, list(one.problems), one.folder)
    departures = figures.pop("departures", [])
    if len(one.problems) < len(one.loaded.problems):
        departures = [f"{len(one.problems)} questions", *departures]
    if ask.num_too_long:
        departures.append(f"{ask.num_too_long} prompts did not fit into the context")
    result = {
        **one.identity,
        "num_found": len(one.loaded.problems),
        "mean_tokens": ask.num_tokens / max(1, ask.num_samples),
        "begins_with_think": renderer.opens_think,
        **figures,
        "departures": departures,
    }
    atomic.write_json(one.folder / RESULT, result)
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
