"""The figures of an evaluation, and their wording for people."""

from __future__ import annotations

from typing import Literal, NamedTuple

from r1.intervals import Interval

Unit = Literal["share", "score", "tokens"]
_MINUS = "−"


class Metric(NamedTuple):
    """A figure. name: its key in evaluation.json. more, less: verb phrases for its difference."""

    name: str
    label: str
    unit: Unit
    more: str
    less: str
    same: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("pass_at_1", "pass@1", "share", "solves more", "solves less", "solves as much"),
        Metric("cons_at_k", "cons@k", "share", "solves more by vote", "solves less by vote",
               "solves as much by vote"),
        Metric("format", "format kept", "share", "keeps the format more often",
               "keeps the format less often", "keeps the format as often"),
        Metric("language", "in the asked language", "share", "keeps to the asked language better",
               "keeps to the asked language worse", "keeps to the asked language as well"),
        Metric("self_check_share", "self-checking", "share", "checks itself more often",
               "checks itself less often", "checks itself as often"),
        Metric("mean_length", "tokens a response", "tokens", "writes longer responses",
               "writes shorter responses", "writes responses as long"),
        Metric("helpful", "helpful, by the reward model", "score", "is scored more helpful",
               "is scored less helpful", "is scored as helpful"),
        Metric("harmless", "harmless, by the reward model", "score", "is scored more harmless",
               "is scored less harmless", "is scored as harmless"),
        Metric("rule_helpful", "helpful, by rule", "share",
               "passes the helpfulness rule more often", "passes the helpfulness rule less often",
               "passes the helpfulness rule as often"),
        Metric("rule_harmless", "harmless, by rule", "share",
               "passes the harmlessness rule more often", "passes the harmlessness rule less often",
               "passes the harmlessness rule as often"),
    )
}  # fmt: skip


def show(value: float, unit: Unit) -> str:
    """Format a value: 71.3%, 1.24, 61.3."""
    shown = {
        "share": f"{100 * value:.1f}%",
        "score": f"{value:.2f}",
        "tokens": f"{value:,.1f}",
    }[unit]
    return shown.replace("-", _MINUS)


def show_range(interval: Interval, unit: Unit) -> str:
    """Format a range: 68.0–74.4."""
    scale = 100 if unit == "share" else 1
    places = 2 if unit == "score" else 1
    low, high = (f"{scale * bound:,.{places}f}" for bound in (interval.low, interval.high))
    between = " to " if interval.low < 0 else "–"
    return f"{low}{between}{high}".replace("-", _MINUS)


def show_difference(interval: Interval, unit: Unit) -> str:
    """Format a difference: +12.3 points (95% interval 9.8 to 14.9)."""
    scale = 100 if unit == "share" else 1
    places = 2 if unit == "score" else 1
    noun = {"share": " points", "score": "", "tokens": " tokens"}[unit]
    value, low, high = (f"{scale * part:+,.{places}f}" for part in interval)
    return f"{value}{noun} (95% interval {low} to {high})".replace("-", _MINUS)


def as_json(interval: Interval | None) -> dict[str, float] | None:
    """Return {"value", "low", "high"}."""
    return None if interval is None else interval._asdict()
