"""`r1 report` of an evaluation by itself, and pages that have little to show."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.report import build_report, report_json
from r1.report.pipeline.drawing import _MIN_WIDTH
from r1.report.sample import take_sample
from r1.report.tables import key_values, lineage_rows
from r1.types import FAILED
from report_browser import needs_chromium, open_page


@pytest.fixture
def evaluation(tmp_path) -> Path:
    """Forty samples of two problems, as `r1 eval` writes them."""
    folder = tmp_path / "eval"
    (folder / "blocks").mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({"model": {"source": "base", "sha256": "ab"}}))
    rows = [
        {
            "step": 0, "problem_id": f"p{n % 2}", "family": "sums", "language": "en",
            "prompt": "1 + 1?", "reference": "2", "sample": n // 2, "text": "two", "thinking": None,
            "answer": None, "finish_reason": "stop", "num_tokens": 1, "reward": 0.0, "valid": True,
            "advantage": None, "vote": -1, "reward/accuracy": 0.0,
            "outcome/accuracy": "unparseable", "detail/accuracy": "no answer could be read",
        }
        for n in range(40)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "blocks" / "block-00000.parquet")
    interval = {"value": 0.0, "low": 0.0, "high": 0.0}
    result = {
        "step": 0, "num_problems": 2, "k": 20, "pass_at_1": interval, "cons_at_k": interval,
        "format": 0.0, "mean_length": 1.0, "self_check_share": 0.0, "truncated": 0.0,
        "by_family": {"sums": {"pass_at_1": interval, "cons_at_k": interval, "num_problems": 2}},
        "outcomes": {"correct": 0, "unparseable": 40},
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(result))
    return folder


def test_an_evaluation_has_a_page_and_figures(evaluation) -> None:
    page = build_report(evaluation).read_text()
    assert "40 of 40 unparseable" in page
    assert "Showing 40 of 40 completions" in page
    assert report_json(evaluation)["pass_at_1"]["after"]["value"] == 0.0
    assert report_json(evaluation)["done"] is True
    assert take_sample(evaluation).total == 40


@needs_chromium
def test_a_response_that_never_came_did_not_end_by_itself(browser, evaluation) -> None:
    block = evaluation / "blocks" / "block-00000.parquet"
    rows = pq.read_table(block).to_pylist()
    for row, reason in zip(rows, (FAILED, "length", "stop"), strict=False):
        row |= {"finish_reason": reason, "valid": reason != FAILED}
    pq.write_table(pa.Table.from_pylist(rows), block)
    opened = open_page(browser, evaluation)
    told = {}
    for place in range(40):
        opened.page.evaluate(
            "index => { document.getElementById('list').scrollTop = index * 54 }", place
        )
        opened.page.locator(f"#row-{place}").click()
        facts = opened.page.inner_text("#detail .facts")
        told[facts] = told.get(facts, 0) + 1
    assert told == {
        "1 tokens, the engine or the endpoint gave no response · reward 0 · in no figure: no "
        "verdict": 1,
        "1 tokens, cut at the token limit · reward 0": 1,
        "1 tokens, ended by itself · reward 0": 38,
    }
    opened.page.close()


def test_an_evaluation_under_way_has_one_too(evaluation) -> None:
    (evaluation / "evaluation.json").unlink()
    assert '<p class="status"><span class="chip">not finished</span></p>' in (
        build_report(evaluation).read_text()
    )
    for path in (evaluation / "blocks").iterdir():
        path.unlink()
    assert '<section id="completions" aria-label="Completions" hidden>' in (
        build_report(evaluation).read_text()
    )


def test_tables_without_rows_say_so() -> None:
    assert "nothing recorded" in key_values({})
    assert "nothing recorded" in lineage_rows({})
    assert "<table" not in key_values({}) + lineage_rows({})


def test_a_small_graph_is_not_blown_up() -> None:
    css = Path(__file__).parents[1] / "src" / "r1" / "report" / "pipeline.css"
    (rule,) = [line for line in css.read_text().splitlines() if line.startswith("svg.graph ")]
    assert "min-width" not in rule
    assert "width: 100%;" not in rule.replace("max-width: 100%;", "")
    assert _MIN_WIDTH > 0
