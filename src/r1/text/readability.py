"""Find chains of thought that are hard to read: the filters of the paper's curation (§2.3.3).

The paper drops chains of thought "with mixed languages, long paragraphs, and code blocks" from its
rejection-sampled data, and repetition from the cold start's. It gives no thresholds: those of
ReadabilitySettings are this project's, chosen so that ordinary worked solutions pass.

    defects = readability_defects(thinking, "en")
    keep = not defects

Every check is linear in the length of the text. Left out on purpose: any judgement by a model, and
whether the reasoning is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from r1.config import Settings
from r1.text.language import language_share
from r1.text.prose import clean, code_blocks, prose
from r1.text.scripts import letters_of
from r1.text.words import sentences_of_words

_TOKEN = re.compile(f"[{letters_of('han')}]|[A-Za-z]+|\\d+|[^\\W\\d]+|[^\\w\\s]")
WRAPPED_CHARS = 60
"""A line this long that ends in no punctuation goes on in the next: its text is hard-wrapped."""
_ENDS = tuple(".!?:;。！？：；…)]}\"'”’」』*$|")
NGRAM = 20
"""Tokens (words, Chinese characters, numbers, signs) of the runs that should not come again."""
MIN_TOKENS = 200
"""Shorter texts may repeat runs and lines: a short thought checks itself in the same words."""
MIN_LINE_CHARS = 20
"""Shorter lines may repeat: "So:" and "= 12" say nothing of a text."""
NUM_CYCLES = 4
"""A text that ends in this many turns of one cycle, or more, ends in a loop."""


class ReadabilityDefect(StrEnum):
    """Kinds of defects that make a text hard to read."""

    MIXED_LANGUAGES = "mixed languages"
    LONG_PARAGRAPH = "long paragraph"
    CODE_BLOCK = "code block"
    REPEATED_NGRAMS = "repeated n-grams"
    REPEATED_LINES = "repeated lines"
    ENDLESS_LOOP = "ends in a loop"


class ProseDefect(NamedTuple):
    """One defect, its measured figure and the limit it exceeded."""

    kind: ReadabilityDefect
    measured: float
    limit: float
    where: str = ""

    def __str__(self) -> str:
        shown = f": {self.where}" if self.where else ""
        return f"{self.kind} ({self.measured:.3g}, limit {self.limit:.3g}){shown}"


class ReadabilitySettings(Settings):
    """Limits beyond which a text counts as hard to read; a limit that no text reaches is off."""

    min_language_share: float | None = Field(
        0.95, ge=0.0, le=1.0, description="least share of words in the language of the question"
    )
    max_foreign_words: int = Field(
        2, ge=0, description="so many words of other languages are allowed whatever their share"
    )
    max_paragraph_words: int | None = Field(300, ge=1, description="longest paragraph, in words")
    max_paragraph_chars: int | None = Field(
        6000,
        ge=1,
        description="longest paragraph, in characters: finds walls of formulas, which have few "
        "words",
    )
    max_code_blocks: int | None = Field(0, ge=0, description="fenced blocks of code, at most")
    max_repeated_ngrams: float | None = Field(
        0.3, ge=0.0, le=1.0, description="largest share of runs of 20 tokens that came before"
    )
    max_repeated_lines: float | None = Field(
        0.3,
        ge=0.0,
        le=1.0,
        description="largest share of lines (of 20 characters or more) that came before",
    )
    min_loop_tokens: int | None = Field(
        40, ge=1, description="a cycle repeated over so many tokens at the end is an endless loop"
    )


def readability_defects(
    text: str, language: str, settings: ReadabilitySettings | None = None, prompt: str = ""
) -> list[ProseDefect]:
    """Return the defects of a chain of thought, each kind at most once; [] without any.

    language is the problem's; prompt its question, whose foreign words are excused. Raises
    UserError for an unknown language, and for one that cannot be told from others.
    """
    limits = settings or ReadabilitySettings()
    tokens = _TOKEN.findall(clean(text))
    found = [
        _mixed_languages(text, language, prompt, limits),
        _long_paragraph(text, limits),
        _code_block(text, limits),
        _repeated_ngrams(tokens, limits),
        _repeated_lines(text, tokens, limits),
        _endless_loop(tokens, limits),
    ]
    return [defect for defect in found if defect is not None]


def paragraphs(text: str) -> Iterator[str]:
    """Return the paragraphs of a text: its lines, joined if they are hard-wrapped.

    Models break the line where a thought ends, with a blank line or without, so that a list of
    a hundred short steps is not one long paragraph.
    """
    lines: list[str] = []
    for line in (*text.split("\n"), ""):
        stripped = line.strip()
        if stripped:
            lines.append(stripped)
        if lines and (len(stripped) < WRAPPED_CHARS or stripped.endswith(_ENDS)):
            yield " ".join(lines)
            lines = []


def repeated_ngram_share(tokens: list[str], n: int) -> float:
    """Return the share of n-grams that equal an earlier one, in [0, 1)."""
    total = len(tokens) - n + 1
    if total < 1:
        return 0.0
    # Numbers for tokens, and a rolling sum over them, would save the tuples; this is fast enough.
    return 1.0 - len({hash(tuple(tokens[i : i + n])) for i in range(total)}) / total


def repeated_line_share(lines: list[str]) -> float:
    """Return the share of lines that equal an earlier one, in [0, 1)."""
    return 1.0 - len(set(lines)) / len(lines) if lines else 0.0


def looping_tokens(tokens: list[str], cycles: int = NUM_CYCLES) -> int:
    """Return how many tokens at the end of a text repeat in a cycle, at least `cycles` times.

    The last turn may be cut short, as by a token limit. Linear: the prefix function of the
    reversed text gives the shortest period of every ending.
    """
    backwards = tokens[::-1]
    borders = [0] * len(backwards)
    longest = 0
    for i in range(1, len(backwards)):
        border = borders[i - 1]
        while border and backwards[i] != backwards[border]:
            border = borders[border - 1]
        borders[i] = border + (backwards[i] == backwards[border])
        period = i + 1 - borders[i]
        if i + 1 >= cycles * period:
            longest = i + 1
    return longest


def _mixed_languages(
    text: str, language: str, prompt: str, limits: ReadabilitySettings
) -> ProseDefect | None:
    limit = limits.min_language_share
    if limit is None:
        return None
    share = language_share(text, language, prompt)
    if share.share >= limit or share.foreign <= limits.max_foreign_words:
        return None
    return ProseDefect(
        ReadabilityDefect.MIXED_LANGUAGES, share.share, limit, ", ".join(share.examples)
    )


def _long_paragraph(text: str, limits: ReadabilitySettings) -> ProseDefect | None:
    for paragraph in paragraphs(text):
        start = " ".join(paragraph[:60].split())
        chars, limit = len(paragraph), limits.max_paragraph_chars
        if limit is not None and chars > limit:
            return ProseDefect(ReadabilityDefect.LONG_PARAGRAPH, chars, limit, start)
        limit = limits.max_paragraph_words
        # No paragraph has more words' worth than characters.
        if limit is None or chars <= limit:
            continue
        words = sum(word.worth for s in sentences_of_words(prose(paragraph)) for word in s)
        if words > limit:
            return ProseDefect(ReadabilityDefect.LONG_PARAGRAPH, words, limit, start)
    return None


def _code_block(text: str, limits: ReadabilitySettings) -> ProseDefect | None:
    limit = limits.max_code_blocks
    blocks = [] if limit is None else code_blocks(text)
    if limit is None or len(blocks) <= limit:
        return None
    return ProseDefect(
        ReadabilityDefect.CODE_BLOCK, len(blocks), limit, " ".join(blocks[0][:60].split())
    )


def _repeated_ngrams(tokens: list[str], limits: ReadabilitySettings) -> ProseDefect | None:
    limit = limits.max_repeated_ngrams
    if limit is None or len(tokens) < MIN_TOKENS:
        return None
    share = repeated_ngram_share(tokens, NGRAM)
    return ProseDefect(ReadabilityDefect.REPEATED_NGRAMS, share, limit) if share > limit else None


def _repeated_lines(
    text: str, tokens: list[str], limits: ReadabilitySettings
) -> ProseDefect | None:
    limit = limits.max_repeated_lines
    if limit is None or len(tokens) < MIN_TOKENS:
        return None
    lines = [line.strip() for line in text.split("\n")]
    share = repeated_line_share([line for line in lines if len(line) >= MIN_LINE_CHARS])
    return ProseDefect(ReadabilityDefect.REPEATED_LINES, share, limit) if share > limit else None


def _endless_loop(tokens: list[str], limits: ReadabilitySettings) -> ProseDefect | None:
    limit = limits.min_loop_tokens
    if limit is None or (looping := looping_tokens(tokens)) < limit:
        return None
    end = " ".join(tokens[-12:])
    return ProseDefect(ReadabilityDefect.ENDLESS_LOOP, looping, limit, end)
