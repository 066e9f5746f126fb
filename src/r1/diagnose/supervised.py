"""Fine-tuning, DPO and reward models: the loss, what is learnt of each example, and length."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import RunView, Trend

LEAST_STEPS = 8
UNDECIDED = math.log(2.0)
"""The loss of a pair whose two responses have the same score, in nats."""


def _losses(view: RunView) -> Trend | None:
    """Compare the first and the last quarter of the steps; None for a short run.

    The noise of a batch is taken from neighbouring steps, between which the loss hardly moves:
    a quarter may be two steps, which know nothing of their own spread.
    """
    values = view.series("loss")
    if len(values) < LEAST_STEPS:
        return None
    quarter = len(values) // 4
    jumps = [(after - before) ** 2 for before, after in pairwise(values)]
    error = math.sqrt(sum(jumps) / len(jumps) / quarter)  # of a difference: 2 (jumps / 2) / n
    return Trend(sum(values[:quarter]) / quarter, sum(values[-quarter:]) / quarter, error)


@check("loss_rises", "supervised")
def loss_rises(view: RunView) -> Diagnosis | None:
    """Find a training loss that rises."""
    found = _losses(view)
    if found is None or found.first <= 0 or not found.rose:
        return None
    if found.last < threshold("loss_rose") * found.first:
        return None
    lr = view.setting("optimizer.lr", 0.0)
    return Diagnosis(
        "loss_rises",
        "The training loss rises: the learning rate is too high.",
        f"loss {found.first:.3g} in the first quarter of the steps, {found.last:.3g} in the last; "
        f"gradient norm {view.recent('grad_norm') or 0.0:.2g}",
        f"optimizer.lr = {lr / 10:g} (now {lr:g}), optimizer.warmup_steps = "
        f"{max(10, view.setting('optimizer.warmup_steps', 0))}",
        1.0,
        explains=("loss_flat",),
    )


@check("few_labels", "supervised")
def few_labels(view: RunView) -> Diagnosis | None:
    """Find examples of which hardly a token is learnt."""
    learnt, all_tokens = sum(view.series("tokens_learnt")), sum(view.series("tokens_processed"))
    if not learnt or learnt / all_tokens >= threshold("labels"):
        return None
    return Diagnosis(
        "few_labels",
        "Hardly any token of the examples is learnt.",
        f"{learnt:,.0f} of {all_tokens:,.0f} tokens are learnt; the rest are prompts",
        f'examples.turns = "all" (now "{view.setting("examples.turns", "all")}"), or examples '
        "whose assistant turns hold what is to be learnt",
        1.0 - learnt / all_tokens,
    )


@check("loss_flat", "supervised")
def loss_flat(view: RunView) -> Diagnosis | None:
    """Find a training loss that does not fall although there is something to learn."""
    if (found := _losses(view)) is None:
        return None
    first, last, error = found
    if first <= 0 or (first - last) / first >= threshold("loss_fell"):
        return None
    if (first - last + 2.0 * error) / first >= threshold("loss_may_fall"):
        return None
    pairs = bool(view.series("accuracy"))
    entropy = view.recent("entropy") or 0.0
    undecided = abs(last - UNDECIDED) < 0.05 * UNDECIDED
    if not (undecided if pairs else last > threshold("loss_excess") * entropy and last > 0.05):
        return None
    lr = view.setting("optimizer.lr", 0.0)
    against = "ln 2 = 0.693, the loss of a guess" if pairs else f"the model's entropy {entropy:.3g}"
    return Diagnosis(
        "loss_flat",
        "The training loss does not fall.",
        f"loss {first:.4g} in the first quarter of the steps, {last:.4g} in the last; {against}",
        f"optimizer.lr = {10 * lr:g} (now {lr:g}), or more epochs (batch.epochs)",
        0.9,
        explains=("rate_too_low",) if lr <= 0 else (),
    )


@check("length_margin", "supervised")
def length_margin(view: RunView) -> Diagnosis | None:
    """Find preferences that a count of tokens explains."""
    last: dict[str, Any] = view.evaluations[-1] if view.evaluations else {}
    parts = {
        name: part for name, part in last.get("by_length", {}).items() if part.get("num", 0) >= 8
    }
    if len(parts) < 2:
        return None
    values = {name: part["value"] for name, part in parts.items() if part.get("value") is not None}
    best, worst = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
    gap = values[best] - values[worst]
    if gap < threshold("by_length"):
        return None
    correlation = last.get("length_correlation")
    told = "" if correlation is None else f"; score and length correlate by {correlation:.2f}"
    remedy = "pairs of equal length, half with the shorter one chosen"
    if view.setting("loss.kind") == "dpo":
        remedy = f'loss.kind = "length_normalised" (now "dpo"), or {remedy}'
    return Diagnosis(
        "length_margin",
        "Length explains what is preferred.",
        f"held-out accuracy {values[best]:.0%} where {best}, {values[worst]:.0%} where "
        f"{worst}{told}",
        remedy,
        gap,
    )
