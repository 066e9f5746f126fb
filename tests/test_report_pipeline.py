"""The report of a pipeline: its numbers, its sentences in both directions, its page as text."""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fake_pipeline import NUM_SAMPLES, SKILLS, read_marker, write_evaluation, write_pipeline
from r1.errors import UserError
from r1.intervals import Interval, bootstrap, share_interval
from r1.report import build_report, report_json, save_figures
from r1.report.pipeline.browse import take_across
from r1.report.pipeline.claims import KEPT_WITHIN
from r1.report.pipeline.columns import columns, rows
from r1.report.pipeline.contests import twins
from r1.report.pipeline.differences import paired, unpaired
from r1.report.pipeline.load import load_pipeline
from r1.report.pipeline.metrics import show, show_difference, show_range
from r1.report.pipeline.problems import figures_of

NUM = 30
HOSTILE = '</script><img src=x onerror="window.hacked = 1">'


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pipeline") / "run", num_problems=NUM)


@pytest.fixture(scope="module")
def report(finished: Path) -> dict:
    return report_json(finished)


def other(finished: Path, tmp_path: Path, **skills: tuple) -> dict:
    """The report where some checkpoints can do something else."""
    folder = tmp_path / "other"
    shutil.copytree(finished, folder)
    for name, skill in skills.items():
        write_evaluation(folder / f"eval_{name}", name, {**SKILLS, name: skill}, "", NUM)
    return report_json(folder)


def changed(name: str, **values: float) -> tuple:
    places = ("solve", "format", "language", "helpful", "harmless", "tokens")
    skill = dict(zip(places, SKILLS[name], strict=True)) | values
    return tuple(skill[place] for place in places)


def claim(report: dict, stage: str, against: str | None, metric: str) -> dict:
    (found,) = [
        item
        for item in report["moved"]
        if (item["stage"], item["against"], item["metric"]) == (stage, against, metric)
    ]
    return found


# ------------------------------------------------------------------------------------- intervals


def test_paired_differences_are_of_the_problems_both_have() -> None:
    before = {"a": 0.0, "b": 0.5, "c": 1.0, "only before": 1.0}
    after = {"a": 1.0, "b": 0.5, "c": 1.0, "only after": 0.0}
    found = paired(before, after)
    assert found is not None
    assert (found.paired, found.num_problems) == (True, 3)
    assert found.interval.value == pytest.approx(1 / 3)
    # Student's t of three, t(0.975, 2) = 4.3027: a draw of them tells less than it seems to.
    half = 4.3027 * math.sqrt((1 - 1 / 3) / 2 / 3)
    assert (found.interval.low, found.interval.high) == pytest.approx(
        (1 / 3 - half, 1 / 3 + half), rel=1e-3
    )
    assert paired({"a": 1.0}, {"b": 1.0}) is None


def test_few_problems_that_all_moved_alike_show_nothing() -> None:
    """Draws of two equal differences have no spread, which must not look like certainty."""
    never, always = {"a": 0.0, "b": 0.0}, {"a": 1.0, "b": 1.0}
    rose, kept = paired(never, always, 1.0), paired(always, always, 1.0)
    assert rose is not None
    assert kept is not None
    assert rose.interval.low < 0.0 < rose.interval.high == 1.0
    assert kept.interval.low < -KEPT_WITHIN


@pytest.mark.parametrize(("num_problems", "num_samples"), [(3, 4), (5, 1), (8, 4)])
def test_where_nothing_moved_few_problems_seldom_say_that_it_did(
    num_problems: int, num_samples: int
) -> None:
    generator = np.random.default_rng(7)
    wrong = 0
    for _ in range(300):
        skill_P = generator.beta(0.5, 0.5, num_problems)
        sides = (generator.binomial(num_samples, skill_P) / num_samples for _ in range(2))
        before, after = (dict(zip("abcdefgh", side.tolist(), strict=False)) for side in sides)
        found = paired(before, after, 1.0, num_samples)
        assert found is not None
        wrong += not found.interval.low <= 0.0 <= found.interval.high
    assert wrong <= 0.07 * 300


