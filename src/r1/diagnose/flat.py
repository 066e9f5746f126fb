"""A run in which nothing else is found, and that has not got better either."""

from __future__ import annotations

import math

from r1.diagnose.diagnosis import Diagnosis, check
from r1.diagnose.thresholds import threshold
from r1.diagnose.view import WINDOW, RunView

LEAST_STEPS_OF_A_RISE = 2 * WINDOW
"""Of fewer steps a rise is not to be expected."""


@check("no_rise", "training", slow=True)
def no_rise(view: RunView) -> Diagnosis | None:
    """Find that neither accuracy nor reward is higher in the last steps than noise makes it."""
    trend = view.main_trend
    if view.num_steps < LEAST_STEPS_OF_A_RISE or not math.isfinite(trend.error):
        return None
    if trend.rose or view.reward_trend.rose or trend.last >= threshold("ceiling"):
        return None
    share = view.main_part is not None
    what, scale, unit = ("accuracy", 100.0, " %") if share else ("reward", 1.0, "")
    first, last, noise = (scale * x for x in (trend.first, trend.last, 2.0 * trend.error))
    rate = view.setting("optimizer.lr")
    problems, samples = view.algorithm_key("num_problems"), view.algorithm_key("group_size")
    return Diagnosis(
        "no_rise",
        f"No rise of the {what} can be told from noise.",
        f"{what} {first:.3g}{unit} in the first steps, {last:.3g}{unit} in the last of "
        f"{view.num_steps:,}; {noise:.2g}{unit and ' points'} of difference may be chance"
        f"{_held_out(view)}",
        f"more steps, or a larger optimizer.lr{'' if rate is None else f' (now {rate:g})'}; more "
        f"problems or samples a step ({problems}, {samples}), which lessen the noise",
        0.0,
    )


def _held_out(view: RunView) -> str:
    """Return pass@1 of the first and the last evaluation, in words."""
    rates = [found["pass_at_1"] for found in view.evaluations if found.get("pass_at_1")]
    known = [rate["value"] for rate in rates if rate.get("value") is not None]
    if len(known) < 2:
        return ""
    return f"; held-out pass@1 {known[0]:.1%}, then {known[-1]:.1%}"
