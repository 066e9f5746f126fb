"""The report's page in a real headless browser: figures, filters, a completion before and after."""

from __future__ import annotations

from pathlib import Path

import pytest

from fake_run import HOSTILE, write_run
from r1.run_dir import read_evaluation_completions, read_rollouts
from report_browser import Opened, found, needs_chromium, open_page, playwright

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def opened(browser: playwright.Browser, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("page") / "run"
    write_run(folder, num_problems=4).close()
    return open_page(browser, folder)


def reset(page: playwright.Page, step: str = "") -> None:
    page.fill("#search", "")
    for name in ("family", "language", "outcome"):
        page.select_option(f"#filter-{name}", "")
    page.select_option("#filter-step", step)
    page.wait_for_timeout(180)  # the search waits for the typing to end


def choose(page: playwright.Page, index: int) -> None:
    page.evaluate("index => { document.getElementById('list').scrollTop = index * 54 }", index)
    page.locator(f"#row-{index}").click()


def all_rows(folder: Path) -> list[dict]:
    rows = [row for step in range(20) for row in read_rollouts(folder, step)]
    for step in (0, 5, 10, 15, 20):
        rows += read_evaluation_completions(folder, step)
    return rows


def test_opens_without_errors_or_requests(opened: Opened) -> None:
    assert opened.complaints == []
    assert [url.split(":")[0] for url in opened.requests] == ["file"]
    assert opened.page.evaluate("window.hacked") is None


def test_figures_show_every_point(opened: Opened) -> None:
    page = opened.page
    names = page.eval_on_selector_all("#main-charts figure", "all => all.map(f => f.id)")
    assert names == [
        f"chart-{n}" for n in ("accuracy", "length", "self-check", "rewards", "outcomes")
    ]
    counts = page.eval_on_selector_all(
        "#chart-accuracy .curve", "all => all.map(p => [p.dataset.series, p.dataset.points])"
    )
    assert counts == [["training pass rate", "20"], ["cons@4", "5"], ["pass@1", "5"]]
    assert page.locator("#chart-accuracy circle.point").count() == 10
    assert page.locator("#chart-accuracy .band").count() == 2
    assert page.locator("#chart-length .band").count() == 1
    layers = page.eval_on_selector_all(
        "#chart-seconds .layer", "all => all.map(p => p.dataset.points)"
    )
    assert layers == ["20"] * 4
    assert page.locator("#health-charts figure svg").count() == 9
    assert page.locator("svg [d*='NaN'], svg [x1='NaN'], svg [cy='NaN']").count() == 0


def test_points_lie_where_the_numbers_say(opened: Opened) -> None:
    """The last pass@1 lies at its value between the grid lines of 0% and 100%."""
    heights = opened.page.eval_on_selector_all(
        "#chart-accuracy .grid", "all => all.map(line => Number(line.getAttribute('y1')))"
    )
    last = opened.page.eval_on_selector_all(
        "#chart-accuracy circle.point.tone-0", "all => Number(all[all.length-1].getAttribute('cy'))"
    )
    rows = read_evaluation_completions(opened.folder, 20)
    expected = sum(row["reward/accuracy"] for row in rows) / len(rows)
    bottom, top = max(heights), min(heights)
    assert (bottom - last) / (bottom - top) == pytest.approx(expected, abs=1e-3)


def test_hovering_tells_the_values(opened: Opened) -> None:
    surface = opened.page.locator("#chart-accuracy svg rect")
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    assert box is not None
    opened.page.mouse.move(box["x"] + box["width"] - 8, box["y"] + 40)
    text = opened.page.inner_text("#tooltip")
    assert text.startswith("step 20")
    assert "pass@1" in text
    opened.page.mouse.move(2, 2)
    assert opened.page.is_hidden("#tooltip")


def test_filters_and_search_find_what_is_there(opened: Opened) -> None:
    page, rows = opened.page, all_rows(opened.folder)
    reset(page)
    assert found(page) == len(rows)
    page.select_option("#filter-language", "zh")
    assert found(page) == sum(row["language"] == "zh" for row in rows)
    page.select_option("#filter-family", "modulo")
    page.select_option("#filter-outcome", "wrong")
    kept = [
        row
        for row in rows
        if (row["language"], row["family"], row["outcome/accuracy"]) == ("zh", "modulo", "wrong")
    ]
    assert found(page) == len(kept) > 0
    reset(page, "t7")
    assert found(page) == 16
    reset(page)
    page.fill("#search", "CHECK THAT again")
    page.wait_for_timeout(200)
    assert found(page) == sum("check that again" in row["text"].lower() for row in rows) > 0
    assert page.locator("#detail mark").first.inner_text().lower() == "check that again"
    page.fill("#search", "no such words")
    page.wait_for_timeout(200)
    assert found(page) == 0
    assert "Nothing fits" in page.inner_text("#list")
    reset(page)


def test_choosing_shows_thinking_apart_from_the_answer(opened: Opened) -> None:
    page = opened.page
    reset(page, "t19")
    rows = read_rollouts(opened.folder, 19)
    index = next(i for i, row in enumerate(rows) if row["thinking"] and row["answer"] != HOSTILE)
    choose(page, index)
    row = rows[index]
    assert page.inner_text("#detail .question") == row["prompt"]
    assert page.inner_text("#detail .thinking") == row["thinking"]
    assert page.inner_text("#detail .answer") == row["answer"]
    assert f"reference: {row['reference']}" in page.inner_text("#detail .about")
    parts = page.eval_on_selector_all(
        "#detail .parts tbody tr", "all => all.map(r => [...r.cells].map(c => c.textContent))"
    )
    assert parts[0][0] == "accuracy"
    assert (float(parts[0][1]), parts[0][2]) == (row["reward/accuracy"], row["outcome/accuracy"])
    assert parts[0][3] == row["detail/accuracy"]
    assert f"{row['num_tokens']} tokens" in page.inner_text("#detail .facts")


def test_hostile_completions_are_only_text(opened: Opened) -> None:
    page = opened.page
    reset(page)
    page.fill("#search", "window.hacked")
    page.wait_for_timeout(200)
    assert found(page) > 0
    assert HOSTILE in page.inner_text("#detail")
    assert page.locator("#detail script, #detail img, #list img").count() == 0
    assert page.evaluate("window.hacked") is None
    reset(page)


def test_before_and_after_stand_side_by_side(opened: Opened) -> None:
    page = opened.page
    reset(page, "e20")
    choose(page, 0)
    headings = page.locator("#detail .side h3").all_inner_texts()
    assert headings[0].split("\n")[1] == "Before: step 0"
    assert headings[1].split("\n")[1] == "After: step 20, sample 1"
    before = read_evaluation_completions(opened.folder, 0)
    for sample in range(3):
        shown = page.locator("#detail .side").first.inner_text()
        text = before[sample]["thinking"] or before[sample]["text"]
        assert text.strip().split("\n")[0] in shown
        page.locator("#detail .arrows button").last.click()
    page.click("#compare")
    assert page.locator("#detail .side").count() == 1
    page.click("#compare")
    assert page.locator("#detail .side").count() == 2


def test_keys_move_through_the_list(opened: Opened) -> None:
    page = opened.page
    reset(page, "e20")
    choose(page, 0)
    page.focus("#list")
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    assert page.get_attribute("#list [aria-selected=true]", "id") == "row-2"
    page.keyboard.press("End")
    assert page.get_attribute("#list [aria-selected=true]", "id") == "row-47"
    assert page.locator("#list .row").count() < 40, "only the rows in sight exist"


def test_narrow_page_does_not_scroll_sideways(opened: Opened) -> None:
    opened.page.set_viewport_size({"width": 390, "height": 844})
    opened.page.wait_for_timeout(150)
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    opened.page.set_viewport_size({"width": 1280, "height": 900})
    assert width <= 390


def test_run_that_has_only_begun(browser: playwright.Browser, tmp_path: Path) -> None:
    write_run(tmp_path / "run", stop_before=0).close()
    opened = open_page(browser, tmp_path / "run")
    assert opened.complaints == []
    assert "not finished" in opened.page.inner_text(".status")
    assert found(opened.page) == 0
    opened.page.close()


def test_browser_that_cannot_unpack_shows_a_few(
    browser: playwright.Browser, opened: Opened
) -> None:
    page = browser.new_page()
    page.add_init_script("delete window.DecompressionStream")
    page.goto((opened.folder / "report.html").as_uri())
    page.wait_for_selector("body[data-ready]")
    reset(page)
    assert found(page) == 24
    assert "cannot unpack" in page.inner_text("#showing")
    page.close()
