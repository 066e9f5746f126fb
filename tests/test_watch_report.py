"""Where a run's time went, as its report tells it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from r1.report import build_report, report_json
from r1.report.load import RunData, load_run
from r1.report.time_table import gap_note, time_section
from r1.report.time_use import busy, restarts, time_charts, tokens_per_second
from r1.run_dir import RunDir

SECONDS = (4.0, 2.0, 10.0, 4.0)
GRPO = {"grpo": {"importance_cap": 2.0}}


def step_of(step: int) -> dict[str, float]:
    total = SECONDS[step]
    return {
        "reward": 0.1 * step,
        "loss": 0.01,
        "staleness": float(step > 0),
        "engine_gap": 1e-4 * (1 + step),
        "engine_gap_max": 0.01 * (1 + step),
        "importance": 0.98 + 0.01 * step,
        "importance_capped": 0.004 * step,
        "seconds/rollout": 0.25 * total,
        "seconds/update": 0.5 * total,
        "seconds/sync": 0.05 * total,
        "seconds/total": total,
        "speed/rollout_tokens": 4000.0 + step,
        "speed/update_tokens": 3000.0 - step,
        "speed/step_tokens": 1000.0 * (1 + step),
        "busy/engines": 0.4,
        "busy/engine_0": 0.3,
        "busy/engine_1": 0.5,
        "busy/learner": 0.5 + 0.1 * step,
        "queue/engines": float(3 - step),
        "queue/rewards": 2.0,
        "queue/late": 1.0,
        "pool/engine_restarts": float(step in (1, 3)),
        "pool/learner_restarts": 0.0,
        "pool/restarts": 3.0 * (step == 2),
    }


def write(folder: Path, recipe: dict, leave_out: str = "") -> Path:
    with RunDir.open(folder, recipe, "grpo") as run:
        for step in run.remaining_steps(4):
            metrics = {
                k: v for k, v in step_of(step).items() if not leave_out or leave_out not in k
            }
            run.commit_step(step, lambda folder: None, metrics)
        run.commit_evaluation(4, {"pass_at_1": {"value": 0.5}}, seconds=5.0)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("time") / "run", GRPO)


def test_sums_and_means_over_time(folder: Path) -> None:
    found = report_json(folder)["time"]
    phases = {"rollout": 5.0, "update": 10.0, "sync": 1.0, "evaluate": 5.0, "other": 4.0}
    assert found["seconds"] == pytest.approx(phases)
    assert found["steps_seconds"] == 20.0
    # A step of ten seconds counts for five of two: (4 x 1000 + 2 x 2000 + 10 x 3000 + 4 x 4000)/20.
    assert found["tokens_per_s"] == pytest.approx(2700.0)
    assert found["busy"]["learner"] == pytest.approx((4 * 0.5 + 2 * 0.6 + 10 * 0.7 + 4 * 0.8) / 20)
    assert found["busy"]["engine_1"] == pytest.approx(0.5)
    assert found["deepest"] == {"engines": 3.0, "rewards": 2.0, "late": 1.0}
    assert found["restarts"] == {"engines": 2.0, "learner ranks": 0.0, "reward workers": 3.0}


def test_figures_of_time(folder: Path) -> None:
    run = load_run(folder)
    assert [chart.id for chart in time_charts(run)] == [
        "seconds", "speed", "busy", "queues", "staleness", "restarts",
    ]  # fmt: skip
    engines, learner = busy(run).series
    assert (engines.y, engines.low, engines.high) == ([0.4] * 4, [0.3] * 4, [0.5] * 4)
    assert learner.y == pytest.approx([0.5, 0.6, 0.7, 0.8])
    assert [(s.name, s.y) for s in restarts(run).series] == [
        ("engines", [0.0, 1.0, 1.0, 2.0]),
        ("reward workers", [0.0, 0.0, 3.0, 3.0]),
    ]
    assert [s.y[3] for s in tokens_per_second(run).series] == [4003.0, 2997.0, 4000.0]


def _without_restarts(run: RunData) -> RunData:
    return replace(run, timings=[{**row, "pool/restarts": 0.0} for row in run.timings])


def test_a_quiet_run_of_one_process_has_fewer_figures(tmp_path: Path) -> None:
    run = load_run(write(tmp_path / "run", {}, leave_out="restarts"))
    assert "restarts" not in [chart.id for chart in time_charts(run)]
    assert "started again" not in time_section(_without_restarts(load_run(tmp_path / "run")))
    alone = load_run(write(tmp_path / "alone", {}, leave_out="engine_"))
    engines, _ = busy(alone).series
    assert (engines.low, busy(alone).note) == ([], "Share of the step.")


def test_the_page_tells_it_in_a_table(folder: Path) -> None:
    page = build_report(folder).read_text()
    assert "Where the time went" in page
    rows = re.findall(r"<tr><td>(\w+)</td><td[^>]*>([^<]*)</td><td[^>]*>([^<]*)</td>", page)
    assert rows[:5] == [
        ("rollout", "5 s", "20.0%"),
        ("update", "10 s", "40.0%"),
        ("sync", "1 s", "4.0%"),
        ("other", "4 s", "16.0%"),
        ("evaluate", "5 s", "20.0%"),
    ]
    for fact in (
        "2,700 tokens a second over all steps",
        "engines busy 40.0% of the steps",
        "replicas from 30.0% (engine_0) to 50.0% (engine_1)",
        "3 groups waited for an engine at the most",
        "started again: 2 x engines, 0 x learner ranks, 3 x reward workers",
    ):
        assert f"<li>{fact}</li>" in page


def test_the_gap_between_engine_and_learner_is_told_with_its_correction(tmp_path: Path) -> None:
    corrected = gap_note(load_run(write(tmp_path / "a", GRPO)))
    assert "by 2.5e-04 nats on average, by 4.0e-02 at the most; " in corrected
    assert corrected.endswith("(0.995 on average, 0.6% of the tokens at the cap).")
    plain = gap_note(load_run(write(tmp_path / "b", {}, leave_out="importance")))
    assert plain.endswith("nothing corrects for it (importance_cap is 0).")
    assert gap_note(load_run(write(tmp_path / "c", {}, leave_out="engine_gap"))) == ""


def test_a_run_that_has_only_begun_has_no_times(tmp_path: Path) -> None:
    RunDir.open(tmp_path / "run", {}, "grpo").close()
    assert report_json(tmp_path / "run")["time"] == {}
    assert time_section(load_run(tmp_path / "run")) == ""
