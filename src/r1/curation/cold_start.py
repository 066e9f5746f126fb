"""Cold-start traces by the paper's first three sources (§2.3.1 and supplement).

    prompted.py        few-shot with long chains of thought, or direct with reflection and
                       verification: a general model writes, rules keep what is right and readable
    rejection.py       R1-Zero at T = 1: correct, one language, no repetition
    refined.py         those, rewritten by a general model in the question's language, summarised,
                       and verified again: the same final answer in the right language, or dropped

The fourth source, people, is review_export.py and review_import.py; what they wrote can stand as
the few-shot examples of further traces. Every data set here is a folder of its own, with the
columns, the card and the resuming of rejection sampling; mixture.py joins them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from r1.config import dump
from r1.curation.curator import Rules, decisive
from r1.curation.generate import Generate
from r1.curation.job import problem_key
from r1.curation.scoring import ReadingScorer
from r1.curation.settings import ColdStartSettings
from r1.data.rows import content_hash
from r1.rewards.registry import PromptForm
from r1.types import Problem


class General(NamedTuple):
    """The general model: its callable, its name (for lineage), and how tokens are counted.

    capacity: samples that it draws together where it has a queue (r1.rollout.engine_pool); then
    generate is called from several threads.
    """

    generate: Generate
    name: str
    count_tokens: Callable[[str], int]
    capacity: int = 0


def rules_of(settings: ColdStartSettings, scorer: ReadingScorer, name: str, origin: str) -> Rules:
    """What decides which of a general model's responses are kept."""
    return Rules(
        sampled=settings.pattern,
        written=settings.pattern,
        filters=settings.filters,
        keep=settings.keep,
        seed=settings.seed,
        form=PromptForm(),
        rewards=scorer.settings,
        source=name,
        origin=origin,
    )


def job_of(
    settings: ColdStartSettings,
    kind: str,
    name: str,
    scorer: ReadingScorer,
    heldout: Sequence[Problem],
) -> dict[str, Any]:
    """What a data set of this kind is made of (see r1.curation.store)."""
    unused = ["domains", "filters.num_workers", "call.resume"]
    unused += {"few-shot": ["direct"], "direct": ["few_shot"]}.get(kind, [])
    return {
        "kind": kind,
        "source": name,
        "settings": decisive(dump(settings), *unused),
        "rewards": sorted(scorer.settings.names),
        "heldout": sorted(problem_key(problem) for problem in heldout),
    }


def hash_of_texts(value: Any) -> str:
    """A short hash of nested lists of texts and numbers."""
    return content_hash(repr(value))
