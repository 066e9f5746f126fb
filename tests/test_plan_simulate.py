"""The simulation of steps against closed forms, and against a real run's timings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from r1.errors import UserError
from r1.plan.lengths import Lengths, log_normal, measured
from r1.plan.replica import EngineSpeed, Replica, Response
from r1.plan.simulate import (
    ONE_STEP_OFF,
    SYNCHRONOUS,
    LearnerSpeed,
    Mode,
    Plant,
    Work,
    first_finished,
    partial_rollouts,
    simulate,
    whole_batches,
)
from r1.plan.timings import compare

DEMO = Path(__file__).parent / "data" / "plan_demo_run.json"
MODES = (
    SYNCHRONOUS,
    ONE_STEP_OFF,
    whole_batches(3),
    partial_rollouts(1),
    partial_rollouts(3),
    first_finished(1),
    first_finished(3),
)
SECOND = EngineSpeed(1.0)


def constant(length: int):
    return lambda generator, step, number: np.full(number, length)


def spread(generator: np.random.Generator, step: int, number: int):
    return generator.integers(1, 40, number)


def step_of(work: Work, plant: Plant, mode: Mode) -> float:
    return simulate(work, plant, mode, num_steps=12, warm_up=6).step_s


def test_one_slot_draws_one_response_after_another() -> None:
    """P G l iterations, then the update, then the transfer."""
    plant = Plant(1, 1, SECOND, LearnerSpeed(5.0), 2.0)
    outcome = simulate(Work(3, 4, 0, constant(10)), plant, SYNCHRONOUS)
    assert outcome.step_s == pytest.approx(3 * 4 * 10 + 5 + 2)
    assert outcome.generator_busy == pytest.approx(120 / 127)
    assert outcome.learner_busy == pytest.approx(5 / 127)
    assert outcome.tokens_per_s == pytest.approx(120 / 127)
    assert outcome.rows_share == outcome.generator_busy


@pytest.mark.parametrize(("slots", "rounds"), [(12, 1), (6, 2), (5, 3)])
def test_equal_lengths_fill_the_slots_in_rounds(slots: int, rounds: int) -> None:
    plant = Plant(1, slots, SECOND, LearnerSpeed(), 0.0)
    assert step_of(Work(3, 4, 0, constant(10)), plant, SYNCHRONOUS) == pytest.approx(rounds * 10)


def test_the_cost_of_rows_cache_and_prompts_is_the_sum_over_iterations() -> None:
    """Rows of length 5, 5 and 9: sum over iterations of overhead + rows + cached tokens."""
    speed = EngineSpeed(0.5, row_s=0.25, context_s=0.01, prefill_s=0.1)
    replica = Replica(speed, slots=3)
    replica.add([Response(0, 7, 5), Response(0, 7, 5), Response(0, 7, 9)], 0.0)
    expected, lengths, done = 0.7, [5, 5, 9], 0
    while done < 9:
        done += 1
        living = [length for length in lengths if length >= done]
        expected += 0.5 + 0.25 * len(living) + 0.01 * len(living) * (7 + done)
    while replica.rows:
        replica.finish_next()
    assert replica.clock == pytest.approx(expected)
    assert replica.tokens == 19


def test_running_to_a_time_ends_at_the_same_places_as_running_through() -> None:
    """Stopping an engine at arbitrary times delays nothing by more than the iteration under way."""
    speed = EngineSpeed(0.3, row_s=0.02, context_s=0.001)
    through, stopped = Replica(speed, 4), Replica(speed, 4)
    responses = [Response(0, 3, n) for n in (4, 9, 2, 30, 11, 6)]
    for replica in (through, stopped):
        replica.add(responses, 0.0)
    while through.rows:
        through.finish_next()
    for time in np.arange(0.0, 100.0, 0.37):
        stopped.run(float(time))
    assert [r.length for _, r in stopped.ended] == [r.length for _, r in through.ended]
    assert [t for t, _ in stopped.ended] == pytest.approx([t for t, _ in through.ended])


def test_experts_are_read_as_far_as_rows_touch_them() -> None:
    speed = EngineSpeed(0.0, weights_s=1.0, experts_s=8.0, chosen_share=0.5)
    assert speed.base(1) == pytest.approx(1 + 8 * 0.5)
    assert speed.base(3) == pytest.approx(1 + 8 * 0.875)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_with_an_infinite_engine_a_step_is_the_update(mode: Mode) -> None:
    plant = Plant(2, 4, EngineSpeed(0.0), LearnerSpeed(3.0, token_s=0.1), 1.0)
    work = Work(4, 2, 0, constant(10))
    assert step_of(work, plant, mode) == pytest.approx(3 + 0.1 * 80 + 1)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.name)
def test_with_an_infinite_learner_a_step_is_the_drawing(mode: Mode) -> None:
    """One slot, no transfer: no mode can draw faster."""
    plant = Plant(1, 1, SECOND, LearnerSpeed(), 0.0)
    outcome = simulate(Work(4, 2, 0, constant(10)), plant, mode, 12, 6)
    assert outcome.step_s == pytest.approx(80)
    assert outcome.generator_busy == pytest.approx(1)


@pytest.mark.parametrize(("update", "step"), [(50.0, 82.0), (80.0, 82.0), (200.0, 202.0)])
def test_one_step_off_takes_the_longer_of_both_and_the_transfer(update: float, step: float) -> None:
    plant = Plant(1, 1, SECOND, LearnerSpeed(update), 2.0)
    assert step_of(Work(4, 2, 0, constant(10)), plant, ONE_STEP_OFF) == pytest.approx(step)
    plain = step_of(Work(4, 2, 0, constant(10)), plant, SYNCHRONOUS)
    assert plain == pytest.approx(80 + update + 2)


def test_staleness_keeps_its_bound_and_uses_it() -> None:
    plant = Plant(3, 4, SECOND, LearnerSpeed(20.0), 1.0)
    work = Work(6, 4, 0, spread)
    found = {m: simulate(work, plant, m, 30, 6) for m in MODES}
    for mode, outcome in found.items():
        assert outcome.staleness_max <= mode.ahead, mode.name
        if mode.sampling == "whole":
            assert outcome.staleness == mode.ahead, mode.name
    order = (SYNCHRONOUS, ONE_STEP_OFF, partial_rollouts(3))
    steps = [found[mode].step_s for mode in order]
    assert steps == sorted(steps, reverse=True)
    assert steps[2] < 0.9 * steps[0]
    # With engines always busy either way of making batches comes to the same, but for the draw.
    assert found[first_finished(3)].step_s == pytest.approx(steps[2], rel=0.05)


@pytest.mark.parametrize(
    ("mode", "two_steps", "ages"),
    [
        # draw 30, learn 4, draw 10, learn 4
        (SYNCHRONOUS, 30 + 4 + 10 + 4, 0),
        # Drawn one after the other, learnt from meanwhile: more ahead would not be faster.
        (ONE_STEP_OFF, 30 + 10, 1),
        (whole_batches(3), 30 + 10, 3),
        # Begun when batch n - 2 is learnt from: each 10 beside a 30, which the learner waits for.
        (partial_rollouts(1), 30 + 4, 1),
    ],
    ids=lambda value: getattr(value, "name", str(value)),
)
def test_two_lengths_in_turn_by_hand(mode: Mode, two_steps: float, ages: int) -> None:
    """A response a batch, of 30 and 10 tokens in turn, room for two, an update of 4 s."""

    def draw(generator: np.random.Generator, step: int, number: int):
        return np.full(number, 10 if step % 2 else 30)

    plant = Plant(1, 2, SECOND, LearnerSpeed(4.0), 0.0)
    outcome = simulate(Work(1, 1, 0, draw), plant, mode, 12, 6)
    assert outcome.step_s == pytest.approx(two_steps / 2)
    assert outcome.learner_busy == pytest.approx(8 / two_steps)
    assert outcome.tokens_per_s == pytest.approx(40 / two_steps)
    assert outcome.staleness == ages


def test_only_whole_batches_wait_for_rewards_and_only_they_do_not_compute_again() -> None:
    """One slot, 10 s to draw, 3 s to reward; then 10 s, and 2 s to send in each step."""
    rewarded = Work(1, 1, 0, constant(10), reward_s=3.0)
    plant = Plant(1, 1, SECOND, LearnerSpeed(), 0.0)
    assert step_of(rewarded, plant, ONE_STEP_OFF) == pytest.approx(13)
    assert step_of(rewarded, plant, partial_rollouts(1)) == pytest.approx(10)
    again = Plant(1, 1, EngineSpeed(1.0, prefill_s=0.5), LearnerSpeed(), 2.0)
    work = Work(1, 1, 4, constant(10))
    assert step_of(work, again, whole_batches(2)) == pytest.approx(0.5 * 4 + 10 + 2)
    # A response ends, the weights are sent while the next has its prompt alone: that twice.
    assert step_of(work, again, partial_rollouts(2)) == pytest.approx(2 * 0.5 * 4 + 10 + 2)


def test_new_weights_in_mid_response_cost_the_cache_again() -> None:
    replica = Replica(EngineSpeed(1.0, prefill_s=0.25), slots=2)
    replica.add([Response(0, 6, 9), Response(0, 6, 5)], 0.0)
    replica.pause(1.5 + 3.0, 2.0)  # a prompt, then three tokens each
    assert replica.clock == pytest.approx(1.5 + 3.0 + 2.0 + 0.25 * (2 * 6 + 2 * 3))
    assert replica.busy_s == pytest.approx(replica.clock - 2.0)


def test_a_long_tail_makes_a_synchronous_step_wait() -> None:
    """One response in 32 of 400 tokens, the others 4: a step is 400 iterations; with staleness the
    engine's rows fill up and a step takes about its tokens over its slots."""

    def draw(generator: np.random.Generator, step: int, number: int):
        return np.where(np.arange(number) % 32 == 0, 400, 4)

    plant, work = Plant(1, 4, SECOND, LearnerSpeed(), 0.0), Work(8, 4, 0, draw)
    assert step_of(work, plant, SYNCHRONOUS) >= 400
    most = (400 + 31 * 4) / 4
    assert most <= step_of(work, plant, first_finished(8)) < 1.3 * most


