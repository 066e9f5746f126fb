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


def test_an_evaluation_under_way_has_one_too(evaluation) -> None:
    (evaluation / "evaluation.json").unlink()
    assert "not finished" in build_report(evaluation).read_text()
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
