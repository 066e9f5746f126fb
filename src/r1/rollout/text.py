"""Turn tokens into text: end tokens, stop strings, streaming.

A stop string ends a response as soon as the decoded text holds it, wherever its characters fall
on token borders. Decoding every row at every step would cost more than the model, so a token is
looked at only when it could complete a stop string: when its own text holds the last character of
one, or is unclear by itself (empty, or a piece of a UTF-8 character). Then a window of the last
tokens is decoded, and a hit is confirmed on the whole response.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_UNCLEAR = "\ufffd"


def decode(tokenizer: Any, token_ids: Sequence[int]) -> str:
    """Return the tokens' text, special tokens included: a template may consist of them."""
    if tokenizer is None or not token_ids:
        return ""
    return tokenizer.decode(
        list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def end_token_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """Return all end tokens of the generation config, the model's config and the tokenizer."""
    found: set[int] = set()
    for owner in (getattr(model, "generation_config", None), model.config, tokenizer):
        ids = getattr(owner, "eos_token_id", None)
        if ids is not None:
            found.update([ids] if isinstance(ids, int) else ids)
    return tuple(sorted(found))


def cut_at(text: str, stop: Sequence[str]) -> str | None:
    """Return text up to the first of the stop strings, or None if it has none."""
    ends = [at for at in (text.find(s) for s in stop) if at >= 0]
    return text[: min(ends)] if ends else None


class StopStrings:
    """Finds stop strings in growing responses.

    candidates_V is True for the tokens that may complete a stop string.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str], vocab_size: int) -> None:
        self.tokenizer, self.stop = tokenizer, tuple(stop)
        self.window = 4 * max(len(s) for s in stop) + 8
        last = tuple({s[-1] for s in stop})
        known = min(vocab_size, len(tokenizer))
        texts = tokenizer.batch_decode(
            [[i] for i in range(known)],
            skip_special_tokens=False,
            clean_up_tokenization_spaces=False,
        )
        spaces = any(c.isspace() for c in last)
        self.candidates_V = np.zeros(vocab_size, dtype=bool)
        self.candidates_V[:known] = [
            spaces or not t or _UNCLEAR in t or any(c in t for c in last) for t in texts
        ]

    def find(self, token_ids: Sequence[int]) -> str | None:
        """Return the text before the first stop string, or None if the response has none."""
        tail = decode(self.tokenizer, token_ids[-self.window :])
        if not any(s in tail for s in self.stop):
            return None
        return self.cut(decode(self.tokenizer, token_ids))

    def cut(self, text: str) -> str | None:
        """Return text up to the first stop string, or None if it has none."""
        return cut_at(text, self.stop)


class TextStream:
    """Turns arriving tokens into pieces of text that are final.

    Held back: an unfinished UTF-8 character, and any ending that may yet become a stop string.
    """

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()) -> None:
        self.tokenizer, self.stop = tokenizer, tuple(stop)
        self.token_ids: list[int] = []
        self.start = 0  # first token of the window that is decoded again
        self.window_text = ""  # text of the window that has already joined `text`
        self.text = ""
        self.num_given = 0

    def push(self, token_id: int) -> str:
        """Take one token; return the text that is now final (often empty)."""
        self.token_ids.append(token_id)
        window = decode(self.tokenizer, self.token_ids[self.start :])
        if window.endswith(_UNCLEAR):
            return ""
        self.text += window[len(self.window_text) :]
        # One clear token stays: tokenizers that drop a leading space need a neighbour.
        self.start = len(self.token_ids) - 1
        self.window_text = decode(self.tokenizer, self.token_ids[self.start :])
        held = max((_overlap(self.text, s) for s in self.stop), default=0)
        return self._give(len(self.text) - held)

    def finish(self, text: str) -> str:
        """Return the rest of the response, given its final text."""
        rest, self.num_given = text[self.num_given :], len(text)
        return rest

    def _give(self, end: int) -> str:
        piece = self.text[self.num_given : end]
        self.num_given = max(self.num_given, end)
        return piece


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest suffix of text that begins stop."""
    for length in range(min(len(stop), len(text)), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
