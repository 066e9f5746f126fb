"""A pipeline's figures for programs: what `r1 report RUN --json` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r1.report.pipeline.claims import Measured, Statement, statements
from r1.report.pipeline.contests import (
    Ablation,
    Preference,
    Table6,
    ablation,
    preference_sentence,
    preferences,
    table_6,
)
from r1.report.pipeline.curves import RewardModelCurve, reward_models
from r1.report.pipeline.differences import Difference
from r1.report.pipeline.load import EvaluationResults, PipelineData, StageData, load_pipeline
from r1.report.pipeline.metrics import as_json
from r1.report.summary import by_step


def pipeline_json(folder: Path) -> dict[str, Any]:
    """Summarise a pipeline as JSON-serialisable values; null where something was not measured.

    stages: [{name, kind, title, state, seconds, source, inputs, outputs, num_steps}].
    checkpoints: the table of stages, {stage: {title, overall, families, general, ...}}, every
        figure as {"value", "low", "high"}.
    moved: [{stage, against, metric, scope, expected, verdict, sentence, before, after,
        difference, paired, num_problems}].
    ablation, table_6, preference, reward_models: as the page shows them.
    seconds: {"total", "stages": {stage: seconds}} of the finished stages.
    Raises UserError where `folder` is not a pipeline.
    """
    pipeline = load_pipeline(Path(folder))
    return summarise(pipeline, Measured(pipeline))


def summarise(pipeline: PipelineData, measured: Measured) -> dict[str, Any]:
    """Return `pipeline_json` of a pipeline already read."""
    found_ablation, found_table = ablation(pipeline, measured), table_6(pipeline, measured)
    spent = {s.name: s.seconds for s in pipeline.stages.values() if s.seconds is not None}
    return {
        "run": str(pipeline.folder),
        "kind": pipeline.kind,
        "done": pipeline.done,
        "stages": [_stage(stage, pipeline) for stage in pipeline.stages.values()],
        "checkpoints": {
            name: _evaluation(item, pipeline.title(name))
            for name, item in pipeline.evaluations.items()
        },
        "moved": [_statement(item) for item in statements(pipeline, measured)],
        "ablation": found_ablation and _ablation(found_ablation, pipeline),
        "table_6": found_table and _table_6(found_table),
        "preference": [_preference(item, pipeline) for item in preferences(measured)],
        "reward_models": {m.stage: _reward_model(m, pipeline) for m in reward_models(pipeline)},
        "seconds": {"total": sum(spent.values()), "stages": spent},
    }


def _stage(stage: StageData, pipeline: PipelineData) -> dict[str, Any]:
    return {
        "name": stage.name,
        "kind": stage.kind,
        "title": pipeline.title(stage.name),
        "state": stage.state,
        "seconds": stage.seconds,
        "source": stage.source,
        "inputs": {e.field: {"stage": e.stage, "output": e.output} for e in stage.inputs},
        "outputs": {
            name: {"type": given.type, "counts": dict(given.counts), "sha256": given.sha256}
            for name, given in stage.outputs.items()
        },
        "num_steps": None if stage.run is None else stage.run.num_steps,
    }


def _evaluation(item: EvaluationResults, title: str) -> dict[str, Any]:
    families = {
        name: {
            **{metric: as_json(found) for metric, found in values.items()},
            "num_problems": item.family_sizes[name],
        }
        for name, values in item.families.items()
    }
    return {
        "title": title,
        **item.about,
        "overall": {metric: as_json(found) for metric, found in item.overall.items()},
        "families": families,
        "general": {metric: as_json(found) for metric, found in item.general.items()},
    }


def _statement(item: Statement) -> dict[str, Any]:
    return {
        "stage": item.claim.after,
        "against": item.claim.before,
        "metric": item.claim.metric,
        "scope": item.claim.scope,
        "expected": item.claim.expected,
        "verdict": item.verdict,
        "sentence": item.sentence,
        "before": as_json(item.before),
        "after": as_json(item.after),
        **_difference(item.difference),
    }


def _difference(found: Difference | None) -> dict[str, Any]:
    return {
        "difference": None if found is None else as_json(found.interval),
        "paired": None if found is None else found.paired,
        "num_problems": None if found is None or not found.paired else found.num_problems,
    }


def _ablation(found: Ablation, pipeline: PipelineData) -> dict[str, Any]:
    curves = {}
    for name in (found.stage, found.plain):
        run = pipeline.stages[name].run
        curves[name] = {
            "language": by_step(run.metrics, "language_consistency") if run else [],
            "pass_rate": by_step(run.metrics, "pass_rate") if run else [],
            "pass_at_1": by_step(run.evaluations, "pass_at_1") if run else [],
        }
    return {
        "with": found.stage,
        "without": found.plain,
        "metrics": {
            metric: {
                "without": as_json(plain),
                "with": as_json(rewarded),
                **_difference(found.differences[metric]),
            }
            for metric, (plain, rewarded) in found.ends.items()
        },
        "curves": curves,
        "sentences": list(found.sentences),
    }


def _table_6(found: Table6) -> dict[str, Any]:
    return {
        "distilled": found.distilled,
        "rl_alone": found.alone,
        "pass_at_1": {
            label: {
                "rl_alone": as_json(alone),
                "distilled": as_json(distilled),
                **_difference(found.differences[label]),
            }
            for label, (alone, distilled) in found.values.items()
        },
        "compute": {name: spent._asdict() for name, spent in found.compute.items()},
        "sentence": found.sentence,
    }


def _preference(item: Preference, pipeline: PipelineData) -> dict[str, Any]:
    return {
        "metric": item.metric,
        "of": "r1",
        "over": "dev3",
        "share": as_json(item.share),
        "won": item.won,
        "tied": item.tied,
        "lost": item.lost,
        "sentence": preference_sentence(item, pipeline.title("dev3"), pipeline.title("r1")),
    }


def _reward_model(model: RewardModelCurve, pipeline: PipelineData) -> dict[str, Any]:
    kept = ("objective", "num_examples", "num_prompts", "accuracy", "brier", "calibration", "loss")
    return {
        "title": pipeline.title(model.stage),
        **{key: model.last.get(key) for key in kept},
        "steps": by_step(model.evaluations, "accuracy"),
    }
