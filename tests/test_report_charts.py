"""What the report's page draws of odd runs, and how it writes numbers, in a real browser."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

import fake_run
from r1.run_dir import RunDir
from r1.types import Problem
from report_browser import Opened, needs_chromium, open_page, playwright

pytestmark = needs_chromium


def draw(
    browser: playwright.Browser, folder: Path, metrics: Mapping[str, Sequence[float]]
) -> Opened:
    """Open the report of a run with these metrics, a value a step."""
    num_steps = max(map(len, metrics.values()))
    with RunDir.open(folder, {}, "grpo") as run:
        for step in run.remaining_steps(num_steps):
            row = {name: values[step] for name, values in metrics.items()}
            run.commit_step(step, lambda _: None, row)
    opened = open_page(browser, folder)
    assert opened.complaints == []
    return opened


def labels(opened: Opened, chart: str) -> list[str]:
    """The labels of the marks of the y axis, from low to high."""
    found: list[str] = opened.page.eval_on_selector_all(
        f"#chart-{chart} text[text-anchor=end]",
        "all => all.map(t => t.textContent).filter(t => t !== 'step')",
    )
    return found


def test_marks_are_told_apart_and_stand_where_they_say(
    browser: playwright.Browser, tmp_path: Path
) -> None:
    metrics = {
        "reward/x": [0.0, 0.0119],
        "importance": [1.00010, 1.00090],
        "clip_low": [0.0, 0.00002],
        "engine_gap": [5.1e-7, 6.9e-7],
        "grad_norm": [0.0, 250_000.0],
    }
    opened = draw(browser, tmp_path / "run", metrics)
    assert labels(opened, "rewards")[:3] == ["0", "0.0025", "0.005"]
    for chart in ("rewards", *(f"health-{name}" for name in metrics if "/" not in name)):
        marks = [float(label.rstrip("%").replace(",", "")) for label in labels(opened, chart)]
        steps = [after - before for before, after in pairwise(marks)]
        assert all(steps), chart
        assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-6), chart
    opened.page.close()


def test_a_small_share_is_not_told_as_nothing(browser: playwright.Browser, tmp_path: Path) -> None:
    opened = draw(browser, tmp_path / "run", {"clip_low": [0.0, 0.00042], "truncated": [0.5, 0.25]})
    described = {
        name: opened.page.get_attribute(f"#chart-health-{name} svg", "aria-label")
        for name in ("clip_low", "truncated")
    }
    assert described["clip_low"].endswith("clip low from 0.0% to 0.042%")
    assert described["truncated"].endswith("truncated from 50.0% to 25.0%")
    opened.page.close()


def test_values_that_only_rounding_tells_apart_are_drawn(
    browser: playwright.Browser, tmp_path: Path
) -> None:
    """The marks between 1 and the next number after it cannot be counted: the page hung."""
    opened = draw(browser, tmp_path / "run", {"importance": [1.0, 1.0 + 2.0**-52]})
    assert opened.page.locator("#chart-health-importance svg .curve").count() == 1
    opened.page.close()


def test_the_layers_of_a_single_step_are_seen(browser: playwright.Browser, tmp_path: Path) -> None:
    counts = {"outcome/correct": [3.0], "outcome/wrong": [1.0]}
    opened = draw(browser, tmp_path / "run", counts)
    right, wrong = opened.page.eval_on_selector_all(
        "#chart-outcomes .layer",
        "all => all.map(p => p.getBBox()).map(b => ({width: b.width, height: b.height}))",
    )
    assert right["width"] == wrong["width"] > 10
    assert right["height"] == pytest.approx(3 * wrong["height"], rel=0.01)
    opened.page.close()


def test_steps_without_a_number_leave_a_gap(browser: playwright.Browser, tmp_path: Path) -> None:
    """A run that broke at step 3 must not look as if its last steps were like those before."""
    nan = float("nan")
    metrics = {"entropy": [1.0, 0.8, 0.9, nan, nan, 0.2, nan, nan], "kl": [nan] * 8}
    opened = draw(browser, tmp_path / "run", metrics)
    (line,) = opened.page.eval_on_selector_all(
        "#chart-health-entropy .curve", "all => all.map(p => p.getAttribute('d'))"
    )
    assert [len(part.split("L")) for part in line.split("M")[1:]] == [3, 1]
    assert opened.page.locator("#chart-health-entropy circle").count() == 1  # the lone step 5
    (drawn, whole) = opened.page.eval_on_selector_all(
        "#chart-health-entropy .curve, #chart-health-entropy .axis",
        "all => all.map(p => p.getBBox().width)",
    )
    shares = sorted([drawn / whole, whole / drawn])
    assert shares[0] == pytest.approx(2 / 7, rel=0.02)  # steps 0 to 2 of 0 to 7
    told = opened.page.get_attribute("#chart-health-entropy svg", "aria-label")
    assert told.endswith("entropy from 1 to –")
    assert opened.page.locator("#chart-health-kl").count() == 0
    opened.page.close()


def test_long_names_do_not_widen_a_phones_page(
    browser: playwright.Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def long_named(index: int, rng: random.Random) -> Problem:
        family = "a_family_" * 12 + str(index % 2)
        return replace(make_problem(index, rng), id=f"{'p' * 150}{index}", family=family)

    make_problem = fake_run.make_problem
    monkeypatch.setattr(fake_run, "make_problem", long_named)
    fake_run.write_run(tmp_path / "run", 2).close()
    opened = open_page(browser, tmp_path / "run")
    opened.page.set_viewport_size({"width": 390, "height": 844})
    opened.page.wait_for_timeout(150)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 390
    opened.page.close()


def test_a_run_without_figures_has_no_empty_frame(
    browser: playwright.Browser, tmp_path: Path
) -> None:
    fake_run.write_run(tmp_path / "run", stop_before=0).close()
    opened = open_page(browser, tmp_path / "run")
    assert opened.page.is_hidden("#headline")
    opened.page.close()
