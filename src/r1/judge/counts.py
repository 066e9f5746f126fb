"""Counts of the exchanges between the judge and its model, for metrics and for people."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from r1.judge.budget import TokenUsage


@dataclass(slots=True)
class JudgeCounts:
    """Sums since the counts were last taken.

    requests: sent to the model, whatever came of them; replies = paid for and kept.
    from_cache: replies found on disk. shared: asked while the same request was under way.
    failures: tries without reply, by cause ("429", "500", "timeout", "truncated", ...).
    malformed: replies without verdict, by defect; a cached one counts again where it is read.
    read: replies read, whoever paid for them and when, with their tokens.
    gave_up: requests whose last try failed, by cause.
    """

    requests: int = 0
    from_cache: int = 0
    shared: int = 0
    verdicts: int = 0
    usage: TokenUsage = field(default_factory=TokenUsage)
    read: TokenUsage = field(default_factory=TokenUsage)
    failures: Counter[str] = field(default_factory=Counter)
    malformed: Counter[str] = field(default_factory=Counter)
    gave_up: Counter[str] = field(default_factory=Counter)

    def as_metrics(self) -> dict[str, float]:
        """Return `judge/…` figures for timings.jsonl, under `pool/`; none if nothing was asked."""
        if self == JudgeCounts():
            return {}
        sums = {
            "requests": self.requests,
            "replies": self.usage.requests,
            "from_cache": self.from_cache,
            "shared": self.shared,
            "verdicts": self.verdicts,
            "tokens_in": self.usage.tokens_in,
            "tokens_out": self.usage.tokens_out,
        }
        tables = {"failed": self.failures, "malformed": self.malformed, "gave_up": self.gave_up}
        by_cause = {
            f"judge/{table}/{cause}": float(number)
            for table, counter in tables.items()
            for cause, number in sorted(counter.items())
        }
        return {f"judge/{name}": float(number) for name, number in sums.items()} | by_cause
