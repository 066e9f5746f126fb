"""Reports of long runs: pages that a browser can draw, made in time that grows with the run."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from fake_run import write_run
from r1.report.figures import Chart, Series, health_charts, length, outcomes
from r1.report.load import MAX_LENGTH_STEPS, LengthQuartiles, RunData, load_run
from r1.report.thin import MAX_POINTS, for_page, thinned
from r1.report.time_use import restarts, seconds_by_phase

NUM_STEPS, SPIKE = 40_000, 12_345


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunData:
    folder = tmp_path_factory.mktemp("report") / "run"
    write_run(folder, 1).close()
    short = load_run(folder)
    (metrics,), (timings, *_) = short.metrics, short.timings
    return replace(
        short,
        metrics=[
            {**metrics, "step": step, "grad_norm": 90.0 if step == SPIKE else 1.0}
            for step in range(NUM_STEPS)
        ],
        timings=[
            {**timings, "step": step, "pool/restarts": float(step % 1000 == 0)}
            for step in range(NUM_STEPS)
        ],
        lengths=[
            LengthQuartiles(100 * place, 20.0, 40.0 + place) for place in range(MAX_LENGTH_STEPS)
        ],
    )


def test_a_line_keeps_its_ends_and_a_spike_of_one_step(run: RunData) -> None:
    (chart,) = (chart for chart in health_charts(run) if chart.id == "health-grad_norm")
    drawn = for_page(chart)
    (series,) = drawn["series"]
    assert len(series["x"]) == len(series["y"]) <= MAX_POINTS
    assert (series["x"][0], series["x"][-1]) == (0, NUM_STEPS - 1)
    assert series["y"][series["x"].index(SPIKE)] == 90.0
    assert f"Of {NUM_STEPS:,} steps" in drawn["note"]


@pytest.mark.parametrize("make", [outcomes, seconds_by_phase])
def test_layers_keep_the_same_steps(run: RunData, make: object) -> None:
    chart = make(run)
    found = thinned(chart)
    assert len(chart.series[0].x) == NUM_STEPS
    assert len({tuple(series.x) for series in found.series}) == 1
    assert len(found.series[0].x) == MAX_POINTS
    assert f"{MAX_POINTS:,} of {NUM_STEPS:,} steps" in found.note


def test_bands_stay_with_their_points() -> None:
    steps = list(range(3 * MAX_POINTS))
    y = [float(step % 7) for step in steps]
    band = Series("a", 0, "line", steps, y, [v - 1 for v in y], [v + 1 for v in y])
    (series,) = thinned(Chart("a", "A", "", "number", [band])).series
    assert series.y == [float(step % 7) for step in series.x]
    assert [high - low for low, high in zip(series.low, series.high, strict=True)] == (
        [2.0] * len(series.x)
    )


def test_a_short_run_is_drawn_whole(run: RunData) -> None:
    chart = outcomes(replace(run, metrics=run.metrics[:50]))
    assert thinned(chart) is chart


def test_a_run_of_many_steps_still_has_its_band_of_lengths(run: RunData) -> None:
    chart = length(run)
    training = chart.series[0]
    assert training.x == [item.step for item in run.lengths]
    assert training.high == [item.high for item in run.lengths]
    assert "band" in chart.note
    assert f"{MAX_LENGTH_STEPS} of {NUM_STEPS:,} steps" in chart.note


def test_without_its_rollouts_a_run_claims_no_band(run: RunData) -> None:
    chart = length(replace(run, lengths=run.lengths[:3]))
    assert len(chart.series[0].x) == NUM_STEPS
    assert chart.series[0].low == []
    assert "band" not in chart.note


def test_restarts_are_summed_in_one_pass(run: RunData) -> None:
    begin = time.process_time()
    (series,) = restarts(run).series
    assert time.process_time() - begin < 2.0  # forty thousand sums of sums took ten
    assert series.y[-1] == sum(step % 1000 == 0 for step in range(NUM_STEPS))


def test_a_gap_stays_a_gap() -> None:
    steps = list(range(3 * MAX_POINTS))
    y = [None if step in (SPIKE % 5000, SPIKE % 5000 + 1) else 1.0 for step in steps]
    (series,) = thinned(Chart("a", "A", "", "number", [Series("a", 0, "line", steps, y)])).series
    assert len(series.x) <= 1.5 * MAX_POINTS
    assert series.y[series.x.index(SPIKE % 5000)] is None
