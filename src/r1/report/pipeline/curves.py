"""A pipeline's curves: each stage's training, both ablation runs, the reward models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from r1.report.figures import Chart, Series, accuracy, interval_series, length, loss, reward_parts
from r1.report.figures import training_series as training
from r1.report.load import RunData
from r1.report.pipeline.contests import Ablation
from r1.report.pipeline.load import PipelineData, StageData
from r1.report.preferences import PREFERENCE_CHARTS


class RewardModelCurve(NamedTuple):
    """A reward model's run: its last held-out evaluation, and the earlier ones."""

    stage: str
    last: Mapping[str, Any]
    evaluations: list[dict[str, Any]]


def reward_models(pipeline: PipelineData) -> list[RewardModelCurve]:
    """Return the reward models that were measured."""
    found = []
    for stage in pipeline.stages.values():
        if stage.makes_reward_model and stage.run is not None:
            measured = [row for row in stage.run.evaluations if row.get("accuracy")]
            if measured:
                found.append(RewardModelCurve(stage.name, measured[-1], measured))
    return found


def reward_model_chart(pipeline: PipelineData) -> Chart | None:
    """Return held-out accuracy over steps, one line per model."""
    series = []
    for tone, model in enumerate(reward_models(pipeline)):
        run = pipeline.stages[model.stage].run
        assert run is not None
        series.append(interval_series(run, "accuracy", pipeline.title(model.stage), tone))
    if not series:
        return None
    note = "Share of held-out pairs ranked right, or labels told right, with 95% intervals."
    return Chart("reward-models", "Held-out accuracy", note, "share", series, limits=(0.0, 1.0))


def ablation_charts(pipeline: PipelineData, found: Ablation) -> list[Chart]:
    """Return language consistency and accuracy over the steps of both runs."""
    pairs = [(pipeline.stages[found.stage], 0), (pipeline.stages[found.plain], 1)]
    runs = [(pipeline.title(stage.name), stage.run, tone) for stage, tone in pairs if stage.run]
    language = [
        *(training(run, "language_consistency", name, tone) for name, run, tone in runs),
        *(_end(pipeline, stage, "language", tone) for stage, tone in pairs),
    ]
    held_out = [
        interval_series(run, "pass_at_1", f"{name}, held-out", tone) for name, run, tone in runs
    ]
    if not _kept(held_out):
        held_out = [_end(pipeline, stage, "pass_at_1", tone) for stage, tone in pairs]
    solved = [training(run, "pass_rate", name, tone, "thin") for name, run, tone in runs] + held_out
    charts = [
        Chart("ablation-language", "Language consistency", "Share of words in the asked language: "
              "in training, and at the end on held-out problems.", "share", _kept(language),
              (0.0, 1.0)),
        Chart("ablation-accuracy", "Accuracy", "pass@1 on held-out problems with 95% intervals; "
              "thin lines: in training.", "share", _kept(solved), (0.0, 1.0)),
    ]  # fmt: skip
    return [chart for chart in charts if chart.series]


def _end(pipeline: PipelineData, stage: StageData, metric: str, tone: int) -> Series:
    """Return the result of a stage's own evaluation at its last step; empty without one."""
    name = f"{pipeline.title(stage.name)}, held-out"
    evaluation = pipeline.evaluations.get(stage.name)
    found = evaluation.overall.get(metric) if evaluation else None
    if found is None or stage.run is None:
        return Series(name, tone, "marked", [], [])
    at = [stage.run.num_steps]
    return Series(name, tone, "marked", at, [found.value], [found.low], [found.high])


def stage_charts(stage: StageData) -> list[Chart]:
    """Return the few figures that describe a stage's training."""
    run = stage.run
    if run is None or stage.makes_reward_model:
        return []
    charts = [loss(run), accuracy(run), reward_parts(run), length(run), _language(run)]
    charts += [make(run) for make in PREFERENCE_CHARTS]
    drawn = [chart for chart in charts if chart.series]
    return [replace(chart, id=f"{stage.name}-{chart.id}") for chart in drawn]


def training_groups(pipeline: PipelineData) -> tuple[dict[str, list[Chart]], list[Chart]]:
    """Return the curves of stages that have several, and the losses of the others."""
    several, losses = {}, []
    for stage in pipeline.stages.values():
        charts = stage_charts(stage)
        if len(charts) > 1:
            several[stage.name] = charts
        elif charts:
            losses.append(replace(charts[0], title=pipeline.title(stage.name)))
    return several, losses


def _language(run: RunData) -> Chart:
    series = _kept([training(run, "language_consistency", "language", 3)])
    return Chart("language", "Language consistency", "In training.", "share", series, (0.0, 1.0))


def _kept(series: list[Series]) -> list[Series]:
    return [item for item in series if item.x]
