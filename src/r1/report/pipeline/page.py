"""The report of a pipeline as one page, with everything inline and no network (see
../assets.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from r1.diagnose import Diagnosis, diagnose
from r1.report.assets import fill_page
from r1.report.browser import Browser, browser_html
from r1.report.diagnosed import stages_section
from r1.report.figures import Chart
from r1.report.pipeline.browse import take_across
from r1.report.pipeline.claims import Measured, Statement, statements
from r1.report.pipeline.columns import Column, columns, rows
from r1.report.pipeline.contests import PLAIN, ablation, preferences, table_6
from r1.report.pipeline.curves import (
    ablation_charts,
    reward_model_chart,
    reward_models,
    training_groups,
)
from r1.report.pipeline.drawing import graph_svg, reliability_svg
from r1.report.pipeline.graph import make_graph
from r1.report.pipeline.load import PipelineData, load_pipeline
from r1.report.pipeline.metrics import show, show_range
from r1.report.pipeline.summary import summarise
from r1.report.pipeline.tables import (
    ablation_table,
    lineage_table,
    moved,
    overview,
    preference_table,
    stage_table,
    stage_title,
    table_6_html,
    time_bars,
    training_head,
)
from r1.report.sample import Sample
from r1.report.tables import Tile, duration, key_values, tile_html
from r1.report.thin import for_page
from r1.run_dir.atomic import write_text
from r1.run_dir.recipe_check import flatten

PAGE_NAME = "report.html"


def build_pipeline_report(folder: Path, further: str = "") -> Path:
    """Write report.html into a pipeline's folder and return its path; it may be unfinished.

    further: HTML of sections that stand below the table of stages.
    """
    pipeline = load_pipeline(Path(folder))
    table = columns(pipeline)
    order = [column.stage for column in table]
    plain = [name for name in pipeline.evaluations if name.endswith(PLAIN)]
    sample, titles = take_across(pipeline, [*order, *plain])
    path = pipeline.folder / PAGE_NAME
    found = {
        name: diagnose(stage.run.folder) for name, stage in pipeline.stages.items() if stage.run
    }
    write_text(path, render(pipeline, table, sample, titles, found, further))
    return path


def render(
    pipeline: PipelineData,
    table: Sequence[Column],
    sample: Sample,
    titles: Sequence[str],
    diagnoses: Mapping[str, Sequence[Diagnosis]],
    further: str = "",
) -> str:
    """Return the page as text. diagnoses: what keeps each stage's run from learning."""
    measured = Measured(pipeline)
    found = statements(pipeline, measured)
    data = {
        "figures": _charts(pipeline, measured),
        "checkpoints": list(titles),
        "summary": summarise(pipeline, measured),
        "few": sample.few,
    }
    return fill_page(
        "pipeline.html",
        ("charts.js", "completion.js", "stages.js"),
        ("report.css", "pipeline.css"),
        data,
        sample.packed,
        name=escape(pipeline.folder.resolve().name),
        kind=escape(pipeline.kind),
        headline="\n".join(tile_html(tile) for tile in _headline(pipeline, measured, found)),
        graph=graph_svg(make_graph(pipeline)),
        table=stage_table(table, rows(list(table))),
        further=further,
        moved=moved(found, pipeline),
        ablation=_ablation(pipeline, measured),
        table_6=_table_6(pipeline, measured),
        preference=_preference(pipeline, measured),
        reward_models=_reward_models(pipeline),
        training=_training(pipeline),
        diagnosis=stages_section(diagnoses),
        times=time_bars(pipeline),
        lineage=lineage_table(pipeline),
        settings=key_values(flatten(dict(pipeline.recipe))),
        completions=browser_html(_browser(sample)),
        **overview(pipeline),
    )


def _browser(sample: Sample) -> Browser:
    return Browser(
        title="Completions across the stages",
        listed="Problems",
        searched="problems and completions",
        note=f"Showing {sample.shown:,} of {sample.total:,} completions.",
        without_script="The completions and the curves need JavaScript. The numbers are in the "
        "stages' folders.",
        filters={
            "family": "Family",
            "language": "Language",
            "outcome": "Outcome",
            "checkpoint": "of",
        },
    )


