"""Split a streamed response into thinking and answer while it is being written.

Text arrives in deltas that may cut a tag anywhere (`</th` + `ink>`). What could still become the
next expected tag is held back, everything else passes at once, and the pieces do not depend on
where the deltas were cut.

A tag counts only where it is expected, and each pair once:

    outside --<think>--> thinking --</think>--> outside --<answer>--> answer --</answer>--> outside

Any other tag (nested, repeated, closing what was never opened) is text like the rest: malformed
output is shown as it is. Judging the form is the business of the format reward (r1.template).
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Channel(StrEnum):
    """The part of a response that a piece belongs to."""

    THINKING = "thinking"
    ANSWER = "answer"
    OUTSIDE = "outside"  # between and after the tags; a chat model's answer stands here


class Piece(NamedTuple):
    """A stretch of text of one channel, without the tags that open and close it."""

    channel: Channel
    text: str


_OPENING = {"<think>": Channel.THINKING, "<answer>": Channel.ANSWER}
_CLOSING = {Channel.THINKING: "</think>", Channel.ANSWER: "</answer>"}


class ThinkingStream:
    """Takes deltas of text and returns pieces.

    inside: the channel a response begins in, THINKING where the prompt itself ends in `<think>`.
    """

    def __init__(self, inside: Channel = Channel.OUTSIDE) -> None:
        self.channel = inside
        self._held = ""
        self._unopened = {tag for tag, channel in _OPENING.items() if channel != inside}

    def feed(self, delta: str) -> list[Piece]:
        """Return the pieces that delta completes, in order; adjoining ones are joined."""
        self._held += delta
        pieces: list[Piece] = []
        while found := self._find_tag():
            start, tag = found
            self._emit(pieces, self._held[:start])
            self._held = self._held[start + len(tag) :]
            self._pass(tag)
        settled = len(self._held) - self._num_undecided()
        self._emit(pieces, self._held[:settled])
        self._held = self._held[settled:]
        return pieces

    def close(self) -> list[Piece]:
        """Return the held-back text at the end of the response."""
        pieces: list[Piece] = []
        self._emit(pieces, self._held)
        self._held = ""
        return pieces

    def _expected(self) -> list[str]:
        if self.channel in _CLOSING:
            return [_CLOSING[self.channel]]
        return sorted(self._unopened)

    def _find_tag(self) -> tuple[int, str] | None:
        places = [(self._held.find(tag), tag) for tag in self._expected()]
        return min(((start, tag) for start, tag in places if start >= 0), default=None)

    def _pass(self, tag: str) -> None:
        if tag in _OPENING:
            self._unopened.discard(tag)
            self.channel = _OPENING[tag]
        else:
            self.channel = Channel.OUTSIDE

    def _num_undecided(self) -> int:
        """Return the length of the longest end of the held text that may begin an expected tag."""
        return max(
            (
                size
                for tag in self._expected()
                for size in range(1, len(tag))
                if self._held.endswith(tag[:size])
            ),
            default=0,
        )

    def _emit(self, pieces: list[Piece], text: str) -> None:
        if not text:
            return
        if pieces and pieces[-1].channel == self.channel:
            text = pieces.pop().text + text
        pieces.append(Piece(self.channel, text))
