"""kind = "benchmarks": the paper's benchmarks on one checkpoint, as `r1 bench run` measures them.

    folder/NAME/benchmark.json, blocks/    of each benchmark (r1.benchmarks.running.measure)
    folder/evaluation.json                 their scores, a column of the table of stages

`r1 bench show RUN/STAGE` and `r1 bench compare` read the folder. Resumes at the block where it
stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from r1.config import Settings
from r1.data.rows import find_data
from r1.errors import UserError
from r1.evaluation.source import find_model
from r1.judge.settings import JudgeSettings
from r1.plan.estimate import Context, Estimate
from r1.plan.sampling import estimate_sampling
from r1.plan.workload import Amount
from r1.rollout.settings import EngineSettings
from r1.stages import registry
from r1.stages.check_cache import CheckCache
from r1.stages.checks import check_model
from r1.stages.protocol import Artifact, ArtifactType, SampledModel, StageContext, StageKind

if TYPE_CHECKING:
    from r1.benchmarks.protocol import Benchmark

NAME = "benchmarks"
RESULT = "evaluation.json"


class BenchmarksStage(Settings):
    """Benchmarks by the paper's protocol; what is set here departs from it, and the result says
    so."""

    model: str = Field(
        description='what is measured: "@STAGE", "tiny", a folder, a run or a Hub id'
    )
    title: str = Field("", description="name of the column; by default that of the stage")
    names: tuple[str, ...] = Field(
        min_length=1, description="benchmarks (r1 bench list), NAME@VARIANT or your own FILE.toml"
    )
    path: str = Field("", description="folder of the data, one folder a benchmark")
    num_samples: int | None = Field(
        None, ge=1, description="samples of each question, k; by default the paper's"
    )
    limit: int | None = Field(
        None, ge=1, description="questions of each benchmark, spread evenly; by default all"
    )
    max_new_tokens: int | None = Field(
        None, ge=1, description="longest response, in tokens; by default the paper's 32,768"
    )
    temperature: float = Field(0.6, ge=0.0, description="divides the logits; 0 is greedy decoding")
    seed: int = Field(0, ge=0, description="decides every sample")
    think: bool = Field(True, description="begin every response by thinking, as the paper does")
    judge: JudgeSettings | None = Field(None, description="of judged benchmarks")
    plugins: tuple[str, ...] = Field(
        (), description="your own modules, which register benchmarks or verifiers"
    )
    engine: EngineSettings = EngineSettings()


def run(stage: BenchmarksStage, context: StageContext) -> Mapping[str, Artifact]:
    """Measure the checkpoint on every benchmark."""
    from r1.benchmarks.running.measure import Options, run_benchmarks
    from r1.run_dir import atomic
    from r1.terminal import terminal_console

    options = Options(
        stage.limit,
        stage.num_samples,
        stage.max_new_tokens,
        stage.temperature,
        stage.seed,
        stage.think,
        stage.judge,
        plugins=stage.plugins,
        cluster=None if context.cluster is None else context.cluster.model_dump(),
        engine=stage.engine,
    )
    results = run_benchmarks(
        find_model(stage.model, context.base_folder),
        _chosen(stage, context.base_folder),
        _data(stage, context.base_folder),
        context.folder,
        terminal_console(stderr=True),
        options,
    )
    atomic.write_json(context.folder / RESULT, _summary(results, stage.title))
    questions = sum(result["num_questions"] for result in results.values())
    counts = {"benchmarks": len(results), "questions": questions}
    return {"results": Artifact(RESULT, ArtifactType.RESULTS, counts)}


def _summary(results: Mapping[str, Mapping[str, Any]], title: str) -> dict[str, Any]:
    """The scores as an evaluation stage tells its families (r1.run_dir.shapes.StageEvaluation)."""
    return {
        "title": title,
        "num_problems": sum(result["num_questions"] for result in results.values()),
        "families": {
            result["title"]: {
                "pass_at_1": result["score"],
                "mean_length": {"value": result["mean_tokens"]},
                "num_problems": result["num_questions"],
            }
            for result in results.values()
        },
    }


def check(stage: BenchmarksStage, cache: CheckCache) -> None:
    """Check the names, read all questions, look for the model and the judge."""
    from r1.benchmarks.judging.judge import check_judge
    from r1.benchmarks.protocol import load
    from r1.benchmarks.running.choose import NO_DATA

    chosen = _chosen(stage, cache.base_folder)
    check_judge(stage.judge, any(benchmark.judging for benchmark in chosen))
    check_model(stage.model, cache)
    data = _data(stage, cache.base_folder) or NO_DATA
    for benchmark in chosen:
        if not stage.path and benchmark.needs_folder:
            raise UserError(
                f"{benchmark.name} needs data: set path to the folder that holds a folder a "
                f"benchmark; `r1 bench list {benchmark.name}` tells what to put there."
            )
        cache.once(f"{NAME} {benchmark.name} {data}", partial(load, benchmark, data))


def samplers(stage: BenchmarksStage) -> list[SampledModel]:
    """Return the checkpoint. Without a limit of its own, a response ends with the context."""
    limits = {} if stage.max_new_tokens is None else {"max_new_tokens": stage.max_new_tokens}
    return [SampledModel("model", stage.model, stage.engine, _limit(stage), limits)]


def estimate(name: str, stage: BenchmarksStage, context: Context) -> Estimate:
    """Estimate k samples of every question."""
    shape = context.shape(stage.model)
    samples = sum(
        (stage.num_samples or each.k) * min(each.num_questions, stage.limit or each.num_questions)
        for each in _chosen(stage, context.base_folder)
    )
    amount = Amount(samples, None)
    return estimate_sampling(name, NAME, shape, context, amount, 1, _limit(stage), stage.engine)


def _limit(stage: BenchmarksStage) -> int:
    from r1.benchmarks.running.departures import MAX_NEW_TOKENS

    return stage.max_new_tokens or MAX_NEW_TOKENS


def _chosen(stage: BenchmarksStage, base_folder: Path) -> list[Benchmark]:
    from r1.benchmarks.running.choose import named

    names = [
        str(find_data(name, base_folder)) if name.endswith(".toml") else name
        for name in stage.names
    ]
    return named(names, stage.plugins)


def _data(stage: BenchmarksStage, base_folder: Path) -> Path | None:
    return find_data(stage.path, base_folder) if stage.path else None


registry.register(
    StageKind(
        name=NAME,
        label="benchmarks",
        settings=BenchmarksStage,
        outputs={"results": ArtifactType.RESULTS},
        run=run,
        check=check,
        estimate=estimate,
        samplers=samplers,
        other_names=("bench", "benchmark", "r1_bench"),
    )
)
