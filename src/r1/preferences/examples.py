"""What a step learns from pairs and labelled responses, as token ids, and the rows it is packed in.

A pair is never split: both responses share one prompt in one row, so that a loss on their
difference needs one pass and any split into rows gives the gradient of one big batch.

Shapes: R responses of a row.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from r1.errors import UserError
from r1.learner.microbatch import IndexedResponse, MicroBatch, split_microbatches
from r1.preferences.types import Pair, Preference, Preferences
from r1.types import TrainResponse


class PreferenceExample(NamedTuple):
    """What a step learns from: a pair (chosen, rejected) with its margin, or one response with
    its label (1.0 or 0.0) as the target. They share the prompt.

    ends, targets: of a response whose steps are labelled, the last token of each and its label, NaN
    where it has none.
    """

    prompt_ids: tuple[int, ...]
    responses: tuple[array[int], ...]
    target: float
    source: Preference
    ends: tuple[int, ...] = ()
    targets: tuple[float, ...] = ()

    @property
    def num_tokens(self) -> int:
        """Row tokens that it takes."""
        return len(self.prompt_ids) + sum(map(len, self.responses))

    @property
    def num_scores(self) -> int:
        """Scores that a model gives it: one a response, or one a step."""
        return len(self.ends) or len(self.responses)

    def scored_at(self, place: int) -> tuple[int, ...]:
        """Return the tokens of a response at which it is scored."""
        return self.ends or (len(self.responses[place]) - 1,)


class PreferenceRow(NamedTuple):
    """A row's content; owners: which example of the batch, and which of its responses, each of the
    R responses is."""

    content: MicroBatch
    owners: list[tuple[int, int]]


def pack_preferences(
    examples: Sequence[PreferenceExample],
    budget: int,
    response_of: Callable[[array[int]], TrainResponse],
) -> list[PreferenceRow]:
    """Pack a batch into rows of at most `budget` tokens, or of its longest pair's, never cut.

    Labelled responses of one prompt share it, and so do the two of a pair. response_of: makes a
    packed response of token ids.
    """
    flat: list[IndexedResponse] = []
    owners: list[tuple[int, int]] = []
    groups: dict[tuple[int, ...], int] = {}
    for number, example in enumerate(examples):
        alone = len(example.responses) == 1
        group = groups.setdefault(example.prompt_ids, number) if alone else number
        for place, token_ids in enumerate(example.responses):
            response = response_of(token_ids)
            flat.append(IndexedResponse(len(flat), group, example.prompt_ids, response))
            owners.append((number, place))
    # A pair is never cut in two. Memory must hold the longest, so other rows may be as long.
    largest = max(
        (example.num_tokens for example in examples if len(example.responses) > 1), default=0
    )
    return [
        PreferenceRow(micro, [owners[index] for index in micro.indices])
        for micro in split_microbatches(flat, max(budget, largest))
    ]


def without_heldout(
    train: Sequence[Preferences], heldout: Sequence[Preferences]
) -> tuple[list[Preferences], list[str]]:
    """Return training data without the rows that are held out, and a notice of how many.

    Raises UserError where none is left.
    """
    kept_out = {_content(item) for found in heldout for item in found.items}
    cleaned, removed = [], 0
    for found in train:
        keep = [n for n, item in enumerate(found.items) if _content(item) not in kept_out]
        removed += len(found.items) - len(keep)
        cleaned.append(
            found._replace(rows=[found.rows[n] for n in keep], items=[found.items[n] for n in keep])
        )
    notices = []
    if removed and not any(found.items for found in cleaned):
        raise UserError(
            "every training row is held out too; give data.heldout other rows, or leave it out."
        )
    if removed:
        notices.append(f"{removed} training rows are held out too; they were left out of training.")
    return cleaned, notices


def tokens_sha256(items: Iterable[PreferenceExample]) -> str:
    """SHA-256 of token ids and targets, in their order."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(repr((item.prompt_ids, item.target)).encode())
        if item.ends:
            digest.update(repr((item.ends, item.targets)).encode())
        for ids in item.responses:
            digest.update(ids.tobytes())
    return digest.hexdigest()


def _content(item: Preference) -> tuple[str, ...]:
    """A pair whichever way round, or a response whatever its label."""
    if isinstance(item, Pair):
        return (item.context, *sorted((item.chosen, item.rejected)))
    return (item.context, item.response)
