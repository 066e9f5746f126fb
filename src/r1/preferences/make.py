"""Preferences for a reward model, made by a judge out of a checkpoint's responses (section 3.1).

    responses (responses.py) -> fit to judge? -> votes -> margin, or majority -> shards -> card

Pairs: four votes with A and B in an order drawn for each, kept where the mean differs by more than
the margin and lengths are comparable (r1.preferences.votes). Labels: safe or unsafe, by the
majority of the votes (r1.judge.safety). The judge reads the part that the reward model will score;
rows hold whole responses.

A call's votes are asked together, several calls at a time where the judge has the room; a prompt
is journalled as soon as its last vote is there. Resumed where it stopped (store.py, job.py).

Left out on purpose: prompts that overlap evaluation data (decontaminate them beforehand), rankings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from r1.config import dump
from r1.curation.card import CARD_JSON, CARD_MD, make_card
from r1.curation.curator import decisive
from r1.curation.filters import DROPPED
from r1.curation.job import Numbered, run_job
from r1.curation.journal import Record
from r1.curation.progress import DataEvents
from r1.curation.store import Store, Totals
from r1.data.rows import content_hash
from r1.judge.asker import NoVerdict
from r1.judge.batch import Found, VoteRequest, Votes
from r1.judge.verdict import Verdict
from r1.preferences.questions import (
    NO_VERDICT,
    SCHEMAS,
    VOTES,
    judging_figures,
    num_questions,
    questions_of,
)
from r1.preferences.responses import Answered, read_responses
from r1.preferences.settings import PreferenceSettings
from r1.rollout.engine_pool import calls_ahead
from r1.run_dir import atomic

_MARK = "#"
"""Parts a vote's id: the problem's, the number of the question, the vote."""


class Origins(NamedTuple):
    """Names and hashes of the checkpoint that wrote the responses, and of the judge."""

    source: str
    judge: str


def make_preferences(
    folder: Path,
    responses: Path,
    open_votes: Callable[[], AbstractContextManager[Votes]],
    settings: PreferenceSettings,
    origins: Origins,
    progress: DataEvents,
    total: int | None = None,
) -> dict[str, Any]:
    """Judge the data set in the folder `responses` into `folder`, or carry on there.

    open_votes: makes the judge ready; not called where all is judged. total: the number of
    prompts, for the time left. Returns the data card, also written as card.json and card.md.
    Raises UserError for the user's mistakes.
    """
    job = {
        "kind": "preferences",
        **origins._asdict(),
        "settings": decisive(dump(settings), "call.resume", "domains"),
    }
    with Store(folder, job, SCHEMAS[settings.objective], settings.shards) as store:
        if not store.complete:
            with open_votes() as votes:

                def process(call: list[Numbered[Answered]]) -> Iterator[Record]:
                    judged = [_Judgement(entry, settings, origins) for entry in call]
                    asked = [one for judgement in judged for one in judgement.asked()]
                    return _records(judged, votes.begin(asked))

                votes_of_call = (
                    settings.call.prompts * num_questions(settings) * settings.judging.votes
                )
                ahead = calls_ahead(votes.capacity, votes_of_call)
                items = read_responses(responses)
                run_job(store, items, _key, process, settings.call, progress, total, ahead)
        return _write_card(folder, store.totals, settings, origins)


def _key(answered: Answered) -> str:
    return f"{answered.problem_id}:{content_hash(repr(answered))}"


class _Judgement:
    """A prompt whose questions are being judged: their verdicts so far, vote by vote."""

    def __init__(
        self, entry: Numbered[Answered], settings: PreferenceSettings, origins: Origins
    ) -> None:
        self.entry, self.settings, self.origins = entry, settings, origins
        self.counts: Counter[str] = Counter({"problems": 1})
        self.questions = questions_of(entry.item, settings, self.counts)
        self.found: list[dict[int, Verdict]] = [{} for _ in self.questions]
        self.missing = len(self.questions) * settings.judging.votes

    def asked(self) -> Iterator[VoteRequest]:
        """Every vote to ask for."""
        for number, question in enumerate(self.questions):
            for vote in range(self.settings.judging.votes):
                id = f"{self.entry.item.problem_id}{_MARK}{number}{_MARK}{vote}"
                yield VoteRequest(id, question.task(vote), vote)

    def take(self, number: int, vote: int, found: Verdict | NoVerdict) -> None:
        """One vote on question `number`."""
        self.missing -= 1
        if isinstance(found, Verdict):
            self.found[number][vote] = found
            self.counts[VOTES] += 1
        else:
            self.counts[NO_VERDICT] += 1

    def record(self) -> Record:
        """What follows from the votes, once none is missing."""
        answered = self.entry.item
        rows = []
        for number, (question, found) in enumerate(zip(self.questions, self.found, strict=True)):
            # In the order of the votes: that in which they came is chance.
            columns = question.settle(sorted(found.items()), self.counts)
            if isinstance(columns, str):
                self.counts[DROPPED + columns] += 1
                continue
            rows.append(
                {
                    "id": f"{answered.problem_id}/{number}",
                    "problem_id": answered.problem_id,
                    "prompt": answered.prompt,
                    **columns,
                    "votes": len(found),
                    "family": answered.family,
                    "language": answered.language,
                    **self.origins._asdict(),
                }
            )
        self.counts["rows"] = len(rows)
        self.counts["solved"] = int(bool(rows))
        return Record(self.entry.number, self.entry.key, answered.family, dict(self.counts), rows)


def _records(judged: list[_Judgement], found: Iterator[Found]) -> Iterator[Record]:
    """Each prompt's record as soon as its last vote is there."""
    by_id = {judgement.entry.item.problem_id: judgement for judgement in judged}
    for judgement in judged:
        if not judgement.missing:
            yield judgement.record()
    for id, verdict in found:
        problem_id, number, vote = id.rsplit(_MARK, 2)
        judgement = by_id[problem_id]
        judgement.take(int(number), int(vote), verdict)
        if not judgement.missing:
            yield judgement.record()


def _write_card(
    folder: Path, totals: Totals, settings: PreferenceSettings, origins: Origins
) -> dict[str, Any]:
    """The card of a data set, and what the votes say of the judge."""
    card = make_card(totals, settings.domains, f"{settings.objective} preferences")
    sums: Counter[str] = Counter()
    for counts in totals.values():
        sums.update(counts)
    judging = judging_figures(sums)
    found = {**card.as_json(), "judging": {**origins._asdict(), **judging}}
    lines = [card.as_markdown(), "| Judging | |", "|---|---:|"]
    lines += [f"| {name} | {value:,.4g} |" for name, value in judging.items()]
    lines += ["", f"Responses: {origins.source}. Judge: {origins.judge}.", ""]
    atomic.write_json(folder / CARD_JSON, found)
    atomic.write_text(folder / CARD_MD, "\n".join(lines))
    return found
