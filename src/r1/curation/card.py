"""The data card: what a data set holds, domain by domain, and why the rest was dropped.

The first columns are those of the paper's table 5 (supplement): domain, samples, mean tokens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NotRequired

from typing_extensions import TypedDict

from r1.curation.filters import DROPPED
from r1.curation.journal import SAMPLED_TOKENS
from r1.curation.store import Totals
from r1.files.shapes import open_shape
from r1.run_dir import atomic

CARD_JSON, CARD_MD = "card.json", "card.md"
TOTAL = "total"


@dataclass(slots=True)
class Domain:
    """One line of the card.

    mean_tokens is over the samples whose tokens were counted; None where there are none.
    sampled_tokens: of every response that was drawn for the data, those of dropped ones included.
    dropped: samples by reason; sampled = samples + sum of dropped, where samples were drawn.
    """

    domain: str
    prompts: int = 0
    prompts_kept: int = 0
    contaminated: int = 0
    sampled: int = 0
    sampled_tokens: int = 0
    samples: int = 0
    mean_tokens: float | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    thoughts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class CardSource:
    """A data set that went into a mixture; dropped is what its own card says, where it has one."""

    name: str
    available: int
    taken: int
    dropped: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Card:
    """The domains by name, their total, and for a mixture its sources."""

    title: str
    domains: list[Domain]
    total: Domain
    sources: list[CardSource] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The card, JSON-serialisable."""
        return asdict(self)

    def as_markdown(self) -> str:
        """The card as two tables."""
        lines = [f"# {self.title}", "", "| Domain | Samples | Mean tokens | Prompts |"]
        lines += ["|---|---:|---:|---:|"]
        for row in [*self.domains, self.total]:
            mean = "" if row.mean_tokens is None else f"{row.mean_tokens:,.0f}"
            prompts = f"{row.prompts_kept:,}" if self.total.prompts else ""
            lines.append(f"| {row.domain} | {row.samples:,} | {mean} | {prompts} |")
        if self.total.sampled:
            lines += ["", *self._dropped()]
        if self.total.contaminated:
            lines += ["", f"Overlapping evaluation data: {self.total.contaminated:,} prompts."]
        if self.total.thoughts:
            lines += ["", *self._thoughts()]
        if self.sources:
            lines += ["", *self._sources()]
        return "\n".join(lines) + "\n"

    def _dropped(self) -> list[str]:
        """Reasons down, domains across."""
        columns = [*self.domains, self.total]
        lines = ["| | " + " | ".join(row.domain for row in columns) + " |"]
        lines += ["|---|" + "---:|" * len(columns)]

        def line(name: str, values: list[int]) -> None:
            lines.append(f"| {name} | " + " | ".join(f"{value:,}" for value in values) + " |")

        line("sampled", [row.sampled for row in columns])
        for reason in sorted(self.total.dropped, key=lambda r: (-self.total.dropped[r], r)):
            line(reason, [row.dropped.get(reason, 0) for row in columns])
        line("kept", [row.sampled - sum(row.dropped.values()) for row in columns])
        if self.total.sampled_tokens:
            line("tokens sampled", [row.sampled_tokens for row in columns])
        return lines

    def _thoughts(self) -> list[str]:
        lines = ["| Chain of thought | Samples |", "|---|---:|"]
        return lines + [f"| {name} | {n:,} |" for name, n in sorted(self.total.thoughts.items())]

    def _sources(self) -> list[str]:
        lines = ["| Source | Rows | Taken | Dropped before |", "|---|---:|---:|---|"]
        for source in self.sources:
            why = ", ".join(f"{name} {n:,}" for name, n in source.dropped.items())
            lines.append(f"| {source.name} | {source.available:,} | {source.taken:,} | {why} |")
        return lines


@open_shape
class _TotalMark(TypedDict):
    samples: int
    prompts: int
    sampled: int
    sampled_tokens: NotRequired[int]
    dropped: dict[str, int]


@open_shape
class CardFile(TypedDict):
    """What is read of card.json."""

    total: _TotalMark


def make_card(totals: Totals, domains: Mapping[str, str], title: str) -> Card:
    """Add up the families of each domain."""
    sums: dict[str, Counter[str]] = {}
    for family, counts in totals.items():
        sums.setdefault(domains.get(family, family), Counter()).update(counts)
    everything: Counter[str] = Counter()
    for counts in sums.values():
        everything.update(counts)
    return Card(
        title,
        [_domain(name, sums[name]) for name in sorted(sums)],
        _domain(TOTAL, everything),
    )


def write_card(
    folder: Path,
    totals: Totals,
    domains: Mapping[str, str],
    title: str,
    sources: Sequence[CardSource] = (),
) -> Card:
    """Write card.json and card.md into a data set's folder and return the card."""
    card = make_card(totals, domains, title)
    card.sources = list(sources)
    atomic.write_json(folder / CARD_JSON, card.as_json())
    atomic.write_text(folder / CARD_MD, card.as_markdown())
    return card


def _domain(name: str, counts: Counter[str]) -> Domain:
    return Domain(
        domain=name,
        prompts=counts["problems"],
        prompts_kept=counts["solved"],
        contaminated=counts["contaminated"],
        sampled=counts["sampled"],
        sampled_tokens=counts[SAMPLED_TOKENS],
        samples=counts["rows"],
        mean_tokens=counts["tokens"] / counts["counted"] if counts["counted"] else None,
        dropped=_named(counts, DROPPED),
        thoughts=_named(counts, "thought/"),
    )


def _named(counts: Counter[str], prefix: str) -> dict[str, int]:
    found = {k.removeprefix(prefix): n for k, n in counts.items() if k.startswith(prefix)}
    return dict(sorted(found.items()))
