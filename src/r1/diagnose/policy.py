"""The policy: numbers that are not finite, steps too small or too large, entropy, and an engine
that samples from other weights."""

from __future__ import annotations

import math

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.samples import examples
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import RunView, SampledGroup, mean, mean_length

STUCK_FOR_GOOD = 0.99
USUAL_RATE = 3e-6
"""The paper's rate for R1-Zero; a small model takes a larger one."""


@check("not_finite", "any")
def not_finite(view: RunView) -> Diagnosis | None:
    """Find steps that were not taken because loss or gradients were not finite."""
    skipped = [
        row for row in view.metrics if row.get("skipped_steps") or row.get("loss", 0) is None
    ]
    if not skipped:
        return None
    first, lr = skipped[0]["step"] + 1, view.setting("optimizer.lr", 0.0)
    share = len(skipped) / view.num_steps
    return Diagnosis(
        "not_finite",
        "Loss or gradients are not finite, and those steps are not taken.",
        f"{len(skipped)} of {view.num_steps} steps, the first step {first}",
        f'optimizer.lr = {lr / 10:g} (now {lr:g}); learner.dtype = "float32" where it is '
        "bfloat16; look for broken weights in the model",
        share,
        hopeless=len(skipped) == view.num_steps and view.num_steps > 2,
        explains=("rate_too_high", "rate_too_low"),
    )


@check("stuck_weights", "any")
def stuck_weights(view: RunView) -> Diagnosis | None:
    """Find weights that a step of this rate cannot move in their dtype."""
    share = view.recent("stuck_share") or 0.0
    if share < threshold("stuck"):
        return None
    lr = view.setting("optimizer.lr", 0.0)
    return Diagnosis(
        "stuck_weights",
        "Most weights do not move: a step is lost in their rounding.",
        f"{share:.1%} of the weights are too coarse in {view.setting('learner.dtype')} for a step "
        f"of {lr:g}",
        'learner.dtype = "float32" with learner.autocast = true, or a larger optimizer.lr',
        share,
        hopeless=share > STUCK_FOR_GOOD,
        explains=("rate_too_low",),
    )


@check("rate_too_low", "any")
def rate_too_low(view: RunView) -> Diagnosis | None:
    """Find a rate at which no weight gets anywhere in the whole run."""
    if view.setting("optimizer.kind") != "adamw" or not view.series("lr"):
        return None
    known = view.done or view.setting("num_steps") is not None
    if not known:  # a run of epochs does not say how long it will be
        return None
    planned = max(view.num_steps, view.setting("num_steps", 0)) * _steps_a_batch(view)
    lr, largest = view.setting("optimizer.lr", 0.0), max(view.series("lr"))
    moves = (largest if view.done else lr) * planned
    if moves >= threshold("moved"):
        return None
    warmup = view.setting("optimizer.warmup_steps", 0)
    wanted = math.ceil(10 * threshold("moved") / max(lr, USUAL_RATE) / _steps_a_batch(view))
    remedy = f"num_steps = {wanted} or more" if view.last else "more epochs (batch.epochs)"
    if lr < USUAL_RATE:
        remedy = f"optimizer.lr = {USUAL_RATE:g} (now {lr:g}), the paper's, or larger"
    if largest < 0.1 * lr:
        remedy = f"optimizer.warmup_steps = 0 (now {warmup}): the run ends before it is over"
    return Diagnosis(
        "rate_too_low",
        "The policy does not move: its steps are too small.",
        f"AdamW moves a weight by at most {moves:.1e} in all {planned} optimiser steps; a usual "
        "weight is 0.02",
        remedy,
        1.0,
    )


def _steps_a_batch(view: RunView) -> int:
    return int(view.of_algorithm("num_minibatches", 1) * view.of_algorithm("num_epochs", 1))


@check("engine_gap", "training")
def engine_gap(view: RunView) -> Diagnosis | None:
    """Find an engine whose probabilities are not the learner's."""
    gap, capped = view.recent("engine_gap"), view.recent("importance_capped")
    if gap is None or gap < threshold("engine_gap"):
        return None
    cap = view.of_algorithm("importance_cap", 0.0)
    if cap and (capped or 0.0) < threshold("clipped"):
        return None
    begin = view.series("engine_gap")[0]
    engine, learner = view.setting("engine.dtype", "auto"), view.setting("learner.dtype", "float32")
    correct = f"{view.algorithm_key('importance_cap')} = 2.0"
    remedy = f'engine.dtype = "{learner}" (now "{engine}"), or {correct}'
    grows = begin < 0.1 * gap
    if grows:
        remedy = (
            "the weights do not reach the engine: look at the engine's log; "
            f"{correct} corrects what staleness explains"
        )
    return Diagnosis(
        "engine_gap",
        "The engine samples with other probabilities than the learner computes.",
        f"{gap:.2g} nats a token on average in the last steps, {begin:.2g} in the first; largest "
        f"{max(view.series('engine_gap_max'), default=0.0):.2g}; importance_cap = {cap:g}",
        remedy,
        min(1.0, gap),
        explains=("rate_too_high", "entropy_gone"),
    )


