"""The pipeline's page in a real headless browser: curves, the table, completions side by side."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from fake_pipeline import NUM_SAMPLES, SKILLS, write_evaluation, write_pipeline
from report_browser import Opened, found, needs_chromium, open_page, playwright

pytestmark = [pytest.mark.slow, needs_chromium]
HOSTILE = '</script><img src=x onerror="window.hacked = 1">'
NUM = 12


@pytest.fixture(scope="module")
def opened(browser: playwright.Browser, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("page") / "run"
    return open_page(browser, write_pipeline(folder, num_problems=NUM))


def rows(folder: Path, name: str) -> list[dict]:
    return pq.read_table(folder / f"eval_{name}" / "completions.parquet").to_pylist()


def reset(page: playwright.Page) -> None:
    page.fill("#search", "")
    for name in ("family", "language", "outcome", "checkpoint"):
        page.select_option(f"#filter-{name}", "")
    page.wait_for_timeout(180)


def test_opens_without_errors_or_requests(opened: Opened) -> None:
    assert opened.complaints == []
    assert [url.split(":")[0] for url in opened.requests] == ["file"]


def test_sections_show_every_number(opened: Opened) -> None:
    page = opened.page
    assert page.locator("svg.graph g.node").count() == 15
    assert page.locator("table.stages thead th").count() == 10
    told = json.loads((opened.folder / "eval_r1" / "evaluation.json").read_text())
    solved = page.locator("table.stages tr", has=page.locator("th", has_text="pass@1")).last
    value = told["overall"]["pass_at_1"]["value"]
    assert solved.locator("td .value").nth(5).inner_text() == f"{100 * value:.1f}%"
    assert page.locator(".moved").count() == 5
    assert page.locator("#ablation-charts figure").count() == 2
    curves = page.eval_on_selector_all(
        "#chart-ablation-language path.curve",
        "all => all.map(p => [p.dataset.series, p.dataset.points])",
    )
    assert curves == [
        ["Dev2", "8"], ["Dev2 plain", "8"], ["Dev2, held-out", "1"], ["Dev2 plain, held-out", "1"],
    ]  # fmt: skip
    assert page.locator("#training .training").count() == 6
    assert page.locator("#training-losses figure").count() == 4
    assert page.locator("#reliability circle").count() == 10
    assert page.locator("svg [d*='NaN'], svg [x1='NaN'], svg [cy='NaN']").count() == 0


def test_a_problem_stands_side_by_side(opened: Opened) -> None:
    page = opened.page
    reset(page)
    page.fill("#search", "arithmetic-0")
    page.wait_for_timeout(200)
    assert found(page) == 1
    names = page.locator("#detail .checkpoint").all_inner_texts()
    assert names == [
        "Base", "R1-Zero", "Dev1", "Dev2", "Dev3", "R1",
        "Qwen student", "Llama student", "RL-only student", "Dev2 plain",
    ]  # fmt: skip
    samples = [row for row in rows(opened.folder, "dev2") if row["problem_id"] == "arithmetic-0"]
    side = page.locator("#detail .side").nth(3)
    for row in samples:
        shown = side.inner_text()
        assert (row["answer"] or row["text"]).strip() in shown
        assert f"{row['num_tokens']} tokens" in shown
        side.locator(".arrows button").last.click()
    right = sum(row["outcome/accuracy"] == "correct" for row in samples)
    share = f"{round(100 * right / NUM_SAMPLES)}% of {NUM_SAMPLES} samples right"
    assert share in side.inner_text()
    page.locator("#detail .toggles button", has_text="R1-Zero").click()
    assert "R1-Zero" not in page.locator("#detail .checkpoint").all_inner_texts()
    page.locator("#detail .toggles button", has_text="R1-Zero").click()
    reset(page)


def test_filters_find_problems_by_what_a_checkpoint_did(opened: Opened) -> None:
    page = opened.page
    reset(page)
    assert found(page) == NUM + NUM // 2
    page.select_option("#filter-family", "cups")
    page.select_option("#filter-language", "zh")
    page.select_option("#filter-outcome", "wrong")
    page.select_option("#filter-checkpoint", label="R1")
    wrong = {
        row["problem_id"]
        for row in rows(opened.folder, "r1")
        if (row["family"], row["language"], row["outcome/accuracy"]) == ("cups", "zh", "wrong")
    }
    assert found(page) == len(wrong)
    if wrong:
        assert page.locator("#detail .side").nth(5).locator(".mark").inner_text() == "✗"
    reset(page)
    page.select_option("#filter-family", "dialogue")
    assert found(page) == NUM // 2
    assert "helpful" in page.inner_text("#detail .parts >> nth=0")
    reset(page)


@pytest.mark.parametrize("width", [800, 390])
def test_narrow_page_does_not_scroll_sideways(opened: Opened, width: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": 844})
    opened.page.wait_for_timeout(150)
    scrolled = opened.page.evaluate("document.documentElement.scrollWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    assert scrolled <= width


def test_a_phone_has_room_for_what_a_table_says(opened: Opened) -> None:
    """A sentence of one word a line is unreadable; the table scrolls in its frame instead."""
    opened.page.set_viewport_size({"width": 390, "height": 844})
    opened.page.wait_for_timeout(150)
    widths = opened.page.eval_on_selector_all(
        "#ablation tbody td:last-child, #preference tbody td:last-child",
        "all => all.map(cell => cell.getBoundingClientRect().width)",
    )
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    assert len(widths) == 7
    assert min(widths) >= 170


def test_hostile_completions_are_only_text(
    browser: playwright.Browser, opened: Opened, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(opened.folder, folder)
    for name in SKILLS:
        write_evaluation(folder / f"eval_{name}", name, SKILLS, HOSTILE, 6)
    hostile = open_page(browser, folder)
    assert hostile.complaints == []
    assert HOSTILE in hostile.page.inner_text("#detail")
    assert hostile.page.locator("img").count() == 0
    assert hostile.page.evaluate("window.hacked") is None
    hostile.page.close()


def test_pipeline_that_has_only_begun(browser: playwright.Browser, tmp_path: Path) -> None:
    opened = open_page(browser, write_pipeline(tmp_path / "run", until="cold_start"))
    assert opened.complaints == []
    assert "not finished" in opened.page.inner_text(".status")
    assert found(opened.page) == 0
    assert opened.page.locator("g.node.to-do").count() == 13
    opened.page.close()