def test_unpaired_intervals_add_in_quadrature() -> None:
    found = unpaired(Interval(0.5, 0.47, 0.54), Interval(0.7, 0.66, 0.73))
    assert tuple(found.interval) == pytest.approx(
        (0.2, 0.2 - math.hypot(0.04, 0.04), 0.2 + math.hypot(0.03, 0.03))
    )
    assert not found.paired


def test_numbers_are_written_for_people() -> None:
    assert [show(0.7134, "share"), show(-1.236, "score"), show(4200.68, "tokens")] == [
        "71.3%", "−1.24", "4,200.7",
    ]  # fmt: skip
    assert show_range(Interval(0.7, 0.65, 0.75), "share") == "65.0–75.0"
    assert show_range(Interval(-0.1, -0.3, 0.1), "score") == "−0.30 to 0.10"
    shown = show_difference(Interval(0.123, -0.01, 0.2), "share")
    assert shown == "+12.3 points (95% interval −1.0 to +20.0)"


# ------------------------------------------------------------------------------------ for programs


def test_json_gives_what_the_evaluations_found(finished: Path, report: dict) -> None:
    assert set(report["checkpoints"]) == set(SKILLS)
    for name in ("base", "r1", "student_rl"):
        told = json.loads((finished / f"eval_{name}" / "evaluation.json").read_text())
        found = report["checkpoints"][name]
        assert found["overall"] == told["overall"]
        assert found["families"] == told["families"]
        assert found["general"]["helpful"] == told["general"]["helpful"]
        assert found["num_parameters"] == told["num_parameters"]
    assert (report["done"], report["kind"]) == (True, "r1")
    json.dumps(report, allow_nan=False)


def test_json_tells_every_stage_and_its_seconds(finished: Path, report: dict) -> None:
    stages = {stage["name"]: stage for stage in report["stages"]}
    assert [stage["state"] for stage in report["stages"]] == ["done"] * 24
    assert stages["dev2"]["inputs"] == {"model": {"stage": "dev1", "output": "checkpoint"}}
    assert stages["mixture"]["outputs"]["data"]["counts"] == {"rows": 2312, "tokens": 1_234_567}
    assert (stages["student_rl"]["source"], stages["dev2"]["source"]) == ("students/qwen", None)
    assert stages["r1"]["num_steps"] == 8
    seconds = {name: read_marker(finished, name)["seconds"] for name in stages}
    assert report["seconds"] == {"total": pytest.approx(sum(seconds.values())), "stages": seconds}


def test_differences_are_paired_over_problems(finished: Path, report: dict) -> None:
    found = claim(report, "dev2", "dev1", "pass_at_1")
    solved = []
    for name in ("dev1", "dev2"):
        table = pq.read_table(finished / f"eval_{name}" / "completions.parquet").to_pylist()
        right: dict[str, list[bool]] = {}
        for row in table:
            if row["family"] != "dialogue":
                right.setdefault(row["problem_id"], []).append(row["outcome/accuracy"] == "correct")
        solved.append([float(np.mean(right[name])) for name in sorted(right)])
    expected = bootstrap(np.subtract(solved[1], solved[0]))
    assert expected is not None
    assert found["difference"] == pytest.approx(expected._asdict(), abs=1e-12)
    assert (found["paired"], found["num_problems"]) == (True, NUM)
    assert found["sentence"].startswith("Dev2 solves more than Dev1: pass@1 ")
    assert f"on the same {NUM} problems" in found["sentence"]