def _headline(pipeline: PipelineData, measured: Measured, found: Sequence[Statement]) -> list[Tile]:
    """Return the headline: R1 against the base, the agreement with the paper, and the time."""
    tiles = []
    for label, metric in (("pass@1 of R1", "pass_at_1"), ("in the asked language", "language")):
        before, after = measured.value("base", metric), measured.value("r1", metric)
        if after is not None:
            began = None if before is None else show(before.value, "share")
            bounds = f"95% CI {show_range(after, 'share')}%"
            tiles.append(Tile(label, began, show(after.value, "share"), bounds))
    told = [item for item in found if item.verdict != "to come"]
    if told:
        agree = sum(item.verdict == "as the paper" for item in told)
        against = sum(item.verdict == "the opposite" for item in told)
        note = f"{against} the opposite, {len(told) - agree - against} cannot be told"
        tiles.append(Tile("statements as the paper", None, f"{agree} of {len(told)}", note))
    spent = [stage.seconds for stage in pipeline.stages.values() if stage.seconds is not None]
    if spent:
        most = max(pipeline.stages.values(), key=lambda stage: stage.seconds or 0.0)
        note = f"longest: {stage_title(pipeline, most.name)}"
        tiles.append(Tile("time", None, duration(sum(spent)), note))
    return tiles


def _charts(pipeline: PipelineData, measured: Measured) -> list[dict[str, Any]]:
    """Return the script's charts: [{"into": an element's id, "small", "charts"}]."""
    groups: list[tuple[str, bool, list[Chart]]] = []
    twin = ablation(pipeline, measured)
    if twin is not None:
        groups.append(("ablation-charts", False, ablation_charts(pipeline, twin)))
    chart = reward_model_chart(pipeline)
    if chart is not None:
        groups.append(("reward-model-charts", False, [chart]))
    several, losses = training_groups(pipeline)
    groups += [(f"training-{name}", True, charts) for name, charts in several.items()]
    groups.append(("training-losses", True, losses))
    return [
        {"into": into, "small": small, "charts": [for_page(chart) for chart in charts]}
        for into, small, charts in groups
        if charts
    ]


def _section(name: str, title: str, note: str, body: str) -> str:
    return (
        f'<section id="{name}"><h2>{escape(title)}</h2><p class="note">{escape(note)}</p>'
        f"{body}</section>"
    )


def _ablation(pipeline: PipelineData, measured: Measured) -> str:
    found = ablation(pipeline, measured)
    if found is None:
        return ""
    note = "The same stage with and without the reward for the asked language."
    body = f'{ablation_table(found, pipeline)}<div id="ablation-charts" class="charts"></div>'
    return _section("ablation", "Language consistency", note, body)


def _table_6(pipeline: PipelineData, measured: Measured) -> str:
    found = table_6(pipeline, measured)
    if found is None:
        return ""
    note = "The comparison of the paper's Table 6, on the same held-out problems."
    return _section(
        "table-6", "Distillation against RL on the student", note, table_6_html(found, pipeline)
    )


def _preference(pipeline: PipelineData, measured: Measured) -> str:
    if not {"dev3", "r1"} <= pipeline.stages.keys():
        return ""
    before, after = pipeline.title("dev3"), pipeline.title("r1")
    note = "General prompts on which the mean score is higher, with 95% intervals over prompts."
    body = preference_table(preferences(measured), before, after)
    return _section("preference", f"{after} against {before}", note, body)


def _reward_models(pipeline: PipelineData) -> str:
    models = reward_models(pipeline)
    if not models:
        return ""
    drawn = [
        (pipeline.title(model.stage), tone, model.last.get("calibration") or {})
        for tone, model in enumerate(models)
    ]
    names = "".join(
        f'<span class="tone-{tone}"><i></i>{escape(title)}, calibration error '
        f"{100 * calibration.get('ece', 0.0):.1f} points</span>"
        for title, tone, calibration in drawn
    )
    body = (
        '<div class="charts"><div id="reward-model-charts" class="one"></div>'
        '<figure id="reliability"><figcaption><b>Reliability</b><p class="note">Share that was so, '
        "by what the model held likely; circles grow with their number, the dotted line is perfect."
        f'</p><div class="legend">{names}</div></figcaption>{reliability_svg(drawn)}</figure></div>'
    )
    note = "On preferences that no training row repeats."
    return _section("reward-models", "Reward models", note, body)


def _training(pipeline: PipelineData) -> str:
    """Return a heading and a place for the curves of each training stage."""
    several, losses = training_groups(pipeline)
    blocks = [
        f'<div class="training">{training_head(pipeline.stages[name], pipeline)}'
        f'<div id="training-{escape(name)}" class="charts small"></div></div>'
        for name in several
    ]
    if losses:
        blocks.append(
            '<div class="training"><h3>Fine-tuning <span class="note">loss of each stage</span>'
            '</h3><div id="training-losses" class="charts small"></div></div>'
        )
    if not blocks:
        return ""
    return _section("training", "Training", "Hover for the numbers.", "".join(blocks))
