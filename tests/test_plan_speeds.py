"""Seconds of drawing against closed forms, lengths of responses, and both against a real run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.errors import UserError
from r1.plan.lengths import Lengths, by_step, log_normal, measured
from r1.plan.speeds import EngineSpeed, LearnerSpeed

DEMO = Path(__file__).parent / "data" / "plan_demo_run.json"
SECOND = EngineSpeed(1.0)


@pytest.mark.parametrize(("slots", "rounds"), [(12, 1), (6, 2), (5, 3), (1, 12)])
def test_equal_lengths_fill_the_slots_in_rounds(slots: int, rounds: int) -> None:
    assert SECOND.drawing_s(slots, 0, np.full((3, 4), 10)) == rounds * 10


def test_a_row_that_ends_makes_room_for_the_next() -> None:
    """Two rows: 30 beside 10, 10 and 10; then 5 beside 20, alone in the end."""
    assert SECOND.drawing_s(2, 0, np.array([[30, 10, 10], [10, 5, 20]])) == 30 + 20


def test_the_cost_of_rows_cache_and_prompts_is_the_sum_over_iterations() -> None:
    """Rows of length 5, 5 and 9: sum over iterations of overhead + rows + cached tokens."""
    speed = EngineSpeed(0.5, row_s=0.25, context_s=0.01, prefill_s=0.1)
    expected, lengths = 0.7, [5, 5, 9]
    for done in range(1, 10):
        living = [length for length in lengths if length >= done]
        expected += 0.5 + 0.25 * len(living) + 0.01 * len(living) * (7 + done)
    assert speed.drawing_s(3, 7, np.array([lengths])) == pytest.approx(expected)


def test_a_group_s_prompt_is_computed_once_and_leaves_the_cache_with_its_rows() -> None:
    """One slot: each response finds nothing in the cache but its own prompt."""
    speed = EngineSpeed(0.0, context_s=1.0, prefill_s=10.0)
    alone = 3 * 100 + (1 + 2 + 3)
    drawn = speed.drawing_s(1, 100, np.full((2, 2), 3))
    assert drawn == pytest.approx(2 * 10 * 100 + 4 * alone)


def test_experts_are_read_as_far_as_rows_touch_them() -> None:
    speed = EngineSpeed(0.0, weights_s=1.0, experts_s=8.0, chosen_share=0.5)
    assert speed.base(1) == pytest.approx(1 + 8 * 0.5)
    assert speed.base(3) == pytest.approx(1 + 8 * 0.875)


def test_a_log_normal_keeps_its_mean_and_limit() -> None:
    lengths = log_normal(7000, 32_768)
    assert lengths.mean == pytest.approx(7000, rel=1e-3)
    assert lengths.quantiles.max() == 32_768
    # The median of a log-normal is its mean / exp(sigma^2 / 2); the cut moves it by little.
    median = float(np.median(lengths.quantiles))
    assert median == pytest.approx(7000 / math.exp(0.32), rel=0.08)
    assert set(log_normal(64, 64).quantiles) == {64}


def test_lengths_are_a_draw() -> None:
    drawn = Lengths(np.array([3, 5]), "").draw(np.random.default_rng(0), (20, 5))
    assert (drawn.shape, set(drawn.flat)) == ((20, 5), {3, 5})


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Lengths of a real run of recipes/tiny/r1_zero.toml, 30 steps on two cores that others used as
    well."""
    (tmp_path / "rollouts").mkdir()
    for step, text in json.loads(DEMO.read_text())["lengths"].items():
        tokens = [int(length) for length in text.split()]
        file = tmp_path / "rollouts" / f"step-{int(step):06}.parquet"
        pq.write_table(pa.table({"num_tokens": pa.array(tokens, pa.int32())}), file)
    return tmp_path


def test_lengths_are_those_of_the_run(demo: Path) -> None:
    lengths = measured(demo, 10_000)
    assert len(lengths.quantiles) == 30 * 512
    assert lengths.mean == pytest.approx(94.3, abs=0.1)
    cut = measured(demo, limit=90)
    assert cut.quantiles.max() == 90
    assert "cut at 90" in cut.note
    drawn = lengths.draw(np.random.default_rng(0), (20, 1000))
    assert drawn.mean() == pytest.approx(lengths.mean, rel=0.02)
    with pytest.raises(UserError, match="finished run"):
        measured(demo / "rollouts", 90)


def test_speeds_of_this_form_fitted_to_half_of_a_real_run_predict_the_other_half(
    demo: Path,
) -> None:
    """Drawing = b x tokens (a part of the longest response fits as none), update = c + d x tokens,
    the rest its mean. Other work came and went on these cores: single steps of equal length differ
    by a third; their mean must be met within 15 %."""
    lengths = by_step(demo)
    rows = [row for row in json.loads(DEMO.read_text())["timings"] if row.get("seconds/total")]
    numbers = [row["step"] for row in rows if row["step"] in lengths]
    drawing, update, total = (
        np.array([row[f"seconds/{name}"] for row in rows if row["step"] in lengths])
        for name in ("rollout", "update", "total")
    )
    tokens = np.array([float(lengths[n].sum()) for n in numbers])
    half = len(numbers) // 2
    first, unseen = slice(half), slice(half, None)
    engine = EngineSpeed(0.0, row_s=drawing[first] @ tokens[first] / (tokens[first] ** 2).sum())
    per_token, whole = np.polyfit(tokens[first], update[first], 1)
    learner = LearnerSpeed(whole, per_token)
    other = (total - drawing - update)[first].mean()
    predicted = np.array(
        [
            engine.drawing_s(512, 0, lengths[n][None]) + learner.seconds(0, lengths[n], 0) + other
            for n in numbers[unseen]
        ]
    )
    real = total[unseen]
    assert (len(real), float(real.mean())) == (15, pytest.approx(8.58, abs=0.01))
    assert predicted.mean() == pytest.approx(9.25, abs=0.01)
    assert np.median(np.abs(predicted / real - 1)) == pytest.approx(0.12, abs=0.01)
    # Responses grow by a third over the run: a guess of "as before" is further off than this.
    assert abs(total[first].mean() / real.mean() - 1) > abs(predicted.mean() / real.mean() - 1)