def test_a_problem_without_a_verdict_is_left_out(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    path = folder / "eval_dev2" / "completions.parquet"
    table = pq.read_table(path)
    outcome = table["outcome/accuracy"].to_pylist()
    outcome[:NUM_SAMPLES] = ["verifier-failed"] * NUM_SAMPLES
    place = table.column_names.index("outcome/accuracy")
    pq.write_table(table.set_column(place, "outcome/accuracy", [outcome]), path)
    assert claim(report_json(folder), "dev2", "dev1", "pass_at_1")["num_problems"] == NUM - 1


def test_samples_without_a_rule_for_the_answer_are_no_failed_verifiers(finished: Path) -> None:
    """Such as general questions beside the reasoning ones: what a claim's arm is refused for."""
    table = pq.read_table(finished / "eval_r1" / "completions.parquet")
    place = table.column_names.index("outcome/accuracy")
    for outcomes, share in (
        (["correct", None, None, "wrong"], 0.0),
        (["correct", None, "verifier-failed", "wrong"], 1 / 3),
        ([None] * 4, 0.0),
    ):
        some = table.slice(0, 4).set_column(
            place, "outcome/accuracy", [pa.array(outcomes, pa.string())]
        )
        assert figures_of(some, {"arithmetic"}).unjudged == pytest.approx(share)


def test_language_is_that_of_samples_whose_thinking_has_words(finished: Path) -> None:
    path = finished / "eval_r1" / "completions.parquet"
    table = pq.read_table(path).slice(0, NUM_SAMPLES)
    values, outcomes, thoughts = [0.8, 0.0, 0.0, 0.4], ["wrong", *["unparseable"] * 2, "wrong"], [
        "words", None, "1 + 2", None,
    ]  # fmt: skip
    for name, column in (
        ("reward/language", values),
        ("outcome/language", outcomes),
        ("thinking", thoughts),
    ):
        table = table.set_column(table.column_names.index(name), name, [column])
    (found,) = figures_of(table, {"arithmetic"}).of("language").values()
    assert found == pytest.approx((0.8 + 0.4) / 2)


def test_other_problems_are_compared_unpaired(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    write_evaluation(folder / "eval_dev2", "dev2", SKILLS, "", NUM - 6)
    found = claim(report_json(folder), "dev2", "dev1", "pass_at_1")
    assert found["paired"] is False
    value = found["after"]["value"] - found["before"]["value"]
    assert found["difference"]["value"] == pytest.approx(value)
    assert "as two separate sets of problems" in found["sentence"]


# ------------------------------------------------------------------------------------- sentences


def test_statements_agree_where_the_stages_do_what_the_paper_says(report: dict) -> None:
    verdicts = {
        (item["stage"], item["against"], item["metric"]): item["verdict"]
        for item in report["moved"]
    }
    kept = verdicts.pop(("r1", "dev3", "pass_at_1")), verdicts.pop(("dev3", "dev2", "pass_at_1"))
    assert set(kept) <= {"as the paper", "cannot be told"}
    # Five of fifteen prompts were not passed always before: that each rose may be chance (1 in 16).
    assert verdicts.pop(("r1", "dev3", "rule_helpful")) == "cannot be told"
    assert set(verdicts.values()) == {"as the paper"}
    assert len(verdicts) == 13
    assert "R1-Zero mixes languages: " in claim(report, "r1_zero", None, "language")["sentence"]


def test_statements_say_plainly_that_the_opposite_happened(finished: Path, tmp_path: Path) -> None:
    worse = other(
        finished,
        tmp_path,
        r1_zero=changed("r1_zero", language=0.99, tokens=12),
        dev1=changed("dev1", format=0.1, language=0.6),
        dev2=changed("dev2", solve=0.1),
        r1=changed("r1", solve=0.2, language=0.8, helpful=-2.0, harmless=-2.0),
    )
    cases = {
        ("r1_zero", None, "language"): "R1-Zero hardly mixes languages",
        ("r1_zero", "base", "mean_length"): "R1-Zero writes shorter responses than Base",
        ("dev1", "base", "format"): "Dev1 keeps the format less often than Base",
        ("dev1", "base", "language"): "Dev1 keeps to the asked language worse than Base",
        ("dev2", "dev1", "pass_at_1"): "Dev2 solves less than Dev1",
        ("r1", "dev3", "helpful"): "R1 is scored less helpful than Dev3",
        ("r1", "dev3", "rule_harmless"): "R1 passes the harmlessness rule less often than Dev3",
        ("r1", "dev3", "pass_at_1"): "R1 loses more than 5 points of the reasoning of Dev3",
        ("r1", None, "language"): "R1 does not keep to the asked language",
    }
    for key, beginning in cases.items():
        found = claim(worse, *key)
        assert found["verdict"] == "the opposite", key
        assert found["sentence"].startswith(beginning), found["sentence"]
    assert claim(worse, "dev3", "dev2", "pass_at_1")["verdict"] == "as the paper"


def test_statements_say_that_nothing_can_be_told(finished: Path, tmp_path: Path) -> None:
    same = other(
        finished,
        tmp_path,
        dev2=changed("dev1"),
        r1=changed("r1", language=0.97, solve=0.74),
        r1_zero=changed("r1_zero", language=0.9),
    )
    found = claim(same, "dev2", "dev1", "pass_at_1")
    assert found["verdict"] == "cannot be told"
    assert found["sentence"].startswith("Dev2 solves as much as Dev1 as far as can be told")
    assert found["difference"]["low"] < 0 < found["difference"]["high"]
    kept = claim(same, "r1", "dev3", "pass_at_1")
    assert kept["verdict"] == "cannot be told"
    assert kept["difference"]["low"] < -0.05 < kept["difference"]["high"]


def test_ablation_in_both_directions(finished: Path, report: dict, tmp_path: Path) -> None:
    found = report["ablation"]
    assert (found["with"], found["without"]) == ("dev2", "dev2_plain")
    language = found["metrics"]["language"]
    assert language["with"] == report["checkpoints"]["dev2"]["overall"]["language"]
    assert language["without"] == report["checkpoints"]["dev2_plain"]["overall"]["language"]
    assert language["difference"]["low"] > 0.1
    assert found["sentences"][0].startswith("The reward keeps the chain of thought")
    curve = found["curves"]["dev2_plain"]["language"]
    assert [point["step"] for point in curve] == list(range(8))
    assert curve[-1]["value"] == pytest.approx(0.80)
    assert [point["step"] for point in found["curves"]["dev2"]["pass_at_1"]] == [0, 4, 8]
    ends = [
        sum(0.9 + (end - 0.9) * step / 8 for step in range(4, 9)) / 5
        for end in (0.80, SKILLS["dev2"][2])
    ]
    without, with_it = (f"{100 * value:.1f}%" for value in ends)
    assert found["sentences"][2] == (
        f"Over the last 5 steps of training {without} of the words were in the asked language "
        f"without the reward, {with_it} with it."
    )
    worse = other(finished, tmp_path, dev2=changed("dev2", language=0.5, solve=0.2))["ablation"]
    assert worse["sentences"][0].startswith("With the reward the languages are mixed more")
    assert worse["sentences"][1].startswith("It costs more than 5 points of accuracy")


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("r1_zero", "r1_zero_language", "dev1"), ("r1_zero_language", "r1_zero")),
        (("dev2", "dev2_plain"), ("dev2", "dev2_plain")),
        (("dev2_language", "dev2_plain"), None),
        ((), None),
    ],
)
def test_a_twin_has_the_reward_or_lacks_it(names, found) -> None:
    assert twins(names) == found


