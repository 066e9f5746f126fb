"""Run a benchmark of several requests a question (`Benchmark.converse`) on a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from r1.agents.ask import EngineAsk
from r1.agents.counts import AskCounts
from r1.benchmarks.protocol import ASKED, RESULT, Benchmark, Loaded
from r1.benchmarks.running.departures import sampling_departures
from r1.cluster.settings import ClusterSettings
from r1.config import dump
from r1.endpoint.settings import INDECISIVE, SECTION
from r1.errors import UserError
from r1.evaluation.settings import EvaluationSettings
from r1.evaluation.source import (
    ModelSource,
    OpenedModel,
    context_of_source,
    name_of,
    open_sampler,
)
from r1.files.shapes import read_json
from r1.rollout.settings import EngineSettings, SamplingSettings
from r1.run_dir import atomic
from r1.template import TemplateSettings
from r1.types import Problem


class ConversationSetup(NamedTuple):
    """The model that is asked, and how. model: what the user calls it. max_new_tokens: of each
    response. kept: the file of an endpoint's paid samples. cluster: where replicas sample; None: in
    this process."""

    source: ModelSource
    engine: EngineSettings
    template: TemplateSettings
    model: str
    max_new_tokens: int
    temperature: float
    seed: int
    kept: Path
    cluster: ClusterSettings | None = None

    @property
    def sampling(self) -> SamplingSettings:
        """How responses are drawn that are not greedy."""
        evaluation = EvaluationSettings(
            max_new_tokens=self.max_new_tokens, temperature=self.temperature, seed=self.seed
        )
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
    decisive = {"step": setup.source.step, "template": dump(setup.template)}
    if (endpoint := setup.source.endpoint) is not None:
        decisive[SECTION] = endpoint.model_dump(mode="json", exclude=INDECISIVE)
    _require_same(folder, identity | decisive)
    return Conversations(benchmark, loaded, problems, folder, identity)


def measure_all(begun: Sequence[Conversations], setup: ConversationSetup) -> dict[str, Any]:
    """Measure with one engine; write FOLDER/benchmark.json of each, and return what it holds."""
    if not begun:
        return {}
    opened = open_sampler(
        setup.source, setup.template, setup.engine, setup.cluster, kept=setup.kept
    )
    with opened as model:
        return {one.benchmark.name: _measure(one, setup, model) for one in begun}


def _measure(one: Conversations, setup: ConversationSetup, model: OpenedModel) -> dict[str, Any]:
    assert one.benchmark.converse is not None
    engine, renderer = model
    context = context_of_source(setup.source, setup.engine)
    counts = AskCounts(one.folder)
    ask = EngineAsk(engine, renderer, setup.sampling, context, setup.seed, counts)
    figures = one.benchmark.converse(ask, list(one.problems), one.folder, name_of(setup.model))
    endpoint = setup.source.endpoint
    departures = [
        *sampling_departures(setup.sampling, renderer.opens_think, endpoint),
        *figures.pop("departures", []),
    ]
    if len(one.problems) < len(one.loaded.problems):
        departures.insert(0, f"{len(one.problems)} questions")
    asked = counts.total
    if asked.too_long:
        departures.append(f"{asked.too_long} prompts did not fit into the context")
    result = {
        **one.identity,
        "num_found": len(one.loaded.problems),
        "mean_tokens": asked.tokens / max(1, asked.samples),
        "begins_with_think": renderer.opens_think,
        **figures,
        "departures": departures,
    }
    atomic.write_json(one.folder / RESULT, result)
    return result


def _require_same(folder: Path, identity: dict[str, Any]) -> None:
    """Refuse to carry on what another model or protocol began."""
    atomic.make_folder(folder)
    path = folder / ASKED
    before = read_json(path)
    if before is not None and before != identity:
        differ = sorted(name for name in identity if before.get(name) != identity[name])
        raise UserError(
            f"{folder} holds another measurement ({', '.join(differ)} differ); give another --out."
        )
    atomic.write_json(path, identity)