def test_rewards_queue_for_their_workers() -> None:
    """Eight responses end together; two workers take 3 s each: 12 s."""
    work = Work(2, 4, 0, constant(5), reward_s=3.0, reward_workers=2)
    plant = Plant(1, 8, SECOND, LearnerSpeed(), 0.0)
    outcome = simulate(work, plant, SYNCHRONOUS)
    assert outcome.step_s == pytest.approx(5 + 12)
    assert outcome.rewards_wait_s == pytest.approx((6 + 12) / 2)


def test_a_seed_decides_everything() -> None:
    plant, work = Plant(2, 8, SECOND, LearnerSpeed(9.0), 1.0), Work(6, 4, 0, spread)
    one, again, other = (simulate(work, plant, partial_rollouts(2), seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_a_log_normal_keeps_its_mean_and_limit() -> None:
    lengths = log_normal(7000, 32_768)
    assert lengths.mean == pytest.approx(7000, rel=1e-3)
    assert lengths.quantiles.max() == 32_768
    # The median of a log-normal is its mean / exp(sigma^2 / 2); the cut moves it by little.
    median = float(np.median(lengths.quantiles))
    assert median == pytest.approx(7000 / math.exp(0.32), rel=0.08)
    assert set(log_normal(64, 64).quantiles) == {64}


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """Timings and lengths of a real run of recipes/tiny/r1_zero.toml, 30 steps on two cores that
    others used as well."""
    values = json.loads(DEMO.read_text())
    lines = "".join(json.dumps(row) + "\n" for row in values["timings"])
    (tmp_path / "timings.jsonl").write_text(lines)
    (tmp_path / "rollouts").mkdir()
    for step, text in values["lengths"].items():
        tokens = [int(length) for length in text.split()]
        file = tmp_path / "rollouts" / f"step-{int(step):06}.parquet"
        pq.write_table(pa.table({"num_tokens": pa.array(tokens, pa.int32())}), file)
    return tmp_path


def test_lengths_are_those_of_the_run(demo: Path) -> None:
    lengths = measured(demo)
    assert len(lengths.quantiles) == 30 * 512
    assert lengths.mean == pytest.approx(94.3, abs=0.1)
    cut = measured(demo, limit=90)
    assert cut.quantiles.max() == 90
    assert "cut at 90" in cut.note
    drawn = lengths.draw(np.random.default_rng(0), 0, 20_000)
    assert drawn.mean() == pytest.approx(lengths.mean, rel=0.02)
    with pytest.raises(UserError, match="finished run"):
        measured(demo / "rollouts")


def test_half_of_a_real_run_predicts_the_other_half(demo: Path) -> None:
    """Predicted from lengths alone. Other work came and went on these cores: single steps of equal
    length differ by a third; their mean must be met within 15 %."""
    found = compare(demo, 16)
    assert [p.step for p in found.predictions] == list(range(15, 30))
    real = sum(p.real_s for p in found.predictions) / 15
    assert real == pytest.approx(8.58, abs=0.01)
    assert abs(found.mean_error) < 0.15
    assert found.typical_error < 0.20
    # Responses grow by a third over the run: a guess of "as before" is further off than the plan.
    rows = [r for r in json.loads(DEMO.read_text())["timings"] if "seconds/total" in r]
    before = [row["seconds/total"] for row in rows if row["step"] < 15]
    assert abs(np.mean(before) / real - 1) > abs(found.mean_error)


def test_lengths_are_a_draw() -> None:
    lengths = Lengths(np.array([3, 5]), "")
    assert set(lengths.draw(np.random.default_rng(0), 0, 100)) == {3, 5}