def test_table_6_in_both_directions(finished: Path, report: dict, tmp_path: Path) -> None:
    found = report["table_6"]
    assert (found["distilled"], found["rl_alone"]) == ("student_qwen", "student_rl")
    assert set(found["pass_at_1"]) == {"overall", "arithmetic", "cups", "functions"}
    overall = found["pass_at_1"]["overall"]
    values = [
        report["checkpoints"][name]["overall"]["pass_at_1"]["value"]
        for name in ("student_qwen", "student_rl")
    ]
    assert overall["difference"]["value"] == pytest.approx(values[0] - values[1])
    assert overall["difference"]["low"] > 0
    assert found["pass_at_1"]["cups"]["num_problems"] == NUM // 3
    assert found["compute"]["student_qwen"]["tokens_trained"] == 8 * 4000
    assert found["compute"]["student_rl"]["tokens_trained"] == sum(1000 + s for s in range(8))
    assert found["compute"]["student_rl"]["seconds"] == 50.0
    assert "as in the paper" in found["sentence"]
    worse = other(finished, tmp_path, student_qwen=changed("student_qwen", solve=0.0))["table_6"]
    assert worse["sentence"].startswith("RL-only student (RL alone) beats Qwen student")


def test_preference_counts_prompts(finished: Path, report: dict, tmp_path: Path) -> None:
    found = {item["metric"]: item for item in report["preference"]}
    means = []
    for name in ("dev3", "r1"):
        scores: dict[str, list[float]] = {}
        for row in pq.read_table(finished / f"eval_{name}" / "completions.parquet").to_pylist():
            if row["family"] == "dialogue":
                scores.setdefault(row["problem_id"], []).append(row["reward/manners_helpful"])
        means.append({key: float(np.mean(values)) for key, values in scores.items()})
    signs = [np.sign(means[1][key] - means[0][key]) for key in sorted(means[0])]
    item = found["rule_helpful"]
    assert (item["won"], item["tied"], item["lost"]) == tuple(signs.count(s) for s in (1, 0, -1))
    expected = share_interval([(1 + sign) / 2 for sign in signs], num_samples=2 * len(signs))
    assert expected is not None
    assert item["share"] == pytest.approx(expected._asdict())
    assert found["helpful"]["sentence"] == "R1 is preferred to Dev3."
    worse = other(finished, tmp_path, r1=changed("r1", helpful=-1.0))["preference"]
    assert worse[0]["sentence"] == "Dev3 is preferred to R1."


