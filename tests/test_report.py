"""The report's numbers, its sample of completions, its page as text, and its pictures."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct
from pathlib import Path

import pytest

from fake_run import HOSTILE, write_run
from r1.errors import UserError
from r1.report import build_report, report_json, save_figures
from r1.report.assets import inline_json
from r1.report.figures import accuracy, health_charts, length, main_charts, seconds_by_phase
from r1.report.load import load_run, spread
from r1.report.sample import take_sample
from r1.report.tables import decimal, duration, percent
from r1.run_dir import (
    RunDir,
    read_evaluation_completions,
    read_evaluations,
    read_metrics,
    read_rollouts,
    read_timings,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    write_run(folder, num_problems=6).close()
    return folder


def test_json_gives_the_evaluations_before_and_after(folder: Path) -> None:
    report, evaluations = report_json(folder), read_evaluations(folder)
    assert report["pass_at_1"] == {
        "before": evaluations[0]["pass_at_1"],
        "after": evaluations[-1]["pass_at_1"],
    }
    assert report["cons_at_k"]["after"] == evaluations[-1]["cons_at_k"]
    assert report["format"] == [{"step": e["step"], "value": e["format"]} for e in evaluations]
    assert [p["step"] for p in report["mean_length"]] == [0, 5, 10, 15, 20]
    assert report["self_check_share"][2]["value"] == evaluations[2]["self_check_share"]
    assert report["training"]["pass_rate"][7]["value"] == read_metrics(folder)[7]["pass_rate"]
    assert (report["num_steps"], report["done"]) == (20, True)
    json.dumps(report, allow_nan=False)


def test_json_sums_seconds_by_phase(folder: Path) -> None:
    seconds, timings = report_json(folder)["seconds"], read_timings(folder)
    assert seconds["total"] == pytest.approx(20 * 3.9 + 5 * 2.5)
    assert seconds["evaluate"] == 12.5
    assert seconds["rollout"] == pytest.approx(sum(row["seconds/rollout"] for row in timings[:20]))
    assert set(seconds) == {"total", "rollout", "reward", "update", "sync", "evaluate"}


def test_figures_hold_every_point(folder: Path) -> None:
    run = load_run(folder)
    metrics, evaluations = read_metrics(folder), read_evaluations(folder)
    by_name = {series.name: series for series in accuracy(run).series}
    assert by_name["pass@1"].x == [0, 5, 10, 15, 20]
    assert by_name["pass@1"].y == [e["pass_at_1"]["value"] for e in evaluations]
    assert by_name["pass@1"].low == [e["pass_at_1"]["low"] for e in evaluations]
    assert by_name["cons@4"].high == [e["cons_at_k"]["high"] for e in evaluations]
    assert by_name["training pass rate"].y == [row["pass_rate"] for row in metrics]

    training = next(s for s in length(run).series if s.name.startswith("training"))
    tokens = sorted(row["num_tokens"] for row in read_rollouts(folder, 9))
    assert training.y[9] == pytest.approx(sum(tokens) / len(tokens))
    assert tokens[5] <= training.low[9] <= tokens[6]
    assert tokens[17] <= training.high[9] <= tokens[18]

    assert [s.name for s in seconds_by_phase(run).series] == ["rollout", "reward", "update", "sync"]
    assert [chart.id for chart in main_charts(run)] == [
        "accuracy", "length", "self-check", "rewards", "outcomes",
    ]  # fmt: skip
    assert "health-entropy" in [chart.id for chart in health_charts(run)]


def test_a_step_without_a_value_leaves_a_gap(tmp_path: Path) -> None:
    with RunDir.open(tmp_path / "run", {}, "grpo") as run:
        for step in run.remaining_steps(3):
            value = float("nan") if step == 1 else 0.5
            run.commit_step(step, lambda folder: None, {"pass_rate": value})
    (series,) = accuracy(load_run(tmp_path / "run")).series
    assert (series.x, series.y) == ([0, 1, 2], [0.5, None, 0.5])


def test_run_that_has_only_begun(tmp_path: Path) -> None:
    RunDir.open(tmp_path / "run", {"a": 1}, "grpo").close()
    report = report_json(tmp_path / "run")
    assert report["pass_at_1"]["after"] == {"value": None, "low": None, "high": None}
    assert report["seconds"] == {"total": 0}
    page = build_report(tmp_path / "run").read_text()
    assert "not finished" in page
    assert save_figures(tmp_path / "run", tmp_path / "pictures") == []


def test_folder_that_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run\.json"):
        build_report(tmp_path)
    with pytest.raises(UserError, match="does not exist"):
        report_json(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


def unpack(packed: str) -> dict:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


def test_sample_carries_completions_unchanged(folder: Path) -> None:
    sample = take_sample(folder)
    table = unpack(sample.packed)
    assert sample.total == 20 * 24 + 5 * 48
    assert sample.shown == len(table["completions"]) == 20 * 16 + 5 * 48
    assert table["parts"] == ["accuracy", "format"]
    rows = {(0, r["step"], r["problem_id"], r["sample"]): r for r in read_rollouts(folder, 11)}
    for row in read_evaluation_completions(folder, 15):
        rows[1, row["step"], row["problem_id"], row["sample"]] = row
    seen = 0
    for item in table["completions"]:
        problem = table["problems"][item[0]]
        row = rows.get((item[1], item[2], problem[0], item[3]))
        if row is None:
            continue
        seen += 1
        text = item[4]
        assert (text, problem[1]) == (row["text"], row["prompt"])
        assert (None if item[5] is None else text[slice(*item[5])]) == row["thinking"]
        assert (None if item[6] is None else text[slice(*item[6])]) == row["answer"]
        assert item[8] == row["num_tokens"]
        assert item[12][0] == [
            row["reward/accuracy"], row["outcome/accuracy"], row["detail/accuracy"],
        ]  # fmt: skip
    assert seen == 16 + 48


def test_sample_shrinks_but_keeps_problems_before_and_after(folder: Path) -> None:
    whole = take_sample(folder)
    small = take_sample(folder, max_bytes=len(base64.b64decode(whole.packed)) // 3)
    assert len(small.packed) < len(whole.packed) / 2
    assert small.shown < whole.shown
    table = unpack(small.packed)
    problems_at: dict[int, set[int]] = {}
    for item in table["completions"]:
        if item[1]:
            problems_at.setdefault(item[2], set()).add(item[0])
    assert {0, 20} <= set(problems_at)
    assert problems_at[0] == problems_at[20] != set()


def test_spread_keeps_the_ends() -> None:
    assert spread([3, 4, 5], 5) == [3, 4, 5]
    chosen = spread(list(range(1000)), 7)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 999, 7)


def test_page_holds_no_hostile_markup_and_asks_no_network(folder: Path) -> None:
    page = build_report(folder).read_text()
    assert HOSTILE in [row["thinking"] for step in range(20) for row in read_rollouts(folder, step)]
    assert "<img" not in page
    assert "window.hacked" not in page.replace("\\u003c", "<").split('id="few"')[0]
    scripts = re.findall(r"<script[^>]*>", page)
    assert scripts == [
        '<script type="application/json" id="figures">',
        '<script type="application/json" id="summary">',
        '<script type="application/json" id="few">',
        '<script type="application/octet-stream" id="packed">',
        "<script>",
    ]
    assert page.count("</script>") == len(scripts)
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "default-src &#x27;none&#x27;" in page
    assert "$" not in page.split("<script>")[0].split("</style>")[1].split('id="figures"')[0]


def test_json_inside_a_script_cannot_end_it() -> None:
    value = {"</script>": ["<!--", "a & b", "\u2028", "计算"]}
    text = inline_json(value)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == value


def test_names_from_the_run_are_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "<b>run"
    recipe = {"data": {"path": "<i>here</i>"}}
    with RunDir.open(folder, recipe, "grpo", parent={"source": "<u>base</u>"}) as run:
        summary = {"pass_at_1": {"value": 0.5, "low": 0.4, "high": 0.6}}
        run.commit_evaluation(0, {**summary, "by_family": {"<s>f</s>": summary}})
    page = build_report(folder).read_text()
    for tag in ("<b>run", "<i>here", "<u>base", "<s>f"):
        assert tag not in page
        assert tag.replace("<", "&lt;").replace(">", "&gt;") in page


def test_pictures_are_drawn(folder: Path, tmp_path: Path) -> None:
    paths = save_figures(folder, tmp_path / "out")
    assert [path.name for path in paths] == ["accuracy.png", "length.png"]
    for path in paths:
        content = path.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        width, height = struct.unpack(">II", content[16:24])
        assert (width, height) == (1024, 592)
        assert len(content) > 10_000


def test_numbers_are_written_for_people() -> None:
    assert percent(0.7134) == "71.3%"
    assert (decimal(61.34), decimal(4200.7)) == ("61.3", "4,201")
    assert [duration(s) for s in (42, 234, 7_200)] == ["42 s", "3.9 min", "2.0 h"]
