"""Lengths: responses cut at the limit or by the context, and responses that only grow."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.samples import examples, form_of, read_with
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import ACCURACY, LEAST_STEPS, Row, RunView, SampledGroup, mean_length
from r1.types import Outcome


@check("truncated", "samples")
def truncated(view: RunView) -> Diagnosis | None:
    """Find that too many responses are cut at the token limit."""
    if view.main_part is None:
        return None
    cut = [row for row in view.rows if _is_cut_off(row)]
    share = len(cut) / len(view.rows)
    trend = view.trend(_cut_share)
    halved = trend.fell and trend.last < 0.5 * trend.first
    if share < threshold("truncated") or halved or view.main_trend.rose:
        return None
    limit = view.setting("sampling.max_new_tokens", 0)
    form = form_of(view)
    goes_on = sum(read_with(row, "tag", form) is not None for row in cut)
    remedy = f"sampling.max_new_tokens = {4 * limit} (now {limit})"
    if 2 * goes_on > len(cut):
        remedy = 'sampling.stop = ["</answer>"]: the answer is given, and the model goes on'
    return Diagnosis(
        "truncated",
        "Responses are cut at the token limit before they answer.",
        f"{len(cut)} of {len(view.rows)} samples of {view.steps_seen} reach the limit of "
        f"{limit} tokens; {goes_on} of these had given an answer",
        remedy,
        share,
        hopeless=view.nothing_learnt,
        examples=examples(cut),
        explains=("unparseable", "all_wrong", "form_dominates"),
    )


def _cut_share(group: SampledGroup) -> float:
    return sum(map(_is_cut_off, group.rows)) / len(group.rows)


def _is_cut_off(row: Row) -> bool:
    """Whether the limit took the answer: a response that is right all the same lost nothing."""
    right = row.get(f"outcome/{ACCURACY}") == Outcome.CORRECT
    return row["finish_reason"] == "length" and not right


@check("short_room", "samples")
def short_room(view: RunView) -> Diagnosis | None:
    """Find prompts that leave a response less than the limit."""
    limit = view.setting("sampling.max_new_tokens")
    if limit is None or view.of_algorithm("partial_rollouts", 0):
        return None
    cut = [r for r in view.rows if r["finish_reason"] == "length" and r["num_tokens"] < limit]
    share = len(cut) / len(view.rows)
    if share < threshold("short_room"):
        return None
    longest = max(len(row["prompt"]) for row in cut)
    room = min(row["num_tokens"] for row in cut)
    return Diagnosis(
        "short_room",
        "Prompts leave no room for a response in the model's context.",
        f"{len(cut)} of {len(view.rows)} samples of {view.steps_seen} were cut before "
        f"sampling.max_new_tokens = {limit}, the shortest after {room} tokens (its prompts have "
        f"up to {longest} characters)",
        "shorter problems (leave the longest out of data.train), or a model with a longer context"
        " (engine.vllm.max_model_len where it is set)",
        share,
        hopeless=view.nothing_learnt,
        examples=examples(cut),
        explains=("truncated", "unparseable", "all_wrong"),
    )


@check("length_hacking", "training")
def length_hacking(view: RunView) -> Diagnosis | None:
    """Find that responses grow and accuracy does not."""
    length = view.trend(mean_length)
    if (
        view.num_steps < LEAST_STEPS
        or not length.rose
        or length.last < threshold("longer") * length.first
    ):
        return None
    if view.main_part is None or view.main_trend.rose or view.reward_trend.fell:
        return None
    parts = [name for name in view.setting("rewards.weights", {}) if name != ACCURACY]
    paid = {name: _correlation_with_length(view, name) for name in parts}
    most = max(paid, key=lambda name: paid[name], default=None)
    limit = view.setting("sampling.max_new_tokens", 0)
    remedy = (
        f'{view.algorithm_key("overlong")} = "penalty" with '
        f"{view.algorithm_key('overlong_buffer')} = {max(1, limit // 4)}"
    )
    told = ""
    if most is not None and paid[most] > 0.5:
        told = f"; the reward {most!r} goes with length (correlation {paid[most]:.2f})"
        remedy = f"rewards.weights.{most} = 0, or {remedy}"
    return Diagnosis(
        "length_hacking",
        "Responses grow, and accuracy does not.",
        f"{length.first:.0f} tokens in the first steps, {length.last:.0f} in the last; accuracy "
        f"{view.main_trend.first:.0%} and {view.main_trend.last:.0%}{told}",
        remedy,
        1.0 - length.first / length.last,
        explains=("truncated", "form_dominates", "unparseable", "all_wrong"),
    )


def _correlation_with_length(view: RunView, part: str) -> float:
    pairs = [
        (float(row["num_tokens"]), row[f"reward/{part}"])
        for row in view.rows
        if row.get(f"reward/{part}") is not None
    ]
    return _correlation([a for a, _ in pairs], [b for _, b in pairs])


def _correlation(a: Sequence[float], b: Sequence[float]) -> float:
    if len(a) < 2 or len(set(a)) < 2 or len(set(b)) < 2:
        return 0.0
    return statistics.correlation(a, b)