def test_reward_models_bring_their_curve_and_calibration(report: dict) -> None:
    found = report["reward_models"]["helpful"]
    assert found["accuracy"]["value"] == pytest.approx(0.95)
    assert [point["step"] for point in found["steps"]] == [0, 4, 8]
    assert found["steps"][1]["value"]["value"] == pytest.approx(0.725)
    assert found["calibration"]["ece"] == 0.03
    assert [one["num"] for one in found["calibration"]["bins"]] == [20, 50, 80, 110, 140]


# ------------------------------------------------------------------------------------- the table


def test_table_of_stages_has_the_papers_columns(finished: Path) -> None:
    pipeline = load_pipeline(finished)
    table = columns(pipeline)
    assert [column.title for column in table] == [
        "Base", "R1-Zero", "Dev1", "Dev2", "Dev3", "R1",
        "Qwen student", "Llama student", "RL-only student",
    ]  # fmt: skip
    found = rows(table)
    assert [row.label for row in found[:4]] == ["arithmetic", "cups", "functions", "pass@1"]
    solved = found[3]
    told = pipeline.evaluations["dev1"].overall["pass_at_1"]
    assert solved.cells[2] == told
    best = max(range(9), key=lambda index: solved.cells[index].value)  # type: ignore[union-attr]
    assert best in solved.best
    lengths = next(row for row in found if row.label == "tokens a response")
    assert lengths.best == frozenset()


# ------------------------------------------------------------------------------------- unfinished


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unfinished") / "run"
    write_pipeline(folder, until="eval_dev2", num_problems=NUM)
    (folder / "eval_dev2").mkdir()
    return folder


def test_unfinished_pipeline_tells_what_is_there(unfinished: Path) -> None:
    report = report_json(unfinished)
    states = {stage["name"]: stage["state"] for stage in report["stages"]}
    assert not report["done"]
    assert (states["eval_dev1"], states["eval_dev2"], states["eval_r1"]) == (
        "done",
        "begun",
        "to do",
    )
    assert set(report["checkpoints"]) == {"base", "r1_zero", "dev1"}
    waiting = claim(report, "dev2", "dev1", "pass_at_1")
    assert (waiting["verdict"], waiting["difference"]) == ("to come", None)
    assert waiting["sentence"] == "Not measured yet: pass@1 of Dev2 against Dev1."
    assert claim(report, "dev1", "base", "format")["verdict"] == "as the paper"
    assert report["preference"] == []
    assert report["table_6"]["pass_at_1"]["overall"]["distilled"] is None
    page = build_report(unfinished).read_text()
    assert "17 of 24 stages have run" in page
    solved = re.search(r'<th scope="row">pass@1</th>(.*?)</tr>', page)
    assert solved is not None
    assert re.findall(r">([^<>]+)</(?:span|td)>", solved[1])[-6:] == ["–"] * 6


