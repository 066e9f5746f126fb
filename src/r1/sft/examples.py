"""All examples of a run as three flat arrays: 5 bytes a token, whatever their number.

Legend: E examples, T tokens of all of them together.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from r1.data.layouts import unread_notice
from r1.data.rows import FaultyRows, RowError, name_of
from r1.errors import UserError
from r1.sft.encode import ConversationEncoder, EncodedExample
from r1.sft.read import check_source, conversations
from r1.sft.rows import Conversation
from r1.sft.settings import ExampleSource

ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class Examples:
    """token_ids_T: uint32, learnt_T: bool; example e is [starts[e], starts[e + 1]).

    Each example ends with a learnt token. counts: what was "truncated" or "dropped" as over-long,
    how many examples are "open" (their last learnt token is not the end token), and how many were
    left out as "heldout".
    """

    token_ids_T: np.ndarray
    learnt_T: np.ndarray
    starts: np.ndarray
    counts: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each example, E of them."""
        return np.diff(self.starts)

    @property
    def num_learnt(self) -> int:
        """Tokens that are learnt."""
        return int(self.learnt_T.sum())

    def token_ids(self, index: int) -> np.ndarray:
        """The tokens of one example."""
        return self.token_ids_T[self.starts[index] : self.starts[index + 1]]

    def learnt(self, index: int) -> np.ndarray:
        """Which of them are learnt."""
        return self.learnt_T[self.starts[index] : self.starts[index + 1]]

    def part(self, indices: Sequence[int]) -> Examples:
        """Some examples alone, in the order given."""
        return Examples(
            np.concatenate([self.token_ids(index) for index in indices]),
            np.concatenate([self.learnt(index) for index in indices]),
            np.cumsum([0, *(self.lengths[index] for index in indices)]),
        )

    def without(self, heldout: Examples) -> Examples:
        """The examples whose tokens are those of no held-out one; counts["heldout"]: the others.

        Raises UserError where none is left.
        """
        held = {heldout.token_ids(index).tobytes() for index in range(len(heldout))}
        keep = [n for n in range(len(self)) if self.token_ids(n).tobytes() not in held]
        if len(keep) == len(self):
            return self
        if not keep:
            raise UserError(
                "every training example is held out too; give data.heldout other examples, or "
                "leave it out."
            )
        return replace(self.part(keep), counts={**self.counts, "heldout": len(self) - len(keep)})

    def fingerprint(self) -> str:
        """SHA-256 of everything in here: the data a run must be carried on with."""
        digest = hashlib.sha256()
        for values in (self.token_ids_T, self.learnt_T, self.starts):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


class Collector:
    """Grows the arrays example by example."""

    def __init__(self, encoder: ConversationEncoder, max_tokens: int) -> None:
        self.encoder = encoder
        self.max_tokens = max_tokens
        self.token_ids, self.learnt, self.starts = array("I"), bytearray(), array("q", [0])
        self.counts = {"truncated": 0, "dropped": 0, "open": 0}

    def __len__(self) -> int:
        return len(self.starts) - 1

    def add(self, encoded: EncodedExample) -> None:
        """Add one; RowError where it is over-long and that is to be refused."""
        token_ids, learnt = encoded
        policy = self.encoder.settings.overlong
        if len(token_ids) > self.max_tokens:
            if policy == "refuse":
                raise RowError(
                    f"{len(token_ids)} tokens, above the limit of {self.max_tokens} "
                    '(batch.max_tokens); shorten it, or set examples.overlong = "drop" or '
                    '"truncate"'
                )
            token_ids, learnt = token_ids[: self.max_tokens], learnt[: self.max_tokens]
            if policy == "drop" or not any(learnt):
                self.counts["dropped"] += 1
                return
            self.counts["truncated"] += 1
        elif token_ids[-1] != self.encoder.tokenizer.eos_token_id:
            self.counts["open"] += 1
        end = len(learnt) - learnt[::-1].index(True)
        learnt = [False, *learnt[1:end]]  # nothing precedes the first token to predict it from
        assert any(learnt), "an example without a learnt token"
        self.token_ids.extend(token_ids[:end])
        self.learnt.extend(learnt)
        self.starts.append(self.starts[-1] + end)

    def result(self) -> Examples:
        """The arrays of all that was added."""
        return Examples(
            np.frombuffer(self.token_ids, dtype=np.uint32),
            np.frombuffer(bytes(self.learnt), dtype=np.bool_),
            np.frombuffer(self.starts, dtype=np.int64),
            self.counts,
        )


def encode_sources(
    sources: Iterable[ExampleSource],
    base_folder: Path,
    encoder: ConversationEncoder,
    max_tokens: int,
) -> Examples:
    """Encode sources that `check_sources` accepted, one after the other.

    Raises UserError with the first ten rows of a source that the template changes, whose prompt is
    no prefix or that are over-long, and where nothing is left.
    """
    collector = Collector(encoder, max_tokens)
    for source in sources:
        faults = FaultyRows(name_of(source, base_folder))
        for some in _chunks(conversations(source, base_folder)):
            for conversation, encoded in zip(some, encoder.encode(some), strict=True):
                try:
                    if isinstance(encoded, RowError):
                        raise encoded
                    collector.add(encoded)
                except RowError as fault:
                    faults.add(conversation.row, str(fault))
        faults.raise_if_any()
    examples = collector.result()
    if len(examples) == 0:
        raise UserError(
            f"every example is longer than batch.max_tokens = {max_tokens}; raise it, or shorten "
            "the examples."
        )
    return examples


def check_sources(sources: Iterable[ExampleSource], base_folder: Path) -> list[str]:
    """Check the form of every source; return sentences about examples that occur twice
    and columns that are not read."""
    notices = []
    for source in sources:
        found = check_source(source, base_folder)
        if found.repeats:
            notices.append(
                f"{found.origin}: {found.repeats} of {found.num} examples repeat another one."
            )
        if found.left_out:
            notices.append(unread_notice(found.origin, found.left_out))
    return notices


def _chunks(items: Iterator[Conversation]) -> Iterator[list[Conversation]]:
    while some := list(islice(items, ROWS_AT_ONCE)):
        yield some
