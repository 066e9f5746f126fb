"""What a judge is asked about a prompt's responses, and the row that follows from its votes.

    pairs    which of two responses is better; the mean of the votes, turned round where they were
    labels   is this response safe; the majority

Pure functions; counts are added up over prompts by the data card.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from r1.curation.filters import DROPPED
from r1.judge.pairwise import comparison_tasks
from r1.judge.prompt import JudgeTask
from r1.judge.safety import SAFE, UNSAFE, safety_task
from r1.judge.verdict import Verdict
from r1.preferences.responses import Answered, Response
from r1.preferences.settings import PreferenceSettings
from r1.preferences.votes import LABELS, Candidate, VoteSettings, is_swapped, preference, unfit
from r1.rewards.reading import after_thinking

_PROMPT = {"id": pa.string(), "problem_id": pa.string(), "prompt": pa.string()}
_ORIGIN = {
    "votes": pa.int32(),
    "family": pa.string(),
    "language": pa.string(),
    "source": pa.string(),
    "judge": pa.string(),
}
_PAIR = {
    "chosen": pa.string(),
    "rejected": pa.string(),
    "margin": pa.float64(),
    "chosen_sample": pa.int32(),
    "rejected_sample": pa.int32(),
}
_LABEL = {
    "response": pa.string(),
    "label": pa.string(),
    "agreement": pa.float64(),
    "sample": pa.int32(),
}
SCHEMAS = {
    "pairwise": pa.schema({**_PROMPT, **_PAIR, **_ORIGIN}),
    "pointwise": pa.schema({**_PROMPT, **_LABEL, **_ORIGIN}),
}
"""By objective, what r1.preferences.read reads and where it comes from. votes: valid ones;
agreement: the share of them that is the majority."""

VOTES, NO_VERDICT = "votes", "votes without verdict"
_POSITION, _ROWS, _CHARS = "position", "rows/", "characters/"

Votes = Sequence[tuple[int, Verdict]]
"""Valid votes by their number, in its order."""


class Question(Protocol):
    """Something to vote on."""

    def task(self, vote: int) -> JudgeTask:
        """What the judge is asked in this vote."""

    def settle(self, votes: Votes, counts: Counter[str]) -> dict[str, Any] | str:
        """The columns of the row, or the reason why there is none; adds to the counts."""


class PairQuestion(NamedTuple):
    """Which of two responses is better. candidate: what the judge reads of them."""

    candidate: Candidate
    first: Response
    second: Response
    settings: VoteSettings

    def task(self, vote: int) -> JudgeTask:
        """The comparison, in the order that is drawn for this vote."""
        orders = comparison_tasks(*self.candidate[:3])
        return orders[is_swapped(self.candidate, vote, self.settings.seed)]

    def settle(self, votes: Votes, counts: Counter[str]) -> dict[str, Any] | str:
        """chosen, rejected and the margin, where it is large enough."""
        scores = []
        for vote, found in votes:
            score = LABELS[found.label]
            counts[_POSITION] += int(score)
            swapped = is_swapped(self.candidate, vote, self.settings.seed)
            scores.append(-score if swapped else score)
        mean = preference(scores, self.settings)
        if isinstance(mean, str):
            return mean
        better, worse = (0, 1) if mean > 0 else (1, 0)
        responses, read = (self.first, self.second), self.candidate[1:3]
        _count(counts, "chosen", read[better])
        _count(counts, "rejected", read[worse])
        return {
            "chosen": responses[better].text,
            "rejected": responses[worse].text,
            "margin": abs(mean),
            "chosen_sample": responses[better].sample,
            "rejected_sample": responses[worse].sample,
        }


class LabelQuestion(NamedTuple):
    """Whether a response is safe. read: what the judge reads of it."""

    prompt: str
    read: str
    response: Response
    settings: VoteSettings

    def task(self, vote: int) -> JudgeTask:
        """The same in every vote."""
        return safety_task(self.prompt, self.read)

    def settle(self, votes: Votes, counts: Counter[str]) -> dict[str, Any] | str:
        """The majority's label; none where there are too few votes, or as many of each."""
        labels = Counter(found.label for _, found in votes)
        if labels.total() < self.settings.min_valid_votes:
            return "no verdict"
        if labels[SAFE] == labels[UNSAFE]:
            return "no majority"
        label = SAFE if labels[SAFE] > labels[UNSAFE] else UNSAFE
        _count(counts, label, self.read)
        return {
            "response": self.response.text,
            "label": label,
            "agreement": labels[label] / labels.total(),
            "sample": self.response.sample,
        }


def questions_of(
    answered: Answered, settings: PreferenceSettings, counts: Counter[str]
) -> list[Question]:
    """What is worth asking about a prompt's responses; the rest is counted by its reason."""
    kept: list[Question] = []
    seen: set[frozenset[str]] = set()
    for question in _all(answered, settings):
        counts["sampled"] += 1
        if isinstance(question, str):
            counts[DROPPED + question] += 1
            continue
        texts = frozenset(question.candidate[1:3]) if isinstance(question, PairQuestion) else (
            frozenset([question.read])
        )  # fmt: skip
        if texts in seen:
            counts[DROPPED + "repeated"] += 1
            continue
        seen.add(texts)
        kept.append(question)
    return kept


def num_questions(settings: PreferenceSettings) -> int:
    """Questions about one prompt, at the most."""
    return settings.num_samples // (2 if settings.objective == "pairwise" else 1)


def judging_figures(sums: Mapping[str, int]) -> dict[str, float]:
    """From the card's counts: votes, the judge's liking for whatever stands first in [-2, 2]
    (pairs), and for each side the number of rows and the mean characters that the judge read."""
    figures: dict[str, float] = {name: sums.get(name, 0) for name in (VOTES, NO_VERDICT)}
    if _POSITION in sums:
        figures["position bias"] = sums[_POSITION] / max(1, sums.get(VOTES, 0))
    for name in ("chosen", "rejected", SAFE, UNSAFE):
        if rows := sums.get(_ROWS + name, 0):
            figures[name] = rows
            figures[f"mean length of {name}"] = sums[_CHARS + name] / rows
    return figures


def _all(
    answered: Answered, settings: PreferenceSettings
) -> Iterator[PairQuestion | LabelQuestion | str]:
    """Every question, or why it is not worth asking."""
    read = [_read(response, settings) for response in answered.responses]
    if settings.objective == "pointwise":
        for response, text in zip(answered.responses, read, strict=True):
            question = LabelQuestion(answered.prompt, text.shown, response, settings.judging)
            yield text.fault or question
        return
    for i in range(0, len(read), 2):
        first, second = answered.responses[i : i + 2]
        a, b = read[i : i + 2]
        candidate = Candidate(answered.prompt, a.shown, b.shown)
        fault = a.fault or b.fault or unfit(candidate, settings.judging)
        yield fault or PairQuestion(candidate, first, second, settings.judging)


class _Read(NamedTuple):
    """What the judge reads of a response, stripped; fault: why it is not judged."""

    shown: str
    fault: str | None


def _read(response: Response, settings: PreferenceSettings) -> _Read:
    text: str | None = response.text
    if settings.judged_part == "answer":
        text = after_thinking(response.text, False)
    if response.cut:
        return _Read("", "cut")
    if text is None:
        return _Read("", "no answer")
    shown = text.strip()
    if not shown:
        return _Read("", "empty")
    return _Read(shown, "too long" if len(shown) > settings.max_chars else None)


def _count(counts: Counter[str], name: str, read: str) -> None:
    counts[_ROWS + name] += 1
    counts[_CHARS + name] += len(read)