def test_pipeline_that_has_only_begun(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "run", until="r1_zero")
    report = report_json(folder)
    assert (report["checkpoints"], report["seconds"]["total"]) == ({}, 0)
    page = build_report(folder).read_text()
    assert "0 of 24 stages have run" in page
    assert 'class="node checkpoint to-do" data-stage="dev2"' in page
    assert [path.name for path in save_figures(folder, tmp_path / "out")] == ["graph.png"]


def test_a_stage_below_another_result_is_stale(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    marker = read_marker(folder, "dev1")
    marker["outputs"]["checkpoint"]["sha256"] = "something else"
    (folder / "dev1" / "STAGE.json").write_text(json.dumps(marker))
    states = {stage["name"]: stage["state"] for stage in report_json(folder)["stages"]}
    stale = {name for name, state in states.items() if state == "stale"}
    assert {"dev2", "dev2_plain", "rejection", "mixture", "dev3", "r1", "eval_dev1"} <= stale
    assert {"dev1", "r1_zero", "cold_start", "helpful", "student_rl", "eval_base"}.isdisjoint(stale)
    assert f"stages have run, {len(stale)} are stale" in build_report(folder).read_text()


def test_malformed_pipeline_is_named(tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text('{"kind": "r1"}')
    with pytest.raises(UserError, match=r"pipeline.json cannot be used.*stages"):
        build_report(tmp_path)
    (tmp_path / "pipeline.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        report_json(tmp_path)


# ------------------------------------------------------------------------------------- the page


def test_page_holds_no_hostile_markup_and_asks_no_network(tmp_path: Path) -> None:
    folder = write_pipeline(tmp_path / "<b>run", hostile=HOSTILE, num_problems=6)
    told = json.loads((folder / "pipeline.json").read_text())
    for stage in told["stages"]:
        stage["title"] = f"{stage['name']}<s>"
    told["recipe"]["note"] = "<i>$here</i>"
    (folder / "pipeline.json").write_text(json.dumps(told))
    marker = read_marker(folder, "mixture")
    marker["outputs"]["data"]["counts"] = {"<u>rows": 7}
    (folder / "mixture" / "STAGE.json").write_text(json.dumps(marker))
    page = build_report(folder).read_text()
    for tag in ("<b>run", "<img", "<s>", "<i>$", "<u>"):
        assert tag not in page, tag
    assert page.count("</script>") == len(re.findall(r"<script[^>]*>", page)) == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "default-src &#x27;none&#x27;" in page
    assert "arithmetic&lt;/script&gt;&lt;img" in page
    assert len(save_figures(folder, tmp_path / "out")) == 4


def test_page_links_to_reports_that_are_there(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    assert "its own report" not in build_report(folder).read_text()
    build_report(folder / "dev2" / "run")
    assert re.findall(r'href="([^"]*report.html)"', build_report(folder).read_text()) == [
        "dev2/run/report.html"
    ]


@pytest.mark.slow
def test_completions_of_the_same_problems_travel(finished: Path) -> None:
    pipeline = load_pipeline(finished)
    order = list(SKILLS)
    whole, titles = take_across(pipeline, order)
    assert whole.shown == whole.total == 10 * (NUM + NUM // 2) * NUM_SAMPLES
    assert titles[:2] == ["Base", "R1-Zero"]
    size = len(base64.b64decode(whole.packed))
    small, _ = take_across(pipeline, order, max_bytes=size // 3)
    assert len(small.packed) < len(whole.packed) / 2
    table = json.loads(gzip.decompress(base64.b64decode(small.packed)))
    problems_of = {place: set() for place in range(10)}
    for item in table["completions"]:
        problems_of[item[2]].add(table["problems"][item[0]][0])
    assert all(problems == problems_of[0] for problems in problems_of.values())
    families = {table["problems"][item[0]][3] for item in table["completions"]}
    assert families == {"arithmetic", "cups", "functions", "dialogue"}


@pytest.mark.slow
def test_pictures_are_drawn(finished: Path, tmp_path: Path) -> None:
    paths = save_figures(finished, tmp_path / "out")
    names = ["graph.png", "stages.png", "ablation.png", "reward-models.png"]
    assert [path.name for path in paths] == names
    for path in paths:
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert path.stat().st_size > 10_000