@check("rate_too_high", "training")
def rate_too_high(view: RunView) -> Diagnosis | None:
    """Find a policy that steps too large have broken."""
    trend, fell = view.reward_trend, view.reward_trend.fell
    best = view.fall_from_best
    if best.first - best.last > 3.0 * best.error:  # the best of many steps is so by chance as well
        trend, fell = best, True
    fell = fell and trend.first > 0 and trend.last < threshold("fell") * trend.first
    strong, signs = _signs_of_large_steps(view), _signs_of_change(view)
    if not (fell and (strong or signs)) and (len(strong) < 2 or view.main_trend.rose):
        return None
    when = "at its best" if trend is best else "in the first steps"
    lr = view.setting("optimizer.lr", 0.0)
    return Diagnosis(
        "rate_too_high",
        "The learning rate is too high: the policy breaks.",
        f"reward {trend.first:.2f} {when}, {trend.last:.2f} in the last steps; "
        + "; ".join([*strong, *signs]),
        f"optimizer.lr = {lr / 10:g} (now {lr:g}), "
        f"optimizer.warmup_steps = {max(2, view.setting('optimizer.warmup_steps', 0))}",
        max(0.5, 1.0 - trend.last / trend.first) if trend.first > 0 else 0.5,
        hopeless=view.nothing_learnt,
        examples=examples(view.rows),
        explains=(
            "unparseable", "all_wrong", "truncated", "entropy_gone", "form_dominates",
            "length_hacking",
        ),
    )  # fmt: skip


def _signs_of_large_steps(view: RunView) -> list[str]:
    """Return what only steps that are too large bring about, with numbers."""
    signs = []
    if (kl := view.recent("kl")) is not None and kl > threshold("kl"):
        signs.append(f"KL {kl:.2g} nats a token")
    clipped = (view.recent("clip_low") or 0.0) + (view.recent("clip_high") or 0.0)
    if clipped > threshold("clipped"):
        signs.append(f"{clipped:.0%} of the tokens clipped")
    if (grown := _change(view, "grad_norm")) and grown[1] > threshold("grown") * grown[0]:
        signs.append(f"gradient norm {grown[0]:.2g} at first, {grown[1]:.2g} now")
    return signs


def _signs_of_change(view: RunView) -> list[str]:
    """Return what also changes in runs that learn, with numbers: entropy and length."""
    signs, limit = [], threshold("grown")
    if (moved := _change(view, "entropy")) and not 1 / limit < moved[1] / moved[0] < limit:
        signs.append(f"entropy {moved[0]:.2g} at first, {moved[1]:.2g} now")
    length = view.trend(mean_length)
    if length.first > 0 and not 0.5 < length.last / length.first < 2.0:
        signs.append(f"{length.first:.0f} tokens a response at first, {length.last:.0f} now")
    return signs


def _change(view: RunView, key: str) -> tuple[float, float] | None:
    """Return a metric of the first step and of the last ones; None where it says nothing."""
    values, recent = view.series(key), view.recent(key)
    if len(values) < 2 or recent is None or values[0] <= 0:
        return None
    return values[0], recent


@check("entropy_gone", "training")
def entropy_gone(view: RunView) -> Diagnosis | None:
    """Find a policy whose samples are copies of each other, and not right."""
    entropy = view.recent("entropy") or 0.0  # of nothing that was trained none is measured
    distinct = mean(_distinct_share(group) for group in view.last)
    solved = view.main_trend.last >= threshold("ceiling")
    if distinct is None or solved or view.main_trend.rose:
        return None
    if entropy > threshold("entropy") or distinct > threshold("distinct"):
        return None
    begin = next(iter(view.series("entropy")), 0.0)
    temperature = view.setting("sampling.temperature", 1.0)
    key, low_from_the_start = view.algorithm_key("clip_high"), begin <= 2 * entropy
    remedy = f"{key} = 0.28, {view.algorithm_key('kl_weight')} = 0.001, or half of optimizer.lr"
    if temperature < 1.0:
        remedy = f"sampling.temperature = 1.0 (now {temperature:g})"
    elif low_from_the_start:
        remedy = (
            "start from an earlier checkpoint: this one answers in one way only; "
            f"or sampling.temperature = {temperature + 0.3:g}"
        )
    return Diagnosis(
        "entropy_gone",
        "The policy has one answer to each problem: its samples are copies.",
        f"entropy {entropy:.2g} nats a token ({begin:.2g} in step 1); of a group's samples "
        f"{distinct:.0%} differ",
        remedy,
        1.0 - distinct,
        hopeless=view.nothing_learnt,
        examples=examples(view.last[0].rows),
        explains=("all_wrong", "all_right", "form_dominates", "truncated"),
    )


def _distinct_share(group: SampledGroup) -> float:
    return len({row["text"] for row in group.rows}) / len(group.rows)
